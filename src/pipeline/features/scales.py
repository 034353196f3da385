"""Frequency axes, and the weights that integrate a power spectrum over an axis's bands."""

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import CorpusError

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


# Traunmueller (1990), J. Acoust. Soc. Am. 88, 97-100: within 0.05 Bark of Zwicker's critical bands, from 200 Hz to
# 6.7 kHz, and with a straight line added at each end from 100 Hz to 15.5 kHz. It is inverted in closed form; the
# arctangents of Zwicker and Terhardt (1980) are not, and stray by 0.2 Bark.
BARK_LOW, BARK_LOW_SHARE = 2.0, 0.15
BARK_HIGH, BARK_HIGH_SHARE = 20.1, 0.22


def _bark(hz: Floats) -> Floats:
    bark = 26.81 * hz / (1960 + hz) - 0.53
    low, high = np.maximum(BARK_LOW - bark, 0), np.maximum(bark - BARK_HIGH, 0)
    return bark + BARK_LOW_SHARE * low + BARK_HIGH_SHARE * high


def _bark_to_hz(bark: Floats) -> Floats:
    low, high = np.maximum(BARK_LOW - bark, 0), np.maximum(bark - BARK_HIGH, 0)
    low, high = low / (1 - BARK_LOW_SHARE), high / (1 + BARK_HIGH_SHARE)
    middle = np.clip(bark, BARK_LOW, BARK_HIGH) - low + high
    return 1960 * (middle + 0.53) / (26.28 - middle)


def _erb(hz: Floats) -> Floats:
    return 21.4 * np.log10(1 + 0.00437 * hz)


def _erb_to_hz(erb: Floats) -> Floats:
    return (10 ** (erb / 21.4) - 1) / 0.00437


# Each axis: Hz to its own unit, and back.
AXES: dict[str, tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]] = {
    "linear": (lambda hz: hz, lambda hz: hz),
    "log": (np.log2, np.exp2),
    "mel": (_mel, _mel_to_hz),  # O'Shaughnessy (1987), Speech Communication, p. 150; the formula of HTK
    "slaney": (_slaney, _slaney_to_hz),  # Slaney (1998), Auditory Toolbox: linear up to 1 kHz, then logarithmic
    "bark": (_bark, _bark_to_hz),
    "erb": (_erb, _erb_to_hz),  # Glasberg and Moore (1990), Hearing Research 47, 103-138: the ERB-rate
}


def band_edges(axis: str, *, n_bands: int, min_hz: float, max_hz: float) -> Floats:
    """Edges and centres of the bands, Hz (n_bands + 2,): band i rises from i, peaks at i + 1 and ends at i + 2."""
    to_axis, to_hz = AXES[axis]
    low, high = to_axis(np.array([min_hz, max_hz]))
    edges = to_hz(np.linspace(low, high, n_bands + 2))
    edges[[0, -1]] = min_hz, max_hz
    return edges


class Bands(NamedTuple):
    """Weights of the bins of each band; a band's bins follow each other, and its weights those of the band before."""

    first_bins: NDArray[np.int64]  # (n_bands,)
    ends: NDArray[np.int64]  # (n_bands,): where a band's weights end
    weights: NDArray[np.float32]  # (ends[-1],)


@functools.lru_cache(maxsize=16)
def band_weights(axis: str, *, n_bands: int, min_hz: float, max_hz: float, sample_rate: int, fft_length: int) -> Bands:
    """Weights that turn a power spectral density at the bins of an FFT into means over bands.

    Each band is a triangle of area one, integrated against the density interpolated linearly between bins. So every
    band is a weighted mean, its weights sum to one, and none is empty, however narrow it is beside a bin.
    """
    edges = band_edges(axis, n_bands=n_bands, min_hz=min_hz, max_hz=max_hz)
    spacing = sample_rate / fft_length
    bins: Floats = np.arange(fft_length // 2 + 1, dtype=np.float64) * spacing
    first_bins, weights = [], []
    for left, centre, right in zip(edges, edges[1:], edges[2:], strict=False):
        first, own = _integrate(left, centre, right, bins=bins, spacing=spacing)
        first_bins.append(first)
        weights.append(own)
    ends = np.cumsum([len(own) for own in weights])
    return Bands(np.array(first_bins), ends, np.concatenate(weights).astype(np.float32))


def _integrate(left: float, centre: float, right: float, *, bins: Floats, spacing: float) -> tuple[int, Floats]:
    """First bin and weights of one band.

    The product of two straight lines is a parabola, which Simpson's rule integrates exactly between break points.
    """
    between = bins[(bins > left) & (bins < right)]
    breaks = np.unique(np.concatenate([[left, centre, right], between]))
    low, high = breaks[:-1], breaks[1:]
    lower_bin = np.minimum((0.5 * (low + high) / spacing).astype(np.int64), len(bins) - 2)
    first = int(lower_bin[0])
    weights = np.zeros(int(lower_bin[-1]) - first + 2)
    for hz, simpson in ((low, 1 / 6), (0.5 * (low + high), 4 / 6), (high, 1 / 6)):
        height = np.interp(hz, [left, centre, right], [0.0, 2 / (right - left), 0.0]) * simpson * (high - low)
        upper = hz / spacing - lower_bin
        np.add.at(weights, lower_bin - first, height * (1 - upper))
        np.add.at(weights, lower_bin - first + 1, height * upper)
    return first, weights


def refuse_unequal_bands(source_rates: Mapping[str, int], *, max_hz: float, limit: str = "spectrogram.max_hz") -> None:
    """Refuse an axis that reaches above the band of some sources where sources differ in rate.

    `limit` is the parameter that the axis ends by: one in Hz, or audio.sample_rate.

    The empty strip above a source's band would tell sources, and with them often classes, apart.

    Raises
    ------
    CorpusError
        Naming the source of the lowest rate and the highest safe value of `limit`.
    """
    lowest = min(source_rates, key=lambda name: (source_rates[name], name))
    rate = source_rates[lowest]
    if max_hz > rate / 2 and len(set(source_rates.values())) > 1:
        highest = rate if limit == "audio.sample_rate" else rate / 2
        raise CorpusError(
            f"{lowest}: recorded at {rate} Hz, others at up to {max(source_rates.values())} Hz: its picture would be "
            f"empty above {rate / 2:g} Hz and give the source away: set {limit} to {highest:g} or lower"
        )
