"""What is learnt from: the blocks of a side, and what every iteration takes of them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.learning.orders import choose_order
from pipeline.learning.recipe import Recipe
from pipeline.sequences import clip_batches, cut


@dataclass(frozen=True, kw_only=True)
class Side:
    """The blocks of one side and their labels; where sequences are learnt, one clip after the other."""

    block_ids: Sequence[str]
    labels: NDArray[np.int64]  # (n,), index of the class
    lengths: tuple[int, ...] | None = None  # number of blocks of each clip; None: blocks are no sequences

    @property
    def watched_together(self) -> list[Sequence[str]]:
        """Names of its blocks, in the parts that are watched together: all, or each clip."""
        return [self.block_ids] if self.lengths is None else list(cut(self.block_ids, self.lengths))


class Step(NamedTuple):
    """What one iteration learns from."""

    epoch: int  # from 0
    chosen: NDArray[np.int64]  # indices of its blocks
    lengths: list[int] | None  # of its clips
    draws: NDArray[np.int64]  # which random numbers alter each block; they differ where a block comes twice

    @property
    def n_items(self) -> int:
        """How many blocks it has, or where sequences are learnt clips: what weighs alike."""
        return len(self.chosen) if self.lengths is None else len(self.lengths)

    def rows_of(self, items: slice) -> slice:
        """Which of its blocks are those of some of its items."""
        if self.lengths is None:
            return items
        ends = [0, *accumulate(self.lengths)]
        return slice(ends[items.start], ends[items.stop])

    def part(self, items: slice) -> "Step":
        """Some of its items."""
        rows = self.rows_of(items)
        lengths = None if self.lengths is None else self.lengths[items]
        return Step(self.epoch, self.chosen[rows], lengths, self.draws[rows])


def epoch_ends(training: Side, recipe: Recipe) -> list[int]:
    """How many iterations have been done at the end of each epoch."""
    if training.lengths is None:
        n = len(_batch_ends(len(training.block_ids), recipe.batch_images))
        return [n * (epoch + 1) for epoch in range(recipe.epochs)]
    counts = Counter(epoch for epoch, _, _ in _batches(training, recipe))
    return list(accumulate(counts[epoch] for epoch in range(recipe.epochs)))


def steps(training: Side, recipe: Recipe) -> Iterator[Step]:
    """Yield what every iteration learns from."""
    n = len(training.labels)
    comes_twice = recipe.sampling == "balanced" and not recipe.jitter.alters_nothing
    seen: Counter[int] = Counter()
    last = 0
    for epoch, chosen, lengths in _batches(training, recipe):
        draws = chosen
        if epoch != last:
            seen, last = Counter(), epoch
        if comes_twice:
            draws = chosen.copy()
            for place, block in enumerate(chosen.tolist()):
                draws[place] += n * seen[block]
                seen[block] += 1
        yield Step(epoch, chosen, lengths, draws)


def _batches(training: Side, recipe: Recipe) -> Iterator[tuple[int, NDArray[np.int64], list[int] | None]]:
    """Yield, for every iteration, its epoch, from 0, the indices of its images, and the lengths of its clips."""
    if training.lengths is not None:
        firsts = np.cumsum([0, *training.lengths[:-1]])
        yield from clip_batches(
            training.lengths,
            epochs=recipe.epochs,
            batch_blocks=recipe.batch_images,
            longest=recipe.sequence_blocks,
            seed=recipe.seed,
            draw=choose_order(recipe.sampling, training.labels[firsts]),
        )
        return
    draw = choose_order(recipe.sampling, training.labels)
    for epoch in range(recipe.epochs):
        order = draw(np.random.default_rng([recipe.seed, epoch]))
        yield from ((epoch, part, None) for part in np.split(order, _batch_ends(len(order), recipe.batch_images)[:-1]))


def _batch_ends(n: int, batch_images: int) -> list[int]:
    """Where each batch ends; one image left over joins the batch before it, for batch normalisation needs two."""
    ends = [*range(batch_images, n, batch_images), n]
    if len(ends) > 1 and ends[-1] - ends[-2] == 1 < batch_images:
        del ends[-2]
    return ends
