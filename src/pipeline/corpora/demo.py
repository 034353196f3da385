"""The demo corpus: crowd-like sound, synthesised from a seed, in three emotions.

What: recordings of crowds that never were. Joy is cheering (high, gliding voices, swells, applause, whistles), anger
is rioting (low, hoarse voices, booing, abrupt outbursts, irregular bangs), neutral is the murmur of a crowd that waits
or talks. Every class holds something of every other: the difference lies in proportion, pitch and dynamics.
Source: this module. Licence: CC0-1.0.
Names: LABEL/EVENT_TAKE.EXT. An event has its own room, people and chant, so its takes resemble each other: a split
that asks how well strange events are recognised groups by `event`.

How a file was recorded (loudness, length, rate, channels, bandwidth, spectral tilt, noise floor, format) is drawn from
one table for every class, evenly within a small class, and imposed on the finished sound: it tells nothing of the
label.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import numpy as np
import soundfile
from numpy.typing import NDArray

from pipeline.corpora.crowd_recording import record, set_loudness
from pipeline.corpora.crowd_scene import MIX_DB, draw_venue, mix_crowd
from pipeline.errors import CorpusError, StoreError
from pipeline.parallel import in_order

LICENCE = "CC0-1.0"
SOURCE = "emospec synthesize_demo"  # in every row of clips.csv: by it the folder's own files are known again
COLUMNS = (
    "path", "label", "event", "licence", "source", "encoding", "drawn_seconds", "drawn_rate", "drawn_channels",
    "drawn_lufs", "drawn_bandwidth_hz", "drawn_tilt_db_per_octave", "drawn_noise_db",
)  # fmt: skip
DEMO_CLIPS: Mapping[str, int] = MappingProxyType({"joy": 9, "anger": 6, "neutral": 3})

EVENT_KINDS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "joy": ("match", "concert", "parade"),
        "anger": ("riot", "protest", "derby"),
        "neutral": ("foyer", "cafe", "station"),
    }
)
_STRATIFIED = 9  # clips of a class
_TAKES = 3  # of each event, before the next three events begin

# The nuisances: one table for every class.
LUFS = (-36.0, -20.0)
TILT_DB_PER_OCTAVE = (-3.2, -1.8)
NOISE_DB = (-70.0, -45.0)  # against the clip's own level
SAMPLE_RATES = (44100, 48000)
CHANNELS = (1, 2)
BANDWIDTHS_HZ = (16000, 18000, 20000, 22050)  # the last is all that a 44.1 kHz file holds: no low-pass
ENCODINGS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"wav16": ("WAV", "PCM_16"), "wav24": ("WAV", "PCM_24"), "flac16": ("FLAC", "PCM_16"), "flac24": ("FLAC", "PCM_24")}
)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One clip: what it shows and how it was recorded."""

    label: str
    take: int  # counts the clips of the label from 0
    event: str
    path: str  # in the corpus folder, posix
    n_samples: int
    sample_rate: int  # Hz
    channels: int
    target_lufs: float
    bandwidth_hz: int
    tilt_db_per_octave: float
    noise_db: float
    encoding: str

    @property
    def seconds(self) -> float:
        """Length of the clip."""
        return self.n_samples / self.sample_rate


def synthesize_demo(
    folder: Path,
    *,
    seed: int,
    clips: Mapping[str, int] = DEMO_CLIPS,
    min_seconds: float,
    max_seconds: float,
    n_workers: int = 1,
) -> Path:
    """
    Write the demo corpus: audio files under folder/LABEL and folder/clips.csv.

    The files are made beside the folder and put in its place when complete; what an earlier call wrote there is
    removed first. The same seed, counts and lengths give the same bytes.

    Parameters
    ----------
    folder
        Where the corpus will lie.
    seed
        Not negative.
    clips
        Number of clips of each label.
    min_seconds, max_seconds
        Range of the clips' lengths.
    n_workers
        Processes; no byte depends on it.

    Returns
    -------
    Path
        The table, folder/clips.csv.

    Raises
    ------
    CorpusError
        If the folder holds a file that this function did not write, or a label or length cannot be synthesised.
    """
    conditions = draw_conditions(clips, seed=seed, min_seconds=min_seconds, max_seconds=max_seconds)
    _own_files(folder)  # refuse before the work, not after it
    _remove_leftovers(folder)
    making, before = (folder.with_name(f".{folder.name}.{name}-{os.getpid()}") for name in ("making", "before"))
    try:
        making.mkdir(parents=True)
        jobs = ((making / condition.path, condition, seed) for condition in conditions)
        workers = min(n_workers, len(conditions))
        for _ in in_order(_write_clip, jobs, n_workers=workers, in_processes=True, name=_name):
            pass
        _write_table(making / "clips.csv", conditions)
        if folder.exists():
            folder.rename(before)
        making.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
        shutil.rmtree(before, ignore_errors=True)
    return folder / "clips.csv"


def _remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left beside the folder."""
    for name in ("making", "before"):
        for path in folder.parent.glob(f".{folder.name}.{name}-*"):
            shutil.rmtree(path, ignore_errors=True)


def draw_conditions(clips: Mapping[str, int], *, seed: int, min_seconds: float, max_seconds: float) -> list[Condition]:
    """
    Draw what every clip shows and how it was recorded, rendering nothing.

    In a small class each nuisance is stratified (a Latin hypercube): of n clips, one lies in each n-th of the range,
    so that at 9, 6 and 3 clips no class happens to be the loud one. From the tenth on a clip draws freely: perfectly
    balanced large classes would be told apart worse than by chance, since what a fold lacks, the others have too much.

    Parameters
    ----------
    clips
        Number of clips of each label.
    seed, min_seconds, max_seconds
        As for `synthesize_demo`.

    Returns
    -------
    list of Condition
        Label by label, in the order given.

    Raises
    ------
    CorpusError
        If a label is not one of the demo's, a count is below 1, or the lengths are not 0.5 s or more and in order.
    """
    unknown = [label for label in clips if label not in MIX_DB]
    if unknown:
        raise CorpusError(f"demo: no label {unknown[0]!r}, only {', '.join(MIX_DB)}: correct demo in params.yaml")
    if not clips or min(clips.values()) < 1:
        raise CorpusError(f"demo: every label needs 1 clip or more, not {dict(clips)}: raise the counts")
    if not 0.5 <= min_seconds <= max_seconds:
        raise CorpusError(
            f"demo: clips of {min_seconds} to {max_seconds} s: demo.min_seconds must be at least 0.5 (loudness needs"
            " that much) and not above demo.max_seconds"
        )
    return [
        condition
        for label, count in clips.items()
        for condition in _draw_class(label, count, seed=seed, seconds=(min_seconds, max_seconds))
    ]


def _draw_class(label: str, count: int, *, seed: int, seconds: tuple[float, float]) -> Iterator[Condition]:
    rng = _generator(seed, 0, label, 0)
    few = min(count, _STRATIFIED)
    shares = (np.argsort(rng.uniform(size=(8, few)), axis=1) + rng.uniform(size=(8, few))) / few
    shares = np.concatenate([shares, rng.uniform(size=(count - few, 8)).T], axis=1)  # (nuisances, clips)

    def between(share: float, span: tuple[float, float]) -> float:
        return round(span[0] + share * (span[1] - span[0]), 2)

    for take, share in enumerate(shares.T.tolist()):
        event = f"{EVENT_KINDS[label][take % 3]}_{take // (3 * _TAKES) + 1}"
        rate = SAMPLE_RATES[int(share[1] * len(SAMPLE_RATES))]
        encoding = list(ENCODINGS)[int(share[6] * len(ENCODINGS))]
        name = f"{event}_{take // 3 % _TAKES + 1}.{ENCODINGS[encoding][0].lower()}"
        yield Condition(
            label=label,
            take=take,
            event=event,
            path=str(PurePosixPath(label, name)),
            n_samples=round((seconds[0] + share[0] * (seconds[1] - seconds[0])) * rate),
            sample_rate=rate,
            channels=CHANNELS[int(share[2] * len(CHANNELS))],
            target_lufs=between(share[3], LUFS),
            bandwidth_hz=BANDWIDTHS_HZ[int(share[4] * len(BANDWIDTHS_HZ))],
            tilt_db_per_octave=between(share[5], TILT_DB_PER_OCTAVE),
            noise_db=between(share[7], NOISE_DB),
            encoding=encoding,
        )


def render_clip(condition: Condition, *, seed: int) -> NDArray[np.float64]:
    """
    Synthesise one clip under its condition.

    The generator is the clip's own, by label and take, and the event's by label and event: no clip depends on which
    others are made.

    Parameters
    ----------
    condition
        What to render.
    seed
        The corpus's.

    Returns
    -------
    NDArray
        Shape (n_samples, channels), within -1 and 1, at the condition's loudness.
    """
    kind, number = EVENT_KINDS[condition.label].index(condition.event.split("_")[0]), condition.take // (3 * _TAKES)
    label = condition.label
    venue = draw_venue(_generator(seed, 1, label, 3 * number + kind), label=label)
    rng = _generator(seed, 2, label, condition.take)
    rate = condition.sample_rate
    sound = mix_crowd(
        rng, label=label, venue=venue, n_samples=condition.n_samples, channels=condition.channels, sample_rate=rate
    )
    sound = record(
        rng,
        sound,
        sample_rate=rate,
        tilt_db_per_octave=condition.tilt_db_per_octave,
        noise_db=condition.noise_db,
        bandwidth_hz=None if condition.bandwidth_hz == max(BANDWIDTHS_HZ) else condition.bandwidth_hz,
    )
    return set_loudness(sound, sample_rate=rate, target_lufs=condition.target_lufs)


def _generator(seed: int, purpose: int, label: str, number: int) -> np.random.Generator:
    key = (purpose, list(MIX_DB).index(label), number)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _name(_: Path, condition: Condition, __: int) -> str:
    return condition.path


def _write_clip(path: Path, condition: Condition, seed: int) -> None:
    path.parent.mkdir(exist_ok=True)  # another process may have made it
    container, subtype = ENCODINGS[condition.encoding]
    sound = render_clip(condition, seed=seed)
    try:
        soundfile.write(path, sound, condition.sample_rate, subtype=subtype, format=container)
    except (OSError, soundfile.LibsndfileError) as error:
        raise StoreError(f"{path}: cannot be written ({_reason(path, error)}); what was there is unchanged") from None


def _reason(path: Path, error: Exception) -> str:
    """What libsndfile calls a system error, by trying to write as much without it."""
    try:
        with path.with_suffix(".probe").open("wb") as file:
            file.write(bytes(2**20))
    except OSError as found:
        return found.strerror or str(found)
    return " ".join(str(error).split())


def _write_table(path: Path, conditions: list[Condition]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for c in conditions:
            known = (c.path, c.label, c.event, LICENCE, SOURCE, c.encoding, f"{c.seconds:.3f}", c.sample_rate)
            table.writerow((*known, c.channels, c.target_lufs, c.bandwidth_hz, c.tilt_db_per_octave, c.noise_db))


def _own_files(folder: Path) -> list[Path]:
    """List the files of a demo that lies in the folder, the table last; refuse any other file."""
    if not folder.exists():
        return []
    table = folder / "clips.csv"
    own: list[Path] = []
    if table.is_file():
        with table.open(newline="", encoding="utf-8", errors="replace") as file:
            rows = list(csv.DictReader(file))
        if all(row.get("source") == SOURCE and _is_own_path(row.get("path") or "") for row in rows):
            own = [*(folder / row["path"] for row in rows), table]
    surplus = sorted(path for path in folder.rglob("*") if not path.is_dir() and path not in own)
    if surplus:
        raise CorpusError(
            f"{surplus[0]} was not made by synthesize_demo ({len(surplus)} such in {folder}), and it would be deleted:"
            " move it away, or choose another folder"
        )
    return [path for path in own if path.exists()]


def _is_own_path(path: str) -> bool:
    """Tell whether a path from a table is one that `draw_conditions` gives: LABEL/NAME, and nowhere else."""
    parts = PurePosixPath(path).parts
    return len(parts) == 2 and parts[0] in EVENT_KINDS and parts[1].startswith(EVENT_KINDS[parts[0]])
