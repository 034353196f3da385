"""split.json as a table: what training and test side have in common, and which clips hold the same sound."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.findings import CHECKED, count_of
from pipeline.words import in_columns

FOLDS_SHOWN = 6  # with more, the worst stands for them
PAIRS_SHOWN = 20


def leaks_page(split: Mapping[str, Any], *, all_pairs: bool) -> str:
    """Say of each fold which share of its test blocks training has met, in each sense, and name the duplicates."""
    folds = split["folds"]
    lines = [
        f"split by {split['by']} ({split['method']}, {count_of(split['n_folds'], 'fold')}), "
        f"{count_of(split['units'], 'unit')}"
        + (f", {split['merged_units']} of them joined for their equal sound" if split["merged_units"] else ""),
        "",
        *_shares(folds, split["leakage"]),
        "",
    ]
    if "duplicates" not in split:
        return "\n".join([*lines, "Duplicates were not looked for."])
    return "\n".join([*lines, *_pairs(split["duplicates"], all_pairs=all_pairs)])


def _shares(folds: Mapping[str, Any], pooled: Mapping[str, float]) -> list[str]:
    fields = [name for name in pooled if not name.endswith("_known") and name not in CHECKED]
    names = [*(name for name in CHECKED if name in pooled), *fields]
    many = len(folds) > FOLDS_SHOWN
    heads = ["all folds", *(["worst fold"] if many else [f"fold {fold}" for fold in folds if len(folds) > 1])]
    rows = [("of the test blocks, in training", *heads)]
    for name in names:
        each = [fold["leakage"].get(name, 0.0) for fold in folds.values()]
        shown = [max(each)] if many else each if len(folds) > 1 else []
        rows.append((_in_words(name, pooled), *(_percent(share) for share in [pooled[name], *shown])))
    return _table(rows)


def _in_words(name: str, pooled: Mapping[str, float]) -> str:
    field = name.removesuffix("_in_training")
    known = pooled.get(f"{field}_known", 1.0)
    text = {
        "overlaps_training": "sound that overlaps in time",
        "near_duplicate_in_training": "a near duplicate",
        "augmented_in_training": "an altered copy",
    }.get(name, f"the same {CHECKED.get(name, field)}")
    return text + ("" if known == 1 else f" (known for {_percent(known)})")


def _pairs(found: Mapping[str, Any], *, all_pairs: bool) -> list[str]:
    n_pairs = found["exact"] + found["near"]
    if not n_pairs:
        return ["No two clips hold the same sound, exactly or nearly."]
    pairs: Sequence[Mapping[str, Any]] = found["pairs"] if all_pairs else found["pairs"][:PAIRS_SHOWN]
    rows = [("clip", "holds the same sound as", "kind", "for", "shifted by", "alike", "on two sides")]
    rows += [
        (
            pair["clip_id"],
            pair["other_id"],
            pair["kind"],
            f"{pair['seconds']:.2f} s",
            f"{pair['offset_seconds']:+.2f} s",
            f"{pair['similarity']:.2f}",
            "fold " + ", ".join(map(str, pair["across_folds"])) if pair["across_folds"] else "-",
        )
        for pair in pairs
    ]
    head = (
        f"Pairs of clips that hold the same sound: {found['exact']} exact, {found['near']} near; "
        f"{found['across_sides']} on two sides of a fold"
    )
    more = [f"... and {n_pairs - len(pairs)} more: data/processed/duplicates.csv"] if len(pairs) < n_pairs else []
    return [head, "", *_table(rows), *more, *_two_labels(found["pairs"])]


def _two_labels(pairs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name the recordings that have two labels, of which one must be wrong."""
    found = [pair for pair in pairs if len(set(pair.get("labels", ()))) > 1]
    if not found:
        return []
    shown = [
        f"{pair['clip_id']} ({pair['labels'][0]}) and {pair['other_id']} ({pair['labels'][1]})"
        for pair in found[:PAIRS_SHOWN]
    ]
    more = f"; and {len(found) - len(shown)} more" if len(found) > len(shown) else ""
    return [
        "",
        f"Warning: {count_of(len(found), 'pair')} with two labels, of which one must be wrong: "
        + f"{'; '.join(shown)}{more}",
    ]


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    lines = in_columns(rows)
    return [lines[0], "-" * len(lines[0]), *lines[1:]]


def _percent(share: float) -> str:
    if 0 < share < 0.005:
        return "under 1 %"
    return f"{100 * share:.0f} %" if share < 0.995 or share == 1 else "over 99 %"
