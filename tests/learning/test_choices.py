"""The loop's choices as the loop does them: sampling, clipping, precision, early stopping, rates."""

import dataclasses

import numpy as np
import pytest
import torch
from made_run import SMALL, coloured, one_thread, recipe  # noqa: F401 - a fixture

from pipeline.augment.images import Jitter, draw_changes
from pipeline.learning.sides import Side
from pipeline.learning.stepping import CLIP_NORM
from pipeline.learning.watching import outputs_of_side
from pipeline.models.networks import start_network
from pipeline.models.preparation import Preparation
from pipeline.models.recurrent import Recurrence, start_sequence
from pipeline.train import train_network

CPU = torch.device("cpu")
WAY = Preparation(normalise="unit")


class Pictures:
    def __init__(self, images):
        self.images = images
        self.asked = []

    def batch(self, block_ids):
        self.asked.append([int(block_id) for block_id in block_ids])
        return self.images[self.asked[-1]]


def side(labels, first=0, lengths=None):
    names = [str(number) for number in range(first, first + len(labels))]
    return Side(block_ids=names, labels=np.array(labels, dtype=np.int64), lengths=lengths)


def steady(name="squeezenet1_1"):
    return start_network(name, n_classes=3, weights=None, init="kaiming", seed=1, dropout=0.0)


def run(network, labels, *, lengths=None, validation=None, on_point=None, **changed):
    everything = [*labels, *(validation.labels if validation else [])]
    pictures = Pictures(coloured(everything, height=48, width=32))
    points = []
    kept = train_network(
        network,
        pictures,
        side(labels, lengths=lengths),
        validation,
        n_classes=3,
        recipe=recipe(**changed),
        preparation=WAY,
        device=CPU,
        on_point=on_point or points.append,
    )
    return points, kept, pictures.asked


def moved(network, before):
    return {key: (own.detach() - before[key]) for key, own in network.named_parameters()}


def weights_of(network):
    return {key: own.detach().clone() for key, own in network.named_parameters()}


# what a step goes down


@pytest.mark.parametrize(
    "keys", [{"loss": "hinge"}, {"label_smoothing": 0.3}, {"class_weights": "balanced"}, {"clip_norm": 0.05}]
)
def test_a_step_by_hand(keys):
    labels = [0, 1, 2, 1]
    network = steady()
    before = weights_of(network)
    values = torch.from_numpy(coloured(labels, height=48, width=32)).permute(0, 3, 1, 2) / 255
    by_hand = steady()
    scores = by_hand(values)
    logs = scores - scores.exp().sum(dim=1, keepdim=True).log()
    own = torch.nn.functional.one_hot(torch.tensor(labels), 3).float()
    if "loss" in keys:
        leads = 1 - (scores * own).sum(dim=1, keepdim=True) + scores
        losses = (leads.clamp(min=0) * (1 - own)).sum(dim=1) / 3
    elif "label_smoothing" in keys:
        losses = -((0.7 * own + 0.1) * logs).sum(dim=1)
    else:
        losses = -(own * logs).sum(dim=1)
    if "class_weights" in keys:
        losses = losses * torch.tensor([4 / 3, 4 / 6, 4 / 3, 4 / 6])
    losses.mean().backward()
    gradients = {key: parameter.grad for key, parameter in by_hand.named_parameters()}
    norm = torch.stack([gradient.norm() for gradient in gradients.values()]).norm()
    scale = min(1.0, 0.05 / norm.item()) if "clip_norm" in keys else 1.0
    assert ("clip_norm" in keys) == (scale < 1)
    run(network, labels, epochs=1, batch_images=4, optimizer="sgd", learning_rate=0.1, **keys)
    for key, move in moved(network, before).items():
        torch.testing.assert_close(move, -0.1 * scale * gradients[key], rtol=1e-3, atol=3e-6)


def test_a_gradient_within_the_norm_is_left_alone():
    one, other = steady(), steady()
    run(one, [0, 1, 2, 1], epochs=2, batch_images=4, optimizer="sgd")
    run(other, [0, 1, 2, 1], epochs=2, batch_images=4, optimizer="sgd", clip_norm=1e6)
    for key, value in weights_of(one).items():
        torch.testing.assert_close(value, weights_of(other)[key], rtol=0, atol=1e-7)


def test_the_recurrent_parts_own_cut_stays_beside_that_of_all():
    network = start_sequence(
        "squeezenet1_1",
        Recurrence(kind="lstm", units=8),
        n_classes=3,
        weights=None,
        init="kaiming",
        seed=0,
        shape=(3, 48, 32),
        dropout=0.0,
    )
    with torch.no_grad():
        network.recurrent.classes.weight.mul_(20_000)
    rate, most = 1e-3, 2 * CLIP_NORM
    before = weights_of(network)
    run(
        network,
        [0, 1, 2, 0],
        lengths=(2, 2),
        epochs=1,
        batch_images=4,
        optimizer="sgd",
        learning_rate=rate,
        clip_norm=most,
    )
    moves = moved(network, before)
    recurrent = torch.stack([move.norm() for key, move in moves.items() if key.startswith("recurrent.")]).norm().item()
    total = torch.stack([move.norm() for move in moves.values()]).norm().item()
    assert total == pytest.approx(rate * most, rel=2e-2)  # the trunk's gradient is far above
    assert recurrent < rate * CLIP_NORM


def test_a_rate_that_drops_by_a_factor_takes_the_smaller_step():
    # One batch an epoch: the second step of `step` at a thousandth is a thousandth as long as at the constant rate.
    lengths = {}
    for schedule in ("constant", "step"):
        network, states = steady(), []
        run(
            network,
            [0, 1, 2, 1],
            epochs=2,
            batch_images=4,
            validate_every=1,
            optimizer="sgd",
            learning_rate=0.01,
            schedule=schedule,
            step_epochs=1,
            rate_factor=0.001,
            on_point=lambda _, network=network, states=states: states.append(weights_of(network)),
        )
        lengths[schedule] = torch.stack([(states[1][key] - states[0][key]).norm() for key in states[0]]).norm().item()
    assert lengths["step"] == pytest.approx(0.001 * lengths["constant"], rel=2e-2)


# sampling


def test_each_epoch_draws_as_many_of_each_class():
    labels = [0] * 9 + [1] * 2 + [2]
    _, _, asked = run(steady(), labels, epochs=3, batch_images=4, sampling="balanced")
    assert [len(batch) for batch in asked] == [4, 4, 4] * 3
    for first in (0, 3, 6):
        drawn = [labels[block] for batch in asked[first : first + 3] for block in batch]
        assert np.bincount(drawn).tolist() == [4, 4, 4]


def test_a_block_that_comes_twice_is_altered_twice(monkeypatch):
    seen = []

    def note(jitter, indices, *, seed, epoch):
        seen.append((epoch, list(indices)))
        return draw_changes(jitter, indices, seed=seed, epoch=epoch)

    monkeypatch.setattr("pipeline.learning.feed.draw_changes", note)
    labels = [0] * 5 + [1]
    run(steady(), labels, epochs=2, batch_images=3, sampling="balanced", jitter=Jitter(brightness=0.3))
    for epoch in (0, 1):
        draws = [draw for own, drawn in seen if own == epoch for draw in drawn]
        assert len(set(draws)) == 6
        assert sorted(draw for draw in draws if draw % 6 == 5) == [5, 11, 17]


# precision


@pytest.mark.parametrize("lengths", [None, (2, 2, 2)])
def test_bf16_learns_with_weights_and_answers_of_float32(lengths):
    def start():
        if lengths is None:
            return steady()
        return start_sequence(
            "squeezenet1_1",
            Recurrence(kind="bilstm", units=8),
            n_classes=3,
            weights=None,
            init="kaiming",
            seed=0,
            shape=(3, 48, 32),
        )

    labels = [0, 0, 1, 1, 2, 2]
    dtypes = set()
    exact, rounded = start(), start()
    layer = (rounded if lengths is None else rounded.blocks).trunk.features[0]
    layer.register_forward_hook(lambda own, _, out: dtypes.add((own.training, out.dtype)))
    keys = {"epochs": 2, "batch_images": 6, "optimizer": "sgd", "learning_rate": 0.01, "lengths": lengths}
    watched = side(labels, first=6, lengths=lengths)
    points, _, _ = run(exact, labels, validation=watched, **keys)
    low, _, _ = run(rounded, labels, validation=watched, precision="bf16", **keys)
    assert dtypes == {(True, torch.bfloat16), (False, torch.float32)}
    assert {own.dtype for own in rounded.state_dict().values() if own.is_floating_point()} == {torch.float32}
    one, other = weights_of(exact), weights_of(rounded)
    assert any(not torch.equal(one[key], other[key]) for key in one)
    for mine, its in zip(points, low, strict=True):
        assert its.loss == pytest.approx(mine.loss, rel=2e-2)
    pictures = Pictures(coloured(labels, height=48, width=32))
    for logits, features in outputs_of_side(
        rounded, pictures, side(labels, lengths=lengths), preparation=WAY, device=CPU
    ):
        assert logits.dtype == features.dtype == np.float32


# early stopping


def watched_uars(monkeypatch, uars):
    """Have validations find these."""
    from pipeline.learning.progress import Tally

    point, left = Tally.point, list(uars)

    def made(self, iteration, epoch, side):
        found = point(self, iteration, epoch, side)
        return dataclasses.replace(found, uar=left.pop(0)) if side == "validation" else found

    monkeypatch.setattr(Tally, "point", made)


@pytest.mark.parametrize(
    ("stop_after", "uars", "n_validations", "best"),
    [
        (2, [0.3, 0.5, 0.5, 0.4, 0.9, 0.9], 4, 2),  # 0.5 again is no better
        (2, [0.3, 0.5, 0.4, 0.6, 0.6, 0.1], 6, 4),
        (1, [0.3, 0.2, 0.9, 0.9, 0.9, 0.9], 2, 1),
        (6, [0.5, 0.4, 0.4, 0.4, 0.4, 0.4], 6, 1),
        (0, [0.5, 0.4, 0.4, 0.4, 0.4, 0.4], 6, 1),
    ],
)
@pytest.mark.parametrize("keep", ["best", "last"])
def test_training_stops_when_the_watched_uar_gets_no_better(
    monkeypatch, capsys, stop_after, uars, n_validations, best, keep
):
    watched_uars(monkeypatch, uars)
    network = start_network(SMALL, n_classes=3, weights=None, init="kaiming", seed=0)
    points, kept, asked = run(
        network,
        [0, 1, 2, 0],
        validation=side([0, 1], first=4),
        epochs=6,
        batch_images=2,
        validate_every=2,
        keep=keep,
        stop_after=stop_after,
    )
    assert [point.iteration for point in points] == [n for i in range(n_validations) for n in (2 * (i + 1),) * 2]
    assert len([batch for batch in asked if max(batch) < 4]) == 2 * n_validations
    if keep == "last":
        assert kept == 2 * n_validations
    else:
        highest = max(uars[:n_validations])
        assert kept in {2 * (i + 1) for i, uar in enumerate(uars[:n_validations]) if uar == highest}
        assert kept >= 2 * best
    said = capsys.readouterr().err
    assert ("stops after iteration" in said) == (n_validations < 6)
