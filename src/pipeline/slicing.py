"""Clips of one corpus -> the table of its blocks, and the table of what was left out."""

from collections.abc import Sequence

import numpy as np

from pipeline.audio.blocks import cut_clip
from pipeline.audio.loudness import gate_powers, integrated_lufs, mean_lufs
from pipeline.console import track
from pipeline.errors import CorpusError
from pipeline.store.arrays import open_arrays
from pipeline.store.paths import blocks_csv, clips_csv, clips_h5, left_out_csv
from pipeline.store.sound import blocks_in_order, clip_pieces
from pipeline.store.tables import Block, Clip, LeftOut, read_rows, write_rows

SHORT, TAIL, SILENT = "shorter than a block", "tail after the last whole block", "silent beside its clip"


def slice_corpus(
    corpus: str,
    *,
    sample_rate: int,
    block_seconds: float,
    slide_seconds: float,
    short_clips: str,
    tail: str,
    silent_below_lu: float | None,
    whole_clips: bool = False,
) -> tuple[list[Block], list[LeftOut]]:
    """Cut every clip of a corpus into blocks and write both tables.

    `silent_below_lu` says how far below its clip's loudness a block counts as silent and is left out, LU; with None
    every block is kept. With `whole_clips` each clip is one block, and the parameters of the cut are not looked at.

    Raises
    ------
    CorpusError
        If no block is left.
    """
    clips = read_rows(clips_csv(corpus), Clip)
    block_samples = round(block_seconds * sample_rate)
    blocks: list[Block] = []
    left_out: list[LeftOut] = []
    for clip in clips:
        length = clip.n_samples if whole_clips else block_samples
        cut = cut_clip(
            clip.n_samples,
            block_samples=length,
            slide_samples=slide_seconds * sample_rate,
            short_clips=short_clips,
            tail=tail,
        )
        # a slide shorter than a whole clip makes no second block: nothing is left after the first
        blocks += [_block(clip, start, length, cut.fill) for start in cut.starts]
        if cut.tail_samples:
            reason = TAIL if cut.starts else SHORT
            left_out.append(
                _left_out(clip, reason, n_blocks=0 if cut.starts else 1, n_samples=cut.tail_samples, rate=sample_rate)
            )
    if silent_below_lu is not None:
        blocks, silent = _without_silent(corpus, clips, blocks, sample_rate=sample_rate, below_lu=silent_below_lu)
        left_out += silent
    if not blocks:
        raise CorpusError(f"corpus {corpus}: no block is left of {len(clips)} clips: see slice.* in params.yaml")
    write_rows(blocks_csv(corpus), Block, blocks)
    write_rows(left_out_csv(corpus), LeftOut, left_out)
    return blocks, left_out


def _block(clip: Clip, start: int, n_samples: int, fill: str) -> Block:
    block_id = f"{clip.clip_id}@{start}"
    return Block(block_id=block_id, clip_id=clip.clip_id, variant=0, start=start, n_samples=n_samples, fill=fill)


def _left_out(clip: Clip, reason: str, *, n_blocks: int, n_samples: int, rate: int) -> LeftOut:
    seconds = round(n_samples / rate, 6)
    return LeftOut(clip_id=clip.clip_id, label=clip.label, reason=reason, blocks=n_blocks, seconds=seconds)


def _without_silent(
    corpus: str, clips: Sequence[Clip], blocks: Sequence[Block], *, sample_rate: int, below_lu: float
) -> tuple[list[Block], list[LeftOut]]:
    of_clip: dict[str, list[Block]] = {}
    for block in blocks:
        of_clip.setdefault(block.clip_id, []).append(block)
    kept: list[Block] = []
    left_out: list[LeftOut] = []
    with open_arrays(clips_h5(corpus)) as file:
        for clip in track(clips, label=f"slice {corpus}", total=len(clips), unit="clips"):
            own = of_clip.get(clip.clip_id, [])
            stretches = [(0, clip.n_samples), *((block.start, min(block.n_samples, clip.n_samples)) for block in own)]
            starts, lengths = np.array(stretches, dtype=np.int64).T
            powers = gate_powers(clip_pieces(file["audio"], clip), starts, lengths, sample_rate=sample_rate)
            threshold = integrated_lufs(powers[0]) - below_lu
            # Digital silence is told by its samples: the filter rings on into it.
            samples = blocks_in_order(file["audio"], clip, own)
            measured = zip(own, samples, powers[1:], strict=True)
            loud = [block for block, values, power in measured if values.any() and mean_lufs(power) > threshold]
            kept += loud
            if n_silent := len(own) - len(loud):
                n_samples = _n_covered(clip, own) - _n_covered(clip, loud)
                left_out.append(_left_out(clip, SILENT, n_blocks=n_silent, n_samples=n_samples, rate=sample_rate))
    return kept, left_out


def _n_covered(clip: Clip, blocks: Sequence[Block]) -> int:
    """Count the samples of a clip that its blocks, in order, hold: those in two blocks once."""
    n_samples = reached = 0
    for block in blocks:
        end = min(block.start + block.n_samples, clip.n_samples)
        n_samples += end - max(block.start, reached)
        reached = end
    return n_samples
