"""The numbers of metrics.json as rows to print and whiskers to draw, and the answers as confusion matrices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.findings import count_of, figure
from pipeline.store.tables import Answer

SUMMARIES = {"uar": "UAR", "accuracy": "Accuracy", "macro_f1": "Macro F1"}
MODEL, MEMBER, BASELINE, CLASS = "model", "member", "baseline", "class"


@dataclass(frozen=True, kw_only=True)
class Score:
    """One number with its 95 % interval; None where there is none."""

    value: float | None
    low: float | None
    high: float | None

    @property
    def interval(self) -> str:
        """The interval in words."""
        return "no interval" if self.low is None else f"{figure(self.low)} to {figure(self.high)}"


@dataclass(frozen=True, kw_only=True)
class Whisker:
    """One line of a chart of scores."""

    name: str
    kind: str
    score: Score


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """The summaries of one classifier at one level."""

    name: str
    kind: str
    scores: Sequence[Score]  # in the order of SUMMARIES


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """One class at one level."""

    label: str
    n: int
    n_units: int
    recall: Score
    baselines: Sequence[float | None]


@dataclass(frozen=True, kw_only=True)
class LevelPage:
    """All that is shown of one level, blocks or clips."""

    name: str
    tested: str
    rows: Sequence[ScoreRow]
    classes: Sequence[ClassRow]
    summaries: Sequence[Whisker]
    recalls: Sequence[Whisker]


def level_page(metrics: Mapping[str, Any], level: str) -> LevelPage:
    """Arrange one level of metrics.json."""
    own = metrics[level]
    baselines = [baseline[level] for baseline in metrics["baselines"].values()]
    rows = [_row(name, kind, scores) for name, kind, scores in classifiers(metrics, level)]
    classes = [
        ClassRow(
            label=label,
            n=own["n"][label],
            n_units=own["n_units_by_class"][label],
            recall=_score(recall, own["interval"]["recall"][label]),
            baselines=[baseline["recall"][label] for baseline in baselines],
        )
        for label, recall in own["recall"].items()
    ]
    return LevelPage(
        name=level,
        tested=f"{count_of(own['n']['total'], level)}, {count_of(own['n_units'], 'unit')} ({own['unit']})",
        rows=rows,
        classes=classes,
        summaries=[Whisker(name=row.name, kind=row.kind, score=row.scores[0]) for row in rows],
        recalls=[Whisker(name=row.label, kind=CLASS, score=row.recall) for row in classes],
    )


def classifiers(
    metrics: Mapping[str, Any], level: str, *, baselines: bool = True
) -> list[tuple[str, str, Mapping[str, Any]]]:
    """The model first, then its members if there are several, heads, the named ensembles, and the baselines."""
    members = metrics["members"]
    name = "this model" if len(members) == 1 else f"mean of {len(members)} members"
    found = [(name, MODEL, metrics[level])]
    if len(members) > 1:
        found += [(f"member {member}", MEMBER, scores[level]) for member, scores in members.items()]
    found += [(f"head: {name}", MEMBER, scores[level]) for name, scores in metrics.get("heads", {}).items()]
    ensembles = metrics.get("ensembles", {})
    found += [(f"ensemble {ensemble}", MEMBER, scores[level]) for ensemble, scores in ensembles.items()]
    if not baselines:
        return found
    return found + [(f"baseline: {name}", BASELINE, scores[level]) for name, scores in metrics["baselines"].items()]


def _row(name: str, kind: str, scores: Mapping[str, Any]) -> ScoreRow:
    return ScoreRow(name=name, kind=kind, scores=[score_of(scores, key) for key in SUMMARIES])


def score_of(scores: Mapping[str, Any], name: str) -> Score:
    """One of the scores that metrics.json has beside their intervals."""
    return _score(scores[name], scores["interval"][name])


def _score(value: float | None, interval: Mapping[str, float | None]) -> Score:
    return Score(value=value, low=interval["low"], high=interval["high"])


@dataclass(frozen=True)
class Cell:
    """How often a class was answered with a class."""

    n: int
    share: float  # of the actual class's row, 0 to 1

    @property
    def percent(self) -> str:
        """The share in words; a little is not nothing, and nearly all is not all."""
        if 0 < self.share < 0.01:
            return "<\N{NO-BREAK SPACE}1\N{NO-BREAK SPACE}%"
        if 0.99 < self.share < 1:
            return ">\N{NO-BREAK SPACE}99\N{NO-BREAK SPACE}%"
        return f"{100 * self.share:.0f}\N{NO-BREAK SPACE}%"


def confusion_rows(answers: Sequence[Answer], classes: Sequence[str]) -> dict[str, list[Cell]]:
    """Count answers: for each actual class a row with a cell for each class that was answered.

    A class that only the answers know comes after the others.
    """
    counts: dict[tuple[str, str], int] = {}
    for answer in answers:
        place = (answer.actual, answer.predicted)
        counts[place] = counts.get(place, 0) + answer.n
    labels = [*classes, *sorted({label for place in counts for label in place} - set(classes))]
    rows = {}
    for actual in labels:
        row = [counts.get((actual, predicted), 0) for predicted in labels]
        total = max(sum(row), 1)
        rows[actual] = [Cell(n, n / total) for n in row]
    return rows
