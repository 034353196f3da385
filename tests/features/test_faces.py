"""Frames as pictures: what is seen of them, and that shrinking takes means."""

import numpy as np
import pytest

from pipeline.features.faces import Faces


def draw(pixels, *, crop="none", height=2, width=2, aspect=1.0):
    faces = Faces(height=height, width=width, crop=crop, sample_rate=8000)
    picture = faces.draw(np.asarray(pixels, np.uint8), aspect=aspect)
    assert picture.shape == faces.shape == (height, width, 3)
    assert picture.dtype == np.uint8
    return picture


def stripes(*greys, height=4):
    """Columns of grey, each 10 pixels wide."""
    return np.repeat(np.repeat(np.array(greys, np.uint8), 10)[None, :, None], height, axis=0).repeat(3, axis=2)


def test_a_frame_of_the_very_size_is_kept():
    frame = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(draw(frame, height=5, width=7), frame)


def test_shrinking_takes_means():
    checks = np.indices((64, 64)).sum(axis=0) % 2 * 200  # 0 and 200, pixel by pixel
    picture = draw(np.repeat(checks[..., None], 3, axis=2), height=8, width=16)
    np.testing.assert_allclose(picture, 100, atol=1)


def test_none_shows_all_and_square_the_middle():
    frame = stripes(10, 50, 100, 150, 200, 250, height=20)  # 20 x 60: the square is the two stripes in its middle
    assert draw(frame, height=2, width=60)[0, 5, 0] == 10
    seen = draw(frame, crop="square", height=20, width=20)
    np.testing.assert_array_equal(seen[:, :10], 100)
    np.testing.assert_array_equal(seen[:, 10:], 150)
    upright = frame.transpose(1, 0, 2)
    np.testing.assert_array_equal(draw(upright, crop="square", height=20, width=20), seen.transpose(1, 0, 2))


@pytest.mark.parametrize(("aspect", "columns"), [(1.0, 20), (0.5, 40), (2.0, 10), (0.25, 60)])
def test_a_square_is_one_on_the_screen(aspect, columns):
    # 20 rows of 60 columns, each 4 brighter than the one before: a square has 20 rows and as many columns as make it
    frame = np.broadcast_to(4 * np.arange(60)[None, :, None], (20, 60, 3))
    picture = draw(frame, crop="square", height=20, width=20, aspect=aspect)
    for x in (4, 10, 15):
        seen = (60 - columns) / 2 + (x + 0.5) * columns / 20 - 0.5
        np.testing.assert_allclose(picture[:, x], 4 * seen, atol=1.01)


def test_all_that_defines_it_is_stated():
    faces = Faces(height=2, width=3, crop="square", sample_rate=8000)
    assert faces.attributes() == {"kind": "faces", "sample_rate": 8000, "height": 2, "width": 3, "crop": "square"}
