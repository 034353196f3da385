"""Sub-fingerprints of many clips -> pairs of clips with the offsets at which several of them agree in all 32 bits.

An inverted index by sorting: entries (sub-fingerprint, clip, frame) with equal sub-fingerprints lie side by side. Each
is paired with at most MOST_NEIGHBOURS that follow it, so time grows with the number of entries, not with its square; of
a set of more copies than that, each is paired with the next ones and the set hangs together as a chain. Entries and
votes wait on disk; memory holds some of either, whatever their number.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.duplicates.prints import Prints
from pipeline.errors import StoreError
from pipeline.store.scratch import Buckets

Ints = NDArray[np.int64]
Entries = NDArray[np.uint64]  # the sub-fingerprint, stirred, above the number of its frame among those of all clips
Votes = NDArray[np.void]

MOST_NEIGHBOURS = 32
MOST_REPEATS = 4  # entries of one clip with one sub-fingerprint: those of sound that repeats itself
LEAST_VOTES = 3
SLACK = 2  # frames: how far apart votes for one offset may lie
MOST_OFFSETS = 8  # of one pair of clips, those with most votes
ENTRIES_AT_ONCE = 2**17
VOTES_AT_ONCE = 2**14
PAIRED_AT_ONCE = 2**12  # entries, with MOST_NEIGHBOURS each
MOST_FRAMES = 2**32
_STIRRING = np.uint64(2_654_435_761)  # odd: no two sub-fingerprints become one; 2^32 by the golden ratio
_BUCKET_BITS = 16
_VOTE = np.dtype([("first", "<i4"), ("second", "<i4"), ("offset", "<i4"), ("count", "<i4")])
_SHIFT = np.int64(2**26)  # above twice the frames of the longest clip: 93 hours


@dataclass(frozen=True)
class Candidate:
    """Two clips, by their numbers, `first < second`, and offsets at which they may be the same sound.

    At offset d, frame n of the first clip is frame n - d of the second.
    """

    first: int
    second: int
    offsets: tuple[int, ...]  # those with most votes first


def find_candidates(
    prints: Prints,
    recordings: Ints,
    *,
    folder: Path | None = None,
    entries_at_once: int = ENTRIES_AT_ONCE,
    votes_at_once: int = VOTES_AT_ONCE,
) -> Iterator[Candidate]:
    """Give the pairs of clips worth a closer look, in their order.

    Parameters
    ----------
    prints
        Of all clips. What is found depends on their order only where one sub-fingerprint is in more than
        MOST_NEIGHBOURS clips.
    recordings
        A number per clip, (n_clips,): clips of one recording are no pair.
    folder
        Where entries and votes may lie meanwhile: 16 bytes a sub-fingerprint; None: where the system has such files.
    entries_at_once, votes_at_once
        Sorted at a time; no result depends on them.

    Raises
    ------
    StoreError
        If fingerprints cannot be read, there is no room, or the clips have MOST_FRAMES or more.
    """
    if prints.n_all >= MOST_FRAMES:
        raise StoreError(
            f"clips of {prints.n_all / 360_000:.0f} hours: {MOST_FRAMES // 360_000} can be searched for copies at a "
            "time: name fewer corpora"
        )
    n_clips = len(prints)
    with Buckets(folder, _VOTE, n_buckets=n_clips, bucket_of=lambda votes: votes["first"]) as votes:
        with Buckets(folder, np.uint64, n_buckets=2**_BUCKET_BITS, bucket_of=_bucket_of) as entries:
            for bits, frames in prints.entries():
                stirred = bits * _STIRRING << np.uint64(32)
                entries.add(stirred | frames.astype(np.uint64))
            for part in entries.parts(entries_at_once):
                for found in _votes(part, prints.starts, recordings):
                    votes.add(found)
        for part in votes.parts(votes_at_once):
            pair = part["first"].astype(np.int64) * n_clips + part["second"]
            tallied = _tally(pair, part["offset"].astype(np.int64), part["count"].astype(np.int64))
            yield from _strongest(*tallied, n_clips=n_clips)


def _bucket_of(entries: Entries) -> NDArray[np.uint16]:
    return (entries >> np.uint64(64 - _BUCKET_BITS)).astype(np.uint16)


def _votes(entries: Entries, starts: Ints, recordings: Ints) -> Iterator[Votes]:
    """Pair entries that agree: their votes, in pieces in which none is there twice."""
    key, clip, frame = _repeated(entries, starts)
    here = np.flatnonzero(key[1:] == key[:-1])
    for first in range(0, len(here), PAIRED_AT_ONCE):
        pairs, offsets = [], []
        some = here[first : first + PAIRED_AT_ONCE]
        for step in range(1, MOST_NEIGHBOURS + 1):
            some = some[some + step < len(key)]
            some = some[key[some] == key[some + step]]  # who has no such neighbour at one step has none at the next
            if not len(some):
                break
            is_pair = recordings[clip[some]] != recordings[clip[some + step]]
            a, b = some[is_pair], some[is_pair] + step
            pairs.append(clip[a] * len(starts) + clip[b])
            offsets.append(frame[a] - frame[b])
        pair, offset = np.concatenate(pairs), np.concatenate(offsets)
        pair, offset, count = _tally(pair, offset, np.ones(len(pair), np.int64))
        votes = np.empty(len(pair), _VOTE)
        votes["first"], votes["second"] = np.divmod(pair, len(starts))
        votes["offset"], votes["count"] = offset, count
        yield votes


def _repeated(entries: Entries, starts: Ints) -> tuple[NDArray[np.uint32], Ints, Ints]:
    """Sub-fingerprint, stirred, clip and frame (n,) of the entries that agree with another, by all three.

    Those that one clip has more than MOST_REPEATS times are left out from there on.
    """
    entries = np.sort(entries)
    key = (entries >> np.uint64(32)).astype(np.uint32)
    agrees = key[1:] == key[:-1]
    agreeing = np.flatnonzero(np.append(agrees, False) | np.insert(agrees, 0, False))
    key, place = key[agreeing], (entries[agreeing] & np.uint64(2**32 - 1)).astype(np.int64)
    clip = np.searchsorted(starts, place, "right") - 1
    repeated = np.zeros(len(key), dtype=bool)
    n = MOST_REPEATS
    repeated[n:] = (key[n:] == key[:-n]) & (clip[n:] == clip[:-n])
    key, clip, place = key[~repeated], clip[~repeated], place[~repeated]
    return key, clip, place - starts[clip]


def _tally(pair: Ints, offset: Ints, count: Ints) -> tuple[Ints, Ints, Ints]:
    """Sum the counts of equal pairs and offsets; sorted by both."""
    order = np.lexsort((offset, pair))
    pair, offset, count = pair[order], offset[order], count[order]
    is_new = np.ones(len(pair), dtype=bool)
    is_new[1:] = (pair[1:] != pair[:-1]) | (offset[1:] != offset[:-1])
    starts = np.flatnonzero(is_new)
    return pair[starts], offset[starts], np.add.reduceat(count, starts) if len(starts) else count


def _strongest(pair: Ints, offset: Ints, count: Ints, *, n_clips: int) -> Iterator[Candidate]:
    """Give each pair whose votes suffice, with its offsets; neighbours of an offset with more votes are left out."""
    _, number = np.unique(pair, return_inverse=True)
    place = number * _SHIFT + offset + _SHIFT // 2
    sums = np.concatenate([[0], np.cumsum(count)])
    votes = sums[np.searchsorted(place, place + SLACK, "right")] - sums[np.searchsorted(place, place - SLACK)]
    enough = np.flatnonzero(votes >= LEAST_VOTES)
    firsts = np.flatnonzero(np.diff(pair[enough], prepend=-1))
    for own in np.split(enough, firsts[1:]):
        if not len(own):
            continue
        chosen: list[int] = []
        for at in own[np.lexsort((offset[own], -count[own], -votes[own]))].tolist():
            if all(abs(int(offset[at]) - other) > 2 * SLACK for other in chosen):
                chosen.append(int(offset[at]))
            if len(chosen) == MOST_OFFSETS:
                break
        first, second = divmod(int(pair[own[0]]), n_clips)
        yield Candidate(first=first, second=second, offsets=tuple(chosen))
