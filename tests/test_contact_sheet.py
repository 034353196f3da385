"""The contact sheet of docs/: of two made sounds it holds every representation, and its file keeps the colours."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made import RATE, noise, tone
from PIL import Image

from pipeline.errors import ShowError
from pipeline.features.hand_built import FEATURES
from pipeline.report.spectrograms import Picture
from pipeline.show.page import draw_page

SCRIPT = Path(__file__).resolve().parents[1] / "docs/pictures/contact_sheet.py"


@pytest.fixture(scope="module")
def sheet():
    spec = importlib.util.spec_from_file_location("contact_sheet", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    paths = []
    for name, hz in {"speech": 700.0, "crowd": 1600.0}.items():
        paths.append(tmp_path_factory.mktemp(name) / f"{name}.wav")
        soundfile.write(paths[-1], tone(-20, 2.5, hz=hz) + noise(-60, 2.5), RATE, subtype="FLOAT")
    return paths


def test_every_representation_is_drawn_and_the_file_keeps_the_colours(sheet, sounds, tmp_path):
    sheet.main(*sounds, tmp_path / "sheet.png")
    file = Image.open(tmp_path / "sheet.png")
    assert file.mode == "P"
    chosen = sheet._chosen()
    columns = [sheet._column(path.name, path, chosen) for path in sounds]
    page, boxes = draw_page("", columns)
    rgb = np.asarray(file.convert("RGB")).astype(int)
    for column, places in zip(columns, boxes, strict=True):
        pictures = [panel for panel in column.panels if isinstance(panel, Picture)]
        assert len(pictures) == len(places) == 6 + 3 + 1 + 2 + 2 + 3 + 3
        assert sum("whitened, window" in picture.channel for picture in pictures) == 2
        assert [picture.up for picture in pictures] == ["Hz"] * 14 + ["rel. Hz"] * 4 + ["no."] * 2
        assert [panel[0].split(",")[0] for panel in column.panels[-26:]] == list(FEATURES)
        dy = rgb.shape[0] - page.height  # the title has lines of its own
        for picture, box in zip(pictures, places, strict=True):
            held = rgb[box.top + dy : box.bottom + dy, box.left : box.right]
            drawn = np.asarray(page)[box.top : box.bottom, box.left : box.right]
            assert np.abs(held - drawn).mean() < 6, picture.channel
    assert [box.top for box in boxes[0]] == [box.top for box in boxes[1]]  # rows stand beside each other


def test_whitening_takes_away_what_all_columns_share(sheet, sounds):
    chosen = sheet._chosen()[sheet.WHITENED]
    stacks = np.stack(list(sheet._beside(sounds[0], chosen)))
    assert stacks.shape == (4, 2, 64, 64)
    shown = sheet.find_block(str(sounds[0]), chosen, number=0, at=None)
    plain = sheet._stack(shown, chosen)
    whitened = sheet.fit_whitening([stacks]).apply(plain[None])[0]
    assert np.ptp(plain[0].mean(axis=1)) > 30  # dB: the tone stands out
    assert np.ptp(whitened[0].mean(axis=1)) < 3
    assert 0.5 < whitened[0].std() < 1.5


def test_settings_that_the_page_lacks_are_named(sheet):
    with pytest.raises(ShowError, match="no settings nobody"):
        sheet._of_page("nobody")
