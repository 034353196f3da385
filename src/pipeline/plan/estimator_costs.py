"""A quick measurement of an estimator: fitted once to made rows, and what more rows and columns will add."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.estimator_runs import refuse_many_values
from pipeline.models.estimators import Options, fit_estimator
from pipeline.params.sections import Head, Model, Train
from pipeline.plan.network_counts import NetworkCosts
from pipeline.store.rendered import Rendered

MOST_ROWS, MOST_COLUMNS = 300, 100  # of what is timed
VALUE_BYTES = 8
COPIES = 4  # of all training rows: as read, in double precision, standardised, and the library's own


@dataclass(frozen=True, kw_only=True)
class EstimatorCosts:
    """What an estimator takes."""

    fit_seconds: float
    predict_seconds: float  # of one row
    fit_bytes: int  # of memory
    file_bytes: int
    timed_rows: int


def measure_estimator(kind: str, options: Options, *, n_rows: int, n_columns: int, n_classes: int) -> EstimatorCosts:
    """Time an estimator on noise, of few rows and columns; its real cost grows with powers of both.

    Support vector machines are taken to grow with the square of the rows, matrices with the cube of the columns, and
    all else in proportion.
    """
    rows, columns = min(n_rows, MOST_ROWS), min(n_columns, MOST_COLUMNS)
    rng = np.random.default_rng(0)
    values, labels = rng.normal(size=(rows, columns)), np.arange(rows) % n_classes
    times = []
    for _ in range(2):  # the first sets up
        start = time.perf_counter()
        estimator = fit_estimator(kind, values, labels, n_classes=n_classes, options=options, seed=0)
        fitted = time.perf_counter()
        estimator.log_probabilities(values)
        times.append((fitted - start, time.perf_counter() - fitted))
    has_matrices = kind in ("lda", "qda") or (kind == "gmm" and options.covariance == "full")
    n_matrices = {"lda": 1, "qda": n_classes}.get(kind, n_classes * options.n_mixtures) if has_matrices else 0
    more_rows, more_columns = n_rows / rows, n_columns / columns
    factor = (more_rows**2 if kind == "svm" else more_rows) * more_columns ** (3 if has_matrices else 1)
    of_rows = n_rows * n_columns * VALUE_BYTES
    kept = n_matrices * n_columns**2 * VALUE_BYTES if kind != "lda" else 0
    return EstimatorCosts(
        fit_seconds=times[1][0] * factor,
        predict_seconds=times[1][1] / rows * (more_rows if kind == "svm" else 1) * more_columns ** (1 + has_matrices),
        fit_bytes=COPIES * of_rows + 2 * n_matrices * n_columns**2 * VALUE_BYTES,
        file_bytes=5000 + kept + (of_rows if kind == "svm" and options.kernel == "rbf" else 0),
        timed_rows=rows,
    )


def measure_member(
    model: Model, train: Train, *, n_rows: int, n_classes: int, images: Rendered, block_ids: Sequence[str]
) -> NetworkCosts:
    """Say of a member that is an estimator what a network's costs say: its one fit counts as all steps together.

    Raises
    ------
    ModelError
        If its blocks have too many values.
    """
    refuse_many_values(model.name, images)
    n_columns = math.prod(images.shape)
    options = Options(**model.estimator.model_dump())
    costs = measure_estimator(model.name, options, n_rows=n_rows, n_columns=n_columns, n_classes=n_classes)
    start = time.perf_counter()
    images.batch(block_ids)
    reading = (time.perf_counter() - start) / len(block_ids)
    n_steps = train.epochs * -(-n_rows // train.batch_images)
    return NetworkCosts(
        device="cpu",
        step_seconds=(costs.fit_seconds + n_rows * reading) / n_steps,
        predict_seconds=costs.predict_seconds + reading,
        timed_images=costs.timed_rows,
        trainable_bytes=0,
        state_bytes=costs.file_bytes,
        imagenet_bytes=0,
        saved_bytes=costs.fit_bytes // train.batch_images,
        largest_bytes=0,
        n_features=n_columns,
    )


def measure_head(head: Head, *, n_rows: int, n_columns: int, n_classes: int) -> EstimatorCosts:
    """Time a head on as many columns as its member gives."""
    options = Options(**head.recipe["options"])
    return measure_estimator(head.kind, options, n_rows=n_rows, n_columns=n_columns, n_classes=n_classes)
