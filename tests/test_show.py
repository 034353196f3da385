"""Blocks to look at: what lies where on the page, that it is what the stages render, and errors of one line."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made import RATE, noise, silence, store_clips, tone
from made_film import plain, write_film
from PIL import Image
from ruamel.yaml import YAML

from pipeline.cli import main
from pipeline.errors import AudioError, ParamsError, ShowError
from pipeline.features.chosen import representation_of
from pipeline.normalize import normalize_corpus
from pipeline.params import load_changed, load_params
from pipeline.render import render_corpus
from pipeline.report.axes import height_of
from pipeline.show import show_clip
from pipeline.show.block import find_block
from pipeline.show.page import BAR_GAP, EDGE, draw_page
from pipeline.show.panels import Column, panels_of
from pipeline.show.writing import plain as in_its_signs
from pipeline.slicing import slice_corpus
from pipeline.store.arrays import open_arrays
from pipeline.store.paths import blocks_csv, spectrograms_h5
from pipeline.store.tables import Block, read_rows

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
    "stack.max_hz": 2000.0,
}
SOUND = np.concatenate([noise(-40, 3), noise(-20, 2, seed=1), noise(-40, 3, seed=2)])  # blocks from 0 s to 6 s


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for key, value in SMALL.items():
        section, name = key.split(".")
        values[section][name] = value
    with Path("params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(values, file)
    soundfile.write("a.wav", SOUND, RATE, subtype="FLOAT")
    return tmp_path


def drawn(clip, *settings, number=0):
    """The page of one block as an array, the boxes of its pictures, and the pictures."""
    params = load_changed(Path("params.yaml"), settings)
    shown = find_block(clip, params, number=number, at=None)
    panels = panels_of(shown, params)
    page, boxes = draw_page(shown.name, [Column("params.yaml", panels, shown.caption)])
    return np.asarray(page), boxes[0], panels


def inside(page, box):
    return page[box.top : box.bottom, box.left : box.right]


def grey_of(page, box):
    return inside(page, box).astype(float).mean(axis=2)


# where a tone lies


@pytest.mark.parametrize("axis", ["linear", "mel", "slaney", "bark", "erb", "log"])
def test_a_tone_lies_at_its_height_and_time(axis):
    hz = 1500.0
    sound = np.concatenate([silence(0.5), tone(-20, 0.5, hz=hz), silence(1)]) + noise(-100, 2)
    soundfile.write("tone.wav", sound, RATE, subtype="FLOAT")
    settings = ["image.colormap=grey", "image.n_colours=256", f"spectrogram.axis={axis}"]
    page, (box,), _ = drawn("tone.wav", *settings)
    grey = grey_of(page, box)
    height, width = grey.shape
    up = 1 - (grey.mean(axis=1).argmax() + 0.5) / height
    spec = choose(*settings).spectrogram
    assert up == pytest.approx(height_of(hz, spec), abs=0.02)
    row = grey[grey.mean(axis=1).argmax()]
    bright = np.flatnonzero(row > (row.min() + row.max()) / 2) / width * 2
    assert bright.min() == pytest.approx(0.5, abs=0.06)
    assert bright.max() == pytest.approx(1.0, abs=0.06)


def choose(*settings):
    return representation_of(load_changed(Path("params.yaml"), settings))


def test_every_figure_stands_beside_its_mark_and_nothing_is_cut():
    page, (box,), (picture,) = drawn("a.wav")
    ink = page.min(axis=2) < 128
    assert len(picture.hz) >= 3
    for tick in picture.hz:
        at = box.bottom - 1 - round(min(max(tick.at, 0), 1) * (box.bottom - box.top - 1))
        assert ink[at, box.left - 5 : box.left - 1].all()
        assert ink[at - 6 : at + 7, box.left - 50 : box.left - 8].sum() > 10
    for tick in picture.seconds:
        at = box.left + round(min(max(tick.at, 0), 1) * (box.right - box.left - 1))
        assert ink[box.bottom + 1 : box.bottom + 5, at].all()
        assert ink[box.bottom + 7 : box.bottom + 20, at - 12 : at + 13].sum() > 8
    assert [tick.text for tick in picture.seconds] == ["0", "0.5", "1", "1.5", "2"]
    bar = box.right + BAR_GAP
    np.testing.assert_array_equal(page[box.top + 1, bar + 2], picture.bar[0, 0])
    np.testing.assert_array_equal(page[box.bottom - 2, bar + 2], picture.bar[-1, 0])
    assert ink[box.top : box.bottom, bar + 18 : bar + 60].sum() > 50  # decibels
    assert ink[box.top : box.bottom, 0 : box.left - 50].sum() > 10  # Hz
    margins = np.concatenate([page[: EDGE // 2].ravel(), page[-4:].ravel(), page[:, :6].ravel(), page[:, -6:].ravel()])
    assert (margins == 255).all()


def test_long_names_and_many_settings_are_broken_into_lines_and_nothing_is_cut():
    name = f"{'long_name_' * 20}-ü.wav"
    Path("a.wav").rename(name)
    settings = [f"spectrogram.low_db=-{number}" for number in range(120, 132)]
    show_clip(name, block=0, settings=settings, out=Path("page.png"))
    page = np.asarray(Image.open("page.png"))
    assert (page[:, -6:] == 255).all()
    assert (page[-4:] == 255).all()
    assert page.shape[1] < 1500


# it is what the stages render


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["loudness.scope=clip"],
        ["loudness.scope=none"],
        ["loudness.method=zscore"],
        ["slice.short_clips=pad", "slice.block_seconds=10.0"],
        ["image.range=own"],
        ["slice.whole_clips=true", "representation.resample_samples=20000", "loudness.max_gain_db=1.0"],
        ["slice.tail=align", "slice.slide_seconds=1.7"],
    ],
)
def test_the_picture_is_that_which_the_stages_render(settings):
    p = load_changed(Path("params.yaml"), settings)
    store_clips("made", {"a.wav": SOUND})
    slice_corpus(
        "made",
        sample_rate=RATE,
        silent_below_lu=None,
        **p.slice.model_dump(exclude={"silent_blocks", "silent_below_lu"}),
    )
    loudness = p.loudness.model_dump(exclude={"over_full_scale"})
    gains = normalize_corpus("made", sample_rate=RATE, limit_peak=False, n_workers=1, **loudness)
    render_corpus("made", choose(*settings), n_workers=1)
    with open_arrays(spectrograms_h5("made")) as file:
        images = file["images"][:]
    for number in (0, len(images) - 1):
        page, (box,), (picture,) = drawn("a.wav", *settings, number=number)
        np.testing.assert_array_equal(picture.image, images[number])
        factor = (box.bottom - box.top) // 80
        assert factor == 3
        np.testing.assert_array_equal(inside(page, box), np.kron(images[number], np.ones((3, 3, 1), np.uint8)))
        shown = find_block("a.wav", p, number=number, at=None)
        assert shown.n_blocks == len(images)
        assert (shown.gain.gain_db, shown.gain.offset, shown.gain.flag) == (
            gains[number].gain_db,
            gains[number].offset,
            gains[number].flag,
        )


def test_a_stack_has_a_picture_for_each_channel_and_features_are_listed():
    stack = ["representation.kind=stack", "model.normalise=standard"]
    page, boxes, panels = drawn("a.wav", *stack)
    assert len(boxes) == len(panels) == 2
    assert boxes[0].bottom < boxes[1].top
    assert "window 40 ms" in panels[0].channel
    assert "window 5 ms" in panels[1].channel
    page, boxes, panels = drawn("a.wav", "representation.kind=features", "model.normalise=standard")
    assert boxes == []
    assert len(panels) == 26
    shown = find_block("a.wav", load_params(), number=0, at=None)
    loud = shown.samples * 10 ** (shown.gain.gain_db / 20)
    assert float(dict(panels)["rms"]) == pytest.approx(np.sqrt(np.mean(loud**2)), rel=0.02)
    assert (page.min(axis=2) < 128).sum() > 1000


def test_random_blocks_are_those_of_the_stage():
    settings = [f"data.root={Path('corpora').absolute()}", "slice.random_blocks=3", "slice.seed=5"]
    Path("corpora/mine/joy").mkdir(parents=True)
    soundfile.write("corpora/mine/joy/a.wav", SOUND, RATE, subtype="FLOAT")
    store_clips("mine", {"joy/a.wav": SOUND})
    p = load_changed(Path("params.yaml"), settings)
    chosen = p.slice.model_dump(exclude={"silent_blocks", "silent_below_lu"})
    slice_corpus("mine", sample_rate=RATE, silent_below_lu=None, **chosen)
    shown = [find_block("mine/joy/a.wav", p, number=number, at=None) for number in range(3)]
    assert [one.start for one in shown] == [block.start for block in read_rows(blocks_csv("mine"), Block)]
    assert {one.n_blocks for one in shown} == {3}


def test_a_frame_is_shown_without_axes():
    write_film(Path("corpora/mine/joy/a.mkv"), seconds=3.0)
    faces = ["representation.kind=faces", f"data.root={Path('corpora').absolute()}", "slice.block_seconds=1.0"]
    page, (box,), (picture,) = drawn("mine/joy/a.mkv", *faces, number=1)  # from 1 s to 2 s
    grey = plain(15)[0, 0]
    assert (picture.image == grey).all()
    assert picture.image.shape == (80, 120, 3)
    assert (inside(page, box) == grey).all()
    around = page.copy()
    around[box.top - 1 : box.bottom + 1, box.left - 1 : box.right + 1] = 255
    assert (around[box.top :, :] == 255).all()
    with pytest.raises(AudioError, match=r"a.wav: sound without pictures"):
        drawn("a.wav", *faces)


def test_a_resampled_block_has_relative_axes_and_its_own_range_is_said():
    _, _, (picture,) = drawn("a.wav", "representation.resample_samples=8000")
    assert (picture.up, picture.across) == ("rel. Hz", "seconds, relative")
    _, _, (picture,) = drawn("a.wav", "image.range=own")
    assert picture.level == "dB re 1/Hz"
    assert len(picture.decibels) >= 3


# which block


@pytest.mark.parametrize(
    ("which", "words"),
    [
        ({}, "block 3 of 7 (from 0), 3 s to 5 s"),  # the loudest
        ({"block": 6}, "block 6 of 7 (from 0), 6 s to 8 s"),
        ({"at": 2.1}, "block 1 of 7 (from 0), 1 s to 3 s"),
        ({"at": 0.0}, "block 0 of 7 (from 0), 0 s to 2 s"),
        ({"at": 8.0}, "block 6 of 7 (from 0), 6 s to 8 s"),
    ],
)
def test_which_block_is_shown(which, words):
    said = show_clip("a.wav", out=Path("page.png"), **which)
    assert said.startswith(f"page.png: a.wav, {words}, ")
    assert Path("page.png").is_file()


def test_a_clip_of_a_corpus_is_found_without_any_stage_having_run(project):
    folder = project / "data/raw/mine"
    (folder / "joy").mkdir(parents=True)
    soundfile.write(folder / "joy" / "b.wav", SOUND[: 3 * RATE], RATE, subtype="FLOAT")
    assert show_clip("mine/joy/b.wav", block=1) == show_clip("mine/joy/b.wav", at=2.0)
    assert Path("b.wav.png").is_file()
    table = "path,label,start_seconds,end_seconds\njoy/b.wav,joy,0.5,2.75\n"
    (folder / "clips.csv").write_text(table, encoding="utf-8")
    said = show_clip("mine/joy/b.wav#t=0.5,2.75", out=Path("event.png"))
    assert "mine/joy/b.wav#t=0.5,2.75, block 0 of 1 (from 0), 0 s to 2 s" in said
    event = find_block("mine/joy/b.wav#t=0.5,2.75", load_params(), number=0, at=None)
    np.testing.assert_array_equal(event.samples, SOUND[RATE // 2 : RATE // 2 + 2 * RATE])
    with pytest.raises(ShowError, match=r"has no such clip: its events are mine/joy/b\.wav#t=0\.5,2\.75"):
        show_clip("mine/joy/b.wav")


# beside it


def test_another_set_of_parameters_is_drawn_beside_the_first_at_the_same_time(project):
    text = Path("params.yaml").read_text(encoding="utf-8")
    Path("other.yaml").write_text(text.replace("colormap: jet", "colormap: grey"), encoding="utf-8")
    said = show_clip("a.wav", block=5, other=Path("other.yaml"), settings=["slice.block_seconds=1.0"])
    both = np.asarray(Image.open("a.wav.png"))
    assert "block 5 of 7" in said
    show_clip("a.wav", block=5, out=Path("one.png"))
    one = np.asarray(Image.open("one.png"))
    assert both.shape[1] > 1.8 * one.shape[1]
    coloured = np.flatnonzero((np.ptp(both.astype(int), axis=2) > 50).any(axis=0))
    assert coloured.max() < both.shape[1] / 2  # the other half is grey
    other = load_changed(Path("other.yaml"), ["slice.block_seconds=1.0"])
    assert find_block("a.wav", other, number=None, at=6.0).start in (5 * RATE, 6 * RATE)


# refusals


@pytest.mark.parametrize(
    ("clip", "options", "error", "words"),
    [
        ("a.wav", {"block": 7}, ShowError, r"a\.wav: has 7 blocks, 0 to 6: there is no block 7"),
        ("a.wav", {"at": 8.1}, ShowError, r"a\.wav: lasts 8 s: there is no block at 8\.1 s"),
        ("a.wav", {"block": 1, "at": 1.0}, ShowError, "--block and --at: give one of the two"),
        ("b.wav", {}, ShowError, r"b\.wav: neither a sound file nor a clip of a corpus under data/raw"),
        ("none/b.wav", {}, ShowError, r"none/b\.wav: neither a sound file nor"),
        ("params.yaml", {}, AudioError, r"params\.yaml: "),
        (
            "a.wav",
            {"settings": ["image.colour=grey"]},
            ParamsError,
            r"-S image\.colour=grey: 'image\.colour' is no",
        ),
        ("a.wav", {"settings": ["image.colormap"]}, ParamsError, r"-S image\.colormap: .* give section\.key=value"),
        ("a.wav", {"settings": ["image.height=[3"]}, ParamsError, r"-S image\.height=\[3: not valid YAML"),
        ("a.wav", {"settings": ["image.height=3"]}, ParamsError, r"image\.height: .* 16, not 3"),
        ("a.wav", {"other": Path("gone.yaml")}, ParamsError, r"gone\.yaml: No such file"),
        ("a.wav", {"out": Path("gone/a.png")}, ShowError, r"gone/a\.png: cannot be written \(No such file"),
    ],
)
def test_what_cannot_be_shown_is_refused(clip, options, error, words):
    with pytest.raises(error, match=words) as refusal:
        show_clip(clip, **options)
    assert "\n" not in str(refusal.value)
    assert not list(Path().glob("*.png"))


def test_a_clip_shorter_than_a_block_that_is_rejected_says_what_to_do():
    soundfile.write("short.wav", SOUND[:RATE], RATE, subtype="FLOAT")
    with pytest.raises(ShowError, match=r"short\.wav: lasts 1 s, less than a block: .* slice\.short_clips"):
        find_block("short.wav", load_changed(Path("params.yaml"), ["slice.short_clips=reject"]), number=0, at=None)


def test_the_command_writes_the_picture_or_says_in_one_line_why_not(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["emospec", "show", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    code, out, _ = run("a.wav", "--block", "2", "-S", "image.colormap=grey", "--out", "x.png")
    assert code == 0
    assert out.startswith("x.png: a.wav, block 2 of 7")
    with Image.open("x.png") as page:
        assert page.format == "PNG"
    code, out, err = run("gone.wav")
    assert code == 1
    assert out == ""
    assert err.startswith("error: gone.wav: neither")
    assert err.count("\n") == 1
    assert run("a.wav", "--out", "x.jpg")[0] == 2


def test_names_are_written_in_the_signs_that_the_font_has():
    assert in_its_signs("M\u00fcller \u2013 \u00e9t\u00e9, u\u0308, \u22123 dB") == "Muller - ete, u, -3 dB"
    assert in_its_signs("\u65e5 \ud55c \u20ac") == r"\u65e5 \ud55c \u20ac"
