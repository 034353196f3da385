"""One training run, from files to files: train a member on a fold, and predict every block with it."""

import contextlib
import dataclasses
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.augment.attach import attach_variants
from pipeline.console import say, track
from pipeline.errors import SplitError, StoreError
from pipeline.estimator_runs import EstimatorCard, fit_member, is_estimator, load_member, outputs_of_member
from pipeline.learning.recipe import Recipe
from pipeline.learning.resume import Keeper, digest_of_run
from pipeline.learning.sides import Side
from pipeline.learning.team import ALONE, Team, joined, team_of_environment
from pipeline.learning.watching import OUTPUT_BATCH, outputs_of_side
from pipeline.models.checkpoint import ModelCard, load_model, save_model
from pipeline.models.estimators import ESTIMATORS, Options
from pipeline.models.inference import prepare_torch, refuse_unfit_shape
from pipeline.models.preparation import fit_preparation, input_shape_of
from pipeline.models.recurrent import NO_RECURRENCE, AnyNetwork, Recurrence, SequenceNetwork, start_classifier
from pipeline.models.weights import read_weights
from pipeline.sequences import count_gapped, order_clips
from pipeline.store.claims import when_in_place
from pipeline.store.files import write_json
from pipeline.store.folds import VALIDATION_SIDE, Fold, read_fold, write_outputs_in_parts
from pipeline.store.paths import (
    RESUME,
    SPECTROGRAMS_LIST,
    VARIANTS,
    curves_csv,
    model_folder,
    outputs_h5,
    resume_folder,
    run_key,
    weights_folder,
)
from pipeline.store.rendered import Rendered, open_rendered
from pipeline.store.tables import Block, CurvePoint, LiveTable, SpectrogramFile, read_rows
from pipeline.train import provenance, train_network


@dataclass(frozen=True)
class Compute:
    """Where and how reproducibly to compute; as in params.yaml's sections `train` and `machine`."""

    device: str
    threads: int
    deterministic: bool
    checkpoint_minutes: float = 0.0

    def prepare(self, team: Team = ALONE) -> torch.device:
        """Set torch up, and return the device: this process's share of threads and GPUs, if it is one of a team."""
        prepare_torch(threads=team.threads(self.threads), deterministic=self.deterministic)
        return team.device(self.device)


def _side(fold: Fold, name: str, *, in_order: bool = False) -> Side:
    """The blocks of one side; with `in_order`, one clip after the other."""
    there = fold.on(name)
    if not there.any():
        raise SplitError(f"split.csv: fold {fold.rows[0].fold} has no block on the {name} side: run `dvc repro`")
    places = [clip for clip in order_clips(fold) if there[clip[0]]] if in_order else [np.flatnonzero(there)]
    return _blocks_at(fold, places, in_order=in_order)


def _blocks_at(fold: Fold, places: Sequence[NDArray[np.int64]], *, in_order: bool) -> Side:
    """Blocks at the given places of a fold's rows: of each clip if `in_order`, else of all together."""
    rows = np.concatenate(places)
    return Side(
        block_ids=list(fold.rows.texts("block_id").take(rows)),
        labels=fold.labels[rows],
        lengths=tuple(len(clip) for clip in places) if in_order else None,
    )


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
    recurrence: Recurrence = NO_RECURRENCE,
    estimator: Mapping[str, Any] | None = None,
) -> None:
    """Train one member on one fold's training side; write its model, its provenance and its learning curves.

    A network's state is kept now and then, as `compute` says; after a kill the same run goes on from there. Where
    torchrun has started several processes, they train it together, and one of them writes.

    Parameters
    ----------
    network_name
        Of a network, or of an estimator: that is fitted once, and of the recipe only `normalise`, `whiten` and the seed
        apply.
    init, dropout, options, frozen
        As of `start_network`.
    validation
        Which side is watched, and chosen on if the recipe keeps the best: none, fraction (the validation side) or test.
    balanced, seed
        Altered blocks of training clips are learned from beside their own; if `balanced`, as many of each class, chosen
        by `seed`. (The seed of the training is the recipe's.)
    recurrence
        What runs over a network's features of a clip's blocks; then the items are clips.
    estimator
        Options of an estimator.

    Raises
    ------
    SplitError
        If a side is empty, or a clip's blocks are not all on one side where its order counts.
    """
    team = team_of_environment()
    if network_name in ESTIMATORS:  # one process fits it
        if not team.leads:
            return
        team = ALONE
    with joined(team):
        device = compute.prepare(team)
        listed = read_rows(SPECTROGRAMS_LIST, SpectrogramFile)
        state, start = read_weights(weights_folder(member), network_name)
        task = _task(fold_index, member, listed, start, validation, recurrence, balanced=balanced, seed=seed)
        curve = LiveTable(curves_csv(task.key), CurvePoint) if team.leads else contextlib.nullcontext()
        with open_rendered(listed) as images, curve as curves:
            on_point = curves.append if curves else _not_noted
            if network_name in ESTIMATORS:
                _fit(task, images, network_name, Options(**(estimator or {})), recipe=recipe, on_point=on_point)
                return
            shape = input_shape_of(images.kind, images.shape)
            network = start_classifier(
                network_name,
                recurrence,
                n_classes=len(task.fold.classes),
                weights=state,
                init=init,
                seed=recipe.seed,
                dropout=dropout,
                shape=shape,
                options=options,
                frozen=frozen,
            )
            refuse_unfit_shape(network, network_name, images.shape, kind=images.kind, normalise=recipe.normalise)
            asked = [network_name, init, dropout, options, frozen, asdict(recurrence), shape, start]
            _learn(
                task,
                images,
                network,
                asked,
                recipe=recipe,
                compute=compute,
                team=team,
                on_point=on_point,
                device=device,
            )


@dataclass(frozen=True)
class _Task:
    """What a run learns from and is watched on.

    Attributes
    ----------
    learned
        The fold with the altered blocks of its training side.
    watched
        Name of the side that is watched, if any; its blocks are `validation`.
    start
        Network and starting weights, as the model's card says them.
    """

    key: str
    fold_index: int
    fold: Fold
    learned: Fold
    training: Side
    watched: str | None
    validation: Side | None
    start: dict[str, str]
    images_sha256: dict[str, str]


def _task(
    fold_index: int,
    member: str,
    listed: Sequence[SpectrogramFile],
    start: dict[str, str],
    validation: str,
    recurrence: Recurrence,
    *,
    balanced: bool,
    seed: int,
) -> _Task:
    in_order = recurrence.kind != "none"
    if in_order and balanced:
        raise SplitError(
            f"model.sequence: {recurrence.kind} needs all of a clip's blocks, and balancing drops random ones: set "
            "split.balance to none"
        )
    fold = read_fold(fold_index)
    learned = _with_variants(fold, balanced=balanced, seed=seed)
    watched = VALIDATION_SIDE[validation]
    return _Task(
        key=run_key(fold_index, member),
        fold_index=fold_index,
        fold=fold,
        learned=learned,
        training=_side(learned, "train", in_order=in_order),
        watched=watched,
        validation=_side(fold, watched, in_order=in_order) if watched else None,
        start=start,
        images_sha256={row.corpus: row.sha256 for row in listed},
    )


def _fit(
    task: _Task,
    images: Rendered,
    kind: str,
    options: Options,
    *,
    recipe: Recipe,
    on_point: Callable[[CurvePoint], None],
) -> None:
    """Fit an estimator, and write it."""
    points = fit_member(
        model_folder(task.key),
        images,
        task.training,
        task.validation,
        kind=kind,
        options=options,
        classes=task.fold.classes,
        normalise=recipe.normalise,
        whiten=recipe.whiten,
        seed=recipe.seed,
        about={"start": task.start, "fold": task.fold_index, "images_sha256": task.images_sha256},
    )
    for point in points:
        on_point(point)


def _learn(
    task: _Task,
    images: Rendered,
    network: AnyNetwork,
    asked: Sequence[Any],
    *,
    recipe: Recipe,
    compute: Compute,
    device: torch.device,
    team: Team,
    on_point: Callable[[CurvePoint], None],
) -> None:
    """Train a network from its start, and write it; `asked` is all that the start rests on."""
    training, sequence = task.training, network if isinstance(network, SequenceNetwork) else None
    preparation, n_anomalous = fit_preparation(
        images, training.block_ids, normalise=recipe.normalise, whiten=recipe.whiten, seed=recipe.seed
    )
    if sequence:
        _say_sequences(task.key, task.learned, training)
    if images.kind == "features":
        n_replaced = f"{n_anomalous} of {len(training.block_ids) * images.shape[0]}"
        say(f"train {task.key}: {n_replaced} values of the training blocks were anomalous and replaced")
    made_by = {**provenance(device), "processes": team.size}
    inputs = {
        "network": list(asked),
        "recipe": asdict(recipe),
        "images": [task.images_sha256, images.representation],
    }
    keeper = _keeper(task, compute, inputs, made_by)
    kept = train_network(
        network,
        images,
        training,
        task.validation,
        n_classes=len(task.fold.classes),
        recipe=recipe,
        preparation=preparation,
        device=device,
        on_point=on_point,
        keeper=keeper,
        scratch=RESUME.parent,
        team=team,
    )
    if not team.leads:
        return
    card = ModelCard(
        network=asked[0],
        shape=input_shape_of(images.kind, images.shape),
        classes=task.fold.classes,
        representation=images.representation,
        normalise=recipe.normalise,
        start={**task.start, "sequence": sequence.about["kind"]} if sequence else task.start,
        seed=recipe.seed,
        fold=task.fold_index,
        images_sha256=task.images_sha256,
        kept_iteration=kept,
        selected_on_test=task.watched == "test" and recipe.keep == "best",
        kind=images.kind,
        options=network.options,
        whiten=recipe.whiten,
        sequence=sequence.about if sequence else {},
        n_anomalous=n_anomalous,
    )
    save_model(model_folder(task.key), network, card, preparation)
    write_json(model_folder(task.key) / "provenance.json", made_by)
    when_in_place(keeper.remove)


def _not_noted(_point: CurvePoint) -> None:
    """Leave a point of a curve to the process that leads."""


def _keeper(task: _Task, compute: Compute, inputs: Mapping[str, Any], made_by: Mapping[str, Any]) -> Keeper:
    """What keeps a run's state, known by all that may change a byte of its result.

    Parameters
    ----------
    inputs
        The network's start, the recipe and the images, by content.
    made_by
        Versions, device, threads and processes.
    """
    sides = hashlib.sha256()
    for side in (task.training, task.validation):
        if side:
            sides.update(json.dumps([list(side.block_ids), side.labels.tolist(), side.lengths]).encode())
    everything = {
        **inputs,
        "key": task.key,
        "classes": task.fold.classes,
        "sides": sides.hexdigest(),
        "deterministic": compute.deterministic,
        "made_by": made_by,
    }
    return Keeper(
        folder=resume_folder(task.key),
        label=f"train {task.key}",
        digest=digest_of_run(everything),
        every_seconds=60 * compute.checkpoint_minutes,
    )


def _say_sequences(key: str, fold: Fold, training: Side) -> None:
    clips = [clip for clip in order_clips(fold) if fold.rows[clip[0]].side == "train"]
    lengths = training.lengths or ()
    gapped = count_gapped(fold, clips)
    gaps = f"; in {gapped} of them slicing left blocks out, and those around follow one another" if gapped else ""
    say(f"train {key}: {len(lengths)} clips of {min(lengths)} to {max(lengths)} blocks as sequences{gaps}")


def predict_run(fold_index: int, member: str, *, compute: Compute) -> None:
    """Write logits and last features of every block of a fold under its trained model."""
    device = compute.prepare()
    fold = read_fold(fold_index)
    key = run_key(fold_index, member)
    if is_estimator(model_folder(key)):
        _predict_estimator(fold, key)
        return
    network, card, preparation = load_model(model_folder(key))
    _refuse_other_classes(key, card, fold)
    in_order = isinstance(network, SequenceNetwork)
    places = order_clips(fold) if in_order else [np.arange(len(fold.rows))]
    everything = _blocks_at(fold, places, in_order=in_order)
    network.to(device)
    with open_rendered(read_rows(SPECTROGRAMS_LIST, SpectrogramFile)) as images:
        _refuse_other_representation(key, card, images)
        outputs = outputs_of_side(network, images, everything, preparation=preparation, device=device)
        n_batches = len(places) if in_order else -(-len(fold.rows) // OUTPUT_BATCH)
        results = track(outputs, label=f"predict {key}", total=n_batches, unit="clips" if in_order else "batches")
        parts = ({"logits": logits, "features": features} for logits, features in results)
        _write_outputs(key, fold, card, _in_order_of_rows(parts, np.concatenate(places)))


def _in_order_of_rows(
    parts: Iterable[Mapping[str, NDArray[np.float32]]], rows: NDArray[np.int64]
) -> Iterable[Mapping[str, NDArray[np.float32]]]:
    """Put what was made of some rows, one after the other, into the order of the rows: as it comes, if it is that."""
    if (rows == np.arange(len(rows))).all():
        return parts
    held = list(parts)
    back = np.argsort(rows)
    return [{name: np.concatenate([part[name] for part in held])[back] for name in held[0]}]


def _predict_estimator(fold: Fold, key: str) -> None:
    """Write log-probabilities of every block, and the values that entered."""
    estimator, card, preparation = load_member(model_folder(key))
    _refuse_other_classes(key, card, fold)
    with open_rendered(read_rows(SPECTROGRAMS_LIST, SpectrogramFile)) as images:
        _refuse_other_representation(key, card, images)
        block_ids = list(fold.rows.texts("block_id"))
        logits, features = outputs_of_member(estimator, preparation, images, block_ids, label=f"predict {key}")
    _write_outputs(key, fold, card, [{"logits": logits, "features": features}])


def _refuse_other_classes(key: str, card: ModelCard | EstimatorCard, fold: Fold) -> None:
    if card.classes != fold.classes:
        raise StoreError(
            f"{model_folder(key)}: trained for {card.classes}, the split has {fold.classes}: run `dvc repro`"
        )


def _refuse_other_representation(key: str, card: ModelCard | EstimatorCard, images: Rendered) -> None:
    if images.representation != card.representation:
        raise StoreError(f"{model_folder(key)}: trained on another representation of the blocks: run `dvc repro`")


def _write_outputs(
    key: str, fold: Fold, card: ModelCard | EstimatorCard, parts: Iterable[Mapping[str, NDArray[np.float32]]]
) -> None:
    about = {name: value for name, value in dataclasses.asdict(card).items() if name != "representation"}
    write_outputs_in_parts(outputs_h5(key), fold, parts, about=about)
