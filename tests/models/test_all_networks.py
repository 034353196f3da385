"""Networks by name: the papers' and our own from training to a new process, and, if asked for, all of torchvision's."""

import contextlib
import gc
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from made_run import CLASSES, coloured, one_thread, recipe, torch_as_before  # noqa: F401 - a fixture

from pipeline.errors import ModelError
from pipeline.learning.sides import Side
from pipeline.models.checkpoint import ModelCard, load_model, save_model
from pipeline.models.inference import outputs_of, refuse_unfit_shape
from pipeline.models.networks import OWN_NETWORKS, network_names, start_network
from pipeline.models.preparation import Preparation, fit_preparation, input_shape_of
from pipeline.train import train_network

SOURCES = Path(__file__).resolve().parents[2] / "src"
LABELS = np.arange(9) % 3
IDS = [f"{n}" for n in range(9)]
# What enters: pictures (height, width, 3), stacks (channels, height, width) or features (n,), as small as each takes.
PAPERS = dict.fromkeys(
    ["squeezenet1_0", "squeezenet1_1", "densenet121", "googlenet", "resnet18", "efficientnet_b0"], (40, 48, 3)
)
FEW = {
    **PAPERS,
    "alexnet": (64, 72, 3),
    "inception_v3": (75, 83, 3),
    "badshah": (99, 107, 3),
    "badshah_printed": (67, 75, 3),
    **{name: (2, 24, 20) for name in OWN_NETWORKS if name.startswith("anand")},
    "cnn": (20, 16, 3),
    "softmax": (26,),
    "fc2": (3, 10, 8),
    "fc3": (26,),
}
LARGE = {"vgg11": (32, 40, 3), "resnet152": (40, 48, 3), "densenet161": (40, 48, 3)}
MADE_FOR_ONE_SIZE = ("inception_v3", "maxvit", "vit_")  # 224 x 224, inception from 75 x 75
IN_A_NEW_PROCESS = """
import sys, numpy, torch
from pathlib import Path
from pipeline.models.checkpoint import load_model
from pipeline.models.inference import outputs_of
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
for folder in map(Path, sys.argv[1:]):
    network, card, preparation = load_model(folder)
    assert card.network == folder.name
    ((logits, _),) = outputs_of(
        network, [numpy.load(folder / "values.npy")], preparation=preparation, device=torch.device("cpu")
    )
    numpy.save(folder / "logits.npy", logits)
"""


def kind_of(shape):
    return "features" if len(shape) == 1 else "image" if shape[-1] == 3 else "stack"


class Made:
    """Nine blocks of three classes, whose values tell them apart."""

    def __init__(self, shape):
        self.shape, self.kind = shape, kind_of(shape)
        if self.kind == "image":
            self.values = coloured(LABELS, height=shape[0], width=shape[1])
        else:
            noise = np.random.default_rng(0).standard_normal((9, *shape))
            self.values = (noise + LABELS.reshape(-1, *[1] * len(shape))).astype(np.float32)

    def batch(self, block_ids):
        return self.values[[int(name) for name in block_ids]]


def train_and_save(name, shape, folder):
    """Two epochs in batches of five and four; the logits of all blocks then."""
    blocks = Made(shape)
    entering = input_shape_of(blocks.kind, shape)
    network = start_network(name, n_classes=3, weights=None, init="kaiming", seed=0, dropout=0.1, shape=entering)
    normalise = "unit" if blocks.kind == "image" else "standard"
    way, _ = fit_preparation(blocks, IDS, normalise=normalise, whiten="none", seed=0)
    points = []
    train_network(
        network,
        blocks,
        Side(block_ids=IDS, labels=LABELS),
        None,
        n_classes=len(CLASSES),
        recipe=recipe(batch_images=5, optimizer="sgd", normalise=way.normalise, validate_every=1),
        preparation=way,
        device=torch.device("cpu"),
        on_point=points.append,
    )
    assert [point.iteration for point in points] == [1, 2, 3, 4]
    assert points[-1].epoch == 2.0
    ((logits, _),) = outputs_of(network, [blocks.values], preparation=way, device=torch.device("cpu"))
    card = ModelCard(
        network=name,
        shape=entering,
        options=network.options,
        classes=CLASSES,
        representation={},
        normalise=way.normalise,
        kind=blocks.kind,
        start={"network": name, "weights": "random"},
        seed=0,
        fold=0,
        images_sha256={},
        kept_iteration=4,
        selected_on_test=False,
    )
    save_model(folder, network, card, way)
    np.save(folder / "values.npy", blocks.values)
    return logits


def there_and_back(networks, folder):
    """Logits of each network as it was trained, and as another process loads it."""
    with torch_as_before():
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)
        here = {name: train_and_save(name, shape, folder / name) for name, shape in networks.items()}
    gc.collect()
    subprocess.run(
        [sys.executable, "-c", IN_A_NEW_PROCESS, *(folder / name for name in networks)],
        env={**os.environ, "PYTHONPATH": str(SOURCES)},  # which may choose the kernels of BLAS
        check=True,
    )
    found = {name: (logits, np.load(folder / name / "logits.npy")) for name, logits in here.items()}
    shutil.rmtree(folder)  # hundreds of megabytes
    return found


def probabilities(logits):
    return torch.from_numpy(logits).softmax(1).numpy()


def assert_same(here, elsewhere):
    assert here.shape == (9, 3)
    assert np.isfinite(here).all()
    assert np.ptp(here, axis=0).max() > 0  # it looks at its input
    np.testing.assert_array_equal(probabilities(elsewhere), probabilities(here))


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return there_and_back(FEW, tmp_path_factory.mktemp("few"))


@pytest.mark.parametrize("name", FEW)
def test_a_network_trains_and_answers_alike_in_a_new_process(few, name):
    assert_same(*few[name])


def test_no_own_network_is_left_out():
    assert set(OWN_NETWORKS) <= set(FEW)


def test_a_card_of_changed_layers_builds_them_again(tmp_path):
    options = {"convolutions": [{"filters": 3, "height": 0, "width": 2, "pool": [1, 2]}], "hidden": [5]}
    network = start_network(
        "anand_r6", n_classes=3, weights=None, init="kaiming", seed=0, shape=(2, 6, 9), options=options
    )
    made = {key: {} for key in ("representation", "images_sha256", "start")}
    made |= {"normalise": "unit", "seed": 0, "fold": 0, "kept_iteration": 1, "selected_on_test": False}
    card = ModelCard(network="anand_r6", shape=(2, 6, 9), options=network.options, classes=CLASSES, **made)
    save_model(tmp_path, network, card, Preparation(normalise="unit"))
    loaded, read, _ = load_model(tmp_path)
    assert read.options == network.options == loaded.options
    values = torch.rand(4, 2, 6, 9)
    assert torch.equal(loaded(values), network.eval()(values))


# minutes and gigabytes: `make test-networks`


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return there_and_back(LARGE, tmp_path_factory.mktemp("large"))


@pytest.mark.networks
@pytest.mark.parametrize("name", LARGE)
def test_a_large_network_trains_and_answers_alike_in_a_new_process(large, name):
    assert_same(*large[name])


@pytest.mark.networks
@pytest.mark.parametrize("name", [name for name in network_names() if name not in OWN_NETWORKS])
def test_every_network_of_torchvision_answers_or_says_what_it_needs(name):
    network = start_network(name, n_classes=3, weights=None, init="torchvision", seed=0)
    refusal = (
        rf"model\.name: {name} cannot take images of 64 x 72 pixels \(.+\): set image\.height and image\.width to the "
        "size that it was made for, 224 for most"
    )
    is_choosy = name.startswith(MADE_FOR_ONE_SIZE)
    with pytest.raises(ModelError, match=refusal) if is_choosy else contextlib.nullcontext():
        refuse_unfit_shape(network, name, (64, 72, 3), kind="image", normalise="unit")
    if is_choosy:
        refuse_unfit_shape(network, name, (224, 224, 3), kind="image", normalise="unit")
    gc.collect()
