"""Runs and pieces are nothing but a clip's samples, however they are cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import block, clip

from pipeline.errors import StoreError
from pipeline.store import sound
from pipeline.store.sound import clip_pieces, read_run, runs_of_blocks

BEFORE, N = 13, 997  # samples of other clips before and after it, and its own
AUDIO = np.arange(BEFORE + N + BEFORE, dtype=np.float32)
CLIP = clip("made/a.wav", N, offset=BEFORE)
OWN = AUDIO[BEFORE : BEFORE + N]


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    monkeypatch.setattr(sound, "PIECE_SAMPLES", 100)
    monkeypatch.setattr(sound, "RUN_SAMPLES", 120)
    monkeypatch.setattr(sound, "RUN_BLOCKS", 5)


@pytest.mark.parametrize("n", [1, 99, 100, 101, 200, N])
def test_pieces_are_the_clip_in_order(n):
    pieces = list(clip_pieces(AUDIO, clip("made/a.wav", n, offset=BEFORE)))
    assert max(map(len, pieces)) <= 100
    assert min(map(len, pieces)) > 0
    np.testing.assert_array_equal(np.concatenate(pieces), OWN[:n])


@st.composite
def layouts(draw):
    length = draw(st.integers(1, 300))
    starts = draw(st.lists(st.integers(0, N - length), min_size=1, max_size=40, unique=True))
    return [block(start=start, n_samples=length) for start in sorted(starts)]


@given(layouts())
def test_runs_hold_every_block_once_in_order_and_are_small(blocks):
    runs = list(runs_of_blocks(blocks))
    assert [one for run in runs for one in run] == blocks
    for run in runs:
        assert 1 <= len(run) <= 5
        assert len(run) == 1 or run[-1].start + run[-1].n_samples - run[0].start <= 120


@given(layouts())
def test_blocks_read_in_runs_are_the_plain_slices(blocks):
    read = [samples for run in runs_of_blocks(blocks) for samples in read_run(AUDIO, CLIP, run)]
    assert len(read) == len(blocks)
    for samples, one in zip(read, blocks, strict=True):
        np.testing.assert_array_equal(samples, OWN[one.start : one.start + one.n_samples])


def test_blocks_that_overlap_much_are_read_few_at_a_time():
    assert [len(run) for run in runs_of_blocks([block(start=i, n_samples=50) for i in range(12)])] == [5, 5, 2]


def test_no_blocks_make_no_runs():
    assert list(runs_of_blocks([])) == []


def test_a_short_clip_is_repeated_from_its_start():
    short = clip("made/a.wav", 3, offset=BEFORE)
    (samples,) = read_run(AUDIO, short, [block(n_samples=8, fill="repeat")])
    assert samples.tolist() == [13, 14, 15, 13, 14, 15, 13, 14]


def test_a_short_clip_is_followed_by_zeros_not_by_the_next_clip():
    short = clip("made/a.wav", 3, offset=BEFORE)
    (samples,) = read_run(AUDIO, short, [block(n_samples=5, fill="pad")])
    assert samples.tolist() == [13, 14, 15, 0, 0]


def test_a_table_of_more_sound_than_there_is_is_refused(tmp_path, monkeypatch):
    from made import store_clips

    from pipeline.store.arrays import open_arrays
    from pipeline.store.paths import clips_h5

    monkeypatch.chdir(tmp_path)
    (own,) = store_clips("made", {"a.wav": OWN})
    longer = clip("made/a.wav", N + 1, offset=own.offset)
    with pytest.raises(StoreError, match=r"clips\.h5: has 997 rows"), open_arrays(clips_h5("made")) as file:
        list(clip_pieces(file["audio"], longer))
