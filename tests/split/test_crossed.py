import pytest
from split.cases import OPTIONS, blocks_of, clip, split

from pipeline.errors import SplitError
from pipeline.split import Choices, describe_split

SPEAKERS, SENTENCES = "abcdef", "uvwxyz"
# Every speaker says every sentence in both emotions.
CLIPS = [
    clip(f"{speaker}{sentence}{label}", label, 1, speaker=speaker, sentence=sentence)
    for speaker in SPEAKERS
    for sentence in SENTENCES
    for label in ("joy", "sad")
]
FIELDS = {one.clip_id: one.fields for one in CLIPS}


def values(rows, side, fold, field):
    return {FIELDS[row.clip_id][field] for row in rows if row.side == side and row.fold == fold}


def test_each_fold_tests_new_speakers_with_new_sentences():
    rows = split(CLIPS, by="speaker+sentence")
    assert {row.fold for row in rows} == set(range(9))
    for fold in range(9):
        for field in ("speaker", "sentence"):
            assert len(values(rows, "test", fold, field)) == 2
            assert not values(rows, "test", fold, field) & values(rows, "train", fold, field)
        sides = [row.side for row in rows if row.fold == fold]
        assert (sides.count("test"), sides.count("train"), sides.count("dropped")) == (8, 32, 32)


def test_every_block_is_tested_once():
    tested = sorted(row.block_id for row in split(CLIPS, by="speaker+sentence") if row.side == "test")
    assert tested == sorted(block.block_id for block in blocks_of(CLIPS))


def test_the_group_is_the_first_field():
    assert {row.group for row in split(CLIPS, by="sentence+speaker")} == set(SENTENCES)


def test_a_holdout_takes_its_share_of_the_blocks():
    rows = split(CLIPS, by="speaker+sentence", method="holdout", test_fraction=1 / 9)
    sides = [row.side for row in rows]
    assert (sides.count("test"), sides.count("train")) == (8, 32)


def test_leave_one_out_leaves_out_a_pair():
    rows = split(CLIPS, by="speaker+sentence", method="leave_one_out")
    assert {row.fold for row in rows} == set(range(36))
    assert sum(row.side == "test" for row in rows if row.fold == 7) == 2
    assert sum(row.side == "train" for row in rows if row.fold == 7) == 2 * 5 * 5


def test_leave_one_out_makes_no_fold_of_a_pair_that_was_not_recorded():
    some = [one for one in CLIPS if (one.fields["speaker"], one.fields["sentence"]) != ("b", "v")]
    rows = split(some, by="speaker+sentence", method="leave_one_out")
    assert {row.fold for row in rows} == set(range(35))
    assert all(any(row.side == "test" and row.fold == fold for row in rows) for fold in range(35))


def test_validation_is_crossed_too():
    rows = split(CLIPS, by="speaker+sentence", validation="fraction", validation_fraction=0.25)
    for fold in range(9):
        for field in ("speaker", "sentence"):
            seen = [values(rows, side, fold, field) for side in ("train", "validation", "test")]
            assert [len(each) for each in seen] == [2, 2, 2]
            assert len(set.union(*seen)) == 6


def test_the_audit_looks_at_both_fields():
    choices = Choices(**(OPTIONS | {"by": "speaker+sentence"}))
    found = describe_split(split(CLIPS, by="speaker+sentence"), CLIPS, blocks_of(CLIPS), choices, audit_fields=())
    assert found["unit"] == "speaker"
    assert found["leakage"] == {
        "overlaps_training": 0.0,
        "clip_in_training": 0.0,
        "unit_in_training": 0.0,
        "speaker_in_training": 0.0,
        "sentence_in_training": 0.0,
    }
    by_speaker = split(CLIPS, by="speaker")
    found = describe_split(
        by_speaker, CLIPS, blocks_of(CLIPS), Choices(**(OPTIONS | {"by": "speaker"})), audit_fields=["sentence"]
    )
    assert (found["leakage"]["speaker_in_training"], found["leakage"]["sentence_in_training"]) == (0.0, 1.0)


def test_too_few_values_of_the_second_field_are_refused_by_its_name():
    few = [one for one in CLIPS if one.fields["sentence"] in "uv"]
    with pytest.raises(SplitError, match="2 sentences cannot make 3 folds"):
        split(few, by="speaker+sentence")
