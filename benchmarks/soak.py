"""Peak memory and time of every stage for little and for much sound: python benchmarks/soak.py HOURS HOURS ...

Recordings of noise are made in a folder of its own and deleted afterwards; images are small and the network tiny, for
what is asked is what grows with the number of clips and blocks. synthesize_demo is left out: it makes sound itself.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests/faults")]

from made_workspace import STAGES, write_params

from pipeline.store.paths import blocks_csv

RATE, CLIP_SECONDS = 8000, 30
MOST_GROWTH = 1.10  # of peak memory, from the fewest hours to the most
MOST_BENT = 1.25  # CPU time per further hour, against that of the first


@dataclass(frozen=True)
class Cost:
    """What one stage took."""

    mib: float  # the most that any of its processes held
    seconds: float
    cpu_seconds: float


def make_sound(folder: Path, hours: float) -> None:
    """Two classes of recordings: bursts of coloured noise, each its own."""
    n_clips = max(round(3600 * hours / CLIP_SECONDS), 6)
    fade = np.linspace(0.2, 1, CLIP_SECONDS * RATE, dtype=np.float32)
    for number in range(n_clips):
        slope = 0.9 if number % 2 else -0.9
        noise = np.random.default_rng(number).standard_normal(CLIP_SECONDS * RATE + 1, dtype=np.float32)
        path = folder / ("high" if number % 2 else "low") / f"{number:06}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.05 * fade * (noise[1:] + slope * noise[:-1]), RATE, subtype="PCM_16")


def run_stage(workspace: Path, stage: str, item: str) -> Cost:
    """Run a stage as DVC does, and measure it and its children."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "DVC_STAGE": f"{stage}@{item}" if item else stage}
    start = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, ROOT / "stages" / f"{stage}.py"], cwd=workspace, env=environment, stdout=said, stderr=said
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sys.exit(f"{stage}: exit {process.returncode}: {said.read().decode(errors='replace')[-2000:]}")
    seconds = time.monotonic() - start
    return Cost(mib=usage.ru_maxrss / 1024, seconds=seconds, cpu_seconds=usage.ru_utime + usage.ru_stime)


def soak(folder: Path, hours: float) -> tuple[dict[str, Cost], int]:
    """Run all stages on so many hours of sound; return what each cost, and the number of blocks."""
    workspace = folder / f"{hours:g}"
    write_params(workspace, train__epochs=1, machine__workers=0, evaluate__n_resamples=1000)
    make_sound(workspace / "data/raw/mine", hours)
    costs = {}
    for stage, item in STAGES.items():
        if stage != "synthesize_demo":
            costs[stage] = run_stage(workspace, stage, item)
            print(f"  {hours:g} h: {stage}: {costs[stage].mib:.0f} MiB, {costs[stage].seconds:.1f} s", file=sys.stderr)
    n_blocks = sum(1 for _ in (workspace / blocks_csv("mine")).open(encoding="utf-8")) - 1
    shutil.rmtree(workspace)
    return costs, n_blocks


def table(found: dict[float, tuple[dict[str, Cost], int]]) -> tuple[str, bool]:
    """Show each stage's cost for the fewest and the most hours, and whether memory stayed flat and time straight."""
    few, many = min(found), max(found)
    (little, n_few), (much, n_many) = found[few], found[many]
    head = f"{few:g} h: {n_few} blocks; {many:g} h: {n_many} blocks"
    lines = [head, "", f"| stage | MiB, {few:g} h | MiB, {many:g} h | growth | bytes a block | CPU s, {few:g} h "]
    lines[-1] += f"| CPU s, {many:g} h | s a further hour |"
    lines.append("|" + "---|" * 8)
    flat = True
    for stage, small in little.items():
        large = much[stage]
        growth = large.mib / small.mib
        per_block = 2**20 * (large.mib - small.mib) / max(n_many - n_few, 1)
        slope = (large.cpu_seconds - small.cpu_seconds) / max(many - few, 1e-9)
        bent = slope * few > MOST_BENT * small.cpu_seconds
        flat &= growth <= MOST_GROWTH and not bent
        marks = f"{'' if growth <= MOST_GROWTH else ' !'} | {max(per_block, 0):.0f} "
        lines.append(
            f"| {stage} | {small.mib:.0f} | {large.mib:.0f} | {100 * (growth - 1):+.1f} %{marks}"
            f"| {small.cpu_seconds:.1f} | {large.cpu_seconds:.1f} | {slope:.2f}{' !' if bent else ''} |"
        )
    return "\n".join(lines), flat


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hours", type=float, nargs="*", default=[1.0, 10.0])
    parser.add_argument("--folder", type=Path, help="where to work: about 0.5 GB an hour")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-", dir=options.folder))
    try:
        found = {hours: soak(folder, hours) for hours in options.hours}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text, flat = table(found)
    print(text)
    sys.exit(0 if flat else 1)


if __name__ == "__main__":
    main()
