"""Probabilities of the test blocks -> metrics per block and per clip; tables over clips, confidences and classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.aggregation import RULES, Timeline, aggregate, over_time
from pipeline.answers import AnsweredBlocks
from pipeline.calibration import measure_calibration, reliability
from pipeline.metrics import Floats, Integers, confusion, evaluate_level, scores
from pipeline.store.tables import OverClip, Recall, Reliability
from pipeline.store.texts import number

LEVELS = ("block", "clip")
MOST_POINTS = 60  # of a curve over the clip
_SHOWN = ("uar", "accuracy")  # of each rule


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """Scores any answers to the same blocks alike."""

    blocks: AnsweredBlocks
    by: str  # the unit of the split
    rule: str  # from blocks to clips, as in `aggregate`
    n_resamples: int
    seed: int
    learned: NDArray[np.bool_]  # classes that some training side has (k,)

    @cached_property
    def timeline(self) -> Timeline:
        """The blocks of each clip in the order of time."""
        return self.blocks.timeline()

    @cached_property
    def clip_labels(self) -> Integers:
        """Class of each clip (n_clips,), clips by their names."""
        found: Integers = self.blocks.labels[self._first]
        return found

    def levels(self, probabilities: Floats) -> dict[str, Any]:
        """Metrics of the blocks (n_blocks, k), and of the clips by the rule."""
        return {
            "block": self._level(self.blocks.labels, probabilities, self._units, self.by),
            "clip": self.clips(probabilities, self.rule),
        }

    def clips(self, probabilities: Floats, rule: str) -> dict[str, Any]:
        """Metrics of the clips by one rule."""
        pooled = aggregate(probabilities, self.timeline, rule)
        units, name = (np.arange(len(pooled)), "clip") if self.by == "block" else (self._units[self._first], self.by)
        return self._level(self.clip_labels, pooled, units, name)

    def aggregations(self, probabilities: Floats) -> dict[str, Any]:
        """UAR and accuracy of the clips, with intervals, by each rule."""
        found = {}
        for rule in RULES:
            level = self.clips(probabilities, rule)
            interval = {name: level["interval"][name] for name in _SHOWN}
            found[rule] = {**{name: level[name] for name in _SHOWN}, "interval": interval}
        return found

    def over_clip(self, probabilities: Floats) -> list[OverClip]:
        """UAR and the actual class's mean probability after the first blocks of each clip, by each rule.

        Clips that have fewer blocks keep the answer of their last. At most 60 points, the last of them the whole clips;
        of more blocks, points are closer at the start (in equal ratios).
        """
        lengths = self.timeline.n_blocks
        at = _points(int(lengths.max()))
        going = [int((lengths >= n).sum()) for n in at]
        ends = [np.median(self.blocks.ends[self.timeline.nth(n)[lengths >= n]]) for n in at]
        seconds = np.maximum.accumulate(ends)  # blocks may be lacking in between: time goes on all the same
        labels, known = self.clip_labels, None if self.learned.all() else self.learned
        rows = []
        for rule in RULES:
            for index, answers in enumerate(over_time(probabilities, self.timeline, rule, at=at)):
                matrix = confusion(labels, answers.argmax(axis=1), n_classes=len(self.blocks.classes))
                rows.append(
                    OverClip(
                        rule=rule,
                        blocks=at[index],
                        seconds=round(float(seconds[index]), 3),
                        uar=round(float(scores(matrix, learned=known)["uar"]), 4),
                        of_actual=round(float(answers[np.arange(len(labels)), labels].mean()), 4),
                        going=going[index],
                    )
                )
        return rows

    def reliability(self, probabilities: Floats) -> list[Reliability]:
        """Confidence against accuracy, by bins, of blocks and of clips by the rule."""
        pooled = aggregate(probabilities, self.timeline, self.rule)
        each = (self.blocks.labels, probabilities), (self.clip_labels, pooled)
        return [
            Reliability(level=level, **vars(one))
            for level, (labels, values) in zip(LEVELS, each, strict=True)
            for one in reliability(labels, values)
        ]

    @cached_property
    def _units(self) -> Integers:
        return number(self.blocks.groups)[1]

    @cached_property
    def _first(self) -> Integers:
        return np.unique(self.timeline.clip, return_index=True)[1]

    def _level(self, labels: Integers, probabilities: Floats, units: Integers, unit_name: str) -> dict[str, Any]:
        drawn = {"n_resamples": self.n_resamples, "seed": self.seed}
        level = evaluate_level(
            labels,
            probabilities,
            units,
            classes=self.blocks.classes,
            unit_name=unit_name,
            learned=None if self.learned.all() else self.learned,
            **drawn,
        )
        return {**level, "calibration": measure_calibration(labels, probabilities, units, **drawn)}


def recalls(levels: Mapping[str, Any]) -> list[Recall]:
    """Recall of each class at both levels, classes without one left out."""
    return [
        Recall(level=name, label=label, recall=value, n=levels[name]["n"][label], **bounds)
        for name in LEVELS
        for label, value in levels[name]["recall"].items()
        if value is not None
        for bounds in [levels[name]["interval"]["recall"][label]]
    ]


def _points(most: int) -> list[int]:
    """Numbers of blocks from 1 to `most`, all or 60 at most."""
    if most <= MOST_POINTS:
        return list(range(1, most + 1))
    return sorted(set(np.round(np.geomspace(1, most, MOST_POINTS)).astype(int).tolist()))
