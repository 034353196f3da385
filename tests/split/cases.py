"""Small tables of clips and blocks for the tests of the split: one second is 10 samples, blocks last 2 s."""

from collections import Counter
from collections.abc import Mapping, Sequence

from pipeline.split import Choices, split_blocks
from pipeline.split.selection import Use
from pipeline.store.tables import Block, Clip, SplitRow

RATE = 10
OPTIONS = {
    "by": "clip",
    "method": "kfold",
    "n_folds": 3,
    "test_fraction": 0.2,
    "stratify": True,
    "balance": "none",
    "validation": "none",
    "validation_fraction": 0.2,
    "seed": 0,
}


def clip(
    name: str,
    label: str,
    n_blocks: int = 3,
    *,
    corpus: str = "demo",
    path: str = "",
    start_seconds: float = 0.0,
    pcm: str = "",
    **fields: str,
) -> Clip:
    """A clip that `blocks_of` cuts into `n_blocks` blocks of 2 s, one every second."""
    return Clip(
        clip_id=f"{corpus}/{name}",
        path=path or name,
        label=label,
        corpus=corpus,
        offset=0,
        n_samples=(n_blocks + 1) * RATE,
        seconds=float(n_blocks + 1),
        start_seconds=start_seconds,
        pcm_sha256=pcm or f"sound of {corpus}/{path or name} from {start_seconds}",
        source_rate=RATE,
        bandwidth_hz=5.0,
        floor_db=-60.0,
        channels=1,
        licence="CC0",
        fields=fields,
    )


def block(of: Clip, start: int, *, n_samples: int = 2 * RATE, variant: int = 0) -> Block:
    mark = f"~{variant}" if variant else ""
    return Block(
        block_id=f"{of.clip_id}{mark}@{start}",
        clip_id=of.clip_id,
        variant=variant,
        start=start,
        n_samples=n_samples,
        fill="none",
    )


def blocks_of(clips: Sequence[Clip]) -> list[Block]:
    return [block(each, start) for each in clips for start in range(0, each.n_samples - RATE, RATE)]


def many(label: str, sizes: Sequence[int], **fields: str) -> list[Clip]:
    """Clips of one class with the given numbers of blocks."""
    return [clip(f"{label}{i}.wav", label, size, **fields) for i, size in enumerate(sizes)]


def split(
    clips: Sequence[Clip],
    blocks: Sequence[Block] | None = None,
    *,
    use: Mapping[str, Use] | None = None,
    joined: Sequence[tuple[str, str]] = (),
    **options: object,
) -> list[SplitRow]:
    choices = Choices(**(OPTIONS | options))  # type: ignore[arg-type]
    return split_blocks(clips, blocks_of(clips) if blocks is None else blocks, choices, use=use, joined=joined)


def blocks_on(rows: Sequence[SplitRow], side: str, fold: int = 0) -> dict[str, int]:
    """Number of blocks of each class on one side of one fold."""
    return dict(Counter(row.label for row in rows if row.side == side and row.fold == fold))


def units_on(rows: Sequence[SplitRow], side: str, fold: int = 0) -> dict[str, int]:
    """Number of units of each class on one side of one fold."""
    return dict(Counter(label for label, _ in {(r.label, r.group) for r in rows if r.side == side and r.fold == fold}))


def sides_of_units(rows: Sequence[SplitRow]) -> Mapping[tuple[int, str], set[str]]:
    """Sides on which each unit's blocks lie in each fold, dropped ones aside."""
    sides: dict[tuple[int, str], set[str]] = {}
    for row in rows:
        sides.setdefault((row.fold, row.group), set()).update({row.side} - {"dropped"})
    return sides
