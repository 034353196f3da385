"""What a run has become so far: its weights and rates, its curves, the best weights, and all else that it rests on."""

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from pipeline.learning.resume import random_states, set_random_states
from pipeline.models.recurrent import AnyNetwork
from pipeline.store.tables import CurvePoint


@dataclass
class Tally:
    """Losses and confusions since the last point of a curve."""

    n_classes: int
    losses: list[float] = field(default_factory=list)
    confusion: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.confusion = np.zeros((self.n_classes, self.n_classes), dtype=np.int64)

    def add(self, losses: NDArray[np.float64], actual: NDArray[np.int64], predicted: NDArray[np.int64]) -> None:
        """Add the losses (n,), classes (n,) and answers (n,) of some blocks."""
        self.losses += losses.tolist()
        np.add.at(self.confusion, (actual, predicted), 1)

    def point(self, iteration: int, epoch: float, side: str) -> CurvePoint:
        """Make a point of all that was added."""
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
class Best:
    """The weights of the highest validation UAR so far; of equals those of the lower loss, then the earlier ones."""

    rank: tuple[float, float] = (-1.0, 0.0)
    iteration: int = 0
    state: dict[str, Tensor] | None = None

    def offer(self, network: AnyNetwork, point: CurvePoint) -> None:
        """Keep the network's weights if the point is better."""
        rank = (point.uar, -point.loss)
        if rank > self.rank:
            self.rank, self.iteration, self.state = rank, point.iteration, copy.deepcopy(network.state_dict())


@dataclass
class Patience:
    """How many validations have passed since the highest validation UAR was reached first."""

    uar: float = -1.0
    n_since: int = 0

    def note(self, uar: float) -> None:
        """Take one more validation into account."""
        self.uar, self.n_since = (uar, 0) if uar > self.uar else (self.uar, self.n_since + 1)


class Progress:
    """All that a run has become: what has to be kept to go on later as if nothing had happened."""

    def __init__(
        self,
        network: AnyNetwork,
        optimizer: torch.optim.Optimizer,
        rates: LambdaLR,
        *,
        n_classes: int,
        device: torch.device,
        on_point: Callable[[CurvePoint], None],
    ) -> None:
        self.network, self.optimizer, self.rates = network, optimizer, rates
        self.device = device
        self.iteration = 0  # steps that were done
        self.tally = Tally(n_classes)
        self.best, self.patience = Best(), Patience()
        self.points: list[CurvePoint] = []
        self._on_point = on_point

    def add(self, point: CurvePoint) -> None:
        """Add a point to the curves."""
        self.points.append(point)
        self._on_point(point)

    def state(self) -> dict[str, Any]:
        """Tensors and plain values."""
        tally = {"losses": torch.tensor(self.tally.losses, dtype=torch.float64)}
        return {
            "iteration": self.iteration,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rates": self.rates.state_dict(),
            "random": random_states(self.device),
            "tally": {**tally, "confusion": torch.from_numpy(self.tally.confusion)},
            "best": {"rank": self.best.rank, "iteration": self.best.iteration, "state": self.best.state},
            "patience": asdict(self.patience),
            "points": [asdict(point) for point in self.points],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Become what `state` was of; its points are given on anew."""
        self.iteration = state["iteration"]
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rates.load_state_dict(state["rates"])
        set_random_states(state["random"], self.device)
        self.tally.losses = state["tally"]["losses"].tolist()
        self.tally.confusion = state["tally"]["confusion"].numpy()
        self.best, self.patience = Best(**state["best"]), Patience(**state["patience"])
        for point in state["points"]:
            self.add(CurvePoint(**point))
