"""Sound out of clips.h5: a clip in pieces, or its blocks in runs, so that no clip need be in memory whole."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.audio.blocks import fill_block
from pipeline.store.arrays import read_span
from pipeline.store.tables import Block, Clip

Samples = NDArray[np.float32]
PIECE_SAMPLES = 2**20
RUN_SAMPLES = 2**21  # 8 MiB: about 47 s at 44.1 kHz
RUN_BLOCKS = 32  # blocks that overlap a lot are many in little sound, and each becomes an image


def clip_pieces(audio: Any, clip: Clip) -> Iterator[Samples]:
    """A clip's samples in order, `audio` being the dataset of clips.h5."""
    for start in range(0, clip.n_samples, PIECE_SAMPLES):
        end = min(start + PIECE_SAMPLES, clip.n_samples)
        yield read_span(audio, clip.offset + start, clip.offset + end)


def runs_of_blocks(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Cut the blocks of one clip, in order, into runs of at most RUN_BLOCKS that span at most RUN_SAMPLES.

    A longer block runs alone.
    """
    run: list[Block] = []
    for block in blocks:
        if run and (len(run) == RUN_BLOCKS or block.start + block.n_samples - run[0].start > RUN_SAMPLES):
            yield run
            run = []
        run.append(block)
    if run:
        yield run


def blocks_in_order(audio: Any, clip: Clip, blocks: Sequence[Block]) -> Iterator[Samples]:
    """Samples of each block (n_samples,) of one clip, with no more than a run of them in memory."""
    for run in runs_of_blocks(blocks):
        yield from read_run(audio, clip, run)


def read_run(audio: Any, clip: Clip, run: Sequence[Block]) -> list[Samples]:
    """Samples of each block (n_samples,) of a run, filled where the clip is shorter."""
    first = run[0].start
    last = min(max(block.start + block.n_samples for block in run), clip.n_samples)
    span = read_span(audio, clip.offset + first, clip.offset + last)
    return [
        fill_block(span, n_samples=block.n_samples, fill=block.fill)
        if block.fill != "none"
        else span[block.start - first : block.start - first + block.n_samples]
        for block in run
    ]
