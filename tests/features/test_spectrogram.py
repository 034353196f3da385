"""Decibels in closed form, an independent STFT, and pictures the right way up."""

import dataclasses

import numpy as np
import pytest
from scipy.signal import get_window, stft

from pipeline.features.colour import colour_table
from pipeline.features.scales import AXES, band_edges
from pipeline.features.scratch import Scratch
from pipeline.features.spectrogram import (
    SpectrogramSpec,
    band_decibels,
    draw_image,
    frame_starts,
    make_window,
    power_spectral_density,
)

SPEC = SpectrogramSpec(
    sample_rate=44100,
    window="hamming",
    window_length=400,
    hop_seconds=0.0045,
    fft_length=2048,
    axis="mel",
    n_bands=257,
    min_hz=20.0,
    max_hz=20000.0,
    n_columns=0,
)
DRAW = {"low_db": -130.0, "high_db": -22.0, "colormap": "jet", "n_colours": 64, "height": 227, "width": 201}
BLOCK = 88200


def tone(hz, amplitude=1.0, n=BLOCK):
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(n) / 44100)).astype(np.float32)


def test_frames_start_at_the_rounded_multiples_of_the_hop():
    starts = frame_starts(BLOCK, SPEC)
    assert starts[:4].tolist() == [0, 198, 397, 595]  # 198.45 k
    assert len(starts) == 443
    assert starts[-1] + 400 <= BLOCK < starts[-1] + 400 + 199


def test_white_noise_has_density_twice_its_variance_over_the_rate():
    noise = (0.1 * np.random.default_rng(0).standard_normal(20 * 44100)).astype(np.float32)
    mean = power_spectral_density(noise, SPEC)[:, 1:-1].mean()
    assert 10 * np.log10(mean) == pytest.approx(10 * np.log10(2 * 0.01 / 44100), abs=0.05)


@pytest.mark.parametrize("window", ["hamming", "hann", "blackman", "boxcar"])
def test_a_sine_peaks_in_closed_form(window):
    spec = dataclasses.replace(SPEC, window=window)
    hz, amplitude = 100 * 44100 / 2048, 0.5  # on a bin
    w = get_window(window, 400)
    expected = amplitude**2 * w.sum() ** 2 / (2 * 44100 * (w**2).sum())
    density = power_spectral_density(tone(hz, amplitude), spec)
    assert density.argmax(axis=1).tolist() == [100] * len(density)
    assert density.max() == pytest.approx(expected, rel=5e-3)  # the mirror image at negative frequencies leaks a little


def test_agrees_with_scipy_frame_by_frame():
    noise = np.random.default_rng(1).standard_normal(5000).astype(np.float32)
    spec = dataclasses.replace(SPEC, hop_seconds=200 / 44100)
    _, _, values = stft(
        noise, 44100, window="hamming", nperseg=400, noverlap=200, nfft=2048, boundary=None, padded=False, scaling="psd"
    )
    expected = 2 * np.abs(values.T) ** 2
    expected[:, [0, -1]] /= 2
    np.testing.assert_allclose(power_spectral_density(noise, spec), expected, rtol=2e-3, atol=1e-12)


def test_energy_is_kept():
    # Parseval: the density integrated over frequency is the window-weighted mean square
    frame = np.random.default_rng(2).standard_normal(400).astype(np.float32)
    w = get_window("hamming", 400)
    total = power_spectral_density(frame, SPEC).sum() * 44100 / 2048
    assert total == pytest.approx(((w * frame) ** 2).sum() / (w**2).sum(), rel=1e-4)


@pytest.mark.parametrize("hz", [100.0, 1000.0, 7000.0, 15000.0])
def test_a_tone_lies_in_the_band_around_it(hz):
    decibels = band_decibels(tone(hz), SPEC)
    assert decibels.shape == (257, 443)
    centres = band_edges("mel", n_bands=257, min_hz=20, max_hz=20000)[1:-1]
    band = int(decibels.mean(axis=1).argmax())
    # a window of 400 samples is 110 Hz wide at its half
    assert abs(centres[band] - hz) < 110 + 0.01 * hz


# dB between FFT 2048 and FFT 65536, measured on white noise: the mean over bands and frames of the absolute difference,
# and the greatest difference of a band's power over the block, each rounded up. Single values part by more where a
# spectrum is near zero.
LONG_FFT = {
    "linear": (0.05, 0.005),
    "mel": (0.07, 0.01),
    "slaney": (0.07, 0.01),
    "erb": (0.08, 0.01),
    "bark": (0.085, 0.01),
    "log": (0.085, 0.11),
}


@pytest.mark.parametrize("axis", AXES)
def test_two_thousand_point_bands_are_close_to_a_very_long_fft(axis):
    noise = np.random.default_rng(3).standard_normal(BLOCK).astype(np.float32)
    spec = dataclasses.replace(SPEC, axis=axis)
    ours = band_decibels(noise, spec)
    fine = band_decibels(noise, dataclasses.replace(spec, fft_length=65536))
    single, whole = LONG_FFT[axis]
    assert np.abs(ours - fine).mean() < single
    powers = [(10 ** (decibels.astype(np.float64) / 10)).mean(axis=1) for decibels in (ours, fine)]
    assert np.abs(10 * np.log10(powers[0] / powers[1])).max() < whole


def test_density_takes_offset_and_gain_and_may_reuse_memory():
    noise = np.random.default_rng(8).standard_normal(5000).astype(np.float32)
    scratch = Scratch()
    power_spectral_density(noise, SPEC, scratch=scratch)
    again = power_spectral_density(noise + np.float32(0.5), SPEC, offset=0.5, gain=2.0, scratch=scratch)
    np.testing.assert_allclose(again, 4 * power_spectral_density(noise, SPEC), rtol=1e-3, atol=1e-9)


def test_gain_moves_every_value_by_its_decibels():
    noise = np.random.default_rng(4).standard_normal(BLOCK).astype(np.float32)
    difference = band_decibels(noise * np.float32(0.1), SPEC) - band_decibels(noise, SPEC)
    np.testing.assert_allclose(difference, -20, atol=2e-3)


def test_time_is_resampled_to_the_asked_columns_and_no_band_moves():
    late = tone(1000)
    late[: BLOCK // 2] = 0
    decibels = band_decibels(late, dataclasses.replace(SPEC, n_columns=259))
    assert decibels.shape == (257, 259)
    loud = decibels[decibels.mean(axis=1).argmax()]
    assert loud[:125].max() < -200
    assert loud[135:].min() > -40


def test_low_frequencies_are_at_the_bottom_and_time_goes_right():
    late_low = np.concatenate([np.zeros(BLOCK // 2, np.float32), tone(200, n=BLOCK // 2)])
    image = draw_image(band_decibels(late_low, SPEC), **DRAW).astype(int)
    redness = image[:, :, 0] - image[:, :, 2]
    rows, columns = np.unravel_index(redness.argmax(), redness.shape)
    assert image.shape == (227, 201, 3)
    assert rows > 0.85 * 227
    assert columns > 100
    assert (image[:, :90] == [0, 0, 143]).all()


def test_silence_is_one_colour_and_finite():
    decibels = band_decibels(np.zeros(BLOCK, np.float32), SPEC)
    assert np.isfinite(decibels).all()
    assert (draw_image(decibels, **DRAW) == [0, 0, 143]).all()


@pytest.mark.parametrize("name", ["hamming", "hann", "blackman", "boxcar"])
@pytest.mark.parametrize("length", [16, 399, 400])
def test_windows_are_scipys_periodic_ones(name, length):
    np.testing.assert_allclose(make_window(name, length), get_window(name, length, fftbins=True), atol=1e-12)


@pytest.mark.parametrize("n", [400, 401, 63 * 199, BLOCK, 3 * BLOCK + 11])
@pytest.mark.parametrize(("window_length", "fft_length"), [(400, 512), (64, 64), (100, 8192), (300, 1024)])
def test_powers_are_numpys_at_any_number_of_frames_and_length(n, window_length, fft_length):
    spec = dataclasses.replace(
        SPEC, window="hann", window_length=window_length, fft_length=fft_length, hop_seconds=0.02
    )
    noise = np.random.default_rng(n).standard_normal(n).astype(np.float32)
    window = get_window("hann", window_length)
    frames = np.stack([noise[start : start + window_length] * window for start in frame_starts(n, spec)])
    expected = np.abs(np.fft.rfft(frames, n=fft_length)) ** 2 * 2 / (44100 * (window**2).sum())
    expected[:, [0, -1]] /= 2
    np.testing.assert_allclose(power_spectral_density(noise, spec), expected, atol=1e-6 * expected.max())


def test_offset_and_gain_are_those_of_the_samples():
    noise = np.random.default_rng(6).standard_normal(BLOCK).astype(np.float32)
    scratch = Scratch()
    once = band_decibels(noise, SPEC, offset=0.25, gain=0.5, scratch=scratch).copy()
    np.testing.assert_array_equal(once, band_decibels((noise - np.float32(0.25)) * np.float32(0.5), SPEC))
    np.testing.assert_array_equal(
        once, band_decibels(noise, SPEC, offset=0.25, gain=0.5, scratch=scratch)
    )  # it may be used again


def test_index_is_the_floor_and_ends_are_closed():
    # one colour is 108 / 64 = 1.6875 dB wide; each value fills an image of its own
    drawing = {**DRAW, "height": 3, "width": 2}
    for value, index in ((-200, 0), (-130, 0), (-128.4, 0), (-128.3, 1), (-76, 32), (-22.1, 63), (-22, 63), (0, 63)):
        image = draw_image(np.full((3, 2), value, np.float32), **drawing)
        assert (image == colour_table("jet", 64)[index]).all()
