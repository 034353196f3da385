"""The band and the floor of made sounds whose band and floor are known."""

import numpy as np
import pytest
import soxr

from pipeline.audio import facts
from pipeline.errors import AudioError

RATE = 44_100


def bandwidth_hz(samples: np.ndarray, *, sample_rate: int) -> float:
    return facts.bandwidth_hz([samples], sample_rate=sample_rate)


def floor_db(samples: np.ndarray, *, sample_rate: int) -> float:
    return facts.floor_db([samples], sample_rate=sample_rate)


def white(seconds: float, *, rate: int = RATE, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))).astype(np.float32)


def coloured(
    seconds: float, gain: np.ndarray | None = None, *, slope_db: float = 0.0, stop_hz: float = 1e9
) -> np.ndarray:
    """White noise with a slope (dB per octave over 100 Hz) and a brick wall, made in the frequency domain."""
    spectrum = np.fft.rfft(white(seconds).astype(np.float64))
    hz = np.fft.rfftfreq(round(seconds * RATE), 1 / RATE)
    spectrum *= 10 ** (-slope_db * np.log2(np.maximum(hz, 100) / 100) / 20) * (hz < stop_hz)
    sound = np.fft.irfft(spectrum, round(seconds * RATE))
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def as_16_bit(samples: np.ndarray) -> np.ndarray:
    return (np.round(samples * 32767) / 32767).astype(np.float32)


def test_white_noise_reaches_half_the_rate() -> None:
    assert bandwidth_hz(white(2), sample_rate=RATE) == pytest.approx(RATE / 2, rel=0.005)
    assert bandwidth_hz(white(2, rate=8000), sample_rate=8000) == pytest.approx(4000, rel=0.005)


@pytest.mark.parametrize("slope_db", [3, 6, 9])
def test_a_falling_spectrum_without_a_wall_reaches_half_the_rate(slope_db: float) -> None:
    assert bandwidth_hz(coloured(2, slope_db=slope_db), sample_rate=RATE) > 0.95 * RATE / 2


@pytest.mark.parametrize("store", [as_16_bit, np.asarray])
def test_a_source_at_16_khz_is_seen_through_44_khz(store: object) -> None:
    up = soxr.resample(white(3, rate=16_000), 16_000, RATE, "HQ")
    assert 7500 <= bandwidth_hz(store(up), sample_rate=RATE) <= 8000 + 200  # type: ignore[operator]


@pytest.mark.parametrize("level", [0.3, 0.01])
def test_a_low_pass_at_16_khz_is_seen_over_the_noise_of_16_bits(level: float) -> None:
    sound = as_16_bit(level * coloured(3, slope_db=4, stop_hz=16_000))
    assert bandwidth_hz(sound, sample_rate=RATE) == pytest.approx(16_000, abs=250)


def test_a_telephone_band_ends_at_3400_hz() -> None:
    assert bandwidth_hz(as_16_bit(coloured(3, stop_hz=3400)), sample_rate=RATE) == pytest.approx(
        3400, abs=220
    )  # the window leaks 9 bins far


def test_a_sine_has_no_band_above_itself() -> None:
    sine = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    assert 1000 <= bandwidth_hz(sine.astype(np.float32), sample_rate=RATE) < 1400


@pytest.mark.parametrize("value", [0.0, 0.25, 0.1])
@pytest.mark.parametrize("length", [0, 1, 100, 5000])
def test_silence_and_a_constant_have_no_band(value: float, length: int) -> None:
    assert bandwidth_hz(np.full(length, value, dtype=np.float32), sample_rate=RATE) == 0.0


def test_sound_shorter_than_one_segment_has_a_band() -> None:
    assert bandwidth_hz(white(0.02), sample_rate=RATE) > 0.9 * RATE / 2


def test_floor_of_a_square_wave_is_its_amplitude() -> None:
    square = np.where(np.arange(RATE) % 2, 0.1, -0.1).astype(np.float32)  # RMS 0.1 = -20 dBFS in every frame
    assert floor_db(square, sample_rate=RATE) == pytest.approx(-20.0, abs=1e-4)


def test_floor_is_the_quiet_part_not_the_mean() -> None:
    quiet, loud = np.full(800, 0.001), np.full(7200, 0.5)  # at 8 kHz frames of 400: 2 of 20 at -60 dBFS
    sound = np.concatenate([quiet, loud]).astype(np.float32)
    # The 10th percentile of 20 values lies at index 1.9: a tenth of -60 and nine tenths of 20 log10 0.5 = -6.0206.
    assert floor_db(sound, sample_rate=8000) == pytest.approx(0.1 * -60 + 0.9 * -6.0206, abs=1e-3)
    assert floor_db(np.concatenate([np.full(1200, 0.001), np.full(6800, 0.5)]), sample_rate=8000) == pytest.approx(-60)


def test_floor_drops_an_incomplete_last_frame() -> None:
    assert floor_db(np.concatenate([np.full(400, 0.1), np.zeros(399)]), sample_rate=8000) == pytest.approx(-20.0)


@pytest.mark.parametrize("length", [0, 1, 7, 44_100])
def test_floor_of_silence_is_the_lowest(length: int) -> None:
    assert floor_db(np.zeros(length, dtype=np.float32), sample_rate=RATE) == -120.0


@pytest.mark.parametrize("function", [bandwidth_hz, floor_db])
@pytest.mark.parametrize("bad", [np.zeros((7, 2)), np.array([0.0, np.nan]), np.array([np.inf, 0.0])])
def test_what_is_no_mono_sound_is_refused(function: object, bad: np.ndarray) -> None:
    with pytest.raises(AudioError, match=r"mono|NaN"):
        function(bad, sample_rate=RATE)  # type: ignore[operator]


@pytest.mark.parametrize("n", [1000, 2048, 50_000])
def test_pieces_of_any_length_are_one_sound(n: int) -> None:
    sound = coloured(2, slope_db=4, stop_hz=9000)[:n]
    cuts = np.sort(np.random.default_rng(0).integers(0, n, 7))
    pieces = np.split(sound, cuts)
    for fact in (facts.bandwidth_hz, facts.floor_db):
        assert fact(pieces, sample_rate=RATE) == pytest.approx(fact([sound], sample_rate=RATE), rel=1e-9)
