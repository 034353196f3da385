"""Clips into overlapping blocks: where each starts, what is left out and why, and the samples of one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Cut:
    """Where a clip's blocks start, and what the cut leaves out.

    Attributes
    ----------
    starts
        First sample of each block, relative to the clip.
    fill
        What a clip shorter than its block is filled with: none, repeat or pad.
    tail_samples
        Samples after the last whole block that no block holds.
    """

    starts: tuple[int, ...]
    fill: str = "none"
    tail_samples: int = 0


def cut_clip(n_samples: int, *, block_samples: int, slide_samples: float, short_clips: str, tail: str) -> Cut:
    """Place blocks of `block_samples` every `slide_samples` (which need not be whole) in a clip of `n_samples`.

    Block i starts at round(i * slide_samples). A clip shorter than a block gives one block that is filled by
    repeating the clip or with zeros, or none at all (`short_clips`: repeat, pad, reject). With `tail` align, a last
    block ends where the clip ends if the regular ones leave samples over.
    """
    if n_samples < block_samples:
        if short_clips == "reject":
            return Cut(starts=(), tail_samples=n_samples)
        return Cut(starts=(0,), fill=short_clips)
    starts: list[int] = []
    while (start := round(len(starts) * slide_samples)) + block_samples <= n_samples:
        starts.append(start)
    left = n_samples - (starts[-1] + block_samples)
    if left and tail == "align":
        return Cut(starts=(*starts, n_samples - block_samples))
    return Cut(starts=tuple(starts), tail_samples=left)


def fill_block(samples: NDArray[np.float32], *, n_samples: int, fill: str) -> NDArray[np.float32]:
    """Bring a short clip's samples (n,) to (n_samples,): repeated from the start, or followed by zeros."""
    if fill == "repeat":
        return np.resize(samples, n_samples)
    filled = np.zeros(n_samples, dtype=samples.dtype)
    filled[: len(samples)] = samples
    return filled
