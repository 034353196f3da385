"""Whole stages as processes, start-up included: against the naive script, with one worker and two, on an hour too."""

import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("collect_clips", "slice_blocks", "normalize_loudness", "render_spectrograms")


def save_corpus(folder: Path, clips: Sequence[np.ndarray], *, n_copies: int = 1, seconds: float = 1e9) -> None:
    """Clips as 16-bit WAV of three labels in `data/raw/made`, each copy at a level of its own."""
    for number in range(n_copies * len(clips)):
        path = folder / "data/raw/made" / ("anger", "joy", "neutral")[number % 3] / f"{number:04d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = clips[number % len(clips)][: round(seconds * 44100)]
        soundfile.write(path, samples * 0.999 ** (number // len(clips)), 44100, subtype="PCM_16")


def write_params(folder: Path, *, workers: int) -> None:
    """The project's parameters, for the made corpus."""
    text = (ROOT / "params.yaml").read_text(encoding="utf-8").replace("- demo\n", "- made\n", 1)
    text = re.sub(r"^  workers: .*$", f"  workers: {workers}", text, flags=re.MULTILINE)
    (folder / "params.yaml").write_text(text, encoding="utf-8")


def seconds_of(*command: str, folder: Path, cpu: bool = False) -> float:
    """Wall or CPU seconds of a process that has to end well."""
    before, start = os.times(), time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])}
    subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, check=True)
    if cpu:
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - start


def stage_seconds(folder: Path, *, workers: int) -> dict[str, float]:
    """Wall seconds of each stage on the made corpus."""
    write_params(folder, workers=workers)
    return {stage: seconds_of(str(ROOT / f"stages/{stage}.py"), "made", folder=folder) for stage in STAGES}


def measure_processes(clips: Sequence[np.ndarray], folder: Path, *, repeats: int = 3) -> Iterator[tuple[str, float]]:
    """Figures of whole processes, by name; the first turn, in which kernels may be compiled, is told apart."""
    project = folder / "project"
    save_corpus(project, clips)
    yield "stages_first_s", sum(stage_seconds(project, workers=0).values())
    naive, one, two = [], [], []
    for _ in range(repeats):
        script = str(ROOT / "benchmarks/naive.py")
        naive.append(seconds_of(script, "data/raw/made", "naive.h5", folder=project))
        one.append(stage_seconds(project, workers=1))
        two.append(stage_seconds(project, workers=2))
    for stage in STAGES:
        yield f"{stage}_s", statistics.median(turn[stage] for turn in two)
    yield "naive_script_s", statistics.median(naive)
    for name, turns in (("one_worker", one), ("two_workers", two)):
        yield f"stages_{name} ratio", statistics.median(naive) / statistics.median(sum(t.values()) for t in turns)
    yield from start_up(project)
    hour = folder / "hour"
    save_corpus(hour, clips, n_copies=6)
    turns = {workers: [stage_seconds(hour, workers=workers) for _ in range(repeats)] for workers in (1, 2)}
    medians = {
        (workers, stage): statistics.median(turn[stage] for turn in own)
        for workers, own in turns.items()
        for stage in STAGES
    }
    for stage in STAGES:
        yield f"hour_{stage}_one_worker_s", medians[1, stage]
        yield f"hour_{stage}_two_workers ratio", medians[1, stage] / medians[2, stage]
    yield "hour_naive_script_s", seconds_of(str(ROOT / "benchmarks/naive.py"), "data/raw/made", "naive.h5", folder=hour)
    yield "hour_stages_two_workers_s", sum(medians[2, stage] for stage in STAGES)


def start_up(folder: Path, *, repeats: int = 3) -> Iterator[tuple[str, float]]:
    """CPU seconds until each stage could begin: it is asked for its help."""
    for script in sorted((ROOT / "stages").glob("*.py")):
        turns = [seconds_of(str(script), "--help", folder=folder, cpu=True) for _ in range(repeats)]
        yield f"start_{script.stem}_s", statistics.median(turns)
