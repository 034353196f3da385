"""Which blocks are shown, and pictures that are the right way up."""

import base64
import dataclasses
import io

import numpy as np
import pytest
from made_report import REPRESENTATION, make_results
from made_run import CORPUS, RATE
from PIL import Image

from pipeline.errors import StoreError
from pipeline.features.colour import colour_table
from pipeline.features.representations import Stack
from pipeline.features.spectrogram import SpectrogramSpec, band_decibels, draw_image
from pipeline.features.stack import ChannelSpec, StackSpec
from pipeline.report.spectrograms import Sound, picture_of, pictures_of, show_classes, show_wrong
from pipeline.store.paths import ANSWERS, SPECTROGRAMS_LIST, blocks_csv, clips_csv
from pipeline.store.rendered import open_rendered
from pipeline.store.tables import Block, Clip, ClipAnswer, SpectrogramFile, read_rows, write_rows


def pixels_of(uri):
    head, _, data = uri.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_results(monkeypatch, answer={f"{CORPUS}/anger0.wav@{start}": [0.2, 0.7, 0.1] for start in (0, 1000)})


def looked_up(show, *arguments, **options):
    with open_rendered(read_rows(SPECTROGRAMS_LIST, SpectrogramFile)) as images:
        return show(Sound.of([CORPUS]), images, *arguments, **options)


# pictures


def test_a_low_tone_is_bright_near_the_bottom_of_the_picture_and_right_of_its_tick():
    names = {item.name for item in dataclasses.fields(SpectrogramSpec)}
    spec = SpectrogramSpec(**{name: value for name, value in REPRESENTATION.items() if name in names})
    tone = (0.5 * np.sin(2 * np.pi * 100 * np.arange(2 * RATE) / RATE)).astype(np.float32)
    drawn = {name: REPRESENTATION[name] for name in ("low_db", "high_db", "n_colours")}
    image = draw_image(band_decibels(tone, spec), **drawn, colormap="grey", height=90, width=70)
    picture = picture_of(image, {**REPRESENTATION, "colormap": "grey"}, n_samples=2 * RATE)
    shown = pixels_of(picture.pixels)
    assert shown.shape == (90, 70, 3)
    row = int(shown[..., 0].mean(axis=1).argmax())
    assert row > 60  # rows count from the top
    (tick,) = [tick for tick in picture.hz if tick.text == "100"]
    assert 1 - (row + 0.5) / 90 == pytest.approx(tick.at, abs=1.5 / 40)


def test_the_pixels_are_those_of_the_image():
    image = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    np.testing.assert_array_equal(pixels_of(picture_of(image, REPRESENTATION, n_samples=2 * RATE).pixels), image)


def test_large_pictures_are_reduced():
    image = np.full((1024, 600, 3), 77, dtype=np.uint8)
    shown = pixels_of(picture_of(image, REPRESENTATION, n_samples=2 * RATE).pixels)
    assert shown.shape == (512, 512, 3)
    assert (shown == 77).all()


@pytest.mark.parametrize("colormap", ["jet", "grey"])
def test_the_colour_bar_has_the_loudest_at_the_top(colormap):
    image = np.zeros((24, 20, 3), dtype=np.uint8)
    picture = picture_of(image, {**REPRESENTATION, "colormap": colormap, "n_colours": 7}, n_samples=2 * RATE)
    np.testing.assert_array_equal(pixels_of(picture.colours)[:, 0], colour_table(colormap, 7)[::-1])
    # -130 to -22 dB
    at = {tick.text.replace("\N{MINUS SIGN}", "-"): tick.at for tick in picture.decibels}
    assert at["-100"] == pytest.approx(30 / 108)
    assert at["-40"] == pytest.approx(90 / 108)


def test_images_that_do_not_state_how_they_were_made_are_refused():
    stated = {name: value for name, value in REPRESENTATION.items() if name not in ("axis", "low_db")}
    with pytest.raises(StoreError, match=r"do not state their axis, low_db: run `dvc repro -f`"):
        picture_of(np.zeros((24, 20, 3), dtype=np.uint8), stated, n_samples=2 * RATE)


# which blocks


def test_each_class_is_shown_by_the_middle_block_of_its_clip_of_median_length(results):
    shown = looked_up(show_classes)
    assert [one.label for one in shown] == ["anger", "joy", "neutral"]
    # four clips of 4, 5, 6 and 7 s: the lower of the middle two; three blocks at 0, 1 and 2 s
    assert [one.clip.path for one in shown] == ["anger1.wav", "joy1.wav", "neutral1.wav"]
    assert {(one.starts, one.seconds) for one in shown} == {(1.0, 2.0)}


def test_altered_sound_is_never_what_a_class_looks_like(results):
    blocks = read_rows(blocks_csv(CORPUS), Block)
    write_rows(blocks_csv(CORPUS), Block, [dataclasses.replace(b, variant=int(b.start == 1000)) for b in blocks])
    assert {one.starts for one in looked_up(show_classes)} == {0.0}


def test_the_place_counts_from_the_start_of_the_recording(results):
    clips = read_rows(clips_csv(CORPUS), Clip)
    write_rows(clips_csv(CORPUS), Clip, [dataclasses.replace(clip, start_seconds=100.5) for clip in clips])
    assert looked_up(show_classes)[0].starts == 101.5


def answered(name, of_actual, predicted="joy", block="@0"):
    clip_id = f"{CORPUS}/{name}.wav"
    return ClipAnswer(
        clip_id=clip_id,
        actual=name[:-1],
        predicted=predicted,
        of_actual=of_actual,
        of_predicted=0.6,
        n_blocks=3,
        worst_block=clip_id + block,
    )


def test_the_least_sure_of_the_right_class_come_first(results):
    answers = [
        answered("anger2", 0.3),
        answered("anger0", 0.1, block="@2000"),
        answered("joy0", 0.05),  # right
        answered("anger1", 0.1),
    ]
    shown = looked_up(show_wrong, answers, at_most=2)
    assert [(one.clip.path, one.starts) for one in shown] == [("anger0.wav", 2.0), ("anger1.wav", 0.0)]
    assert looked_up(show_wrong, answers, at_most=0) == []


def test_answers_of_evaluation_are_shown_by_their_worst_block(results):
    (one,) = looked_up(show_wrong, read_rows(ANSWERS, ClipAnswer), at_most=6)
    assert (one.clip.path, one.starts, one.answer.predicted) == ("anger0.wav", 0.0, "joy")


def test_a_block_or_a_clip_that_is_not_there_is_refused(results):
    with pytest.raises(StoreError, match=r"block made/anger0\.wav@77 .* is not in data/processed/blocks"):
        looked_up(show_wrong, [answered("anger0", 0.1, block="@77")], at_most=1)
    clips = read_rows(clips_csv(CORPUS), Clip)
    write_rows(clips_csv(CORPUS), Clip, clips[1:])
    with pytest.raises(StoreError, match=r"clip made/anger0\.wav .* is not in data/processed/clips"):
        looked_up(show_classes)


def test_the_lowest_coefficient_does_not_take_all_colours_of_mfcc():
    spec = SpectrogramSpec(16000, "hamming", 640, 0.002, 2048, "mel", 100, 1.0, 2000.0, 0)
    stack = Stack(StackSpec((ChannelSpec(spec), ChannelSpec(spec, "mfcc")), n_bands=100, n_columns=200))
    values = np.random.default_rng(0).uniform(-10, 10, (2, 100, 200)).astype(np.float32)
    values[:, 0, :100] = -1000  # one value of two hundred
    decibels, mfcc = pictures_of(values, stack.attributes(), n_samples=8192)
    assert {tick.text for tick in mfcc.decibels} >= {"\N{MINUS SIGN}5", "0", "5"}
    assert "\N{MINUS SIGN}5" not in {tick.text for tick in decibels.decibels}
    assert len(np.unique(mfcc.image[:50].reshape(-1, 3), axis=0)) > 50
    assert len(np.unique(decibels.image[:50].reshape(-1, 3), axis=0)) < 5
