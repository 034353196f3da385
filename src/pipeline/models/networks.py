"""Classification networks, torchvision's and our own, with a new head, and how their weights are drawn."""

import contextlib
import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Self

import torch
from torch import Tensor, nn

from pipeline.errors import ModelError
from pipeline.models.convnets import DESIGNS, ConvNet, Design, changed_design, options_of
from pipeline.models.freezing import Frozen, find_frozen

IMAGENET_CLASSES = 1000
IMAGE_CHANNELS = 3
IMAGE_SHAPE = (IMAGE_CHANNELS, 224, 224)  # that most of torchvision's networks were made for
HEAD_DEVIATION = 0.01  # Krizhevsky et al. (2012), section 5
FLAT = "flat"  # no network: a block's values as they are, for what runs over the blocks of a clip
# Names of layers in torchvision's DenseNet weights, which are older than its rule of no dots within a name.
_OLD_DENSENET_NAME = re.compile(r"(.*denselayer\d+\.(?:norm|conv))\.([12]\..*)")


def torchvision_models() -> Any:
    """Import torchvision.models, or say which pair of builds does not go together.

    Raises
    ------
    ModelError
        If torchvision is not there, or was built for another torch.
    """
    try:
        from torchvision import models
    except (RuntimeError, ImportError, AttributeError) as error:
        raise ModelError(
            f"torch {torch.__version__} and torchvision {_installed('torchvision')} are not a matching pair ({error}): "
            "a CPU-only torch beside an ordinary torchvision is the usual cause; reinstall both from one place: "
            "pip install --force-reinstall -c requirements.lock torch torchvision"
        ) from None
    return models


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


# Networks that torchvision does not have: a name and a design, or what builds the network for inputs of a shape,
# (n_channels, height, width) or (n,), with IMAGENET_CLASSES outputs, the last layer linear or a 1 x 1 convolution.
OWN_NETWORKS: dict[str, Design | Callable[[Sequence[int]], nn.Module]] = {**DESIGNS}


def network_names() -> list[str]:
    """Names of all classification networks that torchvision or OWN_NETWORKS has."""
    models = torchvision_models()
    return sorted({*models.list_models(module=models), *OWN_NETWORKS})


def refuse_unknown(name: str) -> None:
    """Refuse what is no network's name.

    Raises
    ------
    ModelError
        If there is no such network.
    """
    if name != FLAT and name not in network_names():
        raise ModelError(
            f"model.name: there is no classification network {name!r}: give one of torchvision's, e.g. alexnet, "
            f"squeezenet1_1, or of ours: {', '.join(OWN_NETWORKS)}"
        )


def refuse_options(name: str, options: Mapping[str, Any]) -> None:
    """Refuse options that are not the network's.

    Raises
    ------
    ModelError
        If there is no such network, or it has no such option.
    """
    refuse_unknown(name)
    own = OWN_NETWORKS.get(name)
    if isinstance(own, Design):
        changed_design(name, own, options)
    elif options:
        raise ModelError(
            f"model.{next(iter(options))}: {name} is as it is: leave it empty, or set model.name to a network of "
            f"layers: {', '.join(DESIGNS)}"
        )


class Network(nn.Module):
    """A network made for ImageNet whose head answers for other classes, and its first layer, if need be, for channels.

    Attributes
    ----------
    trunk
        The whole network, its head replaced.
    head_name
        Where in it the head is: a linear layer, or a 1 x 1 convolution followed by ReLU and the mean over positions
        (SqueezeNet, whose logits so are never negative).
    first_name
        Where in it the layer is that the input enters, if it takes channels of another number than three.
    options
        Of a network that is a design, all its options as JSON holds them: with its name they build it again.
    """

    def __init__(
        self,
        name: str,
        n_classes: int,
        shape: Sequence[int] = IMAGE_SHAPE,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Build it for inputs (n_channels, height, width) or (n,); torchvision's use the number of channels only."""
        super().__init__()
        self.name = name
        self.trunk, self.options = _build(name, shape, options or {})
        self.frozen = Frozen()
        self.head_name = _head_name(name, self.trunk)
        self.first_name = "" if name in OWN_NETWORKS else _widen_first(name, self.trunk, shape[0])
        parent, _, child = self.head_name.rpartition(".")
        setattr(self.trunk.get_submodule(parent), child, _like(self.head, n_classes))

    @property
    def head(self) -> nn.Module:
        """The layer whose outputs are the logits."""
        return self.trunk.get_submodule(self.head_name)

    def forward(self, images: Tensor) -> Tensor:
        """Class logits (batch, n_classes) of inputs (batch, n_channels, height, width), or (batch, n) of features."""
        logits: Tensor = self.trunk(images)
        return logits

    def logits_and_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (batch, n_classes), and what enters the head (batch, n_features), averaged over positions if any."""
        entered: list[Tensor] = []
        hook = self.head.register_forward_pre_hook(lambda _layer, inputs: entered.append(inputs[0]))
        try:
            logits = self(images)
        finally:
            hook.remove()
        (features,) = entered
        return logits, features.flatten(2).mean(2) if features.dim() == 4 else features

    def freeze(self, wanted: int | str | Sequence[str]) -> None:
        """Keep layers as they are from now on: see `freezing.find_frozen`. 0 or no name: none.

        Their weights take no gradient; they stay in evaluation mode, so that running means and deviations do not change
        and nothing is dropped.

        Raises
        ------
        ModelError
            If there is no such layer, or the head would be frozen.
        """
        self.frozen = find_frozen(self.name, self.trunk, self.head_name, wanted)
        for key, parameter in self.trunk.named_parameters():
            parameter.requires_grad_(key not in self.frozen.weights)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set training mode, but for what is frozen."""
        super().train(mode)
        for key in self.frozen.modules:
            self.trunk.get_submodule(key).training = False
        return self

    def head_parameters(self) -> list[nn.Parameter]:
        """Parameters of the new head."""
        return list(self.head.parameters())

    def trunk_parameters(self) -> list[nn.Parameter]:
        """All other parameters."""
        own = {id(parameter) for parameter in self.head.parameters()}
        return [parameter for parameter in self.trunk.parameters() if id(parameter) not in own]

    def load_weights(self, weights: Mapping[str, Tensor], *, with_head: bool) -> None:
        """Set the weights of the trunk, converted to its types, and those of the head too or not.

        Counters of batches may be missing, as they are in older files, and old names of DenseNet's layers are known.
        Without the head, a first layer of three channels serves any other number: each channel gets the mean of its
        weights over the three, times three over their number, so that equal channels are answered as before.

        Raises
        ------
        ModelError
            If a layer is missing or of another shape, or, with the head, is not the network's.
        """
        own = self.trunk.state_dict()  # it carries the layers' versions, which MNASNet asks for and files do not keep
        given = {_OLD_DENSENET_NAME.sub(r"\1\2", key): value for key, value in weights.items()}
        first = f"{self.first_name}.weight"
        if self.first_name and not with_head and first in given and given[first].shape != own[first].shape:
            given[first] = _spread(given[first], own[first].shape)
        wanted = [key for key in own if with_head or not key.startswith(self.head_name + ".")]
        wrong = [key for key in wanted if not _fits(key, given.get(key), own[key])]
        if with_head:
            wrong += sorted(given.keys() - own.keys())
        if wrong:
            raise ModelError(
                f"{len(wrong)} of {len(wanted)} layers are missing or of another shape, the first {wrong[0]}"
            )
        own.update({key: given[key] for key in wanted if key in given})
        self.trunk.load_state_dict(own)  # copies into what is there, so types stay


def _spread(weight: Tensor, shape: torch.Size) -> Tensor:
    """A first layer's weights (n_out, 3, ...) for another number of channels; others are left to be refused."""
    if weight.dim() != len(shape) or weight.shape[1] != IMAGE_CHANNELS:
        return weight
    mean = weight.float().mean(1, keepdim=True) * (IMAGE_CHANNELS / shape[1])
    return mean.expand(-1, shape[1], *[-1] * (len(shape) - 2)).to(weight.dtype)


def _fits(key: str, given: Tensor | None, own: Tensor) -> bool:
    return key.endswith(".num_batches_tracked") if given is None else given.shape == own.shape


class _Pool(nn.AdaptiveAvgPool2d):
    """Adaptive pooling that passes on what has its size already: the same values, and reproducible on a GPU.

    The gradient of the general case has no deterministic implementation on CUDA; AlexNet and VGG, at the image sizes
    that they were made for, need only this one.
    """

    def forward(self, images: Tensor) -> Tensor:
        return images if images.shape[-2:] == self.output_size else super().forward(images)


def _build(name: str, shape: Sequence[int], options: Mapping[str, Any]) -> tuple[nn.Module, dict[str, Any]]:
    refuse_options(name, options)
    if name == FLAT:
        raise ModelError(f"model.name: {FLAT} answers nothing by itself: set model.sequence to lstm or bilstm")
    own = OWN_NETWORKS.get(name)
    if isinstance(own, Design):
        design = changed_design(name, own, options)
        return ConvNet(name, design, shape, IMAGENET_CLASSES), options_of(design)
    return (_torchvision(name) if own is None else own(shape)), {}


def _torchvision(name: str) -> nn.Module:
    # Auxiliary heads only help ImageNet's own training from scratch; they are left out. The weights of both networks
    # expect pixels from -1 to 1, which transform_input makes of pixels normalised as for all others.
    odd = name in ("googlenet", "inception_v3")
    extra = {"aux_logits": False, "init_weights": False, "transform_input": True} if odd else {}
    network: nn.Module = torchvision_models().get_model(name, weights=None, **extra)
    pool = getattr(network, "avgpool", None)
    if isinstance(pool, nn.AdaptiveAvgPool2d) and pool.output_size not in (1, (1, 1)):
        network.avgpool = _Pool(pool.output_size)
    return network


def _widen_first(name: str, network: nn.Module, n_channels: int) -> str:
    """Have the first layer take other channels than three, its weights drawn anew; return its name, or none.

    It is the first convolution of three channels in the order of the layers, as in all of torchvision's networks.
    """
    layers = ((key, layer) for key, layer in network.named_modules() if isinstance(layer, nn.Conv2d))
    first_name, first = next(layers, ("", None))
    if n_channels == IMAGE_CHANNELS:
        return ""
    if first is None or first.in_channels != IMAGE_CHANNELS or first.groups != 1:
        raise ModelError(f"model.name: {name}: its first layer does not take {IMAGE_CHANNELS} channels: none to widen")
    wide = nn.Conv2d(
        n_channels,
        first.out_channels,
        first.kernel_size,  # type: ignore[arg-type]
        first.stride,  # type: ignore[arg-type]
        first.padding,  # type: ignore[arg-type]
        first.dilation,  # type: ignore[arg-type]
        bias=first.bias is not None,
        padding_mode=first.padding_mode,
    )
    parent, _, child = first_name.rpartition(".")
    setattr(network.get_submodule(parent), child, wide)
    if hasattr(network, "transform_input"):
        setattr(network, "transform_input", False)  # noqa: B010 - it is of red, green and blue; modules hide their types
    return first_name


def _head_name(name: str, network: nn.Module) -> str:
    """Find the last layer with ImageNet's thousand outputs."""
    found = ""
    for layer_name, layer in network.named_modules():
        if getattr(layer, "out_features", getattr(layer, "out_channels", None)) == IMAGENET_CLASSES:
            found = layer_name
    if not found:
        raise ModelError(f"model.name: {name}: no layer with {IMAGENET_CLASSES} outputs found to replace")
    return found


def _like(head: nn.Module, n_classes: int) -> nn.Linear | nn.Conv2d:
    if isinstance(head, nn.Linear):
        return nn.Linear(head.in_features, n_classes, bias=head.bias is not None)
    if isinstance(head, nn.Conv2d):
        return nn.Conv2d(head.in_channels, n_classes, kernel_size=1)
    raise ModelError(f"a head of type {type(head).__name__} cannot be replaced")


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw torch's random numbers from `seed` inside the block, and leave the state outside untouched."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def enough_memory(name: str) -> Iterator[None]:
    """Turn what torch says of weights that memory cannot take into one line with the fix."""
    try:
        yield
    except RuntimeError as error:
        if "allocate memory" not in str(error):
            raise
        raise ModelError(
            f"model.name: {name}: its weights need more memory than there is: fewer or smaller layers need less "
            "(model.convolutions, hidden, sequence_units), and so do smaller images or stacks; "
            "`emospec plan` counts them"
        ) from None


def start_network(
    name: str,
    *,
    n_classes: int,
    weights: Mapping[str, Tensor] | None,
    init: str,
    seed: int,
    dropout: float | None = None,
    shape: Sequence[int] = IMAGE_SHAPE,
    options: Mapping[str, Any] | None = None,
    frozen: int | str | Sequence[str] = 0,
) -> Network:
    """Build a network for `n_classes` and inputs of `shape`, and set its starting weights.

    Parameters
    ----------
    weights
        State of the whole torchvision network (its own head may be there and is not used), or None for random weights.
    init
        How random layers are drawn: kaiming (He et al. 2015: normal, fan-in, gain of ReLU; biases zero; the head normal
        with deviation HEAD_DEVIATION) or torchvision (the network's own way). A new head over given weights too.
    dropout
        Probability of every dropout layer; None leaves the network's own.
    shape
        Of one input: (n_channels, height, width), or (n,) of hand-built features.
    options
        What of our own networks is changed: see `convnets.OPTIONS`.
    frozen
        Layers that will not learn: see `Network.freeze`.

    Raises
    ------
    ModelError
        If the weights do not fit the network, options or frozen layers are not its own, or it cannot take the shape.
    """
    with seeded(seed), enough_memory(name):
        network = Network(name, n_classes, shape, options)
        if init == "kaiming":
            if weights is None:
                network.apply(functools.partial(_draw_kaiming, slope=network.options.get("leaky_slope", 0.0)))
            _draw_head(network.head)
    if dropout is not None:
        for layer in network.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = dropout
    if weights is not None:
        try:
            network.load_weights(weights, with_head=False)
        except ModelError as error:
            raise ModelError(f"model.weights: not weights of {name}: {error}") from None
    network.freeze(frozen)
    return network


def _draw_kaiming(layer: nn.Module, *, slope: float) -> None:
    if isinstance(layer, nn.Linear | nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, a=slope, nonlinearity="leaky_relu")  # a slope of zero is ReLU
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _draw_head(head: nn.Module) -> None:
    """Draw a small head: with He's deviation the first probabilities would be 0 and 1 for no reason."""
    if isinstance(head, nn.Linear | nn.Conv2d):
        nn.init.normal_(head.weight, 0.0, HEAD_DEVIATION)
        if head.bias is not None:
            nn.init.zeros_(head.bias)
