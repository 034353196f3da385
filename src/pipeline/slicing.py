"""Clips of one corpus -> the table of its blocks, and the table of what was left out."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby

import numpy as np

from pipeline.altered import refuse_long
from pipeline.audio.blocks import Cut, cut_clip, draw_blocks
from pipeline.audio.loudness import gate_powers, integrated_lufs, mean_lufs
from pipeline.augment.variants import RECORDING, Variant, altered_samples, variant_rng
from pipeline.console import track
from pipeline.errors import CorpusError
from pipeline.store.arrays import open_arrays
from pipeline.store.paths import blocks_csv, clips_csv, clips_h5, left_out_csv
from pipeline.store.sound import blocks_in_order, clip_pieces
from pipeline.store.tables import Block, Clip, LeftOut, read_rows, write_rows

SHORT, TAIL, SILENT = "shorter than a block", "tail after the last whole block", "silent beside its clip"
NOT_DRAWN = "in none of the random blocks"


def slice_corpus(
    corpus: str,
    *,
    sample_rate: int,
    block_seconds: float,
    slide_seconds: float,
    short_clips: str,
    tail: str,
    silent_below_lu: float | None,
    variants: Sequence[Variant] = (RECORDING,),
    whole_clips: bool = False,
    random_blocks: int = 0,
    seed: int = 0,
) -> tuple[int, list[LeftOut]]:
    """Cut every clip of a corpus into blocks and write both tables.

    `silent_below_lu` says how far below its clip's loudness a block counts as silent and is left out, LU; with None
    every block is kept. With `whole_clips` each clip is one block, and the parameters of the cut are not looked at.
    With `random_blocks` each clip is cut into so many, as `place_blocks` draws them, instead of sliding.

    Each of `variants` is cut as a clip of its own altered length; its blocks follow those of the recording. An altered
    block is silent where the stretch of the recording that it is made of is, and a clip without blocks of its own has
    no altered ones. What is left out is counted for recordings only. A clip's blocks are written before the next
    clip's are cut.

    Returns
    -------
    How many blocks there are, and what was left out.

    Raises
    ------
    CorpusError
        If no block is left, or a clip is too long to be altered.
    """
    clips = read_rows(clips_csv(corpus), Clip)
    refuse_long(clips, variants=variants)
    place = partial(
        place_blocks,
        slide_samples=slide_seconds * sample_rate,
        short_clips=short_clips,
        tail=tail,
        random_blocks=0 if whole_clips else random_blocks,
        seed=seed,
    )
    block_samples = None if whole_clips else round(block_seconds * sample_rate)
    beside = NOT_DRAWN if random_blocks else TAIL
    left_out: list[LeftOut] = []
    silent: list[LeftOut] = []
    of_clips: Iterable[list[Block]] = (
        _cut(clip, variants, place, block_samples, rate=sample_rate, beside=beside, left_out=left_out) for clip in clips
    )
    if silent_below_lu is not None:
        factors = {variant.number: variant.time_factor for variant in variants}
        of_clips = _without_silent(
            corpus, clips, of_clips, factors, sample_rate=sample_rate, below_lu=silent_below_lu, left_out=silent
        )
    n_blocks = write_rows(blocks_csv(corpus), Block, _recorded(of_clips, corpus, len(clips)))
    left_out += silent
    write_rows(left_out_csv(corpus), LeftOut, left_out)
    return n_blocks, left_out


def place_blocks(
    clip_id: str,
    n_samples: int,
    *,
    block_samples: int,
    slide_samples: float,
    short_clips: str,
    tail: str,
    random_blocks: int,
    seed: int,
    variant: Variant = RECORDING,
) -> Cut:
    """Place the blocks of one variant of a clip: sliding, or with `random_blocks` so many at random.

    Random blocks depend on the seed, the clip's name and length and the variant: whatever other clips there are, they
    are the same. With them, `slide_samples` and `tail` are not looked at.
    """
    if not random_blocks:
        return cut_clip(
            n_samples, block_samples=block_samples, slide_samples=slide_samples, short_clips=short_clips, tail=tail
        )
    rng = variant_rng(seed, clip_id, variant).spawn(1)[0]  # added noise has the parent's numbers
    return draw_blocks(n_samples, block_samples=block_samples, n_blocks=random_blocks, short_clips=short_clips, rng=rng)


def _cut(
    clip: Clip,
    variants: Sequence[Variant],
    place: Callable[..., Cut],
    block_samples: int | None,
    *,
    rate: int,
    beside: str,
    left_out: list[LeftOut],
) -> list[Block]:
    """Cut a clip, in all variants; `left_out` takes what lies `beside` the recording's blocks.

    Without a length, each variant is one block.
    """
    blocks: list[Block] = []
    for variant in variants:
        n_samples = altered_samples(clip.n_samples, variant)
        # a slide shorter than a whole clip makes no second block: nothing is left after the first
        length = n_samples if block_samples is None else block_samples
        cut = place(clip.clip_id, n_samples, block_samples=length, variant=variant)
        blocks += [_block(clip, variant, start, length, cut.fill) for start in cut.starts]
        if variant.number == 0 and cut.tail_samples:
            reason, n = (beside, 0) if cut.starts else (SHORT, 1)
            left_out.append(_left_out(clip, reason, n_blocks=n, n_samples=cut.tail_samples, rate=rate))
    return blocks


def _recorded(of_clips: Iterable[Sequence[Block]], corpus: str, n_clips: int) -> Iterator[Block]:
    """Blocks of the clips of which one of the recording is left; refuse a corpus without any."""
    is_any = False
    for own in of_clips:
        if any(block.variant == 0 for block in own):
            is_any = True
            yield from own
    if not is_any:
        raise CorpusError(f"corpus {corpus}: no block is left of {n_clips} clips: see slice.* in params.yaml")


def _block(clip: Clip, variant: Variant, start: int, n_samples: int, fill: str) -> Block:
    block_id = f"{clip.clip_id}@{start}" + (f"~{variant.number}" if variant.number else "")
    return Block(
        block_id=block_id, clip_id=clip.clip_id, variant=variant.number, start=start, n_samples=n_samples, fill=fill
    )


def _left_out(clip: Clip, reason: str, *, n_blocks: int, n_samples: int, rate: int) -> LeftOut:
    seconds = round(n_samples / rate, 6)
    return LeftOut(clip_id=clip.clip_id, label=clip.label, reason=reason, blocks=n_blocks, seconds=seconds)


def _without_silent(
    corpus: str,
    clips: Sequence[Clip],
    of_clips: Iterable[Sequence[Block]],
    factors: Mapping[int, float],
    *,
    sample_rate: int,
    below_lu: float,
    left_out: list[LeftOut],
) -> Iterator[list[Block]]:
    """Leave silent blocks out, and note it; `factors` are the variants' durations over that of the recording."""
    tracked = track(clips, label=f"slice {corpus}", total=len(clips), unit="clips")
    with open_arrays(clips_h5(corpus)) as file:
        for clip, own in zip(tracked, of_clips, strict=True):
            heard = [_heard(clip, block, factors[block.variant]) for block in own]
            stretches = [(0, clip.n_samples), *((block.start, block.n_samples) for block in heard)]
            starts, lengths = np.array(stretches, dtype=np.int64).T
            powers = gate_powers(clip_pieces(file["audio"], clip), starts, lengths, sample_rate=sample_rate)
            threshold = integrated_lufs(powers[0]) - below_lu
            # Digital silence is told by its samples: the filter rings on into it.
            of_variants = (list(some) for _, some in groupby(heard, key=lambda block: block.variant))
            samples = (values for some in of_variants for values in blocks_in_order(file["audio"], clip, some))
            measured = zip(own, samples, powers[1:], strict=True)
            loud = [block for block, values, power in measured if values.any() and mean_lufs(power) > threshold]
            recorded, kept = ([block for block in some if block.variant == 0] for some in (own, loud))
            if n_silent := len(recorded) - len(kept):
                n_samples = _n_covered(clip, recorded) - _n_covered(clip, kept)
                left_out.append(_left_out(clip, SILENT, n_blocks=n_silent, n_samples=n_samples, rate=sample_rate))
            yield loud


def _heard(clip: Clip, block: Block, factor: float) -> Block:
    """The stretch of the recording that a block, altered or not, is made of."""
    start = min(round(block.start / factor), clip.n_samples - 1)
    n_samples = min(max(round(block.n_samples / factor), 1), clip.n_samples - start)
    return dataclasses.replace(block, start=start, n_samples=n_samples, fill="none")


def _n_covered(clip: Clip, blocks: Sequence[Block]) -> int:
    """Count the samples of a clip that its blocks, in order, hold: those in two blocks once."""
    n_samples = reached = 0
    for block in blocks:
        end = min(block.start + block.n_samples, clip.n_samples)
        n_samples += end - max(block.start, reached)
        reached = end
    return n_samples
