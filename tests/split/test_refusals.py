import pytest
from split.cases import blocks_on, clip, many, split

from pipeline.errors import SplitError
from pipeline.split import refusals
from pipeline.split.selection import Use

LEAVE = "record more of it or leave it out"


def refusal(clips, **options):
    with pytest.raises(SplitError) as caught:
        split(clips, **options)
    return str(caught.value)


@pytest.mark.parametrize("method", ["holdout", "kfold", "leave_one_out"])
def test_a_class_with_one_clip_is_refused_whatever_the_seed(method):
    clips = many("joy", [3] * 6) + many("neutral", [5])
    expected = f"split: class 'neutral' has 1 clip, and 2 sides need one each: {LEAVE}"
    assert {refusal(clips, method=method, n_folds=2, seed=seed) for seed in range(100)} == {expected}


def test_two_clips_of_one_sound_count_as_one_and_the_message_says_so():
    clips = [*many("joy", [3] * 6), clip("n1", "neutral", pcm="same"), clip("n2", "neutral", pcm="same")]
    assert refusal(clips, method="holdout") == (
        "split: class 'neutral' has 1 clip, where clips of the same sound count as one, and 2 sides need one each: "
        + LEAVE
    )


def test_too_many_folds_for_the_rarest_class_are_refused_with_the_number_that_works():
    clips = many("joy", [3] * 9) + many("sad", [3] * 4) + many("fear", [3] * 3)
    assert refusal(clips, n_folds=5) == (
        "split: class 'fear' has 3 clips; class 'sad' has 4 clips, and 5 folds need one each: "
        f"set split.n_folds to at most 3, or {LEAVE}"
    )
    split(clips, n_folds=3)
    split(clips, n_folds=3, validation="fraction")


def test_fewer_units_than_folds_are_refused_with_the_number_that_works():
    clips = many("joy", [3] * 3) + many("sad", [3] * 2)
    assert refusal(clips, n_folds=10) == "split: 5 clips cannot make 10 folds: set split.n_folds to at most 2"
    assert refusal(clips, n_folds=10, validation="fraction").endswith(
        "cannot make 10 folds: use more recordings, or split by what there is more of, such as clip"
    )


@pytest.mark.parametrize("method", ["holdout", "leave_one_out"])
def test_a_validation_side_needs_a_third_unit_of_each_class(method):
    clips = many("joy", [3] * 6) + many("sad", [3] * 2)
    assert refusal(clips, method=method, validation="fraction") == (
        f"split: class 'sad' has 2 clips, and 3 sides need one each: set split.validation to none, or {LEAVE}"
    )
    split(clips, method=method)


def test_a_validation_side_of_kfold_needs_a_third_unit_too():
    clips = many("joy", [3] * 6) + many("sad", [3] * 2)
    fix = "3 sides need one each: set split.validation to none"
    assert f"{fix}, or" in refusal(clips, n_folds=2, validation="fraction")
    assert f"{fix} and split.n_folds to 2, or" in refusal(clips, n_folds=3, validation="fraction")
    split(clips, n_folds=2)


@pytest.mark.parametrize(
    ("clips", "found"), [([], "no blocks"), (many("joy", [3] * 9), "only one class, 'joy'")], ids=["none", "one"]
)
@pytest.mark.parametrize("balance", ["none", "train", "all"])
def test_fewer_than_two_classes_are_refused(clips, found, balance):
    assert refusal(clips, balance=balance) == (
        f"split: {found}: there is nothing to tell apart; name corpora with two classes or more, or keep "
        "more of them (split.classes, split.use)"
    )


def test_a_class_of_one_corpus_cannot_be_split_by_corpus():
    clips = many("joy", [3] * 2) + many("sad", [3] * 2) + [clip("a", "joy", corpus="other")]
    message = refusal(clips, by="corpus", method="leave_one_out")
    assert message == f"split: class 'sad' has 1 corpus, and 2 sides need one each: {LEAVE}"
    both = [*clips, clip("b", "sad", corpus="other")]
    assert refusal(both, by="corpus", n_folds=3).startswith("split: 2 corpora cannot make 3 folds")


def test_without_stratifying_a_class_missing_from_a_side_is_still_refused():
    clips = many("joy", [3] * 30) + many("sad", [3] * 2)
    messages = set()
    for seed in range(20):
        try:
            rows = split(clips, method="holdout", stratify=False, seed=seed)
        except SplitError as error:
            messages.add(str(error))
        else:
            assert set(blocks_on(rows, "test")) == set(blocks_on(rows, "train")) == {"joy", "sad"}
    assert (
        "split: fold 0: the test side has no block of 'sad' ('sad' is in 2 of 32 units): set split.stratify to true, "
        "or try another split.seed or another share for that side, or set split.absent_classes to drop or keep"
        in messages
    )


def test_the_fixes_that_are_named_are_those_of_the_method_and_of_what_limits_the_sides():
    clips = many("joy", [3] * 9) + many("sad", [3] * 9)
    capped = {"demo": Use(train_clips=1)}
    assert refusal(clips, n_folds=2, use=capped).endswith(
        "units): give it other roles, labels or larger caps in split.use, or try another split.seed or more folds, "
        "or set split.absent_classes to drop or keep"
    )
    split(clips, n_folds=2, use={"demo": Use(train_clips=2)})


def test_more_folds_are_named_where_training_is_too_small_to_take_validation_from():
    # Of each class the longest clip is as long as the other three together: one fold learns from that clip alone.
    clips = [each for label in ("joy", "sad") for each in many(label, [7, 4, 2, 1])]
    with_validation = {"n_folds": 2, "validation": "fraction"}
    message = refusal(clips, **with_validation)
    assert "the validation side has no block of" in message
    assert "try another split.seed or more folds or another share" in message
    split(clips, **{**with_validation, "n_folds": 3})


def test_a_class_that_others_can_do_without_may_be_dropped_as_the_message_says():
    clips = many("joy", [3] * 6) + many("sad", [3] * 6) + many("rare", [3])
    assert refusal(clips).endswith(f"{LEAVE}, or set split.absent_classes to drop or keep")
    split(clips, absent_classes="drop")
    split(clips, absent_classes="keep")


@pytest.mark.parametrize("absent", ["refuse", "drop", "keep"])
@pytest.mark.parametrize("method", ["holdout", "kfold", "leave_one_out"])
def test_units_that_are_joined_into_one_cannot_be_split(method, absent):
    clips = [
        clip(f"{label}{i}", label, corpus=corpus) for label in "ab" for i in range(3) for corpus in ("here", "there")
    ]
    pair = [("here/a0", "there/a0")]
    message = refusal(clips, by="corpus", method=method, n_folds=2, absent_classes=absent, joined=pair)
    assert message == (
        "split: 1 corpus, where clips of the same sound count as one, and two sides need one each: "
        "split by what there is more of, such as clip"
    )
    split(clips, by="clip", method=method, n_folds=2, absent_classes=absent, joined=pair)


@pytest.mark.parametrize("absent", ["drop", "keep"])
def test_fewer_units_than_folds_with_classes_that_may_be_absent(absent):
    shared = many("a", [3] * 2, corpus="x") + many("b", [3] * 2, corpus="x")
    clips = [*shared, *many("a", [3] * 2, corpus="y"), *many("b", [3] * 2, corpus="y"), *many("c", [3], corpus="y")]
    message = refusal(clips, by="corpus", n_folds=3, absent_classes=absent)
    assert message == "split: 2 corpora cannot make 3 folds: set split.n_folds to at most 2"
    split(clips, by="corpus", n_folds=2, absent_classes=absent)


@pytest.mark.parametrize("absent", ["drop", "keep"])
def test_a_validation_side_of_nothing_is_refused(absent):
    clips = [clip(f"{label}{s}", label, speaker=s) for label in "ab" for s in "12"]
    message = refusal(clips, by="speaker", n_folds=2, validation="fraction", absent_classes=absent)
    assert message.startswith("split: fold 0: nothing is left to validate on: raise split.validation_fraction")
    split(clips, by="speaker", n_folds=2, validation="test", absent_classes=absent)


@pytest.mark.parametrize("method", ["holdout", "kfold"])
def test_no_fold_is_left_out_because_it_has_nothing_to_test(method):
    # All of a speaker's two sentences at once: no pair of other sentences and speakers is left in some folds.
    clips = [clip(f"{label}{s}", label, speaker=s, sentence=t) for label in "ab" for s, t in ("1u", "2v", "3w")]
    message = refusal(clips, by="speaker+sentence", method=method, absent_classes="keep")
    assert "nothing is left to" in message


def test_a_fold_whose_only_class_is_dropped_may_keep_it_as_the_message_says():
    clips = many("joy", [3] * 2) + many("sad", [3] * 2) + many("rare", [3])
    assert refusal(clips, method="leave_one_out", absent_classes="drop") == (
        "split: fold 2: nothing is left to test: use method kfold with few folds, or set split.absent_classes to keep, "
        "or use other fields, labels or roles"
    )
    split(clips, method="leave_one_out", absent_classes="keep")
    split(clips, method="kfold", n_folds=2, absent_classes="drop")


def test_a_deal_that_no_stratifying_can_make_is_refused_by_fold_and_side():
    # Each class has two speakers, but whichever way the three go, one of two sides lacks a class.
    pairs = {"s1": ("a", "b"), "s2": ("b", "c"), "s3": ("a", "c")}
    clips = [clip(f"{s}{label}", label, speaker=s) for s, labels in pairs.items() for label in labels]
    message = refusal(clips, by="speaker", n_folds=2)
    assert message.startswith("split: fold 0: the t")
    assert "side has no block of '" in message
    assert "is in 2 of 3 units): try another split.seed" in message


def test_leave_one_out_needs_no_class_on_its_test_side():
    clips = many("joy", [3] * 2) + many("sad", [3] * 2)
    rows = split(clips, method="leave_one_out")
    assert [set(blocks_on(rows, "test", fold)) for fold in range(4)] == [{"joy"}, {"joy"}, {"sad"}, {"sad"}]


def test_a_table_past_all_measure_is_refused_before_it_is_made(monkeypatch):
    monkeypatch.setattr(refusals, "MAX_ROWS", 500)
    clips = many("joy", [15] * 2) + many("sad", [15] * 2)
    assert refusal(clips, by="block", method="leave_one_out") == (
        "split: 60 folds of 60 blocks make more than 500 rows: use method kfold with n_folds of at most 8"
    )
    split(clips, by="block", method="kfold", n_folds=8)


def test_blocks_dropped_before_the_split_do_not_count_as_units():
    # After balancing, three blocks of joy are left, of three clips at most.
    clips = many("joy", [1] * 50) + many("sad", [1] * 3)
    assert "class 'joy' has 3 clips; class 'sad' has 3 clips, and 4 folds need one each" in refusal(
        clips, n_folds=4, balance="all"
    )
