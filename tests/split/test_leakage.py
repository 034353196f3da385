import json
import time

import pytest
from split.cases import OPTIONS, block, blocks_of, clip, many, split

from pipeline.errors import SplitError
from pipeline.split import Choices, describe_split, split_blocks
from pipeline.store.tables import Duplicate, SplitRow


def described(rows, clips, blocks=None, *, by="clip", **options):
    asked = {"audit_fields": (), "duplicates": None} | options
    audited = {name: asked.pop(name) for name in ("audit_fields", "duplicates")}
    choices = Choices(**(OPTIONS | {"by": by} | asked))
    return describe_split(rows, clips, blocks_of(clips) if blocks is None else blocks, choices, **audited)


def by_hand(clips, blocks, sides, *, fold=0, group=lambda b: b.clip_id):
    labels = {each.clip_id: each.label for each in clips}
    return [
        SplitRow(block_id=b.block_id, clip_id=b.clip_id, group=group(b), label=labels[b.clip_id], fold=fold, side=side)
        for b, side in zip(blocks, sides, strict=True)
    ]


def leakage(clips, sides, blocks=None, **options):
    blocks = blocks_of(clips) if blocks is None else blocks
    group = (lambda b: b.block_id) if options.get("by") == "block" else (lambda b: b.clip_id)
    found = described(by_hand(clips, blocks, sides, group=group), clips, blocks, **options)
    assert found["folds"]["0"]["leakage"] == found["leakage"]
    return found["leakage"]


def test_overlap_counts_neighbours_in_training_but_not_dropped_ones():
    # Blocks [0, 2) [1, 3) [2, 4) [3, 5) of a: the second meets the first, the fourth only the dropped third.
    # Blocks [0, 2) [1, 3) [2, 4) of b: the third touches the first, and shares nothing with it.
    clips = [clip("a", "x", 4), clip("b", "y", 3)]
    sides = ["train", "test", "dropped", "test", "train", "dropped", "test"]
    assert leakage(clips, sides, by="block") == {
        "overlaps_training": 0.3333,
        "clip_in_training": 1.0,
        "unit_in_training": 0.0,
    }


def test_validation_counts_as_met():
    clips = [clip("a", "x", 2), clip("b", "y", 2)]
    found = leakage(clips, ["validation", "test", "test", "train"], by="block")
    assert found["overlaps_training"] == 1.0
    assert leakage(clips, ["dropped", "test", "test", "train"], by="block")["overlaps_training"] == 0.5


def test_blocks_of_a_half_overlapping_clip_leak_almost_all():
    clips = many("x", [60] * 3) + many("y", [60] * 2)
    options = OPTIONS | {"by": "block", "method": "kfold", "n_folds": 10}
    rows = split_blocks(clips, blocks_of(clips), Choices(**options))
    found = described(rows, clips, by="block")["leakage"]
    assert found["overlaps_training"] > 0.97  # both neighbours are tested too in about one of a hundred
    assert found["clip_in_training"] == 1.0


def test_a_long_training_block_reaches_past_a_later_short_one():
    one, other = clip("a", "x", 9), clip("b", "y", 1)
    blocks = [
        block(one, 0, n_samples=80),
        block(one, 10, n_samples=10),
        block(one, 70),
        block(one, 80),
        block(other, 0),
    ]
    sides = ["train", "train", "test", "test", "train"]  # [0, 8) and [1, 2) against [7, 9) and [8, 10)
    assert leakage([one, other], sides, blocks, by="block")["overlaps_training"] == 0.5


def test_clips_that_lack_a_field_do_not_share_it():
    clips = [clip("a", "x", 1), clip("b", "y", 1), clip("c", "x", 1, speaker="s")]
    found = leakage(clips, ["train", "test", "test"], audit_fields=("speaker",))
    assert (found["speaker_in_training"], found["speaker_known"]) == (0.0, 0.5)


def test_equal_sound_is_compared_in_time():
    # Clip b is a again: [0, 2) of b meets a's training block [0, 2), [2, 4) of b meets nothing.
    clips = [clip("a", "x", 3, pcm="same"), clip("b", "x", 3, pcm="same"), clip("c", "y", 1)]
    sides = ["train", "dropped", "dropped", "test", "dropped", "test", "train"]
    assert leakage(clips, sides) == {"overlaps_training": 0.5, "clip_in_training": 1.0, "unit_in_training": 1.0}


def test_events_of_one_recording_are_compared_in_time():
    # The first event is 0 to 4 s, the second 3 to 7 s; its blocks [3, 5), [4, 6), [5, 7). The first's last is [2, 4).
    events = [clip("r#0", "x", 3, path="r"), clip("r#1", "x", 3, path="r", start_seconds=3.0)]
    clips = [*events, clip("c", "y", 1), clip("r", "y", 3, corpus="other", path="r", start_seconds=0.5)]
    sides = ["train"] * 3 + ["test"] * 3 + ["train"] + ["test"] * 3
    assert leakage(clips, sides) == {"overlaps_training": 0.1667, "clip_in_training": 0.0, "unit_in_training": 0.5}


def test_a_filled_block_reaches_as_far_as_its_clip():
    # Each event lasts 2 s and is filled to 9 s; in the recording they lie 3 s apart.
    clips = [clip(f"r#{i}", "xy"[i % 2], 1, path="r", start_seconds=3.0 * i) for i in range(4)]
    blocks = [block(each, 0, n_samples=90) for each in clips]
    assert leakage(clips, ["train", "test", "test", "train"], blocks)["overlaps_training"] == 0.0


def test_fields_are_audited_where_clips_have_them():
    clips = [
        clip("a", "x", 1, speaker="p/1", event="one"),
        clip("b", "y", 2, speaker="p/2", event="one"),
        clip("c", "x", 1, speaker="p/1"),
        clip("d", "y", 2, event="two", corpus="other"),
        clip("e", "x", 1, speaker="p/3", event="one"),
    ]
    #        a        b: dropped trains nobody  c       d                e
    sides = ["train", "train", "dropped", "test", "test", "test", "test"]
    assert leakage(clips, sides, audit_fields=("event", "sentence", "speaker", "corpus")) == {
        "overlaps_training": 0.0,
        "clip_in_training": 0.0,
        "unit_in_training": 0.0,
        "event_in_training": 0.25,  # e's
        "event_known": 0.75,  # of the four test blocks, c's has none
        "speaker_in_training": 0.25,  # c's
        "speaker_known": 0.5,  # c's and e's
        "corpus_in_training": 0.5,
    }


def test_a_field_called_like_the_unit_does_not_hide_the_unit():
    clips = [clip("a", "x", 1, unit="u", clip="k"), clip("b", "y", 1, unit="u", clip="k")]
    found = leakage(clips, ["train", "test"], audit_fields=("clip", "unit"))
    assert found["unit_in_training"] == found["clip_in_training"] == 0.0


def test_a_unit_on_two_sides_shows():
    clips = [clip("a", "x", 2), clip("b", "y", 2)]
    assert leakage(clips, ["train", "test", "train", "train"])["unit_in_training"] == 1.0


def test_numbers_are_pooled_over_test_blocks_not_over_folds():
    clips = [clip("a", "x", 3), clip("b", "y", 1)]
    blocks = blocks_of(clips)
    rows = by_hand(clips, blocks, ["test", "test", "test", "train"])
    rows += by_hand(clips, blocks, ["train", "test", "dropped", "train"], fold=1)
    found = described(rows, clips)
    assert [found["folds"][fold]["leakage"]["overlaps_training"] for fold in "01"] == [0.0, 1.0]
    assert found["leakage"]["overlaps_training"] == 0.25


def test_the_whole_description_of_a_small_split():
    clips = [
        clip("a", "x", 2, pcm="same"),
        clip("b", "x", 1, pcm="same"),
        clip("c", "y", 2),
        clip("d", "x", 4),
        clip("e", "y", 1),
    ]
    sides = ["test"] * 3 + ["train"] * 2 + ["train", "train", "dropped", "dropped"] + ["validation"]
    names = {"demo/a": "demo/a+demo/b", "demo/b": "demo/a+demo/b"}
    rows = by_hand(clips, blocks_of(clips), sides, group=lambda b: names.get(b.clip_id, b.clip_id))
    found = described(rows, clips, method="holdout", balance="train", validation="fraction")
    nothing = {"overlaps_training": 0.0, "clip_in_training": 0.0, "unit_in_training": 0.0}
    assert found == {
        "by": "clip",
        "unit": "clip",
        "method": "holdout",
        "balance": "train",
        "validation": "fraction",
        "n_folds": 1,
        "classes": ["x", "y"],
        "units": 4,
        "clips": 5,
        "blocks": 10,
        "merged_units": 1,
        "folds": {
            "0": {
                "train": {"x": 2, "y": 2},
                "validation": {"x": 0, "y": 1},
                "test": {"x": 3, "y": 0},
                "dropped": {"x": 2, "y": 0},
                "train_units": 2,
                "test_units": 1,
                "leakage": nothing,
            }
        },
        "leakage": nothing,
    }
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize("method", ["kfold", "holdout", "leave_one_out"])
@pytest.mark.parametrize("validation", ["none", "fraction", "test"])
def test_what_is_split_by_clip_meets_nothing_of_its_test_side(method, validation):
    clips = many("x", [3, 5, 2, 6]) + many("y", [2, 4, 4]) + [clip("x again", "x", 4, path="x0.wav", start_seconds=2.5)]
    rows = split(clips, method=method, validation=validation, balance="train")
    found = described(rows, clips, method=method, validation=validation, balance="train")
    assert set(found["leakage"].values()) == {0.0}
    assert found["merged_units"] == 1
    assert bool(found["folds"]["0"]["validation"]) == (validation == "fraction")


def test_rows_of_other_blocks_are_refused():
    clips = many("x", [2]) + many("y", [2])
    rows = by_hand(clips, blocks_of(clips), ["train", "test", "train", "test"])
    with pytest.raises(SplitError, match=r"block demo/x0\.wav@0 on side 'train' is not one of these blocks and sides"):
        described(rows, clips[1:])
    with pytest.raises(SplitError, match="fold 0 does not name every block once"):
        described(rows[1:], clips)
    with pytest.raises(SplitError, match="fold 0 does not name every block once"):
        described([*rows[1:], rows[1]], clips)


def test_a_hundred_thousand_blocks_are_split_and_audited_in_seconds():
    clips = [clip(f"{i:05}", "abcd"[i % 4], 50, speaker=f"s{i % 40}") for i in range(2000)]
    blocks = blocks_of(clips)
    assert len(blocks) == 100_000
    start = time.perf_counter()
    rows = split(clips, blocks, by="block", n_folds=5, validation="fraction", balance="train")
    found = described(rows, clips, blocks, by="block", audit_fields=("speaker", "event"))
    assert time.perf_counter() - start < 20
    assert found["leakage"]["overlaps_training"] > 0.9
    assert found["leakage"]["speaker_in_training"] == 1.0


def duplicate(one, other, kind="near"):
    return Duplicate(clip_id=one, other_id=other, kind=kind, offset_seconds=0.0, seconds=2.0, similarity=0.9)


def test_near_duplicates_are_counted_and_listed_with_the_folds_that_they_cross():
    clips = [clip("a", "x", 2), clip("b", "x", 2), clip("c", "y", 1), clip("d", "y", 1)]
    sides = ["test", "test", "train", "dropped", "train", "test"]
    pairs = [duplicate("demo/c", "demo/x"), duplicate("demo/c", "demo/d"), duplicate("demo/a", "demo/b", "exact")]
    found = described(by_hand(clips, blocks_of(clips), sides), clips, duplicates=pairs)
    assert found["leakage"]["near_duplicate_in_training"] == 0.3333  # one of three: exact copies count as the clip
    counted = {name: found["duplicates"][name] for name in ("exact", "near", "across_sides")}
    assert counted == {"exact": 1, "near": 1, "across_sides": 2}  # demo/x takes no part
    assert [(p["clip_id"], p["other_id"], p["across_folds"]) for p in found["duplicates"]["pairs"]] == [
        ("demo/c", "demo/d", [0]),
        ("demo/a", "demo/b", [0]),
    ]
    assert [pair["labels"] for pair in found["duplicates"]["pairs"]] == [["y", "y"], ["x", "x"]]


def test_a_pair_says_under_which_labels_its_recording_is_there():
    clips = [clip("a", "x", 1), clip("b", "y", 1), clip("c", "y", 1)]
    rows = by_hand(clips, blocks_of(clips), ["train", "train", "test"])
    found = described(rows, clips, duplicates=[duplicate("demo/a", "demo/b")])
    assert found["duplicates"]["pairs"][0]["labels"] == ["x", "y"]


def test_pairs_on_one_side_or_dropped_cross_nothing():
    clips = [clip("a", "x", 1), clip("b", "x", 1), clip("c", "y", 1), clip("d", "y", 1)]
    found = described(
        by_hand(clips, blocks_of(clips), ["train", "train", "test", "dropped"]),
        clips,
        duplicates=[duplicate("demo/a", "demo/b"), duplicate("demo/c", "demo/d")],
    )
    assert found["leakage"]["near_duplicate_in_training"] == 0.0
    assert [pair["across_folds"] for pair in found["duplicates"]["pairs"]] == [[], []]


def test_joined_pairs_stay_on_one_side():
    clips = many("x", [2] * 6) + many("y", [2] * 6)
    joined = [("demo/x0.wav", "demo/x1.wav"), ("demo/x1.wav", "demo/x2.wav"), ("demo/x0.wav", "not/there.wav")]
    for seed in range(10):
        sides = {}
        for row in split(clips, joined=joined, seed=seed):
            sides.setdefault((row.fold, row.clip_id), set()).add(row.side)
        for fold in range(3):
            assert len({frozenset(sides[fold, f"demo/x{i}.wav"]) for i in range(3)}) == 1


def test_clips_that_were_kept_together_are_one_unit_of_the_audit_too():
    clips = many("x", [2] * 4) + many("y", [2] * 4)
    pairs = [("demo/x0.wav", "demo/x1.wav"), ("demo/y0.wav", "demo/y3.wav")]
    choices = Choices(**(OPTIONS | {"n_folds": 2}))
    found = describe_split(
        split(clips, n_folds=2, joined=pairs), clips, blocks_of(clips), choices, audit_fields=(), joined=pairs
    )
    assert (found["units"], found["merged_units"]) == (6, 2)
    assert found["leakage"]["unit_in_training"] == 0
    # A split that parts them shares units.
    parted = split(clips, method="leave_one_out")
    found = describe_split(parted, clips, blocks_of(clips), choices, audit_fields=(), joined=pairs)
    assert found["leakage"]["unit_in_training"] == 0.5
