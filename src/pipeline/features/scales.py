"""Frequency axes, and the matrix that integrates a power spectrum over an axis's bands."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

Floats = NDArray[np.float64]


def _mel(hz: Floats) -> Floats:
    return 2595 * np.log10(1 + hz / 700)


def _mel_to_hz(mel: Floats) -> Floats:
    return 700 * (10 ** (mel / 2595) - 1)


SLANEY_KNEE_HZ, SLANEY_LINEAR_HZ, SLANEY_STEP = 1000.0, 200 / 3, np.log(6.4) / 27


def _slaney(hz: Floats) -> Floats:
    above = SLANEY_KNEE_HZ / SLANEY_LINEAR_HZ + np.log(np.maximum(hz, SLANEY_KNEE_HZ) / SLANEY_KNEE_HZ) / SLANEY_STEP
    return np.where(hz < SLANEY_KNEE_HZ, hz / SLANEY_LINEAR_HZ, above)


def _slaney_to_hz(mel: Floats) -> Floats:
    knee = SLANEY_KNEE_HZ / SLANEY_LINEAR_HZ
    above = SLANEY_KNEE_HZ * np.exp(SLANEY_STEP * (np.maximum(mel, knee) - knee))
    return np.where(mel < knee, mel * SLANEY_LINEAR_HZ, above)


# Each axis: Hz to its own unit, and back.
AXES: dict[str, tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]] = {
    "linear": (lambda hz: hz, lambda hz: hz),
    "log": (np.log2, np.exp2),
    "mel": (_mel, _mel_to_hz),  # O'Shaughnessy (1987), Speech Communication, p. 150; the formula of HTK
    "slaney": (_slaney, _slaney_to_hz),  # Slaney (1998), Auditory Toolbox: linear up to 1 kHz, then logarithmic
}


def band_edges(axis: str, *, n_bands: int, min_hz: float, max_hz: float) -> Floats:
    """Edges and centres of the bands, Hz (n_bands + 2,): band i rises from i, peaks at i + 1 and ends at i + 2."""
    to_axis, to_hz = AXES[axis]
    low, high = to_axis(np.array([min_hz, max_hz]))
    edges = to_hz(np.linspace(low, high, n_bands + 2))
    edges[[0, -1]] = min_hz, max_hz
    return edges


@functools.lru_cache(maxsize=16)
def band_matrix(axis: str, *, n_bands: int, min_hz: float, max_hz: float, sample_rate: int, fft_length: int) -> Any:
    """Sparse weights (n_bands, fft_length // 2 + 1) that turn a power spectral density at FFT bins into band means.

    Each band is a triangle of area one, integrated against the density interpolated linearly between bins. So every
    band is a weighted mean, its weights sum to one, and none is empty, however narrow it is beside a bin.
    The product of two straight lines is a parabola, which Simpson's rule integrates exactly between break points.
    """
    edges = band_edges(axis, n_bands=n_bands, min_hz=min_hz, max_hz=max_hz)
    spacing = sample_rate / fft_length
    bins = np.arange(fft_length // 2 + 1) * spacing
    rows, columns, weights = [], [], []
    for band in range(n_bands):
        left, centre, right = edges[band : band + 3]
        between = bins[(bins > left) & (bins < right)]
        breaks = np.unique(np.concatenate([[left, centre, right], between]))
        low, high = breaks[:-1], breaks[1:]
        lower_bin = np.minimum((0.5 * (low + high) / spacing).astype(np.int64), len(bins) - 2)
        share_upper, share_lower = np.zeros_like(low), np.zeros_like(low)
        for hz, simpson in ((low, 1 / 6), (0.5 * (low + high), 4 / 6), (high, 1 / 6)):
            height = np.interp(hz, [left, centre, right], [0.0, 2 / (right - left), 0.0]) * simpson * (high - low)
            upper = hz / spacing - lower_bin
            share_upper += height * upper
            share_lower += height * (1 - upper)
        rows += [np.full(2 * len(low), band)]
        columns += [lower_bin, lower_bin + 1]
        weights += [share_lower, share_upper]
    places = (np.concatenate(rows), np.concatenate(columns))
    return coo_array((np.concatenate(weights), places), shape=(n_bands, len(bins))).tocsr().astype(np.float32)
