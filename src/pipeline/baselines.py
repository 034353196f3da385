"""What recording facts or a thumbnail alone achieve on the same split: the bar that a network has to clear."""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from pipeline.errors import MetricsError, SplitError, StoreError
from pipeline.regression import Regression, fit
from pipeline.store.scratch import ScratchRows

Floats = NDArray[np.float64]
Integers = NDArray[np.integer[Any]]
Flags = NDArray[np.bool_]
Features = NDArray[Any] | ScratchRows  # (n, d), in memory or on disk

THUMBNAIL_CELLS = 14  # along each side: coarse enough to hold no texture, only where there is energy
N_COLOURS = THUMBNAIL_CELLS**2 * 3  # values of a thumbnail of an image
DECIMALS = 6  # of a probability
ROWS_AT_ONCE = 512


def thumbnails(blocks: Iterable[NDArray[Any]]) -> NDArray[np.float32]:
    """Shrink pictures, or the channels of stacks, to area means over a 14 x 14 grid.

    A pixel across an edge of the grid counts in each cell by the share of it that lies there: exact for every size. The
    sums over images are of whole numbers and lose none, so every machine finds the same bytes.

    Parameters
    ----------
    blocks
        Images (height, width, 3), uint8, or stacks (n_channels, height, width), float32, or batches of them (n, ...),
        taken one at a time.

    Returns
    -------
    array
        (n_blocks, 14 * 14 * n_channels), of images 0 to 1, row by row from their first, channels last.

    Raises
    ------
    StoreError
        If a block is neither.
    """
    with threadpool_limits(limits=1, user_api="blas"):  # products this small lose by threads, much on a busy machine
        rows = [shrink(block) for batch in blocks for block in (batch if batch.ndim == 4 else [batch])]
    return np.stack(rows) if rows else np.zeros((0, N_COLOURS), np.float32)


@dataclass(frozen=True)
class Fitted:
    """A regression on the classes that training holds, or the only one.

    Attributes
    ----------
    regression
        None where there is but one.
    learnt
        The classes.
    """

    regression: Regression | None
    learnt: NDArray[np.intp]
    n_classes: int

    def probabilities(self, features: NDArray[Any]) -> Floats:
        """Probabilities (n, n_classes) of rows (n, d), six decimals."""
        probabilities: Floats = np.zeros((len(features), self.n_classes))
        with threadpool_limits(limits=1):
            probabilities[:, self.learnt] = (
                1 if self.regression is None else self.regression.probabilities(features).round(DECIMALS)
            )
        return probabilities


def fit_regression(
    features: Features, labels: Integers, train: Flags, *, n_classes: int, folder: Path | None = None
) -> Fitted:
    """Fit a multinomial logistic regression on the training rows.

    Columns are standardised by the training rows; one that is constant there becomes 0. The penalty is L2 with C = 1,
    and every class that training holds has the same weight; one that it lacks has probability 0, and a class that is
    alone there has 1. The loss is convex and brought to its minimum, one thread adds up, and six decimals are kept: the
    answer depends neither on chance nor on the number of threads, nor, but for a figure on the edge between two
    decimals, on the processor.

    Parameters
    ----------
    features
        (n, d).
    labels
        (n,), 0 to n_classes - 1 in training rows; others are not looked at.
    train
        (n,), true for rows to learn from.
    folder
        Where the training rows may lie meanwhile; None: where the system has such files.

    Raises
    ------
    MetricsError
        If lengths differ, a feature is NaN or infinite, or a training label is none of the classes.
    SplitError
        If there is no training row.
    StoreError
        If the training rows have no room.
    """
    if len(features) != len(labels):
        raise MetricsError(f"{len(features)} rows of features for {len(labels)} labels: need one each")
    learnt = np.flatnonzero(_count_classes(labels, train, n_classes=n_classes))
    if len(learnt) == 1:
        return Fitted(None, learnt, n_classes)
    with threadpool_limits(limits=1), ScratchRows(folder, features.dtype, features.shape[1:]) as known:
        n_bad = 0
        for some in _spans(len(labels)):
            rows = features[some]
            n_bad += int((~np.isfinite(rows).all(axis=1)).sum())
            known.append(rows[train[some]])
        if n_bad:
            raise MetricsError(
                f"{n_bad} of {len(features)} rows of features hold NaN or infinity: run `dvc repro -f` on their stage"
            )
        numbered = np.searchsorted(learnt, labels[train])
        return Fitted(fit(known, numbered, n_classes=len(learnt), folder=folder), learnt, n_classes)


def fit_predict(features: Features, labels: Integers, train: Flags, *, n_classes: int) -> Floats:
    """Fit the same and give the probabilities of all rows (n, n_classes).

    Raises
    ------
    MetricsError, SplitError, StoreError
        As `fit_regression`.
    """
    fitted = fit_regression(features, labels, train, n_classes=n_classes)
    return np.concatenate([fitted.probabilities(features[some]) for some in _spans(len(labels))])


def majority(labels: Integers, train: Flags, *, n_classes: int) -> Floats:
    """Answer with the most frequent class among the `train` rows, of equals the first: (n_classes,).

    Raises
    ------
    MetricsError
        If lengths differ or a training label is none of the classes.
    SplitError
        If there is no training row.
    """
    answer: Floats = np.zeros(n_classes)
    answer[_count_classes(labels, train, n_classes=n_classes).argmax()] = 1
    return answer


def all_baselines(
    facts: Features,
    small_images: Features | None,
    labels: Integers,
    *,
    train: Flags,
    train_before_balance: Flags,
    n_classes: int,
    folder: Path | None = None,
) -> Iterator[dict[str, Floats]]:
    """Give the probabilities (n, n_classes) of every baseline, by its name in metrics.json, in parts of the rows.

    Parameters
    ----------
    facts, small_images
        From `nuisance_facts` (n, 5) and `thumbnails` (n, 14 * 14 * n_channels); None where there are none, and then
        there is no such baseline.
    labels
        (n,).
    train
        (n,), what the network learns from, and the regressions too.
    train_before_balance
        (n,), `train` and what balancing dropped from it: after balancing no class is the most frequent.
    folder
        As of `fit_regression`.

    Raises
    ------
    MetricsError, SplitError, StoreError
        As `fit_regression` and `majority`.
    """
    most = majority(labels, train_before_balance, n_classes=n_classes)
    given: dict[str, Features] = {"nuisance": facts}
    if small_images is not None:
        given["thumbnail"] = small_images
    fitted = {
        name: fit_regression(features, labels, train, n_classes=n_classes, folder=folder)
        for name, features in given.items()
    }
    for some in _spans(len(labels)):
        regressions = {name: fitted[name].probabilities(features[some]) for name, features in given.items()}
        yield {"majority": np.tile(most, (len(labels[some]), 1)), **regressions}


def _spans(n_rows: int) -> Iterator[slice]:
    for first in range(0, n_rows, ROWS_AT_ONCE):
        yield slice(first, min(first + ROWS_AT_ONCE, n_rows))


def shrink(block: NDArray[Any]) -> NDArray[np.float32]:
    """Area means of one block: (14 * 14 * n_channels,); one at a time stays in the processor's cache.

    Raises
    ------
    StoreError
        As `thumbnails`.
    """
    if block.ndim == 3 and block.size and block.dtype == np.float32:
        return _shrink_stack(block)
    if block.ndim != 3 or block.shape[-1] != 3 or block.dtype != np.uint8 or block.size == 0:
        raise StoreError(
            f"a block {block.dtype} {block.shape}: need uint8 (height, width, 3) or float32 (n_channels, height, "
            "width): set representation.kind to image or stack, or leave the thumbnail out"
        )
    height, width, _ = block.shape
    # Whole numbers in both sums: up to 255 * height, which single precision holds, and 255 * height * width.
    rows = _shares(height, 1).astype(np.float32) @ block.reshape(height, width * 3).astype(
        np.float32
    )  # (14, width * 3)
    cells = rows.astype(np.float64) @ _shares(width, 3).T / (255 * height * width)  # (14, 14 * 3)
    small: NDArray[np.float32] = cells.ravel().astype(np.float32)
    return small


def _shrink_stack(stack: NDArray[np.float32]) -> NDArray[np.float32]:
    """Area means of a stack (n_channels, height, width): (14 * 14 * n_channels,)."""
    _, height, width = stack.shape
    cells = _shares(height, 1) @ stack.astype(np.float64) @ _shares(width, 1).T / (height * width)
    small: NDArray[np.float32] = np.moveaxis(cells, 0, -1).ravel().astype(np.float32)  # channels last
    return small


@functools.lru_cache
def _shares(n_pixels: int, n_channels: int) -> Floats:
    """What of each pixel is in each cell, in 1 / 14 of it: (14 * n_channels, n_pixels * n_channels), channels apart."""
    # in 1 / 14 of a pixel every edge is a whole number: a pixel is 14 long, a cell n_pixels
    cell = np.arange(THUMBNAIL_CELLS)[:, None] * n_pixels
    pixel = np.arange(n_pixels)[None, :] * THUMBNAIL_CELLS
    shared = np.minimum(cell + n_pixels, pixel + THUMBNAIL_CELLS) - np.maximum(cell, pixel)
    return np.kron(np.maximum(shared, 0), np.eye(n_channels))


def _count_classes(labels: Integers, train: Flags, *, n_classes: int) -> NDArray[np.intp]:
    """Count the training rows of each class (n_classes,)."""
    if train.shape != labels.shape or train.dtype != np.bool_:
        raise MetricsError(f"a mask {train.dtype} {train.shape} for labels {labels.shape}: need one bool per label")
    known = labels[train]
    if len(known) == 0:
        raise SplitError(f"none of {len(labels)} blocks is on the training side: check split.csv")
    if known.min() < 0 or known.max() >= n_classes:
        raise MetricsError(f"training labels {known.min()} to {known.max()}: need 0 to {n_classes - 1}")
    return np.bincount(known, minlength=n_classes)
