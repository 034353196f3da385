"""A fair comparison of splits: the same test blocks and as many training blocks, whatever the split lets leak."""

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import SplitError
from pipeline.split.choices import Choices
from pipeline.split.deal import deal_units
from pipeline.split.units import Units
from pipeline.store.texts import number

Bools = NDArray[np.bool_]


def deal_matched(
    units: Units, widest: Units, kept: Bools, choices: Choices, rng: np.random.Generator
) -> tuple[Bools, Bools]:
    """Deal one fold whose test side does not depend on `by`, and whose training side has the same size for every `by`.

    The widest units (`matched_on`: speakers, sources) are dealt into parts of about `test_fraction`, and the seed says
    which part is held out: as many seeds in turn as there are parts hold out every unit once. Half of the clips of each
    unit that is held out, and of these half of the blocks (rounded up), are tested. What is left of the clips, of the
    widest units and of everything else is what a split by block may learn from; one by clip may not touch the tested
    clips, one by the widest unit none of its clips. From what is allowed, random blocks are drawn: of each class as
    many as the split by the widest unit has. So the three differ in what training has met of the test side, and in
    nothing else.

    Parameters
    ----------
    units, widest
        Units of `by`, and of `matched_on`, over the same blocks.
    kept
        Which blocks take part, (n_blocks,).

    Returns
    -------
    Blocks on the test side and on the training side, (n_blocks,) each.

    Raises
    ------
    SplitError
        If `by` allows fewer blocks of a class than the widest unit does.
    """
    held_out = _hold_out(widest, kept, choices)
    test = _choose_test(widest, kept & held_out[widest.unit], rng)
    strict = kept & ~held_out[widest.unit]
    tested = np.zeros(len(units.names), dtype=bool)
    tested[units.unit[test]] = True
    allowed = kept & ~test & ~tested[units.unit]
    return test, _draw(units, allowed, np.bincount(units.label[strict], minlength=len(units.classes)), choices, rng)


def _hold_out(widest: Units, kept: Bools, choices: Choices) -> Bools:
    counts = widest.count(kept)
    columns = counts if choices.stratify else counts.sum(axis=1, keepdims=True)
    present = np.flatnonzero(columns.any(axis=1))
    held_out = np.zeros(len(counts), dtype=bool)
    n_parts = max(2, round(1 / choices.test_fraction))
    turn, part = divmod(choices.seed, n_parts)
    parts = deal_units(columns[present], np.full(n_parts, 1 / n_parts), np.random.default_rng([turn, n_parts]))
    held_out[present] = parts == part
    return held_out


def _choose_test(widest: Units, candidates: Bools, rng: np.random.Generator) -> Bools:
    """Half of the clips of each held-out unit and class, half of the blocks of each such clip; at least one."""
    _, clip = number(widest.blocks.texts("clip_id"))
    test = np.zeros(len(candidates), dtype=bool)
    ranked = widest.ranks[candidates[widest.ranks]]  # by name, so that no order of files matters
    cell = widest.unit[ranked].astype(np.int64) * len(widest.classes) + widest.label[ranked]
    for own in np.unique(cell):
        clips = np.unique(clip[ranked[cell == own]])
        for chosen in rng.permutation(clips)[: -(-len(clips) // 2)]:
            blocks = ranked[(cell == own) & (clip[ranked] == chosen)]
            test[rng.permutation(blocks)[: -(-len(blocks) // 2)]] = True
    return test


def _draw(units: Units, allowed: Bools, sizes: NDArray[np.int64], choices: Choices, rng: np.random.Generator) -> Bools:
    training = np.zeros(len(allowed), dtype=bool)
    ranked = units.ranks[allowed[units.ranks]]
    for which, size in enumerate(sizes.tolist()):
        own = ranked[units.label[ranked] == which]
        if len(own) < size:
            raise SplitError(
                f"split.by: {choices.by} leaves {len(own)} blocks of {units.classes[which]!r} to learn from, and "
                f"{size} are left by split.matched_on {choices.matched_on}: match on the wider of the two "
                "(fields that cross, as speaker and sentence do, cannot be matched)"
            )
        training[rng.permutation(own)[:size]] = True
    return training
