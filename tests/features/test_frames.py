"""Pieces of the compiled way from frames to decibels, each against numpy in double precision."""

import numpy as np
import pytest

from pipeline.features.frames import bins_of_rows, to_decibels


@pytest.mark.parametrize("fft_length", [64, 128, 2048, 65536])
def test_every_bin_between_the_ends_lies_in_one_row(fft_length):
    assert sorted(bins_of_rows(fft_length).tolist()) == list(range(1, fft_length // 2))


def decibels(values):
    levels = np.empty_like(values)
    to_decibels(levels, values.copy(), np.empty(len(values), np.int32))
    return levels


def test_decibels_are_ten_logarithms():
    values = (10 ** np.random.default_rng(0).uniform(-29.9, 12, 100_000)).astype(np.float32)
    values = np.concatenate([values, np.nextafter(np.float32(0.5**0.5), np.float32([0, 1])), np.float32([1, 0.5, 2])])
    # one unit in the last place of 300 is 3e-5
    np.testing.assert_allclose(decibels(values), 10 * np.log10(values.astype(np.float64)), rtol=0, atol=4e-5)
    assert decibels(np.ones(1, np.float32))[0] == 0


def test_nothing_is_below_the_floor():
    values = np.array([0, 1e-45, 1e-38, 9e-31, 1e-30, 1.1e-30], np.float32)
    np.testing.assert_allclose(decibels(values), [-300] * 5 + [-299.586], atol=1e-3)
