from collections import Counter

import pytest
from split.cases import blocks_of, clip, split

from pipeline.errors import SplitError

# 10 sources of 4 clips of 6 blocks, half of them of each class; sources s0 to s4 hold x, the others y.
CLIPS = [
    clip(f"s{source}c{number}", "x" if source < 5 else "y", 6, source=f"s{source}")
    for source in range(10)
    for number in range(4)
]
MATCHED = {"method": "matched", "matched_on": "source", "test_fraction": 0.2}


def dealt(by, **options):
    return split(CLIPS, by=by, **(MATCHED | options))


def on(rows, side):
    return {row.block_id for row in rows if row.side == side}


def sources(rows, side):
    return {row.group for row in rows if row.side == side}


def clips_on(rows, side):
    return {row.clip_id for row in rows if row.side == side}


@pytest.mark.parametrize("seed", range(5))
def test_the_test_side_is_the_same_whatever_leaks(seed):
    one, two, three = (dealt(by, seed=seed) for by in ("block", "clip", "source"))
    assert on(one, "test") == on(two, "test") == on(three, "test")
    # 2 of 10 sources, half of their clips, half of the blocks of these.
    assert len(on(one, "test")) == 2 * 2 * 3
    assert Counter(row.label for row in one if row.side == "test") == {"x": 6, "y": 6}


def test_as_many_seeds_as_there_are_parts_hold_out_every_source_once():
    held_out = [sources(dealt("source", seed=seed), "test") for seed in range(10)]
    for turn in (held_out[:5], held_out[5:]):
        assert sorted(name for names in turn for name in names) == [f"s{number}" for number in range(10)]
    assert held_out[:5] != held_out[5:]


def test_training_has_the_same_size_and_classes():
    for by in ("block", "clip", "source"):
        assert Counter(row.label for row in dealt(by) if row.side == "train") == {"x": 4 * 24, "y": 4 * 24}


def test_each_split_keeps_apart_what_it_says():
    by_source = dealt("source")
    assert not sources(by_source, "train") & sources(by_source, "test")
    by_clip = dealt("clip")
    assert not clips_on(by_clip, "train") & clips_on(by_clip, "test")
    assert sources(by_clip, "train") & sources(by_clip, "test")
    by_block = dealt("block")
    assert not on(by_block, "train") & on(by_block, "test")
    assert clips_on(by_block, "train") & clips_on(by_block, "test")


def test_blocks_are_drawn_evenly_from_what_is_allowed():
    # By block 12 of 240 blocks are tested and 192 of the other 228 learned from: so many of a tested clip's rest, too.
    rest = Counter()
    for seed in range(40):
        rows = dealt("block", seed=seed)
        tested = clips_on(rows, "test")
        rest.update(row.side for row in rows if row.clip_id in tested and row.side != "test")
    assert rest["train"] / (rest["train"] + rest["dropped"]) == pytest.approx(192 / 228, abs=0.03)


def test_groups_are_the_widest_units_whatever_the_split_is_by():
    assert sources(dealt("block"), "test") <= {f"s{number}" for number in range(10)}


def test_another_seed_tests_other_blocks():
    assert on(dealt("clip"), "test") != on(dealt("clip", seed=1), "test")


def test_order_of_the_blocks_does_not_matter():
    blocks = blocks_of(CLIPS)
    one = {row.block_id: row.side for row in dealt("block")}
    other = {row.block_id: row.side for row in split(CLIPS[::-1], blocks[::-1], by="block", **MATCHED)}
    assert one == other


def test_units_of_one_clip_of_one_block_can_be_matched():
    clips = [clip(f"c{i}", "xy"[i % 2], 1, source=f"s{i}") for i in range(10)]
    assert {row.side for row in split(clips, by="block", **MATCHED)} == {"train", "test"}


def test_matching_on_a_narrower_field_is_refused():
    # Every sentence is said by every source: without the tested sentences next to nothing is left.
    clips = [clip(f"{s}{t}{label}", label, 2, source=s, text=t) for s in "abcdef" for t in "uv" for label in "xy"]
    with pytest.raises(SplitError, match=r"split.by: text leaves \d+ blocks of 'x' to learn from, and 16 are left by"):
        split(clips, by="text", **(MATCHED | {"test_fraction": 1 / 3}))
