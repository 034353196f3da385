"""Paired intervals against hand cases, a bootstrap drawn clip by clip with scikit-learn, and simulated truth."""

import dataclasses
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from pipeline.compare import Change, compare_answers, find_mismatches
from pipeline.errors import CompareError
from pipeline.metrics import SUMMARIES
from pipeline.store.tables import Answer

CLASSES = ("anger", "joy", "neutral")


def table(actual, predicted, units=None, clips=None, n=None):
    """One row per item; names of clips and units are made from their numbers."""
    clips = range(len(actual)) if clips is None else clips
    units = clips if units is None else units
    counts = [1] * len(actual) if n is None else n
    return [
        Answer(clip_id=f"clip{clip}", unit=f"unit{unit}", actual=CLASSES[a], predicted=CLASSES[p], n=times)
        for clip, unit, a, p, times in zip(clips, units, actual, predicted, counts, strict=True)
    ]


def compare(old, new, n_resamples=400, seed=0, **options):
    return compare_answers(old, new, n_resamples=n_resamples, seed=seed, **options)


# by hand


def test_the_same_answers_have_an_interval_of_nothing():
    actual = np.arange(30) % 3
    answers = np.random.default_rng(0).integers(0, 3, 30)
    for change in compare(table(actual, answers), table(actual, answers)).values():
        assert (change.low, change.high) == (0.0, 0.0)
        assert change.old == change.new
        assert not np.signbit([change.low, change.high]).any()


def test_all_right_to_all_wrong_leaves_no_doubt():
    actual = np.arange(12) % 3
    changes = compare(table(actual, actual), table(actual, (actual + 1) % 3))
    assert changes == {name: Change(1.0, 0.0, -1.0, -1.0) for name in SUMMARIES}


def test_a_class_of_its_own_stratum_falls_by_its_share():
    # every joy lost, nothing else: the recall of one of three classes, in every resample
    actual = np.repeat([0, 1, 2], [6, 3, 2])
    changes = compare(table(actual, actual), table(actual, np.where(actual == 1, 0, actual)))
    assert changes["uar"] == Change(1.0, pytest.approx(2 / 3), -0.3333, -0.3333)
    assert changes["accuracy"] == Change(1.0, pytest.approx(8 / 11), -0.2727, -0.2727)


def test_a_class_that_could_not_be_learned_counts_in_accuracy_only():
    # anger 3 and 4 of 4, joy 2 of 2, neutral 1 and 0 of 2. Of anger's four draws B(4, 1/4) are the one that was won:
    # P(0) > 0.025, P(more than 3) < 0.025 < P(more than 2); a half of each fourth
    actual = np.repeat([0, 1, 2], [4, 2, 2])
    old, new = table(actual, [0, 0, 0, 1, 1, 1, 2, 0]), table(actual, [0, 0, 0, 0, 1, 1, 0, 0])
    found = compare(old, new, n_resamples=20_000, untrained=["neutral"])
    assert found["uar"] == Change(0.875, 1.0, 0.0, 0.375)
    assert (found["accuracy"].old, found["accuracy"].new) == (6 / 8, 6 / 8)
    # F1 of anger: 6 / (4 + 4), 8 / (4 + 6); of joy 4 / (2 + 3), 1
    assert found["macro_f1"].old == pytest.approx((6 / 8 + 4 / 5) / 2)
    assert found["macro_f1"].new == pytest.approx((8 / 10 + 1) / 2)
    assert compare(old, new)["uar"].new == pytest.approx(2 / 3)


def test_equal_scores_by_other_clips_differ_by_zero_within_chance():
    actual = np.zeros(40, dtype=int)
    old, new = np.where(np.arange(40) < 10, 1, 0), np.where(np.arange(40) >= 30, 1, 0)
    change = compare(table(actual, old), table(actual, new))["accuracy"]
    assert change.old == change.new == 0.75
    assert change.low < 0 < change.high


def test_the_order_of_rows_and_split_rows_do_not_matter():
    rng = np.random.default_rng(1)
    actual = np.arange(24) % 3
    old, new = (table(actual, rng.integers(0, 3, 24), n=[3] * 24) for _ in range(2))
    split = [dataclasses.replace(row, n=n) for row in new for n in (1, 2)]
    expected = compare(old, new)
    shuffled = [split[i] for i in rng.permutation(len(split))]
    assert compare(old[::-1], shuffled) == expected


def test_one_unit_gives_scores_but_no_interval():
    change = compare(table([0, 1, 2], [0, 1, 2], units=[0] * 3), table([0, 1, 2], [0, 0, 0], units=[0] * 3))["uar"]
    assert change == Change(1.0, pytest.approx(1 / 3), None, None)


def test_pairing_sees_what_two_separate_intervals_cannot():
    # 60 % right on hard and easy clips alike; the new one loses five clips that the old one had
    rng = np.random.default_rng(2)
    actual = np.zeros(100, dtype=int)
    old = (rng.random(100) > 0.6).astype(int)
    new = old.copy()
    new[np.flatnonzero(old == 0)[:6]] = 1
    change = compare(table(actual, old), table(actual, new), n_resamples=2000)["accuracy"]
    assert change.new - change.old == pytest.approx(-0.06)
    assert -0.12 <= change.low < change.high < 0


# an independent oracle


def slow_bootstrap(actual, old, new, units, n_resamples, rng):
    """Draw units within the sets of classes they hold, one by one; score both by scikit-learn."""
    holds = {unit: frozenset(actual[units == unit]) for unit in np.unique(units)}
    strata = [[unit for unit in holds if holds[unit] == held] for held in set(holds.values())]
    score = {
        "accuracy": accuracy_score,
        "uar": balanced_accuracy_score,
        "macro_f1": lambda a, p: f1_score(a, p, labels=np.unique(a), average="macro", zero_division=0),
    }
    found = {name: [] for name in score}
    rows_of = {unit: np.flatnonzero(units == unit) for unit in holds}
    for _ in range(n_resamples):
        drawn = [rows_of[unit] for stratum in strata for unit in rng.choice(stratum, len(stratum))]
        rows = np.concatenate(drawn)
        with warnings.catch_warnings():  # it warns of answers that are no actual class
            warnings.simplefilter("ignore")
            for name, function in score.items():
                found[name].append(function(actual[rows], new[rows]) - function(actual[rows], old[rows]))
    return found


def test_intervals_are_those_of_drawing_clip_by_clip():
    rng = np.random.default_rng(3)
    units = np.repeat(np.arange(36), rng.integers(1, 5, 36))
    actual = units % 3
    old, new = (np.where(rng.random(len(units)) < p, actual, rng.integers(0, 3, len(units))) for p in (0.7, 0.5))
    slow = slow_bootstrap(actual, old, new, units, 600, rng)
    fast = compare(table(actual, old, units), table(actual, new, units), n_resamples=20000)
    for name, values in slow.items():
        spread = np.std(values)
        # a quantile of 600 draws at 0.025 is off by about 0.11 of their deviation
        assert fast[name].low == pytest.approx(np.quantile(values, 0.025), abs=0.4 * spread)
        assert fast[name].high == pytest.approx(np.quantile(values, 0.975), abs=0.4 * spread)
    assert fast["uar"].old == pytest.approx(balanced_accuracy_score(actual, old))
    assert fast["accuracy"].new == pytest.approx(accuracy_score(actual, new))


def test_interval_of_independent_clips_is_that_of_a_paired_difference():
    # 200 of 1000 lost, 100 won: the difference has variance (d - (b - c)^2 / n) / n^2 with d = b + c
    old = np.repeat([0, 0, 1, 1], [600, 200, 100, 100])
    new = np.repeat([0, 1, 0, 1], [600, 200, 100, 100])
    change = compare(table([0] * 1000, old), table([0] * 1000, new), n_resamples=20000)["accuracy"]
    half = 1.96 * np.sqrt(300 - 100**2 / 1000) / 1000
    assert change.low == pytest.approx(-0.1 - half, abs=0.002)
    assert change.high == pytest.approx(-0.1 + half, abs=0.002)


# properties

items = st.integers(2, 30).flatmap(
    lambda n: st.tuples(*(st.lists(st.integers(0, 2), min_size=n, max_size=n) for _ in range(4)))
)


@given(items, st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_swapping_old_and_new_negates_every_change(case, seed):
    actual, old, new, units = case
    there = compare(table(actual, old, units), table(actual, new, units), n_resamples=50, seed=seed)
    back = compare(table(actual, new, units), table(actual, old, units), n_resamples=50, seed=seed)
    for name, change in there.items():
        assert (change.old, change.new) == (back[name].new, back[name].old)
        if change.low is None:
            assert back[name].low is None
            continue
        assert (change.low, change.high) == (-back[name].high, -back[name].low)
        assert -1 <= change.low <= change.high <= 1


# simulated truth


def simulated(rng, p_old, p_new, actual, shared):
    """Two systems' answers; of the clips, a share `shared` is hard or easy for both alike."""
    luck = rng.random((2, len(actual)))
    luck[1] = np.where(rng.random(len(actual)) < shared, luck[0], luck[1])
    hit = luck < np.array([[p_old], [p_new]])
    return [np.where(row, actual, (actual + 1) % 3) for row in hit]


@pytest.mark.parametrize("counts", [(6, 9, 3), (20, 20, 20)])
@pytest.mark.parametrize("shared", [0.0, 0.7])
def test_models_of_equal_truth_are_rarely_told_apart(counts, shared):
    rng = np.random.default_rng(4)
    actual = np.repeat([0, 1, 2], counts)
    trials, below = 400, 0
    for trial in range(trials):
        old, new = simulated(rng, 0.75, 0.75, actual, shared)
        below += compare(table(actual, old), table(actual, new), n_resamples=200, seed=trial)["uar"].high < 0
    assert below / trials <= 0.05


def test_a_real_fall_is_found():
    rng = np.random.default_rng(5)
    actual = np.repeat([0, 1, 2], 20)
    found = 0
    for trial in range(100):
        old, new = simulated(rng, 0.9, 0.6, actual, 0.7)
        found += compare(table(actual, old), table(actual, new), n_resamples=200, seed=trial)["uar"].high < 0
    assert found >= 95


# what may not be compared

BASE = {"actual": [0, 1, 2, 0], "predicted": [0, 1, 2, 1]}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"clips": [0, 1, 2, 7]}, "1 test clip only in the old table, the first is clip3; 1 test clip only in the new"),
        ({"actual": [0, 1, 2, 2]}, r"1 test clip with another label, the first is clip3 \(1 anger, now 1 neutral\)"),
        ({"units": [0, 1, 2, 2]}, r"another unit, the first is clip3 \(1 unit3, now 1 unit2\)"),
        (
            {"n": [1, 2, 1, 3]},
            r"2 test clips with another number of items, the first is clip1 \(1 items, now 2 items\)",
        ),
    ],
)
def test_other_tests_are_not_compared(changed, message):
    with pytest.raises(CompareError, match=message):
        compare(table(**BASE), table(**{**BASE, **changed}))


def test_other_answers_alone_are_no_mismatch():
    assert find_mismatches(table(**BASE), table(BASE["actual"], [2, 2, 2, 2])) == []


def test_nothing_is_not_compared():
    with pytest.raises(CompareError, match="no answers"):
        compare([], [])
