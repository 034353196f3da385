import numpy as np
import pytest
from split.cases import block, blocks_of, clip

from pipeline.errors import SplitError
from pipeline.split.units import find_units


def groups(clips, by="clip"):
    units = find_units(clips, blocks_of(clips), by=by)
    return {b.clip_id.removeprefix("demo/"): units.names[u] for b, u in zip(units.blocks, units.unit, strict=True)}


def test_a_clip_is_a_unit_and_so_is_a_block_by_name():
    clips = [clip("b", "joy", 2), clip("a", "anger", 1)]
    assert groups(clips) == {"a": "demo/a", "b": "demo/b"}
    units = find_units(clips, blocks_of(clips), by="block")
    assert [units.names[u] for u in units.unit] == ["demo/b@0", "demo/b@10", "demo/a@0"]
    assert units.classes == ("anger", "joy")
    assert units.count(np.array([True, False, True])).tolist() == [[1, 0], [0, 1], [0, 0]]


def test_a_field_and_the_corpus_are_units_across_clips():
    clips = [
        clip("a", "x", speaker="p/1"),
        clip("b", "y", speaker="p/2"),
        clip("c", "y", speaker="p/1", corpus="other"),
    ]
    assert groups(clips, "speaker") == {"a": "p/1", "b": "p/2", "other/c": "p/1"}
    assert groups(clips, "corpus") == {"a": "demo", "b": "demo", "other/c": "other"}


def test_equal_sound_joins_clips_and_events_that_overlap_do_transitively():
    clips = [
        clip("a", "x", pcm="same"),
        clip("b", "x", pcm="same"),
        clip("r#1", "x", 3, path="r", start_seconds=0.0),  # 0 to 4 s
        clip("r#2", "x", 3, path="r", start_seconds=3.5, pcm="again"),
        clip("r#3", "x", 3, path="r", start_seconds=7.5),  # touches the second, 3.5 to 7.5
        clip("z", "x", pcm="again"),
    ]
    assert groups(clips) == {
        "a": "demo/a+demo/b",
        "b": "demo/a+demo/b",
        "r#1": "demo/r#1+demo/r#2+demo/z",
        "r#2": "demo/r#1+demo/r#2+demo/z",
        "z": "demo/r#1+demo/r#2+demo/z",
        "r#3": "demo/r#3",
    }
    assert find_units(clips, blocks_of(clips), by="clip").joined == 2
    assert len(set(groups(clips, "corpus").values())) == 1


def test_a_long_event_joins_all_that_it_spans():
    clips = [clip("r#0", "x", 29, path="r")] + [
        clip(f"r#{i}", "x", 1, path="r", start_seconds=5.0 * i) for i in (1, 2, 3)
    ]
    assert set(groups(clips).values()) == {"demo/r#0+3 more"}


def test_events_that_only_touch_after_rounding_to_samples_stay_apart():
    clips = [clip("r#0", "x", 3, path="r"), clip("r#1", "x", 3, path="r", start_seconds=3.9999)]
    assert groups(clips) == {"r#0": "demo/r#0", "r#1": "demo/r#1"}


def test_the_same_path_in_two_corpora_is_two_recordings():
    clips = [clip("a", "x"), clip("a", "x", corpus="other")]
    assert groups(clips) == {"a": "demo/a", "other/a": "other/a"}


def test_speakers_with_one_sound_are_joined_by_name():
    clips = [clip(f"c{i}", "x", speaker=f"s{i}", pcm="same") for i in range(5)] + [clip("d", "x", speaker="s9")]
    assert groups(clips, "speaker")["c3"] == "s0+4 more"
    assert groups(clips, "speaker")["d"] == "s9"
    one_speaker = [clip("a", "x", speaker="s", pcm="same"), clip("b", "x", speaker="s", pcm="same")]
    assert find_units(one_speaker, blocks_of(one_speaker), by="speaker").joined == 0


def test_only_the_recordings_themselves_are_units():
    one = clip("a", "x")
    units = find_units([one], [block(one, 0), block(one, 0, variant=1)], by="clip")
    assert [b.variant for b in units.blocks] == [0]


def test_a_clip_without_blocks_needs_no_field():
    clips = [clip("a", "x", speaker="s"), clip("short", "x")]
    units = find_units(clips, blocks_of(clips[:1]), by="speaker")
    assert units.names == ("s",)


def test_a_missing_field_is_refused_with_those_that_all_clips_have():
    clips = [
        clip("a", "x", speaker="s", event="e"),
        clip("b", "x", event="e", session="1"),
        clip("c", "x", event="e", corpus="other"),
    ]
    with pytest.raises(SplitError) as caught:
        find_units(clips, blocks_of(clips), by="speaker")
    assert str(caught.value) == (
        "split.by: 2 of 3 clips have no 'speaker' (corpora demo, other; first: demo/b): fill it in, leave those "
        "corpora out, or split by what all clips have: block, clip, corpus, event"
    )


@pytest.mark.parametrize(
    ("clips", "by", "message"),
    [
        ([clip("a", "x")], "label", "split.by: label would put whole classes on one side"),
        ([clip("a", "x"), clip("a", "x")], "clip", "clip demo/a is listed twice"),
        ([clip("a", "x", pcm="p"), clip("b", "y", pcm="p")], "clip", "demo/a and demo/b hold the same sound under two"),
        (
            [clip("a", "x", pcm="p"), clip("b", "y", pcm="p")],
            "block",
            "'x' and 'y': correct one of each, give both one name in split.use, or",
        ),
    ],
)
def test_what_cannot_be_a_unit_is_refused(clips, by, message):
    with pytest.raises(SplitError, match=message):
        find_units(clips, blocks_of(clips), by=by)


def test_blocks_of_unknown_clips_and_blocks_listed_twice_are_refused():
    known, unknown = clip("a", "x", 1), clip("b", "x", 1)
    with pytest.raises(SplitError, match=r"1 of 2 blocks belong to no known clip \(first: demo/b@0 of demo/b\)"):
        find_units([known], blocks_of([known, unknown]), by="clip")
    with pytest.raises(SplitError, match="block demo/a@0 is listed 2 times"):
        find_units([known], blocks_of([known]) * 2, by="clip")


def test_all_pairs_with_two_labels_are_counted():
    clips = [clip(f"{label}{number}", label, pcm=f"p{number}") for label in "xy" for number in range(4)]
    with pytest.raises(SplitError, match="and so do 3 more pairs: correct one of each"):
        find_units(clips, blocks_of(clips), by="clip")
