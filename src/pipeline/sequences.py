"""The blocks of a clip as a sequence: their order, the splits that would tear it, and batches of whole clips.

The recording of a clip is one sequence, each altered copy of it another one. Blocks follow one another as they start;
where slicing left silent ones out, those around them do.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import SplitError, StoreError
from pipeline.store.folds import Fold
from pipeline.store.tables import SplitRow

Ints = NDArray[np.int64]
Item = TypeVar("Item")
ORDER, STRETCH = range(2)  # streams of random numbers


def cut(items: Sequence[Item], lengths: Sequence[int]) -> Iterator[Sequence[Item]]:
    """Cut a sequence into parts of these lengths."""
    start = 0
    for length in lengths:
        yield items[start : start + length]
        start += length


def order_clips(fold: Fold) -> list[Ints]:
    """For each clip of a fold, and each altered copy, the indices of its rows in the order of their starts.

    Raises
    ------
    SplitError
        If blocks of one clip are on several sides, or some of them were dropped: its order would be lost.
    StoreError
        If a block's name does not say where it starts.
    """
    sequences: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    sides: dict[str, set[str]] = defaultdict(set)
    for index, row in enumerate(fold.rows):
        start, variant = _place(row)
        sequences[row.clip_id, variant].append((start, index))
        sides[row.clip_id].add(row.side)
    for clip_id, names in sides.items():
        if len(names) > 1:
            raise _torn(fold.rows[0].fold, clip_id, names)
    return [np.array([index for _, index in sorted(places)]) for places in sequences.values()]


def _place(row: SplitRow) -> tuple[int, int]:
    """Where a block starts, samples, and the number of its variant: its name is CLIP@START or CLIP@START~VARIANT."""
    start, _, variant = row.block_id.removeprefix(f"{row.clip_id}@").partition("~")
    if not start.isdecimal() or not (variant or "0").isdecimal():
        raise StoreError(f"split.csv: block {row.block_id} does not name its clip and start: run `dvc repro`")
    return int(start), int(variant or 0)


def _torn(fold: int, clip_id: str, sides: set[str]) -> SplitError:
    where = " and ".join(sorted(sides))
    fix = "set split.balance to none" if "dropped" in sides else "set split.by to clip or a wider field"
    return SplitError(
        f"split.csv: fold {fold}: blocks of {clip_id} are on the sides {where}, and a recurrent network needs a clip's "
        f"blocks together and in their order: {fix}, and leave augmented_before_split out of split.allow_leaks"
    )


def count_gapped(fold: Fold, clips: Sequence[Ints]) -> int:
    """How many of the clips have blocks further apart than most neighbours are; 0 where no distance is usual."""
    steps = [np.diff([_place(fold.rows[index])[0] for index in clip]) for clip in clips]
    usual = Counter(step for own in steps for step in own.tolist())
    if not usual:
        return 0
    ((most, n_most),) = usual.most_common(1)
    if 2 * n_most < usual.total():  # blocks at random places
        return 0
    return sum(bool((own > 1.5 * most).any()) for own in steps)  # neighbours may be a rounded sample apart


def clip_batches(
    lengths: Sequence[int],
    *,
    epochs: int,
    batch_blocks: int,
    longest: int,
    seed: int,
    draw: Callable[[np.random.Generator], Ints] | None = None,
) -> Iterator[tuple[int, Ints, list[int]]]:
    """Yield, for every training step, its epoch, from 0, the indices of its blocks (n,), and the lengths of its clips.

    Every epoch visits all clips once, in a new seeded order, or those that `draw` chooses. A batch takes clips as long
    as their blocks are not more than `batch_blocks`; a clip that alone has more is a batch of its own. A single block
    does not stay alone but joins the batch before or after it, unless batches of one are asked for: batch normalisation
    needs two.

    Parameters
    ----------
    lengths
        Number of blocks of each clip; the blocks lie one clip after the other.
    longest
        If not 0, at most so many blocks of a clip are visited in an epoch: a stretch of neighbours that starts at
        random.
    draw
        Gives the order of an epoch's clips from random numbers of its own.
    """
    firsts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
    visited = np.minimum(lengths, longest or np.iinfo(np.int64).max)
    for epoch in range(epochs):
        rng = np.random.default_rng([seed, epoch, ORDER])
        order = draw(rng) if draw else rng.permutation(len(lengths))
        starts = firsts + np.random.default_rng([seed, epoch, STRETCH]).integers(np.array(lengths) - visited + 1)
        for clips in _batches(order, visited, batch_blocks):
            blocks = [np.arange(starts[clip], starts[clip] + visited[clip]) for clip in clips]
            yield epoch, np.concatenate(blocks), visited[clips].tolist()


def _batches(order: Ints, visited: Ints, batch_blocks: int) -> list[list[int]]:
    found: list[list[int]] = []
    n_blocks = 0
    for clip in order.tolist():
        n = int(visited[clip])
        is_alone = n_blocks == 1 < batch_blocks
        if found and (n_blocks + n <= batch_blocks or is_alone):
            found[-1].append(clip)
            n_blocks += n
        else:
            found.append([clip])
            n_blocks = n
    if len(found) > 1 and n_blocks == 1 < batch_blocks:
        last = found.pop()
        found[-1] += last
    return found
