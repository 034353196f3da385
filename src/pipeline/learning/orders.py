"""In which order an epoch goes through the training side: all items once, or as many of each class."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def choose_order(sampling: str, classes: Ints) -> Callable[[np.random.Generator], Ints]:
    """Give what draws the order of an epoch from its own random numbers, for items of these classes (n,)."""
    if sampling == "balanced":
        return lambda rng: draw_balanced(classes, rng)
    return lambda rng: rng.permutation(len(classes))


def draw_balanced(classes: Ints, rng: np.random.Generator) -> Ints:
    """Indices (n,) of as many items as there are, as many of each class: their numbers differ by one at most.

    Of a class that has too few, all are drawn before one comes again; of one that has too many, some are left out,
    others in another epoch. Nothing is dropped for good, and no epoch is longer.
    """
    there = np.unique(classes)
    wanted = np.full(len(there), len(classes) // len(there))
    wanted[rng.permutation(len(there))[: len(classes) % len(there)]] += 1
    drawn = [_draw(np.flatnonzero(classes == own), n, rng) for own, n in zip(there, wanted.tolist(), strict=True)]
    return rng.permutation(np.concatenate(drawn))


def _draw(items: Ints, n: int, rng: np.random.Generator) -> Ints:
    rounds = [rng.permutation(items) for _ in range(-(-n // len(items)))]
    return np.concatenate([np.empty(0, dtype=np.int64), *rounds])[:n]
