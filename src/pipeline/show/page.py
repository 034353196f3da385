"""Pictures with their axes on one page, drawn with Pillow."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.report.axes import Tick
from pipeline.report.spectrograms import Picture
from pipeline.show.panels import Column

# Pixels.
FONT, SMALL = 15, 13
LINE = 20  # of text
LEFT, RIGHT, BELOW = 72, 100, 46  # room for the axes' figures and names, and for the colour bar
BAR, BAR_GAP, MARK = 14, 16, 5
EDGE, GAP = 14, 26  # round the page, between columns
LEAST_GAP = 15  # between two figures along an axis
BLACK, GREY = (0, 0, 0), (90, 90, 90)


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
    headings = [_wrapped(f"{column.name}\n{column.caption}", _width(column) - LEFT) for column in columns]
    top = EDGE + 2 * LINE + LINE * max(len(lines) for lines in headings)
    titles = _wrapped(title, sum(_width(column) for column in columns))
    top += LINE * (len(titles) - 1)
    width = 2 * EDGE + sum(_width(column) for column in columns) + GAP * (len(columns) - 1)
    height = top + max(_height(column) for column in columns) + EDGE
    page = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(page)
    for number, line in enumerate(titles):
        _write(draw, EDGE, EDGE + number * LINE, line, size=FONT)
    left, boxes = EDGE, []
    for column, lines in zip(columns, headings, strict=True):
        for number, line in enumerate(lines):
            _write(draw, left + LEFT, EDGE + (len(titles) + number) * LINE + 6, line, colour=GREY)
        boxes.append(_draw_column(page, draw, column, left, top))
        left += _width(column) + GAP
    return page, boxes


def _draw_column(page: Image.Image, draw: ImageDraw.ImageDraw, column: Column, left: int, top: int) -> list[Box]:
    boxes = []
    for panel in column.panels:
        if not isinstance(panel, Picture):
            _write(draw, left + LEFT, top, panel[0])
            _write(draw, left + LEFT + 260, top, panel[1])
            top += LINE
            continue
        if panel.channel:
            for line in _wrapped(panel.channel, _size(panel, column.side)[0]):
                _write(draw, left + LEFT, top, line)
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
    draw.rectangle((left - 1, top - 1, box.right, box.bottom), outline=BLACK)
    if picture.bar is None:
        return box
    for tick in _spaced(picture.hz, height):
        _mark_left(draw, left - 1, _up(tick, box), tick.text)
    for tick in picture.seconds:
        at = left + round(_inside(tick) * (width - 1))
        draw.line((at, box.bottom, at, box.bottom + MARK), fill=BLACK)
        _write(draw, at, box.bottom + MARK + 2, tick.text, anchor="ma")
    _write(draw, (left + box.right) / 2, box.bottom + MARK + 20, picture.across, anchor="ma")
    _write_up(page, left - LEFT, (top + box.bottom) // 2, picture.up)
    _draw_bar(page, draw, picture, picture.bar, box)
    return box


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
        _write(draw, left + BAR + MARK + 3, at, tick.text, anchor="lm")
    _write_up(page, box.right + RIGHT - 20, (box.top + box.bottom) // 2, picture.level)


def _mark_left(draw: ImageDraw.ImageDraw, x: float, y: float, text: str) -> None:
    draw.line((x - MARK, y, x, y), fill=BLACK)
    _write(draw, x - MARK - 3, y, text, anchor="rm")


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
    pictures = [panel for panel in column.panels if isinstance(panel, Picture)]
    return (
        LEFT
        + max([_size(picture, column.side)[0] for picture in pictures], default=column.side)
        + (RIGHT if pictures else 0)
    )


def _height(column: Column) -> int:
    height = 0
    for panel in column.panels:
        if isinstance(panel, Picture):
            lines = len(_wrapped(panel.channel, _size(panel, column.side)[0])) if panel.channel else 0
            height += lines * LINE + _size(panel, column.side)[1] + BELOW
        else:
            height += LINE
    return height


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _plain(text: str) -> str:
    """Text in the signs that the font has."""
    return text.replace("\N{MINUS SIGN}", "-").encode("ascii", "backslashreplace").decode("ascii")


def _write(
    draw: ImageDraw.ImageDraw,
    x: float,
    y: float,
    text: str,
    *,
    size: int = SMALL,
    anchor: str = "la",
    colour: tuple[int, int, int] = BLACK,
) -> None:
    draw.text((x, y), _plain(text), font=_font(size), fill=colour, anchor=anchor)


def _write_up(page: Image.Image, x: int, middle: int, text: str) -> None:
    """Write from the bottom upwards, centred at a height."""
    length = round(_font(SMALL).getlength(_plain(text))) + 2
    strip = Image.new("RGB", (length, LINE), "white")
    _write(ImageDraw.Draw(strip), 1, 1, text)
    page.paste(strip.rotate(90, expand=True), (x, middle - length // 2))


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of a text that fit into a width; what has no space to break at is broken within."""
    font, lines = _font(FONT), []

    def fits(line: str) -> bool:
        return font.getlength(_plain(line)) <= width

    for part in text.split("\n"):
        line = ""
        for word in part.split(" "):
            longer = f"{line} {word}" if line else word
            if line and not fits(longer):
                lines.append(line)
                longer = word
            while len(longer) > 1 and not fits(longer):
                n = next(n for n in range(len(longer) - 1, 0, -1) if n == 1 or fits(longer[:n]))
                lines.append(longer[:n])
                longer = longer[n:]
            line = longer
        lines.append(line)
    return lines
