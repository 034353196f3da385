import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.features.anomalies import fit_replacements


def replaced_in(features, seed):
    """Fitted on features, and applied to them."""
    return fit_replacements(features, np.random.default_rng(seed)).apply(features)


def table(n=5000, seed=0):
    """Features (n, 3): normal, log-normal, and one that is mostly 0."""
    rng = np.random.default_rng(seed)
    third = np.where(rng.uniform(size=n) < 0.7, 0, rng.uniform(100, 300, n))
    return np.stack([rng.normal(50, 2, n), rng.lognormal(0, 0.3, n), third], axis=1).astype(np.float32)


def test_sound_features_are_left_as_they_are():
    features = table()
    replaced, counts = replaced_in(features, 1)
    np.testing.assert_array_equal(replaced, features)
    assert counts.tolist() == [0, 0, 0]


def test_anomalies_become_the_median_and_are_counted():
    features = table()
    features[[3, 4, 5, 6], 0] = [np.nan, np.inf, -np.inf, 1e6]
    features[7, 1] = 400
    features[8, 2] = np.nan
    replaced, counts = replaced_in(features, 1)
    assert counts.tolist() == [4, 1, 1]
    np.testing.assert_allclose(replaced[3:7, 0], 50, atol=0.3)  # one value for all of them
    assert len(set(replaced[3:7, 0].tolist())) == 1
    assert replaced[7, 1] == pytest.approx(1, abs=0.05)
    assert replaced[8, 2] == 0
    untouched = np.ones(features.shape, bool)
    untouched[[3, 4, 5, 6, 7, 8], [0, 0, 0, 0, 1, 2]] = False
    np.testing.assert_array_equal(replaced[untouched], features[untouched])


def test_the_median_is_of_a_thousand_seeded_points():
    features = table()
    features[0, 0] = np.nan
    one, two, other = (replaced_in(features, seed)[0][0, 0] for seed in (1, 1, 2))
    assert one == two != other
    few = features[:600]  # fewer than a thousand: all of them
    expected = np.float32(np.median(few[1:, 0].astype(np.float64)))
    assert replaced_in(few, 3)[0][0, 0] == expected


def test_the_rule_by_hand():
    # median 5, deviations 0 to 5, their median 2.5: 10 x 1.4826 x 2.5 = 37.065
    column = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], np.float32)[:, None]
    deviation = np.median(np.abs(column - 5))
    rule = fit_replacements(column, np.random.default_rng(0))
    assert rule.high[0] == pytest.approx(5 + 14.826 * deviation)
    assert rule.low[0] == pytest.approx(5 - 14.826 * deviation)
    replaced, counts = rule.apply(np.array([[rule.high[0] - 0.01], [rule.high[0] + 0.01], [-500]], np.float32))
    assert counts.tolist() == [2]
    assert replaced[1:, 0].tolist() == [5, 5]


def test_what_was_learnt_on_training_blocks_is_applied_to_others():
    rule = fit_replacements(table(), np.random.default_rng(1))
    others = np.array([[np.nan, 1, 0], [51, 1e9, 250]], np.float32)
    replaced, counts = rule.apply(others)
    assert counts.tolist() == [1, 1, 0]
    assert replaced[0, 0] == np.float32(rule.median[0])
    assert replaced[1].tolist() == [51, np.float32(rule.median[1]), 250]


def test_constant_columns_lose_no_finite_value():
    features = np.full((20, 1), 3, np.float32)
    features[0] = 1e30
    replaced, counts = replaced_in(features, 0)
    assert counts.tolist() == [0]
    assert replaced[0, 0] == np.float32(1e30)


def test_a_feature_without_a_finite_value_is_refused():
    with pytest.raises(ModelError, match="feature 1 of 2: none of 3 blocks has a finite value"):
        fit_replacements(np.array([[1, np.nan]] * 3, np.float32), np.random.default_rng(0))
