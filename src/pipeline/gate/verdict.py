"""Old and new scores -> a verdict on each: has it fallen by more than its tolerance, and by more than chance."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.compare import Change, compare_answers
from pipeline.findings import LEVELS
from pipeline.gate.results import Result
from pipeline.metrics import SUMMARIES

OK, BETTER, NOISE, REGRESSION, NOT_GATED = "ok", "better", "noise", "regression", "not gated"


@dataclass(frozen=True)
class Verdict:
    """One line of the gate's table."""

    score: str  # e.g. clip uar
    old: float
    new: float
    low: float | None  # 95 % interval of the change; None where the two could not be paired
    high: float | None
    tolerance: float | None  # None: shown, not gated
    verdict: str


def judge(
    old: Result, new: Result, tolerances: Mapping[str, float | None], *, n_resamples: int, seed: int
) -> list[Verdict]:
    """Judge each score of each level, of two results on the same test.

    Parameters
    ----------
    tolerances
        How far LEVEL_SCORE may fall; None: it is not gated.
    n_resamples, seed
        Of the paired bootstrap, see `compare.compare_answers`.
    """
    verdicts = []
    for level in LEVELS:
        paired = level in old.answers and level in new.answers
        changes = (
            compare_answers(
                old.answers[level],
                new.answers[level],
                n_resamples=n_resamples,
                seed=seed,
                untrained=new.metrics.split.untrained,
            )
            if paired
            else {}
        )
        was, now = getattr(old.metrics, level), getattr(new.metrics, level)
        for name in SUMMARIES:
            before, after = getattr(was, name), getattr(now, name)
            change = changes.get(name, Change(before, after, None, None))
            tolerance = tolerances[f"{level}_{name}"]
            word = decide(before, after, low=change.low, high=change.high, tolerance=tolerance)
            verdicts.append(Verdict(f"{level} {name}", before, after, change.low, change.high, tolerance, word))
    return verdicts


def decide(old: float, new: float, *, low: float | None, high: float | None, tolerance: float | None) -> str:
    """Name what became of one score.

    A change within the tolerance is ok. One beyond it is a regression, or better, only if the interval of the change,
    low to high, lies wholly on its side of zero; without an interval the change alone decides.
    """
    if tolerance is None:
        return NOT_GATED
    change = round(new - old, 4)  # of two numbers of four decimals: 0.95 to 0.90 is 0.05 exactly
    if -change > tolerance:
        return REGRESSION if high is None or high < 0 else NOISE
    return BETTER if change > tolerance and (low is None or low > 0) else OK
