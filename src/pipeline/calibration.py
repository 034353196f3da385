"""How far probabilities can be trusted: calibration errors, Brier score, log loss; and a temperature to mend them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.metrics import Floats, Integers, bounds, strata

N_BINS = 15  # Guo et al. 2017, On calibration of modern neural networks, table 1
LEAST = 1e-15  # log loss takes no probability for smaller, as it would be infinite
COLDEST, HOTTEST = 0.2, 100.0  # range of temperatures
FEWEST_BLOCKS = 10  # to fit a temperature on
MOST_DRAWS = 5_000_000  # of units, in all resamples of one interval
LEAST_RESAMPLES = 100  # all the same
_CHUNK_DRAWS = 5_000  # in memory at a time: products so small run on one thread, and waking others costs more
_LEAST_CHUNK = 8  # resamples, however many the units
_DECIMALS = 4


@dataclass(frozen=True)
class Bin:
    """Answers whose confidence lies above `low`, up to `high`."""

    low: float
    high: float
    confidence: float  # mean
    accuracy: float
    n: int


def measure_calibration(
    actual: Integers, probabilities: Floats, units: Integers, *, n_resamples: int, seed: int
) -> dict[str, Any]:
    """Measure how well probabilities (n, k), rows summing to 1, tell how often they are right.

    The confidence of a row is its largest probability; it is correct if that class is the actual one.

    Parameters
    ----------
    actual, units
        Class and unit of each row (n,).
    n_resamples, seed
        Of the bootstrap over units, drawn within the strata of the other intervals; so many fewer where there are so
        many units that more than 5 million would be drawn, but at least 100.

    Returns
    -------
    dict
        confidence: the mean. ece: the expected calibration error, sum over 15 bins of equal width of share of rows
        times |accuracy - confidence| (Naeini et al. 2015; Guo et al. 2017, equation 3). adaptive_ece: the same over
        15 bins of equally many rows, in the order of their confidence (Nguyen and O'Connor 2015). brier: mean squared
        distance to the actual class, summed over classes, 0 to 2 (Brier 1950). log_loss: mean of -ln of the actual
        class's probability, nats, of probabilities below 1e-15 as of these. interval: of ece, 95 % percentiles,
        shifted by as much as the resamples' mean exceeds ece, for drawing anew adds noise to every bin, and noise in a
        bin adds to the error; not below 0. For the same reason ece itself is too large where there are few rows.
    """
    confidence, correct = _confidence(actual, probabilities)
    of_actual = probabilities[np.arange(len(actual)), actual]
    squares = np.square(probabilities).sum(axis=1) - 2 * of_actual + 1
    names, unit = np.unique(units, return_inverse=True)
    sums = _sums_of_bins(confidence, correct, unit, n_units=len(names))
    holds = _holds(actual, unit, probabilities.shape[1])
    found = {
        "confidence": _rounded(confidence.mean()),
        "ece": _rounded(_ece(sums.sum(axis=0))),
        "adaptive_ece": _rounded(_adaptive_ece(confidence, correct)),
        "brier": _rounded(squares.mean()),
        "log_loss": _rounded(-np.log(np.maximum(of_actual, LEAST)).mean()),
    }
    del confidence, correct, of_actual, squares, unit  # many rows; the bootstrap knows units only
    return {**found, "interval": {"ece": _interval(sums, holds, n_resamples, seed)}}


def _adaptive_ece(confidence: Floats, correct: Floats) -> float:
    in_order = np.lexsort((correct, confidence))
    parts = np.array_split(in_order, min(N_BINS, len(in_order)))
    return float(sum(abs(correct[part].sum() - confidence[part].sum()) for part in parts)) / len(in_order)


def _interval(sums: Floats, holds: NDArray[np.int64], n_resamples: int, seed: int) -> dict[str, float | None]:
    """Bound the calibration error of units' sums (n_units, 3, n_bins)."""
    ece = _ece(sums.sum(axis=0))
    resampled = np.concatenate([_ece(part) for part in _resample(sums, holds, n_resamples, seed)])
    return bounds(np.clip(resampled - resampled.mean() + ece, 0, 1), n_units=len(sums))


def reliability(actual: Integers, probabilities: Floats) -> list[Bin]:
    """Say how often the answers of each of the 15 bins of equal width are right; bins without answers are left out."""
    confidence, correct = _confidence(actual, probabilities)
    one_unit = np.zeros(len(actual), dtype=np.int64)
    (sums,) = _sums_of_bins(confidence, correct, one_unit, n_units=1)
    return [
        Bin(
            low=_rounded(index / N_BINS),
            high=_rounded((index + 1) / N_BINS),
            confidence=_rounded(sure / n),
            accuracy=_rounded(right / n),
            n=round(n),
        )
        for index, (n, right, sure) in enumerate(sums.T.tolist())
        if n
    ]


def _confidence(actual: Integers, probabilities: Floats) -> tuple[Floats, Floats]:
    """Largest probability of each row (n,), and 1 where it is that of the actual class, else 0."""
    return probabilities.max(axis=1), (probabilities.argmax(axis=1) == actual).astype(np.float64)


def _sums_of_bins(confidence: Floats, correct: Floats, unit: Integers, *, n_units: int) -> Floats:
    """Count rows, and sum up what is right and how sure it was, by unit and bin: (n_units, 3, n_bins)."""
    # rounded, so that the last digit of 9/15 does not choose the bin
    index = np.clip(np.ceil(np.round(confidence * N_BINS, 9)).astype(np.int64) - 1, 0, N_BINS - 1)
    cell = unit * N_BINS + index
    size = n_units * N_BINS
    columns = [np.bincount(cell, weights=weights, minlength=size) for weights in (None, correct, confidence)]
    return np.stack([column.reshape(n_units, N_BINS) for column in columns], axis=1).astype(np.float64)


def _ece(sums: Floats) -> Floats:
    """Expected calibration error of sums of bins (..., 3, n_bins)."""
    n, right, sure = np.moveaxis(sums, -2, 0)
    error: Floats = np.abs(right - sure).sum(axis=-1) / n.sum(axis=-1)
    return error


def _holds(actual: Integers, unit: Integers, n_classes: int) -> NDArray[np.int64]:
    """Rows of each class in each unit (n_units, n_classes, 1)."""
    counts = np.bincount(unit * n_classes + actual, minlength=(int(unit.max()) + 1) * n_classes)
    return counts.reshape(-1, n_classes, 1)


def count_resamples(n_resamples: int, n_units: int) -> int:
    """How many of the resamples that are asked for are drawn, of so many units."""
    return min(n_resamples, max(LEAST_RESAMPLES, MOST_DRAWS // n_units))


def _resample(sums: Floats, holds: NDArray[np.int64], n_resamples: int, seed: int) -> Iterator[Floats]:
    """Yield the sums of resamples (chunk, 3, n_bins), units drawn within their strata."""
    n_units = len(sums)
    flat = sums.reshape(n_units, -1)
    n_left = count_resamples(n_resamples, n_units)
    groups = [flat[members] for members in strata(holds)]
    streams = np.random.default_rng(seed).spawn(len(groups))
    while n_left:
        size = min(n_left, max(_LEAST_CHUNK, _CHUNK_DRAWS // n_units))
        total = np.zeros((size, flat.shape[1]))
        for stream, own in zip(streams, groups, strict=True):
            times = np.empty((size, len(own)))
            for row in times:
                row[:] = np.bincount(stream.integers(len(own), size=len(own)), minlength=len(own))
            total += times @ own
        yield total.reshape(size, *sums.shape[1:])
        n_left -= size


@dataclass(frozen=True)
class Temperature:
    """What logits are divided by, and how it was found."""

    value: float  # 1 leaves them as they are
    n: int  # blocks that it was fitted on
    found: str  # fitted; at_bound: the best lies outside 0.2 to 100; too_few: below 10 blocks, not fitted


def fit_temperature(logits: NDArray[Any], actual: Integers) -> Temperature:
    """Fit the temperature that makes the log loss of logits (n, k) least (Guo et al. 2017, section 4.2).

    The log loss is convex in the inverse of the temperature, so that there is one least value. Where every answer is
    right it lies at 0, and the coldest temperature allowed is taken.

    Parameters
    ----------
    logits
        Finite.
    actual
        Class of each row (n,).
    """
    n = len(actual)
    if n < FEWEST_BLOCKS:
        return Temperature(1.0, n, "too_few")
    values = np.asarray(logits, dtype=np.float64)
    values = values - values[np.arange(n), actual][:, None]  # of the actual class: 0

    others = values.copy()
    others[np.arange(n), actual] = -np.inf
    if (others.max(axis=1) < 0).all():  # the loss falls to 0, and is too flat there to be followed
        return Temperature(COLDEST, n, "at_bound")

    def loss(log_temperature: float) -> float:
        scaled = values / math.exp(log_temperature)
        highest = scaled.max(axis=1)
        return float((highest + np.log(np.exp(scaled - highest[:, None]).sum(axis=1))).mean())

    low, high = math.log(COLDEST), math.log(HOTTEST)
    from scipy.optimize import minimize_scalar

    best = float(minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-8}).x)
    if loss(best) >= loss(0.0) - 1e-12:
        return Temperature(1.0, n, "fitted")
    at_bound = next((bound for bound in (low, high) if abs(best - bound) < 1e-3), None)
    if at_bound is not None:
        return Temperature(COLDEST if at_bound == low else HOTTEST, n, "at_bound")
    return Temperature(round(math.exp(best), 6), n, "fitted")


def _rounded(value: Any) -> float:
    return round(float(value), _DECIMALS) + 0.0  # no -0.0
