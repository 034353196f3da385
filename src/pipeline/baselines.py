"""What recording facts or a thumbnail alone achieve on the same split: the bar that a network has to clear."""

import functools
import math
import warnings
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from pipeline.errors import MetricsError, SplitError, StoreError
from pipeline.store.tables import Block, Clip, Gain

Floats = NDArray[np.float64]
Integers = NDArray[np.integer[Any]]
Flags = NDArray[np.bool_]

NUISANCES = ("clip_seconds", "block_lufs", "bandwidth_hz", "floor_db", "padding")
THUMBNAIL_CELLS = 14  # along each side: coarse enough to hold no texture, only where there is energy
LOWEST_LUFS = -70.0  # the absolute gate of ITU-R BS.1770-5: what is quieter has no loudness
N_COLOURS = THUMBNAIL_CELLS**2 * 3  # values of a thumbnail of an image
DECIMALS = 6  # of a probability
TOLERANCE = 1e-10  # of the largest part of the gradient
MAX_ITERATIONS = 1000
ROWS_AT_ONCE = 4096


def nuisance_facts(clips: Sequence[Clip], blocks: Sequence[Block], gains: Sequence[Gain]) -> Floats:
    """Collect what should not tell an emotion, but may.

    Parameters
    ----------
    clips, blocks, gains
        The tables; clips and gains in any order, one row for every block that is named.

    Returns
    -------
    array
        (n_blocks, 5), columns as `NUISANCES`: natural log of the clip's seconds; loudness before normalisation (LUFS,
        at least -70, which also stands for silence); the clip's bandwidth (Hz) and floor (dB re full scale); the share
        of the block, 0 to 1, that repeats the clip or is padding.

    Raises
    ------
    StoreError
        If a block has no clip or no loudness, or a fact is not a number.
    """
    clip_of = {clip.clip_id: clip for clip in clips}
    lufs_of = {gain.block_id: gain.lufs for gain in gains}
    facts = np.empty((len(blocks), len(NUISANCES)))
    for row, block in enumerate(blocks):
        if block.clip_id not in clip_of or block.block_id not in lufs_of:
            what = "loudness" if block.clip_id in clip_of else "clip"
            raise StoreError(f"{block.block_id}: no {what} of this block in the tables: run `dvc repro`")
        clip = clip_of[block.clip_id]
        filled = 0.0 if block.fill == "none" else max(0.0, 1 - clip.n_samples / block.n_samples)
        loudness = max(lufs_of[block.block_id], LOWEST_LUFS)
        facts[row] = (_log(clip.seconds), loudness, clip.bandwidth_hz, clip.floor_db, filled)
    if not np.isfinite(facts).all():
        row, column = np.argwhere(~np.isfinite(facts))[0]
        raise StoreError(
            f"{blocks[row].block_id}: {NUISANCES[column]} is {facts[row, column]}: run `dvc repro -f` on its stage"
        )
    return facts


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
        values, n_rows = array("f"), 0  # grows where it is: a list of rows would be in memory twice at its end
        for batch in blocks:
            for block in batch if batch.ndim == 4 else [batch]:
                values.frombytes(_shrink(block).tobytes())
                n_rows += 1
    return np.frombuffer(values, dtype=np.float32).reshape(n_rows, len(values) // n_rows if n_rows else N_COLOURS)


def fit_predict(features: NDArray[Any], labels: Integers, train: Flags, *, n_classes: int) -> Floats:
    """Fit a multinomial logistic regression on the training rows and predict all rows.

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

    Returns
    -------
    array
        Probabilities (n, n_classes), six decimals.

    Raises
    ------
    MetricsError
        If lengths differ, a feature is NaN or infinite, or a training label is none of the classes.
    SplitError
        If there is no training row.
    """
    if len(features) != len(labels):
        raise MetricsError(f"{len(features)} rows of features for {len(labels)} labels: need one each")
    learnt = np.flatnonzero(_count_classes(labels, train, n_classes=n_classes))
    probabilities = np.zeros((len(labels), n_classes))
    if len(learnt) == 1:
        probabilities[:, learnt] = 1
        return probabilities
    from sklearn.linear_model import LogisticRegression

    with threadpool_limits(limits=1):
        centre, scale = _standard(features, train)
        # Newton's method goes to the optimum within 1e-8; L-BFGS, scikit-learn's usual solver, stops well before it, at
        # a place that depends on last digits.
        model = LogisticRegression(solver="newton-cg", class_weight="balanced", tol=TOLERANCE, max_iter=MAX_ITERATIONS)
        with warnings.catch_warnings():
            # where nothing but rounding is left to gain, no step is found
            warnings.filterwarnings("ignore", "(?i).*line search")
            model.fit(_standardised(features[train], centre, scale), labels[train])
        for first in range(0, len(labels), ROWS_AT_ONCE):
            some = slice(first, first + ROWS_AT_ONCE)
            standard = _standardised(features[some], centre, scale)
            probabilities[some, learnt] = model.predict_proba(standard).round(DECIMALS)
    return probabilities


def majority(labels: Integers, train: Flags, *, n_classes: int) -> Floats:
    """Answer every row with the most frequent class among the `train` rows, of equals the first: (n, n_classes).

    Raises
    ------
    MetricsError
        If lengths differ or a training label is none of the classes.
    SplitError
        If there is no training row.
    """
    counts = _count_classes(labels, train, n_classes=n_classes)
    probabilities = np.zeros((len(labels), n_classes))
    probabilities[:, counts.argmax()] = 1
    return probabilities


def all_baselines(
    facts: Floats,
    small_images: NDArray[np.float32] | None,
    labels: Integers,
    *,
    train: Flags,
    train_before_balance: Flags,
    n_classes: int,
) -> dict[str, Floats]:
    """Give the probabilities (n, n_classes) of every baseline, by its name in metrics.json.

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

    Raises
    ------
    MetricsError, SplitError
        As `fit_predict` and `majority`.
    """
    found = {
        "majority": majority(labels, train_before_balance, n_classes=n_classes),
        "nuisance": fit_predict(facts, labels, train, n_classes=n_classes),
    }
    if small_images is not None:
        found["thumbnail"] = fit_predict(small_images, labels, train, n_classes=n_classes)
    return found


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _shrink(block: NDArray[Any]) -> NDArray[np.float32]:
    """Area means of one block: (14 * 14 * n_channels,); one at a time stays in the processor's cache."""
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


def _standard(features: NDArray[Any], train: Flags) -> tuple[Floats, Floats]:
    """What brings each column to mean 0 and deviation 1 on the training rows, to 0 where it is constant there."""
    finite = np.concatenate(
        [np.isfinite(features[i : i + ROWS_AT_ONCE]).all(axis=1) for i in range(0, len(features), ROWS_AT_ONCE)]
    )
    if bad := int((~finite).sum()):
        raise MetricsError(
            f"{bad} of {len(features)} rows of features hold NaN or infinity: run `dvc repro -f` on their stage"
        )
    known = np.asarray(features[train], dtype=np.float64)
    mean, deviation = known.mean(axis=0), known.std(axis=0)
    # what was averaged in float32 is constant to 1e-7 of its size; scaled up, that rounding would be a column of noise
    varies = deviation > 1e-6 * np.maximum(known.max(axis=0), -known.min(axis=0))
    return mean, np.where(varies, 1 / np.where(varies, deviation, 1), 0)


def _standardised(features: NDArray[Any], centre: Floats, scale: Floats) -> Floats:
    values = np.array(features, dtype=np.float64)  # a copy, changed in place
    values -= centre
    values *= scale
    return values


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
