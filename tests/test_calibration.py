"""Calibration: errors, scores and bins by hand; the temperature that logits were multiplied by is found again."""

import math

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import log_loss

from pipeline.calibration import COLDEST, HOTTEST, fit_temperature, measure_calibration, reliability
from pipeline.metrics import softmax

# Answers of two classes: confidences 0.9 (right), 0.9 (wrong), 0.7 (right), 0.7 (right), 0.55 (wrong).
P = np.array([[0.9, 0.1], [0.1, 0.9], [0.7, 0.3], [0.3, 0.7], [0.55, 0.45]])
ACTUAL = np.array([0, 0, 0, 1, 1])


def measure(actual, probabilities, units=None, n_resamples=200, seed=0):
    units = np.arange(len(actual)) if units is None else units
    return measure_calibration(actual, probabilities, units, n_resamples=n_resamples, seed=seed)


def test_by_hand():
    found = measure(ACTUAL, P)
    assert found["confidence"] == 0.75
    # three bins: (2 |0.5 - 0.9| + 2 |1 - 0.7| + 1 |0 - 0.55|) / 5 = (0.8 + 0.6 + 0.55) / 5
    assert found["ece"] == 0.39
    # five rows, five bins of one: (0.1 + 0.9 + 0.3 + 0.3 + 0.55) / 5
    assert found["adaptive_ece"] == 0.43
    # 2 (0.01 + 0.81 + 0.09 + 0.09 + 0.3025) / 5
    assert found["brier"] == 0.521
    assert found["log_loss"] == round(-math.log(0.9 * 0.1 * 0.7 * 0.7 * 0.45) / 5, 4)


def test_bins_by_hand():
    rows = [(row.low, row.high, row.confidence, row.accuracy, row.n) for row in reliability(ACTUAL, P)]
    assert rows == [
        (0.5333, 0.6, 0.55, 0.0, 1),
        (0.6667, 0.7333, 0.7, 1.0, 2),
        (0.8667, 0.9333, 0.9, 0.5, 2),
    ]


def test_a_bin_holds_its_upper_end_and_not_its_lower_whatever_the_last_digit():
    almost = np.nextafter(0.6, 1)
    for confidence in (0.6, almost):
        (row,) = reliability(np.array([0]), np.array([[confidence, 1 - confidence]]))
        assert (row.low, row.high) == (0.5333, 0.6)
    (row,) = reliability(np.array([0]), np.array([[0.61, 0.39]]))
    assert (row.low, row.high) == (0.6, 0.6667)


def test_equal_bins_hold_equally_many():
    # 30 rows of confidences 0.51, 0.52, ..., every second right: bins of two rows, of which one is right
    confidence = 0.51 + 0.01 * np.arange(30)
    found = measure(np.tile([0, 1], 15), np.stack([confidence, 1 - confidence], axis=1))
    assert found["adaptive_ece"] == pytest.approx(np.abs(0.5 - confidence).mean(), abs=6e-5)


def test_sure_and_right_has_no_error_and_sure_and_wrong_a_finite_one():
    right = measure(np.array([0, 1, 1]), np.eye(2)[[0, 1, 1]])
    scores = ("ece", "adaptive_ece", "brier", "log_loss")
    assert [right[name] for name in scores] == [0, 0, 0, 0]
    assert str(right["log_loss"]) == "0.0"
    assert right["interval"]["ece"] == {"low": 0.0, "high": 0.0}
    wrong = measure(np.array([0, 0]), np.eye(2)[[1, 1]])
    assert [wrong[name] for name in scores] == [1, 1, 2, round(-math.log(1e-15), 4)]


def test_log_loss_is_scikit_learns():
    rng = np.random.default_rng(0)
    p, actual = rng.dirichlet(np.ones(4), 50), rng.integers(4, size=50)
    assert measure(actual, p)["log_loss"] == pytest.approx(log_loss(actual, p, labels=range(4)), abs=6e-5)


def test_the_interval_is_over_units():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), 120)
    actual = np.array([rng.choice(3, p=row) for row in p])
    alone = measure(actual, p, n_resamples=1000)
    assert alone["interval"]["ece"]["low"] < alone["ece"] < alone["interval"]["ece"]["high"]
    # every row ten times in its own unit: nothing new is known
    repeated = measure(np.repeat(actual, 10), np.repeat(p, 10, axis=0), np.repeat(np.arange(120), 10), n_resamples=1000)
    assert repeated["interval"] == alone["interval"]
    assert measure(actual, p, np.zeros(120, int))["interval"]["ece"] == {"low": None, "high": None}
    assert measure(actual, p, seed=1)["interval"] != measure(actual, p, seed=2)["interval"]
    assert measure(actual, p, seed=1) == measure(actual, p, seed=1)


def test_the_interval_is_that_of_an_independent_bootstrap():
    rng = np.random.default_rng(3)
    confidence = rng.uniform(0.5, 1, 300)
    p, actual = np.stack([confidence, 1 - confidence], axis=1), (rng.random(300) > 0.7).astype(int)

    def ece(rows):
        bins = np.ceil(confidence[rows] * 15)
        gaps = (actual[rows] == 0) - confidence[rows]
        return sum(abs(gaps[bins == one].sum()) for one in np.unique(bins)) / len(rows)

    # within the strata: the units of each class apart
    groups = [np.flatnonzero(actual == label) for label in (0, 1)]
    drawn = [ece(np.concatenate([rng.choice(group, len(group)) for group in groups])) for _ in range(2000)]
    found = measure(actual, p, n_resamples=2000)["interval"]["ece"]
    shift = ece(np.arange(300)) - np.mean(drawn)
    assert shift < 0
    assert (found["low"], found["high"]) == pytest.approx(np.quantile(drawn, [0.025, 0.975]) + shift, abs=0.006)


# temperature


def drawn_from(logits, seed=0):
    """Labels drawn from the probabilities of logits, which then are calibrated."""
    rng = np.random.default_rng(seed)
    return np.array([rng.choice(len(row), p=row) for row in softmax(logits)])


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0, 20.0])
def test_the_factor_of_the_logits_is_found(factor):
    logits = np.random.default_rng(1).normal(size=(4000, 3)) * 1.5
    actual = drawn_from(logits)
    found = fit_temperature(logits * factor, actual)
    assert found.value == pytest.approx(factor, rel=0.06)
    assert (found.n, found.found) == (4000, "fitted")
    # exactly proportional: the same minimum
    assert found.value == pytest.approx(factor * fit_temperature(logits, actual).value, rel=1e-4)


def test_no_other_temperature_loses_less():
    logits = np.random.default_rng(2).normal(size=(200, 4)) * 4
    actual = drawn_from(logits / 2.5)
    best = fit_temperature(logits, actual).value

    def loss(temperature):
        return -log_softmax(logits / temperature, axis=1)[np.arange(200), actual].mean()

    assert loss(best) <= min(loss(temperature) for temperature in np.geomspace(0.1, 90, 500))


def test_a_temperature_changes_no_answer_and_is_not_moved_by_a_shift():
    logits = np.random.default_rng(3).normal(size=(300, 3))
    actual = drawn_from(logits / 4)
    found = fit_temperature(logits, actual)
    assert softmax(logits / found.value).argmax(axis=1).tolist() == logits.argmax(axis=1).tolist()
    assert fit_temperature(logits + 1e4, actual).value == pytest.approx(found.value, rel=1e-4)
    assert fit_temperature(logits, actual) == found


def test_what_cannot_be_fitted_is_said():
    right = 5.0 * np.eye(3)[np.arange(30) % 3]
    labels = np.arange(30) % 3
    cold = fit_temperature(right, labels)
    assert (cold.value, cold.found) == (COLDEST, "at_bound")
    hot = fit_temperature(right, (labels + 1) % 3)
    assert (hot.value, hot.found) == (HOTTEST, "at_bound")
    few = fit_temperature(right[:9], labels[:9])
    assert (few.value, few.n, few.found) == (1.0, 9, "too_few")
    nothing = fit_temperature(np.zeros((0, 3)), labels[:0])
    assert (nothing.value, nothing.n) == (1.0, 0)
    alike = fit_temperature(np.full((30, 3), 7.0), labels)
    assert (alike.value, alike.found) == (1.0, "fitted")
