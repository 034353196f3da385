"""DVC's commands: what is read from what they say, and that they are never cut short."""

import os
import signal
import time

import pytest

from pipeline.errors import ExperimentError
from pipeline.experiments.queue import DvcQueue, find_reason

STATUS = """Task     Name        Created    Status
dda2404  s-003       03:56 PM   Failed
d4acd7d  s-003       Nov 21, 2026  Running
c508532  s-long-004  03:57 PM   Queued
3885f4c  s-001       03:56 PM   Success
aaaaaaa              03:56 PM   Queued

Worker status: 1 active, 0 idle
"""


@pytest.fixture
def dvc(tmp_path, monkeypatch):
    """Write the shell script that stands in for DVC."""

    def write(script):
        path = tmp_path / "bin" / "dvc"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")

    monkeypatch.chdir(tmp_path)
    return write


def test_states_are_asked_for_again_where_dvc_stumbles(dvc, monkeypatch):
    monkeypatch.setattr("pipeline.experiments.queue.STATUS_PAUSE", 0)
    stumbling = "echo x >> tries; test $(wc -l < tries) -ge 3 || { echo 'ERROR: Expecting value' >&2; exit 1; }"
    dvc(f"{stumbling}; cat <<'END'\n{STATUS}END")
    assert DvcQueue().states()["s-001"] == "Success"
    dvc("echo 'ERROR: Expecting value' >&2; exit 255")
    with pytest.raises(ExperimentError, match="dvc queue status: Expecting value"):
        DvcQueue().states()


def test_states_are_read_and_of_two_the_one_that_is_under_way_counts(dvc):
    dvc(f"cat <<'END'\n{STATUS}END")
    found = DvcQueue().states()
    assert {name: found[name] for name in ("s-001", "s-003", "s-long-004")} == {
        "s-001": "Success",
        "s-003": "Running",
        "s-long-004": "Queued",
    }
    dvc("echo 'No experiment tasks in the queue.'")
    assert DvcQueue().states() == {}


def test_an_experiment_is_queued_under_its_name_with_its_settings(dvc, tmp_path):
    dvc('for word; do echo "$word"; done > called')
    DvcQueue().add("s-001", ["train.epochs=3", "data.root='/a b'"])
    words = (tmp_path / "called").read_text(encoding="utf-8").splitlines()
    assert words == ["exp", "run", "--queue", "--name", "s-001", "-S", "train.epochs=3", "-S", "data.root='/a b'"]


def test_what_dvc_refuses_is_one_line(dvc):
    dvc("echo 'ERROR: Experiment conflicts with existing experiment' >&2; echo more >&2; exit 255")
    with pytest.raises(ExperimentError, match=r"^dvc exp run: Experiment conflicts with existing experiment$"):
        DvcQueue().add("s-001", [])
    DvcQueue().kill(["s-001"])  # had ended already
    DvcQueue().remove(["s-001"])


def test_a_worker_that_is_left_behind_is_not_waited_for(dvc):
    dvc("sleep 30 & echo Started")
    began = time.monotonic()
    DvcQueue().start(1)
    assert time.monotonic() - began < 15


def test_without_dvc_the_environment_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExperimentError, match="dvc is not installed: activate the environment"):
        DvcQueue().start(1)


def test_an_interrupt_waits_until_dvc_has_put_the_workspace_back(dvc, tmp_path):
    dvc(f"kill -INT {os.getpid()}; sleep 1; echo done > ended")
    began = time.monotonic()
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        DvcQueue().add("s-001", [])
    assert (tmp_path / "ended").read_text(encoding="utf-8") == "done\n"
    assert time.monotonic() - began >= 1
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        ("Running stage 'a':\n> python a\nerror: too few\nERROR: failed to reproduce 'a'\n", "too few"),
        ("ERROR: failed to reproduce 'a': failed to run: x, exited with 1\n", "failed to reproduce 'a': failed to run: "
         "x, exited with 1"),
        ("Traceback:\n  File x\nValueError: of shape (3)\nERROR: failed to reproduce\n", "ValueError: of shape (3)"),
        ("Traceback:\n  File x\ntorch.OutOfMemoryError: no\nERROR: failed\n", "torch.OutOfMemoryError: no"),
        ("KeyboardInterrupt\nERROR: failed\n", "KeyboardInterrupt"),
        ("", "no reason was given"),
        ("\nsomething else\n", "something else"),
        (f"error: {'x' * 1000}", "x" * 300),
    ],
)  # fmt: skip
def test_the_line_that_says_why_is_found(log, reason):
    assert find_reason(log) == reason
