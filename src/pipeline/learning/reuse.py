"""What a frozen network makes of each block, computed once: what learns then sees that, epoch after epoch.

It serves where all before the head is frozen and does the same in every epoch: no image is altered, and nothing drops
out or counts along before the head. Each block goes through the network once, in evaluation mode and float32; what
enters the head (of a network of sequences: its recurrent part) is kept, and the loop goes on with that alone.
"""

import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.console import say, track
from pipeline.learning.feed import Blocks
from pipeline.learning.recipe import Recipe
from pipeline.learning.team import ALONE, Team
from pipeline.learning.watching import OUTPUT_BATCH
from pipeline.models.inference import batches
from pipeline.models.networks import Network, seeded
from pipeline.models.preparation import Preparation
from pipeline.models.recurrent import AnyNetwork, Recurrence, SequenceNetwork

MOST_IN_MEMORY = 2**28  # bytes of features; more lie on disk
MOST_OF_DISK = 0.9  # of what is free
# What does the same in training as in evaluation.
STEADY = (
    nn.ReLU,
    nn.LeakyReLU,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.Flatten,
    nn.Identity,
    nn.Sequential,
)
Floats = NDArray[np.float32]


class Shortened(NamedTuple):
    """What is trained in place of the network, on what, and how that becomes its input."""

    network: "AnyNetwork | HeadOnly"  # its parameters are those of the whole network
    images: Blocks
    preparation: Preparation


class HeadOnly(nn.Module):
    """A network's head, and what follows it, on what enters the head."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        parent, _, child = network.head_name.rpartition(".")
        siblings = network.trunk.get_submodule(parent)
        names = [name for name, _ in siblings.named_children()] if isinstance(siblings, nn.Sequential) else [child]
        self.head = network.head
        self.after = nn.Sequential(*[siblings.get_submodule(name) for name in names[names.index(child) + 1 :]])
        frozen = {network.trunk.get_submodule(key) for key in network.frozen.modules}
        self._frozen = [module for module in self.modules() if module in frozen]

    def train(self, mode: bool = True) -> Self:
        """Set training mode, but for what is frozen."""
        super().train(mode)
        for module in self._frozen:
            module.training = False
        return self

    def forward(self, entering: Tensor) -> Tensor:
        """Logits (n, n_classes) of what enters the head, (n, n_features) or (n, n_features, height, width)."""
        logits: Tensor = self.after(self.head(entering))
        return logits.flatten(1)

    def logits_and_features(self, entering: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and what entered, averaged over positions if any."""
        return self(entering), entering.flatten(2).mean(2) if entering.dim() == 4 else entering


class _AsIs(Preparation):
    """Values enter as they are."""

    def on_host(self, values: NDArray[Any]) -> NDArray[Any]:
        return values

    def on_device(self, values: Tensor) -> Tensor:
        return values


class Features:
    """Rows of floats by block, in memory, or if they are many in a file without a name that goes with the process."""

    def __init__(self, scratch: Path | None) -> None:
        folder = str(scratch) if scratch else None
        self._file = SpooledTemporaryFile(max_size=MOST_IN_MEMORY, dir=folder)  # noqa: SIM115 - closed with this
        self._place: dict[str, int] = {}
        self._shape: tuple[int, ...] = ()

    def __del__(self) -> None:
        self._file.close()

    def add(self, block_ids: Sequence[str], rows: Floats) -> None:
        """Add the rows (n, ...) of some blocks."""
        self._shape = rows.shape[1:]
        self._file.seek(0, 2)
        for block_id, row in zip(block_ids, rows, strict=True):
            self._place[block_id] = self._file.tell()
            self._file.write(row.tobytes())

    def batch(self, block_ids: Sequence[str]) -> Floats:
        """Rows (n, ...) of some blocks, in their order."""
        rows = np.empty((len(block_ids), *self._shape), dtype=np.float32)
        for row, block_id in zip(rows, block_ids, strict=True):
            self._file.seek(self._place[block_id])
            row.reshape(-1)[:] = np.frombuffer(self._file.read(row.nbytes), dtype=np.float32)
        return rows


def does_the_same_always(network: AnyNetwork) -> bool:
    """Whether a block always gives the same features to the head, or to the recurrent part, while training."""
    blocks = network if isinstance(network, Network) else network.blocks
    if blocks is None or any(parameter.requires_grad for parameter in blocks.trunk_parameters()):
        return False
    was = blocks.training
    blocks.train()
    own = blocks.head_name.split(".")
    around = {".".join(own[:n]) for n in range(len(own) + 1)}
    acting = [
        module
        for key, module in blocks.trunk.named_modules()
        if module.training and key not in around and not key.startswith(blocks.head_name + ".")
    ]
    blocks.train(was)
    return all(isinstance(one, STEADY) or (isinstance(one, nn.Dropout) and one.p == 0) for one in acting)


def shorten(
    network: AnyNetwork,
    images: Blocks,
    parts: Sequence[Sequence[str]],
    *,
    recipe: Recipe,
    preparation: Preparation,
    device: torch.device,
    scratch: Path | None,
    team: Team = ALONE,
) -> Shortened | None:
    """Compute what enters the head of a frozen network; None where that cannot be reused, or has no place.

    Parameters
    ----------
    parts
        Names of all blocks, in the parts that are watched together.
    scratch
        Where a file may lie; None: where the system has such files.
    team
        Its processes compute in turn; each keeps all.
    """
    if not recipe.reuse_frozen or recipe.epochs == 1 or not recipe.jitter.alters_nothing:
        return None
    if not does_the_same_always(network):
        return None
    features = Features(scratch)
    short = _head_of(network)
    n_blocks = sum(len(part) for part in parts)
    given = [
        ids for part in parts for ids in batches(part, OUTPUT_BATCH)
    ]  # as validation has them: the same to the last digit
    network.eval()

    def make() -> Iterator[tuple[Sequence[str], Floats | None]]:
        for start in range(0, len(given), team.size):
            turn, own = given[start : start + team.size], None
            if team.rank < len(turn):
                values = preparation.to_input(images.batch(turn[team.rank]), device)
                with torch.inference_mode():
                    own = _entering(network, values, short)
            yield from zip(turn, team.gather(own), strict=False)

    for ids, rows in track(make(), label="features", total=len(given), unit="batches"):
        if rows is None or (ids is given[0] and not team.told(partial(_has_place, rows[0].nbytes * n_blocks, scratch))):
            return None
        if refusals := [reason for reason in team.gather(_add(features, ids, rows)) if reason]:
            say(f"note: features of the frozen network cannot be kept ({refusals[0]}): each step computes them")
            return None
    return Shortened(short, features, _AsIs(normalise=preparation.normalise))


def _add(features: Features, block_ids: Sequence[str], rows: Floats) -> str:
    """Keep the rows of some blocks; return why that cannot be done, or nothing."""
    try:
        features.add(block_ids, rows)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _head_of(network: AnyNetwork) -> HeadOnly | SequenceNetwork:
    if isinstance(network, Network):
        return HeadOnly(network)
    about = dict(network.about)
    n_features = about.pop("n_features")
    with seeded(0):  # what is drawn here is thrown away
        short = SequenceNetwork(None, Recurrence(**about), n_features=n_features, n_classes=2)
    short.recurrent = network.recurrent
    return short


def _entering(network: AnyNetwork, values: Tensor, short: HeadOnly | SequenceNetwork) -> Floats | None:
    """What enters the head (n, ...); None if the head and what follows it do not give the network's own answer."""
    if isinstance(network, SequenceNetwork):
        return np.asarray(network.features_of(values).float().cpu().numpy())
    entered: list[Tensor] = []
    hook = network.head.register_forward_pre_hook(lambda _layer, inputs: entered.append(inputs[0]))
    try:
        logits = network(values)
    finally:
        hook.remove()
    if len(entered) != 1:
        return None
    again = short(entered[0])
    if again.shape != logits.shape or not torch.allclose(again, logits, rtol=1e-4, atol=1e-5):
        return None
    return np.asarray(entered[0].float().cpu().numpy())


def _has_place(n_bytes: int, scratch: Path | None) -> bool:
    if n_bytes <= MOST_IN_MEMORY:
        return True
    free = shutil.disk_usage(scratch or Path.cwd()).free
    if n_bytes <= MOST_OF_DISK * free:
        return True
    say(
        f"note: features of the frozen network would take {n_bytes / 1e9:.1f} GB on disk, and {free / 1e9:.1f} GB are "
        "free: each step computes them"
    )
    return False
