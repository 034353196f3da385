"""Heads on made outputs: what they learn from, what they write, what is refused, and that nothing is unpickled."""

import dataclasses
import hashlib
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from made_run import CLASSES, changed_json, files_under, make_project, write_made_outputs

from pipeline.errors import ModelError, SplitError, StoreError
from pipeline.head_sources import ALL_HEADS, HeadRecipe, list_heads
from pipeline.heads import HEADS, EstimatorHead, Kind, load_head, train_head
from pipeline.models.estimators import Options, fit_estimator
from pipeline.params.sections import ESTIMATORS, RECURRENT, RecurrentHead
from pipeline.sequence_heads import SequenceOptions, fit_sequences
from pipeline.store.folds import read_fold, read_outputs, write_outputs
from pipeline.store.paths import HEADS as HEADS_FOLDER
from pipeline.store.paths import head_folder, head_outputs_h5, head_source, outputs_h5

KEY = "1-h"


def head(**changed):
    usual = {"member": "a", "on": "logits", "kind": "lda", "fitted_on": "train", "seed": 0}
    return HeadRecipe(**{**usual, **changed})


def logits_of(fold, *, seed=0, strength=2.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(len(fold.rows), 3)) + strength * np.eye(3)[fold.labels]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project with a split without a validation side."""
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


def prepare(*folds, validation="none", **about):
    """A split, and outputs of member a on some folds."""
    if validation != "none":
        make_project(validation=validation)
    for index in folds:
        fold = read_fold(index)
        write_made_outputs(index, fold, "a", logits_of(fold), **about)


def run(recipe, *, fold=1, validation="none"):
    list_heads([fold], {"h": recipe})
    train_head(fold, "h", recipe, validation=validation)
    return read_outputs(head_outputs_h5(f"{fold}-h"), "logits")


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_head_answers_for_every_block_and_learns_from_the_training_side_alone(project, kind):
    prepare(1)
    options = {"n_mixtures": 2}
    outputs = run(head(kind=kind, options=options))
    fold = read_fold(1)
    assert outputs.block_ids == [row.block_id for row in fold.rows]
    assert outputs.sides == [row.side for row in fold.rows]
    values, train = read_outputs(outputs_h5("1-a"), "logits").values["logits"], fold.on("train")
    assert 0 < train.sum() < len(train)
    own = fit_estimator(kind, values[train], fold.labels[train], n_classes=3, options=Options(**options), seed=0)
    np.testing.assert_allclose(outputs.values["logits"], own.log_probabilities(values), rtol=1e-6)
    # labels of the test side change nothing
    rows = [row if row.side == "train" else dataclasses.replace(row, label="joy") for row in fold.rows]
    fold = type(fold)(rows, fold.classes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.heads.read_fold", lambda _: fold)
        np.testing.assert_array_equal(run(head(kind=kind, options=options)).values["logits"], outputs.values["logits"])


def test_a_head_on_features_reads_features(project):
    fold = read_fold(0)
    features = logits_of(fold, seed=5).astype(np.float32)
    about = {"classes": list(CLASSES), "selected_on_test": False, "start": {"network": "x", "weights": "random"}}
    noise = np.random.default_rng(1).normal(size=features.shape)
    write_outputs(outputs_h5("0-a"), fold, {"logits": noise, "features": features}, about=about)
    right = {
        on: np.mean(run(head(on=on), fold=0).values["logits"].argmax(axis=1) == fold.labels)
        for on in ("features", "logits")
    }
    assert right["features"] > 0.8 > 0.6 > right["logits"]


@pytest.mark.parametrize(
    ("validation", "fitted_on", "side", "selected"),
    [
        ("none", "train", "train", False),
        ("fraction", "train", "train", False),
        ("fraction", "validation", "validation", False),
        ("test", "validation", "test", True),
        ("test", "train", "train", False),
    ],
)
def test_the_side_is_the_one_that_was_asked_for_and_is_recorded(project, validation, fitted_on, side, selected):
    prepare(1, validation=validation)
    outputs = run(head(fitted_on=fitted_on, kind="naive_bayes"), validation=validation)
    fold = read_fold(1)
    there = fold.on(side)
    assert outputs.about["side"] == side
    assert outputs.about["fitted_on"] == fitted_on
    assert outputs.about["n_fitted"] == there.sum()
    assert outputs.about["selected_on_test"] is selected
    values = read_outputs(outputs_h5("1-a"), "logits").values["logits"]
    own = fit_estimator("naive_bayes", values[there], fold.labels[there], n_classes=3, options=Options(), seed=0)
    np.testing.assert_allclose(outputs.values["logits"], own.log_probabilities(values), rtol=1e-6)


def test_what_a_member_chose_on_the_test_side_stays_said(project):
    prepare(1, selected_on_test=True)
    assert run(head()).about["selected_on_test"] is True


def test_a_head_says_what_it_is(project):
    prepare(1)
    about = run(head(kind="svm", seed=3, options={"C": 2.0})).about
    _, card = load_head(KEY)
    assert about == card
    assert (card["head"], card["member"], card["on"], card["kind"], card["fold"]) == ("h", "a", "logits", "svm", 1)
    assert card["classes"] == list(CLASSES)
    assert card["seed"] == 3
    assert card["options"] == {"C": 2.0}
    assert card["start"] == {"network": "shufflenet_v2_x0_5", "weights": "random", "head": "svm"}
    assert sorted(path.name for path in head_folder(KEY).iterdir()) == [
        "head.json",
        "head.safetensors",
        "outputs.h5",
        "provenance.json",
    ]


def test_a_loaded_head_answers_as_it_did(project):
    prepare(1)
    outputs = run(head(kind="gmm", options={"n_mixtures": 2}))
    fitted, _ = load_head(KEY)
    values = read_outputs(outputs_h5("1-a"), "logits").values["logits"]
    np.testing.assert_array_equal(fitted.logits(values, read_fold(1)).astype(np.float32), outputs.values["logits"])


def test_the_same_head_twice_is_the_same_bytes(project):
    prepare(0, 1)

    def everything():
        for fold in (0, 1):
            run(head(kind="gmm", options={"n_mixtures": 2}), fold=fold)
        return files_under(HEADS_FOLDER)

    first = everything()
    assert len(first) == 11  # of each fold the head's four files and its source, and the list of heads
    assert everything() == first


def test_the_sources_name_the_outputs_by_content_and_only_those_of_heads(project):
    prepare(0, 1)
    list_heads([0, 1], {"h": head()})
    before = files_under(HEADS_FOLDER)
    assert set(before) == {"sources/heads.json", "sources/0-h.json", "sources/1-h.json"}
    fold = read_fold(0)
    write_made_outputs(0, fold, "a", logits_of(fold, seed=9))
    write_made_outputs(0, fold, "b", logits_of(fold, seed=9))
    list_heads([0, 1], {"h": head()})
    after = files_under(HEADS_FOLDER)
    assert {name for name in before if before[name] != after[name]} == {"sources/0-h.json"}
    assert json.loads(ALL_HEADS.read_text())["h"]["member"] == "a"


def test_without_heads_the_folder_is_there_all_the_same(project):
    list_heads([0, 1, 2], {})
    assert files_under(HEADS_FOLDER) == {"sources/heads.json": b"{}\n"}


# what is refused


def test_outputs_that_are_not_there(project):
    with pytest.raises(StoreError, match=r"outputs/1-a\.h5: missing: run `dvc repro`"):
        list_heads([1], {"h": head()})


def test_other_outputs_than_those_listed(project):
    prepare(1)
    list_heads([1], {"h": head()})
    fold = read_fold(1)
    write_made_outputs(1, fold, "a", logits_of(fold, seed=9))
    with pytest.raises(StoreError, match=r"1-a\.h5: not the outputs that .*sources/1-h\.json names"):
        train_head(1, "h", head(), validation="none")
    head_source(KEY).write_text(head_source(KEY).read_text().replace("1-a.h5", "0-a.h5"))
    with pytest.raises(StoreError, match="not the outputs that"):
        train_head(1, "h", head(), validation="none")


def test_outputs_of_another_split(project):
    prepare(1)
    make_project(seed=5)
    with pytest.raises(StoreError, match="predicts other blocks, sides or classes than the present split"):
        run(head())


def test_no_validation_side_to_fit_on(project):
    prepare(1)
    list_heads([1], {"h": head()})
    with pytest.raises(SplitError, match="fitted_on validation needs a validation side"):
        train_head(1, "h", head(fitted_on="validation"), validation="none")
    with pytest.raises(SplitError, match=r"heads\.h: fold 1 has no block on the validation side"):
        train_head(1, "h", head(fitted_on="validation"), validation="fraction")


def test_logits_that_are_no_numbers(project):
    fold = read_fold(1)
    logits = logits_of(fold)
    logits[np.flatnonzero(fold.on("train"))[0]] = np.nan
    write_made_outputs(1, fold, "a", logits)
    with pytest.raises(ModelError, match="rows hold NaN or infinity"):
        run(head())


def test_a_changed_head_is_refused_and_a_pickle_never_loaded(project):
    prepare(1)
    run(head())
    path, trap = head_folder(KEY) / "head.safetensors", project / "sprung"

    class Booby:
        def __reduce__(self):
            return (Path.touch, (trap,))

    path.write_bytes(pickle.dumps(Booby()))
    with pytest.raises(ModelError, match="its SHA-256 is not the card's"):
        load_head(KEY)
    changed_json(head_folder(KEY) / "head.json", weights_sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(ModelError, match=r"head\.safetensors: missing, damaged or not of this version"):
        load_head(KEY)
    assert not trap.exists()
    changed_json(head_folder(KEY) / "head.json", kind="pickle")
    with pytest.raises(ModelError, match="no card of a head of this version"):
        load_head(KEY)


def test_a_new_kind_of_head_is_an_entry_of_a_dict(project, monkeypatch):
    """A kind that looks at the neighbours in a clip: it gets all blocks of the fold, in order, and the fold."""
    prepare(1)
    seen = {}

    class Constant(EstimatorHead):
        @property
        def about(self):
            return {"n": 1}

        def to_arrays(self):
            return {"bias": np.zeros(3)}

        def logits(self, values, fold):
            seen["answers"] = (values.shape, len(fold.rows))
            return np.tile([0.0, 1.0, 0.0], (len(values), 1))

    def fit(values, fold, side, options, seed):
        seen["fit"] = (values.shape, [row.clip_id for row in fold.rows], side, options, seed)
        return Constant(None)

    monkeypatch.setitem(HEADS, "constant", Kind(fit=fit, load=lambda *_: Constant(None)))
    outputs = run(head(kind="constant", seed=4, options={"units": 2}))
    n = len(read_fold(1).rows)
    clips = [row.clip_id for row in read_fold(1).rows]
    assert seen == {"fit": ((n, 3), clips, "train", {"units": 2}, 4), "answers": ((n, 3), n)}
    assert (outputs.values["logits"].argmax(axis=1) == 1).all()
    assert isinstance(load_head(KEY)[0], Constant)


def test_kinds_of_the_parameters_are_kinds_of_heads():
    assert set(HEADS) == {*ESTIMATORS, *RECURRENT}
    assert {*RecurrentHead.model_fields} == {field.name for field in dataclasses.fields(SequenceOptions)}
    made = RecurrentHead()
    assert SequenceOptions(**made.model_dump()) == SequenceOptions()


@pytest.mark.parametrize("kind", RECURRENT)
def test_a_recurrent_head_runs_over_the_clips(project, kind):
    prepare(1)
    options = {"units": 4, "epochs": 2, "batch_blocks": 8}
    outputs = run(head(kind=kind, options=options))
    before = files_under(head_folder(KEY))
    fold, values = read_fold(1), read_outputs(outputs_h5("1-a"), "logits").values["logits"]
    own = fit_sequences(values, fold, kind=kind, options=SequenceOptions(**options), seed=0)
    np.testing.assert_array_equal(outputs.values["logits"], own.logits(values, fold))
    again, card = load_head(KEY)
    np.testing.assert_array_equal(again.logits(values, fold), outputs.values["logits"])
    assert (card["kind"], card["side"], card["n_fitted"]) == (kind, "train", int(fold.on("train").sum()))
    run(head(kind=kind, options=options))
    assert files_under(head_folder(KEY)) == before
    renamed = type(fold)(fold.rows, (*fold.classes, "other"))
    with pytest.raises(ModelError, match="fitted for 3 classes, the split has 4"):
        again.logits(values, renamed)


def test_a_recurrent_head_refuses_a_split_that_tears_clips(project):
    make_project(by="block")
    prepare(1)
    with pytest.raises(
        SplitError, match=r"a recurrent network needs a clip's blocks together .* set split\.by to clip"
    ):
        run(head(kind="lstm"))


@pytest.mark.parametrize("kind", ["lda", "lstm"])
def test_what_a_head_cannot_do_names_its_key_and_the_fold(project, kind):
    prepare(1)
    values = read_outputs(outputs_h5("1-a"), "logits").values["logits"].copy()
    values[0] = np.nan
    write_made_outputs(1, read_fold(1), "a", values)
    with pytest.raises(ModelError, match=r"^heads\.h: fold 1: .*NaN or infinity"):
        run(head(kind=kind))


@pytest.mark.parametrize(
    ("kind", "packages"), [("lda", {"numpy", "scipy", "scikit-learn"}), ("lstm", {"numpy", "torch"})]
)
def test_provenance_names_what_fitted_it(project, kind, packages):
    prepare(1)
    run(head(kind=kind, options={"epochs": 1} if kind == "lstm" else {}))
    made_by = json.loads((head_folder(KEY) / "provenance.json").read_text(encoding="utf-8"))
    assert made_by["packages"].keys() == packages
