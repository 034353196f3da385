"""Torchvision's classification networks with a new head, and how their weights are drawn."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from pipeline.errors import ModelError

IMAGENET_CLASSES = 1000
HEAD_DEVIATION = 0.01  # Krizhevsky et al. (2012), section 5


def _torchvision_models() -> object:
    """Import torchvision.models, or say which pair of builds does not go together."""
    try:
        from torchvision import models
    except (RuntimeError, ImportError, AttributeError) as error:
        from importlib.metadata import version

        raise ModelError(
            f"torch {torch.__version__} and torchvision {version('torchvision')} are not a matching pair ({error}): "
            "a CPU-only torch beside an ordinary torchvision is the usual cause; reinstall both from one place: "
            "pip install --force-reinstall -c requirements.lock torch torchvision"
        ) from None
    return models


def network_names() -> list[str]:
    """Names of all classification networks that torchvision has."""
    models = _torchvision_models()
    return sorted(models.list_models(module=models))  # type: ignore[attr-defined]


class Network(nn.Module):
    """A torchvision network whose head answers for other classes.

    Attributes
    ----------
    trunk
        The whole torchvision network, its head replaced.
    head_name
        Where in it the head is: a linear layer, or a 1 x 1 convolution followed by a mean over positions (SqueezeNet).
    """

    def __init__(self, name: str, n_classes: int) -> None:
        super().__init__()
        self.trunk = _build(name)
        self.head_name = _head_name(name, self.trunk)
        parent, _, child = self.head_name.rpartition(".")
        setattr(self.trunk.get_submodule(parent), child, _like(self.head, n_classes))
        self._features: Tensor | None = None
        self.head.register_forward_pre_hook(self._keep)

    @property
    def head(self) -> nn.Module:
        """The layer whose outputs are the logits."""
        return self.trunk.get_submodule(self.head_name)

    def _keep(self, _layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._features = inputs[0]

    def forward(self, images: Tensor) -> Tensor:
        """Class logits (batch, n_classes) of images (batch, 3, height, width)."""
        logits: Tensor = self.trunk(images)
        return logits

    def logits_and_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (batch, n_classes), and what enters the head (batch, n_features), averaged over positions if any."""
        logits = self(images)
        features = self._features
        assert features is not None  # noqa: S101 - the hook has just run
        return logits, features.flatten(2).mean(2) if features.dim() == 4 else features

    def head_parameters(self) -> list[nn.Parameter]:
        """Parameters of the new head."""
        return list(self.head.parameters())

    def trunk_parameters(self) -> list[nn.Parameter]:
        """All other parameters."""
        own = {id(parameter) for parameter in self.head.parameters()}
        return [parameter for parameter in self.trunk.parameters() if id(parameter) not in own]


def _build(name: str) -> nn.Module:
    models = _torchvision_models()
    if name not in network_names():
        raise ModelError(f"model.name: torchvision has no classification network {name!r}; e.g. alexnet, squeezenet1_1")
    # Auxiliary heads only help ImageNet's own training from scratch; they are left out.
    extra = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    network: nn.Module = models.get_model(name, weights=None, **extra)  # type: ignore[attr-defined]
    return network


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
        return nn.Linear(head.in_features, n_classes)
    if isinstance(head, nn.Conv2d):
        return nn.Conv2d(head.in_channels, n_classes, kernel_size=1)
    raise ModelError(f"a head of type {type(head).__name__} cannot be replaced")


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw torch's random numbers from `seed` inside the block, and leave the state outside untouched."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def start_network(name: str, *, n_classes: int, weights: dict[str, Tensor] | None, init: str, seed: int) -> Network:
    """Build a network for `n_classes` and set its starting weights.

    Parameters
    ----------
    weights
        State of the whole torchvision network (its own head may be there and is not used), or None for random weights.
    init
        How random layers are drawn: kaiming (He et al. 2015: normal, fan-in, gain of ReLU; biases zero; the head normal
        with deviation HEAD_DEVIATION) or torchvision (the network's own way). A new head over given weights too.

    Raises
    ------
    ModelError
        If the weights do not fit the network.
    """
    with seeded(seed):
        network = Network(name, n_classes)
        if init == "kaiming":
            if weights is None:
                network.apply(_draw_kaiming)
            _draw_head(network.head)
    if weights is not None:
        _load_trunk(name, network, weights)
    return network


def _draw_kaiming(layer: nn.Module) -> None:
    if isinstance(layer, nn.Linear | nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _draw_head(head: nn.Module) -> None:
    """Draw the head so small that training starts from about equal probabilities, not from confident noise."""
    if isinstance(head, nn.Linear | nn.Conv2d):
        nn.init.normal_(head.weight, 0.0, HEAD_DEVIATION)
        if head.bias is not None:
            nn.init.zeros_(head.bias)


def _load_trunk(name: str, network: Network, weights: dict[str, Tensor]) -> None:
    head = network.head_name + "."
    wanted = {key for key in network.trunk.state_dict() if not key.startswith(head)}
    shapes = network.trunk.state_dict()
    given = {key: value.to(shapes[key].dtype) for key, value in weights.items() if key in wanted}
    wrong = sorted(key for key in wanted if key not in given or given[key].shape != shapes[key].shape)
    if wrong:
        raise ModelError(
            f"model.weights: not weights of {name}: {len(wrong)} of its {len(wanted)} layers are missing or of another "
            f"shape, the first {wrong[0]}"
        )
    network.trunk.load_state_dict(given, strict=False)
