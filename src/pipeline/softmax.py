"""Multinomial logistic regression, brought to its optimum: what the baselines learn with."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAX_STEPS = 100  # Newton's; ten to twenty are usual
MAX_INNER = 250  # products with the Hessian that one step may take
SOLVED = 1e-14  # of the first gradient's length, or of one a row: what is left of it at the end
SMALLEST = 2.0**-30  # part of a step below which there is nothing to be won
ROUNDING = 1e-13  # of the loss: a difference below is one of rounding


def fit_softmax(features: Floats, labels: NDArray[np.integer[Any]], *, n_classes: int) -> Floats:
    """Fit the weights that minimise sum_i c_i * cross-entropy_i + |W|^2 / 2.

    c_i = n / (n_classes * rows of i's class), so that classes weigh the same; intercepts are not in |W|. The minimum
    is unique; of three classes or more it is scikit-learn's with C = 1, which of two shrinks twice as much. Newton's
    method with conjugate gradients (Nocedal and Wright 2006, algorithm 7.1) goes to it from 0 until next to nothing is
    left of the gradient: what is found depends neither on the way nor, but for some 1e-13, on the order in which a
    machine adds up.

    Parameters
    ----------
    features
        (n, d), of similar size in each column.
    labels
        (n,), 0 to n_classes - 1; each occurs.

    Returns
    -------
    array
        Weights (d + 1, n_classes), the last row the intercepts.
    """
    rows = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    wanted = np.eye(n_classes)[labels]
    each = (len(labels) / (n_classes * np.bincount(labels, minlength=n_classes)))[labels][:, None]  # (n, 1)
    shrunk = np.ones((rows.shape[1], 1))
    shrunk[-1] = 0

    def at(weights: Floats) -> _Place:
        logits = rows @ weights
        logits -= logits.max(axis=1, keepdims=True)
        powers = np.exp(logits)
        total = powers.sum(axis=1, keepdims=True)
        probabilities = powers / total
        entropy = np.log(total) - (logits * wanted).sum(axis=1, keepdims=True)
        loss = float((each * entropy).sum() + (shrunk * weights**2).sum() / 2)
        gradient = rows.T @ (each * (probabilities - wanted)) + shrunk * weights
        return _Place(weights, loss, gradient, probabilities)

    def curve(place: _Place, direction: Floats) -> Floats:
        """Hessian times a direction."""
        along = rows @ direction
        along -= (place.probabilities * along).sum(axis=1, keepdims=True)
        bent: Floats = rows.T @ (each * place.probabilities * along) + shrunk * direction
        return bent

    place = at(np.zeros((rows.shape[1], n_classes)))
    first = max(place.steepness, len(rows))
    for _ in range(MAX_STEPS):
        if place.steepness <= SOLVED * first:
            break
        accuracy = min(0.1, max(1e-4, math.sqrt(place.steepness / first)))
        step = _solve(functools.partial(curve, place), -place.gradient, accuracy=accuracy)
        better = _follow(at, place, step)
        if better is None:
            break
        place = better
    return place.weights


def predict_softmax(features: Floats, weights: Floats) -> Floats:
    """Give the probabilities (n, n_classes) under weights of `fit_softmax`."""
    logits = features @ weights[:-1] + weights[-1]
    powers: Floats = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Floats = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


@dataclass(frozen=True)
class _Place:
    """Some weights (d + 1, k), and what is known of them."""

    weights: Floats
    loss: float
    gradient: Floats  # as weights
    probabilities: Floats  # (n, k), of the training rows

    @property
    def steepness(self) -> float:
        """Length of the gradient."""
        return float(np.linalg.norm(self.gradient))


def _follow(at: Callable[[Floats], _Place], place: _Place, step: Floats) -> _Place | None:
    """Go along a step as far as it pays, halving it until it does; None if it never does."""
    slope, part = float((place.gradient * step).sum()), 1.0
    while part >= SMALLEST:
        tried = at(place.weights + part * step)
        if abs(tried.loss - place.loss) <= ROUNDING * place.loss:
            pays = tried.steepness < place.steepness  # the loss cannot tell any more
        else:
            pays = tried.loss <= place.loss + 1e-4 * part * slope  # Armijo's condition
        if pays:
            return tried
        part /= 2
    return None


def _solve(curve: Callable[[Floats], Floats], target: Floats, *, accuracy: float) -> Floats:
    """Solve curve(x) = target by conjugate gradients, until what is left is `accuracy` of the target's length."""
    found, rest, direction = np.zeros_like(target), target, target
    size = float((rest**2).sum())
    goal = size * accuracy**2
    for _ in range(MAX_INNER):
        if size <= goal:
            break
        curved = curve(direction)
        if (bend := float((direction * curved).sum())) <= 0:  # rounding: the Hessian bends up wherever a gradient leads
            break
        share = size / bend
        found, rest = found + share * direction, rest - share * curved
        before, size = size, float((rest**2).sum())
        direction = rest + size / before * direction
    return found
