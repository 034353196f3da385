"""Blocks of one corpus -> what the chosen representation makes of them, in HDF5."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.altered import Source, jobs_ahead, sources
from pipeline.augment.variants import RECORDING, Variant
from pipeline.console import track
from pipeline.errors import CorpusError
from pipeline.features.faces import Faces
from pipeline.features.representations import IMAGES, Representation, reached_hz
from pipeline.features.scales import refuse_unequal_bands
from pipeline.features.scratch import Scratch
from pipeline.parallel import in_order
from pipeline.store.arrays import ArrayWriter, digest_of, encode_texts, new_arrays, open_arrays
from pipeline.store.paths import blocks_csv, clips_csv, clips_h5, loudness_csv, spectrograms_h5
from pipeline.store.rendered import write_no_blocks
from pipeline.store.sound import Samples, read_run, runs_of_blocks
from pipeline.store.tables import Block, Clip, Gain, read_keyed, read_rows

LEAST_CHUNK = 2**12  # bytes: rows of a few numbers share a chunk


def render_corpus(
    corpus: str,
    representation: Representation | Faces,
    *,
    n_workers: int,
    variants: Sequence[Variant] = (RECORDING,),
    seed: int = 0,
) -> int:
    """Render every block of a corpus, altered ones too, in the order of its table; return how many.

    `variants` are all that the blocks name; `seed` is that of their noise. Faces are not made of sound: the file then
    holds no blocks.

    Raises
    ------
    CorpusError
        If a block is too short for the representation, or that reaches above what some of the corpus's sources hold,
        and others do.
    """
    if isinstance(representation, Faces):
        write_no_blocks(spectrograms_h5(corpus))
        return 0
    clips = read_keyed(clips_csv(corpus), Clip, "clip_id")
    blocks = read_rows(blocks_csv(corpus), Block)
    gains = read_keyed(loudness_csv(corpus), Gain, "block_id")
    rates = {block.clip_id: clips[block.clip_id].source_rate for block in blocks}
    _refuse_short(blocks, representation)
    reached = max(reached_hz(representation, block.n_samples) for block in blocks)
    refuse_unequal_bands(rates, max_hz=reached, limit=limit_of(representation))
    name = representation.dataset
    with open_arrays(clips_h5(corpus)) as sound, new_arrays(spectrograms_h5(corpus)) as arrays:
        rows = 1 if name == IMAGES else max(1, LEAST_CHUNK // row_bytes(representation))
        arrays.create(name, row_shape=representation.shape, dtype=representation.dtype, rows_in_chunk=rows)
        arrays.create("block_id", row_shape=(), dtype=_texts(blocks).dtype, rows_in_chunk=1024)
        rate = representation.sample_rate
        given = sources(
            sound["audio"], clips, blocks, variants=variants, seed=seed, sample_rate=rate, n_workers=n_workers
        )
        jobs = (
            (read_run(source.audio, source.clip, run), [gains[block.block_id] for block in run], representation)
            for source, run in _runs(given)
        )
        results = in_order(_render_run, jobs, n_workers=n_workers, ahead=jobs_ahead(variants))
        appended = _append(arrays, name, results)
        for _ in track(appended, label=f"render {corpus}", total=len(blocks), unit="blocks"):
            pass
        arrays.append("block_id", _texts(blocks))
        attributes = {
            **representation.attributes(),
            "least_source_rate": min(rates.values()),
            "most_source_rate": max(rates.values()),
        }
        if representation.resample_samples:
            attributes["reached_hz"] = reached
        arrays.finish({**attributes, "sound_sha256": digest_of(sound, "audio")})
    return len(blocks)


def limit_of(representation: Representation | Faces) -> str:
    """The parameter that sets up to which true frequency is looked; of relative ones only the rate does."""
    return "audio.sample_rate" if representation.resample_samples else representation.limit


def row_bytes(representation: Representation | Faces) -> int:
    """Bytes of one block's values."""
    return math.prod(representation.shape) * np.dtype(representation.dtype).itemsize


def _refuse_short(blocks: Sequence[Block], representation: Representation) -> None:
    shortest = min(blocks, key=lambda block: block.n_samples)
    there = representation.resample_samples or shortest.n_samples
    if there < representation.least_samples:
        raise CorpusError(
            f"block {shortest.block_id} has {there} samples, and representation.kind {representation.kind} needs "
            f"{representation.least_samples}: use shorter windows or frames, or longer blocks"
        )


def _append(arrays: ArrayWriter, name: str, results: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Write blocks run by run, and pass on each of them."""
    for rendered in results:
        arrays.append(name, rendered)
        yield from rendered


def _texts(blocks: Sequence[Block]) -> NDArray[np.bytes_]:
    return encode_texts([block.block_id for block in blocks])


def _runs(given: Iterable[Source]) -> Iterator[tuple[Source, list[Block]]]:
    for source in given:
        for run in runs_of_blocks(source.blocks):
            yield source, run


def _render_run(blocks: Sequence[Samples], gains: Sequence[Gain], representation: Representation) -> NDArray[Any]:
    """Values (n, ...) of some blocks."""
    rendered = np.empty((len(blocks), *representation.shape), dtype=representation.dtype)
    scratch = Scratch()
    for values, samples, gain in zip(rendered, blocks, gains, strict=True):
        factor = 10 ** (gain.gain_db / 20)
        values[:] = representation.render(samples, offset=gain.offset, gain=factor, scratch=scratch)
    return rendered
