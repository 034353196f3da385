"""The runs behind the optimism gap: DVC experiments under names that tell whether one is there already."""

import json
import os
import subprocess

import pytest
from plan.cases import params

from pipeline.errors import GapError
from pipeline.gap import GAP, measure_gap
from pipeline.gap.runs import Run, do_runs
from pipeline.store.paths import METRICS, PLOTS, SPLIT_METRICS
from pipeline.store.tables import Answer, write_rows

# Stands in for DVC: records how it was called, and keeps an experiment as DVC does.
DVC = """#!/bin/sh
printf '%s\\n' "$*" >> "$CALLS"
case "$*" in *seed=1*) [ -z "$FAIL" ] || { echo "error: split: too few"; exit 1; };; esac
name=$(echo "$*" | sed 's/.*--name \\([^ ]*\\).*/\\1/')
head=$(git rev-parse HEAD)
git add -f metrics && tree=$(git write-tree) && git reset -q
commit=$(git commit-tree "$tree" -p "$head" -m "$name")
git update-ref "refs/exps/$(echo $head | cut -c1-2)/$(echo $head | cut -c3-)/$name" "$commit"
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    binary = tmp_path / "bin" / "dvc"
    binary.parent.mkdir()
    binary.write_text(DVC)
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{binary.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("FAIL", "")
    for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{name}_NAME", "made")
        monkeypatch.setenv(f"{name}_EMAIL", "made@example.org")
    subprocess.run(["git", "init", "-q"], check=True)
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    subprocess.run(["git", "add", "dvc.yaml"], check=True)
    subprocess.run(["git", "commit", "-qm", "made"], check=True)
    write_metrics()
    return tmp_path


def write_metrics():
    rows = [
        Answer(clip_id=f"{label}{i}", unit=f"{label}{i}", actual=label, predicted=label, n=1)
        for label in "xy"
        for i in range(3)
    ]
    level = {"uar": 1.0, "n": {"total": 6}}
    baselines = {name: {"clip": level, "block": level} for name in ("nuisance", "thumbnail")}
    start = {"a": {"network": "small", "weights": "random"}}
    METRICS.parent.mkdir(parents=True)
    METRICS.write_text(
        json.dumps(
            {
                "clip": level,
                "block": level,
                "baselines": baselines,
                "start": start,
                "corpora": ["made"],
                "split": {},
            }
        )
    )
    SPLIT_METRICS.write_text(json.dumps({"leakage": {"overlaps_training": 0.0}, "folds": {"0": {"train": {"x": 5}}}}))
    for name in ("clip", "block"):
        write_rows(PLOTS / f"confusion_{name}.csv", Answer, rows)


def calls(project):
    path = project / "calls"
    return path.read_text().splitlines() if path.exists() else []


def test_each_split_and_seed_is_an_experiment_beside_the_workspace(project):
    runs = [Run(by=by, on="group", seed=seed) for seed in (0, 1) for by in ("block", "group")]
    assert list(do_runs(runs, params(), settings=["train.epochs=3"])) == runs
    made = calls(project)
    assert len(made) == 4
    assert all(call.startswith("exp run --temp --name gap-") for call in made)
    settings = made[3].split(" -S ")[1:]
    assert settings[:5] == [
        "split.by=group",
        "split.method=matched",
        "split.matched_on=group",
        "split.seed=1",
        "runs.folds=[0]",
    ]
    assert "members.a.seed=1" in settings
    assert settings[-1] == "train.epochs=3"


def test_what_was_run_is_not_run_again(project):
    runs = [Run(by=by, on="group", seed=0) for by in ("block", "group")]
    do_runs(runs[:1], params(), settings=[])
    do_runs(runs, params(), settings=[])
    assert len(calls(project)) == 2
    do_runs(runs, params(), settings=["train.epochs=3"])
    assert len(calls(project)) == 4
    do_runs(runs, params(train__epochs=77), settings=[])
    assert len(calls(project)) == 6


def test_changed_sources_are_run_again(project):
    runs = [Run(by="block", on="group", seed=0)]
    do_runs(runs, params(), settings=[])
    (project / "dvc.yaml").write_text("stages: {} # changed\n")
    do_runs(runs, params(), settings=[])
    assert len(calls(project)) == 2


def test_a_run_that_fails_says_why_and_the_others_stay(project, monkeypatch):
    monkeypatch.setenv("FAIL", "yes")
    runs = [Run(by="block", on="group", seed=seed) for seed in (0, 1)]
    with pytest.raises(GapError, match=r"a run failed: split: too few \(the run: dvc exp run --temp"):
        do_runs(runs, params(), settings=[])
    monkeypatch.setenv("FAIL", "")
    do_runs(runs, params(), settings=[])
    assert len(calls(project)) == 3


def test_the_whole_is_measured_and_written(project):
    found = measure_gap(params(evaluate__n_resamples=100), on="group", by=["block", "clip"], seeds=2, settings=[])
    assert [one.by for one in found.levels["clip"]] == ["block", "clip", "group"]
    written = json.loads(GAP.read_text(encoding="utf-8"))
    assert written["clip"]["block"]["gap"] == 0
    assert written["seeds"] == 2


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"on": "clip"}, "--on clip: name a field of clips.csv"),
        ({"by": ["group"]}, "--by: name at least one split"),
        ({"seeds": 0}, "--seeds 0: at least 1"),
        ({"settings": ["split.seed=3"]}, "--set split.seed=3: the comparison sets this itself"),
    ],
)
def test_what_contradicts_the_comparison_is_refused(changed, said):
    asked = {"on": "group", "by": ["block"], "seeds": 1, "settings": []} | changed
    with pytest.raises(GapError) as caught:
        measure_gap(params(), **asked)
    assert said in str(caught.value)
