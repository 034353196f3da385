"""Spectrograms in the manner of SoX's effect `spectrogram`, from its manual, sox(1).

A raw picture (`-r`) of one channel, `-x` wide and `-y` high: a Hann window, as many frequencies as rows, evenly from
0 Hz to half the rate, one column a step of time, and colours over 120 dB below full scale. A sine of full scale is
0 dB. What the manual leaves open is chosen here: windows lie whole inside the block and are as long as the transform
of so many frequencies, at most half the block; colours are those of `colour.sox_like`.
"""

import numpy as np

from pipeline.features.spectrogram import SpectrogramSpec, make_window

COLORMAP, N_COLOURS, RANGE_DB = "sox", 249, 120.0


def sox_spectrogram(sample_rate: int, *, n_samples: int, height: int, width: int) -> SpectrogramSpec:
    """Parameters of a matrix that has a band a row and a frame a column, so that its picture needs no resizing.

    Parameters
    ----------
    sample_rate
        Hz.
    n_samples
        Length of a block.
    height, width
        Of the picture, pixels.
    """
    window_length = min(2 * (height - 1), n_samples // 2)
    fft_length = max(64, 1 << (window_length - 1).bit_length())
    hop = (n_samples - window_length) / max(width - 1, 1)
    return SpectrogramSpec(
        sample_rate=sample_rate,
        window="hann",
        window_length=window_length,
        hop_seconds=hop / sample_rate,
        fft_length=fft_length,
        axis="linear",
        n_bands=height,
        min_hz=0.0,
        max_hz=sample_rate / 2,
        n_columns=width,
    )


def full_scale_range(spec: SpectrogramSpec, *, range_db: float = RANGE_DB, top_db: float = 0.0) -> tuple[float, float]:
    """Low and high end of the colours, dB re 1/Hz, for a range that ends `top_db` above a full-scale sine (dBFS).

    A sine of amplitude 1 peaks at (sum w)^2 / (2 sample_rate sum w^2).
    """
    window = make_window(spec.window, spec.window_length)
    peak = window.sum() ** 2 / (2 * spec.sample_rate * np.square(window).sum())
    high = float(10 * np.log10(peak)) + top_db
    return high - range_db, high
