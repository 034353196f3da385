"""Is bf16 as good as float32? The same networks trained in both, from the same seeds, by UAR on speakers not heard."""

import contextlib
import io
import statistics
import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import torch
import typer

from pipeline.features.spectrogram import SpectrogramSpec, band_decibels, draw_image
from pipeline.learning.recipe import Recipe
from pipeline.learning.sides import Side
from pipeline.models.inference import prepare_torch
from pipeline.models.networks import start_network
from pipeline.models.preparation import Preparation
from pipeline.train import train_network

EMOTIONS = {"W": "anger", "N": "neutral", "F": "happiness", "T": "sadness"}  # sixth letter of EMO-DB's names
CPU = torch.device("cpu")


class InMemory:
    """Images by their place."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = images

    def batch(self, block_ids: list[str]) -> np.ndarray:
        """Images of some blocks."""
        return self.images[[int(block_id) for block_id in block_ids]]


def read(folder: Path, pixels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images (n, pixels, pixels, 3), classes and speakers of the recordings of four emotions."""
    images, labels, speakers = [], [], []
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".wav", ".flac") or path.stem[5] not in EMOTIONS:
            continue
        samples, rate = soundfile.read(path, dtype="float32")
        samples = samples / max(float(np.sqrt(np.mean(samples**2))), 1e-6) * 0.05
        spec = SpectrogramSpec(rate, "hamming", round(0.025 * rate), 0.0125, 1024, "mel", pixels, 20.0, 8000.0, pixels)
        drawing = {"low_db": -110.0, "high_db": -30.0, "colormap": "jet", "n_colours": 64}
        images.append(draw_image(band_decibels(samples, spec), height=pixels, width=pixels, **drawing))
        labels.append(list(EMOTIONS).index(path.stem[5]))
        speakers.append(int(path.stem[:2]))
    return np.stack(images), np.array(labels), np.array(speakers)


def uar_of(
    precision: str, seed: int, data: tuple[np.ndarray, np.ndarray, np.ndarray], state: dict | None, epochs: int
) -> tuple[float, float]:
    """UAR on the speakers that a seed leaves out, and the seconds of training."""
    images, labels, speakers = data
    heard = np.isin(speakers, np.random.default_rng(seed).permutation(np.unique(speakers))[3:])
    sides = [
        Side(block_ids=[str(i) for i in np.flatnonzero(there)], labels=labels[there].astype(np.int64))
        for there in (heard, ~heard)
    ]
    network = start_network("squeezenet1_1", n_classes=4, weights=state, init="kaiming", seed=seed)
    recipe = Recipe(
        epochs=epochs,
        batch_images=16,
        optimizer="adamw",
        learning_rate=3e-4,
        head_rate_factor=3.0,
        momentum=0.9,
        weight_decay=1e-4,
        validate_every=10**6,
        keep="last",
        normalise="imagenet",
        seed=seed,
        schedule="cosine",
        precision=precision,
    )
    points = []
    begin = time.perf_counter()
    train_network(
        network,
        InMemory(images),
        sides[0],
        sides[1],
        n_classes=4,
        recipe=recipe,
        preparation=Preparation(normalise="imagenet"),
        device=CPU,
        on_point=points.append,
    )
    return points[-1].uar, time.perf_counter() - begin


def main(
    recordings: Annotated[Path, typer.Argument(help="EMO-DB, each recording as long as the others.")],
    weights: Annotated[Path | None, typer.Option(help="SqueezeNet 1.1's ImageNet weights; none: random ones.")] = None,
    seeds: Annotated[int, typer.Option(help="Runs in each precision.")] = 5,
    epochs: Annotated[int, typer.Option(help="Of each run.")] = 8,
    pixels: Annotated[int, typer.Option(help="Height and width of the images.")] = 96,
    threads: Annotated[int, typer.Option(help="0: one per core.")] = 0,
) -> None:
    prepare_torch(threads=threads, deterministic=True)
    data = read(recordings, pixels)
    state = torch.load(weights, weights_only=True) if weights else None
    print(f"{len(data[0])} recordings of {len(set(data[2].tolist()))} speakers, three of them held out")
    print("| seed | float32 UAR | bf16 UAR | float32 s | bf16 s |\n|---|---|---|---|---|")
    rows = []
    for seed in range(seeds):
        with contextlib.redirect_stderr(io.StringIO()):
            (uar, seconds), (uar_bf16, seconds_bf16) = (
                uar_of(precision, seed, data, state, epochs) for precision in ("float32", "bf16")
            )
        rows.append((uar, uar_bf16))
        print(f"| {seed} | {uar:.3f} | {uar_bf16:.3f} | {seconds:.0f} | {seconds_bf16:.0f} |", flush=True)
    differences = [bf16 - own for own, bf16 in rows]
    spread = statistics.stdev(differences) / len(rows) ** 0.5 if len(rows) > 1 else float("nan")
    means = [statistics.mean(column) for column in zip(*rows, strict=True)]
    print(f"mean UAR {means[0]:.3f} and {means[1]:.3f}: bf16 {statistics.mean(differences):+.3f} (+- {spread:.3f})")


if __name__ == "__main__":
    sys.exit(typer.run(main))
