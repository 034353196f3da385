"""Who was answered with what: rows worked out by hand, under a clip split and under a block split."""

import numpy as np
import pytest

from pipeline.answers import AnsweredBlocks, clip_answers, confusions
from pipeline.store.tables import Answer, ClipAnswer

# Three blocks of b (sure, wrong, wrong), one of a, in an order that is not that of their names; two folds met b.
BLOCKS = AnsweredBlocks(
    classes=("calm", "joy"),
    labels=np.array([1, 0, 1, 1]),
    names=["b@0", "a@0", "b@1", "b@2"],
    clips=["b", "a", "b", "b"],
    groups=["event", "event", "event", "event"],
    starts=np.array([0.0, 0.0, 1.0, 2.0]),
    ends=np.array([2.0, 2.0, 3.0, 4.0]),
)
PROBABILITIES = np.array([[0.1, 0.9], [0.75, 0.25], [0.625, 0.375], [0.625, 0.375]])


def test_a_clips_blocks_are_counted_by_their_answers():
    assert confusions(BLOCKS, PROBABILITIES, by="group")["block"] == [
        Answer(clip_id="a", unit="event", actual="calm", predicted="calm", n=1),
        Answer(clip_id="b", unit="event", actual="joy", predicted="calm", n=2),
        Answer(clip_id="b", unit="event", actual="joy", predicted="joy", n=1),
    ]


def test_a_clips_own_answer_is_the_mean_of_its_blocks():
    # b: (0.9 + 0.375 + 0.375) / 3 = 0.55 for joy, though most blocks say calm
    assert confusions(BLOCKS, PROBABILITIES, by="group")["clip"] == [
        Answer(clip_id="a", unit="event", actual="calm", predicted="calm", n=1),
        Answer(clip_id="b", unit="event", actual="joy", predicted="joy", n=1),
    ]


@pytest.mark.parametrize("level", ["block", "clip"])
def test_in_a_block_split_clips_are_the_units(level):
    blocks = AnsweredBlocks(**{**vars(BLOCKS), "groups": BLOCKS.names})
    assert all(row.unit == row.clip_id for row in confusions(blocks, PROBABILITIES, by="block")[level])


def test_each_clip_names_its_first_worst_block():
    assert clip_answers(BLOCKS, PROBABILITIES) == [
        ClipAnswer(
            clip_id="a",
            actual="calm",
            predicted="calm",
            of_actual=0.75,
            of_predicted=0.75,
            n_blocks=1,
            worst_block="a@0",
        ),
        ClipAnswer(
            clip_id="b", actual="joy", predicted="joy", of_actual=0.55, of_predicted=0.55, n_blocks=3, worst_block="b@1"
        ),
    ]
