"""What a recording tells about how it was made: its band and its floor, by which corpora give their classes away."""

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


def bandwidth_hz(samples: np.ndarray, *, sample_rate: int) -> float:
    """Give the highest frequency that the recording really holds, Hz.

    From the long-term power spectral density (Welch: FFT 2048, Hann, half overlapping, mean removed), in dB, smoothed
    over 5 bins and cut off 80 dB below its maximum. Where its level above 1.5 kHz, as the median over a sixth of an
    octave (at least 500 Hz), falls by 20 dB or more within a further such step and stays down, the deepest such fall
    is the wall of a low-pass, and the band ends where the density last stands 10 dB over all that lies behind the
    wall. Without a wall it ends at the highest bin within the 80 dB.

    Parameters
    ----------
    samples
        Mono, float (n_samples,).
    sample_rate
        Hz.

    Returns
    -------
    float
        In 0..sample_rate / 2; 0.0 for silence, for a constant and for no samples.

    Raises
    ------
    AudioError
        If `samples` has more than one axis or holds NaN or infinity.
    """
    _check(samples)
    density = _welch(samples) if len(samples) else np.zeros(1)
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


def _welch(samples: np.ndarray) -> np.ndarray:
    """Give the mean power spectrum, float64 (1025,), up to a constant; a few segments at a time, for hours of sound."""
    centred = samples.astype(np.float64) - samples.mean(dtype=np.float64) if len(samples) < FFT_LENGTH else samples
    if len(centred) < FFT_LENGTH:
        centred = np.pad(centred, (0, FFT_LENGTH - len(centred)))
    mean = centred.mean(dtype=np.float64)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT_LENGTH) / FFT_LENGTH)
    segments = np.lib.stride_tricks.sliding_window_view(centred, FFT_LENGTH)[:: FFT_LENGTH // 2]  # (segments, 2048)
    total = np.zeros(FFT_LENGTH // 2 + 1)
    for first in range(0, len(segments), _SEGMENTS_AT_ONCE):
        some = (segments[first : first + _SEGMENTS_AT_ONCE] - mean) * window
        total += (np.abs(np.fft.rfft(some, axis=1)) ** 2).sum(axis=0)  # (segments, bins) -> (bins,)
    return np.asarray(total / (len(segments) * (window**2).sum()))


def floor_db(samples: np.ndarray, *, sample_rate: int) -> float:
    """Give the level of the recording's quiet: the 10th percentile of the RMS of 50 ms frames, dB re full scale.

    Frames do not overlap, and what is left at the end is dropped, unless it is all there is.

    Parameters
    ----------
    samples
        Mono, float (n_samples,).
    sample_rate
        Hz.

    Returns
    -------
    float
        At least -120.0, which is also the answer for silence and for no samples.

    Raises
    ------
    AudioError
        If `samples` has more than one axis or holds NaN or infinity.
    """
    _check(samples)
    if len(samples) == 0:
        return LOWEST_DB
    length = min(len(samples), round(FRAME_SECONDS * sample_rate))
    frames = samples[: len(samples) // length * length].reshape(-1, length)  # (frames, samples)
    power = np.einsum("ij,ij->i", frames, frames, dtype=np.float64) / length
    levels = 10 * np.log10(np.maximum(power, 10 ** (LOWEST_DB / 10)))
    return float(np.percentile(levels, 10))


def _check(samples: np.ndarray) -> None:
    if samples.ndim != 1:
        raise AudioError(f"sound of shape {samples.shape}, needed mono, (n_samples,): mix it down first")
    if len(samples) and not np.isfinite(np.dot(samples, samples)) and not np.isfinite(samples).all():
        raise AudioError("the sound holds NaN or infinite samples: read it again")
