import dataclasses
from collections import Counter

import pytest
from split.cases import blocks_of, blocks_on, clip, many, split

from pipeline.errors import SplitError
from pipeline.split.selection import Use

# One corpus of 6 clips a class, one of 4; 3 blocks a clip.
SPEECH = many("x", [3] * 6, corpus="speech") + many("y", [3] * 6, corpus="speech")
CROWD = many("x", [3] * 4, corpus="crowd") + many("y", [3] * 4, corpus="crowd")
CROSS = {"speech": Use(role="train"), "crowd": Use(role="test")}


def corpora_on(rows, side, fold=0):
    return dict(Counter(row.block_id.split("/")[0] for row in rows if row.side == side and row.fold == fold))


def refusal(clips, **options):
    with pytest.raises(SplitError) as caught:
        split(clips, **options)
    return str(caught.value)


def test_training_on_one_corpus_and_testing_on_another():
    rows = split(SPEECH + CROWD, by="corpus", method="holdout", use=CROSS)
    assert corpora_on(rows, "train") == {"speech": 36}
    assert corpora_on(rows, "test") == {"crowd": 24}
    # Two corpora are too few to resample: intervals take clips, or speakers where all clips have one.
    assert {row.group for row in rows} == {each.clip_id for each in SPEECH + CROWD}
    spoken = [dataclasses.replace(each, fields={"speaker": each.corpus[0]}) for each in SPEECH + CROWD]
    assert {row.group for row in split(spoken, by="corpus", method="holdout", use=CROSS)} == {"s", "c"}


def test_a_corpus_for_training_is_in_every_fold_and_tested_in_none():
    rows = split(SPEECH + CROWD, use={"speech": Use(role="train")})
    for fold in range(3):
        assert corpora_on(rows, "train", fold)["speech"] == 36
        assert set(corpora_on(rows, "test", fold)) == {"crowd"}
    tested = Counter(row.block_id for row in rows if row.side == "test")
    assert len(tested) == 24
    assert set(tested.values()) == {1}


def test_a_corpus_for_testing_is_tested_once_and_dropped_else():
    rows = split(SPEECH + CROWD, use={"crowd": Use(role="test")})
    crowd = Counter((row.block_id, row.side) for row in rows if row.block_id.startswith("crowd"))
    assert Counter(side for _, side in crowd) == {"test": 24, "dropped": 24}
    assert all(n == (1 if side == "test" else 2) for (_, side), n in crowd.items())


def test_a_holdout_tests_all_of_what_is_for_testing_only_and_its_share_of_the_rest():
    rows = split(SPEECH + CROWD, method="holdout", test_fraction=1 / 3, use={"crowd": Use(role="test")})
    assert corpora_on(rows, "test") == {"crowd": 24, "speech": 12}
    assert corpora_on(rows, "train") == {"speech": 24}


def test_a_speaker_in_both_corpora_is_not_learned_from_where_he_is_tested():
    clips = [
        clip(f"{corpus}{speaker}{label}", label, corpus=corpus, speaker=speaker)
        for corpus in ("song", "speech")
        for speaker in "abc"
        for label in "xy"
    ]
    rows = split(clips, by="speaker", use={"speech": Use(role="train"), "song": Use(role="test")})
    for fold in range(3):
        own = [row for row in rows if row.fold == fold]
        tested = {row.group for row in own if row.side == "test"}
        assert len(tested) == 1
        assert {row.group for row in own if row.side == "train"} == {"a", "b", "c"} - tested
        assert {row.clip_id.split("/")[0] for row in own if row.side == "train"} == {"speech"}
        assert {row.clip_id.split("/")[0] for row in own if row.side == "test"} == {"song"}


def test_folds_that_would_all_train_on_the_same_are_refused():
    assert refusal(SPEECH + CROWD, use=CROSS) == (
        "split.method: kfold would train every fold on the same blocks, because no corpus has the role both: set "
        "split.method to holdout and runs.folds to [0]"
    )
    assert refusal(SPEECH, use={"speech": Use(role="train")}) == (
        "split.use: no corpus has the role both or test: that side would be empty"
    )


def test_caps_leave_random_clips_of_each_class_in_proportion():
    clips = many("x", [3] * 20, corpus="big") + many("y", [3] * 10, corpus="big") + CROWD
    use = {"big": Use(train_clips=6, test_clips=3)}
    rows = split(clips, use=use, method="holdout", test_fraction=0.3)
    for side, wanted in (("train", {"x": 4, "y": 2}), ("test", {"x": 2, "y": 1})):
        names = {row.clip_id: row.label for row in rows if row.side == side and row.clip_id.startswith("big")}
        assert Counter(names.values()) == wanted
    # The other corpus is not capped, and what the caps leave out is dropped, not moved.
    assert sum(row.side == "dropped" for row in rows if row.clip_id.startswith("crowd")) == 0
    assert sum(row.side == "dropped" for row in rows) == 3 * (30 - 6 - 3)
    assert rows != split(clips, use=use, method="holdout", test_fraction=0.3, seed=1)


def test_a_cap_takes_no_part_in_the_deal():
    capped, free = split(SPEECH, use={"speech": Use(train_clips=4)}), split(SPEECH)
    pairs = [(a.side, b.side) for a, b in zip(capped, free, strict=True)]
    assert set(pairs) == {("train", "train"), ("test", "test"), ("dropped", "train")}
    for fold in range(3):
        assert sum(blocks_on(capped, "train", fold).values()) == 4 * 3


def test_sides_do_not_depend_on_the_order_of_clips_and_blocks():
    use = {"speech": Use(train_clips=4), "crowd": Use(role="test", test_clips=6)}
    clips = SPEECH + CROWD
    one = {(r.fold, r.block_id): r.side for r in split(clips, use=use)}
    other = {(r.fold, r.block_id): r.side for r in split(clips[::-1], blocks_of(clips)[::-1], use=use)}
    assert one == other


# Classes that one side lacks: the test corpus has a class z, the training corpus a class w.

ABSENT = [*SPEECH, *many("w", [3] * 2, corpus="speech"), *CROWD, *many("z", [3] * 2, corpus="crowd")]


def absent(way):
    return split(ABSENT, by="corpus", method="holdout", use=CROSS, absent_classes=way)


def test_a_class_that_one_side_lacks_is_refused_by_name():
    message = refusal(ABSENT, by="corpus", method="holdout", use=CROSS)
    assert message.startswith("split: fold 0: the train side has no block of 'z' ('z' is in 1 of 2 units): ")
    assert "split.absent_classes" in message


def test_a_class_that_one_side_lacks_can_be_dropped_from_both():
    rows = absent("drop")
    assert blocks_on(rows, "train") == {"x": 18, "y": 18}
    assert blocks_on(rows, "test") == {"x": 12, "y": 12}
    assert blocks_on(rows, "dropped") == {"w": 6, "z": 6}


def test_a_class_that_one_side_lacks_can_be_kept():
    rows = absent("keep")
    assert blocks_on(rows, "train") == {"x": 18, "y": 18, "w": 6}
    assert blocks_on(rows, "test") == {"x": 12, "y": 12, "z": 6}


def test_leave_one_out_keeps_what_its_one_unit_lacks():
    clips = many("x", [2] * 3) + many("y", [2] * 3)
    rows = split(clips, method="leave_one_out", absent_classes="drop")
    assert {row.side for row in rows} == {"train", "test"}


def test_a_class_of_one_unit_is_dropped_from_the_fold_that_tests_it():
    clips = many("x", [2] * 4) + many("y", [2] * 4) + many("z", [2])
    rows = split(clips, n_folds=2, absent_classes="drop")
    for fold in range(2):
        assert blocks_on(rows, "dropped", fold) == {"z": 2}


def test_dropping_must_leave_two_classes():
    clips = many("x", [2] * 2, corpus="speech") + many("y", [2] * 2, corpus="speech") + many("x", [2], corpus="crowd")
    message = refusal(clips, by="corpus", method="holdout", use=CROSS, absent_classes="drop")
    assert message.startswith("split: fold 0: only 'x' is left to learn from, and two classes are needed: give the ")
