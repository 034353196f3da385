"""A member that is an estimator, from files to files, on hand-built features and on images."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from made_run import (
    CLASSES,
    CORPUS,
    ON_CPU,
    changed_json,
    curve_of,
    files_under,
    make_project,
    one_thread,  # noqa: F401 - a fixture
    recipe,
)
from made_run import train as train_network

from pipeline.errors import ModelError, StoreError
from pipeline.estimator_runs import is_estimator, load_member
from pipeline.features.anomalies import fit_replacements
from pipeline.models.checkpoint import load_model
from pipeline.models.estimators import Options, fit_estimator
from pipeline.models.weights import fetch_weights
from pipeline.runs import predict_run, train_run
from pipeline.store.arrays import digest_of, encode_texts, new_arrays, open_arrays
from pipeline.store.folds import read_fold, read_outputs
from pipeline.store.paths import (
    SPECTROGRAMS_LIST,
    blocks_csv,
    model_folder,
    outputs_h5,
    spectrograms_h5,
    weights_folder,
)
from pipeline.store.tables import Block, SpectrogramFile, read_rows, write_rows

N_FEATURES = 5


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_project()
    return folder


@pytest.fixture
def project(made, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_features():
    """In the place of images: five numbers of each block, that know the class, as `render_corpus` writes them."""
    names = [block.block_id for block in read_rows(blocks_csv(CORPUS), Block)]
    label_of = {row.block_id: CLASSES.index(row.label) for row in read_fold(0).rows}
    rng = np.random.default_rng(0)
    values = rng.normal(size=(len(names), N_FEATURES)) + 2 * np.eye(N_FEATURES)[[label_of[name] for name in names]]
    values = (values * [1, 10, 100, 1000, 10000] + 3).astype(np.float32)
    with new_arrays(spectrograms_h5(CORPUS)) as arrays:
        arrays.create("features", row_shape=(N_FEATURES,), dtype=np.float32)
        arrays.append("features", values)
        texts = encode_texts(names)
        arrays.create("block_id", row_shape=(), dtype=texts.dtype, rows_in_chunk=64)
        arrays.append("block_id", texts)
        arrays.finish({"kind": "features", "columns": "a b c d e", "sound_sha256": "0" * 64})
    with open_arrays(spectrograms_h5(CORPUS)) as file:
        row = SpectrogramFile(
            corpus=CORPUS, path=spectrograms_h5(CORPUS).as_posix(), sha256=digest_of(file, "features")
        )
    write_rows(SPECTROGRAMS_LIST, SpectrogramFile, [row])
    return dict(zip(names, values, strict=True))


def train(fold, kind, *, validation="none", normalise="standard", seed=0, **options):
    fetch_weights(kind, "random", expected_sha256=None, folder=weights_folder("a"))
    train_run(
        fold,
        "a",
        network_name=kind,
        init="kaiming",
        dropout=None,
        recipe=recipe(normalise=normalise, seed=seed, keep="best" if validation != "none" else "last"),
        validation=validation,
        compute=ON_CPU,
        estimator={**dataclasses.asdict(Options()), **options},
    )


@pytest.mark.parametrize("kind", ["svm", "softmax_regression", "naive_bayes", "lda", "qda", "gmm"])
def test_an_estimator_on_hand_built_features_is_the_one_on_their_training_rows(project, kind):
    values_of = write_features()
    train(1, kind, n_mixtures=2, C=3.0)
    predict_run(1, "a", compute=ON_CPU)
    fold = read_fold(1)
    there = fold.on("train")
    values = np.stack([values_of[row.block_id] for row in fold.rows])
    clean = fit_replacements(values[there], np.random.default_rng(0)).apply(values)[0].astype(np.float64)
    own = fit_estimator(
        kind, clean[there], fold.labels[there], n_classes=3, options=Options(n_mixtures=2, C=3.0), seed=0
    )
    outputs = read_outputs(outputs_h5("1-a"), "logits", "features")
    expected = own.log_probabilities(clean)
    assert outputs.block_ids == [row.block_id for row in fold.rows]
    np.testing.assert_allclose(outputs.values["logits"], expected, rtol=1e-3, atol=1e-3)
    standard = (clean - clean[there].mean(axis=0)) / clean[there].std(axis=0)
    np.testing.assert_allclose(outputs.values["features"], standard, rtol=1e-5, atol=1e-5)
    (point,) = curve_of(1)
    right = expected[there].argmax(axis=1) == fold.labels[there]
    loss = -expected[there][np.arange(there.sum()), fold.labels[there]].mean()
    assert (point.iteration, point.epoch, point.side) == (1, 1.0, "train")
    assert point.accuracy == pytest.approx(right.mean(), abs=1e-6)
    assert point.loss == pytest.approx(loss, rel=1e-3, abs=1e-6)
    assert right.mean() > 0.8


def test_the_folder_is_as_a_networks_and_says_what_it_holds(project):
    write_features()
    train(0, "svm", C=2.0, seed=5)
    predict_run(0, "a", compute=ON_CPU)
    folder = model_folder("0-a")
    assert sorted(path.name for path in folder.iterdir()) == [
        "model.json",
        "preparation.safetensors",
        "provenance.json",
        "weights.safetensors",
    ]
    assert is_estimator(folder)
    estimator, card, _ = load_member(folder)
    assert (estimator.kind, estimator.options.C, estimator.seed) == ("svm", 2.0, 5)
    assert (card.classes, card.fold, card.seed, card.kind) == (CLASSES, 0, 5, "features")
    assert card.start == {"network": "svm", "weights": "none"}
    about = read_outputs(outputs_h5("0-a")).about
    assert about["selected_on_test"] is False
    assert about["start"] == card.start
    assert "representation" not in about
    assert "scikit-learn" in json.loads((folder / "provenance.json").read_text())["packages"]


@pytest.mark.parametrize(
    ("validation", "sides"), [("fraction", ["train", "validation"]), ("test", ["train", "validation"])]
)
def test_the_side_that_is_watched_is_the_second_point_and_nothing_is_chosen_on_it(project, validation, sides):
    make_project(validation=validation)
    write_features()
    train(1, "lda", validation=validation)
    predict_run(1, "a", compute=ON_CPU)
    assert [(point.iteration, point.side) for point in curve_of(1)] == [(1, "train"), (1, "validation")]
    fold, outputs = read_fold(1), read_outputs(outputs_h5("1-a"), "logits")
    there = fold.on({"fraction": "validation"}.get(validation, validation))
    right = outputs.values["logits"][there].argmax(axis=1) == fold.labels[there]
    recalls = [right[fold.labels[there] == label].mean() for label in np.unique(fold.labels[there])]
    assert curve_of(1)[1].uar == pytest.approx(np.mean(recalls), abs=1e-6)
    assert outputs.about["selected_on_test"] is False


def test_images_enter_flattened_and_the_same_run_is_the_same_bytes(project):
    def everything():
        train(0, "svm", normalise="unit", kernel="linear")
        predict_run(0, "a", compute=ON_CPU)
        return files_under(project)

    first = everything()
    outputs = read_outputs(outputs_h5("0-a"), "logits", "features")
    assert outputs.values["features"].shape == (36, 3 * 24 * 20)
    assert np.mean(outputs.values["logits"].argmax(axis=1) == read_fold(0).labels) == 1
    assert "models/0-a/preparation.safetensors" not in first  # unit learns nothing
    again = everything()
    assert {name for name in first if first[name] != again[name]} == set()


def test_blocks_of_too_many_values_are_refused_before_they_are_read(project, monkeypatch):
    monkeypatch.setattr("pipeline.estimator_runs.MAX_VALUES", 3 * 24 * 20 - 1)
    monkeypatch.setattr("pipeline.estimator_runs.fit_preparation", None)
    with pytest.raises(ModelError, match="at most 1439 values of a block, and one of kind image has 1440: lower"):
        train(0, "svm", normalise="unit")


def test_estimators_have_no_starting_weights(tmp_path):
    for weights in ("imagenet", "some.pth"):
        with pytest.raises(ModelError, match=r"model\.weights: gmm starts from nothing: set it to random"):
            fetch_weights("gmm", weights, expected_sha256=None, folder=tmp_path)
    assert fetch_weights("gmm", "random", expected_sha256=None, folder=tmp_path) == {
        "network": "gmm",
        "weights": "none",
    }


def test_what_does_not_fit_is_refused(project):
    write_features()
    train(0, "lda")
    folder = model_folder("0-a")
    changed_json(folder / "model.json", classes=["anger", "joy"])
    with pytest.raises(ModelError, match="does not fit its card"):
        load_member(folder)
    train(0, "lda")
    (folder / "weights.safetensors").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match=r"weights\.safetensors: missing or damaged"):
        load_member(folder)
    train(0, "lda")
    changed_json(folder / "model.json", more=1)
    with pytest.raises(ModelError, match="no card of an estimator of this version"):
        load_member(folder)
    train(0, "lda")
    changed_json(folder / "model.json", representation={"kind": "other"})
    with pytest.raises(StoreError, match="trained on another representation"):
        predict_run(0, "a", compute=ON_CPU)


def test_a_network_after_an_estimator_is_a_network(project):
    train(0, "lda", normalise="unit")
    assert is_estimator(model_folder("0-a"))
    with pytest.raises(ModelError, match=r"models/0-a: holds an estimator \(lda\), and no network with layers"):
        load_model(model_folder("0-a"))
    train_network(0, epochs=1)
    load_model(model_folder("0-a"))
    assert not is_estimator(model_folder("0-a"))


def test_what_cannot_be_fitted_names_the_section(project, monkeypatch):
    def refuse(*_, **__):
        raise ModelError("gmm: raise regularisation")

    monkeypatch.setattr("pipeline.estimator_runs.fit_estimator", refuse)
    with pytest.raises(ModelError, match=r"^model\.estimator: gmm: raise regularisation$"):
        train(0, "gmm")
