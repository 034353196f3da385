"""Thousands of damaged sound files: each is refused by name, or is finite sound as long as its header tells.

Nothing third: no other error, no crash, no file that never ends, no memory beyond the bound. `make fuzz` tries many and
prints how each ended; the suite tries some.
"""

import os
import re
import resource
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from audio.mutations import KINDS, N_SAMPLES, RATE, TAGGED, VIDEOS, Mutant, made, mutants, told_frames

from pipeline.audio.decoder import Limits
from pipeline.audio.readers import Readers
from pipeline.audio.reading import MAX_PEAK, Sound
from pipeline.collect import collect_clips
from pipeline.corpora import list_corpus
from pipeline.errors import AudioError
from pipeline.store.paths import clips_csv, rejected_csv
from pipeline.store.tables import Clip, Rejected, read_rows

LIMITS = Limits(memory_bytes=2**28, seconds=5.0)
ASKED = 8000  # Hz
CONTAINED = re.compile("crashes the decoder|too much computing time|nothing came of decoding|more memory than")


@dataclass
class Tally:
    """How the mutants ended."""

    ended: Counter[str]
    reasons: Counter[str]
    contained: list[str]
    longest: float = 0.0

    def report(self, title: str) -> str:
        lines = [f"{title}: {sum(self.ended.values())} files; the slowest took {self.longest:.2f} s"]
        lines += [f"  {n:6d}  {what}" for what, n in self.ended.most_common()]
        lines += ["  refused because:", *(f"  {n:6d}    {what}" for what, n in self.reasons.most_common())]
        return "\n".join(lines + [f"  contained: {what}" for what in self.contained])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return made(tmp_path_factory.mktemp("whole"))


def resampled(n_frames: int, rate: int) -> int:
    return (2 * n_frames * ASKED + rate) // (2 * rate)


def judge(sound: Sound, mutant: Mutant, originals: dict[str, str]) -> str:
    """Check what was accepted, and say what it is."""
    assert np.isfinite(sound.samples).all()
    assert np.abs(sound.samples).max() <= 2 * MAX_PEAK  # resampling may overshoot
    if sound.pcm_sha256 == originals[mutant.kind]:
        return "accepted: the sound is untouched"
    told = told_frames(mutant.data, sound.source_rate)
    if told is None:
        # stereo of 16 bits taken for mono ADPCM of 4 is eight times as long
        assert 0 < len(sound.pieces) <= resampled(8 * 2 * N_SAMPLES, sound.source_rate)
        return "accepted: no length in the header"
    assert len(sound.pieces) == resampled(told, sound.source_rate), (mutant.kind, mutant.how, told)
    as_long = "as long as it was" if told == N_SAMPLES else "another length"
    return f"accepted: changed, {as_long}, as its header tells"


def fuzz(readers: Readers, folder: Path, files: dict[str, bytes], some: list[Mutant]) -> Tally:
    """Read every mutant; any error but a refusal, and any sound that is not as it should be, fails."""
    folder.mkdir(exist_ok=True)
    tally, originals = Tally(Counter(), Counter(), []), {}
    for kind, data in files.items():
        (folder / "whole.bin").write_bytes(data)
        whole = readers.read_sound(folder / "whole.bin", sample_rate=ASKED)
        # ADPCM and AAC come in whole blocks
        longer = {"wav ADPCM": 3051, "video mp4": 3072}
        assert len(whole.pieces) in {resampled(N_SAMPLES, RATE), longer.get(kind)}, kind
        assert told_frames(data, RATE) in {N_SAMPLES, None}
        originals[kind] = whole.pcm_sha256

    def read(number: int) -> tuple[Sound | AudioError, float]:
        path = folder / f"{number}.bin"
        path.write_bytes(some[number].data)
        begin = time.monotonic()
        try:
            result: Sound | AudioError = readers.read_sound(path, sample_rate=ASKED)
        except AudioError as error:
            result = error
        path.unlink()
        return result, time.monotonic() - begin

    with ThreadPoolExecutor(2) as pool:
        for number, (result, seconds) in enumerate(pool.map(read, range(len(some)))):
            tally.longest = max(tally.longest, seconds)
            if isinstance(result, Sound):
                tally.ended[judge(result, some[number], originals)] += 1
                continue
            message = str(result)
            assert message.startswith(f"{number}.bin: ")
            assert message.isprintable()
            tally.ended["refused by name"] += 1
            tally.reasons[re.sub(r"[-\d.e+]*\d", "N", message.partition(": ")[2])[:100]] += 1
            if CONTAINED.search(message):
                tally.contained.append(f"{some[number].kind}, {some[number].how}, no. {number}: {message}")
    return tally


def test_the_seal_is_the_checksum_of_whole_files(files: dict[str, bytes]) -> None:
    from audio.mutations import sealed

    for kind in ("ogg vorbis", "ogg opus"):
        assert sealed(files[kind]) == files[kind]


def test_damaged_files_are_refused_by_name_or_read_as_told(tmp_path: Path, files: dict[str, bytes]) -> None:
    some = [mutant for kind in files for mutant in mutants(files, kind, 27, seed=1)]
    with Readers(LIMITS) as readers:
        tally = fuzz(readers, tmp_path, files, some)
    print(tally.report("quick"))
    assert sum(tally.ended.values()) == len(some) == 27 * len(files)
    assert tally.ended["refused by name"] > len(some) / 3
    assert tally.contained == []


@pytest.mark.fuzz
@pytest.mark.timeout(3 * 3600)
@pytest.mark.parametrize("kind", [*KINDS, *TAGGED, *VIDEOS])
def test_many(tmp_path: Path, files: dict[str, bytes], kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    if kind not in files:
        pytest.skip("PyAV, the extra `video`, is not installed")
    n, seed = int(os.environ.get("FUZZ", "1000")), int(os.environ.get("FUZZ_SEED", "0"))
    with Readers(LIMITS) as readers:
        tally = fuzz(readers, tmp_path, files, mutants(files, kind, n, seed=seed))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    with capsys.disabled():
        print(f"\n{tally.report(kind)}\n  peak memory of a decoding process so far: {peak:.0f} MiB")
    assert sum(tally.ended.values()) == n


def test_a_folder_of_damaged_files_is_used_and_rejected_to_the_last(tmp_path, files, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "raw/joy"
    folder.mkdir(parents=True)
    some = [mutant for kind in files for mutant in mutants(files, kind, 8, seed=2)]
    for number, mutant in enumerate(some):
        (folder / f"{number}.wav").write_bytes(mutant.data)
    (folder / "whole.wav").write_bytes(files["flac"])
    listing = list_corpus("made", tmp_path / "raw")
    collect_clips("made", tmp_path / "raw", listing, sample_rate=ASKED, max_seconds=60.0, n_workers=2)
    used = [row.path for row in read_rows(clips_csv("made"), Clip)]
    rejected = read_rows(rejected_csv("made"), Rejected)
    inputs = sorted(f"joy/{path.name}" for path in folder.iterdir())
    assert sorted(used + [row.path for row in rejected]) == inputs
    assert "joy/whole.wav" in used
    assert len(rejected) > 30
    assert all(row.reason.isprintable() and len(row.reason) > 20 for row in rejected)
