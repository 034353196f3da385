"""metrics.json and split.json as a page of text for a terminal."""

from collections.abc import Mapping
from statistics import median
from typing import Any

from pipeline.findings import (
    LEVELS,
    count_of,
    figure,
    find_caveats,
    heads_in_words,
    how_to_read,
    members_alone,
    what_was_run,
)

MOST_CLASSES = 12  # that are told one by one: more would fill the terminal with lines of thousands of characters


def summarise(metrics: Mapping[str, Any], split: Mapping[str, Any]) -> str:
    """Say what was run, how well it did beside its baselines, and what the split lets leak."""
    lines = [what_was_run(metrics, split), ""]
    for level in LEVELS:
        lines += _table(level, metrics)
    lines += [how_to_read(metrics), *members_alone(metrics), *heads_in_words(metrics)]
    return "\n".join(lines + [finding.text for finding in find_caveats(metrics, split)])


def _table(level: str, metrics: Mapping[str, Any]) -> list[str]:
    n_members = len(metrics["members"])
    rows = {"this model" if n_members == 1 else f"mean of {n_members} members": metrics[level]}
    rows |= {f"head: {name}": value[level] for name, value in metrics.get("heads", {}).items()}
    rows |= {f"ensemble: {name}": value[level] for name, value in metrics.get("ensembles", {}).items()}
    rows |= {f"baseline: {name}": value[level] for name, value in metrics["baselines"].items()}
    width = max(24, *(len(name) + 1 for name in rows))
    header = f"{'per ' + level:{width}}{'UAR':>7}  {'95 % interval':16}{'accuracy':>8}   recall by class"
    lines = [header, "-" * len(header)]
    for name, scores in rows.items():
        interval = scores["interval"]["uar"]
        between = "-" if interval["low"] is None else f"{figure(interval['low'])} to {figure(interval['high'])}"
        lines += [f"{name:{width}}{figure(scores['uar']):>7}  {between:16}{figure(scores['accuracy']):>8}   "]
        lines[-1] += _recalls(scores["recall"])
    counts = {label: n for label, n in metrics[level]["n"].items() if label != "total"}
    return [*lines, f"tested: {count_of(metrics[level]['n']['total'], level)} ({_numbers(counts)})", ""]


def _recalls(recall: Mapping[str, float | None]) -> str:
    if len(recall) <= MOST_CLASSES:
        return "  ".join(f"{label} {figure(value)}" for label, value in recall.items())
    known = [value for value in recall.values() if value is not None]
    if not known:
        return f"none of {len(recall)} classes has one"
    span = f"{figure(min(known))} to {figure(max(known))}, median {figure(median(known))}"
    return f"{span}, of {len(known)} classes (each: metrics/report.html)"


def _numbers(counts: Mapping[str, int]) -> str:
    if len(counts) <= MOST_CLASSES:
        return ", ".join(f"{label} {n}" for label, n in counts.items())
    return f"{len(counts)} classes, {min(counts.values())} to {max(counts.values())} each"
