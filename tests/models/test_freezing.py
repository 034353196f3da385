"""Frozen layers: not one byte of them changes, neither weights nor running means; all others learn, at their rates."""

import numpy as np
import pytest
import torch
from made_run import CLASSES, coloured, one_thread, recipe  # noqa: F401 - a fixture
from torch import nn

from pipeline.errors import ModelError
from pipeline.learning.sides import Side
from pipeline.learning.stepping import make_optimizer
from pipeline.models.networks import start_network
from pipeline.models.preparation import Preparation
from pipeline.train import train_network

IDS = [f"{n}" for n in range(12)]
LABELS = np.arange(12) % 3
SIZE = (64, 72)
IMAGES = coloured(LABELS, height=SIZE[0], width=SIZE[1])


class Pictures:
    def batch(self, block_ids):
        return IMAGES[[int(name) for name in block_ids]]


def started(name, frozen=0, **more):
    return start_network(
        name, n_classes=3, weights=None, init="kaiming", seed=0, shape=(3, *SIZE), frozen=frozen, **more
    )


def on_meta(name, frozen):
    """The same without memory: names only."""
    with torch.device("meta"):
        return started(name, frozen)


def trained(network, **changed):
    """Bytes of each value before and after two epochs."""
    before = {key: value.clone() for key, value in network.trunk.state_dict().items()}
    train_network(
        network,
        Pictures(),
        Side(block_ids=IDS, labels=LABELS),
        None,
        n_classes=len(CLASSES),
        recipe=recipe(batch_images=6, weight_decay=0.1, learning_rate=0.01, **changed),
        preparation=Preparation(normalise="unit"),
        device=torch.device("cpu"),
        on_point=lambda _: None,
    )
    return {key for key, value in network.trunk.state_dict().items() if not torch.equal(value, before[key])}


def keys_of(network, *prefixes):
    return {key for key in network.trunk.state_dict() if key.startswith(prefixes)}


@pytest.mark.parametrize(
    ("name", "frozen", "still"),
    [
        ("resnet18", 1, ("conv1.", "bn1.")),
        ("resnet18", 2, ("conv1.", "bn1.", "layer1.0.conv1", "layer1.0.bn1")),
        ("resnet18", ["conv1", "bn1", "layer1", "layer2.0"], ("conv1.", "bn1.", "layer1.", "layer2.0.")),
        ("resnet18", "all", ("conv1.", "bn1.", "layer")),
        # DenseNet normalises before it convolves: its first two layers with the normalisation around them
        (
            "densenet121",
            2,
            (
                "features.conv0",
                "features.norm0",
                *(f"features.denseblock1.denselayer1.{p}" for p in ("norm1", "conv1", "norm2")),
            ),
        ),
        ("cnn", ["convolutions.0"], ("convolutions.0.",)),
        ("cnn", "all", ("convolutions.", "hidden.")),
    ],
)
def test_what_is_frozen_keeps_every_byte_and_all_else_learns(name, frozen, still):
    normed = [{"filters": 4, "height": 3, "width": 3, "pool": 4, "batch_norm": True}] * 2
    network = started(name, frozen, options={"convolutions": normed} if name == "cnn" else None)
    held = keys_of(network, *still)
    assert any("running_mean" in key for key in held)
    changed = trained(network)
    assert changed == set(network.trunk.state_dict()) - held
    assert {key for key, own in network.trunk.named_parameters() if not own.requires_grad} == {
        key for key in held if "running" not in key and "num_batches" not in key
    }


def test_nothing_is_frozen_by_default():
    network = started("resnet18")
    assert trained(network) == set(network.trunk.state_dict())


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_optimizer_gets_what_learns_at_its_rate(optimizer):
    network = on_meta("alexnet", 5)  # all convolutions
    steps = make_optimizer(network, recipe(optimizer=optimizer, learning_rate=0.001, head_rate_factor=20.0))
    names = {id(own): key for key, own in network.trunk.named_parameters()}
    found = [({names[id(own)] for own in group["params"]}, group["lr"]) for group in steps.param_groups]
    assert found == [
        ({f"classifier.{n}.{what}" for n in (1, 4) for what in ("weight", "bias")}, 0.001),
        ({"classifier.6.weight", "classifier.6.bias"}, 0.02),
    ]


@pytest.mark.parametrize(("name", "frozen"), [("softmax", 0), ("anand_s1", "all")])
def test_a_head_alone_learns_at_its_own_rate(name, frozen):
    network = started(name, frozen)
    before = network.head.bias.detach().clone()
    (group,) = make_optimizer(network, recipe(head_rate_factor=5.0)).param_groups
    assert group["lr"] == 0.005
    # One step of plain SGD: the bias goes down the mean gradient, which is linear in the rate.
    moves = []
    for factor in (1.0, 5.0):
        own = started(name, frozen)
        moves.append(one_step(own, factor) - before)
    torch.testing.assert_close(moves[1], 5 * moves[0])
    assert moves[0].abs().max() > 0


def one_step(network, factor):
    train_network(
        network,
        Pictures(),
        Side(block_ids=IDS, labels=LABELS * 0),
        None,
        n_classes=3,
        recipe=recipe(epochs=1, batch_images=12, optimizer="sgd", head_rate_factor=factor, learning_rate=1e-4),
        preparation=Preparation(normalise="unit"),
        device=torch.device("cpu"),
        on_point=lambda _: None,
    )
    return network.head.bias.detach()


def training_modules(network, kind):
    return {key for key, layer in network.trunk.named_modules() if isinstance(layer, kind) and layer.training}


def test_dropout_and_normalisation_of_frozen_layers_are_in_evaluation_mode():
    # alexnet: dropout 0, linear 1, dropout 3, linear 4, head 6
    for frozen, dropping in ((0, {"0", "3"}), (5, {"0", "3"}), (6, {"3"}), (7, set()), ("all", set())):
        network = on_meta("alexnet", frozen).train()
        assert training_modules(network, nn.Dropout) == {f"classifier.{n}" for n in dropping}, frozen
    network = on_meta("resnet18", ["layer1"]).train()
    normal = {key for key, layer in network.trunk.named_modules() if isinstance(layer, nn.BatchNorm2d)}
    assert training_modules(network, nn.BatchNorm2d) == {key for key in normal if not key.startswith("layer1")}
    assert not training_modules(network.eval(), nn.BatchNorm2d)
    vit = on_meta("vit_b_32", 1)
    assert {key for key, own in vit.trunk.named_parameters() if not own.requires_grad} == {
        "class_token",
        "conv_proj.weight",
        "conv_proj.bias",
        "encoder.pos_embedding",
        "encoder.layers.encoder_layer_0.ln_1.weight",  # the normalisation that follows
        "encoder.layers.encoder_layer_0.ln_1.bias",
    }


def test_frozen_layers_can_be_thawed():
    network = started("cnn", "all")
    network.freeze(0)
    assert all(own.requires_grad for own in network.parameters())
    assert training_modules(network.train(), nn.Dropout) == {"hidden.0.dropout"}


@pytest.mark.parametrize(
    ("name", "frozen", "words"),
    [
        (
            "alexnet",
            ["features.1"],
            "model.frozen: alexnet has no layer 'features.1' with weights: it has features, classifier; in them "
            "features.0, features.3, features.6, features.8, features.10, ..., classifier.6",
        ),
        ("alexnet", ["feature"], "no layer 'feature' with weights"),
        ("alexnet", ["features", "classifier"], "model.frozen: classifier holds the head of alexnet, classifier.6"),
        ("alexnet", ["classifier.6"], "classifier.6 holds the head of alexnet"),
        ("alexnet", ["classifier.6.bias"], "classifier.6.bias holds the head"),
        ("alexnet", 8, "model.frozen: 8 layers of alexnet, which has 7 with weights before its head: give at most 7"),
        ("resnet18", 21, "resnet18, which has 20 with weights before its head"),
        ("cnn", 4, "which has 3 with weights before its head"),
        ("cnn", ["conv"], "cnn has no layer 'conv' with weights: it has convolutions, hidden, head; in them convolu"),
        ("softmax", "all", "softmax has its head only: there is nothing to freeze"),
        ("softmax", 1, "softmax has its head only: there is nothing to freeze: set it to 0"),
    ],
)
def test_what_cannot_be_frozen_is_refused_with_what_there_is(name, frozen, words):
    with pytest.raises(ModelError) as caught:
        on_meta(name, frozen)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
