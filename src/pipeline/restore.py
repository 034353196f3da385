"""Back to the committed parameters and results, from what this machine has run: nothing is run again."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ruamel.yaml import YAML

from pipeline.errors import RevisionError, StoreError

COMMITTED = ("params.yaml", "dvc.lock", "metrics")


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
    _forget_outputs(Path("dvc.lock"))
    if not _bring_back():
        _check_out()
        raise StoreError(
            "params.yaml, dvc.lock and metrics are as committed, but this machine has not run them, so that there are "
            "no files to bring back: run `make repro`"
        )
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


def _forget_outputs(lock: Path) -> None:
    """Take the outputs out of dvc.lock: where they are named, DVC looks for no other run of the same inputs."""
    yaml = YAML()
    yaml.width = 2**16
    stages = yaml.load(lock.read_text(encoding="utf-8"))
    for stage in stages["stages"].values():
        stage.pop("outs", None)
    with lock.open("w", encoding="utf-8") as file:
        yaml.dump(stages, file)


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
