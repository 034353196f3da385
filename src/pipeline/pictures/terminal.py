"""Learning curves in plain characters."""

from collections.abc import Sequence

from pipeline.pictures.curves import loss_height, loss_range, loss_ticks
from pipeline.pictures.growing import Followed
from pipeline.report.axes import Tick, linear_ticks
from pipeline.report.curves import SIDES

CLEAR = "\x1b[2J\x1b[H"  # the whole screen, and to its upper left corner
SIGNS = {"train": ".", "validation": "o"}  # validation over train
FIGURES = 8  # characters left of an axis
LEAST_WIDTH, MOST_WIDTH = 20, 70  # of a plot inside its axes
LEAST_HEIGHT, MOST_HEIGHT = 5, 14


def page_of(runs: Sequence[Followed], shown: Sequence[Followed], *, columns: int, lines: int) -> str:
    """A line for every run, and under them loss and UAR of those that are shown, side by side."""
    with_points = [run for run in shown if run.points]
    width = min(max((columns - 2 * FIGURES - 4) // 2, LEAST_WIDTH), MOST_WIDTH)
    free = (lines - len(runs) - 3) // max(len(with_points), 1) - 5
    height = min(max(free, LEAST_HEIGHT), MOST_HEIGHT)
    parts = ["\n".join(_state(run) for run in runs)]
    parts += [_plots(run, width=width, height=height) for run in with_points]
    return "\n\n".join(parts)


def plot(
    lines: Sequence[tuple[str, Sequence[tuple[float, float]]]],
    *,
    width: int,
    height: int,
    heights: Sequence[Tick],
    along: Sequence[Tick],
) -> list[str]:
    """Points as signs inside axes of `width` x `height` characters, with figures left and below.

    Parameters
    ----------
    lines
        Each a sign and its points, from the left and from the bottom, of the axes' lengths; later ones lie on top.
    """
    field = [[" "] * width for _ in range(height)]
    for sign, points in lines:
        for x, y in points:
            field[_row(y, height)][min(max(int(x * width), 0), width - 1)] = sign
    figures = {_row(tick.at, height): tick.text.replace("\N{MINUS SIGN}", "-") for tick in heights}
    rows = [f"{figures.get(number, ''):>{FIGURES - 2}} |{''.join(row)}" for number, row in enumerate(field)]
    below = [" "] * (width + FIGURES)
    for tick in along:
        at = FIGURES + min(max(round(tick.at * (width - 1)), 0), width - 1)
        first = min(max(at - len(tick.text) // 2, 0), len(below) - len(tick.text))
        if all(sign == " " for sign in below[max(first - 1, 0) : first + len(tick.text) + 1]):
            below[first : first + len(tick.text)] = tick.text
    return [*rows, " " * (FIGURES - 1) + "+" + "-" * width, "".join(below)]


def _plots(run: Followed, *, width: int, height: int) -> str:
    low, high = loss_range([run])
    along = linear_ticks(0, run.last_epoch, at_most=6)
    of_loss, of_uar, ends = [], [], []
    for side in SIDES:
        own = [point for point in run.points if point.side == side]
        if not own:
            continue
        of_loss.append((SIGNS[side], [(p.epoch / run.last_epoch, loss_height(p.loss, low, high)) for p in own]))
        of_uar.append((SIGNS[side], [(p.epoch / run.last_epoch, p.uar) for p in own]))
        ends.append(f"{SIGNS[side]} {side} loss {own[-1].loss:.3g}, UAR {own[-1].uar:.2f}")
    left = plot(of_loss, width=width, height=height, heights=loss_ticks(low, high), along=along)
    right = plot(of_uar, width=width, height=height, heights=linear_ticks(0, 1, at_most=3), along=along)
    titles = f"{'':{FIGURES}}{'loss (logarithmic)':{width}}  {'':{FIGURES}}UAR"
    rows = [f"{one:{width + FIGURES}}  {other}".rstrip() for one, other in zip(left, right, strict=True)]
    return "\n".join([f"{run.name}, along epochs: {';  '.join(ends)}", titles, *rows])


def _state(run: Followed) -> str:
    of = f"of {run.epochs}" if run.epochs is not None else "of an unknown number"
    text = f"{run.name}: {run.state}"
    if not run.points:
        return text
    share = f" ({100 * min(run.epoch / run.epochs, 1):.0f} %)" if run.epochs else ""
    return f"{text}, epoch {run.epoch:.3g} {of}{share}, iteration {run.points[-1].iteration}, grew {_ago(run.age)}"


def _ago(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def _row(height: float, n: int) -> int:
    return n - 1 - min(max(int(height * n), 0), n - 1)
