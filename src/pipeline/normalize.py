"""Blocks of one corpus -> the table of their loudness and of the gain that normalises each."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pipeline.altered import jobs_ahead, sources
from pipeline.audio.loudness import Measurement, add_up, choose_gain, gate_powers, measure
from pipeline.augment.variants import RECORDING, Variant
from pipeline.console import track
from pipeline.errors import AudioError
from pipeline.parallel import in_order
from pipeline.store.arrays import open_arrays
from pipeline.store.paths import blocks_csv, clips_csv, clips_h5, loudness_csv
from pipeline.store.sound import blocks_in_order, clip_pieces, read_run
from pipeline.store.tables import Block, Clip, Gain, read_keyed, read_rows, write_rows

# The blocks of a clip, its measurement as a whole, and theirs.
_Measured = tuple[Sequence[Block], Measurement, list[Measurement]]


def normalize_corpus(
    corpus: str,
    *,
    sample_rate: int,
    scope: str,
    method: str,
    target_db: float,
    max_gain_db: float,
    limit_peak: bool,
    n_workers: int,
    variants: Sequence[Variant] = (RECORDING,),
    seed: int = 0,
) -> list[Gain]:
    """Measure every block of a corpus, choose its gain and write the table of both.

    `scope` says what shares one gain: block, clip or corpus; with none every gain is 0 dB. What is silent keeps its
    level, whatever it shares a gain with. Altered sound (`variants`, whose noise `seed` seeds) is measured as it
    is: with scope clip each variant has a gain of its own; with corpus it has that of the recordings.
    """
    clips = read_keyed(clips_csv(corpus), Clip, "clip_id")
    blocks = read_rows(blocks_csv(corpus), Block)
    n_sources = len({(block.clip_id, block.variant) for block in blocks})
    with open_arrays(clips_h5(corpus)) as file:
        given = sources(
            file["audio"], clips, blocks, variants=variants, seed=seed, sample_rate=sample_rate, n_workers=n_workers
        )
        jobs = ((source.audio, source.clip, source.blocks, sample_rate) for source in given)
        results = in_order(_measure_clip, jobs, n_workers=n_workers, ahead=jobs_ahead(variants))
        unit = "clips" if len(variants) == 1 else "variants of clips"
        measured: Iterable[_Measured] = track(results, label=f"normalise {corpus}", total=n_sources, unit=unit)
        corpus_level = None
        if scope == "corpus":  # what all share is known at the end: all are kept till then
            measured = list(measured)
            corpus_level = add_up([whole for own, whole, _ in measured if own[0].variant == 0])
        gains = [
            gain_of(
                block.block_id,
                part,
                {"none": None, "block": part, "clip": whole, "corpus": corpus_level}[scope],
                method=method,
                target_db=target_db,
                max_gain_db=max_gain_db,
                limit_peak=limit_peak,
            )
            for own, whole, parts in measured
            for block, part in zip(own, parts, strict=True)
        ]
    write_rows(loudness_csv(corpus), Gain, gains)
    return gains


def _measure_clip(audio: Any, clip: Clip, blocks: Sequence[Block], sample_rate: int) -> _Measured:
    """Give a clip's blocks, its measurement as a whole, and theirs; a clip that is filled up is its one block."""
    try:
        return _measure(audio, clip, blocks, sample_rate)
    except AudioError as error:
        raise AudioError(f"{clip.clip_id}: {error}") from None


def _measure(audio: Any, clip: Clip, blocks: Sequence[Block], sample_rate: int) -> _Measured:
    if blocks[0].fill != "none":
        (filled,) = read_run(audio, clip, blocks)
        span = np.array([0]), np.array([len(filled)])
        whole = measure(filled, gate_powers([filled], *span, sample_rate=sample_rate)[0])
        return blocks, whole, [whole]
    stretches = [(0, clip.n_samples), *((block.start, block.n_samples) for block in blocks)]
    starts, lengths = np.array(stretches, dtype=np.int64).T
    powers = gate_powers(clip_pieces(audio, clip), starts, lengths, sample_rate=sample_rate)
    samples = blocks_in_order(audio, clip, blocks)
    parts = [measure(own, power) for own, power in zip(samples, powers[1:], strict=True)]
    silence = np.zeros(0)  # the powers of the whole clip are known; its pieces bring the sums and the peak
    sums = add_up([measure(piece, silence) for piece in clip_pieces(audio, clip)])
    return blocks, dataclasses.replace(sums, powers=powers[0]), parts


def gain_of(
    block_id: str,
    block: Measurement,
    reference: Measurement | None,
    *,
    method: str,
    target_db: float,
    max_gain_db: float,
    limit_peak: bool,
) -> Gain:
    """Choose the gain of a block from what it shares one with: itself, its clip, its corpus, or nothing (None)."""
    offset, gain_db, flag = 0.0, 0.0, ""
    is_silent = block.peak() == 0.0
    if is_silent:
        flag = "silent"
    elif reference is not None:
        centre = reference.mean if method == "zscore" else 0.0
        # What shares a gain must share its limit too.
        peak = reference.peak(centre) if limit_peak else block.peak(centre)
        target = 0.0 if method == "zscore" else target_db
        level = reference.level_db(method)
        gain_db, flag = choose_gain(level, peak, target_db=target, max_gain_db=max_gain_db, limit_peak=limit_peak)
        offset = 0.0 if flag == "silent" else centre
    gain_db = math.floor(gain_db * 1e4) / 1e4 if "peak_limited" in flag else round(gain_db, 4)
    return Gain(
        block_id=block_id,
        lufs=-math.inf if is_silent else round(block.lufs, 4),  # the filter rings on into digital silence
        gain_db=gain_db,
        offset=round(offset, 9),
        peak=round(block.peak(offset) * 10 ** (gain_db / 20), 6),
        flag=flag,
    )
