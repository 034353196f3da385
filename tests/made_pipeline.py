"""A copy of the project with a small made corpus, and its commands run in it as people run them."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

from pipeline.corpora.emodb import expected_paths

ROOT = Path(__file__).resolve().parents[1]
COPIED = (
    ".dvc/.gitignore",
    ".dvc/config",
    ".dvc/plots",
    ".dvcignore",
    ".gitignore",
    "dvc.yaml",
    "params.yaml",
    "Makefile",
    "pyproject.toml",
    "papers",
    "requirements.lock",
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
    "demo.joy": "4",
    "demo.anger": "4",
    "demo.neutral": "4",
    "demo.min_seconds": "4.0",
    "demo.max_seconds": "4.0",
    "evaluate.n_resamples": "100",
}
BEHIND_TRAINING = {"train_model", "predict_blocks", "list_heads", "evaluate_model", "report"}
BEHIND_IMAGES = BEHIND_TRAINING | {"list_spectrograms", "fit_baselines"}
BLOCKS = {"slice_blocks", "normalize_loudness", "render_spectrograms", "sample_frames"}
SPEAKERS = ("03", "08", "14", "16")  # of EMO-DB


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


def make_speech(folder):
    """Write noises under names of EMO-DB and RAVDESS: four speakers each; anger and sadness, and RAVDESS's calm."""
    slopes = {"W": 1, "T": -1, "05": 1, "04": -1, "02": 0}
    emodb = [
        (f"emodb/{path}", slopes[name[5]])
        for name, path in expected_paths().items()
        if name[:2] in SPEAKERS and name[5] in slopes
    ]
    ravdess = [
        (f"ravdess_speech/Actor_{actor:02}/03-01-{emotion}-01-{words:02}-{take:02}-{actor:02}.wav", slopes[emotion])
        for actor in range(1, 5)
        for emotion in ("05", "04", "02")
        for words in (1, 2)
        for take in (1, 2)
    ]
    rng = np.random.default_rng(0)
    for name, slope in emodb + ravdess:
        noise = rng.standard_normal(16000 * 2 + 1)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, 0.05 * (noise[1:] - slope * 0.95 * noise[:-1]), 16000)


def metrics_of(project):
    return json.loads((project / "metrics/metrics.json").read_text(encoding="utf-8"))


def settings(**changes):
    """`-S key=value` for `dvc exp run`: the small settings, and changes to them (a.b written a__b)."""
    values = {**SMALL, **{key.replace("__", "."): value for key, value in changes.items()}}
    return [part for key, value in values.items() for part in ("-S", f"{key}={value}")]


def make_project(folder):
    """Copy the project into an empty folder, with its own git repository and a made corpus of its own."""
    for name in COPIED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            for path in source.rglob("__pycache__"):  # what is compiled there need not be compiled here
                (target / path.relative_to(source)).symlink_to(path)
        else:
            shutil.copy(source, target)
    run(folder, "git", "init", "-q", "-b", "main")
    # As `make setup` would have left it; the pattern .venv/ of .gitignore does not match a link.
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / ".git/info/exclude").write_text(".venv\n__pycache__\n", encoding="utf-8")
    make_corpus(folder / "data/raw/mine")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "start")


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


def make_run_project(folder, factory):
    """Make the project in an empty folder as it is after a run with the small settings; a session runs it once."""
    session = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        session = session.parent
    with (session / "run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        first = session / "run"
        if not first.exists():
            make_project(session / "made")
            run(session / "made", "dvc", "exp", "run", *settings())
            (session / "made").rename(first)
    shutil.copytree(first, folder, symlinks=True)
    return folder
