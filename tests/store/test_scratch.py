"""Rows come back from disk as they went in, whole buckets at a time, and nothing stays behind."""

import errno
import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import StoreError
from pipeline.store import scratch
from pipeline.store.scratch import Buckets, ScratchRows

ROWS = np.random.default_rng(0).standard_normal((1000, 3)).astype(np.float32)


def test_rows_come_back_by_their_place_and_the_file_has_no_name(tmp_path):
    with ScratchRows(tmp_path / "new", np.float32, (3,)) as rows:
        assert rows.shape == (0, 3)
        assert rows[0:5].shape == (0, 3)
        for first in range(0, 1000, 70):
            rows.append(ROWS[first : first + 70])
        assert rows.shape == (1000, 3)
        for span in (slice(0, 1000), slice(13, 14), slice(990, 2000), slice(5, 5), slice(2000, 3000)):
            np.testing.assert_array_equal(rows[span], ROWS[span])
        rows.write(5, ROWS[::-2][:10])  # not contiguous
        np.testing.assert_array_equal(rows[4:16], np.concatenate([ROWS[4:5], ROWS[::-2][:10], ROWS[15:16]]))
        assert len(rows) == 1000
        assert list((tmp_path / "new").iterdir()) == []


def test_the_disk_is_given_back_after_an_error(tmp_path):
    before = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(ZeroDivisionError), ScratchRows(tmp_path, np.float64) as rows:
        rows.append(np.zeros(10))
        raise ZeroDivisionError
    assert set(Path("/proc/self/fd").iterdir()) == before
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line_that_says_where(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with ScratchRows(tmp_path, np.float64) as rows:
        monkeypatch.setattr(scratch.os, "pwrite", fail)
        with pytest.raises(StoreError, match=rf"^{tmp_path}: .* cannot be written \(No space left on device\)"):
            rows.append(np.zeros(10))


def test_a_file_that_was_cut_off_is_an_error(tmp_path):
    with ScratchRows(tmp_path, np.float64) as rows:
        rows.append(np.zeros(10))
        os.ftruncate(rows._file.fileno(), 72)
        with pytest.raises(StoreError, match="cannot be read"):
            rows[0:10]


def test_a_folder_that_cannot_be_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be written"):
        ScratchRows(tmp_path / "file/folder", np.float64)


PAIR = np.dtype([("bucket", "<i4"), ("number", "<i4")])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), max_size=40), max_size=6), st.integers(1, 30), st.integers(1, 20))
def test_parts_are_whole_buckets_in_order_and_no_larger_than_need_be(pieces, most_rows, rows_at_once):
    n_before = 0
    with (
        pytest.MonkeyPatch.context() as patch,
        Buckets(None, PAIR, n_buckets=10, bucket_of=lambda rows: rows["bucket"]) as buckets,
    ):
        patch.setattr(scratch, "ROWS_AT_ONCE", rows_at_once)
        for piece in pieces:
            rows = np.zeros(len(piece), PAIR)
            rows["bucket"], rows["number"] = piece, np.arange(n_before, n_before + len(piece))
            n_before += len(piece)
            buckets.add(rows)
        parts = list(buckets.parts(most_rows))
        assert [part.tobytes() for part in buckets.parts(most_rows)] == [part.tobytes() for part in parts]
    numbered = sorted((bucket, number) for number, bucket in enumerate(one for piece in pieces for one in piece))
    assert [row for part in parts for row in sorted(part.tolist())] == numbered
    assert all((np.diff(part["number"]) > 0).all() for part in parts)  # as they came
    inside = [set(part["bucket"].tolist()) for part in parts]
    assert sum(map(len, inside)) == len(set().union(*inside)) if inside else True
    assert all(len(part) <= most_rows or len(own) == 1 for part, own in zip(parts, inside, strict=True))
    # two parts that would fit into one are not apart
    assert all(len(a) + len(b) > most_rows for a, b in itertools.pairwise(parts))
