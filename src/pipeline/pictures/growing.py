"""Learning curves of runs while they grow: where they lie, and how far the runs are.

Curves are only read. A run of `dvc repro` or `dvc exp run` writes into the project's own folder, one with --temp or
from the queue into a copy under .dvc/tmp/exps: both are looked at.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError, ShowError
from pipeline.params import load_params
from pipeline.pictures.trained import keys_among
from pipeline.store.paths import CURVES, curves_csv, parse_run_key, run_key
from pipeline.store.tables import CurvePoint, growing_of, lies_at, read_growing, tables_in

COPIES = (".dvc/tmp/exps/*", ".dvc/tmp/exps/standalone/*")
GROWING_SECONDS = 600.0  # a curve that has not grown for longer is not in progress


@dataclass(frozen=True, kw_only=True)
class Followed:
    """One run and its curves so far.

    Attributes
    ----------
    copy
        Name of the copy that it runs in; empty: the project's own folder.
    epochs
        To be trained, as params.yaml there says now; None if it does not say.
    age
        Seconds since the curves' file last grew.
    is_complete
        Whether the file has taken its place: training has ended, early or not.
    """

    key: str
    copy: str
    points: Sequence[CurvePoint]
    epochs: int | None
    age: float
    is_complete: bool

    @property
    def name(self) -> str:
        """Key, and the copy if any."""
        return f"{self.key} in {self.copy}" if self.copy else self.key

    @property
    def epoch(self) -> float:
        """How far it is."""
        return self.points[-1].epoch if self.points else 0.0

    @property
    def state(self) -> str:
        """Waiting, running, done or stopped."""
        if self.is_complete:
            return "done"
        if self.age < GROWING_SECONDS:
            return "running"
        return "stopped" if self.points else "waiting"

    @property
    def last_epoch(self) -> float:
        """The end of its axis."""
        return max(self.epochs or 0, self.epoch) or 1.0


def find_runs(project: Path = Path()) -> list[Followed]:
    """All runs that have curves or are to be trained, the project's own first, then each copy's."""
    copies = sorted(path for pattern in COPIES for path in project.glob(pattern) if (path / CURVES).is_dir())
    return [run for root in (project, *copies) for run in _runs_in(root, "" if root == project else root.name)]


def chosen_runs(runs: Sequence[Followed], keys: Sequence[str]) -> list[Followed]:
    """Those of some keys; without any those in progress, or if none is that which grew last.

    Raises
    ------
    ShowError
        If a key is that of no run.
    """
    if keys:
        if unknown := [key for key in keys if key not in {run.key for run in runs}]:
            raise ShowError(
                f"{unknown[0]}: no such run: there is {', '.join(dict.fromkeys(r.key for r in runs)) or 'none'}"
            )
        return [run for run in runs if run.key in keys]
    running = [run for run in runs if run.state == "running" and run.points]
    return running or sorted((run for run in runs if run.points), key=lambda run: run.age)[:1]


def _runs_in(root: Path, copy: str) -> list[Followed]:
    epochs = _epochs(root)
    there = keys_among([path.stem for path in tables_in(root / CURVES)])
    found = []
    for key in keys_among([*dict.fromkeys([*epochs, *there])]):
        path = root / curves_csv(key)
        try:
            age = max(time.time() - lies_at(path).stat().st_mtime, 0.0)
        except FileNotFoundError:  # DVC takes it away before a run starts
            age = float("inf")
        found.append(
            Followed(
                key=key,
                copy=copy,
                points=read_growing(path, CurvePoint),
                epochs=_of_key(epochs, key, root),
                age=age,
                is_complete=path.is_file() and not growing_of(path).is_file(),
            )
        )
    return found


def _epochs(root: Path) -> dict[str, int]:
    """Epochs of every run that params.yaml there names."""
    try:
        params = load_params(root / "params.yaml")
        of_member = {member: params.of_member(member)[1].epochs for member in params.runs.members}
    except PipelineError:
        return {}
    return {run_key(fold, member): n for fold in params.runs.folds for member, n in of_member.items()}


def _of_key(epochs: dict[str, int], key: str, root: Path) -> int | None:
    """Epochs of a run, also of a fold that params.yaml no longer names."""
    if key in epochs:
        return epochs[key]
    _, member = parse_run_key(key)
    try:
        return load_params(root / "params.yaml").of_member(member)[1].epochs
    except PipelineError:
        return None
