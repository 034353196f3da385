"""How blocks are dealt to folds and sides: the choices of params.yaml's section `split`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDES = ("train", "validation", "test", "dropped")
TRAIN, VALIDATION, TEST, DROPPED = range(4)
Sides = NDArray[np.int8]  # of blocks: indices into SIDES


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What params.yaml says of the split; each attribute as the key of that name."""

    by: str
    method: str
    n_folds: int
    test_fraction: float
    stratify: bool
    balance: str
    validation: str
    validation_fraction: float
    seed: int
    absent_classes: str = "refuse"
    matched_on: str | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """What is never on two sides: several, joined by + in `by`, are crossed."""
        return tuple(self.by.split("+"))

    @property
    def unit(self) -> str:
        """The widest thing that this split keeps apart."""
        return self.matched_on if self.method == "matched" and self.matched_on else self.fields[0]
