"""What a network holds and keeps, counted from its layers; and from the machine's speed, what it would take."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from pipeline.learning.watching import OUTPUT_BATCH
from pipeline.models.inference import explained_unfit
from pipeline.models.networks import IMAGENET_CLASSES
from pipeline.models.preparation import input_shape_of
from pipeline.models.recurrent import AnyNetwork, SequenceNetwork
from pipeline.params.sections import Train

KEPT = 1.25  # what the allocator keeps of freed memory; measured: 1.10 (SqueezeNet) to 1.40 (ResNet-18)
SPEED_TRIALS = 3


@dataclass(frozen=True, kw_only=True)
class NetworkCosts:
    """What one member's network takes."""

    device: str
    step_seconds: float  # of train.batch_images
    predict_seconds: float  # of one image
    # In the step that was timed; fewer than train.batch_images where that would take long, 0 where none was.
    timed_images: int
    trainable_bytes: int
    state_bytes: int  # weights and what else is saved with them
    imagenet_bytes: int  # the same with ImageNet's head
    saved_bytes: int  # kept for the backward pass, of one image
    largest_bytes: int  # the largest of these
    n_features: int  # that enter the head


def bytes_of(network: AnyNetwork, saved: Sequence[int]) -> dict[str, int]:
    """What a network holds, and what it keeps of two images."""
    state = sum(value.nbytes for value in network.state_dict().values())
    of_blocks = network.blocks if isinstance(network, SequenceNetwork) else network
    head = sum(parameter.nbytes for parameter in of_blocks.head_parameters()) if of_blocks else 0
    new = sum(value.nbytes for value in network.recurrent.parameters()) if isinstance(network, SequenceNetwork) else 0
    n_classes = network.head_parameters()[0].shape[0]
    return {
        "trainable_bytes": sum(parameter.nbytes for parameter in network.parameters() if parameter.requires_grad),
        "state_bytes": state,
        "imagenet_bytes": state - new - head + head // n_classes * IMAGENET_CLASSES,
        "saved_bytes": sum(saved) // 2,
        "largest_bytes": max(saved, default=0) // 2,
    }


def copies_to_learn(train: Train) -> int:
    """Numbers that are kept of a weight that learns, beside it: its gradient, and the optimizer's."""
    return 1 + {"adamw": 2, "sgd": 1 if train.momentum else 0}[train.optimizer]


def learning_state(network: AnyNetwork, train: Train) -> int:
    """Bytes of the weights, and of what is kept beside those that learn."""
    own = bytes_of(network, [])
    return round(KEPT * (own["state_bytes"] + copies_to_learn(train) * own["trainable_bytes"]))


def count_network(
    blank: AnyNetwork, train: Train, shape: Sequence[int], *, kind: str, device: torch.device
) -> NetworkCosts:
    """Count what a network takes that this machine cannot hold, from shapes and from the machine's speed.

    A training step multiplies three times as often as a forward pass, and goes through the weights and what is kept
    beside them: forward, backward, and in the optimizer.
    """
    batch = torch.empty(2, *input_shape_of(kind, shape), device="meta")
    with explained_unfit(blank.name, shape, kind=kind):
        saved = saved_for_backward(blank, batch)
        with FlopCounterMode(display=False) as counter:
            _, features = blank.logits_and_features(batch)
    own = bytes_of(blank, saved)
    operations, traffic = _speeds(device)
    forward = counter.get_total_flops() / 2 / operations
    moved = 2 * own["state_bytes"] + (2 + 2 * copies_to_learn(train)) * own["trainable_bytes"]
    return NetworkCosts(
        device=str(device),
        step_seconds=3 * forward * train.batch_images + moved / traffic,
        predict_seconds=forward + own["state_bytes"] / traffic / OUTPUT_BATCH,
        timed_images=0,
        **own,
        n_features=features.shape[1],
    )


def _speeds(device: torch.device) -> tuple[float, float]:
    """Operations a second in a product of matrices, and bytes a second that are read and written."""
    matrix, values = torch.rand(1024, 1024, device=device), torch.rand(2**24, device=device)
    product = min(_seconds(lambda: torch.mm(matrix, matrix)) for _ in range(SPEED_TRIALS))
    change = min(_seconds(lambda: values.mul_(1.0)) for _ in range(SPEED_TRIALS))
    return 2 * 1024**3 / product, 2 * values.nbytes / change


def _seconds(work: Callable[[], Tensor]) -> float:
    start = time.perf_counter()
    work().flatten()[0].item()  # a GPU has finished then
    return time.perf_counter() - start


def saved_for_backward(network: AnyNetwork, batch: Tensor) -> list[int]:
    """Bytes of each tensor that a forward pass in training keeps for the backward pass, other than the weights."""
    own = {_storage_of(parameter) for parameter in network.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if (storage := _storage_of(tensor)) not in own:
            kept[storage] = tensor.untyped_storage().nbytes()  # what two layers keep is there once
        return tensor

    network.train()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        logits = network(batch)  # alive until all is counted, or memory would be reused and counted once
    del logits
    return list(kept.values())


def _storage_of(tensor: Tensor) -> int:
    """What tells a tensor's storage from others, with memory or without."""
    return int(tensor.untyped_storage()._cdata)
