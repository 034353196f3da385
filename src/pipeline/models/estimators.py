"""Classifiers that are fitted in one go, with one interface: rows of numbers and labels -> log-probabilities.

docs/estimators.md says of each what it computes. All standardise their columns by the training rows first, and leave
out those that are constant there. A saved estimator is one file of safetensors, arrays and a JSON text; nothing is
pickled, and a pickle in its place is refused unread.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from pipeline.errors import ModelError
from pipeline.models.fitting import ESTIMATORS, Options, Rows, fit_form
from pipeline.models.saved import load_fitted, save_fitted, unfit
from pipeline.models.scores import Floats, Form, form_arrays, form_name, form_of_arrays, in_rows

__all__ = ["ESTIMATORS", "LOWEST", "Estimator", "Options", "fit_estimator", "load_estimator", "save_estimator"]

# No log-probability is below this, that of a class without training rows included: exp() of it is still a normal
# number, sums and means of many stay finite, and no sensible sum of probabilities is touched.
LOWEST = -700.0
CONSTANT = 1e-6  # of a column's largest value: less deviation is the rounding of single precision
SCALE = ("columns", "mean", "deviation", "known")


@dataclass(frozen=True, kw_only=True)
class Estimator:
    """A fitted estimator."""

    kind: str  # one of ESTIMATORS
    options: Options
    seed: int
    n_classes: int
    n_values: int  # columns of the input
    known: NDArray[np.int64]  # classes that had training rows, sorted
    columns: NDArray[np.int64]  # those of the input that varied there, sorted
    mean: Floats  # of these
    deviation: Floats
    form: Form

    def log_probabilities(self, values: NDArray[Any]) -> Floats:
        """Log-probabilities (n, n_classes) of rows (n, n_values); at least LOWEST, which classes never seen have.

        Raises
        ------
        ModelError
            If the rows have another number of columns, or hold NaN or infinity.
        """
        rows = _checked(values)
        if rows.shape[1] != self.n_values:
            raise ModelError(f"{self.kind} was fitted to {self.n_values} columns, not {rows.shape[1]}: run `dvc repro`")
        found = np.full((len(rows), self.n_classes), LOWEST)
        with threadpool_limits(limits=1):  # sums in another order give other last digits
            scores = self.form.scores(np.ascontiguousarray((rows[:, self.columns] - self.mean) / self.deviation))
        found[:, self.known] = np.maximum(scores - np.logaddexp.reduce(scores, axis=1)[:, None], LOWEST)
        return found

    @property
    def about(self) -> dict[str, Any]:
        """What its arrays belong to, as JSON holds it."""
        return {
            **{name: getattr(self, name) for name in ("kind", "seed", "n_classes", "n_values")},
            "form": form_name(self.form),
            "options": asdict(self.options),
        }

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """All of it as plain arrays, beside `about`."""
        scale: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in SCALE}
        return scale | {f"form.{name}": value for name, value in form_arrays(self.form).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> "Estimator":
        """Make the estimator that `to_arrays` and `about` were of.

        Raises
        ------
        ModelError
            If something is missing or unknown, of another type or shape, or nothing that was ever fitted.
        """
        own = dict(arrays)
        try:
            kind, n_classes, n_values = str(about["kind"]), int(about["n_classes"]), int(about["n_values"])
            known = _indices(own.pop("known"), at_most=n_classes)
            columns = _indices(own.pop("columns"), at_most=n_values)
            mean, deviation = own.pop("mean"), own.pop("deviation")
            form_of, options, seed = str(about["form"]), Options(**about["options"]), int(about["seed"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"no estimator of this version: {error}") from None
        if kind not in ESTIMATORS:
            raise ModelError(f"there is no estimator {kind!r}")
        for array in (mean, deviation):
            if array.dtype != np.float64 or array.shape != columns.shape or not np.isfinite(array).all():
                raise ModelError(f"mean or deviation is not {len(columns)} finite numbers")
        if not (deviation > 0).all() or not len(known):
            raise ModelError("a deviation is not above 0, or no class is known")
        form_own = {name.removeprefix("form."): array for name, array in own.items()}
        return cls(
            kind=kind,
            options=options,
            seed=seed,
            n_classes=n_classes,
            n_values=n_values,
            known=known,
            columns=columns,
            mean=mean,
            deviation=deviation,
            form=form_of_arrays(form_of, form_own, n_known=len(known), n_columns=len(columns)),
        )


def fit_estimator(
    kind: str, values: NDArray[Any], labels: NDArray[np.integer[Any]], *, n_classes: int, options: Options, seed: int
) -> Estimator:
    """Fit an estimator of a kind to training rows.

    Parameters
    ----------
    values
        (n, n_values).
    labels
        (n,), 0 to n_classes - 1; not every class need be there.
    seed
        Of the start of gmm; the others leave nothing to chance.

    Raises
    ------
    ModelError
        If there is no such kind or no row, a value is NaN or infinite, a label is none of the classes, there are too
        many columns for full covariances, or covariances are singular.
    """
    if kind not in ESTIMATORS:
        raise ModelError(f"there is no estimator {kind!r}: {', '.join(ESTIMATORS)}")
    rows = _checked(values)
    if len(rows) != len(labels) or not len(rows):
        raise ModelError(f"{kind}: {len(rows)} rows and {len(labels)} labels: one of each needed, and at least one")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise ModelError(f"{kind}: labels from {labels.min()} to {labels.max()}: need 0 to {n_classes - 1}")
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    columns = np.flatnonzero(deviation > CONSTANT * np.abs(rows).max(axis=0))
    known, own = np.unique(labels, return_inverse=True)
    standard = (rows[:, columns] - mean[columns]) / deviation[columns]
    with threadpool_limits(limits=1):
        form = in_rows(fit_form(kind, Rows(standard, own.astype(np.int64), options, seed)))
    return Estimator(
        kind=kind,
        options=options,
        seed=seed,
        n_classes=n_classes,
        n_values=rows.shape[1],
        known=known.astype(np.int64),
        columns=columns.astype(np.int64),
        mean=mean[columns],
        deviation=deviation[columns],
        form=form,
    )


def _checked(values: NDArray[Any]) -> Floats:
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 2:
        raise ModelError(f"values of shape {rows.shape}: an estimator takes rows of columns")
    if bad := int((~np.isfinite(rows)).any(axis=1).sum()):
        raise ModelError(
            f"{bad} of {len(rows)} rows hold NaN or infinity: run `dvc repro -f` on the stage that made them"
        )
    return rows


def save_estimator(path: Path, estimator: Estimator) -> None:
    """Write an estimator whole or not at all; the same estimator gives the same bytes."""
    save_fitted(path, estimator.to_arrays(), estimator.about)


def load_estimator(path: Path) -> Estimator:
    """Read back what `save_estimator` wrote; nothing of it is run.

    Raises
    ------
    ModelError
        If it is missing, no safetensors, or arrays and text do not fit together.
    """
    arrays, about = load_fitted(path)
    try:
        return Estimator.from_arrays(arrays, about)
    except ModelError as error:
        raise unfit(path, error) from None


def _indices(array: NDArray[Any], *, at_most: int) -> NDArray[np.int64]:
    """Check indices: sorted, each once, below a number."""
    is_fit = array.dtype == np.int64 and array.ndim == 1
    if not is_fit or (np.diff(array) <= 0).any() or (array < 0).any() or (array >= at_most).any():
        raise ModelError(f"indices of classes or columns are not sorted numbers below {at_most}")
    return array
