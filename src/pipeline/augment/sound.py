"""Altered sound: another pitch, another duration, noise, gain. One channel in, one channel out, float32.

The libraries are imported where they are used: to know how long altered sound is, none is needed.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import AudioError

Sound = NDArray[np.float32]

# Frames of the stretching: long enough to tell apart the harmonics of a voice of 70 Hz, short enough for its onsets.
FRAME_SECONDS, STEP_SECONDS = 0.08, 0.032
STRETCH_SEED = 0  # the stretching draws phases where it more than doubles a duration
COLOURS = ("white", "pink")


def shift_pitch(sound: Sound, *, semitones: float, sample_rate: int) -> Sound:
    """Multiply every frequency by 2^(semitones / 12), duration kept.

    Parameters
    ----------
    sound
        Samples (n,).
    sample_rate
        Hz.

    Returns
    -------
    Samples (n,). What comes to lie above half the sample rate is gone; a shift downwards leaves the top empty.
    """
    return shift_and_scale(sound, semitones=semitones, time_factor=1.0, sample_rate=sample_rate)


def scale_time(sound: Sound, *, time_factor: float, sample_rate: int) -> Sound:
    """Make a sound last `time_factor` times as long, pitch kept.

    Returns
    -------
    Samples (round(n * time_factor),).
    """
    return shift_and_scale(sound, semitones=0.0, time_factor=time_factor, sample_rate=sample_rate)


def shift_and_scale(sound: Sound, *, semitones: float, time_factor: float, sample_rate: int) -> Sound:
    """Do as `shift_pitch` and `scale_time` together, in one pass.

    The sound is stretched at its own pitch (Signalsmith Stretch: a phase vocoder that predicts each bin from its
    neighbours in time and frequency) by 2^(semitones / 12) * time_factor, and then resampled by 2^(semitones / 12).
    The library's own transposition is not used: it places low harmonics up to 0.75 % off.

    Returns
    -------
    Samples (round(n * time_factor),), at least one.

    Raises
    ------
    AudioError
        If the sound is none of one channel, empty or not finite, or the factors are no numbers above zero.
    """
    _refuse_unfit(sound)
    ratio = 2.0 ** (semitones / 12)
    if not (np.isfinite(ratio * time_factor) and ratio * time_factor > 0):
        raise AudioError(
            f"cannot shift by {semitones} semitones and scale by {time_factor}: give numbers, time above 0"
        )
    n_samples = max(round(len(sound) * time_factor), 1)
    mean = np.float32(np.mean(sound, dtype=np.float64))  # a constant has neither pitch nor duration
    altered = _stretch(sound - mean, ratio * time_factor, sample_rate)
    if semitones:
        import soxr

        altered = np.asarray(soxr.resample(altered, ratio, 1.0, "HQ"), dtype=np.float32)
    return _fit(altered, n_samples) + mean


def _stretch(sound: Sound, factor: float, sample_rate: int) -> Sound:
    if factor == 1:
        return sound.copy()
    from python_stretch import Signalsmith

    stretch = Signalsmith.Stretch(STRETCH_SEED)
    stretch.preset(1, sample_rate)
    stretch.configure(1, max(round(FRAME_SECONDS * sample_rate), 16), max(round(STEP_SECONDS * sample_rate), 4))
    stretch.setTimeFactor(1 / factor)
    stretched: Sound = np.asarray(stretch.process(np.ascontiguousarray(sound)[None]), dtype=np.float32)[0]
    return stretched


def _fit(sound: Sound, n_samples: int) -> Sound:
    """Take off, or add as zeros, the few samples by which two roundings differ."""
    if len(sound) >= n_samples:
        return np.ascontiguousarray(sound[:n_samples])
    return np.pad(sound, (0, n_samples - len(sound)))


def add_noise(sound: Sound, *, snr_db: float, colour: str, rng: np.random.Generator) -> Sound:
    """Add noise whose mean square is that of the sound, over all its samples, less `snr_db`.

    Parameters
    ----------
    sound
        Samples (n,); silence stays silence.
    snr_db
        Signal-to-noise ratio, dB; met exactly.
    colour
        white: the same density at all frequencies; pink: a density falling as 1 / frequency (3 dB per octave), with
        nothing at 0 Hz. Both normally distributed.
    rng
        Where the noise is drawn from.

    Raises
    ------
    AudioError
        If the sound is none of one channel, empty or not finite, or there is no such colour.
    """
    _refuse_unfit(sound)
    if colour not in COLOURS:
        raise AudioError(f"noise of colour {colour!r} is none of {', '.join(COLOURS)}")
    noise = rng.standard_normal(len(sound), dtype=np.float32)
    if colour == "pink":
        noise = _pink(noise)
    of_noise, of_sound = _mean_square(noise), _mean_square(sound)
    if of_noise == 0 or of_sound == 0:
        return sound.copy()
    scale = np.sqrt(of_sound / of_noise) * 10 ** (-snr_db / 20)
    return sound + noise * np.float32(scale)


def _pink(white: Sound) -> Sound:
    """Divide the amplitude of each frequency but 0 Hz by the root of the frequency."""
    from scipy import fft

    n = fft.next_fast_len(len(white), real=True)
    spectrum = fft.rfft(white, n)
    spectrum[0] = 0
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum), dtype=np.float32))
    return np.asarray(fft.irfft(spectrum, n)[: len(white)], dtype=np.float32)


def _mean_square(sound: Sound) -> float:
    return float(np.mean(np.square(sound, dtype=np.float64)))


def change_gain(sound: Sound, *, gain_db: float) -> Sound:
    """Multiply by 10^(gain_db / 20); nothing is clipped.

    Loudness normalisation undoes this, but for silence and where the gain is capped.
    """
    _refuse_unfit(sound)
    return sound * np.float32(10 ** (gain_db / 20))


def _refuse_unfit(sound: Sound) -> None:
    if sound.ndim != 1 or sound.dtype != np.float32 or not len(sound):
        raise AudioError(f"sound of shape {sound.shape} and type {sound.dtype}: one channel of float32 is needed")
    if not np.isfinite(sound).all():
        raise AudioError("sound holds samples that are not finite: collect the clip anew")
