"""Grad-CAM: where in a layer's feature maps a network finds what speaks for a class.

Selvaraju et al. (2017), Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization, ICCV,
618-626, equations 1 and 2.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.errors import ModelError


@dataclass(frozen=True)
class ClassMap:
    """What each position of a layer adds to a class's logit, to first order.

    Attributes
    ----------
    values
        (height, width), the sum over channels of feature map times mean gradient; Grad-CAM is its positive part.
    logits
        (n_classes,).
    """

    values: NDArray[np.float32]
    logits: NDArray[np.float32]


def class_map(network: nn.Module, batch: Tensor, class_index: int, *, layer: str) -> ClassMap:
    """Weigh the feature maps of a layer by their part in the logit of a class.

    Parameters
    ----------
    network
        In evaluation mode.
    batch
        One input (1, n_channels, height, width).
    layer
        Name within `network`; of a layer that runs more than once, its last output counts.

    Raises
    ------
    ModelError
        If the layer has no feature maps, or the logits do not depend on it.
    """
    held: list[Tensor] = []

    def hold(_layer: nn.Module, _inputs: object, output: object) -> object:
        if not isinstance(output, Tensor):
            return output
        held.append(output)
        return output.clone()  # what follows in place must not change what is held

    hook = network.get_submodule(layer).register_forward_hook(hold)
    try:
        with torch.enable_grad():
            logits = network(batch.clone().requires_grad_())
    finally:
        hook.remove()
    if not held or not _is_map(held[-1]):
        shape = tuple(held[-1].shape[1:]) if held else "no tensor"
        raise ModelError(f"layer {layer}: gives {shape}, not feature maps of more than one position: name another")
    (gradient,) = torch.autograd.grad(logits[0, class_index], held[-1], allow_unused=True)
    if gradient is None:
        raise ModelError(f"layer {layer}: the logits do not depend on it: name another")
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    values = (weights * held[-1]).sum(dim=1)[0]
    return ClassMap(values.detach().float().numpy(), logits.detach()[0].float().numpy())


def layers_with_maps(network: nn.Module, batch: Tensor) -> list[str]:
    """Names of the layers whose outputs are feature maps of more than one position, in the order in which they ran."""
    return [name for name, _, _ in _outputs(network, batch, None)]


def last_convolution(network: nn.Module, batch: Tensor, *, head: nn.Module | None = None) -> str:
    """The layer that Grad-CAM looks at: the last convolution with more than one position, and what follows at its size.

    That is, the output of the last layer at the size of that convolution's: after its activation, its normalisation and
    the residual or other branches that join it, before pooling. A head that is a convolution does not count.

    Raises
    ------
    ModelError
        If there is no such convolution.
    """
    outputs = _outputs(network, batch, head)
    last = max((i for i, (_, layer, _) in enumerate(outputs) if isinstance(layer, nn.Conv2d)), default=None)
    if last is None:
        raise ModelError("Grad-CAM needs a convolution whose output has more than one position; this network has none")
    same_size = [name for name, layer, size in outputs[last:] if size == outputs[last][2] and _acts(layer)]
    return same_size[-1]


def _outputs(network: nn.Module, batch: Tensor, head: nn.Module | None) -> list[tuple[str, nn.Module, tuple[int, int]]]:
    """Each layer before the head that gave feature maps, and their height and width, in the order of their outputs."""
    found: list[tuple[str, nn.Module, tuple[int, int]]] = []
    at_head: list[int] = []
    hooks = []

    def note(name: str, layer: nn.Module, output: object) -> None:
        if layer is head:
            at_head.append(len(found))
        elif isinstance(output, Tensor) and _is_map(output):
            found.append((name, layer, (output.shape[2], output.shape[3])))

    for name, layer in network.named_modules():
        if name:
            hooks.append(layer.register_forward_hook(lambda own, _inputs, output, name=name: note(name, own, output)))
    try:
        with torch.inference_mode():
            network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return found[: at_head[0]] if at_head else found


def _acts(layer: nn.Module) -> bool:
    """Whether it does anything in evaluation mode."""
    return not isinstance(layer, nn.Dropout | nn.Dropout2d | nn.Identity)


def _is_map(output: Tensor) -> bool:
    return output.dim() == 4 and output.shape[2] * output.shape[3] > 1
