"""One run from files to files: what is written, that it is the same again, and what is refused in one line."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from made_run import (
    CLASSES,
    CORPUS,
    HEIGHT,
    ON_CPU,
    SMALL,
    WIDTH,
    coloured,
    curve_of,
    files_under,
    make_project,
    one_thread,  # noqa: F401 - a fixture
    train,
    write_images,
)
from made_run import SPLIT as CHOICES

from pipeline.errors import ModelError, SplitError, StoreError
from pipeline.fold_baselines import fit_baselines
from pipeline.learning.sides import Side
from pipeline.models.checkpoint import load_model
from pipeline.models.inference import outputs_of
from pipeline.models.networks import start_network
from pipeline.models.preparation import Preparation
from pipeline.runs import predict_run
from pipeline.split.choices import Choices
from pipeline.split.corpora import split_corpora
from pipeline.store.folds import read_fold, read_outputs
from pipeline.store.paths import (
    SPECTROGRAMS_LIST,
    SPLIT,
    baselines_h5,
    blocks_csv,
    curves_csv,
    model_folder,
    outputs_h5,
    spectrograms_h5,
)
from pipeline.store.rendered import open_rendered
from pipeline.store.tables import Block, SpectrogramFile, SplitRow, read_rows, write_rows


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_project()
    return tmp_path


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A project with fold 1 of member a trained and predicted; tests only read it."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_project()
        train(1)
        predict_run(1, "a", compute=ON_CPU)
    return folder


@pytest.fixture
def in_finished(finished, monkeypatch):
    monkeypatch.chdir(finished)
    return finished


# training


def test_the_model_says_what_it_is(in_finished):
    _, card, _ = load_model(model_folder("1-a"))
    (listed,) = read_rows(SPECTROGRAMS_LIST, SpectrogramFile)
    assert card.network == SMALL
    assert card.classes == CLASSES
    assert card.representation == {"max_hz": 500.0, "colormap": "jet"}  # without what says from which sound
    assert card.normalise == "unit"
    assert card.start == {"network": SMALL, "weights": "random"}
    assert (card.seed, card.fold) == (0, 1)
    assert card.images_sha256 == {CORPUS: listed.sha256}
    assert card.kept_iteration == 6  # 24 images of a training side in batches of 8, twice
    assert card.selected_on_test is False


def test_versions_and_threads_lie_beside_the_model_and_not_in_it(in_finished):
    folder = model_folder("1-a")
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "provenance.json", "weights.safetensors"]
    said = json.loads((folder / "provenance.json").read_text())
    assert (said["device"], said["threads"]) == ("cpu", 1)
    assert "torch" not in (folder / "model.json").read_text()


def test_the_curve_is_on_disk(in_finished):
    assert [(point.iteration, point.side) for point in curve_of(1)] == [(2, "train"), (4, "train"), (6, "train")]


def trained_on(monkeypatch, fold, **options):
    """The sides that a run gives to the loop."""
    seen = []

    def loop(_network, _images, training, validation, **rest):
        seen.append((training, validation))
        return 1

    monkeypatch.setattr("pipeline.runs.train_network", loop)
    train(fold, **options)
    return seen[0]


@pytest.mark.parametrize(("validation", "name"), [("none", None), ("fraction", "validation"), ("test", "test")])
def test_the_loop_gets_the_sides_of_the_fold(project, monkeypatch, validation, name):
    make_project(validation=validation)
    rows = [row for row in read_rows(SPLIT, SplitRow) if row.fold == 2]
    training, watched = trained_on(monkeypatch, 2, validation=validation)

    def expected(side):
        own = [row for row in rows if row.side == side]
        return [row.block_id for row in own], [CLASSES.index(row.label) for row in own]

    assert (list(training.block_ids), training.labels.tolist()) == expected("train")
    if name is None:
        assert watched is None
    else:
        assert isinstance(watched, Side)
        assert (list(watched.block_ids), watched.labels.tolist()) == expected(name)
        assert not set(watched.block_ids) & set(training.block_ids)


@pytest.mark.parametrize(
    ("validation", "keep", "selected"),
    [("test", "best", True), ("test", "last", False), ("fraction", "best", False), ("none", "last", False)],
)
def test_only_weights_chosen_on_the_test_side_are_said_to_be(project, validation, keep, selected):
    make_project(validation=validation)
    train(0, validation=validation, keep=keep, epochs=1)
    predict_run(0, "a", compute=ON_CPU)
    assert load_model(model_folder("0-a"))[1].selected_on_test is selected
    assert read_outputs(outputs_h5("0-a")).about["selected_on_test"] is selected


def test_the_same_run_twice_writes_the_same_bytes(project):
    def everything():
        for fold in (0, 1):
            train(fold, epochs=1)
            predict_run(fold, "a", compute=ON_CPU)
            fit_baselines(fold, [CORPUS])
        return files_under(project)

    first = everything()
    assert {"models/0-a/weights.safetensors", "data/processed/outputs/1-a.h5", "data/processed/baselines/0.h5"} <= set(
        first
    )
    again = everything()
    assert {name for name in first if first[name] != again[name]} == set()
    assert first.keys() == again.keys()


def test_dropout_reaches_the_network(project):
    weights = []
    for dropout in (None, 0.0, 0.5):
        train(0, network="squeezenet1_1", dropout=dropout, epochs=1)
        weights.append((model_folder("0-a") / "weights.safetensors").read_bytes())
    own, without, half = weights
    assert own == half  # SqueezeNet's own is 0.5
    assert own != without


def test_layers_of_ones_own_and_frozen_ones_reach_the_network_and_its_card(project):
    options = {
        "convolutions": ({"filters": 3, "height": 0, "width": 4, "pool": (1, 2), "batch_norm": True},),
        "hidden": (),
    }
    train(0, network="cnn", options=options, frozen=1)
    network, card, _ = load_model(model_folder("0-a"))
    assert card.shape == (3, HEIGHT, WIDTH)
    (layer,) = card.options["convolutions"]
    assert {key: layer[key] for key in ("filters", "height", "width", "pool", "batch_norm")} == {
        "filters": 3,
        "height": 0,
        "width": 4,
        "pool": [1, 2],
        "batch_norm": True,
    }
    # rows: all; columns: 20 - 4 + 1 = 17, in windows of two 8
    assert network.head.in_features == 3 * 8
    start = start_network(
        "cnn", n_classes=3, weights=None, init="kaiming", seed=0, shape=(3, HEIGHT, WIDTH), options=options
    )
    before, after = start.trunk.state_dict(), network.trunk.state_dict()
    assert {key for key in before if not torch.equal(before[key], after[key])} == {"head.weight", "head.bias"}
    predict_run(0, "a", compute=ON_CPU)
    assert read_outputs(outputs_h5("0-a"), "features").values["features"].shape == (36, 24)


# predicting


def test_every_block_is_predicted_in_the_order_of_the_split(in_finished):
    fold = read_fold(1)
    outputs = read_outputs(outputs_h5("1-a"), "logits", "features")
    assert outputs.block_ids == [row.block_id for row in fold.rows]
    assert outputs.sides == [row.side for row in fold.rows]
    assert outputs.values["logits"].shape == (36, 3)
    assert outputs.values["features"].shape == (36, 1024)
    assert outputs.about["classes"] == list(CLASSES)
    assert outputs.about["fold"] == 1
    assert "representation" not in outputs.about


def test_predictions_are_those_of_the_saved_network_for_the_named_image(in_finished):
    network, _, _ = load_model(model_folder("1-a"))
    outputs = read_outputs(outputs_h5("1-a"), "logits", "features")
    with open_rendered(read_rows(SPECTROGRAMS_LIST, SpectrogramFile)) as images:
        for row in (0, 17, 35):
            picture = images.batch([outputs.block_ids[row]])
            ((logits, features),) = outputs_of(
                network, [picture], preparation=Preparation(normalise="unit"), device=ON_CPU.prepare()
            )
            np.testing.assert_allclose(outputs.values["logits"][row], logits[0], rtol=1e-3, atol=1e-5)
            np.testing.assert_allclose(outputs.values["features"][row], features[0], rtol=1e-3, atol=1e-5)
    assert np.ptp(outputs.values["logits"], axis=0).min() > 0


# refusals


@pytest.mark.parametrize("run", [train, lambda fold: predict_run(fold, "a", compute=ON_CPU)])
def test_a_fold_that_is_not_there_is_named_with_those_that_are(in_finished, run):
    with pytest.raises(SplitError, match="there is no fold 3: this split has folds 0 to 2"):
        run(3)


def test_a_fold_of_the_baselines_that_is_not_there_is_refused(in_finished):
    with pytest.raises(SplitError, match="there is no fold 7"):
        fit_baselines(7, [CORPUS])


def test_a_size_of_image_that_the_network_cannot_take_is_refused_before_training(project):
    with pytest.raises(ModelError, match=rf"vit_b_32 cannot take images of {HEIGHT} x {WIDTH} pixels .*image\.height"):
        train(0, network="vit_b_32")
    assert not curves_csv("0-a").exists()
    assert not model_folder("0-a").exists()


def test_an_empty_side_is_refused(project):
    with pytest.raises(SplitError, match="fold 0 has no block on the validation side: run `dvc repro`"):
        train(0, validation="fraction")


def test_a_model_of_other_classes_is_refused(project):
    train(0, epochs=1)
    rows = read_rows(SPLIT, SplitRow)
    renamed = [SplitRow(**{**dataclasses.asdict(row), "label": row.label.replace("joy", "fear")}) for row in rows]
    write_rows(SPLIT, SplitRow, renamed)
    with pytest.raises(StoreError, match=r"0-a: trained for .*joy.*, the split has .*fear.*: run `dvc repro`"):
        predict_run(0, "a", compute=ON_CPU)


def test_images_that_are_not_the_listed_ones_are_refused(project):
    before = SPECTROGRAMS_LIST.read_bytes()
    ids = [block.block_id for block in read_rows(blocks_csv(CORPUS), Block)]
    write_images(ids, coloured([0] * len(ids), seed=5))
    SPECTROGRAMS_LIST.write_bytes(before)
    for run in (lambda: train(0), lambda: fit_baselines(0, [CORPUS])):
        with pytest.raises(StoreError, match=r"made\.h5: not the content that the list of spectrograms names"):
            run()


def test_a_block_without_an_image_is_refused(project):
    ids = [block.block_id for block in read_rows(blocks_csv(CORPUS), Block)]
    write_images(ids[1:], coloured([0] * (len(ids) - 1)))
    for run in (lambda: train(0), lambda: fit_baselines(0, [CORPUS])):
        with pytest.raises(StoreError, match="was split but not rendered: run `dvc repro`"):
            run()


def test_no_images_are_refused(project):
    spectrograms_h5(CORPUS).unlink()
    with pytest.raises(StoreError, match=r"made\.h5: missing: run `dvc repro`"):
        train(0)


# baselines


def test_baselines_answer_for_every_block_of_the_fold(project):
    fit_baselines(0, [CORPUS])
    fold = read_fold(0)
    outputs = read_outputs(baselines_h5(0), "majority", "nuisance", "thumbnail")
    assert outputs.block_ids == [row.block_id for row in fold.rows]
    assert outputs.about == {"classes": list(CLASSES)}
    for values in outputs.values.values():
        assert values.shape == (36, 3)
        np.testing.assert_allclose(values.sum(axis=1), 1, atol=3e-6)  # six decimals are kept of each
    # The images are coloured by class, so a thumbnail is enough; length and loudness are the same in all classes.
    test = fold.on("test")
    assert (outputs.values["thumbnail"].argmax(axis=1) == fold.labels)[test].all()
    assert (outputs.values["nuisance"].argmax(axis=1) == fold.labels)[test].mean() < 0.7


def test_baselines_learn_from_the_training_side_only(project):
    fit_baselines(0, [CORPUS])
    before = read_outputs(baselines_h5(0), "thumbnail").values["thumbnail"]
    fold = read_fold(0)
    ids = [block.block_id for block in read_rows(blocks_csv(CORPUS), Block)]
    shown = coloured(read_fold(0).labels)
    test = fold.on("test")
    shown[test] = 255 - shown[test]
    write_images(ids, shown)
    fit_baselines(0, [CORPUS])
    after = read_outputs(baselines_h5(0), "thumbnail").values["thumbnail"]
    np.testing.assert_array_equal(after[~test], before[~test])
    assert not np.allclose(after[test], before[test])


def test_the_majority_is_counted_before_balancing(project):
    # One clip of "anger" is lost, so it is the rarest; after balancing all are alike, and the first name would win.
    kept = [block for block in read_rows(blocks_csv(CORPUS), Block) if not block.clip_id.endswith("anger3.wav")]
    write_rows(blocks_csv(CORPUS), Block, kept)
    split_corpora([CORPUS], Choices(**(CHOICES | {"balance": "train"})), audit_fields=[])
    fit_baselines(0, [CORPUS])
    answers = read_outputs(baselines_h5(0), "majority").values["majority"].argmax(axis=1)
    fold = read_fold(0)
    counts = np.bincount(fold.labels[fold.on("train", "dropped")], minlength=3)
    assert len(set(np.bincount(fold.labels[fold.on("train")]).tolist())) == 1
    assert counts[0] < counts.max()
    assert set(answers.tolist()) == {int(counts.argmax())} != {0}


def test_a_block_of_no_table_is_refused(project):
    blocks = read_rows(blocks_csv(CORPUS), Block)
    write_rows(blocks_csv(CORPUS), Block, blocks[2:])
    with pytest.raises(StoreError, match=r"2 of 36 blocks of the split are in no table of blocks.*dvc repro"):
        fit_baselines(0, [CORPUS])
