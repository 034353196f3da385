"""How a crowd is recorded: spectral tilt, noise floor, bandwidth and loudness, imposed on the finished sound.

The demo corpus (`pipeline.corpora.demo`) draws these from one table for every class, so that none tells the label.
"""

from __future__ import annotations

import numpy as np
import pyloudnorm
from scipy import fft, signal

from pipeline.corpora.crowd_voices import Sound

# The long-term spectrum that every clip is brought towards: the curvature that recordings of real crowds share.
CURVE_DB_PER_OCTAVE2 = -3.5
EQUALISED = 0.3
CEILING = 0.89  # -1 dB of full scale


def record(
    rng: np.random.Generator,
    sound: Sound,
    *,
    sample_rate: int,
    tilt_db_per_octave: float,
    noise_db: float,
    bandwidth_hz: float | None,
) -> Sound:
    """
    Impose tilt, noise floor and bandwidth.

    The sound's own long-term spectrum is brought some way to a curve common to all classes, and its slope wholly to
    the one asked for: otherwise the tilt, and with it the loudness of any band, would give the label away.

    Parameters
    ----------
    rng
        Draws the noise.
    sound
        Shape (n_samples, channels).
    sample_rate
        Samples per second.
    tilt_db_per_octave
        Slope of the long-term spectrum, fitted from 125 Hz to 8 kHz.
    noise_db
        Level of the pink noise floor against the sound's.
    bandwidth_hz
        Corner of the low-pass filter; None for no filter.

    Returns
    -------
    NDArray
        Shape (n_samples, channels).
    """
    size = fft.next_fast_len(len(sound), real=True)
    freqs = fft.rfftfreq(size, 1.0 / sample_rate)
    centres = 125.0 * 2.0 ** (np.arange(19) / 3.0)  # third-octaves from 125 Hz to 8 kHz
    octaves = np.log2(centres / 1000.0)
    at, power = signal.welch(sound.mean(axis=1), fs=sample_rate, nperseg=4096)
    bands = np.array([np.mean(power[(at > c / 1.26) & (at < c * 1.26)]) for c in centres])  # smoothed over 2/3 octave
    spectrum_db = 10.0 * np.log10(bands + 1e-20)
    wanted_db = (1.0 - EQUALISED) * _without_line(octaves, spectrum_db)
    wanted_db += EQUALISED * _without_line(octaves, CURVE_DB_PER_OCTAVE2 * octaves**2)
    wanted_db += tilt_db_per_octave * octaves
    correction_db = np.interp(np.log2(np.maximum(freqs, 1.0) / 1000.0), octaves, wanted_db - spectrum_db)
    shape = 10.0 ** (correction_db / 20.0) / (1.0 + (50.0 / np.maximum(freqs, 1.0)) ** 4)
    spectrum = fft.rfft(sound.T, size) * shape  # (channels, frequencies)
    noise = rng.standard_normal((*spectrum.shape, 2)).view(np.complex128)[..., 0] / np.sqrt(np.maximum(freqs, 20.0))
    noise_gain = np.sqrt(np.sum(np.abs(spectrum) ** 2) / np.sum(np.abs(noise) ** 2))
    spectrum += noise * noise_gain * 10.0 ** (noise_db / 20.0)
    if bandwidth_hz is not None:
        spectrum *= np.clip((bandwidth_hz * 1.02 - freqs) / (bandwidth_hz * 0.04), 0.0, 1.0) ** 2
    return np.ascontiguousarray(fft.irfft(spectrum, size)[:, : len(sound)].T)


def _without_line(x: Sound, y: Sound) -> Sound:
    """Take out of y (points,) its straight line over x."""
    x = x - np.mean(x)
    return np.asarray(y - np.mean(y) - x * np.sum(x * y) / np.sum(x**2))


def set_loudness(sound: Sound, *, sample_rate: int, target_lufs: float) -> Sound:
    """Bring the finished sound to its loudness; peaks above the ceiling are turned down for 10 ms, not the clip."""
    meter = pyloudnorm.Meter(sample_rate)
    for _ in range(4):  # the limiter takes some loudness away, which the next round gives back
        found = meter.integrated_loudness(sound)
        sound = sound * 10.0 ** ((target_lufs - found) / 20.0)
        if np.max(np.abs(sound)) <= CEILING:
            break
        sound = limit_peaks(sound, frame=sample_rate // 200)
    return sound


def limit_peaks(sound: Sound, *, frame: int) -> Sound:
    """Turn down, smoothly and all channels alike, the frames whose peak is above the ceiling."""
    n_frames = -(-len(sound) // frame)
    padded = np.pad(np.max(np.abs(sound), axis=1), (0, n_frames * frame - len(sound)))
    gain = np.minimum(1.0, CEILING / np.maximum(padded.reshape(n_frames, frame).max(axis=1), CEILING))
    knots = np.minimum(np.append(gain, 1.0), np.insert(gain, 0, 1.0))  # at the frames' borders: never above either side
    return np.asarray(sound * np.interp(np.arange(len(sound)) / frame, np.arange(n_frames + 1), knots)[:, None])
