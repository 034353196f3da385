"""A block of sound into a matrix of decibels over time and bands, and that into an image.

Definitions, in one place:

- Frame k starts at round(k * hop) and lies whole inside the block; nothing is padded at the ends.
- The one-sided power spectral density of a frame is |FFT(w x)|^2 * 2 / (sample_rate * sum w^2), without the factor 2
  at 0 Hz and at half the rate. White noise of variance v has density 2 v / sample_rate; a sine of amplitude A peaks at
  A^2 (sum w)^2 / (2 sample_rate sum w^2).
- Windows are periodic, as for spectral analysis. Bands: `scales.band_matrix`.
- Decibels: 10 log10 of the density, re 1/Hz; zero becomes FLOOR_DB.
- In time the dB matrix is resampled to `n_columns`, and the coloured image in both directions to its final size, by
  a triangle kernel that widens when it shrinks (torch's antialiased bilinear; Pillow's BILINEAR).
- Rows are bands; images have low frequencies at the bottom and time to the right.
"""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import get_window
from torch.nn.functional import interpolate

from pipeline.features.colour import colourise
from pipeline.features.scales import band_matrix

Floats = NDArray[np.float32]
FLOOR_DB = -300.0


@dataclass(frozen=True)
class SpectrogramSpec:
    """All that defines a dB matrix, with every length in samples."""

    sample_rate: int  # Hz
    window: str
    window_length: int  # samples
    hop_seconds: float
    fft_length: int  # samples
    axis: str
    n_bands: int
    min_hz: float
    max_hz: float
    n_columns: int  # 0: one a frame


def frame_starts(n_samples: int, spec: SpectrogramSpec) -> NDArray[np.int64]:
    """First sample of every frame that lies whole inside a block of `n_samples`."""
    hop = spec.hop_seconds * spec.sample_rate
    most = max(int((n_samples - spec.window_length) / hop) + 2, 0)
    starts = np.round(np.arange(most) * hop).astype(np.int64)
    return starts[starts + spec.window_length <= n_samples]


@functools.lru_cache(maxsize=16)
def _window(name: str, length: int) -> Floats:
    return get_window(name, length, fftbins=True).astype(np.float32)


def power_spectral_density(samples: Floats, spec: SpectrogramSpec) -> Floats:
    """One-sided power spectral density (n_frames, fft_length // 2 + 1), 1/Hz, of samples (n,) of full scale 1."""
    window = _window(spec.window, spec.window_length)
    starts = frame_starts(len(samples), spec)
    frames = np.lib.stride_tricks.sliding_window_view(samples, spec.window_length)[starts] * window
    spectrum = torch.view_as_real(torch.fft.rfft(torch.from_numpy(frames), n=spec.fft_length))
    power = spectrum[..., 0].square().addcmul_(spectrum[..., 1], spectrum[..., 1])  # (frames, bins)
    power *= 2 / (spec.sample_rate * float(np.square(window, dtype=np.float64).sum()))
    power[:, [0, -1]] /= 2
    return power.numpy()


def band_decibels(samples: Floats, spec: SpectrogramSpec) -> Floats:
    """Decibels (n_bands, n_columns), re 1/Hz, lowest band first, of one block (n,)."""
    bands = band_matrix(
        spec.axis,
        n_bands=spec.n_bands,
        min_hz=spec.min_hz,
        max_hz=spec.max_hz,
        sample_rate=spec.sample_rate,
        fft_length=spec.fft_length,
    )
    density = bands @ power_spectral_density(samples, spec).T  # (bands, frames)
    decibels = torch.from_numpy(density).clamp_min(10 ** (FLOOR_DB / 10)).log10_().mul_(10)
    if spec.n_columns in (0, density.shape[1]):
        return decibels.numpy()
    shape = (spec.n_bands, spec.n_columns)
    return interpolate(decibels[None, None], shape, mode="bilinear", antialias=True)[0, 0].numpy()


def draw_image(
    decibels: Floats, *, low_db: float, high_db: float, colormap: str, n_colours: int, height: int, width: int
) -> NDArray[np.uint8]:
    """Colour a dB matrix (n_bands, n_columns) and resize it to RGB (height, width, 3), low bands at the bottom."""
    coloured = colourise(decibels[::-1], low=low_db, high=high_db, colormap=colormap, n_colours=n_colours)
    if coloured.shape[:2] == (height, width):
        return coloured
    channels_last = torch.from_numpy(coloured)[None].permute(0, 3, 1, 2)
    resized = interpolate(channels_last, (height, width), mode="bilinear", antialias=True)
    return np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())
