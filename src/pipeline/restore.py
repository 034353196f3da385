"""Back to the committed parameters and results, from what this machine has run: nothing is run again."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.errors import RevisionError, StoreError

COMMITTED = ("params.yaml", "dvc.lock", "metrics")
LOCK = Path("dvc.lock")


def restore() -> str:
    """Bring back what the last commit holds, and the files that belong to it, and say what came back.

    The committed dvc.lock may have been made on another machine, whose last digits differ. Then the files, dvc.lock and
    metrics of this machine's own runs of the same sources and parameters come back.

    Raises
    ------
    RevisionError
        If git cannot check the committed files out.
    StoreError
        If this machine has never run what is committed; params.yaml, dvc.lock and metrics are then as committed.
    """
    _check_out()
    if _dvc("checkout").returncode == 0:
        return "Restored: parameters, results and files are as committed."
    outputs = _forget_outputs(LOCK)
    if not _bring_back():
        _check_out()
        raise StoreError(
            "params.yaml, dvc.lock and metrics are as committed, but this machine has not run them, so that there are "
            "no files to bring back: run `make repro`"
        )
    _keep_outputs(LOCK, outputs)
    differing = _git("diff", "--name-only", "HEAD", "--", *COMMITTED).stdout.split()
    if not differing:
        return "Restored: parameters, results and files are as committed."
    return (
        "Restored: parameters as committed, results as this machine made them; they are not those that are committed, "
        f"which another machine or other sources made: {', '.join(differing)}"
    )


def _check_out() -> None:
    done = _git("checkout", "--quiet", "HEAD", "--", *COMMITTED)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        raise RevisionError(f"git cannot check out {', '.join(COMMITTED)} ({reason}): run in a clone of the project")


def _forget_outputs(lock: Path) -> dict[str, Any]:
    """Take the outputs out of dvc.lock, and return them: where they are named, DVC looks for no other run."""
    entries = _read_lock(lock)
    outputs = {name: stage.pop("outs") for name, stage in entries["stages"].items() if "outs" in stage}
    _write_lock(lock, entries)
    return outputs


def _keep_outputs(lock: Path, outputs: Mapping[str, Any]) -> None:
    """Give back theirs to stages that are not reproduced, for the present parameters do not make them."""
    entries = _read_lock(lock)
    lacking = [name for name, stage in entries["stages"].items() if "outs" not in stage and name in outputs]
    for name in lacking:
        entries["stages"][name]["outs"] = outputs[name]
    if lacking:
        _write_lock(lock, entries)


def _read_lock(lock: Path) -> Any:
    return YAML().load(lock.read_text(encoding="utf-8"))


def _write_lock(lock: Path, entries: Any) -> None:
    yaml = YAML()
    yaml.width = 2**16
    with lock.open("w", encoding="utf-8") as file:
        yaml.dump(entries, file)


def _bring_back() -> bool:
    """Have DVC reproduce all stages from its cache of runs; false if one would have to run."""
    with tempfile.TemporaryDirectory() as folder:
        # The stages call plain `python`: under this name nothing can run.
        (Path(folder) / "python").symlink_to(shutil.which("false") or "/bin/false")
        return _dvc("repro", first_on_path=folder).returncode == 0


def _dvc(command: str, *, first_on_path: str | None = None) -> subprocess.CompletedProcess[str]:
    places = [first_on_path] if first_on_path else []
    path = os.pathsep.join([*places, os.environ.get("PATH", os.defpath)])
    return _run([sys.executable, "-m", "dvc", command, "--quiet"], path=path)


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return _run(["git", *arguments], path=os.environ.get("PATH", os.defpath))
    except FileNotFoundError:
        raise RevisionError("git is not installed: what is committed is read through it") from None


def _run(command: list[str], *, path: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": path}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
