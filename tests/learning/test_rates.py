"""Rates by iteration against values worked out by hand, and that steps are taken at them."""

import math

import pytest
import torch
from made_run import recipe

from pipeline.errors import ModelError
from pipeline.learning.rates import factors, schedule_rates

ENDS = [4, 8, 12, 16, 20, 24]  # six epochs of four iterations


def of(schedule, at, ends=ENDS, **keys):
    factor = factors(recipe(schedule=schedule, epochs=len(ends), learning_rate=0.01, **keys), ends)
    return [factor(n) for n in at]


def test_constant_is_the_rate_itself():
    assert of("constant", [0, 7, 24]) == [1.0, 1.0, 1.0]


def test_step_drops_after_every_so_many_epochs():
    # two epochs are eight iterations: 0 to 7 before the first drop
    found = of("step", [0, 7, 8, 15, 16, 23], step_epochs=2, rate_factor=0.1)
    assert found == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01], rel=1e-12)


def test_exponential_goes_down_in_the_course_of_each_epoch():
    found = of("exponential", [0, 2, 4, 8, 10], rate_factor=0.25)
    assert found == pytest.approx([1, 0.5, 0.25, 0.0625, 0.03125], rel=1e-12)


@pytest.mark.parametrize("half", [{"half_cycle_epochs": 1.0}, {"half_cycle_epochs": None, "half_cycle_iterations": 4}])
def test_cyclical_goes_up_and_down_in_straight_lines(half):
    # from 0.002 to 0.01 over four iterations: 0.2, 0.4, 0.6, 0.8, 1, and back
    found = of("cyclical", [0, 1, 2, 3, 4, 5, 7, 8, 9, 12], lowest_rate=0.002, **half)
    assert found == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 0.8, 0.4, 0.2, 0.4, 1], rel=1e-12)


def test_a_half_cycle_of_three_iterations_does_not_mind_epochs():
    found = of("cyclical", [0, 1, 3, 5, 6, 7], half_cycle_epochs=None, half_cycle_iterations=3)
    assert found == pytest.approx([0, 1 / 3, 1, 1 / 3, 0, 1 / 3], abs=1e-12)


def test_cosine_goes_down_to_its_last_share():
    # a third of the way: (1 + cos 60 degrees) / 2 = 3/4; half: 1/2; two thirds: 1/4
    found = of("cosine", [0, 8, 12, 16, 24])
    assert found == pytest.approx([1, 0.75, 0.5, 0.25, 0], abs=1e-12)
    found = of("cosine", [0, 8, 12, 16, 24], final_fraction=0.2)
    assert found == pytest.approx([1, 0.8, 0.6, 0.4, 0.2], abs=1e-12)


def test_the_warm_up_grows_from_one_share_to_the_whole():
    # two epochs are eight iterations; then the cosine has four epochs: halfway at iteration 16
    found = of("cosine", [0, 1, 6, 7, 8, 12, 16], warmup_epochs=2.0)
    down = (1 + math.cos(math.pi / 4)) / 2
    assert found == pytest.approx([1 / 8, 2 / 8, 7 / 8, 1, 1, down, 0.5], abs=1e-12)


def test_epochs_of_other_lengths_count_as_epochs():
    # of clips: 2, 5 and 1 iterations
    assert of("step", [0, 1, 2, 6, 7], ends=[2, 7, 8], step_epochs=1, rate_factor=0.5) == [1, 1, 0.5, 0.5, 0.25]
    assert of("exponential", [1], ends=[2, 7, 8], rate_factor=0.25) == [0.5]


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ModelError, match=r"train\.schedule: 'steps' is none of constant, step, exponential, cyclical"):
        of("steps", [0])


def test_each_rate_of_the_optimizer_keeps_its_own_height():
    one, head = torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.zeros(1))
    groups = [{"params": [one], "lr": 0.01}, {"params": [head], "lr": 0.2}]
    optimizer = torch.optim.SGD(groups)
    rates = schedule_rates(
        optimizer, recipe(schedule="step", step_epochs=1, rate_factor=0.1, epochs=2, learning_rate=0.01), [2, 4]
    )
    seen = []
    for _ in range(4):
        seen.append([group["lr"] for group in optimizer.param_groups])
        one.grad, head.grad = torch.ones(1), torch.ones(1)
        optimizer.step()
        rates.step()
    assert seen[0] == seen[1] == [0.01, 0.2]
    assert seen[2] == seen[3] == pytest.approx([0.001, 0.02])
    assert one.item() == pytest.approx(-(0.01 + 0.01 + 0.001 + 0.001), rel=1e-6)
    assert head.item() == pytest.approx(-(0.2 + 0.2 + 0.02 + 0.02), rel=1e-6)
