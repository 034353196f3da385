"""Fingerprints and sound of all corpora -> the table of pairs of clips that are one recording, or share a part of one.

A pair is listened to at the offset at which its fingerprints agree: up to MOST_PIECES pieces of PIECE_SECONDS, spread
over the common stretch. Each is aligned to the sample, within MOST_LAG_SECONDS of where the fingerprints say, and
gives its correlation c and its periodicity p (`audio.alignment`). Of two recordings of one tone both are equal, so what
counts is how much the alignment explains beyond the tone, (c - p) / (1 - p), where 1 - p counts as LEAST_APERIODIC at
least. A pair's similarity is the mean correlation of the pieces, weighted with their active seconds. It is reported
where that is LEAST_CORRELATION or more, what is explained LEAST_EXPLAINED or more, and the active sound
LEAST_ACTIVE_SECONDS or more.

Where the threshold stands: in EMO-DB and RAVDESS, 0.8 s of different recordings (596 pairs of one sentence by one
speaker, 600 at random), laid over each other where they fit best within 0.2 s, correlate 0.44 at most. Of the copies
that were found of 113 files of EMO-DB, 20 of RAVDESS and 23 of crowds the least correlates 0.98 in mp3 at 64 kbit/s,
0.96 at 32 kbit/s, 0.92 as a second cut out, 0.75 with noise at -20 dB.
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.audio.alignment import Fit, fit
from pipeline.audio.fingerprint import HOP_SECONDS, SUPPORT_SECONDS
from pipeline.console import track
from pipeline.duplicates.fingerprints import check_fingerprints
from pipeline.duplicates.index import MOST_NEIGHBOURS, Candidate, find_candidates
from pipeline.duplicates.prints import PrintFile, Prints
from pipeline.duplicates.stretches import Stretch, common_stretch
from pipeline.errors import StoreError
from pipeline.parallel import in_order
from pipeline.store.arrays import SMALL_CACHE, digest_of, open_arrays, read_span
from pipeline.store.paths import DUPLICATES, clips_csv, clips_h5, fingerprints_h5
from pipeline.store.tables import Clip, Duplicate, each_row, write_rows

PIECE_SECONDS = 2.0
MOST_PIECES = 8
MOST_LAG_SECONDS = 0.04
LEAST_CORRELATION = 0.6
LEAST_EXPLAINED = 0.4
LEAST_APERIODIC = 0.05
LEAST_ACTIVE_SECONDS = 0.4


@dataclass(frozen=True, kw_only=True, slots=True)
class _Heard:
    """What is known of a clip here, and the dataset that holds its sound."""

    clip_id: str
    recording: int  # equal for clips of one recording
    pcm_sha256: str
    seconds: float
    n_samples: int
    offset: int  # of its first sample
    audio: Any


def match_clips(corpora: Sequence[str], *, n_workers: int) -> list[Duplicate]:
    """Find the pairs among the clips of some corpora and write their table.

    Raises
    ------
    StoreError
        If fingerprints are missing or not of these clips, or the corpora's sound is at different rates.
    """
    with contextlib.ExitStack() as files:
        heard, prints, sample_rate = _open_all(corpora, files)
        near = _near_pairs(heard, prints, sample_rate=sample_rate, n_workers=n_workers)
        rows = sorted([*_exact_pairs(heard), *near], key=lambda row: (row.clip_id, row.other_id))
    write_rows(DUPLICATES, Duplicate, rows)
    return rows


def _open_all(corpora: Sequence[str], files: contextlib.ExitStack) -> tuple[list[_Heard], Prints, int]:
    """Clips of all corpora, sorted by their names, the fingerprints by their places there, and the sound's rate, Hz."""
    heard: list[_Heard] = []
    opened, ends, rates = [], [], {}
    numbers: dict[tuple[str, str], int] = {}
    for corpus in corpora:
        sound = files.enter_context(open_arrays(clips_h5(corpus)))
        own = [_heard(clip, sound["audio"], numbers) for clip in each_row(clips_csv(corpus), Clip)]
        file = files.enter_context(open_arrays(fingerprints_h5(corpus), cache_bytes=SMALL_CACHE))
        n_frames, rates[corpus] = check_fingerprints(
            file, corpus, [one.clip_id for one in own], sound_sha256=digest_of(sound, "audio")
        )
        heard += own
        opened.append((file, n_frames))
        ends.append(len(heard))
    _refuse_unequal_rates(rates)
    order = sorted(range(len(heard)), key=lambda place: heard[place].clip_id)
    parts = np.split(np.argsort(order), ends[:-1])
    prints = Prints(
        [
            PrintFile(file["bits"], file["informative"], n_frames, own)
            for (file, n_frames), own in zip(opened, parts, strict=True)
        ]
    )
    return [heard[place] for place in order], prints, next(iter(rates.values()))


def _heard(clip: Clip, audio: Any, numbers: dict[tuple[str, str], int]) -> _Heard:
    return _Heard(
        clip_id=clip.clip_id,
        recording=numbers.setdefault((clip.corpus, clip.path), len(numbers)),
        pcm_sha256=clip.pcm_sha256,
        seconds=clip.seconds,
        n_samples=clip.n_samples,
        offset=clip.offset,
        audio=audio,
    )


def _refuse_unequal_rates(rates: Mapping[str, int]) -> None:
    if len(set(rates.values())) > 1:
        named = ", ".join(f"{fingerprints_h5(corpus)} of sound at {rate} Hz" for corpus, rate in rates.items())
        raise StoreError(f"{named}: needed one rate: run `dvc repro`")


def _exact_pairs(clips: Sequence[_Heard]) -> Iterator[Duplicate]:
    """Pairs of clips with equal sound, but not of one recording; each with at most MOST_NEIGHBOURS that follow."""
    same = defaultdict(list)
    for clip in clips:
        if clip.pcm_sha256:
            same[clip.pcm_sha256].append(clip)
    for group in same.values():
        for place, clip in enumerate(group):
            for other in group[place + 1 : place + 1 + MOST_NEIGHBOURS]:
                if clip.recording != other.recording:
                    yield _row(clip, other, kind="exact", offset=0.0, seconds=clip.seconds, similarity=1.0)


def _near_pairs(heard: Sequence[_Heard], prints: Prints, *, sample_rate: int, n_workers: int) -> Iterator[Duplicate]:
    """Pairs of clips, sorted by their names, whose sound is alike but not equal."""
    recordings = np.array([one.recording for one in heard], dtype=np.int64)
    found = [
        candidate
        for candidate in find_candidates(prints, recordings, folder=DUPLICATES.parent)
        if not _is_equal(heard[candidate.first], heard[candidate.second])
    ]
    jobs = ((heard[one.first], heard[one.second], prints, one, sample_rate) for one in found)
    results = in_order(_listen, jobs, n_workers=n_workers)
    for row in track(results, label="match clips", total=len(found), unit="pairs"):
        if row is not None:
            yield row


def _is_equal(clip: _Heard, other: _Heard) -> bool:
    return bool(clip.pcm_sha256) and clip.pcm_sha256 == other.pcm_sha256


def _listen(first: _Heard, second: _Heard, prints: Prints, candidate: Candidate, sample_rate: int) -> Duplicate | None:
    """Check the offsets of a candidate, that of the longest stretch first; give the first that proves right."""
    both = prints.of(candidate.first), prints.of(candidate.second)
    found = (common_stretch(*both, offset) for offset in candidate.offsets)
    stretches = sorted((one for one in found if one is not None), key=lambda one: -one.n_frames)
    for stretch in stretches:
        fits = _fits(first, second, stretch, sample_rate=sample_rate)
        weights = np.array([one.active_seconds for one in fits])
        if weights.sum() < LEAST_ACTIVE_SECONDS:
            continue
        weights /= weights.sum()
        correlation = float(weights @ [one.correlation for one in fits])
        periodicity = float(weights @ [one.periodicity for one in fits])
        explained = (correlation - periodicity) / max(1 - periodicity, LEAST_APERIODIC)
        if correlation >= LEAST_CORRELATION and explained >= LEAST_EXPLAINED:
            lag = float(np.median([one.lag_seconds for one in fits]))
            return _row(
                first,
                second,
                kind="near",
                offset=stretch.offset * HOP_SECONDS - lag,
                seconds=_seconds(stretch.start, stretch.end - 1),
                similarity=correlation,
            )
    return None


def _fits(first: _Heard, second: _Heard, stretch: Stretch, *, sample_rate: int) -> list[Fit]:
    """Compare pieces of a stretch, spread evenly over its informative frames."""
    n_pieces = min(MOST_PIECES, max(1, round(_seconds(stretch.start, stretch.end - 1) / PIECE_SECONDS)))
    shift = round(stretch.offset * HOP_SECONDS * sample_rate)
    fits = []
    for frames in np.array_split(stretch.agreeing, n_pieces):
        begin = float(frames[0]) * HOP_SECONDS
        end = begin + min(PIECE_SECONDS, _seconds(frames[0], frames[-1]))
        # Frames are counted at another rate: their last sample may be one that the clip does not have.
        start = max(round(begin * sample_rate), shift)
        stop = min(round(end * sample_rate), first.n_samples, second.n_samples + shift)
        a = read_span(first.audio, first.offset + start, first.offset + stop)
        b = read_span(second.audio, second.offset + start - shift, second.offset + stop - shift)
        fits.append(fit(a, b, sample_rate=sample_rate, most_lag_seconds=MOST_LAG_SECONDS))
    return fits


def _seconds(first_frame: int, last_frame: int) -> float:
    """Length of the sound behind some frames."""
    return float(last_frame - first_frame) * HOP_SECONDS + SUPPORT_SECONDS


def _row(clip: _Heard, other: _Heard, *, kind: str, offset: float, seconds: float, similarity: float) -> Duplicate:
    return Duplicate(
        clip_id=clip.clip_id,
        other_id=other.clip_id,
        kind=kind,
        offset_seconds=round(offset, 4) + 0.0,
        seconds=round(min(seconds, clip.seconds, other.seconds), 4),
        similarity=round(similarity, 4),
    )
