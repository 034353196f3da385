"""A search as people run it, through DVC's own queue; one stage stands in for the pipeline."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_pipeline import ROOT, run
from search.made_project import make_search_project

PROGRAM = "from pipeline.cli import main; main()"
EMOSPEC = ("env", f"PYTHONPATH={ROOT / 'src'}", sys.executable, "-c", PROGRAM, "search")
GRID = ("grid", "--name", "drop", "-S", "split.validation=fraction", "-S", "train.epochs=10")


@pytest.fixture
def project(tmp_path):
    project = make_search_project(tmp_path)
    run(project, "dvc", "init", "-q")
    run(project, "git", "commit", "-qam", "dvc")
    return project


def experiments(project):
    names = run(project, "git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    return {name.rpartition("/")[2]: name for name in names if "/celery/" not in name}


@pytest.mark.slow
def test_a_grid_is_run_ranked_run_for_longer_and_found_again(project):
    asked = (*GRID, "-S", "model.dropout=0.5,0.25,0.0", "--then", "1", "--then-set", "train.epochs=400")
    run(project, *EMOSPEC, *asked, "--csv", "runs.csv")

    record = json.loads((project / "metrics/search/drop.json").read_text(encoding="utf-8"))
    states = {name: one["state"] for stage in ("first", "long") for name, one in record[stage].items()}
    assert states == {"drop-001": "done", "drop-002": "failed", "drop-003": "done", "drop-long-003": "done"}
    assert record["first"]["drop-002"]["reason"] == "training diverged: lower train.learning_rate"
    assert record["first"]["drop-003"]["scores"]["values"]["validation.uar"] == 0.51  # 0.5 + 10 / 1000
    assert record["first"]["drop-001"]["scores"]["values"]["validation.uar"] == 0.26
    assert record["long"]["drop-long-003"]["scores"]["values"]["validation.uar"] == 0.9
    rows = list(csv.DictReader((project / "runs.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["experiment"] for row in rows] == ["drop-003", "drop-001", "drop-002", "drop-long-003"]
    # DVC keeps each that succeeded under its name, with its parameters
    kept = experiments(project)
    assert set(kept) == {"drop-001", "drop-003", "drop-long-003"}
    params = run(project, "git", "show", f"{kept['drop-long-003']}:params.yaml")
    assert "  epochs: 400\n" in params
    assert "  dropout: 0.0\n" in params
    # the workspace is as it was, but for what the search writes
    assert run(project, "git", "status", "--porcelain") == "?? metrics/\n?? runs.csv\n"

    again = run(project, *EMOSPEC, *asked)
    assert "queued" not in again
    assert "3 runs, 0 to run" in again
    # where the record is lost, experiments are known by their names and parameters
    (project / "metrics/search/drop.json").unlink()
    found = run(project, *EMOSPEC, *GRID, "-S", "model.dropout=0.5")
    assert "queued" not in found
    assert "1: drop-001: validation.uar 0.26" in found
    (project / "metrics/search/drop.json").unlink()
    refused = run(project, *EMOSPEC, *GRID, "-S", "model.dropout=0.0,0.5", code=1)
    assert refused.startswith("search drop: 2 runs, 2 to run")
    assert "error: an experiment drop-001 is there with other parameters: remove it (dvc exp remove" in refused


@pytest.mark.kills
def test_an_interrupt_empties_the_queue_and_the_same_command_goes_on(project):
    slow = project.parent / "slow"
    slow.touch()
    asked = (*GRID, "-S", "model.dropout=0.0,0.5")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = subprocess.Popen([*EMOSPEC, *asked], cwd=project, env={**os.environ, "PATH": path})
    states = ""
    end = time.monotonic() + 120
    while "Running" not in states:
        assert time.monotonic() < end
        time.sleep(2)
        states = run(project, "dvc", "queue", "status")
    slow.unlink()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) != 0
    assert "drop-" not in run(project, "dvc", "queue", "status")
    assert run(project, "git", "status", "--porcelain") == "?? metrics/\n"
    assert set(experiments(project)) == set()

    said = run(project, *EMOSPEC, *asked)
    assert "2 of 2" in said
    assert set(experiments(project)) == {"drop-001", "drop-002"}
