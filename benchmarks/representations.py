"""Each representation rendered by ours and by the recipe that people write: blocks a second, in one run, by turns.

`PYTHONPATH=src python benchmarks/representations.py`. One thread each, made noise, without loudness and files: from the
samples of a block to its values. The recipe is librosa's, numpy's and Pillow's; its bands are a matrix made once, its
colours a table.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated, Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import librosa
import numpy as np
import typer
from PIL import Image

from pipeline.features.colour import colour_table
from pipeline.features.hand_built import HandBuiltSpec
from pipeline.features.representations import HandBuilt, ImageSpec, OwnRange, Picture, Representation, Stack
from pipeline.features.scales import AXES, band_edges
from pipeline.features.scratch import Scratch
from pipeline.features.spectrogram import SpectrogramSpec
from pipeline.features.stack import ChannelSpec, StackSpec

LOW, HIGH = -130.0, -22.0
JET = colour_table("jet", 64)
SPEC = SpectrogramSpec(44100, "hamming", 400, 0.0045, 2048, "mel", 257, 20.0, 20000.0, 259)
PICTURE = ImageSpec(LOW, HIGH, "jet", 64, 227, 227)


def spectrogram(rate: int, window: int, hop: int, **changes: Any) -> SpectrogramSpec:
    usual = {"fft_length": 2048, "axis": "linear", "n_bands": 64, "min_hz": 1.0, "max_hz": 2000.0}
    return SpectrogramSpec(
        sample_rate=rate,
        window="hamming",
        window_length=window,
        hop_seconds=hop / rate,
        n_columns=0,
        **{**usual, **changes},
    )


ANAND = tuple(ChannelSpec(spectrogram(16000, window, 32)) for window in (640, 80))
WIDE = {"fft_length": 4096, "axis": "mel", "n_bands": 128, "min_hz": 0.0, "max_hz": 8000.0}
HERRON = tuple(ChannelSpec(spectrogram(16000, 4 * hop, hop, **WIDE)) for hop in (256, 512, 1024))
MFCC = tuple(ChannelSpec(spectrogram(16000, 1024, 256, **WIDE), what) for what in ("decibels", "mfcc", "delta_mfcc"))


def bands(spec: SpectrogramSpec) -> np.ndarray:
    """Triangles at the bins, as they are usually written."""
    edges = band_edges(spec.axis, n_bands=spec.n_bands, min_hz=spec.min_hz, max_hz=spec.max_hz)
    bins = np.arange(spec.fft_length // 2 + 1) * spec.sample_rate / spec.fft_length
    rise = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return np.maximum(np.minimum(rise, fall), 0).astype(np.float32)


def decibels(block: np.ndarray, spec: SpectrogramSpec, matrix: np.ndarray) -> np.ndarray:
    power = np.square(
        np.abs(
            librosa.stft(
                block,
                n_fft=spec.fft_length,
                hop_length=round(spec.hop_seconds * spec.sample_rate),
                win_length=spec.window_length,
                window=spec.window,
                center=False,
            )
        )
    )
    return librosa.power_to_db(matrix @ power, top_db=None)


def resized(values: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR))


def naive_picture(spec: SpectrogramSpec, *, own: bool = False) -> Callable[[np.ndarray], np.ndarray]:
    matrix = bands(spec)

    def draw(block: np.ndarray) -> np.ndarray:
        values = decibels(block, spec, matrix)
        low, high = np.percentile(values, [5, 95]) if own else (LOW, HIGH)
        index = np.clip((values - low) / (high - low) * 64, 0, 63).astype(np.uint8)
        return np.asarray(Image.fromarray(JET[index[::-1]]).resize((227, 227), Image.Resampling.BILINEAR))

    return draw


def naive_stack(spec: StackSpec, n_samples: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    matrices = {channel.spectrogram: bands(channel.spectrogram) for channel in spec.channels}

    def draw(block: np.ndarray) -> np.ndarray:
        if n_samples:
            block = librosa.util.fix_length(
                librosa.resample(block, orig_sr=len(block), target_sr=n_samples, res_type="soxr_hq"), size=n_samples
            )
        of = {own: decibels(block, own, matrix) for own, matrix in matrices.items()}
        rows = []
        for channel in spec.channels:
            values = of[channel.spectrogram]
            if channel.contents != "decibels":
                values = librosa.feature.mfcc(S=values, n_mfcc=len(values))
            if channel.contents == "delta_mfcc":
                values = librosa.feature.delta(values)
            rows.append(resized(values, spec.n_bands, spec.n_columns))
        return np.stack(rows)

    return draw


def naive_features(block: np.ndarray) -> np.ndarray:
    rate, frame = 16000, {"n_fft": 1024, "hop_length": 160, "win_length": 640}
    spectrum = np.abs(librosa.stft(block, **frame))
    power = np.square(spectrum).mean(axis=1)
    hz = librosa.fft_frequencies(sr=rate, n_fft=1024)
    pitch = librosa.yin(block, fmin=75, fmax=600, sr=rate, frame_length=1024, hop_length=160)
    return np.array(
        [
            librosa.feature.rms(y=block).mean(),
            *librosa.feature.mfcc(y=block, sr=rate, n_mfcc=13, n_mels=40, **frame).mean(axis=1),
            librosa.feature.zero_crossing_rate(block).mean(),
            *(10 * np.log10(power[(hz >= low) & (hz < low + 1000)].sum()) for low in (0, 1000, 2000, 3000)),
            *(
                librosa.feature.spectral_rolloff(S=spectrum, sr=rate, roll_percent=share).mean()
                for share in (0.25, 0.5, 0.75, 0.85, 0.95)
            ),
            librosa.feature.spectral_centroid(S=spectrum, sr=rate).mean(),
            np.median(pitch),
        ]
    )


def cases() -> dict[str, tuple[Representation, Callable[[np.ndarray], np.ndarray], int]]:
    """By name: ours, the recipe, and the samples of a block."""
    found: dict[str, Any] = {}
    for axis in AXES:
        spec = SpectrogramSpec(**{**SPEC.__dict__, "axis": axis})
        found[f"image, {axis}, 2 s"] = Picture(spec, PICTURE), naive_picture(spec), 88200
    found["image, mel, own range, 2 s"] = (
        Picture(SPEC, PICTURE, OwnRange(5.0, 95.0)),
        naive_picture(SPEC, own=True),
        88200,
    )
    anand = StackSpec(ANAND, 64, 64)
    found["stack, two windows (Anand), 0.512 s"] = Stack(anand), naive_stack(anand), 8192
    for name, channels in (("three windows (Herron)", HERRON), ("S, MFCC, delta-MFCC (Herron)", MFCC)):
        spec = StackSpec(channels, 128, 256)
        found[f"stack, {name}, 3 s to 100 000 samples"] = Stack(spec, 100_000), naive_stack(spec, 100_000), 48000
    found["features (26), 0.512 s"] = HandBuilt(HandBuiltSpec(16000)), naive_features, 8192
    return found


def seconds_of(render: Callable[[np.ndarray], Any], blocks: list[np.ndarray]) -> float:
    start = time.process_time()
    for block in blocks:
        render(block)
    return (time.process_time() - start) / len(blocks)


def main(
    repeats: Annotated[int, typer.Option(help="turns of each")] = 5,
    n_blocks: Annotated[int, typer.Option(help="blocks a turn")] = 8,
    json_path: Annotated[Path, typer.Option("--json")] = Path("benchmarks/results/representations.json"),
) -> None:
    """Print a table: blocks a second of CPU time, medians, and how many times ours is as fast."""
    rng = np.random.default_rng(0)
    results = {}
    print("| representation | ours, blocks/s | recipe, blocks/s | ratio |\n|---|---|---|---|")
    for name, (own, naive, n_samples) in cases().items():
        blocks = [(0.05 * rng.standard_normal(n_samples)).astype(np.float32) for _ in range(n_blocks)]
        scratch = Scratch()

        def ours(block: np.ndarray, own: Representation = own, scratch: Scratch = scratch) -> Any:
            return own.render(block, offset=0.0, gain=1.0, scratch=scratch)

        ours(blocks[0])
        naive(blocks[0])
        turns = [(seconds_of(ours, blocks), seconds_of(naive, blocks)) for _ in range(repeats)]
        fast, slow = (median(each) for each in zip(*turns, strict=True))
        results[name] = {"ours": 1 / fast, "recipe": 1 / slow, "ratio": slow / fast}
        print(f"| {name} | {1 / fast:.0f} | {1 / slow:.0f} | {slow / fast:.1f} |", flush=True)
    json_path.parent.mkdir(parents=True, exist_ok=True)
    json_path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(typer.run(main))
