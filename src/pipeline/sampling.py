"""Blocks of one corpus -> the frames that its videos show at their middles, in HDF5 as rendered blocks are."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.audio.reading import read_sound
from pipeline.console import say, track
from pipeline.errors import AudioError, CorpusError, StoreError
from pipeline.features.faces import Faces
from pipeline.parallel import in_order
from pipeline.store.arrays import digest_of, encode_texts, new_arrays, open_arrays
from pipeline.store.paths import blocks_csv, clips_csv, clips_h5, frames_h5
from pipeline.store.rendered import write_no_blocks
from pipeline.store.tables import Block, Clip, read_keyed, read_rows
from pipeline.video import read_frames

RUN_BYTES = 2**24  # of pictures that a worker makes before they are written; more of one video are written one by one
AS_LONG = 1e9  # seconds: what was collected is not too long


@dataclass(frozen=True)
class _Run:
    """Blocks of one video, in the order of their middles."""

    path: Path
    clips: Sequence[Clip]  # of each block
    blocks: Sequence[Block]
    seconds: Sequence[float]  # of their middles, in the video's time


def sample_frames(corpus: str, faces: Faces | None, *, folder: Path, n_workers: int) -> int:
    """Sample the frame at the middle of every block of a corpus, in the order of its table; return how many.

    Without `faces` the file holds no blocks, and no recording is touched.

    Parameters
    ----------
    folder
        Of the corpus's recordings.

    Raises
    ------
    CorpusError
        If a clip is no video, or its pictures cannot be read.
    StoreError
        If a recording is not the one that was collected.
    """
    if faces is None:
        write_no_blocks(frames_h5(corpus))
        return 0
    clips = read_keyed(clips_csv(corpus), Clip, "clip_id")
    blocks = read_rows(blocks_csv(corpus), Block)
    rates = {clips[block.clip_id].source_rate for block in blocks}
    names = encode_texts([block.block_id for block in blocks])
    shown: set[tuple[Path, float]] = set()
    with open_arrays(clips_h5(corpus)) as sound, new_arrays(frames_h5(corpus)) as arrays:
        arrays.create(faces.dataset, row_shape=faces.shape, dtype=faces.dtype)
        arrays.create("block_id", row_shape=(), dtype=names.dtype, rows_in_chunk=1024)
        sampled = _sample(list(_runs(blocks, clips, folder, faces.sample_rate)), faces, n_workers)
        for path, seconds, picture in track(sampled, label=f"sample {corpus}", total=len(blocks), unit="frames"):
            arrays.append(faces.dataset, picture[None])
            shown.add((path, seconds))
        arrays.append("block_id", names)
        sources = {"least_source_rate": min(rates), "most_source_rate": max(rates)}
        arrays.finish({**faces.attributes(), **sources, "sound_sha256": digest_of(sound, "audio")})
    if again := len(blocks) - len(shown):
        say(f"sample {corpus}: {again} of {len(blocks)} blocks show the same frame as another block")
    return len(blocks)


def middle_of(block: Block, clip: Clip, *, sample_rate: int) -> float:
    """Seconds from a recording's start to the middle of what a block holds of it: what fills a short clip has none."""
    n_samples = min(block.n_samples, clip.n_samples - block.start)
    return clip.start_seconds + (block.start + n_samples / 2) / sample_rate


def _runs(blocks: Sequence[Block], clips: Mapping[str, Clip], folder: Path, sample_rate: int) -> Iterator[_Run]:
    """Join neighbouring blocks of one video as long as time goes on: it is decoded once for each run."""
    for path, some in groupby(blocks, key=lambda block: clips[block.clip_id].path):
        own: list[Block] = []
        middles: list[float] = []
        for block in some:
            middle = middle_of(block, clips[block.clip_id], sample_rate=sample_rate)
            if middles and middle < middles[-1]:
                yield _Run(folder / path, [clips[one.clip_id] for one in own], own, middles)
                own, middles = [], []
            own.append(block)
            middles.append(middle)
        yield _Run(folder / path, [clips[one.clip_id] for one in own], own, middles)


def _sample(runs: Sequence[_Run], faces: Faces, n_workers: int) -> Iterator[tuple[Path, float, NDArray[np.uint8]]]:
    """Yield the video, the time and the picture of each block's frame: short runs by many workers at once."""
    most = max(1, RUN_BYTES // (faces.height * faces.width * 3))
    for is_long, some in groupby(runs, key=lambda run: len(run.blocks) > most):
        if is_long:
            for run in some:
                yield from _pictures(run, faces, n_workers)
        else:
            jobs = ((run, faces) for run in some)
            for pictures in in_order(_pictures_at_once, jobs, n_workers=n_workers):
                yield from pictures


def _pictures_at_once(run: _Run, faces: Faces) -> list[tuple[Path, float, NDArray[np.uint8]]]:
    return list(_pictures(run, faces, 1))


def _pictures(run: _Run, faces: Faces, threads: int) -> Iterator[tuple[Path, float, NDArray[np.uint8]]]:
    n_done = 0
    try:
        _refuse_changed(run)
        for frame in read_frames(run.path, run.seconds, threads=threads):
            yield run.path, frame.seconds, faces.draw(frame.pixels, aspect=frame.aspect)
            n_done += 1
    except AudioError as error:
        raise CorpusError(f"representation.kind faces: {run.clips[n_done].clip_id}: {error}") from None


def _refuse_changed(run: _Run) -> None:
    """Refuse a recording whose sound is not that which was collected; of events only the times are known."""
    whole = next((clip for clip in run.clips if clip.clip_id == f"{clip.corpus}/{clip.path}"), None)
    if whole is None:
        return
    held = frames_h5(whole.corpus).parent  # what is too long for memory lies where it is to go
    sound = read_sound(run.path, sample_rate=whole.source_rate, max_seconds=AS_LONG, folder=held)
    with contextlib.closing(sound.pieces):
        if sound.pcm_sha256 != whole.pcm_sha256:
            raise StoreError(f"{whole.clip_id}: its sound is not that which was collected: run `dvc repro`")
