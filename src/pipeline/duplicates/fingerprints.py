"""Sound of one corpus -> the fingerprints of its clips."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.audio.fingerprint import Fingerprint, fingerprint
from pipeline.console import track
from pipeline.errors import StoreError
from pipeline.parallel import in_order
from pipeline.store.arrays import (
    attributes_of,
    decode_texts,
    digest_of,
    encode_texts,
    new_arrays,
    open_arrays,
    read_span,
)
from pipeline.store.paths import clips_csv, clips_h5, fingerprints_h5
from pipeline.store.sound import clip_pieces
from pipeline.store.tables import Clip, read_rows

Ints = NDArray[np.int64]

PRINTS_IN_CHUNK = 2**14  # 64 KiB of bits: under three minutes


def fingerprint_corpus(corpus: str, *, sample_rate: int, n_workers: int) -> int:
    """Fingerprint every clip of a corpus in the order of its table; return how many sub-fingerprints that were."""
    clips = read_rows(clips_csv(corpus), Clip)
    n_all = 0
    with open_arrays(clips_h5(corpus)) as sound, new_arrays(fingerprints_h5(corpus)) as arrays:
        arrays.create("bits", row_shape=(), dtype="<u4", rows_in_chunk=PRINTS_IN_CHUNK)
        arrays.create("informative", row_shape=(), dtype=np.bool_, rows_in_chunk=PRINTS_IN_CHUNK)
        jobs = ((sound["audio"], clip, sample_rate) for clip in clips)
        results = in_order(_fingerprint_clip, jobs, n_workers=n_workers)
        counts = []
        for found in track(results, label=f"fingerprint {corpus}", total=len(clips), unit="clips"):
            arrays.append("bits", found.bits)
            arrays.append("informative", found.informative)
            counts.append(len(found.bits))
        texts = encode_texts([clip.clip_id for clip in clips])
        for name, values in (("clip_id", texts), ("n_frames", np.array(counts, dtype="<i8"))):
            arrays.create(name, row_shape=(), dtype=values.dtype, rows_in_chunk=1024)
            arrays.append(name, values)
        n_all = sum(counts)
        arrays.finish({"sample_rate": sample_rate, "sound_sha256": digest_of(sound, "audio")})
    return n_all


def _fingerprint_clip(audio: Any, clip: Clip, sample_rate: int) -> Fingerprint:
    return fingerprint(clip_pieces(audio, clip), sample_rate=sample_rate)


def check_fingerprints(file: Any, corpus: str, clip_ids: Sequence[str], *, sound_sha256: str) -> tuple[Ints, int]:
    """How many sub-fingerprints each clip has, (n_clips,), and the rate of the sound that they are of, Hz.

    Parameters
    ----------
    file
        The corpus's fingerprints, opened.
    clip_ids
        Of the corpus's table, in its order.

    Raises
    ------
    StoreError
        If they are damaged, or of other clips.
    """
    about = attributes_of(file)
    names = decode_texts(read_span(file["clip_id"], 0, len(file["clip_id"])))
    if names != list(clip_ids) or about["sound_sha256"] != sound_sha256:
        raise StoreError(
            f"{fingerprints_h5(corpus)}: made of other clips than those of {clips_csv(corpus)}: run `dvc repro`"
        )
    return read_span(file["n_frames"], 0, len(names)), int(about["sample_rate"])
