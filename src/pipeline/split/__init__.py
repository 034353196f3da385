"""Folds and sides: which blocks a network learns from, which it is judged by, and what the two have in common."""

from pipeline.split.choices import Choices
from pipeline.split.leakage import describe_split
from pipeline.split.sides import split_blocks

__all__ = ["Choices", "describe_split", "split_blocks"]
