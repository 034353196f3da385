"""Heads: what is fitted to a trained member's logits or features, and answers for every block of the fold anew.

A head sees what the member makes of each block, and learns from one side of the fold only, named in its parameters. Its
outputs have the layout of a member's.
"""

import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.console import say
from pipeline.errors import ModelError, SplitError, StoreError
from pipeline.head_sources import HeadRecipe
from pipeline.models.estimators import ESTIMATORS, Estimator, Options, fit_estimator
from pipeline.models.saved import load_fitted, save_fitted, unfit
from pipeline.store.files import read_json, sha256_of, write_json
from pipeline.store.folds import VALIDATION_SIDE, Fold, Outputs, read_fold, read_outputs, write_outputs
from pipeline.store.paths import head_folder, head_outputs_h5, head_source, outputs_h5, run_key

WEIGHTS, CARD = "head.safetensors", "head.json"


class FittedHead(Protocol):
    """What a kind of head gives back: answers, and itself as arrays."""

    @property
    def about(self) -> dict[str, Any]:
        """What its arrays belong to, as JSON holds it."""

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """All of it as plain arrays, beside `about`."""

    def logits(self, values: NDArray[Any], fold: Fold) -> NDArray[Any]:
        """Logits (n_blocks, n_classes) of values (n_blocks, n_values) of all blocks of a fold, in the fold's order."""


# Values (n_blocks, n_values) of all blocks of a fold, the fold, the side to learn from, the options, the seed.
Fitter = Callable[[NDArray[Any], Fold, str, Mapping[str, Any], int], FittedHead]


@dataclass(frozen=True)
class Kind:
    """How a kind of head is fitted, and made again of its arrays and what is known of them."""

    fit: Fitter
    load: Callable[[Mapping[str, NDArray[Any]], Mapping[str, Any]], FittedHead]


@dataclass(frozen=True)
class EstimatorHead:
    """An estimator as a head: each block by itself."""

    estimator: Estimator

    @property
    def about(self) -> dict[str, Any]:
        """What its arrays belong to."""
        return self.estimator.about

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """All of it as plain arrays."""
        return self.estimator.to_arrays()

    def logits(self, values: NDArray[Any], fold: Fold) -> NDArray[Any]:
        """Log-probabilities (n_blocks, n_classes).

        Raises
        ------
        ModelError
            If it was fitted for other classes.
        """
        if self.estimator.n_classes != len(fold.classes):
            raise ModelError(f"fitted for {self.estimator.n_classes} classes, the split has {len(fold.classes)}")
        return self.estimator.log_probabilities(values)


def _estimator_kind(kind: str) -> Kind:
    def fit(values: NDArray[Any], fold: Fold, side: str, options: Mapping[str, Any], seed: int) -> FittedHead:
        there = fold.on(side)
        chosen = Options(**options)
        n_classes = len(fold.classes)
        own = fit_estimator(kind, values[there], fold.labels[there], n_classes=n_classes, options=chosen, seed=seed)
        return EstimatorHead(own)

    def load(arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> FittedHead:
        return EstimatorHead(Estimator.from_arrays(arrays, about))

    return Kind(fit=fit, load=load)


def _recurrent_kind(kind: str) -> Kind:
    """A recurrent network over the clips; torch is imported where it learns or answers."""

    def fit(values: NDArray[Any], fold: Fold, side: str, options: Mapping[str, Any], seed: int) -> FittedHead:
        from pipeline.sequence_heads import SequenceOptions, fit_sequences

        return fit_sequences(values, fold, kind=kind, options=SequenceOptions(**options), seed=seed, side=side)

    def load(arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> FittedHead:
        from pipeline.sequence_heads import SequenceHead

        return SequenceHead.from_arrays(arrays, about)

    return Kind(fit=fit, load=load)


HEADS: dict[str, Kind] = {
    **{kind: _estimator_kind(kind) for kind in ESTIMATORS},
    **{kind: _recurrent_kind(kind) for kind in ("lstm", "bilstm")},
}


def train_head(fold_index: int, name: str, head: HeadRecipe, *, validation: str) -> None:
    """Fit a head on one side of a fold and write it, and its logits of every block.

    Parameters
    ----------
    validation
        What the validation side is: none, fraction (a side of its own) or test (the test side itself).

    Raises
    ------
    SplitError
        If there is no such side.
    StoreError
        If the outputs are not those that were listed, or of another split.
    ModelError
        As the kind of head.
    """
    key = run_key(fold_index, name)
    side = _side(head, validation)
    fold = read_fold(fold_index)
    if not fold.on(side).any():
        raise SplitError(f"heads.{name}: fold {fold_index} has no block on the {side} side to fit it on")
    outputs = _listed_outputs(key, fold, head)
    values = outputs.values[head.on]
    try:
        fitted = HEADS[head.kind].fit(values, fold, side, head.options, head.seed)
    except (ModelError, SplitError) as error:
        raise type(error)(f"heads.{name}: fold {fold_index}: {error}") from None
    save_fitted(head_folder(key) / WEIGHTS, fitted.to_arrays(), fitted.about)
    card = {
        **asdict(head),
        "head": name,
        "fold": fold_index,
        "classes": list(fold.classes),
        "side": side,  # the fold's, which the validation side may be another name of
        "n_fitted": int(fold.on(side).sum()),
        "selected_on_test": bool(outputs.about["selected_on_test"]) or side == "test",
        "start": {**outputs.about["start"], "head": head.kind},
        "weights_sha256": sha256_of(head_folder(key) / WEIGHTS),
    }
    write_json(head_folder(key) / CARD, card)
    write_json(head_folder(key) / "provenance.json", _provenance(head.kind))
    logits = np.asarray(fitted.logits(values, fold), dtype=np.float32)
    write_outputs(head_outputs_h5(key), fold, {"logits": logits}, about=card)
    say(f"head {key}: {head.kind} on {head.on} of {head.member}, fitted to {card['n_fitted']} blocks ({side} side)")


def _provenance(kind: str) -> dict[str, Any]:
    """What may change the last digits of a head and is not a parameter."""
    fits = ("scipy", "scikit-learn") if kind in ESTIMATORS else ("torch",)
    packages = {name: version(name) for name in ("numpy", *fits)}
    return {"python": platform.python_version(), "machine": platform.machine(), "packages": packages}


def load_head(key: str) -> tuple[FittedHead, dict[str, Any]]:
    """Load a fitted head and its card.

    Raises
    ------
    ModelError
        If a file is missing, is not the one that the card names, or holds no head of a known kind.
    """
    card = read_json(head_folder(key) / CARD)
    path = head_folder(key) / WEIGHTS
    if card.get("kind") not in HEADS:
        raise ModelError(f"{head_folder(key) / CARD}: no card of a head of this version: run `dvc repro`")
    if not path.is_file() or sha256_of(path) != card.get("weights_sha256"):
        raise ModelError(f"{path}: missing or damaged (its SHA-256 is not the card's): run `dvc repro`")
    arrays, about = load_fitted(path)
    try:
        return HEADS[card["kind"]].load(arrays, about), card
    except ModelError as error:
        raise unfit(path, error) from None


def _side(head: HeadRecipe, validation: str) -> str:
    """Name of the side in split.csv that a head learns from."""
    if head.fitted_on == "train":
        return "train"
    if (side := VALIDATION_SIDE[validation]) is None:
        raise SplitError("heads: fitted_on validation needs a validation side: set split.validation, or fit on train")
    return side


def _listed_outputs(key: str, fold: Fold, head: HeadRecipe) -> Outputs:
    """Read the outputs that were listed for a head, and refuse others."""
    source = read_json(head_source(key))
    path = outputs_h5(run_key(fold.rows[0].fold, head.member))
    if source.get("path") != path.as_posix() or not path.is_file() or sha256_of(path) != source.get("sha256"):
        raise StoreError(f"{path}: not the outputs that {head_source(key)} names: run `dvc repro`")
    outputs = read_outputs(path, head.on)
    if not fold.is_answered_by(outputs):
        raise StoreError(f"{path}: predicts other blocks, sides or classes than the present split: run `dvc repro`")
    return outputs
