"""How often each class and each item is drawn."""

from collections import Counter

import numpy as np
import pytest

from pipeline.learning.orders import choose_order, draw_balanced
from pipeline.sequences import clip_batches

CLASSES = np.array([0] * 13 + [1] * 3 + [3] * 4)  # 20 items; class 2 is not there


@pytest.mark.parametrize("seed", range(5))
def test_classes_are_drawn_alike_and_items_of_a_class_too(seed):
    order = draw_balanced(CLASSES, np.random.default_rng(seed))
    assert len(order) == 20
    of_class = Counter(CLASSES[order].tolist())
    assert sorted(of_class.values()) == [6, 7, 7]
    times = Counter(order.tolist())
    assert max(times[item] for item in range(13)) == 1  # 6 or 7 of 13
    for items in (range(13, 16), range(16, 20)):
        own = [times[item] for item in items]
        assert max(own) - min(own) <= 1
        assert min(own) >= 1
    assert CLASSES[order].tolist() != sorted(CLASSES[order].tolist())


def test_other_items_of_a_frequent_class_come_in_another_epoch():
    drawn = [set(draw_balanced(CLASSES, np.random.default_rng([0, epoch])).tolist()) for epoch in range(12)]
    assert set.union(*drawn) == set(range(20))
    assert len({frozenset(one) for one in drawn}) > 6


def test_equal_classes_are_all_visited_once():
    classes = np.array([0, 1, 2] * 4)
    order = draw_balanced(classes, np.random.default_rng(0))
    assert sorted(order.tolist()) == list(range(12))


def test_shuffle_is_a_permutation():
    order = choose_order("shuffle", CLASSES)(np.random.default_rng(3))
    assert order.tolist() == np.random.default_rng(3).permutation(20).tolist()


def test_clips_are_drawn_by_their_class():
    lengths = [2] * 8 + [3] * 2
    classes = np.array([0] * 8 + [1] * 2)
    draw = choose_order("balanced", classes)
    for epoch in range(3):
        firsts = Counter()
        for own, blocks, parts in clip_batches(lengths, epochs=3, batch_blocks=5, longest=0, seed=1, draw=draw):
            if own == epoch:
                starts = np.cumsum([0, *parts[:-1]])
                firsts.update(blocks[starts].tolist())
        assert sum(firsts.values()) == 10
        assert sum(times for first, times in firsts.items() if first >= 16) == 5  # of clips 8 and 9
        assert set(firsts) >= {16, 19}
