"""The one rule by which altered sound meets a split: to the training side, and only of clips that are wholly off it.

A split knows variant 0. What is added here is never on another side, nor made from a clip that is there.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.errors import SplitError
from pipeline.store.tables import Block, SplitRow

LEAK = "augmented_before_split"  # in split.allow_leaks
NAMES_SHOWN = 3
TRAIN = "train"
DEAL, BALANCE = range(2)  # streams of random numbers
JUDGED = frozenset({"validation", "test"})


def attach_variants(
    split_rows: Sequence[SplitRow],
    blocks_by_variant: Mapping[int, Sequence[Block]],
    *,
    allowed: bool = False,
    balanced: bool = False,
    seed: int = 0,
) -> list[SplitRow]:
    """Give the rows that altered blocks add to a split.

    In each fold, every altered block of a clip that has blocks on the training side is added there; of a clip without
    one (tested, watched or dropped there, or not used at all) nothing is. A clip with blocks on the training side and
    on validation or test is refused, for its altered sound would hold what is judged. Blocks that balancing dropped
    come back as altered ones, so with `balanced` random altered blocks of each fold are left away until classes are
    equal.

    With `allowed`, altered blocks are dealt to all sides as if augmentation had come before a split of single blocks:
    each takes, in all folds, the sides of a random block of its class, every block's sides about equally often.

    Parameters
    ----------
    split_rows
        Any number of folds.
    blocks_by_variant
        Blocks by the number of their variant; those of 0 are the split's own and left alone.
    allowed
        Whether `augmented_before_split` is named in split.allow_leaks.
    balanced
        Whether each class gets as many altered blocks in a fold as the others, where it is not allowed.
    seed
        Of what is random: balancing, and the deal where it is allowed.

    Returns
    -------
    Rows of altered blocks only, by fold, variant, and then in their given order.

    Raises
    ------
    SplitError
        If a clip's altered sound would hold what is judged, an altered block stands in the split or twice, a block is
        of another variant than it is listed under, or there is nothing to balance a class with.
    """
    altered = _altered_blocks(split_rows, blocks_by_variant)
    if allowed:
        return _deal_alike(split_rows, altered, seed)
    folds: dict[int, dict[str, list[SplitRow]]] = defaultdict(lambda: defaultdict(list))
    for row in split_rows:
        folds[row.fold][row.clip_id].append(row)
    added: list[SplitRow] = []
    for fold, clips in sorted(folds.items()):
        learned = {clip_id: rows for clip_id, rows in clips.items() if any(row.side == TRAIN for row in rows)}
        _refuse_judged(fold, learned, {block.clip_id for block in altered})
        rows = [_row(block, learned[block.clip_id], fold) for block in altered if block.clip_id in learned]
        added += _level(rows, {each[0].label for each in learned.values()}, fold, seed) if balanced else rows
    return added


def _altered_blocks(split_rows: Sequence[SplitRow], blocks_by_variant: Mapping[int, Sequence[Block]]) -> list[Block]:
    known = {row.block_id for row in split_rows}
    altered: list[Block] = []
    for variant, blocks in sorted(blocks_by_variant.items()):
        for block in blocks:
            if block.variant != variant:
                raise SplitError(
                    f"block {block.block_id} of variant {block.variant} is listed under variant {variant}: run "
                    "`dvc repro -f slice_blocks`"
                )
            if variant == 0:
                continue
            if block.block_id in known:
                raise SplitError(
                    f"block {block.block_id} of variant {variant} is in the split or listed twice, and the split knows "
                    "variant 0 only: run `dvc repro -f slice_blocks`"
                )
            known.add(block.block_id)
            altered.append(block)
    return altered


def _refuse_judged(fold: int, learned: Mapping[str, Sequence[SplitRow]], augmented: set[str]) -> None:
    """Refuse clips with altered sound that are on the training side and on one that is judged by."""
    torn = [
        clip_id
        for clip_id, rows in sorted(learned.items())
        if clip_id in augmented and any(row.side in JUDGED for row in rows)
    ]
    if torn:
        more = f" and {len(torn) - NAMES_SHOWN} more" if len(torn) > NAMES_SHOWN else ""
        raise SplitError(
            f"augmentation: fold {fold}: {', '.join(torn[:NAMES_SHOWN])}{more}: blocks on the training side and on "
            "validation or test, so that altered copies would hold what is judged: split by clip or a wider field, or "
            f"name {LEAK} in split.allow_leaks"
        )


def _row(block: Block, of_clip: Sequence[SplitRow], fold: int) -> SplitRow:
    groups = {row.group for row in of_clip}
    return SplitRow(
        block_id=block.block_id,
        clip_id=block.clip_id,
        group=groups.pop() if len(groups) == 1 else block.block_id,
        label=of_clip[0].label,
        fold=fold,
        side=TRAIN,
    )


def _level(rows: Sequence[SplitRow], classes: set[str], fold: int, seed: int) -> list[SplitRow]:
    """Keep as many random rows of each class as the class with the fewest has; all, where there are none at all."""
    ranked = sorted(rows, key=lambda row: row.block_id)
    of_class = {label: [row.block_id for row in ranked if row.label == label] for label in sorted(classes)}
    fewest = min((len(names) for names in of_class.values()), default=0)
    if rows and not fewest:
        absent = next(label for label, names in of_class.items() if not names)
        raise SplitError(
            f"augmentation: fold {fold}: class {absent!r} has no altered block to balance the others with: set "
            "split.balance to none, or leave out variants that shorten clips below a block"
        )
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(BALANCE, fold)))
    kept = {names[i] for names in of_class.values() for i in rng.permutation(len(names))[:fewest].tolist()}
    return [row for row in rows if row.block_id in kept]


def _deal_alike(split_rows: Sequence[SplitRow], altered: Sequence[Block], seed: int) -> list[SplitRow]:
    """Deal altered blocks, each a unit of its own, to the sides that blocks of their class have over all folds."""
    label_of = {row.clip_id: row.label for row in split_rows}
    sides: dict[str, dict[int, str]] = defaultdict(dict)
    of_class: dict[str, dict[str, None]] = defaultdict(dict)
    for row in split_rows:
        sides[row.block_id][row.fold] = row.side
        of_class[row.label][row.block_id] = None
    dealt: dict[str, Mapping[int, str]] = {}
    for which, label in enumerate(sorted(of_class)):
        models = sorted(of_class[label])
        own = sorted(block.block_id for block in altered if label_of.get(block.clip_id) == label)
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(DEAL, which)))
        rounds = [rng.permutation(len(models)) for _ in range(-(-len(own) // len(models)))]
        chosen = np.concatenate(rounds) if rounds else ()
        dealt |= {block_id: sides[models[model]] for block_id, model in zip(own, chosen, strict=False)}
    return [
        SplitRow(
            block_id=block.block_id,
            clip_id=block.clip_id,
            group=block.block_id,
            label=label_of[block.clip_id],
            fold=fold,
            side=dealt[block.block_id][fold],
        )
        for fold in sorted({row.fold for row in split_rows})
        for block in altered
        if block.block_id in dealt and fold in dealt[block.block_id]
    ]
