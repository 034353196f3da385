"""Networks, their starting weights, their checkpoints, and how images go through them."""
