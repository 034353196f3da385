"""How values reach the device: held where they fit, one batch ahead, the same values in every layout; read late."""

import threading

import numpy as np
import pytest
import torch
from made_run import coloured, recipe

from pipeline.augment.images import Jitter
from pipeline.errors import ModelError
from pipeline.learning import feed
from pipeline.learning.feed import Held, fed, held_if_it_fits, hold, one_ahead
from pipeline.learning.sides import Side, Step
from pipeline.learning.stepping import Unread, Watched
from pipeline.models.preparation import Preparation, Scale

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")
IMAGES = coloured([0, 1, 2, 0, 1], height=6, width=4)
WAY = Preparation(normalise="imagenet")
SIDE = Side(block_ids=list("01234"), labels=np.array([0, 1, 2, 0, 1]))


class Pictures:
    def batch(self, block_ids):
        return IMAGES[[int(block_id) for block_id in block_ids]]


@pytest.mark.parametrize(
    "way",
    [
        WAY,
        Preparation(normalise="unit"),
        Preparation(normalise="standard", scale=Scale(mean=np.array([3.0, 50, 9]), deviation=np.array([2.0, 7, 90]))),
    ],
)
def test_pixels_are_the_same_in_both_layouts(way):
    last = Preparation(normalise=way.normalise, scale=way.scale, channels_last=True).to_input(IMAGES, CPU)
    expected = way.to_input(IMAGES, CPU)
    assert torch.equal(last, expected)
    assert expected.shape == (5, 3, 6, 4)
    assert expected.is_contiguous()
    assert last.is_contiguous(memory_format=torch.channels_last)
    if way.normalise == "standard":
        np.testing.assert_allclose(last[4, 1, 5, 2], (IMAGES[4, 5, 2, 1] - 50) / 7, rtol=1e-6)


def test_stacks_are_the_same_in_both_layouts():
    values = np.random.default_rng(0).random((2, 3, 5, 4), dtype=np.float32)
    scale = Scale(mean=np.array([0.1, 0.2, 0.3]), deviation=np.array([1.0, 2.0, 3.0]))
    ways = [Preparation(kind="stack", normalise="standard", scale=scale, channels_last=last) for last in (False, True)]
    one, last = (way.to_input(values, CPU) for way in ways)
    assert torch.equal(one, last)
    assert last.is_contiguous(memory_format=torch.channels_last)


def test_what_is_held_enters_as_what_is_read():
    held = hold(Pictures(), ["4", "0", "2", "0"], preparation=WAY, device=CPU, most_bytes=3 * IMAGES[0].nbytes)
    assert isinstance(held, Held)
    names = ["2", "4", "2"]
    assert torch.equal(WAY.to_input(held.batch(names), CPU), WAY.to_input(Pictures().batch(names), CPU))
    assert hold(Pictures(), ["4", "0", "2"], preparation=WAY, device=CPU, most_bytes=3 * IMAGES[0].nbytes - 1) is None


def test_only_a_gpu_with_room_holds_blocks_that_stay_as_they_are(monkeypatch):
    asked = []

    def note(images, names, *, most_bytes, **_):
        asked.append((list(names), most_bytes))
        return "held"

    monkeypatch.setattr(feed, "hold", note)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (1000, 4000))
    pictures, sides = Pictures(), [SIDE, Side(block_ids=["7"], labels=np.array([0]))]
    choose = {"preparation": WAY, "sides": sides}
    assert held_if_it_fits(pictures, recipe=recipe(), device=GPU, **choose) == "held"
    assert asked == [([*"01234", "7"], 500.0)]
    assert held_if_it_fits(pictures, recipe=recipe(), device=CPU, **choose) is pictures
    assert held_if_it_fits(pictures, recipe=recipe(jitter=Jitter(grey=0.5)), device=GPU, **choose) is pictures
    monkeypatch.setattr(feed, "hold", lambda *_, **__: None)
    assert held_if_it_fits(pictures, recipe=recipe(), device=GPU, **choose) is pictures


def test_each_process_reads_its_own_part():
    step = Step(0, np.array([3, 1, 4, 0]), None, np.array([3, 1, 4, 0]))
    own = step.part(slice(1, 3))
    given = {"recipe": recipe(), "preparation": WAY, "device": CPU}
    ((same, batch),) = fed(Pictures(), SIDE, [(step, own)], **given)
    assert same is step
    assert torch.equal(batch, WAY.to_input(IMAGES[[1, 4]], CPU))


def test_the_next_is_made_while_the_present_one_is_used():
    began = [threading.Event() for _ in range(4)]

    def make(n):
        began[n].set()
        return n * n

    results = one_ahead(make, range(4))
    assert next(results) == 0
    assert began[1].wait(5)  # before it is asked for
    assert not began[3].is_set()
    assert list(results) == [1, 4, 9]


def test_what_cannot_be_made_is_said_when_its_turn_comes():
    def make(n):
        if n == 1:
            raise ModelError("no")
        return n

    results = one_ahead(make, range(3))
    assert next(results) == 0
    with pytest.raises(ModelError, match="no"):
        next(results)


class Run:
    def __init__(self):
        self.taken = []
        self.tally = self

    def add(self, losses, labels, predicted):
        self.taken.append((losses.tolist(), labels.tolist(), predicted.tolist()))

    def state(self):
        return {"taken": list(self.taken)}


def shown(iteration, loss):
    return Watched(iteration, np.array([2]), torch.tensor([[loss, 1.0]]))


def test_on_a_gpu_what_a_step_showed_is_read_one_step_late():
    run = Run()
    late = Unread(run, n_left=1)
    late.add(shown(1, 0.5))
    assert run.taken == []
    late.add(shown(2, 0.25))
    assert run.taken == [([0.5], [2], [1])]
    assert late.read_and_state() == {"taken": [([0.5], [2], [1]), ([0.25], [2], [1])]}
    late.add(shown(3, float("nan")))
    with pytest.raises(ModelError, match="the loss at iteration 3 is not finite"):
        late.read()
