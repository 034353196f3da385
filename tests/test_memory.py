"""A recording of hours takes no more memory than one of minutes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
import resource
from pathlib import Path
from pipeline.collect import collect_clips
from pipeline.corpora import Listing, Recording
from pipeline.normalize import normalize_corpus
from pipeline.slicing import slice_corpus
listing = Listing((Recording("long.wav", "joy"),))
collect_clips("made", Path("."), listing, sample_rate=8000, max_seconds=1e5, n_workers=2)
slicing = {"short_clips": "repeat", "tail": "drop", "silent_below_lu": None}
slice_corpus("made", sample_rate=8000, block_seconds=60.0, slide_seconds=60.0, **slicing)
loudness = {"method": "lufs", "target_db": -23.0, "max_gain_db": 60.0, "limit_peak": False}
normalize_corpus("made", sample_rate=8000, scope="block", n_workers=2, **loudness)
whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)  # recordings are decoded in a process of their own
print(sum(resource.getrusage(who).ru_maxrss for who in whose) / 1024)
"""


def peak_mib(folder, *, minutes):
    """Peak memory of collecting, slicing and normalising one recording, resampled from 4 kHz."""
    folder.mkdir()
    second = (3000 * np.random.default_rng(0).standard_normal(60 * 4000)).astype(np.int16)
    with soundfile.SoundFile(folder / "long.wav", "w", samplerate=4000, channels=1, subtype="PCM_16") as file:
        for _ in range(minutes):
            file.write(second)
    environment = {"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


@pytest.mark.slow
def test_three_hours_take_the_memory_of_one(tmp_path):
    # as float32 at 8 kHz, three hours are 330 MiB and one is 110 MiB
    short, long = peak_mib(tmp_path / "short", minutes=60), peak_mib(tmp_path / "long", minutes=180)
    assert long < 1.1 * short
