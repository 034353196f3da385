"""One training loop: a network, the images of a fold's training side, and learning curves while it runs."""

import dataclasses
import platform
from collections.abc import Callable, Iterator
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import torch

from pipeline.console import say, track
from pipeline.learning.feed import Blocks, fed, held_if_it_fits
from pipeline.learning.losses import choose_objective
from pipeline.learning.progress import Progress, Tally
from pipeline.learning.rates import schedule_rates
from pipeline.learning.recipe import Recipe
from pipeline.learning.resume import Keeper
from pipeline.learning.reuse import Shortened, shorten
from pipeline.learning.sides import Side, epoch_ends, steps
from pipeline.learning.stepping import Stepper, Unread, explained, make_optimizer, refuse_infinite
from pipeline.learning.synced import sync_norms
from pipeline.learning.team import ALONE, Team
from pipeline.learning.watching import validate
from pipeline.models.networks import seeded
from pipeline.models.preparation import Preparation
from pipeline.models.recurrent import AnyNetwork
from pipeline.store.tables import CurvePoint

Item = TypeVar("Item")


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
    team: Team = ALONE,
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
    of the recurrent part being cut to the norm `stepping.CLIP_NORM`. Curves are means over blocks all the same.

    A `keeper` gets the run's state now and then; if it holds one at the start, the run goes on from there, and ends as
    it would have without a break.

    Where all before the head is frozen, what enters the head is computed once (`learning.reuse`); what is too much for
    memory lies in a file under `scratch`.

    The processes of a `team`, which are joined, each compute their share of every batch, down the mean over all of it;
    all end with the same weights and curves.

    Raises
    ------
    ModelError
        If the loss is no longer finite, or the device cannot do a step: too little memory, no deterministic algorithm.
    """
    layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
    network.to(device).to(memory_format=layout)
    preparation = dataclasses.replace(preparation, channels_last=recipe.channels_last)
    if team.size > 1:
        sync_norms(network, device)
    ends = epoch_ends(training, recipe)
    objective = choose_objective(recipe, training.labels, training.lengths, n_classes=n_classes, device=device)
    optimizer = make_optimizer(network, recipe)
    rates = schedule_rates(optimizer, recipe, ends)
    run = Progress(network, optimizer, rates, n_classes=n_classes, device=device, on_point=on_point)
    sides = [side for side in (training, validation) if side]
    parts = [part for side in sides for part in side.watched_together]
    learner, images, preparation = shorten(
        network, images, parts, recipe=recipe, preparation=preparation, device=device, scratch=scratch, team=team
    ) or Shortened(network, images, preparation)
    images = held_if_it_fits(images, sides, recipe=recipe, preparation=preparation, device=device)
    stepper = Stepper(run, learner, objective, recipe, team)
    unread = Unread(run, n_left=device.type != "cpu")
    with seeded(recipe.seed):
        if keeper and (kept := team.told(keeper.load)):
            run.restore(kept)
            say(f"{keeper.label}: goes on after iteration {run.iteration} of {ends[-1]}")
        left = islice(steps(training, recipe), run.iteration, None)
        shares = ((step, step.part(team.share(step.n_items))) for step in left)
        inputs = fed(images, training, shares, recipe=recipe, preparation=preparation, device=device)
        n_left = ends[-1] - run.iteration
        for step, batch in track(_explained_each(inputs, run), label="train", total=n_left, unit="batches"):
            run.iteration += 1
            with explained(run.iteration):
                unread.add(stepper.take(step, batch, training.labels[step.chosen]))
            if run.iteration % recipe.validate_every == 0 or run.iteration == ends[-1]:
                unread.read()
                epoch = run.iteration * recipe.epochs / ends[-1]
                run.add(run.tally.point(run.iteration, epoch, "train"))
                run.tally = Tally(n_classes)
                if validation is not None:
                    watched = validate(
                        learner,
                        images,
                        validation,
                        preparation=preparation,
                        device=device,
                        n_classes=n_classes,
                        team=team,
                    )
                    refuse_infinite(watched.losses, run.iteration)
                    _note(run, watched.point(run.iteration, epoch, "validation"), recipe)
                if 0 < recipe.stop_after <= run.patience.n_since and run.iteration < ends[-1]:
                    say(f"train: stops after iteration {run.iteration} of {ends[-1]}: {_why_stopped(run)}")
                    break
            if keeper and team.leads:
                keeper.offer(unread.read_and_state)
    if run.best.state is not None:
        network.load_state_dict(run.best.state)
    network.to(memory_format=torch.contiguous_format)
    return run.best.iteration if run.best.state is not None else run.iteration


def _explained_each(inputs: Iterator[Item], run: Progress) -> Iterator[Item]:
    while True:
        with explained(run.iteration + 1):
            try:
                item = next(inputs)
            except StopIteration:
                return
        yield item


def _note(run: Progress, point: CurvePoint, recipe: Recipe) -> None:
    run.add(point)
    run.patience.note(point.uar)
    if recipe.keep == "best":
        run.best.offer(run.network, point)


def _why_stopped(run: Progress) -> str:
    return f"no higher validation UAR than {run.patience.uar:.3f} in {run.patience.n_since} validations"


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
