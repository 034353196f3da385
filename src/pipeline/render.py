"""Blocks of one corpus -> spectrogram images in HDF5, and the list of what was rendered."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.console import track
from pipeline.errors import CorpusError
from pipeline.features.spectrogram import SpectrogramSpec, band_decibels, draw_image
from pipeline.parallel import in_order
from pipeline.store.arrays import digest_of, encode_texts, new_arrays, open_arrays
from pipeline.store.paths import SPECTROGRAMS_LIST, blocks_csv, clips_csv, clips_h5, loudness_csv, spectrograms_h5
from pipeline.store.sound import Samples, read_run, runs_of_blocks
from pipeline.store.tables import Block, Clip, Gain, SpectrogramFile, read_keyed, read_rows, write_rows


@dataclass(frozen=True)
class ImageSpec:
    """All that defines an image of a dB matrix."""

    low_db: float
    high_db: float
    colormap: str
    n_colours: int
    height: int  # pixels
    width: int  # pixels


def render_corpus(corpus: str, *, spectrogram: SpectrogramSpec, image: ImageSpec, n_workers: int) -> int:
    """Render every block of a corpus in the order of its table; return how many.

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
    with one_torch_thread(), open_arrays(clips_h5(corpus)) as sound, new_arrays(spectrograms_h5(corpus)) as arrays:
        arrays.create("images", row_shape=(image.height, image.width, 3), dtype=np.uint8)
        arrays.create("block_id", row_shape=(), dtype=_texts(blocks).dtype, rows_in_chunk=1024)
        jobs = (
            (read_run(sound["audio"], clip, run), [gains[block.block_id] for block in run], spectrogram, image)
            for clip, run in _runs(clips, blocks)
        )
        results = in_order(_render_run, jobs, n_workers=n_workers)
        for picture in track(
            (picture for pictures in results for picture in pictures),
            label=f"render {corpus}",
            total=len(blocks),
            unit="blocks",
        ):
            arrays.append("images", picture[None])
        arrays.append("block_id", _texts(blocks))
        attributes = {
            **asdict(spectrogram),
            **asdict(image),
            "least_source_rate": min(rates.values()),
            "most_source_rate": max(rates.values()),
        }
        arrays.finish({**attributes, "sound_sha256": digest_of(sound, "audio")})
    return len(blocks)


@contextlib.contextmanager
def one_torch_thread() -> Iterator[None]:
    """Keep torch from splitting one block's work among threads of its own, which costs many times the work itself."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _texts(blocks: Sequence[Block]) -> NDArray[np.bytes_]:
    return encode_texts([block.block_id for block in blocks])


def _runs(clips: Mapping[str, Clip], blocks: Sequence[Block]) -> Iterator[tuple[Clip, list[Block]]]:
    for clip_id, own in groupby(blocks, key=lambda block: block.clip_id):
        for run in runs_of_blocks(list(own)):
            yield clips[clip_id], run


def _render_run(
    blocks: Sequence[Samples], gains: Sequence[Gain], spectrogram: SpectrogramSpec, image: ImageSpec
) -> NDArray[np.uint8]:
    """Images (n, height, width, 3) of some blocks."""
    pictures = np.empty((len(blocks), image.height, image.width, 3), dtype=np.uint8)
    for picture, samples, gain in zip(pictures, blocks, gains, strict=True):
        normalised = (samples - np.float32(gain.offset)) * np.float32(10 ** (gain.gain_db / 20))
        picture[:] = draw_image(band_decibels(normalised, spectrogram), **asdict(image))
    return pictures


def refuse_unequal_bands(source_rates: Mapping[str, int], *, max_hz: float) -> None:
    """Refuse an axis that reaches above the band of some sources where sources differ in rate.

    The empty strip above a source's band would tell sources, and with them often classes, apart.

    Raises
    ------
    CorpusError
        Naming the source of the lowest rate and the highest safe `spectrogram.max_hz`.
    """
    lowest = min(source_rates, key=lambda name: (source_rates[name], name))
    rate = source_rates[lowest]
    if max_hz > rate / 2 and len(set(source_rates.values())) > 1:
        raise CorpusError(
            f"{lowest}: recorded at {rate} Hz, others at up to {max(source_rates.values())} Hz: its picture would be "
            f"empty above {rate / 2:g} Hz and give the source away: set spectrogram.max_hz to {rate / 2:g} or lower"
        )


def list_spectrograms(corpora: Sequence[str]) -> list[SpectrogramFile]:
    """List what has been rendered of some corpora, by content, and write the list.

    Raises
    ------
    CorpusError
        As `refuse_unequal_bands` says, across the corpora.
    """
    rows, rates, max_hz = [], {}, 0.0
    for corpus in corpora:
        path = spectrograms_h5(corpus)
        with open_arrays(path) as file:
            rows.append(SpectrogramFile(corpus=corpus, path=path.as_posix(), sha256=digest_of(file, "images")))
            for attribute in ("least_source_rate", "most_source_rate"):
                rates[f"corpus {corpus} ({attribute.replace('_', ' ')})"] = int(file.attrs[attribute])
            max_hz = max(max_hz, float(file.attrs["max_hz"]))
    refuse_unequal_bands(rates, max_hz=max_hz)
    write_rows(SPECTROGRAMS_LIST, SpectrogramFile, rows)
    return rows
