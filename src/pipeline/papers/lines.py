"""A paper and the record of its runs -> the lines of its table: reported, ours, what differed, verdict."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.papers.paper import Paper, Report, Row
from pipeline.papers.record import Entry, Record, Runs
from pipeline.papers.scores import Value
from pipeline.papers.verdict import NOT_RUN, combine, judge, subtract
from pipeline.words import amount


@dataclass(frozen=True)
class Line:
    """One reported number beside ours.

    Attributes
    ----------
    claim
        As reported; None: the paper prints none.
    ours, honest, gap
        Under the paper's split, under an honest one, and their difference; None: there is none.
    honest_reason
        Why the honest split failed; else empty.
    tested
        How many items, and how many units of what.
    differs
        What is not as in the paper.
    reason
        Why there is no number of ours; else empty.
    """

    row: str
    title: str
    metric: str
    where: str
    claim: float | None
    ours: Value | None
    tested: str
    n_seeds: int
    honest: Value | None
    honest_reason: str
    gap: Value | None
    differs: tuple[str, ...]
    verdict: str
    reason: str

    @property
    def score(self) -> str:
        """The metric in words: accuracy per block, recall of anger per block, ..."""
        head = ""
        parts = self.metric.split(".")
        if parts[0] in ("heads", "members", "ensembles"):
            head, parts = f" ({parts[1]})", parts[2:]
        level, name = parts[0], parts[1]
        what = f"recall of {parts[2]}" if name == "recall" else {"uar": "UAR", "macro_f1": "macro-F1"}.get(name, name)
        return f"{what} per {level}{head}"


def make_lines(name: str, paper: Paper, record: Record, rows: Sequence[str] | None = None) -> list[Line]:
    """Make the lines of some rows (None: all), in the paper's order, one for each report and set of conditions."""
    lines = []
    for row_name, row in paper.rows.items():
        if rows is not None and row_name not in rows:
            continue
        entries = [entry for _, entry in sorted(record.entries.items()) if entry.row == row_name]
        if not entries:
            reason = f"not tried: emospec papers run {name}"
            entries = [Entry(row_name, (), reason)]
        entries = [_if_of_this_file(entry, paper) for entry in entries]
        lines += [_line(paper, record, row, report, entry) for entry in entries for report in row.reports]
    return lines


def _line(paper: Paper, record: Record, row: Row, report: Report, entry: Entry) -> Line:
    ours, reason = _measure(entry, report, honest=False)
    honest, honest_reason = _measure(entry, report, honest=True)
    differs = [*entry.chosen, *_lacks(entry.paper), *_substitutes(paper, row, entry)]
    if ours is not None and report.minus is not None:
        other = record.entries.get((report.minus, entry.chosen))
        other = _if_of_this_file(other, paper) if other else Entry(report.minus, (), f"{report.minus} has not been run")
        base, lacking = _measure(other, report, honest=False)
        ours, reason = (subtract(ours, base), "") if base else (None, lacking)
        differs += _lacks(other.paper)
        honest, honest_reason = None, ""
    differs = list(dict.fromkeys(differs))
    unknown = () if report.value is not None else ("the paper prints no number",)
    return Line(
        row=entry.row,
        title=row.title,
        metric=report.metric,
        where=report.where if report.minus is None else f"{report.where}; less that of {report.minus}",
        claim=report.value,
        ours=ours,
        tested=_tested(entry.paper, report.metric) if ours else "",
        n_seeds=len(entry.paper.scores) if ours else 0,
        honest=honest,
        honest_reason=honest_reason if ours and entry.honest.reasons and not honest else "",
        gap=subtract(ours, honest) if ours and honest else None,
        differs=(*differs, *unknown) if ours else (),
        verdict=judge(report.value, ours, differs=differs),
        reason=reason,
    )


def _if_of_this_file(entry: Entry, paper: Paper) -> Entry:
    """Take an entry as it is, unless the paper's file says another thing of its row than when it was run."""
    if entry.stated in ("", paper.stated(entry.row)):
        return entry
    return Entry(entry.row, entry.chosen, "the row's settings have changed since it was run: run it again")


def _measure(entry: Entry, report: Report, *, honest: bool) -> tuple[Value | None, str]:
    """Join the seeds of a row; else say why there is nothing to join."""
    runs = entry.honest if honest else entry.paper
    if entry.reason:
        return None, entry.reason
    values = [scores.values[report.metric] for scores in runs.scores.values() if report.metric in scores.values]
    if values and len(values) == len(runs.scores):
        return combine(values, n_units=_n_units(runs, report.metric)), ""
    if runs.scores:
        return None, f"{report.metric} has no value: the class was not tested, or not learned"
    return None, next(iter(runs.reasons.values()), NOT_RUN)


def _level(metric: str) -> str:
    parts = metric.split(".")
    return parts[2] if parts[0] in ("heads", "members", "ensembles") else parts[0]


def _n_units(runs: Runs, metric: str) -> int:
    """Count the units that a metric is of, in the run that has fewest."""
    _, is_recall, label = metric.partition(".recall.")
    of_level = [scores.tested[_level(metric)] for scores in runs.scores.values()]
    return min(one.n_units_by_class.get(label, one.n_units) if is_recall else one.n_units for one in of_level)


def _tested(runs: Runs, metric: str) -> str:
    """Say how much was tested, in the first of the runs."""
    level = _level(metric)
    about = next(iter(runs.scores.values())).tested[level]
    items = amount(about.n, level)
    return items if about.unit == level else f"{items}, {amount(about.n_units, about.unit)}"


def _lacks(runs: Runs) -> list[str]:
    """What was not there, and seeds that failed: a mean of those that did not is of a choice among them."""
    lacks = list(dict.fromkeys(lack for scores in runs.scores.values() for lack in scores.lacks))
    if n_failed := len(runs.reasons):
        n, reason = n_failed + len(runs.scores), next(iter(runs.reasons.values()))
        lacks.append(f"{n_failed} of {amount(n, 'seed')} failed: {reason}")
    return lacks


def _substitutes(paper: Paper, row: Row, entry: Entry) -> list[str]:
    """Corpora that stand for what was never published, if they were not replaced themselves."""
    corpora = row.settings.get("corpora")
    at: Row | None = row
    while corpora is None and at is not None and at.like is not None:
        at = paper.rows[at.like]
        corpora = at.settings.get("corpora")
    listed = corpora if corpora is not None else paper.settings.get("corpora", [])
    changed = {words.rpartition(" ")[2] for words in entry.chosen if " for " in words or words.startswith("without ")}
    return [f"other recordings: {name}" for name in listed if name in paper.stands_for and name not in changed]
