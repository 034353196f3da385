"""Losses and weights of classes against values worked out by hand."""

import math

import numpy as np
import pytest
import torch
from made_run import recipe

from pipeline.errors import ModelError
from pipeline.learning.losses import Objective, balanced_weights, choose_objective

CPU = torch.device("cpu")
SCORES = torch.tensor([[2.0, 1.0, -1.0], [0.0, 0.5, 3.0]])
LABELS = torch.tensor([0, 1])


def test_cross_entropy_by_hand():
    expected = [
        math.log(math.exp(2) + math.exp(1) + math.exp(-1)) - 2,
        math.log(1 + math.exp(0.5) + math.exp(3)) - 0.5,
    ]
    assert Objective()(SCORES, LABELS).tolist() == pytest.approx(expected, rel=1e-6)


def test_the_hinge_is_the_sum_over_wrong_classes_over_their_number_and_one():
    # first: max(0, 1 - 2 + 1) + max(0, 1 - 2 - 1) = 0; second: (1 - 0.5 + 0) + (1 - 0.5 + 3) = 4, over 3 classes
    assert Objective(loss="hinge")(SCORES, LABELS).tolist() == pytest.approx([0, 4 / 3])
    # margin 2: first 2 - 2 + 1 = 1 and max(0, 2 - 2 - 1) = 0; second 1.5 + 4.5 = 6
    assert Objective(loss="hinge", margin=2.0)(SCORES, LABELS).tolist() == pytest.approx([1 / 3, 2])


def test_smoothing_spreads_a_share_of_the_target_over_all_classes():
    logs = torch.log_softmax(SCORES, dim=1)
    targets = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]])  # 0.3 over three classes
    expected = -(targets * logs).sum(dim=1)
    torch.testing.assert_close(Objective(smoothing=0.3)(SCORES, LABELS), expected)


@pytest.mark.parametrize("loss", ["cross_entropy", "hinge"])
def test_each_block_weighs_as_its_class(loss):
    weights = torch.tensor([0.5, 3.0, 7.0])
    plain = Objective(loss=loss, smoothing=0.0)(SCORES, LABELS)
    weighed = Objective(loss=loss, smoothing=0.0, weights=weights)(SCORES, LABELS)
    assert weighed.tolist() == pytest.approx([0.5 * plain[0].item(), 3 * plain[1].item()])


def test_weights_are_in_inverse_proportion_and_one_in_the_mean():
    labels = np.array([0, 0, 0, 0, 0, 0, 2, 2])  # 6 and 2; class 1 is not there
    weights = balanced_weights(labels, None, n_classes=4)
    assert weights.tolist() == pytest.approx([8 / 12, 0, 8 / 4, 0])
    assert weights[labels].mean() == pytest.approx(1)


def test_clips_are_counted_where_clips_weigh_alike():
    labels = np.array([0, 0, 0, 0, 1, 0])  # clips of 3, 1, 1 and 1 blocks: three of class 0, one of class 1
    weights = balanced_weights(labels, [3, 1, 1, 1], n_classes=2)
    assert weights.tolist() == pytest.approx([4 / 6, 4 / 2])


def test_curves_show_plain_cross_entropy_whatever_is_learnt():
    plain = Objective()(SCORES, LABELS)
    for objective in (
        Objective(),
        Objective(loss="hinge"),
        Objective(smoothing=0.2),
        Objective(weights=torch.tensor([2.0, 3.0, 4.0])),
    ):
        losses = objective(SCORES, LABELS)
        torch.testing.assert_close(objective.watched(losses, SCORES, LABELS), plain)


def test_a_recipe_chooses():
    labels = np.array([0, 0, 1])
    made = choose_objective(
        recipe(loss="hinge", hinge_margin=0.5, class_weights="balanced"), labels, None, n_classes=2, device=CPU
    )
    assert (made.loss, made.margin) == ("hinge", 0.5)
    assert made.weights.tolist() == pytest.approx([0.75, 1.5])
    assert choose_objective(recipe(), labels, None, n_classes=2, device=CPU) == Objective()
    with pytest.raises(ModelError, match=r"train\.loss: 'l1' is none of cross_entropy, hinge"):
        choose_objective(recipe(loss="l1"), labels, None, n_classes=2, device=CPU)
