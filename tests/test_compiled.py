"""Compiled functions work wherever the package is installed, and give the same in the next process."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
import numpy as np
from pipeline.audio.weighting import sums_of
print(sums_of(np.array([1, -2, 4], np.float32)), sum(sums_of.stats.cache_hits.values()))
"""


def run(source, *, home):
    environment = {"PYTHONPATH": str(source), "PATH": "/usr/bin:/bin", "HOME": str(home), "XDG_CACHE_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.fixture
def source(tmp_path):
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "src"


def test_the_second_process_finds_what_the_first_compiled_and_damage_is_compiled_anew(source, tmp_path):
    *right, hits = run(source, home=tmp_path)
    assert hits == "0"
    for ending, left in (("nbc", 0), ("nbi", 100)):  # as a power cut leaves them
        assert run(source, home=tmp_path) == [*right, "1"]
        (path,) = (source / "pipeline/audio/__pycache__").glob(f"weighting.sums_of-*.{ending}")
        path.write_bytes(path.read_bytes()[:left])
        assert run(source, home=tmp_path) == [*right, "0"]


def test_without_any_folder_to_write_to_it_compiles_anew(source, tmp_path):
    # a file where a folder would be made keeps even the superuser from writing
    (source / "pipeline/audio/__pycache__").write_text("")
    (tmp_path / "home").write_text("")
    for _ in range(2):
        assert run(source, home=tmp_path / "home")[-1] == "0"
