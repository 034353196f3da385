"""One training loop: a network, the images of a fold's training side, and learning curves while it runs."""

import contextlib
import copy
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.augment.images import Jitter, alter_images, draw_changes
from pipeline.console import track
from pipeline.errors import ModelError
from pipeline.models.inference import batches, outputs_of
from pipeline.models.networks import Network, seeded
from pipeline.models.preparation import Preparation
from pipeline.store.rendered import Rendered
from pipeline.store.tables import CurvePoint


@dataclass(frozen=True, kw_only=True)
class Side:
    """The blocks of one side and their labels."""

    block_ids: Sequence[str]
    labels: NDArray[np.int64]  # (n,), index of the class


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train; the fields are explained in params.yaml's section `train`."""

    epochs: int
    batch_images: int
    optimizer: str
    learning_rate: float
    head_rate_factor: float
    momentum: float
    weight_decay: float
    validate_every: int
    keep: str
    normalise: str
    seed: int
    whiten: str = "none"
    jitter: Jitter = field(default_factory=Jitter)


# What torch says when a step cannot be done, and what to do.
FIXES = {
    "does not have a deterministic implementation": "set train.deterministic to false, or train.device to cpu",
    "out of memory": "lower train.batch_images, or set train.device to cpu",
    "can't allocate memory": "lower train.batch_images, or the height and width of image or stack",
    "more than 1 value per channel": "set train.batch_images to 2 or more: batch normalisation needs two images",
}


@dataclass
class _Tally:
    """Losses and confusions since the last point of a curve."""

    n_classes: int
    losses: list[float] = field(default_factory=list)
    confusion: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.confusion = np.zeros((self.n_classes, self.n_classes), dtype=np.int64)

    def add(self, losses: NDArray[np.float64], actual: NDArray[np.int64], predicted: NDArray[np.int64]) -> None:
        self.losses += losses.tolist()
        np.add.at(self.confusion, (actual, predicted), 1)

    def point(self, iteration: int, epoch: float, side: str) -> CurvePoint:
        counts = self.confusion.sum(axis=1)
        recalls = np.diag(self.confusion)[counts > 0] / counts[counts > 0]
        return CurvePoint(
            iteration=iteration,
            epoch=round(epoch, 4),
            side=side,
            loss=round(float(np.mean(self.losses)), 6),
            accuracy=round(float(np.trace(self.confusion) / counts.sum()), 6),
            uar=round(float(recalls.mean()), 6),
        )


@dataclass
class _Best:
    """The weights of the highest validation UAR so far; of equals those of the lower loss, then the earlier ones."""

    rank: tuple[float, float] = (-1.0, 0.0)
    iteration: int = 0
    state: dict[str, Tensor] | None = None

    def offer(self, network: Network, point: CurvePoint) -> None:
        rank = (point.uar, -point.loss)
        if rank > self.rank:
            self.rank, self.iteration, self.state = rank, point.iteration, copy.deepcopy(network.state_dict())


def train_network(
    network: Network,
    images: Rendered,
    training: Side,
    validation: Side | None,
    *,
    n_classes: int,
    recipe: Recipe,
    preparation: Preparation,
    device: torch.device,
    on_point: Callable[[CurvePoint], None],
) -> int:
    """Train `network` in place; return the iteration whose weights it ends with.

    `preparation` turns what was rendered into the network's input.

    Every epoch visits the training side once in a new seeded order, its images altered anew as `recipe.jitter` says.
    Every `recipe.validate_every` iterations, and at the end, `on_point` gets the training side's means since the last
    time and, if there is a validation side, its own. With `recipe.keep` best, the weights of the highest validation UAR
    stay (ties: the lower loss), else the last.

    Raises
    ------
    ModelError
        If the loss is no longer finite, or the device cannot do a step: too little memory, no deterministic algorithm.
    """
    network.to(device)
    optimizer = _optimizer(network, recipe)
    n_iterations = recipe.epochs * len(_batch_ends(len(training.block_ids), recipe.batch_images))
    best, tally = _Best(), _Tally(n_classes)
    with seeded(recipe.seed):
        steps = track(_steps(training, recipe), label="train", total=n_iterations, unit="batches")
        for iteration, (pass_, chosen) in enumerate(steps, start=1):
            labels = training.labels[chosen]
            pictures = images.batch([training.block_ids[i] for i in chosen])
            if not recipe.jitter.alters_nothing:
                changes = draw_changes(recipe.jitter, chosen.tolist(), seed=recipe.seed, epoch=pass_)
                pictures = alter_images(pictures, changes)
            with _explained(iteration):
                batch = preparation.to_input(pictures, device)
                losses, predicted = _step(network, optimizer, batch, torch.from_numpy(labels).to(device))
            _refuse_infinite(losses, iteration)
            tally.add(losses, labels, predicted)
            if iteration % recipe.validate_every and iteration < n_iterations:
                continue
            epoch = iteration * recipe.epochs / n_iterations
            on_point(tally.point(iteration, epoch, "train"))
            tally = _Tally(n_classes)
            if validation is not None:
                watched = _validate(network, images, validation, preparation, device, n_classes)
                _refuse_infinite(watched.losses, iteration)
                point = watched.point(iteration, epoch, "validation")
                on_point(point)
                if recipe.keep == "best":
                    best.offer(network, point)
    if best.state is None:
        return n_iterations
    network.load_state_dict(best.state)
    return best.iteration


def _refuse_infinite(losses: Sequence[float] | NDArray[np.float64], iteration: int) -> None:
    if not np.isfinite(losses).all():
        raise ModelError(
            f"training diverged: the loss at iteration {iteration} is not finite: lower train.learning_rate"
        )


@contextlib.contextmanager
def _explained(iteration: int) -> Iterator[None]:
    """Turn what torch says of a step that cannot be done into one line with the fix; what is unknown goes through."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        text = " ".join(str(error).split())
        for sign, fix in FIXES.items():
            if sign in text:
                raise ModelError(f"training stopped at iteration {iteration} ({text[:120]}): {fix}") from None
        raise


def _steps(training: Side, recipe: Recipe) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield, for every iteration, the number of its epoch, from 0, and the indices of its images."""
    for epoch in range(recipe.epochs):
        order = np.random.default_rng([recipe.seed, epoch]).permutation(len(training.block_ids))
        yield from ((epoch, part) for part in np.split(order, _batch_ends(len(order), recipe.batch_images)[:-1]))


def _batch_ends(n: int, batch_images: int) -> list[int]:
    """Where each batch ends; one image left over joins the batch before it, for batch normalisation needs two."""
    ends = [*range(batch_images, n, batch_images), n]
    if len(ends) > 1 and ends[-1] - ends[-2] == 1 < batch_images:
        del ends[-2]
    return ends


def _optimizer(network: Network, recipe: Recipe) -> torch.optim.Optimizer:
    """Set up the steps of what is not frozen, the head at its own rate."""
    groups: list[dict[str, Any]] = [
        {"params": network.trunk_parameters(), "lr": recipe.learning_rate},
        {"params": network.head_parameters(), "lr": recipe.learning_rate * recipe.head_rate_factor},
    ]
    groups = [{**group, "params": own} for group in groups if (own := [p for p in group["params"] if p.requires_grad])]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=recipe.momentum, weight_decay=recipe.weight_decay, fused=True)
    return torch.optim.AdamW(groups, weight_decay=recipe.weight_decay, fused=True)


def _step(
    network: Network, optimizer: torch.optim.Optimizer, batch: Tensor, labels: Tensor
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """One step down the mean cross-entropy; return each image's loss (n,) and predicted class (n,)."""
    network.train()
    optimizer.zero_grad(set_to_none=True)
    logits = network(batch)
    losses = nn.functional.cross_entropy(logits, labels, reduction="none")
    losses.mean().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return losses.detach().double().cpu().numpy(), logits.detach().argmax(1).cpu().numpy()


def _validate(
    network: Network, images: Rendered, side: Side, preparation: Preparation, device: torch.device, n_classes: int
) -> _Tally:
    tally = _Tally(n_classes)
    pictures = (images.batch(ids) for ids in batches(side.block_ids, 64))
    outputs = outputs_of(network, pictures, preparation=preparation, device=device)
    for index, (logits, _) in zip(batches(range(len(side.labels)), 64), outputs, strict=True):
        labels = side.labels[list(index)]
        losses = nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels), reduction="none")
        tally.add(losses.double().numpy(), labels, logits.argmax(1))
    return tally


def provenance(device: torch.device) -> dict[str, Any]:
    """What may change the last digits of a result and is not a parameter: versions, device, threads, processor."""
    packages = ("torch", "torchvision", "numpy", "scipy", "h5py", "soxr", "soundfile", "pyloudnorm", "python-stretch")
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "packages": {name: version(name) for name in packages},
    }
