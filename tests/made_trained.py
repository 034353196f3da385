"""A small project with a trained run: a corpus, its stages' files, and a network whose weights are set by hand."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from made import RATE, noise, silence, store_clips, tone
from made_run import torch_as_before
from ruamel.yaml import YAML
from torch import nn

from pipeline.features.chosen import representation_of
from pipeline.listing import list_spectrograms
from pipeline.models import networks
from pipeline.models.checkpoint import ModelCard, load_model, save_model
from pipeline.models.networks import Network
from pipeline.models.preparation import Preparation, Scale
from pipeline.models.recurrent import Recurrence, SequenceNetwork
from pipeline.normalize import normalize_corpus
from pipeline.params import load_changed
from pipeline.render import render_corpus
from pipeline.slicing import slice_corpus
from pipeline.store.paths import SPLIT, blocks_csv, model_folder
from pipeline.store.tables import Block, SplitRow, read_rows, write_rows

ROOT = Path(__file__).resolve().parents[1]
SMALL = {
    "audio.sample_rate": RATE,
    "spectrogram.window_samples": 256,
    "spectrogram.hop_seconds": 0.01,
    "spectrogram.fft_length": 512,
    "spectrogram.max_hz": 4000.0,
    "spectrogram.n_bands": 64,
    "spectrogram.n_columns": 100,
    "image.height": 80,
    "image.width": 120,
    "image.colormap": "grey",
    "image.n_colours": 256,
    "stack.max_hz": 2000.0,
    "train.epochs": 4,
}
CLASSES = ("anger", "joy")
TONE_HZ = 1500.0
# From 0.5 s to 1 s of the first block there is a tone.
TONE = np.concatenate([silence(0.5), tone(-20, 0.5, hz=TONE_HZ), silence(3)]) + noise(-100, 4)
SOUNDS = {
    "anger/hiss.wav": noise(-20, 4, seed=1),
    "anger/rush.wav": noise(-30, 3, seed=2),
    "joy/hum.wav": tone(-20, 4, hz=300.0) + noise(-60, 4, seed=3),
    "joy/tone.wav": TONE,
}
TESTED = ("anger/rush.wav", "joy/tone.wav")


def tiny(shape):
    return nn.Sequential(
        nn.Conv2d(shape[0], 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 1000)
    )


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """The project, as the working folder: params.yaml, recordings, what the stages leave up to the split."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(networks.OWN_NETWORKS, "tiny", tiny)
    yaml = YAML(typ="safe", pure=True)
    values = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["corpora"], values["runs"]["folds"] = ["made"], [0]
    for key, value in SMALL.items():
        section, name = key.split(".")
        values[section][name] = value
    with Path("params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(values, file)
    for name, sound in SOUNDS.items():
        path = Path("data/raw/made", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, sound, RATE, subtype="FLOAT")
    with torch_as_before():
        torch.set_num_threads(1)
        yield tmp_path


def run_stages(*settings):
    """Collect, slice, normalise, render and split the recordings; return the representation."""
    p = load_changed(Path("params.yaml"), settings)
    store_clips("made", SOUNDS, label={name: name.partition("/")[0] for name in SOUNDS})
    cut = p.slice.model_dump(exclude={"silent_blocks", "silent_below_lu"})
    slice_corpus("made", sample_rate=RATE, silent_below_lu=None, **cut)
    loudness = p.loudness.model_dump(exclude={"over_full_scale"})
    normalize_corpus("made", sample_rate=RATE, limit_peak=False, n_workers=1, **loudness)
    representation = representation_of(p)
    render_corpus("made", representation, n_workers=1)
    list_spectrograms(["made"])
    rows = [
        SplitRow(
            block_id=block.block_id,
            clip_id=block.clip_id,
            group=block.clip_id,
            label=block.clip_id.split("/")[1],
            fold=0,
            side="test" if block.clip_id.removeprefix("made/") in TESTED else "train",
        )
        for block in read_rows(blocks_csv("made"), Block)
    ]
    write_rows(SPLIT, SplitRow, rows)
    return representation


def save_tiny(representation, *, key="0-a"):
    """A network that says joy by the mean of what is bright and anger by the mean of what is dark."""
    is_image = representation.kind == "image"
    n_channels = 3 if is_image else representation.shape[0]
    shape = (n_channels, *(representation.shape[:2] if is_image else representation.shape[1:]))
    network = Network("tiny", len(CLASSES), shape)
    conv, head = network.trunk[0], network.head
    # pixels from 0 to 1, half is the threshold; decibels, -80 is
    conv.weight.data = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1).expand(2, n_channels, 1, 1) / n_channels
    conv.bias.data = torch.tensor([0.2, -0.5] if is_image else [-100.0, 80.0])
    head.weight.data, head.bias.data = torch.eye(2) * (30 if is_image else 0.3), torch.tensor([0.25, -0.25])
    n = representation.shape[0]
    preparation = (
        Preparation(normalise="unit")
        if is_image
        else Preparation(kind="stack", normalise="mean", scale=Scale(mean=np.zeros(n), deviation=np.ones(n)))
    )
    card = ModelCard(
        network="tiny",
        shape=shape,
        classes=CLASSES,
        representation=representation.attributes(),
        normalise=preparation.normalise,
        start={},
        seed=0,
        fold=0,
        images_sha256={},
        kept_iteration=1,
        selected_on_test=False,
        kind=representation.kind,
    )
    save_model(model_folder(key), network, card, preparation)


def put_lstm_over(*, key="0-a", flat=False):
    """An LSTM over what the saved network makes of each block, or over the blocks' values."""
    network, card, preparation = load_model(model_folder(key))
    recurrence = Recurrence(kind="lstm", units=2)
    n_features = math.prod(card.shape) if flat else 2
    over = SequenceNetwork(None if flat else network, recurrence, n_features=n_features, n_classes=len(CLASSES))
    name = "flat" if flat else card.network
    save_model(model_folder(key), over, dataclasses.replace(card, network=name, sequence=over.about), preparation)
