"""Values -> parameters: changed as DVC changes them, and refused before anything is queued."""

import copy
from io import BytesIO

import pytest
from plan.cases import VALUES
from ruamel.yaml import YAML

from pipeline.errors import ExperimentError
from pipeline.experiments.trials import are_those_of, change, data_root, describe, make_trials, varying
from pipeline.experiments.values import as_text


@pytest.fixture
def base():
    return copy.deepcopy(VALUES)


@pytest.mark.parametrize(
    "values",
    [
        {"train.learning_rate": 1e-05, "train.epochs": 3},
        {"model.dropout": None, "slice.whole_clips": True, "split.classes": ["joy", "anger"]},
        {"runs.folds": [0, 2], "corpora": ["demo"], "augment.sound": [{"semitones": 2.0}]},
        {"+members.a.train.learning_rate": 0.01, "+members.a.model.name": "resnet18"},
        {"+members.b": {"seed": 1, "model": {}, "train": {}}, "runs.members": ["a", "b"]},
        {"+split.use": {"demo": {"role": "both", "labels": {"joy": "happy"}}}},
        {"members": {"a": {"seed": 7}}},
        {"report.wrong_clips": 0, "data.root": "/where they are/raw"},
    ],
)
def test_keys_are_changed_as_dvc_changes_them(base, values, tmp_path):
    from dvc.utils.hydra import apply_overrides

    path, yaml = tmp_path / "params.yaml", YAML()
    yaml.dump(base, path)
    apply_overrides(path, [f"{key}={as_text(value)}" for key, value in values.items()])
    changed = change(base, values)
    assert YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")) == changed
    assert changed != VALUES
    assert base == VALUES


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("train.learning_rat", "is no key of params.yaml: did you mean train.learning_rate?"),
        ("nothing.like_it", "`emospec parameters` lists them all"),
        ("train.epochs.more", "is no key"),
        ("members.a.train.epochs", "is added with a +"),
        ("+train.epochs", "is in params.yaml already: leave the + out"),
    ],
)
def test_keys_that_are_not_there_are_refused(base, key, said):
    with pytest.raises(ExperimentError) as caught:
        change(base, {key: 3})
    assert str(caught.value).startswith(f"-S {key}: ")
    assert said in str(caught.value)


def test_every_run_is_checked_and_all_that_are_wrong_are_counted(base):
    chosen = {f"s-{n}": {"train.learning_rate": rate} for n, rate in enumerate((0.1, 11.0, 12.0, 13.0, 14.0))}
    with pytest.raises(ExperimentError) as caught:
        make_trials(base, chosen)
    said = str(caught.value)
    assert said.startswith("nothing was queued: 4 of 5 runs have no valid parameters: train.learning_rate=11.0: ")
    assert said.endswith("train.learning_rate=13.0: train.learning_rate: input should be less than or equal to 10, "
                         "not 13.0 | and 1 more")  # fmt: skip


def test_keys_that_contradict_each_other_are_refused(base):
    with pytest.raises(
        ExperimentError, match=r"1 of 2 runs .* train\.keep=best: train\.keep: best needs a validation side"
    ):
        make_trials(base, {"s-1": {"train.keep": "last"}, "s-2": {"train.keep": "best"}})


def test_a_wrong_type_is_refused(base):
    with pytest.raises(ExperimentError, match=r"train\.batch_images: input should be a valid integer, not 12\.5"):
        make_trials(base, {"s-1": {"train.batch_images": 12.5}})


def test_recordings_that_git_and_dvc_do_not_bring_are_named(base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (demo,) = make_trials(base, {"s-1": {"train.epochs": 3}})
    assert demo.settings == ("train.epochs=3",)
    (own,) = make_trials(base, {"s-1": {"corpora": ["mine"]}})
    assert own.settings == ("corpora=[mine]", f"data.root='{tmp_path}/data/raw'")
    assert own.params.data.root == f"{tmp_path}/data/raw"
    assert own.values == {"corpora": ["mine"]}
    (tmp_path / "data/raw").mkdir(parents=True)
    (tmp_path / "data/raw/mine.dvc").write_text("outs: []\n", encoding="utf-8")
    (tracked,) = make_trials(base, {"s-1": {"corpora": ["mine"]}})
    assert data_root(tracked.params) == {}
    assert tracked.settings == ("corpora=[mine]",)


def test_an_experiment_is_a_trials_own_only_with_its_parameters(base):
    (trial,) = make_trials(base, {"s-1": {"train.epochs": 3}})

    def written(values):
        out = BytesIO()
        YAML().dump(values, out)
        return out.getvalue()

    assert are_those_of(trial, written(change(base, {"train.epochs": 3})))
    assert are_those_of(trial, written(change(base, {"train.epochs": 3, "machine.workers": 5, "gate.clip_uar": 0.5})))
    assert not are_those_of(trial, written(base))
    assert not are_those_of(trial, written(change(base, {"train.epochs": 3, "split.seed": 1})))
    assert not are_those_of(trial, b"a: [")
    assert not are_those_of(trial, b"")


def test_values_are_described_as_typed():
    assert describe({"a.b": 1e-05, "c.d": "x y", "e": [1, "z"]}) == "a.b=1e-05 c.d=x y e=[1, z]"
    assert varying([{"a": 1, "b": 2}, {"a": 1, "b": 3}, {"a": 1, "b": 3, "c": 0}]) == ["b", "c"]
