"""A first layer for other numbers of channels than three: which layer it is, and what pretrained weights become."""

import pytest
import torch
from torch import nn

from pipeline.errors import ModelError
from pipeline.models.networks import OWN_NETWORKS, Network, network_names, start_network

MADE_FOR_IMAGES = [name for name in network_names() if name not in OWN_NETWORKS]


# RegNets read a value while they are built, so they need memory: the smallest two stand for all.
@pytest.mark.parametrize("name", [name for name in MADE_FOR_IMAGES if not name.startswith("regnet")])
def test_every_network_of_torchvision_takes_any_number_of_channels(name):
    with torch.device("meta"):
        plain, wide = Network(name, 5), Network(name, 5, (2, 32, 32))
    assert plain.first_name == ""
    first = wide.trunk.get_submodule(wide.first_name)
    before = plain.trunk.get_submodule(wide.first_name)
    assert isinstance(first, nn.Conv2d)
    assert first.in_channels == 2
    for setting in ("out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode"):
        assert getattr(first, setting) == getattr(before, setting), setting
    assert (first.bias is None) == (before.bias is None)
    shapes = {key: value.shape for key, value in plain.trunk.state_dict().items()}
    others = {key: value.shape for key, value in wide.trunk.state_dict().items()}
    assert {key for key in shapes if shapes[key] != others[key]} == {f"{wide.first_name}.weight"}


@pytest.mark.parametrize("name", ["regnet_x_400mf", "regnet_y_400mf", "googlenet", "inception_v3"])
@pytest.mark.parametrize("n_channels", [1, 5])
def test_a_widened_network_answers(name, n_channels):
    network = Network(name, 3, (n_channels, 40, 40)).eval()
    size = 96 if name.startswith("inception") else 40
    with torch.inference_mode():
        assert network(torch.rand(2, n_channels, size, size)).shape == (2, 3)


@pytest.mark.parametrize("n_channels", [1, 2, 5])
@pytest.mark.parametrize("name", ["squeezenet1_1", "resnet18"])
def test_equal_channels_are_answered_as_the_three_colours_of_grey(name, n_channels):
    weights = Network(name, 1000).trunk.state_dict()
    three, other = (
        start_network(name, n_classes=3, weights=dict(weights), init="kaiming", seed=0, shape=(n, 64, 48)).eval()
        for n in (3, n_channels)
    )
    other.head.load_state_dict(three.head.state_dict())
    grey = torch.rand(2, 1, 64, 48)
    with torch.inference_mode():
        expected = three(grey.expand(-1, 3, -1, -1))
        found = other(grey.expand(-1, n_channels, -1, -1))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_channel_has_the_mean_of_three_times_three_over_their_number():
    weights = dict(Network("squeezenet1_1", 1000).trunk.state_dict())
    weights["features.0.weight"] = torch.zeros(64, 3, 3, 3)
    weights["features.0.weight"][:, 0], weights["features.0.weight"][:, 2] = 1.0, 5.0  # mean 2
    network = start_network("squeezenet1_1", n_classes=3, weights=weights, init="kaiming", seed=0, shape=(4, 64, 48))
    first = network.trunk.get_submodule("features.0").weight
    assert first.shape == (64, 4, 3, 3)
    assert (first == 1.5).all()  # 2 * 3 / 4


def test_weights_of_as_many_channels_are_taken_as_they_are():
    weights = Network("squeezenet1_1", 3, (2, 64, 48)).trunk.state_dict()
    network = start_network("squeezenet1_1", n_classes=3, weights=weights, init="kaiming", seed=0, shape=(2, 64, 48))
    assert torch.equal(network.trunk.state_dict()["features.0.weight"], weights["features.0.weight"])


def test_weights_of_another_number_are_refused():
    weights = Network("squeezenet1_1", 3, (5, 64, 48)).trunk.state_dict()
    with pytest.raises(ModelError, match=r"not weights of squeezenet1_1: 1 of .*features\.0\.weight"):
        start_network("squeezenet1_1", n_classes=3, weights=weights, init="kaiming", seed=0, shape=(2, 64, 48))


@pytest.mark.parametrize(("init", "expected"), [("kaiming", (2 / (2 * 9)) ** 0.5), ("torchvision", None)])
def test_random_first_layers_are_drawn_for_their_own_number_of_inputs(init, expected):
    network = start_network("squeezenet1_1", n_classes=3, weights=None, init=init, seed=0, shape=(2, 64, 48))
    deviation = network.trunk.get_submodule("features.0").weight.std().item()
    bound = (1 / (2 * 9)) ** 0.5  # torch's own: even, up to one over the root of the inputs
    assert deviation == pytest.approx(expected or bound / 3**0.5, rel=0.1)
