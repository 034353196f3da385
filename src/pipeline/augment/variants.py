"""Variants of a clip: variant 0 is the recording, the others are altered sound."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.augment.sound import COLOURS, Sound, add_noise, change_gain, shift_and_scale
from pipeline.errors import ParamsError

# Lowest and highest values of each field; beyond them little is left of a voice.
RANGES = {
    "semitones": (-12.0, 12.0),
    "time_factor": (0.5, 2.0),
    "noise_snr_db": (-20.0, 100.0),
    "gain_db": (-60.0, 60.0),
}


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way of altering a clip.

    Attributes
    ----------
    number
        As in the table of blocks; 0 is the recording itself, which alters nothing.
    semitones
        Shift of pitch, -12 to 12.
    time_factor
        Duration of the altered clip over that of the recording, 0.5 to 2.
    noise_snr_db
        Signal-to-noise ratio of added noise, dB, -20 to 100; None: no noise.
    noise_colour
        white or pink.
    gain_db
        -60 to 60.
    """

    number: int
    semitones: float = 0.0
    time_factor: float = 1.0
    noise_snr_db: float | None = None
    noise_colour: str = "white"
    gain_db: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values out of range, and a variant that alters nothing beside the recording.

        Raises
        ------
        ParamsError
            If one is.
        """
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if value is None and name == "noise_snr_db":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise ParamsError(f"variant {self.number}: {name} is {value!r}: give {low:g} to {high:g}")
        if self.noise_colour not in COLOURS:
            raise ParamsError(
                f"variant {self.number}: noise_colour is {self.noise_colour!r}: give {' or '.join(COLOURS)}"
            )
        if self.number < 0 or (self.number == 0) != self.alters_nothing:
            rule = "0 is the recording, numbers above 0 alter it"
            raise ParamsError(f"variant {self.number} alters {'nothing' if self.alters_nothing else 'sound'}: {rule}")

    @property
    def alters_nothing(self) -> bool:
        """Whether the altered sound is the recording."""
        return self.semitones == 0 and self.time_factor == 1 and self.noise_snr_db is None and self.gain_db == 0


RECORDING = Variant(number=0)


def nine_variants(*, semitones: float = 2.0, time_factor: float = 1.1) -> tuple[Variant, ...]:
    """The recording and eight variants: three pitches at three speeds.

    Anand & Verma 2015 augment "9X with pitch shifts and time scaling" and state neither steps, nor whether the two
    are combined, nor whether the recordings are among the nine. Here nine is three by three with the recordings, so
    that the training side grows to nine times its blocks (but for those that time scaling adds or takes). The shift is
    one of those of Salamon & Bello 2017 (doi:10.1109/LSP.2017.2657381): beyond two semitones a voice seems another's;
    the change of speed is as large as that shift, nearly.

    Parameters
    ----------
    semitones
        How far up and down.
    time_factor
        How much longer and, by its reciprocal, shorter.

    Returns
    -------
    Variants 0 to 8: of each pitch (kept, down, up) each duration (kept, shorter, longer).
    """
    pitches, durations = (0.0, -semitones, semitones), (1.0, 1 / time_factor, time_factor)
    pairs = [(pitch, duration) for pitch in pitches for duration in durations]
    return tuple(Variant(number=i, semitones=pitch, time_factor=duration) for i, (pitch, duration) in enumerate(pairs))


def listed_variants(entries: Sequence[Mapping[str, Any]]) -> tuple[Variant, ...]:
    """The recording and, numbered from 1 in their order, variants whose fields are given by name.

    Raises
    ------
    ParamsError
        If an entry has an unknown field or a value out of range, alters nothing, or is there twice.
    """
    known = [item.name for item in dataclasses.fields(Variant) if item.name != "number"]
    variants = [RECORDING]
    for number, entry in enumerate(entries, start=1):
        if unknown := [name for name in entry if name not in known]:
            raise ParamsError(f"variant {number}: no field {unknown[0]!r}: there are {', '.join(known)}")
        variant = Variant(number=number, **entry)
        for earlier in variants[1:]:
            if dataclasses.replace(earlier, number=number) == variant:
                raise ParamsError(f"variants {earlier.number} and {number} are the same: leave one out")
        variants.append(variant)
    return tuple(variants)


def chosen_variants(choice: str | Sequence[Mapping[str, Any]]) -> tuple[Variant, ...]:
    """The recording and the variants that `augment.sound` names: none, nine, or a list as `listed_variants` takes it.

    Raises
    ------
    ParamsError
        As `listed_variants` says, and for another name.
    """
    if isinstance(choice, str):
        if choice not in ("none", "nine"):
            raise ParamsError(f"augment.sound: {choice!r} is neither none nor nine nor a list of variants")
        return (RECORDING,) if choice == "none" else nine_variants()
    return listed_variants(choice)


def variant_rng(seed: int, clip_id: str, variant: Variant) -> np.random.Generator:
    """Give the random numbers of one variant of one clip: whatever other clips and variants there are, the same."""
    name = hashlib.sha256(clip_id.encode("utf-8", errors="surrogateescape")).digest()
    return np.random.default_rng([seed, variant.number, *np.frombuffer(name, dtype="<u4").tolist()])


def altered_samples(n_samples: int, variant: Variant) -> int:
    """How long `alter` makes a clip, in samples."""
    return max(round(n_samples * variant.time_factor), 1)


def alter(sound: Sound, variant: Variant, *, sample_rate: int, rng: np.random.Generator) -> Sound:
    """Alter the whole sound of a clip: pitch and duration, then noise, then gain.

    Noise comes after pitch and duration, so that its spectrum is as it was drawn, and before gain, so that gain leaves
    the signal-to-noise ratio alone.

    Parameters
    ----------
    sound
        Samples (n,).
    rng
        Used for noise only.

    Returns
    -------
    Samples (`altered_samples(n, variant)`,); the very samples given where the variant alters nothing.

    Raises
    ------
    AudioError
        If the sound is none of one channel, empty or not finite.
    """
    if variant.semitones or variant.time_factor != 1:
        sound = shift_and_scale(
            sound, semitones=variant.semitones, time_factor=variant.time_factor, sample_rate=sample_rate
        )
    if variant.noise_snr_db is not None:
        sound = add_noise(sound, snr_db=variant.noise_snr_db, colour=variant.noise_colour, rng=rng)
    return change_gain(sound, gain_db=variant.gain_db) if variant.gain_db else sound
