"""Two lists of answers to the same test items -> how far each score changed, with paired intervals and tests."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import CompareError
from pipeline.findings import count_of
from pipeline.metrics import SUMMARIES, bounds, resample, scores
from pipeline.store.tables import Answer

Integers = NDArray[np.int64]
MOST_EXACT = 14  # units that answers differ on: 2 ** 14 exchanges are gone through, of more a sample is drawn
CHUNK = 500  # of them at a time
SAME = 1e-9  # scores that differ by less do so by rounding
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


def compare_answers(
    old: Sequence[Answer], new: Sequence[Answer], *, n_resamples: int, seed: int, untrained: Sequence[str] = ()
) -> dict[str, Change]:
    """Compare two systems by what each answered to the same items, with 95 % intervals of each score's difference.

    A paired bootstrap (Efron and Tibshirani 1993, chapters 8 and 13): in every resample the same units are drawn for
    both, so that what is hard about a clip, and how large the test is by chance, cancels in new - old. The intervals
    are percentile intervals, the units and strata those of `metrics.evaluate_level`. They speak of these two systems
    on further recordings: how far a training seed moves a score is not in them.

    Parameters
    ----------
    untrained
        Classes that no training side had: their items count in accuracy only, as in `metrics.scores`.

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
    _refuse_unpaired(old, new)
    by_unit, learned = _count_pairs(old, new), learned_of(classes_of(old, new), untrained)  # (n_units, 2, k, k), (k,)
    between = _bound_differences(by_unit, n_resamples=n_resamples, seed=seed, learned=learned)
    point = scores(by_unit.sum(axis=0), learned=learned)
    changes = {}
    for name in SUMMARIES:
        (before, after), (low, high) = point[name].tolist(), between[name]
        changes[name] = Change(before, after, low, high)
    return changes


def permutation_p_values(
    old: Sequence[Answer], new: Sequence[Answer], *, n_resamples: int, seed: int, untrained: Sequence[str] = ()
) -> dict[str, float]:
    """Test whether two systems are equally good: how often chance alone makes a score differ as much as it does.

    A paired permutation test (Good 2005, chapter 3), two-sided: if the two are alike, what they answered to a unit may
    as well be exchanged, for each unit by itself. With up to 14 units that were answered differently every exchange is
    gone through, and p is the share of them whose difference is at least the one found; with more, `n_resamples`
    exchanges are drawn, and p counts the one found among them. For the accuracy of single items this is McNemar's
    exact test, or comes near to it.

    Parameters
    ----------
    untrained
        As in `compare_answers`.

    Returns
    -------
    dict
        p of accuracy, uar and macro_f1; (old, new) and (new, old) give the same.

    Raises
    ------
    CompareError
        As `compare_answers`.
    """
    _refuse_unpaired(old, new)
    by_unit, learned = _count_pairs(old, new), learned_of(classes_of(old, new), untrained)  # (n_units, 2, k, k), (k,)
    if by_unit[:, 0].tobytes() > by_unit[:, 1].tobytes():
        by_unit = by_unit[:, ::-1]  # what is drawn goes by the order of the two: a fixed one makes p blind to it
    gain = by_unit[:, 1] - by_unit[:, 0]
    differing = gain[(gain != 0).any(axis=(1, 2))]  # exchanging like answers changes nothing
    is_exact = len(differing) <= MOST_EXACT
    rows = differing.reshape(len(differing), gain[0].size).astype(np.float64)  # whole: exact in any order
    kinds, times = (rows, np.ones(len(rows), np.int64)) if is_exact else np.unique(rows, axis=0, return_counts=True)
    first, second = by_unit.sum(axis=0)
    found = scores(np.stack([first, second]), learned=learned)
    at_least, n_drawn = dict.fromkeys(SUMMARIES, 0), 0
    draws = _all_exchanges(len(rows)) if is_exact else _drawn_exchanges(times, n_resamples=n_resamples, seed=seed)
    for exchanged in draws:  # (chunk, n_kinds)
        moved = (exchanged.astype(np.float64) @ kinds).reshape(-1, *first.shape)
        drawn = scores(np.stack([first + moved, second - moved]), learned=learned)
        n_drawn += len(exchanged)
        for name in SUMMARIES:
            observed = abs(found[name][1] - found[name][0])
            at_least[name] += int((np.abs(drawn[name][1] - drawn[name][0]) >= observed - SAME).sum())
    more = 0 if is_exact else 1
    return {name: (count + more) / (n_drawn + more) for name, count in at_least.items()}


def _all_exchanges(n: int) -> Iterator[Integers]:
    """Yield every way to exchange some of n units, once: 0 or 1 for each (2 ** n, n)."""
    yield (np.arange(2**n)[:, None] >> np.arange(n)) % 2


def _drawn_exchanges(times: Integers, *, n_resamples: int, seed: int) -> Iterator[Integers]:
    """Yield how many of the units of each kind are exchanged (chunk, n_kinds), each unit by the toss of a coin."""
    rng = np.random.default_rng(seed)
    for start in range(0, n_resamples, CHUNK):
        yield rng.binomial(times, 0.5, size=(min(CHUNK, n_resamples - start), len(times)))


def _refuse_unpaired(old: Sequence[Answer], new: Sequence[Answer]) -> None:
    if mismatches := find_mismatches(old, new):
        raise CompareError("; ".join(mismatches))
    if not old:
        raise CompareError("no answers to compare: the test side is empty")


def find_mismatches(
    old: Sequence[Answer], new: Sequence[Answer], *, names: tuple[str, str] = ("the old table", "the new table")
) -> list[str]:
    """Say why two lists of answers are not to the same test: other clips, labels, units or numbers of items."""
    before, after = {row.clip_id for row in old}, {row.clip_id for row in new}
    found = [
        f"{count_of(len(clips), 'test clip')} only in {name}, the first is {min(clips)}"
        for name, clips in zip(names, (before - after, after - before), strict=True)
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


def learned_of(classes: Sequence[str], untrained: Sequence[str]) -> NDArray[np.bool_]:
    """Which of the classes some training side had, (n_classes,)."""
    return np.array([name not in untrained for name in classes], dtype=bool)


def _count_pairs(old: Sequence[Answer], new: Sequence[Answer]) -> Integers:
    units, classes = sorted({row.unit for row in old}), classes_of(old, new)
    return np.stack([tally(rows, units=units, classes=classes) for rows in (old, new)], axis=1)


def _bound_differences(
    by_unit: Integers, *, n_resamples: int, seed: int, learned: NDArray[np.bool_]
) -> dict[str, tuple[float | None, float | None]]:
    """Bound new - old of each score over the resamples of matrices (n_units, 2, k, k)."""
    # Draws and the last digit go by the order of the two: a fixed one makes them blind to which is the new.
    swapped = by_unit[:, 0].tobytes() > by_unit[:, 1].tobytes()
    pairs = by_unit[:, ::-1] if swapped else by_unit
    chunks = [scores(drawn, learned=learned) for drawn in resample(pairs, n_resamples=n_resamples, seed=seed)]
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
