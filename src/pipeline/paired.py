"""Two results on the same test: which is better, by how much, and whether chance would do as much."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.compare import compare_answers, find_mismatches, permutation_p_values
from pipeline.errors import PipelineError, RevisionError
from pipeline.findings import LEVELS, count_of
from pipeline.gate.differences import split_differences, untrained_in_words
from pipeline.gate.results import Result, read_result
from pipeline.gate.revision import Version, find_revision, other_folder, working_folder
from pipeline.metrics import SUMMARIES
from pipeline.store.paths import METRICS
from pipeline.words import in_columns, printable

WORKSPACE = "workspace"
SIGNIFICANT = 0.05
NAMES = {"accuracy": "accuracy", "uar": "UAR", "macro_f1": "macro-F1"}
COLUMNS = ("A", "B", "B - A", "95 % interval", "p")


@dataclass(frozen=True)
class PairedScore:
    """One score of two systems on the same items."""

    a: float
    b: float
    difference: float  # b - a
    low: float | None  # 95 % interval of the difference; None from fewer than 2 units
    high: float | None
    p: float  # two-sided


@dataclass(frozen=True)
class PairedLevel:
    """The scores of the clips or of the blocks."""

    scores: dict[str, PairedScore]  # accuracy, uar, macro_f1
    unit: str  # what was resampled and exchanged
    n_units: int


@dataclass(frozen=True)
class Comparison:
    """What came of comparing two results: levels, or reasons why there are none."""

    a: str
    b: str
    levels: dict[str, PairedLevel]
    reasons: Sequence[str]  # why the two cannot be paired
    notes: Sequence[str]  # what else differs

    def as_text(self) -> str:
        """Lay it out for a terminal."""
        if self.reasons:
            lines = [f"not comparable: {reason}" for reason in self.reasons]
        else:
            lines = [f"A: {self.a}", f"B: {self.b}", ""]
            for name, level in self.levels.items():
                lines += [*_table(name, level), conclude(name, level), ""]
            lines += [
                "p: how often exchanging A's and B's answers, unit by unit, makes a difference as large; below "
                f"{SIGNIFICANT} is called better.",
                *(f"Note: A and B differ in {note}" for note in self.notes),
            ]
        return "\n".join(map(printable, lines))

    def as_json(self) -> dict[str, Any]:
        """Give the same as a JSON mapping."""
        levels = {
            name: {**dataclasses.asdict(level), "conclusion": conclude(name, level)}
            for name, level in self.levels.items()
        }
        return {
            "a": self.a,
            "b": self.b,
            "comparable": not self.reasons,
            "reasons": list(self.reasons),
            "levels": levels,
            "notes": list(self.notes),
        }


def compare_results(first: str, second: str, *, n_resamples: int, seed: int) -> Comparison:
    """Compare two results, each a revision in git, a DVC experiment, a folder, or `workspace`.

    The intervals are those of `compare.compare_answers`, the tests those of `compare.permutation_p_values`. Another
    split is no hindrance as long as the same clips were tested; it is noted.
    """
    found, reasons = [], []
    for name in (first, second):
        try:
            found.append(read_result(find_version(name)))
        except PipelineError as error:
            reasons.append(" ".join(str(error).split()))
    if reasons:
        return Comparison(first, second, {}, list(dict.fromkeys(reasons)), [])
    a, b = found
    if reasons := _find_reasons(a, b):
        return Comparison(a.name, b.name, {}, reasons, [])
    levels = {level: _test(level, a, b, n_resamples=n_resamples, seed=seed) for level in LEVELS}
    return Comparison(a.name, b.name, levels, [], list(split_differences(a, b)))


def find_version(name: str) -> Version:
    """Find a result by name: `workspace`, else a folder that holds results, else what git knows by that name.

    Raises
    ------
    RevisionError
        If there is no such thing.
    """
    if name == WORKSPACE:
        return working_folder()
    if not name:
        raise RevisionError(f"an empty name: give a revision, an experiment, a folder or {WORKSPACE}")
    if found := other_folder(Path(name)):
        return found
    try:
        return dataclasses.replace(find_revision(name), advice="name another revision")
    except RevisionError:
        if Path(name).is_dir():
            raise RevisionError(f"folder {name} holds no {METRICS.name}: name one with the files of metrics/") from None
        raise


def conclude(name: str, level: PairedLevel) -> str:
    """Say in a sentence which is better by UAR, or that no difference is shown."""
    test = level.scores["uar"]
    over = f"p = {_p(test.p)} over {count_of(level.n_units, 'unit')} ({level.unit})"
    if test.p >= SIGNIFICANT or not test.difference:
        return f"Per {name}, no difference in UAR is shown ({over})."
    return f"Per {name}, {'B' if test.difference > 0 else 'A'} is better by {abs(test.difference):.3f} of UAR ({over})."


def _find_reasons(a: Result, b: Result) -> list[str]:
    reasons = []
    if a.metrics.corpora != b.metrics.corpora:
        reasons += [f"corpora: {', '.join(a.metrics.corpora)} in A, {', '.join(b.metrics.corpora)} in B"]
    if (of_a := untrained_in_words(a)) != (of_b := untrained_in_words(b)):
        reasons += [f"classes that no training side has: {of_a} in A, {of_b} in B"]
    for level in LEVELS:
        lacking = [result.without_answers[level] for result in (a, b) if level in result.without_answers]
        units = [getattr(result.metrics, level).unit for result in (a, b)]
        if units[0] != units[1]:
            reasons += [f"unit of the {level}s: {units[0]} in A, {units[1]} in B"]
        reasons += dict.fromkeys(lacking)
        if not lacking:
            mismatches = find_mismatches(a.answers[level], b.answers[level], names=("A", "B"))
            reasons += [f"{level}s: {mismatch}" for mismatch in mismatches]
    return reasons


def _test(level: str, a: Result, b: Result, *, n_resamples: int, seed: int) -> PairedLevel:
    answers = a.answers[level], b.answers[level]
    untrained = a.metrics.split.untrained
    changes = compare_answers(*answers, n_resamples=n_resamples, seed=seed, untrained=untrained)
    p_values = permutation_p_values(*answers, n_resamples=n_resamples, seed=seed, untrained=untrained)
    tests = {}
    for name in SUMMARIES:
        one = changes[name]
        difference = round(one.new - one.old, 4) + 0.0  # no -0.0
        tests[name] = PairedScore(round(one.old, 4), round(one.new, 4), difference, one.low, one.high, p_values[name])
    return PairedLevel(tests, getattr(a.metrics, level).unit, len({row.unit for row in answers[0]}))


def _table(name: str, level: PairedLevel) -> list[str]:
    rows = [(f"per {name}", *COLUMNS)]
    for score, test in level.scores.items():
        between = "-" if test.low is None or test.high is None else f"{test.low:+.3f} to {test.high:+.3f}"
        rows.append((NAMES[score], f"{test.a:.3f}", f"{test.b:.3f}", f"{test.difference:+.3f}", between, _p(test.p)))
    lines = in_columns(rows)
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else f"{value:.1e}"
