"""Clips into blocks, sliding or drawn: where each starts, what is left out and why, and the samples of one."""

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
        Samples that no block holds: those after the last whole block, or all between blocks that were drawn.
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
        return _cut_short(n_samples, short_clips)
    starts: list[int] = []
    while (start := round(len(starts) * slide_samples)) + block_samples <= n_samples:
        starts.append(start)
    left = n_samples - (starts[-1] + block_samples)
    if left and tail == "align":
        return Cut(starts=(*starts, n_samples - block_samples))
    return Cut(starts=tuple(starts), tail_samples=left)


def draw_blocks(
    n_samples: int, *, block_samples: int, n_blocks: int, short_clips: str, rng: np.random.Generator
) -> Cut:
    """Place `n_blocks` of `block_samples` at random in a clip of `n_samples`, in the order of time.

    Every place is as likely as any other, and none is drawn twice: a clip with fewer places than blocks has a block at
    each. A clip shorter than a block is treated as by `cut_clip`.
    """
    if n_samples < block_samples:
        return _cut_short(n_samples, short_clips)
    n_places = n_samples - block_samples + 1
    drawn = rng.choice(n_places, size=count_drawn(n_samples, block_samples, n_blocks), replace=False, shuffle=False)
    starts = np.sort(drawn)
    ends = np.append(0, starts[:-1] + block_samples)  # of the blocks before; they are of one length
    n_covered = len(starts) * block_samples - int(np.maximum(ends - starts, 0).sum())
    return Cut(starts=tuple(starts.tolist()), tail_samples=n_samples - n_covered)


def count_drawn(n_samples: int, block_samples: int, n_blocks: int) -> int:
    """How many blocks `draw_blocks` places in a clip that is not shorter than one."""
    return min(n_blocks, n_samples - block_samples + 1)


def _cut_short(n_samples: int, short_clips: str) -> Cut:
    """Cut a clip that is shorter than a block."""
    if short_clips == "reject":
        return Cut(starts=(), tail_samples=n_samples)
    return Cut(starts=(0,), fill=short_clips)


def fill_block(samples: NDArray[np.float32], *, n_samples: int, fill: str) -> NDArray[np.float32]:
    """Bring a short clip's samples (n,) to (n_samples,): repeated from the start, or followed by zeros."""
    if fill == "repeat":
        return np.resize(samples, n_samples)
    filled = np.zeros(n_samples, dtype=samples.dtype)
    filled[: len(samples)] = samples
    return filled
