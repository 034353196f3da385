"""What is asked of a search -> all of its runs, checked before anything is queued."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import SearchError
from pipeline.experiments.queue import source_state
from pipeline.experiments.trials import CHANGES_NO_SCORE, Trial, change, compared, make_trials, read_base
from pipeline.params import Params, parse_params
from pipeline.search.page import as_list
from pipeline.search.record import Entry, Record, check_name
from pipeline.search.scores import choose_score
from pipeline.search.spaces import Choice, Interval, Space, count_grid, draw_all, grid, parse_setting


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is searched for, as asked.

    Attributes
    ----------
    settings
        `key=SPACE`, as `pipeline.search.spaces` reads it.
    runs
        How many random draws; None: the grid.
    seed
        Of the draws.
    name
        Of the search; None: made from all that its results depend on, so that the same is found again.
    by, select_on_test
        The score that runs are ranked by, and whether it may be one of the test side.
    then, then_settings
        How many of the best are run again, and with which `key=value` on top.
    jobs
        How many experiments run at a time.
    most
        A grid of more is refused.
    retry
        Run again what has failed.
    """

    settings: Sequence[str]
    runs: int | None = None
    seed: int = 0
    name: str | None = None
    by: str | None = None
    select_on_test: bool = False
    then: int = 0
    then_settings: Sequence[str] = ()
    jobs: int = 1
    most: int = 200
    retry: bool = False


@dataclass(frozen=True)
class Plan:
    """A search with all of its runs, checked.

    Attributes
    ----------
    record
        As it is before anything has run.
    base
        params.yaml as it stands.
    longer
        What the best are given on top.
    """

    record: Record
    base: Mapping[str, Any]
    trials: list[Trial]
    longer: Mapping[str, Any]


def make_plan(asked: Asked) -> Plan:
    """Check what is asked and everything that it would run.

    Raises
    ------
    SearchError
        If it cannot be made as asked.
    ParamsError
        If params.yaml is not valid as it stands.
    """
    base = read_base()
    spaces: dict[str, Space] = {}
    for setting in asked.settings:
        key, space = parse_setting(setting)
        if key.removeprefix("+") in {other.removeprefix("+") for other in spaces}:
            raise SearchError(f"-S {setting}: {key} is given twice: list all of its values in one")
        change(base, {key: space.low if isinstance(space, Interval) else space.values[0]})
        spaces[key] = space
    if not spaces:
        raise SearchError("nothing to search over: give -S section.key=values")
    _refuse_idle(spaces, parse_params(base))
    longer = _longer(asked, base)
    values = _values(asked, spaces)
    what = {
        "kind": "grid" if asked.runs is None else "random",
        "settings": list(asked.settings),
        "seed": None if asked.runs is None else asked.seed,
        "state": _digest([source_state(), compared(parse_params(base))]),
    }
    name = check_name(asked.name or f"{what['kind']}-{_digest(what)[:8]}")
    trials = make_trials(base, {f"{name}-{number:03}": one for number, one in enumerate(values, start=1)})
    if longer:  # any of them may be among the best
        make_trials(base, {trial.name: {**trial.values, **longer} for trial in trials})
    by = choose_score(asked.by, select_on_test=asked.select_on_test, params=[trial.params for trial in trials])
    record = Record(name, what, by, {trial.name: Entry(dict(trial.values)) for trial in trials})
    return Plan(record, base, trials, longer)


def _refuse_idle(spaces: Mapping[str, Space], params: Params) -> None:
    """Refuse to vary what would change no run's score."""
    for key, space in spaces.items():
        section, _, last = key.partition(".")
        if not isinstance(space, Interval) and len(space.values) == 1:
            continue
        if section in CHANGES_NO_SCORE:
            raise SearchError(f"-S {key}: changes no score, so there is nothing to choose: leave it out")
        members = {name: params.members[name].model_dump() for name in params.runs.members}
        if section in ("model", "train") and all(last in member[section] for member in members.values()):
            own = " ".join(f"members.{name}.{key}" for name in members)
            raise SearchError(f"-S {key}: every member has its own, which counts: search over {own}")


def _values(asked: Asked, spaces: Mapping[str, Space]) -> list[dict[str, Any]]:
    if asked.runs is not None:
        return draw_all(spaces, n=asked.runs, seed=asked.seed)
    if (n := count_grid(spaces)) > asked.most:
        raise SearchError(f"the grid has {n} runs: leave values out, search at random, or allow them with --most {n}")
    return list(grid(spaces))


def _longer(asked: Asked, base: Mapping[str, Any]) -> dict[str, Any]:
    longer = {}
    for setting in asked.then_settings:
        key, space = parse_setting(setting)
        if not isinstance(space, Choice) or len(space.values) != 1:
            raise SearchError(f"--then-set {setting}: give one value")
        change(base, {key: space.values[0]})
        longer[key] = space.values[0]
    if asked.then and not longer:
        raise SearchError(f"--then {asked.then}: say what those are run with: --then-set train.epochs=400")
    if longer and not asked.then:
        raise SearchError("--then-set: say how many of the best are run with it: --then 3")
    return longer


def planned(asked: Asked) -> str:
    """List the runs of a search, all checked; queue nothing."""
    plan = make_plan(asked)
    return f"search {plan.record.name}: {as_list({trial.name: trial.values for trial in plan.trials})}"


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
