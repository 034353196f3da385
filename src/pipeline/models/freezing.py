"""Which layers of a network are kept as they are while the others learn."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from pipeline.errors import ModelError

SHOWN = 6  # names of layers in a message


@dataclass(frozen=True)
class Frozen:
    """Names of weights that do not change, and of modules that stay in evaluation mode."""

    weights: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()


def find_frozen(name: str, network: nn.Module, head_name: str, wanted: int | str | Sequence[str]) -> Frozen:
    """Find what of a network is frozen.

    Parameters
    ----------
    wanted
        A number: the first so many layers with weights (convolutions, linear layers, attention), in the order in which
        the network lists them, with the normalisation that follows each and all that lies before them. Names: these
        layers, and all within them. all: everything before the head.

    Raises
    ------
    ModelError
        If a name is no layer's with weights, or the head would be frozen.
    """
    if isinstance(wanted, str):
        own = head_name.split(".")
        around = {"", *(".".join(own[:n]) for n in range(1, len(own) + 1))}  # the head, and what holds it
        weights = {key for key, _ in network.named_parameters() if not _within(key, head_name)}
        modules = {key for key, _ in network.named_modules() if key not in around and not _within(key, head_name)}
        if not weights:
            raise _nothing_to_freeze(name)
        return Frozen(frozenset(weights), frozenset(modules))
    weights, modules = (
        _first(name, network, head_name, wanted)
        if isinstance(wanted, int)
        else _named(name, network, head_name, wanted)
    )
    for key, module in network.named_modules():
        inner = [f"{key}.{part}" if key else part for part, _ in module.named_parameters()]
        if inner and weights.issuperset(inner):
            modules |= {key, *(f"{key}.{part}" if key else part for part, _ in module.named_modules() if part)}
    return Frozen(frozenset(weights), frozenset(modules))


def _nothing_to_freeze(name: str) -> ModelError:
    return ModelError(f"model.frozen: {name} has its head only: there is nothing to freeze: set it to 0")


def _within(key: str, name: str) -> bool:
    return key == name or key.startswith(name + ".")


def _is_layer(module: nn.Module) -> bool:
    if isinstance(module, NonDynamicallyQuantizableLinear):  # a part of attention
        return False
    return isinstance(module, _ConvNd | nn.Linear | nn.MultiheadAttention)


def _layer_names(network: nn.Module) -> list[str]:
    return [key for key, module in network.named_modules() if _is_layer(module)]


def _first(name: str, network: nn.Module, head_name: str, n: int) -> tuple[set[str], set[str]]:
    weights: set[str] = set()
    modules: set[str] = set()
    n_before = _layer_names(network).index(head_name)
    if n > n_before == 0:
        raise _nothing_to_freeze(name)
    if n > n_before:
        raise ModelError(
            f"model.frozen: {n} layers of {name}, which has {n_before} with weights before its head: give at most "
            f"{n_before}, or all"
        )
    passed = 0
    for key, module in network.named_modules():
        passed += _is_layer(module)
        if passed > n or n == 0:
            break
        weights |= {f"{key}.{own}" if key else own for own, _ in module.named_parameters(recurse=False)}
        is_empty = next(module.parameters(), None) is None and next(module.children(), None) is None
        if is_empty and (passed < n or next(module.buffers(), None) is not None):
            modules.add(key)  # dropout between frozen layers
    return weights, modules


def _named(name: str, network: nn.Module, head_name: str, names: Sequence[str]) -> tuple[set[str], set[str]]:
    weights: set[str] = set()
    modules: set[str] = set()
    for own in names:
        inner = {key for key, _ in network.named_parameters() if _within(key, own)}
        if not inner:
            raise ModelError(f"model.frozen: {name} has no layer {own!r} with weights: {_what_there_is(network)}")
        if any(_within(key, head_name) for key in inner):
            raise ModelError(
                f"model.frozen: {own} holds the head of {name}, {head_name}, which has to learn: name layers before "
                "it, or say all, which is all but the head"
            )
        weights |= inner
        modules |= {key for key, _ in network.named_modules() if _within(key, own)}
    return weights, modules


def _what_there_is(network: nn.Module) -> str:
    """Name the parts that have weights, and some of the layers in them."""
    parts = [key for key, part in network.named_children() if next(part.parameters(), None) is not None]
    layers = _layer_names(network)
    if len(layers) > SHOWN:
        layers = [*layers[: SHOWN - 1], "...", layers[-1]]
    return f"it has {', '.join(parts)}; in them {', '.join(layers)}"
