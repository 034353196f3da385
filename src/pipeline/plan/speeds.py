"""How fast this machine starts a process, fits a regression, writes and hashes."""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

import pipeline
from pipeline.baselines import THUMBNAIL_CELLS, fit_predict
from pipeline.duplicates.index import find_candidates
from pipeline.duplicates.prints import PrintFile, Prints
from pipeline.nuisances import NUISANCES
from pipeline.store.arrays import new_arrays

Result = TypeVar("Result")
FIT_ROWS = 400
PRINTS = (200, 1000)  # clips, and sub-fingerprints of each: over half an hour


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """Do some work: its seconds, and what it returns."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def start_of(module: str) -> tuple[float, int]:
    """Seconds that a process takes only to import a module, and its bytes then."""
    # Its own peak would not do: Linux has a child start with its parent's.
    code = f"import {module}, psutil; print(psutil.Process().memory_info().rss)"
    environment = {**os.environ, "PYTHONPATH": str(Path(pipeline.__file__).parents[1])}
    command = [sys.executable, "-c", code]
    seconds, run = timed(lambda: subprocess.run(command, env=environment, capture_output=True, text=True, check=True))
    return seconds, int(run.stdout)


def fit_seconds() -> float:
    """Seconds per row, column and class of a regression on made features; real ones may take several times as long."""
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(FIT_ROWS, 3 * THUMBNAIL_CELLS**2)), np.arange(FIT_ROWS) % 3
    train = np.ones(FIT_ROWS, dtype=bool)
    fit_predict(features[:9], labels[:9], train[:9], n_classes=3)  # imports
    seconds, _ = timed(lambda: fit_predict(features, labels, train, n_classes=3))
    n_values = FIT_ROWS * (3 * THUMBNAIL_CELLS**2 + len(NUISANCES)) * 3
    return seconds / n_values


def match_seconds() -> float:
    """Seconds per sub-fingerprint to look for clips that agree, on made ones, of which hardly any do."""
    rng = np.random.default_rng(0)
    n_clips, n_each = PRINTS
    bits, told = rng.integers(0, 2**32, n_clips * n_each, dtype=np.uint32), np.ones(n_clips * n_each, dtype=bool)
    clips = np.arange(n_clips)
    prints = Prints([PrintFile(bits, told, np.full(n_clips, n_each), clips)])
    seconds, _ = timed(lambda: list(find_candidates(prints, clips)))
    return seconds / (n_clips * n_each)


def written_per_second() -> float:
    """Bytes a second into HDF5, with digests and checksums, synced; written to the working folder."""
    values = np.random.default_rng(0).integers(0, 256, (32, 2**20), dtype=np.uint8)

    def write() -> None:
        with new_arrays(Path("written.h5")) as arrays:
            arrays.create("values", row_shape=(2**20,), dtype=np.uint8)
            for value in values:
                arrays.append("values", value[None])
            arrays.finish({})

    return float(values.size / timed(write)[0])


def hashed_per_second() -> float:
    """Bytes a second of the MD5 by which DVC knows files."""
    data = bytes(2**25)
    return len(data) / timed(lambda: hashlib.md5(data, usedforsecurity=False))[0]
