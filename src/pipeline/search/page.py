"""A search as tables for a terminal, in Markdown and as CSV: ranked, with what failed and what is still missing."""

import csv
import io
from collections.abc import Mapping, Sequence
from itertools import zip_longest

from pipeline.experiments.trials import varying
from pipeline.experiments.values import as_text, show
from pipeline.search.record import Entry, Record
from pipeline.search.scores import ON_TEST, Scores, rank
from pipeline.store.tables import guard
from pipeline.words import amount

HEADS = ("validation UAR", "clip UAR", "95 % interval", "block UAR", "experiment")
SIDES = ("corpora", "data.", "demo.", "runs.", "split.", "slice.")  # keys that change what is tested


def as_page(record: Record) -> str:
    """Both tables as text."""
    return "\n\n".join(_text_table(*stage) for stage in _stages(record))


def as_markdown(record: Record) -> str:
    """Both tables in Markdown."""
    return "\n\n".join(_markdown_table(*stage) for stage in _stages(record)) + "\n"


def as_csv(record: Record) -> str:
    """All runs of both stages as one table, with every key that was chosen and every score."""
    keys = list(dict.fromkeys(key for part in (record.first, record.long) for e in part.values() for key in e.values))
    scores = ["validation.uar", "validation.loss", *ON_TEST]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["stage", "rank", "experiment", "state", *keys, *scores, "clip.uar_low", "clip.uar_high", "reason"])
    for stage, entries in (("first", record.first), ("long", record.long)):
        for place, name in _ordered(entries, record.by):
            entry = entries[name]
            found = _scores_of(entry)
            given = [show(entry.values[key]) if key in entry.values else "" for key in keys]
            figures = [found.values.get(key) if found else None for key in scores]
            ends = found.interval if found else (None, None)
            reason = entry.outcome.reason if entry.outcome else ""
            texts = [guard(text) for text in (name, entry.as_json()["state"], *given)]
            writer.writerow([stage, place, *texts, *figures, *ends, guard(reason)])
    return out.getvalue()


def best_of(entries: Mapping[str, Entry], by: str, *, n: int) -> list[str]:
    """Names of the best `n` that have a score to be ranked by, or of as many as there are."""
    return [name for place, name in _ordered(entries, by) if place != "-"][:n]


def _stages(record: Record) -> list[tuple[list[str], list[tuple[str, ...]]]]:
    """Heading, and rows with their heads first, of each stage."""
    heading, *notes = _heading(record, record.first, f"Search {record.name}")
    tables = [([heading, _warning(record), *notes], _rows(record.first, record.by))]
    if record.long:
        longer = f"The best of {record.name} with {' '.join(record.long_settings)}"
        tables.append((_heading(record, record.long, longer), _rows(record.long, record.by)))
    return tables


def _heading(record: Record, entries: Mapping[str, Entry], what: str) -> list[str]:
    ended = [entry.outcome for entry in entries.values() if entry.outcome]
    failed = sum(outcome.scores is None for outcome in ended)
    missing = len(entries) - len(ended)
    counts = [f"{amount(len(ended), 'run')} tried"]
    counts += [f"{failed} failed"] * bool(failed) + [f"{missing} missing: the same command goes on"] * bool(missing)
    lines = [f"{what}: {', '.join(counts)}; ranked by {record.by}"]
    keys = [key.removeprefix("+") for key in varying([entry.values for entry in entries.values()])]
    if sides := [key for key in keys if key.startswith(SIDES)]:
        lines.append(f"Runs differ in {', '.join(sides)}: their scores are not all of the same blocks.")
    if record.by not in ON_TEST and any(_lacks(entry, record.by) for entry in entries.values()):
        lines.append("Runs without a score on the validation side come last, unranked.")
    return lines


def _lacks(entry: Entry, by: str) -> bool:
    scores = _scores_of(entry)
    return scores is not None and scores.values.get(by) is None


def _warning(record: Record) -> str:
    if record.by in ON_TEST:
        return (
            "SELECTED ON TEST: OPTIMISTIC. The best of several on the test side is there partly by chance; what it is "
            "worth, only clips that no run has seen can say."
        )
    return (
        "Chosen on the validation side (blocks; the kept weights, mean over folds and members), so the best one's "
        "validation score is optimistic; the test side had no part in it."
    )


def _scores_of(entry: Entry) -> Scores | None:
    return entry.outcome.scores if entry.outcome else None


def _ordered(entries: Mapping[str, Entry], by: str) -> list[tuple[int | str, str]]:
    """Ranks and names: the best first, then what has no score to be ranked by, what failed, and what is missing."""
    done = {name: scores for name, entry in entries.items() if (scores := _scores_of(entry))}
    ranked = rank(done, by)
    places = [
        (place if done[name].values.get(by) is not None else "-", name) for place, name in enumerate(ranked, start=1)
    ]
    failed = [name for name, entry in entries.items() if entry.outcome and name not in done]
    missing = [name for name, entry in entries.items() if not entry.outcome]
    return [*places, *(("-", name) for name in failed + missing)]


def _rows(entries: Mapping[str, Entry], by: str) -> list[tuple[str, ...]]:
    keys = varying([entry.values for entry in entries.values()])
    rows = [("rank", *_short(keys), *HEADS)]
    for place, name in _ordered(entries, by):
        entry = entries[name]
        given = [show(entry.values[key]) if key in entry.values else "" for key in keys]
        scores = _scores_of(entry)
        if scores:
            low, high = scores.interval
            between = "-" if low is None or high is None else f"{low:.3f} to {high:.3f}"
            uar = {key: _figure(scores.values.get(f"{key}.uar")) for key in ("validation", "clip", "block")}
            rows.append((str(place), *given, uar["validation"], uar["clip"], between, uar["block"], name))
        else:
            ended = f"failed: {entry.outcome.reason}" if entry.outcome else "missing"
            rows.append((str(place), *given, "-", "-", "-", "-", f"{name} {ended}"))
    return rows


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _short(keys: Sequence[str]) -> list[str]:
    """Names of keys without their section, where that leaves them different."""
    last = [key.rpartition(".")[2] for key in keys]
    return [name if last.count(name) == 1 else key.removeprefix("+") for name, key in zip(last, keys, strict=True)]


def _text_table(heading: Sequence[str], rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip_longest(*(row[:-1] for row in rows), fillvalue="")]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)), row[-1]]) for row in rows
    ]
    return "\n".join([*heading, "", lines[0], "-" * len(lines[0]), *lines[1:]])


def _markdown_table(heading: Sequence[str], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join([" ".join(heading), "", lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def as_list(runs: Mapping[str, Mapping[str, object]]) -> str:
    """Say which runs there would be."""
    keys = varying(list(runs.values()))
    fixed = {key: value for key, value in next(iter(runs.values())).items() if key not in keys}
    lines = [f"{name}  {' '.join(f'{key}={show(values[key])}' for key in keys)}" for name, values in runs.items()]
    same = f"; in all: {' '.join(f'{key}={as_text(value)}' for key, value in fixed.items())}" if fixed else ""
    return "\n".join([f"{amount(len(runs), 'run')}, none queued{same}", *lines])
