"""The layers a crowd's sound is made of: many voices, claps, whistles and bangs, laid over the length of a clip.

A layer renders a few dozen grains and scatters them at random times, speeds and distances, so a crowd costs no more
than its bank of grains. The demo corpus (`pipeline.corpora.demo`) mixes the layers; nothing here knows of labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from pipeline.corpora.crowd_voices import Chant, Sound, VoiceStyle, sing_verse, utter

_BANK = 10  # utterances that a layer renders
_SPEEDS = 3  # at which each grain is laid down


def scatter(
    rng: np.random.Generator, bank: Sequence[Sound], starts: NDArray[np.int64], *, n_samples: int, vary: float
) -> Sound:
    """
    Lay grains over a clip, each copy at its own speed and distance.

    Parameters
    ----------
    rng
        Picks the grain, speed and gain of every copy.
    bank
        The grains, each (samples,).
    starts
        First sample of every copy; may lie before zero or run past the end.
    n_samples
        Length of the clip.
    vary
        Largest relative change of speed (and so of pitch); zero copies the grains as they are.

    Returns
    -------
    NDArray
        Shape (n_samples,).
    """
    if vary > 0:
        bank = [_change_speed(grain, rng.uniform(1.0 - vary, 1.0 + vary)) for grain in bank for _ in range(_SPEEDS)]
    out = np.zeros(n_samples)
    gains = 10.0 ** (rng.normal(0.0, 5.0, len(starts)) / 20.0)
    which = rng.integers(len(bank), size=len(starts))
    for start, kind, gain in zip(starts.tolist(), which.tolist(), np.minimum(gains, 3.0).tolist(), strict=True):
        grain = bank[kind]
        first, last = max(start, 0), min(start + len(grain), n_samples)
        if last > first:
            out[first:last] += gain * grain[first - start : last - start]
    return out


def voices(
    rng: np.random.Generator, *, style: VoiceStyle, n_samples: int, sample_rate: int, at_once: float, high_share: float
) -> Sound:
    """Scatter utterances of one style so that about `at_once` overlap: (n_samples,)."""
    bank = [utter(rng, style=style, high_share=high_share, sample_rate=sample_rate) for _ in range(_BANK)]
    longest = max(len(grain) for grain in bank)
    mean = sum(len(grain) for grain in bank) / len(bank)
    count = max(1, round(at_once * (n_samples + longest) / mean))
    return scatter(rng, bank, rng.integers(-longest, n_samples, size=count), n_samples=n_samples, vary=0.12)


def chanting(
    rng: np.random.Generator, *, chant: Chant, n_samples: int, sample_rate: int, at_once: float, high_share: float
) -> Sound:
    """Repeat a chant over random stretches of the clip, every singer late by his own few hundredths: (n_samples,)."""
    bank = [sing_verse(rng, chant=chant, high_share=high_share, sample_rate=sample_rate) for _ in range(8)]
    starts = beat_times(rng, period=chant.period_seconds, n_samples=n_samples, sample_rate=sample_rate)
    spread = rng.normal(0.0, 0.045 * sample_rate, (len(starts), max(2, round(at_once))))  # (verses, singers)
    return scatter(rng, bank, (starts[:, None] + spread).ravel().astype(np.int64), n_samples=n_samples, vary=0.015)


def beat_times(rng: np.random.Generator, *, period: float, n_samples: int, sample_rate: int) -> Sound:
    """Draw when a pulse falls, in samples, that a crowd takes up and drops again: (pulses,), at least one."""
    seconds = n_samples / sample_rate
    pulses = np.arange(rng.uniform(-period, 0.0), seconds, period)
    stretch = np.floor(pulses / rng.uniform(5.0, 12.0) + rng.uniform()).astype(np.int64)
    on = rng.uniform(size=int(stretch.max() - stretch.min()) + 1) < 0.65
    on[rng.integers(len(on))] = True
    return np.asarray(pulses[on[stretch - stretch.min()]] * sample_rate)


def clapping(
    rng: np.random.Generator, *, n_samples: int, sample_rate: int, clappers: int, beat_seconds: float | None
) -> Sound:
    """
    Let people clap, each at his own rate, or every second one on a common beat.

    Returns
    -------
    NDArray
        Shape (n_samples,).
    """
    bank = []
    for _ in range(24):
        centre = np.exp(rng.uniform(np.log(900.0), np.log(3200.0)))
        burst = rng.standard_normal(int(0.03 * sample_rate))
        burst *= np.exp(-np.arange(len(burst)) / (rng.uniform(0.002, 0.006) * sample_rate))
        band = signal.butter(1, (centre / 2.2, centre * 3.0), "bandpass", fs=sample_rate, output="sos")
        bank.append(np.asarray(signal.sosfilt(band, burst)))
    common = None
    if beat_seconds is not None:
        common = beat_times(rng, period=beat_seconds, n_samples=n_samples, sample_rate=sample_rate)
    times = [
        _clap_times(rng, common=common if clapper % 2 else None, n_samples=n_samples, sample_rate=sample_rate)
        for clapper in range(clappers)
    ]
    return scatter(rng, bank, np.concatenate(times).astype(np.int64), n_samples=n_samples, vary=0.0)


def whistling(rng: np.random.Generator, *, n_samples: int, sample_rate: int, per_second: float) -> Sound:
    """Scatter gliding whistles, some of them trilled like a referee's: (n_samples,)."""
    bank = []
    for _ in range(8):
        count = int(rng.uniform(0.25, 1.3) * sample_rate)
        position = np.linspace(0.0, 1.0, count)
        bends = np.sin(2.0 * np.pi * (np.outer((0.4, 0.8, 1.5), position) + rng.uniform(size=(3, 1))))  # (3, samples)
        octaves = np.sum(bends * rng.normal(0.0, (0.2, 0.12, 0.06))[:, None], axis=0)
        trill = 0.05 * np.sin(2 * np.pi * rng.uniform(25, 45) * position * count / sample_rate) * (rng.uniform() < 0.3)
        phase = 2.0 * np.pi * np.cumsum(rng.uniform(1500.0, 3300.0) * 2.0 ** (octaves + trill)) / sample_rate
        air = 0.15 * rng.standard_normal(count)
        tone = np.sin(phase + 0.3 * np.cumsum(air) / np.sqrt(count)) + 0.08 * np.sin(2.0 * phase) + air * 0.3
        bank.append(tone * np.sin(np.pi * position) ** 0.5)
    starts = rng.integers(-sample_rate, n_samples, size=max(1, rng.poisson(per_second * n_samples / sample_rate)))
    return scatter(rng, bank, starts, n_samples=n_samples, vary=0.2)


def banging(
    rng: np.random.Generator, *, n_samples: int, sample_rate: int, per_second: float, metal: float, low_hz: float
) -> Sound:
    """
    Strike drums, doors and metal at irregular moments, alone or in volleys.

    Parameters
    ----------
    rng
        Draws the struck things and the moments.
    n_samples, sample_rate
        Length of the clip; samples per second.
    per_second
        Mean number of volleys.
    metal
        Share of ringing clatter, 0 to 1; the rest are thumps.
    low_hz
        Lowest mode of the metal: some 300 for barriers, 2000 for cutlery.

    Returns
    -------
    NDArray
        Shape (n_samples,).
    """
    bank = []
    for kind in range(8):
        count = int(0.5 * sample_rate)
        t = np.arange(count) / sample_rate
        if kind < round(8 * metal):
            modes = low_hz * np.exp(rng.uniform(0.0, 2.3, 9))
            decay = rng.uniform(8.0, 45.0, 9) * (modes / low_hz) ** 0.3
            ring = np.sin(2.0 * np.pi * modes[:, None] * t + rng.uniform(0.0, 6.28, (9, 1))) * np.exp(
                -decay[:, None] * t
            )
            hit = np.sum(ring * rng.uniform(0.2, 1.0, (9, 1)), axis=0)
            hit += rng.standard_normal(count) * np.exp(-t / 0.004) * 2.0
        else:
            pitch = rng.uniform(55.0, 150.0) * (1.0 + 0.6 * np.exp(-t / 0.02))
            hit = np.sin(2.0 * np.pi * np.cumsum(pitch) / sample_rate) * np.exp(-t / rng.uniform(0.05, 0.14))
            hit += 0.9 * rng.standard_normal(count) * np.exp(-t / rng.uniform(0.006, 0.025))
        bank.append(hit / np.sqrt(np.mean(hit**2)))
    volleys = rng.integers(0, n_samples, size=max(1, rng.poisson(per_second * n_samples / sample_rate)))
    sizes = rng.geometric(0.45, size=len(volleys))
    late = np.concatenate([np.cumsum(rng.uniform(0.06, 0.35, size)) for size in sizes]) * sample_rate
    starts = (np.repeat(volleys, sizes) + late).astype(np.int64)
    return scatter(rng, bank, starts, n_samples=n_samples, vary=0.15)


def _clap_times(rng: np.random.Generator, *, common: Sound | None, n_samples: int, sample_rate: int) -> Sound:
    """Draw when one person claps, in samples: near the common beat, or in his own time where there is none."""
    if common is not None:
        return common + rng.normal(0.0, 0.035 * sample_rate, len(common))
    period = sample_rate / rng.uniform(2.4, 5.0)
    steps = period * rng.normal(1.0, 0.06, int(n_samples / period) + 4)
    return np.asarray(np.cumsum(steps) - rng.uniform(0.0, 3.0) * period)


def _change_speed(grain: Sound, speed: float) -> Sound:
    """Play a grain faster or slower, its pitch and formants with it: (samples / speed,)."""
    return np.asarray(np.interp(np.arange(int(len(grain) / speed)) * speed, np.arange(len(grain)), grain))
