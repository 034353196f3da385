"""docs/adding.md as a newcomer would follow it: its code is run as it stands, through the rest of the package."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from made import RATE, block, store_blocks, store_clips

from pipeline.corpora import CORPORA, list_corpus
from pipeline.features.colour import COLORMAPS, colour_table
from pipeline.features.representations import Representation
from pipeline.features.scales import AXES, band_edges
from pipeline.models.networks import OWN_NETWORKS, network_names, start_network
from pipeline.models.weights import fetch_weights
from pipeline.render import render_corpus
from pipeline.store.arrays import open_arrays
from pipeline.store.paths import loudness_csv, spectrograms_h5
from pipeline.store.tables import Gain, write_rows

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/adding.md").read_text(encoding="utf-8")
CODE = dict(re.findall(r"```python (\w+)\n(.*?)```", PAGE, flags=re.DOTALL))


def run_code(name, **given):
    names = dict(given)
    exec(compile(CODE[name], f"docs/adding.md: {name}", "exec"), names)
    return names


def test_every_file_that_the_page_names_is_there():
    names = {name for name in re.findall(r"`((?:src|tests|docs)/[\w/.]+)`", PAGE) if "NAME" not in name}
    assert len(names) >= 6
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_the_corpus_lists_its_recordings_by_name(tmp_path, monkeypatch):
    card = run_code("corpus")["CORPUS"]
    monkeypatch.setitem(CORPORA, "marsh", card)
    for name in ("song_ole_1.wav", "alarm_anna_2.flac", "notes.wav"):
        (tmp_path / name).touch()
    listing = list_corpus("marsh", tmp_path)
    assert [(row.path, row.label, dict(row.fields)) for row in listing.recordings] == [
        ("alarm_anna_2.flac", "fear", {"observer": "anna"}),
        ("song_ole_1.wav", "happiness", {"observer": "ole"}),
    ]
    assert list(listing.surplus) == ["notes.wav"]
    assert len(listing.missing) == card.n_files - 2
    assert "alarm_anna_1.wav" in listing.missing


def test_the_axis_lays_its_bands_evenly_on_its_own_unit(monkeypatch):
    monkeypatch.setitem(AXES, "root", None)
    run_code("axis", AXES=AXES)
    # square roots 10, 20, ..., 50: two edges and three bands
    assert band_edges("root", n_bands=3, min_hz=100, max_hz=2500) == pytest.approx([100, 400, 900, 1600, 2500])


def test_the_colormap_goes_from_black_to_white(monkeypatch):
    monkeypatch.setitem(COLORMAPS, "heat", None)
    run_code("colormap", COLORMAPS=COLORMAPS)
    assert colour_table("heat", 4).tolist() == [[0, 0, 0], [255, 0, 0], [255, 255, 0], [255, 255, 255]]


def test_the_representation_has_all_names_and_renders(tmp_path, monkeypatch):
    envelope = run_code("representation", __name__="page")["Envelope"](sample_rate=RATE, n_parts=4)
    names = {name for name in dir(Representation) if not name.startswith("_")}
    assert names <= set(dir(envelope))
    samples = np.repeat(np.array([1, 2, 3, 4], np.float32), 100)
    found = envelope.render(samples, offset=1.0, gain=2.0, scratch=None)
    assert found.tolist() == [0, 2, 4, 6]
    monkeypatch.chdir(tmp_path)
    store_clips("made", {"a.wav": samples})
    store_blocks("made", [block(n_samples=400)])
    gain = Gain(block_id="made/a.wav@0", lufs=-20.0, gain_db=0.0, offset=0.0, peak=1.0, flag="")
    write_rows(loudness_csv("made"), Gain, [gain])
    assert render_corpus("made", envelope, n_workers=1) == 1
    with open_arrays(spectrograms_h5("made")) as file:
        assert file["features"][:].tolist() == [[1, 2, 3, 4]]


def test_the_network_gets_its_head_and_answers(monkeypatch, tmp_path):
    monkeypatch.setitem(OWN_NETWORKS, "small", None)
    run_code("network", OWN_NETWORKS=OWN_NETWORKS)
    assert "small" in network_names()
    assert fetch_weights("small", "random", expected_sha256=None, folder=tmp_path) == {
        "network": "small",
        "weights": "random",
    }
    network = start_network("small", n_classes=3, weights=None, init="kaiming", seed=0, shape=(2, 9, 16))
    assert network.head_name == "classifier"
    logits, features = network.logits_and_features(torch.from_numpy(np.ones((2, 2, 9, 16), np.float32)))
    assert logits.shape == (2, 3)
    assert features.shape == (2, 16)
