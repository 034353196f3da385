"""Are two stretches of sound the same recording: how they correlate where they fit best, and how each with itself."""

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy import fft

from pipeline.audio.fingerprint import MAX_HZ, MIN_HZ, QUALITY, RATE

LOW_SLOPE_HZ, HIGH_SLOPE_HZ = 100.0, 400.0  # of the band: steep walls would ring
LEVEL_SECONDS = 0.05
RANGE_DB = 35.0  # what lies further below the loudest 50 ms is not raised to its level
LOWEST_DB = -120.0  # re full scale; the loudest 50 ms below it are silence
LEAST_LAG_SECONDS = 0.025  # of periodicity: within it any sound of this band may resemble itself
LEAST_SHARE = 0.5  # of a stretch, which still overlaps at the largest lag of periodicity

Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """How well a second stretch fits a first.

    Attributes
    ----------
    correlation
        At the best lag, 0..1, whatever the polarity.
    lag_seconds
        How much later than assumed the second stretch comes.
    periodicity
        Greatest correlation, 0..1, of the first stretch with itself, 25 ms or more apart: 1 for steady tones.
    active_seconds
        How much of the first stretch lies within 35 dB of its loudest 50 ms.
    """

    correlation: float
    lag_seconds: float
    periodicity: float
    active_seconds: float


def fit(first: NDArray[np.float32], second: NDArray[np.float32], *, sample_rate: int, most_lag_seconds: float) -> Fit:
    """Compare two stretches of equal length, (n,) each, which should begin together.

    Both are taken at 8 kHz, from 300 to 3000 Hz, each 50 ms at the same level, so that no vowel or bang decides alone.
    Correlation is the magnitude of that of the analytic signals: polarity and other constant shifts of phase, and
    fractions of a sample, take nothing from it.
    """
    a, active = _even(first, sample_rate)
    b, _ = _even(second, sample_rate)
    n_samples = min(len(a), len(b))
    a, b = a[:n_samples], b[:n_samples]
    length = fft.next_fast_len(2 * max(n_samples, 1), real=True)
    spectrum = fft.rfft(a, length)
    most = max(0, min(round(most_lag_seconds * RATE), n_samples - 1))
    lags = np.arange(-most, most + 1)
    crossed = _correlation(np.conj(spectrum) * fft.rfft(b, length), a, b, lags, length)
    best = int(crossed.argmax())
    own_lags = np.arange(round(LEAST_LAG_SECONDS * RATE), int(n_samples * (1 - LEAST_SHARE)))
    own = _correlation(np.conj(spectrum) * spectrum, a, a, own_lags, length)
    return Fit(
        correlation=float(crossed[best]),
        lag_seconds=float(lags[best] / RATE),
        periodicity=float(own.max(initial=0.0)),
        active_seconds=active,
    )


def _correlation(product: NDArray[np.complex128], a: Reals, b: Reals, lags: NDArray[np.int64], length: int) -> Reals:
    """Magnitude of the analytic sum over a[t] b[t + lag] by the energies that overlap, per lag; from both spectra."""
    doubled = np.zeros(length, dtype=np.complex128)
    doubled[: len(product)] = 2 * product
    sums = np.abs(fft.ifft(doubled)[lags])
    of_a, of_b = (np.concatenate([[0.0], np.cumsum(x**2)]) for x in (a, b))
    starts, ends = np.maximum(0, -lags), np.minimum(len(a), len(b) - lags)  # of the overlap, in a
    energy = (of_a[ends] - of_a[starts]) * (of_b[ends + lags] - of_b[starts + lags])
    return np.asarray(np.minimum(1.0, sums / np.sqrt(np.maximum(energy, 1e-12))))


def _even(samples: NDArray[np.float32], sample_rate: int) -> tuple[Reals, float]:
    """The band of the sound at 8 kHz with its level evened out, and how many seconds of it are active."""
    at_rate = samples if sample_rate == RATE else soxr.resample(samples, sample_rate, RATE, quality=QUALITY)
    n_samples, around = len(at_rate), round(LEVEL_SECONDS * RATE) // 2
    if not n_samples:
        return np.zeros(0), 0.0
    spectrum = fft.rfft(at_rate.astype(np.float64))
    hz = np.arange(len(spectrum)) * RATE / n_samples
    spectrum *= np.clip(1 - (MIN_HZ - hz) / LOW_SLOPE_HZ, 0, 1) * np.clip(1 - (hz - MAX_HZ) / HIGH_SLOPE_HZ, 0, 1)
    band = fft.irfft(spectrum, n_samples)
    sums = np.concatenate([[0.0], np.cumsum(band**2)])
    at = np.arange(n_samples)
    highs, lows = np.minimum(at + around, n_samples), np.maximum(at - around, 0)
    level = np.sqrt(np.maximum(sums[highs] - sums[lows], 0.0) / (highs - lows))
    if level.max() < 10 ** (LOWEST_DB / 20):
        return np.zeros(n_samples), 0.0
    floor = level.max() * 10 ** (-RANGE_DB / 20)
    return band / np.maximum(level, floor), float(np.count_nonzero(level > floor) / RATE)
