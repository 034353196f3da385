"""Loudness and rendering against the recipe that people write, in one run, each way after the other in turn."""

import contextlib
import io
import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import h5py
import naive
import numpy as np
import soundfile
import typer
from PIL import Image
from processes import measure_processes
from rerun import measure_rerun

from pipeline.audio.loudness import choose_gain, gate_powers, measure
from pipeline.features.colour import colour_table
from pipeline.features.scales import band_weights
from pipeline.features.scratch import Scratch
from pipeline.features.spectrogram import SpectrogramSpec, band_decibels, draw_image, frame_starts, make_window
from pipeline.store.arrays import new_arrays

DRAWING = {"low_db": -130.0, "high_db": -22.0, "colormap": "jet", "n_colours": 64, "height": 227, "width": 227}
Way = Callable[[Sequence[np.ndarray]], None]


def spec_of(fft_length: int) -> SpectrogramSpec:
    """The project's defaults at one length of the FFT."""
    return SpectrogramSpec(44100, "hamming", 400, 0.0045, fft_length, "mel", 257, 20.0, 20000.0, 259)


def made_clips(n: int = 4, seconds: float = 21.0) -> list[np.ndarray]:
    """Noise that swells, and a tone."""
    rng = np.random.default_rng(0)
    time_ = np.arange(round(seconds * naive.RATE)) / naive.RATE
    swell = [1 + np.sin(2 * np.pi * rng.uniform(0.1, 2) * time_) for _ in range(n)]
    tones = [0.1 * np.sin(2 * np.pi * rng.uniform(100, 4000) * time_) for _ in range(n)]
    noises = 0.05 * rng.standard_normal((n, len(time_)))
    return [(a * b + c).astype(np.float32) for a, b, c in zip(noises, swell, tones, strict=True)]


def real_clips(folder: Path, seconds: float = 60.0) -> list[np.ndarray]:
    """The first seconds of every recording at 44.1 kHz in a folder, as mono."""
    clips = []
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(soundfile.SoundFileError):
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
            if rate == naive.RATE and len(samples) >= naive.BLOCK:
                clips.append(samples[: round(seconds * rate)].mean(axis=1))
    return clips


def ours(clips: Sequence[np.ndarray], path: Path, fft_length: int) -> None:
    """Measure, normalise, render and write as the stages do."""
    spec = spec_of(fft_length)
    with new_arrays(path) as arrays:
        arrays.create("images", row_shape=(227, 227, 3), dtype=np.uint8)
        for samples in clips:
            arrays.append("images", images_of(samples, spec))
        arrays.finish({})


def images_of(samples: np.ndarray, spec: SpectrogramSpec) -> np.ndarray:
    """Rendered (n_blocks, 227, 227, 3) of a clip, each block at -23 LUFS."""
    blocks, scratch = naive.blocks_of(samples), Scratch()
    starts = np.arange(len(blocks)) * naive.SLIDE
    powers = gate_powers([samples], starts, np.full(len(blocks), naive.BLOCK), sample_rate=naive.RATE)
    images = np.empty((len(blocks), 227, 227, 3), np.uint8)
    for row, (block, power) in enumerate(zip(blocks, powers, strict=True)):
        gain_db = gain_of(block, power)
        decibels = band_decibels(block, spec, gain=10 ** (gain_db / 20), scratch=scratch)
        images[row] = draw_image(decibels, **DRAWING, scratch=scratch)
    return images


def gain_of(block: np.ndarray, powers: np.ndarray) -> float:
    """Gain to -23 LUFS, dB."""
    level = measure(block, powers)
    return choose_gain(level.lufs, level.peak(), target_db=-23.0, max_gain_db=60.0, limit_peak=False)[0]


def recipe(clips: Sequence[np.ndarray], path: Path, draw: Callable[..., np.ndarray], fft_length: int) -> None:
    """Block by block as `naive` does it."""
    with h5py.File(path, "w") as file:
        dataset = naive.new_dataset(file)
        for samples in clips:
            for block in naive.blocks_of(samples):
                naive.append(dataset, draw(block, fft_length))


def interleaved(ways: dict[str, Callable[[], None]], *, repeats: int) -> dict[str, dict[str, list[float]]]:
    """CPU and wall seconds of each way, in turn, after one turn that is not counted."""
    seconds: dict[str, dict[str, list[float]]] = {name: {"cpu": [], "wall": []} for name in ways}
    for turn in range(repeats + 1):
        for name, way in ways.items():
            cpu, wall = time.process_time(), time.perf_counter()
            way()
            if turn:
                seconds[name]["cpu"].append(time.process_time() - cpu)
                seconds[name]["wall"].append(time.perf_counter() - wall)
    return seconds


def by_definition(block: np.ndarray, gain_db: float, spec: SpectrogramSpec) -> np.ndarray:
    """The image of our definitions by numpy in double precision and Pillow."""
    window = make_window(spec.window, spec.window_length)
    frames = np.stack([block[s : s + spec.window_length] for s in frame_starts(len(block), spec)])
    spectrum = np.fft.rfft(frames * 10 ** (gain_db / 20) * window, n=spec.fft_length)
    density = np.abs(spectrum) ** 2 * 2 / (spec.sample_rate * (window**2).sum())
    density[:, [0, -1]] /= 2
    axis = {"n_bands": spec.n_bands, "min_hz": spec.min_hz, "max_hz": spec.max_hz}
    bands = band_weights(spec.axis, **axis, sample_rate=spec.sample_rate, fft_length=spec.fft_length)
    begins = np.concatenate([[0], bands.ends[:-1]])
    rows = [
        density[:, first : first + end - begin] @ bands.weights[begin:end].astype(np.float64)
        for first, begin, end in zip(bands.first_bins, begins, bands.ends, strict=True)
    ]
    decibels = 10 * np.log10(np.maximum(rows, 1e-30)).astype(np.float32)
    columns = np.asarray(Image.fromarray(decibels).resize((spec.n_columns, spec.n_bands), Image.Resampling.BILINEAR))
    index = np.clip(np.floor((columns[::-1] + 130.0) / 108.0 * 64), 0, 63).astype(int)
    return np.asarray(Image.fromarray(colour_table("jet", 64)[index]).resize((227, 227), Image.Resampling.BILINEAR))


def equivalence(clips: Sequence[np.ndarray], spec: SpectrogramSpec) -> dict[str, float]:
    """How many values of our images differ from those by definition, and by how much."""
    differences = []
    for samples in clips:
        images, blocks = images_of(samples, spec), naive.blocks_of(samples)
        starts = np.arange(len(blocks)) * naive.SLIDE
        powers = gate_powers([samples], starts, np.full(len(blocks), naive.BLOCK), sample_rate=naive.RATE)
        for image, block, power in zip(images, blocks, powers, strict=True):
            expected = by_definition(block, gain_of(block, power), spec)
            differences.append(np.abs(image.astype(int) - expected))
    off = np.stack(differences)
    return {
        "values": off.size,
        "share_off_by_one": float((off == 1).mean()),
        "share_off_by_more": float((off > 1).mean()),
        "largest": int(off.max()),
    }


def report(name: str, value: float, lines: list[str], results: dict[str, object]) -> None:
    """Note one figure, for people and machines."""
    lines.append(f"{name} {value:.3g}")
    results[name] = value


def per_block(seconds: Sequence[float], n_blocks: int) -> str:
    """Median and spread, ms a block."""
    ms = sorted(1e3 * value / n_blocks for value in seconds)
    return f"{statistics.median(ms):.3f} ms ({ms[0]:.3f} to {ms[-1]:.3f})"


def compare(label: str, clips: list[np.ndarray], *, repeats: int, folder: Path) -> Iterator[tuple[str, float]]:
    """Print the ways on some clips, one worker; yield ratios of CPU time."""
    few = clips[0][: naive.BLOCK + 4 * naive.SLIDE]
    n_few = len(naive.blocks_of(few))
    n_blocks = sum(len(naive.blocks_of(samples)) for samples in clips)
    for fft_length in (2048, 512):
        found = interleaved(
            {
                "naive": lambda n=fft_length: recipe(clips, folder / "naive.h5", naive.image, n),
                "savefig": lambda n=fft_length: recipe([few], folder / "saved.h5", naive.saved_image, n),
                "ours": lambda n=fft_length: ours(clips, folder / "ours.h5", n),
            },
            repeats=repeats,
        )
        counts = {"naive": n_blocks, "savefig": n_few, "ours": n_blocks}
        for way, seconds in found.items():
            cpu, wall = (per_block(seconds[kind], counts[way]) for kind in ("cpu", "wall"))
            print(f"{label}, FFT {fft_length}, {way}: cpu {cpu}, wall {wall}")
        medians = {way: statistics.median(seconds["cpu"]) / counts[way] for way, seconds in found.items()}
        yield f"{label}_fft{fft_length}_naive ratio", medians["naive"] / medians["ours"]
        yield f"{label}_fft{fft_length}_savefig ratio", medians["savefig"] / medians["ours"]
        for name, value in equivalence(clips, spec_of(fft_length)).items():
            yield f"{label}_fft{fft_length}_{name}", value


def main(
    recordings: Annotated[Path | None, typer.Option(help="Folder of real recordings at 44.1 kHz.")] = None,
    repeats: Annotated[int, typer.Option(help="Turns of each way.")] = 5,
    json_path: Annotated[Path, typer.Option("--json", help="Where all figures go.")] = Path(
        "benchmarks/results/rendering.json"
    ),
    processes: Annotated[bool, typer.Option(help="Whole stages and start-up too: minutes.")] = True,
) -> None:
    warnings.simplefilter("ignore")  # librosa speaks of empty bands, pyloudnorm of clipping
    lines: list[str] = []
    results: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        sets = {"made": made_clips()}
        if recordings is not None and (real := real_clips(recordings)):
            sets["real"] = real
        for label, clips in sets.items():
            for name, value in compare(label, clips, repeats=repeats, folder=Path(folder)):
                report(name, value, lines, results)
        if processes:
            sixty = made_clips(60, 10.0)
            for measured in (measure_processes(sixty, Path(folder)), measure_rerun(sixty, Path(folder) / "dvc")):
                for name, value in measured:
                    report(name, value, lines, results)
    json_path.parent.mkdir(parents=True, exist_ok=True)
    json_path.write_text(json.dumps(results, indent=2) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    sys.exit(typer.run(main))
