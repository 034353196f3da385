"""One step of an iteration: forward, loss, backward, update; of several processes, each on its part of the batch."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pipeline.errors import ModelError
from pipeline.learning.losses import Objective
from pipeline.learning.progress import Progress
from pipeline.learning.recipe import Recipe
from pipeline.learning.sides import Step
from pipeline.learning.synced import SYNCED, WholeDraws, draws_at_random
from pipeline.learning.team import Team
from pipeline.models.recurrent import AnyNetwork, SequenceNetwork

CLIP_NORM = 5.0  # of the gradient of a recurrent part, over which it is scaled down: Pascanu et al. (2013)
PRECISIONS = {"float32": None, "bf16": torch.bfloat16}  # that layers compute in while they learn
# What torch says when a step cannot be done, and what to do.
FIXES = {
    "does not have a deterministic implementation": "set train.deterministic to false, or train.device to cpu",
    "out of memory": "lower train.batch_images, or set train.device to cpu",
    "can't allocate memory": "lower train.batch_images, or the height and width of image or stack",
    "more than 1 value per channel": "set train.batch_images to 2 or more: batch normalisation needs two images",
}


def make_optimizer(network: AnyNetwork, recipe: Recipe) -> torch.optim.Optimizer:
    """Set up the steps of what is not frozen, the head at its own rate."""
    groups: list[dict[str, Any]] = [
        {"params": network.trunk_parameters(), "lr": recipe.learning_rate},
        {"params": network.head_parameters(), "lr": recipe.learning_rate * recipe.head_rate_factor},
    ]
    groups = [{**group, "params": own} for group in groups if (own := [p for p in group["params"] if p.requires_grad])]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=recipe.momentum, weight_decay=recipe.weight_decay, fused=True)
    return torch.optim.AdamW(groups, weight_decay=recipe.weight_decay, fused=True)


class Watched(NamedTuple):
    """What an iteration showed of its blocks, still on the device."""

    iteration: int
    labels: NDArray[np.int64]  # (n,)
    shown: Tensor  # (n, 2) loss and answered class of each

    def read(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Losses (n,) and answers (n,); on a GPU this waits until the step is done."""
        losses, answers = self.shown.cpu().numpy().T
        return losses.astype(np.float64), answers.astype(np.int64)


class Unread:
    """What iterations showed that the run has not taken in yet.

    Parameters
    ----------
    n_left
        How many iterations may stay unread while the device computes the next one; 0: none.
    """

    def __init__(self, run: Progress, *, n_left: int) -> None:
        self.run, self.n_left = run, n_left
        self._waiting: list[Watched] = []

    def add(self, watched: Watched) -> None:
        """Add one iteration's, and take in those before it that may no longer wait."""
        self._waiting.append(watched)
        self.read(self.n_left)

    def read(self, n_left: int = 0) -> None:
        """Take in all but the last `n_left`.

        Raises
        ------
        ModelError
            If a loss is not finite.
        """
        while len(self._waiting) > n_left:
            watched = self._waiting.pop(0)
            losses, predicted = watched.read()
            refuse_infinite(losses, watched.iteration)
            self.run.tally.add(losses, watched.labels, predicted)

    def read_and_state(self) -> dict[str, Any]:
        """State of the run with all that was shown."""
        self.read()
        return self.run.state()


class Stepper:
    """Steps of a network down an objective, with a run's optimizer and rates.

    Parameters
    ----------
    learner
        What the batches go through: the network of the run, or what of it learns.
    """

    def __init__(self, run: Progress, learner: nn.Module, objective: Objective, recipe: Recipe, team: Team) -> None:
        self.run, self.learner, self.objective, self.recipe, self.team = run, learner, objective, recipe, team
        self.forward = learner
        self._draws = team.size > 1 and draws_at_random(learner)
        self._norms = [layer for layer in learner.modules() if isinstance(layer, SYNCED)]
        if team.size > 1:
            # Running means and variances are the same everywhere already.
            self.forward = DistributedDataParallel(learner, forward_sync_buffers=False, gradient_as_bucket_view=True)

    def take(self, step: Step, batch: Tensor, labels: NDArray[np.int64]) -> Watched:
        """One step down the mean loss of all items of a batch.

        Parameters
        ----------
        batch
            The input of this process's share of the items.
        labels
            Of the blocks of all items.
        """
        optimizer, recipe = self.run.optimizer, self.recipe
        items = self.team.share(step.n_items)
        rows = step.rows_of(items)
        own = step.part(items)
        self.learner.train()
        optimizer.zero_grad(set_to_none=True)
        answers = torch.from_numpy(labels[rows]).to(batch.device)
        logits = self._logits(step, rows, batch, own.lengths)
        losses = self.objective(logits, answers)
        self._mean(losses, step, own).backward()  # type: ignore[no-untyped-call]
        if isinstance(self.learner, SequenceNetwork):
            nn.utils.clip_grad_norm_(self.learner.recurrent.parameters(), CLIP_NORM)
        if recipe.clip_norm:
            learnt = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            nn.utils.clip_grad_norm_(learnt, recipe.clip_norm)
        optimizer.step()
        self.run.rates.step()
        watched = self.objective.watched(losses, logits, answers)
        shown = torch.stack([watched, logits.detach().argmax(1).float()], dim=1)
        return Watched(self.run.iteration, labels, self._of_all(shown, step))

    def _logits(self, step: Step, rows: slice, batch: Tensor, lengths: Sequence[int] | None) -> Tensor:
        for norm in self._norms:
            norm.has_whole = self._has_whole(step)
        dtype = PRECISIONS[self.recipe.precision]
        with (
            WholeDraws(rows, len(step.chosen)) if self._draws else contextlib.nullcontext(),
            torch.autocast(batch.device.type, dtype=dtype, enabled=dtype is not None),
        ):
            logits: Tensor = self.forward(batch) if lengths is None else self.forward(batch, lengths)
        return logits.float()

    def _has_whole(self, step: Step) -> bool:
        return step.n_items < self.team.size or self.team.size == 1

    def _mean(self, losses: Tensor, step: Step, own: Step) -> Tensor:
        """What this process goes down: its gradient, averaged over the processes, is that of the mean over all items.

        An item is a block or, where sequences are learnt, a clip: the mean of its blocks, so that every clip has the
        same weight, however long it is.
        """
        each = losses
        if own.lengths is not None:
            each = torch.stack([clip.mean() for clip in torch.split(losses, own.lengths)])
        if self._has_whole(step):
            return each.mean()
        return each.sum() * (self.team.size / step.n_items)

    def _of_all(self, shown: Tensor, step: Step) -> Tensor:
        """What the blocks of all processes showed, in the order of the batch."""
        if self._has_whole(step):
            return shown
        slices = [step.rows_of(Team(rank, self.team.size).share(step.n_items)) for rank in range(self.team.size)]
        return self.team.gather_rows(shown, [own.stop - own.start for own in slices])


def refuse_infinite(losses: Sequence[float] | NDArray[np.float64], iteration: int) -> None:
    """Refuse losses that are not finite.

    Raises
    ------
    ModelError
        If one is not.
    """
    if not np.isfinite(losses).all():
        raise ModelError(
            f"training diverged: the loss at iteration {iteration} is not finite: lower train.learning_rate"
        )


@contextlib.contextmanager
def explained(iteration: int) -> Iterator[None]:
    """Turn what torch says of a step that cannot be done into one line with the fix; what is unknown goes through."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        text = " ".join(str(error).split())
        for sign, fix in FIXES.items():
            if sign in text:
                raise ModelError(f"training stopped at iteration {iteration} ({text[:120]}): {fix}") from None
        raise
