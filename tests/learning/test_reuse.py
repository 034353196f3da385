"""Features of a frozen network, computed once: the same learning, and every block read once."""

import numpy as np
import pytest
import torch
from made_run import SMALL, coloured, one_thread, recipe  # noqa: F401 - a fixture

from pipeline.augment.images import Jitter
from pipeline.learning import reuse
from pipeline.learning.reuse import HeadOnly, does_the_same_always
from pipeline.learning.sides import Side
from pipeline.models.networks import start_network
from pipeline.models.preparation import Preparation
from pipeline.models.recurrent import Recurrence, start_sequence
from pipeline.train import train_network

CPU = torch.device("cpu")
LABELS = [0, 1, 2, 0, 1, 2, 0, 1]
WATCHED = [0, 1, 2, 2]
SHAPE = (3, 48, 32)
LSTM = Recurrence(kind="lstm", units=8)


class Pictures:
    def __init__(self):
        self.images = coloured([*LABELS, *WATCHED], height=48, width=32)
        self.asked = []

    def batch(self, block_ids):
        self.asked += [int(block_id) for block_id in block_ids]
        return self.images[[int(block_id) for block_id in block_ids]]


def side(labels, first=0, lengths=None):
    names = [str(number) for number in range(first, first + len(labels))]
    return Side(block_ids=names, labels=np.array(labels, dtype=np.int64), lengths=lengths)


def start(name, *, sequence=False, frozen="all", **options):
    more = {"n_classes": 3, "weights": None, "init": "torchvision", "seed": 2, "shape": SHAPE, "frozen": frozen}
    return start_sequence(name, LSTM, **more, **options) if sequence else start_network(name, **more, **options)


def run(network, *, lengths=(None, None), **changed):
    images, points = Pictures(), []
    keys = {"epochs": 4, "batch_images": 3, "validate_every": 2, "optimizer": "sgd", "learning_rate": 0.01, **changed}
    train_network(
        network,
        images,
        side(LABELS, lengths=lengths[0]),
        side(WATCHED, first=len(LABELS), lengths=lengths[1]),
        n_classes=3,
        recipe=recipe(**keys),
        preparation=Preparation(normalise="unit"),
        device=CPU,
        on_point=points.append,
    )
    return points, images.asked


@pytest.mark.parametrize("name", ["squeezenet1_1", SMALL, "mobilenet_v3_small", "cnn", "resnet18", "densenet121"])
def test_the_head_and_what_follows_it_answer_as_the_network(name):
    network = start(name)
    values = torch.from_numpy(Pictures().images).permute(0, 3, 1, 2) / 255
    entered = []
    network.head.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))
    network.train()
    expected = network(values)
    short = HeadOnly(network)
    torch.testing.assert_close(short(entered[0]), expected, rtol=0, atol=0)
    network.eval()
    logits, features = network.logits_and_features(values)
    again = short.logits_and_features(entered[0])
    torch.testing.assert_close(again[0], logits, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(again[1], features, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("keys", [{}, {"optimizer": "adamw", "keep": "best", "schedule": "cosine"}])
@pytest.mark.parametrize("name", ["squeezenet1_1", SMALL])
def test_learning_is_the_same_and_each_block_is_read_once(name, keys):
    reused, each = start(name), start(name)
    before = {key: value.clone() for key, value in reused.state_dict().items()}
    points, asked = run(reused, **keys)
    expected, asked_each = run(each, reuse_frozen=False, **keys)
    assert asked == list(range(12))
    assert len(asked_each) == 4 * 8 + 6 * 4
    assert len(points) == len(expected) == 12
    for mine, its in zip(points, expected, strict=True):
        assert (mine.iteration, mine.side) == (its.iteration, its.side)
        assert mine.loss == pytest.approx(its.loss, abs=2e-5)
    for key, value in reused.state_dict().items():
        torch.testing.assert_close(value, each.state_dict()[key], rtol=1e-4, atol=1e-5)
        assert torch.equal(value, before[key]) == ("." + network_head(reused) not in "." + key)


def network_head(network):
    return network.head_name + "."


def test_what_is_watched_is_the_same_to_the_last_digit():
    # At a rate that moves nothing, the validation side is answered by the same weights.
    points, _ = run(start(SMALL), learning_rate=1e-30)
    expected, _ = run(start(SMALL), learning_rate=1e-30, reuse_frozen=False)
    assert [p for p in points if p.side == "validation"] == [p for p in expected if p.side == "validation"]


def test_a_recurrent_part_learns_on_features_that_were_computed_once():
    options = {"lengths": ((3, 2, 3), (1, 3)), "batch_images": 6}
    reused, each = start(SMALL, sequence=True), start(SMALL, sequence=True)
    points, asked = run(reused, **options)
    expected, _ = run(each, reuse_frozen=False, **options)
    assert asked == list(range(12))
    for mine, its in zip(points, expected, strict=True):
        assert mine.loss == pytest.approx(its.loss, abs=2e-5)
    for key, value in reused.state_dict().items():
        torch.testing.assert_close(value, each.state_dict()[key], rtol=1e-4, atol=1e-5)


def test_features_on_disk_are_those_in_memory(tmp_path, monkeypatch):
    one, other = start("squeezenet1_1"), start("squeezenet1_1")
    run(one)
    monkeypatch.setattr(reuse, "MOST_IN_MEMORY", 1000)
    rolled = []
    roll = reuse.SpooledTemporaryFile.rollover
    monkeypatch.setattr(reuse.SpooledTemporaryFile, "rollover", lambda self: rolled.append(1) or roll(self))
    _, asked = run(other)
    assert rolled
    assert asked == list(range(12))
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in one.state_dict().items())


@pytest.mark.parametrize("what", ["full", "fails"])
def test_without_a_place_each_step_computes_them(monkeypatch, capsys, what):
    monkeypatch.setattr(reuse, "MOST_IN_MEMORY", 1000)
    if what == "full":
        monkeypatch.setattr(reuse.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1001})())
    else:

        def fail(self):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(reuse.SpooledTemporaryFile, "rollover", fail)
    one, other = start("squeezenet1_1"), start("squeezenet1_1")
    run(one)
    said = capsys.readouterr().err
    assert said.count("each step computes them") == 1
    run(other, reuse_frozen=False)
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in one.state_dict().items())


# where it does not serve


@pytest.mark.parametrize(
    ("keys", "frozen"), [({"jitter": Jitter(brightness=0.3)}, "all"), ({"epochs": 1}, "all"), ({}, 0), ({}, 3)]
)
def test_blocks_are_read_in_every_epoch_where_they_are_not_the_same(keys, frozen):
    _, asked = run(start("squeezenet1_1", frozen=frozen), **keys)
    assert len(asked) > 12 or keys.get("epochs") == 1
    assert len(asked) == keys.get("epochs", 4) * 8 + 4 * len(range(2, 3 * keys.get("epochs", 4) + 2, 2))


def test_dropout_before_the_head_draws_anew_in_every_step():
    convolutions = [f"features.{n}" for n in (0, 3, 6, 8, 10)]
    every = [*convolutions, "classifier.1", "classifier.4"]  # all weights but the head's; dropout before them goes on
    with torch.device("meta"):
        options = {"n_classes": 3, "weights": None, "init": "torchvision", "seed": 0}
        assert not does_the_same_always(start_network("alexnet", frozen=every, **options))
        assert does_the_same_always(start_network("alexnet", frozen=every, dropout=0.0, **options))
        assert does_the_same_always(start_network("alexnet", frozen="all", **options))
        assert not does_the_same_always(start_network("alexnet", frozen=6, **options))


def test_running_means_that_go_on_are_not_the_same_always():
    network = start("resnet18", frozen=0)
    for parameter in network.trunk_parameters():
        parameter.requires_grad_(False)
    assert not does_the_same_always(network)
    assert does_the_same_always(start("resnet18"))
    assert not does_the_same_always(
        start_sequence("flat", LSTM, n_classes=3, weights=None, init="kaiming", seed=0, shape=SHAPE)
    )


def test_a_network_that_goes_on_after_its_head_is_computed_in_every_step():
    network = start(SMALL)
    network.trunk.register_forward_hook(lambda _, __, out: out * 2)
    _, asked = run(network)
    assert len(asked) == 8 + 4 * 8 + 6 * 4  # the first batch was tried


def test_modes_are_as_before():
    network = start("squeezenet1_1")
    assert does_the_same_always(network.train())
    assert network.training
    assert does_the_same_always(network.eval())
    assert not network.training
    short = HeadOnly(network)
    short.train()
    assert short.training
    assert [module.training for module in short.after] == [False, False]
    assert [module.training for module in HeadOnly(start("squeezenet1_1", frozen=3)).train().after] == [True, True]
