"""A block of sound into a matrix of decibels over time and bands, and that into an image.

Definitions, in one place:

- Frame k starts at round(k * hop) and lies whole inside the block; nothing is padded at the ends.
- The one-sided power spectral density of a frame is |FFT(w x)|^2 * 2 / (sample_rate * sum w^2), without the factor 2
  at 0 Hz and at half the rate. White noise of variance v has density 2 v / sample_rate; a sine of amplitude A peaks at
  A^2 (sum w)^2 / (2 sample_rate sum w^2).
- Windows are periodic, as for spectral analysis. Bands: `scales.band_weights`.
- Decibels: 10 log10 of the density, re 1/Hz; zero becomes FLOOR_DB.
- In time the dB matrix is resampled to `n_columns`, and the coloured image in both directions to its final size, by
  a triangle kernel that widens when it shrinks: `resize`.
- Rows are bands; images have low frequencies at the bottom and time to the right.
"""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.features import frames
from pipeline.features.colour import packed_table
from pipeline.features.resize import paint, resample_time
from pipeline.features.scales import band_weights
from pipeline.features.scratch import Scratch

Floats = NDArray[np.float32]
FLOOR_DB = -300.0

# Each window as the sum over k of (-1)^k a_k cos(2 pi k n / length): Harris (1978), Proc. IEEE 66, 51-83.
WINDOWS = {"boxcar": (1.0,), "hamming": (0.54, 0.46), "hann": (0.5, 0.5), "blackman": (0.42, 0.5, 0.08)}


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


def make_window(name: str, length: int) -> NDArray[np.float64]:
    """A periodic window (length,)."""
    angles = 2 * np.pi * np.arange(length) / length
    window = np.zeros(length)
    for k, share in enumerate(WINDOWS[name]):
        window += (-1) ** k * share * np.cos(k * angles)
    return window


def _room(spec: SpectrogramSpec, scratch: Scratch) -> frames.Room:
    return frames.room_in(scratch, window_length=spec.window_length, fft_length=spec.fft_length, n_bands=spec.n_bands)


@functools.lru_cache(maxsize=16)
def _tables(spec: SpectrogramSpec) -> frames.Tables:
    window = make_window(spec.window, spec.window_length)
    scale = 2 / (spec.sample_rate * np.square(window).sum())
    bands = band_weights(
        spec.axis,
        n_bands=spec.n_bands,
        min_hz=spec.min_hz,
        max_hz=spec.max_hz,
        sample_rate=spec.sample_rate,
        fft_length=spec.fft_length,
    )
    scaled = (window * np.sqrt(scale)).astype(np.float32)
    return frames.Tables(scaled, frames.twiddles(spec.fft_length), frames.bins_of_rows(spec.fft_length), *bands)


def power_spectral_density(
    samples: Floats, spec: SpectrogramSpec, *, offset: float = 0.0, gain: float = 1.0, scratch: Scratch | None = None
) -> Floats:
    """One-sided power spectral density (n_frames, fft_length // 2 + 1), 1/Hz, of samples (n,) of full scale 1.

    Offset, gain and scratch are those of `band_decibels`.
    """
    scratch = scratch or Scratch()
    starts, room, level = frame_starts(len(samples), spec), _room(spec, scratch), (np.float32(offset), np.float32(gain))
    density = scratch.take("density", (len(starts), spec.fft_length // 2 + 1))
    for first in range(0, len(starts), frames.LANES):
        some = starts[first : first + frames.LANES]
        frames.block_powers(some, samples, *level, _tables(spec), room)
        density[first : first + len(some)] = room.power[:, : len(some)].T
    return density


def band_decibels(
    samples: Floats, spec: SpectrogramSpec, *, offset: float = 0.0, gain: float = 1.0, scratch: Scratch | None = None
) -> Floats:
    """Decibels (n_bands, n_columns), re 1/Hz, lowest band first, of one block (n,).

    From every sample `offset` is taken before it is multiplied with `gain`. With `scratch`, the result lies in it and
    holds until that is used again.
    """
    scratch = scratch or Scratch()
    starts = frame_starts(len(samples), spec)
    decibels = scratch.take("decibels", (len(starts), spec.n_bands))
    level = np.float32(offset), np.float32(gain)
    frames.block_decibels(decibels, samples, starts, *level, _tables(spec), _room(spec, scratch))
    if spec.n_columns in (0, len(starts)):
        return decibels.T
    return resample_time(scratch.take("columns", (spec.n_columns, spec.n_bands)), decibels).T


def draw_image(
    decibels: Floats,
    *,
    low_db: float,
    high_db: float,
    colormap: str,
    n_colours: int,
    height: int,
    width: int,
    scratch: Scratch | None = None,
) -> NDArray[np.uint8]:
    """Colour a dB matrix (n_bands, n_columns) and resize it to RGB (height, width, 3), low bands at the bottom."""
    image = np.empty((height, width, 3), np.uint8)
    per_db = n_colours / (high_db - low_db)
    columns = np.ascontiguousarray(decibels.T)
    paint(image, columns, packed_table(colormap, n_colours), low=low_db, per_db=per_db, scratch=scratch or Scratch())
    return image
