"""What a split amounts to: units, blocks per side, and how much of each test side the model has met in training."""

import dataclasses
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.split.choices import DROPPED, SIDES, TEST, TRAIN, VALIDATION, Choices, Sides
from pipeline.split.dealt import Dealt
from pipeline.split.units import TOUCH_SECONDS, Places, Units, field_value, find_units, resampled_unit
from pipeline.store.columns import Table
from pipeline.store.tables import Block, Clip, Duplicate, SplitRow
from pipeline.store.texts import number, smallest

MICROSECONDS = 1e6  # times are whole microseconds, so equal times compare equal
MAX_PAIRS = 1000  # named in split.json; all are counted, and data/processed/duplicates.csv has them all
TOUCH = round(TOUCH_SECONDS * MICROSECONDS)

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def describe_split(
    rows: Sequence[SplitRow],
    clips: Sequence[Clip],
    blocks: Sequence[Block],
    choices: Choices,
    *,
    audit_fields: Sequence[str],
    duplicates: Sequence[Duplicate] | None = None,
    joined: Sequence[tuple[str, str]] = (),
) -> dict[str, Any]:
    """Count what `split_blocks` made and audit it, for metrics/split.json.

    A leakage number is a share, 0 to 1, of a fold's test blocks (at the top level: of the test blocks of all folds).
    Training here means the sides train and validation, since validation chooses weights; dropped blocks do not count.

    - `overlaps_training`: shares more than a millisecond of sound with a training block: of its own clip, of a clip
      of equal sound, or of an event of the same recording.
    - `clip_in_training`: its clip, or one of equal sound, has a block in training.
    - `near_duplicate_in_training`: a near duplicate of its clip has one.
    - `unit_in_training`: its unit of the split is in training (of crossed fields, of any); anything but 0 is a fault.
    - `FIELD_in_training`: its clip's value of the field is in training; clips without a value count as not shared, and
      `FIELD_known` is the share of test blocks that have one, where that is below 1.

    Parameters
    ----------
    audit_fields
        Fields of clips.csv to look at, beside those that the split is by.
    duplicates
        Pairs of clips that hold the same sound, exactly or nearly; None: not looked for.
    joined
        Pairs of clip_ids that `split_blocks` was told to keep together.

    Returns
    -------
    A mapping for JSON: the choices, `unit` (what intervals resample) and how many `units`, `clips` and `blocks` take
    part, `classes`, `merged_units` (made of several for their equal sound), per fold the blocks of each class on each
    side (a side without blocks is empty), numbers of units and leakage; and `duplicates`, each pair with
    its two labels and the folds in which it lies on both sides.

    Raises
    ------
    SplitError
        If the rows are not of these blocks, and as `find_units` says.
    """
    every = [find_units(clips, blocks, by=field, joined=joined) for field in choices.fields]
    units = every[0]
    dealt = Dealt.of(rows, units)
    shown = sorted({*audit_fields, choices.unit, *choices.fields} - {"block", "clip"})
    audit = _Audit.of(every, {clip.clip_id: clip for clip in clips}, shown, duplicates)
    folds: dict[str, Any] = {}
    pooled: dict[str, int] = {}
    across: dict[int, list[int]] = {}
    n_tests = 0
    for fold, sides in enumerate(dealt.sides):
        met = _count_met(audit, sides)
        n_test = int(np.count_nonzero(sides == TEST))
        folds[str(fold)] = _count_sides(units, sides, dealt.units.unit) | {"leakage": _shares(met, n_test)}
        pooled = {name: pooled.get(name, 0) + number for name, number in met.items()}
        n_tests += n_test
        for pair in np.flatnonzero(audit.pairs_across(sides)).tolist():
            across.setdefault(pair, []).append(fold)
    found = {} if duplicates is None else {"duplicates": _list_pairs(audit, across)}
    return {
        "by": choices.by,
        "unit": resampled_unit(clips, choices.unit),
        "method": choices.method,
        "balance": choices.balance,
        "validation": choices.validation,
        "n_folds": len(folds),
        "classes": list(units.classes),
        "units": len(dealt.units.names),
        "clips": len(audit.sound),
        "blocks": len(units.blocks),
        "merged_units": sum(each.joined for each in every),
        "folds": folds,
        "leakage": _shares(pooled, n_tests),
        **found,
    }


def describe_augmented(
    audit: Mapping[str, Any], rows: Sequence[SplitRow], altered_ids: Container[str]
) -> dict[str, Any]:
    """Add to an audit what altered blocks on all sides amount to; all else that it counts are recordings.

    Each fold gets `augmented`, its altered blocks of each class on each side, and the leakage number
    `augmented_in_training`: the share of its test blocks, altered or not, of whose clip training holds another version.
    """
    folds, met, tested = dict(audit["folds"]), 0, 0
    for fold, own in groupby(rows, key=lambda row: row.fold):
        of_fold = list(own)
        counts: dict[str, Counter[str]] = {side: Counter() for side in SIDES}
        learned: dict[tuple[str, bool], int] = Counter()
        for row in of_fold:
            if row.block_id in altered_ids:
                counts[row.side][row.label] += 1
            if row.side in (SIDES[TRAIN], SIDES[VALIDATION]):
                learned[row.clip_id, row.block_id in altered_ids] += 1
        judged = [row for row in of_fold if row.side == SIDES[TEST]]
        n_met = sum(_other_version(row, row.block_id in altered_ids, learned) for row in judged)
        entry = folds[str(fold)]
        leakage = {**entry["leakage"], "augmented_in_training": round(n_met / max(len(judged), 1), 4)}
        augmented = {side: dict(sorted(of_side.items())) for side, of_side in counts.items()}
        folds[str(fold)] = {**entry, "augmented": augmented, "leakage": leakage}
        met, tested = met + n_met, tested + len(judged)
    leakage = {**audit["leakage"], "augmented_in_training": round(met / max(tested, 1), 4)}
    return {**audit, "folds": folds, "leakage": leakage}


def _other_version(row: SplitRow, is_altered: bool, learned: Mapping[tuple[str, bool], int]) -> bool:
    """Whether training holds an altered version of a recording's clip, or any version of an altered block's."""
    return (row.clip_id, True) in learned or (is_altered and (row.clip_id, False) in learned)


def _keys(values: Sequence[object]) -> Ints:
    """Return a number per distinct value; -1 for empty ones."""
    known: dict[object, int] = {}
    return np.array([known.setdefault(value, len(known)) if value else -1 for value in values], dtype=np.int64)


@dataclass(frozen=True)
class _Audit:
    """What may be shared between sides.

    Attributes
    ----------
    clip
        Index of each block's clip, (n_blocks,).
    sound
        Which sound each clip has: equal for clips of equal sound, (n_clips,).
    spans
        Lines of time on which blocks lie, each as (line, start, end), the line of each clip, (n_clips,), and the
        blocks' times in microseconds, (n_blocks,): the clip's own, and that of the recording which it is an event of.
    fields
        Value of each audited field, -1 where there is none, (n_clips,).
    units
        Each block's unit of each of the fields that the split is by, (n_blocks,).
    pairs, ends
        Duplicates of clips that have blocks, and the two clips' indices, (n_pairs, 2).
    labels
        Labels of the two clips of each pair, in this run.
    """

    clip: Places
    sound: Ints
    spans: tuple[tuple[Ints, Ints, Ints], ...]
    fields: Mapping[str, Ints]
    units: tuple[Places, ...]
    pairs: tuple[Duplicate, ...] | None
    ends: Ints
    labels: tuple[tuple[str, str], ...]

    @classmethod
    def of(
        cls,
        every: Sequence[Units],
        clips: Mapping[str, Clip],
        audit_fields: Sequence[str],
        duplicates: Sequence[Duplicate] | None,
    ) -> "_Audit":
        blocks = every[0].blocks
        names, of_blocks = number(blocks.texts("clip_id"))
        clip = smallest(of_blocks)
        index = {name: i for i, name in enumerate(names)}
        pairs = tuple(pair for pair in duplicates or () if pair.clip_id in index and pair.other_id in index)
        ends = np.array([(index[pair.clip_id], index[pair.other_id]) for pair in pairs], dtype=np.int64).reshape(-1, 2)
        owners = [clips[name] for name in names]
        sound = _keys([owner.pcm_sha256 or owner.clip_id for owner in owners])
        recording = _keys([(owner.corpus, owner.path) for owner in owners])
        fields = {name: _keys([field_value(owner, name) for owner in owners]) for name in audit_fields}
        in_clip = _times(blocks, owners, clip)
        is_event = any(owner.start_seconds for owner in owners)
        in_recording = _times(blocks, owners, clip, of_recording=True) if is_event else in_clip
        return cls(
            clip=clip,
            sound=sound,
            spans=((sound, *in_clip), (recording, *in_recording)),
            fields={name: keys for name, keys in fields.items() if (keys >= 0).any()},
            units=tuple(each.unit for each in every),
            pairs=None if duplicates is None else pairs,
            ends=ends,
            labels=tuple((clips[pair.clip_id].label, clips[pair.other_id].label) for pair in pairs),
        )

    def pairs_across(self, sides: Sides) -> Bools:
        """Which pairs have one clip on the test side and the other in training, (n_pairs,)."""
        tested = np.isin(self.ends, self.clip[sides == TEST])
        learned = np.isin(self.ends, self.clip[(sides == TRAIN) | (sides == VALIDATION)])
        across: Bools = np.any(tested & learned[:, ::-1], axis=1)
        return across

    def near_training(self, sides: Sides) -> Bools:
        """Whether a near duplicate of each test block's clip is in training, (n_test,)."""
        near = np.array([pair.kind != "exact" for pair in self.pairs or ()], dtype=bool)
        learned = np.isin(self.ends, self.clip[(sides == TRAIN) | (sides == VALIDATION)])
        return np.isin(self.clip[sides == TEST], self.ends[learned[:, ::-1] & near[:, None]])


def _times(
    blocks: Table[Block], owners: Sequence[Clip], clip: Places, *, of_recording: bool = False
) -> tuple[Ints, Ints]:
    """When blocks start and end in their clips, or in the recordings that these are of, microseconds (n_blocks,)."""
    begins = np.array([owner.start_seconds if of_recording else 0.0 for owner in owners])
    rate = np.array([owner.n_samples / owner.seconds for owner in owners])
    lengths = np.array([owner.n_samples for owner in owners], dtype=np.int64)

    def whole(samples: Ints) -> Ints:
        seconds = samples / rate[clip]
        seconds += begins[clip]
        times: Ints = np.rint(seconds * MICROSECONDS).astype(np.int64)
        return times

    samples = blocks.numbers("start")
    start = whole(samples)
    samples += blocks.numbers("n_samples")
    # A filled block lies in its clip only as far as the clip goes.
    return start, whole(np.minimum(samples, lengths[clip], out=samples))


def _count_met(audit: _Audit, sides: Sides) -> dict[str, int]:
    """Numbers of test blocks that training has met, in each sense; FIELD_known: that have the field."""
    test = sides == TEST
    training = (sides == TRAIN) | (sides == VALIDATION)
    overlapping = np.zeros(int(test.sum()), dtype=bool)
    for line, start, end in audit.spans:
        overlapping |= _overlaps(line, audit.clip, start, end, training, test)
    met = {
        "overlaps_training": overlapping,
        "clip_in_training": _shared(audit.sound[audit.clip], training, test),
        "unit_in_training": np.logical_or.reduce([_shared(unit, training, test) for unit in audit.units]),
    }
    if audit.pairs is not None:
        met["near_duplicate_in_training"] = audit.near_training(sides)
    for name, of_clips in audit.fields.items():
        keys = of_clips[audit.clip]
        # A field that a corpus calls clip or unit does not replace what these words mean here.
        met.setdefault(f"{name}_in_training", _shared(keys, training, test))
        met[f"{name}_known"] = keys[test] >= 0
    return {name: int(np.count_nonzero(mask)) for name, mask in met.items()}


def _shared(keys: Ints | Places, training: Bools, test: Bools) -> Bools:
    """Whether each test block's key is also a training block's, (n_test,)."""
    is_learned = np.zeros(int(keys.max(initial=0)) + 2, dtype=bool)  # the last one is that of -1
    is_learned[keys[training]] = True
    is_learned[-1] = False
    found: Bools = is_learned[keys[test]]
    return found


def _overlaps(line: Ints, clip: Places, start: Ints, end: Ints, training: Bools, test: Bools) -> Bools:
    """Whether each test block shares more than TOUCH with a training block of its clip's line, (n_test,)."""
    if not training.any() or not test.any():
        return np.zeros(int(test.sum()), dtype=bool)
    # Lines are laid end to end, so that one sorted search serves all.
    base = line * (int(end.max()) + TOUCH + 1)
    learned, tested = base[clip[training]], base[clip[test]]
    starts = learned + start[training]
    order = np.argsort(starts, kind="stable")
    latest_end = np.maximum.accumulate((learned + end[training])[order])
    # training blocks that start before the test block ends
    before = np.searchsorted(starts[order], tested + end[test] - TOUCH)
    return (before > 0) & (latest_end[np.maximum(before - 1, 0)] > tested + start[test] + TOUCH)


def _list_pairs(audit: _Audit, across: Mapping[int, list[int]]) -> dict[str, Any]:
    """Count the pairs, and name them, those that lie on both sides first."""
    pairs = audit.pairs or ()
    order = sorted(range(len(pairs)), key=lambda i: (i not in across, i))
    named = [
        dataclasses.asdict(pairs[i]) | {"labels": list(audit.labels[i]), "across_folds": across.get(i, [])}
        for i in order[:MAX_PAIRS]
    ]
    return {
        "exact": sum(pair.kind == "exact" for pair in pairs),
        "near": sum(pair.kind != "exact" for pair in pairs),
        "across_sides": len(across),
        "pairs": named,
    }


def _shares(met: Mapping[str, int], n_test: int) -> dict[str, float]:
    shares = {name: round(number / max(n_test, 1), 4) for name, number in met.items()}
    return {name: share for name, share in shares.items() if not (name.endswith("_known") and met[name] == n_test)}


def _count_sides(units: Units, sides: Sides, groups: Places) -> dict[str, Any]:
    counts: dict[str, Any] = {}
    for side in (TRAIN, VALIDATION, TEST, DROPPED):
        numbers = np.bincount(units.label[sides == side], minlength=len(units.classes))
        counts[SIDES[side]] = dict(zip(units.classes, numbers.tolist(), strict=True)) if numbers.any() else {}
    for side in (TRAIN, TEST):
        counts[f"{SIDES[side]}_units"] = len(np.unique(groups[sides == side]))
    return counts
