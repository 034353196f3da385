"""Blocks into folds and sides: no unit on two sides, every class where it is needed, or a refusal that says why."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import SplitError
from pipeline.split.deal import deal_units
from pipeline.split.units import Units, find_units
from pipeline.store.tables import Block, Clip, SplitRow

SIDES = ("train", "validation", "test", "dropped")
TRAIN, VALIDATION, TEST, DROPPED = range(4)
# One stream of random numbers per purpose (and fold), so that balancing, say, leaves the deal as it is.
DEAL, VALIDATE, BALANCE = range(3)
MAX_ROWS = 10_000_000  # of split.csv: about a gigabyte

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def split_blocks(
    clips: Sequence[Clip],
    blocks: Sequence[Block],
    *,
    by: str,
    method: str,
    n_folds: int,
    test_fraction: float,
    stratify: bool,
    balance: str,
    validation: str,
    validation_fraction: float,
    seed: int,
) -> list[SplitRow]:
    """Give every block of variant 0 a side in every fold of the scheme.

    The unit (`by`) is what `find_units` says; it is never on two sides of a fold. With `method` kfold, each unit is
    on the test side of exactly one fold; holdout has fold 0 only, with about `test_fraction` of each class's blocks on
    the test side; with leave_one_out, the test side of fold k is the k-th unit in the order of their names.
    `stratify` false deals without looking at classes. `validation` fraction takes about `validation_fraction` of the
    blocks of each fold's training side, by the same unit; test and none make no side of their own. `balance` train
    drops random blocks from the training side of each fold, after validation was taken, until classes are equal; all
    does so once in the whole set, before it is split (Franzoni et al. 2019), and a unit that loses all its blocks so
    is no fold's test side. What is drawn depends on the seed and the names only, not on the order of clips and blocks.

    Returns
    -------
    Rows for all folds, by fold and then in the order of `blocks`.

    Raises
    ------
    SplitError
        If a side lacks a class that it needs: training always, test with kfold and holdout, validation where it is
        taken from the training side; and as `find_units` says.
    """
    units = find_units(clips, blocks, by=by)
    _refuse_one_class(units)
    kept = np.ones(len(units.blocks), dtype=bool)
    if balance == "all":
        kept = _level(units, kept, _stream(seed, BALANCE))
    counts = units.count(kept)
    _refuse_few(units, counts, by=by, method=method, n_folds=n_folds, validation=validation)
    columns = counts if stratify else counts.sum(axis=1, keepdims=True)
    fold_of_unit = _choose_tests(columns, method, n_folds, test_fraction, _stream(seed, DEAL))
    taken = validation_fraction if validation == "fraction" else 0.0
    rows: list[SplitRow] = []
    for fold in range(int(fold_of_unit.max()) + 1):
        of_unit = np.where(fold_of_unit == fold, TEST, TRAIN)
        if taken:
            _take_validation(of_unit, columns, taken, _stream(seed, VALIDATE, fold))
        needed = [side for side in (TRAIN, VALIDATION, TEST) if _is_needed(side, method, validation)]
        _refuse_absent(units, counts, of_unit, fold, needed, stratify=stratify)
        sides = np.where(kept, of_unit[units.unit], DROPPED)
        if balance == "train":
            training = sides == TRAIN
            sides[training & ~_level(units, training, _stream(seed, BALANCE, fold))] = DROPPED
        rows += _write_fold(units, fold, sides)
    return rows


def _stream(seed: int, *purpose: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=purpose))


def _choose_tests(
    columns: Ints, method: str, n_folds: int, test_fraction: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Fold on whose test side each unit is, (n_units,); -1 for none."""
    present = np.flatnonzero(columns.any(axis=1))
    fold_of_unit = np.full(len(columns), -1, dtype=np.int64)
    if method == "leave_one_out":
        fold_of_unit[present] = np.arange(len(present))
    elif method == "kfold":
        fold_of_unit[present] = deal_units(columns[present], np.full(n_folds, 1 / n_folds), rng)
    else:
        shares = np.array([1 - test_fraction, test_fraction])
        fold_of_unit[present] = deal_units(columns[present], shares, rng) - 1
    return fold_of_unit


def _take_validation(of_unit: Ints, columns: Ints, fraction: float, rng: np.random.Generator) -> None:
    """Move units from training to validation, in place."""
    rest = np.flatnonzero((of_unit == TRAIN) & columns.any(axis=1))
    moved = deal_units(columns[rest], np.array([1 - fraction, fraction]), rng) == 1
    of_unit[rest[moved]] = VALIDATION


def _level(units: Units, mask: Bools, rng: np.random.Generator) -> Bools:
    """Of the blocks in `mask`, keep as many random ones of each class as the smallest class there has."""
    candidates = units.ranks[mask[units.ranks]]
    labels = units.label[candidates]
    fewest = np.unique(labels, return_counts=True)[1].min()
    kept = np.zeros(len(mask), dtype=bool)
    for which in np.unique(labels):
        kept[rng.permutation(candidates[labels == which])[:fewest]] = True
    return kept


def _write_fold(units: Units, fold: int, sides: Ints) -> list[SplitRow]:
    return [
        SplitRow(
            block_id=block.block_id,
            clip_id=block.clip_id,
            group=units.names[unit],
            label=label,
            fold=fold,
            side=SIDES[side],
        )
        for block, unit, label, side in zip(
            units.blocks, units.unit.tolist(), units.labels, sides.tolist(), strict=True
        )
    ]


def _is_needed(side: int, method: str, validation: str) -> bool:
    """Whether a side must hold every class: a test side of one unit naturally does not."""
    if side == TEST:
        return method != "leave_one_out"
    return side == TRAIN or validation == "fraction"


def _refuse_one_class(units: Units) -> None:
    if len(units.classes) < 2:
        found = f"only one class, {units.classes[0]!r}" if units.classes else "no blocks"
        raise SplitError(f"split: {found}: there is nothing to tell apart; name corpora with two classes or more")


def _refuse_few(units: Units, counts: Ints, *, by: str, method: str, n_folds: int, validation: str) -> None:
    """Refuse what no deal can satisfy: too few units in all or of a class, or too many rows."""
    holders = np.count_nonzero(counts, axis=0)  # units that hold each class
    n_units = int(np.count_nonzero(counts.any(axis=1)))
    sides = 3 if validation == "fraction" else 2
    if method == "kfold" and n_units < n_folds:
        fix = f"set split.n_folds to at most {holders.min()}" if holders.min() >= sides else "use more recordings"
        raise SplitError(f"split: {_amount(n_units, by)} cannot make {n_folds} folds: {fix}")
    needed = max(n_folds, sides) if method == "kfold" else sides
    scarce = sorted(np.flatnonzero(holders < needed).tolist(), key=lambda which: int(holders[which]))
    if scarce:
        found = "; ".join(f"class {units.classes[which]!r} has {_amount(int(holders[which]), by)}" for which in scarce)
        each = f"{needed} folds" if needed > sides else f"{sides} sides"
        note = ", where clips of the same sound count as one" if units.joined else ""
        fix = _fix_few(int(holders.min()), sides, n_folds if method == "kfold" else 0)
        raise SplitError(f"split: {found}{note}, and {each} need one each: {fix}")
    made = {"kfold": n_folds, "leave_one_out": n_units}.get(method, 1)
    if made * len(units.blocks) > MAX_ROWS:
        raise SplitError(
            f"split: {made} folds of {len(units.blocks)} blocks make more than {MAX_ROWS} rows: "
            f"use method kfold with n_folds of at most {MAX_ROWS // len(units.blocks)}"
        )


def _fix_few(fewest: int, sides: int, n_folds: int) -> str:
    fixes = ["record more of it or leave it out"]
    if sides == 3 and fewest == 2:
        fixes.insert(0, "set split.validation to none" + (" and split.n_folds to 2" if n_folds > 2 else ""))
    elif n_folds and fewest >= sides:
        fixes.insert(0, f"set split.n_folds to at most {fewest}")
    return ", or ".join(fixes)


def _refuse_absent(
    units: Units, counts: Ints, of_unit: Ints, fold: int, needed: Sequence[int], *, stratify: bool
) -> None:
    for side in needed:
        absent = np.flatnonzero(~counts[of_unit == side].any(axis=0))
        if len(absent) == 0:
            continue
        names = ", ".join(repr(units.classes[which]) for which in absent)
        first = int(np.count_nonzero(counts[:, absent[0]]))
        fix = "try another split.seed, fewer folds or a larger share for that side, or split by clip"
        raise SplitError(
            f"split: fold {fold}: the {SIDES[side]} side has no block of {names} "
            f"({units.classes[absent[0]]!r} is in {first} of {np.count_nonzero(counts.any(axis=1))} units): "
            + (fix if stratify else "set split.stratify to true, or " + fix)
        )


def _amount(n: int, by: str) -> str:
    plural = "corpora" if by == "corpus" else f"{by}s"
    return f"{n} {by if n == 1 else plural}"
