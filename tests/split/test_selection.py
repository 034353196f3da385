import pytest
from split.cases import clip

from pipeline.errors import SplitError
from pipeline.split.selection import Use, select_clips

CLIPS = [
    clip("a", "joy", corpus="crowd"),
    clip("b", "anger", corpus="crowd"),
    clip("c", "happiness", corpus="speech"),
    clip("d", "boredom", corpus="speech"),
    clip("e", "anger", corpus="speech"),
]


def labels(**options):
    chosen = {"use": {}, "classes": ()} | options
    return {row.clip_id: row.label for row in select_clips(CLIPS, **chosen).clips}


def test_without_choices_every_clip_keeps_its_label():
    selection = select_clips(CLIPS, use={}, classes=())
    assert selection.clips == CLIPS
    assert selection.unused == {}


def test_a_map_renames_one_corpus_labels_and_leaves_out_the_empty_ones():
    use = {"crowd": Use(labels={"joy": "happiness"}), "speech": Use(labels={"boredom": None})}
    assert labels(use=use) == {
        "crowd/a": "happiness",
        "crowd/b": "anger",
        "speech/c": "happiness",
        "speech/e": "anger",
    }
    assert select_clips(CLIPS, use=use, classes=()).unused == {"speech": {"boredom": 1}}


def test_labels_may_be_exchanged():
    assert labels(use={"crowd": Use(labels={"joy": "anger", "anger": "joy"})})["crowd/a"] == "anger"


def test_classes_are_those_after_the_maps():
    use = {"crowd": Use(labels={"joy": "happiness"})}
    selection = select_clips(CLIPS, use=use, classes=("happiness",))
    assert [row.clip_id for row in selection.clips] == ["crowd/a", "speech/c"]
    assert selection.unused == {"crowd": {"anger": 1}, "speech": {"anger": 1, "boredom": 1}}


def test_a_label_that_no_clip_has_is_refused_by_name():
    with pytest.raises(SplitError) as caught:
        labels(use={"crowd": Use(labels={"jou": "joy"})})
    assert str(caught.value) == ("split.use.crowd.labels: no clip of crowd is labelled 'jou': it has 'anger', 'joy'")
    with pytest.raises(SplitError, match=r"split.classes: no clip is labelled 'calm': these corpora have 'anger', "):
        labels(classes=("anger", "calm"))


def test_a_class_that_results_have_for_all_together_is_refused_before_training():
    clips = [clip("a", "joy"), clip("b", "total")]
    with pytest.raises(SplitError, match="a class is labelled 'total'"):
        select_clips(clips, use={}, classes=())
    renamed = {"demo": Use(labels={"total": "all"})}
    assert [row.label for row in select_clips(clips, use=renamed, classes=()).clips] == ["joy", "all"]
    assert len(select_clips(clips, use={"demo": Use(labels={"total": None})}, classes=()).clips) == 1
    assert len(select_clips(clips, use={}, classes=("joy",)).clips) == 1
