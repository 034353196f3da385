"""A corpus under DVC: a thousand clips, then one more; and what the stages cost that train nothing, forced to run."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
from processes import ROOT, save_corpus, write_params

COPIED = (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "dvc.yaml", "src", "stages")
LAST = "render_spectrograms@made"


def measure_rerun(clips: Sequence[np.ndarray], folder: Path) -> Iterator[tuple[str, float]]:
    """Wall seconds of `dvc repro` up to the images: at first, again with nothing changed, and after one new clip."""
    for name in COPIED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, target)
    save_corpus(folder, clips, n_copies=-(-1000 // len(clips)), seconds=3.0)
    n_clips = len(list((folder / "data/raw/made").rglob("*.wav")))
    write_params(folder, workers=0)
    _run("git", "init", "-q", folder=folder)
    yield "dvc_clips", n_clips
    yield "dvc_first_s", _run("dvc", "repro", LAST, folder=folder)
    yield "dvc_nothing_changed_s", _run("dvc", "repro", LAST, folder=folder)
    new = 0.03 * np.random.default_rng(1).standard_normal(3 * 44100)
    soundfile.write(folder / "data/raw/made/joy/new.wav", new, 44100, subtype="PCM_16")
    yield "dvc_one_new_clip_s", _run("dvc", "repro", LAST, folder=folder)
    yield "dvc_forced_s", _run("dvc", "repro", "--force", LAST, folder=folder)


def _run(*command: str, folder: Path) -> float:
    """Wall seconds of a command that has to end well."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
    return time.perf_counter() - start
