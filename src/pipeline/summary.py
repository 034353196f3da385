"""metrics.json and split.json as a page of text for a terminal."""

from collections.abc import Mapping
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
        recall = "  ".join(f"{label} {figure(value)}" for label, value in scores["recall"].items())
        between = "-" if interval["low"] is None else f"{figure(interval['low'])} to {figure(interval['high'])}"
        lines += [f"{name:{width}}{figure(scores['uar']):>7}  {between:16}{figure(scores['accuracy']):>8}   {recall}"]
    counts = metrics[level]["n"]
    tested = ", ".join(f"{label} {n}" for label, n in counts.items() if label != "total")
    return [*lines, f"tested: {count_of(counts['total'], level)} ({tested})", ""]
