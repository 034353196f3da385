"""Rows, seeds and honest twins -> the experiments that they need; rows with the same parameters share one."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import PaperError, ParamsError
from pipeline.experiments.queue import source_state
from pipeline.experiments.trials import Trial, compared, make_trials
from pipeline.obtain.survey import look_at
from pipeline.papers.conditions import Conditions, is_of_the_machine, say_setting
from pipeline.papers.paper import Paper, lay_over
from pipeline.params import Params, parse_params
from pipeline.params.plain import load_plain

RELEASED = Path(__file__).parent / "released.yaml"  # params.yaml as the papers' rows were written for it


@dataclass(frozen=True)
class Job:
    """One run of a row: with which seed, and whether under its honest split."""

    row: str
    seed: int
    honest: bool
    trial: Trial


@dataclass(frozen=True)
class Jobs:
    """All that is to run of a paper, and what cannot be.

    Attributes
    ----------
    chosen
        What the conditions, and params.yaml as committed, change of each row, in words.
    reasons
        Why a row cannot be run here.
    code
        Stands for the sources.
    """

    jobs: list[Job]
    chosen: Mapping[str, list[str]]
    reasons: Mapping[str, str]
    code: str

    @property
    def trials(self) -> list[Trial]:
        """The experiments, each once."""
        return list({job.trial.name: job.trial for job in self.jobs}.values())


def make_jobs(
    name: str,
    paper: Paper,
    *,
    committed: Mapping[str, Any],
    present: Mapping[str, Any],
    rows: Sequence[str],
    seeds: int,
    conditions: Conditions,
    with_honest: bool,
) -> Jobs:
    """Make the runs of some rows, all checked.

    Parameters
    ----------
    committed
        params.yaml as committed, over which the paper's settings are laid, whatever is being tried in the folder.
    present
        params.yaml as it stands: what DVC starts from.

    Raises
    ------
    PaperError
        If a row with its conditions has no valid parameters.
    """
    state = source_state()
    released = load_plain(RELEASED.read_text(encoding="utf-8"))
    names: dict[str, str] = {}
    jobs: list[Job] = []
    reasons: dict[str, str] = {}
    chosen: dict[str, list[str]] = {}
    for row in rows:
        chosen[row] = []
        for honest in (False, True) if with_honest and paper.rows[row].honest else (False,):
            changes = paper.changes(row, honest=honest)
            stated = lay_over(committed, *changes)
            values, words = conditions.apply(stated)
            chosen[row] += [*_committed_otherwise(lay_over(released, *changes), stated), *words]
            what = f"{name}: row {row}{', honest split' if honest else ''}"
            if values["corpora"] != []:
                _check(values, what)
            if reason := find_missing(paper, values):
                reasons[row] = reason
                break
            for seed in range(seeds):
                params = _check(with_seed(values, seed), what)
                digest = hashlib.sha256(json.dumps([state, compared(params)], sort_keys=True).encode()).hexdigest()[:8]
                experiment = names.setdefault(digest, f"{name}-{row}{'-honest' if honest else ''}-{seed}-{digest}")
                wanted = difference(present, with_seed(values, seed))
                jobs.append(Job(row, seed, honest, make_trials(present, {experiment: wanted})[0]))
        chosen[row] = list(dict.fromkeys(chosen[row]))
    return Jobs(jobs, chosen, reasons, hashlib.sha256(state.encode()).hexdigest()[:16])


def _check(values: Mapping[str, Any], what: str) -> Params:
    try:
        return parse_params(values)
    except ParamsError as error:
        raise PaperError(f"{what}: {str(error).removeprefix('params.yaml: ')}") from None


def _committed_otherwise(released: Mapping[str, Any], stated: Mapping[str, Any]) -> list[str]:
    """Say what of a row, which says nothing of it, is committed otherwise here than it was released."""
    runs = stated["runs"]
    unused = {f"+members.{name}" for name in stated["members"] if name not in runs["members"]}
    unused |= {f"+heads.{name}" for name in stated["heads"] if name not in runs["heads"]}
    return [
        f"params.yaml as committed: {say_setting(key, value)}"
        for key, value in difference(released, stated).items()
        if not (key in unused or is_of_the_machine(key))
    ]


def with_seed(values: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Repeat a run: with another split of the same kind, and other starts, orders and dropout."""
    n = len(values["runs"]["members"])
    members = {name: {**member, "seed": member["seed"] + seed * n} for name, member in values["members"].items()}
    return {**values, "members": members, "split": {**values["split"], "seed": values["split"]["seed"] + seed}}


def find_missing(paper: Paper, values: Mapping[str, Any]) -> str:
    """Say which corpora of a row are not here, and what to do; empty where all are."""
    if not values["corpora"]:
        return "no corpus of it is left"
    root = Path(values["data"]["root"])
    absent = [name for name in values["corpora"] if not is_here(name, root)]
    if not absent:
        return ""
    advice = [
        f"{name}: {paper.stands_for[name]}" if name in paper.stands_for else f"{name} (emospec corpora get {name})"
        for name in absent
    ]
    return f"not here: {'; '.join(advice)}"


def is_here(name: str, root: Path) -> bool:
    """Whether there are recordings of a corpus; the demo makes its own."""
    if name == "demo":
        return True
    return (root / name).is_dir() and look_at(name, root).state != "not here"


def difference(old: Mapping[str, Any], new: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Find the keys, as `dvc exp run -S` takes them, that make one params.yaml of another.

    Raises
    ------
    PaperError
        If the old one has a key that the new one has not: -S takes none away.
    """
    found: dict[str, Any] = {}
    for key, value in new.items():
        path = f"{above}{key}"
        if key not in old:
            found[f"+{path}"] = value
        elif isinstance(value, Mapping) and isinstance(old[key], Mapping):
            found |= difference(old[key], value, f"{path}.")
        elif value != old[key] or isinstance(value, bool) != isinstance(old[key], bool):
            found[path] = value
    if surplus := [f"{above}{key}" for key in old if key not in new]:
        raise PaperError(f"params.yaml has {', '.join(surplus)}, which is not committed: `make restore` takes it out")
    return found
