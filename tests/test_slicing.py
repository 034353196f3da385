"""Blocks of clips, and a count, with its reason, of all that no block holds."""

import numpy as np
import pytest
from made import RATE, noise, silence, store_clips

from pipeline.augment.variants import nine_variants
from pipeline.errors import CorpusError
from pipeline.slicing import NOT_DRAWN, SHORT, SILENT, TAIL, slice_corpus
from pipeline.store.paths import BLOCKS, blocks_csv, left_out_csv
from pipeline.store.tables import Block, LeftOut, read_rows


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def cut(sounds, *, rate=RATE, **choices):
    store_clips("made", sounds, rate=rate)
    usual = {"block_seconds": 2.0, "slide_seconds": 1.0, "short_clips": "repeat", "tail": "drop"}
    n_blocks, left_out = slice_corpus("made", sample_rate=rate, **{**usual, "silent_below_lu": None, **choices})
    blocks = read_rows(blocks_csv("made"), Block)
    assert n_blocks == len(blocks)
    return blocks, left_out


def starts(blocks, clip="a.wav"):
    return [block.start / RATE for block in blocks if block.clip_id == f"made/{clip}"]


def test_blocks_of_every_clip_in_the_order_of_the_clips():
    blocks, left_out = cut({"b.wav": noise(-20, 4), "a.wav": noise(-20, 3)})
    assert [(block.clip_id, block.start) for block in blocks] == [
        ("made/b.wav", 0),
        ("made/b.wav", 8000),
        ("made/b.wav", 16000),
        ("made/a.wav", 0),
        ("made/a.wav", 8000),
    ]
    assert {(block.n_samples, block.fill, block.variant) for block in blocks} == {(16000, "none", 0)}
    assert left_out == []


def test_names_of_blocks_are_unique_and_say_where_they_start():
    blocks, _ = cut({"a.wav": noise(-20, 5.3), "b.wav": noise(-20, 5.3), "c.wav": noise(-20, 1)}, slide_seconds=0.1)
    assert len({block.block_id for block in blocks}) == len(blocks) == 2 * 34 + 1
    assert all(block.block_id == f"{block.clip_id}@{block.start}" for block in blocks)


def test_the_tables_say_what_was_returned():
    blocks, left_out = cut({"a.wav": noise(-20, 4.5), "b.wav": noise(-20, 1)}, short_clips="reject")
    assert len(blocks) == 3
    assert read_rows(left_out_csv("made"), LeftOut) == left_out


def test_the_tail_is_counted_as_no_block_but_as_sound():
    blocks, left_out = cut({"a.wav": noise(-20, 4.5), "b.wav": noise(-20, 4)})
    assert starts(blocks) == [0, 1, 2]
    assert left_out == [LeftOut(clip_id="made/a.wav", label="joy", reason=TAIL, blocks=0, seconds=0.5)]


def test_an_aligned_tail_leaves_nothing_out():
    blocks, left_out = cut({"a.wav": noise(-20, 4.5)}, tail="align")
    assert starts(blocks) == [0, 1, 2, 2.5]
    assert left_out == []


@pytest.mark.parametrize("short_clips", ["repeat", "pad"])
def test_a_short_clip_that_is_filled_is_one_block(short_clips):
    blocks, left_out = cut({"a.wav": noise(-20, 0.75)}, short_clips=short_clips)
    assert [(block.start, block.n_samples, block.fill) for block in blocks] == [(0, 16000, short_clips)]
    assert left_out == []


def test_a_short_clip_that_is_rejected_counts_as_one_block():
    blocks, left_out = cut({"a.wav": noise(-20, 0.75), "b.wav": noise(-20, 2)}, short_clips="reject")
    assert [block.clip_id for block in blocks] == ["made/b.wav"]
    assert left_out == [LeftOut(clip_id="made/a.wav", label="joy", reason=SHORT, blocks=1, seconds=0.75)]


HALF_QUIET = np.concatenate([noise(-20, 6), noise(-80, 6, seed=1)])


def test_blocks_far_below_their_clip_are_left_out_and_counted():
    blocks, left_out = cut({"a.wav": HALF_QUIET}, silent_below_lu=40.0)
    # the block from 5 s is half loud, that from 6 s is the first wholly quiet one
    assert starts(blocks) == [0, 1, 2, 3, 4, 5]
    # blocks from 6 to 10 s are out; they overlap: no block holds 7 to 12 s, while 6 to 7 s is in the block from 5 s
    assert left_out == [LeftOut(clip_id="made/a.wav", label="joy", reason=SILENT, blocks=5, seconds=5.0)]


def test_how_far_below_is_relative_to_the_clip_not_absolute():
    loud, quiet = HALF_QUIET, HALF_QUIET * np.float32(0.1)
    blocks, _ = cut({"a.wav": loud, "b.wav": quiet}, silent_below_lu=40.0)
    assert starts(blocks, "a.wav") == starts(blocks, "b.wav")


def test_what_is_less_far_below_stays():
    assert len(cut({"a.wav": HALF_QUIET}, silent_below_lu=65.0)[0]) == 11


def test_with_no_limit_every_block_stays_silence_too():
    blocks, left_out = cut({"a.wav": np.concatenate([noise(-20, 4), silence(4)])})
    assert starts(blocks) == [0, 1, 2, 3, 4, 5, 6]
    assert left_out == []


@pytest.mark.parametrize("rate", [8000, 44100])  # measured after resampling, and as it is
def test_digital_silence_within_a_clip_is_left_out(rate):
    sound = np.concatenate([silence(3, rate=rate), noise(-20, 4, rate=rate), silence(5, rate=rate)])
    blocks, left_out = cut({"a.wav": sound}, rate=rate, silent_below_lu=100.0)
    assert [block.start / rate for block in blocks] == [2, 3, 4, 5, 6]
    assert [(row.reason, row.blocks, row.seconds) for row in left_out] == [(SILENT, 6, 6.0)]


def test_all_blocks_of_a_silent_clip_are_left_out():
    blocks, left_out = cut({"a.wav": silence(4), "b.wav": noise(-20, 4)}, silent_below_lu=40.0)
    assert starts(blocks, "a.wav") == []
    assert starts(blocks, "b.wav") == [0, 1, 2]
    assert left_out == [LeftOut(clip_id="made/a.wav", label="joy", reason=SILENT, blocks=3, seconds=4.0)]


def test_a_short_silent_clip_is_left_out_at_its_own_length():
    _, left_out = cut({"a.wav": silence(0.3), "b.wav": noise(-20, 4)}, silent_below_lu=40.0)
    assert left_out == [LeftOut(clip_id="made/a.wav", label="joy", reason=SILENT, blocks=1, seconds=0.3)]


def test_a_short_clip_is_measured_without_its_padding():
    blocks, left_out = cut({"a.wav": noise(-20, 0.2)}, short_clips="pad", silent_below_lu=3.0)
    assert len(blocks) == 1
    assert left_out == []


def test_the_tail_of_a_clip_with_silent_blocks_is_a_row_of_its_own():
    _, left_out = cut({"a.wav": np.concatenate([HALF_QUIET, noise(-20, 0.5)])}, silent_below_lu=40.0)
    assert [(row.reason, row.blocks, row.seconds) for row in left_out] == [(TAIL, 0, 0.5), (SILENT, 5, 5.0)]


@pytest.mark.parametrize(
    ("sound", "choices"),
    [(noise(-20, 1), {"short_clips": "reject"}), (silence(4), {"silent_below_lu": 40.0})],
)
def test_no_block_at_all_is_refused_and_nothing_is_written(sound, choices):
    with pytest.raises(CorpusError, match=r"corpus made: no block is left of 1 clips: see slice\.\*"):
        cut({"a.wav": sound}, **choices)
    assert not list(BLOCKS.rglob("*"))


def test_the_same_bytes_on_repetition():
    cut({"a.wav": HALF_QUIET, "b.wav": noise(-30, 3.7)}, silent_below_lu=40.0)
    first = blocks_csv("made").read_bytes(), left_out_csv("made").read_bytes()
    cut({"a.wav": HALF_QUIET, "b.wav": noise(-30, 3.7)}, silent_below_lu=40.0)
    assert (blocks_csv("made").read_bytes(), left_out_csv("made").read_bytes()) == first


# at random places


def test_random_blocks_are_drawn_for_each_clip_by_its_name_alone():
    sounds = {"a.wav": noise(-20, 9), "b.wav": noise(-20, 9)}
    blocks, _ = cut(sounds, random_blocks=4)
    alone, _ = cut({"b.wav": sounds["b.wav"]}, random_blocks=4)
    assert starts(blocks, "b.wav") == starts(alone, "b.wav")
    assert starts(blocks, "a.wav") != starts(blocks, "b.wav")
    for clip in sounds:
        own = starts(blocks, clip)
        assert len(own) == len(set(own)) == 4
        assert own == sorted(own)
        assert 0 <= own[0] <= own[-1] <= 7
    assert cut(sounds, random_blocks=4)[0] == blocks
    assert starts(cut(sounds, random_blocks=4, seed=1)[0]) != starts(blocks)


def test_slide_and_tail_change_no_random_block():
    sounds = {"a.wav": noise(-20, 9.3)}
    blocks, _ = cut(sounds, random_blocks=3)
    assert cut(sounds, random_blocks=3, slide_seconds=0.1, tail="align")[0] == blocks


def test_what_random_blocks_leave_out_is_counted_and_short_clips_are_as_ever():
    sounds = {"a.wav": noise(-20, 9), "b.wav": noise(-20, 1), "c.wav": noise(-20, 2)}
    blocks, left_out = cut(sounds, random_blocks=2)
    first, second = starts(blocks)
    seconds = 9 - 4 + max(0.0, first + 2 - second)
    assert left_out == [
        LeftOut(clip_id="made/a.wav", label="joy", reason=NOT_DRAWN, blocks=0, seconds=pytest.approx(seconds))
    ]
    assert [(block.start, block.fill) for block in blocks[2:]] == [(0, "repeat"), (0, "none")]
    _, left_out = cut(sounds, random_blocks=2, short_clips="reject")
    assert LeftOut(clip_id="made/b.wav", label="joy", reason=SHORT, blocks=1, seconds=1.0) in left_out


def test_silent_random_blocks_are_dropped():
    sound = np.concatenate([noise(-20, 20), silence(20)])
    blocks, left_out = cut({"a.wav": sound}, random_blocks=40, silent_below_lu=40.0)
    n_silent = next(row.blocks for row in left_out if row.reason == SILENT)
    assert len(blocks) + n_silent == 40
    assert n_silent > 5
    assert max(starts(blocks)) < 20


def test_altered_sound_has_random_blocks_of_its_own():
    sounds = {"a.wav": noise(-20, 9)}
    blocks, _ = cut(sounds, random_blocks=4, variants=nine_variants())
    of_variant = {number: [one.start for one in blocks if one.variant == number] for number in range(9)}
    assert all(len(own) == 4 for own in of_variant.values())
    assert len({tuple(own) for own in of_variant.values()}) == 9
    # number 2 is 10 % longer: 9.9 s hold blocks up to 7.9 s, number 1 a tenth shorter: 8.18 s
    assert max(of_variant[1]) <= 6.19 * RATE
    assert of_variant[0] == [one.start for one in cut(sounds, random_blocks=4)[0]]
    assert len({block.block_id for block in blocks}) == 36
