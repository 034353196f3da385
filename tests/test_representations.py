"""Every kind of representation from sound to outputs: what is learnt is learnt on training blocks, and saved."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made import RATE, noise, store_clips, tone
from made_report import MEMBER, SECTIONS
from made_run import CLASSES, ON_CPU, SPLIT, one_thread, recipe, torch_as_before  # noqa: F401 - a fixture

from pipeline.errors import CorpusError, ModelError, StoreError
from pipeline.evaluate import evaluate_runs
from pipeline.features.hand_built import HandBuiltSpec
from pipeline.features.representations import HandBuilt, ImageSpec, Picture, Stack
from pipeline.features.spectrogram import SpectrogramSpec
from pipeline.features.stack import ChannelSpec, StackSpec
from pipeline.fold_baselines import fit_baselines
from pipeline.listing import list_spectrograms
from pipeline.models.checkpoint import PREPARATION, load_model
from pipeline.models.preparation import fit_preparation
from pipeline.models.weights import fetch_weights
from pipeline.normalize import normalize_corpus
from pipeline.render import render_corpus
from pipeline.report.page import write_report
from pipeline.report.spectrograms import Sound, show_classes
from pipeline.runs import predict_run, train_run
from pipeline.slicing import slice_corpus
from pipeline.split.choices import Choices
from pipeline.split.corpora import split_corpora
from pipeline.store.arrays import attributes_of, open_arrays
from pipeline.store.folds import read_fold, read_outputs
from pipeline.store.paths import (
    DUPLICATES,
    REPORT,
    SPECTROGRAMS_LIST,
    baselines_h5,
    blocks_csv,
    clips_csv,
    left_out_csv,
    missing_csv,
    model_folder,
    outputs_h5,
    rejected_csv,
    spectrograms_h5,
    weights_folder,
)
from pipeline.store.rendered import open_rendered
from pipeline.store.tables import (
    Block,
    Clip,
    Duplicate,
    LeftOut,
    Missing,
    Rejected,
    SpectrogramFile,
    read_rows,
    write_rows,
)

SOURCES = Path(__file__).resolve().parents[1] / "src"
SPEC = SpectrogramSpec(
    sample_rate=RATE,
    window="hann",
    window_length=256,
    hop_seconds=0.01,
    fft_length=256,
    axis="mel",
    n_bands=32,
    min_hz=50.0,
    max_hz=4000.0,
    n_columns=0,
)
SHORT = dataclasses.replace(SPEC, window_length=64, hop_seconds=0.004)
TWO = StackSpec((ChannelSpec(SPEC), ChannelSpec(SHORT)), n_bands=32, n_columns=40)
MFCC = StackSpec(tuple(ChannelSpec(SPEC, what) for what in ("decibels", "mfcc", "delta_mfcc")), 32, 40)
REPRESENTATIONS = {
    "image": Picture(SPEC, ImageSpec(-110.0, -20.0, "jet", 64, 64, 48)),
    "stack": Stack(TWO),
    "mfcc": Stack(MFCC, resample_samples=6000),
    "features": HandBuilt(HandBuiltSpec(RATE)),
}
SMALL = "shufflenet_v2_x0_5"
# by member: representation, network, normalisation, whitening
RUNS = {
    "image": ("image", SMALL, "unit", "none"),
    "image_standard": ("image", SMALL, "standard", "none"),
    "stack": ("stack", SMALL, "standard", "none"),
    "stack_zca": ("stack", SMALL, "standard", "zca"),
    "mfcc_own": ("mfcc", SMALL, "mean", "own"),
    "fc2": ("features", "fc2", "standard", "none"),
    "fc3": ("features", "fc3", "mean", "none"),
    "softmax": ("features", "softmax", "standard", "none"),
    "full_height": ("stack", "anand_r3", "mean", "none"),
    "square": ("image", "anand_s1", "imagenet", "none"),
}
IN_A_NEW_PROCESS = """
import sys, numpy, torch
from pipeline.models.checkpoint import load_model
from pipeline.models.inference import outputs_of
from pipeline.store.paths import model_folder
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
for member in sys.argv[1:]:
    network, _, preparation = load_model(model_folder(f"0-{member}"))
    values = numpy.load(f"{member}.npy")
    ((logits, _),) = outputs_of(network, [values], preparation=preparation, device=torch.device("cpu"))
    numpy.save(f"{member}.logits.npy", logits)
"""


def sound_of(label, number):
    """A second and a half; each class has its own pitch, and no two clips are alike."""
    hz = 200.0 * (label + 1) + 7 * number
    return tone(-20, 1.5, hz=hz) + noise(-45, 1.5, seed=10 * label + number)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Three classes of four clips, as split_blocks leaves them; tests only add to it."""
    folder = tmp_path_factory.mktemp("corpus")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        sounds = {f"{label}{n}.wav": sound_of(i, n) for i, label in enumerate(CLASSES) for n in range(4)}
        store_clips(
            "made", sounds, label={name: name[:-5] for name in sounds}, pcm_sha256={name: name for name in sounds}
        )
        slice_corpus(
            "made",
            sample_rate=RATE,
            block_seconds=0.5,
            slide_seconds=0.5,
            short_clips="pad",
            tail="drop",
            silent_below_lu=None,
        )
        gains = {"scope": "block", "method": "rms", "target_db": -23.0, "max_gain_db": 60.0, "limit_peak": False}
        normalize_corpus("made", sample_rate=RATE, n_workers=1, **gains)
        for path, kind in ((rejected_csv("made"), Rejected), (missing_csv("made"), Missing), (DUPLICATES, Duplicate)):
            write_rows(path, kind, [])
        split_corpora(["made"], Choices(**SPLIT), audit_fields=[])
    return folder


@pytest.fixture
def in_corpus(corpus, monkeypatch):
    monkeypatch.chdir(corpus)


def render(name):
    render_corpus("made", REPRESENTATIONS[name], n_workers=1)
    list_spectrograms(["made"])


def train(network, normalise, whiten, member="a"):
    fetch_weights(network, "random", expected_sha256=None, folder=weights_folder(member))
    train_run(
        0,
        member,
        network_name=network,
        init="kaiming",
        dropout=None,
        recipe=recipe(epochs=1, normalise=normalise, whiten=whiten),
        validation="none",
        compute=ON_CPU,
    )


def listed():
    return read_rows(SPECTROGRAMS_LIST, SpectrogramFile)


@pytest.fixture(scope="module")
def predicted(corpus):
    """Logits of every block under each run's model: in this process, and by loading it in another."""
    here = {}
    with pytest.MonkeyPatch.context() as patch, torch_as_before():
        patch.chdir(corpus)
        for member, (representation, network, normalise, whiten) in RUNS.items():
            render(representation)
            train(network, normalise, whiten, member)
            predict_run(0, member, compute=ON_CPU)
            outputs = read_outputs(outputs_h5(f"0-{member}"), "logits")
            here[member] = outputs.values["logits"]
            with open_rendered(listed()) as rendered:
                np.save(f"{member}.npy", rendered.batch(outputs.block_ids))
        subprocess.run(
            [sys.executable, "-c", IN_A_NEW_PROCESS, *RUNS],
            env={**os.environ, "PYTHONPATH": str(SOURCES)},  # which may choose the kernels of BLAS
            check=True,
        )
        return {member: (logits, np.load(f"{member}.logits.npy")) for member, logits in here.items()}


@pytest.mark.parametrize("member", RUNS)
def test_from_sound_to_the_same_outputs_in_a_new_process(predicted, member):
    logits, elsewhere = predicted[member]
    assert logits.shape == (36, 3)
    assert np.isfinite(logits).all()
    assert np.ptp(logits, axis=0).min() > 0  # it looks at its input
    np.testing.assert_array_equal(elsewhere, logits)


@pytest.mark.parametrize("name", ["stack", "features"])
def test_evaluation_lists_the_baselines_that_there_are(in_corpus, name, monkeypatch):
    representation, network, normalise, whiten = RUNS["stack" if name == "stack" else "fc2"]
    render(representation)
    train(network, normalise, whiten)
    predict_run(0, "a", compute=ON_CPU)
    fit_baselines(0, ["made"])
    metrics = evaluate_runs([0], ["a"], n_resamples=100, seed=0, sample_rate=RATE, run={"corpora": ["made"]})
    there = ["majority", "nuisance"] + (["thumbnail"] if name == "stack" else [])
    assert list(metrics["baselines"]) == there
    with open_arrays(baselines_h5(0)) as file:
        assert ("thumbnail" in file) == (name == "stack")
    write_report(["made"], sections=SECTIONS, members={"a": MEMBER}, wrong_clips=2)
    page = REPORT.read_text(encoding="utf-8")
    assert page.count("Spectrogram of a block of the class") == (2 * 3 if name == "stack" else 0)  # channels of classes
    assert ("a 14 x 14 thumbnail" in page) == (name == "stack")
    assert ("none is shown" in page) == (name == "features")


@pytest.mark.parametrize(
    ("name", "channels"), [("image", [""]), ("stack", ["channel 1", "channel 2"]), ("features", [])]
)
def test_the_report_draws_what_can_be_drawn(in_corpus, name, channels):
    render(name)
    with open_rendered(listed()) as rendered:
        shown = show_classes(Sound.of(["made"]), rendered)
    assert [one.label for one in shown] == list(CLASSES)
    for one in shown:
        assert [picture.channel.partition(":")[0] for picture in one.pictures] == channels


def test_pictures_of_resampled_blocks_say_that_they_are_relative(in_corpus):
    render("mfcc")
    with open_rendered(listed()) as rendered:
        decibels, mfcc, delta = show_classes(Sound.of(["made"]), rendered)[0].pictures
    assert (decibels.up, decibels.across) == ("rel. Hz", "seconds, relative")
    assert mfcc.up == delta.up == "no."  # of the coefficient
    assert mfcc.level == "MFCC"


# what is fitted


def fitted(name, normalise, whiten):
    fold = read_fold(0)
    training = [row.block_id for row in fold.rows if row.side == "train"]
    with open_rendered(listed()) as rendered:
        preparation, n_anomalous = fit_preparation(rendered, training, normalise=normalise, whiten=whiten, seed=0)
        values = rendered.batch(training)
        inputs = preparation.to_input(values, ON_CPU.prepare()).double().numpy()
    return preparation, values, inputs, n_anomalous


@pytest.mark.parametrize(("name", "axes"), [("image", (0, 2, 3)), ("stack", (0, 2, 3)), ("features", (0,))])
def test_training_blocks_enter_with_mean_zero_and_deviation_one(in_corpus, name, axes):
    render(name)
    _, _, inputs, _ = fitted(name, "standard", "none")
    np.testing.assert_allclose(inputs.mean(axis=axes), 0, atol=1e-4)
    deviations = inputs.std(axis=axes)
    constant = np.ptp(inputs, axis=axes) < 1e-3
    np.testing.assert_allclose(deviations[~constant], 1, rtol=1e-4)
    _, _, centred, _ = fitted(name, "mean", "none")
    np.testing.assert_allclose(centred.mean(axis=axes), 0, atol=0.05)
    assert not np.allclose(centred.std(axis=axes), 1, rtol=0.01)


def test_whitened_training_columns_have_the_identity_as_covariance(in_corpus):
    render("stack")
    preparation, values, _, _ = fitted("stack", "standard", "zca")
    whitened = preparation.before_scale(values)
    for channel in range(2):
        columns = np.moveaxis(whitened[:, channel].astype(float), 1, 0).reshape(32, -1)
        covariance = np.cov(columns)
        # directions that hardly vary are amplified by a bounded factor: variances below one
        values_of = np.linalg.eigvalsh(covariance)
        assert values_of.max() == pytest.approx(1, abs=1e-2)
        matrix = preparation.whitening.matrix[channel]
        np.testing.assert_allclose(matrix, matrix.T)


@pytest.mark.parametrize(("name", "whiten"), [("stack", "zca"), ("features", "none")])
def test_what_is_fitted_does_not_know_the_test_side(in_corpus, name, whiten):
    render(name)
    before = fitted(name, "standard", whiten)[0]
    sides = {row.block_id: row.side for row in read_fold(0).rows}
    with open_rendered(listed()) as rendered:
        tested = [block_id for block_id, side in sides.items() if side == "test"]
        assert tested
        genuine = rendered.batch

        def altered(block_ids):
            values = genuine(block_ids)
            for row, block_id in zip(values, block_ids, strict=True):
                if sides[block_id] == "test":
                    row[:] = 1000.0
            return values

        rendered.batch = altered
        training = [block_id for block_id, side in sides.items() if side == "train"]
        after, _ = fit_preparation(rendered, training, normalise="standard", whiten=whiten, seed=0)
        everything, _ = fit_preparation(rendered, list(sides), normalise="standard", whiten=whiten, seed=0)
    np.testing.assert_array_equal(after.scale.mean, before.scale.mean)
    np.testing.assert_array_equal(after.scale.deviation, before.scale.deviation)
    assert not np.array_equal(everything.scale.mean, before.scale.mean)  # the alteration is seen where it is looked at
    if whiten == "zca":
        np.testing.assert_array_equal(after.whitening.matrix, before.whitening.matrix)
        assert not np.array_equal(everything.whitening.matrix, before.whitening.matrix)
    else:
        np.testing.assert_array_equal(after.replacements.median, before.replacements.median)


def test_anomalous_features_are_replaced_counted_and_said(in_corpus, capsys, monkeypatch):
    render("features")
    training = [row.block_id for row in read_fold(0).rows if row.side == "train"]
    with open_rendered(listed()) as rendered:
        values = rendered.batch(training)
        _, n_before = fit_preparation(rendered, training, normalise="standard", whiten="none", seed=0)
        values[0, 0], values[1, 3] = np.nan, np.inf
        rendered.batch = lambda _block_ids: values
        own, n_after = fit_preparation(rendered, training, normalise="standard", whiten="none", seed=0)
        assert n_after == n_before + 2
        entered = own.to_input(values, ON_CPU.prepare()).numpy()
        assert np.isfinite(entered).all()
    train("fc2", "standard", "none")
    assert f"{n_before} of {26 * len(training)} values of the training blocks were anomalous" in capsys.readouterr().err
    assert load_model(model_folder("0-a"))[1].n_anomalous == n_before


def test_own_whitening_is_of_each_block_by_itself(in_corpus):
    render("stack")
    preparation, values, _, _ = fitted("stack", "standard", "own")
    alone = preparation.before_scale(values[:1])
    np.testing.assert_array_equal(alone, preparation.before_scale(values)[:1])


# what is refused


def test_a_damaged_preparation_is_refused(in_corpus):
    render("features")
    train("fc2", "standard", "none")
    path = model_folder("0-a") / PREPARATION
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"preparation\.safetensors: missing or damaged"):
        load_model(model_folder("0-a"))


@pytest.mark.parametrize(
    ("name", "network", "words"),
    [
        ("features", SMALL, "cannot take 26 hand-built features .*use fc2 or fc3"),
        ("features", "cnn", "cnn convolves images and stacks: it cannot take 26 hand-built features: use softmax"),
        ("stack", "vit_b_32", r"vit_b_32 cannot take stacks of 2 x 32 x 40 .*stack\.height and stack\.width"),
    ],
)
def test_a_network_that_cannot_take_it_is_refused_with_a_reason(in_corpus, name, network, words):
    render(name)
    with pytest.raises(ModelError, match=words) as caught:
        train(network, "standard", "none")
    assert "\n" not in str(caught.value)


def test_a_model_of_another_representation_is_refused(in_corpus):
    render("image")
    train(SMALL, "unit", "none")
    render("stack")
    with pytest.raises(StoreError, match="trained on another representation"):
        predict_run(0, "a", compute=ON_CPU)


def test_whitening_of_what_has_no_bands_is_refused(in_corpus):
    render("features")
    with pytest.raises(ModelError, match=r"model\.whiten: zca is for representation\.kind stack, not features"):
        train("fc2", "standard", "zca")


# whole clips


def whole_clips(folder, monkeypatch, lengths):
    monkeypatch.chdir(folder)
    sounds = {f"{n}.wav": noise(-20, seconds, seed=n) for n, seconds in enumerate(lengths)}
    store_clips("made", sounds)
    _, left_out = slice_corpus(
        "made",
        sample_rate=RATE,
        block_seconds=0.5,
        slide_seconds=0.1,
        short_clips="reject",
        tail="align",
        silent_below_lu=None,
        whole_clips=True,
    )
    gains = {"scope": "block", "method": "rms", "target_db": -23.0, "max_gain_db": 60.0, "limit_peak": False}
    normalize_corpus("made", sample_rate=RATE, n_workers=1, **gains)
    return read_rows(blocks_csv("made"), Block), left_out


def test_whole_clips_are_blocks_of_their_own_lengths(tmp_path, monkeypatch):
    blocks, left_out = whole_clips(tmp_path, monkeypatch, [0.3, 2.0, 1.0])
    assert [(block.start, block.n_samples, block.fill) for block in blocks] == [
        (0, 2400, "none"),
        (0, 16000, "none"),
        (0, 8000, "none"),
    ]
    assert left_out == []
    assert read_rows(left_out_csv("made"), LeftOut) == []
    assert [block.block_id for block in blocks] == [f"{clip.clip_id}@0" for clip in read_rows(clips_csv("made"), Clip)]
    for representation in REPRESENTATIONS.values():
        assert render_corpus("made", representation, n_workers=1) == 3


def test_a_clip_too_short_for_its_frames_is_named_before_any_work(tmp_path, monkeypatch):
    whole_clips(tmp_path, monkeypatch, [1.0, 0.01])
    for name in ("image", "stack", "features"):
        with pytest.raises(CorpusError, match=r"block made/1\.wav@0 has 80 samples, .* needs (256|320)"):
            render_corpus("made", REPRESENTATIONS[name], n_workers=1)
    assert not spectrograms_h5("made").exists()
    assert render_corpus("made", REPRESENTATIONS["mfcc"], n_workers=1) == 2  # resampled, both are long enough


def test_relative_axes_reach_as_high_as_the_block_is_short(tmp_path, monkeypatch):
    whole_clips(tmp_path, monkeypatch, [2.0, 1.0])
    half = Stack(dataclasses.replace(TWO, channels=(ChannelSpec(dataclasses.replace(SPEC, max_hz=2000.0)),)), 4000)
    render_corpus("made", half, n_workers=1)
    with open_arrays(spectrograms_h5("made")) as file:
        assert attributes_of(file)["reached_hz"] == 1000.0  # 2000 Hz of a second as half a second
    clips = read_rows(clips_csv("made"), Clip)
    for rate, fits in ((2000, True), (1999, False)):
        write_rows(clips_csv("made"), Clip, [dataclasses.replace(clips[0], source_rate=rate), clips[1]])
        if fits:
            render_corpus("made", half, n_workers=1)
        else:
            with pytest.raises(CorpusError, match=r"set audio\.sample_rate to 1999 or lower"):
                render_corpus("made", half, n_workers=1)


def test_hand_built_features_of_unequal_bands_are_refused_naming_the_rate(in_corpus, tmp_path, monkeypatch):
    whole_clips(tmp_path, monkeypatch, [1.0, 1.0])
    clips = read_rows(clips_csv("made"), Clip)
    write_rows(clips_csv("made"), Clip, [dataclasses.replace(clips[0], source_rate=6000), clips[1]])
    with pytest.raises(CorpusError, match=r"set audio\.sample_rate to 6000 or lower"):
        render_corpus("made", REPRESENTATIONS["features"], n_workers=1)
    with pytest.raises(CorpusError, match=r"set stack\.max_hz to 3000 or lower"):
        render_corpus("made", REPRESENTATIONS["stack"], n_workers=1)


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_the_same_bytes_with_one_worker_and_two(in_corpus, name):
    render_corpus("made", REPRESENTATIONS[name], n_workers=1)
    first = spectrograms_h5("made").read_bytes()
    render_corpus("made", REPRESENTATIONS[name], n_workers=2)
    assert spectrograms_h5("made").read_bytes() == first
    assert len(read_rows(blocks_csv("made"), Block)) == 36
