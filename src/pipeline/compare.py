"""Two lists of answers to the same test items -> how far each score changed, with paired intervals."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import CompareError
from pipeline.findings import count_of
from pipeline.metrics import SUMMARIES, bounds, resample, scores
from pipeline.store.tables import Answer

Integers = NDArray[np.int64]
# What must be the same of each clip, in this order: where one differs, those after it may differ for that alone.
FACTS: dict[str, Callable[[Answer], str]] = {
    "number of items": lambda _: "items",
    "label": lambda row: row.actual,
    "unit": lambda row: row.unit,
}


@dataclass(frozen=True)
class Change:
    """One score of two systems on the same items, and bounds of the difference; None where it cannot be bounded."""

    old: float
    new: float
    low: float | None  # 95 % interval of new - old, 4 decimals
    high: float | None


def compare_answers(old: Sequence[Answer], new: Sequence[Answer], *, n_resamples: int, seed: int) -> dict[str, Change]:
    """Compare two systems by what each answered to the same items, with 95 % intervals of each score's difference.

    A paired bootstrap (Efron and Tibshirani 1993, chapters 8 and 13): in every resample the same units are drawn for
    both, so that what is hard about a clip, and how large the test is by chance, cancels in new - old. The intervals
    are percentile intervals, the units and strata those of `metrics.evaluate_level`. They speak of these two systems
    on further recordings: how far a training seed moves a score is not in them.

    Returns
    -------
    dict
        accuracy, uar and macro_f1. No interval (low and high None) from fewer than 2 units. The interval of (old, new)
        is that of (new, old), negated.

    Raises
    ------
    CompareError
        If the two did not answer the same items, or there are none.
    """
    if mismatches := find_mismatches(old, new):
        raise CompareError("; ".join(mismatches))
    if not old:
        raise CompareError("no answers to compare: the test side is empty")
    by_unit = _count_pairs(old, new)  # (n_units, 2, k, k)
    between = _bound_differences(by_unit, n_resamples=n_resamples, seed=seed)
    point = scores(by_unit.sum(axis=0))
    changes = {}
    for name in SUMMARIES:
        (before, after), (low, high) = point[name].tolist(), between[name]
        changes[name] = Change(before, after, low, high)
    return changes


def find_mismatches(old: Sequence[Answer], new: Sequence[Answer]) -> list[str]:
    """Say why two lists of answers are not to the same test: other clips, labels, units or numbers of items."""
    before, after = {row.clip_id for row in old}, {row.clip_id for row in new}
    found = [
        f"{count_of(len(clips), 'test clip')} only in the {side} table, the first is {min(clips)}"
        for side, clips in (("old", before - after), ("new", after - before))
        if clips
    ]
    if found:
        return found
    for fact, value_of in FACTS.items():
        was, now = _facts_of_clips(old, value_of), _facts_of_clips(new, value_of)
        if differing := sorted(clip for clip in was if was[clip] != now[clip]):
            clip = differing[0]
            return [
                f"{count_of(len(differing), 'test clip')} with another {fact}, the first is {clip} "
                f"({_in_words(was[clip])}, now {_in_words(now[clip])})"
            ]
    return []


def tally(rows: Sequence[Answer], *, units: Sequence[str], classes: Sequence[str]) -> Integers:
    """Count answers into a confusion matrix per unit: (n_units, n_classes, n_classes), rows actual."""
    unit_index = {name: index for index, name in enumerate(units)}
    class_index = {name: index for index, name in enumerate(classes)}
    matrices = np.zeros((len(units), len(classes), len(classes)), dtype=np.int64)
    for row in rows:
        matrices[unit_index[row.unit], class_index[row.actual], class_index[row.predicted]] += row.n
    return matrices


def classes_of(*tables: Sequence[Answer]) -> list[str]:
    """Every class that occurs in the tables as label or answer, sorted."""
    return sorted({name for rows in tables for row in rows for name in (row.actual, row.predicted)})


def _count_pairs(old: Sequence[Answer], new: Sequence[Answer]) -> Integers:
    units, classes = sorted({row.unit for row in old}), classes_of(old, new)
    return np.stack([tally(rows, units=units, classes=classes) for rows in (old, new)], axis=1)


def _bound_differences(
    by_unit: Integers, *, n_resamples: int, seed: int
) -> dict[str, tuple[float | None, float | None]]:
    """Bound new - old of each score over the resamples of matrices (n_units, 2, k, k)."""
    # Draws and the last digit go by the order of the two: a fixed one makes them blind to which is the new.
    swapped = by_unit[:, 0].tobytes() > by_unit[:, 1].tobytes()
    pairs = by_unit[:, ::-1] if swapped else by_unit
    chunks = [scores(drawn) for drawn in resample(pairs, n_resamples=n_resamples, seed=seed)]
    found = {}
    for name in SUMMARIES:
        values = np.concatenate([chunk[name] for chunk in chunks])  # (n_resamples, 2)
        low, high = bounds(values[:, 1] - values[:, 0], n_units=len(by_unit)).values()
        found[name] = (_negated(high), _negated(low)) if swapped else (_unsigned_zero(low), _unsigned_zero(high))
    return found


def _facts_of_clips(rows: Sequence[Answer], value_of: Callable[[Answer], str]) -> dict[str, Counter[str]]:
    """How many items of each clip have which value."""
    facts: dict[str, Counter[str]] = {}
    for row in rows:
        facts.setdefault(row.clip_id, Counter())[value_of(row)] += row.n
    return facts


def _in_words(counts: Counter[str]) -> str:
    return " and ".join(f"{n} {value}" for value, n in sorted(counts.items()))


def _unsigned_zero(value: float | None) -> float | None:
    return None if value is None else value + 0.0  # -0.0 + 0.0 is 0.0


def _negated(value: float | None) -> float | None:
    return None if value is None else 0.0 - value
