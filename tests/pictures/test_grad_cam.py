"""Grad-CAM: by hand on networks of known weights, and what must hold for any network with a linear head."""

import numpy as np
import pytest
import torch
from made_run import one_thread  # noqa: F401 - a fixture for all tests here
from torch import nn

from pipeline.errors import ModelError
from pipeline.models.networks import Network, seeded
from pipeline.pictures.grad_cam import class_map, last_convolution, layers_with_maps

X = torch.tensor([[[[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]]]])  # one channel, 2 x 3


def conv(*weights):
    """1 x 1, from one channel to as many as there are weights."""
    layer = nn.Conv2d(1, len(weights), 1, bias=False)
    layer.weight.data = torch.tensor(weights).view(-1, 1, 1, 1)
    return layer


def linear(*rows):
    layer = nn.Linear(len(rows[0]), len(rows), bias=False)
    layer.weight.data = torch.tensor(rows)
    return layer


def test_a_map_by_hand():
    # maps A = x and B = -2x; logits 3 A(0,0) + A(1,2) + 2 B(0,1) and -6 B(1,0), so mean gradients 4/6, 2/6 and 0, -1
    first = [3.0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0]
    second = [0.0] * 9 + [-6.0, 0, 0]
    network = nn.Sequential(conv(1.0, -2.0), nn.Flatten(), linear(first, second))
    found = class_map(network, X, 0, layer="0")
    x = X[0, 0].numpy()
    np.testing.assert_allclose(found.values, 4 / 6 * x + 2 / 6 * (-2 * x), atol=1e-6)
    np.testing.assert_allclose(found.logits, [3 * 1 - 6 + 2 * 4, -6 * -2 * 4])
    np.testing.assert_allclose(class_map(network, X, 1, layer="0").values, 2 * x, atol=1e-6)


def test_where_the_logit_is_the_mean_of_a_channel_grad_cam_is_that_channels_positive_part():
    network = nn.Sequential(conv(0.5, 3.0), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for channel, factor in enumerate((0.5, 3.0)):
        cam = np.maximum(class_map(network, X, channel, layer="0").values, 0)
        np.testing.assert_allclose(6 * cam, np.maximum(factor * X[0, 0].numpy(), 0), rtol=1e-6)


def test_what_follows_in_place_does_not_change_a_layers_own_map():
    network = nn.Sequential(conv(1.0), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    # before the activation: the gradient is 1/6 where x is positive, at 4 of 6 positions
    np.testing.assert_allclose(class_map(network, X, 0, layer="0").values, 4 / 36 * X[0, 0].numpy(), rtol=1e-6)
    after = class_map(network, X, 0, layer="1").values
    np.testing.assert_allclose(after, np.maximum(X[0, 0].numpy(), 0) / 6, rtol=1e-6)


def test_frozen_layers_are_no_hindrance_and_nothing_is_left_behind():
    network = nn.Sequential(conv(1.0), nn.AdaptiveAvgPool2d(1), nn.Flatten()).requires_grad_(False)
    before = X.clone()
    class_map(network, X, 0, layer="0")
    assert not X.requires_grad
    assert torch.equal(X, before)
    assert not any(layer._forward_hooks for layer in network.modules())


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "resnet18"])
def test_under_a_linear_head_over_mean_maps_the_map_adds_up_to_the_logit(name):
    with seeded(0):
        network = Network(name, 4).eval()
        batch = torch.rand(1, 3, 48, 80)
    target = last_convolution(network.trunk, batch, head=network.head)
    assert target == {"shufflenet_v2_x0_5": "conv5", "resnet18": "layer4"}[name]
    for index in range(4):
        found = class_map(network.trunk, batch, index, layer=target)
        bias = network.head.bias[index].item()
        assert found.values.sum() == pytest.approx(found.logits[index] - bias, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "shape", "layer", "size"),
    [
        ("squeezenet1_1", (65, 97), "features", (4, 6)),  # the head is a convolution, and does not count
        ("densenet121", (64, 96), "features", (2, 3)),
        ("anand_s3", (64, 64), "convolutions.1.relu", (32, 32)),  # before the second pooling, after the first
        ("anand_r2", (64, 64), "convolutions.0.relu", (1, 60)),  # filters of 64 x 5, not padded
    ],
)
def test_the_last_convolution_with_its_activation_and_branches_is_taken(name, shape, layer, size):
    network = Network(name, 3, (3, *shape)).eval()
    batch = torch.zeros(1, 3, *shape)
    assert last_convolution(network.trunk, batch, head=network.head) == layer
    assert class_map(network.trunk, batch, 0, layer=layer).values.shape == size


def test_convolutions_of_one_position_and_pooled_maps_are_passed_over():
    network = nn.Sequential(
        conv(1.0, 1.0), nn.ReLU(), nn.MaxPool2d((1, 2)), nn.AdaptiveAvgPool2d(1), nn.Conv2d(2, 3, 1), nn.Flatten()
    )
    assert layers_with_maps(network, X) == ["0", "1", "2"]
    assert last_convolution(network, X) == "1"
    full_height = nn.Sequential(nn.Conv2d(1, 2, (2, 1)), nn.ReLU(), nn.Flatten(), nn.Linear(6, 2))
    assert last_convolution(full_height, X) == "1"
    assert class_map(full_height, X, 0, layer="1").values.shape == (1, 3)


def test_layers_that_cannot_be_looked_at_are_refused():
    network = nn.Sequential(conv(1.0), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear([1.0]))
    for layer in ("1", "3"):
        with pytest.raises(ModelError, match=f"layer {layer}: gives .*, not feature maps of more than one position"):
            class_map(network, X, 0, layer=layer)
    with pytest.raises(ModelError, match="needs a convolution"):
        last_convolution(nn.Sequential(nn.Flatten(), linear([1.0] * 6)), X)

    class Aside(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused, self.used = conv(1.0), conv(2.0)

        def forward(self, x):
            self.unused(x)
            return self.used(x).mean(dim=(2, 3))

    with pytest.raises(ModelError, match="layer unused: the logits do not depend on it"):
        class_map(Aside(), X, 0, layer="unused")
