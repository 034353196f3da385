"""Class probabilities of test blocks -> who was answered with what: the rows behind confusion matrices and reports."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.aggregation import Timeline, aggregate
from pipeline.store.tables import Answer, ClipAnswer
from pipeline.store.texts import number

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AnsweredBlocks:
    """Every block on the test side of some folds: each fold's model answers for its own."""

    classes: tuple[str, ...]
    labels: NDArray[np.int64]  # (n,)
    names: Sequence[str]  # (n,) block_id
    clips: Sequence[str]  # (n,) clip_id of each block
    groups: Sequence[str]  # (n,) its unit of the split
    starts: NDArray[np.float64]  # (n,) seconds from the start of the clip
    ends: NDArray[np.float64]  # (n,)

    def timeline(self) -> Timeline:
        """Order the blocks of each clip in time; clips by their names."""
        _, clip = number(self.clips)
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
    clips, clip = number(blocks.clips)
    units, unit = number(blocks.clips if by == "block" else blocks.groups)
    n_units, n_classes = len(units), len(blocks.classes)

    def rows(which: NDArray[np.int64], answers: NDArray[np.int64]) -> list[Answer]:
        cells = ((clip[which] * n_units + unit[which]) * n_classes + blocks.labels[which]) * n_classes + answers
        found, counts = np.unique(cells, return_counts=True)
        places = np.stack(np.unravel_index(found, (len(clips), n_units, n_classes, n_classes)), axis=1).tolist()
        named = sorted(
            (clips[a], units[b], blocks.classes[actual], blocks.classes[predicted], n)
            for (a, b, actual, predicted), n in zip(places, counts.tolist(), strict=True)
        )
        return [
            Answer(clip_id=clip_id, unit=unit_name, actual=actual, predicted=predicted, n=n)
            for clip_id, unit_name, actual, predicted, n in named
        ]

    first = np.unique(clip, return_index=True)[1]
    pooled = aggregate(probabilities, blocks.timeline(), rule)
    return {
        "block": rows(np.arange(len(clip)), probabilities.argmax(axis=1)),
        "clip": rows(first, pooled.argmax(axis=1)),
    }


def clip_answers(blocks: AnsweredBlocks, probabilities: Floats, *, rule: str = "mean") -> list[ClipAnswer]:
    """Say of each clip, by name, what was answered, how sure, and which of its blocks (n, n_classes) did worst."""
    clip_ids, clip = number(blocks.clips)
    first = np.unique(clip, return_index=True)[1]
    pooled = aggregate(probabilities, blocks.timeline(), rule)
    of_actual = probabilities[np.arange(len(clip)), blocks.labels]
    by_badness = np.lexsort((np.arange(len(clip)), of_actual, clip))  # each clip's blocks, the worst first
    n_blocks = np.bincount(clip)
    worst = by_badness[np.cumsum(n_blocks) - n_blocks]
    return [
        ClipAnswer(
            clip_id=clip_ids[index],
            actual=blocks.classes[blocks.labels[block]],
            predicted=blocks.classes[own.argmax()],
            of_actual=round(float(own[blocks.labels[block]]), 6),
            of_predicted=round(float(own.max()), 6),
            n_blocks=int(n_blocks[index]),
            worst_block=blocks.names[worst[index]],
        )
        for index, (block, own) in enumerate(zip(first, pooled, strict=True))
    ]
