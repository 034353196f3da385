"""Ticks stand where the frequency or the time truly is on the picture, by closed forms and by rendered sounds."""

import math

import numpy as np
import pytest

from pipeline.features.spectrogram import SpectrogramSpec, band_decibels, draw_image
from pipeline.report.axes import height_of, hz_ticks, linear_ticks, round_values, second_ticks, text_of

RATE = 16000


def spec(axis="mel", **changed):
    values = {
        "sample_rate": RATE,
        "window": "hann",
        "window_length": 512,
        "hop_seconds": 0.01,
        "fft_length": 1024,
        "axis": axis,
        "n_bands": 64,
        "min_hz": 50.0,
        "max_hz": 8000.0,
        "n_columns": 0,
        **changed,
    }
    return SpectrogramSpec(**values)


# Each axis in closed form, in units of its own.
CLOSED_FORMS = {
    "mel": lambda hz: 2595 * math.log10(1 + hz / 700),
    "slaney": lambda hz: hz * 3 / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4),
    "log": math.log,
    "linear": lambda hz: hz,
}


@pytest.mark.parametrize("axis", CLOSED_FORMS)
@pytest.mark.parametrize("n_bands", [8, 257])
@pytest.mark.parametrize("hz", [50.0, 100.0, 440.0, 1000.0, 5000.0, 8000.0])
def test_height_follows_the_closed_form_of_the_axis(axis, n_bands, hz):
    of = CLOSED_FORMS[axis]
    share = (of(hz) - of(50)) / (of(8000) - of(50))  # of the way from min_hz to max_hz
    # n_bands + 1 steps from edge to edge, of which the picture leaves out half of the first and half of the last
    assert height_of(hz, spec(axis, n_bands=n_bands)) == pytest.approx(
        (share * (n_bands + 1) - 0.5) / n_bands, abs=1e-9
    )


def test_the_middle_of_the_only_known_mel_picture():
    # 1000 mel is 1000 Hz within a fifth of a mel; 0 to 2000 mel is 0 to 3429 Hz
    one = spec(min_hz=0.0, max_hz=700 * (10 ** (2000 / 2595) - 1), n_bands=99)
    assert height_of(1000, one) == pytest.approx(0.5, abs=2e-4)


@pytest.mark.parametrize("axis", CLOSED_FORMS)
@pytest.mark.parametrize("hz", [200.0, 1000.0, 5000.0])
@pytest.mark.parametrize("height", [64, 150])
def test_a_tone_is_bright_at_its_own_tick(axis, hz, height):
    one = spec(axis)
    tone = (0.5 * np.sin(2 * np.pi * hz * np.arange(RATE) / RATE)).astype(np.float32)
    colours = {"low_db": -130.0, "high_db": -10.0, "colormap": "grey", "n_colours": 256}
    picture = draw_image(band_decibels(tone, one), **colours, height=height, width=80)
    row = int(picture[:, 10:-10, 0].mean(axis=1).argmax())
    from_bottom = 1 - (row + 0.5) / height
    # within a band or a row of pixels, whichever is coarser; the tone's main lobe is broader low on a log axis
    assert from_bottom == pytest.approx(height_of(hz, one), abs=1.5 / 64)


@pytest.mark.parametrize("n_columns", [0, 37])
def test_a_burst_is_bright_at_its_own_time(n_columns):
    one = spec(n_columns=n_columns)
    sound = np.random.default_rng(0).normal(0, 0.001, RATE).astype(np.float32)
    sound[3600:4400] *= 300  # 0.05 s around 0.25 s
    colours = {"low_db": -130.0, "high_db": -40.0, "colormap": "grey", "n_colours": 256}
    picture = draw_image(band_decibels(sound, one), **colours, height=30, width=200)
    bright = picture[..., 0].mean(axis=0).astype(float)
    bright = np.maximum(bright - (bright.max() + np.median(bright)) / 2, 0)
    centre = (np.arange(200) + 0.5) @ bright / bright.sum() / 200
    a, b = (tick for tick in second_ticks(RATE, one) if tick.text in ("0.2", "0.4"))
    assert centre == pytest.approx(a.at + (b.at - a.at) * 0.25, abs=0.006)


def test_second_ticks_follow_the_frames():
    # frames of 512 samples (0.032 s) every 0.01 s in 1 s: starts 0 to 0.96, so 97 columns, the first about 0.016 s
    ticks = {tick.text: tick.at for tick in second_ticks(RATE, spec())}
    assert list(ticks) == ["0.2", "0.4", "0.6", "0.8"]
    assert ticks["0.4"] == pytest.approx((0.4 - 0.016 + 0.005) / 0.97)


def test_a_block_of_one_frame_has_an_axis():
    assert len(second_ticks(512, spec())) >= 1


@pytest.mark.parametrize("axis", CLOSED_FORMS)
@pytest.mark.parametrize(("low", "high"), [(20.0, 20000.0), (0.0, 8000.0), (300.0, 3400.0), (4000.0, 4600.0)])
def test_hz_ticks_are_round_and_do_not_crowd(axis, low, high):
    if axis == "log" and low == 0:
        low = 10.0
    one = spec(axis, sample_rate=44100, min_hz=low, max_hz=high)
    ticks = hz_ticks(one)
    assert 2 <= len(ticks) <= 13
    heights = [tick.at for tick in ticks]
    assert heights == sorted(heights, reverse=True)
    assert min(np.diff(heights[::-1])) >= 0.075
    for tick in ticks:
        assert tick.at == pytest.approx(height_of(float(tick.text), one))
        assert -0.01 <= tick.at <= 1.01
        assert float(tick.text.lstrip("0.").rstrip("0") or 0) < 100, "not round"


def test_hz_ticks_of_the_paper():
    paper = spec(sample_rate=44100, n_bands=257, min_hz=20.0, max_hz=20000.0)
    assert [tick.text for tick in hz_ticks(paper)] == ["20000", "10000", "5000", "2000", "1000", "500", "200"]


@pytest.mark.parametrize(
    ("low", "high", "at_most", "values"),
    [
        (0, 1, 3, [0, 0.5, 1]),
        (-130, -22, 7, [-120, -100, -80, -60, -40]),
        (0, 160, 4, [0, 50, 100, 150]),
        (0, 7, 4, [0, 2, 4, 6]),
        (0.3, 0.9, 10, [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]),
        (0, 0, 4, [0]),
    ],
)
def test_round_values(low, high, at_most, values):
    assert round_values(low, high, at_most=at_most) == pytest.approx(values)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1 + 0.2, "0.3"), (20000.0, "20000"), (-120, "\N{MINUS SIGN}120"), (1e-4, "0.0001"), (0.0, "0"), (-0.0, "0")],
)
def test_text_of_a_tick(value, text):
    assert text_of(value) == text


def test_linear_ticks_lie_in_proportion():
    assert [(tick.at, tick.text) for tick in linear_ticks(0, 8, at_most=3)] == [(0, "0"), (0.625, "5")]
