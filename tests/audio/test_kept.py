"""Events of one recording are cut from what was decoded once: the same sound, notes and refusals as one by one."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipeline.audio.kept import Kept
from pipeline.audio.reading import CANCELLED, Wanted, read_into
from pipeline.audio.spool import Spool
from pipeline.errors import AudioError, StoreError

RATE = 8000
PIECE_SAMPLES = 1 << 14
N_SAMPLES = 3 * PIECE_SAMPLES + 1001  # 6.3 s
EVENTS = [(6.0, None), (0.5, 2.25), (2.0, 4.5), (0.5, 1.0), (None, 0.25), (2.03, 2.08), (4.2, N_SAMPLES / RATE)]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.audio.spool.PIECE_SAMPLES", PIECE_SAMPLES)
    monkeypatch.setattr("pipeline.audio.reading.BLOCK_FRAMES", PIECE_SAMPLES)


@pytest.fixture
def long(tmp_path: Path) -> Path:
    sound = np.random.default_rng(0).normal(0, 0.1, (N_SAMPLES, 1)) * [1, -0.99]  # its channels cancel each other
    soundfile.write(tmp_path / "long.flac", sound, RATE)
    return tmp_path / "long.flac"


class Reader:
    """Reads events one after the other, and counts the values that are decoded."""

    def __init__(self, *, keeps: bool = True) -> None:
        self.kept, self.n_decoded = Kept() if keeps else None, 0

    def read(self, path: Path, start: float | None, end: float | None, sample_rate: int = 12_000) -> tuple:
        def count(n_values: int) -> None:
            self.n_decoded += n_values

        pieces = Spool()
        wanted = Wanted(sample_rate=sample_rate, start_seconds=start, end_seconds=end)
        told = read_into(pieces, path, wanted, on_block=count, kept=self.kept, folder=path.parent)
        return told, b"".join(piece.tobytes() for piece in pieces)


@pytest.mark.parametrize("most_bytes", [1 << 16, 1 << 30])
def test_events_are_the_same_as_one_by_one_and_the_recording_is_decoded_twice(long, most_bytes, monkeypatch) -> None:
    monkeypatch.setattr("pipeline.audio.spool.MOST_BYTES", most_bytes)
    together, alone = Reader(), Reader(keeps=False)
    for start, end in EVENTS:
        for sample_rate in (RATE, 12_000):
            told, sound = together.read(long, start, end, sample_rate)
            assert (told, sound) == alone.read(long, start, end, sample_rate)
            assert told.notes == (CANCELLED,)
    assert together.n_decoded == 2 * 2 * N_SAMPLES
    assert alone.n_decoded == 2 * len(EVENTS) * 2 * N_SAMPLES


@pytest.mark.parametrize("most_bytes", [1 << 16, 1 << 30])
def test_events_that_are_not_there_are_refused_as_one_by_one(long: Path, most_bytes: int, monkeypatch) -> None:
    monkeypatch.setattr("pipeline.audio.spool.MOST_BYTES", most_bytes)
    reader = Reader()
    for _ in range(4):
        for start, end in ((6.0, 200.0), (100.0, 101.0), (100.0, None), (1e6, None)):
            with pytest.raises(AudioError, match=r"long\.flac: event from .*, but the file lasts 6\.2"):
                reader.read(long, start, end)
    assert reader.n_decoded == 2 * 2 * N_SAMPLES


def test_a_damaged_recording_is_not_decoded_for_each_of_its_events(long: Path) -> None:
    data = bytearray(long.read_bytes())
    data[26] ^= 1  # its MD5
    long.write_bytes(data)
    reader = Reader()
    for _ in range(5):
        with pytest.raises(AudioError, match=r"long\.flac: damaged FLAC"):
            reader.read(long, 0.5, 1.0)
    assert reader.n_decoded == 2 * 2 * N_SAMPLES


def test_whole_recordings_and_single_events_are_not_kept(long: Path) -> None:
    reader = Reader()
    for times in ((None, None), (0.5, 1.0), (None, None)):
        reader.read(long, *times)
    assert reader.n_decoded == 3 * 2 * N_SAMPLES
    assert reader.kept.found is None


def test_a_recording_that_has_changed_is_decoded_again(long: Path) -> None:
    reader = Reader()
    for _ in range(3):
        reader.read(long, 0.5, 1.0)
    soundfile.write(long, np.full(RATE, 0.25), RATE)
    _, sound = reader.read(long, 0.5, 1.0, RATE)
    np.testing.assert_array_equal(np.frombuffer(sound, np.float32), np.full(RATE // 2, 0.25, np.float32))


def test_where_there_is_no_room_each_event_is_decoded(long: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(Spool):
        def append(self, _: np.ndarray) -> None:
            raise StoreError("no room")

    monkeypatch.setattr("pipeline.audio.kept.Spool", Full)
    reader = Reader()
    expected = reader.read(long, 0.5, 1.0)
    assert [reader.read(long, 0.5, 1.0) for _ in range(3)] == [expected] * 3
    assert reader.kept.found is None
