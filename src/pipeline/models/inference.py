"""Images through a network: pixels to floats, devices, and the outputs of many blocks in batches."""

import ctypes
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.console import say
from pipeline.errors import ModelError
from pipeline.models.networks import Network

# What is subtracted from pixels of 0 to 1, channel by channel, and what they are divided by.
NORMALISATIONS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}

Item = TypeVar("Item")
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
    torch.use_deterministic_algorithms(deterministic)
    # Filling fresh memory finds reads of what was never written; we have none, and it costs a pass over every array.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not deterministic


def _keep_freed_memory() -> None:
    """Have glibc keep big buffers for the next step instead of giving them back, which costs a page fault a page."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def to_input(images: NDArray[np.uint8], *, normalise: str, device: torch.device) -> Tensor:
    """Images (batch, height, width, 3) as floats (batch, 3, height, width).

    Raises
    ------
    ModelError
        If `normalise` is none of NORMALISATIONS.
    """
    if normalise not in NORMALISATIONS:
        raise ModelError(f"model.normalise: {normalise!r} is none of {', '.join(NORMALISATIONS)}")
    pixels = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float().contiguous()
    mean, deviation = (torch.tensor(v, device=device).view(1, 3, 1, 1) * 255 for v in NORMALISATIONS[normalise])
    return pixels.sub_(mean).div_(deviation)


def batches(items: Sequence[Item], n: int) -> Iterator[Sequence[Item]]:
    """Cut a sequence into parts of `n`, the last maybe shorter."""
    for start in range(0, len(items), n):
        yield items[start : start + n]


@torch.inference_mode()
def outputs_of(
    network: Network, image_batches: Iterable[NDArray[np.uint8]], *, normalise: str, device: torch.device
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Logits (n, n_classes) and last features (n, n_features) of each batch of images (n, height, width, 3)."""
    network.eval()
    for images in image_batches:
        logits, features = network.logits_and_features(to_input(images, normalise=normalise, device=device))
        yield logits.float().cpu().numpy(), features.float().cpu().numpy()


def refuse_unfit_images(network: Network, name: str, shape: tuple[int, int, int], *, normalise: str) -> None:
    """Put blank images (height, width, 3) through a network on the CPU, so that a wrong size is refused before work.

    Raises
    ------
    ModelError
        If the network cannot take images of this size.
    """
    blank = np.zeros((2, *shape), dtype=np.uint8)
    try:
        list(outputs_of(network, [blank], normalise=normalise, device=torch.device("cpu")))
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ModelError(
            f"model.name: {name} cannot take images of {shape[0]} x {shape[1]} pixels ({reason}): set image.height and "
            "image.width to the size that it was made for, 224 for most"
        ) from None
