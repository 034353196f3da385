"""A project whose one stage stands in for the pipeline: the real params.yaml, and results made of it in a moment."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAGES = """stages:
  all:
    cmd: python stages/all.py
    deps:
    - stages/all.py
    params:
    - model
    - train
    - split
    metrics:
    - metrics/metrics.json:
        cache: false
    plots:
    - metrics/plots/learning_curves.csv:
        cache: false
"""
# The more epochs and the less dropout, the better on the validation side; on the test side the other way round.
STAGE = """
import json, pathlib, sys, time
from ruamel.yaml import YAML
p = YAML(typ="safe", pure=True).load(pathlib.Path("params.yaml").read_text())
if p["model"]["dropout"] == 0.25:
    sys.exit("error: training diverged: lower train.learning_rate")
if pathlib.Path({slow!r}).exists():
    time.sleep(60)
uar = round(0.5 - p["model"]["dropout"] / 2 + p["train"]["epochs"] / 1000, 4)
level = {"uar": 1 - uar, "accuracy": 0.5, "macro_f1": 0.5}
level["interval"] = {"uar": {"low": 0.0, "high": 1.0}}
out = pathlib.Path("metrics/plots")
out.mkdir(parents=True, exist_ok=True)
(out.parent / "metrics.json").write_text(json.dumps({"clip": level, "block": level}))
rows = [f"{fold}-a,validation,3,{uar},{uar}" for fold in p["runs"]["folds"]]
(out / "learning_curves.csv").write_text("run,side,iteration,loss,uar\\n" + "\\n".join(rows) + "\\n")
"""


def make_search_project(folder):
    """Write it, committed; runs last a minute each where the file `slow` lies in `folder`."""
    project = folder / "project"
    (project / "stages").mkdir(parents=True)
    (project / "src").mkdir()
    (project / "src/empty.py").write_text("", encoding="utf-8")
    shutil.copy(ROOT / "params.yaml", project)
    (project / "dvc.yaml").write_text(STAGES, encoding="utf-8")
    (project / "stages/all.py").write_text(STAGE.replace("{slow!r}", repr(str(folder / "slow"))), encoding="utf-8")
    for command in (
        ["git", "init", "-q", "-b", "main"],
        ["git", "config", "user.name", "made"],
        ["git", "config", "user.email", "made@example.org"],
        ["git", "add", "-A"],
        ["git", "commit", "-qm", "made"],
    ):
        subprocess.run(command, cwd=project, check=True)
    return project
