"""Files with random damage: each is refused or read as finite sound of a plausible length; nothing third."""

import collections
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipeline.audio.reading import read_sound
from pipeline.errors import AudioError

KINDS = [
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]
N_SAMPLES = 6000


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Damage a file in one to three of six ways, half of the time near its header."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(0, min(len(changed), 100) if rng.random() < 0.5 else len(changed)))
        n = int(rng.integers(1, 200))
        match rng.integers(6):
            case 0:
                changed[at] ^= 1 << int(rng.integers(8))
            case 1:
                changed[at : at + 4] = rng.bytes(4)
            case 2:
                changed[at : at + 4] = [b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff"][rng.integers(3)]
            case 3:
                del changed[max(at, 20) :]
            case 4:
                changed[at:at] = rng.bytes(n)
            case _:
                del changed[at : at + n]
        if not changed:
            break
    return bytes(changed)


@pytest.mark.parametrize(("container", "coding"), KINDS)
def test_mutated_files_are_refused_or_finite_sound(tmp_path: Path, container: str, coding: str) -> None:
    rng = np.random.default_rng(2024)
    path = tmp_path / "m.bin"
    soundfile.write(path, rng.uniform(-0.3, 0.3, (N_SAMPLES, 2)), 16_000, format=container, subtype=coding)
    original = path.read_bytes()
    outcomes: collections.Counter[str] = collections.Counter()
    for _ in range(60):
        path.write_bytes(mutate(original, rng))
        outcomes[read_or_refuse(path)] += 1
    print(container, coding, dict(outcomes))
    assert outcomes["refused"] + outcomes["read"] == 60
    assert outcomes["refused"] >= 20


def read_or_refuse(path: Path) -> str:
    """Read a damaged file and check what comes out."""
    try:
        read = read_sound(path, sample_rate=8000)
    except AudioError as error:
        message = str(error)
    else:
        assert np.isfinite(read.samples).all()
        assert np.abs(read.samples).max() < 16
        n_source = len(read.samples) * read.source_rate / 8000
        assert 0 < n_source <= 8 * N_SAMPLES  # stereo 16 bit taken for mono ADPCM of 4 bit is eight times as long
        return "read"
    assert message.startswith("m.bin: ")
    assert message.isprintable()
    return "refused"
