"""Networks against torchvision's published numbers, He's formula, and torchvision's own networks and weights."""

import builtins
import math

import pytest
import torch
from made_run import one_thread  # noqa: F401 - a fixture
from torch import nn
from torchvision import models

from pipeline.errors import ModelError
from pipeline.models.networks import HEAD_DEVIATION, OWN_NETWORKS, Network, network_names, seeded, start_network

# name: height and width of an image that it takes, and how many numbers its last layer sees (from the papers)
NETWORKS = {
    "alexnet": ((227, 240), 4096),
    "squeezenet1_0": ((64, 48), 512),
    "squeezenet1_1": ((64, 48), 512),
    "resnet18": ((32, 48), 512),
    "densenet121": ((64, 48), 1024),
    "vgg11": ((64, 48), 4096),
    "googlenet": ((64, 48), 1024),
    "mobilenet_v2": ((64, 48), 1280),
    "efficientnet_b0": ((64, 48), 1280),
    "vit_b_16": ((224, 224), 768),
    "convnext_tiny": ((64, 48), 768),
    "inception_v3": ((299, 320), 2048),
    "mnasnet0_5": ((64, 48), 1280),
    "swin_t": ((64, 96), 768),
}
# Its auxiliary head: conv 768 -> 128, conv 128 -> 768 (5 x 5), both with batch normalisation, linear 768 -> 1000.
INCEPTION_AUXILIARY = 768 * 128 + 2 * 128 + 128 * 768 * 25 + 2 * 768 + 768 * 1000 + 1000


def on_meta(name, n_classes=3):
    """A network without memory: shapes only, built at once."""
    with torch.device("meta"):
        return Network(name, n_classes)


def published(name):
    """Number of parameters that torchvision states, less an auxiliary head that we leave out."""
    weights = models.get_model_weights(name).DEFAULT
    return weights.meta["num_params"] - (INCEPTION_AUXILIARY if name == "inception_v3" else 0)


def count(parameters):
    return sum(parameter.numel() for parameter in parameters)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_head_is_replaced_and_nothing_else(name):
    (height, width), n_features = NETWORKS[name]
    network = on_meta(name).eval()
    logits, features = network.logits_and_features(torch.empty(2, 3, height, width, device="meta"))
    assert logits.shape == (2, 3)
    assert features.shape == (2, n_features)
    head, trunk = network.head_parameters(), network.trunk_parameters()
    assert count(head) == 3 * n_features + 3
    assert count(trunk) == published(name) - 1000 * n_features - 1000
    assert {id(p) for p in head}.isdisjoint(id(p) for p in trunk)
    assert {id(p) for p in head} | {id(p) for p in trunk} == {id(p) for p in network.parameters()}


# RegNets read a value while they are built, so they need memory: the smallest two stand for all.
# vit_h_14's stated number is that of larger images.
@pytest.mark.parametrize(
    "name", [n for n in network_names() if not n.startswith("regnet") and n != "vit_h_14" and n not in OWN_NETWORKS]
)
def test_every_network_of_torchvision_takes_a_new_head(name):
    network = on_meta(name, 5)
    inputs = network.head.weight[0].numel() + (name != "maxvit_t")  # whose head alone has no bias
    assert count(network.parameters()) == published(name) - 995 * inputs


@pytest.mark.parametrize("name", ["regnet_x_400mf", "regnet_y_400mf"])
def test_regnets_take_a_new_head(name):
    width = {"regnet_x_400mf": 400, "regnet_y_400mf": 440}[name]
    assert count(Network(name, 5).parameters()) == published(name) - 995 * (width + 1)


@pytest.mark.parametrize("name", ["resnet19", "", "alexnet; rm -rf", "quantized_resnet18", "fcn_resnet50"])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(ModelError, match=r"model.name: there is no classification network .*alexnet"):
        Network(name, 3)


def test_features_of_a_convolutional_head_are_means_over_positions_and_give_the_logits():
    # SqueezeNet: logits = mean over positions of relu(1 x 1 convolution)
    network = start_network("squeezenet1_1", n_classes=3, weights=None, init="kaiming", seed=0).eval()
    images = torch.rand(2, 3, 64, 48)
    logits, features = network.logits_and_features(images)
    maps = network.trunk.features(images)
    torch.testing.assert_close(features, maps.mean(dim=(2, 3)))
    weight, bias = network.head.weight[:, :, 0, 0], network.head.bias
    by_hand = (torch.einsum("nchw,kc->nkhw", maps, weight) + bias[:, None, None]).relu().mean(dim=(2, 3))
    torch.testing.assert_close(logits, by_hand)


def test_features_of_a_linear_head_give_the_logits():
    network = start_network("resnet18", n_classes=3, weights=None, init="kaiming", seed=0).eval()
    logits, features = network.logits_and_features(torch.rand(2, 3, 32, 48))
    torch.testing.assert_close(logits, features @ network.head.weight.T + network.head.bias)


def test_asking_for_features_leaves_nothing_behind():
    network = Network("squeezenet1_1", 3)
    network.logits_and_features(torch.rand(1, 3, 64, 64))
    assert not network.head._forward_pre_hooks
    assert not any(isinstance(value, torch.Tensor) for value in vars(network).values())


# randomness


def test_seeded_leaves_the_state_outside_untouched():
    before = torch.get_rng_state()
    with seeded(5):
        first = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)

    def fail():
        with seeded(5):
            assert torch.equal(torch.rand(3), first)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("init", ["kaiming", "torchvision"])
def test_weights_depend_on_the_seed_and_on_nothing_else(init):
    def weights(seed):
        return start_network("squeezenet1_1", n_classes=3, weights=None, init=init, seed=seed).state_dict()

    before = torch.get_rng_state()
    first = weights(1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(7)  # moves the state outside
    again, other = weights(1), weights(2)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not any(torch.equal(first[key], other[key]) for key in first if key.endswith("weight"))


def deviation_is(values, expected):
    """Whether normal numbers have this deviation and mean zero, within five standard errors."""
    n = values.numel()
    return abs(values.std().item() / expected - 1) < 5 / math.sqrt(2 * n) and abs(
        values.mean().item()
    ) < 5 * expected / math.sqrt(n)


@pytest.mark.parametrize(("name", "n_layers"), [("squeezenet1_1", 25), ("resnet18", 20)])
def test_kaiming_draws_as_he_et_al(name, n_layers):
    network = start_network(name, n_classes=3, weights=None, init="kaiming", seed=3)
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear) and m is not network.head]
    assert len(layers) == n_layers
    for layer in layers:
        fan_in = layer.weight[0].numel()
        assert deviation_is(layer.weight, math.sqrt(2 / fan_in))
        assert layer.bias is None or not layer.bias.any()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert (layer.weight == 1).all()
            assert (layer.bias == 0).all()


@pytest.mark.parametrize("name", ["squeezenet1_1", "resnet18"])
def test_the_head_starts_near_equal_probabilities(name):
    network = start_network(name, n_classes=3, weights=None, init="kaiming", seed=3)
    assert deviation_is(network.head.weight, HEAD_DEVIATION)
    assert not network.head.bias.any()


def test_torchvisions_own_init_is_torchvisions_own():
    with seeded(11):
        own = models.squeezenet1_1(weights=None).state_dict()
    ours = start_network("squeezenet1_1", n_classes=3, weights=None, init="torchvision", seed=11).trunk.state_dict()
    assert all(torch.equal(ours[key], own[key]) for key in own if not key.startswith("classifier."))


@pytest.mark.parametrize("dropout", [None, 0.0, 0.9])
def test_dropout_is_as_asked_for_and_moves_no_weight(dropout):
    network = start_network("alexnet", n_classes=3, weights=None, init="kaiming", seed=3, dropout=dropout)
    own = 0.5  # Krizhevsky et al. (2012), section 4.2
    images = torch.ones(1, 3, 64, 64)
    with torch.inference_mode():
        first, again = (network.train().trunk.classifier[3](torch.ones(1, 10_000)) for _ in range(2))
        kept = (first != 0).double().mean().item()
        assert kept == pytest.approx(1 - (own if dropout is None else dropout), abs=0.03)
        assert torch.equal(first, again) == (dropout == 0.0)
        same_weights = start_network("alexnet", n_classes=3, weights=None, init="kaiming", seed=3)
        assert torch.equal(network.eval()(images), same_weights.eval()(images))


# given weights


@pytest.fixture(scope="module")
def own_densenet():
    """Torchvision's DenseNet with every number moved away from where a new network starts."""
    with seeded(0):
        network = models.densenet121(weights=None)
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.add_(torch.rand_like(value), alpha=0.01)
    return network.eval()


def penultimate(network, images):
    """What torchvision's own network has before its head."""
    head, network.classifier = network.classifier, nn.Identity()
    features = network(images)
    network.classifier = head
    return features


def test_a_new_head_stands_over_given_weights(own_densenet):
    state = own_densenet.state_dict()
    network = start_network("densenet121", n_classes=3, weights=state, init="kaiming", seed=3).eval()
    with torch.inference_mode():
        images = torch.rand(2, 3, 64, 48)
        logits, features = network.logits_and_features(images)
        assert torch.equal(features, penultimate(own_densenet, images))
    assert logits.shape == (2, 3)
    assert deviation_is(network.head.weight, HEAD_DEVIATION)
    other = start_network("densenet121", n_classes=3, weights=state, init="kaiming", seed=4)
    assert not torch.equal(other.head.weight, network.head.weight)


def test_weights_as_torchvision_publishes_them_are_understood(own_densenet):
    # The files of DenseNet, ResNet and others are older than the counters of batches, and DenseNet's than its names.
    def old(key):
        for layer in ("norm", "conv"):
            for number in "12":
                key = key.replace(f".{layer}{number}.", f".{layer}.{number}.") if ".denselayer" in key else key
        return key

    state = {old(k): v for k, v in own_densenet.state_dict().items() if not k.endswith("num_batches_tracked")}
    assert "features.denseblock1.denselayer1.norm.1.weight" in state
    network = start_network("densenet121", n_classes=3, weights=state, init="kaiming", seed=3)
    ours = network.trunk.state_dict()
    for key, value in own_densenet.state_dict().items():
        if not key.startswith("classifier."):
            assert torch.equal(ours[key], value)


def test_weights_are_converted_but_counters_stay_whole_numbers():
    state = models.resnet18(weights=None).half().state_dict()
    state["bn1.num_batches_tracked"] = torch.tensor(7)
    ours = start_network("resnet18", n_classes=3, weights=state, init="kaiming", seed=0).trunk.state_dict()
    assert ours["conv1.weight"].dtype == torch.float32
    assert torch.equal(ours["conv1.weight"], state["conv1.weight"].float())
    assert ours["bn1.num_batches_tracked"].dtype == torch.int64
    assert ours["bn1.num_batches_tracked"] == 7


def test_weights_of_another_shape_are_refused_by_layer():
    state = models.squeezenet1_1(weights=None).state_dict()
    state["features.3.squeeze.weight"] = torch.zeros(16, 65, 1, 1)
    del state["features.12.expand3x3.bias"]
    with pytest.raises(ModelError) as caught:
        start_network("squeezenet1_1", n_classes=3, weights=state, init="kaiming", seed=0)
    assert str(caught.value) == (
        "model.weights: not weights of squeezenet1_1: 2 of 50 layers are missing or of another shape, the first "
        "features.3.squeeze.weight"
    )
    with pytest.raises(ModelError, match=r"not weights of resnet18: .* the first conv1\.weight"):
        start_network("resnet18", n_classes=3, weights=state, init="kaiming", seed=0)


def test_mnasnet_is_loaded_without_the_version_that_files_do_not_keep():
    network = Network("mnasnet0_5", 3)
    state = {key: value + 1 for key, value in network.trunk.state_dict().items()}
    network.load_weights(state, with_head=True)
    assert all(torch.equal(value, state[key]) for key, value in network.trunk.state_dict().items())


def test_with_the_head_every_layer_has_to_be_there_and_none_more():
    network = Network("squeezenet1_1", 3)
    state = dict(network.trunk.state_dict())
    with pytest.raises(ModelError, match=r"1 of 52 layers .* the first other\.weight"):
        network.load_weights({**state, "other.weight": torch.zeros(1)}, with_head=True)
    del state["classifier.1.bias"]
    with pytest.raises(ModelError, match=r"the first classifier\.1\.bias"):
        network.load_weights(state, with_head=True)


def test_googlenet_sees_pixels_as_its_imagenet_weights_expect_them():
    own = models.googlenet(weights=None, transform_input=True, aux_logits=False, init_weights=False).eval()
    ours = start_network("googlenet", n_classes=3, weights=own.state_dict(), init="kaiming", seed=0).eval()
    own.fc = nn.Identity()
    images = torch.randn(2, 3, 64, 48)
    with torch.inference_mode():
        torch.testing.assert_close(ours.logits_and_features(images)[1], own(images))


# pooling that a GPU can repeat


def names_in_graph(node, found=None):
    """Names of all backward steps that a gradient goes through."""
    found, todo = set(), [node]
    while todo:
        node = todo.pop()
        if node is not None and node not in found:
            found.add(node)
            todo += [before for before, _ in node.next_functions]
    return {node.name() for node in found}


@pytest.mark.parametrize(("name", "pixels"), [("alexnet", 227), ("alexnet", 224), ("vgg11", 227), ("vgg11", 224)])
def test_training_at_the_networks_own_size_needs_no_gradient_that_a_gpu_cannot_repeat(name, pixels):
    network = on_meta(name)
    logits = network(torch.empty(1, 3, pixels, pixels, device="meta"))
    assert not [step for step in names_in_graph(logits.grad_fn) if "AdaptiveAvgPool" in step]


@pytest.mark.parametrize("size", [(6, 6), (7, 9), (3, 13), (6, 12)])
def test_pooling_is_torchs_pooling(size):
    images = torch.rand(2, 5, *size)
    pooled = on_meta("alexnet").trunk.avgpool(images)
    assert torch.equal(pooled, nn.functional.adaptive_avg_pool2d(images, (6, 6)))


# a pair of builds that do not go together


@pytest.mark.parametrize(
    "error", [RuntimeError("operator torchvision::nms does not exist"), ImportError("undefined symbol")]
)
def test_a_torchvision_of_another_torch_is_named_with_the_fix(monkeypatch, error):
    ordinary = builtins.__import__

    def without_torchvision(name, *rest, **more):
        if name == "torchvision":
            raise error
        return ordinary(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_torchvision)
    monkeypatch.setattr(torch, "__version__", "2.13.0+cpu")
    monkeypatch.setattr("pipeline.models.networks.version", lambda _: "0.29.0")
    with pytest.raises(ModelError) as caught:
        network_names()
    text = str(caught.value)
    assert "torch 2.13.0+cpu and torchvision 0.29.0" in text
    assert str(error) in text
    assert "pip install --force-reinstall -c requirements.lock torch torchvision" in text
