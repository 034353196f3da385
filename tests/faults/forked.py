"""Stages in forks of one interpreter that has everything imported: a run costs its work and little else.

A fork can be killed (SIGKILL) at an event of its own - in the middle of a write, before a file is synced, before or
after a rename - or after a time. What it says goes into a file.
"""

import os
import runpy
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

ROOT = Path(__file__).resolve().parents[2]
EVENTS = ("in a write", "before a sync", "before a rename", "after a rename")


@dataclass
class Done:
    """How a forked run ended."""

    code: int  # exit status; minus the signal where it was killed
    said: str
    seconds: float
    events: list[str]  # those that it came by, if they were recorded


def preload():
    """Import what the stages need, once."""
    import torch

    import pipeline.collect
    import pipeline.corpora.demo
    import pipeline.duplicates.fingerprints
    import pipeline.duplicates.matching
    import pipeline.evaluate
    import pipeline.fold_baselines
    import pipeline.heads
    import pipeline.listing
    import pipeline.models.networks
    import pipeline.models.weights
    import pipeline.normalize
    import pipeline.render
    import pipeline.report.page
    import pipeline.runs
    import pipeline.sampling
    import pipeline.slicing
    import pipeline.split.corpora

    pipeline.models.networks.network_names()
    torch.set_num_threads(1)


def stage_of(stage, item):
    """A stage as a function to be run in a fork."""

    def main():
        os.environ["DVC_STAGE"] = f"{stage}@{item}" if item else stage
        sys.argv = [f"stages/{stage}.py"]
        runpy.run_path(str(ROOT / "stages" / f"{stage}.py"), run_name="__main__")

    return main


def run_stage(workspace, stage, item, *, kill_at=None, kill_after=None, record=False):
    """Run a stage in a fork: killed at its event number `kill_at`, after `kill_after` seconds, or not at all."""
    return run_forked(workspace, stage_of(stage, item), kill_at=kill_at, kill_after=kill_after, record=record)


def start_forked(workspace, function, *, hooks):
    """Start a function in a fork and return its process number; what it says is not kept."""
    child = os.fork()
    if child == 0:
        _become(workspace, os.devnull, function, hooks)
    return child


def run_forked(workspace, function, *, kill_at=None, kill_after=None, record=False, hooks=None):
    """Run a function in a fork whose working folder is a workspace."""
    with tempfile.TemporaryDirectory() as folder:
        said, events = Path(folder) / "said", Path(folder) / "events"
        said.touch()  # here: the fork may be killed before it can
        start = time.monotonic()
        child = os.fork()
        if child == 0:
            _become(workspace, said, function, hooks or (lambda: _watch_writes(kill_at, events if record else None)))
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        return Done(
            code=os.waitstatus_to_exitcode(status),
            said=said.read_text(encoding="utf-8", errors="replace"),
            seconds=time.monotonic() - start,
            events=events.read_text(encoding="utf-8").splitlines() if events.is_file() else [],
        )


def _become(workspace, said, function, hook):
    """Be the fork: never returns."""
    code = 70
    try:
        handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        os.chdir(workspace)
        hook()
        function()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - whatever it is, the fork ends here
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def _watch_writes(kill_at, log):
    """Count the moments at which a file of ours is half written, about to be synced, about to be or just renamed."""
    pwrite, fsync = os.pwrite, os.fsync
    is_due = _counter(kill_at, log)

    def half_written(handle, data, place):
        if is_due("in a write"):
            pwrite(handle, data[: len(data) // 2], place)
            die()
        return pwrite(handle, data, place)

    def synced(handle):
        if not Path(f"/proc/self/fd/{handle}").resolve().is_dir() and is_due("before a sync"):
            die()
        fsync(handle)

    os.pwrite, os.fsync = half_written, synced
    os.replace, os.rename = _renamed(os.replace, is_due), _renamed(os.rename, is_due)


def _counter(kill_at, log):
    """Tell at each event whether it is the one to die at."""
    seen = [0]

    def is_due(event):
        seen[0] += 1
        if log is not None:
            with log.open("a", encoding="utf-8") as file:
                file.write(f"{event}\n")
        return seen[0] - 1 == kill_at

    return is_due


def _renamed(how, is_due):
    def do(source, target, **options):
        if is_due("before a rename"):
            die()
        how(source, target, **options)
        if is_due("after a rename"):
            die()

    return do
