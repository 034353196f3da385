"""The first convolution's mean activations, by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.errors import ModelError
from pipeline.models.preparation import Preparation, Scale
from pipeline.pictures.first_layer import first_convolution, mean_activations

AS_IT_IS = Preparation(kind="stack", normalise="mean", scale=Scale(mean=np.zeros(1), deviation=np.ones(1)))
BLOCKS = np.array([[[[1.0, -2.0, 3.0]]], [[[-1.0, -1.0, -4.0]]], [[[0.0, 6.0, 0.0]]]], np.float32)  # (3, 1, 1, 3)


def conv(*weights):
    layer = nn.Conv2d(1, len(weights), 1)
    layer.weight.data = torch.tensor(weights).view(-1, 1, 1, 1)
    layer.bias.data.zero_()
    return layer


def activations(*layers):
    network = nn.Sequential(*layers).eval()
    return mean_activations(network, [BLOCKS[:2], BLOCKS[2:]], preparation=AS_IT_IS)


def test_the_mean_of_the_positive_part_of_each_filter():
    by_hand = [[4 / 3, 2 * 2 / 3], [0, 2 * 6 / 3], [2, 0]]
    np.testing.assert_allclose(activations(conv(1.0, -2.0)), by_hand, rtol=1e-6)
    # whatever follows, in place or not, and whether or not the input still fits the layers after it
    np.testing.assert_allclose(
        activations(conv(1.0, -2.0), nn.ReLU(inplace=True), nn.Linear(99, 1)), by_hand, rtol=1e-6
    )


def test_batch_normalisation_right_behind_it_is_part_of_the_response():
    norm = nn.BatchNorm2d(2, eps=0.0)
    norm.running_mean = torch.tensor([1.0, 0.0])
    norm.running_var = torch.tensor([4.0, 1.0])
    found = activations(conv(1.0, -2.0), norm, nn.ReLU(inplace=True))
    np.testing.assert_allclose(found, [[1 / 3, 4 / 3], [0, 4], [2.5 / 3, 0]], rtol=1e-6)
    later = activations(conv(1.0, -2.0), nn.ReLU(), norm)
    np.testing.assert_allclose(later, activations(conv(1.0, -2.0)), rtol=1e-6)


def test_a_network_without_a_convolution_has_no_filters():
    assert first_convolution(nn.Sequential(nn.ReLU(), conv(1.0), conv(2.0)))[0] == "1"
    with pytest.raises(ModelError, match="no convolution, so no filters"):
        first_convolution(nn.Sequential(nn.Linear(2, 2)))
