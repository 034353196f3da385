"""Lines over an axis, drawn with Pillow beside the pictures of a page."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from pipeline.features.colour import colour_table
from pipeline.report.axes import Tick
from pipeline.show.writing import LINE, SMALL, font_of, plain, write

Colour = tuple[int, int, int]
FINE = 4  # lines are drawn so many times larger and reduced, for smooth edges
DASH, BETWEEN = 18, 16  # of the legend, pixels
GRID = (222, 222, 222)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a chart; of a single point, a dot."""

    name: str
    colour: Colour
    points: Sequence[tuple[float, float]]  # from the left and from the bottom, of the axes' lengths
    dots: bool = False  # mark each point


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Lines on common axes.

    Attributes
    ----------
    height, width
        Of the axes, pixels.
    """

    title: str
    lines: Sequence[Line]
    along: Sequence[Tick]
    heights: Sequence[Tick]
    across: str
    up: str
    width: int = 720
    height: int = 170

    @property
    def rows(self) -> list[list[Line]]:
        """The lines as the legend names them, row by row."""
        rows: list[list[Line]] = []
        left = float(self.width)
        for line in self.lines:
            if left + _named(line) > self.width:
                rows.append([])
                left = 0.0
            rows[-1].append(line)
            left += _named(line)
        return rows

    @property
    def above(self) -> int:
        """Pixels that title and legend take."""
        return LINE * ((1 if self.title else 0) + len(self.rows)) + 4


def colours_of(n: int) -> list[Colour]:
    """Colours that are easily told apart; from the twenty-first on they come again."""
    table = colour_table("tab10", 10) if n <= 10 else colour_table("tab20", 20)
    return [(int(r), int(g), int(b)) for r, g, b in (table[i % len(table)] for i in range(n))]


def write_legend(draw: ImageDraw.ImageDraw, chart: Chart, left: int, top: int) -> None:
    """Name the lines, each beside a dash of its colour, above the axes."""
    if chart.title:
        write(draw, left, top, chart.title)
        top += LINE
    for row in chart.rows:
        at = float(left)
        for line in row:
            draw.line((at, top + 9, at + DASH, top + 9), fill=line.colour, width=3)
            write(draw, at + DASH + 5, top, line.name)
            at += _named(line)
        top += LINE


def draw_lines(chart: Chart) -> Image.Image:
    """The inside of the axes: a grid at the figures, and the lines over it."""
    width, height = chart.width * FINE, chart.height * FINE
    inside = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(inside)

    def place(x: float, y: float) -> tuple[float, float]:
        # pixel centres, as the figures beside the axes are placed
        return (x * (chart.width - 1) + 0.5) * FINE, ((1 - y) * (chart.height - 1) + 0.5) * FINE

    for tick in chart.heights:
        draw.line((*place(0, tick.at), *place(1, tick.at)), fill=GRID, width=FINE)
    for tick in chart.along:
        draw.line((*place(tick.at, 0), *place(tick.at, 1)), fill=GRID, width=FINE)
    for line in chart.lines:
        points = [place(x, y) for x, y in line.points]
        if len(points) > 1:
            draw.line(points, fill=line.colour, width=2 * FINE, joint="curve")
        if line.dots or len(points) == 1:
            for x, y in points:
                draw.ellipse((x - 3 * FINE, y - 3 * FINE, x + 3 * FINE, y + 3 * FINE), fill=line.colour)
    return inside.resize((chart.width, chart.height), Image.Resampling.BOX)


def _named(line: Line) -> float:
    """Width of a line's entry in the legend."""
    return DASH + 5 + font_of(SMALL).getlength(plain(line.name)) + BETWEEN
