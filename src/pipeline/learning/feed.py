"""The values of blocks on their way to the device: from the store as they are asked for, or held where it computes.

On the CPU a batch is read when its step comes: that takes a hundredth of the step or less, and all cores are at work in
it. On a GPU all blocks are held as they were rendered, where they fit; else the batch after the present one is read,
put into pinned memory and sent on a stream of its own while the step computes. Altered images are made on the CPU.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.augment.images import alter_images, draw_changes
from pipeline.learning.recipe import Recipe
from pipeline.learning.sides import Side, Step
from pipeline.models.inference import batches
from pipeline.models.preparation import Preparation

HELD_SHARE = 0.5  # of a GPU's free memory that blocks may take; the rest is for the step
READ_BATCH = 64  # blocks
Job = TypeVar("Job")
Result = TypeVar("Result")


class Blocks(Protocol):
    """What holds the values of blocks."""

    def batch(self, block_ids: Sequence[str]) -> Any:
        """Values (n, ...) of some blocks, in their order: an array, or a tensor of what `Preparation.on_host` gave."""


class Held:
    """Blocks on the device, as `Preparation.on_host` gave them."""

    def __init__(self, values: Tensor, place: dict[str, int]) -> None:
        self._values, self._place = values, place

    def batch(self, block_ids: Sequence[str]) -> Tensor:
        """Values (n, ...) of some blocks, in their order."""
        index = torch.tensor([self._place[block_id] for block_id in block_ids])
        return self._values.index_select(0, index.to(self._values.device))


def hold(
    images: Blocks, block_ids: Iterable[str], *, preparation: Preparation, device: torch.device, most_bytes: float
) -> Held | None:
    """Put blocks onto the device; None where they take more than so many bytes."""
    names = list(dict.fromkeys(block_ids))
    held = torch.empty(0)
    start = 0
    for ids in batches(names, READ_BATCH):
        part = torch.from_numpy(preparation.on_host(images.batch(ids)))
        if start == 0:
            if part[0].numel() * part.element_size() * len(names) > most_bytes:
                return None
            held = torch.empty((len(names), *part.shape[1:]), dtype=part.dtype, device=device)
        held[start : start + len(ids)] = part.to(device)
        start += len(ids)
    return Held(held, {name: row for row, name in enumerate(names)})


def held_if_it_fits(
    images: Blocks, sides: Sequence[Side], *, recipe: Recipe, preparation: Preparation, device: torch.device
) -> Blocks:
    """The blocks of all sides on the GPU, if they fit and stay as they are; else where they were."""
    if device.type != "cuda" or not recipe.jitter.alters_nothing:
        return images
    free, _ = torch.cuda.mem_get_info(device)
    names = (block_id for side in sides for block_id in side.block_ids)
    return hold(images, names, preparation=preparation, device=device, most_bytes=HELD_SHARE * free) or images


def fed(
    images: Blocks,
    training: Side,
    steps: Iterable[tuple[Step, Step]],
    *,
    recipe: Recipe,
    preparation: Preparation,
    device: torch.device,
) -> Iterator[tuple[Step, Tensor]]:
    """Yield every step and the input of the part of it that this process computes.

    Parameters
    ----------
    steps
        Each step, and that part.
    """
    if device.type == "cuda" and not isinstance(images, Held):
        yield from _sent(images, training, steps, recipe=recipe, preparation=preparation, device=device)
        return
    for step, own in steps:
        yield step, preparation.to_input(_values(images, training, own, recipe), device)


def _values(images: Blocks, training: Side, step: Step, recipe: Recipe) -> Any:
    """Read what a step learns from, altered if that is asked for."""
    values = images.batch([training.block_ids[i] for i in step.chosen])
    if recipe.jitter.alters_nothing:
        return values
    changes = draw_changes(recipe.jitter, step.draws.tolist(), seed=recipe.seed, epoch=step.epoch)
    return alter_images(values, changes)


def _sent(
    images: Blocks,
    training: Side,
    steps: Iterable[tuple[Step, Step]],
    *,
    recipe: Recipe,
    preparation: Preparation,
    device: torch.device,
) -> Iterator[tuple[Step, Tensor]]:
    """Read and send each batch while the one before it is computed with."""
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def send(job: tuple[Step, Step]) -> tuple[Step, Tensor, torch.cuda.Event]:
        step, own = job
        values: NDArray[Any] = preparation.on_host(_values(images, training, own, recipe))
        pinned = torch.from_numpy(np.ascontiguousarray(values)).pin_memory()
        with torch.cuda.stream(stream):
            moved = pinned.to(device, non_blocking=True)
            event = stream.record_event()
        return step, moved, event

    for step, moved, event in one_ahead(send, steps):
        present = torch.cuda.current_stream(device)
        present.wait_event(event)
        moved.record_stream(present)  # its memory is not given to another batch before this one is done with
        yield step, preparation.on_device(moved)


def one_ahead(function: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
    """Yield `function(job)` of every job, in their order; that of the next one is computed in a thread meanwhile."""
    pool = ThreadPoolExecutor(1)
    waiting: Future[Result] | None = None
    try:
        for job in jobs:
            ready, waiting = waiting, pool.submit(function, job)
            if ready is not None:
                yield ready.result()
        if waiting is not None:
            yield waiting.result()
    finally:
        pool.shutdown(cancel_futures=True)
