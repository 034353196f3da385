"""What a recording tells about how it was made: its band and its floor, by which corpora give their classes away."""

from collections.abc import Iterable, Iterator

import numpy as np

from pipeline.errors import AudioError

FFT_LENGTH = 2048  # samples
FRAME_SECONDS = 0.05
LOWEST_DB = -120.0
RANGE_DB = 80.0  # what lies further below the strongest bin counts as floor
WALL_DB = 20.0  # a fall of this much...
WALL_OCTAVES = 1 / 6  # ...within this, never to rise again, is a low-pass: no sound's own slope is so steep
EDGE_DB = 10.0  # how far over the floor behind the wall the band still reaches
LOWEST_WALL_HZ = 1500.0  # below it the slopes of voices and hum are as steep in Hz
_SMOOTH_BINS = 5
_SEGMENTS_AT_ONCE = 16  # 256 KiB as float64: they stay in the cache


def bandwidth_hz(pieces: Iterable[np.ndarray], *, sample_rate: int) -> float:
    """Give the highest frequency that the recording really holds, Hz.

    From the long-term power spectral density (Welch: FFT 2048, Hann, half overlapping, mean removed), in dB, smoothed
    over 5 bins and cut off 80 dB below its maximum. Where its level above 1.5 kHz, as the median over a sixth of an
    octave (at least 500 Hz), falls by 20 dB or more within a further such step and stays down, the deepest such fall
    is the wall of a low-pass, and the band ends where the density last stands 10 dB over all that lies behind the
    wall. Without a wall it ends at the highest bin within the 80 dB.

    Parameters
    ----------
    pieces
        Mono, float arrays (n,) one after the other, which are gone through twice.
    sample_rate
        Hz.

    Returns
    -------
    float
        In 0..sample_rate / 2; 0.0 for silence, for a constant and for no samples.

    Raises
    ------
    AudioError
        If one of them has more than one axis or holds NaN or infinity.
    """
    density = _welch(pieces)
    if density.max() <= 1e-24:  # what rounding leaves of a constant
        return 0.0
    kernel = np.ones(_SMOOTH_BINS) / _SMOOTH_BINS
    smooth = np.convolve(np.pad(density, _SMOOTH_BINS // 2, mode="edge"), kernel, mode="valid")
    level = 10 * np.log10(np.maximum(smooth / smooth.max(), 10 ** (-RANGE_DB / 10)))
    wall_floor = _floor_behind_wall(level, bin_hz=sample_rate / FFT_LENGTH)
    limit = 1e-6 - RANGE_DB if wall_floor is None else wall_floor + EDGE_DB
    return float(np.flatnonzero(level > limit)[-1] * sample_rate / FFT_LENGTH)


def _floor_behind_wall(level: np.ndarray, *, bin_hz: float) -> float | None:
    """Find the deepest fall that lasts; give the highest level behind it (dB), or None where nothing falls so."""
    at_least = max(1, round(500 / bin_hz))
    bins = np.arange(max(at_least, round(LOWEST_WALL_HZ / bin_hz)), len(level))
    steps = np.maximum(at_least, np.round(bins * (2**WALL_OCTAVES - 1)).astype(np.int64))
    bins, steps = bins[bins + steps < len(level)], steps[bins + steps < len(level)]
    if not len(bins):
        return None
    behind = np.maximum.accumulate(level[::-1])[::-1][bins + steps]
    falls = _medians_before(level, bins, np.minimum(steps, bins)) - behind
    deepest = len(falls) - 1 - int(falls[::-1].argmax())  # of equals the last
    return float(behind[deepest]) if falls[deepest] >= WALL_DB else None


def _medians_before(level: np.ndarray, bins: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Median of the `counts` levels before each bin: all of them sorted at once, each row filled up with infinity."""
    back = np.arange(1, counts.max() + 1)
    windows = np.where(back <= counts[:, None], level[np.maximum(bins[:, None] - back, 0)], np.inf)  # (bins, levels)
    windows.sort(axis=1)
    rows = np.arange(len(bins))
    return np.asarray((windows[rows, (counts - 1) // 2] + windows[rows, counts // 2]) / 2)


def _welch(pieces: Iterable[np.ndarray]) -> np.ndarray:
    """Give the mean power spectrum, float64 (1025,), up to a constant; a few segments at a time, for hours of sound."""
    n_samples, total = 0, 0.0
    for piece in pieces:
        _check(piece)
        n_samples += len(piece)
        total += float(piece.sum(dtype=np.float64))
    mean = total / max(n_samples, 1)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT_LENGTH) / FFT_LENGTH)
    power, n_segments = np.zeros(FFT_LENGTH // 2 + 1), 0
    for some in _segments(pieces, mean=mean):  # (segments, 2048)
        power += (np.abs(np.fft.rfft(some * window, axis=1)) ** 2).sum(axis=0)  # (segments, bins) -> (bins,)
        n_segments += len(some)
    return np.asarray(power / (n_segments * (window**2).sum()))


def _segments(pieces: Iterable[np.ndarray], *, mean: float) -> Iterator[np.ndarray]:
    """Give segments (n, 2048), half overlapping, less the mean; sound shorter than one is filled up with zeros."""
    rest, is_short = np.zeros(0, np.float32), True
    for piece in pieces:
        joined = np.concatenate([rest, piece])
        n_segments = max(0, (len(joined) - FFT_LENGTH) // (FFT_LENGTH // 2) + 1)
        if n_segments:
            is_short = False
            segments = np.lib.stride_tricks.sliding_window_view(joined, FFT_LENGTH)[:: FFT_LENGTH // 2]
            for first in range(0, n_segments, _SEGMENTS_AT_ONCE):
                yield segments[first : first + _SEGMENTS_AT_ONCE] - mean
        rest = joined[n_segments * (FFT_LENGTH // 2) :]
    if is_short:
        yield np.pad(rest.astype(np.float64) - mean, (0, FFT_LENGTH - len(rest)))[None]


def floor_db(pieces: Iterable[np.ndarray], *, sample_rate: int) -> float:
    """Give the level of the recording's quiet: the 10th percentile of the RMS of 50 ms frames, dB re full scale.

    Frames do not overlap, and what is left at the end is dropped, unless it is all there is.

    Parameters
    ----------
    pieces
        Mono, float arrays (n,) one after the other, gone through once.
    sample_rate
        Hz.

    Returns
    -------
    float
        At least -120.0, which is also the answer for silence and for no samples.

    Raises
    ------
    AudioError
        If one of them has more than one axis or holds NaN or infinity.
    """
    length = round(FRAME_SECONDS * sample_rate)
    powers, rest = [], np.zeros(0, np.float32)
    for piece in pieces:
        _check(piece)
        joined = np.concatenate([rest, piece])
        frames = joined[: len(joined) // length * length].reshape(-1, length)  # (frames, samples)
        powers.append(np.einsum("ij,ij->i", frames, frames, dtype=np.float64) / length)
        rest = joined[frames.size :]
    power = np.concatenate([np.zeros(0), *powers])
    if not len(power):
        power = np.array([np.square(rest, dtype=np.float64).mean() if len(rest) else 0.0])
    levels = 10 * np.log10(np.maximum(power, 10 ** (LOWEST_DB / 10)))
    return float(np.percentile(levels, 10))


def _check(samples: np.ndarray) -> None:
    if samples.ndim != 1:
        raise AudioError(f"sound of shape {samples.shape}, needed mono, (n_samples,): mix it down first")
    if len(samples) and not np.isfinite(np.dot(samples, samples)) and not np.isfinite(samples).all():
        raise AudioError("the sound holds NaN or infinite samples: read it again")
