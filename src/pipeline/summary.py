"""metrics.json and split.json as a page of text for a terminal."""

from collections.abc import Mapping
from typing import Any

LEVELS = ("clip", "block")


def summarise(metrics: Mapping[str, Any], split: Mapping[str, Any]) -> str:
    """Say what was run, how well it did beside its baselines, and what the split lets leak."""
    lines = [_what_was_run(metrics, split), ""]
    for level in LEVELS:
        lines += _table(level, metrics)
    lines += [_leakage(metrics["split"])]
    if metrics["selected_on_test"]:
        lines += ["Warning: weights were chosen on the test side (selected_on_test): these numbers flatter the model."]
    if metrics["clip"]["few_units"]:
        count, unit = metrics["clip"]["n_units"], metrics["clip"]["unit"]
        lines += [f"Only {count} units ({unit}) were tested: the intervals are too narrow."]
    rejected = {name: corpus["rejected"] for name, corpus in split["corpora"].items() if corpus["rejected"]}
    lines += [
        f"{n} recordings of {name} were rejected: see rejected.csv beside its clips" for name, n in rejected.items()
    ]
    return "\n".join(lines)


def _what_was_run(metrics: Mapping[str, Any], split: Mapping[str, Any]) -> str:
    starts = ", ".join(f"{start['network']} from {start['weights']} weights" for start in metrics["start"].values())
    blocks = sum(sum(corpus["blocks"].values()) for corpus in split["corpora"].values())
    clips = sum(sum(corpus["clips"].values()) for corpus in split["corpora"].values())
    how = metrics["split"]
    folds = len(how["folds"])
    return (
        f"{', '.join(metrics['corpora'])}: {clips} clips, {blocks} blocks; {starts}; "
        f"split by {how['by']} ({how['method']}, {folds} fold{'s' if folds > 1 else ''})"
    )


def _table(level: str, metrics: Mapping[str, Any]) -> list[str]:
    rows = {"this model": metrics[level]}
    rows |= {f"baseline: {name}": value[level] for name, value in metrics["baselines"].items()}
    header = f"{'per ' + level:24}{'UAR':>7}  {'95 % interval':16}{'accuracy':>8}   recall by class"
    lines = [header, "-" * len(header)]
    for name, scores in rows.items():
        interval = scores["interval"]["uar"]
        recall = "  ".join(f"{label} {_figure(value)}" for label, value in scores["recall"].items())
        between = f"{_figure(interval['low'])} to {_figure(interval['high'])}"
        lines += [f"{name:24}{_figure(scores['uar']):>7}  {between:16}{_figure(scores['accuracy']):>8}   {recall}"]
    counts = metrics[level]["n"]
    tested = ", ".join(f"{label} {n}" for label, n in counts.items() if label != "total")
    return [*lines, f"tested: {counts['total']} {level}s ({tested})", ""]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _leakage(split: Mapping[str, Any]) -> str:
    met = {name.removesuffix("_in_training"): share for name, share in split["leakage"].items() if share}
    met.pop("overlaps_training", None)
    overlap = split["leakage"]["overlaps_training"]
    shares = [f"{overlap:.0%} overlap training sound in time"] if overlap else []
    shares += [
        f"{share:.0%} share their {name} with training" for name, share in met.items() if not name.endswith("_known")
    ]
    return f"Leakage: of the test blocks, {'; '.join(shares)}." if shares else "Leakage: none found."
