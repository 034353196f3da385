import numpy as np
import pytest

from pipeline.features.colour import colour_table
from pipeline.features.ranges import own_range
from pipeline.features.spectrogram import draw_image

PICTURE = np.linspace(-90, -20, 71, dtype=np.float32).reshape(1, 71)  # -90, -89, ..., -20


def test_a_picture_runs_from_its_least_value_to_its_greatest():
    assert own_range(PICTURE) == (-90, -20)


def test_percentiles_leave_out_the_ends():
    # places 7 and 63 of 0 to 70
    assert own_range(PICTURE, low_percentile=10, high_percentile=90) == pytest.approx((-83, -27))


def test_digital_silence_does_not_count():
    with_zeros = np.concatenate([PICTURE, np.full((1, 71), -300, np.float32)])
    assert own_range(with_zeros) == (-90, -20)
    assert own_range(with_zeros, low_percentile=10, high_percentile=90) == pytest.approx((-83, -27))


def test_what_lies_far_below_the_greatest_value_does_not_stretch_the_range():
    mixed = np.array([[-250, -60, -20]], np.float32)  # part of a frame was digital silence
    assert own_range(mixed) == (-140, -20)
    assert own_range(mixed, most_db=50) == (-70, -20)


@pytest.mark.parametrize("value", [-300.0, -76.5, 0.0])
def test_constant_pictures_are_all_of_the_first_colour(value):
    constant = np.full((5, 7), value, np.float32)
    low, high = own_range(constant)
    assert high - low == 1
    image = draw_image(constant, low_db=low, high_db=high, colormap="jet", n_colours=64, height=4, width=6)
    assert (image == colour_table("jet", 64)[0]).all()


def test_gain_moves_the_range_and_no_colour():
    quiet = (PICTURE - np.float32(32)).repeat(3, axis=0)
    drawing = {"colormap": "jet", "n_colours": 64, "height": 3, "width": 71}
    images = []
    for decibels in (PICTURE.repeat(3, axis=0), quiet):
        low, high = own_range(decibels)
        images.append(draw_image(decibels, low_db=low, high_db=high, **drawing))
    np.testing.assert_array_equal(images[0], images[1])
