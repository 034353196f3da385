"""What ranks: the validation side of the kept weights, or the test side if that was asked for."""

import json
from pathlib import Path

import pytest
from plan.cases import params

from pipeline.errors import SearchError
from pipeline.search.scores import CURVES, Scores, choose_score, rank, read_scores, validation_scores
from pipeline.store.paths import METRICS

HEAD = "run,side,iteration,loss,uar\n"
CURVE = (
    HEAD
    + "0-a,train,3,0.9,0.99\n0-a,validation,3,0.7,0.5\n0-a,validation,6,0.5,0.75\n0-a,validation,9,0.6,0.75\n"
    + "0-a,validation,12,0.4,0.25\n1-a,validation,3,0.2,1.0\n1-a,validation,6,0.8,0.5\n"
)


def chosen(**keys):
    return params(**{"runs__folds": [0, 1], "split__validation": "fraction", **keys})


def test_the_last_weights_score_by_the_last_point():
    # (0.25 + 0.5) / 2, (0.4 + 0.8) / 2
    assert validation_scores(CURVE, chosen()) == {"validation.uar": 0.375, "validation.loss": 0.6}


def test_the_best_weights_score_by_the_best_point_of_equals_the_lower_loss():
    # (0.75 + 1.0) / 2, (0.5 + 0.2) / 2
    found = validation_scores(CURVE, chosen(train__keep="best"))
    assert found == {"validation.uar": 0.875, "validation.loss": 0.35}


def test_each_member_keeps_what_it_says():
    two = {"a": {"seed": 0, "model": {}, "train": {}}, "b": {"seed": 1, "model": {}, "train": {"keep": "best"}}}
    both = chosen(members=two, runs__members=["a", "b"], runs__folds=[0])
    curve = CURVE + "0-b,validation,3,0.1,0.5\n0-b,validation,6,0.1,0.25\n"
    assert validation_scores(curve, both)["validation.uar"] == 0.375  # (0.25 + 0.5) / 2


@pytest.mark.parametrize(
    ("curve", "keys"),
    [
        (HEAD, {}),
        (CURVE, {"runs__folds": [0, 2]}),  # one run has no curve
        (CURVE, {"split__validation": "test"}),  # its points are those of the test side
        (CURVE, {"split__validation": "none"}),
    ],
)
def test_without_a_side_of_its_own_there_is_no_validation_score(curve, keys):
    assert validation_scores(curve, chosen(**keys)) == {"validation.uar": None, "validation.loss": None}


def metrics():
    level = {"uar": 0.5, "accuracy": 0.6, "macro_f1": 0.7, "interval": {"uar": {"low": 0.25, "high": 0.75}}}
    return {"clip": level, "block": level | {"uar": 0.4}}


def test_the_test_sides_scores_are_those_of_the_metrics():
    files = {METRICS: json.dumps(metrics()).encode(), CURVES: CURVE.encode()}
    found = read_scores(files.get, chosen(), name="s-1")
    assert found.values["clip.uar"] == 0.5
    assert found.values["block.uar"] == 0.4
    assert found.values["clip.macro_f1"] == 0.7
    assert found.interval == (0.25, 0.75)
    assert Scores.from_json(json.loads(json.dumps(found.as_json()))) == found


@pytest.mark.parametrize(
    "files",
    [
        {},
        {METRICS: json.dumps(metrics()).encode(), CURVES: b"run\n0-a\n"},
        {METRICS: b"{", CURVES: CURVE.encode()},
        {METRICS: b"[]", CURVES: CURVE.encode()},
        {METRICS: b"{}", CURVES: CURVE.encode()},
    ],
)
def test_broken_results_say_which_experiment_to_remove(files):
    def read(path: Path):
        return files.get(path)

    with pytest.raises(SearchError, match="dvc exp remove s-1, and search with --retry"):
        read_scores(read, chosen(), name="s-1")


def test_the_validation_side_ranks_and_the_test_side_only_if_asked():
    with_side, without, on_test = (params(split__validation=side) for side in ("fraction", "none", "test"))
    assert choose_score(None, select_on_test=False, params=[with_side]) == "validation.uar"
    assert choose_score("validation.loss", select_on_test=False, params=[with_side]) == "validation.loss"
    assert choose_score(None, select_on_test=True, params=[without]) == "clip.uar"
    assert choose_score("block.macro_f1", select_on_test=True, params=[with_side]) == "block.macro_f1"
    for by, select, given, said in (
        (None, False, [with_side, without, on_test], "2 of 3 runs have no validation side"),
        ("clip.uar", False, [with_side], "best of several on it is optimistic"),
        ("validation.uar", True, [with_side], "leave --select-on-test out"),
        ("clip.recall", True, [with_side], "--by clip.recall: is no score: give one of validation.uar"),
    ):
        with pytest.raises(SearchError, match=said):
            choose_score(by, select_on_test=select, params=given)


def test_ranks_go_from_the_best_down_and_equals_by_validation_loss():
    def of(uar, loss=None, clip=0.5):
        return Scores({"validation.uar": uar, "validation.loss": loss, "clip.uar": clip}, (None, None))

    scores = {"s-1": of(0.5, 0.9), "s-2": of(0.75, 0.9, 0.25), "s-3": of(None, None, 1.0), "s-4": of(0.75, 0.8)}
    assert rank(scores, "validation.uar") == ["s-4", "s-2", "s-1", "s-3"]
    assert rank(scores, "validation.loss") == ["s-4", "s-1", "s-2", "s-3"]
    assert rank(scores, "clip.uar") == ["s-3", "s-4", "s-1", "s-2"]
    assert rank({"s-2": of(0.0), "s-1": of(0.0), "s-3": of(None)}, "validation.uar") == ["s-1", "s-2", "s-3"]
