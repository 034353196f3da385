"""The search for the same recording twice against hours of sound: both stages as processes, their time and memory."""

import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import soxr
import typer
from processes import ROOT, write_params

from pipeline.store.arrays import SOUND_CHUNK, new_arrays
from pipeline.store.paths import DUPLICATES, clips_csv, clips_h5
from pipeline.store.tables import Clip, Duplicate, read_rows, write_rows

RATE = 44100
SECONDS = 20.0  # of a made clip
LEAK_EVERY = 50  # made clips: one in so many is followed by a part of it, softer and with noise
SYLLABLES_HZ = 4.0


def made_clips(hours: float) -> Iterator[tuple[str, np.ndarray]]:
    """Noise in the spectrum of speech that swells by syllables, each clip from a seed of its own; some leak."""
    for number in range(round(hours * 3600 / SECONDS)):
        rng = np.random.default_rng(number)
        n_samples = round(SECONDS * RATE)
        spectrum = np.fft.rfft(rng.standard_normal(n_samples).astype(np.float32))
        hz = np.fft.rfftfreq(n_samples, 1 / RATE)
        noise = np.fft.irfft(spectrum / (1 + (hz / rng.uniform(400, 900)) ** 2), n_samples)
        n_syllables = round(SECONDS * SYLLABLES_HZ)
        levels = np.interp(
            np.linspace(0, n_syllables, n_samples), np.arange(n_syllables), rng.uniform(0, 1, n_syllables)
        )
        samples = (0.2 * levels**2 * noise / np.abs(noise).max()).astype(np.float32)
        yield f"{number:06d}.wav", samples
        if number % LEAK_EVERY == 0:
            first, length = rng.integers(1, n_samples // 2), rng.integers(3 * RATE, 8 * RATE)
            part = 0.25 * samples[first : first + length]
            yield f"{number:06d}_leak.wav", (part + 1e-4 * rng.standard_normal(len(part))).astype(np.float32)


def real_clips(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Every recording in a folder, as mono."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in {".wav", ".flac", ".mp3", ".ogg", ".aiff"}:
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
            mono = samples.mean(axis=1)
            yield path.relative_to(folder).as_posix(), mono if rate == RATE else soxr.resample(mono, rate, RATE)


def store(sounds: Iterable[tuple[str, np.ndarray]], project: Path) -> tuple[int, float]:
    """Write clips.h5 and clips.csv of a corpus; return how many clips and hours."""
    clips, offset = [], 0
    with new_arrays(project / clips_h5("made")) as arrays:
        arrays.create("audio", row_shape=(), dtype="<f4", rows_in_chunk=SOUND_CHUNK)
        for name, samples in sounds:
            clips.append(
                Clip(
                    clip_id=f"made/{name}",
                    path=name,
                    label="joy",
                    corpus="made",
                    offset=offset,
                    n_samples=len(samples),
                    seconds=len(samples) / RATE,
                    start_seconds=0.0,
                    pcm_sha256=hashlib.sha256(samples.tobytes()).hexdigest(),
                    source_rate=RATE,
                    bandwidth_hz=RATE / 2,
                    floor_db=-60.0,
                    channels=1,
                    licence="",
                )
            )
            offset += len(samples)
            arrays.append("audio", samples)
        arrays.finish({"sample_rate": RATE})
    write_rows(project / clips_csv("made"), Clip, clips)
    return len(clips), offset / RATE / 3600


def run(stage: str, *items: str, project: Path) -> tuple[float, float, float]:
    """Wall and CPU seconds and largest memory (MB) of a stage as a process."""
    command = [sys.executable, str(ROOT / f"stages/{stage}.py"), *items]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    start = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=project, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{stage} failed: run it by hand in {project}")
    most_mb = usage.ru_maxrss / (2**10 if sys.platform == "linux" else 2**20)
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, most_mb


def measure(label: str, sounds: Iterable[tuple[str, np.ndarray]], *, repeats: int, workers: int) -> list[Duplicate]:
    """Print one line of the table; return what was found."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        n_clips, hours = store(sounds, project)
        write_params(project, workers=workers)
        turns = [
            (*run("fingerprint_clips", "made", project=project), *run("match_clips", project=project))
            for _ in range(repeats)
        ]
        wall, cpu, mb, wall2, cpu2, mb2 = (statistics.median(column) for column in zip(*turns, strict=True))
        rows = read_rows(project / DUPLICATES, Duplicate)
        n_leaks = sum(row.other_id == row.clip_id.replace(".wav", "_leak.wav") for row in rows)
        planted = 0 if label == "real" else sum(1 for _ in range(0, round(hours * 3600 / SECONDS), LEAK_EVERY))
        print(
            f"| {label} | {hours:.2f} | {n_clips} | {wall:.1f} ({cpu:.1f}) | {wall2:.1f} ({cpu2:.1f}) "
            f"| {(cpu + cpu2) / hours:.1f} | {mb:.0f} | {mb2:.0f} | {n_leaks} of {planted} | {len(rows) - n_leaks} |",
            flush=True,
        )
        shutil.rmtree(project / "data")
    return rows


def main(
    hours: Annotated[str, typer.Option(help="Of made sound, separated by commas.")] = "0.25,0.5,1,2,4",
    recordings: Annotated[Path | None, typer.Option(help="Folder of real recordings.")] = None,
    repeats: Annotated[int, typer.Option(help="Turns of each; the table has their medians.")] = 3,
    workers: Annotated[int, typer.Option(help="Threads of each stage.")] = 2,
) -> None:
    print(
        "| sound | hours | clips | fingerprint, s (CPU) | match, s (CPU) | CPU s an hour | MB | MB | leaks | others |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    if recordings is not None:
        rows = measure("real", real_clips(recordings), repeats=repeats, workers=workers)
        for row in rows:
            print(f"{row.kind}: {row.clip_id} and {row.other_id} from {row.offset_seconds} s on, {row.similarity}")
    for some in map(float, hours.split(",")):
        measure("made", made_clips(some), repeats=repeats, workers=workers)


if __name__ == "__main__":
    sys.exit(typer.run(main))
