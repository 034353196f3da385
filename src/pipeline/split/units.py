"""Blocks into units: what a split may not tear apart, with clips of equal sound joined."""

import itertools
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import SplitError
from pipeline.store.columns import Table
from pipeline.store.tables import Block, Clip
from pipeline.store.texts import number, rank, smallest

# An event's ends are rounded to samples, at its own rate and again at the common one, so events that only touch may
# seem to share less than this.
TOUCH_SECONDS = 1e-3
NAMES_SHOWN = 3

Places = NDArray[np.integer[Any]]  # of the narrowest type that holds them: widen them before arithmetic


@dataclass(frozen=True)
class Units:
    """The blocks of variant 0, in their given order, and the units that they belong to.

    Attributes
    ----------
    blocks
        Each block.
    names
        Names of the units, sorted.
    classes
        The labels, sorted.
    unit, label
        Index into `names` and `classes` of each block, (n_blocks,).
    ranks
        The blocks' indices in the order of their block_id, so that what is drawn depends on no file's order.
    joined
        How many units hold clips of several names because their sound is the same.
    """

    blocks: Table[Block]
    names: Sequence[str]
    classes: Sequence[str]
    unit: Places
    label: Places
    ranks: Places
    joined: int

    def count(self, kept: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Kept blocks of each class in each unit, (n_units, n_classes)."""
        cells = self.unit[kept].astype(np.int64) * len(self.classes) + self.label[kept]
        counts = np.bincount(cells, minlength=len(self.names) * len(self.classes))
        return counts.reshape(len(self.names), len(self.classes))


def find_units(
    clips: Sequence[Clip], blocks: Sequence[Block], *, by: str, joined: Iterable[tuple[str, str]] = ()
) -> Units:
    """Say which unit each block of variant 0 belongs to.

    With `by` block, each block is its own unit. Otherwise a unit is a clip, or all clips with one value of a field of
    clips.csv (or of `corpus`); units are then joined, transitively, where they hold clips of equal decoded sound,
    events of one recording that overlap in time, or two clips of a pair in `joined` (clip_ids). A joined unit is
    called by its sorted members with + between them; of more than three, by the first and how many more there are.

    Raises
    ------
    SplitError
        If a block's clip is unknown, an id stands there twice, clips lack the field or it is the label, or one sound
        has two labels.
    """
    sound = Table.of(Block, blocks)
    sound = sound.take(sound.numbers("variant") == 0)
    ranks, differs = rank(sound.texts("block_id"))
    clip_ids, clip = number(sound.texts("clip_id"))
    used = _clips_of_blocks(clips, sound, clip_ids, blocks_differ=bool(differs.all()))
    _refuse_two_labels(used.values())
    if by == "block":
        names, unit = number(sound.texts("block_id"))
        n_joined = 0
    else:
        pairs = [(used[one], used[other]) for one, other in joined if one in used and other in used]
        of_clip, n_joined = _name_units(sorted(used.values(), key=lambda clip: clip.clip_id), by, pairs)
        names, unit_of_clip = number([of_clip[clip_id] for clip_id in clip_ids])
        unit = unit_of_clip[clip]
    classes, label_of_clip = number([used[clip_id].label for clip_id in clip_ids])
    return Units(
        blocks=sound,
        names=names,
        classes=classes,
        unit=smallest(unit),
        label=smallest(label_of_clip)[clip],
        ranks=smallest(ranks),
        joined=n_joined,
    )


def _clips_of_blocks(
    clips: Iterable[Clip], blocks: Table[Block], clip_ids: Sequence[str], *, blocks_differ: bool
) -> dict[str, Clip]:
    """Return the clips that have blocks, by clip_id; refuse unknown clips, and a clip or block that is there twice."""
    known: dict[str, Clip] = {}
    for clip in clips:
        if clip.clip_id in known:
            raise SplitError(f"clip {clip.clip_id} is listed twice: run `dvc repro -f collect_clips`")
        known[clip.clip_id] = clip
    if not blocks_differ:
        _, place = number(blocks.texts("block_id"))
        times = np.bincount(place)[place]
        first = int(np.argmax(times > 1))
        raise SplitError(
            f"block {blocks[first].block_id} is listed {times[first]} times: run `dvc repro -f slice_blocks`"
        )
    unknown = blocks.take(~blocks.where("clip_id", known.__contains__))
    if len(unknown):
        raise SplitError(
            f"{len(unknown)} of {len(blocks)} blocks belong to no known clip (first: {unknown[0].block_id} of "
            f"{unknown[0].clip_id}): the blocks are of other clips, run `dvc repro -f slice_blocks`"
        )
    return {clip_id: known[clip_id] for clip_id in clip_ids}


def field_value(clip: Clip, name: str) -> str:
    """Return a clip's value of a field by which clips are grouped; empty where it has none."""
    return clip.corpus if name == "corpus" else clip.fields.get(name, "")


def resampled_unit(clips: Iterable[Clip], unit: str) -> str:
    """What intervals resample: the unit of the split; of corpora, too few to resample, speakers or else clips."""
    if unit != "corpus":
        return unit
    return "speaker" if all(clip.fields.get("speaker") for clip in clips) else "clip"


def _name_units(clips: Sequence[Clip], by: str, joined: Sequence[tuple[Clip, Clip]]) -> tuple[dict[str, str], int]:
    """Return the unit's name of each clip_id, and the number of units that were joined from several."""
    values = {clip.clip_id: clip.clip_id if by == "clip" else field_value(clip, by) for clip in clips}
    if by != "clip":
        _refuse_field(clips, by)
    root = {value: value for value in values.values()}
    for one, other in itertools.chain(_same_sound(clips), joined):
        # Roots are the smallest names, so the result is the same in whatever order the pairs come.
        low, high = sorted((_root(root, values[one.clip_id]), _root(root, values[other.clip_id])))
        root[high] = low
    members = defaultdict(list)
    for value in sorted(root):
        members[_root(root, value)].append(value)
    names = {value: _join(members[_root(root, value)]) for value in root}
    n_joined = sum(len(group) > 1 for group in members.values())
    return {clip_id: names[value] for clip_id, value in values.items()}, n_joined


def _root(root: dict[str, str], value: str) -> str:
    while root[value] != value:
        root[value] = root[root[value]]
        value = root[value]
    return value


def _join(members: Sequence[str]) -> str:
    if len(members) > NAMES_SHOWN:
        return f"{members[0]}+{len(members) - 1} more"
    return "+".join(members)


def _same_sound(clips: Sequence[Clip]) -> Iterator[tuple[Clip, Clip]]:
    """Pairs that hold the same sound, enough of them to connect all that do."""
    first: dict[str, Clip] = {}
    recordings: dict[Hashable, list[Clip]] = defaultdict(list)
    for clip in clips:
        if clip.pcm_sha256:
            yield first.setdefault(clip.pcm_sha256, clip), clip
        recordings[clip.corpus, clip.path].append(clip)
    for events in recordings.values():
        events.sort(key=lambda clip: (clip.start_seconds, clip.clip_id))
        latest = events[0]
        for event in events[1:]:
            latest_end = latest.start_seconds + latest.seconds
            if event.start_seconds + TOUCH_SECONDS < latest_end:
                yield latest, event
            if event.start_seconds + event.seconds > latest_end:
                latest = event


def _refuse_two_labels(clips: Iterable[Clip]) -> None:
    first: dict[str, Clip] = {}
    pairs = []
    for clip in clips:
        other = first.setdefault(clip.pcm_sha256, clip) if clip.pcm_sha256 else clip
        if other.label != clip.label:
            pairs.append((other, clip))
    if not pairs:
        return
    one, other = pairs[0]
    more = f", and so do {len(pairs) - 1} more pairs" if pairs[1:] else ""
    raise SplitError(
        f"{one.clip_id} and {other.clip_id} hold the same sound under two labels, {one.label!r} and {other.label!r}"
        f"{more}: correct one of each, give both one name in split.use, or leave both out"
    )


def _refuse_field(clips: Sequence[Clip], by: str) -> None:
    if by == "label":
        raise SplitError(
            "split.by: label would put whole classes on one side: split by clip, or by a field of clips.csv"
        )
    lacking = [clip for clip in clips if not field_value(clip, by)]
    if not lacking:
        return
    of_all = {"block", "clip", "corpus"} | _fields_of_all([clip.fields for clip in clips])
    raise SplitError(
        f"split.by: {len(lacking)} of {len(clips)} clips have no {by!r} (corpora "
        f"{', '.join(sorted({clip.corpus for clip in lacking}))}; first: {lacking[0].clip_id}): fill it in, leave "
        f"those corpora out, or split by what all clips have: {', '.join(sorted(of_all))}"
    )


def _fields_of_all(fields: Sequence[Mapping[str, str]]) -> set[str]:
    return set.intersection(*({name for name, value in each.items() if value} for each in fields)) - {"label"}
