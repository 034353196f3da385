"""The training stage's loop against bare loops, its settings against torch's defaults, two processes against one.

Everything that is compared is measured by turns in one run, and ratios are of medians, so a machine that is busy with
other work changes times far more than ratios. Ratios of CPU time are printed too: on a busy machine they are the
steadier ones (of one thread; several wait for one another).
"""

import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from steps import Bare, InMemory, Settings, load_seconds, loader_steps, made_images, on_disk, stage_steps

from pipeline.learning.launch import use_processes
from pipeline.learning.team import joined, team_of_environment
from pipeline.models.inference import prepare_torch

NETWORKS = ("alexnet", "squeezenet1_1")
TUNED = {"fused": True, "channels_last": True}
Times = list[tuple[float, float]]
# name: settings, and whether glibc keeps what was freed, which is for a whole process
WAYS: dict[str, tuple[dict[str, bool], bool]] = {
    "torch's defaults": ({}, False),
    "fused optimizer": ({"fused": True}, False),
    "channels-last": ({"channels_last": True}, False),
    "bf16": ({"bf16": True}, False),
    "freed memory kept": ({}, True),
    "all, float32": (TUNED, True),
    "all, bf16": ({**TUNED, "bf16": True}, True),
}
Row = tuple[str, float, float]  # what, ratio of wall time, ratio of CPU time


def median(times: Times, which: int) -> float:
    """Median of wall (0) or CPU (1) seconds."""
    return statistics.median(one[which] for one in times)


def ratios(slow: Times, fast: Times) -> tuple[float, float]:
    """By how much one is faster: wall, CPU."""
    return median(slow, 0) / median(fast, 0), median(slow, 1) / median(fast, 1)


def against_bare(settings: Settings, n_steps: int) -> Iterator[Row]:
    """The stage's loop over a bare one on one batch that is ready, a step of each by turns."""
    n = n_steps * settings.batch
    images = made_images(n, settings.size)
    label = f"{settings.network} {'bf16' if settings.bf16 else 'float32'}"
    with tempfile.TemporaryDirectory() as folder, on_disk(images, Path(folder)) as disk:
        for name, source in (("in memory", InMemory(images)), ("on disk", disk)):
            bare, of_bare = Bare(settings), Times()
            of_stage = stage_steps(
                settings, source, n_images=n, between=lambda b=bare, found=of_bare: found.append(b.step())
            )
            yield f"{label}, {name}: the stage's loop over a bare one", *ratios(of_bare[2:], of_stage)
            share = load_seconds(settings, source, n) / median(of_stage, 0)
            yield f"{label}, {name}: share of a step that loading takes", share, share


def against_loaders(settings: Settings, n_steps: int) -> Iterator[Row]:
    """The stage's loop over a bare one that a DataLoader feeds out of the same file."""
    n = n_steps * settings.batch
    images = made_images(n, settings.size)
    with tempfile.TemporaryDirectory() as folder, on_disk(images, Path(folder)) as disk:
        for n_workers in (0, 2):
            bare = Bare(settings)
            seconds = loader_steps(bare, Path(folder) / "images.h5", n_workers=n_workers)
            ours = stage_steps(settings, disk, n_images=n)
            ratio = statistics.median(seconds) / median(ours, 0)
            yield f"{settings.network}: over a bare loop with a DataLoader, {n_workers} workers", ratio, float("nan")


def frozen_once(settings: Settings, n_images: int) -> Iterator[Row]:
    """Epochs after the first of a frozen network, what enters the head kept or computed each time."""
    source = InMemory(made_images(n_images, settings.size))
    each = n_images // settings.batch
    found = [
        stage_steps(replace(settings, frozen=True, reuse=reuse), source, n_images=n_images, epochs=4, each=each)
        for reuse in (False, True)
    ]
    yield f"{settings.network}, frozen: an epoch that reuses features over one that does not", *ratios(*found)


def in_child(what: str, *, processes: int = 1, threads: int, **about: Any) -> Times:
    """Times that this script finds in a process of its own; its memory is its own too."""
    given = json.dumps({"what": what, "processes": processes, "threads": threads, **about})
    done = subprocess.run([sys.executable, __file__, "--child", given], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return [(wall, cpu) for wall, cpu in json.loads(done.stdout.splitlines()[-1])]


def child(
    what: str, *, processes: int, threads: int, keeps_memory: bool, n_steps: int, settings: dict[str, Any]
) -> None:
    """Print the times of steps: `bare`, or of the stage's loop in several processes."""
    use_processes(processes)
    own = Settings(**settings)
    team = team_of_environment()
    if keeps_memory:
        prepare_torch(threads=team.threads(threads), deterministic=True)
    elif threads:
        torch.set_num_threads(threads)
    if what == "bare":
        bare = Bare(own)
        print(json.dumps([bare.step() for _ in range(n_steps + 2)][2:]))
        return
    n = n_steps * own.batch
    with joined(team):
        found = stage_steps(own, InMemory(made_images(n, own.size)), n_images=n, team=team)
    if team.leads:
        print(json.dumps(found))


def settings_alone(network: str, optimizer: str, *, n_steps: int, repeats: int, threads: int) -> Iterator[Row]:
    """Each setting, and all, over torch's defaults."""
    found: dict[str, Times] = {name: [] for name in WAYS}
    for _ in range(repeats):
        for name, (changed, keeps) in WAYS.items():
            own = asdict(Settings(network=network, optimizer=optimizer, **changed))
            found[name] += in_child("bare", threads=threads, keeps_memory=keeps, n_steps=n_steps, settings=own)
    default = found.pop("torch's defaults")
    for name, times in found.items():
        yield f"{network} {optimizer}: {name} over torch's defaults", *ratios(default, times)


def in_two(network: str, *, n_steps: int, repeats: int, threads: int) -> Iterator[Row]:
    """Two processes over one, which has as many threads as both together."""
    found: dict[int, Times] = {1: [], 2: []}
    own = asdict(Settings(network=network, **TUNED))
    for _ in range(repeats):
        for n in found:
            found[n] += in_child(
                "stage", processes=n, threads=threads, keeps_memory=True, n_steps=n_steps, settings=own
            )
    yield f"{network}: two processes over one", ratios(found[1], found[2])[0], float("nan")


def main(
    steps: Annotated[int, typer.Option(help="Timed steps of each way and turn.")] = 8,
    repeats: Annotated[int, typer.Option(help="Turns of what needs processes of its own.")] = 2,
    threads: Annotated[int, typer.Option(help="CPU threads; 0: one per core.")] = 0,
    networks: Annotated[str, typer.Option(help="Of torchvision, separated by commas.")] = ",".join(NETWORKS),
    parts: Annotated[str, typer.Option(help="Which of loop, loader, frozen, settings, processes.")] = (
        "loop,loader,frozen,settings,processes"
    ),
    json_path: Annotated[Path, typer.Option("--json", help="Where all figures go.")] = Path(
        "benchmarks/results/training.json"
    ),
    child_of: Annotated[str, typer.Option("--child", hidden=True)] = "",
) -> None:
    if child_of:
        child(**json.loads(child_of))
        return
    prepare_torch(threads=threads, deterministic=True)
    print(f"{threads or os.cpu_count()} threads\n\n| what | wall | CPU |\n|---|---|---|")
    results: dict[str, tuple[float, float]] = {}
    for network in networks.split(","):
        own = Settings(network=network, **TUNED)
        ways = {
            "loop": [against_bare(own, steps + 2), against_bare(replace(own, bf16=True), steps + 2)],
            "loader": [against_loaders(own, steps + 2)],
            "frozen": [frozen_once(own, 4 * own.batch)],
            "settings": [
                settings_alone(network, optimizer, n_steps=steps, repeats=repeats, threads=threads)
                for optimizer in ("sgd", "adamw")
            ],
            "processes": [in_two(network, n_steps=steps, repeats=repeats, threads=threads)],
        }
        for row in (row for part in parts.split(",") for way in ways[part] for row in _quiet(way)):
            print(f"| {row[0]} | {row[1]:.3g} | {row[2]:.3g} |".replace("nan", ""), flush=True)
            results[row[0]] = row[1:]
    json_path.parent.mkdir(parents=True, exist_ok=True)
    json_path.write_text(json.dumps(results, indent=2) + "\n")


def _quiet(rows: Iterator[Row]) -> Iterator[Row]:
    while True:
        with contextlib.redirect_stderr(io.StringIO()):
            row = next(rows, None)
        if row is None:
            return
        yield row


if __name__ == "__main__":
    sys.exit(typer.run(main))
