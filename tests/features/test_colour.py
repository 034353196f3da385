import numpy as np
import pytest

from pipeline.features.colour import colour_table, grey, jet, packed_table

# MATLAB's documentation and its own output: jet(8) whole, and jet(64) where its channels turn.
JET_8 = [(0, 0, 1), (0, 0.5, 1), (0, 1, 1), (0.5, 1, 0.5), (1, 1, 0), (1, 0.5, 0), (1, 0, 0), (0.5, 0, 0)]
JET_64 = {
    0: (0, 0, 0.5625),
    7: (0, 0, 1),
    8: (0, 0.0625, 1),
    23: (0, 1, 1),
    24: (0.0625, 1, 0.9375),
    31: (0.5, 1, 0.5),
    39: (1, 1, 0),
    40: (1, 0.9375, 0),
    55: (1, 0, 0),
    56: (0.9375, 0, 0),
    63: (0.5, 0, 0),
}


def test_jet_of_eight_colours_is_matlabs():
    np.testing.assert_array_equal(jet(8), JET_8)


def test_jet_of_64_colours_is_matlabs():
    for index, colour in JET_64.items():
        assert tuple(jet(64)[index]) == colour


@pytest.mark.parametrize("n_colours", [2, 3, 5, 9, 64, 255, 256])
def test_jet_follows_matlabs_rule_at_any_length(n_colours):
    # the rule as MATLAB states it, index by index from 1
    n = -(-n_colours // 4)
    u = [i / n for i in range(1, n + 1)] + [1.0] * (n - 1) + [i / n for i in range(n, 0, -1)]
    expected = np.zeros((n_colours + 1, 3))
    for i, value in enumerate(u, start=1):
        green = -(-n // 2) - (n_colours % 4 == 1) + i
        for channel, place in ((0, green + n), (1, green), (2, green - n)):
            if 1 <= place <= n_colours:
                expected[place, channel] = value
    np.testing.assert_allclose(jet(n_colours), expected[1:])


def test_grey_goes_from_black_to_white():
    assert grey(3).tolist() == [[0, 0, 0], [0.5, 0.5, 0.5], [1, 1, 1]]


def test_tables_are_rounded_to_nearest():
    assert colour_table("jet", 64)[8].tolist() == [0, 16, 255]  # 0.0625 * 255 = 15.94


def test_packed_colours_hold_red_lowest():
    assert packed_table("jet", 64)[8] == 0 + (16 << 8) + (255 << 16)
