"""Runs that are killed and started again end with the bytes of a run that nothing disturbed."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from killed_run import KINDS, run
from made_run import files_under, make_project, one_thread  # noqa: F401 - a fixture
from ruamel.yaml import YAML

from pipeline.errors import ModelError
from pipeline.learning import resume
from pipeline.learning.progress import Progress
from pipeline.learning.resume import NOTE, Keeper
from pipeline.store.paths import RESUME, curves_csv, model_folder, resume_folder

TESTS = Path(__file__).resolve().parents[1]
SCRIPT = TESTS / "learning/killed_run.py"
FOLDER = resume_folder("0-a")


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    monkeypatch.setattr(resume, "MOST_SHARE", resume.MOST_SHARE)  # put back what `run` sets


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Files of runs of each kind that were not killed."""
    made = {}

    def of(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder)
                project(kind)
                run(kind, minutes=0)
                made[kind] = results()
        return made[kind]

    return of


def project(kind):
    make_project(validation=KINDS[kind].get("validation", "none"))


def results():
    return {**files_under(model_folder("0-a")), "curves": curves_csv("0-a").read_bytes()}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


class StoppedError(Exception):
    """What stands for a kill inside of this process: no file is tidied up after it."""


def stopped_after(n, kind, monkeypatch):
    """Run until so many steps are done."""
    offer = Keeper.offer

    def then_stop(self, make):
        offer(self, make)
        if make()["iteration"] >= n:
            raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "offer", then_stop)
        with pytest.raises(StoppedError):
            run(kind)


def count_steps(monkeypatch):
    """Count the steps from now on."""
    steps, original = [], Progress.add

    def note(self, point):
        steps.append(point.iteration)
        original(self, point)

    monkeypatch.setattr(Progress, "add", note)
    return steps


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_goes_on_where_it_was_stopped_and_ends_alike(here, monkeypatch, capsys, undisturbed, kind):
    expected = undisturbed(kind)
    project(kind)
    for n in (1, 5, 9):
        stopped_after(n, kind, monkeypatch)
    capsys.readouterr()
    run(kind)
    assert "train 0-a: goes on after iteration 9 of " in capsys.readouterr().err
    assert results() == expected
    assert not FOLDER.exists()


def test_the_steps_that_were_done_are_not_done_again(here, monkeypatch):
    project("bf16")
    stopped_after(13, "bf16", monkeypatch)
    seen = []
    monkeypatch.setattr("pipeline.learning.stepping.refuse_infinite", lambda _, iteration: seen.append(iteration))
    run("bf16")
    assert seen == [14, 15, 16, 17, 18]


def test_a_state_that_was_kept_before_the_last_steps_serves_too(here, monkeypatch, undisturbed):
    project("small")
    stopped_after(6, "small", monkeypatch)
    run("small", minutes=1e9)
    assert results() == undisturbed("small")


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "when"), [("blocks", "7"), ("sequences", "in-write"), ("bf16", "in-note")])
def test_a_killed_process_leaves_a_state_to_go_on_from(here, capsys, undisturbed, kind, when):
    expected = undisturbed(kind)
    project(kind)
    done = process(kind, when)
    done.communicate(timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert not model_folder("0-a").exists()
    shutil.rmtree(curves_csv("0-a").parent)  # DVC deletes a stage's outputs before it starts
    run(kind)
    assert f"goes on after iteration {when if when.isdecimal() else 3} of" in capsys.readouterr().err
    assert results() == expected
    assert not FOLDER.exists()


def process(kind, *when):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), kind, *when],
        env={**os.environ, "PYTHONPATH": str(TESTS.parent / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.kills
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("small", "frozen")])
def test_five_kills_at_random_moments(here, monkeypatch, kind):
    epochs = 30
    project(kind)
    run(kind, minutes=0, epochs=epochs)
    expected = results()
    shutil.rmtree(model_folder("0-a"))
    rng = random.Random(kind)
    monkeypatch.setenv("EPOCHS", str(epochs))
    n_kills = n_before_the_end = 0
    while n_kills < 5:
        running = process(kind)
        assert running.stdout.readline() == "begins\n", running.stderr.read()
        time.sleep(rng.uniform(0, 0.8))
        running.kill()
        running.communicate(timeout=60)
        n_kills += 1
        n_before_the_end += running.returncode == -signal.SIGKILL
        if (model_folder("0-a") / "provenance.json").exists():
            assert results() == expected
            shutil.rmtree(model_folder("0-a"))
        shutil.rmtree(curves_csv("0-a").parent, ignore_errors=True)
    assert n_before_the_end >= 3
    run(kind, epochs=epochs)
    assert results() == expected


# states that are not used


def start_again(capsys):
    capsys.readouterr()
    run("small")
    return capsys.readouterr().err


def test_a_state_of_another_run_is_not_used(here, monkeypatch, capsys):
    project("small")
    stopped_after(4, "small", monkeypatch)
    for changed in ({"seed": 1}, {"learning_rate": 0.002}, {"loss": "hinge"}):
        with monkeypatch.context() as patch:
            patch.setitem(KINDS, "small", {**KINDS["small"], **changed})
            patch.setattr(Keeper, "offer", lambda *_: None)
            patch.setattr(Keeper, "remove", lambda *_: None)
            assert "cannot be gone on from (it is of a run with other parameters" in start_again(capsys)
    assert "goes on after iteration 4" in start_again(capsys)


@pytest.mark.parametrize("what", ["sides", "threads", "code", "labels"])
def test_a_state_of_other_data_or_versions_is_not_used(here, monkeypatch, capsys, undisturbed, what):
    project("small")
    stopped_after(4, "small", monkeypatch)
    if what == "sides":
        make_project(seed=1)
    elif what == "labels":
        make_project(n_folds=4)
    elif what == "threads":
        monkeypatch.setattr("pipeline.runs.provenance", lambda _: {"threads": 64})
    else:
        monkeypatch.setattr(resume, "_digest_of_code", lambda: "another")
    assert "cannot be gone on from (it is of a run with other parameters, data, code, versions" in start_again(capsys)


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "note", "list", "elsewhere"])
def test_a_damaged_state_is_said_to_be_and_the_run_starts_anew(here, monkeypatch, capsys, undisturbed, damage):
    project("small")
    stopped_after(4, "small", monkeypatch)
    note = FOLDER / NOTE
    state = FOLDER / json.loads(note.read_text())["file"]
    whole = bytearray(state.read_bytes())
    if damage == "flip":
        whole[len(whole) // 2] ^= 1
        state.write_bytes(whole)
    elif damage == "cut":
        state.write_bytes(whole[:-9])
    elif damage == "gone":
        state.unlink()
    elif damage == "note":
        note.write_text('{"digest": ')
    elif damage == "list":
        note.write_text("[]")
    else:
        note.write_text(json.dumps({**json.loads(note.read_text()), "file": "../../split.csv"}))
    said = start_again(capsys)
    assert f"note: train 0-a: {FOLDER} cannot be gone on from (" in said
    assert said.count("starting anew") == 1
    assert "goes on" not in said
    assert results() == undisturbed("small")


def test_a_state_that_cannot_be_written_does_not_stop_the_run(here, capsys, undisturbed):
    project("small")
    RESUME.parent.mkdir(parents=True, exist_ok=True)
    RESUME.write_text("a file where the folder should be")
    run("small")
    said = capsys.readouterr().err
    assert said.count("the run goes on, and after a kill would start anew") == 1
    assert results() == undisturbed("small")


def test_a_full_disk_leaves_the_state_before(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(resume, "MOST_SHARE", 1e9)
    keeper = Keeper(folder=tmp_path / "0-a", label="train 0-a", digest="d", every_seconds=1e-9)
    keeper.offer(lambda: {"iteration": 1, "weights": torch.zeros(9)})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # Python ignores the signal: writing fails
    try:
        keeper.offer(lambda: {"iteration": 2, "weights": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "the run goes on, and after a kill would start anew" in capsys.readouterr().err
    assert keeper.every_seconds == 0
    assert sorted(path.name for path in keeper.folder.iterdir()) == [NOTE, "state-1.pt"]
    assert torch.equal(keeper.load()["weights"], torch.zeros(9))


def test_no_stage_writes_where_states_lie():
    stages = YAML(typ="safe", pure=True).load((TESTS.parent / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for stage in stages.values():
        for path in (*stage.get("outs", []), *stage["deps"]):
            assert not RESUME.is_relative_to(path), path
            assert not Path(path).is_relative_to(RESUME), path


def test_a_run_that_fails_leaves_its_state(here, monkeypatch):
    project("small")

    def diverge(_losses, iteration):
        if iteration == 5:
            raise ModelError("training diverged")

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.learning.stepping.refuse_infinite", diverge)
        with pytest.raises(ModelError, match="diverged"):
            run("small")
    assert sorted(path.name for path in FOLDER.iterdir()) == [NOTE, "state-4.pt"]


# when


class Clock:
    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr("pipeline.learning.resume.time.monotonic", lambda: self.now)


def test_a_state_is_kept_every_so_often_and_never_for_more_than_its_share(tmp_path, monkeypatch):
    clock = Clock(monkeypatch)
    keeper = Keeper(folder=tmp_path / "0-a", label="train 0-a", digest="d", every_seconds=60)
    assert keeper.load() is None
    made = []

    def make():
        made.append(clock.now)
        clock.now += 2.0  # what keeping takes
        return {"iteration": len(made)}

    for _ in range(500):
        clock.now += 1
        keeper.offer(make)
    # after 60 s, then after a hundred times the two seconds
    assert made == [160.0, 362.0, 564.0]
    never = Keeper(folder=tmp_path / "1-a", label="train 1-a", digest="d", every_seconds=0)
    clock.now += 1e9
    never.offer(make)
    assert len(made) == 3
    assert sorted(path.name for path in (tmp_path / "0-a").iterdir()) == [NOTE, "state-3.pt"]
