"""The order of a clip's blocks, what tears it, and batches of whole clips."""

import dataclasses
import itertools

import numpy as np
import pytest
from made_run import CORPUS, make_project

from pipeline.augment.variants import RECORDING, Variant
from pipeline.errors import SplitError, StoreError
from pipeline.sequences import clip_batches, count_gapped, cut, order_clips
from pipeline.slicing import slice_corpus
from pipeline.store.folds import Fold
from pipeline.store.paths import blocks_csv, clips_csv
from pipeline.store.tables import Block, Clip, SplitRow, read_rows, write_rows


def row(block_id, side="train", *, clip_id=None, label="joy", fold=2):
    clip_id = clip_id or block_id.rpartition("@")[0]
    return SplitRow(block_id=block_id, clip_id=clip_id, group=clip_id, label=label, fold=fold, side=side)


def fold_of(*rows):
    return Fold([row(each) if isinstance(each, str) else each for each in rows], ("joy",))


def named(fold):
    return [[fold.rows[index].block_id for index in clip] for clip in order_clips(fold)]


# order


def test_blocks_follow_one_another_as_they_start_and_not_as_they_are_listed():
    fold = fold_of("b@88200", "a@0", "b@9000", "b@0", "a@100000", "a@22050")
    assert named(fold) == [["b@0", "b@9000", "b@88200"], ["a@0", "a@22050", "a@100000"]]


def test_names_of_blocks_are_those_that_slicing_gives(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_project()
    (one, *_) = read_rows(clips_csv(CORPUS), Clip)
    clip = dataclasses.replace(one, clip_id="made/take~2@home.wav", path="take~2@home.wav", n_samples=5000)
    write_rows(clips_csv(CORPUS), Clip, [clip])
    chosen = {"block_seconds": 1.0, "slide_seconds": 0.5, "short_clips": "pad", "tail": "align", "whole_clips": False}
    variants = [RECORDING, Variant(number=1, gain_db=3.0), Variant(number=12, time_factor=1.1)]
    slice_corpus(CORPUS, sample_rate=1000, silent_below_lu=None, variants=variants, **chosen)
    blocks = read_rows(blocks_csv(CORPUS), Block)
    rows = [row(block.block_id, clip_id=block.clip_id) for block in blocks]
    found = order_clips(fold_of(*rows[::-1]))
    places = [[(blocks[::-1][index].variant, blocks[::-1][index].start) for index in own] for own in found]
    assert sorted({variant for own in places for variant, _ in own}) == [0, 1, 12]
    assert len(places) == 3
    assert all(own == sorted(own) and len({variant for variant, _ in own}) == 1 for own in places)


def test_each_altered_copy_is_a_sequence_of_its_own():
    fold = fold_of("a@0", "a@5", "a@0~2", "a@0~10", "a@5~2", "a@5~10")
    assert named(fold) == [["a@0", "a@5"], ["a@0~2", "a@5~2"], ["a@0~10", "a@5~10"]]


def test_names_of_clips_may_hold_what_parts_a_blocks_name():
    fold = fold_of(
        row("x/a@7~1.wav@10", clip_id="x/a@7~1.wav"),
        row("x/a@7~1.wav@3", clip_id="x/a@7~1.wav"),
        row("x/a@5", clip_id="x/a"),
    )
    assert named(fold) == [["x/a@7~1.wav@3", "x/a@7~1.wav@10"], ["x/a@5"]]


@pytest.mark.parametrize("block_id", ["other@0", "a", "a@", "a@x", "a@0~x", "a@-3"])
def test_a_name_that_does_not_say_where_a_block_starts_is_refused(block_id):
    with pytest.raises(StoreError, match=f"split.csv: block {block_id} does not name its clip and start"):
        order_clips(fold_of("a@0", row(block_id, clip_id="a")))


@pytest.mark.parametrize(
    ("sides", "said"),
    [
        (("train", "test"), "on the sides test and train, .*set split.by to clip or a wider field"),
        (("train", "validation"), "on the sides train and validation, .*set split.by to clip"),
        (("train", "dropped"), "on the sides dropped and train, .*set split.balance to none"),
        (("test", "dropped"), "on the sides dropped and test, .*set split.balance to none"),
    ],
)
def test_a_clip_on_several_sides_is_refused_with_the_way_out(sides, said):
    rows = [row(f"a@{start}", side) for start, side in enumerate(sides)]
    with pytest.raises(SplitError, match=f"split.csv: fold 2: blocks of a are {said}") as caught:
        order_clips(fold_of("b@0", *rows))
    assert "\n" not in str(caught.value)


def test_an_altered_copy_on_another_side_than_its_clip_is_refused():
    with pytest.raises(SplitError, match=r"leave augmented_before_split out of split\.allow_leaks"):
        order_clips(fold_of(row("a@0", "test"), row("a@0~1", "train")))


def test_clips_that_are_wholly_dropped_are_no_matter():
    fold = fold_of(row("a@0", "dropped"), row("a@1", "dropped"), row("b@0", "train"))
    assert [clip.tolist() for clip in order_clips(fold)] == [[0, 1], [2]]


def test_clips_with_blocks_left_out_in_between_are_counted():
    fold = fold_of("a@0", "a@10", "a@20", "b@0", "b@20", "b@30", "c@5", "d@0", "d@11", "d@21", "e@0", "e@10", "e@14")
    assert count_gapped(fold, order_clips(fold)) == 1  # b; d's blocks are a rounded sample apart, e's last is aligned
    anywhere = fold_of("a@0", "a@3", "a@50", "b@7", "b@90", "b@95")
    assert count_gapped(anywhere, order_clips(anywhere)) == 0
    lonely = fold_of("a@0", "b@3")
    assert count_gapped(lonely, order_clips(lonely)) == 0


# batches


def batches_of(lengths, **changed):
    options = {"epochs": 1, "batch_blocks": 8, "longest": 0, "seed": 0, **changed}
    return list(clip_batches(lengths, **options))


def clips_in(lengths, chosen, sizes):
    """Which clips a batch holds, each checked to be whole and in its order."""
    firsts = dict(zip(itertools.accumulate([0, *lengths[:-1]]), range(len(lengths)), strict=True))
    found = []
    for blocks in cut(chosen.tolist(), sizes):
        clip = firsts[blocks[0]]
        assert list(blocks) == list(range(blocks[0], blocks[0] + lengths[clip]))
        found.append(clip)
    return found


def test_every_clip_is_visited_whole_once_an_epoch_in_another_order():
    lengths = [3, 1, 4, 2, 6, 5, 2]
    steps = batches_of(lengths, epochs=4)
    orders = []
    for epoch in range(4):
        own = [clips_in(lengths, chosen, sizes) for number, chosen, sizes in steps if number == epoch]
        orders.append(tuple(clip for clips in own for clip in clips))
        assert sorted(orders[-1]) == list(range(7))
        sizes = [sum(lengths[clip] for clip in clips) for clips in own]
        assert max(sizes[:-1]) <= 8
        assert sizes[-1] <= 9  # a single block left over joins the batch before
    assert len(set(orders)) == 4


def test_a_clip_longer_than_a_batch_is_one():
    steps = batches_of([20, 2, 30, 3], batch_blocks=4)
    assert sorted(len(chosen) for _, chosen, _ in steps) == [2, 3, 20, 30]


@pytest.mark.parametrize("seed", range(6))
def test_a_single_block_joins_a_neighbour(seed):
    # nothing fits beside a clip of four, so the clip of one would be alone wherever it comes
    steps = batches_of([4, 1, 4], batch_blocks=4, seed=seed)
    assert sorted(len(chosen) for _, chosen, _ in steps) == [4, 5]
    assert [len(chosen) for _, chosen, _ in batches_of([1, 1], batch_blocks=1, seed=seed)] == [1, 1]
    assert [len(chosen) for _, chosen, _ in batches_of([1], seed=seed)] == [1]


def test_longer_clips_are_visited_in_stretches_of_neighbours():
    lengths, starts = [3, 40, 5], set()
    for _, chosen, sizes in batches_of(lengths, epochs=200, longest=4, batch_blocks=6):
        for blocks in cut(chosen.tolist(), sizes):
            assert list(blocks) == list(range(blocks[0], blocks[0] + len(blocks)))
            low, high = next((a, b) for a, b in ((0, 3), (3, 43), (43, 48)) if a <= blocks[0] < b)
            assert blocks[-1] < high
            assert len(blocks) == min(4, high - low)
            starts |= {blocks[0] for _ in [0] if low == 3}
    assert min(starts) == 3
    assert max(starts) == 39
    assert len(starts) > 30


def test_the_seed_decides():
    one, again, other = (batches_of([3, 4, 5, 6, 2, 1], epochs=3, longest=2, seed=seed) for seed in (5, 5, 6))
    assert [step[1].tolist() for step in one] == [step[1].tolist() for step in again]
    assert [step[1].tolist() for step in one] != [step[1].tolist() for step in other]


def test_cut():
    assert list(cut("abcdef", [1, 3, 2])) == ["a", "bcd", "ef"]
    assert [part.tolist() for part in cut(np.arange(3), [3])] == [[0, 1, 2]]
