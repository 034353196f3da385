"""Results of several seeds under several splits -> each split's score, and how far it lies above the honest one's."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.compare import Change, compare_answers, find_mismatches
from pipeline.errors import GapError
from pipeline.gap.runs import Result, Run
from pipeline.params import Params
from pipeline.store.tables import Answer

BASELINES = ("nuisance", "thumbnail")


@dataclass(frozen=True)
class Condition:
    """One split's unweighted average recall on the test blocks that all splits share.

    Attributes
    ----------
    by
        What the split is by.
    uar, low, high
        Over the answers of all seeds together, with a 95 % interval over the widest units.
    of_seeds, sd
        Each seed's own, and their standard deviation; None for one seed.
    gap, gap_low, gap_high
        How far it is above the honest split, with the interval of the paired difference; None for the honest one.
    baselines
        Mean over seeds of the baselines' under the same split.
    overlapping
        Share of the test blocks that overlap training sound, mean over seeds.
    n_test, n_train, n_units
        Test items, training blocks (means over seeds), and widest units tested, of all seeds together.
    """

    by: str
    uar: float
    low: float | None
    high: float | None
    of_seeds: list[float]
    sd: float | None
    gap: float | None
    gap_low: float | None
    gap_high: float | None
    baselines: dict[str, float]
    overlapping: float
    n_test: float
    n_train: float
    n_units: int


def measure(results: Mapping[Run, Result], level: str, by: str, *, honest: str, params: Params) -> Condition:
    """Score one split over all seeds, and compare it with the honest one.

    A clip that several seeds test counts once for each. In every resample the same units are drawn for both splits
    (a paired bootstrap over the widest units), with all that the seeds answered about them.

    Raises
    ------
    GapError
        If two splits of one seed were not tested on the same items, or some run could learn other classes than another.
    """
    _refuse_unlike_classes(results)
    own = [result for run, result in results.items() if run.by == by]
    base = [result for run, result in results.items() if run.by == honest]
    for one, other in zip(own, base, strict=True):
        if mismatches := find_mismatches(other.answers[level], one.answers[level]):
            raise GapError(f"the splits by {by} and {honest} tested other {level}s: {'; '.join(mismatches)}")
    change = _change(base, own, level, params)
    of_seeds = [float(result.metrics[level]["uar"]) for result in own]
    is_honest = by == honest
    alone = _change(None, own, level, params)
    return Condition(
        by=by,
        uar=round(change.new, 4),
        low=alone.low,
        high=alone.high,
        of_seeds=of_seeds,
        sd=round(float(np.std(of_seeds, ddof=1)), 4) if len(of_seeds) > 1 else None,
        gap=None if is_honest else round(change.new - change.old, 4),
        gap_low=None if is_honest else change.low,
        gap_high=None if is_honest else change.high,
        baselines={
            name: _mean([result.metrics["baselines"][name][level]["uar"] for result in own])
            for name in BASELINES
            if all(name in result.metrics["baselines"] for result in own)
        },
        overlapping=_mean([result.split["leakage"]["overlaps_training"] for result in own]),
        n_test=_mean([result.metrics[level]["n"]["total"] for result in own]),
        n_train=_mean([sum(result.split["folds"]["0"]["train"].values()) for result in own]),
        n_units=len({row.unit for result in own for row in result.answers[level]}),
    )


def _refuse_unlike_classes(results: Mapping[Run, Result]) -> None:
    """Refuse results that are scored over different classes: UAR leaves out those that no training side has."""
    lacking = {run: ", ".join(sorted(result.untrained)) or "no class" for run, result in results.items()}
    first = next(iter(lacking))
    for run, names in lacking.items():
        if names != lacking[first]:
            raise GapError(
                f"training lacks {lacking[first]} in the split by {first.by} with seed {first.seed}, and {names} in "
                f"that by {run.by} with seed {run.seed}: leave these classes out (split.classes)"
            )


def _change(base: Sequence[Result] | None, own: Sequence[Result], level: str, params: Params) -> Change:
    """Compare with the honest split; without one, with a system that is always wrong, for the interval of the score."""
    new = _together(own, level)
    n_resamples, seed, untrained = params.evaluate.n_resamples, params.evaluate.seed, own[0].untrained
    if base is not None:
        old = _together(base, level)
        return compare_answers(old, new, n_resamples=n_resamples, seed=seed, untrained=untrained)["uar"]
    classes = sorted({row.actual for row in new})
    wrong = {name: classes[(i + 1) % len(classes)] for i, name in enumerate(classes)}
    zero = Counter[tuple[str, str, str]]()
    for row in new:
        zero[row.clip_id, row.unit, row.actual] += row.n
    never = [
        Answer(clip_id=clip_id, unit=unit, actual=actual, predicted=wrong[actual], n=n)
        for (clip_id, unit, actual), n in sorted(zero.items())
    ]
    return compare_answers(never, new, n_resamples=n_resamples, seed=seed, untrained=untrained)["uar"]


def _together(results: Sequence[Result], level: str) -> list[Answer]:
    """Answers of all seeds, those alike in one row."""
    counts = Counter[tuple[str, str, str, str]]()
    for result in results:
        for row in result.answers[level]:
            counts[row.clip_id, row.unit, row.actual, row.predicted] += row.n
    return [
        Answer(clip_id=clip_id, unit=unit, actual=actual, predicted=predicted, n=n)
        for (clip_id, unit, actual, predicted), n in sorted(counts.items())
    ]


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 4)
