"""One training run, from files to files: train a member on a fold, and predict every block with it."""

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pipeline.augment.attach import attach_variants
from pipeline.console import say, track
from pipeline.errors import SplitError, StoreError
from pipeline.models.checkpoint import ModelCard, load_model, save_model
from pipeline.models.inference import batches, choose_device, outputs_of, prepare_torch, refuse_unfit_shape
from pipeline.models.networks import start_network
from pipeline.models.preparation import fit_preparation, input_shape_of
from pipeline.models.weights import read_weights
from pipeline.store.files import write_json
from pipeline.store.folds import Fold, read_fold, write_outputs
from pipeline.store.paths import (
    SPECTROGRAMS_LIST,
    VARIANTS,
    curves_csv,
    model_folder,
    outputs_h5,
    run_key,
    weights_folder,
)
from pipeline.store.rendered import open_rendered
from pipeline.store.tables import Block, CurvePoint, LiveTable, SpectrogramFile, read_rows
from pipeline.train import Recipe, Side, provenance, train_network

PREDICT_BATCH = 64  # images; fixed, because sums in another order give other last digits


@dataclass(frozen=True)
class Compute:
    """Where and how reproducibly to compute; as in params.yaml's section `train`."""

    device: str
    threads: int
    deterministic: bool

    def prepare(self) -> torch.device:
        """Set torch up and return the device."""
        prepare_torch(threads=self.threads, deterministic=self.deterministic)
        return choose_device(self.device)


def _side(fold: Fold, name: str) -> Side:
    there = fold.on(name)
    if not there.any():
        raise SplitError(f"split.csv: fold {fold.rows[0].fold} has no block on the {name} side: run `dvc repro`")
    return Side(block_ids=[row.block_id for row in fold.rows if row.side == name], labels=fold.labels[there])


def _with_variants(fold: Fold, *, balanced: bool, seed: int) -> Fold:
    """Add altered blocks to a fold's training side."""
    of_variant: dict[int, list[Block]] = defaultdict(list)
    for block in read_rows(VARIANTS, Block):
        of_variant[block.variant].append(block)
    return Fold([*fold.rows, *attach_variants(fold.rows, of_variant, balanced=balanced, seed=seed)], fold.classes)


def train_run(
    fold_index: int,
    member: str,
    *,
    network_name: str,
    init: str,
    dropout: float | None,
    recipe: Recipe,
    validation: str,
    compute: Compute,
    options: Mapping[str, Any] | None = None,
    frozen: int | str | Sequence[str] = 0,
    balanced: bool = False,
    seed: int = 0,
) -> None:
    """Train one member on one fold's training side; write its model, its provenance and its learning curves.

    `validation` says which side is watched, and chosen on if the recipe keeps the best: none, fraction (the validation
    side) or test. `options` are of our own networks; `frozen` layers do not learn. Altered blocks of training clips are
    learned from beside their own; with `balanced`, as many of each class, chosen by `seed`.
    """
    device = compute.prepare()
    fold = read_fold(fold_index)
    listed = read_rows(SPECTROGRAMS_LIST, SpectrogramFile)
    state, start = read_weights(weights_folder(member), network_name)
    training = _side(_with_variants(fold, balanced=balanced, seed=seed), "train")
    watched = {"none": None, "fraction": "validation", "test": "test"}[validation]
    key = run_key(fold_index, member)
    with open_rendered(listed) as images, LiveTable(curves_csv(key), CurvePoint) as curves:
        shape = input_shape_of(images.kind, images.shape)
        network = start_network(
            network_name,
            n_classes=len(fold.classes),
            weights=state,
            init=init,
            seed=recipe.seed,
            dropout=dropout,
            shape=shape,
            options=options,
            frozen=frozen,
        )
        refuse_unfit_shape(network, network_name, images.shape, kind=images.kind, normalise=recipe.normalise)
        preparation, n_anomalous = fit_preparation(
            images, training.block_ids, normalise=recipe.normalise, whiten=recipe.whiten, seed=recipe.seed
        )
        if images.kind == "features":
            n_values = len(training.block_ids) * images.shape[0]
            say(f"train {key}: {n_anomalous} of {n_values} values of the training blocks were anomalous and replaced")
        kept = train_network(
            network,
            images,
            training,
            _side(fold, watched) if watched else None,
            n_classes=len(fold.classes),
            recipe=recipe,
            preparation=preparation,
            device=device,
            on_point=curves.append,
        )
        card = ModelCard(
            network=network_name,
            shape=shape,
            classes=fold.classes,
            representation=images.representation,
            normalise=recipe.normalise,
            start=start,
            seed=recipe.seed,
            fold=fold_index,
            images_sha256={row.corpus: row.sha256 for row in listed},
            kept_iteration=kept,
            selected_on_test=watched == "test" and recipe.keep == "best",
            kind=images.kind,
            options=network.options,
            whiten=recipe.whiten,
            n_anomalous=n_anomalous,
        )
    save_model(model_folder(key), network, card, preparation)
    write_json(model_folder(key) / "provenance.json", provenance(device))


def predict_run(fold_index: int, member: str, *, compute: Compute) -> None:
    """Write logits and last features of every block of a fold under its trained model."""
    device = compute.prepare()
    fold = read_fold(fold_index)
    key = run_key(fold_index, member)
    network, card, preparation = load_model(model_folder(key))
    if card.classes != fold.classes:
        raise StoreError(
            f"{model_folder(key)}: trained for {card.classes}, the split has {fold.classes}: run `dvc repro`"
        )
    block_ids = [row.block_id for row in fold.rows]
    network.to(device)
    with open_rendered(read_rows(SPECTROGRAMS_LIST, SpectrogramFile)) as images:
        if images.representation != card.representation:
            raise StoreError(f"{model_folder(key)}: trained on another representation of the blocks: run `dvc repro`")
        pictures = (images.batch(ids) for ids in batches(block_ids, PREDICT_BATCH))
        outputs = outputs_of(network, pictures, preparation=preparation, device=device)
        n_batches = -(-len(block_ids) // PREDICT_BATCH)
        results = list(track(outputs, label=f"predict {key}", total=n_batches, unit="batches"))
    logits, features = (np.concatenate(parts) for parts in zip(*results, strict=True))
    about = {name: value for name, value in dataclasses.asdict(card).items() if name != "representation"}
    write_outputs(outputs_h5(key), fold, {"logits": logits, "features": features}, about=about)
