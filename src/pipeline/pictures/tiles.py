"""Filters as tiles on a page: all of a layer, and the best by each measure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.features.colour import colour_table
from pipeline.show.writing import FONT, GREY, LINE, wrapped, write

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

# Pixels.
WIDTH, EDGE, GAP = 860, 14, 6
SMALL_SIDE, LARGE_SIDE = 30, 66  # about which a tile's longer side is
LEAST_STEP = 110  # from tile to tile under a measure: room for the figures below
CHANNEL_GAP = 1  # between channels, in weights
SIGNED, N_SIGNED = "RdBu_r", 255  # of stacks: blue is negative, red positive, white nought
HOW = {
    "image": "Red, green and blue of a tile are the weights of those channels, mid-grey nought; each filter over its "
    "own range. Up is towards higher frequencies, right is later.",
    "stack": "The channels side by side: blue weights are negative, red positive; each filter over its own range. Up "
    "is towards higher bands, right is later.",
}


@dataclass(frozen=True)
class Best:
    """The filters that rise most with a measure: number and correlation."""

    title: str
    filters: Sequence[tuple[int, float]]


def tile_of(weights: Floats, *, kind: str) -> Pixels:
    """One filter (n_channels, height, width) as a picture, high frequencies at the top.

    Of images the three channels are the colours; of stacks, whose first row is the lowest band, they lie side by side.
    """
    largest = max(float(np.abs(weights).max()), 1e-12)
    scaled = weights / largest  # -1 to 1
    if kind == "image":
        return np.round((scaled.transpose(1, 2, 0) + 1) / 2 * 255).astype(np.uint8)
    table = colour_table(SIGNED, N_SIGNED)
    coloured = table[np.round((scaled[:, ::-1] + 1) / 2 * (N_SIGNED - 1)).astype(int)]
    gap = np.full((weights.shape[1], CHANNEL_GAP, 3), 255, np.uint8)
    parts = [part for channel in coloured for part in (channel, gap)]
    return np.concatenate(parts[:-1], axis=1)


def draw_filters(about: str, weights: Floats, best: Sequence[Best], *, kind: str) -> Image.Image:
    """All filters (n_filters, n_channels, height, width), and the best by each measure, on one page."""
    tiles = [tile_of(own, kind=kind) for own in weights]
    small = _factor(tiles[0], SMALL_SIDE)
    large = max(_factor(tiles[0], LARGE_SIDE), 2 * small)
    lines = wrapped(about, WIDTH - 2 * EDGE)
    notes = [
        *wrapped(HOW[kind], WIDTH - 2 * EDGE),
        "Below each best filter: its number, from 0, and Spearman's correlation of its mean activation with the "
        "measure.",
    ]
    per_row = max(1, (WIDTH - 2 * EDGE + GAP) // (tiles[0].shape[1] * small + GAP))
    n_rows = -(-len(tiles) // per_row)
    height_all = n_rows * (tiles[0].shape[0] * small + GAP)
    heights_best = [2 * LINE + (tiles[0].shape[0] * large + LINE if own.filters else 0) for own in best]
    top = EDGE + (len(lines) + len(notes)) * LINE + GAP
    page = Image.new("RGB", (WIDTH, top + height_all + GAP + sum(heights_best) + EDGE), "white")
    draw = ImageDraw.Draw(page)
    for number, line in enumerate(lines):
        write(draw, EDGE, EDGE + number * LINE, line, size=FONT)
    for number, line in enumerate(notes):
        write(draw, EDGE, EDGE + (len(lines) + number) * LINE + 4, line, colour=GREY)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, per_row)
        at = EDGE + column * (tile.shape[1] * small + GAP), top + row * (tile.shape[0] * small + GAP)
        page.paste(_enlarged(tile, small), at)
    top += height_all + GAP
    for own, height in zip(best, heights_best, strict=True):
        _draw_best(page, draw, own, tiles, top, factor=large)
        top += height
    return page


def _draw_best(
    page: Image.Image, draw: ImageDraw.ImageDraw, best: Best, tiles: Sequence[Pixels], top: int, *, factor: int
) -> None:
    write(draw, EDGE, top + 4, best.title)
    step = max(LEAST_STEP, tiles[0].shape[1] * factor + 2 * GAP)
    for number, (index, correlation) in enumerate(best.filters):
        tile, left = tiles[index], EDGE + number * step
        if left + step > WIDTH:
            break
        page.paste(_enlarged(tile, factor), (left, top + LINE + GAP))
        below = top + LINE + GAP + tile.shape[0] * factor + 2
        write(draw, left, below, f"no. {index}  {correlation:+.2f}")


def _enlarged(tile: Pixels, factor: int) -> Image.Image:
    height, width, _ = tile.shape
    return Image.fromarray(np.ascontiguousarray(tile)).resize(
        (width * factor, height * factor), Image.Resampling.NEAREST
    )


def _factor(tile: Pixels, side: int) -> int:
    height, width = int(tile.shape[0]), int(tile.shape[1])
    return max(1, round(side / max(height, width)))
