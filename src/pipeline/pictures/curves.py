"""Learning curves as a picture: loss and UAR of each run, side by side."""

import math
from collections.abc import Sequence

from PIL import Image

from pipeline.pictures.growing import Followed
from pipeline.report.axes import Tick, linear_ticks
from pipeline.report.curves import LEAST_LOSS, SIDES
from pipeline.show.chart import Chart, Colour, Line
from pipeline.show.page import draw_page
from pipeline.show.panels import Column

COLOURS: dict[str, Colour] = {"train": (0, 114, 178), "validation": (213, 94, 0)}
WIDTH, HEIGHT = 420, 200  # pixels
MOST_TICKS = 7


def draw_curves(runs: Sequence[Followed]) -> Image.Image:
    """A row for each run."""
    low, high = loss_range(runs)
    columns = [
        Column("loss", [_loss(run, low, high) for run in runs], "mean cross-entropy, nats, on a logarithmic axis"),
        Column("UAR", [_uar(run) for run in runs], "mean of the classes' recalls"),
    ]
    page, _ = draw_page("Learning curves", columns)
    return page


def loss_range(runs: Sequence[Followed]) -> tuple[float, float]:
    """Lowest and highest loss of runs, never equal."""
    losses = [max(point.loss, LEAST_LOSS) for run in runs for point in run.points]
    return min(losses), max(*losses, 1.01 * min(losses))


def loss_height(loss: float, low: float, high: float) -> float:
    """Where a loss lies on a logarithmic axis."""
    return math.log(max(loss, LEAST_LOSS) / low) / math.log(high / low)


def loss_ticks(low: float, high: float) -> list[Tick]:
    """Figures of 1, 2 or 5 times a power of ten, of wide ranges powers only; of a narrow range its ends."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1,)):
        values = [factor * 10.0**power for power in powers for factor in factors]
        inside = [value for value in values if low <= value <= high]
        if len(inside) <= MOST_TICKS:
            break
    chosen = inside if len(inside) > 1 else [low, high]
    return [Tick(loss_height(value, low, high), f"{value:.3g}") for value in chosen]


def _loss(run: Followed, low: float, high: float) -> Chart:
    points = [(point.side, point.epoch, loss_height(point.loss, low, high)) for point in run.points]
    return _chart(run, points, loss_ticks(low, high), "loss")


def _uar(run: Followed) -> Chart:
    points = [(point.side, point.epoch, point.uar) for point in run.points]
    return _chart(run, points, linear_ticks(0, 1, at_most=6), "UAR")


def _chart(run: Followed, points: Sequence[tuple[str, float, float]], heights: Sequence[Tick], up: str) -> Chart:
    lines = [
        Line(
            name=side,
            colour=COLOURS[side],
            points=[(epoch / run.last_epoch, height) for own, epoch, height in points if own == side],
        )
        for side in SIDES
        if any(own == side for own, _, _ in points)
    ]
    of = f" of {run.epochs}" if run.epochs is not None else ""
    return Chart(
        title=f"{run.name}: {run.state}, epoch {run.epoch:.3g}{of}",
        lines=lines,
        along=linear_ticks(0, run.last_epoch, at_most=6),
        heights=heights,
        across="epochs",
        up=up,
        width=WIDTH,
        height=HEIGHT,
    )
