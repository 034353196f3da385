"""One training loop: a network, the images of a fold's training side, and learning curves while it runs."""

import contextlib
import platform
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.augment.images import alter_images, draw_changes
from pipeline.console import say, track
from pipeline.errors import ModelError
from pipeline.learning.losses import Objective, choose_objective
from pipeline.learning.orders import choose_order
from pipeline.learning.progress import Progress, Tally
from pipeline.learning.rates import schedule_rates
from pipeline.learning.recipe import Recipe
from pipeline.learning.resume import Keeper
from pipeline.learning.reuse import Blocks, Shortened, shorten
from pipeline.models.inference import Answering, batches, outputs_of, outputs_of_clips
from pipeline.models.networks import seeded
from pipeline.models.preparation import Preparation
from pipeline.models.recurrent import AnyNetwork, SequenceNetwork
from pipeline.sequences import clip_batches, cut
from pipeline.store.tables import CurvePoint


@dataclass(frozen=True, kw_only=True)
class Side:
    """The blocks of one side and their labels; where sequences are learnt, one clip after the other."""

    block_ids: Sequence[str]
    labels: NDArray[np.int64]  # (n,), index of the class
    lengths: tuple[int, ...] | None = None  # number of blocks of each clip; None: blocks are no sequences


WATCH_BATCH = 64  # images; fixed, because sums in another order give other last digits
CLIP_NORM = 5.0  # of the gradient of a recurrent part, over which it is scaled down: Pascanu et al. (2013)
PRECISIONS = {"float32": None, "bf16": torch.bfloat16}  # that layers compute in while they learn
# What torch says when a step cannot be done, and what to do.
FIXES = {
    "does not have a deterministic implementation": "set train.deterministic to false, or train.device to cpu",
    "out of memory": "lower train.batch_images, or set train.device to cpu",
    "can't allocate memory": "lower train.batch_images, or the height and width of image or stack",
    "more than 1 value per channel": "set train.batch_images to 2 or more: batch normalisation needs two images",
}


def train_network(
    network: AnyNetwork,
    images: Blocks,
    training: Side,
    validation: Side | None,
    *,
    n_classes: int,
    recipe: Recipe,
    preparation: Preparation,
    device: torch.device,
    on_point: Callable[[CurvePoint], None],
    keeper: Keeper | None = None,
    scratch: Path | None = None,
) -> int:
    """Train `network` in place; return the iteration whose weights it ends with.

    `preparation` turns what was rendered into the network's input.

    Every epoch visits the training side in a new seeded order, its images altered anew as `recipe.jitter` says: each
    block once, or with `recipe.sampling` balanced as many of each class. Every `recipe.validate_every` iterations, and
    at the end, `on_point` gets the training side's means since the last time and, if there is a validation side, its
    own; losses among them are plain cross-entropies. Training ends after `recipe.epochs`, or when the validation UAR
    has not become higher for `recipe.stop_after` validations. With `recipe.keep` best, the weights of the highest
    validation UAR stay (ties: the lower loss), else the last.

    Where the sides have `lengths`, batches are made of whole clips (`clip_batches`; of longer ones, stretches of
    `recipe.sequence_blocks`), and a step goes down the mean over clips of the mean loss of their blocks, the gradient
    of the recurrent part being cut to the norm CLIP_NORM. Curves are means over blocks all the same.

    A `keeper` gets the run's state now and then; if it holds one at the start, the run goes on from there, and ends as
    it would have without a break.

    Where all before the head is frozen, what enters the head is computed once (`learning.reuse`); what is too much for
    memory lies in a file under `scratch`.

    Raises
    ------
    ModelError
        If the loss is no longer finite, or the device cannot do a step: too little memory, no deterministic algorithm.
    """
    network.to(device)
    epoch_ends = _epoch_ends(training, recipe)
    n_iterations = epoch_ends[-1]
    objective = choose_objective(recipe, training.labels, training.lengths, n_classes=n_classes, device=device)
    optimizer = _optimizer(network, recipe)
    rates = schedule_rates(optimizer, recipe, epoch_ends)
    run = Progress(network, optimizer, rates, n_classes=n_classes, device=device, on_point=on_point)
    parts = [part for side in (training, validation) if side for part in _watched_together(side)]
    learner, images, preparation = shorten(
        network, images, parts, recipe=recipe, preparation=preparation, device=device, scratch=scratch
    ) or Shortened(network, images, preparation)
    with seeded(recipe.seed):
        if keeper and (kept := keeper.load()):
            run.restore(kept)
            say(f"{keeper.label}: goes on after iteration {run.iteration} of {n_iterations}")
        left = islice(_steps(training, recipe), run.iteration, None)
        for step in track(left, label="train", total=n_iterations - run.iteration, unit="batches"):
            run.iteration += 1
            labels = training.labels[step.chosen]
            pictures = _pictures(images, training, step, recipe)
            with _explained(run.iteration):
                batch = preparation.to_input(pictures, device)
                answers = torch.from_numpy(labels).to(device)
                losses, predicted = _step(run, learner, batch, answers, step.lengths, objective, recipe)
            _refuse_infinite(losses, run.iteration)
            run.tally.add(losses, labels, predicted)
            if run.iteration % recipe.validate_every == 0 or run.iteration == n_iterations:
                epoch = run.iteration * recipe.epochs / n_iterations
                run.add(run.tally.point(run.iteration, epoch, "train"))
                run.tally = Tally(n_classes)
                if validation is not None:
                    watched = _validate(learner, images, validation, preparation, device, n_classes)
                    _refuse_infinite(watched.losses, run.iteration)
                    _note(run, watched.point(run.iteration, epoch, "validation"), recipe)
                if 0 < recipe.stop_after <= run.patience.n_since and run.iteration < n_iterations:
                    say(f"train: stops after iteration {run.iteration} of {n_iterations}: {_why_stopped(run)}")
                    break
            if keeper:
                keeper.offer(run.state)
    if run.best.state is None:
        return run.iteration
    network.load_state_dict(run.best.state)
    return run.best.iteration


def _note(run: Progress, point: CurvePoint, recipe: Recipe) -> None:
    run.add(point)
    run.patience.note(point.uar)
    if recipe.keep == "best":
        run.best.offer(run.network, point)


def _why_stopped(run: Progress) -> str:
    return f"no higher validation UAR than {run.patience.uar:.3f} in {run.patience.n_since} validations"


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


class _Step(NamedTuple):
    """What one iteration learns from."""

    epoch: int  # from 0
    chosen: NDArray[np.int64]  # indices of its blocks
    lengths: list[int] | None  # of its clips
    draws: NDArray[np.int64]  # of each block, which random numbers alter it: a block that comes twice has others


def _epoch_ends(training: Side, recipe: Recipe) -> list[int]:
    """Number of iterations at the end of each epoch."""
    if training.lengths is None:
        n = len(_batch_ends(len(training.block_ids), recipe.batch_images))
        return [n * (epoch + 1) for epoch in range(recipe.epochs)]
    counts = Counter(epoch for epoch, _, _ in _batches(training, recipe))
    return list(accumulate(counts[epoch] for epoch in range(recipe.epochs)))


def _steps(training: Side, recipe: Recipe) -> Iterator[_Step]:
    """Yield what every iteration learns from."""
    n = len(training.labels)
    comes_twice = recipe.sampling == "balanced" and not recipe.jitter.alters_nothing
    seen: Counter[int] = Counter()
    last = 0
    for epoch, chosen, lengths in _batches(training, recipe):
        draws = chosen
        if epoch != last:
            seen, last = Counter(), epoch
        if comes_twice:
            draws = chosen.copy()
            for place, block in enumerate(chosen.tolist()):
                draws[place] += n * seen[block]
                seen[block] += 1
        yield _Step(epoch, chosen, lengths, draws)


def _batches(training: Side, recipe: Recipe) -> Iterator[tuple[int, NDArray[np.int64], list[int] | None]]:
    """Yield, for every iteration, its epoch, from 0, the indices of its images, and the lengths of its clips."""
    if training.lengths is not None:
        firsts = np.cumsum([0, *training.lengths[:-1]])
        yield from clip_batches(
            training.lengths,
            epochs=recipe.epochs,
            batch_blocks=recipe.batch_images,
            longest=recipe.sequence_blocks,
            seed=recipe.seed,
            draw=choose_order(recipe.sampling, training.labels[firsts]),
        )
        return
    draw = choose_order(recipe.sampling, training.labels)
    for epoch in range(recipe.epochs):
        order = draw(np.random.default_rng([recipe.seed, epoch]))
        yield from ((epoch, part, None) for part in np.split(order, _batch_ends(len(order), recipe.batch_images)[:-1]))


def _pictures(images: Blocks, training: Side, step: _Step, recipe: Recipe) -> NDArray[Any]:
    """Read what a step learns from, altered if that is asked for."""
    pictures = images.batch([training.block_ids[i] for i in step.chosen])
    if recipe.jitter.alters_nothing:
        return pictures
    changes = draw_changes(recipe.jitter, step.draws.tolist(), seed=recipe.seed, epoch=step.epoch)
    return alter_images(pictures, changes)


def _batch_ends(n: int, batch_images: int) -> list[int]:
    """Where each batch ends; one image left over joins the batch before it, for batch normalisation needs two."""
    ends = [*range(batch_images, n, batch_images), n]
    if len(ends) > 1 and ends[-1] - ends[-2] == 1 < batch_images:
        del ends[-2]
    return ends


def _optimizer(network: AnyNetwork, recipe: Recipe) -> torch.optim.Optimizer:
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
    run: Progress,
    network: nn.Module,
    batch: Tensor,
    labels: Tensor,
    lengths: Sequence[int] | None,
    objective: Objective,
    recipe: Recipe,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """One step down the mean loss; return what curves show of each image (n,), and its predicted class (n,)."""
    optimizer = run.optimizer
    network.train()
    optimizer.zero_grad(set_to_none=True)
    dtype = PRECISIONS[recipe.precision]
    with torch.autocast(batch.device.type, dtype=dtype, enabled=dtype is not None):
        logits = network(batch) if lengths is None else network(batch, lengths)
    logits = logits.float()
    losses = objective(logits, labels)
    mean = losses.mean() if lengths is None else _mean_of_clips(losses, lengths)
    mean.backward()  # type: ignore[no-untyped-call]
    if isinstance(network, SequenceNetwork):
        nn.utils.clip_grad_norm_(network.recurrent.parameters(), CLIP_NORM)
    if recipe.clip_norm:
        learnt = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        nn.utils.clip_grad_norm_(learnt, recipe.clip_norm)
    optimizer.step()
    run.rates.step()
    watched = objective.watched(losses, logits, labels)
    return watched.double().cpu().numpy(), logits.detach().argmax(1).cpu().numpy()


def _mean_of_clips(losses: Tensor, lengths: Sequence[int]) -> Tensor:
    """Mean over clips of the mean over their blocks: every clip has the same weight, however long it is."""
    return torch.stack([own.mean() for own in torch.split(losses, list(lengths))]).mean()


def _validate(
    network: Answering, images: Blocks, side: Side, preparation: Preparation, device: torch.device, n_classes: int
) -> Tally:
    tally = Tally(n_classes)
    parts = (
        batches(range(len(side.labels)), WATCH_BATCH)
        if side.lengths is None
        else cut(range(len(side.labels)), side.lengths)
    )
    outputs = outputs_of_side(network, images, side, preparation=preparation, device=device)
    for index, (logits, _) in zip(parts, outputs, strict=True):
        labels = side.labels[list(index)]
        losses = nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels), reduction="none")
        tally.add(losses.double().numpy(), labels, logits.argmax(1))
    return tally


def _watched_together(side: Side) -> Iterator[Sequence[str]]:
    """Names of the blocks of a side, in the parts that are watched together: all, or each clip."""
    yield from [side.block_ids] if side.lengths is None else cut(side.block_ids, side.lengths)


def outputs_of_side(
    network: Answering,
    images: Blocks,
    side: Side,
    *,
    preparation: Preparation,
    device: torch.device,
    n_images: int = WATCH_BATCH,
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Logits and last features of a side's blocks, in its order: `n_images` at a time, or one of its clips."""
    if side.lengths is None or not isinstance(network, SequenceNetwork):
        pictures = (images.batch(ids) for ids in batches(side.block_ids, n_images))
        return outputs_of(network, pictures, preparation=preparation, device=device)
    clips = ((images.batch(ids) for ids in batches(own, n_images)) for own in cut(side.block_ids, side.lengths))
    return outputs_of_clips(network, clips, preparation=preparation, device=device)


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
