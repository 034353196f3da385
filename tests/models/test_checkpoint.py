"""Checkpoints: the same network in another process, and damage refused in one line."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from made_run import changed_json, one_thread  # noqa: F401 - a fixture

from pipeline.errors import ModelError, StoreError
from pipeline.models.checkpoint import CARD, WEIGHTS, ModelCard, load_model, save_model
from pipeline.models.networks import start_network
from pipeline.models.preparation import Preparation

SOURCES = Path(__file__).resolve().parents[2] / "src"
MADE = ModelCard(
    network="squeezenet1_1",
    shape=(3, 64, 48),
    classes=("anger", "joy", "neutral"),
    representation={"window": "hamming", "low_db": -130.0, "height": 64, "window_seconds": None},
    normalise="imagenet",
    start={"network": "squeezenet1_1", "weights": "random"},
    seed=3,
    fold=1,
    images_sha256={"demo": "0" * 64},
    kept_iteration=9,
    selected_on_test=False,
)
WAY = Preparation(normalise="imagenet")
IN_A_NEW_PROCESS = """
import sys, numpy, torch
from pathlib import Path
from pipeline.models.checkpoint import load_model
torch.set_num_threads(1)
network, card, _ = load_model(Path(sys.argv[1]))
with torch.inference_mode():
    numpy.save(sys.argv[3], network(torch.from_numpy(numpy.load(sys.argv[2]))).numpy())
"""


def made_network(name="squeezenet1_1", seed=1):
    return start_network(name, n_classes=3, weights=None, init="kaiming", seed=seed)


@pytest.fixture
def saved(tmp_path):
    save_model(tmp_path / "m", made_network(), MADE, WAY)
    return tmp_path / "m"


def refused(folder):
    with pytest.raises(ModelError) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_another_process_gives_the_same_logits(saved, tmp_path):
    images = np.random.default_rng(0).standard_normal((3, 3, 64, 48)).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    subprocess.run(
        [sys.executable, "-c", IN_A_NEW_PROCESS, saved, tmp_path / "images.npy", tmp_path / "logits.npy"],
        env={"PYTHONPATH": str(SOURCES)},
        check=True,
        timeout=120,
    )
    with torch.inference_mode():
        expected = made_network().eval()(torch.from_numpy(images)).numpy()
    assert np.ptp(expected, axis=0).max() > 0
    np.testing.assert_array_equal(np.load(tmp_path / "logits.npy"), expected)


def test_the_card_comes_back_with_the_weights_digest(saved):
    network, card, _ = load_model(saved)
    assert dataclasses.replace(card, weights_sha256="") == MADE
    assert len(card.weights_sha256) == 64
    assert not network.training


@pytest.mark.parametrize("name", ["mnasnet0_5", "shufflenet_v2_x0_5", "googlenet"])
def test_networks_with_normalisation_and_versions_come_back(tmp_path, name):
    network = made_network(name)
    for value in network.state_dict().values():
        value.add_(1)  # also what is no parameter: running means, counters
    save_model(tmp_path, network, dataclasses.replace(MADE, network=name), WAY)
    loaded, _, _ = load_model(tmp_path)
    assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in network.state_dict().items())


def test_the_same_network_is_the_same_bytes_wherever_it_lies(tmp_path):
    save_model(tmp_path / "a", made_network(), MADE, WAY)
    save_model(tmp_path / "b", made_network().to(memory_format=torch.channels_last), MADE, WAY)
    for name in (WEIGHTS, CARD):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("place", [0, 7, 8, 100, 0.5, -1])
def test_a_flipped_bit_is_refused(saved, place):
    content = bytearray((saved / WEIGHTS).read_bytes())
    content[int(place * len(content)) if isinstance(place, float) else place] ^= 1
    (saved / WEIGHTS).write_bytes(content)
    assert f"{saved / WEIGHTS}: missing or damaged" in refused(saved)


@pytest.mark.parametrize("kept", [0, 8, 1000, -1])
def test_a_truncated_file_is_refused(saved, kept):
    (saved / WEIGHTS).write_bytes((saved / WEIGHTS).read_bytes()[:kept])
    assert "missing or damaged" in refused(saved)


def test_missing_weights_are_refused(saved):
    (saved / WEIGHTS).unlink()
    assert "missing or damaged" in refused(saved)


def test_the_card_of_another_model_is_refused(saved, tmp_path):
    save_model(tmp_path / "other", made_network(seed=2), MADE, WAY)
    (saved / CARD).write_bytes((tmp_path / "other" / CARD).read_bytes())
    assert "missing or damaged" in refused(saved)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"network": "resnet18"}, "does not fit resnet18"),
        ({"classes": ["a", "b"]}, r"does not fit squeezenet1_1: 2 of 52 layers"),
        ({"network": "mnasnet0_5"}, "does not fit mnasnet0_5"),
        ({"network": "nonsense"}, "no classification network"),
        ({"classes": 3}, "not a model card of this version"),
        ({"colour": "red"}, "not a model card of this version"),
        ({"n_channels": 3}, "not a model card of this version"),  # as cards were before they had shapes
        ({"shape": 3}, "not a model card of this version"),
        ({"shape": []}, "does not fit squeezenet1_1"),
        ({"shape": [1, 64, 48]}, "does not fit squeezenet1_1: 1 of 52 layers"),
        ({"options": {"hidden": [3]}}, "squeezenet1_1 is as it is"),
        ({"network": "cnn"}, "does not fit cnn"),
        ({"network": "cnn", "options": {"hidden": ["x"]}}, "does not fit cnn"),
        ({"network": "cnn", "options": {"convolutions": [{"filters": 3}]}}, "does not fit cnn"),
        ({"network": "badshah"}, "does not fit badshah: model.name: badshah: its convolution 2"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(saved, values, said):
    changed_json(saved / CARD, **values)
    assert said in refused(saved)


def test_a_card_of_an_older_version_is_refused(saved):
    values = json.loads((saved / CARD).read_text())
    for key in ("classes", "shape"):
        (saved / CARD).write_text(json.dumps({name: value for name, value in values.items() if name != key}))
        assert f"not a model card of this version ('{key}'): train again" in refused(saved)


def test_no_card_is_refused(tmp_path):
    with pytest.raises(StoreError, match=r"model\.json: missing: run `dvc repro`"):
        load_model(tmp_path)
