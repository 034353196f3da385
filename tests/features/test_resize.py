"""Resizing against Pillow and torch, which do it by code of their own."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate

from pipeline.features.colour import colour_table, packed_table
from pipeline.features.resize import paint, resample_time, triangle_taps
from pipeline.features.scratch import Scratch

TABLE = colour_table("jet", 64)
SHAPES = [
    (259, 257, 227, 201),
    (443, 257, 257, 443),
    (40, 30, 227, 13),
    (2000, 90, 64, 31),
    (7, 5, 40, 50),
    (1, 8, 16, 16),
]


def random_colours(n_columns, n_bands):
    """Values (n_columns, n_bands) from 0 to 64, and the picture (n_bands, n_columns, 3) that they stand for."""
    index = np.random.default_rng(n_columns).integers(0, 64, (n_columns, n_bands))
    return (index + 0.5).astype(np.float32), np.ascontiguousarray(TABLE[index.T[::-1]])


@pytest.mark.parametrize(("n_columns", "n_bands", "height", "width"), SHAPES)
def test_images_are_those_of_torch_and_of_pillow(n_columns, n_bands, height, width):
    values, picture = random_colours(n_columns, n_bands)
    image = np.empty((height, width, 3), np.uint8)
    paint(image, values, packed_table("jet", 64), low=0.0, per_db=1.0, scratch=Scratch())
    channels = torch.from_numpy(picture)[None].permute(0, 3, 1, 2)
    by_torch = interpolate(channels, (height, width), mode="bilinear", antialias=True)[0].permute(1, 2, 0).numpy()
    assert np.abs(image - by_torch.astype(int)).max() <= 1
    if torch.backends.cpu.get_cpu_capability().startswith("AVX"):  # elsewhere torch does it in other arithmetic
        np.testing.assert_array_equal(image, by_torch)
    by_pillow = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(image - by_pillow).max() <= 1


@pytest.mark.parametrize(("n_in", "n_out"), [(443, 259), (30, 77), (12, 12), (5, 1), (1, 5)])
def test_time_is_resampled_as_by_torch(n_in, n_out):
    decibels = np.random.default_rng(0).uniform(-140, -10, (n_in, 6)).astype(np.float32)
    rows = torch.from_numpy(decibels.T.copy())[None, None]
    expected = interpolate(rows, (6, n_out), mode="bilinear", antialias=True)[0, 0].numpy().T
    np.testing.assert_allclose(resample_time(np.empty((n_out, 6), np.float32), decibels), expected, atol=5e-3)


def test_a_triangle_by_hand():
    taps = triangle_taps(4, 2)  # two inputs become one: centres 1 and 3, two inputs wide on each side
    assert taps.firsts.tolist() == [0, 1]
    assert taps.counts.tolist() == [3, 3]
    np.testing.assert_allclose(taps.weights, [[3 / 7, 3 / 7, 1 / 7], [1 / 7, 3 / 7, 3 / 7]])
