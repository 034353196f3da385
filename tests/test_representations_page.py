"""docs/representations.md: its settings are taken as DVC takes them, and choose what the papers describe."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from dvc.utils.hydra import apply_overrides

from pipeline.features.chosen import representation_of
from pipeline.features.sox import COLORMAP, N_COLOURS, full_scale_range, sox_spectrogram
from pipeline.features.spectrogram import frame_starts
from pipeline.params import load_params

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/representations.md").read_text(encoding="utf-8")
SETTINGS = dict(re.findall(r"```settings (\w+)\n(.*?)```", PAGE, flags=re.DOTALL))


def chosen(name, folder):
    shutil.copy(ROOT / "params.yaml", folder / "params.yaml")
    words = shlex.split(SETTINGS[name])
    assert words[::2] == ["-S"] * (len(words) // 2)
    apply_overrides(folder / "params.yaml", words[1::2])
    p = load_params(folder / "params.yaml")
    return p, representation_of(p)


@pytest.mark.parametrize("name", SETTINGS)
def test_all_settings_are_valid(name, tmp_path):
    chosen(name, tmp_path)


def test_anand(tmp_path):
    p, own = chosen("anand", tmp_path)
    assert round(p.slice.block_seconds * 16000) == round(p.slice.slide_seconds * 16000) == 8192
    assert own.shape == (2, 64, 64)
    long, short = own.spectrograms
    assert (long.window_length, short.window_length) == (640, 80)  # 40 ms and 5 ms
    for spec in own.spectrograms:
        assert (spec.fft_length, spec.hop_seconds, spec.min_hz, spec.max_hz) == (2048, 0.002, 1.0, 2000.0)
        assert np.unique(np.diff(frame_starts(8192, spec))).tolist() == [32]  # 2 ms


def test_the_26_features_of_anand(tmp_path):
    p, own = chosen("anand_features", tmp_path)
    assert own.shape == (26,)
    assert p.model.name == "fc2"


def test_the_faces_of_anand(tmp_path):
    p, own = chosen("anand_faces", tmp_path)
    assert (own.kind, own.shape, own.crop) == ("faces", (227, 227, 3), "square")
    assert p.slice.random_blocks == 5
    assert (p.model.name, p.model.weights, p.model.normalise) == ("alexnet", "imagenet", "imagenet")


def test_herron(tmp_path):
    p, own = chosen("herron", tmp_path)
    assert p.slice.whole_clips
    assert own.resample_samples == 100_000
    assert own.shape == (3, 128, 256)
    expected = [(1024, 256), (2048, 512), (4096, 1024)]
    for spec, (window, hop) in zip(own.spectrograms, expected, strict=True):
        assert (spec.window_length, spec.fft_length, spec.n_bands) == (window, 4096, 128)
        assert np.unique(np.diff(frame_starts(100_000, spec))).tolist() == [hop]


def test_herrons_other_representation(tmp_path):
    _, own = chosen("herron_mfcc", tmp_path)
    assert [channel.contents for channel in own.spec.channels] == ["decibels", "mfcc", "delta_mfcc"]
    assert own.shape == (3, 128, 256)
    assert len(own.spectrograms) == 1


def test_cerutti_is_in_the_manner_of_sox(tmp_path):
    _, own = chosen("cerutti", tmp_path)
    expected = sox_spectrogram(44100, n_samples=88200, height=224, width=224)
    assert own.spectrogram.hop_seconds == pytest.approx(expected.hop_seconds, rel=1e-3)
    for name in ("window", "window_length", "fft_length", "axis", "n_bands", "min_hz", "max_hz", "n_columns"):
        assert getattr(own.spectrogram, name) == getattr(expected, name), name
    assert len(frame_starts(88200, own.spectrogram)) == 224  # a column a frame
    low, high = full_scale_range(expected)
    assert (own.image.low_db, own.image.high_db) == pytest.approx((low, high), abs=1e-3)
    assert (own.image.colormap, own.image.n_colours) == (COLORMAP, N_COLOURS)


def test_badshah(tmp_path):
    p, own = chosen("badshah", tmp_path)
    assert own.shape == (256, 256, 3)
    assert own.image.colormap == "jet"
    assert p.slice.block_seconds == 0.5
