"""Augmentation: altered sound as variants of clips, altered images, and the rule that keeps them in training."""
