"""One DVC experiment per split and seed, beside the workspace; what is there already is not run again."""

import hashlib
import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.console import say
from pipeline.errors import GapError, RevisionError
from pipeline.findings import LEVELS
from pipeline.gate.answer_tables import parse_answers
from pipeline.gate.revision import Version, find_revision
from pipeline.params import Params
from pipeline.store.paths import DEMO, METRICS, PLOTS, SPLIT_METRICS
from pipeline.store.tables import Answer


@dataclass(frozen=True)
class Run:
    """One training: under which split, and with which seed of split and members."""

    by: str
    on: str
    seed: int


@dataclass(frozen=True)
class Result:
    """What a run says of its test side."""

    metrics: Mapping[str, Any]
    split: Mapping[str, Any]
    answers: Mapping[str, Sequence[Answer]]  # per level

    @property
    def untrained(self) -> list[str]:
        """Classes that its training side lacks."""
        return list(self.metrics["split"].get("untrained", []))


def do_runs(runs: Sequence[Run], params: Params, *, settings: Sequence[str]) -> dict[Run, Result]:
    """Run what has not been run under these sources and parameters yet, one after the other, and read all results.

    Raises
    ------
    GapError
        If a run fails: with its last lines. What was done before it is kept.
    """
    results = {}
    shared = [*_data_root(params), *settings]
    state = _state(params)
    for count, run in enumerate(runs, start=1):
        name = f"gap-{_digest(state, shared, run)}-{run.by}-{run.seed}"
        began = time.monotonic()
        version = _find(name)
        if version is None:
            _start(name, [*_settings(run, params), *shared])
            version = find_revision(name)
            took = f"{time.monotonic() - began:.0f} s"
        else:
            took = "was there"
        results[run] = _read(version)
        uar = results[run].metrics["clip"]["uar"]
        say(f"gap: {count} of {len(runs)}: split by {run.by}, seed {run.seed}: clip UAR {uar:.2f} ({took})")
    return results


def _settings(run: Run, params: Params) -> Iterator[str]:
    yield f"split.by={run.by}"
    yield "split.method=matched"
    yield f"split.matched_on={run.on}"
    yield f"split.seed={run.seed}"
    yield "runs.folds=[0]"
    for index, member in enumerate(params.runs.members):
        yield f"members.{member}.seed={run.seed * len(params.runs.members) + index}"


def _data_root(params: Params) -> list[str]:
    """A copy of the project has the recordings only where git or DVC bring them: name the folder itself."""
    if params.data.root != "data/raw" or list(params.corpora) == [DEMO.name]:
        return []
    return [f"data.root={Path('data/raw').absolute()}"]


def _state(params: Params) -> str:
    """What a result depends on beside the settings: the commit, what was changed since, and the parameters."""
    head = _git("rev-parse", "HEAD")
    changed = _git("diff", "HEAD", "--", "src", "stages", "dvc.yaml")
    return hashlib.sha256(f"{head}\n{changed}\n{params.model_dump_json()}".encode()).hexdigest()


def _digest(state: str, settings: Sequence[str], run: Run) -> str:
    text = json.dumps([state, list(settings), run.on], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _find(name: str) -> Version | None:
    try:
        return find_revision(name)
    except RevisionError:
        return None


def _start(name: str, settings: Sequence[str]) -> None:
    chosen = [part for setting in settings for part in ("-S", setting)]
    command = ["dvc", "exp", "run", "--temp", "--name", name, *chosen]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise GapError("dvc is not installed: activate the environment (source .venv/bin/activate)") from None
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        told = next((line for line in lines if line.startswith("error: ")), " / ".join(lines[-3:]))
        raise GapError(f"a run failed: {told.removeprefix('error: ')} (the run: {' '.join(command)})")


def _read(version: Version) -> Result:
    def content(path: Path) -> bytes:
        found = version.read(path)
        if found is None:
            raise GapError(
                f"{path} is missing at {version.name}: remove that experiment (dvc exp remove) and run again"
            )
        return found

    return Result(
        metrics=json.loads(content(METRICS)),
        split=json.loads(content(SPLIT_METRICS)),
        answers={level: parse_answers(content(PLOTS / f"confusion_{level}.csv")) for level in LEVELS},
    )


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        raise GapError(f"git {arguments[0]}: {reason}: run in a clone of the project")
    return done.stdout
