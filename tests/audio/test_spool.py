"""Samples come back as they went in, in memory or on disk, and nothing stays behind."""

import numpy as np
import pytest

from pipeline.audio import spool
from pipeline.audio.spool import Spool
from pipeline.errors import StoreError

SOUND = np.random.default_rng(0).standard_normal(1000).astype(np.float32)


@pytest.fixture(params=[10**9, 800], ids=["in memory", "on disk"])
def _room(request, monkeypatch):
    monkeypatch.setattr(spool, "MOST_BYTES", request.param)
    monkeypatch.setattr(spool, "PIECE_SAMPLES", 300)


def filled(folder, *, n=1000):
    pieces = Spool(folder)
    for start in range(0, n, 70):
        pieces.append(SOUND[start : min(start + 70, n)])
    return pieces


@pytest.mark.usefixtures("_room")
@pytest.mark.parametrize("n", [0, 1, 199, 201, 1000])
def test_samples_come_back_as_often_as_wanted(tmp_path, n):
    pieces = filled(tmp_path, n=n)
    assert len(pieces) == n
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate([SOUND[:0], *pieces]), SOUND[:n])
    assert list(tmp_path.iterdir()) == []  # the file has no name


@pytest.mark.usefixtures("_room")
@pytest.mark.parametrize("n", [0, 150, 999, 1000, 1003])
def test_the_end_is_dropped_or_filled_up(tmp_path, n):
    pieces = filled(tmp_path)
    pieces.resize(n)
    assert len(pieces) == n
    expected = np.concatenate([SOUND, np.zeros(3, np.float32)])[:n]
    np.testing.assert_array_equal(np.concatenate([SOUND[:0], *pieces]), expected)


def test_no_room_is_an_error_of_its_own_not_of_the_recording(tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "MOST_BYTES", 800)
    with pytest.raises(StoreError, match="no room for a long recording"):
        filled(tmp_path / "missing")
