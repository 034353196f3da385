"""A recording of hours takes no more memory than one of minutes, and a table little for each of its rows."""

import dataclasses
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from split.cases import OPTIONS, blocks_of, many

from pipeline.slicing import slice_corpus
from pipeline.split import Choices
from pipeline.split.corpora import split_corpora
from pipeline.store.paths import DUPLICATES, blocks_csv, clips_csv, left_out_csv, missing_csv, rejected_csv
from pipeline.store.tables import Block, Clip, Duplicate, LeftOut, Missing, Rejected, write_rows

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


def bytes_a_block(work, folder, monkeypatch):
    """By how much the most that `work` takes grows with each further block, of tables only."""
    peaks, n_blocks = [], []
    for n_clips in (5, 25, 100):  # the first for what is made once and for all
        (folder / str(n_clips)).mkdir()
        monkeypatch.chdir(folder / str(n_clips))
        clips = [
            dataclasses.replace(clip, fields={"speaker": f"s{number % 10}"})
            for number, clip in enumerate(many("x", [30] * n_clips) + many("y", [30] * n_clips))
        ]
        for path, kind, rows in (
            (clips_csv("demo"), Clip, clips),
            (blocks_csv("demo"), Block, blocks_of(clips)),
            (left_out_csv("demo"), LeftOut, []),
            (rejected_csv("demo"), Rejected, []),
            (missing_csv("demo"), Missing, []),
            (DUPLICATES, Duplicate, []),
        ):
            write_rows(path, kind, rows)
        n_blocks.append(60 * n_clips)
        del clips, rows
        tracemalloc.start()
        work()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return (peaks[2] - peaks[1]) / (n_blocks[2] - n_blocks[1])


def test_slicing_holds_no_table_of_blocks(tmp_path, monkeypatch):
    cut = {"block_seconds": 2.0, "slide_seconds": 1.0, "short_clips": "repeat", "tail": "drop", "silent_below_lu": None}
    # a clip takes about a kilobyte, and has 30 blocks here
    assert bytes_a_block(lambda: slice_corpus("demo", sample_rate=10, **cut), tmp_path, monkeypatch) < 60


def test_a_split_takes_little_for_a_block(tmp_path, monkeypatch):
    # by few units: what dealing takes for each unit is another matter
    choices = Choices(**(OPTIONS | {"by": "speaker", "balance": "train", "n_folds": 2}))
    grown = bytes_a_block(lambda: split_corpora(["demo"], choices, audit_fields=["speaker"]), tmp_path, monkeypatch)
    assert grown < 150
