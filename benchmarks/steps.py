"""Training steps to be timed: the stage's own loop, and loops that people write; images of noise in memory or HDF5."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from pipeline.learning.recipe import Recipe
from pipeline.learning.sides import Side
from pipeline.learning.team import ALONE, Team
from pipeline.models.networks import Network, start_network
from pipeline.models.preparation import Preparation
from pipeline.store.arrays import digest_of, encode_texts, new_arrays, open_arrays
from pipeline.store.rendered import open_rendered
from pipeline.store.tables import SpectrogramFile
from pipeline.train import train_network

N_CLASSES = 6
WARM = 2  # steps that are not timed
CPU = torch.device("cpu")
WAY = Preparation(normalise="imagenet")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of a loop; the defaults are torch's."""

    network: str
    optimizer: str = "adamw"
    fused: bool = False
    channels_last: bool = False
    bf16: bool = False
    frozen: bool = False
    reuse: bool = True
    batch: int = 10
    size: int = 227


class InMemory:
    """Blocks in one array."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = images

    def batch(self, block_ids: Sequence[str]) -> np.ndarray:
        """Images of some blocks."""
        return self.images[[int(block_id) for block_id in block_ids]]


def made_images(n: int, size: int) -> np.ndarray:
    """Noise (n, size, size, 3)."""
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


@contextlib.contextmanager
def on_disk(images: np.ndarray, folder: Path) -> Iterator[Any]:
    """The images as the stage that renders writes them, and the one that trains reads them."""
    path = folder / "images.h5"
    texts = encode_texts([str(n) for n in range(len(images))])
    with new_arrays(path) as arrays:
        arrays.create("images", row_shape=images.shape[1:], dtype=np.uint8)
        arrays.append("images", images)
        arrays.create("block_id", row_shape=(), dtype=texts.dtype, rows_in_chunk=64)
        arrays.append("block_id", texts)
        arrays.finish({"kind": "image"})
    with open_arrays(path) as file:
        row = SpectrogramFile(corpus="made", path=str(path), sha256=digest_of(file, "images"))
    with open_rendered([row]) as images_on_disk:
        yield images_on_disk


def start(settings: Settings) -> Network:
    """The network, its weights drawn."""
    frozen = "all" if settings.frozen else 0
    return start_network(settings.network, n_classes=N_CLASSES, weights=None, init="kaiming", seed=0, frozen=frozen)


@dataclass
class Clock:
    """Wall and CPU seconds since it was set."""

    wall: float = 0.0
    cpu: float = 0.0

    def set(self) -> None:
        """Start anew."""
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def passed(self) -> tuple[float, float]:
        """Wall and CPU seconds."""
        return time.perf_counter() - self.wall, time.process_time() - self.cpu


def stage_steps(
    settings: Settings,
    images: Any,
    *,
    n_images: int,
    epochs: int = 1,
    each: int = 1,
    between: Callable[[], object] | None = None,
    team: Team = ALONE,
) -> list[tuple[float, float]]:
    """Wall and CPU seconds of every `each` steps of the stage's loop, after some, without what is done between."""
    clock = Clock()
    found: list[tuple[float, float]] = []

    def note(_point: object) -> None:
        found.append(clock.passed())
        if between:
            between()
        clock.set()

    recipe = Recipe(
        epochs=epochs,
        batch_images=settings.batch,
        optimizer=settings.optimizer,
        learning_rate=1e-4,
        head_rate_factor=1.0,
        momentum=0.9,
        weight_decay=1e-4,
        validate_every=each,
        keep="last",
        normalise="imagenet",
        seed=0,
        precision="bf16" if settings.bf16 else "float32",
        channels_last=settings.channels_last,
        reuse_frozen=settings.reuse,
    )
    names = [str(n) for n in range(n_images)]
    train_network(
        start(settings),
        images,
        Side(block_ids=names, labels=np.arange(n_images) % N_CLASSES),
        None,
        n_classes=N_CLASSES,
        recipe=recipe,
        preparation=WAY,
        device=CPU,
        on_point=note,
        team=team,
    )
    return found[WARM if each == 1 else 1 :]


class Bare:
    """Forward, backward and step, as people write it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.network = start(settings).train()
        layout = torch.channels_last if settings.channels_last else torch.contiguous_format
        self.network.to(memory_format=layout)
        parameters = [one for one in self.network.parameters() if one.requires_grad]
        fused = True if settings.fused else None
        if settings.optimizer == "sgd":
            self.optimizer: torch.optim.Optimizer = torch.optim.SGD(
                parameters, 1e-4, momentum=0.9, weight_decay=1e-4, fused=fused
            )
        else:
            self.optimizer = torch.optim.AdamW(parameters, 1e-4, weight_decay=1e-4, fused=fused)
        images = torch.from_numpy(made_images(settings.batch, settings.size))
        self.batch = (images.permute(0, 3, 1, 2).float() / 255 - 0.5).contiguous(memory_format=layout)
        self.labels = torch.arange(settings.batch) % N_CLASSES

    def step(self, batch: torch.Tensor | None = None, labels: torch.Tensor | None = None) -> tuple[float, float]:
        """One step; return its wall and CPU seconds."""
        clock = Clock()
        clock.set()
        batch, labels = (self.batch, self.labels) if batch is None else (batch, labels)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.settings.bf16):
            logits = self.network(batch)
        nn.functional.cross_entropy(logits.float(), labels).backward()
        self.optimizer.step()
        return clock.passed()


class _Items(Dataset):
    """What people write: an image a time out of HDF5, to a normalised tensor."""

    def __init__(self, path: Path) -> None:
        self.path, self.file = path, None
        with h5py.File(path) as file:
            self.n = len(file["images"])

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        self.file = self.file or h5py.File(self.path)  # each worker has its own
        image = torch.from_numpy(self.file["images"][index]).permute(2, 0, 1).float() / 255
        mean, deviation = torch.tensor((0.485, 0.456, 0.406)), torch.tensor((0.229, 0.224, 0.225))
        return (image - mean.view(3, 1, 1)) / deviation.view(3, 1, 1), index % N_CLASSES


def loader_steps(bare: Bare, path: Path, *, n_workers: int) -> list[float]:
    """Seconds of every step, its batch from a DataLoader, after some that are not counted."""
    loader = DataLoader(_Items(path), batch_size=bare.settings.batch, shuffle=True, num_workers=n_workers)
    layout = torch.channels_last if bare.settings.channels_last else torch.contiguous_format
    at = []
    for batch, labels in loader:
        bare.step(batch.contiguous(memory_format=layout), labels)
        at.append(time.perf_counter())
    return np.diff(at).tolist()[WARM:]


def load_seconds(settings: Settings, images: Any, n_images: int) -> float:
    """Median seconds in which a batch is read and prepared."""
    way = Preparation(normalise="imagenet", channels_last=settings.channels_last)
    rng = np.random.default_rng(0)
    found = []
    for _ in range(30):
        names = [str(n) for n in rng.choice(n_images, settings.batch, replace=False)]
        begin = time.perf_counter()
        way.to_input(images.batch(names), CPU)
        found.append(time.perf_counter() - begin)
    return statistics.median(found)
