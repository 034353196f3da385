"""Made surveys, costs and machines, so that every estimate can be computed by hand."""

import copy
from pathlib import Path

import numpy as np
import soundfile
from ruamel.yaml import YAML

from pipeline.corpora import Recording
from pipeline.params import parse_params
from pipeline.plan.counts import count_blocks, deal
from pipeline.plan.job import Job
from pipeline.plan.machine import Machine
from pipeline.plan.network_counts import NetworkCosts
from pipeline.plan.sound_costs import SoundCosts
from pipeline.plan.survey import ExpectedClip, Survey

VALUES = YAML(typ="safe", pure=True).load((Path(__file__).parents[2] / "params.yaml").read_text(encoding="utf-8"))
RATE = 8000  # Hz
GB = 10**9

# A small project: 2 s blocks every second at 8 kHz, images of 24 x 20 pixels, three folds by clip.
SMALL = {
    "corpora": ["made"],
    "audio__sample_rate": RATE,
    "spectrogram__max_hz": 4000.0,
    "spectrogram__window_samples": 256,
    "spectrogram__fft_length": 512,
    "spectrogram__n_bands": 16,
    "spectrogram__n_columns": 0,
    "image__height": 24,
    "image__width": 20,
    "model__name": "shufflenet_v2_x0_5",
    "model__normalise": "unit",
    "train__device": "cpu",
    "train__threads": 1,
    "train__batch_images": 8,
    "train__epochs": 2,
    "machine__workers": 2,
}


def params(**keys):
    """The small project's parameters, with some changed: `image__height=24`."""
    values = copy.deepcopy(VALUES)
    for key, value in {**SMALL, **keys}.items():
        *sections, last = key.split("__")
        place = values
        for section in sections:
            place = place[section]
        place[last] = value
    return parse_params(values)


def clip(seconds, label="joy", *, path=None, corpus="made", rate=RATE, start=None, end=None, **fields):
    recording = Recording(path or f"{label}/{seconds}.wav", label, start, end, fields=fields)
    return ExpectedClip(
        corpus=corpus,
        recording=recording,
        n_samples=round(seconds * RATE),
        source_rate=rate,
        channels=1,
        decoded_seconds=seconds,
        file_bytes=round(seconds * rate) * 2,
    )


# Seconds that take no thought: 1 s to start a process, 3 s with torch; a byte in a billionth of a second.
SOUND = SoundCosts(
    demo_per_second=0.05,
    collect_per_second=0.01,
    fingerprint_per_second=0.001,
    match_per_print=2e-7,
    loudness_per_block=0.002,
    render_per_block=0.02,
    thumbnail_per_block=0.001,
    fit_per_value=1e-8,
    written_per_second=1e9,
    hashed_per_second=1e9,
    start_seconds=1.0,
    start_torch_seconds=3.0,
    base_bytes=100_000_000,
    base_torch_bytes=500_000_000,
    alter_per_second=0.005,
    frames_per_second=0.1,
    measured_seconds=10.0,
    measured_blocks=9,
    on_real_sound=True,
)
NETWORK = NetworkCosts(
    device="cpu",
    step_seconds=0.5,
    predict_seconds=0.01,
    timed_images=8,
    trainable_bytes=100_000_000,
    state_bytes=100_000_000,
    imagenet_bytes=120_000_000,
    saved_bytes=1_000_000,
    largest_bytes=100_000,
    n_features=1024,
)


def job(clips, chosen=None, *, sound=SOUND, networks=None, weights=0, workers=2, doubtful=(), heads=None):
    chosen = chosen or params()
    counts = count_blocks(clips, chosen)
    networks = networks or dict.fromkeys(chosen.runs.members, NETWORK)
    return Job(
        params=chosen,
        survey=Survey(clips=tuple(clips), doubtful=tuple(doubtful)),
        counts=counts,
        sides=deal(counts.by_role, counts.n_units, chosen.split),
        sound=sound,
        networks=networks,
        weights_bytes=dict.fromkeys(networks, weights),
        workers=workers,
        heads=heads or {},
    )


def machine(**changed):
    usual = {
        "project": Path("/here"),
        "free_disk": 100 * GB,
        "cache": Path("/here/.dvc/cache"),
        "free_cache_disk": 100 * GB,
        "one_disk": True,
        "cache_link": "copy",
        "free_memory": 8 * GB,
        "free_gpu": None,
    }
    return Machine(**{**usual, **changed})


def write_sound(path, seconds, *, rate=RATE, channels=1, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).normal(0, 0.05, (round(seconds * rate), channels))
    soundfile.write(path, samples, rate)
