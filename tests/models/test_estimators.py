"""Estimators against scikit-learn, known posteriors and definitions; odd inputs; files that may not be trusted."""

import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy.special import log_softmax, logsumexp
from scipy.stats import multivariate_normal
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC

from pipeline.errors import ModelError
from pipeline.models.estimators import ESTIMATORS, LOWEST, Options, fit_estimator, load_estimator, save_estimator

ROOT = Path(__file__).parents[2]


def clouds(counts=(40, 25, 30), n_columns=4, seed=0):
    """Rows around a centre for each class, columns of unlike sizes, and their labels, shuffled."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    centres = rng.normal(0, 1.2, (len(counts), n_columns))
    values = centres[labels] + rng.normal(0, 1, (len(labels), n_columns)) * (1 + 0.5 * labels[:, None])
    return values * 10.0 ** np.arange(n_columns) + 5, labels


def standard(values, by=None):
    by = values if by is None else by
    return (values - by.mean(axis=0)) / by.std(axis=0)


def fit(kind, values, labels, *, n_classes=3, seed=0, **options):
    return fit_estimator(kind, values, labels, n_classes=n_classes, options=Options(**options), seed=seed)


def sklearns(kind, rows, labels, options):
    """Log-probabilities by scikit-learn's own models, of standardised rows."""
    counts = np.bincount(labels)
    is_equal = options.priors == "equal"
    priors = np.full(len(counts), 1 / len(counts)) if is_equal else counts / counts.sum()
    gamma = options.gamma or "scale"  # 1 / (n_columns * variance), which is 1 here
    if kind == "svm":
        assert not is_equal
        machine = OneVsRestClassifier(SVC(kernel=options.kernel, C=options.C, gamma=gamma)).fit(rows, labels)
        decision = machine.decision_function(rows)
        return log_softmax(np.stack([-decision, decision], axis=1) if decision.ndim == 1 else decision, axis=1)
    if kind == "softmax_regression":
        model = LogisticRegression(
            C=options.C, solver="newton-cg", tol=1e-10, max_iter=1000, class_weight="balanced" if is_equal else None
        )
    elif kind == "naive_bayes":
        model = GaussianNB(priors=priors, var_smoothing=options.regularisation)
    elif kind == "lda":
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=options.regularisation, priors=priors)
    elif kind == "qda":
        model = QuadraticDiscriminantAnalysis(priors=priors, reg_param=options.regularisation)
    else:
        return sklearns_mixtures(rows, labels, options, priors)
    return model.fit(rows, labels).predict_log_proba(rows)


def sklearns_mixtures(rows, labels, options, priors):
    joint = [
        GaussianMixture(
            options.n_mixtures,
            covariance_type="diag" if options.covariance == "diagonal" else "full",
            reg_covar=options.regularisation,
            max_iter=500,
            random_state=0,
        )
        .fit(rows[labels == k])
        .score_samples(rows)
        + np.log(prior)
        for k, prior in enumerate(priors)
    ]
    return log_softmax(np.stack(joint, axis=1), axis=1)


CHOICES = [
    ("svm", {}),
    ("svm", {"C": 10.0, "gamma": 0.7}),
    ("svm", {"kernel": "linear", "C": 0.1}),
    ("softmax_regression", {}),
    ("softmax_regression", {"C": 0.01, "priors": "equal"}),
    ("naive_bayes", {}),
    ("naive_bayes", {"priors": "equal", "regularisation": 0.0}),
    ("lda", {}),
    ("lda", {"priors": "equal", "regularisation": 0.5}),
    ("qda", {}),
    ("qda", {"priors": "equal", "regularisation": 0.3}),
    ("gmm", {"n_mixtures": 2}),
    ("gmm", {"n_mixtures": 3, "covariance": "diagonal", "priors": "equal"}),
]
EACH = pytest.mark.parametrize("kind", ESTIMATORS)


@pytest.mark.parametrize("counts", [(40, 25, 30), (30, 20)], ids=["three classes", "two classes"])
@pytest.mark.parametrize(("kind", "options"), CHOICES)
def test_probabilities_are_those_of_scikit_learn(kind, options, counts, tmp_path):
    values, labels = clouds(counts)
    n_classes = len(counts)
    expected = np.maximum(sklearns(kind, standard(values), labels, Options(**options)), LOWEST)
    estimator = fit(kind, values, labels, n_classes=n_classes, **options)
    found = estimator.log_probabilities(values)
    assert found.shape == (len(values), n_classes)
    np.testing.assert_allclose(np.exp(found), np.exp(expected), rtol=0, atol=1e-10)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)
    save_estimator(tmp_path / "e", estimator)
    np.testing.assert_array_equal(load_estimator(tmp_path / "e").log_probabilities(values), found)


def test_equal_priors_weigh_the_rows_of_a_support_vector_machine():
    values, labels = clouds((40, 10))
    rows = standard(values)
    machine = SVC(gamma="scale").fit(rows, labels, sample_weight=np.where(labels == 0, 25 / 40, 25 / 10))
    decision = machine.decision_function(rows)
    found = fit("svm", values, labels, n_classes=2, priors="equal").log_probabilities(values)
    np.testing.assert_allclose(found, log_softmax(np.stack([-decision, decision], axis=1), axis=1), atol=1e-10)


@pytest.mark.parametrize("kind", ["naive_bayes", "lda", "qda", "gmm"])
def test_the_posterior_of_two_known_gaussians(kind):
    # rows at mean +- 1 have variance 1; the posterior is in closed form
    values = np.array([[-2.0], [-2.0], [0.0], [0.0], [3.0], [3.0], [5.0], [5.0]])
    labels = np.repeat([0, 1], 4)
    means = (-1.0, 4.0)
    at = np.array([[-1.0], [1.5], [2.0], [4.0]])
    log_odds = (-np.square(at - means[0]) + np.square(at - means[1])).ravel() / 2
    found = fit(kind, values, labels, n_classes=2, regularisation=0.0, n_mixtures=1).log_probabilities(at)
    np.testing.assert_allclose(found[:, 0] - found[:, 1], log_odds, atol=1e-9)
    assert found[1, 0] == pytest.approx(np.log(0.5))


def test_regularisation_is_in_units_of_the_columns_own_spread():
    values, labels = clouds()
    rows = standard(values)
    found = fit("naive_bayes", values, labels, regularisation=0.5).log_probabilities(values)
    joint = []
    for k in range(3):
        own = rows[labels == k]
        deviation = np.sqrt(own.var(axis=0) + 0.5)
        density = multivariate_normal(own.mean(axis=0), np.diag(deviation**2)).logpdf(rows)
        joint.append(density + np.log(len(own) / len(rows)))
    np.testing.assert_allclose(found, log_softmax(np.stack(joint, axis=1), axis=1), atol=1e-9)


@EACH
def test_a_class_without_rows_is_never_answered(kind):
    values, labels = clouds((20, 15))
    labels = np.array([0, 3])[labels]  # of five
    estimator = fit(kind, values, labels, n_classes=5, n_mixtures=2)
    found = estimator.log_probabilities(values)
    assert found.shape == (35, 5)
    np.testing.assert_array_equal(found[:, [1, 2, 4]], LOWEST)
    known = fit(kind, values, (labels == 3).astype(int), n_classes=2, n_mixtures=2).log_probabilities(values)
    np.testing.assert_allclose(found[:, [0, 3]], known, atol=1e-12)
    np.testing.assert_allclose(logsumexp(found, axis=1), 0, atol=1e-12)


@EACH
def test_a_class_alone_is_always_answered(kind):
    values, _ = clouds()
    found = fit(kind, values, np.full(len(values), 1)).log_probabilities(values)
    np.testing.assert_array_equal(found, np.tile([LOWEST, 0, LOWEST], (len(values), 1)))


@EACH
def test_a_class_of_one_row_is_found_again_and_does_not_take_all(kind):
    values, labels = clouds((30, 1, 30))
    values[labels == 1] = values.max(axis=0) + 3 * values.std(axis=0)  # far from all others
    estimator = fit(kind, values, labels, priors="equal", n_mixtures=2)
    answers = estimator.log_probabilities(values).argmax(axis=1)
    assert answers[labels == 1] == [1]
    assert np.mean(answers[labels != 1] == 1) < 0.1


@EACH
def test_a_constant_column_changes_nothing(kind):
    values, labels = clouds()
    wide = np.insert(values, 2, 0.1, axis=1)
    assert np.ptp(wide[:, 2]) == 0
    expected = fit(kind, values, labels, n_mixtures=2).log_probabilities(values)
    estimator = fit(kind, wide, labels, n_mixtures=2)
    wide[:, 2] = 1e6  # what the training side never had
    np.testing.assert_allclose(estimator.log_probabilities(wide), expected, atol=1e-12)


@EACH
def test_where_nothing_varies_the_priors_are_the_answer(kind, tmp_path):
    estimator = fit(kind, np.full((8, 3), 0.1), np.array([0] * 6 + [2] * 2))
    found = estimator.log_probabilities([[1.0, 2.0, 3.0]])
    np.testing.assert_allclose(np.exp(found), [[0.75, 0, 0.25]], atol=1e-15)
    save_estimator(tmp_path / "e", estimator)
    np.testing.assert_array_equal(load_estimator(tmp_path / "e").log_probabilities([[1.0, 2.0, 3.0]]), found)


@EACH
@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_more_columns_than_rows(kind, covariance):
    values, labels = clouds((6, 5, 4), n_columns=40, seed=3)
    values = standard(values)
    estimator = fit(kind, values, labels, covariance=covariance, n_mixtures=2, regularisation=0.1)
    found = estimator.log_probabilities(values)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(logsumexp(found, axis=1), 0, atol=1e-9)
    assert (found.argmax(axis=1) == labels).mean() > 0.9


def test_qda_with_more_columns_than_rows_is_a_density_in_all_of_them():
    # scikit-learn refuses such classes, though regularised; the definition serves as oracle
    values, labels = clouds((6, 7), n_columns=10)
    rows = standard(values)
    found = fit("qda", values, labels, n_classes=2, regularisation=0.2).log_probabilities(values)
    joint = []
    for k in range(2):
        own = rows[labels == k]
        covariance = 0.8 * np.cov(own.T, bias=True) + 0.2 * np.eye(10)
        joint.append(multivariate_normal(own.mean(axis=0), covariance).logpdf(rows) + np.log(len(own) / 13))
    np.testing.assert_allclose(found, log_softmax(np.stack(joint, axis=1), axis=1), atol=1e-9)


@pytest.mark.parametrize("kind", ["qda", "naive_bayes", "gmm"])
def test_a_class_that_does_not_vary_needs_regularisation(kind):
    values, labels = clouds()
    values[labels == 1, 0] = 7.0
    with pytest.raises(ModelError, match=f"{kind}: a class does not vary along some axis.*raise regularisation"):
        fit(kind, values, labels, regularisation=0.0, n_mixtures=1)
    assert np.isfinite(fit(kind, values, labels, n_mixtures=1).log_probabilities(values)).all()


def test_more_mixtures_than_different_rows():
    values = np.repeat([[0.0, 1.0], [1.0, 0.0], [5.0, 5.0]], [4, 4, 2], axis=0)
    labels = np.repeat([0, 0, 1], [4, 4, 2])
    found = fit("gmm", values, labels, n_classes=2, n_mixtures=7).log_probabilities(values)
    np.testing.assert_array_equal(found.argmax(axis=1), labels)


@EACH
def test_far_away_answers_stay_finite(kind):
    values, labels = clouds()
    found = fit(kind, values, labels, n_mixtures=2).log_probabilities(values * 1e6)
    assert np.isfinite(found).all()
    assert (found >= LOWEST).all()
    np.testing.assert_allclose(logsumexp(found, axis=1), 0, atol=1e-9)


@EACH
def test_the_same_again(kind, tmp_path):
    values, labels = clouds((60, 60, 60))
    for name in ("one", "two"):
        save_estimator(tmp_path / name, fit(kind, values, labels, seed=4))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_seed_starts_a_mixture():
    rng = np.random.default_rng(0)
    values, labels = rng.normal(size=(80, 3)), np.arange(80) % 2
    one, two = (fit("gmm", values, labels, n_classes=2, seed=seed).log_probabilities(values) for seed in (0, 1))
    assert not np.allclose(one, two)


def test_a_new_process_gives_the_same_probabilities(tmp_path):
    values, labels = clouds()
    np.save(tmp_path / "values.npy", values)
    expected = {}
    for kind in ESTIMATORS:
        estimator = fit(kind, values, labels, n_mixtures=2)
        save_estimator(tmp_path / kind, estimator)
        expected[kind] = estimator.log_probabilities(values)
    code = (
        "import sys, numpy as np, pathlib\n"
        "from pipeline.models.estimators import ESTIMATORS, load_estimator\n"
        "here = pathlib.Path(sys.argv[1])\n"
        "values = np.load(here / 'values.npy')\n"
        "np.savez(here / 'found.npz', **{k: load_estimator(here / k).log_probabilities(values) for k in ESTIMATORS})\n"
        "assert 'sklearn' not in sys.modules\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}  # variables that choose a BLAS kernel stay
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, check=True, timeout=60)
    found = np.load(tmp_path / "found.npz")
    for kind in ESTIMATORS:
        np.testing.assert_array_equal(found[kind], expected[kind])


# what is refused


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_numbers(bad):
    values, labels = clouds()
    estimator = fit("lda", values, labels)
    values[3, 1] = bad
    for act in (lambda: fit("lda", values, labels), lambda: estimator.log_probabilities(values)):
        with pytest.raises(ModelError, match="1 of 95 rows hold NaN or infinity"):
            act()


def test_inputs_that_do_not_fit():
    values, labels = clouds()
    with pytest.raises(ModelError, match="fitted to 4 columns, not 3"):
        fit("lda", values, labels).log_probabilities(values[:, :3])
    with pytest.raises(ModelError, match="there is no estimator 'forest': svm, "):
        fit("forest", values, labels)
    with pytest.raises(ModelError, match="labels from 0 to 2: need 0 to 1"):
        fit("lda", values, labels, n_classes=2)
    with pytest.raises(ModelError, match="0 rows and 0 labels"):
        fit("lda", values[:0], labels[:0])
    with pytest.raises(ModelError, match="95 rows and 94 labels"):
        fit("lda", values, labels[1:])
    with pytest.raises(ModelError, match="values of shape"):
        fit("lda", values[0], labels)
    with pytest.raises(ModelError, match="lda: none of the 3 classes varies in the 3 blocks"):
        fit("lda", np.eye(3), np.arange(3))


@pytest.mark.parametrize("kind", ["lda", "qda", "gmm"])
def test_full_covariances_of_very_many_columns_are_refused_at_once(kind, monkeypatch):
    monkeypatch.setattr("pipeline.models.fitting.MAX_COVARIANCE_VALUES", 15)
    values, labels = clouds()
    with pytest.raises(ModelError, match=f"{kind}: .* covariances of 4 columns hold over 15 values: use "):
        fit(kind, values, labels)


class Booby:
    """A pickle that leaves a file behind when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_in_its_place_is_never_loaded(tmp_path, protocol):
    trap, path = tmp_path / "sprung", tmp_path / "weights.safetensors"
    path.write_bytes(pickle.dumps(Booby(trap), protocol=protocol))
    with pytest.raises(ModelError, match=r"weights\.safetensors: missing, damaged or not of this version"):
        load_estimator(path)
    assert not trap.exists()
    pickle.loads(path.read_bytes())
    assert trap.exists()


def saved(tmp_path, kind="qda", **options):
    values, labels = clouds()
    path = tmp_path / "e.safetensors"
    save_estimator(path, fit(kind, values, labels, **options))
    return path


def changed(path, text=None, **arrays):
    """Rewrite a saved estimator with some arrays changed (None: left out), and its JSON text."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    own = {**load_file(path), **{name.replace("__", "."): value for name, value in arrays.items()}}
    if text is not None:
        metadata = {"about": metadata["about"].replace(*text)}
    save_file({name: value for name, value in own.items() if value is not None}, path, metadata=metadata)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"mean": None}, "'mean'"),
        ({"mean": np.zeros(3)}, "mean or deviation is not 4 finite numbers"),
        ({"deviation": np.full(4, np.nan)}, "mean or deviation"),
        ({"deviation": np.array([1.0, 1.0, 0.0, 1.0])}, "a deviation is not above 0"),
        ({"columns": np.array([0, 1, 2, 4])}, "sorted numbers below 4"),
        ({"columns": np.array([0, 2, 1, 3])}, "sorted numbers below 4"),
        ({"columns": np.array([0.0, 1.0, 2.0, 3.0])}, "sorted numbers below 4"),
        ({"known": np.array([0, 1, 3])}, "sorted numbers below 3"),
        ({"known": np.array([0, 1])}, "priors has the shape"),
        ({"form__means": None}, "mixtures needs the arrays"),
        ({"form__more": np.zeros(1)}, "mixtures needs the arrays"),
        ({"form__means": np.zeros((3, 1, 4), dtype=np.float32)}, "means is not finite float64"),
        ({"form__means": np.full((3, 1, 4), np.inf)}, "means is not finite float64"),
        ({"form__means": np.zeros((3, 2, 4))}, "means has the shape"),
        ({"form__factors": np.ones((3, 1, 4, 3))}, "factors has the shape"),
        ({"form__factors": np.zeros((3, 1, 4, 4))}, "factors are not of positive variances"),
        ({"form__priors": np.array([0.5, 0.5, 0.0])}, "priors are not above 0"),
        ({"form__weights": np.full((3, 1), 0.5)}, "weights are not 0 or above with the sum 1"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(tmp_path, arrays, words):
    path = saved(tmp_path)
    changed(path, **arrays)
    with pytest.raises(ModelError) as caught:
        load_estimator(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (('"qda"', '"forest"'), "there is no estimator 'forest'"),
        (('"mixtures"', '"sum"'), "'sum' is none of linear, mixtures, kernel"),
        (('"mixtures"', '"linear"'), "linear needs the arrays"),
        (('"n_classes": 3', '"n_classes": 2'), "sorted numbers below 2"),
        (('"n_classes": 3', '"n_classes": "x"'), "invalid literal"),
        (('"seed"', '"sead"'), "seed"),
        (('"kernel"', '"kernal"'), "kernal"),
        (("{", ""), "Extra data"),
        (("{", "[{"), "Expecting"),
    ],
)
def test_a_text_that_does_not_fit_is_refused(tmp_path, text, words):
    path = saved(tmp_path)
    changed(path, text=text)
    with pytest.raises(ModelError) as caught:
        load_estimator(path)
    assert words in str(caught.value)


def test_a_gamma_of_nothing_a_missing_file_and_other_tensors_are_refused(tmp_path):
    path = saved(tmp_path, "svm")
    changed(path, form__gamma=np.array(0.0))
    with pytest.raises(ModelError, match="gamma is 0"):
        load_estimator(path)
    with pytest.raises(ModelError, match="missing, damaged"):
        load_estimator(tmp_path / "none")
    save_file({"a": np.zeros(1)}, path)
    with pytest.raises(ModelError, match="not of this version"):
        load_estimator(path)


def test_options_are_kept_with_what_was_fitted(tmp_path):
    found = load_estimator(saved(tmp_path, "gmm", n_mixtures=2, covariance="diagonal"))
    assert found.options == replace(Options(), n_mixtures=2, covariance="diagonal")
    assert (found.kind, found.seed, found.n_classes, found.n_values) == ("gmm", 0, 3, 4)


@pytest.mark.parametrize("regularisation", [0.0, 0.01, 1.0])
def test_lda_refuses_classes_that_do_not_vary(regularisation):
    values, labels = np.repeat([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0]], 4, axis=0), np.repeat([0, 1, 2], 4)
    options = Options(regularisation=regularisation)
    with pytest.raises(ModelError, match=r"^lda: none of the 3 classes varies in the 12 blocks .*use svm"):
        fit_estimator("lda", values, labels, n_classes=3, options=options, seed=0)
    values[0, 0] += 0.1  # one class varies along one axis: its covariance is that of all
    found = fit_estimator("lda", values, labels, n_classes=3, options=options, seed=0).log_probabilities(values)
    assert (found.argmax(axis=1) == labels).mean() > 0.6
