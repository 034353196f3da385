"""Kills of `dvc repro` itself, above all while it writes dvc.lock and its own locks, and the way back."""

import builtins
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from forked import ROOT, die, run_forked
from made_workspace import PIPELINE, files_under, make_workspace, outputs_of, temporary_files
from ruamel.yaml import YAML

STAGES = ("collect_clips", "fingerprint_clips", "slice_blocks")
OUTPUTS = [path for stage in STAGES for path in outputs_of(stage)]
RESULTS = [*OUTPUTS, Path("dvc.lock")]
IN_PLACE = {"dvc.lock": "dvc.lock", "rwlock": "rwlock"}  # files that DVC writes in place
SHARES = {"dvc.lock empty": 0.16, "dvc.lock cut off": 0.2, "rwlock empty": 0.16, "rwlock cut off": 0.2}
RANDOM = "at a random time"
MOMENTS = (*SHARES, RANDOM)


@dataclass
class DvcKilled:
    """What became of the kills of DVC."""

    moments: Counter = field(default_factory=Counter)
    said: Counter = field(default_factory=Counter)  # what the doctor found
    stuck: int = 0  # after which DVC alone would not have run again
    outlived: int = 0  # in which a stage went on without DVC
    recovered: int = 0
    faults: list[str] = field(default_factory=list)


def make_project(folder):
    """A project with three stages, run and committed by other parameters than it has now."""
    make_workspace(folder, audio__sample_rate=11025)
    for name in ("src", "stages", ".dvcignore", ".gitignore"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, folder / name)
    with (folder / "dvc.yaml").open("w", encoding="utf-8") as file:
        YAML().dump({"stages": {stage: PIPELINE[stage] for stage in STAGES}}, file)
    environment = {
        **os.environ,
        **{f"GIT_{who}_{what}": "t@t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    for command in (
        ["git", "init", "-q"],
        [sys.executable, "-m", "dvc", "init", "-q"],
        [sys.executable, "-m", "dvc", "repro", "-q"],
        ["git", "add", "-A"],
        ["git", "commit", "-qm", "start"],
    ):
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    params = (folder / "params.yaml").read_text(encoding="utf-8")
    (folder / "params.yaml").write_text(params.replace("sample_rate: 11025", "sample_rate: 8000"), encoding="utf-8")


def kill_dvc(folder, *, kills, rng):
    """Kill `dvc repro` again and again; the doctor and another `dvc repro` have to bring the undisturbed results."""
    project, workspace = folder / "project", folder / "killed-dvc"
    make_project(project)
    undisturbed, events, seconds = _undisturbed(project, folder / "undisturbed")
    result = DvcKilled()
    for moment, kill_at in _plan(events, kills, rng):
        shutil.rmtree(workspace, ignore_errors=True)
        shutil.copytree(project, workspace, symlinks=True)
        after = rng.uniform(0, 0.9 * seconds) if kill_at is None else None
        killed = run_forked(workspace, repro, kill_after=after, hooks=partial(watch_dvc, kill_at, None))
        if killed.code != -9:
            result.moments["too late"] += kill_at is None
            result.faults += (
                [] if kill_at is None else [f"{moment} ({kill_at}): exit {killed.code}: {killed.said[-300:]}"]
            )
            continue
        result.moments[moment] += 1
        _recover(workspace, undisturbed, result, f"{moment} ({kill_at})")
    return result


def repro():
    """Run `dvc repro`."""
    from dvc.cli import main

    sys.exit(main(["repro", "-q"]))


def doctor():
    """Run `emospec doctor`."""
    from pipeline.cli import main

    sys.argv = ["emospec", "doctor"]
    main()


def _undisturbed(project, workspace):
    shutil.copytree(project, workspace, symlinks=True)
    log = workspace.parent / "events"
    done = run_forked(workspace, repro, hooks=lambda: watch_dvc(None, log))
    if done.code:
        raise SystemExit(f"dvc repro: exit {done.code}: {done.said}")
    events = log.read_text(encoding="utf-8").splitlines()
    return files_under(workspace, RESULTS), events, done.seconds


def _plan(events, kills, rng):
    planned = []
    for moment, share in SHARES.items():
        there = [number for number, event in enumerate(events) if event == moment]
        wanted = round(share * kills)
        planned += [(moment, there[len(there) * i // wanted]) for i in range(wanted)]
    planned += [(RANDOM, None)] * (kills - len(planned))
    rng.shuffle(planned)
    return planned


def _recover(workspace, undisturbed, result, when):
    examined = _examine(workspace, result)
    for line in examined.said.splitlines():
        if line.startswith("mended:"):
            about = next((name for name in ("dvc.lock", "rwlock", "temporary", "damaged") if name in line), "other")
            result.said[about] += 1
            result.stuck += about in ("dvc.lock",) or "is empty or cut off" in line
    again = run_forked(workspace, repro, hooks=lambda: None)
    there, left = files_under(workspace, RESULTS), temporary_files(workspace)
    if examined.code or again.code or there != undisturbed or left:
        other = [name for name in {*there, *undisturbed} if there.get(name) != undisturbed.get(name)]
        how = f"doctor {examined.code}: {examined.said}; repro {again.code}: {again.said[-300:]}"
        result.faults.append(f"{when}: {how}; left {left}; other than undisturbed: {other}")
    else:
        result.recovered += 1


def _examine(workspace, result):
    """Call the doctor; while a stage that outlived DVC is at work, it says so, and is called again."""
    for tries in range(60):
        examined = run_forked(workspace, doctor, hooks=lambda: None)
        if "is at work in this project" not in examined.said:
            break
        result.outlived += tries == 0
        time.sleep(0.5)
    return examined


def watch_dvc(kill_at, log):
    """Count the moments at which a file that DVC writes in place is empty, or cut off."""
    real, seen = builtins.open, [0]

    def is_due(event):
        seen[0] += 1
        if log is not None:
            with real(log, "a", encoding="utf-8") as file:
                file.write(f"{event}\n")
        return seen[0] - 1 == kill_at

    def watched(path, mode="r", *rest, **options):
        file = real(path, mode, *rest, **options)
        name = IN_PLACE.get(Path(path).name) if isinstance(path, str | os.PathLike) and "w" in mode else None
        if name is None:
            return file
        if is_due(f"{name} empty"):
            die()
        return _Watched(file, lambda: is_due(f"{name} cut off"))

    builtins.open = watched


class _Watched:
    """A file that dies in the middle of a write when it is due."""

    def __init__(self, file, is_due):
        self._file, self._is_due = file, is_due

    def write(self, text):
        if self._is_due():
            self._file.write(text[: len(text) // 2])
            self._file.flush()
            die()
        return self._file.write(text)

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()
