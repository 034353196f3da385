"""Several runs of a row -> one number with its interval, and what that says of the paper's."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from scipy import stats

from pipeline.papers.scores import Value

NARROW = 0.05  # half-width of an interval that can bear out a claim
REPRODUCED, INCONCLUSIVE, HIGHER, LOWER = "reproduced", "inconclusive", "higher", "lower"
NOT_COMPARABLE, NOT_RUN = "not comparable", "not run"


def combine(values: Sequence[Value], *, n_units: int = 0) -> Value:
    """Join the runs of several seeds: their mean, and an interval of what varies on either side of it.

    Each run's interval is of other recordings (the bootstrap over units); its mean half-width and that of the mean over
    seeds (Student's t) are added as independent errors are, by their squares. Where every answer of a run is right, or
    every one wrong, the bootstrap has nothing to vary: the bound is then the exact one of n such answers (Clopper,
    Pearson 1934).

    Parameters
    ----------
    n_units
        Units tested, for that exact bound; 0: unknown.

    Returns
    -------
    Value
        Without bounds if a run has none.
    """
    mean = fmean(one.value for one in values)
    bounds = [(one.low, one.high) for one in values]
    lows, highs = [low for low, _ in bounds if low is not None], [high for _, high in bounds if high is not None]
    if len(lows) < len(values) or len(highs) < len(values):
        return Value(value=mean, low=None, high=None)
    if n_units:
        exact = 0.025 ** (1 / n_units)
        lows = [exact if low == one.value == 1.0 else low for low, one in zip(lows, values, strict=True)]
        highs = [1 - exact if high == one.value == 0.0 else high for high, one in zip(highs, values, strict=True)]
    spread = 0.0
    if len(values) > 1:
        t = float(stats.t.ppf(0.975, len(values) - 1))
        spread = t * stdev(one.value for one in values) / math.sqrt(len(values))
    down = math.hypot(fmean(one.value - low for one, low in zip(values, lows, strict=True)), spread)
    up = math.hypot(fmean(high - one.value for one, high in zip(values, highs, strict=True)), spread)
    return Value(value=mean, low=max(mean - down, 0.0), high=min(mean + up, 1.0))


def subtract(one: Value, other: Value) -> Value:
    """Take the difference of two scores of different runs; their intervals' halves are added by their squares."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return Value(value=one.value - other.value, low=None, high=None)
    difference = one.value - other.value
    down = math.hypot(one.value - one.low, other.high - other.value)
    up = math.hypot(one.high - one.value, other.value - other.low)
    return Value(value=difference, low=difference - down, high=difference + up)


def judge(claim: float | None, ours: Value | None, *, differs: Sequence[str]) -> str:
    """Say what our number says of the paper's.

    Parameters
    ----------
    claim
        None where the paper prints no number.
    ours
        None where nothing was run.
    differs
        What is not as in the paper: then neither agreement nor a difference says anything of the paper.
    """
    if ours is None:
        return NOT_RUN
    if claim is None or differs:
        return NOT_COMPARABLE
    if ours.low is None or ours.high is None:
        return INCONCLUSIVE
    if claim < ours.low:
        return HIGHER
    if claim > ours.high:
        return LOWER
    return REPRODUCED if (ours.high - ours.low) / 2 <= NARROW else INCONCLUSIVE
