"""Human voices, synthesised from a generator's draws: speech, cheers, boos, shouts, laughter, chants.

A voice is a source and a filter: a buzzing glottal source with a pitch contour, breath, and formants that move with
the vowels. The demo corpus (`pipeline.corpora.demo`) makes its crowds of them; nothing here knows of labels or files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

Sound = NDArray[np.float64]
Span = tuple[float, float]

# Centre frequencies (Hz) of the first four formants of a grown man; a speaker's vocal tract scales all of them.
VOWELS: Mapping[str, tuple[float, float, float, float]] = MappingProxyType(
    {
        "a": (730.0, 1150.0, 2500.0, 3500.0),
        "e": (500.0, 1850.0, 2500.0, 3500.0),
        "i": (300.0, 2250.0, 2950.0, 3600.0),
        "o": (480.0, 880.0, 2450.0, 3350.0),
        "u": (330.0, 760.0, 2250.0, 3250.0),
    }
)
_FORMANT_LEVEL = (1.0, 0.55, 0.28, 0.16)
_FORMANT_WIDTH_HZ = (90.0, 120.0, 170.0, 260.0)
_HISS_HZ, _HISS_WIDTH_HZ, _HISS_LEVEL = 5500.0, 3000.0, 0.12  # what the mouth adds above the formants
_FRAME = 512  # samples of a filter frame: 11 ms, short enough for a syllable's glide
_HOP = 256


@dataclass(frozen=True, kw_only=True)
class VoiceStyle:
    """How one kind of utterance is voiced; spans are drawn from uniformly, per utterance."""

    pitch_hz: Span  # a grown man's; higher voices multiply it
    seconds: Span
    onset_semitones: Span  # pitch at the start, relative to the middle
    offset_semitones: Span  # pitch at the end, relative to the middle
    syllable_hz: Span = (0.0, 0.0)  # zero: one sustained vowel
    vowels: str = "aeiou"
    attack_seconds: float = 0.08
    source_corner_hz: float = 900.0  # above it the glottal source falls; a pressed voice has it high
    breath: float = 0.15  # noise against buzz
    rough: float = 0.0  # 0 to 1: period doubling and jitter, a hoarse voice


STYLES: Mapping[str, VoiceStyle] = MappingProxyType(
    {
        "cheer": VoiceStyle(
            pitch_hz=(230, 480),
            seconds=(0.7, 2.8),
            onset_semitones=(-9, -1),
            offset_semitones=(-7, 3),
            vowels="aaeou",
            source_corner_hz=1800,
            breath=0.3,
            rough=0.12,
        ),
        "boo": VoiceStyle(
            pitch_hz=(110, 250),
            seconds=(1.4, 3.6),
            onset_semitones=(-1, 2),
            offset_semitones=(-6, -0.5),
            vowels="uuo",
            attack_seconds=0.15,
            source_corner_hz=1200,
            breath=0.15,
            rough=0.2,
        ),
        "shout": VoiceStyle(
            pitch_hz=(150, 330),
            seconds=(0.35, 1.3),
            onset_semitones=(-5, 0),
            offset_semitones=(-8, -2),
            syllable_hz=(2, 4),
            vowels="aaeo",
            attack_seconds=0.02,
            source_corner_hz=2400,
            breath=0.35,
            rough=0.55,
        ),
        "babble": VoiceStyle(
            pitch_hz=(95, 150),
            seconds=(1.2, 3.5),
            onset_semitones=(0, 3),
            offset_semitones=(-5, 0),
            syllable_hz=(3, 5),
            source_corner_hz=700,
            breath=0.2,
            rough=0.05,
        ),
        "laughter": VoiceStyle(
            pitch_hz=(150, 280),
            seconds=(0.6, 1.8),
            onset_semitones=(0, 5),
            offset_semitones=(-7, -1),
            syllable_hz=(4, 6),
            vowels="ae",
            attack_seconds=0.03,
            source_corner_hz=1000,
            breath=0.45,
            rough=0.1,
        ),
    }
)


@dataclass(frozen=True, kw_only=True)
class Chant:
    """One verse, sung again and again by everyone together."""

    beats: tuple[float, ...]  # length of each syllable; the verse may end in a rest
    semitones: tuple[float, ...]
    vowels: str
    rest_beats: float
    beats_per_minute: float
    angry: bool

    @property
    def period_seconds(self) -> float:
        """From one verse's start to the next's."""
        return (sum(self.beats) + self.rest_beats) * 60.0 / self.beats_per_minute


def render_voice(
    rng: np.random.Generator, pitch_hz: Sound, formants_hz: Sound, gain: Sound, *, style: VoiceStyle, sample_rate: int
) -> Sound:
    """
    Voice one utterance from its tracks.

    Parameters
    ----------
    rng
        Draws jitter and breath.
    pitch_hz, gain
        Shape (frames,), one value every 256 samples.
    formants_hz
        Shape (frames, 4).
    style, sample_rate
        The voice's quality; samples per second.

    Returns
    -------
    NDArray
        Shape (frames * 256,), unit RMS.
    """
    frames = len(pitch_hz)
    n_samples = frames * _HOP
    at = np.arange(n_samples) / _HOP
    jitter = 1.0 + (0.006 + 0.03 * style.rough) * rng.standard_normal(frames)
    step = np.interp(at, np.arange(frames), pitch_hz * jitter) / sample_rate  # cycles a sample
    loud = np.interp(at, np.arange(frames), gain)
    cycles = np.cumsum(step)
    buzz = _bandlimited_saw(cycles % 1.0, step) * (1.0 + style.rough * np.cos(np.pi * cycles))
    corner = np.exp(-2.0 * np.pi * style.source_corner_hz / sample_rate)
    buzz = signal.lfilter([1.0 - corner], [1.0, -corner], buzz)
    air = rng.standard_normal(n_samples) * (0.4 * style.breath * loud + 0.05 * loud.max() * (loud < 0.3 * loud.max()))
    voiced = _filter_formants(buzz * loud + air, formants_hz, sample_rate=sample_rate)
    return np.asarray(voiced / np.sqrt(np.mean(voiced**2) + 1e-20))


def utter(rng: np.random.Generator, *, style: VoiceStyle, high_share: float, sample_rate: int) -> Sound:
    """Draw one speaker and one utterance in a style: (samples,), unit RMS."""
    pitch_factor, tract = _draw_speaker(rng, high_share=high_share)
    frames = max(8, int(rng.uniform(*style.seconds) * sample_rate / _HOP))
    position = np.linspace(0.0, 1.0, frames)
    peak = rng.uniform(0.25, 0.6)
    bends = (rng.uniform(*style.onset_semitones), 0.0, rng.uniform(*style.offset_semitones))
    semitones = np.interp(position, (0.0, peak, 1.0), bends)
    semitones += np.convolve(0.25 * rng.standard_normal(frames), np.ones(9) / 3.0, mode="same")
    gain = np.minimum(1.0, position * frames * _HOP / sample_rate / style.attack_seconds)
    gain *= np.minimum(1.0, (1.0 - position) / rng.uniform(0.1, 0.4)) ** 1.5
    rate = rng.uniform(*style.syllable_hz)
    n_syllables = max(1, round(rate * frames * _HOP / sample_rate))
    edges = (np.arange(n_syllables) + rng.uniform(-0.22, 0.22, n_syllables)) / n_syllables
    which = np.maximum(np.searchsorted(np.sort(edges), position, side="right") - 1, 0)
    vowels = [style.vowels[i] for i in rng.integers(len(style.vowels), size=n_syllables)]
    if rate > 0:
        gain *= 0.06 + 0.94 * np.sin(np.pi * np.modf(position * n_syllables)[0]) ** 1.3
        semitones += rng.normal(0.0, 1.6, n_syllables)[which]
        gain *= rng.uniform(0.4, 1.0, n_syllables)[which]
    formants = _glide(np.array([VOWELS[v] for v in vowels])[which]) * tract
    pitch = np.exp(rng.uniform(*np.log(style.pitch_hz))) * pitch_factor * 2.0 ** (semitones / 12.0)
    return render_voice(rng, pitch, formants, gain, style=style, sample_rate=sample_rate)


def sing_verse(rng: np.random.Generator, *, chant: Chant, high_share: float, sample_rate: int) -> Sound:
    """Draw one singer and have the chant's verse sung once: (samples,), unit RMS."""
    style = STYLES["shout" if chant.angry else "cheer"]
    pitch_factor, tract = _draw_speaker(rng, high_share=high_share)
    beat_frames = 60.0 / chant.beats_per_minute * sample_rate / _HOP
    ends = np.cumsum(chant.beats) * beat_frames
    at = np.arange(int(ends[-1]))
    which = np.minimum(np.searchsorted(ends, at, side="right"), len(ends) - 1)
    since = (at - np.concatenate([[0.0], ends])[which]) / (np.array(chant.beats)[which] * beat_frames)
    gain = np.minimum(1.0, since * (14.0 if chant.angry else 6.0)) * (1.0 - since**4) + 0.03
    out_of_tune = rng.normal(0.0, 0.5)
    semitones = np.array(chant.semitones)[which] + out_of_tune - (3.0 * since if chant.angry else 0.8 * since)
    formants = _glide(np.array([VOWELS[v] for v in chant.vowels])[which]) * tract
    low, high = (140.0, 200.0) if chant.angry else (165.0, 240.0)
    pitch = np.clip(pitch_factor * (low + high) / 2.0, low, 2.0 * high) * 2.0 ** (semitones / 12.0)
    return render_voice(rng, pitch, formants, gain, style=style, sample_rate=sample_rate)


def _draw_speaker(rng: np.random.Generator, *, high_share: float) -> tuple[float, float]:
    """Draw factors of pitch and of formant frequency; women and children have both higher."""
    if rng.uniform() < high_share:
        return float(rng.normal(1.75, 0.15)), float(rng.normal(1.16, 0.04))
    return float(rng.normal(1.0, 0.1)), float(rng.normal(1.0, 0.04))


def _filter_formants(source: Sound, formants_hz: Sound, *, sample_rate: int) -> Sound:
    """Colour a source (frames * 256,) by formant tracks (frames, 4), in half-overlapping spectra."""
    window = np.sin(np.pi * (np.arange(_FRAME) + 0.5) / _FRAME).astype(np.float32)  # twice applied, it sums to one
    hops = np.pad(source.astype(np.float32).reshape(-1, _HOP), ((1, 1), (0, 0)))
    spectra = fft.rfft(np.concatenate([hops[:-1], hops[1:]], axis=1) * window)  # (frames + 1, bins)
    freqs = fft.rfftfreq(_FRAME, 1.0 / sample_rate).astype(np.float32)
    tracks = np.concatenate([formants_hz, formants_hz[-1:]]).astype(np.float32)
    response = _HISS_LEVEL / (1.0 + ((freqs - _HISS_HZ) / _HISS_WIDTH_HZ) ** 2) + 0.015
    response = np.tile(response, (len(tracks), 1))
    for k, (level, width) in enumerate(zip(_FORMANT_LEVEL, _FORMANT_WIDTH_HZ, strict=True)):
        response += level / (1.0 + ((freqs - tracks[:, k, None]) / width) ** 2)
    pieces = fft.irfft(spectra * response) * window
    return np.asarray(pieces[:-1, _HOP:] + pieces[1:, :_HOP], dtype=np.float64).ravel()


def _bandlimited_saw(phase: Sound, step: Sound) -> Sound:
    """Sawtooth of a phase in [0, 1), its jump rounded over two samples (PolyBLEP) against aliasing."""
    saw = 2.0 * phase - 1.0
    after = phase < step
    before = phase > 1.0 - step
    t = phase[after] / step[after]
    saw[after] -= t + t - t * t - 1.0
    t = (phase[before] - 1.0) / step[before]
    saw[before] -= t * t + t + t + 1.0
    return saw


def _glide(tracks: Sound) -> Sound:
    """Smooth formant steps (frames, 4) over some 50 ms, as a tongue does."""
    pad = np.pad(tracks, ((4, 4), (0, 0)), mode="edge")
    return np.asarray(np.mean(np.lib.stride_tricks.sliding_window_view(pad, 9, axis=0), axis=-1))
