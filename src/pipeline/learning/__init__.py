"""What the training loop is made of: the recipe, rates, losses, orders of the items."""
