"""Multinomial logistic regression at its optimum, over rows that are read in pieces as often as needed.

The loss is the cross-entropy in which every class has the same weight, and half the square of the weights for the
penalty (L2 with C = 1), as scikit-learn has it: two classes share one vector of weights. Memory holds a piece of rows,
whatever their number.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.newton import minimum
from pipeline.store.scratch import ScratchRows

Floats = NDArray[np.float64]
Integers = NDArray[np.integer[Any]]

PIECE_BYTES = 2**21  # of rows in double precision: what stays in the processor's cache
LEAST_DEVIATION = 1e-6  # of the largest value: what was averaged in float32 is constant to 1e-7 of its size
TOLERANCE = 1e-9  # of the last step, in units of the weights


@dataclass(frozen=True)
class Regression:
    """What gives the probabilities of k classes.

    Attributes
    ----------
    centre
        (d,), taken from every row.
    weights, intercepts
        (d, k) and (k,).
    """

    centre: Floats
    weights: Floats
    intercepts: Floats

    def probabilities(self, rows: NDArray[Any]) -> Floats:
        """Probabilities (n, k) of rows (n, d)."""
        return _softmax((rows - self.centre) @ self.weights + self.intercepts)[0]


def fit(rows: ScratchRows, labels: Integers, *, n_classes: int, folder: Path | None = None) -> Regression:
    """Fit to standardised columns; one that is constant gets no weight.

    Parameters
    ----------
    rows
        (n, d), finite.
    labels
        (n,), of two or more classes, each of which occurs.
    folder
        Where probabilities may lie meanwhile.

    Raises
    ------
    StoreError
        If there is no room for them.
    """
    with ScratchRows(folder, np.float64, (n_classes,)) as chances:
        loss = _Loss(rows, labels, chances)
        found = minimum(loss, np.zeros((n_classes - 1, rows.shape[1] + 1)), tolerance=TOLERANCE)
    return Regression(loss.centre, *loss.of_classes(found))


def standard(rows: ScratchRows) -> tuple[Floats, Floats]:
    """What to take from each column, and to multiply it with, for mean 0 and deviation 1; 0 for constant ones: (d,)."""
    n, d = rows.shape
    sums, largest = np.zeros(d), np.zeros(d)
    for piece in _pieces(rows):
        sums += piece.sum(axis=0, dtype=np.float64)
        largest = np.maximum(largest, np.abs(piece).max(axis=0))
    mean, squares = sums / n, np.zeros(d)
    for piece in _pieces(rows):
        squares += np.square(piece - mean).sum(axis=0)
    deviation = np.sqrt(squares / n)
    varies = deviation > LEAST_DEVIATION * largest
    return mean, np.where(varies, 1 / np.where(varies, deviation, 1), 0)


def _pieces(rows: ScratchRows) -> Iterator[NDArray[Any]]:
    return rows.pieces(max(16, PIECE_BYTES // (8 * rows.shape[1])))


class _Loss:
    """The loss of weights u (k - 1, d + 1), of standardised columns and, last, for the intercepts.

    What is added to the logits of all classes changes nothing, so there is a row less than classes.
    """

    def __init__(self, rows: ScratchRows, labels: Integers, chances: ScratchRows) -> None:
        self._rows, self._chances = rows, chances
        self.centre, self._scale = standard(rows)
        counts = np.bincount(labels)
        k = len(counts)
        self._labels = labels.astype(np.min_scalar_type(k))
        self._weights = len(labels) / (k * counts)  # of a row of each class
        self._mixing = np.linalg.qr(np.column_stack([np.ones(k), np.eye(k)[:, 1:]]))[0][:, 1:].T  # (k - 1, k)
        self._penalties = np.full(len(self.centre) + 1, 2.0 if k == 2 else 1.0)
        self._penalties[-1] = 0

    def of_classes(self, u: Floats) -> tuple[Floats, Floats]:
        """Weights (d, k) of the centred columns, and intercepts (k,)."""
        return (u[:, :-1] * self._scale).T @ self._mixing, u[:, -1] @ self._mixing

    def at(self, u: Floats) -> tuple[float, Floats]:
        """The loss and its gradient (k - 1, d + 1); later products are with the Hessian there."""
        loss, gradient = 0.5 * float((self._penalties * u * u).sum()), np.zeros_like(u)
        for first, labels, x in self._centred():
            chances, logs = _softmax(self._logits(x, u))
            self._chances.write(first, chances)
            rows, of_row = np.arange(len(labels)), self._weights[labels]
            loss -= float(of_row @ logs[rows, labels])
            chances[rows, labels] -= 1
            self._add(gradient, x, chances * of_row[:, None])
        return loss, gradient + self._penalties * u

    def product(self, v: Floats) -> Floats:
        """The Hessian at the last place times v (k - 1, d + 1)."""
        found = np.zeros_like(v)
        for first, labels, x in self._centred():
            chances = self._chances[first : first + len(x)]
            moved = chances * self._logits(x, v)
            moved -= chances * moved.sum(axis=1, keepdims=True)
            self._add(found, x, moved * self._weights[labels][:, None])
        return found + self._penalties * v

    def _logits(self, x: Floats, u: Floats) -> Floats:
        # vector by vector: products of matrices as narrow as these take several times as long
        mixed = np.column_stack([x @ own for own in u[:, :-1] * self._scale])
        logits: Floats = (mixed + u[:, -1]) @ self._mixing
        return logits

    def _add(self, sums: Floats, x: Floats, of_logits: Floats) -> None:
        """Add what some rows (n, d) give to a sum (k - 1, d + 1), from what they give of their logits (n, k)."""
        for own, mixed in zip(sums, self._mixing @ of_logits.T, strict=True):
            own[:-1] += self._scale * (mixed @ x)
            own[-1] += mixed.sum()

    def _centred(self) -> Iterator[tuple[int, Integers, Floats]]:
        """Pieces: the place of the first row, the labels (n,), the rows (n, d) less their mean, in the same memory."""
        first, centred = 0, np.empty((0, 0))
        for piece in _pieces(self._rows):
            centred = centred if len(centred) else np.empty(piece.shape)
            x = np.subtract(piece, self.centre, out=centred[: len(piece)])
            yield first, self._labels[first : first + len(x)], x
            first += len(x)


def _softmax(logits: Floats) -> tuple[Floats, Floats]:
    """Probabilities and their logarithms (n, k)."""
    logits = logits - logits.max(axis=1, keepdims=True)
    powers = np.exp(logits)
    sums = powers.sum(axis=1, keepdims=True)
    return powers / sums, logits - np.log(sums)
