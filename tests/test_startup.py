"""A stage imports what it uses: what is heavy stays out until it is needed."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {
    "av", "h5py", "joblib", "librosa", "matplotlib", "numba", "pandas", "pyloudnorm", "scipy", "sklearn", "soundfile",
    "soxr", "torch", "torchvision",
}  # fmt: skip

# What each stage has imported before it begins; a network's own packages come when it is built.
IMPORTED = {
    "synthesize_demo": {"joblib", "pyloudnorm", "scipy", "soundfile"},
    "collect_clips": {"h5py", "soundfile", "soxr"},
    "fingerprint_clips": {"h5py", "scipy", "soxr"},
    "match_clips": {"h5py", "scipy", "soxr"},
    "slice_blocks": {"h5py"},
    "normalize_loudness": {"h5py"},
    "render_spectrograms": {"h5py", "numba", "scipy"},  # numba itself looks for scipy's BLAS
    "sample_frames": {"h5py", "soundfile", "soxr"},
    "list_spectrograms": {"h5py"},
    "split_blocks": set(),
    "fetch_weights": {"torch"},
    "train_model": {"h5py", "torch"},
    "predict_blocks": {"h5py", "torch"},
    "list_heads": set(),
    "train_head": {"h5py"},
    "fit_baselines": {"h5py"},
    "evaluate_model": {"h5py"},
}


def imported_by(program, *, folder=ROOT):
    program = f"{program}\nimport sys\nprint(*sorted({HEAVY!r} & set(sys.modules)))"
    environment = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'stages'}:{ROOT / 'tests'}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("stage", IMPORTED)
def test_a_stage_begins_with_what_it_uses(stage):
    assert imported_by(f"import {stage}") <= IMPORTED[stage]


def test_rendering_needs_no_network_and_no_library_of_signals():
    program = """
from pipeline.audio.loudness import gate_powers
from pipeline.features.spectrogram import SpectrogramSpec, band_decibels, draw_image
import numpy as np
spec = SpectrogramSpec(8000, "hann", 128, 0.01, 256, "mel", 24, 50.0, 4000.0, 30)
sound = np.ones(8000, np.float32)
gate_powers([sound], np.array([0]), np.array([8000]), sample_rate=48000)
draw_image(band_decibels(sound, spec), low_db=-110, high_db=-20, colormap="jet", n_colours=64, height=20, width=28)
"""
    assert imported_by(program) <= {"numba", "scipy"}
