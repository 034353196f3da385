"""A quick measurement of a network: a few training steps and forward passes, on blocks of the present shape."""

import contextlib
import io
import time
from collections.abc import Sequence

import numpy as np
import torch

from pipeline.errors import ModelError
from pipeline.learning.recipe import Recipe
from pipeline.learning.sides import Side
from pipeline.learning.watching import OUTPUT_BATCH
from pipeline.models.inference import outputs_of, refuse_unfit_shape
from pipeline.models.preparation import Preparation, fit_preparation
from pipeline.models.recurrent import AnyNetwork
from pipeline.params.sections import Model, Train
from pipeline.plan.machine import free_gpu, free_memory
from pipeline.plan.members import starter, without_memory
from pipeline.plan.network_counts import NetworkCosts, bytes_of, count_network, learning_state, saved_for_backward
from pipeline.runs import Compute
from pipeline.store.rendered import Rendered
from pipeline.store.tables import CurvePoint
from pipeline.train import train_network

STEP_SECONDS = 6.0  # that the step that is timed should stay under: of a larger batch a part is timed
TIMED_STEPS = 3
TIMED = {
    "optimizer",
    "head_rate_factor",
    "momentum",
    "weight_decay",
    "clip_norm",
    "loss",
    "precision",
    "channels_last",
}  # what a step costs
STEP = 1e-8  # learning rate: the weights do not matter, and must not diverge


def measure_network(
    model: Model, train: Train, *, n_classes: int, images: Rendered, block_ids: Sequence[str]
) -> NetworkCosts:
    """Measure with random weights; nothing is downloaded.

    Raises
    ------
    ModelError
        If there is no such network, or it cannot take images of this size.
    """
    device = Compute(train.device, train.threads, train.deterministic).prepare()
    start = starter(model, images.shape, kind=images.kind, n_classes=n_classes)  # with sequences a batch is one clip
    blank = without_memory(start)
    if blank is not None and learning_state(blank, train) > (free_gpu({str(device)}) or free_memory()):
        return count_network(blank, train, images.shape, kind=images.kind, device=device)
    network = start()
    refuse_unfit_shape(network, model.name, images.shape, kind=images.kind, normalise=model.normalise)
    way, _ = fit_preparation(images, sorted(set(block_ids)), normalise=model.normalise, whiten=model.whiten, seed=0)
    network.to(device)
    names = [block_ids[i % len(block_ids)] for i in range((1 + TIMED_STEPS) * max(train.batch_images, OUTPUT_BATCH))]
    saved = saved_for_backward(network, way.to_input(images.batch(names[:2]), device))
    with contextlib.redirect_stderr(io.StringIO()):
        n_images, seconds = _time_step(network, images, names, way, train, device)
        # A forward pass takes about a third of a step.
        predict, n_features = _time_predict(network, images, names[: min(3 * n_images, OUTPUT_BATCH)], way, device)
    return NetworkCosts(
        device=str(device),
        step_seconds=seconds,
        predict_seconds=predict,
        timed_images=n_images,
        **bytes_of(network, saved),
        n_features=n_features,
    )


def _time_step(
    network: AnyNetwork, images: Rendered, names: Sequence[str], way: Preparation, train: Train, device: torch.device
) -> tuple[int, float]:
    """How many images were in the step that was timed, and the seconds of a step of the whole batch.

    Where a batch would take long, a part of it is timed, and what each further image adds is drawn on.
    """
    few = min(2, train.batch_images)
    seconds_of_few = _step_seconds(network, images, names, way, train, device, n_images=2)
    n_images = min(train.batch_images, max(4, int(2 * STEP_SECONDS / seconds_of_few)))
    if n_images <= few:
        return 2, seconds_of_few
    try:
        seconds = _step_seconds(network, images, names, way, train, device, n_images=n_images)
    except ModelError:  # too little memory, which the estimate says by itself
        return 2, seconds_of_few * train.batch_images / 2
    each = max(0.0, (seconds - seconds_of_few) / (n_images - few))
    return n_images, seconds + (train.batch_images - n_images) * each


def _step_seconds(
    network: AnyNetwork,
    images: Rendered,
    names: Sequence[str],
    way: Preparation,
    train: Train,
    device: torch.device,
    *,
    n_images: int,
) -> float:
    """Median seconds of a few steps after a first one, which sets up."""
    at: list[float] = []

    def note(_point: CurvePoint) -> None:
        at.append(time.perf_counter())

    recipe = Recipe(
        seed=0,
        normalise=way.normalise,
        epochs=1,
        batch_images=n_images,
        learning_rate=STEP,
        validate_every=1,
        keep="last",
        **train.model_dump(include=TIMED),
    )
    own = names[: (1 + TIMED_STEPS) * n_images]
    n_classes = network.head_parameters()[0].shape[0]
    side = Side(block_ids=own, labels=np.arange(len(own)) % n_classes)
    train_network(
        network,
        images,
        side,
        None,
        n_classes=n_classes,
        recipe=recipe,
        preparation=way,
        device=device,
        on_point=note,
    )
    return float(np.median(np.diff(at)[:TIMED_STEPS]))


def _time_predict(
    network: AnyNetwork, images: Rendered, names: Sequence[str], way: Preparation, device: torch.device
) -> tuple[float, int]:
    """Seconds of one image, reading it too, and the number of features."""
    times = []
    for _ in range(1 + TIMED_STEPS):  # the first sets up
        start = time.perf_counter()
        ((_, features),) = outputs_of(network, [images.batch(names)], preparation=way, device=device)
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:])) / len(names), features.shape[1]
