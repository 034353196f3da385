"""Blocks of recordings and of altered sound alike: where the samples of each variant of each clip are cut from."""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from pipeline.augment.variants import Variant, alter, variant_rng
from pipeline.errors import AudioError, CorpusError, StoreError
from pipeline.parallel import JOBS_PER_WORKER, in_order
from pipeline.store.arrays import read_span
from pipeline.store.paths import blocks_csv
from pipeline.store.sound import Samples
from pipeline.store.tables import Block, Clip

MOST_SECONDS = 600.0  # of a clip that is altered: the stretching needs it whole, and from two to eight copies of it
ALTERED_AHEAD = 2  # altered clips in memory per worker


@dataclass(frozen=True, kw_only=True)
class Source:
    """One variant of a clip and its blocks.

    Attributes
    ----------
    audio
        What the clip's offset counts in: the dataset of clips.h5, or altered sound in memory.
    clip
        The clip; of altered sound, with its own number of samples.
    """

    audio: Any
    clip: Clip
    variant: int
    blocks: Sequence[Block]


def sources(
    audio: Any,
    clips: Mapping[str, Clip],
    blocks: Iterable[Block],
    *,
    variants: Sequence[Variant],
    seed: int,
    sample_rate: int,
    n_workers: int,
) -> Iterator[Source]:
    """Give each variant of each clip that has blocks, in the order of the blocks; altered sound is made on the way.

    The same clip, variant and seed give the same samples, whatever else there is and however many workers.

    Parameters
    ----------
    audio
        The dataset of clips.h5.
    variants
        All that the blocks name.
    seed
        Of added noise.
    n_workers
        Processes, where more than one and anything is to be altered: the library that stretches lets no other thread
        run, and takes four times as long as rendering a block a second.

    Raises
    ------
    StoreError
        If a block is of no such variant, or reaches beyond its sound.
    """
    of_number = {variant.number: variant for variant in variants}
    groups = [
        (clips[clip_id], _known(of_number, number, clip_id), list(own))
        for (clip_id, number), own in groupby(blocks, key=lambda block: (block.clip_id, block.variant))
    ]
    jobs = (
        (read_span(audio, clip.offset, clip.offset + clip.n_samples), clip.clip_id, variant, sample_rate, seed)
        for clip, variant, _ in groups
        if variant.number
    )
    with contextlib.closing(
        in_order(_alter, jobs, n_workers=n_workers, in_processes=True, ahead=ALTERED_AHEAD, name=_name)
    ) as altered:
        for clip, variant, own in groups:
            if variant.number == 0:
                _refuse_misplaced(clip, own, clip.n_samples)
                yield Source(audio=audio, clip=clip, variant=0, blocks=own)
                continue
            samples = next(altered)
            _refuse_misplaced(clip, own, len(samples))
            whole = dataclasses.replace(clip, offset=0, n_samples=len(samples))
            yield Source(audio=samples, clip=whole, variant=variant.number, blocks=own)


def jobs_ahead(variants: Sequence[Variant]) -> int:
    """How many jobs on sources may wait per worker: few where each holds a whole altered clip in memory."""
    return JOBS_PER_WORKER if len(variants) == 1 else ALTERED_AHEAD


def refuse_long(clips: Iterable[Clip], *, variants: Sequence[Variant]) -> None:
    """Refuse, where anything is altered, clips that are too long to be altered.

    Raises
    ------
    CorpusError
        Naming the first.
    """
    long = [clip for clip in clips if clip.seconds > MOST_SECONDS] if len(variants) > 1 else []
    if long:
        more = f" and {len(long) - 1} more" if len(long) > 1 else ""
        raise CorpusError(
            f"{long[0].clip_id}{more}: {long[0].seconds:.0f} s, and clips of up to {MOST_SECONDS:g} s can be altered: "
            "set augment.sound to none, or list shorter events of the recording in clips.csv"
        )


def _alter(samples: Samples, clip_id: str, variant: Variant, sample_rate: int, seed: int) -> Samples:
    rng = variant_rng(seed, clip_id, variant)
    try:
        return alter(samples, variant, sample_rate=sample_rate, rng=rng)
    except AudioError as error:
        raise AudioError(f"{clip_id}: {error}") from None


def _name(_: Samples, clip_id: str, variant: Variant, *__: int) -> str:
    return f"{clip_id} (variant {variant.number})"


def _known(of_number: Mapping[int, Variant], number: int, clip_id: str) -> Variant:
    if number not in of_number:
        raise StoreError(f"{clip_id}: blocks of variant {number}, which augment.sound does not have: run `dvc repro`")
    return of_number[number]


def _refuse_misplaced(clip: Clip, blocks: Sequence[Block], n_samples: int) -> None:
    """Refuse blocks that do not lie in their sound; one that is filled holds all of it."""
    for block in blocks:
        left = n_samples - block.start
        if left < block.n_samples if block.fill == "none" else not 0 < left == n_samples <= block.n_samples:
            raise StoreError(
                f"{blocks_csv(clip.corpus)}: block {block.block_id} does not lie in its sound of {n_samples} samples: "
                "run `dvc repro -f` on the stage that writes it"
            )
