"""Sub-fingerprints of many clips -> pairs of clips with the offsets at which several of them agree in all 32 bits.

An inverted index by sorting: entries (sub-fingerprint, clip, frame) with equal sub-fingerprints lie side by side. Each
is paired with at most MOST_NEIGHBOURS that follow it, so time and memory grow with the number of entries, not with its
square; of a set of more copies than that, each is paired with the next ones and the set hangs together as a chain.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.audio.fingerprint import Fingerprint

Ints = NDArray[np.int64]

MOST_NEIGHBOURS = 32
MOST_REPEATS = 4  # entries of one clip with one sub-fingerprint: those of sound that repeats itself
LEAST_VOTES = 3
SLACK = 2  # frames: how far apart votes for one offset may lie
MOST_OFFSETS = 8  # of one pair of clips, those with most votes
ENTRIES_AT_ONCE = 2**18
_SHIFT = np.int64(2**26)  # above twice the frames of the longest clip: 93 hours


@dataclass(frozen=True)
class Candidate:
    """Two clips, by their places in the list, `first < second`, and offsets at which they may be the same sound.

    At offset d, frame n of the first clip is frame n - d of the second.
    """

    first: int
    second: int
    offsets: tuple[int, ...]  # those with most votes first


def find_candidates(
    prints: Sequence[Fingerprint], recordings: Ints, *, entries_at_once: int = ENTRIES_AT_ONCE
) -> Iterator[Candidate]:
    """Give the pairs of clips worth a closer look, in their order.

    Parameters
    ----------
    prints
        Of all clips. What is found depends on their order only where one sub-fingerprint is in more than
        MOST_NEIGHBOURS clips.
    recordings
        A number per clip, (n_clips,): clips of one recording are no pair.
    entries_at_once
        Sorted and paired at a time; no result depends on it.
    """
    key, clip, frame = _entries(prints)
    n_parts = max(1, -(-len(key) // entries_at_once))
    votes = []
    for part in range(n_parts):
        own = key % np.uint32(n_parts) == part if n_parts > 1 else slice(None)
        votes.append(_votes(key[own], clip[own], frame[own], recordings))
    pair, offset, count = _tally(*(np.concatenate(column) for column in zip(*votes, strict=True)))
    yield from _strongest(pair, offset, count, n_clips=len(prints))


def _entries(prints: Sequence[Fingerprint]) -> tuple[NDArray[np.uint32], NDArray[np.int32], NDArray[np.int32]]:
    """Sub-fingerprint, clip and frame of each entry, (n,) each, by clip and frame."""
    frames = []
    for own in prints:
        chosen = own.informative.copy()
        chosen[1:] &= ~own.informative[:-1] | (own.bits[1:] != own.bits[:-1])  # of a run the first
        frames.append(np.flatnonzero(chosen).astype(np.int32))
    keys = [own.bits[frame] for own, frame in zip(prints, frames, strict=True)]
    key = np.concatenate([np.zeros(0, np.uint32), *keys])
    del keys  # there are as many entries as frames of all sound: no more copies than needed
    clip = np.repeat(np.arange(len(prints), dtype=np.int32), [len(frame) for frame in frames])
    return key, clip, np.concatenate([np.zeros(0, np.int32), *frames])


def _votes(
    key: NDArray[np.uint32], clip: NDArray[np.int32], frame: NDArray[np.int32], recordings: Ints
) -> tuple[Ints, Ints, Ints]:
    """Pairs of clips (first * n_clips + second), offsets and votes, (n,) each, from some entries."""
    order = np.argsort(key, kind="stable")
    key, clip, frame = key[order], clip[order], frame[order]
    repeated = np.zeros(len(key), dtype=bool)
    n = MOST_REPEATS
    repeated[n:] = (key[n:] == key[:-n]) & (clip[n:] == clip[:-n])
    key, clip, frame = key[~repeated], clip[~repeated].astype(np.int64), frame[~repeated].astype(np.int64)
    here = np.arange(len(key))
    pairs, offsets = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for step in range(1, MOST_NEIGHBOURS + 1):
        here = here[here + step < len(key)]
        here = here[key[here] == key[here + step]]  # who has no such neighbour at one step has none at the next
        if not len(here):
            break
        is_pair = recordings[clip[here]] != recordings[clip[here + step]]
        a, b = here[is_pair], here[is_pair] + step
        pairs.append(clip[a] * len(recordings) + clip[b])
        offsets.append(frame[a] - frame[b])
    pair, offset = np.concatenate(pairs), np.concatenate(offsets)
    return _tally(pair, offset, np.ones(len(pair), np.int64))


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
