"""Made sounds, and a made corpus as the stages after `collect_clips` find it."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.store.arrays import SOUND_CHUNK, new_arrays
from pipeline.store.paths import blocks_csv, clips_csv, clips_h5
from pipeline.store.tables import Block, Clip, write_rows

Sound = NDArray[np.float32]
RATE = 8000  # Hz, of most made sounds: small and quick


def tone(db: float, seconds: float, *, hz: float = 1000.0, rate: int = RATE) -> Sound:
    """A sine whose peak is `db` dB re full scale."""
    time = np.arange(round(seconds * rate)) / rate
    return (10 ** (db / 20) * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def noise(db: float, seconds: float, *, seed: int = 0, rate: int = RATE) -> Sound:
    """White noise of root mean square `db` dB re full scale."""
    samples = np.random.default_rng(seed).standard_normal(round(seconds * rate))
    return (10 ** (db / 20) * samples).astype(np.float32)


def silence(seconds: float, *, rate: int = RATE) -> Sound:
    """Digital silence."""
    return np.zeros(round(seconds * rate), np.float32)


def clip(clip_id: str = "made/a.wav", n_samples: int = 10 * RATE, **changes) -> Clip:
    """One row of clips.csv."""
    usual = {
        "path": clip_id.partition("/")[2],
        "label": "joy",
        "corpus": clip_id.partition("/")[0],
        "offset": 0,
        "seconds": n_samples / RATE,
        "start_seconds": 0.0,
        "pcm_sha256": "0" * 64,
        "source_rate": RATE,
        "bandwidth_hz": RATE / 2,
        "floor_db": -60.0,
        "channels": 1,
        "licence": "CC0",
    }
    return Clip(clip_id=clip_id, n_samples=n_samples, **{**usual, **changes})


def block(clip_id: str = "made/a.wav", start: int = 0, n_samples: int = 2 * RATE, fill: str = "none") -> Block:
    """One row of the table of blocks."""
    return Block(block_id=f"{clip_id}@{start}", clip_id=clip_id, variant=0, start=start, n_samples=n_samples, fill=fill)


def store_clips(corpus: str, sounds: Mapping[str, Sound], *, rate: int = RATE, **changes: Mapping) -> list[Clip]:
    """Write clips.h5 and clips.csv of a corpus; `changes` are columns, by clip: `source_rate={"a": 16000}`."""
    clips, offset = [], 0
    with new_arrays(clips_h5(corpus)) as arrays:
        arrays.create("audio", row_shape=(), dtype="<f4", rows_in_chunk=SOUND_CHUNK)
        for name, samples in sounds.items():
            own = {column: of_clip[name] for column, of_clip in changes.items() if name in of_clip}
            seconds = len(samples) / rate
            clips.append(clip(f"{corpus}/{name}", len(samples), offset=offset, seconds=seconds, **own))
            offset += len(samples)
            arrays.append("audio", samples)
        arrays.finish({"sample_rate": rate})
    write_rows(clips_csv(corpus), Clip, clips)
    return clips


def store_blocks(corpus: str, blocks: list[Block]) -> list[Block]:
    """Write the table of a corpus's blocks."""
    write_rows(blocks_csv(corpus), Block, blocks)
    return blocks
