"""A member that is an estimator, from files to files: fitted to the blocks' values, its folder as a network's."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.console import say, track
from pipeline.errors import ModelError
from pipeline.learning.progress import Tally
from pipeline.learning.sides import Side
from pipeline.models.checkpoint import CARD, PREPARATION, WEIGHTS, refuse_other_files
from pipeline.models.estimators import Estimator, Options, fit_estimator, load_estimator, save_estimator
from pipeline.models.inference import batches
from pipeline.models.preparation import Preparation, fit_preparation, load_preparation, save_preparation
from pipeline.store.files import read_json, sha256_of, write_json
from pipeline.store.rendered import Rendered
from pipeline.store.tables import CurvePoint
from pipeline.train import provenance

MAX_VALUES = 16384  # of one block: an estimator has all training blocks in memory, and weighs every value by itself
READ_BATCH = 64  # blocks
CPU = torch.device("cpu")
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class EstimatorCard:
    """What must be known of a fitted estimator to use it on blocks."""

    estimator: str  # its kind; no network's card has this
    options: dict[str, Any]
    classes: tuple[str, ...]
    representation: dict[str, Any]  # how sound becomes its input: all parameters
    kind: str  # of representation
    normalise: str
    whiten: str
    start: dict[str, str]
    seed: int
    fold: int
    images_sha256: dict[str, str]  # content of each corpus's blocks that it was fitted to
    n_anomalous: int
    kept_iteration: int = 1
    selected_on_test: bool = False  # it chooses nothing on the side that is watched
    weights_sha256: str = ""
    preparation_sha256: str = ""


def fit_member(
    folder: Path,
    images: Rendered,
    training: Side,
    watched: Side | None,
    *,
    kind: str,
    options: Options,
    classes: tuple[str, ...],
    normalise: str,
    whiten: str,
    seed: int,
    about: Mapping[str, Any],
) -> list[CurvePoint]:
    """Fit an estimator to the values of training blocks and write it, with the way to them, into `folder`.

    Parameters
    ----------
    about
        What else its card says: start, fold, images_sha256.

    Returns
    -------
    The one point of its learning curve for the training side and, if there is one, for the side that is watched.

    Raises
    ------
    ModelError
        If a block has more than MAX_VALUES values, and as `fit_estimator` and `fit_preparation`.
    """
    refuse_many_values(kind, images.shape, of_kind=images.kind)
    preparation, n_anomalous = fit_preparation(
        images, training.block_ids, normalise=normalise, whiten=whiten, seed=seed
    )
    if images.kind == "features":
        n_values = len(training.block_ids) * images.shape[0]
        say(f"{n_anomalous} of {n_values} values of the training blocks were anomalous and replaced")
    values = np.concatenate(list(_values(images, training.block_ids, preparation)))
    n_classes = len(classes)
    try:
        estimator = fit_estimator(kind, values, training.labels, n_classes=n_classes, options=options, seed=seed)
    except ModelError as error:
        raise ModelError(f"model.estimator: {error}") from None
    save_estimator(folder / WEIGHTS, estimator)
    has_preparation = save_preparation(folder / PREPARATION, preparation)
    card = EstimatorCard(
        estimator=kind,
        options=asdict(options),
        classes=classes,
        representation=images.representation,
        kind=images.kind,
        normalise=normalise,
        whiten=whiten,
        seed=seed,
        n_anomalous=n_anomalous,
        weights_sha256=sha256_of(folder / WEIGHTS),
        preparation_sha256=sha256_of(folder / PREPARATION) if has_preparation else "",
        **about,
    )
    write_json(folder / CARD, asdict(card))
    made_by = provenance(CPU)
    made_by["packages"]["scikit-learn"] = version("scikit-learn")
    write_json(folder / "provenance.json", made_by)
    points = [_point("train", estimator.log_probabilities(values), training.labels)]
    if watched is not None:
        own = np.concatenate(list(_values(images, watched.block_ids, preparation)))
        points.append(_point("validation", estimator.log_probabilities(own), watched.labels))
    return points


def is_estimator(folder: Path) -> bool:
    """Whether a trained model's folder holds an estimator."""
    return "estimator" in read_json(folder / CARD)


def load_member(folder: Path) -> tuple[Estimator, EstimatorCard, Preparation]:
    """Load a fitted estimator, its card, and the way into it.

    Raises
    ------
    ModelError
        If a file is missing, is not the one that the card names, or does not fit the others.
    """
    values = dict(read_json(folder / CARD))  # a plain one: a key that it lacks is one of another version
    try:
        card = EstimatorCard(**{**values, "classes": tuple(values["classes"])})
    except (TypeError, KeyError) as error:
        raise ModelError(f"{folder / CARD}: no card of an estimator of this version ({error}): train again") from None
    refuse_other_files(folder, weights_sha256=card.weights_sha256, preparation_sha256=card.preparation_sha256)
    estimator = load_estimator(folder / WEIGHTS)
    if (estimator.kind, estimator.n_classes) != (card.estimator, len(card.classes)):
        raise ModelError(f"{folder / WEIGHTS}: does not fit its card: run `dvc repro`")
    preparation = load_preparation(folder / PREPARATION, kind=card.kind, normalise=card.normalise, whiten=card.whiten)
    return estimator, card, preparation


def outputs_of_member(
    estimator: Estimator, preparation: Preparation, images: Rendered, block_ids: Sequence[str], *, label: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Log-probabilities (n, n_classes) of blocks, and the values that entered (n, n_values)."""
    n_batches = -(-len(block_ids) // READ_BATCH)
    parts = list(track(_values(images, block_ids, preparation), label=label, total=n_batches, unit="batches"))
    logits = [estimator.log_probabilities(part).astype(np.float32) for part in parts]
    return np.concatenate(logits), np.concatenate(parts)


def refuse_many_values(kind: str, shape: Sequence[int], *, of_kind: str) -> None:
    """Refuse blocks that are too large for an estimator, before they are read.

    Raises
    ------
    ModelError
        If one has more than MAX_VALUES values.
    """
    n_values = math.prod(shape)
    if n_values > MAX_VALUES:
        raise ModelError(
            f"model.name: {kind} takes at most {MAX_VALUES} values of a block, and one of kind {of_kind} has "
            f"{n_values}: lower height and width, set representation.kind to features, "
            "or fit it as a head to a network's features"
        )


def _values(images: Rendered, block_ids: Sequence[str], preparation: Preparation) -> Iterator[NDArray[np.float32]]:
    """Values (n, n_values) of blocks, flattened, as they enter a network, a batch at a time."""
    for ids in batches(block_ids, READ_BATCH):
        yield preparation.to_input(images.batch(ids), CPU).flatten(1).numpy()


def _point(side: str, log_probabilities: Floats, labels: NDArray[np.int64]) -> CurvePoint:
    tally = Tally(log_probabilities.shape[1])
    tally.add(-log_probabilities[np.arange(len(labels)), labels], labels, log_probabilities.argmax(axis=1))
    return tally.point(1, 1.0, side)
