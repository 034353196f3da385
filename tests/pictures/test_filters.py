"""Filters of a trained run, from the project's files to picture and table."""

import sys
from pathlib import Path

import numpy as np
import pytest
from made import RATE
from made_trained import SOUNDS, TESTED, put_lstm_over, run_stages, save_tiny, trained  # noqa: F401 - a fixture
from PIL import Image
from scipy.stats import spearmanr

from pipeline.cli import main
from pipeline.errors import ShowError
from pipeline.features.hand_built import HandBuiltSpec
from pipeline.pictures.filters import FilterRank, measure_blocks, show_filters
from pipeline.pictures.measures import measure_block
from pipeline.store.arrays import open_arrays
from pipeline.store.paths import SPLIT, spectrograms_h5
from pipeline.store.tables import SplitRow, read_rows, write_rows

pytestmark = pytest.mark.usefixtures("trained")


def block_sound(block_id):
    clip, _, start = block_id.removeprefix("made/").partition("@")
    return SOUNDS[clip][int(start) : int(start) + 2 * RATE]


def ids_on_test_side():
    return [row.block_id for row in read_rows(SPLIT, SplitRow) if row.side == "test"]


def test_the_sound_of_each_block_is_measured():
    run_stages()
    spec = HandBuiltSpec(sample_rate=RATE)
    ids = ids_on_test_side()[::-1]
    assert {name.partition("@")[0].removeprefix("made/") for name in ids} == set(TESTED)
    found = measure_blocks(ids, ["made"], spec)
    for name, values in found.items():
        np.testing.assert_allclose(values, [measure_block(block_sound(block_id), spec)[name] for block_id in ids])


def test_picture_and_table_of_a_trained_run(monkeypatch, capsys):
    save_tiny(run_stages())
    monkeypatch.setattr(sys, "argv", ["emospec", "filters", "0-a"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith("filters_0-a.png, filters_0-a.csv: tiny, run 0-a: layer 0, 2 filters; 5 blocks of the test")
    with Image.open("filters_0-a.png") as page:
        assert page.format == "PNG"
    rows = read_rows(Path("filters_0-a.csv"), FilterRank)
    # filter 0 is the mean of what is darker than a fifth, filter 1 of what is brighter than half
    with open_arrays(spectrograms_h5("made")) as file:
        names = [name.decode() for name in file["block_id"][:]]
        grey = file["images"][:][[names.index(name) for name in ids_on_test_side()]][..., 0] / 255
    means = [np.maximum(0.2 - grey, 0).mean(axis=(1, 2)), np.maximum(grey - 0.5, 0).mean(axis=(1, 2))]
    silence = [
        measure_block(block_sound(name), HandBuiltSpec(sample_rate=RATE))["silence"] for name in ids_on_test_side()
    ]
    own = {row.filter: row.correlation for row in rows if row.measure == "silence"}
    for index, mean in enumerate(means):
        assert own[index] == pytest.approx(spearmanr(mean, silence).statistic, abs=1e-6)
    assert abs(own[0]) > 0.2


def test_of_many_blocks_some_are_looked_at_evenly():
    save_tiny(run_stages())
    assert "; 3 blocks of the test side" in show_filters("0-a", n_blocks=3, table=Path("a.csv"))
    assert Path("a.csv").is_file()
    assert not Path("filters_0-a.csv").is_file()


def test_filters_under_an_lstm_are_those_of_the_network_of_each_block():
    save_tiny(run_stages())
    show_filters("0-a", n_blocks=5, table=Path("alone.csv"))
    put_lstm_over()
    assert "tiny, run 0-a: layer 0, 2 filters" in show_filters("0-a", n_blocks=5, table=Path("under.csv"))
    assert Path("under.csv").read_bytes() == Path("alone.csv").read_bytes()
    save_tiny(run_stages())
    put_lstm_over(flat=True)
    with pytest.raises(ShowError, match="run 0-a: lstm on flat values has no filters of a spectrogram"):
        show_filters("0-a", n_blocks=5)


def test_what_has_no_filters_to_rank_is_refused():
    with pytest.raises(ShowError, match=r"models/: no trained model here"):
        show_filters("0-a", n_blocks=9)
    save_tiny(run_stages())
    rows = [row for row in read_rows(SPLIT, SplitRow) if row.side != "test"]
    tested = [row for row in read_rows(SPLIT, SplitRow) if row.side == "test"]
    write_rows(SPLIT, SplitRow, [*rows, *tested[:2]])
    with pytest.raises(ShowError, match="run 0-a: 2 blocks on its test side, fewer than 3"):
        show_filters("0-a", n_blocks=9)
    card = Path("models/0-a/model.json")
    text = card.read_text(encoding="utf-8")
    card.write_text(text.replace('"kind": "image"', '"kind": "faces"'), encoding="utf-8")
    with pytest.raises(ShowError, match="run 0-a was trained on faces: its network has no filters of a spectrogram"):
        show_filters("0-a", n_blocks=9)
    card.write_text(text, encoding="utf-8")
    run_stages("image.height=81")
    with pytest.raises(ShowError, match="trained on another representation of the blocks"):
        show_filters("0-a", n_blocks=9)
