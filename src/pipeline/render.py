"""Blocks of one corpus -> spectrogram images in HDF5."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.altered import Source, jobs_ahead, sources
from pipeline.augment.variants import RECORDING, Variant
from pipeline.console import track
from pipeline.features.scales import refuse_unequal_bands
from pipeline.features.scratch import Scratch
from pipeline.features.spectrogram import SpectrogramSpec, band_decibels, draw_image
from pipeline.parallel import in_order
from pipeline.store.arrays import ArrayWriter, digest_of, encode_texts, new_arrays, open_arrays
from pipeline.store.paths import blocks_csv, clips_csv, clips_h5, loudness_csv, spectrograms_h5
from pipeline.store.sound import Samples, read_run, runs_of_blocks
from pipeline.store.tables import Block, Clip, Gain, read_keyed, read_rows


@dataclass(frozen=True)
class ImageSpec:
    """All that defines an image of a dB matrix."""

    low_db: float
    high_db: float
    colormap: str
    n_colours: int
    height: int  # pixels
    width: int  # pixels


def render_corpus(
    corpus: str,
    *,
    spectrogram: SpectrogramSpec,
    image: ImageSpec,
    n_workers: int,
    variants: Sequence[Variant] = (RECORDING,),
    seed: int = 0,
) -> int:
    """Render every block of a corpus, altered ones too, in the order of its table; return how many.

    `variants` are all that the blocks name; `seed` is that of their noise.

    Raises
    ------
    CorpusError
        If the axis reaches above what some of the corpus's sources hold, and others do.
    """
    clips = read_keyed(clips_csv(corpus), Clip, "clip_id")
    blocks = read_rows(blocks_csv(corpus), Block)
    gains = read_keyed(loudness_csv(corpus), Gain, "block_id")
    rates = {block.clip_id: clips[block.clip_id].source_rate for block in blocks}
    refuse_unequal_bands(rates, max_hz=spectrogram.max_hz)
    with open_arrays(clips_h5(corpus)) as sound, new_arrays(spectrograms_h5(corpus)) as arrays:
        arrays.create("images", row_shape=(image.height, image.width, 3), dtype=np.uint8)
        arrays.create("block_id", row_shape=(), dtype=_texts(blocks).dtype, rows_in_chunk=1024)
        rate = spectrogram.sample_rate
        given = sources(
            sound["audio"], clips, blocks, variants=variants, seed=seed, sample_rate=rate, n_workers=n_workers
        )
        jobs = (
            (read_run(source.audio, source.clip, run), [gains[block.block_id] for block in run], spectrogram, image)
            for source, run in _runs(given)
        )
        results = in_order(_render_run, jobs, n_workers=n_workers, ahead=jobs_ahead(variants))
        for _ in track(_append(arrays, results), label=f"render {corpus}", total=len(blocks), unit="blocks"):
            pass
        arrays.append("block_id", _texts(blocks))
        attributes = {
            **asdict(spectrogram),
            **asdict(image),
            "least_source_rate": min(rates.values()),
            "most_source_rate": max(rates.values()),
        }
        arrays.finish({**attributes, "sound_sha256": digest_of(sound, "audio")})
    return len(blocks)


def _append(arrays: ArrayWriter, results: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """Write images run by run, and pass on each of them."""
    for pictures in results:
        arrays.append("images", pictures)
        yield from pictures


def _texts(blocks: Sequence[Block]) -> NDArray[np.bytes_]:
    return encode_texts([block.block_id for block in blocks])


def _runs(given: Iterable[Source]) -> Iterator[tuple[Source, list[Block]]]:
    for source in given:
        for run in runs_of_blocks(source.blocks):
            yield source, run


def _render_run(
    blocks: Sequence[Samples], gains: Sequence[Gain], spectrogram: SpectrogramSpec, image: ImageSpec
) -> NDArray[np.uint8]:
    """Images (n, height, width, 3) of some blocks."""
    pictures = np.empty((len(blocks), image.height, image.width, 3), dtype=np.uint8)
    scratch, drawing = Scratch(), asdict(image)
    for picture, samples, gain in zip(pictures, blocks, gains, strict=True):
        factor = 10 ** (gain.gain_db / 20)
        decibels = band_decibels(samples, spectrogram, offset=gain.offset, gain=factor, scratch=scratch)
        picture[:] = draw_image(decibels, **drawing, scratch=scratch)
    return pictures
