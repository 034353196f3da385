"""DVC's experiment queue through its own commands: add, start, ask, take out. Nothing here knows what a search is."""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

import psutil  # type: ignore[import-untyped]

from pipeline.errors import ExperimentError
from pipeline.gate.revision import EXPERIMENT

STATES = ("Running", "Queued", "Failed", "Success")  # where a name stands twice, the first of these counts
REASON_LENGTH = 300
STATUS_TRIES, STATUS_PAUSE = 5, 1.0  # seconds


class DvcQueue:
    """The queue of the project in the working folder."""

    def add(self, name: str, settings: Sequence[str]) -> None:
        """Queue an experiment.

        Raises
        ------
        ExperimentError
            With DVC's reason.
        """
        chosen = [part for setting in settings for part in ("-S", setting)]
        _dvc("exp", "run", "--queue", "--name", name, *chosen)

    def start(self, jobs: int) -> None:
        """Have up to `jobs` workers run what is queued; those that are at work stay."""
        _dvc("queue", "start", "--jobs", str(jobs))

    def states(self) -> dict[str, str]:
        """State of each experiment that the queue knows, by name."""
        found: dict[str, str] = {}
        for line in _status().splitlines():
            words = line.split()
            if len(words) >= 4 and words[-1] in STATES and re.fullmatch("[0-9a-f]{7}", words[0]):
                name, state = words[1], words[-1]
                found[name] = min(state, found.get(name, state), key=STATES.index)
        return found

    def is_at_work(self) -> bool:
        """Whether a worker of this project's queue lives."""
        here = str(Path.cwd().resolve())
        for process in psutil.process_iter(["cmdline", "cwd"]):
            if "queue-worker" in (process.info["cmdline"] or []) and process.info["cwd"] == here:
                return True
        return False

    def reason(self, name: str) -> str:
        """Why an experiment failed, in one line."""
        try:
            return find_reason(_dvc("queue", "logs", name))
        except ExperimentError as error:
            return str(error)

    def kill(self, names: Sequence[str]) -> None:
        """Interrupt running experiments; one whose worker has died is marked as failed."""
        with contextlib.suppress(ExperimentError):  # it ended by itself
            _dvc("queue", "kill", *names)

    def remove(self, names: Sequence[str]) -> None:
        """Take experiments that wait or have ended out of the queue."""
        with contextlib.suppress(ExperimentError):  # it is not there any more
            _dvc("queue", "remove", *names)


def find_experiments() -> dict[str, list[str]]:
    """Commits of all DVC experiments that are kept, by name."""
    listed = _run(["git", "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps"])
    found: dict[str, list[str]] = {}
    for line in listed.splitlines():
        if match := EXPERIMENT.fullmatch(line):
            found.setdefault(match["name"], []).append(match["commit"])
    return found


def source_state() -> str:
    """The sources as committed, and what was changed since: what a score depends on beside the parameters."""
    paths = ("src", "stages", "dvc.yaml")
    return _run(["git", "ls-tree", "HEAD", "--", *paths]) + _run(["git", "diff", "HEAD", "--", *paths])


def _status() -> str:
    """Ask for the states, several times: now and then DVC reads its queue while a worker writes it."""
    for _ in range(STATUS_TRIES - 1):
        with contextlib.suppress(ExperimentError):
            return _dvc("queue", "status")
        time.sleep(STATUS_PAUSE)
    return _dvc("queue", "status")


def find_reason(log: str) -> str:
    """Find the line that says why: emospec's own, or DVC's, or the last."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    for sign in ("error: ", "ERROR: "):
        if told := next((line for line in lines if line.startswith(sign)), None):
            before = lines[lines.index(told) - 1] if sign == "ERROR: " and lines.index(told) else ""
            raised = re.match(r"[A-Za-z_.]*(Error|Exception|Interrupt)\b", before)
            return (before if raised else told.removeprefix(sign))[:REASON_LENGTH]
    return (lines or ["no reason was given"])[-1][:REASON_LENGTH]


def _dvc(*arguments: str) -> str:
    return _run(["dvc", *arguments])


def _run(command: Sequence[str]) -> str:
    """Run a command to its end whatever happens to this one: DVC changes params.yaml for a moment when it queues."""
    # What it says goes to files: a worker that it leaves behind would hold a pipe open, and this would wait for it.
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as out,
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
    ):
        try:
            with _interrupted_afterwards():
                done = subprocess.run(
                    command, stdout=out, stderr=errors, check=False, start_new_session=True, env=_environment()
                )
        except FileNotFoundError:
            raise ExperimentError(
                f"{command[0]} is not installed: activate the environment (source .venv/bin/activate)"
            ) from None
        out.seek(0)
        errors.seek(0)
        said, told = out.read(), errors.read()
    if done.returncode:
        what = " ".join(command[:3])
        raise ExperimentError(f"{what}: {find_reason(told + said).removeprefix('fatal: ')}")
    return said


def _environment() -> dict[str, str]:
    """DVC reports each call by a process of its own: those that nobody typed are not worth one."""
    return {**os.environ, "DVC_NO_ANALYTICS": "1"}


@contextlib.contextmanager
def _interrupted_afterwards() -> Iterator[None]:
    """Keep an interrupt until what is inside is done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []

    def hold(number: int, _: FrameType | None) -> None:
        held.append(number)

    before = signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if held:
        raise KeyboardInterrupt
