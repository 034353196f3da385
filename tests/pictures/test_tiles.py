"""Filters as tiles: colours, channels side by side, and which way up."""

import numpy as np
import pytest

from pipeline.pictures.tiles import Best, draw_filters, tile_of


def test_an_image_filters_channels_are_its_colours_and_its_first_row_is_on_top():
    weights = np.zeros((3, 2, 3), np.float32)
    weights[0, 0, 0] = 2.0  # red, at the top left
    weights[2, 1, 2] = -2.0  # less blue, at the bottom right
    tile = tile_of(weights, kind="image")
    assert tile.shape == (2, 3, 3)
    assert tile[0, 0].tolist() == [255, 128, 128]
    assert tile[1, 2].tolist() == [128, 128, 0]
    assert tile[0, 1].tolist() == [128, 128, 128]


def test_a_stack_filters_channels_lie_side_by_side_with_the_lowest_band_below():
    weights = np.zeros((2, 4, 3), np.float32)
    weights[0, 0, 1] = 1.0  # of the lowest band
    weights[1, 3, 0] = -1.0  # of the highest
    tile = tile_of(weights, kind="stack").astype(int)
    assert tile.shape == (4, 3 + 1 + 3, 3)
    red, blue = tile[3, 1], tile[0, 4]
    assert red[0] > red[2] + 50
    assert blue[2] > blue[0] + 50
    others = np.delete(tile.reshape(-1, 3), [3 * 7 + 1, 4], axis=0)
    assert (others > 240).all()


@pytest.mark.parametrize(
    ("kind", "shape"), [("image", (64, 3, 11, 11)), ("stack", (300, 2, 64, 5)), ("stack", (1, 1, 3, 3))]
)
def test_every_filter_is_on_the_page_and_nothing_is_cut(kind, shape):
    weights = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    best = [Best("a measure", [(number, 0.5) for number in range(min(6, shape[0]))]), Best("none", [])]
    page = np.asarray(draw_filters("a network", weights, best, kind=kind))
    for edge in (page[:6], page[-6:], page[:, :6], page[:, -6:]):
        assert (edge == 255).all()
    tile = tile_of(weights[-1], kind=kind)  # the last is somewhere, as large as its factor makes it
    factor = max(1, round(30 / max(tile.shape[:2])))
    wanted = np.kron(tile, np.ones((factor, factor, 1), np.uint8))
    height, width, _ = wanted.shape
    places = np.argwhere((page[: page.shape[0] - height + 1, : page.shape[1] - width + 1] == wanted[0, 0]).all(axis=2))
    assert any((page[y : y + height, x : x + width] == wanted).all() for y, x in places)
