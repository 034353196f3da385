"""How each estimator is fitted, through scikit-learn, to standardised columns: rows and labels -> a form of scores.

Everything is deterministic: one thread, seeds given, no step of libsvm or of a mixture left to chance.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.console import say
from pipeline.errors import ModelError
from pipeline.models.scores import Floats, Form, Kernel, Linear, Mixtures

MAX_COVARIANCE_VALUES = 2**26  # of all full covariances together: 512 MiB
TOLERANCE = 1e-10  # of the largest part of a gradient; for support vector machines scikit-learn's 1e-3
MAX_ITERATIONS = 1000
MIXTURE_ITERATIONS = 500
SINGULAR = 1e-12  # of the largest variance along an axis: less is none


@dataclass(frozen=True, kw_only=True)
class Options:
    """What can be chosen of estimators; params.yaml's section model.estimator says what each key means."""

    kernel: str = "rbf"
    C: float = 1.0
    gamma: float | None = None
    n_mixtures: int = 7
    covariance: str = "full"
    regularisation: float = 0.01
    priors: str = "empirical"


@dataclass(frozen=True)
class Rows:
    """Training rows: every class from 0 to n_known - 1 has one at least, and there are two classes at least."""

    values: Floats  # (n, n_columns), standardised
    labels: NDArray[np.int64]  # (n,)
    options: Options
    seed: int

    @property
    def counts(self) -> NDArray[np.int64]:
        """Rows of each class (n_known,)."""
        return np.bincount(self.labels)

    @property
    def priors(self) -> Floats:
        """Prior probability of each class (n_known,)."""
        counts = self.counts.astype(np.float64)
        return counts / counts.sum() if self.options.priors == "empirical" else np.full(len(counts), 1 / len(counts))

    @property
    def weights(self) -> Floats:
        """What each row counts (n,): 1, or with equal priors as much as makes all classes weigh the same."""
        counts = self.counts
        each = np.ones(len(counts)) if self.options.priors == "empirical" else counts.mean() / counts
        weights: Floats = each[self.labels]
        return weights

    def of(self, k: int) -> Floats:
        """Rows of one class."""
        own: Floats = self.values[self.labels == k]
        return own


def fit_form(kind: str, rows: Rows) -> Form:
    """Fit one kind of estimator; where nothing varies, or one class is all there is, the priors are the answer.

    Raises
    ------
    ModelError
        If there are too many columns, or covariances are singular.
    """
    n_known, n_columns = len(rows.counts), rows.values.shape[1]
    if n_known == 1 or n_columns == 0:
        return Linear(coef=np.zeros((n_known, n_columns)), intercept=np.log(rows.priors))
    return FITTERS[kind](rows)


def _fit_svm(rows: Rows) -> Form:
    """Fit a support vector machine for each class against the rest; of two classes, one machine tells both apart."""
    from sklearn.svm import SVC

    options, n_known = rows.options, len(rows.counts)
    gamma = options.gamma or 1 / rows.values.shape[1]
    dual = np.zeros((n_known, len(rows.values)))
    intercept = np.zeros(n_known)
    for k in range(1, 2) if n_known == 2 else range(n_known):
        machine = SVC(kernel=options.kernel, C=options.C, gamma=gamma)
        machine.fit(rows.values, np.where(rows.labels == k, 1, -1), sample_weight=rows.weights)
        dual[k, machine.support_] = machine.dual_coef_[0]
        intercept[k] = machine.intercept_[0]
    if n_known == 2:
        dual[0], intercept[0] = -dual[1], -intercept[1]
    used = np.flatnonzero(dual.any(axis=0))
    support, dual = rows.values[used], np.ascontiguousarray(dual[:, used])
    if options.kernel == "linear":
        return Linear(coef=dual @ support, intercept=intercept)
    return Kernel(support=support, dual=dual, intercept=intercept, gamma=np.array(gamma))


def _fit_softmax(rows: Rows) -> Form:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    # Newton's method goes to the optimum of this convex loss; others stop at a place that depends on last digits.
    model = LogisticRegression(C=rows.options.C, solver="newton-cg", tol=TOLERANCE, max_iter=MAX_ITERATIONS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(rows.values, rows.labels, sample_weight=rows.weights)
    if any(issubclass(warning.category, ConvergenceWarning) for warning in caught):
        say(f"note: softmax_regression stopped after {MAX_ITERATIONS} steps, before its optimum: a smaller C is easier")
    return _both(model.coef_, model.intercept_)


def _fit_lda(rows: Rows) -> Form:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    n_columns = rows.values.shape[1]
    refuse_large(1, n_columns, "lda")
    means = np.stack([rows.of(k).mean(axis=0) for k in range(len(rows.counts))])
    if not np.square(rows.values - means[rows.labels]).mean(axis=0).max() > SINGULAR:
        raise ModelError(
            f"lda: none of the {len(rows.counts)} classes varies in the {len(rows.values)} blocks that it is fitted "
            "to, so there is no covariance: give it more blocks of a class, or use svm or softmax_regression"
        )
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=rows.options.regularisation, priors=rows.priors)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes with one row, whose covariance is nothing
        model.fit(rows.values, rows.labels)
    return _both(model.coef_, model.intercept_)


def _fit_naive_bayes(rows: Rows) -> Form:
    from sklearn.naive_bayes import GaussianNB

    model = GaussianNB(priors=rows.priors, var_smoothing=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # variances of 0 are seen to below
        model.fit(rows.values, rows.labels)
    variances = model.var_ + rows.options.regularisation
    variances[rows.counts == 1] = 1.0
    if not (variances > SINGULAR).all():
        raise _singular("naive_bayes")
    return Mixtures(
        priors=rows.priors,
        weights=np.ones((len(variances), 1)),
        means=model.theta_[:, None],
        factors=1 / np.sqrt(variances)[:, None],
    )


def _fit_qda(rows: Rows) -> Form:
    """One Gaussian for each class: Friedman (1989), with the unit matrix in the place of the pooled covariance."""
    n_known, n_columns = len(rows.counts), rows.values.shape[1]
    refuse_large(n_known, n_columns, "qda")
    share = rows.options.regularisation
    means = np.stack([rows.of(k).mean(axis=0) for k in range(n_known)])
    factors = []
    for k, n in enumerate(rows.counts):
        covariance = np.eye(n_columns)
        if n > 1:
            away = rows.of(k) - means[k]
            covariance = (1 - share) * (away.T @ away) / n + share * covariance
        factors.append(_inverse_factor(covariance, "qda"))
    return Mixtures(
        priors=rows.priors, weights=np.ones((n_known, 1)), means=means[:, None], factors=np.stack(factors)[:, None]
    )


def _fit_gmm(rows: Rows) -> Form:
    options = rows.options
    n_known, n_columns = len(rows.counts), rows.values.shape[1]
    is_full = options.covariance == "full"
    n_each = [min(options.n_mixtures, len(np.unique(rows.of(k), axis=0))) for k in range(n_known)]
    n_most = max(n_each)
    if is_full:
        refuse_large(n_known * n_most, n_columns, "gmm")
    shape = (n_known, n_most, n_columns)
    weights, means = np.zeros(shape[:2]), np.zeros(shape)
    factors = np.broadcast_to(np.eye(n_columns), (*shape, n_columns)).copy() if is_full else np.ones(shape)
    for k, n in enumerate(n_each):
        if rows.counts[k] == 1:
            weights[k, 0], means[k, 0] = 1.0, rows.of(k)[0]
            continue
        weights[k, :n], means[k, :n], factors[k, :n] = _fit_mixture(rows, k, n)
    return Mixtures(priors=rows.priors, weights=weights, means=means, factors=factors)


def _fit_mixture(rows: Rows, k: int, n_mixtures: int) -> tuple[Floats, Floats, Floats]:
    """Weights, means and factors of one class's mixture, by expectation and maximisation from k-means."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(
        n_mixtures,
        covariance_type="full" if rows.options.covariance == "full" else "diag",
        reg_covar=rows.options.regularisation,
        max_iter=MIXTURE_ITERATIONS,
        random_state=rows.seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the likelihood still grew a little: no worse a model
        try:
            model.fit(rows.of(k))
        except ValueError:
            raise _singular("gmm") from None
    return model.weights_ / model.weights_.sum(), model.means_, model.precisions_cholesky_


def _both(coef: Floats, intercept: Floats) -> Linear:
    """Scores of all classes, where of two the second's alone was fitted, against the first's 0."""
    if len(coef) > 1:
        return Linear(coef=coef, intercept=intercept)
    return Linear(
        coef=np.concatenate([np.zeros_like(coef), coef]),
        intercept=np.concatenate([np.zeros_like(intercept), intercept]),
    )


def _inverse_factor(covariance: Floats, kind: str) -> Floats:
    """L of L L' = the inverse of a covariance (d, d), upper triangular."""
    from scipy.linalg import eigvalsh, solve_triangular

    along = eigvalsh(covariance)
    if not along[0] > SINGULAR * max(along[-1], 1.0):
        raise _singular(kind)
    lower = np.linalg.cholesky(covariance)
    factor: Floats = solve_triangular(lower, np.eye(len(covariance)), lower=True).T
    return factor


def _singular(kind: str) -> ModelError:
    return ModelError(
        f"{kind}: a class does not vary along some axis of the input, so it has no density: raise regularisation"
    )


def refuse_large(n_covariances: int, n_columns: int, kind: str) -> None:
    """Refuse full covariances that together hold too many values.

    Raises
    ------
    ModelError
        If they hold more than MAX_COVARIANCE_VALUES.
    """
    if n_covariances * n_columns**2 > MAX_COVARIANCE_VALUES:
        other = "covariance diagonal, fewer n_mixtures" if kind == "gmm" else "naive_bayes, svm or softmax_regression"
        raise ModelError(
            f"{kind}: {n_covariances} covariances of {n_columns} columns hold over {MAX_COVARIANCE_VALUES} values: "
            f"use {other}, or a head on logits"
        )


FITTERS: dict[str, Callable[[Rows], Form]] = {
    "svm": _fit_svm,
    "softmax_regression": _fit_softmax,
    "naive_bayes": _fit_naive_bayes,
    "lda": _fit_lda,
    "qda": _fit_qda,
    "gmm": _fit_gmm,
}
ESTIMATORS: Sequence[str] = tuple(FITTERS)
