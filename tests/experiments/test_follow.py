"""Running what is missing through a queue, whatever happens to experiments, workers and this process."""

import pytest
from plan.cases import params

from pipeline.experiments.follow import Outcome, run_missing
from pipeline.experiments.trials import Trial
from pipeline.search.scores import Scores

SCORES = Scores({"validation.uar": 0.5}, (None, None))
PARAMS = params()


def trial(name):
    return Trial(name, {"x": name}, (f"x={name}",), PARAMS)


class MadeQueue:
    """A queue whose worker ends one experiment between two looks at it; `fails` and `dies` name those that do."""

    def __init__(self, *, fails=(), dies=(), states=(), at_work=False, done=()):
        self.fails, self.dies, self.at_work = set(fails), list(dies), at_work
        self.entries, self.done, self.log = dict(states), set(done), []

    def add(self, name, settings):
        assert name not in self.entries, "DVC refuses a name that it has"
        assert settings == (f"x={name}",)
        self.entries[name] = "Queued"
        self.log.append(f"add {name}")

    def start(self, jobs):
        self.at_work = True
        self.log.append(f"start {jobs}")

    def states(self):
        return dict(self.entries)

    def is_at_work(self):
        return self.at_work

    def reason(self, name):
        return f"{name} broke"

    def kill(self, names):
        for name in names:
            self.log.append(f"kill {name}")
            if self.entries[name] == "Running":
                self.entries[name] = "Failed"

    def remove(self, names):
        for name in names:
            self.log.append(f"remove {name}")
            assert self.entries.pop(name) != "Running", "DVC removes nothing that runs"

    def read(self, trials):
        return {one.name: Outcome(SCORES) for one in trials if one.name in self.done}

    def sleep(self, _):
        if not self.at_work:
            return
        for name, state in self.entries.items():
            if state == "Running" or (state == "Queued" and "Running" not in self.entries.values()):
                if name in self.dies:
                    self.dies.remove(name)
                    self.entries[name], self.at_work = "Running", False
                elif state == "Queued":
                    self.entries[name] = "Running"
                elif name in self.fails:
                    self.entries[name] = "Failed"
                else:
                    self.entries[name] = "Success"
                    self.done.add(name)
                return


def outcomes(queue, names, **keys):
    told = []
    run_missing(
        [trial(name) for name in names],
        queue=queue,
        read=queue.read,
        tell=lambda one, outcome: told.append((one.name, outcome.reason or outcome.scores)),
        jobs=keys.get("jobs", 1),
        sleep=keys.get("sleep", queue.sleep),
    )
    return told


def test_all_are_queued_run_and_told_in_turn():
    queue = MadeQueue()
    assert outcomes(queue, "abc", jobs=2) == [("a", SCORES), ("b", SCORES), ("c", SCORES)]
    assert queue.log == ["add a", "add b", "add c", "start 2"]


def test_one_that_fails_stops_no_other():
    queue = MadeQueue(fails="b")
    assert outcomes(queue, "abc") == [("a", SCORES), ("b", "b broke"), ("c", SCORES)]


def test_what_is_there_is_not_queued_and_starts_no_worker():
    queue = MadeQueue(done="ab")
    assert outcomes(queue, "ab") == [("a", SCORES), ("b", SCORES)]
    assert queue.log == []


def test_what_waits_or_runs_already_is_followed_and_not_queued_twice(capsys):
    queue = MadeQueue(states={"a": "Running", "b": "Queued", "other": "Queued"}, at_work=True)
    assert outcomes(queue, "abc") == [("a", SCORES), ("b", SCORES), ("c", SCORES)]
    assert queue.log == ["add c", "start 1"]
    assert "1 other experiment in DVC's queue will run, too: other" in capsys.readouterr().err


def test_what_a_killed_worker_left_of_others_is_told_and_left(capsys):
    queue = MadeQueue(states={"left": "Running", "other": "Queued"})
    queue.sleep = lambda _: queue.done.add("a")
    assert outcomes(queue, "a", sleep=queue.sleep) == [("a", SCORES)]
    said = capsys.readouterr().err
    assert "1 other experiment in DVC's queue will run, too: other\n" in said
    assert "had begun when the worker was killed, and will not run: dvc queue kill left\n" in said
    assert queue.log == ["add a", "start 1"]


def test_what_ended_while_nobody_followed_is_queued_anew():
    """One failed; of one the experiment was removed since; one ran when its worker was killed."""
    queue = MadeQueue(states={"a": "Failed", "b": "Success", "c": "Running"})
    assert outcomes(queue, "abc") == [("a", SCORES), ("b", SCORES), ("c", SCORES)]
    assert queue.log == ["kill c", "remove a", "remove b", "remove c", "add a", "add b", "add c", "start 1"]


def test_a_worker_that_dies_is_replaced_and_its_run_repeated_once():
    queue = MadeQueue(dies=["a", "b", "b"])
    told = outcomes(queue, "abc")
    assert sorted(name for name, _ in told) == ["a", "b", "c"]
    found = dict(told)
    assert found["a"] == found["c"] == SCORES
    assert "died while it ran, twice" in found["b"]


def test_a_worker_that_cannot_be_seen_at_once_is_waited_for():
    queue = MadeQueue()
    looks = iter([False, *[True] * 20])
    queue.is_at_work = lambda: next(looks)
    outcomes(queue, "a")
    assert queue.log == ["add a", "start 1"]


def test_an_interrupt_takes_out_what_waits_and_runs(capsys):
    queue = MadeQueue(states={"other": "Queued"})

    def sleep(seconds):
        queue.sleep(seconds)
        if queue.entries.get("a") == "Success" and queue.entries["b"] == "Running":
            raise KeyboardInterrupt

    queue.entries = {}
    with pytest.raises(KeyboardInterrupt):
        outcomes(queue, "abc", sleep=sleep)
    assert queue.entries == {"a": "Success"}
    assert queue.log[-3:] == ["remove c", "kill b", "remove b"]
    assert "the same command goes on from there" in capsys.readouterr().err
    queue.at_work = False
    assert outcomes(queue, "abc") == [("a", SCORES), ("b", SCORES), ("c", SCORES)]


def test_dvc_is_asked_less_and_less_often_while_nothing_happens():
    queue, asked, looks = MadeQueue(), [], []

    def sleep(_):
        looks.append(len(looks))
        if len(looks) in (80, 85):
            queue.done.add("ab"[len(looks) // 85])

    queue.is_at_work = lambda: True
    queue.states = lambda: asked.append(len(looks)) or {}
    outcomes(queue, "ab", sleep=sleep)
    # once to take over; then after 1, 2, 4, 8, 16, 32 ... looks, at once when one ends, and from 1 again
    assert asked == [0, 1, 3, 7, 15, 31, 63, 80, 81, 83]
