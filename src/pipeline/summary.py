"""metrics.json and split.json as a page of text for a terminal."""

from collections.abc import Mapping
from typing import Any

LEVELS = ("clip", "block")
# What the audit of every split checks; fields of clips.csv come on top, where a corpus has them.
CHECKED = {"overlaps_training": "overlap in time", "clip_in_training": "clip", "unit_in_training": "unit of the split"}


def summarise(metrics: Mapping[str, Any], split: Mapping[str, Any]) -> str:
    """Say what was run, how well it did beside its baselines, and what the split lets leak."""
    lines = [_what_was_run(metrics, split), ""]
    for level in LEVELS:
        lines += _table(level, metrics)
    lines += [_how_to_read(metrics), *_members(metrics), *_verdict(metrics), _leakage(metrics["split"])]
    if metrics["selected_on_test"]:
        lines += ["Warning: weights were chosen on the test side (selected_on_test): these numbers flatter the model."]
    if metrics["clip"]["few_units"]:
        count, unit = metrics["clip"]["n_units"], metrics["clip"]["unit"]
        lines += [f"Only {count} units ({unit}) were tested: the intervals are too narrow."]
    rejected = {name: corpus["rejected"] for name, corpus in split["corpora"].items() if corpus["rejected"]}
    lines += [
        f"{_count(n, 'recording')} of {name} {'was' if n == 1 else 'were'} rejected: reasons in "
        f"data/processed/clips/{name}/rejected.csv"
        for name, n in rejected.items()
    ]
    return "\n".join(lines)


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _what_was_run(metrics: Mapping[str, Any], split: Mapping[str, Any]) -> str:
    each = [f"{start['network']} from {start['weights']} weights" for start in metrics["start"].values()]
    starts = ", ".join(f"{each.count(one)} x {one}" if each.count(one) > 1 else one for one in dict.fromkeys(each))
    blocks = sum(sum(corpus["blocks"].values()) for corpus in split["corpora"].values())
    clips = sum(sum(corpus["clips"].values()) for corpus in split["corpora"].values())
    how = metrics["split"]
    n_run, n_folds = len(how["folds"]), how["n_folds"]
    folds = _count(n_folds, "fold") if n_run == n_folds else f"{n_run} of {_count(n_folds, 'fold')}"
    return (
        f"{', '.join(metrics['corpora'])}: {_count(clips, 'clip')}, {_count(blocks, 'block')}; {starts}; "
        f"split by {how['by']} ({how['method']}, {folds})"
    )


def _table(level: str, metrics: Mapping[str, Any]) -> list[str]:
    n_members = len(metrics["members"])
    rows = {"this model" if n_members == 1 else f"mean of {n_members} members": metrics[level]}
    rows |= {f"baseline: {name}": value[level] for name, value in metrics["baselines"].items()}
    width = max(24, *(len(name) + 1 for name in rows))
    header = f"{'per ' + level:{width}}{'UAR':>7}  {'95 % interval':16}{'accuracy':>8}   recall by class"
    lines = [header, "-" * len(header)]
    for name, scores in rows.items():
        interval = scores["interval"]["uar"]
        recall = "  ".join(f"{label} {_figure(value)}" for label, value in scores["recall"].items())
        between = "-" if interval["low"] is None else f"{_figure(interval['low'])} to {_figure(interval['high'])}"
        lines += [f"{name:{width}}{_figure(scores['uar']):>7}  {between:16}{_figure(scores['accuracy']):>8}   {recall}"]
    counts = metrics[level]["n"]
    tested = ", ".join(f"{label} {n}" for label, n in counts.items() if label != "total")
    return [*lines, f"tested: {_count(counts['total'], level)} ({tested})", ""]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _how_to_read(metrics: Mapping[str, Any]) -> str:
    n_classes = sum(recall is not None for recall in metrics["clip"]["recall"].values())
    return (
        f"UAR is the mean of the classes' recalls: {1 / n_classes:.2f} is what guessing gives. Baselines, on the same "
        "split: the most frequent class; length, loudness, bandwidth, noise floor and padding; a 14 x 14 thumbnail."
    )


def _members(metrics: Mapping[str, Any]) -> list[str]:
    if len(metrics["members"]) == 1:
        return []
    each = ", ".join(f"{name} {_figure(member['clip']['uar'])}" for name, member in metrics["members"].items())
    uar = metrics["spread"]["clip"]["uar"]
    return [
        f"Members alone, UAR per clip: {each}; mean {_figure(uar['mean'])}, standard deviation {_figure(uar['sd'])}."
    ]


def _verdict(metrics: Mapping[str, Any]) -> list[str]:
    baselines = {name: value["clip"]["uar"] for name, value in metrics["baselines"].items()}
    best = max(baselines, key=lambda name: baselines[name])
    if metrics["clip"]["uar"] > baselines[best]:
        return []
    return [f"Warning: the baseline {best} does as well per clip: these numbers are no evidence of more than it sees."]


def _leakage(split: Mapping[str, Any]) -> str:
    """What of the test side training has met, and what was looked for and not found."""
    shares = {name: share for name, share in split["leakage"].items() if not name.endswith("_known")}
    if f"{split['by']}_in_training" in shares:
        shares.pop("unit_in_training")  # the same by another name
    met = [_met(name, share, split["leakage"]) for name, share in shares.items() if share]
    not_met = ", ".join(_checked(name, split["leakage"]) for name, share in shares.items() if not share)
    if not met:
        return f"Leakage: none found between test side and training (checked: {not_met})."
    also = f" (also checked, none found: {not_met})" if not_met else ""
    return f"Leakage: of the test blocks, {'; '.join(met)}{also}."


def _checked(name: str, leakage: Mapping[str, float]) -> str:
    """The check in words, with the share of blocks that it knows something of where that is not all."""
    field = name.removesuffix("_in_training")
    known = leakage.get(f"{field}_known", 1.0)
    return CHECKED.get(name, field) + ("" if known == 1 else f" (known for {_percent(known)} of them)")


def _met(name: str, share: float, leakage: Mapping[str, float]) -> str:
    if name == "overlaps_training":
        return f"{_percent(share)} overlap training sound in time"
    return f"{_percent(share)} share their {_checked(name, leakage)} with training"


def _percent(share: float) -> str:
    if 0 < share < 0.01:
        return "under 1 %"
    return "over 99 %" if 0.99 < share < 1 else f"{100 * share:.0f} %"
