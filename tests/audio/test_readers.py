"""Recordings read in processes of their own: the same sound, and whatever happens there is a rejection by name."""

import functools
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from pipeline.audio.decoder import Limits
from pipeline.audio.readers import Readers
from pipeline.audio.reading import read_sound
from pipeline.collect import collect_clips
from pipeline.corpora import list_corpus
from pipeline.errors import AudioError, PipelineError
from pipeline.store.paths import rejected_csv
from pipeline.store.tables import Rejected, read_rows

RATE = 16_000
# A decoder that does what the file's first bytes say: files that make today's decoders do so are mended tomorrow.
FAULTY = """
import ctypes, os, signal, time
from pathlib import Path
from pipeline.audio import decoder
usual = decoder.read_into

def read_into(pieces, path, wanted, on_block, **kept):
    match path.read_bytes()[:8]:
        case b"segfault":
            ctypes.string_at(0)
        case b"abort...":
            os.abort()
        case b"loop....":
            while True:
                pass
        case b"asleep..":
            time.sleep(1000)
        case b"memory..":
            bytearray(1 << 40)
        case b"little..":
            held = [bytearray(1 << 20) for _ in range(1 << 20)]
        case b"once....":
            mark = Path(f"{path}.mark")
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            path = mark.with_name("good.wav")
        case b"always..":
            os.kill(os.getpid(), signal.SIGKILL)
        case b"garbage.":
            for number in range(3, 20):
                try:
                    os.write(number, b"no message of this kind" * 100)
                except OSError:
                    pass
            os._exit(0)
        case b"bug.....":
            raise KeyError("of ours")
        case b"progress":
            for _ in range(6):
                end = time.process_time() + 0.6
                while time.process_time() < end:
                    pass
                on_block(1000)
            path = path.with_name("good.wav")
    return usual(pieces, path, wanted, on_block=on_block, **kept)

decoder.read_into = read_into
decoder.serve()
"""
COMMAND = (sys.executable, "-c", FAULTY)
SMALL = Limits(memory_bytes=1 << 28, seconds=1.0, seconds_per_value=1e-3, stall_factor=4.0)


def save(path: Path, seconds: float = 0.5, *, channels: int = 2, rate: int = RATE, **options: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(3).uniform(-0.3, 0.3, (round(seconds * rate), channels))
    soundfile.write(path, samples, rate, **options)
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return save(tmp_path / "good.wav")


@pytest.mark.parametrize("options", [{}, {"start_seconds": 0.1, "end_seconds": 0.3}], ids=["whole", "event"])
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff"])
def test_sound_and_facts_are_those_of_reading_here(tmp_path: Path, suffix: str, options: dict[str, float]) -> None:
    path = save(tmp_path / f"é 😀.{suffix}")
    here = read_sound(path, sample_rate=11_025, **options)
    with Readers() as readers:
        apart = readers.read_sound(path, sample_rate=11_025, **options)
    np.testing.assert_array_equal(apart.samples, here.samples)
    assert apart.samples.dtype == np.float32
    for name in ("source_rate", "channels", "pcm_sha256", "notes"):
        assert getattr(apart, name) == getattr(here, name)


def test_what_is_too_long_for_memory_comes_whole(tmp_path: Path) -> None:
    path = save(tmp_path / "long.wav", 60, channels=1, rate=48_000)
    with Readers() as readers:
        apart = readers.read_sound(path, sample_rate=48_000, folder=tmp_path)
    np.testing.assert_array_equal(apart.samples, read_sound(path, sample_rate=48_000).samples)


def test_notes_and_refusals_are_those_of_reading_here(tmp_path: Path, good: Path) -> None:
    data = good.read_bytes()
    (tmp_path / "streamed.wav").write_bytes(data[:40] + b"\xff" * 4 + data[44:])
    (tmp_path / "cut.wav").write_bytes(data[:9000])
    os.mkfifo(tmp_path / "pipe.wav")
    with Readers() as readers:
        told = readers.read_sound(tmp_path / "streamed.wav", sample_rate=8000)
        assert told.notes == ("length in header unknown (streamed)",)
        names = ["cut.wav", "pipe.wav", "gone.wav", os.fsdecode(b"\xff.wav"), "two\nlines.wav", "nul\0.wav"]
        for path in [tmp_path / name for name in names]:
            with pytest.raises(AudioError) as here:
                read_sound(path, sample_rate=8000)
            with pytest.raises(AudioError) as apart:
                readers.read_sound(path, sample_rate=8000)
            assert str(apart.value) == str(here.value)
            assert str(apart.value).isprintable()


def test_headers(tmp_path: Path, good: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    with Readers() as readers:
        header = readers.read_header(good)
        assert (header.n_frames, header.sample_rate, header.channels) == (8000, RATE, 2)
        assert readers.read_header(tmp_path / "text.wav").sample_rate == 0
        with pytest.raises(AudioError, match=r"gone\.wav: the file is missing"):
            readers.read_header(tmp_path / "gone.wav")


FAULTS = {
    "segfault": r"decoding it crashes the decoder \(SIGSEGV\)",
    "abort...": r"decoding it crashes the decoder \(SIGABRT\)",
    "loop....": r"decoding it takes too much computing time for its size",
    "asleep..": r"nothing came of decoding it for 4\.0000\d s",
    "memory..": r"it asks for more memory than decoding may take",
    "little..": r"it asks for more memory than decoding may take",
    "garbage.": r"decoding it crashes the decoder",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_breaks_the_decoder_is_refused_by_name_and_the_next_is_read(good: Path, fault: str) -> None:
    bad = good.with_name("bad.wav")
    bad.write_text(fault)
    begin = time.monotonic()
    with Readers(SMALL, COMMAND) as readers:
        with pytest.raises(AudioError, match=rf"^bad\.wav: {FAULTS[fault]}") as refusal:
            readers.read_sound(bad, sample_rate=8000)
        assert len(readers.read_sound(good, sample_rate=8000).pieces) == 4000
    assert str(refusal.value).isprintable()
    assert time.monotonic() - begin < 30


def test_computing_goes_on_as_long_as_sound_comes_out(good: Path) -> None:
    slow = good.with_name("slow.wav")
    slow.write_text("progress")  # 3.6 s of computing where 1 s is allowed, and 1 s more for each 1000 values
    with Readers(SMALL, COMMAND) as readers:
        assert len(readers.read_sound(slow, sample_rate=8000).pieces) == 4000


def test_who_is_killed_from_outside_is_begun_again_once(good: Path) -> None:
    once, always = good.with_name("once.wav"), good.with_name("always.wav")
    once.write_text("once....")
    always.write_text("always..")
    with Readers(SMALL, COMMAND) as readers:
        assert len(readers.read_sound(once, sample_rate=8000).pieces) == 4000
        with pytest.raises(PipelineError, match=r"^always\.wav: .* killed from outside, twice") as error:
            readers.read_sound(always, sample_rate=8000)
    assert not isinstance(error.value, AudioError), "the file is not at fault: the run must not go on without it"


def test_an_error_of_our_own_is_not_laid_on_the_file(good: Path) -> None:
    good.with_name("bad.wav").write_text("bug.....")
    with Readers(SMALL, COMMAND) as readers, pytest.raises(RuntimeError, match=r"bad\.wav: KeyError: 'of ours'"):
        readers.read_sound(good.with_name("bad.wav"), sample_rate=8000)


def test_a_process_that_does_not_begin_is_an_error(good: Path) -> None:
    with Readers(command=(sys.executable, "-c", "raise SystemExit(5)")) as readers:  # noqa: SIM117
        with pytest.raises(PipelineError, match="ends with status 5 before it begins"):
            readers.read_sound(good, sample_rate=8000)


@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_corpus_with_files_that_break_the_decoder_is_collected(tmp_path, monkeypatch, n_workers) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.collect.Readers", functools.partial(Readers, SMALL, COMMAND))
    folder = tmp_path / "raw"
    good = [save(folder / f"joy/{n}good.wav").name for n in range(3)]
    bad = [f"{n}{fault[:4]}.wav" for n, fault in enumerate(FAULTS)]
    for name, fault in zip(bad, FAULTS, strict=True):
        (folder / "joy" / name).write_text(fault)
    listing = list_corpus("made", folder)
    clips, _ = collect_clips("made", folder, listing, sample_rate=8000, max_seconds=60.0, n_workers=n_workers)
    assert [clip.path for clip in clips] == [f"joy/{name}" for name in good]
    assert sorted(row.path for row in read_rows(rejected_csv("made"), Rejected)) == [f"joy/{name}" for name in bad]


def test_many_threads_share_the_processes_and_none_is_left(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{n}.wav", 0.1 + n / 100) for n in range(12)]
    before = set(psutil.Process().children(recursive=True))
    with Readers() as readers, ThreadPoolExecutor(3) as pool:
        sounds = list(pool.map(lambda path: readers.read_sound(path, sample_rate=RATE), paths))
        assert 1 <= len(set(psutil.Process().children(recursive=True)) - before) <= 3
    assert [len(sound.pieces) for sound in sounds] == [1600 + 160 * n for n in range(12)]
    assert set(psutil.Process().children(recursive=True)) == before


def test_what_decoders_print_stays_out_of_the_way(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = save(tmp_path / "good.mp3").read_bytes()
    (tmp_path / "bad.mp3").write_bytes(data[:400] + bytes(reversed(data[400:800])) + data[800:])
    with Readers() as readers, pytest.raises(AudioError):
        readers.read_sound(tmp_path / "bad.mp3", sample_rate=8000)
    assert capfd.readouterr() == ("", "")


def test_a_process_does_not_outlive_the_one_that_began_it(good: Path) -> None:
    program = f"""
import sys, time
from pathlib import Path
from pipeline.audio.readers import Readers
readers = Readers()
readers.read_sound(Path({str(good)!r}), sample_rate=8000)
print(readers._idle[0]._process.pid, flush=True)
time.sleep(60)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
