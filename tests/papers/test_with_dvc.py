"""Rows of a paper as people run them, through DVC's own queue; one stage stands in for the pipeline."""

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
EMOSPEC = ("env", f"PYTHONPATH={ROOT / 'src'}", sys.executable, "-c", PROGRAM, "papers")
STAGE = """
import json, pathlib, sys, time
from ruamel.yaml import YAML
p = YAML(typ="safe", pure=True).load(pathlib.Path("params.yaml").read_text())
if p["train"]["epochs"] == 5:
    sys.exit("error: training diverged: lower train.learning_rate")
if pathlib.Path({slow!r}).exists():
    time.sleep(60)
x = 0.9 if p["split"]["by"] == "block" else 0.6
level = {{name: x for name in ("uar", "accuracy", "macro_f1")}}
level |= {{"interval": {{name: {{"low": x - 0.04, "high": x + 0.04}} for name in level}}, "recall": {{}}}}
level |= {{"n": {{"total": 40}}, "n_units": 10, "unit": "clip"}}
pathlib.Path("metrics").mkdir(exist_ok=True)
pathlib.Path("metrics/metrics.json").write_text(json.dumps({{"clip": level, "block": level}}))
corpora = {{name: {{"missing": 2 if name == "emodb" else 0}} for name in p["corpora"]}}
pathlib.Path("metrics/split.json").write_text(json.dumps({{"corpora": corpora}}))
"""
PAPER = """
title: Made
citation: Nobody (2000)
settings: {corpora: [demo], model: {name: resnet18}, split: {balance: none}}
rows:
  leaky:
    title: split by block
    settings: {split: {by: block}}
    reports: [{metric: block.accuracy, value: 0.92, where: table 1}]
    honest: {split: {by: clip}}
  same:
    title: the same run
    settings: {split: {by: block}}
    reports: [{metric: clip.accuracy, value: 0.5, where: table 1}]
  fails:
    title: another number of epochs
    settings: {train: {epochs: 5}}
    reports: [{metric: clip.accuracy, value: 0.5, where: table 2}]
  absent:
    title: elsewhere
    settings: {corpora: [savee]}
    reports: [{metric: clip.accuracy, value: 0.5, where: table 3}]
"""


@pytest.fixture
def project(tmp_path):
    project = make_search_project(tmp_path)
    stage = STAGE.format(slow=str(tmp_path / "slow"))
    (project / "stages/all.py").write_text(stage, encoding="utf-8")
    (project / "dvc.yaml").write_text(
        "stages:\n  all:\n    cmd: python stages/all.py\n    deps:\n    - stages/all.py\n    params:\n"
        "    - corpora\n    - model\n    - train\n    - split\n    metrics:\n"
        "    - metrics/metrics.json:\n        cache: false\n    - metrics/split.json:\n        cache: false\n",
        encoding="utf-8",
    )
    (project / "papers").mkdir()
    (project / "papers/made.yaml").write_text(PAPER, encoding="utf-8")
    run(project, "git", "add", "-A")
    run(project, "dvc", "init", "-q")
    run(project, "git", "commit", "-qam", "dvc")
    return project


def rows_of(project):
    record = json.loads((project / "metrics/papers/made.json").read_text(encoding="utf-8"))
    return {one["row"]: one for one in record["rows"]}


@pytest.mark.slow
def test_rows_are_run_once_reported_and_found_again(project):
    said = run(project, *EMOSPEC, "run", "made")
    assert "papers made: 3 runs; recorded in metrics/papers/made.json" in said  # leaky and same are one
    table = {
        line.split()[0]: " ".join(line.split())
        for line in said.splitlines()
        if line.startswith(("leaky ", "same ", "fails ", "absent "))
    }
    assert (
        "0.920 0.900 0.86 to 0.94 40 blocks, 10 clips 1 0.600 (0.56 to 0.64) +0.30 (+0.24 to +0.36) reproduced"
        in table["leaky"]
    )
    assert table["same"].endswith("higher")
    assert "not run" in table["fails"]
    assert "training diverged: lower train.learning_rate" in said
    assert "not here: savee (emospec corpora get savee)" in said
    rows = rows_of(project)
    assert rows["fails"]["paper"]["reasons"] == {"0": "training diverged: lower train.learning_rate"}
    assert rows["absent"]["reason"].startswith("not here: savee")
    # the workspace is as it was
    assert run(project, "git", "status", "--porcelain") == "?? metrics/\n"

    again = run(project, *EMOSPEC, "run", "made")
    assert "queued" not in again
    assert "1 run failed before and is left: --retry" in again
    (project / "docs").mkdir()
    written = ("--markdown", "docs/made.md")
    fewer = run(project, *EMOSPEC, "run", "made", "--rows", "leaky", "--epochs-scale", "0.3", "--no-honest", *written)
    assert "10 -> 3 epochs" in fewer
    assert "10 -> 3 epochs" in (project / "docs/made.md").read_text(encoding="utf-8")
    assert "docs/papers_table.md and docs/papers_table.html: 1 paper" in run(project, *EMOSPEC, "table")
    page = (project / "docs/papers_table.md").read_text(encoding="utf-8")
    assert page.count("| leaky |") == 2
    assert "<table>" in (project / "docs/papers_table.html").read_text(encoding="utf-8")
    listed = run(project, *EMOSPEC)
    assert "rows: leaky, same, fails, absent" in listed
    assert "demo (here), savee (missing)" in listed


@pytest.mark.kills
def test_killed_it_goes_on_where_it_was(project):
    slow = project.parent / "slow"
    slow.touch()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = [*EMOSPEC, "run", "made", "--rows", "leaky"]
    process = subprocess.Popen(command, cwd=project, env={**os.environ, "PATH": path})
    end = time.monotonic() + 120
    while "Running" not in run(project, "dvc", "queue", "status"):
        assert time.monotonic() < end
        time.sleep(2)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    assert rows_of(project) == {}
    slow.unlink()
    run(project, *EMOSPEC, "run", "made", "--rows", "leaky")
    leaky = rows_of(project)["leaky"]
    assert leaky["paper"]["scores"]["0"]["values"]["block.accuracy"]["value"] == 0.9
    assert leaky["honest"]["scores"]["0"]["values"]["block.accuracy"]["value"] == 0.6


def test_a_page_that_cannot_be_written_is_refused_before_anything_is_run(project):
    for command in (("run", "made", "--rows", "leaky"), ("table",)):
        for page in ("made.txt", "nowhere/made.md"):
            said = run(project, *EMOSPEC, *command, "--markdown", page, code=2)
            assert "must end in .md and lie in a folder" in " ".join(said.replace("│", " ").split())
    assert run(project, "git", "status", "--porcelain") == ""
    (project / "docs").mkdir()
    (project / "docs/made.md").mkdir()
    said = run(project, *EMOSPEC, "table", "--markdown", "docs/made.md", code=1)
    assert "error: docs/made.md: cannot be written (Is a directory): --markdown takes another" in said


def test_what_cannot_be_run_is_refused_before_anything_is_queued(project):
    for asked, said in {
        ("run", "other"): "papers/other.yaml: no such paper; there are made",
        ("run", "made", "--rows", "leeky"): "--rows: made has no row 'leeky'; it has leaky, same, fails, absent",
        ("run", "made", "--rows", " , "): "--rows: names none; made has leaky, same, fails, absent",
        ("run", "made", "--without", "emodb"): "emodb: no corpus of these rows; they use demo, savee",
        ("run", "made", "-S", "train.epoch=3"): "-S train.epoch: is no key of params.yaml: did you mean train.epochs?",
    }.items():
        assert f"error: {said}" in run(project, *EMOSPEC, *asked, code=1)
    assert run(project, "git", "status", "--porcelain") == ""
    listed = run(project, *EMOSPEC, "run", "made", "--dry", "--seeds", "2")
    assert "papers made: 6 runs" in listed
    for rows in (("--rows", "leaky,fails"), ("--rows", "leaky", "--rows", "fails")):
        assert "papers made: 3 runs" in run(project, *EMOSPEC, "run", "made", "--dry", *rows)
    assert run(project, "git", "status", "--porcelain") == ""
