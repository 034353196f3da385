"""What no split can be made of: said before anything is trained, with what to change."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import SplitError
from pipeline.split.choices import SIDES, TEST, TRAIN, VALIDATION, Choices, Sides
from pipeline.split.units import Units

MAX_ROWS = 10_000_000  # of split.csv: about a gigabyte
LEAST_FOLDS = 2

TRY = "give the sides classes in common, by labels, roles or larger caps in split.use, or other fields in split.by"

Ints = NDArray[np.int64]


def refuse_one_class(units: Units) -> None:
    """Refuse where there is nothing to tell apart."""
    if len(units.classes) < 2:
        found = f"only one class, {units.classes[0]!r}" if units.classes else "no blocks"
        raise SplitError(
            f"split: {found}: there is nothing to tell apart; name corpora with two classes or more, "
            "or keep more of them (split.classes, split.use)"
        )


def refuse_nothing_to_deal(testable: Ints, trainable: Ints, choices: Choices) -> None:
    """Refuse roles that leave a side empty, or the same side in every fold."""
    to_test, to_train = testable.any(axis=1), trainable.any(axis=1)
    refuse_empty_side(to_test=bool(to_test.any()), to_train=bool(to_train.any()))
    if choices.method != "holdout" and not (to_test & to_train).any():
        raise SplitError(
            f"split.method: {choices.method} would train every fold on the same blocks, because no corpus has the role "
            "both: set split.method to holdout and runs.folds to [0]"
        )


def refuse_empty_side(*, to_test: bool, to_train: bool) -> None:
    """Refuse where no block may be on the test side, or none on the training side."""
    if not to_test or not to_train:
        lacking = "train" if to_test else "test"
        raise SplitError(f"split.use: no corpus has the role both or {lacking}: that side would be empty")


def refuse_few(units: Units, testable: Ints, trainable: Ints, choices: Choices, *, by: str) -> None:
    """Refuse what no deal can satisfy: too few units in all, or of a class.

    Parameters
    ----------
    testable, trainable
        Blocks of each class in each unit that may be on the test and on the training side, (n_units, n_classes).
    by
        What the units are of.
    """
    n_units = int(np.count_nonzero(testable.any(axis=1)))
    n_folds = choices.n_folds if choices.method == "kfold" else 0
    sides = 3 if choices.validation == "fraction" else 2
    holders = np.count_nonzero(testable, axis=0)  # units that hold each class
    note = ", where clips of the same sound count as one" if units.joined else ""
    if np.count_nonzero(testable.any(axis=1) | trainable.any(axis=1)) < 2:
        one = _amount(n_units, by)
        raise SplitError(
            f"split: {one}{note}, and two sides need one each: split by what there is more of, such as clip"
        )
    if n_units < n_folds:
        least = int(holders.min()) if choices.absent_classes == "refuse" else n_units
        fix = f"set split.n_folds to at most {least}" if least >= sides else _more_units(by)
        raise SplitError(f"split: {_amount(n_units, by)}{note} cannot make {n_folds} folds: {fix}")
    if choices.absent_classes != "refuse" or not np.array_equal(testable, trainable):
        return  # with roles, what a class needs depends on the deal: each fold is looked at
    needed = max(n_folds, sides)
    scarce = sorted(np.flatnonzero(holders < needed).tolist(), key=lambda which: int(holders[which]))
    if scarce:
        found = "; ".join(f"class {units.classes[which]!r} has {_amount(int(holders[which]), by)}" for which in scarce)
        each = f"{needed} folds" if needed > sides else f"{sides} sides"
        fix = _fix_few(int(holders.min()), sides, n_folds)
        if len(holders) - len(scarce) >= 2:  # the others can be told apart without these
            fix += ", or set split.absent_classes to drop or keep"
        raise SplitError(f"split: {found}{note}, and {each} need one each: {fix}")


def refuse_many_rows(n_folds: int, n_blocks: int) -> None:
    """Refuse a split whose table could not be read again."""
    if n_folds * n_blocks > MAX_ROWS:
        raise SplitError(
            f"split: {n_folds} folds of {n_blocks} blocks make more than {MAX_ROWS} rows: "
            f"use method kfold with n_folds of at most {MAX_ROWS // n_blocks}"
        )


def refuse_absent(every: Sequence[Units], sides: Sides, fold: int, choices: Choices, *, limited: bool = False) -> None:
    """Refuse a fold of which a side lacks a class that it needs; `limited` where corpora have roles or caps."""
    units = every[0]
    for side in (TRAIN, VALIDATION, TEST):
        if not _is_needed(side, choices):
            continue
        absent = sorted(set(range(len(units.classes))) - set(units.label[sides == side].tolist()))
        if not absent:
            continue
        names = ", ".join(repr(units.classes[which]) for which in absent)
        first = len(np.unique(units.unit[units.label == absent[0]]))
        fix = _fix_absent(side, choices, limited=limited)
        raise SplitError(
            f"split: fold {fold}: the {SIDES[side]} side has no block of {names} "
            f"({units.classes[absent[0]]!r} is in {first} of {len(units.names)} units): {fix}"
        )


def refuse_nothing_to_learn(units: Units, sides: Sides, fold: int, choices: Choices) -> None:
    """Refuse a fold without two classes to learn, with nothing to test, or with a validation side of nothing."""
    known = sorted({units.classes[which] for which in units.label[sides == TRAIN]})
    if len(known) < 2:
        found = f"only {known[0]!r}" if known else "nothing"
        raise SplitError(f"split: fold {fold}: {found} is left to learn from, and two classes are needed: {TRY}")
    if not (sides == TEST).any():
        fixes = {"kfold": ["use fewer folds"], "leave_one_out": ["use method kfold with few folds"]}.get(
            choices.method, []
        )
        fixes += ["set split.absent_classes to keep"] if choices.absent_classes == "drop" else []
        fixes += ["use other fields, labels or roles"]
        raise SplitError(f"split: fold {fold}: nothing is left to test: {', or '.join(fixes)}")
    if choices.validation == "fraction" and not (sides == VALIDATION).any():
        raise SplitError(
            f"split: fold {fold}: nothing is left to validate on: raise split.validation_fraction, set "
            "split.validation to none or test, or split by what there is more of, such as clip"
        )


def _is_needed(side: int, choices: Choices) -> bool:
    """Whether a side must hold every class: a test side of one unit naturally does not."""
    if side == TEST:
        return choices.method != "leave_one_out"
    return side == TRAIN or choices.validation == "fraction"


def _fix_absent(side: int, choices: Choices, *, limited: bool) -> str:
    fixes = []
    if not choices.stratify:
        fixes.append("set split.stratify to true")
    if limited:
        fixes.append("give it other roles, labels or larger caps in split.use")
    dealt = ["try another split.seed"]
    if choices.method == "kfold" and (side != TEST or choices.n_folds > LEAST_FOLDS):
        dealt.append("fewer folds" if side == TEST else "more folds")  # which make larger test or training sides
    if choices.method in {"holdout", "matched"} or side == VALIDATION:
        dealt.append("another share for that side")
    fixes.append(" or ".join(dealt))
    if choices.by not in {"block", "clip"}:
        fixes.append("split by clip")
    return ", or ".join([*fixes, "set split.absent_classes to drop or keep"])


def _more_units(by: str) -> str:
    more = {"block": "use more recordings", "clip": "use more recordings", "corpus": "name more corpora"}.get(by)
    return f"{more or f'record more {by}s'}, or split by what there is more of, such as clip"


def _fix_few(fewest: int, sides: int, n_folds: int) -> str:
    fixes = ["record more of it or leave it out"]
    if sides == 3 and fewest == 2:
        fixes.insert(0, "set split.validation to none" + (" and split.n_folds to 2" if n_folds > 2 else ""))
    elif n_folds and fewest >= sides:
        fixes.insert(0, f"set split.n_folds to at most {fewest}")
    return ", or ".join(fixes)


def _amount(n: int, by: str) -> str:
    plural = "corpora" if by == "corpus" else f"{by}s"
    return f"{n} {by if n == 1 else plural}"
