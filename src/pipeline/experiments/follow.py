"""Run what is missing through the queue and follow it: an experiment that fails is an outcome like any other."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pipeline.console import say
from pipeline.experiments.trials import Trial
from pipeline.words import amount

PAUSE, MOST_PAUSES = 1.0, 60  # seconds from look to look for results, and at most so many looks until DVC is asked
MOST_DEATHS = 2
LOOKS_AFTER_KILL = 10


class Queue(Protocol):
    """What is needed of DVC's queue."""

    def add(self, name: str, settings: Sequence[str]) -> None: ...  # noqa: D102
    def start(self, jobs: int) -> None: ...  # noqa: D102
    def states(self) -> dict[str, str]: ...  # noqa: D102
    def is_at_work(self) -> bool: ...  # noqa: D102
    def reason(self, name: str) -> str: ...  # noqa: D102
    def kill(self, names: Sequence[str]) -> None: ...  # noqa: D102
    def remove(self, names: Sequence[str]) -> None: ...  # noqa: D102


Scores = TypeVar("Scores")


@dataclass(frozen=True)
class Outcome(Generic[Scores]):
    """How a run ended: with scores, or with the reason why it failed."""

    scores: Scores | None = None
    reason: str = ""


Read = Callable[[Iterable[Trial]], Mapping[str, Outcome[Scores]]]
Tell = Callable[[Trial, Outcome[Scores]], None]


def run_missing(
    trials: Sequence[Trial],
    *,
    queue: Queue,
    read: Read[Scores],
    tell: Tell[Scores],
    jobs: int,
    label: str = "search",
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Queue those of `trials` that neither wait nor run, and return when all have ended.

    What the queue runs it goes on running when this process is killed; the next call follows it. An interrupt takes
    these trials out of the queue.

    Parameters
    ----------
    read
        How those trials ended, by name, whose experiments are there.
    label
        What is at work, in front of every line that is said.
    tell
        Is told how each trial ended, once, as soon as it is known.
    """
    waiting = {trial.name: trial for trial in trials}
    try:
        _settle_done(waiting, read, tell)
        if not waiting:
            return
        _take_over(waiting, queue, label)
        queue.start(jobs)
        _follow(waiting, queue, read, tell, jobs, sleep)
    except KeyboardInterrupt:
        _take_out(waiting, queue, sleep)
        say(f"{label}: interrupted: what had not ended is taken out of the queue; the same command goes on from there")
        raise


def _follow(
    waiting: dict[str, Trial],
    queue: Queue,
    read: Read[Scores],
    tell: Tell[Scores],
    jobs: int,
    sleep: Callable[[float], None],
) -> None:
    deaths = dict.fromkeys(waiting, 0)
    patience, asleep, idle = 1, 0, 0
    while waiting:
        sleep(PAUSE)
        n_before, asleep = len(waiting), asleep + 1
        _settle_done(waiting, read, tell)
        if not waiting:
            return
        idle = 0 if queue.is_at_work() else idle + 1  # before the states: see _revive
        if not idle and len(waiting) == n_before and asleep < patience:
            continue  # to ask DVC costs a second of a core: less and less often while nothing happens
        states = queue.states()
        _settle_done(waiting, read, tell)
        _settle_failed(waiting, states, queue, tell)
        if waiting and idle > 1:  # a worker that was only just started cannot be seen at once
            _revive(waiting, states, deaths, queue, tell)
            queue.start(jobs)
            idle = 0
        patience, asleep = (1 if len(waiting) < n_before else min(2 * patience, MOST_PAUSES)), 0


def _settle_done(waiting: dict[str, Trial], read: Read[Scores], tell: Tell[Scores]) -> None:
    for name, outcome in read(waiting.values()).items():
        tell(waiting.pop(name), outcome)


def _settle_failed(waiting: dict[str, Trial], states: Mapping[str, str], queue: Queue, tell: Tell[Scores]) -> None:
    for trial in list(waiting.values()):
        if states.get(trial.name) == "Failed":
            del waiting[trial.name]
            tell(trial, Outcome(reason=queue.reason(trial.name)))


def _take_over(waiting: Mapping[str, Trial], queue: Queue, label: str) -> None:
    """Leave what waits or runs, and queue the rest anew."""
    at_work, states = queue.is_at_work(), queue.states()
    _say_others({name: state for name, state in states.items() if name not in waiting}, at_work, label)
    new = [
        trial
        for name, trial in waiting.items()
        if not (states.get(name) == "Queued" or (states.get(name) == "Running" and at_work))
    ]
    _clear([trial.name for trial in new], states, queue)
    for count, trial in enumerate(new, start=1):
        queue.add(trial.name, trial.settings)
        say(f"{label}: queued {trial.name} ({count} of {len(new)})")


def _say_others(states: Mapping[str, str], at_work: bool, label: str) -> None:
    queued, running = ([name for name, state in states.items() if state == wanted] for wanted in ("Queued", "Running"))
    alive, dead = (queued + running, []) if at_work else (queued, running)
    if alive:
        say(f"{label}: {amount(len(alive), 'other experiment')} in DVC's queue will run, too: {', '.join(alive[:5])}")
    if dead:
        what = f"{amount(len(dead), 'other experiment')} in DVC's queue had begun when the worker was killed"
        say(f"{label}: {what}, and will not run: dvc queue kill {' '.join(dead[:5])}")


def _revive(
    waiting: dict[str, Trial],
    states: Mapping[str, str],
    deaths: dict[str, int],
    queue: Queue,
    tell: Tell[Scores],
) -> None:
    """Queue again what no worker will ever end: there was none before the states were asked for."""
    for trial in list(waiting.values()):
        if states.get(trial.name) == "Queued":
            continue
        deaths[trial.name] += 1
        _clear([trial.name], states, queue)
        if deaths[trial.name] < MOST_DEATHS:
            queue.add(trial.name, trial.settings)
        else:
            del waiting[trial.name]
            reason = "the queue's worker died while it ran, twice: is memory short? (see dvc queue logs)"
            tell(trial, Outcome(reason=reason))


def _clear(names: Sequence[str], states: Mapping[str, str], queue: Queue) -> None:
    """Take out what has ended, or would run for ever because its worker was killed."""
    if running := [name for name in names if states.get(name) == "Running"]:
        queue.kill(running)
    if there := [name for name in names if name in states]:
        queue.remove(there)


def _take_out(waiting: Mapping[str, Trial], queue: Queue, sleep: Callable[[float], None]) -> None:
    states = queue.states()
    running, queued = ([name for name in waiting if states.get(name) == state] for state in ("Running", "Queued"))
    if queued:
        queue.remove(queued)
    if running:
        queue.kill(running)
        for _ in range(LOOKS_AFTER_KILL):
            states = queue.states()
            if all(states.get(name) != "Running" for name in running):
                break
            sleep(PAUSE)
        queue.remove(running)
