"""Threads wait for each other in a loop for a short time, so that a network trains beside other programs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = "import pipeline, os; print(os.environ['GOMP_SPINCOUNT'])"


@pytest.mark.parametrize(("given", "is_used"), [({}, "5000"), ({"GOMP_SPINCOUNT": "7"}, "7")])
def test_threads_soon_sleep_while_they_wait_unless_told_otherwise(given, is_used):
    environment = {**{key: value for key, value in os.environ.items() if key != "GOMP_SPINCOUNT"}, **given}
    environment["PYTHONPATH"] = str(ROOT / "src")
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == is_used


@pytest.mark.parametrize("stage", ["train_model", "predict_blocks", "fetch_weights", "train_head"])
def test_the_package_comes_before_torch(stage):
    program = f"""
import sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            assert "pipeline" in sys.modules
sys.meta_path.insert(0, Watch())
import {stage}
"""
    paths = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'stages'}"}
    subprocess.run([sys.executable, "-c", program], env=paths, capture_output=True, text=True, check=True)
