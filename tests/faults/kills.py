"""Kills of one stage at chosen moments, and what must hold after each."""

import random
from collections import Counter
from dataclasses import dataclass, field

from forked import EVENTS, run_stage
from made_workspace import STAGES, files_under, outputs_of, put_outputs, temporary_files

# Of all kills of a stage, which share falls at which moment; the rest at random times.
SHARES = {"in a write": 0.3, "before a sync": 0.2, "before a rename": 0.2, "after a rename": 0.1}
RANDOM = "at a random time"


@dataclass
class Killed:
    """What became of the kills of one stage."""

    stage: str
    moments: Counter = field(default_factory=Counter)
    with_temporary: int = 0  # kills that left a temporary file
    as_before: int = 0  # kills after which all outputs were the old ones
    as_after: int = 0  # all the new ones
    partly: int = 0  # a part of the old or of the new ones, never of both
    recovered: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def n(self):
        return sum(self.moments.values())


def kill_stage(stage, *, old, new, workspace, kills, rng):
    """Kill a stage again and again while it replaces the outputs of `old` by those of `new`, and run it to its end."""
    outputs = outputs_of(stage)
    before, after = files_under(old, outputs), files_under(new, outputs)
    put_outputs(old, workspace, outputs)
    undisturbed = run_stage(workspace, stage, STAGES[stage], record=True)
    result = Killed(stage)
    if undisturbed.code or files_under(workspace, outputs) != after:
        result.faults.append(f"the undisturbed run: exit {undisturbed.code}: {undisturbed.said[-500:]}")
        return result
    for moment, kill_at in _plan(undisturbed.events, kills, rng):
        put_outputs(old, workspace, outputs)
        if not _kill(workspace, stage, moment, kill_at, undisturbed.seconds, rng):
            result.faults.append(f"{moment} ({kill_at}): was not killed")
            continue
        result.moments[moment] += 1
        result.with_temporary += bool(temporary_files(workspace))
        _judge(result, files_under(workspace, outputs), before, after, f"{moment} ({kill_at})")
        again = run_stage(workspace, stage, STAGES[stage])
        left = temporary_files(workspace)
        if again.code or files_under(workspace, outputs) != after or left:
            result.faults.append(
                f"{moment} ({kill_at}): the rerun: exit {again.code}, left {left}: {again.said[-300:]}"
            )
        else:
            result.recovered += 1
    return result


def _plan(events, kills, rng):
    """Choose moments: events of each kind in turn over the whole run, and random times."""
    planned = []
    for moment in EVENTS:
        there = [number for number, event in enumerate(events) if event == moment]
        wanted = round(SHARES[moment] * kills) if there else 0
        planned += [(moment, there[len(there) * i // wanted]) for i in range(wanted)]
    lacking = max(round(kills / 2) - sum(moment != "after a rename" for moment, _ in planned), 0)
    there = [(event, number) for number, event in enumerate(events) if event != "after a rename"]
    planned += [there[i % len(there)] for i in range(lacking)] if there else []
    planned += [(RANDOM, None)] * (kills - len(planned))
    rng.shuffle(planned)
    return planned


def _kill(workspace, stage, moment, kill_at, seconds, rng):
    if moment != RANDOM:
        return run_stage(workspace, stage, STAGES[stage], kill_at=kill_at).code == -9
    for tries in range(20):
        if run_stage(workspace, stage, STAGES[stage], kill_after=rng.uniform(0, seconds * 0.8**tries)).code == -9:
            return True
    return False


def _judge(result, there, before, after, when):
    """Every file is one of before or of after, and there are never files of both."""
    torn = [name for name, content in there.items() if content not in (before.get(name), after.get(name))]
    old = [name for name in there if there[name] == before.get(name) != after.get(name)]
    new = [name for name in there if there[name] == after.get(name) != before.get(name)]
    if torn or (old and new):
        result.faults.append(f"{when}: torn {torn}, of before {old}, of after {new}")
    elif there == after:
        result.as_after += 1
    elif there == before:
        result.as_before += 1
    else:
        result.partly += 1


def make_both(folder, make_workspace, run, stages):
    """Two workspaces that went through some stages: of other recordings and parameters, and the one that is wanted."""
    old = make_workspace(
        folder / "old",
        seed=1,
        clips_per_class=4,
        demo__seed=1,
        slice__slide_seconds=0.5,
        train__epochs=3,
        model__name="alexnet" if False else "softmax",
        heads={"h": {"member": "a", "on": "logits", "kind": "lda", "fitted_on": "train", "seed": 1}},
        evaluate__seed=1,
    )
    new = make_workspace(folder / "new")
    for workspace in (old, new):
        for stage in stages:
            done = run(workspace, stage, STAGES[stage])
            if done.code:
                raise SystemExit(f"{workspace}: {stage}: exit {done.code}: {done.said}")
    return old, new


def seeded(seed):
    return random.Random(seed)
