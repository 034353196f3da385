"""From blocks to clips: every rule by hand, ties, zeros, single blocks, and the answers along the clip."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.aggregation import LEAST, RULES, Timeline, aggregate, over_time
from pipeline.errors import MetricsError

# A clip of two blocks, the later of which comes first in the table, and between them a clip of one block.
P = np.array([[0.1, 0.6, 0.3], [0.2, 0.3, 0.5], [0.5, 0.4, 0.1]])
TIMELINE = Timeline.of(np.array([0, 1, 0]), np.array([1.0, 0.0, 0.0]))


def one_clip(*blocks):
    return np.array(blocks, dtype=np.float64), Timeline.of(np.zeros(len(blocks), np.int64), np.arange(len(blocks)))


def test_blocks_are_put_in_the_order_of_time():
    assert TIMELINE.ordered.tolist() == [2, 0, 1]
    assert TIMELINE.n_blocks.tolist() == [2, 1]
    assert [TIMELINE.nth(n).tolist() for n in (1, 2, 3)] == [[2, 1], [0, 1], [0, 1]]


@pytest.mark.parametrize(
    ("rule", "clip", "single"),
    [
        ("mean", [0.3, 0.5, 0.2], [0.2, 0.3, 0.5]),
        ("product", [5 / 32, 24 / 32, 3 / 32], [0.2, 0.3, 0.5]),  # 0.05, 0.24, 0.03
        ("vote", [0.5, 0.5, 0], [0, 0, 1]),
        # 1/3 each; then (1/3 + 0.5) / 2 = 5/12, 11/30, 13/60; then with 0.1, 0.6, 0.3: 31/120, 29/60, 31/120
        ("belief", [31 / 120, 58 / 120, 31 / 120], [4 / 15, 19 / 60, 5 / 12]),
        ("last", [0.1, 0.6, 0.3], [0.2, 0.3, 0.5]),
    ],
)
def test_two_blocks_and_one_block_by_hand(rule, clip, single):
    answers = aggregate(P, TIMELINE, rule)
    assert answers == pytest.approx(np.array([clip, single]), abs=1e-8)
    # in the vote both have one, joy (0.6 + 0.4) more probability than anger (0.5 + 0.1)
    assert answers.argmax(axis=1).tolist() == [1, 2]


def test_a_vote_is_won_by_the_sum_and_then_by_the_order_of_the_classes():
    def winner(*blocks):
        return aggregate(*one_clip(*blocks), "vote").argmax()

    assert winner([0.4, 0.3, 0.3], [0.1, 0.8, 0.1]) == 1  # a vote each, sums 0.5 and 1.1
    assert winner([0.8, 0.1, 0.1], [0.3, 0.4, 0.3]) == 0
    assert winner([0.1, 0.2, 0.7], [0.1, 0.7, 0.2]) == 1  # equal sums: the first
    # two votes of 0.4 against one of 1: the votes decide, though the sums are 0.8 and 1.6
    assert winner([0.4, 0.3, 0.3], [0.4, 0.3, 0.3], [0.0, 1.0, 0.0]) == 0


def test_a_vote_is_the_share_of_the_blocks():
    blocks = [[0.9, 0.1, 0.0]] * 3 + [[0.0, 0.2, 0.8]]
    assert aggregate(*one_clip(*blocks), "vote").tolist() == [[0.75, 0, 0.25]]


def test_a_zero_rules_a_class_out_of_the_product_but_not_for_good():
    assert aggregate(*one_clip([1, 0, 0], [0, 1, 0]), "product") == pytest.approx(
        np.array([[0.5, 0.5, LEAST / 2]]), rel=1e-6
    )
    # 0.9 * 0.9 against 1e-12: one more sure block is not enough, many are
    assert aggregate(*one_clip([0, 1], [0.9, 0.1]), "product").argmax() == 1
    assert aggregate(*one_clip([0, 1], *[[0.99, 0.01]] * 7), "product").argmax() == 0


def test_a_product_of_very_many_blocks_is_still_a_probability():
    answers = aggregate(*one_clip(*[[0.2, 0.3, 0.5]] * 3000), "product")
    assert answers.tolist() == [[0, 0, 1]]


def test_belief_by_hand_forgets_what_came_first():
    # from 1/2: 0.75, then 0.375 (joy 0.625): the second block, the surer of the two by none, decides
    assert aggregate(*one_clip([1, 0], [0, 1]), "belief").tolist() == [[0.375, 0.625]]
    assert aggregate(*one_clip([0, 1], [1, 0]), "belief").tolist() == [[0.625, 0.375]]


@pytest.mark.parametrize("rule", RULES)
def test_the_answers_along_the_clip_are_those_of_its_first_blocks(rule):
    rng = np.random.default_rng(0)
    lengths = (4, 1, 2, 4)
    clip = rng.permutation(np.repeat(np.arange(4), lengths))
    starts = rng.permutation(len(clip)).astype(float)
    p = rng.dirichlet(np.ones(3), len(clip))
    along = list(over_time(p, Timeline.of(clip, starts), rule, at=[1, 2, 3, 4]))
    for n, answers in enumerate(along, start=1):
        for index in range(4):
            own = np.flatnonzero(clip == index)
            own = own[np.argsort(starts[own])][:n]
            alone = aggregate(p[own], Timeline.of(np.zeros(len(own), np.int64), starts[own]), rule)
            assert answers[index] == pytest.approx(alone[0], abs=1e-12)
    assert along[-1].tolist() == aggregate(p, Timeline.of(clip, starts), rule).tolist()


def test_some_points_are_those_of_all():
    rng = np.random.default_rng(1)
    p, timeline = one_clip(*rng.dirichlet(np.ones(4), 9))
    every = list(over_time(p, timeline, "belief", at=list(range(1, 10))))
    some = list(over_time(p, timeline, "belief", at=[2, 5, 9]))
    assert [one.tolist() for one in some] == [every[n - 1].tolist() for n in (2, 5, 9)]


@given(st.integers(0, 10_000), st.integers(1, 8))
def test_the_order_of_the_blocks_matters_to_belief_and_last_only(seed, n):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(3), n)
    there, back = (Timeline.of(np.zeros(n, np.int64), starts) for starts in (np.arange(n), -np.arange(n)))
    for rule in ("mean", "product", "vote"):
        assert aggregate(p, there, rule) == pytest.approx(aggregate(p, back, rule), abs=1e-12)
    if n > 1:
        for rule in ("belief", "last"):
            assert np.abs(aggregate(p, there, rule) - aggregate(p, back, rule)).max() > 1e-9
    for rule in RULES:
        answers = aggregate(p, there, rule)
        assert answers.sum() == pytest.approx(1)
        assert answers.min() >= 0


def test_lengths_that_do_not_fit_are_refused():
    with pytest.raises(MetricsError, match="2 starts for 3 blocks"):
        Timeline.of(np.array([0, 0, 1]), np.array([0.0, 1.0]))
    with pytest.raises(MetricsError, match="2 rows of probabilities for 3 clip indexes"):
        aggregate(P[:2], TIMELINE, "vote")
