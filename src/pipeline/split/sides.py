"""Blocks into folds and sides: no unit on two sides, every class where it is needed, or a refusal that says why."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.split.choices import DROPPED, TEST, TRAIN, VALIDATION, Choices, Sides
from pipeline.split.deal import deal_units
from pipeline.split.dealt import Dealt
from pipeline.split.matched import deal_matched
from pipeline.split.refusals import (
    refuse_absent,
    refuse_few,
    refuse_many_rows,
    refuse_nothing_to_deal,
    refuse_nothing_to_learn,
    refuse_one_class,
)
from pipeline.split.selection import Use
from pipeline.split.units import Units, find_units, resampled_unit
from pipeline.store.tables import Block, Clip
from pipeline.store.texts import number

# One stream of random numbers per purpose (and fold), so that balancing, say, leaves the deal as it is.
DEAL, VALIDATE, BALANCE, CAP = range(4)

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def split_blocks(
    clips: Sequence[Clip],
    blocks: Sequence[Block],
    choices: Choices,
    *,
    use: Mapping[str, Use] | None = None,
    joined: Iterable[tuple[str, str]] = (),
) -> Dealt:
    """Give every block of variant 0 a side in every fold of the scheme.

    The unit (`by`) is what `find_units` says; it is never on two sides of a fold. With `method` kfold, each unit is
    on the test side of exactly one fold; holdout has fold 0 only, with about `test_fraction` of each class's blocks on
    the test side; with leave_one_out, the test side of fold k is the k-th unit in the order of their names; matched is
    what `matched.deal_matched` says. `stratify` false deals without looking at classes.

    Several fields, as in speaker+sentence, are crossed: each is dealt on its own, a block is tested where all its
    values are, learned from where none is, and dropped elsewhere. Folds are then all pairs: kfold makes n_folds^2,
    leave_one_out one for each pair that was recorded.

    Where a corpus is for training only (`use`), its units are in every fold's training side, but for the values that
    the fold tests; where it is for testing only, what a fold does not test is dropped. holdout tests all of it. At
    most `train_clips` and `test_clips` of a corpus stay on a side of a fold, random ones, each class in proportion.

    `validation` fraction takes about `validation_fraction` of the blocks of each fold's training side, by the same
    unit; test and none make no side of their own. `balance` train drops random blocks from the training side of each
    fold, after validation was taken, until classes are equal; all does so once in the whole set, before it is split
    (Franzoni et al. 2019), and a unit that loses all its blocks so is no fold's test side. What is drawn depends on
    the seed and the names only, not on the order of clips and blocks.

    A side needs every class: training always, test with all methods but leave_one_out, validation where it is taken
    from training. `absent_classes` says what becomes of a class that one lacks: refuse; drop its blocks from the fold;
    or keep them (a class that training lacks cannot be answered, and has no part in UAR).

    Parameters
    ----------
    use
        What each corpus is used for; one that is not named is used whole.
    joined
        Pairs of clip_ids that must not be on two sides.

    Returns
    -------
    Rows for all folds, by fold and then in the order of `blocks`; their group is what intervals resample.

    Raises
    ------
    SplitError
        If the scheme cannot be had from these units, and as `find_units` says.
    """
    pairs = list(joined)
    every = [find_units(clips, blocks, by=field, joined=pairs) for field in choices.fields]
    refuse_one_class(every[0])
    pool = _Pool.of(every, clips, use or {}, choices)
    if choices.method == "matched":
        widest = find_units(clips, blocks, by=choices.unit, joined=pairs)
        folds: Iterable[tuple[Bools, Bools]] = [
            deal_matched(every[0], widest, pool.kept, choices, _stream(choices.seed, DEAL))
        ]
        n_folds = 1
    else:
        of_fields = [_deal_tests(pool, units, choices, which) for which, units in enumerate(every)]
        sizes = [_count_folds(fold_of_unit, choices) for fold_of_unit in of_fields]
        n_folds = int(np.prod(sizes))
        folds = _cross(pool, of_fields, sizes)
        if choices.method == "leave_one_out" and len(sizes) > 1:
            folds = ((test, training) for test, training in folds if test.any())
    refuse_many_rows(n_folds, len(every[0].blocks))
    resampled = resampled_unit(clips, choices.unit)
    named = every[0] if resampled == choices.fields[0] else find_units(clips, blocks, by=resampled, joined=pairs)
    settled = (_settle(pool, test, training, fold, choices) for fold, (test, training) in enumerate(folds))
    return Dealt(named, list(settled))


@dataclass(frozen=True)
class _Pool:
    """What there is to deal: arrays over the blocks (n_blocks,).

    Attributes
    ----------
    units
        The units of each crossed field.
    kept
        False where balancing the whole set dropped a block.
    may_train, may_test
        By the role of the block's corpus.
    clip
        Index of the block's clip, in the order of their names.
    corpus_of_clip, use
        Index of each clip's corpus, in the order of their names, and what is used of each corpus.
    """

    units: Sequence[Units]
    kept: Bools
    may_train: Bools
    may_test: Bools
    clip: Ints
    corpus_of_clip: Ints
    use: Sequence[Use]

    @classmethod
    def of(cls, every: Sequence[Units], clips: Sequence[Clip], use: Mapping[str, Use], choices: Choices) -> "_Pool":
        units = every[0]
        kept = np.ones(len(units.blocks), dtype=bool)
        if choices.balance == "all":
            kept = _level(units, kept, _stream(choices.seed, BALANCE))
        corpus_of = {clip.clip_id: clip.corpus for clip in clips}
        clip_ids, clip = number(units.blocks.texts("clip_id"))
        names, corpus_of_clip = number([corpus_of[clip_id] for clip_id in clip_ids])
        uses = [use.get(name, Use()) for name in names]
        return cls(
            units=every,
            kept=kept,
            may_train=np.array([each.may_train for each in uses], dtype=bool)[corpus_of_clip][clip],
            may_test=np.array([each.may_test for each in uses], dtype=bool)[corpus_of_clip][clip],
            clip=clip,
            corpus_of_clip=corpus_of_clip,
            use=uses,
        )


def _stream(seed: int, *purpose: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=purpose))


def _deal_tests(pool: _Pool, units: Units, choices: Choices, which: int) -> Ints:
    """Fold on whose test side each unit of the `which`-th field is, (n_units,); -1 for none."""
    testable = units.count(pool.kept & pool.may_test)
    trainable = units.count(pool.kept & pool.may_train)
    refuse_nothing_to_deal(testable, trainable, choices)
    refuse_few(units, testable, trainable, choices, by=choices.fields[which])
    columns = testable if choices.stratify else testable.sum(axis=1, keepdims=True)
    rng = _stream(choices.seed, DEAL, *([which] if which else []))
    present = np.flatnonzero(columns.any(axis=1))
    fold_of_unit = np.full(len(columns), -1, dtype=np.int64)
    if choices.method == "leave_one_out":
        fold_of_unit[present] = np.arange(len(present))
    elif choices.method == "kfold":
        shares = np.full(choices.n_folds, 1 / choices.n_folds)
        fold_of_unit[present] = deal_units(columns[present], shares, rng)
    else:
        both = np.flatnonzero(columns.any(axis=1) & trainable.any(axis=1))
        share = _each(choices.test_fraction, choices)
        fold_of_unit[present] = 0  # what is for testing only is tested
        fold_of_unit[both] = deal_units(columns[both], np.array([1 - share, share]), rng) - 1
    return fold_of_unit


def _count_folds(fold_of_unit: Ints, choices: Choices) -> int:
    """How many folds one field makes, those that the deal left empty among them."""
    return {"kfold": choices.n_folds, "holdout": 1}.get(choices.method, int(fold_of_unit.max()) + 1)


def _each(fraction: float, choices: Choices) -> float:
    """Share of each crossed field's units that gives a share of the blocks."""
    return float(fraction ** (1 / len(choices.fields)))


def _cross(pool: _Pool, of_fields: Sequence[Ints], sizes: Sequence[int]) -> Iterator[tuple[Bools, Bools]]:
    """Yield test and training side of each fold, before caps: blocks (n_blocks,) each."""
    of_blocks = [fold_of_unit[units.unit] for fold_of_unit, units in zip(of_fields, pool.units, strict=True)]
    for folds in itertools.product(*map(range, sizes)):
        held_out = [of_block == fold for of_block, fold in zip(of_blocks, folds, strict=True)]
        yield (
            pool.kept & pool.may_test & np.logical_and.reduce(held_out),
            pool.kept & pool.may_train & ~np.logical_or.reduce(held_out),
        )


def _settle(pool: _Pool, test: Bools, training: Bools, fold: int, choices: Choices) -> Sides:
    """Side of each block in one fold: caps, then validation, then the classes, then balance."""
    rng = _stream(choices.seed, CAP, fold)
    test = _cap(pool, test, [use.test_clips for use in pool.use], rng)
    training = _cap(pool, training, [use.train_clips for use in pool.use], rng)
    sides = np.full(len(test), DROPPED, dtype=np.int8)
    sides[test], sides[training] = TEST, TRAIN
    if choices.validation == "fraction":
        _take_validation(pool, sides, fold, choices)
    if choices.absent_classes == "drop":
        _drop_absent(pool.units[0], sides, choices)
    if choices.absent_classes == "refuse":
        limited = any(use.role != "both" or use.train_clips or use.test_clips for use in pool.use)
        refuse_absent(pool.units, sides, fold, choices, limited=limited)
    refuse_nothing_to_learn(pool.units[0], sides, fold, choices)
    if choices.balance == "train":
        levelled = _level(pool.units[0], sides == TRAIN, _stream(choices.seed, BALANCE, fold))
        sides[(sides == TRAIN) & ~levelled] = DROPPED
    return sides


def _cap(pool: _Pool, mask: Bools, caps: Sequence[int | None], rng: np.random.Generator) -> Bools:
    """Keep at most so many clips of each corpus: random ones, each class in proportion."""
    mask = mask.copy()
    for corpus, cap in enumerate(caps):
        if cap is None:
            continue
        own = mask & (pool.corpus_of_clip == corpus)[pool.clip]
        clips, first = np.unique(pool.clip[own], return_index=True)
        if len(clips) <= cap:
            continue
        labels = pool.units[0].label[own][first]
        order = np.empty(len(clips))
        for label in np.unique(labels):
            there = np.flatnonzero(labels == label)
            order[rng.permutation(there)] = (np.arange(len(there)) + 0.5) / len(there)
        dropped = clips[np.argsort(np.round(order, 9), kind="stable")[cap:]]
        mask &= ~(own & np.isin(pool.clip, dropped))
    return mask


def _take_validation(pool: _Pool, sides: Sides, fold: int, choices: Choices) -> None:
    """Move blocks from training to validation, in place: by the same units, crossed in the same way."""
    training = sides == TRAIN
    taken = []
    for which, units in enumerate(pool.units):
        counts = units.count(training)
        columns = counts if choices.stratify else counts.sum(axis=1, keepdims=True)
        rest = np.flatnonzero(columns.any(axis=1))
        share = _each(choices.validation_fraction, choices)
        rng = _stream(choices.seed, VALIDATE, fold, *([which] if which else []))
        moved = np.zeros(len(columns), dtype=bool)
        moved[rest] = deal_units(columns[rest], np.array([1 - share, share]), rng) == 1
        taken.append(moved[units.unit])
    sides[training & np.logical_or.reduce(taken)] = DROPPED
    sides[training & np.logical_and.reduce(taken)] = VALIDATION


def _drop_absent(units: Units, sides: Sides, choices: Choices) -> None:
    """Drop, in place, the classes that training or the test side lacks (that of leave_one_out need not have all)."""
    there = np.isin(np.arange(len(units.classes)), units.label[sides == TRAIN])
    if choices.method != "leave_one_out":
        there &= np.isin(np.arange(len(units.classes)), units.label[sides == TEST])
    sides[~there[units.label]] = DROPPED


def _level(units: Units, mask: Bools, rng: np.random.Generator) -> Bools:
    """Of the blocks in `mask`, keep as many random ones of each class as the smallest class there has."""
    candidates = units.ranks[mask[units.ranks]]
    labels = units.label[candidates]
    fewest = np.unique(labels, return_counts=True)[1].min()
    kept = np.zeros(len(mask), dtype=bool)
    for which in np.unique(labels):
        kept[rng.permutation(candidates[labels == which])[:fewest]] = True
    return kept
