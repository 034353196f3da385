import numpy as np
import pytest

from pipeline.features.colour import colour_table
from pipeline.features.sox import COLORMAP, N_COLOURS, full_scale_range, sox_spectrogram
from pipeline.features.spectrogram import band_decibels, draw_image, frame_starts


@pytest.mark.parametrize(("rate", "seconds", "height", "width"), [(48000, 4, 224, 299), (16000, 0.5, 129, 64)])
def test_a_row_is_a_frequency_and_a_column_a_frame(rate, seconds, height, width):
    n_samples = round(seconds * rate)
    spec = sox_spectrogram(rate, n_samples=n_samples, height=height, width=width)
    starts = frame_starts(n_samples, spec)
    assert len(starts) == width
    assert starts[0] == 0
    assert starts[-1] + spec.window_length == n_samples
    assert (spec.window, spec.window_length, spec.axis, spec.max_hz) == ("hann", 2 * (height - 1), "linear", rate / 2)
    assert band_decibels(np.zeros(n_samples, np.float32), spec).shape == (height, width)


def test_a_sine_of_full_scale_is_at_the_top_and_one_120_db_below_at_the_bottom():
    rate, n_samples = 48000, 96000
    spec = sox_spectrogram(rate, n_samples=n_samples, height=257, width=100)
    low, high = full_scale_range(spec)
    assert high - low == 120
    tone = np.sin(2 * np.pi * 93.75 * 100 * np.arange(n_samples) / rate)
    # the triangle of a band takes 1/6, 4/6, 1/6 of the window's three bins: 1/4, 1, 1/4 of the peak's power
    loud = band_decibels(tone.astype(np.float32), spec).max()
    assert loud == pytest.approx(high, abs=1.5)
    assert band_decibels((1e-6 * tone).astype(np.float32), spec).max() == pytest.approx(low, abs=1.5)
    assert full_scale_range(spec, range_db=80, top_db=-10) == pytest.approx((high - 90, high - 10))


def test_drawn_without_resizing_from_a_dark_ground():
    spec = sox_spectrogram(8000, n_samples=8000, height=65, width=40)
    tone = (0.9 * np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000)).astype(np.float32)
    low, high = full_scale_range(spec)
    image = draw_image(
        band_decibels(tone, spec), low_db=low, high_db=high, colormap=COLORMAP, n_colours=N_COLOURS, height=65, width=40
    )
    rows = image.astype(int).sum(axis=(1, 2))
    assert abs(int(rows.argmax()) - 48) <= 1  # a quarter of half the rate, from the bottom
    table = {tuple(colour) for colour in colour_table(COLORMAP, N_COLOURS).tolist()}
    assert {tuple(pixel) for pixel in image.reshape(-1, 3).tolist()} <= table


def test_a_block_shorter_than_the_picture_is_high_still_has_frames():
    spec = sox_spectrogram(8000, n_samples=800, height=1024, width=50)
    assert band_decibels(np.ones(800, np.float32), spec).shape == (1024, 50)
