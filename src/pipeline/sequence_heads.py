"""A recurrent network on values that are there already: another model's features or class scores of a clip's blocks.

This is the two-step way: what gave the values was trained before and does not change.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.errors import ModelError, SplitError
from pipeline.learning.recipe import Recipe
from pipeline.learning.sides import Side
from pipeline.learning.watching import outputs_of_side
from pipeline.models.estimators import CONSTANT
from pipeline.models.networks import FLAT
from pipeline.models.preparation import Preparation, Scale
from pipeline.models.recurrent import RECURRENT, Recurrence, SequenceNetwork, start_sequence
from pipeline.sequences import order_clips
from pipeline.store.folds import Fold
from pipeline.train import train_network

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class SequenceOptions:
    """How a recurrent head is built and trained, with AdamW; batches as `sequences.clip_batches` makes them."""

    units: int = 64
    layers: int = 1
    epochs: int = 50
    batch_blocks: int = 64
    learning_rate: float = 0.001
    weight_decay: float = 0.0001


@dataclass(frozen=True, kw_only=True)
class SequenceHead:
    """A trained recurrent head."""

    network: SequenceNetwork
    scale: Scale  # of each column, over the blocks that it was fitted on

    def logits(self, values: NDArray[Any], fold: Fold) -> NDArray[np.float32]:
        """Logits (n_blocks, n_classes) of values (n_blocks, n_values) of all blocks of a fold, in the fold's order.

        Raises
        ------
        ModelError
            If the values have another number of columns or are not those of the fold, or the fold has other classes.
        SplitError
            If the split tears clips.
        """
        n_values, n_classes = len(self.scale.mean), self.about["n_classes"]
        if n_classes != len(fold.classes):
            raise ModelError(f"fitted for {n_classes} classes, the split has {len(fold.classes)}")
        if values.shape != (len(fold.rows), n_values):
            raise ModelError(
                f"a recurrent head was fitted to {n_values} columns, and fold {fold.rows[0].fold} has {len(fold.rows)} "
                f"blocks: values of shape {values.shape} do not fit: run `dvc repro`"
            )
        clips = order_clips(fold)
        outputs = outputs_of_side(
            self.network, _Values(values), _side(fold, clips), preparation=_way(self.scale), device=CPU
        )
        logits = np.empty((len(fold.rows), len(fold.classes)), dtype=np.float32)
        with _one_thread():
            for clip, (own, _) in zip(clips, outputs, strict=True):
                logits[clip] = own
        return logits

    @property
    def about(self) -> dict[str, Any]:
        """What its arrays fit, as JSON holds it."""
        return {**self.network.about, "n_classes": self.network.recurrent.classes.out_features}

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """All of it as plain arrays, beside `about`."""
        state = {key: value.detach().cpu().numpy() for key, value in self.network.state_to_save().items()}
        return {"scale.mean": self.scale.mean, "scale.deviation": self.scale.deviation, **state}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> "SequenceHead":
        """Make the head that `to_arrays` and `about` were of.

        Raises
        ------
        ModelError
            If an array is missing, unknown, not finite or of another shape than `about` says.
        """
        given = dict(arrays)
        sizes = ("units", "layers", "n_features", "n_classes")
        if wrong := [key for key in sizes if type(about.get(key)) is not int or about[key] < 1]:
            raise ModelError(f"a recurrent head whose {wrong[0]} is {about.get(wrong[0])!r}, no whole number above 0")
        if wrong := [key for key in ("scale.mean", "scale.deviation") if key not in given]:
            raise ModelError(f"a recurrent head without {wrong[0]}")
        if wrong := sorted(
            key for key, value in given.items() if value.dtype.kind != "f" or not np.isfinite(value).all()
        ):
            raise ModelError(f"a recurrent head whose {wrong[0]} is not finite")
        mean, deviation = given.pop("scale.mean"), given.pop("scale.deviation")
        n_values, n_classes = about["n_features"], about["n_classes"]
        if mean.shape != (n_values,) or deviation.shape != (n_values,) or not (deviation > 0).all():
            raise ModelError(f"a recurrent head of {n_values} columns, whose scale does not fit them")
        recurrence = Recurrence(kind=str(about.get("kind")), units=about["units"], layers=about["layers"])
        network = SequenceNetwork(None, recurrence, n_features=n_values, n_classes=n_classes)
        network.load_saved({key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in given.items()})
        return cls(network=network.eval(), scale=Scale(mean=mean, deviation=deviation))


class _Values:
    """Rows of values by their number, written as text."""

    def __init__(self, values: NDArray[Any]) -> None:
        self._values = values

    def batch(self, block_ids: Sequence[str]) -> NDArray[Any]:
        return self._values[[int(block_id) for block_id in block_ids]]


def _way(scale: Scale) -> Preparation:
    """How values enter: standardised."""
    return Preparation(kind="features", normalise="standard", scale=scale)


def _side(fold: Fold, clips: Sequence[NDArray[np.int64]]) -> Side:
    places = np.concatenate(clips)
    return Side(
        block_ids=[str(place) for place in places.tolist()],
        labels=fold.labels[places],
        lengths=tuple(len(clip) for clip in clips),
    )


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Compute in one thread: sums in another order give other last digits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fit_sequences(
    values: NDArray[Any],
    fold: Fold,
    *,
    kind: str,
    options: SequenceOptions,
    seed: int,
    side: str = "train",
) -> SequenceHead:
    """Train a recurrent network on the values (n_blocks, n_values) of a fold's blocks, in the order of the clips.

    Columns are standardised first, over the blocks of `side`, train or validation, which alone are learnt from.

    Raises
    ------
    ModelError
        If there is no such kind, or values are not finite.
    SplitError
        If there is nothing on that side, or the split tears clips.
    """
    if kind not in RECURRENT:
        raise ModelError(f"there is no recurrent head {kind!r}: {', '.join(RECURRENT)}")
    there = fold.on(side)
    clips = [clip for clip in order_clips(fold) if there[clip[0]]]
    if not clips:
        raise SplitError(f"split.csv: fold {fold.rows[0].fold} has no block on the {side} side to fit a head on")
    learned = _side(fold, clips)
    scale = _fit_scale(values[np.concatenate(clips)])
    network = start_sequence(
        FLAT,
        Recurrence(kind=kind, units=options.units, layers=options.layers),
        shape=values.shape[1:],
        n_classes=len(fold.classes),
        weights=None,
        init="kaiming",
        seed=seed,
    )
    recipe = Recipe(
        epochs=options.epochs,
        batch_images=options.batch_blocks,
        optimizer="adamw",
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        head_rate_factor=1.0,
        momentum=0.0,
        validate_every=1_000_000,
        keep="last",
        normalise="standard",
        seed=seed,
    )
    with _one_thread():
        train_network(
            network,
            _Values(values),
            learned,
            None,
            n_classes=len(fold.classes),
            recipe=recipe,
            preparation=_way(scale),
            device=CPU,
            on_point=lambda _point: None,
        )
    return SequenceHead(network=network.eval(), scale=scale)


def _fit_scale(rows: NDArray[Any]) -> Scale:
    rows = rows.astype(np.float64)
    if not np.isfinite(rows).all():
        raise ModelError("values to fit a head on hold NaN or infinity: run `dvc repro -f` on the stage that made them")
    deviation = rows.std(axis=0)
    varies = deviation > CONSTANT * np.abs(rows).max(axis=0)
    return Scale(mean=rows.mean(axis=0), deviation=np.where(varies, deviation, 1.0))
