import numpy as np
import pytest

from pipeline.errors import ParamsError
from pipeline.features.pitch import pitch_of_frames
from pipeline.features.spectrogram import SpectrogramSpec, power_spectral_density

SPEC = SpectrogramSpec(
    sample_rate=16000,
    window="hann",
    window_length=640,
    hop_seconds=0.01,
    fft_length=1024,
    axis="mel",
    n_bands=8,
    min_hz=0.0,
    max_hz=8000.0,
    n_columns=0,
)
T = np.arange(8192) / 16000


def pitches_of(samples, spec=SPEC, **options):
    return pitch_of_frames(power_spectral_density(samples.astype(np.float32), spec), spec, **options)


@pytest.mark.parametrize("offset", [0.0, 0.1])
def test_a_sine_has_its_pitch_in_every_frame_with_and_without_an_offset(offset):
    # the windowed offset's correlation is the window's own: divided by it, a constant, which moves no maximum
    pitches = pitches_of(0.1 * np.sin(2 * np.pi * 160 * T) + offset)
    assert len(pitches) == 48
    np.testing.assert_allclose(pitches, 160, rtol=3e-4)


def test_a_glide_is_followed():
    # 120 Hz, rising by 200 Hz a second; the middle of frame k is at 0.01 k + 0.02 s
    wave = np.sin(2 * np.pi * (120 * T + 100 * T**2))
    expected = 120 + 200 * (0.01 * np.arange(48) + 0.02)
    np.testing.assert_allclose(pitches_of(wave), expected, rtol=5e-3)


def test_only_the_range_that_is_asked_is_looked_at():
    # 150 Hz has its second period at 75 Hz: what is below it is not
    sine = np.sin(2 * np.pi * 150 * T)
    np.testing.assert_allclose(pitches_of(sine, max_pitch_hz=140.0), 75, rtol=1e-3)
    np.testing.assert_allclose(pitches_of(sine, min_pitch_hz=100.0), 150, rtol=1e-3)


def test_noise_and_silence_are_unvoiced():
    noise = np.random.default_rng(0).standard_normal(8192)
    assert (pitches_of(noise) == 0).mean() > 0.9
    assert not pitches_of(np.zeros(8192)).any()


def test_frames_thirty_decibels_below_the_strongest_are_unvoiced():
    sine = np.sin(2 * np.pi * 200 * T)
    for level_db, voiced in ((-25, True), (-35, False)):
        wave = np.where(T < 0.256, sine, 10 ** (level_db / 20) * sine)
        assert (pitches_of(wave)[-10:] > 0).all() == voiced


@pytest.mark.parametrize("options", [{"min_pitch_hz": 40.0}, {"min_pitch_hz": 300.0, "max_pitch_hz": 200.0}])
def test_a_range_that_frames_cannot_hold_is_refused(options):
    with pytest.raises(ParamsError, match=r"frames of 0\.04 s hold no two periods"):
        pitches_of(np.ones(8192), **options)
