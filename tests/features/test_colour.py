import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ParamsError
from pipeline.features.colour import (
    COLORMAPS,
    SHELF_OF,
    check_colormap,
    colour_table,
    grey,
    jet,
    packed_table,
    sox_like,
)

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


# matplotlib 3.11: colormaps[name].resampled(n)(range(n)), times 255
MATPLOTLIB = {
    ("viridis", 5): [(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)],
    ("viridis_r", 7): [
        (253, 231, 37),
        (144, 215, 67),
        (53, 183, 121),
        (33, 144, 141),
        (49, 104, 142),
        (68, 57, 131),
        (68, 1, 84),
    ],
    ("tab10", 5): [(31, 119, 180), (44, 160, 44), (140, 86, 75), (127, 127, 127), (23, 190, 207)],
    ("hot", 5): [(10.608, 0, 0), (177.964, 0, 0), (255, 90.313, 0), (255, 255, 3.984), (255, 255, 255)],
    ("RdBu", 5): [(103, 0, 31), (229, 130.5, 103.5), (247, 247, 247), (106.5, 172, 208.5), (5, 48, 97)],
    ("gnuplot2", 5): [(0, 0, 0), (0, 0, 255), (199.219, 40.8, 214.2), (255, 168.3, 86.7), (255, 255, 255)],
    ("twilight", 7): [
        (226, 217, 226),
        (123, 161, 194),
        (94, 67, 165),
        (47, 20, 54),
        (142, 44, 80),
        (198, 137, 108),
        (226, 217, 226),
    ],
}


@pytest.mark.parametrize(("name", "n_colours"), MATPLOTLIB)
def test_matplotlibs_maps_are_sampled_as_it_does(name, n_colours):
    np.testing.assert_allclose(colour_table(name, n_colours), MATPLOTLIB[name, n_colours], atol=0.51)


@pytest.mark.parametrize("n_colours", [2, 64, 256])
def test_every_map_is_matplotlibs_at_any_length(n_colours):
    colormaps = pytest.importorskip(
        "matplotlib", reason="matplotlib is not installed: pip install '.[bench]'"
    ).colormaps
    for name in SHELF_OF:
        for spelt in (name, f"{name}_r"):
            expected = 255 * colormaps[spelt].resampled(n_colours)(np.arange(n_colours))[:, :3]
            np.testing.assert_allclose(colour_table(spelt, n_colours), expected, atol=0.51, err_msg=spelt)


@pytest.mark.parametrize("name", [*COLORMAPS, *SHELF_OF])
def test_every_name_gives_a_table(name):
    table = colour_table(name, 40)
    assert table.shape == (40, 3)
    assert len(np.unique(table, axis=0)) > 4


@pytest.mark.parametrize(("name", "near"), [("virdis", "viridis"), ("Jett", "jet"), ("RDBU", "RdBu"), ("sox_r", "sox")])
def test_an_unknown_name_is_refused_with_those_like_it(name, near):
    with pytest.raises(ParamsError, match=rf"{name}.*did you mean .*\b{near}\b"):
        check_colormap(name)


def test_a_name_like_no_other_is_refused_with_all_names():
    with pytest.raises(ParamsError, match=r"use one of Accent, .*, jet, .*, YlOrRd"):
        colour_table("zzzzqqqq", 64)


def test_own_maps_and_names_need_no_package():
    code = (
        "import sys; from pipeline.features.colour import *; colour_table('jet', 64); colour_table('sox', 249);"
        "check_colormap('magma'); print(sorted({'cmap', 'matplotlib'} & set(sys.modules)))"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "[]"


def test_the_palette_like_soxs_brightens_from_black_to_white():
    colours = sox_like(249)
    assert colours[0].tolist() == [0, 0, 0]
    assert colours[-1].tolist() == [1, 1, 1]
    luminance = colours @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > -1e-3).all()
    assert sox_like(7)[2].tolist() == [0.5, 0, 0.6]
