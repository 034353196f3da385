"""A network's first convolution: its filters, and how strongly each answers to a block."""

import contextlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.errors import ModelError
from pipeline.models.preparation import Preparation


class _Seen(Exception):  # noqa: N818 - no error: what comes later in the network is not needed
    """Ends a forward pass early."""


def first_convolution(network: nn.Module) -> tuple[str, nn.Conv2d]:
    """Name and layer of the first convolution.

    Raises
    ------
    ModelError
        If there is none.
    """
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            return name, layer
    raise ModelError("the network has no convolution, so no filters to show")


@torch.inference_mode()
def mean_activations(
    network: nn.Module, value_batches: Iterable[NDArray[Any]], *, preparation: Preparation
) -> NDArray[np.float64]:
    """Mean over positions (n, n_filters) of the positive part of each filter's response to each block.

    Batch normalisation that follows the convolution at once is part of the response. Without the positive part the mean
    would be that of the input, weighed by the filter's sum, whatever its shape.

    Parameters
    ----------
    network
        In evaluation mode, on the CPU.
    value_batches
        Rendered values (n, ...).
    """
    _, first = first_convolution(network)
    leaves = [layer for layer in network.modules() if not list(layer.children())]
    responses: list[Tensor] = []

    def look(layer: nn.Module, _inputs: object, output: Tensor) -> None:
        if layer is first or (responses and isinstance(layer, nn.BatchNorm2d)):
            responses[:] = [output.clone()]
        if responses and layer is not first:
            raise _Seen

    hooks = [layer.register_forward_hook(look) for layer in leaves]
    rows = []
    try:
        for values in value_batches:
            responses.clear()
            with contextlib.suppress(_Seen):
                network(preparation.to_input(values, torch.device("cpu")))
            rows.append(responses[0].clamp(min=0).double().mean(dim=(2, 3)).numpy())
    finally:
        for hook in hooks:
            hook.remove()
    return np.concatenate(rows)
