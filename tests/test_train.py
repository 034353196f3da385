"""The training loop against steps by hand, counted visits, and runs that must be the same or differ."""

import random

import numpy as np
import pytest
import torch
from made_run import SMALL, coloured, one_thread, recipe  # noqa: F401 - a fixture
from torch import nn

from pipeline.augment.images import Jitter, alter_images, draw_changes
from pipeline.errors import ModelError
from pipeline.learning.sides import Side
from pipeline.models.inference import outputs_of
from pipeline.models.networks import start_network
from pipeline.models.preparation import Preparation
from pipeline.train import provenance, train_network

CPU = torch.device("cpu")


class Pictures:
    """What training needs of the store's images, and a note of what it asked for."""

    def __init__(self, images):
        self.images = images
        self.asked = []

    def batch(self, block_ids):
        self.asked.append(list(block_ids))
        return self.images[[int(block_id) for block_id in block_ids]]


def side(labels, first=0):
    names = [str(number) for number in range(first, first + len(labels))]
    return Side(block_ids=names, labels=np.array(labels, dtype=np.int64))


def start(name=SMALL, seed=0):
    return start_network(name, n_classes=3, weights=None, init="kaiming", seed=seed)


def run(labels, *, network=None, validation=None, images=None, on_point=None, **changed):
    """Train on images of these labels; return the network, the curve, the iteration kept, and what was asked for."""
    network = network or start(seed=changed.get("seed", 0))
    everything = list(labels) + (list(validation.labels) if validation else [])
    pictures = Pictures(coloured(everything, height=32, width=24) if images is None else images)
    points = []
    kept = train_network(
        network,
        pictures,
        side(labels),
        validation,
        n_classes=3,
        recipe=recipe(**changed),
        preparation=Preparation(normalise="unit"),
        device=CPU,
        on_point=on_point or points.append,
    )
    return network, points, kept, pictures.asked


def copy_of(network):
    return {key: value.clone() for key, value in network.state_dict().items()}


def same(one, other):
    return all(torch.equal(value, other[key]) for key, value in one.items())


# learning


def test_a_separable_problem_is_learnt():
    labels = [0, 1, 2] * 8
    network, points, kept, _ = run(
        labels, network=start("squeezenet1_1", 1), epochs=12, batch_images=6, validate_every=4, learning_rate=0.0005
    )
    assert kept == 48
    assert points[0].loss > points[-1].loss
    assert points[-1].loss < 0.1
    assert points[-1].uar == points[-1].accuracy == 1
    unseen = coloured(labels, height=32, width=24, seed=9)
    ((logits, _),) = outputs_of(network, [unseen], preparation=Preparation(normalise="unit"), device=CPU)
    assert logits.argmax(axis=1).tolist() == labels


# order of the images


def test_every_image_is_visited_once_an_epoch_in_another_order():
    _, _, _, asked = run([0, 1, 2, 0, 1, 2, 0, 1], epochs=3, batch_images=3, seed=4)
    assert [len(batch) for batch in asked] == [3, 3, 2] * 3
    epochs = [[name for batch in asked[first : first + 3] for name in batch] for first in (0, 3, 6)]
    assert all(sorted(epoch) == [str(number) for number in range(8)] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


@pytest.mark.parametrize(
    ("n", "batch_images", "sizes"),
    [(7, 3, [3, 4]), (6, 3, [3, 3]), (8, 3, [3, 3, 2]), (4, 3, [4]), (3, 8, [3]), (2, 2, [2]), (3, 2, [3])],
)
def test_one_image_left_over_joins_the_batch_before(n, batch_images, sizes):
    _, _, _, asked = run([i % 3 for i in range(n)], epochs=1, batch_images=batch_images)
    assert [len(batch) for batch in asked] == sizes


def test_batches_of_one_are_made_where_they_are_asked_for():
    network = start("squeezenet1_1")  # without batch normalisation
    _, _, _, asked = run([0, 1, 2], network=network, epochs=1, batch_images=1)
    assert [len(batch) for batch in asked] == [1, 1, 1]


# the same again, or not


def test_the_same_seed_gives_the_same_weights_and_curve():
    labels = [0, 1, 2, 0, 1, 2, 0]
    (first, curve, _, order), (again, curve_again, _, order_again) = (run(labels, seed=1) for _ in range(2))
    assert same(first.state_dict(), again.state_dict())
    assert curve == curve_again
    assert order == order_again
    other, curve_of_other, _, order_of_other = run(labels, seed=2)
    assert not same(first.state_dict(), other.state_dict())
    assert curve != curve_of_other
    assert order != order_of_other


def test_the_seed_of_training_draws_dropout_too():
    # The same image thrice under one label: the order cannot matter, so only dropout tells the seeds apart.
    image = np.repeat(coloured([1], height=64, width=64), 3, axis=0)
    first, again, other = (
        run([1, 1, 1], network=start("squeezenet1_1", 1), images=image, epochs=1, seed=seed)[0].state_dict()
        for seed in (1, 1, 2)
    )
    assert same(first, again)
    assert not same(first, other)


def test_watching_changes_nothing_that_is_learnt():
    labels, watched = [0, 1, 2, 0, 1, 2], side([0, 1, 2], first=6)
    images = coloured([*labels, 0, 1, 2], height=32, width=24)
    alone, *_ = run(labels, images=images)
    beside, *_ = run(labels, images=images, validation=watched, validate_every=1)
    assert same(alone.state_dict(), beside.state_dict())


def test_random_states_outside_are_untouched():
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    run([0, 1, 2, 0], validation=side([0, 1], first=4))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert random.getstate() == before[2]


# one step by hand


def steady():
    """A network whose step can be written out: no dropout, and no normalisation over the batch."""
    return start_network("squeezenet1_1", n_classes=3, weights=None, init="kaiming", seed=1, dropout=0.0)


@pytest.fixture(scope="module")
def by_hand():
    """Starting weights, one batch, and the gradient of its mean cross-entropy, written out."""
    labels = [0, 1, 2, 1]
    images = coloured(labels, height=48, width=32)
    network = steady()
    logits = network(torch.from_numpy(images).permute(0, 3, 1, 2) / 255)
    (logits.exp().sum(dim=1).log() - logits[range(4), labels]).mean().backward()
    weights = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    gradients = {name: parameter.grad.clone() for name, parameter in network.named_parameters()}
    assert all(gradient.abs().max() > 1e-5 for gradient in gradients.values())
    return labels, images, weights, gradients


def stepped(by_hand, **changed):
    labels, images, *_ = by_hand
    options = {"optimizer": "sgd", "learning_rate": 0.1, "epochs": 1, "batch_images": 4, **changed}
    network, *_ = run(labels, network=steady(), images=images, **options)
    return {name: parameter.detach() for name, parameter in network.named_parameters()}


def is_head(name):
    return name.startswith("trunk.classifier.1.")


def test_a_step_of_sgd_by_hand(by_hand):
    _, _, weights, gradients = by_hand
    for name, value in stepped(by_hand).items():
        torch.testing.assert_close(value, weights[name] - 0.1 * gradients[name], rtol=1e-4, atol=2e-5)


def test_the_head_moves_by_its_factor_and_the_rest_does_not(by_hand):
    _, _, weights, gradients = by_hand
    plain, faster = stepped(by_hand), stepped(by_hand, head_rate_factor=20.0)
    assert sum(is_head(name) for name in weights) == 2
    for name, value in faster.items():
        if is_head(name):
            torch.testing.assert_close(value, weights[name] - 2.0 * gradients[name], rtol=1e-4, atol=1e-4)
            assert (value - weights[name]).abs().max() > 10 * (plain[name] - weights[name]).abs().max()
        else:
            assert torch.equal(value, plain[name])


def test_weight_decay_of_sgd_is_the_l2_penalty(by_hand):
    _, _, weights, gradients = by_hand
    for name, value in stepped(by_hand, weight_decay=0.5).items():
        expected = weights[name] - 0.1 * (gradients[name] + 0.5 * weights[name])
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=2e-5)


def test_weight_decay_of_adamw_is_decoupled(by_hand):
    # Its first step: shrink by rate x decay, then go rate against the gradient's sign, whatever the gradient's size.
    _, _, weights, gradients = by_hand
    moved = stepped(by_hand, optimizer="adamw", learning_rate=0.01, weight_decay=0.5)
    for name, value in moved.items():
        clear = gradients[name].abs() > 1e-4
        expected = weights[name] * (1 - 0.01 * 0.5) - 0.01 * gradients[name].sign()
        torch.testing.assert_close(value[clear], expected[clear], rtol=1e-4, atol=2e-5)
    assert sum(int((gradients[name].abs() > 1e-4).sum()) for name in moved) > 10_000


def test_momentum_of_sgd_keeps_going(by_hand):
    # Two steps: w1 = w0 - r g0, w2 = w1 - r (m g0 + g1), so momentum 0.9 and 0 differ by r m g0 after the second.
    _, _, _, gradients = by_hand
    without, with_it = (stepped(by_hand, epochs=2, learning_rate=0.001, momentum=m) for m in (0.0, 0.9))
    for name, value in with_it.items():
        torch.testing.assert_close(without[name] - value, 0.001 * 0.9 * gradients[name], rtol=2e-2, atol=2e-6)


# curves


def test_points_come_at_every_nth_iteration_and_at_the_last():
    labels = [0, 1, 2, 0, 1, 2, 0]  # batches of 2, 2 and 3
    validation = side([0, 1, 2], first=7)
    _, points, kept, _ = run(labels, validation=validation, epochs=3, batch_images=2, validate_every=4)
    assert kept == 9
    found = [(point.iteration, point.side, point.epoch) for point in points]
    assert found == [
        (4, "train", 1.3333),
        (4, "validation", 1.3333),
        (8, "train", 2.6667),
        (8, "validation", 2.6667),
        (9, "train", 3.0),
        (9, "validation", 3.0),
    ]


def test_without_a_watched_side_there_is_its_curve_only():
    _, points, _, _ = run([0, 1, 2, 0, 1, 2], epochs=1, batch_images=2, validate_every=1)
    assert [(point.iteration, point.side) for point in points] == [(1, "train"), (2, "train"), (3, "train")]


def test_the_watched_sides_numbers_by_hand():
    watched = [0, 0, 0, 1]  # no image of class 2: it has no recall
    images = coloured([0, 1, 2, *watched], height=32, width=24)
    seen = []

    def look(point):
        if point.side == "validation":
            ((logits, _),) = outputs_of(network, [images[3:]], preparation=Preparation(normalise="unit"), device=CPU)
            seen.append((point, logits))

    network = start()
    run([0, 1, 2], network=network, validation=side(watched, first=3), images=images, epochs=4, on_point=look)
    assert len(seen) == 2
    for point, logits in seen:
        answers = logits.argmax(axis=1)
        recalls = [(answers[:3] == 0).mean(), (answers[3:] == 1).mean()]
        powers = np.exp(logits.astype(np.float64))
        chances = powers[range(4), watched] / powers.sum(axis=1)
        assert point.loss == pytest.approx(-np.log(chances).mean(), abs=2e-6)
        assert point.accuracy == (answers == watched).mean()
        assert point.uar == pytest.approx(np.mean(recalls), abs=1e-6)


def test_a_training_point_is_about_what_came_since_the_last():
    # At rate 1e-12 nothing moves, so every epoch has the same images and losses, and the mean of two is that of one.
    options = {"optimizer": "sgd", "learning_rate": 1e-12, "batch_images": 4, "epochs": 2}
    labels = [0, 1, 2, 1]
    _, each, _, _ = run(labels, validate_every=1, **options)
    _, both, _, _ = run(labels, validate_every=2, **options)
    assert len(each) == 2
    assert len(both) == 1
    assert both[0].loss == pytest.approx((each[0].loss + each[1].loss) / 2, abs=2e-6)


# which weights are kept


def opposed(keep, **changed):
    """Train while watching images whose labels are wrong, so that what is learnt makes the watched UAR fall."""
    labels, wrong = [0, 1, 2] * 4, [1, 2, 0] * 2
    images = coloured(labels + [0, 1, 2] * 2, height=32, width=24)
    network, points, states = start(), [], {}

    def look(point):
        if point.side == "validation":
            points.append(point)
            states[point.iteration] = copy_of(network)

    _, _, kept, _ = run(
        labels,
        network=network,
        validation=side(wrong, first=12),
        images=images,
        on_point=look,
        keep=keep,
        **{"epochs": 8, "batch_images": 6, "validate_every": 1, **changed},
    )
    return network, points, states, kept


def test_best_keeps_the_weights_of_the_highest_watched_uar_and_the_lower_loss_of_equals():
    network, points, states, kept = opposed("best")
    highest = max(point.uar for point in points)
    expected = min((point.loss, point.iteration) for point in points if point.uar == highest)[1]
    assert kept == expected < 16
    assert same(network.state_dict(), states[kept])
    assert not same(states[kept], states[16])


def test_last_keeps_the_last_weights():
    network, points, states, kept = opposed("last")
    assert kept == 16
    assert same(network.state_dict(), states[16])
    assert points[-1].uar < max(point.uar for point in points)


def test_of_equal_uars_the_lowest_loss_is_kept():
    labels = [0, 1, 2]
    images = coloured(labels * 2, height=48, width=32)
    _, points, kept, _ = run(
        labels,
        network=steady(),
        validation=side(labels, first=3),
        images=images,
        keep="best",
        epochs=3,
        validate_every=1,
        optimizer="sgd",
        learning_rate=1e-4,
    )
    watched = [point for point in points if point.side == "validation"]
    assert len({point.uar for point in watched}) == 1
    assert watched[0].loss > watched[1].loss > watched[2].loss
    assert kept == 3


def test_of_equal_points_the_earliest_is_kept():
    # Nothing moves but the running means of batch normalisation, which this network has not.
    labels = [0, 1, 2]
    images = coloured(labels * 2, height=64, width=64)
    _, points, kept, _ = run(
        labels,
        network=start("squeezenet1_1"),
        validation=side(labels, first=3),
        images=images,
        keep="best",
        epochs=3,
        validate_every=1,
        optimizer="sgd",
        learning_rate=1e-30,
    )
    watched = [point for point in points if point.side == "validation"]
    assert len({(point.uar, point.loss) for point in watched}) == 1
    assert kept == 1


# what cannot go on


def test_a_diverging_loss_is_an_error_that_names_the_iteration():
    network = start()
    with torch.no_grad():
        network.head.weight[0, 0] = float("nan")
    with pytest.raises(ModelError) as caught:
        run([0, 1, 2, 0], network=network)
    assert str(caught.value) == ("training diverged: the loss at iteration 1 is not finite: lower train.learning_rate")
    points = []
    with pytest.raises(ModelError, match=r"the loss at iteration (\d+) is not finite: lower train.learning_rate"):
        run([0, 1, 2, 0], optimizer="sgd", learning_rate=1e30, epochs=9, validate_every=1, on_point=points.append)
    assert len(points) < 9
    assert all(np.isfinite(point.loss) for point in points)


def test_a_watched_loss_that_is_not_finite_is_the_same_error():
    network = start()
    next(m for m in network.modules() if isinstance(m, nn.BatchNorm2d)).running_mean[0] = float("nan")
    points = []
    with pytest.raises(ModelError, match="the loss at iteration 1 is not finite"):
        run([0, 1, 2], network=network, validation=side([0, 1], first=3), validate_every=1, on_point=points.append)
    assert [point.side for point in points] == ["train"]


def failing(error):
    network = start()

    def fail(*_):
        raise error

    network.register_forward_hook(fail)
    return network


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (
            RuntimeError(
                "adaptive_avg_pool2d_backward_cuda does not have a deterministic implementation, but you set\n"
                "'torch.use_deterministic_algorithms(True)'"
            ),
            "set train.deterministic to false, or train.device to cpu",
        ),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
            "lower train.batch_images, or set train.device to cpu",
        ),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            "lower train.batch_images, or the height and width of image or stack",
        ),
    ],
)
def test_what_the_device_cannot_do_is_one_line_with_the_fix(error, fix):
    with pytest.raises(ModelError) as caught:
        run([0, 1, 2], network=failing(error))
    text = str(caught.value)
    assert text.startswith("training stopped at iteration 1 (")
    assert text.endswith(fix)
    assert "\n" not in text


def test_one_image_a_batch_is_refused_where_it_cannot_be_normalised():
    with pytest.raises(ModelError, match=r"iteration 1 .*set train.batch_images to 2 or more"):
        run([0, 1, 2], batch_images=1)


def test_an_error_that_nobody_expected_is_not_hidden():
    with pytest.raises(RuntimeError, match="something else") as caught:
        run([0, 1, 2], network=failing(RuntimeError("something else")))
    assert caught.type is RuntimeError


# provenance


def test_provenance_says_what_may_change_the_last_digits():
    found = provenance(CPU)
    assert found.keys() == {"device", "threads", "python", "machine", "packages"}
    assert found["device"] == "cpu"
    assert found["threads"] == 1
    assert found["packages"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert found["packages"]["numpy"] == np.__version__
    assert {"torchvision", "scipy", "h5py", "soxr", "soundfile", "pyloudnorm"} <= found["packages"].keys()


# altered images

JITTER = Jitter(brightness=0.4, contrast=0.3, grey=0.5)


def test_images_are_altered_anew_in_every_epoch_and_those_of_validation_never(monkeypatch):
    labels = [0, 1, 2] * 4
    watched = side([0, 1, 2], first=12)
    shown = coloured([*labels, 0, 1, 2], height=32, width=24)
    seen, to_input = [], Preparation.to_input

    def note(self, values, device):
        seen.append(values.copy())
        return to_input(self, values, device)

    monkeypatch.setattr(Preparation, "to_input", note)
    options = {"epochs": 3, "batch_images": 6, "validate_every": 2, "seed": 5}
    _, _, _, asked = run(labels, validation=watched, images=shown, jitter=JITTER, **options)
    own = [[int(name) for name in names] for names in asked]
    assert [len(rows) for rows in own] == [len(values) for values in seen] == [6, 6, 3] * 3
    for i, (rows, values) in enumerate(zip(own, seen, strict=True)):
        changes = draw_changes(JITTER, rows, seed=5, epoch=i // 3)
        np.testing.assert_array_equal(values, shown[12:] if i % 3 == 2 else alter_images(shown[rows], changes))


def test_altering_nothing_changes_no_weight_and_altering_does_so_by_the_seed():
    labels = [0, 1, 2] * 3
    plain, none, some, again = (
        copy_of(run(labels, network=start(), epochs=1, **options)[0])
        for options in ({}, {"jitter": Jitter()}, {"jitter": JITTER}, {"jitter": JITTER})
    )
    assert all(torch.equal(plain[key], none[key]) for key in plain)
    assert all(torch.equal(some[key], again[key]) for key in plain)
    assert not all(torch.equal(plain[key], some[key]) for key in plain)
