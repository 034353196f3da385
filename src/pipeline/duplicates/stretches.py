"""How far two clips go on agreeing at an offset: their longest common stretch, by bit errors."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.audio.fingerprint import N_BITS, Fingerprint

AROUND = 50  # frames to each side over which errors are averaged: a second in all
MOST_ERRORS = 0.3  # of all bits; between different recordings it is 0.4 to 0.5
LEAST_FRAMES = 40  # informative ones: with what lies behind each, 0.74 s of sound


@dataclass(frozen=True)
class Stretch:
    """A stretch of agreement: frames `start` to `end` (exclusive) of the first clip.

    Attributes
    ----------
    offset
        The second clip's frames are the first's less this.
    n_frames
        How many of its frames are informative in both.
    agreeing
        Frames (n,) of the first clip that are.
    error_rate
        Share of their bits that differ.
    """

    offset: int
    start: int
    end: int
    agreeing: NDArray[np.int64]
    error_rate: float

    @property
    def n_frames(self) -> int:
        """How many of its frames are informative in both."""
        return len(self.agreeing)


def common_stretch(first: Fingerprint, second: Fingerprint, offset: int) -> Stretch | None:
    """Find the longest stretch in which the bit errors stay low at an offset; None where there is none.

    Frames that are not informative in both neither support a stretch nor end it.
    """
    start, end = max(0, offset), min(len(first.bits), len(second.bits) + offset)
    if end - start < LEAST_FRAMES:
        return None
    theirs = slice(start - offset, end - offset)
    told = np.flatnonzero(first.informative[start:end] & second.informative[theirs])
    if len(told) < LEAST_FRAMES:
        return None
    errors = np.bitwise_count(first.bits[start:end] ^ second.bits[theirs])[told].astype(np.int64)
    sums = np.concatenate([[0], np.cumsum(errors)])
    lows = np.searchsorted(told, told - AROUND)
    highs = np.searchsorted(told, told + AROUND, "right")
    agrees = (sums[highs] - sums[lows]) < MOST_ERRORS * N_BITS * (highs - lows)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], agrees, [False]]).astype(np.int8)))
    if not len(edges):
        return None
    begins, ends = edges[::2], edges[1::2]
    longest = int((ends - begins).argmax())  # of equals the first
    low, high = int(begins[longest]), int(ends[longest])
    if high - low < LEAST_FRAMES:
        return None
    agreeing = start + told[low:high]
    return Stretch(
        offset=offset,
        start=int(agreeing[0]),
        end=int(agreeing[-1]) + 1,
        agreeing=agreeing,
        error_rate=float(sums[high] - sums[low]) / (N_BITS * (high - low)),
    )
