"""One folder with everything bad in it: each file is used or rejected by name, with a reason that says what to do."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipeline.collect import collect_clips
from pipeline.corpora import list_corpus
from pipeline.store.arrays import open_arrays
from pipeline.store.paths import clips_csv, clips_h5, noted_csv, rejected_csv
from pipeline.store.tables import Clip, Noted, Rejected, read_rows

RATE = 16_000
N_SAMPLES = 8000
USED = ""  # the reason of what is used
_seeds = iter(range(10_000))


def sound(n_samples: int = N_SAMPLES, channels: int = 1) -> np.ndarray:
    """Noise of its own: the same sound twice would be another row of the table."""
    return np.random.default_rng(next(_seeds)).uniform(-0.3, 0.3, (n_samples, channels))


def encoded(container: str, coding: str | None = None, *, samples: np.ndarray | None = None, rate: int = RATE) -> bytes:
    path = Path("encoded.bin")
    soundfile.write(path, sound() if samples is None else samples, rate, format=container, subtype=coding)
    data = path.read_bytes()
    path.unlink()
    return data


def with_length(data: bytes, length: int) -> bytes:
    """A plain WAV whose data chunk claims another length."""
    return data[:40] + struct.pack("<I", length) + data[44:]


def with_total(data: bytes, total: int) -> bytes:
    """A FLAC whose STREAMINFO claims another number of samples."""
    packed = int.from_bytes(data[18:26], "big") >> 36 << 36 | total
    return data[:18] + packed.to_bytes(8, "big") + data[26:]


def spoilt(value: float) -> np.ndarray:
    samples = sound()
    samples[100] = value
    return samples


def link(path: Path, target: str) -> None:
    path.symlink_to(target)


# Row -> what is written there, and the reason for which it is rejected.
FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "truncated.wav": (lambda: encoded("WAV")[:-3000], "truncated WAV: the header claims 16000 bytes of sound"),
    "no_length.wav": (lambda: with_length(encoded("WAV"), 0), "wrong length in the header|data length 0"),
    "half_length.wav": (lambda: with_length(encoded("WAV"), N_SAMPLES), "wrong length in the header"),
    "streamed.wav": (lambda: with_length(encoded("WAV"), 0xFFFFFFFF), USED),
    "header_only.wav": (lambda: encoded("WAV")[:44], "truncated WAV"),
    "empty.wav": (lambda: b"", "an empty file"),
    "zeros.wav": (lambda: bytes(5000), "nothing but zero bytes"),
    "text.wav": (lambda: b"this is no sound\n" * 9, "a text file"),
    "page.wav": (lambda: b"<!DOCTYPE html><html>404</html>", "an HTML page"),
    "reply.wav": (lambda: b'{"error": "not found"}', "a JSON document"),
    "pointer.wav": (lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
    "random.wav": (lambda: b"\x01\x02" + np.random.default_rng(1).bytes(5000), "bytes of no known sound format"),
    "archive.wav": (lambda: b"PK\3\4" + bytes(500), "a zip archive"),
    "truncated.ogg": (lambda: encoded("OGG")[:-900], "truncated Ogg"),
    "truncated.mp3": (lambda: encoded("MP3")[:-300], "truncated MP3"),
    "truncated.flac": (lambda: encoded("FLAC")[:-3000], "it does not decode|truncated or damaged FLAC"),
    "truncated.aiff": (lambda: encoded("AIFF")[:-3000], "truncated AIFF"),
    "unknown_total.flac": (lambda: with_total(encoded("FLAC"), 0), USED),
    "huge_total.flac": (lambda: with_total(encoded("FLAC"), 2**36 - 1), "tells 68719476735 samples"),
    "nan.wav": (lambda: encoded("WAV", "FLOAT", samples=spoilt(np.nan)), "NaN or infinite samples"),
    "inf.wav": (lambda: encoded("WAV", "FLOAT", samples=spoilt(-np.inf)), "NaN or infinite samples"),
    "peak.wav": (lambda: encoded("WAV", "FLOAT", samples=spoilt(9.0)), "its peak is 9, needed at most 8"),
    "slow.wav": (lambda: encoded("WAV", rate=3000), "sample rate 3000 Hz, needed 4000 to 384000"),
    "fast.wav": (lambda: encoded("WAV", rate=400_000), "sample rate 400000 Hz"),
    "nine.wav": (lambda: encoded("WAV", samples=sound(channels=9)), "9 channels, needed 1 to 8"),
    "long.wav": (lambda: encoded("WAV", samples=sound(3 * RATE)), "longer than 2 s"),
    "u8.wav": (lambda: encoded("WAV", "PCM_U8"), USED),
    "s24.wav": (lambda: encoded("WAV", "PCM_24"), USED),
    "s32.wav": (lambda: encoded("WAV", "PCM_32"), USED),
    "double.wav": (lambda: encoded("WAV", "DOUBLE"), USED),
    "mulaw.wav": (lambda: encoded("WAV", "ULAW"), USED),
    "eight.wav": (lambda: encoded("WAV", samples=sound(channels=8)), USED),
    "8k.wav": (lambda: encoded("WAV", rate=8000), USED),
    "192k.wav": (lambda: encoded("WAV", samples=sound(96_000), rate=192_000), USED),
    "flac_named.wav": (lambda: encoded("FLAC"), USED),
    "wav_named.mp3": (lambda: encoded("WAV"), USED),
    "silent.wav": (lambda: encoded("WAV", samples=np.zeros(N_SAMPLES)), USED),
    "one_sample.wav": (lambda: encoded("WAV", samples=sound(2)), USED),
    " spaces in it .wav": (lambda: encoded("WAV"), USED),
    "😀 é 怒り.wav": (lambda: encoded("WAV"), USED),
    "two\nlines.wav": (lambda: encoded("WAV"), USED),
    "-leading.wav": (lambda: encoded("WAV"), USED),
    "é" * 125 + ".wav": (lambda: encoded("WAV"), USED),
    os.fsdecode(b"caf\xe9.wav"): (lambda: encoded("WAV"), "its name is not valid UTF-8"),
}
SPECIAL: dict[str, tuple[Callable[[Path], None], str]] = {
    "pipe.wav": (os.mkfifo, "a named pipe, not a regular file"),
    "dangling.wav": (lambda path: link(path, "nowhere.wav"), "a dangling link: its target nowhere.wav"),
    "loop.wav": (lambda path: link(path, "loop.wav"), "a looping link"),
    "device.wav": (lambda path: link(path, "/dev/zero"), "a device, not a regular file"),
    "linked.wav": (lambda path: link(path, "../elsewhere.bin"), USED),
}


def fill(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder.parent / "elsewhere.bin").write_bytes(encoded("WAV"))
    for name, (make, _) in FILES.items():
        (folder / name).write_bytes(make())
    for name, (put, _) in SPECIAL.items():
        put(folder / name)


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """Names of what is used, and reasons of what is not."""
    root = tmp_path_factory.mktemp("bad")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        fill(root / "raw/joy")
        listing = list_corpus("made", root / "raw")
        collect_clips("made", root / "raw", listing, sample_rate=8000, max_seconds=2.0, n_workers=2)
        clips = read_rows(clips_csv("made"), Clip)
        rejected = read_rows(rejected_csv("made"), Rejected)
        noted = read_rows(noted_csv("made"), Noted)
        with open_arrays(clips_h5("made")) as file:
            samples = {clip.path: file["audio"][clip.offset : clip.offset + clip.n_samples] for clip in clips}
    inputs = sorted(str(path.relative_to(root / "raw")) for path in (root / "raw").rglob("*") if not path.is_dir())
    return clips, rejected, noted, samples, inputs


EXPECTED = {name: reason for table in (FILES, SPECIAL) for name, (_, reason) in table.items()}


def test_inputs_are_what_is_used_and_what_is_rejected(collected):
    clips, rejected, _, _, inputs = collected
    assert sorted([clip.path for clip in clips] + [row.path for row in rejected]) == inputs
    assert len(inputs) == len(EXPECTED) + 1


@pytest.mark.parametrize("name", EXPECTED)
def test_each_is_used_or_rejected_with_its_reason(collected, name):
    clips, rejected, _, samples, _ = collected
    path, reason = f"joy/{name}", EXPECTED[name]
    if reason == USED:
        assert path in {clip.path for clip in clips}
        assert np.isfinite(samples[path]).all()
        return
    (row,) = [row for row in rejected if row.path == path]
    assert any(part in row.reason for part in reason.split("|"))
    assert row.reason.isprintable()
    assert row.reason.count(": ") >= 1, "the file, what was found"
    assert row.label == "joy"


def test_what_is_used_is_as_long_as_it_is(collected):
    clips, _, _, _, _ = collected
    lengths = {clip.path: clip.n_samples for clip in clips}
    assert lengths["joy/streamed.wav"] == lengths["joy/unknown_total.flac"] == lengths["joy/u8.wav"] == N_SAMPLES // 2
    assert lengths["joy/192k.wav"] == 4000
    assert lengths["joy/one_sample.wav"] == 1
    assert lengths["joy/8k.wav"] == N_SAMPLES


def test_what_was_tolerated_is_noted(collected):
    _, _, noted, _, _ = collected
    without_sound = {row.path for row in noted if row.note == "no sound: every sample is the same"}
    assert without_sound == {"joy/silent.wav"}
    assert {row.path for row in noted} - without_sound == {"joy/streamed.wav", "joy/unknown_total.flac"}
