"""Class probabilities into the numbers of metrics.json: scores, their bootstrap intervals, their spread over seeds."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MetricsError

Floats = NDArray[np.float64]
Integers = NDArray[np.integer[Any]]
Scores = dict[str, Floats]

SUMMARIES = ("accuracy", "uar", "macro_f1")
COVERAGE = (0.025, 0.975)  # quantiles of the resamples that bound a 95 % interval
FEW_UNITS = 20  # fewer are flagged; chosen here
CHUNK_BYTES = 2**20  # of resamples in memory at a time; no number depends on it
_DECIMALS = 4
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, kw_only=True)
class Level:
    """Everything that metrics.json says of one level, blocks or clips; None where a class or a unit is lacking."""

    accuracy: float
    uar: float  # unweighted average recall, over the classes that occur
    macro_f1: float  # over the classes that occur
    recall: dict[str, float | None]  # None: the class does not occur, or was in no training side
    n: dict[str, int]  # rows: total, and of each class
    interval: dict[str, Any]  # low and high of accuracy, uar, macro_f1 and of each class's recall
    unit: str  # what was resampled: clip, speaker, ...
    n_units: int
    n_units_by_class: dict[str, int]  # units that hold the class
    few_units: bool  # the intervals rest on so few units that they are too narrow


def softmax(logits: NDArray[Any]) -> Floats:
    """Turn logits (n, k) into probabilities (n, k).

    Raises
    ------
    MetricsError
        If a logit is NaN or infinite.
    """
    values = np.asarray(logits, dtype=np.float64)
    if bad := int((~np.isfinite(values)).any(axis=1).sum()):
        raise MetricsError(
            f"{bad} of {len(values)} rows of logits hold NaN or infinity: training diverged: lower train.learning_rate"
        )
    powers: Floats = np.exp(values - values.max(axis=1, keepdims=True))
    probabilities: Floats = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def pool_by_clip(probabilities: Floats, clip_index: Integers) -> Floats:
    """Average the probabilities (n_blocks, k) of each clip's blocks into its answer (n_clips, k).

    Parameters
    ----------
    probabilities
        Of each block.
    clip_index
        The clip of each block (n_blocks,), 0 to n_clips - 1.

    Raises
    ------
    MetricsError
        If lengths differ, or an index is negative or left out.
    """
    if len(probabilities) != len(clip_index):
        raise MetricsError(f"{len(probabilities)} rows of probabilities for {len(clip_index)} clip indexes")
    if len(clip_index) and clip_index.min() < 0:
        raise MetricsError(f"clip index {clip_index.min()}: number the clips from 0")
    n_blocks = np.bincount(clip_index)  # (n_clips,)
    if empty := np.flatnonzero(n_blocks == 0).tolist():
        raise MetricsError(
            f"{len(empty)} clips have no block, the first is number {empty[0]}: number only clips with blocks"
        )
    sums = [np.bincount(clip_index, weights=column, minlength=len(n_blocks)) for column in probabilities.T]
    return np.stack(sums, axis=1) / n_blocks[:, None]


def confusion(actual: Integers, predicted: Integers, *, n_classes: int) -> NDArray[np.int64]:
    """Count labels (n,) against answers (n,): (n_classes, n_classes), a row per actual class.

    Raises
    ------
    MetricsError
        If lengths differ or a label or an answer is none of the classes.
    """
    one_unit = np.zeros(len(actual), dtype=np.int64)
    (matrix,) = _count_cells(actual, predicted, one_unit, n_classes=n_classes, n_units=1)
    counts: NDArray[np.int64] = matrix
    return counts


def scores(confusions: NDArray[Any], *, learned: NDArray[np.bool_] | None = None) -> Scores:
    """Compute accuracy, UAR, macro-F1 and recall from confusion matrices (..., k, k), rows actual.

    Parameters
    ----------
    learned
        Which classes (k,) could be answered at all; a class that was in no training side has neither recall nor part
        in the means, but its rows count as wrong in accuracy. None: all.

    Returns
    -------
    dict
        accuracy, uar, macro_f1 (...) and recall (..., k). The recall of a class without actual rows is NaN, and it has
        no part in the two means: UAR is scikit-learn's `balanced_accuracy_score`, macro-F1 its `f1_score(labels=those
        that occur in actual, average="macro", zero_division=0)`. So an answer that names a class not there costs the
        recall of the class that it missed, and no more. All are NaN for a matrix of zeros.
    """
    matrices = np.asarray(confusions, dtype=np.float64)
    hits = np.diagonal(matrices, axis1=-2, axis2=-1)  # (..., k)
    actual, predicted = matrices.sum(axis=-1), matrices.sum(axis=-2)  # (..., k)
    counted = actual if learned is None else np.where(learned, actual, 0)
    recall = _divide(hits, counted)
    f1 = _divide(2 * hits, np.where(counted > 0, actual + predicted, 0))
    return {
        "accuracy": _divide(hits.sum(axis=-1), actual.sum(axis=-1)),
        "uar": _mean_of_present(recall),
        "macro_f1": _mean_of_present(f1),
        "recall": recall,
    }


def evaluate_level(
    actual: Integers,
    probabilities: Floats,
    units: Integers,
    *,
    classes: Sequence[str],
    unit_name: str,
    n_resamples: int,
    seed: int,
    few_units: int = FEW_UNITS,
    learned: NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    """Score one level's probabilities against its labels, with 95 % intervals over the units of the split.

    The answer of a row is its most probable class, of equals the first in the order of `classes`. The intervals are
    percentile bootstrap intervals (Efron and Tibshirani 1993, chapter 13) over units, not rows: blocks of a clip, clips
    of a speaker, are no independent evidence. Units are redrawn within strata of those that hold the same set of
    classes, so that a class of three clips keeps three in every resample, and the interval is about the classifier and
    not about how often a class was recorded; sets that only one unit holds share a stratum, which else could not vary.
    A class that is still missing from a resample has no part in its means. From few units such intervals are too
    narrow (within a stratum of m by about (m - 1) / m in variance), hence the flag and the count per class.

    Parameters
    ----------
    actual, units
        Class and unit of each row (n,); units may be any integers.
    probabilities
        Of each row (n, len(classes)), not negative, summing to 1 within 0.001.
    classes, unit_name
        Names to report.
    n_resamples, seed
        Of the bootstrap.
    few_units
        Fewer units than this are flagged.
    learned
        As in `scores`.

    Returns
    -------
    dict
        The fields of `Level`, floats rounded to 4 decimals. No interval (low and high None) from fewer than 2
        units; for a class's recall, from fewer than 2 that hold it.

    Raises
    ------
    MetricsError
        If there are no rows, lengths differ, probabilities are none, a label is none of the classes, or names clash.
    """
    _refuse_unusable(actual, probabilities, units, classes=classes)
    names, unit_index = np.unique(units, return_inverse=True)
    by_unit = _count_cells(
        actual, probabilities.argmax(axis=1), unit_index, n_classes=len(classes), n_units=len(names)
    )  # (n_units, k, k)
    units_of_class = (by_unit.sum(axis=2) > 0).sum(axis=0)  # (k,)
    rows_of_class = by_unit.sum(axis=(0, 2)).tolist()
    point = scores(by_unit.sum(axis=0), learned=learned)
    level = Level(
        **{name: _rounded(point[name]) for name in SUMMARIES},
        recall={name: _rounded(value) for name, value in zip(classes, point["recall"], strict=True)},
        n={"total": len(actual), **dict(zip(classes, rows_of_class, strict=True))},
        interval=_intervals(
            by_unit, units_of_class, classes=classes, n_resamples=n_resamples, seed=seed, learned=learned
        ),
        unit=unit_name,
        n_units=len(names),
        n_units_by_class=dict(zip(classes, units_of_class.tolist(), strict=True)),
        few_units=len(names) < few_units,
    )
    return dataclasses.asdict(level)


def spread(levels: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Give mean and sample standard deviation (n - 1) of each summary over members that differ in their seed.

    Parameters
    ----------
    levels
        One result of `evaluate_level` per member, on the same split.

    Returns
    -------
    dict
        {"accuracy" | "uar" | "macro_f1": {"mean", "sd"}}, 4 decimals; sd is None for one member.

    Raises
    ------
    MetricsError
        If there is no member.
    """
    if not levels:
        raise MetricsError("no member to average over: name at least one in runs.members")
    table = {name: np.array([level[name] for level in levels]) for name in SUMMARIES}
    return {
        name: {"mean": _rounded(values.mean()), "sd": _rounded(values.std(ddof=1)) if len(values) > 1 else None}
        for name, values in table.items()
    }


def _refuse_unusable(actual: Integers, probabilities: Floats, units: Integers, *, classes: Sequence[str]) -> None:
    if len(set(classes)) < len(classes) or "total" in classes:
        raise MetricsError(
            f"classes {', '.join(classes)}: names must differ, and none may be total: map the label to another"
        )
    if len(actual) == 0:
        raise MetricsError("no rows to score: the side is empty; check split.csv")
    if not len(actual) == len(probabilities) == len(units):
        raise MetricsError(
            f"{len(actual)} labels, {len(probabilities)} rows of probabilities, {len(units)} units: need one each"
        )
    if probabilities.shape[1:] != (len(classes),):
        raise MetricsError(
            f"probabilities of shape {probabilities.shape} for {len(classes)} classes: need a column per class"
        )
    if bad := int((~np.isfinite(probabilities)).any(axis=1).sum()):
        raise MetricsError(
            f"{bad} of {len(actual)} rows of probabilities hold NaN or infinity: predict again from finite logits"
        )
    if (low := float(probabilities.min())) < 0:
        raise MetricsError(f"a probability of {low:.4g}: these may be logits; apply softmax first")
    sums = probabilities.sum(axis=1)
    off = np.flatnonzero(np.abs(sums - 1) > _SUM_TOLERANCE)
    if len(off):
        raise MetricsError(
            f"{len(off)} of {len(sums)} rows do not sum to 1 but, the first, to {sums[off[0]]:.4g}: apply softmax first"
        )


def _count_cells(
    actual: Integers, predicted: Integers, unit_index: Integers, *, n_classes: int, n_units: int
) -> NDArray[np.int64]:
    """Count the confusion matrix of each unit: (n_units, n_classes, n_classes)."""
    if len(actual) != len(predicted):
        raise MetricsError(f"{len(actual)} labels for {len(predicted)} answers: need one each")
    for what, values in (("label", actual), ("answer", predicted)):
        outside = values[(values < 0) | (values >= n_classes)]
        if len(outside):
            raise MetricsError(
                f"{len(outside)} {what}s outside 0..{n_classes - 1}, the first is {outside[0]}: check the classes"
            )
    cells = (unit_index.astype(np.int64) * n_classes + actual) * n_classes + predicted
    return np.bincount(cells, minlength=n_units * n_classes**2).reshape(n_units, n_classes, n_classes)


def _intervals(
    by_unit: NDArray[np.int64],
    units_of_class: Integers,
    *,
    classes: Sequence[str],
    n_resamples: int,
    seed: int,
    learned: NDArray[np.bool_] | None,
) -> dict[str, Any]:
    """Bound each score by the quantiles of its resamples; one unit cannot vary, so it gives no bounds."""
    chunks = [scores(drawn, learned=learned) for drawn in resample(by_unit, n_resamples=n_resamples, seed=seed)]
    drawn = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in (*SUMMARIES, "recall")}
    recalls = zip(classes, drawn["recall"].T, units_of_class.tolist(), strict=True)
    return {
        **{name: bounds(drawn[name], n_units=len(by_unit)) for name in SUMMARIES},
        "recall": {name: bounds(values, n_units=n_units) for name, values, n_units in recalls},
    }


def bounds(values: Floats, *, n_units: int) -> dict[str, float | None]:
    """Bound 95 % of resampled values (n_resamples,): low and high, 4 decimals; None where fewer than 2 units vary."""
    known = values[np.isfinite(values)]
    low, high = np.quantile(known, COVERAGE) if n_units > 1 and len(known) else (np.nan, np.nan)
    return {"low": _rounded(low), "high": _rounded(high)}


def resample(by_unit: NDArray[np.int64], *, n_resamples: int, seed: int) -> Iterator[Floats]:
    """Yield the confusion matrices (chunk, ..., k, k) of resamples: unit matrices times how often each was drawn.

    Units with the same matrices are one kind, drawn as often as its units together, so that the draws of a stratum of m
    are multinomial with the kinds' shares; where each clip is one row there are at most k * k kinds.

    Parameters
    ----------
    by_unit
        Confusion matrices of each unit (n_units, ..., k, k), rows actual. Axes between, such as two systems that
        answered the same units, are drawn together.
    n_resamples, seed
        Of the bootstrap.
    """
    flat = by_unit.reshape(len(by_unit), -1)
    n_cells = flat.shape[1]
    kinds = [
        (flat[members[first]], count) for members in strata(by_unit) for first, _, count in [_distinct(flat[members])]
    ]
    # a stream per stratum: the draws do not depend on where a chunk ends
    streams = np.random.default_rng(seed).spawn(len(kinds))
    chunk = max(1, CHUNK_BYTES // (16 * (max(len(count) for _, count in kinds) + n_cells)))
    for start in range(0, n_resamples, chunk):
        size = min(chunk, n_resamples - start)
        total = np.zeros((size, n_cells))
        for stream, (matrices, count) in zip(streams, kinds, strict=True):
            times = stream.multinomial(count.sum(), count / count.sum(), size=size)  # (size, kinds)
            total += times.astype(np.float64) @ matrices  # whole numbers below 2**53: exact in any order
        yield total.reshape(size, *by_unit.shape[1:])


def strata(by_unit: NDArray[np.int64]) -> list[NDArray[np.intp]]:
    """Group units by the set of classes that they hold; those alone with theirs make one group.

    Parameters
    ----------
    by_unit
        Counts of each unit's rows (n_units, ..., k, any), a class on the last axis but one.
    """
    holds = (by_unit.sum(axis=-1) > 0).reshape(len(by_unit), -1)
    _, stratum, count = _distinct(holds.astype(np.int64))
    stratum = np.where(count[stratum] == 1, -1, stratum)
    return [np.flatnonzero(stratum == name) for name in np.unique(stratum)]


def _distinct(rows: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Find the distinct rows: where each first stands, which one each row is, and how often each occurs."""
    # one opaque value per row: sorted by its bytes, several times faster than np.unique(axis=0) by its columns
    values = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    _, first, inverse, count = np.unique(values, return_index=True, return_inverse=True, return_counts=True)
    return first, inverse, count


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    """Divide; NaN where the denominator is 0."""
    unknown: Floats = np.full(numerator.shape, np.nan)
    return np.divide(numerator, denominator, out=unknown, where=denominator > 0)


def _mean_of_present(values: Floats) -> Floats:
    """Average over the last axis what is not NaN."""
    present = np.isfinite(values)
    return _divide(np.where(present, values, 0).sum(axis=-1), present.sum(axis=-1).astype(np.float64))


def _rounded(value: Any) -> Any:
    return round(float(value), _DECIMALS) if np.isfinite(value) else None
