"""The split of all corpora of a run, from files to files."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pipeline.split.leakage import describe_split
from pipeline.split.sides import split_blocks
from pipeline.store.files import write_json
from pipeline.store.paths import SPLIT, SPLIT_METRICS, blocks_csv, clips_csv, left_out_csv, missing_csv, rejected_csv
from pipeline.store.tables import Block, Clip, LeftOut, Missing, Rejected, SplitRow, read_all, read_rows, write_rows


def split_corpora(corpora: Sequence[str], *, audit_fields: Sequence[str], **choices: Any) -> list[SplitRow]:
    """Deal the blocks of all corpora to folds and sides, and write split.csv and split.json.

    `choices` are those of `split_blocks`. split.json says, beside what the sides share, what each corpus brought and
    what was left out of it on the way, with the reasons.
    """
    clips = read_all([clips_csv(corpus) for corpus in corpora], Clip)
    blocks = read_all([blocks_csv(corpus) for corpus in corpora], Block)
    rows = split_blocks(clips, blocks, **choices)
    described = {name: choices[name] for name in ("by", "method", "balance", "validation")}
    audit = describe_split(rows, clips, blocks, audit_fields=audit_fields, **described)
    write_rows(SPLIT, SplitRow, rows)
    write_json(SPLIT_METRICS, {**audit, "corpora": {corpus: _account(corpus) for corpus in corpora}})
    return rows


def _account(corpus: str) -> dict[str, Any]:
    """What became of every recording and every second of a corpus."""
    clips = read_rows(clips_csv(corpus), Clip)
    label_of = {clip.clip_id: clip.label for clip in clips}
    blocks = read_rows(blocks_csv(corpus), Block)
    filled = Counter(label_of[block.clip_id] for block in blocks if block.fill != "none")
    left_out: dict[str, Any] = {}
    for row in read_rows(left_out_csv(corpus), LeftOut):
        entry = left_out.setdefault(row.reason, {}).setdefault(row.label, {"blocks": 0, "seconds": 0.0})
        entry["blocks"] += row.blocks
        entry["seconds"] = round(entry["seconds"] + row.seconds, 3)
    return {
        "clips": dict(Counter(clip.label for clip in clips)),
        "seconds": round(sum(clip.seconds for clip in clips), 3),
        "blocks": dict(Counter(label_of[block.clip_id] for block in blocks)),
        "filled_blocks": dict(filled),
        "left_out": left_out,
        "missing": len(read_rows(missing_csv(corpus), Missing)),
        "rejected": len(read_rows(rejected_csv(corpus), Rejected)),
    }
