"""Class probabilities of test blocks -> who was answered with what: the rows behind confusion matrices and reports."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.aggregation import Timeline, aggregate
from pipeline.store.tables import Answer, ClipAnswer

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AnsweredBlocks:
    """Every block on the test side of some folds: each fold's model answers for its own."""

    classes: tuple[str, ...]
    labels: NDArray[np.int64]  # (n,)
    names: Sequence[str]
    clips: Sequence[str]
    groups: Sequence[str]
    starts: NDArray[np.float64]  # (n,) seconds from the start of the clip
    ends: NDArray[np.float64]  # (n,)

    def timeline(self) -> Timeline:
        """Order the blocks of each clip in time; clips by their names."""
        _, clip = np.unique(self.clips, return_inverse=True)
        return Timeline.of(clip, self.starts)


def confusions(
    blocks: AnsweredBlocks, probabilities: Floats, *, by: str, rule: str = "mean"
) -> dict[str, list[Answer]]:
    """Count the answers of each clip, in the order of the blocks: of its blocks, and its own by a rule over them.

    Parameters
    ----------
    probabilities
        Of each block (n, n_classes).
    by
        The unit of the split. A block split's unit is the block; its clips stand for themselves.
    rule
        As in `aggregate`.
    """
    _, first = np.unique(blocks.clips, return_index=True)
    units = blocks.clips if by == "block" else blocks.groups
    of_blocks = zip(range(len(blocks.labels)), probabilities.argmax(axis=1), strict=True)
    of_clips = zip(first, aggregate(probabilities, blocks.timeline(), rule).argmax(axis=1), strict=True)

    def rows(answers: Sequence[tuple[int, int]]) -> list[Answer]:
        counts = Counter(
            (blocks.clips[i], units[i], blocks.classes[blocks.labels[i]], blocks.classes[answer])
            for i, answer in answers
        )
        return [
            Answer(clip_id=clip_id, unit=unit, actual=actual, predicted=predicted, n=n)
            for (clip_id, unit, actual, predicted), n in sorted(counts.items())
        ]

    return {"block": rows(list(of_blocks)), "clip": rows(list(of_clips))}


def clip_answers(blocks: AnsweredBlocks, probabilities: Floats, *, rule: str = "mean") -> list[ClipAnswer]:
    """Say of each clip, by name, what was answered, how sure, and which of its blocks (n, n_classes) did worst."""
    _, first, clip = np.unique(blocks.clips, return_index=True, return_inverse=True)
    pooled = aggregate(probabilities, blocks.timeline(), rule)
    of_actual = probabilities[np.arange(len(clip)), blocks.labels]
    by_badness = np.lexsort((np.arange(len(clip)), of_actual, clip))  # each clip's blocks, the worst first
    worst = by_badness[np.searchsorted(clip[by_badness], np.arange(len(first)))]
    return [
        ClipAnswer(
            clip_id=blocks.clips[block],
            actual=blocks.classes[blocks.labels[block]],
            predicted=blocks.classes[own.argmax()],
            of_actual=round(float(own[blocks.labels[block]]), 6),
            of_predicted=round(float(own.max()), 6),
            n_blocks=int((clip == index).sum()),
            worst_block=blocks.names[worst[index]],
        )
        for index, (block, own) in enumerate(zip(first, pooled, strict=True))
    ]
