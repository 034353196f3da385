"""The minimum of a smooth, strictly convex function that gives its gradient and products with its Hessian.

Newton's method; each step is found by conjugate gradients. What the products of one step show of the Hessian makes the
next step shorter work, as in Morales & Nocedal (2000), "Automatic preconditioning by limited memory quasi-Newton
updating", SIAM J. Optim. 10(4).
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Pair = tuple[Floats, Floats]  # a direction, and the Hessian times it

MAX_STEPS, MAX_PRODUCTS = 200, 2000
MOST_PAIRS = 16
LEAST_PAIRS = 4  # fewer say less than those of the step before
ROUNDING = 1e-9  # of the value: rounding may hide a gain of less
LEAST_GAIN = 1e-4  # of what a step promises
LEAST_LENGTH = 1e-12


class Convex(Protocol):
    """A function of arrays."""

    def at(self, place: Floats, /) -> tuple[float, Floats]:
        """The value and the gradient; later products are with the Hessian there."""

    def product(self, direction: Floats, /) -> Floats:
        """The Hessian times a direction."""


def minimum(function: Convex, start: Floats, *, tolerance: float) -> Floats:
    """Go to the minimum.

    Parameters
    ----------
    start
        Where to begin; any shape.
    tolerance
        The last step promises at most the square of it: where the Hessian is 1 or more, that is how far the place
        before it was from the minimum; the place after it is closer by far.
    """
    place, (value, gradient) = start, function.at(start)
    steepest, before = np.abs(gradient).max(), np.inf
    inverse = _Inverse([])
    for _ in range(MAX_STEPS):
        if not gradient.any():
            break
        accuracy = min(0.1, float(np.sqrt(np.abs(gradient).max() / steepest)))
        step, pairs = _step(function, gradient, inverse, accuracy=accuracy)
        inverse = _Inverse(pairs) if len(pairs) >= LEAST_PAIRS else inverse
        promised = -float((gradient * step).sum())  # twice what the step gains, were the function a parabola
        place, value, gradient = _search(function, place, value, step, promised)
        if promised <= tolerance**2 or (promised <= ROUNDING * abs(value) and promised > before / 4):
            break
        before = promised
    return place


class _Inverse:
    """What some products with a Hessian tell of its inverse (BFGS)."""

    def __init__(self, pairs: list[Pair]) -> None:
        self._pairs = pairs

    def times(self, vector: Floats) -> Floats:
        found, taken = vector.copy(), []
        for direction, product in reversed(self._pairs):
            taken.append(float((direction * found).sum() / (direction * product).sum()))
            found -= taken[-1] * product
        if self._pairs:
            direction, product = self._pairs[-1]
            found *= (direction * product).sum() / (product * product).sum()
        for (direction, product), share in zip(self._pairs, reversed(taken), strict=True):
            found += (share - float((product * found).sum() / (direction * product).sum())) * direction
        return found


def _step(function: Convex, gradient: Floats, inverse: _Inverse, *, accuracy: float) -> tuple[Floats, list[Pair]]:
    """Solve Hessian times step = -gradient; also give at most MOST_PAIRS of the products, evenly spread."""
    step, residual = np.zeros_like(gradient), -gradient
    nearer = inverse.times(residual)
    direction, along = nearer, float((residual * nearer).sum())
    enough = accuracy**2 * float((residual * residual).sum())
    pairs: list[Pair] = []
    every = 1
    for number in range(MAX_PRODUCTS):
        product = function.product(direction)
        if number % every == 0:
            pairs.append((direction, product))
            if len(pairs) > MOST_PAIRS:
                pairs, every = pairs[::2], 2 * every
        length = along / float((direction * product).sum())
        step += length * direction
        residual = residual - length * product
        if float((residual * residual).sum()) <= enough:
            break
        nearer = inverse.times(residual)
        before, along = along, float((residual * nearer).sum())
        direction = nearer + along / before * direction
    return step, pairs


def _search(
    function: Convex, place: Floats, value: float, step: Floats, promised: float
) -> tuple[Floats, float, Floats]:
    """Go along a step, or half of it, and so on, until it gains; where rounding may hide that, until the slope tells.

    The test by slopes is that of Hager & Zhang (2005), "A new conjugate gradient method with guaranteed descent and an
    efficient line search", SIAM J. Optim. 16(1).
    """
    length = 1.0
    while True:
        there = place + length * step
        found, gradient = function.at(there)
        has_gained = found <= value - LEAST_GAIN * length * promised
        is_level = abs(found - value) <= ROUNDING * abs(value) and abs(float((gradient * step).sum())) <= promised / 2
        if has_gained or is_level or length < LEAST_LENGTH:
            return there, found, gradient
        length /= 2
