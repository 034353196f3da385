"""A crowd at an event: its layers of sound, their levels and outbursts, and the room they are heard in.

This is what the demo corpus (`pipeline.corpora.demo`) means by joy, anger and neutral. How a recording of it is made
(level, tilt, bandwidth, format) is no business of this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy import fft, signal

from pipeline.corpora import crowd_sounds as sounds
from pipeline.corpora.crowd_voices import STYLES, Chant, Sound, Span

# Level of each layer in the mix, dB. An event, and again a clip, moves each by a few dB, so that the classes overlap.
LAYERS = ("cheer", "boo", "shout", "babble", "laughter", "chant", "applause", "whistle", "bang", "clatter")
MIX_DB: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "joy": (0, -22, -16, -15, -14, -8, -1, -3, -22, -26),
        "anger": (-20, 2, -1, -16, -26, -6, -20, -20, 3, -5),
        "neutral": (-22, -26, -22, 0, -6, -26, -22, -26, -24, -14),
    }
)
EVENT_SPREAD_DB = 1.5
CLIP_SPREAD_DB = 1.0
SILENT_DB = -24.0  # a layer this far down is masked: it is left out, which saves its synthesis


@dataclass(frozen=True, kw_only=True)
class Dynamics:
    """How a class's energy moves: outbursts over a steady murmur."""

    per_second: float
    depth_db: Span
    attack_seconds: Span
    release_seconds: Span


DYNAMICS: Mapping[str, Dynamics] = MappingProxyType(
    {
        "joy": Dynamics(per_second=0.16, depth_db=(3, 9), attack_seconds=(0.5, 2.0), release_seconds=(1.5, 4.0)),
        "anger": Dynamics(per_second=0.45, depth_db=(3, 9), attack_seconds=(0.03, 0.3), release_seconds=(0.3, 1.5)),
        "neutral": Dynamics(per_second=0.12, depth_db=(1, 4), attack_seconds=(0.3, 2.0), release_seconds=(0.8, 3.0)),
    }
)


@dataclass(frozen=True, kw_only=True)
class Venue:
    """What the clips of one event share."""

    layers_db: Sound  # (layers,)
    decay_seconds: float
    reverb_db: float
    distant_db: float  # the many far voices against the few near ones
    at_once: float  # near voices that overlap
    high_share: float  # of women and children
    chant: Chant
    beat_seconds: float | None  # of clapping together; None where everyone claps in his own time


def draw_venue(rng: np.random.Generator, *, label: str) -> Venue:
    """Draw the room, the people, the chant and the mix of one event of a label."""
    angry = rng.uniform() < {"joy": 0.15, "anger": 0.85, "neutral": 0.5}[label]
    n_notes = int(rng.integers(3, 6))
    steps = (0.0, 0.0, -1.0, -2.0) if angry else (0.0, 2.0, 4.0, 7.0)
    chant = Chant(
        beats=tuple(rng.choice((0.5, 1.0, 1.0), size=n_notes).tolist()),
        semitones=tuple(rng.choice(steps, size=n_notes).tolist()),
        vowels="".join(rng.choice(list("aeiou"), size=n_notes)),
        rest_beats=float(rng.choice((0.0, 1.0, 2.0))),
        beats_per_minute=rng.uniform(95.0, 150.0),
        angry=bool(angry),
    )
    return Venue(
        layers_db=np.array(MIX_DB[label]) + rng.normal(0.0, EVENT_SPREAD_DB, len(LAYERS)),
        decay_seconds=rng.uniform(0.4, 2.2),
        reverb_db=rng.uniform(-16.0, -6.0),
        distant_db=rng.uniform(-12.0, -3.0),
        at_once=rng.uniform(5.0, 14.0),
        high_share=rng.uniform(0.15, 0.6),
        chant=chant,
        beat_seconds=None if rng.uniform() < 0.7 else 60.0 / chant.beats_per_minute,
    )


def mix_crowd(
    rng: np.random.Generator, *, label: str, venue: Venue, n_samples: int, channels: int, sample_rate: int
) -> Sound:
    """
    Mix one clip of an event.

    Parameters
    ----------
    rng
        The clip's own.
    label
        Whose dynamics apply; its mix is in the venue.
    venue
        The event's.
    n_samples, channels, sample_rate
        Length (samples), number of channels, samples per second.

    Returns
    -------
    NDArray
        Shape (n_samples, channels), of no particular level.
    """
    lead = int(2.5 * sample_rate)  # lets the room and the distant crowd fill before the clip begins
    n_all = n_samples + lead
    levels_db = venue.layers_db + rng.normal(0.0, CLIP_SPREAD_DB, len(LAYERS))
    swell = _draw_swell(rng, DYNAMICS[label], n_samples=n_all, sample_rate=sample_rate)
    near = {True: np.zeros(n_all), False: np.zeros(n_all)}  # by: does the distant crowd do it too?
    for layer, stream, level_db in zip(LAYERS, rng.spawn(len(LAYERS)), levels_db.tolist(), strict=True):
        if level_db > SILENT_DB:
            sound = _render_layer(stream, layer, venue, n_samples=n_all, sample_rate=sample_rate)
            sound *= 10.0 ** (level_db / 20.0) / _active_level(sound, sample_rate)
            near[layer in STYLES] += sound if layer == "babble" else sound * swell
    size = fft.next_fast_len(n_all + int(3.0 * sample_rate), real=True)
    crowd, rest = fft.rfft(near[True], size), fft.rfft(near[False], size)
    out = np.empty((n_samples, channels))
    for channel in range(channels):
        room = fft.rfft(_room(rng, venue, sample_rate), size)
        far = fft.rfft(_distance(rng, venue, sample_rate), size)
        out[:, channel] = fft.irfft((crowd * (1.0 + far) + rest) * (1.0 + room), size)[lead:n_all]
    return out


def _render_layer(rng: np.random.Generator, layer: str, venue: Venue, *, n_samples: int, sample_rate: int) -> Sound:
    length = {"n_samples": n_samples, "sample_rate": sample_rate}
    if layer in STYLES:
        at_once = venue.at_once * (0.4 if layer in ("shout", "laughter") else 1.0)
        return sounds.voices(rng, style=STYLES[layer], at_once=at_once, high_share=venue.high_share, **length)
    if layer == "chant":
        return sounds.chanting(rng, chant=venue.chant, at_once=venue.at_once, high_share=venue.high_share, **length)
    if layer == "applause":
        clappers = round(venue.at_once * rng.uniform(1.0, 4.0))
        return sounds.clapping(rng, clappers=clappers, beat_seconds=venue.beat_seconds, **length)
    if layer == "whistle":
        return sounds.whistling(rng, per_second=rng.uniform(0.5, 1.8), **length)
    if layer == "bang":
        return sounds.banging(rng, per_second=rng.uniform(0.4, 1.6), metal=0.4, low_hz=rng.uniform(250, 600), **length)
    return sounds.banging(rng, per_second=rng.uniform(0.4, 1.5), metal=1.0, low_hz=rng.uniform(1200, 2500), **length)


def _draw_swell(rng: np.random.Generator, dynamics: Dynamics, *, n_samples: int, sample_rate: int) -> Sound:
    """Draw the outbursts' gain, at least 1: (n_samples,)."""
    at = np.arange(n_samples // 400 + 2) * 400 / sample_rate  # seconds; 400 samples are 9 ms
    gain_db = np.zeros(len(at))
    for _ in range(max(1, rng.poisson(dynamics.per_second * at[-1]))):
        since = at - rng.uniform(-1.0, at[-1])
        rise = np.clip(1.0 + since / rng.uniform(*dynamics.attack_seconds), 0.0, 1.0)
        fall = np.exp(-np.maximum(since, 0.0) / rng.uniform(*dynamics.release_seconds))
        gain_db = np.maximum(gain_db, rng.uniform(*dynamics.depth_db) * rise**2 * fall)
    return np.asarray(10.0 ** (np.interp(np.arange(n_samples) / sample_rate, at, gain_db) / 20.0))


def _active_level(sound: Sound, sample_rate: int) -> float:
    """RMS while it sounds: the power of 50 ms frames, weighted by itself, so that pauses do not count."""
    frame = sample_rate // 20
    power = np.mean(sound[: len(sound) // frame * frame].reshape(-1, frame) ** 2, axis=1)
    return float(np.sqrt(np.sum(power**2) / (np.sum(power) + 1e-20)) + 1e-10)


def _room(rng: np.random.Generator, venue: Venue, sample_rate: int) -> Sound:
    """Draw a diffuse reverberation, darker as it dies away: (samples,)."""
    t = np.arange(int(min(venue.decay_seconds * 1.2, 2.5) * sample_rate)) / sample_rate
    bright = rng.standard_normal(len(t)) * np.exp(-6.9 * t / (0.4 * venue.decay_seconds))
    dark = (
        signal.lfilter([0.2], [1.0, -0.8], rng.standard_normal(len(t))) * 3.0 * np.exp(-6.9 * t / venue.decay_seconds)
    )
    tail = (bright + dark) * (t > 0.008)
    return np.asarray(tail * 10.0 ** (venue.reverb_db / 20.0) / np.sqrt(np.sum(tail**2)))


def _distance(rng: np.random.Generator, venue: Venue, sample_rate: int) -> Sound:
    """Draw the distant crowd as some 200 late copies of the near one: (samples,)."""
    copies = np.zeros(int(2.3 * sample_rate))
    np.add.at(copies, rng.integers(0, len(copies), size=200), rng.standard_normal(200))
    copies *= 10.0 ** (venue.distant_db / 20.0) / np.sqrt(np.sum(copies**2))
    return np.asarray(copies, dtype=np.float64)
