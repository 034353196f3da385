"""How many blocks, by the rule of slicing; how many on each side, by the rule of the split."""

import dataclasses

import pytest
from plan.cases import clip, params

from pipeline.params.sections import Split
from pipeline.plan.counts import count_blocks, deal

CLIPS = [clip(2), clip(5.5, "anger"), clip(1.0), clip(7)]


@pytest.mark.parametrize(
    ("keys", "blocks"),
    [
        ({}, (1, 4, 1, 6)),
        ({"slice__tail": "align"}, (1, 5, 1, 6)),  # 5.5 s: 0, 1, 2, 3 and the last two seconds
        ({"slice__short_clips": "reject"}, (1, 4, 0, 6)),
        ({"slice__slide_seconds": 0.5}, (1, 8, 1, 11)),
        ({"slice__block_seconds": 6.0}, (1, 1, 1, 2)),
        ({"slice__random_blocks": 5}, (1, 5, 1, 5)),  # two seconds have one place for a block of two
        ({"slice__random_blocks": 5, "slice__short_clips": "reject"}, (1, 5, 0, 5)),
    ],
)
def test_clips_are_cut_as_slicing_cuts_them(keys, blocks):
    counts = count_blocks(CLIPS, params(**keys))
    assert counts.of_clip == blocks
    assert counts.n_blocks == sum(blocks)
    assert counts.too_short == blocks.count(0)
    assert counts.by_label == {"anger": blocks[1], "joy": blocks[0] + blocks[2] + blocks[3]}


def test_a_label_whose_clips_are_all_too_short_is_no_class():
    counts = count_blocks([clip(7), clip(1, "anger")], params(slice__short_clips="reject"))
    assert counts.by_label == {"joy": 6}


def test_units_are_clips_blocks_corpora_or_values_of_a_field():
    clips = [clip(2, path=name, speaker=who) for name, who in (("a", "x"), ("b", "x"), ("c", "y"))]
    clips.append(clip(4, path="d", corpus="other", speaker="y"))
    units = {by: count_blocks(clips, params(split__by=by)).n_units for by in ("block", "clip", "speaker", "corpus")}
    assert units == {"block": 6, "clip": 4, "speaker": 2, "corpus": 2}


def test_the_longest_name_of_a_block_is_known():
    counts = count_blocks([clip(2, path="a.wav"), clip(9, path="é/long.wav", start=1.5, end=10.5)], params())
    # made/é/long.wav#t=1.5,10.5@56000: é is two bytes; the start may have as many digits as the clip has samples
    assert counts.name_bytes == len("made/é/long.wav#t=1.5,10.5@56000".encode())


def sides(by_label=None, n_units=10, *, only_train=None, only_test=None, **keys):
    split = {f"split__{key}": value for key, value in keys.items()}
    chosen = params(runs__folds=[0], **split).split
    both = {"a": 300, "b": 150, "c": 90} if by_label is None else by_label
    by_role = {"both": both, "train": only_train or {}, "test": only_test or {}}
    return dataclasses.astuple(deal(by_role, n_units, chosen))


def test_three_folds_train_on_two_thirds():
    assert sides(balance="none") == (360, 0, 540, 3)


def test_balance_of_the_training_side_takes_the_least_class_of_each():
    assert sides(balance="train") == (180, 0, 540, 3)


def test_balance_of_all_comes_before_the_split():
    assert sides(balance="all") == (180, 0, 540, 3)
    assert sides(balance="all", validation="test") == (180, 90, 540, 3)


def test_holdout_leaves_its_fraction():
    assert sides(method="holdout", test_fraction=0.2, balance="none") == (432, 0, 540, 1)


def test_leave_one_out_leaves_one_unit_of_ten():
    assert sides(method="leave_one_out", balance="none") == (486, 0, 540, 10)


def test_validation_is_taken_from_the_training_side():
    assert sides(balance="none", validation="fraction", validation_fraction=0.25) == (270, 90, 540, 3)
    assert sides(balance="none", validation="test") == (360, 180, 540, 3)


def test_crossed_folds_train_on_what_shares_neither_value():
    # Two of three speakers and two of three sentences: 4 of 9 cells; one of 9 cells is tested.
    assert sides(by="speaker+sentence", n_folds=3, balance="none", validation="test") == (240, 60, 540, 9)


def test_what_is_for_training_only_is_always_there():
    both, more = {"a": 90, "b": 90}, {"a": 100, "b": 50}
    assert sides(both, only_train=more, balance="none") == (120 + 150, 0, 330, 3)
    assert sides({}, only_train=more, only_test={"a": 60}, method="holdout", balance="none", validation="test") == (
        150,
        60,
        210,
        1,
    )


def test_matched_tests_a_quarter_of_what_it_holds_out():
    options = {"method": "matched", "matched_on": "speaker", "test_fraction": 0.4, "validation": "test"}
    assert sides(balance="none", **options) == (324, 54, 540, 1)


def test_maps_classes_and_caps_apply_to_the_counts():
    clips = [clip(11), clip(11, "anger"), clip(11, "anger"), clip(11, "calm", corpus="other")]
    chosen = params(
        corpora=["made", "other"],
        split__use={"made": {"labels": {"joy": "happiness"}}, "other": {"role": "train", "labels": {"calm": None}}},
    )
    assert count_blocks(clips, chosen).by_label == {"anger": 20, "happiness": 10}
    assert count_blocks(clips, params(split__classes=["anger", "fear"])).by_label == {"anger": 20}
    capped = params(corpora=["made", "other"], split__use={"made": {"role": "train", "train_clips": 1}})
    assert count_blocks(clips[:2], capped).by_role["train"] == {"anger": 5, "joy": 5}


def test_every_key_of_the_split_is_known_here():
    # A new one may change the numbers: think of `deal`, then add it.
    ways = {
        "method",
        "n_folds",
        "test_fraction",
        "balance",
        "validation",
        "validation_fraction",
        "by",
        "use",
        "classes",
    }
    without_effect = {"stratify", "seed", "audit_fields", "matched_on", "absent_classes"}
    without_effect |= {"near_duplicates", "allow_leaks"}
    assert set(Split.model_fields) == ways | without_effect
