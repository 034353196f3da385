"""Metrics against values by hand, scikit-learn, a bootstrap drawn unit by unit, and simulated truth."""

import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    recall_score,
)

from pipeline import metrics
from pipeline.errors import MetricsError
from pipeline.metrics import confusion, evaluate_level, pool_by_clip, scores, softmax, spread

CLASSES = ("anger", "joy", "neutral")


def one_hot(answers, n_classes=3):
    return np.eye(n_classes)[np.asarray(answers)]


def evaluate(actual, answers, units=None, *, classes=CLASSES, n_resamples=200, seed=0, **options):
    actual = np.asarray(actual)
    units = np.arange(len(actual)) if units is None else np.asarray(units)
    return evaluate_level(
        actual,
        one_hot(answers, len(classes)),
        units,
        classes=classes,
        unit_name="clip",
        n_resamples=n_resamples,
        seed=seed,
        **options,
    )


# softmax


def test_softmax_by_hand():
    logits = np.log([[1.0, 2.0, 5.0], [3.0, 3.0, 2.0]])
    np.testing.assert_allclose(softmax(logits), [[0.125, 0.25, 0.625], [0.375, 0.375, 0.25]])


def test_softmax_of_large_logits_neither_overflows_nor_loses_the_row():
    np.testing.assert_allclose(softmax(np.array([[1000.0, 0.0], [-2000.0, -2000.0]])), [[1, 0], [0.5, 0.5]])


def test_softmax_of_float32_is_float64():
    assert softmax(np.zeros((2, 3), dtype=np.float32)).dtype == np.float64


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_softmax_counts_rows_that_are_not_finite(bad):
    logits = np.zeros((5, 3))
    logits[1] = bad
    logits[4, 2] = bad
    with pytest.raises(MetricsError, match="2 of 5 rows"):
        softmax(logits)


# pooling


def test_pooling_averages_the_blocks_of_a_clip_in_any_order():
    probabilities = np.array([[0.8, 0.2], [0.1, 0.9], [0.4, 0.6], [0.3, 0.7]])
    pooled = pool_by_clip(probabilities, np.array([1, 0, 1, 1]))
    np.testing.assert_allclose(pooled, [[0.1, 0.9], [0.5, 0.5]])


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ([0, 1], "3 rows of probabilities for 2"),
        ([0, 2, 2], "1 clips have no block, the first is number 1"),
        ([0, -1, 1], "clip index -1"),
    ],
)
def test_pooling_refuses_indexes_that_do_not_fit(index, message):
    with pytest.raises(MetricsError, match=message):
        pool_by_clip(np.full((3, 2), 0.5), np.array(index))


# confusion


def test_confusion_has_a_row_per_actual_class():
    matrix = confusion(np.array([0, 0, 0, 1, 2]), np.array([0, 1, 1, 1, 0]), n_classes=4)
    assert matrix.tolist() == [[1, 2, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_confusion_of_nothing_is_zero():
    empty = np.array([], dtype=np.int64)
    assert confusion(empty, empty, n_classes=2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("actual", "predicted", "message"),
    [
        ([0, 3], [0, 0], "1 labels outside 0..2, the first is 3"),
        ([0, -1], [0, 0], "the first is -1"),
        ([0, 1], [0, 7], "1 answers outside 0..2, the first is 7"),
        ([0, 1], [0], "2 labels for 1 answers"),
    ],
)
def test_confusion_refuses_what_is_no_class(actual, predicted, message):
    with pytest.raises(MetricsError, match=message):
        confusion(np.array(actual), np.array(predicted), n_classes=3)


# scores


def test_scores_by_hand():
    # recalls 3/4, 1/2, 0; precisions 3/4, 1/3, 0 of none
    found = scores(np.array([[3, 1, 0], [1, 1, 0], [0, 1, 0]]))
    assert found["accuracy"] == pytest.approx(4 / 7)
    assert found["uar"] == pytest.approx((3 / 4 + 1 / 2 + 0) / 3)
    assert found["macro_f1"] == pytest.approx((6 / 8 + 2 / 5 + 0) / 3)
    np.testing.assert_allclose(found["recall"], [3 / 4, 1 / 2, 0])


def test_an_absent_class_has_no_recall_and_no_part_in_the_means():
    found = scores(np.array([[2, 0, 2], [0, 4, 0], [0, 0, 0]]))
    np.testing.assert_array_equal(found["recall"], [0.5, 1, np.nan])
    assert found["uar"] == 0.75
    assert found["macro_f1"] == pytest.approx((4 / 6 + 1) / 2)


def test_a_class_that_could_not_be_learned_is_wrong_in_accuracy_only():
    # neutral's two rows are answered with anger and joy; recalls 3/4, 2/2; anger is answered 4 times, joy 4 times
    found = scores(np.array([[3, 1, 0], [0, 2, 0], [1, 1, 0]]), learned=np.array([True, True, False]))
    assert found["accuracy"] == 5 / 8
    assert found["uar"] == (3 / 4 + 1) / 2
    assert found["macro_f1"] == pytest.approx((6 / 8 + 4 / 6) / 2)
    np.testing.assert_array_equal(found["recall"], [3 / 4, 1, np.nan])


def test_a_class_never_answered_counts_as_zero():
    found = scores(np.array([[4, 0], [4, 0]]))
    assert (found["uar"], found["macro_f1"]) == (0.5, pytest.approx((8 / 12 + 0) / 2))


def test_scores_of_nothing_are_nan_without_a_warning():
    found = scores(np.zeros((2, 2)))
    assert all(np.isnan(value).all() for value in found.values())


def test_scores_run_over_leading_axes():
    rng = np.random.default_rng(0)
    matrices = rng.integers(0, 5, (2, 5, 3, 3))
    together = scores(matrices)
    assert together["recall"].shape == (2, 5, 3)
    for place in np.ndindex(2, 5):
        alone = scores(matrices[place])
        for name, values in together.items():
            np.testing.assert_array_equal(values[place], alone[name])


labels = st.integers(2, 6).flatmap(
    lambda k: st.tuples(
        st.just(k), hnp.arrays(np.int64, st.tuples(st.just(2), st.integers(1, 40)), elements=st.integers(0, k - 1))
    )
)


@given(labels)
@settings(max_examples=150, deadline=None)
def test_scores_agree_with_scikit_learn(case):
    k, (actual, predicted) = case
    present = np.unique(actual)
    matrix = confusion(actual, predicted, n_classes=k)
    found = scores(matrix)
    np.testing.assert_array_equal(matrix, confusion_matrix(actual, predicted, labels=np.arange(k)))
    assert found["accuracy"] == pytest.approx(accuracy_score(actual, predicted))
    f1 = f1_score(actual, predicted, labels=present, average="macro", zero_division=0)
    assert found["macro_f1"] == pytest.approx(f1)
    recall = recall_score(actual, predicted, labels=present, average=None, zero_division=0)
    np.testing.assert_allclose(found["recall"][present], recall)
    assert np.isnan(np.delete(found["recall"], present)).all()
    with warnings.catch_warnings():  # it warns of answers that are no actual class
        warnings.simplefilter("ignore")
        assert found["uar"] == pytest.approx(balanced_accuracy_score(actual, predicted))


# evaluate_level


def test_level_by_hand():
    level = evaluate([0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1], [7, 7, 9, 4, 4, 5])
    assert (level["accuracy"], level["uar"], level["macro_f1"]) == (0.8333, 0.8333, round((4 / 5 + 6 / 7) / 2, 4))
    assert level["recall"] == {"anger": 0.6667, "joy": 1.0, "neutral": None}
    assert level["n"] == {"total": 6, "anger": 3, "joy": 3, "neutral": 0}
    assert (level["unit"], level["n_units"], level["few_units"]) == ("clip", 4, True)
    assert level["n_units_by_class"] == {"anger": 2, "joy": 2, "neutral": 0}
    # anger's two clips: both the right one, both the wrong one, or one of each
    assert level["interval"]["recall"] == {
        "anger": {"low": 0.0, "high": 1.0},
        "joy": {"low": 1.0, "high": 1.0},
        "neutral": {"low": None, "high": None},
    }


def test_level_of_a_class_that_could_not_be_learned_by_hand():
    actual, answers = [0, 0, 0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 1, 0, 1]
    level = evaluate(actual, answers, n_resamples=100_000, learned=np.array([True, True, False]))
    assert level["recall"] == {"anger": 0.75, "joy": 1.0, "neutral": None}
    assert (level["accuracy"], level["uar"], level["macro_f1"]) == (0.625, 0.875, 0.7083)
    assert level["n"] == {"total": 8, "anger": 4, "joy": 2, "neutral": 2}
    assert level["n_units_by_class"] == {"anger": 4, "joy": 2, "neutral": 2}
    # h of anger's four draws are right, h ~ B(4, 3/4): P(h = 0) < 0.025 < P(h <= 1), P(h = 4) > 0.025. Of neutral's two
    # draws a are answered with anger: macro-F1 is (2 h / (4 + h + a) + 4 / (10 - h - a)) / 2, whose quantiles are those
    # of h = 1, a = 1 (P = 0.0039 of less, 0.0273 with it) and of h = 4, a = 2 (P = 0.0791).
    assert level["interval"] == {
        "accuracy": {"low": 3 / 8, "high": 6 / 8},
        "uar": {"low": 0.625, "high": 1.0},
        "macro_f1": {"low": 0.4167, "high": 0.9},
        "recall": {
            "anger": {"low": 0.25, "high": 1.0},
            "joy": {"low": 1.0, "high": 1.0},
            "neutral": {"low": None, "high": None},
        },
    }


def test_level_is_strict_json_of_plain_values():
    level = evaluate([0, 0, 1, 1], [0, 1, 1, 1])
    assert json.loads(json.dumps(level, allow_nan=False)) == level


def test_ties_go_to_the_first_class():
    probabilities = np.array([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4]])
    level = evaluate_level(
        np.array([0, 1]), probabilities, np.arange(2), classes=CLASSES, unit_name="clip", n_resamples=10, seed=0
    )
    assert level["accuracy"] == 1


def test_one_unit_gives_scores_but_no_interval():
    level = evaluate([0, 0, 1, 2], [0, 1, 1, 2], [5, 5, 5, 5])
    assert (level["accuracy"], level["n_units"], level["few_units"]) == (0.75, 1, True)
    nothing = {"low": None, "high": None}
    assert level["interval"] == {
        "accuracy": nothing,
        "uar": nothing,
        "macro_f1": nothing,
        "recall": dict.fromkeys(CLASSES, nothing),
    }


def test_few_units_are_flagged_below_the_limit_only():
    assert evaluate([0, 1] * 10, [0, 1] * 10)["few_units"] is False
    assert evaluate([0, 1] * 9 + [0], [0, 1] * 9 + [0])["few_units"] is True
    assert evaluate([0, 1], [0, 1], few_units=2)["few_units"] is False


def test_a_class_of_three_clips_keeps_three_in_every_resample():
    actual = [0] * 97 + [1] * 3
    answers = [0] * 97 + [1, 1, 0]
    recall = evaluate(actual, answers, n_resamples=4000)["interval"]["recall"]["joy"]
    assert recall == {"low": 0.0, "high": 1.0}  # (1/3)**3 = 3.7 % of resamples hold no hit, (2/3)**3 hold three
    by_unit = one_hot(np.array(actual))[:, :, None] * one_hot(np.array(answers))[:, None, :]
    drawn = np.concatenate(list(metrics.resample(by_unit.astype(np.int64), n_resamples=500, seed=1)))
    np.testing.assert_array_equal(drawn.sum(axis=2), np.tile([97, 3, 0], (500, 1)))


def test_units_alone_with_their_classes_vary_together():
    # four speakers, no two with the same set of classes: strata of one would never vary
    units = np.array([0, 0, 1, 1, 2, 2, 3])
    level = evaluate([0, 1, 1, 2, 0, 2, 0], [0, 1, 0, 0, 0, 2, 1], units, n_resamples=500)
    for name in ("accuracy", "uar", "macro_f1"):
        assert level["interval"][name]["low"] < level[name] < level["interval"][name]["high"]


def test_intervals_follow_the_seed():
    rng = np.random.default_rng(3)
    actual, answers = rng.integers(0, 3, (2, 60))
    first = evaluate(actual, answers, seed=1)
    assert first == evaluate(actual, answers, seed=1)
    assert first["interval"] != evaluate(actual, answers, seed=2)["interval"]


def test_intervals_do_not_depend_on_the_order_of_rows_or_the_size_of_chunks(monkeypatch):
    rng = np.random.default_rng(4)
    actual, answers = rng.integers(0, 3, (2, 90))
    units = rng.integers(0, 30, 90)
    whole = evaluate(actual, answers, units)
    order = rng.permutation(90)
    assert evaluate(actual[order], answers[order], units[order]) == whole
    monkeypatch.setattr(metrics, "CHUNK_BYTES", 3000)  # a few resamples at a time
    assert evaluate(actual, answers, units) == whole


def test_resamples_are_those_of_drawing_unit_by_unit():
    rng = np.random.default_rng(5)
    units = np.repeat(np.arange(40), rng.integers(1, 6, 40))
    actual = (units % 3)[: len(units)]
    answers = np.where(rng.random(len(units)) < 0.6, actual, rng.integers(0, 3, len(units)))
    slow = {"accuracy": [], "uar": [], "macro_f1": []}
    rows_of = [np.flatnonzero(units == unit) for unit in range(40)]
    for _ in range(1500):
        drawn = [
            rng.choice(np.arange(40)[np.arange(40) % 3 == name], size=len(range(name, 40, 3))) for name in range(3)
        ]
        rows = np.concatenate([rows_of[unit] for unit in np.concatenate(drawn)])
        found = scores(confusion(actual[rows], answers[rows], n_classes=3))
        for name, values in slow.items():
            values.append(found[name])
    interval = evaluate(actual, answers, units, n_resamples=20000)["interval"]
    for name, values in slow.items():
        low, high = np.quantile(values, [0.025, 0.975])
        # a quantile of 1500 draws is off by about 0.07 of their deviation
        assert interval[name]["low"] == pytest.approx(low, abs=0.3 * np.std(values))
        assert interval[name]["high"] == pytest.approx(high, abs=0.3 * np.std(values))


def test_interval_of_independent_units_is_the_binomial_one():
    n, hits = 1000, 800
    interval = evaluate([0] * n, [0] * hits + [1] * (n - hits), n_resamples=20000)["interval"]["accuracy"]
    half = 1.96 * math.sqrt(0.8 * 0.2 / n)
    assert interval["low"] == pytest.approx(0.8 - half, abs=0.002)
    assert interval["high"] == pytest.approx(0.8 + half, abs=0.002)


def test_rows_that_repeat_their_unit_add_no_certainty():
    actual, answers = np.zeros(50, dtype=np.int64), np.array([0] * 35 + [1] * 15)
    units = np.repeat(np.arange(50), 20)
    single = evaluate(actual, answers, n_resamples=1000)
    repeated = evaluate(np.repeat(actual, 20), np.repeat(answers, 20), units, n_resamples=1000)
    assert repeated["interval"]["accuracy"] == single["interval"]["accuracy"]
    blind = evaluate(np.repeat(actual, 20), np.repeat(answers, 20), n_resamples=1000)["interval"]["accuracy"]
    width = single["interval"]["accuracy"]["high"] - single["interval"]["accuracy"]["low"]
    assert width == pytest.approx(math.sqrt(20) * (blind["high"] - blind["low"]), rel=0.15)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    # 60 speakers, each with a hit rate of its own around 0.7, eight blocks each
    rng = np.random.default_rng(6)
    units, covered = np.repeat(np.arange(60), 8), 0
    actual = np.repeat(np.arange(60) % 2, 8)
    for trial in range(300):
        hit = rng.random(480) < np.repeat(rng.beta(7, 3, 60), 8)
        interval = evaluate(actual, np.where(hit, actual, 2), units, seed=trial)["interval"]["uar"]
        covered += interval["low"] <= 0.7 <= interval["high"]
    assert 0.90 <= covered / 300 <= 0.98  # 0.95, less what 30 units a stratum cost, +- 3 sd of 300 trials


@given(labels, st.integers(1, 8))
@settings(max_examples=40, deadline=None)
def test_any_level_is_finite_ordered_and_complete(case, n_units):
    k, (actual, answers) = case
    classes = [f"class {name}" for name in range(k)]
    units = np.arange(len(actual)) % n_units
    level = evaluate(actual, answers, units, classes=classes, n_resamples=20)
    json.dumps(level, allow_nan=False)
    assert list(level["recall"]) == classes
    assert [level["recall"][name] is None for name in classes] == [level["n"][name] == 0 for name in classes]
    summaries = [level["interval"][name] for name in metrics.SUMMARIES]
    for bounds in [*summaries, *level["interval"]["recall"].values()]:
        assert bounds["low"] is None or 0 <= bounds["low"] <= bounds["high"] <= 1


def _level_of(actual=(0, 1), probabilities=((1, 0), (0, 1)), units=(0, 1), classes=("a", "b")):
    return evaluate_level(
        np.array(actual, dtype=np.int64),
        np.array(probabilities, dtype=np.float64).reshape(-1, 2),
        np.array(units, dtype=np.int64),
        classes=classes,
        unit_name="clip",
        n_resamples=10,
        seed=0,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"actual": (), "probabilities": (), "units": ()}, "no rows to score"),
        ({"actual": (0, 1, 1)}, "3 labels, 2 rows of probabilities, 2 units"),
        ({"units": (0,)}, "2 labels, 2 rows of probabilities, 1 units"),
        ({"actual": (0, 2)}, "1 labels outside 0..1, the first is 2"),
        ({"probabilities": ((1, 0), (np.nan, 1))}, "1 of 2 rows of probabilities hold NaN"),
        ({"probabilities": ((1, 0), (0.5, 0.49))}, "1 of 2 rows do not sum to 1 but, the first, to 0.99"),
        ({"probabilities": ((1, 0), (-0.5, 1.5))}, "a probability of -0.5"),
        ({"classes": ("a", "b", "c")}, r"shape \(2, 2\) for 3 classes"),
        ({"classes": ("a", "a")}, "names must differ"),
        ({"classes": ("a", "total")}, "none may be total"),
    ],
)
def test_level_refuses_what_no_number_may_be_written_from(changes, message):
    with pytest.raises(MetricsError, match=message):
        _level_of(**changes)


def test_level_allows_the_rounding_of_float32():
    assert _level_of(probabilities=((0.9995, 0), (0, 1.0005)))["accuracy"] == 1


def test_every_field_of_the_level_is_there():
    names = {
        "accuracy",
        "uar",
        "macro_f1",
        "recall",
        "n",
        "interval",
        "unit",
        "n_units",
        "n_units_by_class",
        "few_units",
    }
    assert set(_level_of()) == names


# spread


def test_spread_by_hand():
    members = [{"accuracy": a, "uar": u, "macro_f1": 0.5} for a, u in ((0.5, 0.2), (0.7, 0.4), (0.9, 0.9))]
    found = spread(members)
    assert found["accuracy"] == {"mean": 0.7, "sd": 0.2}
    assert found["uar"] == {"mean": 0.5, "sd": 0.3606}  # sqrt((0.09 + 0.01 + 0.16) / 2)
    assert found["macro_f1"] == {"mean": 0.5, "sd": 0.0}


def test_spread_of_one_member_has_no_deviation():
    assert spread([evaluate([0, 1], [0, 1])])["uar"] == {"mean": 1.0, "sd": None}


def test_spread_of_no_member_is_refused():
    with pytest.raises(MetricsError, match=r"runs\.members"):
        spread([])
