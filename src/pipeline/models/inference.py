"""Blocks through a network: devices, and the outputs of many blocks in batches."""

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.console import say
from pipeline.errors import ModelError
from pipeline.models.preparation import Preparation, blank_preparation
from pipeline.models.recurrent import AnyNetwork, SequenceNetwork
from pipeline.store.rendered import PIXEL_KINDS

Item = TypeVar("Item")


class Answering(Protocol):
    """What answers for blocks: a network, or what of it comes after values that were computed before."""

    def eval(self) -> Any:
        """Set evaluation mode."""

    def logits_and_features(self, values: Tensor, /) -> tuple[Tensor, Tensor]:
        """Logits (n, n_classes) and last features (n, n_features)."""


M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h


def choose_device(wanted: str) -> torch.device:
    """Choose where to compute: auto is a GPU where there is one; what is asked for by name and absent falls back.

    Raises
    ------
    ModelError
        If torch knows no such kind of device.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise ModelError(
            f"train.device: {wanted!r} is no device that torch knows: auto, cpu, cuda, cuda:1, mps"
        ) from None
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(device.type, False):
        say(f"note: train.device {wanted} is not there: computing on the CPU")
        return torch.device("cpu")
    return device


def prepare_torch(*, threads: int, deterministic: bool) -> None:
    """Set the number of CPU threads (0: one per core) and whether only reproducible algorithms may run."""
    _keep_freed_memory()
    torch.set_num_threads(threads or os.cpu_count() or 1)
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs to be reproducible
    # What torch.use_deterministic_algorithms does, without importing the compiler: more than a second for each process.
    torch.set_deterministic_debug_mode("error" if deterministic else "default")
    # Filling fresh memory finds reads of what was never written; we have none, and it costs a pass over every array.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not deterministic


def _keep_freed_memory() -> None:
    """Have glibc keep big buffers for the next step instead of giving them back, which costs a page fault a page."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def batches(items: Sequence[Item], n: int) -> Iterator[Sequence[Item]]:
    """Cut a sequence into parts of `n`, the last maybe shorter."""
    for start in range(0, len(items), n):
        yield items[start : start + n]


@torch.inference_mode()
def outputs_of(
    network: Answering, value_batches: Iterable[NDArray[Any]], *, preparation: Preparation, device: torch.device
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Logits (n, n_classes) and last features (n, n_features) of each batch of rendered values (n, ...)."""
    network.eval()
    for values in value_batches:
        logits, features = network.logits_and_features(preparation.to_input(values, device))
        yield logits.float().cpu().numpy(), features.float().cpu().numpy()


@torch.inference_mode()
def outputs_of_clips(
    network: SequenceNetwork, clips: Iterable[Iterable[NDArray[Any]]], *, preparation: Preparation, device: torch.device
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Logits (n, n_classes) and hidden states (n, n_units) of each clip's blocks, whose values come in parts.

    A clip goes through alone, so its answers do not depend on what else is asked.
    """
    network.eval()
    for parts in clips:
        features = torch.cat([network.features_of(preparation.to_input(values, device)) for values in parts])
        logits, hidden = network.recurrent(features, [len(features)])
        yield logits.float().cpu().numpy(), hidden.float().cpu().numpy()


def refuse_unfit_shape(network: AnyNetwork, name: str, shape: Sequence[int], *, kind: str, normalise: str) -> None:
    """Put blank values of a shape through a network on the CPU, so that one it cannot take is refused before work.

    Raises
    ------
    ModelError
        If the network cannot take them.
    """
    dtype = np.uint8 if kind in PIXEL_KINDS else np.float32
    blank = np.zeros((2, *shape), dtype=dtype)
    preparation = blank_preparation(kind, shape, normalise=normalise)
    with explained_unfit(name, shape, kind=kind):
        ((logits, _),) = outputs_of(network, [blank], preparation=preparation, device=torch.device("cpu"))
        if logits.ndim != 2:
            raise ValueError(f"its answer has the shape {logits.shape}")


@contextlib.contextmanager
def explained_unfit(name: str, shape: Sequence[int], *, kind: str) -> Iterator[None]:
    """Turn what torch says of a shape that a network cannot take into one line with the fix."""
    try:
        yield
    except (RuntimeError, ValueError, AssertionError, IndexError) as error:
        reason = " ".join(str(error).split())[:120]
        if kind == "features":
            what, fix = f"{shape[0]} hand-built features", "use fc2 or fc3 or softmax, or another representation.kind"
        else:
            section = "image" if kind in PIXEL_KINDS else "stack"
            size = f"{shape[0]} x {shape[1]} pixels" if kind in PIXEL_KINDS else " x ".join(str(n) for n in shape)
            what = f"{section}s of {size}"
            fix = f"set {section}.height and {section}.width to the size that it was made for, 224 for most"
        raise ModelError(f"model.name: {name} cannot take {what} ({reason}): {fix}") from None
