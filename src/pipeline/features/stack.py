"""Several matrices of one block of sound as the channels of one array: spectrograms of their own windows, MFCC, deltas.

Definitions:

- A channel is the dB matrix of its own `SpectrogramSpec`, or the density behind it (power), or the MFCC of that matrix,
  or their deltas; then it is resampled to the stack's columns and bands, by the triangle of `resize`. The lowest band,
  or coefficient, is row 0.
- MFCC: the orthonormal discrete cosine transform, type II, of each frame's decibels over bands, coefficient 0 first.
- Deltas: the slope per frame of the straight line fitted to `delta_frames` frames around each, which is the filter of
  Savitzky and Golay (1964), Anal. Chem. 36, 1627-1639; frames too near an end have the slope of the nearest whole fit.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ParamsError
from pipeline.features.resize import resample_time
from pipeline.features.scratch import Scratch
from pipeline.features.spectrogram import SpectrogramSpec, band_decibels, frame_starts

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ChannelSpec:
    """All that defines one channel."""

    spectrogram: SpectrogramSpec
    contents: Literal["decibels", "power", "mfcc", "delta_mfcc"] = "decibels"
    n_coefficients: int = 0  # of MFCC, the first ones; 0: as many as bands
    delta_frames: int = 9  # odd, 3 or more


@dataclass(frozen=True)
class StackSpec:
    """All that defines a stack."""

    channels: tuple[ChannelSpec, ...]
    n_bands: int  # rows of each channel
    n_columns: int


def mfcc(decibels: Floats, n_coefficients: int) -> Floats:
    """The first mel-frequency cepstral coefficients (n_coefficients, n_frames) of decibels (n_bands, n_frames)."""
    from scipy.fft import dct

    coefficients: Floats = dct(decibels, type=2, axis=0, norm="ortho")[:n_coefficients]
    return coefficients


def deltas(values: Floats, delta_frames: int) -> Floats:
    """Slopes per frame (n, n_frames) of values (n, n_frames), over `delta_frames` frames.

    Raises
    ------
    ParamsError
        If that is not an odd number of 3 or more, or there are fewer frames.
    """
    half, n_frames = delta_frames // 2, values.shape[1]
    if delta_frames < 3 or delta_frames % 2 == 0:
        raise ParamsError(f"delta_frames: {delta_frames} is not an odd number of 3 or more")
    if n_frames < delta_frames:
        raise ParamsError(
            f"delta_frames: {delta_frames}, but a block has {n_frames} frames: use fewer or shorten the hop"
        )
    slopes = np.zeros((len(values), n_frames - 2 * half), np.float32)
    squares = 2 * sum(step * step for step in range(1, half + 1))
    for step in range(1, half + 1):
        later, earlier = values[:, half + step :], values[:, half - step :]
        slopes += np.float32(step / squares) * (later[:, : slopes.shape[1]] - earlier[:, : slopes.shape[1]])
    return np.pad(slopes, ((0, 0), (half, half)), mode="edge")


def render_stack(
    samples: Floats, spec: StackSpec, *, offset: float = 0.0, gain: float = 1.0, scratch: Scratch | None = None
) -> Floats:
    """The stack (n_channels, n_bands, n_columns) of one block (n,), float32.

    From every sample `offset` is taken before it is multiplied with `gain`. Channels of the same spectrogram share it.

    Raises
    ------
    ParamsError
        If the block is shorter than a channel's window, or has fewer frames than its deltas need.
    """
    scratch = scratch or Scratch()
    stack = np.empty((len(spec.channels), spec.n_bands, spec.n_columns), np.float32)
    matrices: dict[SpectrogramSpec, Floats] = {}
    for row, channel in zip(stack, spec.channels, strict=True):
        own = channel.spectrogram
        room = scratch.part(str(len(matrices)))
        if own not in matrices:
            if not len(frame_starts(len(samples), own)):
                raise ParamsError(
                    f"a window has {own.window_length} samples, a block only {len(samples)}: use a shorter window"
                )
            matrices[own] = band_decibels(samples, own, offset=offset, gain=gain, scratch=room)
        _fit(row, _contents(matrices[own], channel), scratch)
    return stack


def _contents(decibels: Floats, channel: ChannelSpec) -> Floats:
    if channel.contents == "decibels":
        return decibels
    if channel.contents == "power":
        power: Floats = 10 ** (decibels / np.float32(10))
        return power
    coefficients = mfcc(decibels, channel.n_coefficients or len(decibels))
    return coefficients if channel.contents == "mfcc" else deltas(coefficients, channel.delta_frames)


def _fit(fitted: Floats, matrix: Floats, scratch: Scratch) -> None:
    """Resample a matrix (n_rows, n_frames) into another (n_bands, n_columns), along its columns first."""
    n_bands, n_columns = fitted.shape
    n_rows = len(matrix)
    columns = matrix.T
    if columns.shape[0] != n_columns:
        narrow = scratch.take(f"narrow {n_rows}", (n_columns, n_rows))
        columns = resample_time(narrow, np.ascontiguousarray(columns))
    if n_rows == n_bands:
        fitted[:] = columns.T
    else:
        resample_time(fitted, np.ascontiguousarray(columns.T))


def resample_to(sound: Floats, n_samples: int) -> Floats:
    """Sound (n,) resampled to exactly `n_samples`, band-limited, float32.

    Its rate is now n_samples / n of what it was. Whoever takes all clips to have one rate all the same, as a
    `SpectrogramSpec` does, has frequencies and times that are relative: a band is a fraction of half the rate, and the
    true Hz of a clip are n_samples / n times those of the axis.

    Raises
    ------
    ParamsError
        If there is no sound, or no sample is asked for.
    """
    import soxr

    if not len(sound) or n_samples < 1:
        raise ParamsError(f"{len(sound)} samples cannot be resampled to {n_samples}: both must be 1 or more")
    if len(sound) == n_samples:
        return np.array(sound, dtype=np.float32)
    resampled = soxr.resample(np.ascontiguousarray(sound, dtype=np.float32), len(sound), n_samples, quality="HQ")
    # the last sample may be lost or doubled where its time is rounded
    exact = np.zeros(n_samples, np.float32)
    exact[: len(resampled)] = resampled[:n_samples]
    return exact
