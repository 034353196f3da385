"""Learning curves as lines to draw: one pair of panels for each run, all on the same axes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.report.axes import Tick, linear_ticks, text_of
from pipeline.store.paths import parse_run_key
from pipeline.store.tables import Curve

SIDES = ("train", "validation")
MOST_POINTS = 240  # of a line; of longer ones the means of equal stretches are drawn
LEAST_LOSS = 1e-4  # a loss of nothing has no place on a logarithmic axis


@dataclass(frozen=True)
class Line:
    """One line of a panel."""

    side: str
    points: Sequence[tuple[float, float]]  # from the left and from the bottom, of the axes' lengths


@dataclass(frozen=True)
class Panel:
    """The curves of one run: its loss and its UAR."""

    title: str
    loss: Sequence[Line]
    uar: Sequence[Line]
    ends: str  # the last values, in words


@dataclass(frozen=True)
class CurvesPage:
    """All panels, and the axes that they share."""

    panels: Sequence[Panel]
    has_validation: bool
    stretch: int  # points behind each point drawn
    iterations: Sequence[Tick]
    losses: Sequence[Tick]
    uars: Sequence[Tick]
    chance_loss: float | None  # where guessing lies, None if outside the axis
    chance_uar: float


def curves_page(curves: Sequence[Curve], *, n_classes: int) -> CurvesPage:
    """Arrange the points of learning_curves.csv, runs in their order there."""
    last = max((curve.iteration for curve in curves), default=1)
    losses = [max(curve.loss, LEAST_LOSS) for curve in curves] or [1.0]
    low, high = _decades(min(losses), max(losses))
    runs = dict.fromkeys(curve.run for curve in curves)
    longest = max((_count(curves, run, side) for run in runs for side in SIDES), default=1)
    stretch = math.ceil(longest / MOST_POINTS)
    chance = _height(math.log(n_classes), low, high) if n_classes > 1 else -1.0
    return CurvesPage(
        panels=[
            _panel(run, [curve for curve in curves if curve.run == run], last, (low, high), stretch) for run in runs
        ],
        has_validation=any(curve.side == SIDES[1] for curve in curves),
        stretch=stretch,
        iterations=linear_ticks(0, last, at_most=4),
        losses=_loss_ticks(low, high),
        uars=linear_ticks(0, 1, at_most=3),
        chance_loss=chance if 0 <= chance <= 1 else None,
        chance_uar=1 / n_classes,
    )


def _count(curves: Sequence[Curve], run: str, side: str) -> int:
    return sum(curve.run == run and curve.side == side for curve in curves)


def _panel(run: str, curves: Sequence[Curve], last: int, range_of_loss: tuple[float, float], stretch: int) -> Panel:
    fold, member = parse_run_key(run)
    loss, uar, ends = [], [], []
    for side in SIDES:
        own = [curve for curve in curves if curve.side == side]
        if not own:
            continue
        x = _means([curve.iteration / last for curve in own], stretch)
        heights = [_height(curve.loss, *range_of_loss) for curve in own]
        loss.append(Line(side, list(zip(x, _means(heights, stretch), strict=True))))
        uar.append(Line(side, list(zip(x, _means([curve.uar for curve in own], stretch), strict=True))))
        ends.append(f"{side} loss {_words(own[-1].loss)}, UAR {own[-1].uar:.2f}")
    return Panel(f"fold {fold}, member {member}", loss, uar, "; ".join(ends))


def _words(loss: float) -> str:
    return f"under {LEAST_LOSS:.4f}" if loss < LEAST_LOSS else f"{loss:.3g}"


def _means(values: Sequence[float], stretch: int) -> list[float]:
    parts = [values[first : first + stretch] for first in range(0, len(values), stretch)]
    return [sum(part) / len(part) for part in parts]


def _decades(low: float, high: float) -> tuple[float, float]:
    """Whole powers of ten around a range."""
    first = math.floor(math.log10(low))
    return 10.0**first, 10.0 ** max(math.ceil(math.log10(high)), first + 1)


def _height(loss: float, low: float, high: float) -> float:
    return math.log(max(loss, LEAST_LOSS) / low) / math.log(high / low)


def _loss_ticks(low: float, high: float) -> list[Tick]:
    first, last = round(math.log10(low)), round(math.log10(high))
    step = -(-(last - first) // 3)  # at most four
    return [Tick((power - first) / (last - first), text_of(10.0**power)) for power in range(first, last + 1, step)]
