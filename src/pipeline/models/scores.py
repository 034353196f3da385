"""What a fitted estimator computes: scores of classes that are linear, of Gaussian mixtures, or of support vectors.

Each form is a few arrays of float64 and a function of them, so that what was fitted can be saved as arrays and computed
without the library that fitted it. A score is a log-probability but for a term that all classes share.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelError

Floats = NDArray[np.float64]
CHUNK = 256  # rows at a time, so that memory does not grow with the number of blocks


@dataclass(frozen=True)
class Linear:
    """Scores X coef' + intercept: softmax regression, LDA, a linear SVM, and classes alone by their priors."""

    axes: ClassVar[dict[str, str]] = {"coef": "kd", "intercept": "k"}
    coef: Floats  # (n_known, n_columns)
    intercept: Floats  # (n_known,)

    def scores(self, values: Floats) -> Floats:
        """Scores (n, n_known) of standardised values (n, n_columns)."""
        return values @ self.coef.T + self.intercept


@dataclass(frozen=True)
class Mixtures:
    """Log of prior times density, a mixture of Gaussians for each class: naive Bayes and QDA have one each."""

    axes: ClassVar[dict[str, str]] = {"priors": "k", "weights": "km", "means": "kmd", "factors": "kmd|kmdd"}
    priors: Floats  # (n_known,)
    weights: Floats  # (n_known, n_mixtures); 0 for mixtures that a class does not have
    means: Floats  # (n_known, n_mixtures, n_columns)
    factors: Floats  # of the inverse covariances: deviations' inverses (..., n_columns), or L (..., d, d) of L L'

    def scores(self, values: Floats) -> Floats:
        """Scores (n, n_known) of standardised values (n, n_columns)."""
        found = np.empty((len(values), len(self.priors)))
        for k, prior in enumerate(self.priors):
            parts = [
                np.log(weight) + self._log_density(values, k, m) for m, weight in enumerate(self.weights[k]) if weight
            ]
            found[:, k] = np.log(prior) + np.logaddexp.reduce(parts, axis=0)
        return found

    def _log_density(self, values: Floats, k: int, m: int) -> Floats:
        mean, factor = self.means[k, m], self.factors[k, m]
        is_diagonal = factor.ndim == 1
        log_root = np.log(factor if is_diagonal else np.diagonal(factor)).sum()
        density = np.empty(len(values))
        for start in range(0, len(values), CHUNK):
            away = values[start : start + CHUNK] - mean
            white = away * factor if is_diagonal else away @ factor
            density[start : start + CHUNK] = -0.5 * np.square(white).sum(axis=1)
        whole: Floats = density + log_root - 0.5 * len(mean) * np.log(2 * np.pi)
        return whole


@dataclass(frozen=True)
class Kernel:
    """Decision values of support vector machines with the kernel exp(-gamma |x - s|^2): each class against the rest."""

    axes: ClassVar[dict[str, str]] = {"support": "sd", "dual": "ks", "intercept": "k", "gamma": ""}
    support: Floats  # (n_support, n_columns)
    dual: Floats  # (n_known, n_support); 0 where a vector is none of that class's machine
    intercept: Floats  # (n_known,)
    gamma: Floats  # ()

    def scores(self, values: Floats) -> Floats:
        """Scores (n, n_known) of standardised values (n, n_columns)."""
        found = np.empty((len(values), len(self.intercept)))
        own = np.square(self.support).sum(axis=1)
        for start in range(0, len(values), CHUNK):
            part = values[start : start + CHUNK]
            away = np.square(part).sum(axis=1)[:, None] + own - 2 * (part @ self.support.T)
            found[start : start + CHUNK] = np.exp(-self.gamma * np.maximum(away, 0)) @ self.dual.T + self.intercept
        return found


Form = Linear | Mixtures | Kernel
FORMS: dict[str, type[Form]] = {"linear": Linear, "mixtures": Mixtures, "kernel": Kernel}


def form_name(form: Form) -> str:
    """Name of a form, as a file states it."""
    return next(name for name, kind in FORMS.items() if isinstance(form, kind))


def form_arrays(form: Form) -> dict[str, Floats]:
    """Arrays of a form, by name."""
    return {field.name: getattr(form, field.name) for field in fields(form)}


def in_rows(form: Form) -> Form:
    """Lay out all arrays row by row, as a file has them: the last digits of a product depend on the layout."""
    return type(form)(
        **{name: np.array(value, dtype=np.float64, order="C") for name, value in form_arrays(form).items()}
    )


def form_of_arrays(name: str, arrays: Mapping[str, NDArray[Any]], *, n_known: int, n_columns: int) -> Form:
    """Make a form of its arrays, and refuse arrays that do not fit together.

    Raises
    ------
    ModelError
        If there is no such form, an array is missing, unknown, no float64 or not finite, shapes disagree, or priors,
        weights or factors are nothing that a density can have.
    """
    if name not in FORMS:
        raise ModelError(f"{name!r} is none of {', '.join(FORMS)}")
    kind = FORMS[name]
    if set(arrays) != set(kind.axes):
        raise ModelError(f"{name} needs the arrays {', '.join(kind.axes)}, not {', '.join(sorted(arrays)) or 'none'}")
    lengths = {"k": n_known, "d": n_columns}
    for key, axes in kind.axes.items():
        array = arrays[key]
        if array.dtype != np.float64 or not np.isfinite(array).all():
            raise ModelError(f"{key} is not finite float64")
        ways = [way for way in axes.split("|") if len(way) == array.ndim]
        if not ways or any(lengths.setdefault(axis, n) != n for axis, n in zip(ways[0], array.shape, strict=True)):
            raise ModelError(f"{key} has the shape {array.shape}, which does not fit the others")
    form = in_rows(kind(**arrays))
    if isinstance(form, Mixtures):
        _refuse_no_density(form)
    if isinstance(form, Kernel) and not form.gamma > 0:
        raise ModelError(f"gamma is {form.gamma}, not above 0")
    return form


def _refuse_no_density(form: Mixtures) -> None:
    roots = form.factors if form.factors.ndim == 3 else np.diagonal(form.factors, axis1=2, axis2=3)
    if not (form.priors > 0).all() or not np.isclose(form.priors.sum(), 1):
        raise ModelError("priors are not above 0 with the sum 1")
    if (form.weights < 0).any() or not np.allclose(form.weights.sum(axis=1), 1):
        raise ModelError("weights are not 0 or above with the sum 1")
    if not (roots > 0).all():
        raise ModelError("factors are not of positive variances")
