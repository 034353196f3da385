"""params.yaml -> frozen, typed sections; unknown keys and bad values are refused, all at once, before any work."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.errors import ParamsError
from pipeline.params.contradictions import find_contradictions, one_line_each
from pipeline.params.plain import load_plain
from pipeline.params.sections import Params


def parse_params(values: object) -> Params:
    """Check `values` (what a YAML reader returned) and freeze them.

    Raises
    ------
    ParamsError
        Naming every key that is unknown, missing, of the wrong type or out of range, or else every contradiction.
    """
    if not isinstance(values, Mapping):
        raise ParamsError("params.yaml: no mapping of sections in it; restore it with `git checkout params.yaml`")
    try:
        params = Params.model_validate(values)
    except ValidationError as error:
        raise ParamsError("params.yaml: " + "; ".join(one_line_each(error))) from None
    problems = dict.fromkeys(find_contradictions(params))  # several members may share one
    if problems:
        raise ParamsError("params.yaml: " + "; ".join(problems))
    return params


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read `path` as YAML 1.2 and check it whole.

    Raises
    ------
    ParamsError
        If the file cannot be read or is not valid YAML, and as `parse_params` says.
    """
    return parse_params(_read(path))


def load_changed(path: Path, settings: Sequence[str]) -> Params:
    """Read `path` as `load_params` does, with keys changed as `dvc exp run -S` would: section.key=value.

    Raises
    ------
    ParamsError
        If a setting names no key, its value is not valid YAML, and as `load_params` says.
    """
    values = _read(path)
    for setting in settings:
        key, sign, text = setting.partition("=")
        *sections, last = key.split(".")
        place = values
        for section in sections:
            place = place.get(section) if isinstance(place, dict) else None
        if not sign or not isinstance(place, dict) or last not in place:
            raise ParamsError(f"-S {setting}: {key!r} is no key of {path}: give section.key=value")
        try:
            place[last] = load_plain(text)
        except ValueError as error:
            raise ParamsError(f"-S {setting}: not valid YAML: {error}") from None
    return parse_params(values)


def _read(path: Path) -> Any:
    try:
        return load_plain(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ParamsError(f"{path}: {error.strerror}: run from the project's folder, where params.yaml is") from None
    except ValueError as error:  # not UTF-8 either
        raise ParamsError(f"{path}: not valid YAML: {error}") from None


__all__ = ["Params", "load_changed", "load_params", "parse_params"]
