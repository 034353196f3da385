"""The regression against scikit-learn's, in pieces of any size; what it keeps on disk goes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from pipeline import baselines, regression
from pipeline.baselines import fit_regression
from pipeline.errors import MetricsError
from pipeline.regression import fit, standard
from pipeline.store.scratch import ScratchRows


def on_disk(rows, folder=None):
    kept = ScratchRows(folder, rows.dtype, rows.shape[1:])
    kept.append(rows)
    return kept


def by_scikit_learn(features, labels):
    """Probabilities at the optimum: its direct solver goes on until nothing changes."""
    model = LogisticRegression(C=1.0, class_weight="balanced", tol=1e-12, solver="newton-cholesky", max_iter=1000)
    return model.fit(features, labels).predict_proba(features)


@pytest.mark.parametrize("n_classes", [2, 3, 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "d"), [(300, 1), (300, 12), (60, 90)])
def test_probabilities_are_those_of_scikit_learn(n, d, dtype, n_classes):
    rng = np.random.default_rng(n_classes)
    shares = rng.dirichlet([2] * n_classes)
    labels = np.concatenate([np.arange(n_classes), rng.choice(n_classes, n - n_classes, p=shares)])
    features = rng.normal(3, 0.2, (n, d)).astype(dtype)
    features[:, 0] += dtype(0.1) * labels.astype(dtype)
    features = (features @ np.linalg.qr(rng.normal(size=(d, d)))[0]).astype(dtype)  # columns that belong together
    expected = by_scikit_learn(StandardScaler().fit_transform(features.astype(np.float64)), labels)
    with on_disk(features) as rows:
        found = fit(rows, labels, n_classes=n_classes).probabilities(features)
    np.testing.assert_allclose(found, expected, atol=1e-8)
    assert found.std() > 0.05  # they say something


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(2, 80),
    d=st.integers(1, 5),
    n_classes=st.integers(2, 4),
    n_constant=st.integers(0, 2),
    piece_bytes=st.sampled_from([1, 16 * 8, 17 * 8 * 3, 2**20]),
    seed=st.integers(0, 99),
)
def test_pieces_of_any_size_give_the_same(n, d, n_classes, n_constant, piece_bytes, seed):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, n)])
    features = rng.normal(-4, 3, (len(labels), d)) + labels[:, None]
    features = np.column_stack([features, np.full((len(labels), n_constant), 0.1)])
    expected = by_scikit_learn(StandardScaler().fit_transform(features[:, :d]), labels)
    with pytest.MonkeyPatch.context() as patch, on_disk(features) as rows:
        patch.setattr(regression, "PIECE_BYTES", piece_bytes)
        model = fit(rows, labels, n_classes=n_classes)
    assert not model.weights[d:].any()
    np.testing.assert_allclose(model.probabilities(features), expected, atol=1e-8)


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_columns_are_brought_to_mean_0_and_deviation_1_and_constant_ones_to_0(monkeypatch, offset):
    monkeypatch.setattr(regression, "PIECE_BYTES", 1)  # 16 rows
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(100, 4)) * [1, 0.1, 1e-9, 0] + offset
    rows[:, 2] += 1  # varies by rounding only
    with on_disk(rows) as kept:
        centre, scale = standard(kept)
    found = (rows - centre) * scale
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-7)
    np.testing.assert_allclose(found.std(axis=0), [1, 1, 0, 0], rtol=1e-9)


def test_classes_that_are_far_apart_still_have_an_optimum():
    features = np.concatenate([np.linspace(0, 1, 50), np.linspace(99, 100, 50)])[:, None]
    labels = np.repeat([0, 1], 50)
    expected = by_scikit_learn(StandardScaler().fit_transform(features), labels)
    with on_disk(features) as rows:
        found = fit(rows, labels, n_classes=2).probabilities(features)
    np.testing.assert_allclose(found, expected, atol=1e-8)


@pytest.mark.parametrize("where", ["memory", "disk"])
@pytest.mark.parametrize("rows_at_once", [1, 7, 30, 1000])
def test_the_rows_to_learn_from_are_found_whatever_is_read_at_a_time(monkeypatch, where, rows_at_once):
    rng = np.random.default_rng(0)
    labels, train = rng.integers(0, 3, 60), rng.random(60) < 0.5
    features = (rng.normal(size=(60, 4)) + labels[:, None]).astype(np.float32)
    whole = fit_regression(features, labels, train, n_classes=4).probabilities(features)
    monkeypatch.setattr(baselines, "ROWS_AT_ONCE", rows_at_once)
    with on_disk(features) as rows:
        given_rows = rows if where == "disk" else features
        found = fit_regression(given_rows, labels, train, n_classes=4).probabilities(features)
    np.testing.assert_array_equal(found, whole)
    scaler = StandardScaler().fit(features[train].astype(np.float64))
    oracle = LogisticRegression(class_weight="balanced", tol=1e-12, solver="newton-cholesky")
    oracle.fit(scaler.transform(features[train].astype(np.float64)), labels[train])
    np.testing.assert_allclose(found[:, :3], oracle.predict_proba(scaler.transform(features)), atol=1e-6)
    assert not found[:, 3].any()


def test_nothing_stays_on_disk_after_an_error(tmp_path):
    before = set(Path("/proc/self/fd").iterdir())
    features = np.zeros((40, 2))
    features[30] = np.nan
    with pytest.raises(MetricsError, match="1 of 40 rows"):
        fit_regression(features, np.arange(40) % 2, np.arange(40) < 20, n_classes=2, folder=tmp_path)
    fit_regression(np.zeros((40, 2)), np.arange(40) % 2, np.arange(40) < 20, n_classes=2, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert set(Path("/proc/self/fd").iterdir()) == before
