import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audio.blocks import cut_clip, draw_blocks, fill_block

RATE = 100


def cut(n_samples, **choices):
    defaults = {"block_samples": 2 * RATE, "slide_samples": 1.0 * RATE, "short_clips": "repeat", "tail": "drop"}
    return cut_clip(n_samples, **{**defaults, **choices})


def test_two_second_blocks_every_second():
    assert cut(5 * RATE).starts == (0, 100, 200, 300)


def test_drop_leaves_out_only_the_tail():
    result = cut(5 * RATE + 37)
    assert result.starts == (0, 100, 200, 300)
    assert result.tail_samples == 37


def test_align_adds_a_block_that_ends_with_the_clip():
    result = cut(5 * RATE + 37, tail="align")
    assert result.starts == (0, 100, 200, 300, 337)
    assert result.tail_samples == 0


def test_align_adds_nothing_where_nothing_is_left():
    assert cut(5 * RATE, tail="align").starts == (0, 100, 200, 300)


def test_a_clip_of_one_block_is_one_whole_block():
    assert cut(2 * RATE).starts == (0,)
    assert cut(2 * RATE).fill == "none"


@pytest.mark.parametrize("policy", ["repeat", "pad"])
def test_a_short_clip_is_one_filled_block(policy):
    result = cut(2 * RATE - 1, short_clips=policy)
    assert (result.starts, result.fill, result.tail_samples) == ((0,), policy, 0)


def test_a_short_clip_is_rejected_whole():
    result = cut(2 * RATE - 1, short_clips="reject")
    assert (result.starts, result.tail_samples) == ((), 2 * RATE - 1)


def test_a_slide_that_is_no_whole_number_does_not_drift():
    # 0.0333 s at 44.1 kHz is 1468.53 samples: the thousandth block starts at 1468530, not at 1000 * 1469
    result = cut_clip(1_600_000, block_samples=88200, slide_samples=1468.53, short_clips="pad", tail="drop")
    assert result.starts[1000] == 1468530


@given(st.integers(1, 2000), st.integers(1, 300), st.floats(0.6, 400), st.sampled_from(["drop", "align"]))
def test_every_block_lies_inside_and_nothing_is_lost(n_samples, block, slide, tail):
    result = cut_clip(n_samples, block_samples=block, slide_samples=slide, short_clips="repeat", tail=tail)
    ends = [start + block for start in result.starts]
    if n_samples >= block:
        assert max(ends) + result.tail_samples == n_samples
        assert min(result.starts) == 0
        assert all(end <= n_samples for end in ends)
    else:
        assert result.fill == "repeat"


def test_repeat_starts_the_clip_again_and_pad_adds_zeros():
    clip = np.array([1, 2, 3], dtype=np.float32)
    assert fill_block(clip, n_samples=8, fill="repeat").tolist() == [1, 2, 3, 1, 2, 3, 1, 2]
    assert fill_block(clip, n_samples=5, fill="pad").tolist() == [1, 2, 3, 0, 0]


def drawn(n_samples, *, block=100, n=5, short_clips="repeat", seed=0):
    rng = np.random.default_rng(seed)
    return draw_blocks(n_samples, block_samples=block, n_blocks=n, short_clips=short_clips, rng=rng)


def test_random_blocks_lie_within_the_clip_in_order_and_none_twice():
    for seed in range(200):
        cut = drawn(110, n=6, seed=seed)
        assert len(cut.starts) == 6
        assert list(cut.starts) == sorted(set(cut.starts))
        assert 0 <= cut.starts[0] <= cut.starts[-1] <= 10
        assert cut.fill == "none"


def test_every_place_is_as_likely_as_any_other():
    counts = np.zeros(21)
    for seed in range(2000):
        counts[list(drawn(120, n=3, seed=seed).starts)] += 1
    # 6000 draws of 21 places: 286 each, give or take 16
    assert counts.min() > 286 - 5 * 16
    assert counts.max() < 286 + 5 * 16


def test_a_clip_with_fewer_places_than_blocks_has_one_at_each():
    assert drawn(102).starts == (0, 1, 2)
    assert drawn(100).starts == (0,)


@pytest.mark.parametrize(("short_clips", "starts", "left"), [("repeat", (0,), 0), ("pad", (0,), 0), ("reject", (), 99)])
def test_a_clip_shorter_than_a_random_block_is_treated_as_any_short_clip(short_clips, starts, left):
    cut = drawn(99, short_clips=short_clips)
    assert (cut.starts, cut.tail_samples) == (starts, left)
    assert cut.fill == (short_clips if starts else "none")


@pytest.mark.parametrize(("n_samples", "block", "n"), [(1000, 30, 5), (1000, 300, 5), (500, 499, 2), (400, 400, 3)])
def test_what_no_random_block_holds_is_counted(n_samples, block, n):
    for seed in range(50):
        cut = drawn(n_samples, block=block, n=n, seed=seed)
        held = np.zeros(n_samples, bool)
        for start in cut.starts:
            held[start : start + block] = True
        assert cut.tail_samples == n_samples - held.sum()
