"""What a split amounts to: units, blocks per side, and how much of each test side the model has met in training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import SplitError
from pipeline.split.sides import DROPPED, SIDES, TEST, TRAIN, VALIDATION
from pipeline.split.units import TOUCH_SECONDS, Units, field_value, find_units
from pipeline.store.tables import Block, Clip, SplitRow

MICROSECONDS = 1e6  # times are whole microseconds, so equal times compare equal
TOUCH = round(TOUCH_SECONDS * MICROSECONDS)

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def describe_split(
    rows: Sequence[SplitRow],
    clips: Sequence[Clip],
    blocks: Sequence[Block],
    *,
    by: str,
    method: str,
    balance: str,
    validation: str,
    audit_fields: Sequence[str],
) -> dict[str, Any]:
    """Count what `split_blocks` made and audit it, for metrics/split.json.

    A leakage number is a share, 0 to 1, of a fold's test blocks (at the top level: of the test blocks of all folds).
    Training here means the sides train and validation, since validation chooses weights; dropped blocks do not count.

    - `overlaps_training`: shares more than a millisecond of sound with a training block: of its own clip, of a clip
      of equal sound, or of an event of the same recording.
    - `clip_in_training`: its clip, or one of equal sound, has a block in training.
    - `unit_in_training`: its unit of the split is in training; anything but 0 is a fault.
    - `FIELD_in_training`: its clip's value of the field is in training; clips without a value count as not shared, and
      `FIELD_known` is the share of test blocks that have one, where that is below 1.

    Returns
    -------
    A mapping for JSON: the choices, `classes`, `units`, `merged_units` (made of several for their equal sound), and per
    fold the blocks of each class on each side (a side without blocks is empty), numbers of units and leakage.

    Raises
    ------
    SplitError
        If the rows are not of these blocks, and as `find_units` says.
    """
    units = find_units(clips, blocks, by=by)
    table = _read_rows(rows, units)
    audit = _Audit.of(units, {clip.clip_id: clip for clip in clips}, audit_fields)
    folds: dict[str, Any] = {}
    pooled: dict[str, int] = {}
    n_tests = 0
    for fold in np.unique(table.fold).tolist():
        sides, groups = table.of_fold(fold, len(units.blocks))
        met = _count_met(audit, sides, groups)
        n_test = int(np.count_nonzero(sides == TEST))
        folds[str(fold)] = _count_sides(units, sides, groups) | {"leakage": _shares(met, n_test)}
        pooled = {name: pooled.get(name, 0) + number for name, number in met.items()}
        n_tests += n_test
    return {
        "by": by,
        "method": method,
        "balance": balance,
        "validation": validation,
        "n_folds": len(folds),
        "classes": list(units.classes),
        "units": len(units.names),
        "merged_units": units.joined,
        "folds": folds,
        "leakage": _shares(pooled, n_tests),
    }


@dataclass(frozen=True)
class _Rows:
    """The rows as arrays, (n_rows,): index of the block, group, fold, index into SIDES."""

    block: Ints
    group: Ints
    fold: Ints
    side: Ints

    def of_fold(self, fold: int, n_blocks: int) -> tuple[Ints, Ints]:
        """Return the side and the group of each block in one fold, (n_blocks,) each."""
        here = self.fold == fold
        if here.sum() != n_blocks or len(np.unique(self.block[here])) != n_blocks:
            raise SplitError(f"split: fold {fold} does not name every block once: run `dvc repro -f split_blocks`")
        sides, groups = np.empty(n_blocks, dtype=np.int64), np.empty(n_blocks, dtype=np.int64)
        sides[self.block[here]] = self.side[here]
        groups[self.block[here]] = self.group[here]
        return sides, groups


def _read_rows(rows: Sequence[SplitRow], units: Units) -> _Rows:
    index = {block.block_id: i for i, block in enumerate(units.blocks)}
    for row in rows:
        if row.block_id not in index or row.side not in SIDES:
            raise SplitError(
                f"split: block {row.block_id} on side {row.side!r} is not one of these blocks and sides: "
                "run `dvc repro -f split_blocks`"
            )
    return _Rows(
        block=np.array([index[row.block_id] for row in rows], dtype=np.int64),
        group=_keys([row.group for row in rows]),
        fold=np.array([row.fold for row in rows], dtype=np.int64),
        side=np.array([SIDES.index(row.side) for row in rows], dtype=np.int64),
    )


def _keys(values: Sequence[object]) -> Ints:
    """Return a number per distinct value; -1 for empty ones."""
    known: dict[object, int] = {}
    return np.array([known.setdefault(value, len(known)) if value else -1 for value in values], dtype=np.int64)


@dataclass(frozen=True)
class _Audit:
    """What may be shared between sides, per block, (n_blocks,) each.

    Attributes
    ----------
    sound
        Which sound the block is cut from: equal for clips of equal sound.
    spans
        Lines of time on which the block lies, each as (line, start, end), times in microseconds: the clip's own, and
        that of the recording which the clip is an event of.
    fields
        Value of each audited field, -1 where there is none.
    """

    sound: Ints
    spans: tuple[tuple[Ints, Ints, Ints], ...]
    fields: Mapping[str, Ints]

    @classmethod
    def of(cls, units: Units, clips: Mapping[str, Clip], audit_fields: Sequence[str]) -> "_Audit":
        owners = [clips[block.clip_id] for block in units.blocks]
        sound = _keys([clip.pcm_sha256 or clip.clip_id for clip in owners])
        recording = _keys([(clip.corpus, clip.path) for clip in owners])
        begins = np.array([clip.start_seconds for clip in owners])
        # A filled block lies in its clip only as far as the clip goes.
        rate = np.array([clip.n_samples / clip.seconds for clip in owners])
        start = np.array([block.start for block in units.blocks]) / rate
        end = np.array([_last(block, clip) for block, clip in zip(units.blocks, owners, strict=True)]) / rate
        spans = (
            (sound, _whole(start), _whole(end)),
            (recording, _whole(begins + start), _whole(begins + end)),
        )
        fields = {name: _keys([field_value(clip, name) for clip in owners]) for name in audit_fields}
        return cls(sound=sound, spans=spans, fields={name: keys for name, keys in fields.items() if (keys >= 0).any()})


def _last(block: Block, clip: Clip) -> int:
    return min(block.start + block.n_samples, clip.n_samples)


def _whole(seconds: NDArray[np.float64]) -> Ints:
    return np.rint(seconds * MICROSECONDS).astype(np.int64)


def _count_met(audit: _Audit, sides: Ints, groups: Ints) -> dict[str, int]:
    """Numbers of test blocks that training has met, in each sense; FIELD_known: that have the field."""
    test = sides == TEST
    training = (sides == TRAIN) | (sides == VALIDATION)
    overlapping = np.zeros(int(test.sum()), dtype=bool)
    for line, start, end in audit.spans:
        overlapping |= _overlaps(line, start, end, training, test)
    met = {
        "overlaps_training": overlapping,
        "clip_in_training": _shared(audit.sound, training, test),
        "unit_in_training": _shared(groups, training, test),
    }
    for name, keys in audit.fields.items():
        # A field that a corpus calls clip or unit does not replace what these words mean here.
        met.setdefault(f"{name}_in_training", _shared(keys, training, test))
        met[f"{name}_known"] = keys[test] >= 0
    return {name: int(np.count_nonzero(mask)) for name, mask in met.items()}


def _shared(keys: Ints, training: Bools, test: Bools) -> Bools:
    """Whether each test block's key is also a training block's, (n_test,)."""
    return np.isin(keys[test], keys[training & (keys >= 0)])


def _overlaps(line: Ints, start: Ints, end: Ints, training: Bools, test: Bools) -> Bools:
    """Whether each test block shares more than TOUCH with a training block of its line, (n_test,)."""
    if not training.any() or not test.any():
        return np.zeros(int(test.sum()), dtype=bool)
    # Lines are laid end to end, so that one sorted search serves all.
    base = line * (int(end.max()) + TOUCH + 1)
    order = np.argsort((base + start)[training], kind="stable")
    starts = (base + start)[training][order]
    latest_end = np.maximum.accumulate((base + end)[training][order])
    before = np.searchsorted(
        starts, (base + end)[test] - TOUCH
    )  # training blocks that start before the test block ends
    return (before > 0) & (latest_end[np.maximum(before - 1, 0)] > (base + start)[test] + TOUCH)


def _shares(met: Mapping[str, int], n_test: int) -> dict[str, float]:
    shares = {name: round(number / max(n_test, 1), 4) for name, number in met.items()}
    return {name: share for name, share in shares.items() if not (name.endswith("_known") and met[name] == n_test)}


def _count_sides(units: Units, sides: Ints, groups: Ints) -> dict[str, Any]:
    counts: dict[str, Any] = {}
    for side in (TRAIN, VALIDATION, TEST, DROPPED):
        numbers = np.bincount(units.label[sides == side], minlength=len(units.classes))
        counts[SIDES[side]] = dict(zip(units.classes, numbers.tolist(), strict=True)) if numbers.any() else {}
    for side in (TRAIN, TEST):
        counts[f"{SIDES[side]}_units"] = len(np.unique(groups[sides == side]))
    return counts
