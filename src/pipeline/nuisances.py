"""What should not tell an emotion, but may: facts of the recordings, by block."""

import itertools
import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import StoreError
from pipeline.store.tables import Block, Clip, Gain
from pipeline.store.texts import Index, pack

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Row = TypeVar("Row")

NUISANCES = ("clip_seconds", "block_lufs", "bandwidth_hz", "floor_db", "padding")
LOWEST_LUFS = -70.0  # the absolute gate of ITU-R BS.1770-5: what is quieter has no loudness
ROWS_AT_ONCE = 512


def nuisance_facts(
    block_ids: Sequence[str], clips: Iterable[Clip], blocks: Iterable[Block], gains: Iterable[Gain]
) -> Floats:
    """Collect what should not tell an emotion, but may.

    Parameters
    ----------
    block_ids
        Of the blocks that are asked for, each once.
    clips, blocks, gains
        Rows of the other tables in any order, gone through once; other blocks may be among them.

    Returns
    -------
    array
        (n_blocks, 5), columns as `NUISANCES`: natural log of the clip's seconds; loudness before normalisation (LUFS,
        at least -70, which also stands for silence); the clip's bandwidth (Hz) and floor (dB re full scale); the share
        of the block, 0 to 1, that repeats the clip or is padding.

    Raises
    ------
    StoreError
        If a block is not there, has no clip or no loudness, or a fact is not a number.
    """
    places = Index(block_ids)
    facts = np.zeros((len(block_ids), len(NUISANCES)))
    is_there, has_clip, has_gain = (np.zeros(len(block_ids), dtype=bool) for _ in range(3))
    clip_names, of_clip, samples = _facts_of_clips(clips)
    for some in _batches(blocks):
        at = _places(places, (block.block_id for block in some))
        clip = _places(clip_names, (block.clip_id for block in some))
        is_there[at[at >= 0]] = True
        known = (at >= 0) & (clip >= 0)
        at, clip = at[known], clip[known]
        has_clip[at] = True
        facts[at[:, None], (0, 2, 3)] = of_clip[clip]
        lengths = np.array([block.n_samples for block in some])[known]
        is_filled = np.array([block.fill != "none" for block in some])[known]
        facts[at, 4] = np.where(is_filled, np.maximum(0, 1 - samples[clip] / lengths), 0)
    for measured in _batches(gains):
        at = _places(places, (gain.block_id for gain in measured))
        known = at >= 0
        has_gain[at[known]] = True
        facts[at[known], 1] = np.maximum(np.array([gain.lufs for gain in measured])[known], LOWEST_LUFS)
    _refuse_unknown(block_ids, is_there, has_clip, has_gain)
    if not np.isfinite(facts).all():
        at, column = np.argwhere(~np.isfinite(facts))[0].tolist()
        raise StoreError(
            f"{block_ids[at]}: {NUISANCES[column]} is {facts[at, column]}: run `dvc repro -f` on its stage"
        )
    return facts


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    left = iter(rows)
    while some := list(itertools.islice(left, ROWS_AT_ONCE)):
        yield some


def _places(index: Index, names: Iterable[str]) -> NDArray[np.intp]:
    """Where each name stands (n,); -1 where it does not."""
    found = (index.find(name) for name in names)
    return np.array([-1 if at is None else at for at in found], dtype=np.intp)


def _facts_of_clips(clips: Iterable[Clip]) -> tuple[Index, Floats, Floats]:
    """Names of the clips, their facts (n_clips, 3) and their numbers of samples (n_clips,)."""
    own = array("d")
    names = Index(pack(_noted(clips, own)))
    columns = np.frombuffer(own).reshape(-1, 4)
    return names, columns[:, :3], columns[:, 3]


def _noted(clips: Iterable[Clip], own: "array[float]") -> Iterator[str]:
    for clip in clips:
        own.extend((_log(clip.seconds), clip.bandwidth_hz, clip.floor_db, clip.n_samples))
        yield clip.clip_id


def _refuse_unknown(block_ids: Sequence[str], is_there: Flags, has_clip: Flags, has_gain: Flags) -> None:
    if not is_there.all():
        raise StoreError(
            f"{(~is_there).sum()} of {len(block_ids)} blocks of the split are in no table of blocks, the first "
            f"{block_ids[int(is_there.argmin())]}: run `dvc repro`"
        )
    complete = has_clip & has_gain
    if not complete.all():
        at = int(complete.argmin())
        what = "loudness" if has_clip[at] else "clip"
        raise StoreError(f"{block_ids[at]}: no {what} of this block in the tables: run `dvc repro`")


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf
