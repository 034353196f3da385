"""Sound at another rate: how many samples it then has, and the samples, piece by piece."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


def n_resampled(n_samples: int, rate: int, new_rate: int) -> int:
    """Samples that `n_samples` at `rate` become at `new_rate`: rounded, halves upwards."""
    return (2 * n_samples * new_rate + rate) // (2 * rate)


def at_rate(pieces: Iterable[Samples], rate: int, new_rate: int, *, quality: str) -> Iterator[Samples]:
    """The same sound at another rate, in pieces (n,); it may end a sample early or late (see `n_resampled`).

    Parameters
    ----------
    pieces
        Mono, float32 arrays (n,) one after the other.
    rate, new_rate
        Hz; where they are equal the pieces pass as they are.
    quality
        One of soxr's: HQ, VHQ, ...
    """
    if rate == new_rate:
        yield from pieces
        return
    import soxr

    stream = soxr.ResampleStream(rate, new_rate, 1, dtype="float32", quality=quality)
    for piece in pieces:
        yield stream.resample_chunk(piece)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)
