"""The clips' answers from their first blocks alone, as lines to draw: one for each rule, over seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import StoreError
from pipeline.report.axes import Tick, linear_ticks
from pipeline.report.curves import Line
from pipeline.report.scores import Score, score_of
from pipeline.store.paths import PLOTS
from pipeline.store.tables import OverClip

GOING = "going"


@dataclass(frozen=True)
class OverClipPage:
    """Two panels on the same axes, and the clips that are still going."""

    rules: Sequence[str]
    uar: Sequence[Line]  # by rule, the chosen one first, which is on top; then the share of clips that go on
    of_actual: Sequence[Line]  # by rule, likewise
    seconds: Sequence[Tick]
    shares: Sequence[Tick]
    blocks: int  # of the longest clip
    n_clips: int
    ends: str  # UAR from the first block, and from all, by the rule that was chosen


@dataclass(frozen=True)
class RuleRow:
    """What one rule makes of the clips."""

    rule: str
    chosen: bool
    uar: Score
    accuracy: Score


def over_clip_page(rows: Sequence[OverClip], *, chosen: str) -> OverClipPage | None:
    """Arrange the rows of over_clip.csv; None where each clip is one block, so that there is nothing to draw.

    Raises
    ------
    StoreError
        If there is a rule of which it has not as many rows as of the others, or no clips.
    """
    rules = list(dict.fromkeys(row.rule for row in rows))
    own = {rule: [row for row in rows if row.rule == rule] for rule in rules}
    points = own.get(chosen, [])
    if not points or any(len(of_rule) != len(points) for of_rule in own.values()):
        raise StoreError(
            f"{PLOTS / 'over_clip.csv'}: its rules have not as many rows each: run `dvc repro -f evaluate_model`"
        )
    if points[0].going < 1:
        raise StoreError(f"{PLOTS / 'over_clip.csv'}: has no clips: run `dvc repro -f evaluate_model`")
    first, last = points[0].seconds, points[-1].seconds
    if len(points) < 2 or last <= first:
        return None
    n_clips = points[0].going

    def line(name: str, values: Sequence[float]) -> Line:
        return Line(name, [(row.seconds / last, value) for row, value in zip(points, values, strict=True)])

    from_top = sorted(rules, key=lambda rule: rule != chosen)
    going = line(GOING, [row.going / n_clips for row in points])
    return OverClipPage(
        rules=rules,
        uar=[*(line(rule, [row.uar for row in own[rule]]) for rule in from_top), going],
        of_actual=[line(rule, [row.of_actual for row in own[rule]]) for rule in from_top],
        seconds=linear_ticks(0, last, at_most=5),
        shares=linear_ticks(0, 1, at_most=6),
        blocks=points[-1].blocks,
        n_clips=n_clips,
        ends=f"{chosen}: UAR {points[0].uar:.2f} from the first block, {points[-1].uar:.2f} from all",
    )


def rule_rows(metrics: Mapping[str, Any], rows: Sequence[OverClip]) -> list[RuleRow]:
    """Scores of the clips by each rule, in the order of the rows of over_clip.csv."""
    return [
        RuleRow(rule, rule == metrics["aggregate"], score_of(entry, "uar"), score_of(entry, "accuracy"))
        for rule in dict.fromkeys(row.rule for row in rows)
        for entry in [metrics["aggregations"][rule]]
    ]
