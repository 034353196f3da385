"""The fingerprints of all clips, on disk: gone through once, or read clip by clip."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.audio.fingerprint import Fingerprint
from pipeline.store.arrays import read_span

Ints = NDArray[np.int64]

FRAMES_AT_ONCE = 2**16  # eleven minutes
CLIPS_AT_HAND = 8


@dataclass(frozen=True)
class PrintFile:
    """Sub-fingerprints of some clips, one clip after the other.

    Attributes
    ----------
    bits, informative
        Datasets or arrays (n,), of all clips.
    n_frames
        Of each clip (n_clips,).
    numbers
        Which of all clips, of all files, each is (n_clips,).
    """

    bits: Any
    informative: Any
    n_frames: Ints
    numbers: Ints


class Prints:
    """Fingerprints by the numbers of the clips.

    Attributes
    ----------
    starts
        The frames of all clips, in the order of their numbers, are numbered through: the first of each (n_clips,).
    n_all
        How many there are.
    """

    def __init__(self, files: Sequence[PrintFile]) -> None:
        self._files = files
        n_clips = sum(len(file.numbers) for file in files)
        n_frames, self._file_of = np.zeros(n_clips, np.int64), np.zeros(n_clips, np.int32)
        self._in_file = np.zeros(n_clips, np.int64)
        for place, file in enumerate(files):
            n_frames[file.numbers], self._file_of[file.numbers] = file.n_frames, place
            self._in_file[file.numbers] = np.cumsum(file.n_frames) - file.n_frames
        self.starts = np.cumsum(n_frames) - n_frames
        self.n_all = int(n_frames.sum())
        self.of = functools.lru_cache(CLIPS_AT_HAND)(self._read)

    def __len__(self) -> int:
        return len(self.starts)

    def _read(self, number: int) -> Fingerprint:
        """Read the fingerprint of one clip."""
        file, first = self._files[self._file_of[number]], int(self._in_file[number])
        end = int(self.starts[number + 1]) if number + 1 < len(self.starts) else self.n_all
        last = first + end - int(self.starts[number])
        return Fingerprint(read_span(file.bits, first, last), read_span(file.informative, first, last))

    def entries(self) -> Iterator[tuple[NDArray[np.uint32], Ints]]:
        """Give the sub-fingerprints that are worth looking up, and the numbers of their frames, (n,) each, in pieces.

        These are the informative ones, and of a run of equal ones the first; those of one clip come in order.
        """
        for file in self._files:
            ends = np.cumsum(file.n_frames)
            starts = ends - file.n_frames
            shifts = self.starts[file.numbers] - starts
            n_all = int(ends[-1]) if len(ends) else 0
            for first in range(0, n_all, FRAMES_AT_ONCE):
                bits, frames = _chosen(file, starts, first, min(first + FRAMES_AT_ONCE, n_all))
                yield bits, frames + shifts[np.searchsorted(ends, frames, "right")]


def _chosen(file: PrintFile, starts: Ints, first: int, last: int) -> tuple[NDArray[np.uint32], Ints]:
    """The entries among frames first to last (exclusive) of a file, with their places there."""
    before = max(0, first - 1)  # one frame more, to see whether the first repeats it
    bits, informative = read_span(file.bits, before, last), read_span(file.informative, before, last)
    chosen = informative.copy()
    chosen[1:] &= ~informative[:-1] | (bits[1:] != bits[:-1])
    low, high = np.searchsorted(starts, (before, last))
    begins = starts[low:high] - before  # no run goes on from clip to clip
    chosen[begins] = informative[begins]
    chosen[: first - before] = False
    frames = np.flatnonzero(chosen)
    return bits[frames], frames + before
