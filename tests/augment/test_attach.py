import dataclasses
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from split.cases import RATE, block, blocks_of, clip, many, split

from pipeline.augment.attach import LEAK, attach_variants
from pipeline.errors import SplitError
from pipeline.store.tables import SplitRow

CLIPS = many("joy", [3, 2, 4, 3, 2, 5]) + many("anger", [2, 2, 3, 4, 3, 3])


def altered(clips, *, variants=(1, 2), n_blocks=2):
    return {
        number: [block(each, start, variant=number) for each in clips for start in range(0, n_blocks * RATE, RATE)]
        for number in variants
    }


def row(clip_id, start, side, *, fold=0, group="", label="joy"):
    return SplitRow(
        block_id=f"{clip_id}@{start}", clip_id=clip_id, group=group or clip_id, label=label, fold=fold, side=side
    )


def sides_of(rows):
    """Sides of each clip's blocks in each fold."""
    sides = defaultdict(set)
    for each in rows:
        sides[each.fold, each.clip_id].add(each.side)
    return sides


def test_every_altered_block_of_training_clips_is_added_in_each_fold():
    rows = split(CLIPS, validation="fraction", validation_fraction=0.3)
    added = attach_variants(rows, altered(CLIPS))
    for fold in range(3):
        of_clip = {
            (each.clip_id, each.group, each.label) for each in rows if each.fold == fold and each.side == "train"
        }
        found = Counter((each.clip_id, each.group, each.label) for each in added if each.fold == fold)
        assert found == dict.fromkeys(of_clip, 4)
    assert {each.side for each in added} == {"train"}


def test_rows_are_ordered_by_fold_variant_and_then_as_given():
    one, two = clip("b", "joy"), clip("a", "joy")
    rows = [row(each.clip_id, 0, "train", fold=fold) for fold in (1, 0) for each in (one, two)]
    blocks = altered([one, two], variants=(2, 1), n_blocks=1)
    assert [(each.fold, each.block_id) for each in attach_variants(rows, blocks)] == [
        (fold, f"demo/{name}~{variant}@0") for fold in (0, 1) for variant in (1, 2) for name in ("b", "a")
    ]


@pytest.mark.parametrize("judged", ["validation", "test"])
def test_a_clip_on_two_sides_is_refused_by_name(judged):
    torn = clip("torn", "joy")
    rows = [row(torn.clip_id, 0, "train"), row(torn.clip_id, 10, "train", fold=1)]
    assert attach_variants(rows, altered([torn]))
    with pytest.raises(SplitError) as refusal:
        attach_variants([*rows, row(torn.clip_id, 10, judged, fold=1)], altered([torn]))
    assert "fold 1: demo/torn:" in str(refusal.value)
    assert LEAK in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_refusal_names_three_clips_and_counts_the_others():
    clips = [clip(f"c{i}", "joy") for i in range(5)]
    rows = [row(each.clip_id, start, side) for each in clips for start, side in ((0, "train"), (10, "test"))]
    with pytest.raises(SplitError, match="demo/c0, demo/c1, demo/c2 and 2 more: blocks on"):
        attach_variants(rows, altered(clips))


def test_clips_that_are_not_learned_from_get_nothing_and_dropped_blocks_do_not_matter():
    learned, watched, tested, dropped, unused = (clip(name, "joy") for name in ("a", "b", "c", "d", "e"))
    rows = [
        row(learned.clip_id, 0, "train"),
        row(learned.clip_id, 10, "dropped"),
        row(watched.clip_id, 0, "validation"),
        row(tested.clip_id, 0, "test"),
        row(tested.clip_id, 10, "dropped"),
        row(dropped.clip_id, 0, "dropped"),
    ]
    added = attach_variants(rows, altered([learned, watched, tested, dropped, unused]))
    assert {each.clip_id for each in added} == {learned.clip_id}
    assert len(added) == 4


def test_a_split_by_block_is_refused_but_where_nothing_was_altered():
    rows = split(CLIPS, by="block")
    with pytest.raises(SplitError, match="split by clip"):
        attach_variants(rows, altered(CLIPS))
    assert attach_variants(rows, {0: blocks_of(CLIPS), 1: []}) == []


def test_blocks_that_are_groups_of_their_own_stay_so():
    one = clip("a", "joy")
    rows = [row(one.clip_id, start, "train", group=f"{one.clip_id}@{start}") for start in (0, 10)]
    assert [each.group for each in attach_variants(rows, altered([one], variants=(1,)))] == [
        "demo/a~1@0",
        "demo/a~1@10",
    ]


def test_blocks_of_another_variant_known_to_the_split_or_listed_twice_are_refused():
    one = clip("a", "joy")
    rows = [row(one.clip_id, 0, "train")]
    with pytest.raises(SplitError, match="of variant 2 is listed under variant 1"):
        attach_variants(rows, {1: [block(one, 0, variant=2)]})
    with pytest.raises(SplitError, match="of variant 1 is listed under variant 0"):
        attach_variants(rows, {0: [block(one, 0, variant=1)]})
    same_name = dataclasses.replace(block(one, 0, variant=1), block_id="demo/a@0")
    with pytest.raises(SplitError, match="demo/a@0 of variant 1 is in the split or listed twice"):
        attach_variants(rows, {1: [same_name]})
    with pytest.raises(SplitError, match="listed twice"):
        attach_variants(rows, {1: [block(one, 0, variant=1)] * 2})


def test_balanced_gives_each_class_as_many_altered_blocks_whatever_the_order():
    clips = many("joy", [9] * 6) + many("anger", [2] * 6)
    rows = split(clips, balance="train")
    blocks = {1: [dataclasses.replace(b, variant=1, block_id=f"{b.block_id}~1") for b in blocks_of(clips)]}
    added = attach_variants(rows, blocks, balanced=True, seed=4)
    for fold in range(3):
        assert Counter(each.label for each in added if each.fold == fold) == {"joy": 8, "anger": 8}
    turned = attach_variants(rows[::-1], {1: blocks[1][::-1]}, balanced=True, seed=4)
    names = [sorted((each.fold, each.block_id) for each in one) for one in (added, turned)]
    assert names[0] == names[1]
    assert added != attach_variants(rows, blocks, balanced=True, seed=5)


def test_balancing_with_a_class_that_has_no_altered_block_is_refused():
    clips = many("joy", [3, 3]) + many("anger", [3, 3])
    rows = [row(each.clip_id, 0, "train", label=each.label) for each in clips]
    with pytest.raises(SplitError, match="class 'anger' has no altered block"):
        attach_variants(rows, altered(clips[:2]), balanced=True)
    assert attach_variants(rows, {}, balanced=True) == []


def test_the_leak_deals_altered_blocks_to_all_sides_as_the_split_deals_its_own():
    clips = many("joy", [12] * 5) + many("anger", [6] * 5)
    rows = split(clips, by="block", validation="fraction")
    blocks = altered(clips, variants=(1, 2, 3), n_blocks=4)
    added = attach_variants(rows, blocks, allowed=True, seed=1)
    assert len(added) == 3 * 3 * 40
    for fold in range(3):
        for label in ("joy", "anger"):
            own, new = (
                Counter(each.side for each in table if each.fold == fold and each.label == label)
                for table in (rows, added)
            )
            # 60 altered blocks of each class: of joy as many as its own, of anger twice as many.
            assert new == {side: n * 60 // own.total() for side, n in own.items()}
    tested = Counter(each.block_id for each in added if each.side == "test")
    assert set(tested.values()) == {1}
    assert len(tested) == 120
    assert all(each.group == each.block_id for each in added)
    assert added == attach_variants(rows, blocks, allowed=True, seed=1)
    assert added != attach_variants(rows, blocks, allowed=True, seed=2)
    turned = attach_variants(
        rows[::-1], {number: of_one[::-1] for number, of_one in blocks.items()}, allowed=True, seed=1
    )
    assert {(each.fold, each.block_id, each.side) for each in turned} == {
        (each.fold, each.block_id, each.side) for each in added
    }


def test_the_leak_leaves_out_clips_that_are_not_used():
    used, unused = clip("a", "joy"), clip("b", "fear")
    added = attach_variants([row(used.clip_id, 0, "test")], altered([used, unused]), allowed=True)
    assert {each.clip_id for each in added} == {used.clip_id}
    assert {each.side for each in added} == {"test"}


SIDES = st.sampled_from(["train", "train", "validation", "test", "dropped"])


@st.composite
def any_split(draw):
    """Any sides whatever of the blocks of some clips in some folds, mostly each clip's own, and altered blocks."""
    clips = [clip(f"c{i}", draw(st.sampled_from(["joy", "anger"])), 3) for i in range(draw(st.integers(1, 6)))]
    rows = []
    for fold in range(draw(st.integers(1, 3))):
        for each in clips:
            own = draw(SIDES)
            whole = draw(st.integers(0, 4)) > 0
            rows += [
                row(each.clip_id, start, own if whole else draw(SIDES), fold=fold, label=each.label)
                for start in range(0, draw(st.integers(0, 3)) * RATE, RATE)
            ]
    blocks = altered(clips, variants=range(draw(st.integers(1, 3)) + 1), n_blocks=draw(st.integers(1, 3)))
    blocks.pop(0)
    return draw(st.permutations(rows)), blocks


def check(rows, blocks, **options):
    """Attach; see that nothing altered is judged by, or made from what is, in any fold. False: refused."""
    sides = sides_of(rows)
    has_altered = {each.clip_id for of_one in blocks.values() for each in of_one}
    torn = any("train" in of and of & {"validation", "test"} and name in has_altered for (_, name), of in sides.items())
    try:
        added = attach_variants(rows, blocks, **options)
    except SplitError as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        assert torn or "no altered block" in refusal
        return False
    assert not torn
    known = {each.block_id: each for of_one in blocks.values() for each in of_one}
    for each in added:
        assert each.side == "train"
        assert known[each.block_id].variant > 0
        assert known[each.block_id].clip_id == each.clip_id
        assert "train" in sides[each.fold, each.clip_id]
        assert not sides[each.fold, each.clip_id] & {"validation", "test"}
    if not options:
        wanted = {
            (fold, each.block_id)
            for fold, name in sides
            if "train" in sides[fold, name]
            for each in known.values()
            if each.clip_id == name
        }
        assert {(each.fold, each.block_id) for each in added} == wanted
    assert len({(each.fold, each.block_id) for each in added}) == len(added)
    return True


@settings(max_examples=200, deadline=None)
@given(any_split(), st.booleans())
def test_no_altered_copy_is_judged_by_or_made_from_what_is(case, balanced):
    check(*case, **({"balanced": True} if balanced else {}))


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["clip", "speaker", "speaker+sentence", "block"]),
    st.sampled_from(["kfold", "holdout", "leave_one_out"]),
    st.sampled_from(["none", "fraction", "test"]),
    st.sampled_from(["none", "train", "all"]),
    st.integers(0, 5),
)
def test_no_split_of_ours_lets_an_altered_copy_be_judged(by, method, validation, balance, seed):
    clips = [
        clip(f"{label}{i}", label, 2 + i % 3, speaker=f"s{i % 4}", sentence=f"t{i // 4}")
        for label in ("joy", "anger")
        for i in range(16)
    ]
    options = {"by": by, "method": method, "validation": validation, "balance": balance, "seed": seed, "n_folds": 2}
    try:
        rows = split(clips, **options, test_fraction=0.3)
    except SplitError:
        return
    attached = check(rows, altered(clips))
    assert attached or by == "block"
