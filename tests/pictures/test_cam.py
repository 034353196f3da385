"""Grad-CAM on the page: what is planted in the sound is found at its time and frequency."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made import RATE
from made_trained import TONE, TONE_HZ, put_lstm_over, run_stages, save_tiny, trained  # noqa: F401 - a fixture
from PIL import Image

from pipeline.cli import main
from pipeline.errors import ModelError, ShowError
from pipeline.features.chosen import representation_of
from pipeline.models.checkpoint import load_model
from pipeline.models.inference import outputs_of
from pipeline.params import load_changed
from pipeline.pictures import cam
from pipeline.pictures.cam import Answer, columns_of, draw_cam, enlarged, grey_of, overlay, upright
from pipeline.pictures.grad_cam import class_map
from pipeline.report.axes import height_of
from pipeline.report.spectrograms import Picture
from pipeline.show.block import find_block
from pipeline.show.page import draw_page
from pipeline.show.panels import values_of
from pipeline.store.paths import model_folder

pytestmark = pytest.mark.usefixtures("trained")
STACK = ("representation.kind=stack", "model.normalise=mean")
CLIP = "made/joy/tone.wav"


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("spectrogram.axis=linear",),
        ("spectrogram.axis=log", "image.colormap=jet", "image.n_colours=64"),
        STACK,
        (*STACK, "stack.axis=mel", "stack.min_hz=20.0"),
    ],
)
def test_the_heat_lies_on_the_tone_at_its_time_and_its_frequency(settings):
    import torch

    params = load_changed(Path("params.yaml"), settings)
    representation = representation_of(params)
    grey = load_changed(Path("params.yaml"), [*settings, "image.colormap=grey", "image.n_colours=256"])
    save_tiny(representation)
    network, _, preparation = load_model(model_folder("0-a"))
    shown = find_block(CLIP, params, number=0, at=None)
    # the network looks at brightness: of the grey picture, whatever the colours of that which is drawn
    batch = preparation.to_input(values_of(shown, representation_of(grey))[None], torch.device("cpu"))
    heat = np.maximum(class_map(network.trunk, batch, 1, layer="1").values, 0)
    answer = Answer(("anger", "joy"), np.array([0.1, 0.9]), "joy", "joy", "test", "joy")
    columns = columns_of(shown, params, heat, answer, layer="1", kind=representation.kind)
    page, boxes = draw_page("page", columns)
    pixels = np.asarray(page).astype(int)
    for channel, box in enumerate(boxes[1]):
        inside = pixels[box.top : box.bottom, box.left : box.right]
        hot = np.ptp(inside, axis=2) > 80  # beneath it is grey
        assert 0.0005 < hot.mean() < 0.1
        rows, across = np.nonzero(hot)
        up = 1 - (rows.mean() + 0.5) / inside.shape[0]
        spec = representation.spectrograms[channel]
        assert up == pytest.approx(height_of(TONE_HZ, spec), abs=0.03)
        seconds = (across + 0.5) / inside.shape[1] * 2
        assert np.percentile(seconds, 2) == pytest.approx(0.5, abs=0.08)
        assert np.percentile(seconds, 98) == pytest.approx(1.0, abs=0.08)


def test_heat_is_enlarged_about_the_centres_of_its_positions():
    large = enlarged(np.array([[0.0, 3.0], [6.0, 9.0]], np.float32), (8, 4))
    assert large.shape == (8, 4)
    np.testing.assert_allclose(large[[0, 0, -1, -1], [0, -1, 0, -1]], [0, 3, 6, 9])
    assert large[3:5, 1:3].mean() == pytest.approx(4.5)
    assert (np.diff(large, axis=0) >= 0).all()
    one_row = enlarged(np.array([[1.0, 5.0]], np.float32), (6, 10))  # of a filter as high as the picture
    np.testing.assert_allclose(one_row, np.repeat(one_row[:1], 6, axis=0))


def test_a_stacks_first_row_is_its_lowest_band():
    heat = np.array([[1.0, 0], [0, 0]], np.float32)
    np.testing.assert_array_equal(upright(heat, "stack"), [[0, 0], [1, 0]])
    np.testing.assert_array_equal(upright(heat, "image"), heat)


def picture(image, bar):
    return Picture(image=image, bar=bar, seconds=[], hz=[], decibels=[])


def test_levels_are_where_the_bar_has_the_colour():
    bar = np.array([[[255, 0, 0]], [[0, 255, 0]], [[0, 0, 255]]], np.uint8)  # highest first
    image = np.array([[[0, 0, 255], [255, 0, 0]], [[0, 250, 4], [0, 0, 255]]], np.uint8)
    np.testing.assert_allclose(grey_of(picture(image, bar)), [[0, 1], [0.5, 0]])


def test_a_frame_of_a_video_is_shown_by_its_brightness_under_heat_in_its_own_place():
    frame = np.zeros((4, 6, 3), np.uint8)
    frame[2] = 200
    shown = Picture(image=frame, across="", up="", level="")
    np.testing.assert_allclose(grey_of(shown)[:, 0], [0, 0, 200 / 255, 0])
    heat = np.zeros((2, 3), np.float32)
    heat[0, 2] = 1
    hot = np.ptp(overlay(shown, heat).image.astype(int), axis=2) > 60
    assert hot[:2, 4:].any()
    assert not hot[2:, :3].any()


def test_no_heat_leaves_the_grey_picture():
    bar = np.repeat(np.arange(255, -1, -1, dtype=np.uint8)[:, None, None], 3, axis=2)
    image = np.repeat(np.array([[10, 200]], np.uint8)[..., None], 3, axis=2)
    np.testing.assert_array_equal(overlay(picture(image, bar), np.zeros((1, 1), np.float32)).image, image)


@pytest.mark.parametrize("settings", [(), STACK])
def test_the_command_says_what_the_network_answers(settings, monkeypatch, capsys):
    from ruamel.yaml import YAML

    representation = run_stages(*settings)
    save_tiny(representation)
    with Path("params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(load_changed(Path("params.yaml.bak"), settings).model_dump(), file)
    monkeypatch.setattr(sys, "argv", ["emospec", "gradcam", CLIP, "--block", "0", "--out", "cam.png"])
    with pytest.raises(SystemExit) as ended:
        main()
    out = capsys.readouterr().out
    assert ended.value.code == 0
    assert out.startswith(f"cam.png: {CLIP}, block 0 of 3 (from 0), 0 s to 2 s")
    assert "run 0-a, layer 1: predicted anger" in out
    assert "actual joy" in out
    assert "the block is on the test side" in out
    network, _, preparation = load_model(model_folder("0-a"))
    shown = find_block(CLIP, load_changed(Path("params.yaml"), ()), number=0, at=None)
    import torch

    values = values_of(shown, representation)[None]
    ((logits, _),) = outputs_of(network, [values], preparation=preparation, device=torch.device("cpu"))
    share = 1 / (1 + np.exp(float(logits[0, 0]) - float(logits[0, 1])))
    assert f"(anger {1 - share:.2f}, joy {share:.2f})" in out
    with Image.open("cam.png") as page:
        assert page.format == "PNG"


@pytest.fixture(autouse=True)
def kept(trained):  # noqa: F811
    (trained / "params.yaml.bak").write_bytes((trained / "params.yaml").read_bytes())


def test_class_layer_and_file_can_be_chosen():
    save_tiny(run_stages())
    said = draw_cam(CLIP, block=0, layer="0", out=Path("a.png"))
    assert "layer 0: predicted anger" in said
    for name, of in (("b", "actual"), ("c", "joy"), ("d", "predicted"), ("e", "anger")):
        draw_cam(CLIP, block=0, of=of, out=Path(f"{name}.png"))
    page = {name: Path(f"{name}.png").read_bytes() for name in "abcde"}
    assert page["b"] == page["c"] != page["d"] == page["e"] != page["a"]
    assert draw_cam("made/anger/hiss.wav", block=1).startswith("hiss.wav_gradcam_0-a.png: ")
    assert "the block is on the train side" in draw_cam("made/anger/hiss.wav", block=1)
    soundfile.write("new.wav", TONE, RATE, subtype="FLOAT")
    assert "actual class not known" in (said := draw_cam("new.wav", block=0))
    assert "the block is not in this split" in said


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"of": "sadness"}, ShowError, "--class sadness: .* no such class: predicted, actual, anger, joy"),
        ({"layer": "9"}, ShowError, "--layer 9: no layer of tiny with feature maps: e.g. 0, 1$"),
        ({"run": "0-b"}, ShowError, "models/0-b/: no trained model of run 0-b here: there is 0-a"),
        ({"run": "best"}, Exception, "'best' names no training run"),
        ({"block": 9}, ShowError, "there is no block 9"),
        ({"block": 0, "at": 1.0}, ShowError, "--block and --at"),
        ({"params": Path("other.yaml")}, ShowError, r"another representation than other\.yaml .*different: max_hz"),
    ],
)
def test_what_cannot_be_shown_is_refused(options, error, words):
    save_tiny(run_stages())
    text = Path("params.yaml").read_text(encoding="utf-8")
    Path("other.yaml").write_text(text.replace("max_hz: 4000.0", "max_hz: 3900.0"), encoding="utf-8")
    with pytest.raises(error, match=words):
        draw_cam(CLIP, **options)
    assert not list(Path().glob("*.png"))


def test_a_recurrent_run_is_refused():
    save_tiny(run_stages())
    put_lstm_over()
    with pytest.raises(ShowError, match="run 0-a: lstm answers for a block by others of its clip too"):
        draw_cam(CLIP, block=0)


def test_without_a_model_or_with_a_damaged_one_it_says_what_to_do():
    with pytest.raises(ShowError, match=r"models/: no trained model here: run `dvc repro`"):
        draw_cam(CLIP)
    save_tiny(run_stages())
    (model_folder("0-a") / "weights.safetensors").write_bytes(b"half")
    with pytest.raises(ModelError, match="missing or damaged"):
        draw_cam(CLIP)
    soundfile.write("new.wav", TONE, RATE, subtype="FLOAT")
    save_tiny(run_stages())
    with pytest.raises(ShowError, match="--class actual: the clip is in no split"):
        draw_cam("new.wav", of="actual")


def test_values_that_cannot_be_written_are_no_matter(monkeypatch):
    save_tiny(run_stages())

    def read_only(*of):
        values = values_of(*of)
        values.flags.writeable = False
        return values

    monkeypatch.setattr(cam, "values_of", read_only)
    assert "run 0-a, layer 1" in draw_cam(CLIP)
