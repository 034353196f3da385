"""The pipeline as people run it: a copy of the project, a small made corpus, `dvc repro`, variations, refusals."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[1]
COPIED = (
    ".dvc/.gitignore",
    ".dvc/config",
    ".dvc/plots",
    ".dvcignore",
    ".gitignore",
    "dvc.yaml",
    "params.yaml",
    "src",
    "stages",
    "data/raw/.gitignore",
)
SMALL = {
    "corpora": "[mine]",
    "split.n_folds": "4",
    "runs.folds": "[0,1]",
    "model.name": "squeezenet1_1",
    "image.height": "64",
    "image.width": "64",
    "train.epochs": "1",
    "demo.joy": "1",
    "demo.anger": "1",
    "demo.neutral": "1",
    "demo.min_seconds": "4.0",
    "demo.max_seconds": "4.0",
    "evaluate.n_resamples": "100",
}


def run(project, *command, code=0):
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@example.org",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@example.org",
        "DVC_NO_ANALYTICS": "1",
    }
    done = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == code, f"{command} exited with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def ran(output):
    """Names of the stages that DVC ran."""
    return {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}


def make_corpus(folder):
    """Two classes of two-second noises, high and low, in wav and flac, and one file that is no sound."""
    for label, slope in (("high", 1), ("low", -1)):
        for number in range(4):
            rng = np.random.default_rng([number, slope + 1])
            noise = rng.standard_normal(44100 * 3 + 1)
            sound = noise[1:] - slope * 0.95 * noise[:-1]
            path = folder / label / f"{number}.{'wav' if number % 2 else 'flac'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, 0.05 * sound, 44100, subtype="PCM_16")
    (folder / "low" / "broken.wav").write_text("<html>not found</html>", encoding="utf-8")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    for name in COPIED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    run(folder, "git", "init", "-q")
    make_corpus(folder / "data/raw/mine")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "start")
    changes = [part for key, value in SMALL.items() for part in ("-S", f"{key}={value}")]
    output = run(folder, "dvc", "exp", "run", *changes)
    (folder / "first_output.txt").write_text(output, encoding="utf-8")
    return folder


def metrics_of(project):
    return json.loads((project / "metrics/metrics.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_recordings_in_metrics_out(project):
    metrics = metrics_of(project)
    # two of the four folds were run: half of the clips were tested
    assert metrics["clip"]["n"] == {"high": 2, "low": 2, "total": 4}
    assert metrics["block"]["n"] == {"high": 4, "low": 4, "total": 8}
    assert metrics["baselines"]["thumbnail"]["clip"]["uar"] == 1.0  # high noise and low noise look different
    assert metrics["corpora"] == ["mine"]
    assert metrics["split"]["leakage"]["overlaps_training"] == 0.0
    split = json.loads((project / "metrics/split.json").read_text(encoding="utf-8"))
    assert split["corpora"]["mine"]["rejected"] == 1
    rejected = (project / "data/processed/clips/mine/rejected.csv").read_text(encoding="utf-8")
    assert "broken.wav" in rejected
    assert "HTML" in rejected


@pytest.mark.slow
def test_recordings_are_not_committed(project):
    assert "data/raw/mine" not in run(project, "git", "ls-files")
    assert "?? data" not in run(project, "git", "status", "--porcelain")


@pytest.mark.slow
def test_a_second_run_runs_nothing(project):
    assert ran(run(project, "dvc", "repro")) == set()


def stale(project, *changes):
    """Stages that a change of params.yaml would rerun, as DVC names them: the changed ones and all behind them."""
    path = project / "params.yaml"
    before = path.read_text(encoding="utf-8")
    try:
        text = before
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")
        changed = set(json.loads(run(project, "dvc", "status", "--json").splitlines()[-1]))
        edges = [line.split(" -> ") for line in run(project, "dvc", "dag", "--dot").splitlines() if " -> " in line]
        pairs = [(a.strip(' ";\t'), b.strip(' ";\t')) for a, b in edges]
        while more := {b for a, b in pairs if a in changed} - changed:
            changed |= more
        return changed
    finally:
        path.write_text(before, encoding="utf-8")


BEHIND_TRAINING = {"train_model", "predict_blocks", "evaluate_model", "report"}
BEHIND_IMAGES = BEHIND_TRAINING | {"list_spectrograms", "fit_baselines"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "stages"),
    [
        (("colormap: jet", "colormap: grey"), BEHIND_IMAGES | {"render_spectrograms"}),
        (("axis: mel", "axis: log"), BEHIND_IMAGES | {"render_spectrograms"}),
        (("target_db: -23.0", "target_db: -24.0"), BEHIND_IMAGES | {"render_spectrograms", "normalize_loudness"}),
        (("epochs: 1\n", "epochs: 2\n"), BEHIND_TRAINING),
        (("n_resamples: 100", "n_resamples: 101"), {"evaluate_model", "report"}),
        (("wrong_clips: 6", "wrong_clips: 5"), {"report"}),
        (("clip_uar: 0.05", "clip_uar: 0.01"), set()),
        (("workers: 0", "workers: 1"), set()),
        (("balance: train", "balance: none"), BEHIND_TRAINING | {"split_blocks", "fit_baselines"}),
        (
            ("slide_seconds: 1.0", "slide_seconds: 0.5"),
            BEHIND_IMAGES | {"slice_blocks", "normalize_loudness", "render_spectrograms", "split_blocks"},
        ),
    ],
)
def test_a_change_reruns_only_what_depends_on_it(project, change, stages):
    assert {name.split("@")[0] for name in stale(project, change)} == stages


@pytest.mark.slow
def test_another_fold_trains_alone(project):
    assert stale(project, ("  folds:\n  - 0\n  - 1\n", "  folds:\n  - 0\n  - 1\n  - 2\n")) == {
        *("train_model@2-a", "predict_blocks@2-a", "fit_baselines@2", "evaluate_model", "report")
    }


@pytest.mark.slow
def test_another_member_trains_alone(project):
    member = "  b:\n    seed: 1\n    model: {}\n    train: {}\n"
    changes = ("  members:\n  - a\n", "  members:\n  - a\n  - b\n"), ("\ndata:\n", f"{member}\ndata:\n")
    new = {f"{stage}@{fold}-b" for stage in ("train_model", "predict_blocks") for fold in (0, 1)}
    assert stale(project, *changes) == new | {"fetch_weights@b", "evaluate_model", "report"}


@pytest.mark.slow
def test_a_members_own_seed_retrains_that_member_only(project):
    changed = stale(
        project,
        ("    # Seeds starting weights", "    # seeds starting weights"),
        ("    seed: 0\n    # Keys", "    seed: 7\n    # Keys"),
    )
    assert {name.split("@")[0] for name in changed} == BEHIND_TRAINING


@pytest.mark.slow
def test_bad_values_are_refused_before_any_work(project):
    output = run(project, "dvc", "exp", "run", "-S", "train.epochs=many", "-S", "image.height=0", code=255)
    assert "train.epochs" in output
    assert "image.height" in output
    assert "Traceback" not in output
    run(project, "git", "checkout", "-q", "params.yaml")
    changes = [part for key, value in SMALL.items() for part in ("-S", f"{key}={value}")]
    assert ran(run(project, "dvc", "exp", "run", *changes)) == set()


@pytest.mark.slow
def test_a_run_in_a_copy_leaves_the_workspace_alone(project, tmp_path):
    make_corpus(tmp_path / "mine")
    before = (project / "metrics/metrics.json").read_bytes()
    changes = {**SMALL, "data.root": str(tmp_path), "evaluate.n_resamples": "150"}
    arguments = [part for key, value in changes.items() for part in ("-S", f"{key}={value}")]
    output = run(project, "dvc", "exp", "run", "--temp", "-n", "in-a-copy", *arguments)
    assert "in-a-copy" in output
    assert (project / "metrics/metrics.json").read_bytes() == before
    refs = run(project, "git", "for-each-ref", "--format=%(refname)", "refs/exps").splitlines()
    (ref,) = [name for name in refs if name.endswith("/in-a-copy")]
    metrics = json.loads(run(project, "git", "show", f"{ref}:metrics/metrics.json"))
    assert metrics["clip"]["n"]["total"] == 4


@pytest.mark.slow
def test_a_sweep_is_queued_and_run_one_after_the_other(project, tmp_path):
    make_corpus(tmp_path / "mine")
    changes = {**SMALL, "data.root": str(tmp_path), "evaluate.seed": "1,2"}
    arguments = [part for key, value in changes.items() for part in ("-S", f"{key}={value}")]
    run(project, "dvc", "exp", "run", "--queue", *arguments)
    assert run(project, "dvc", "queue", "status").count("Queued") == 2
    run(project, "dvc", "exp", "run", "--run-all")
    table = json.loads(run(project, "dvc", "exp", "show", "--json").splitlines()[-1])
    shown = [row for row in table[-1]["experiments"] or [] for row in row["revs"]]
    seeds = [row["data"]["params"]["params.yaml"]["data"]["evaluate"]["seed"] for row in shown]
    assert sorted(seeds)[-2:] == [1, 2]


@pytest.mark.slow
def test_to_the_demo_and_back_leaves_git_clean_and_reruns_nothing(project):
    run(project, "git", "checkout", "-q", "params.yaml")
    changes = [part for key, value in SMALL.items() for part in ("-S", f"{key}={value}")]
    assert ran(run(project, "dvc", "exp", "run", *changes)) == set()
    run(project, "git", "add", ".")
    run(project, "git", "commit", "-q", "-m", "results of mine", "--allow-empty")
    run(project, "dvc", "exp", "run", "-S", "corpora=[demo]")
    assert metrics_of(project)["corpora"] == ["demo"]
    assert run(project, "git", "status", "--porcelain") != ""
    run(project, "git", "checkout", "-q", "params.yaml", "dvc.lock", "metrics")
    run(project, "dvc", "checkout")
    assert run(project, "git", "status", "--porcelain") == ""
    assert ran(run(project, "dvc", "repro")) == set()
    assert run(project, "git", "status", "--porcelain") == ""
    assert metrics_of(project)["corpora"] == ["mine"]
