"""Recordings of one corpus -> clips.h5, clips.csv, rejected.csv, noted.csv, missing.csv: used or rejected by name."""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from pipeline.audio.facts import bandwidth_hz, floor_db
from pipeline.audio.readers import Readers
from pipeline.audio.reading import Sound
from pipeline.console import say, track
from pipeline.corpora import Listing, Recording, describe_missing, refuse_missing
from pipeline.errors import AudioError, CorpusError
from pipeline.parallel import in_order
from pipeline.store.arrays import SOUND_CHUNK, ArrayWriter, new_arrays
from pipeline.store.paths import clips_csv, clips_folder, clips_h5, missing_csv, noted_csv, rejected_csv
from pipeline.store.tables import Clip, Missing, Noted, Rejected, write_rows

Facts = tuple[float, float]  # bandwidth (Hz) and floor (dB re full scale)


def collect_clips(
    corpus: str,
    folder: Path,
    listing: Listing,
    *,
    sample_rate: int,
    max_seconds: float,
    n_workers: int,
    missing: Literal["warn", "error"] = "warn",
) -> tuple[list[Clip], list[Rejected]]:
    """Read every recording, check it, and write the canonical copy of the corpus.

    The same sound under two labels is rejected under both: nobody here knows which is right. What was already written
    of it stays in clips.h5, where no clip refers to it.

    Parameters
    ----------
    listing
        What lies in the folder; clips are stored in the order of its recordings, its surplus is recorded as rejected.
    sample_rate
        Of the stored sound, Hz.
    missing
        What to do where the folder lacks files of the publisher's list: say so, or stop before any sound is read.

    Raises
    ------
    CorpusError
        If no recording is usable, two have the same name, or files are missing that must not be.
    """
    if missing == "error":
        refuse_missing(corpus, listing)
    elif lack := describe_missing(corpus, listing):
        say(f"warning: {lack}")
    clips: list[Clip] = []
    noted: dict[Noted, None] = {}  # events of one recording share its notes
    recordings = listing.recordings
    rejected = [Rejected(path=path, label="", reason=reason) for path, reason in sorted(listing.surplus.items())]
    held = clips_folder(corpus)  # what is too long for memory lies where it is to go
    with Readers() as readers, new_arrays(clips_h5(corpus)) as arrays:
        jobs = ((readers, folder, recording, sample_rate, max_seconds, held) for recording in recordings)
        results = in_order(_read, jobs, n_workers=n_workers)
        arrays.create("audio", row_shape=(), dtype="<f4", rows_in_chunk=SOUND_CHUNK)
        audio = _Audio(arrays)
        progress = track(results, label=f"collect {corpus}", total=len(recordings), unit="clips")
        for recording, result in zip(recordings, progress, strict=True):
            if isinstance(result, str):
                rejected.append(Rejected(path=recording.path, label=recording.label, reason=result))
                continue
            sound, facts = result
            noted.update(dict.fromkeys(Noted(path=recording.path, note=note) for note in sound.notes))
            clips.append(_clip(corpus, recording, sound, facts, audio.n_samples, sample_rate))
            with contextlib.closing(sound.pieces):
                for piece in sound.pieces:
                    audio.append(piece)
        audio.write(audio.n_held)
        clips, conflicts = _part_conflicts(clips)
        rejected += conflicts
        _refuse(corpus, folder, clips, rejected)
        arrays.finish({"sample_rate": sample_rate})
    write_rows(clips_csv(corpus), Clip, clips)
    write_rows(rejected_csv(corpus), Rejected, rejected)
    write_rows(noted_csv(corpus), Noted, noted)
    if noted:
        n_files = len({note.path for note in noted})
        say(f"note: {corpus}: remarks on {n_files} of the files that are used: {noted_csv(corpus)}")
    write_rows(missing_csv(corpus), Missing, (Missing(path=path) for path in listing.missing))
    return clips, rejected


class _Audio:
    """The sound of all clips, written by whole chunks: HDF5 would write a chunk anew for every clip that ends in it."""

    def __init__(self, arrays: ArrayWriter) -> None:
        self._arrays = arrays
        self._held: list[np.ndarray] = []
        self.n_held = self.n_samples = 0

    def append(self, samples: np.ndarray) -> None:
        self._held.append(samples)
        self.n_held += len(samples)
        self.n_samples += len(samples)
        if self.n_held >= SOUND_CHUNK:
            self.write(self.n_held // SOUND_CHUNK * SOUND_CHUNK)

    def write(self, n: int) -> None:
        """Write the first `n` of the samples that are held."""
        held = np.concatenate([np.zeros(0, np.float32), *self._held])
        self._arrays.append("audio", held[:n])
        self._held, self.n_held = [held[n:].copy()], len(held) - n


def _read(
    readers: Readers, folder: Path, recording: Recording, sample_rate: int, max_seconds: float, held: Path
) -> tuple[Sound, Facts] | str:
    """Read one recording; what is wrong with it comes back as a text, so that the rest goes on."""
    try:
        sound = readers.read_sound(
            folder / recording.path,
            sample_rate=sample_rate,
            start_seconds=recording.start_seconds,
            end_seconds=recording.end_seconds,
            max_seconds=max_seconds,
            folder=held,
        )
    except AudioError as error:
        return str(error)
    facts = (
        round(bandwidth_hz(sound.pieces, sample_rate=sample_rate), 1),
        round(floor_db(sound.pieces, sample_rate=sample_rate), 3),
    )
    return sound, facts


def _clip(corpus: str, recording: Recording, sound: Sound, facts: Facts, offset: int, sample_rate: int) -> Clip:
    return Clip(
        clip_id=clip_id_of(corpus, recording),
        path=recording.path,
        label=recording.label,
        corpus=corpus,
        offset=offset,
        n_samples=len(sound.pieces),
        seconds=round(len(sound.pieces) / sample_rate, 6),
        start_seconds=recording.start_seconds or 0.0,
        pcm_sha256=sound.pcm_sha256,
        source_rate=sound.source_rate,
        bandwidth_hz=facts[0],
        floor_db=facts[1],
        channels=sound.channels,
        licence=recording.licence,
        fields={name: text for name, text in recording.fields.items() if text},
    )


def clip_id_of(corpus: str, recording: Recording) -> str:
    """The name of a clip: its corpus, its path, and for an event its times."""
    return f"{corpus}/{recording.path}{_event(recording.start_seconds, recording.end_seconds)}"


def _event(start: float | None, end: float | None) -> str:
    """Name an event within a recording, to the last digit of its times; empty for whole recordings."""
    if start is None and end is None:
        return ""
    first, last = (repr(float(time)).removesuffix(".0") if time else "" for time in (start, end))
    return f"#t={first or 0},{last}"


def _refuse(corpus: str, folder: Path, clips: Sequence[Clip], rejected: Sequence[Rejected]) -> None:
    if not clips:
        listed = [one for one in rejected if one.label] or rejected  # rather than what lies beside them
        first = f"; the first: {listed[0].path}: {listed[0].reason}" if listed else ""
        raise CorpusError(f"{folder}: none of its {len(listed)} recordings can be used{first}")
    n_of_name = Counter(clip.clip_id for clip in clips)
    if double := [clip_id for clip_id, n in n_of_name.items() if n > 1]:
        raise CorpusError(f"corpus {corpus}: {double[0]} is there {n_of_name[double[0]]} times: keep one of them")


def _part_conflicts(clips: Sequence[Clip]) -> tuple[list[Clip], list[Rejected]]:
    """Split the clips into those to keep, and those whose exact sound is also there under another label."""
    by_sound = defaultdict(list)
    for clip in clips:
        by_sound[clip.pcm_sha256].append(clip)
    kept, conflicts = [], []
    for clip in clips:
        other = next((one for one in by_sound[clip.pcm_sha256] if one.label != clip.label), None)
        if other is None:
            kept.append(clip)
            continue
        name = other.clip_id.removeprefix(f"{other.corpus}/")
        reason = f"the same sound as {name}, which is labelled {other.label}: keep the one whose label is right"
        conflicts.append(Rejected(path=clip.path, label=clip.label, reason=reason))
    return kept, conflicts
