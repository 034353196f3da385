"""Runs: a name, values, and the parameters that they make - checked whole before anything is queued."""

import copy
import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import ExperimentError, ParamsError
from pipeline.experiments.values import as_text, show
from pipeline.params import Params, load_params, parse_params
from pipeline.params.plain import load_plain
from pipeline.store.paths import DEMO

PARAMS = Path("params.yaml")
CHANGES_NO_SCORE = {"gate", "machine", "report"}
SHOWN_PROBLEMS = 3


@dataclass(frozen=True)
class Trial:
    """One run.

    Attributes
    ----------
    name
        Of its DVC experiment.
    values
        What is chosen, by key as given: a + before it adds a key that is not there.
    settings
        The same, and what every run is given, as `dvc exp run -S` takes it.
    params
        What they make of params.yaml.
    """

    name: str
    values: Mapping[str, Any]
    settings: tuple[str, ...]
    params: Params


def read_base(path: Path = PARAMS) -> dict[str, Any]:
    """Read params.yaml as it stands, checked whole.

    Raises
    ------
    ParamsError
        As `load_params` says.
    """
    load_params(path)
    try:
        values: dict[str, Any] = load_plain(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ParamsError(f"{path}: cannot be read ({error})") from None
    return values


def make_trials(base: Mapping[str, Any], chosen: Mapping[str, Mapping[str, Any]]) -> list[Trial]:
    """Make one trial of each name's values, all checked.

    Raises
    ------
    ExperimentError
        Naming what makes no valid parameters: the first few, and how many there are.
    """
    trials, problems = [], []
    for name, values in chosen.items():
        try:
            params = parse_params(change(base, values))
            more = data_root(params)
            given = {**values, **more}
            params = parse_params(change(base, given)) if more else params
            settings = tuple(f"{key}={as_text(value)}" for key, value in given.items())
            trials.append(Trial(name, values, settings, params))
        except ParamsError as error:
            problems.append(f"{describe(values)}: {str(error).removeprefix(f'{PARAMS}: ')}")
        except ValueError as error:  # a value that cannot be written for DVC
            problems.append(str(error))
    if problems:
        more_of_them = len(problems) - SHOWN_PROBLEMS
        also = f" | and {more_of_them} more" if more_of_them > 0 else ""
        raise ExperimentError(
            f"nothing was queued: {len(problems)} of {len(chosen)} runs have no valid parameters: "
            f"{' | '.join(problems[:SHOWN_PROBLEMS])}{also}"
        )
    return trials


def change(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Change keys as `dvc exp run -S` does: what is there is replaced, mappings are merged, and + adds.

    Raises
    ------
    ExperimentError
        If a key is not there and has no +, or is there and has one.
    """
    changed = copy.deepcopy(dict(base))
    for key, value in values.items():
        *sections, last = key.removeprefix("+").split(".")
        place: Any = changed
        for section in sections:
            place = place.get(section) if isinstance(place, dict) else None
        if not isinstance(place, dict) or (last not in place and not key.startswith("+")):
            raise ExperimentError(f"-S {key}: is no key of {PARAMS}{_nearest(key, base)}")
        there = place.get(last)
        if key.startswith("+") and there is not None and not isinstance(value, dict | list):
            raise ExperimentError(f"-S {key}: is in {PARAMS} already: leave the + out")
        place[last] = _merged(there, value) if isinstance(there, dict) and isinstance(value, dict) else value
    return changed


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    both = {**one, **other}
    for key in one.keys() & other.keys():
        if isinstance(one[key], dict) and isinstance(other[key], dict):
            both[key] = _merged(one[key], other[key])
    return both


def _nearest(key: str, base: Mapping[str, Any]) -> str:
    if key.startswith("members."):
        return ": a key that a member has not yet is added with a +, as +members.a.train.epochs=20"
    if near := difflib.get_close_matches(key, list(_all_keys(base)), n=1):
        return f": did you mean {near[0]}?"
    return ": `emospec parameters` lists them all"


def _all_keys(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield f"{above}{key}"
        if isinstance(value, dict):
            yield from _all_keys(value, f"{above}{key}.")


def data_root(params: Params) -> dict[str, str]:
    """What a run beside the workspace needs where git and DVC do not bring the recordings: their folder itself."""
    own = [name for name in params.corpora if name != DEMO.name]
    if params.data.root != "data/raw" or all(Path(f"data/raw/{name}.dvc").is_file() for name in own):
        return {}
    return {"data.root": str(Path("data/raw").absolute())}


def describe(values: Mapping[str, Any]) -> str:
    """Write values as people type them."""
    return " ".join(f"{key}={show(value)}" for key, value in values.items())


def compared(params: Params) -> dict[str, Any]:
    """All of the parameters that a score depends on."""
    return params.model_dump(mode="json", exclude=CHANGES_NO_SCORE)


def are_those_of(trial: Trial, text: bytes) -> bool:
    """Whether a params.yaml is the one that a trial makes."""
    try:
        return compared(parse_params(load_plain(text.decode()))) == compared(trial.params)
    except (ParamsError, ValueError):
        return False


def varying(trials: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys whose values differ between runs, in their order."""
    keys = list(dict.fromkeys(key for values in trials for key in values))
    return [key for key in keys if len({as_text(values.get(key)) for values in trials}) > 1]
