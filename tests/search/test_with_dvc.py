"""A search as people run it: through DVC's own queue, one run that fails, the best for longer, and the same again."""

import csv
import json
import sys

import pytest
from made_pipeline import SMALL, make_project, run

PROGRAM = "from pipeline.cli import main; main()"


def emospec(project, *arguments, code=0):
    return run(project, "env", "PYTHONPATH=src", sys.executable, "-c", PROGRAM, *arguments, code=code)


@pytest.mark.slow
def test_a_grid_is_run_ranked_continued_and_shown(tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    make_project(project)
    fixed = SMALL | {"runs.folds": "[0]", "split.validation": "fraction", "split.validation_fraction": "0.3"}
    given = [part for key, value in fixed.items() if key != "model.name" for part in ("-S", f"{key}={value}")]
    command = ["search", "grid", "--name", "nets", *given, "-S", "model.name=no_such_net,squeezenet1_1"]
    command += ["--then", "1", "--then-set", "train.epochs=2", "--csv", "runs.csv"]

    said = emospec(project, *command)

    assert f"data.root='{project}/data/raw'" in said
    record = json.loads((project / "metrics/search/nets.json").read_text(encoding="utf-8"))
    states = {name: run["state"] for stage in ("first", "long") for name, run in record[stage].items()}
    assert states == {"nets-001": "failed", "nets-002": "done", "nets-long-002": "done"}
    assert "no_such_net" in record["first"]["nets-001"]["reason"]
    assert "nets-001 failed: " in said
    # the figures are those of the experiments that DVC keeps
    refs = run(project, "git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    kept = {ref.rpartition("/")[2]: ref for ref in refs if ref.rpartition("/")[2].startswith("nets-")}
    assert set(kept) == {"nets-002", "nets-long-002"}
    for stage, name, epochs in (("first", "nets-002", "epochs: 1\n"), ("long", "nets-long-002", "epochs: 2\n")):
        metrics = json.loads(run(project, "git", "show", f"{kept[name]}:metrics/metrics.json"))
        found = record[stage][name]["scores"]["values"]
        assert found["clip.uar"] == metrics["clip"]["uar"]
        assert epochs in run(project, "git", "show", f"{kept[name]}:params.yaml")
        curve = run(project, "git", "show", f"{kept[name]}:metrics/plots/learning_curves.csv")
        last = [row for row in csv.DictReader(curve.splitlines()) if row["side"] == "validation"][-1]
        assert found["validation.uar"] == float(last["uar"])
    assert [row["experiment"] for row in csv.DictReader((project / "runs.csv").open(encoding="utf-8"))] == [
        "nets-002",
        "nets-001",
        "nets-long-002",
    ]
    # the workspace is as it was, but for what the search writes
    assert set(run(project, "git", "status", "--porcelain").split("\n")) == {"?? metrics/", "?? runs.csv", ""}

    again = emospec(project, *command)
    assert "queued" not in again
    assert "2 runs, 0 to run" in again
    assert emospec(project, "search", "table") == again[again.index("Search nets") :]
