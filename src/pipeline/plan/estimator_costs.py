"""A quick measurement of an estimator: fitted once to made rows, and what more rows and columns will add."""

import dataclasses
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pipeline.errors import ModelError
from pipeline.estimator_runs import refuse_many_values
from pipeline.models.estimators import Options, fit_estimator
from pipeline.models.fitting import refuse_large
from pipeline.models.recurrent import Recurrence, Recurrent
from pipeline.params.sections import RECURRENT, Head, Model, Train
from pipeline.plan.network_counts import NetworkCosts
from pipeline.sequence_heads import SequenceOptions, fit_sequences
from pipeline.store.folds import Fold
from pipeline.store.rendered import Rendered
from pipeline.store.tables import SplitRow

MOST_ROWS, MOST_COLUMNS, MOST_UNITS = 300, 100, 256  # of what is timed
STEADY = 0.01  # least regularisation of what is timed
VALUE_BYTES = 8
BLOCKS_OF_CLIP = 10  # of made clips
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

    Raises
    ------
    ModelError
        If its covariances would hold too many values.
    """
    has_matrices = kind in ("lda", "qda") or (kind == "gmm" and options.covariance == "full")
    n_mixtures = min(options.n_mixtures, -(-n_rows // n_classes))  # a class has at most as many as rows
    n_matrices = {"lda": 1, "qda": n_classes}.get(kind, n_classes * n_mixtures) if has_matrices else 0
    refuse_large(n_matrices, n_columns, kind)
    rows, columns = max(min(n_rows, MOST_ROWS), 2 * n_classes), min(n_columns, MOST_COLUMNS)
    rng = np.random.default_rng(0)
    values, labels = rng.normal(size=(rows, columns)), np.arange(rows) % n_classes
    # few rows of noise may have no density where the real ones do, and steadier ones take as long
    steady = dataclasses.replace(options, regularisation=max(options.regularisation, STEADY))
    times = []
    for _ in range(2):  # the first sets up
        start = time.perf_counter()
        estimator = fit_estimator(kind, values, labels, n_classes=n_classes, options=steady, seed=0)
        fitted = time.perf_counter()
        estimator.log_probabilities(values)
        times.append((fitted - start, time.perf_counter() - fitted))
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


def measure_recurrent(
    kind: str, options: SequenceOptions, *, n_rows: int, n_columns: int, n_classes: int
) -> EstimatorCosts:
    """Time an epoch of a small recurrent head on noise, in made clips; time grows with rows, epochs and weights."""
    rows, columns = min(n_rows, MOST_ROWS), min(n_columns, MOST_COLUMNS)
    few = dataclasses.replace(options, epochs=1, units=min(options.units, MOST_UNITS))
    values = np.random.default_rng(0).normal(size=(rows, columns))
    fold = _made_clips(rows, n_classes)
    times = []
    for _ in range(2):  # the first sets up
        start = time.perf_counter()
        head = fit_sequences(values, fold, kind=kind, options=few, seed=0)
        fitted = time.perf_counter()
        head.logits(values, fold)
        times.append((fitted - start, time.perf_counter() - fitted))
    n_weights = sum(parameter.numel() for parameter in head.network.parameters())
    all_weights = _count_weights(kind, options, n_columns=n_columns, n_classes=n_classes)
    more = all_weights / n_weights
    return EstimatorCosts(
        fit_seconds=times[1][0] * options.epochs * (n_rows / rows) * more,
        predict_seconds=times[1][1] / rows * more,
        fit_bytes=COPIES * (n_rows * n_columns * VALUE_BYTES + 4 * all_weights),
        file_bytes=2000 + 4 * all_weights + 2 * VALUE_BYTES * n_columns,
        timed_rows=rows,
    )


def _count_weights(kind: str, options: SequenceOptions, *, n_columns: int, n_classes: int) -> int:
    """Count the weights of a recurrent head, which is built of shapes alone."""
    with torch.device("meta"):
        own = Recurrence(kind=kind, units=options.units, layers=options.layers)
        network = Recurrent(own, n_features=n_columns, n_classes=n_classes)
    return sum(parameter.numel() for parameter in network.parameters())


def _made_clips(n_blocks: int, n_classes: int) -> Fold:
    names = [f"{number:03}" for number in range(n_classes)]
    rows = [
        SplitRow(
            block_id=f"{clip}@{start}", clip_id=str(clip), group="", label=names[clip % n_classes], fold=0, side="train"
        )
        for clip, start in (divmod(block, BLOCKS_OF_CLIP) for block in range(n_blocks))
    ]
    return Fold(rows, tuple(names))


def measure_member(
    model: Model, train: Train, *, n_rows: int, n_classes: int, images: Rendered, block_ids: Sequence[str]
) -> NetworkCosts:
    """Say of a member that is an estimator what a network's costs say: its one fit counts as all steps together.

    Raises
    ------
    ModelError
        If its blocks have too many values, or its covariances would.
    """
    refuse_many_values(model.name, images.shape, of_kind=images.kind)
    n_columns = math.prod(images.shape)
    options = Options(**model.estimator.model_dump())
    try:
        costs = measure_estimator(model.name, options, n_rows=n_rows, n_columns=n_columns, n_classes=n_classes)
    except ModelError as error:
        raise ModelError(f"model.estimator: {error}") from None
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
    if head.kind in RECURRENT:
        own = SequenceOptions(**head.recipe["options"])
        return measure_recurrent(head.kind, own, n_rows=n_rows, n_columns=n_columns, n_classes=n_classes)
    options = Options(**head.recipe["options"])
    return measure_estimator(head.kind, options, n_rows=n_rows, n_columns=n_columns, n_classes=n_classes)
