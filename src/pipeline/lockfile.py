"""dvc.lock against what it was made from: stages, commands, sources and parameters; runs nothing and needs no cache."""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.errors import LockError
from pipeline.params.plain import load_plain
from pipeline.store.known import digest_of_folder

LOCK = Path("dvc.lock")
KINDS = {"deps": "dependency", "outs": "output"}


def find_stale() -> list[str]:
    """Say, one line each, why dvc.lock is not what `dvc repro` would leave behind; nothing where it is.

    What git tracks (sources, params.yaml, metrics) is hashed as it lies in the folder. What stages make (clips, images,
    weights) need not be there: what one stage's entry records as made, the next one's has to record as read.

    Raises
    ------
    LockError
        If dvc.yaml or dvc.lock is missing or cannot be read.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    recorded = _read_lock()
    try:
        with Repo() as repo:
            stages = {stage.name: stage for stage in repo.index.stages if stage.name}
            made = [PurePosixPath(out.fs_path).relative_to(repo.root_dir) for out in repo.index.outs if out.use_cache]
            found = [f"{name}: in dvc.lock, but no stage of dvc.yaml" for name in sorted({*recorded} - {*stages})]
            for name, stage in stages.items():
                reasons = _of_stage(stage, recorded[name], made) if name in recorded else ["not in dvc.lock"]
                found += [f"{name}: {reason}" for reason in reasons]
    except DvcException as error:
        raise LockError(f"DVC cannot read dvc.yaml or dvc.lock ({_first_line(error)}): mend it") from None
    return found + _breaks(recorded)


def _read_lock() -> dict[str, dict[str, Any]]:
    try:
        value = load_plain(LOCK.read_text(encoding="utf-8"), most_bytes=1 << 24, most_values=10**6)
    except OSError as error:
        raise LockError(f"{LOCK}: {error.strerror}: run `dvc repro` and commit it") from None
    except ValueError as error:
        raise LockError(f"{LOCK}: not valid YAML ({_first_line(error)}): `git checkout {LOCK}`") from None
    stages = value.get("stages") if isinstance(value, dict) else None
    if not isinstance(stages, dict):
        raise LockError(f"{LOCK}: names no stages: `git checkout {LOCK}`, or run `dvc repro` and commit it")
    return stages


def _of_stage(stage: Any, entry: Mapping[str, Any], made: list[PurePosixPath]) -> Iterator[str]:
    """Why one stage's entry is out of date."""
    if entry.get("cmd") != stage.cmd:
        yield "its command has changed"
    params = [item for item in stage.deps if item.hash_name == "params"]
    for kind, items in (("deps", stage.deps), ("outs", stage.outs)):
        paths = {item.def_path: item for item in items if item not in params}
        known = {record["path"] for record in entry.get(kind, [])}
        yield from (f"a new {KINDS[kind]}: {path}" for path in sorted({*paths} - known))
        yield from (f"no longer a {KINDS[kind]}: {path}" for path in sorted(known - {*paths}))
        tracked = [path for path in sorted({*paths} & known) if not _touches(path, made)]
        for path in tracked:
            yield from (f"{path} is {how}" for how in paths[path].workspace_status().values())
    yield from _of_params(params, entry.get("params", {}))


def _of_params(items: list[Any], recorded: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Which parameters have changed since, are read anew, or are read no more; an item is one file of parameters."""
    for item in items:
        for changes in item.workspace_status().values():
            named = changes.items() if isinstance(changes, Mapping) else [("all of it", changes)]
            yield from (f"{item.def_path}: {name} is {how}" for name, how in sorted(named))
    read = {item.def_path: {*item.params} for item in items}
    for path, values in recorded.items():
        whole_file = path in read and not read[path]
        unread = set() if whole_file else {*values} - read.get(path, set())
        yield from (f"{path}: {name} is no longer read" for name in sorted(unread))


def _touches(path: str, made: list[PurePosixPath]) -> bool:
    """Whether a path is, holds or lies in what stages make and git does not track."""
    own = PurePosixPath(path)
    return any(own == out or own in out.parents or out in own.parents for out in made)


def _breaks(recorded: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Where an entry records another content of a path than the entries of the stages that make it."""
    made = {out["path"]: out.get("md5", "") for entry in recorded.values() for out in entry.get("outs", [])}
    return [
        f"{name}: read another {dep['path']} than was made"
        for name, entry in recorded.items()
        for dep in entry.get("deps", [])
        if (md5 := made.get(dep["path"]) or _md5_of_folder(dep["path"], made)) and dep.get("md5") != md5
    ]


def _md5_of_folder(folder: str, made: Mapping[str, str]) -> str | None:
    """DVC's digest of a folder of files, each an output of its own; None where it holds none, or folders."""
    inside = {path.removeprefix(f"{folder}/"): md5 for path, md5 in made.items() if path.startswith(f"{folder}/")}
    is_of_files = inside and not any(md5.endswith(".dir") for md5 in inside.values())
    return digest_of_folder(inside) if is_of_files else None


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", maxsplit=1)[0]
