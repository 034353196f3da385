"""Pictures and charts with their axes on one page, drawn with Pillow."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.errors import ShowError
from pipeline.report.axes import Tick
from pipeline.report.spectrograms import Picture
from pipeline.show.chart import Chart, draw_lines, write_legend
from pipeline.show.panels import Column
from pipeline.show.writing import BLACK, FONT, GREY, LINE, wrapped, write, write_up

# Pixels.
LEFT, RIGHT, BELOW = 72, 100, 46  # room for the axes' figures and names, and for the colour bar
BAR, BAR_GAP, MARK = 14, 16, 5
EDGE, GAP = 14, 26  # round the page, between columns
LEAST_GAP = 15  # between two figures along an axis


@dataclass(frozen=True)
class Box:
    """Where a picture lies on the page, pixels; right and bottom are outside."""

    left: int
    top: int
    right: int
    bottom: int


def draw_page(title: str, columns: Sequence[Column]) -> tuple[Image.Image, list[list[Box]]]:
    """Draw each column's pictures one below the other, columns side by side.

    Returns
    -------
    The page, and where the pictures of each column lie on it.
    """
    headings = [wrapped(f"{column.name}\n{column.caption}", _width(column) - LEFT) for column in columns]
    top = EDGE + 2 * LINE + LINE * max(len(lines) for lines in headings)
    titles = wrapped(title, sum(_width(column) for column in columns))
    top += LINE * (len(titles) - 1)
    width = 2 * EDGE + sum(_width(column) for column in columns) + GAP * (len(columns) - 1)
    height = top + max(_height(column) for column in columns) + EDGE
    page = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(page)
    for number, line in enumerate(titles):
        write(draw, EDGE, EDGE + number * LINE, line, size=FONT)
    left, boxes = EDGE, []
    for column, lines in zip(columns, headings, strict=True):
        for number, line in enumerate(lines):
            write(draw, left + LEFT, EDGE + (len(titles) + number) * LINE + 6, line, colour=GREY)
        boxes.append(_draw_column(page, draw, column, left, top))
        left += _width(column) + GAP
    return page, boxes


def _draw_column(page: Image.Image, draw: ImageDraw.ImageDraw, column: Column, left: int, top: int) -> list[Box]:
    boxes = []
    for panel in column.panels:
        if isinstance(panel, Chart):
            write_legend(draw, panel, left + LEFT, top)
            boxes.append(_draw_chart(page, draw, panel, left + LEFT, top + panel.above))
            top = boxes[-1].bottom + BELOW
            continue
        if not isinstance(panel, Picture):
            write(draw, left + LEFT, top, panel[0])
            write(draw, left + LEFT + 260, top, panel[1])
            top += LINE
            continue
        if panel.channel:
            for line in wrapped(panel.channel, _size(panel, column.side)[0]):
                write(draw, left + LEFT, top, line)
                top += LINE
        box = _draw_picture(page, draw, panel, column.side, left + LEFT, top)
        boxes.append(box)
        top = box.bottom + BELOW
    return boxes


def _draw_picture(
    page: Image.Image, draw: ImageDraw.ImageDraw, picture: Picture, side: int, left: int, top: int
) -> Box:
    width, height = _size(picture, side)
    box = Box(left, top, left + width, top + height)
    enlarged = Image.fromarray(np.ascontiguousarray(picture.image)).resize((width, height), Image.Resampling.NEAREST)
    page.paste(enlarged, (left, top))
    if picture.bar is None:
        draw.rectangle((left - 1, top - 1, box.right, box.bottom), outline=BLACK)
        return box
    _draw_axes(page, draw, box, along=picture.seconds, heights=picture.hz, across=picture.across, up=picture.up)
    _draw_bar(page, draw, picture, picture.bar, box)
    return box


def _draw_chart(page: Image.Image, draw: ImageDraw.ImageDraw, chart: Chart, left: int, top: int) -> Box:
    box = Box(left, top, left + chart.width, top + chart.height)
    page.paste(draw_lines(chart), (left, top))
    _draw_axes(page, draw, box, along=chart.along, heights=chart.heights, across=chart.across, up=chart.up)
    return box


def _draw_axes(
    page: Image.Image,
    draw: ImageDraw.ImageDraw,
    box: Box,
    *,
    along: Sequence[Tick],
    heights: Sequence[Tick],
    across: str,
    up: str,
) -> None:
    width, height = box.right - box.left, box.bottom - box.top
    draw.rectangle((box.left - 1, box.top - 1, box.right, box.bottom), outline=BLACK)
    for tick in _spaced(heights, height):
        _mark_left(draw, box.left - 1, _up(tick, box), tick.text)
    for tick in along:
        at = box.left + round(_inside(tick) * (width - 1))
        draw.line((at, box.bottom, at, box.bottom + MARK), fill=BLACK)
        write(draw, at, box.bottom + MARK + 2, tick.text, anchor="ma")
    write(draw, (box.left + box.right) / 2, box.bottom + MARK + 20, across, anchor="ma")
    write_up(page, box.left - LEFT, (box.top + box.bottom) // 2, up)


def _draw_bar(
    page: Image.Image, draw: ImageDraw.ImageDraw, picture: Picture, colours: NDArray[np.uint8], box: Box
) -> None:
    left, height = box.right + BAR_GAP, box.bottom - box.top
    bar = Image.fromarray(np.ascontiguousarray(colours)).resize((BAR, height), Image.Resampling.NEAREST)
    page.paste(bar, (left, box.top))
    draw.rectangle((left - 1, box.top - 1, left + BAR, box.bottom), outline=BLACK)
    for tick in _spaced(picture.decibels, height):
        at = _up(tick, box)
        draw.line((left + BAR, at, left + BAR + MARK, at), fill=BLACK)
        write(draw, left + BAR + MARK + 3, at, tick.text, anchor="lm")
    write_up(page, box.right + RIGHT - 20, (box.top + box.bottom) // 2, picture.level)


def _mark_left(draw: ImageDraw.ImageDraw, x: float, y: float, text: str) -> None:
    draw.line((x - MARK, y, x, y), fill=BLACK)
    write(draw, x - MARK - 3, y, text, anchor="rm")


def _inside(tick: Tick) -> float:
    """Where a tick is drawn: one a little outside the picture at its edge."""
    return min(max(tick.at, 0.0), 1.0)


def _up(tick: Tick, box: Box) -> int:
    """The row of the page at which a tick of an upward axis is drawn."""
    return box.bottom - 1 - round(_inside(tick) * (box.bottom - box.top - 1))


def _spaced(ticks: Sequence[Tick], height: int) -> list[Tick]:
    """Leave away ticks whose figures would touch, from the highest down."""
    kept: list[Tick] = []
    for tick in sorted(ticks, key=lambda tick: -tick.at):
        if not kept or (kept[-1].at - tick.at) * height >= LEAST_GAP:
            kept.append(tick)
    return kept


def _size(picture: Picture, side: int) -> tuple[int, int]:
    """Width and height as drawn."""
    height, width, _ = picture.image.shape
    factor = max(1, round(side / max(height, width)))
    return width * factor, height * factor


def _width(column: Column) -> int:
    pictures = [_size(panel, column.side)[0] for panel in column.panels if isinstance(panel, Picture)]
    charts = [panel.width for panel in column.panels if isinstance(panel, Chart)]
    right = RIGHT if pictures else EDGE  # a figure may stand at the end of an axis
    return LEFT + max([*pictures, *charts], default=column.side) + (right if pictures or charts else 0)


def _height(column: Column) -> int:
    height = 0
    for panel in column.panels:
        if isinstance(panel, Chart):
            height += panel.above + panel.height + BELOW
        elif isinstance(panel, Picture):
            lines = len(wrapped(panel.channel, _size(panel, column.side)[0])) if panel.channel else 0
            height += lines * LINE + _size(panel, column.side)[1] + BELOW
        else:
            height += LINE
    return height


def save_page(page: Image.Image, target: Path) -> None:
    """Write a page as a PNG; who reads the file meanwhile sees the one before or the new one.

    Raises
    ------
    ShowError
        If it cannot be written.
    """
    part = target.with_name(f".{target.name}.part")
    try:
        page.save(part, format="PNG", optimize=True)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ShowError(f"{target}: cannot be written ({error.strerror or error})") from None
