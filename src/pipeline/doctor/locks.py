"""DVC's files of state, which it writes in place, so that a kill leaves them empty or cut off."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.doctor.finding import Finding, found, mended, well
from pipeline.errors import StoreError
from pipeline.store.files import written_whole

LOCK = Path("dvc.lock")
STATE = Path(".dvc/tmp")
CONFLICT = "<<<<<<< "  # with which git marks that two sides differ


def look_at_stages() -> list[Finding]:
    """Look at dvc.yaml, by which the rest is read; a person wrote it, so it stays as it is."""
    try:
        stages = read_stages()
    except (OSError, ValueError):
        stages = None
    if isinstance(stages, dict) and all(isinstance(entry, dict) for entry in stages.values()):
        return []
    return [found("dvc.yaml is empty, cut off or no YAML: `git checkout dvc.yaml` puts it back as committed")]


def read_stages() -> Any:
    """What dvc.yaml says of each stage.

    Raises
    ------
    ValueError
        If it is not valid YAML, or has no stages.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]
    except (YAMLError, TypeError, LookupError) as error:
        raise ValueError(str(error)) from None


def look_at_locks(*, mend: bool) -> list[Finding]:
    """Look at dvc.lock, at DVC's locks, and at git's, while no process works in the project."""
    return [*_lock_of_git(mend=mend), *_locks_of_dvc(mend=mend), _lock_file(mend=mend)]


def read_lock() -> dict[str, dict[str, Any]]:
    """What dvc.lock says of each stage.

    Raises
    ------
    StoreError
        If DVC could not read it; the message says why.
    """
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from voluptuous import Invalid

    try:
        text = LOCK.read_bytes().decode("utf-8")
        if not text.strip("\x00 \n"):
            raise StoreError("is empty")
        if any(line.startswith(CONFLICT) for line in text.splitlines()):
            raise StoreError("holds both sides of a merge")
        entries = YAML(typ="safe", pure=True).load(text)
        stages: dict[str, dict[str, Any]] = COMPILED_LOCKFILE_SCHEMA(entries).get("stages", {})
    except OSError as error:
        raise StoreError(f"cannot be read ({error.strerror})") from None
    except (YAMLError, ValueError):
        raise StoreError("is cut off or no YAML") from None
    except Invalid:
        raise StoreError("is cut off: it is not as DVC writes it") from None
    if not text.endswith("\n") or (stages and _lacks_its_end(*list(stages.items())[-1])):
        raise StoreError("is cut off: its last entry is not whole")
    return stages


def _lacks_its_end(name: str, stage: Mapping[str, Any]) -> bool:
    """Whether the last stage lacks what DVC would not miss: outputs, or a part of what it says of one."""
    entry = read_stages().get(name.partition("@")[0], {})
    n_outputs = sum(len(entry.get(kind, [])) for kind in ("outs", "metrics", "plots"))
    listed = [*stage.get("deps", []), *stage.get("outs", [])]
    return len(stage.get("outs", [])) < n_outputs or any(
        key not in one for one in listed for key in ("md5", "size", *(["nfiles"] if _is_folder(one) else []))
    )


def _is_folder(listed: Mapping[str, Any]) -> bool:
    return str(listed.get("md5", "")).endswith(".dir")


def _lock_file(*, mend: bool) -> Finding:
    """dvc.lock, which comes back from git; what was run since the commit is in DVC's cache of runs."""
    committed = _from_git("show", f"HEAD:./{LOCK}")
    if not LOCK.exists() and committed is None:
        return well(f"{LOCK} is not there: nothing was run yet")
    try:
        stages = read_lock()
    except StoreError as error:
        reason = str(error)
    else:
        return well(f"{LOCK} can be read: {len(stages)} stages")
    if reason == "holds both sides of a merge":  # which a person is at
        return found(f"{LOCK} {reason}: take one (`git checkout --ours {LOCK}`), then `dvc repro`")
    if committed is None:
        if mend:
            LOCK.unlink()
        return mended(f"{LOCK} {reason}, and git has none: removed; `dvc repro` makes it anew", done=mend)
    if mend:
        with written_whole(LOCK) as temporary:
            temporary.write_bytes(committed)
        try:
            read_lock()
        except StoreError:
            return found(f"{LOCK} {reason}, and so is the committed one: `dvc repro` after removing it makes it anew")
    return mended(
        f"{LOCK} {reason}: put back as committed; `dvc repro` finds what was run since in its cache", done=mend
    )


def _locks_of_dvc(*, mend: bool) -> Iterator[Finding]:
    """What says which process reads and writes what: with none at work, nobody does."""
    import json

    from dvc.rwlock import SCHEMA
    from voluptuous import Invalid

    path = STATE / "rwlock"
    try:
        entries = SCHEMA(json.loads(path.read_text(encoding="utf-8")))
        reason = "names processes that have ended" if any(entries.get(kind) for kind in ("read", "write")) else ""
    except FileNotFoundError:
        reason = ""
    except (OSError, ValueError, Invalid):
        reason = "is empty or cut off"
    if reason:
        if mend:
            path.unlink()
        yield mended(f"{path} {reason}: removed; no process of DVC is at work", done=mend)
    for name in ("lock", "rwlock.lock"):
        path = STATE / name
        if path.is_file() and _is_claim(path):
            if mend:
                path.unlink()
            yield mended(f"{path} was left by a process that has ended: removed", done=mend)


def _is_claim(path: Path) -> bool:
    """Whether a lock is one that stays after its process (core.hardlink_lock); others end with it."""
    with path.open("rb") as file:
        return b"|" in file.read(1000)


def _lock_of_git(*, mend: bool) -> Iterator[Finding]:
    """Git's lock on its index, which DVC takes too, if no git is at work here."""
    place = _from_git("rev-parse", "--git-path", "index.lock")
    path = Path(os.fsdecode((place or b"").strip() or b".git/index.lock"))
    if path.is_file() and not _git_at_work():
        if mend:
            path.unlink()
        yield mended(f"{path} was left by a git that has ended: removed", done=mend)


def _git_at_work() -> bool:
    import psutil  # type: ignore[import-untyped]

    return any(process.info["name"] == "git" for process in psutil.process_iter(["name"]))


def _from_git(*arguments: str) -> bytes | None:
    """What git says; None where it says nothing, is not there, or this is no clone."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
