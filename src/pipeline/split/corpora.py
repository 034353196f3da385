"""The split of all corpora of a run, from files to files."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.augment.attach import LEAK, attach_variants
from pipeline.errors import SplitError
from pipeline.split.choices import Choices
from pipeline.split.leakage import describe_augmented, describe_split
from pipeline.split.selection import Use, select_clips
from pipeline.split.sides import split_blocks
from pipeline.store.columns import Table, read_table
from pipeline.store.files import write_json
from pipeline.store.paths import (
    DUPLICATES,
    SPLIT,
    SPLIT_METRICS,
    VARIANTS,
    blocks_csv,
    clips_csv,
    left_out_csv,
    missing_csv,
    rejected_csv,
)
from pipeline.store.tables import (
    Block,
    Clip,
    Duplicate,
    LeftOut,
    Missing,
    Rejected,
    SplitRow,
    read_all,
    read_rows,
    write_rows,
)
from pipeline.store.texts import number

ALL_NEAR = "near_duplicates"  # in allow_leaks: every pair of near duplicates


def split_corpora(
    corpora: Sequence[str],
    choices: Choices,
    *,
    audit_fields: Sequence[str],
    use: Mapping[str, Use] | None = None,
    classes: Sequence[str] = (),
    near_duplicates: str = "refuse",
    allow_leaks: Sequence[str] = (),
) -> Sequence[SplitRow]:
    """Deal the blocks of all corpora to folds and sides, and write split.csv, split.json and variants.csv.

    The split is of the recordings. Altered blocks of the clips that take part are listed in variants.csv, from where
    training attaches them; where `allow_leaks` names augmented_before_split, they are dealt to all sides here instead.
    split.json says, beside what the sides share, what each corpus brought and what was left out of it on the way, with
    the reasons.

    Parameters
    ----------
    use, classes
        As `select_clips` takes them.
    near_duplicates
        join: pairs of near duplicates are never on two sides. refuse: where some are, that is an error, but in a split
        by block, which lets sound leak anyway.
    allow_leaks
        Clips that may be on another side than their near duplicate all the same, by clip_id, or `near_duplicates` for
        all of them; augmented_before_split for altered sound on all sides. They are reported.

    Raises
    ------
    SplitError
        As `split_blocks` and `select_clips` say, and for near duplicates on two sides.
    """
    use = use or {}
    clips = read_all([clips_csv(corpus) for corpus in corpora], Clip)
    _refuse_unknown_leaks(clips, allow_leaks)
    selection = select_clips(clips, use=use, classes=classes)
    blocks = read_table([blocks_csv(corpus) for corpus in corpora], Block)
    counted = _count_blocks(clips, blocks)
    unused = {clip.clip_id for clip in clips} - {clip.clip_id for clip in selection.clips}
    blocks = blocks.take(~blocks.where("clip_id", unused.__contains__))
    is_altered = blocks.numbers("variant") != 0
    blocks, altered = blocks.take(~is_altered), blocks.take(is_altered)
    duplicates = read_rows(DUPLICATES, Duplicate)
    joined = [(pair.clip_id, pair.other_id) for pair in duplicates] if near_duplicates == "join" else []
    rows: Sequence[SplitRow] = split_blocks(selection.clips, blocks, choices, use=use, joined=joined)
    audit = describe_split(
        rows,
        selection.clips,
        blocks,
        choices,
        audit_fields=audit_fields,
        duplicates=duplicates,
        joined=joined,
    )
    if choices.by != "block":
        _refuse_leaks(audit["duplicates"]["pairs"], allow_leaks)
    if LEAK in allow_leaks and len(altered):
        rows, audit = _deal_altered(rows, audit, altered, seed=choices.seed)
        altered = altered.take(np.zeros(len(altered), dtype=bool))
    write_rows(SPLIT, SplitRow, rows)
    write_rows(VARIANTS, Block, altered)
    accounts = {corpus: _account(corpus, clips, counted, unused=selection.unused.get(corpus, {})) for corpus in corpora}
    write_json(SPLIT_METRICS, {**audit, "corpora": accounts})
    return rows


def _deal_altered(
    rows: Sequence[SplitRow], audit: Mapping[str, Any], altered: Sequence[Block], *, seed: int
) -> tuple[list[SplitRow], dict[str, Any]]:
    """Deal altered blocks to all sides, as if augmentation had come before the split, and say so in the audit."""
    of_variant: dict[int, list[Block]] = defaultdict(list)
    for block in altered:
        of_variant[block.variant].append(block)
    added = attach_variants(rows, of_variant, allowed=True, seed=seed)
    dealt = sorted([*rows, *added], key=lambda row: row.fold)  # stable: a fold's altered blocks follow its own
    return dealt, describe_augmented(audit, dealt, {row.block_id for row in added})


def _refuse_unknown_leaks(clips: Sequence[Clip], allow_leaks: Sequence[str]) -> None:
    """Refuse a name that allows nothing: it is probably misspelt."""
    known = {clip.clip_id for clip in clips}
    if unknown := [name for name in allow_leaks if name not in known | {ALL_NEAR, LEAK}]:
        raise SplitError(
            f"split.allow_leaks: {unknown[0]!r} is no clip_id of these corpora: name one as clips.csv does, e.g. "
            f"{min(known)}, or {ALL_NEAR} for all, or {LEAK}"
        )


def _refuse_leaks(pairs: Sequence[Mapping[str, Any]], allow_leaks: Sequence[str]) -> None:
    """Refuse near duplicates on two sides of a fold that are not allowed by name."""
    if ALL_NEAR in allow_leaks:
        return
    found = [
        pair for pair in pairs if pair["across_folds"] and not {pair["clip_id"], pair["other_id"]} & set(allow_leaks)
    ]
    if found:
        named = "; ".join(f"{pair['clip_id']} and {pair['other_id']} ({pair['seconds']:g} s)" for pair in found[:3])
        more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
        many = "pairs of clips hold" if len(found) > 1 else "pair of clips holds"
        raise SplitError(
            f"split: {len(found)} {many} the same sound on two sides of a fold: {named}{more} (all in {DUPLICATES}): "
            f"set split.near_duplicates to join, or name clips, or {ALL_NEAR} for all, in split.allow_leaks"
        )


def _count_blocks(clips: Sequence[Clip], blocks: Table[Block]) -> dict[str, tuple[Counter[str], Counter[str]]]:
    """Blocks of each corpus by the labels of their clips: all of recordings, and those of them that were filled up."""
    ids, clip = number(blocks.texts("clip_id"))
    recorded = blocks.numbers("variant") == 0
    filled = recorded & ~blocks.where("fill", "none".__eq__)
    n_recorded, n_filled = (np.bincount(clip[mask], minlength=len(ids)).tolist() for mask in (recorded, filled))
    of_clip = dict(zip(ids, zip(n_recorded, n_filled, strict=True), strict=True))
    found: dict[str, tuple[Counter[str], Counter[str]]] = defaultdict(lambda: (Counter(), Counter()))
    for each in clips:
        for counter, n_blocks in zip(found[each.corpus], of_clip.get(each.clip_id, ()), strict=False):
            if n_blocks:
                counter[each.label] += n_blocks
    return found


def _account(
    corpus: str,
    clips: Sequence[Clip],
    counted: Mapping[str, tuple[Counter[str], Counter[str]]],
    *,
    unused: Mapping[str, int],
) -> dict[str, Any]:
    """What became of every recording and every second of a corpus."""
    own = [clip for clip in clips if clip.corpus == corpus]
    blocks, filled = counted[corpus]
    left_out: dict[str, Any] = {}
    for row in read_rows(left_out_csv(corpus), LeftOut):
        entry = left_out.setdefault(row.reason, {}).setdefault(row.label, {"blocks": 0, "seconds": 0.0})
        entry["blocks"] += row.blocks
        entry["seconds"] = round(entry["seconds"] + row.seconds, 3)
    return {
        "clips": dict(Counter(clip.label for clip in own)),
        "seconds": round(sum(clip.seconds for clip in own), 3),
        "blocks": dict(blocks),
        "filled_blocks": dict(filled),
        "left_out": left_out,
        "unused_clips": dict(unused),
        "missing": len(read_rows(missing_csv(corpus), Missing)),
        "rejected": len(read_rows(rejected_csv(corpus), Rejected)),
    }
