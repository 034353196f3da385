"""Our own networks, layer by layer, against shapes and numbers of weights worked out by hand from the papers."""

import numpy as np
import pytest
import torch
from made_run import one_thread  # noqa: F401 - a fixture
from torch import nn

from pipeline.errors import ModelError
from pipeline.models.convnets import DESIGNS
from pipeline.models.networks import Network, refuse_options, start_network

# Output of each convolution, of its pooling, and the weights with biases of each layer from the first to the head.
# Without padding (n - window) // stride + 1 are left of n.
BADSHAH = {
    # 256 -> (256 - 11) // 4 + 1 = 62 -> (62 - 3) // 2 + 1 = 30 -> 30 - 4 = 26 -> (26 - 3) // 2 + 1 = 12
    # -> 12 - 2 = 10 -> (10 - 3) // 2 + 1 = 4; 384 * 4 * 4 = 6144 values
    "badshah": (
        [((120, 62, 62), (120, 30, 30)), ((256, 26, 26), (256, 12, 12)), ((384, 10, 10), (384, 4, 4))],
        [
            120 * (3 * 11 * 11 + 1),  # 43 680
            256 * (120 * 5 * 5 + 1),  # 768 256
            384 * (256 * 3 * 3 + 1),  # 885 120
            2048 * (6144 + 1),  # 12 584 960: 12.6 million
            2048 * (2048 + 1),  # 4 196 352
            7 * (2048 + 1),  # 14 343
        ],
        18_492_711,
    ),
    # one pooling: 62 -> 30 -> 26 -> 24; 384 * 24 * 24 = 221 184 values
    "badshah_printed": (
        [((120, 62, 62), (120, 30, 30)), ((256, 26, 26), None), ((384, 24, 24), None)],
        [
            43_680,
            768_256,
            885_120,
            2048 * (221_184 + 1),  # 452 986 880: 453 million
            4_196_352,
            14_343,
        ],
        458_894_631,
    ),
}
# Two channels of 64 x 64, seven classes, windows of 2 x 2.
ANAND = {
    # square 5 x 5, size kept: 64 -> 32 (-> 16)
    "anand_s1": (
        [((16, 64, 64), (16, 32, 32))],
        [16 * (2 * 25 + 1), 64 * (16 * 32 * 32 + 1), 7 * (64 + 1)],  # 816, 1 048 640, 455
        1_049_911,
    ),
    "anand_s2": (
        [((32, 64, 64), (32, 32, 32))],
        [32 * (2 * 25 + 1), 64 * (32 * 32 * 32 + 1), 455],  # 1632, 2 097 216
        2_099_303,
    ),
    "anand_s3": (
        [((16, 64, 64), (16, 32, 32)), ((32, 32, 32), (32, 16, 16))],
        [816, 32 * (16 * 25 + 1), 64 * (32 * 16 * 16 + 1), 455],  # 12 832, 524 352
        538_455,
    ),
    "anand_s4": (
        [((256, 64, 64), (256, 32, 32))],
        [256 * (2 * 25 + 1), 128 * (256 * 32 * 32 + 1), 7 * (128 + 1)],  # 13 056, 33 554 560, 903
        33_568_519,
    ),
    # all 64 rows, 5 or 10 columns: one row of 60 or 55 columns -> 30 or 27
    "anand_r1": (
        [((1024, 1, 60), (1024, 1, 30))],
        [1024 * (2 * 64 * 5 + 1), 64 * (1024 * 30 + 1), 455],  # 656 384, 1 966 144
        2_622_983,
    ),
    "anand_r2": ([((32, 1, 60), (32, 1, 30))], [32 * 641, 64 * (32 * 30 + 1), 455], 82_471),  # 20 512, 61 504
    # the second layer's rows: the one that is there; 30 - 4 = 26 -> 13
    "anand_r3": (
        [((16, 1, 60), (16, 1, 30)), ((32, 1, 26), (32, 1, 13))],
        [16 * 641, 32 * (16 * 5 + 1), 64 * (32 * 13 + 1), 455],  # 10 256, 2592, 26 688
        39_991,
    ),
    "anand_r4": (
        [((128, 1, 55), (128, 1, 27))],
        [128 * (2 * 64 * 10 + 1), 64 * (128 * 27 + 1), 455],  # 163 968, 221 248
        385_671,
    ),
    "anand_r5": (
        [((1024, 1, 55), (1024, 1, 27))],
        [1024 * 1281, 64 * (1024 * 27 + 1), 455],  # 1 311 744, 1 769 536
        3_081_735,
    ),
    "anand_r6": ([((1024, 1, 60), (1024, 1, 30))], [656_384, 1_966_144, 455], 2_622_983),
}
PAPERS = {name: ((3, 256, 256), *rest) for name, rest in BADSHAH.items()} | {
    name: ((2, 64, 64), *rest) for name, rest in ANAND.items()
}


def on_meta(name, shape, n_classes=7, **options):
    with torch.device("meta"):
        return Network(name, n_classes, shape, options)


def weights_by_layer(network):
    layers = [layer for layer in network.trunk.modules() if list(layer.parameters(recurse=False))]
    return [sum(own.numel() for own in layer.parameters()) for layer in layers]


def shapes_by_layer(network, shape):
    """What leaves each convolution, and each pooling if there is one."""
    found = []
    values = torch.empty(2, *shape, device="meta")
    for stage in network.trunk.convolutions:
        found.append([None, None])
        for layer in stage:
            values = layer(values)
            if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
                found[-1][isinstance(layer, nn.MaxPool2d)] = tuple(values.shape[1:])
    return [tuple(pair) for pair in found]


@pytest.mark.parametrize("name", PAPERS)
def test_a_papers_network_has_its_shapes_and_weights(name):
    shape, layers, weights, total = PAPERS[name]
    network = on_meta(name, shape)
    assert shapes_by_layer(network, shape) == layers
    assert weights_by_layer(network) == weights
    assert sum(weights) == total
    logits, features = network.logits_and_features(torch.empty(2, *shape, device="meta"))
    assert logits.shape == (2, 7)
    assert features.shape == (2, weights[-1] // 7 - 1)


def test_every_design_of_a_paper_is_in_the_table():
    assert set(DESIGNS) - set(PAPERS) == {"softmax", "fc2", "fc3", "cnn"}


@pytest.mark.parametrize("name", ["badshah", "anand_r6"])
def test_dropout_follows_hidden_layers_and_nothing_else(name):
    network = on_meta(name, PAPERS[name][0])
    dropped = {key: layer.p for key, layer in network.trunk.named_modules() if isinstance(layer, nn.Dropout)}
    n_hidden = len(DESIGNS[name].hidden)
    assert dropped == {f"hidden.{number}.dropout": 0.5 for number in range(n_hidden)}
    assert [type(layer).__name__ for layer in network.trunk.hidden[0]] == [
        "Linear",
        "LeakyReLU" if name == "anand_r6" else "ReLU",
        "Dropout",
    ]


def test_the_dropout_that_is_asked_for_is_that_of_the_hidden_layers():
    network = start_network(
        "anand_s1", n_classes=2, weights=None, init="kaiming", seed=0, dropout=0.75, shape=(1, 8, 9)
    )
    images = torch.rand(1, 1, 8, 9)
    entered = []
    network.head.register_forward_pre_hook(lambda _layer, inputs: entered.append(inputs[0]))
    with torch.inference_mode():
        network.eval()(images)
        for _ in range(200):
            network.train()(images)
    whole, dropped = entered[0][0], torch.cat(entered[1:])
    alive = whole > 0
    assert (dropped[:, alive] > 0).double().mean().item() == pytest.approx(0.25, abs=0.02)
    found = dropped[:, alive]
    expected = (4 * whole[alive]).expand_as(found)  # what is left is scaled up
    torch.testing.assert_close(found[found > 0], expected[found > 0])


def test_r6_answers_by_hand():
    """One row, by loops: full-height correlation, leaky ReLU, maxima of two columns, two affine layers."""
    options = {"convolutions": [{"filters": 2, "height": 0, "width": 3, "pool": 2}], "hidden": [4]}
    shape = (2, 5, 8)
    network = start_network(
        "anand_r6", n_classes=3, weights=None, init="torchvision", seed=1, shape=shape, options=options
    ).eval()
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    state = {key: value.double().numpy() for key, value in network.trunk.state_dict().items()}
    filters, bias = state["convolutions.0.convolution.weight"], state["convolutions.0.convolution.bias"]
    row = np.array([[(filters[k] * values[:, :, t : t + 3]).sum() + bias[k] for t in range(8 - 2)] for k in range(2)])

    def leaky(numbers):
        return np.where(numbers < 0, 0.01 * numbers, numbers)

    assert (row < 0).any()
    pooled = leaky(row).reshape(2, 3, 2).max(axis=2)
    hidden = leaky(state["hidden.0.affine.weight"] @ pooled.ravel() + state["hidden.0.affine.bias"])
    expected = state["head.weight"] @ hidden + state["head.bias"]
    with torch.inference_mode():
        logits, features = network.logits_and_features(torch.from_numpy(values)[None])
    np.testing.assert_allclose(features[0].numpy(), hidden, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(logits[0].numpy(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        # 7 x 10 enters
        ({"height": 3, "width": 3}, (5, 8)),
        ({"height": 3, "width": 3, "padding": "same"}, (7, 10)),
        ({"height": 4, "width": 2, "padding": "same"}, (7, 10)),  # one more zero after than before
        ({"height": 3, "width": 3, "padding": "same", "stride": 2}, (4, 5)),  # ceil(7 / 2), ceil(10 / 2)
        ({"height": 3, "width": 3, "padding": "same", "stride": [1, 4]}, (7, 3)),
        ({"height": 3, "width": 5, "padding": 2}, (9, 10)),
        ({"height": 3, "width": 5, "padding": [0, 2]}, (5, 10)),
        ({"height": 0, "width": 4, "padding": "same"}, (1, 10)),  # a full height is not padded
        ({"height": 0, "width": 4, "padding": 3}, (1, 13)),
        ({"height": 3, "width": 0, "padding": "same"}, (7, 1)),
        ({"height": 1, "width": 1, "pool": 2}, (3, 5)),
        ({"height": 1, "width": 1, "pool": 3, "pool_stride": 2}, (3, 4)),
        ({"height": 1, "width": 1, "pool": [1, 5]}, (7, 2)),
        ({"height": 1, "width": 1, "pool": [2, 3], "pool_stride": [1, 2]}, (6, 4)),
        ({"height": 0, "width": 1, "pool": 4}, (1, 2)),  # a window is cut to what there is
        ({"height": 1, "width": 1, "pool": 50}, (1, 1)),
        ({"height": 2, "width": 2, "stride": [3, 2], "batch_norm": True}, (2, 5)),
    ],
)
def test_what_leaves_a_convolution(layer, expected):
    network = on_meta("cnn", (2, 7, 10), convolutions=[{"filters": 3, **layer}], hidden=[])
    stage = network.trunk.convolutions[0]
    assert stage(torch.empty(1, 2, 7, 10, device="meta")).shape == (1, 3, *expected)
    assert network.head.in_features == 3 * expected[0] * expected[1]
    assert any(isinstance(part, nn.BatchNorm2d) for part in stage) == layer.get("batch_norm", False)


def test_uneven_padding_puts_one_more_zero_after():
    layer = {"filters": 1, "height": 1, "width": 2, "padding": "same"}
    network = start_network(
        "cnn",
        n_classes=2,
        weights=None,
        init="torchvision",
        seed=0,
        shape=(1, 1, 3),
        options={"convolutions": [layer], "hidden": []},
    )
    stage = network.trunk.convolutions[0]
    with torch.no_grad():
        stage.convolution.weight.copy_(torch.tensor([[[[1.0, 10.0]]]]))
        stage.convolution.bias.zero_()
        assert stage(torch.tensor([[[[1.0, 2.0, 3.0]]]])).tolist() == [[[[21.0, 32.0, 3.0]]]]


@pytest.mark.parametrize("shape", [(1, 101, 130), (5, 128, 99)])
@pytest.mark.parametrize("name", PAPERS)
def test_a_papers_network_takes_other_channels_and_sizes(name, shape):
    network = on_meta(name, shape)
    first = next(layer for layer in network.trunk.modules() if isinstance(layer, nn.Conv2d))
    assert first.in_channels == shape[0]
    if name.startswith("anand_r"):
        assert first.kernel_size[0] == shape[1]
    assert network(torch.empty(2, *shape, device="meta")).shape == (2, 7)


@pytest.mark.parametrize("shape", [(26,), (3, 6, 5), (1, 9, 2)])
def test_perceptrons_have_their_widths_on_any_input(shape):
    n = int(np.prod(shape))
    by_hand = {
        "softmax": 7 * (n + 1),
        "fc2": 64 * (n + 1) + 7 * 65,
        "fc3": 64 * (n + 1) + 64 * 65 + 7 * 65,
    }
    for name, total in by_hand.items():
        network = Network(name, 7, shape)
        assert sum(weights_by_layer(network)) == total
        logits, features = network.logits_and_features(torch.rand(3, *shape))
        assert logits.shape == (3, 7)
        assert features.shape == (3, n if name == "softmax" else 64)


def test_softmax_is_one_linear_layer_on_the_flattened_input():
    network = start_network("softmax", n_classes=2, weights=None, init="kaiming", seed=0, shape=(2, 3, 4))
    values = torch.rand(5, 2, 3, 4)
    expected = values.reshape(5, 24) @ network.head.weight.T + network.head.bias
    torch.testing.assert_close(network(values), expected)
    assert network.trunk_parameters() == []


def test_options_change_a_preset_and_widths():
    assert weights_by_layer(on_meta("fc3", (26,), hidden=[10, 20])) == [270, 220, 147]
    network = on_meta("anand_r1", (2, 64, 64), hidden=[128, 32], leaky_slope=0.2)
    assert weights_by_layer(network) == [656_384, 128 * 30_721, 32 * 129, 7 * 33]
    slopes = [layer.negative_slope for layer in network.trunk.modules() if isinstance(layer, nn.LeakyReLU)]
    assert slopes == [0.2] * 3
    again = on_meta("anand_r1", (2, 64, 64), **network.options)  # what a card holds
    assert str(again.trunk) == str(network.trunk)


@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_kaiming_draws_for_the_slope(slope):
    network = start_network(
        "fc2", n_classes=3, weights=None, init="kaiming", seed=0, shape=(400,), options={"leaky_slope": slope}
    )
    deviation = network.trunk.hidden[0].affine.weight.std().item()
    assert deviation == pytest.approx((2 / ((1 + slope**2) * 400)) ** 0.5, rel=0.02)  # He et al. (2015), eq. 15


@pytest.mark.parametrize(
    ("name", "shape", "options", "words"),
    [
        (
            "badshah",
            (3, 64, 48),
            {},
            r"badshah: its convolution 2 \(5 x 5\) is larger than what comes in \(120 x 6 x 4\) of an input of "
            r"3 x 64 x 48: use larger images",
        ),
        ("cnn", (26,), {}, "cnn convolves images and stacks: it cannot take 26 hand-built features: use softmax"),
        ("fc2", (26,), {"hidden": [8, 8]}, r"model\.hidden: fc2 has 1 hidden layer, not 2: .* fc3"),
        ("softmax", (26,), {"hidden": [8]}, r"model\.hidden: softmax has no hidden layers, not 1"),
        (
            "fc3",
            (3, 8, 8),
            {"convolutions": [{"filters": 1, "height": 1, "width": 1}]},
            r"model\.convolutions: fc3 has none: leave it empty",
        ),
        ("softmax", (26,), {"leaky_slope": 0.1}, r"model\.leaky_slope: softmax has no layer with a ReLU here: leave"),
        ("resnet18", (3, 32, 32), {"hidden": [64]}, r"model\.hidden: resnet18 is as it is: leave it empty"),
        ("cnn", (3, 8, 8), {"depth": 3}, r"model\.depth: no option of cnn: there are convolutions, hidden"),
        ("cnn", (3, 8, 8), {"convolutions": [{"filter": 3}]}, r"model\.convolutions: unknown key filter"),
        ("cmn", (3, 8, 8), {}, r"no classification network 'cmn': .*alexnet.* or of ours: softmax, fc2, fc3, cnn, bad"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(name, shape, options, words):
    with pytest.raises(ModelError, match=words) as caught:
        Network(name, 3, shape, options)
    assert "\n" not in str(caught.value)


def test_options_are_refused_before_there_is_an_input():
    refuse_options("alexnet", {})
    refuse_options("fc3", {"hidden": [4, 4]})
    with pytest.raises(ModelError, match=r"model\.leaky_slope: alexnet is as it is"):
        refuse_options("alexnet", {"leaky_slope": 0.1})
