"""Metrics of whole runs, recomputed from the outputs' files, and outputs that may not be used."""

import dataclasses
import json
from collections import Counter

import numpy as np
import pytest
from made_run import (
    CLASSES,
    CORPUS,
    ON_CPU,
    RATE,
    changed_json,
    curve_of,
    files_under,
    make_project,
    one_thread,  # noqa: F401 - a fixture
    train,
    write_made_baselines,
    write_made_outputs,
)
from made_run import (
    SPLIT as SPLIT_CHOICES,
)
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, recall_score

from pipeline.calibration import fit_temperature
from pipeline.errors import MetricsError, SplitError, StoreError
from pipeline.evaluate import How, evaluate_runs
from pipeline.fold_baselines import fit_baselines
from pipeline.levels import _points
from pipeline.runs import predict_run
from pipeline.split.choices import Choices
from pipeline.split.corpora import split_corpora
from pipeline.store.folds import read_fold, read_outputs, write_outputs
from pipeline.store.paths import (
    ANSWERS,
    METRICS,
    PLOTS,
    SPLIT,
    SPLIT_METRICS,
    baselines_h5,
    blocks_csv,
    clips_csv,
    curves_csv,
    head_outputs_h5,
    outputs_h5,
)
from pipeline.store.tables import (
    Answer,
    Block,
    Clip,
    ClipAnswer,
    Curve,
    OverClip,
    Recall,
    Reliability,
    SplitRow,
    read_rows,
    write_rows,
)

FOLDS, MEMBERS = (0, 1, 2), ("a", "b")
RUN = {"corpora": [CORPUS], "seed": {"split": 0, "members": {"a": 0, "b": 1}}}
LEVEL_KEYS = {
    "accuracy",
    "uar",
    "macro_f1",
    "recall",
    "n",
    "interval",
    "unit",
    "n_units",
    "n_units_by_class",
    "few_units",
    "calibration",
}


def evaluate(folds=FOLDS, members=("a",), heads=(), **how):
    return evaluate_runs(
        folds, members, n_resamples=100, seed=0, sample_rate=RATE, run=RUN, how=How(**how), heads=heads
    )


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_project()
    return tmp_path


def softmax(logits):
    powers = np.exp(logits.astype(np.float64))
    return powers / powers.sum(axis=1, keepdims=True)


# a whole run: two networks, three folds


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Train, predict and evaluate everything; return the folder and the metrics."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_project()
        for fold in FOLDS:
            train(fold, "a", epochs=2)
            train(fold, "b", network="squeezenet1_1", seed=1, epochs=2, learning_rate=0.0005)
            for member in MEMBERS:
                predict_run(fold, member, compute=ON_CPU)
            fit_baselines(fold, [CORPUS])
        metrics = evaluate(members=MEMBERS)
    return folder, metrics


@pytest.fixture
def answers(whole, monkeypatch):
    """Block ids, clips, labels and probabilities of the test blocks of all folds, read anew from the files."""
    monkeypatch.chdir(whole[0])
    rows, probabilities = [], {member: [] for member in MEMBERS}
    for fold in FOLDS:
        own = [row for row in read_rows(SPLIT, SplitRow) if row.fold == fold]
        test = [i for i, row in enumerate(own) if row.side == "test"]
        rows += [own[i] for i in test]
        for member in MEMBERS:
            outputs = read_outputs(outputs_h5(f"{fold}-{member}"), "logits")
            assert outputs.block_ids == [row.block_id for row in own]
            probabilities[member].append(softmax(outputs.values["logits"][test]))
    together = {member: np.concatenate(parts) for member, parts in probabilities.items()}
    return rows, together


def by_clip(rows, probabilities):
    """Label and mean probabilities of each clip, in the order of their names."""
    clips = sorted({row.clip_id for row in rows})
    label = {row.clip_id: row.label for row in rows}
    means = [
        np.mean([p for row, p in zip(rows, probabilities, strict=True) if row.clip_id == clip], axis=0)
        for clip in clips
    ]
    return [CLASSES.index(label[clip]) for clip in clips], np.array(means)


def assert_scores(level, labels, probabilities):
    guesses = probabilities.argmax(axis=1)
    assert level["accuracy"] == pytest.approx(accuracy_score(labels, guesses), abs=6e-5)
    assert level["uar"] == pytest.approx(balanced_accuracy_score(labels, guesses), abs=6e-5)
    assert level["macro_f1"] == pytest.approx(f1_score(labels, guesses, average="macro", zero_division=0), abs=6e-5)
    recalls = recall_score(labels, guesses, average=None, labels=[0, 1, 2])
    assert list(level["recall"].values()) == pytest.approx(recalls.tolist(), abs=6e-5)


def test_metrics_have_what_is_documented(whole):
    folder, metrics = whole
    assert json.loads((folder / METRICS).read_text()) == metrics
    assert metrics.keys() == {
        "block",
        "clip",
        "aggregate",
        "members_mean",
        "aggregations",
        "members",
        "spread",
        "baselines",
        "selected_on_test",
        "start",
        "split",
        "corpora",
        "seed",
    }
    levels = [metrics, *metrics["members"].values(), *metrics["baselines"].values()]
    for level in (part[name] for part in levels for name in ("block", "clip")):
        assert level.keys() == LEVEL_KEYS
    assert metrics["members"].keys() == set(MEMBERS)
    assert metrics["baselines"].keys() == {"majority", "nuisance", "thumbnail"}
    assert metrics["selected_on_test"] is False
    assert metrics["start"] == {
        "a": {"network": "shufflenet_v2_x0_5", "weights": "random"},
        "b": {"network": "squeezenet1_1", "weights": "random"},
    }
    assert metrics["corpora"] == [CORPUS]
    assert metrics["seed"] == RUN["seed"]
    text = (folder / METRICS).read_text()
    assert "NaN" not in text
    assert not any(word in text for word in ("torch", "threads", "cpu"))  # these differ between machines


def test_every_test_block_and_clip_counts_once(whole, answers):
    _, metrics = whole
    rows, _ = answers
    assert len({row.block_id for row in rows}) == len(rows) == 36
    assert metrics["block"]["n"] == {"total": 36, "anger": 12, "joy": 12, "neutral": 12}
    assert metrics["clip"]["n"] == {"total": 12, "anger": 4, "joy": 4, "neutral": 4}
    for level in ("block", "clip"):
        assert (metrics[level]["unit"], metrics[level]["n_units"]) == ("clip", 12)
        assert metrics[level]["few_units"] is True


def test_scores_are_those_of_the_outputs(whole, answers):
    _, metrics = whole
    rows, probabilities = answers
    labels = [CLASSES.index(row.label) for row in rows]
    mean = (probabilities["a"] + probabilities["b"]) / 2
    for part, values in ((metrics, mean), *((metrics["members"][m], probabilities[m]) for m in MEMBERS)):
        assert_scores(part["block"], labels, values)
        assert_scores(part["clip"], *by_clip(rows, values))


def test_spread_is_over_members(whole):
    _, metrics = whole
    for level in ("block", "clip"):
        for score in ("accuracy", "uar", "macro_f1"):
            each = [metrics["members"][member][level][score] for member in MEMBERS]
            assert metrics["spread"][level][score]["mean"] == pytest.approx(np.mean(each), abs=1e-4)
            assert metrics["spread"][level][score]["sd"] == pytest.approx(np.std(each, ddof=1), abs=1e-4)


def test_baselines_are_scored_on_the_same_blocks(whole, answers):
    _, metrics = whole
    rows, _ = answers
    labels = [CLASSES.index(row.label) for row in rows]
    for name, scores in metrics["baselines"].items():
        values = []
        for fold in FOLDS:
            own = [row for row in read_rows(SPLIT, SplitRow) if row.fold == fold]
            test = [i for i, row in enumerate(own) if row.side == "test"]
            values.append(read_outputs(baselines_h5(fold), name).values[name][test])
        assert_scores(scores["block"], labels, np.concatenate(values))
        assert scores["block"]["n"] == metrics["block"]["n"]
    assert metrics["baselines"]["thumbnail"]["clip"]["uar"] == 1  # the images are coloured by class


def test_confusions_are_those_of_the_outputs(whole, answers):
    rows, probabilities = answers
    mean = (probabilities["a"] + probabilities["b"]) / 2
    guesses = [CLASSES[i] for i in mean.argmax(axis=1)]
    expected = {
        "block": [(row.label, guess) for row, guess in zip(rows, guesses, strict=True)],
        "clip": [(CLASSES[label], CLASSES[i]) for label, i in zip(*_clip_answers(rows, mean), strict=True)],
    }
    for level, pairs in expected.items():
        table = read_rows(PLOTS / f"confusion_{level}.csv", Answer)
        assert Counter(
            {pair: sum(row.n for row in table if (row.actual, row.predicted) == pair) for pair in set(pairs)}
        ) == Counter(pairs)
        assert sum(row.n for row in table) == len(pairs)
        assert {row.unit for row in table} == {row.clip_id for row in table} == {row.clip_id for row in rows}


def test_each_clips_answer_is_said_with_its_worst_block(whole, answers):
    rows, probabilities = answers
    mean = (probabilities["a"] + probabilities["b"]) / 2
    labels, means = by_clip(rows, mean)
    table = read_rows(ANSWERS, ClipAnswer)
    assert [row.clip_id for row in table] == sorted({row.clip_id for row in rows})
    for answer, label, own in zip(table, labels, means, strict=True):
        assert (answer.actual, answer.predicted) == (CLASSES[label], CLASSES[own.argmax()])
        assert answer.of_actual == pytest.approx(own[label], abs=1e-6)
        assert answer.of_predicted == pytest.approx(own.max(), abs=1e-6)
        blocks = {row.block_id: p[label] for row, p in zip(rows, mean, strict=True) if row.clip_id == answer.clip_id}
        assert answer.n_blocks == len(blocks)
        assert answer.worst_block == min(blocks, key=blocks.get)


def _clip_answers(rows, probabilities):
    labels, means = by_clip(rows, probabilities)
    return labels, means.argmax(axis=1).tolist()


def test_curves_of_all_runs_are_one_table(whole, answers):
    assert (PLOTS / "learning_curves.csv").read_text().splitlines()[0] == "run,side,iteration,loss,uar"
    table = read_rows(PLOTS / "learning_curves.csv", Curve)
    expected = [
        (f"{fold}-{member}", point.side, point.iteration, point.loss, point.uar)
        for fold in FOLDS
        for member in MEMBERS
        for point in curve_of(fold, member)
    ]
    assert [dataclasses.astuple(row) for row in table] == expected
    assert len({row.run for row in table}) == 6


def test_evaluating_again_writes_the_same_bytes(whole, answers):
    folder, _ = whole
    before = files_under(folder / "metrics")
    assert set(before) >= {"metrics.json", "plots/confusion_block.csv", "plots/confusion_clip.csv"}
    evaluate(members=MEMBERS)
    assert files_under(folder / "metrics") == before


# made outputs


def right(fold, *, wrong=()):
    """Logits that give each block its class, but those of the named clips the next class."""
    names = [row.clip_id.removeprefix(f"{CORPUS}/").removesuffix(".wav") for row in fold.rows]
    shift = np.array([name in wrong for name in names])
    return 5.0 * np.eye(3)[(fold.labels + shift) % 3]


def write_all(make_logits, *, folds=FOLDS, members=("a",), **about):
    for index in folds:
        fold = read_fold(index)
        for member in members:
            write_made_outputs(index, fold, member, make_logits(fold), **about)
        write_made_baselines(index, fold)


def test_scores_by_hand(project):
    write_all(lambda fold: right(fold, wrong=("joy0", "joy1", "neutral3")))
    metrics = evaluate()
    # of 4 clips each, 3 blocks a clip: anger 4 right, joy 2, neutral 3
    for level, per_clip in (("clip", 1), ("block", 3)):
        assert metrics[level]["recall"] == {"anger": 1.0, "joy": 0.5, "neutral": 0.75}
        assert metrics[level]["uar"] == metrics[level]["accuracy"] == 0.75
        assert metrics[level]["n"]["total"] == 12 * per_clip
    # joy's next is neutral, neutral's next anger
    table = [(row.actual, row.predicted) for row in read_rows(PLOTS / "confusion_clip.csv", Answer)]
    assert table.count(("joy", "neutral")) == 2
    assert table.count(("neutral", "anger")) == 1
    assert table.count(("anger", "anger")) == 4
    assert metrics["spread"]["clip"]["uar"] == {"mean": 0.75, "sd": None}


def test_a_clips_answer_is_the_mean_of_its_blocks_and_not_their_vote(project):
    def one_sure_block(fold):
        # Two blocks lean to the next class (0.5 to 0.4), the first is sure of its own: the mean is its own class.
        own, following = np.eye(3)[fold.labels], np.eye(3)[(fold.labels + 1) % 3]
        first = np.array([row.block_id.endswith("@0") for row in fold.rows])[:, None]
        return np.log(np.where(first, 0.98 * own + 0.01, 0.4 * own + 0.5 * following + 0.1 / 3))

    write_all(one_sure_block)
    metrics = evaluate()
    assert metrics["block"]["accuracy"] == pytest.approx(1 / 3, abs=1e-4)
    assert metrics["clip"]["accuracy"] == 1


def test_members_are_averaged_in_probability_and_not_in_logits(project):
    for index in FOLDS:
        fold = read_fold(index)
        own, following = np.eye(3)[fold.labels], np.eye(3)[(fold.labels + 1) % 3]
        # mean probability: own 0.55, next 0.45; mean logit: next far ahead, for b's share of it is 1e-9
        write_made_outputs(index, fold, "a", np.log(0.899 * own + 0.1 * following + 0.001 / 3))
        write_made_outputs(index, fold, "b", np.log(0.2 * own + 0.8 * following + 1e-12))
        write_made_baselines(index, fold)
    metrics = evaluate(members=MEMBERS)
    assert metrics["members"]["a"]["clip"]["accuracy"] == 1
    assert metrics["members"]["b"]["clip"]["accuracy"] == 0
    assert metrics["clip"]["accuracy"] == 1


def test_members_are_averaged_in_logits_if_asked_for(project):
    for index in FOLDS:
        fold = read_fold(index)
        own, following = np.eye(3)[fold.labels], np.eye(3)[(fold.labels + 1) % 3]
        # as above: mean probability says own; roots of products: own sqrt(0.899 * 0.2), next sqrt(0.1 * 0.8)
        write_made_outputs(index, fold, "a", np.log(0.899 * own + 0.1 * following + 0.001 / 3))
        write_made_outputs(index, fold, "b", np.log(1e-9 * own + 0.8 * following + 1e-12))
        write_made_baselines(index, fold)
    assert evaluate(members=MEMBERS)["block"]["accuracy"] == 0  # 0.45 to 0.45 and a bit: next
    logits = evaluate(members=MEMBERS, members_mean="logits")
    assert logits["members_mean"] == "logits"
    # sqrt(0.899e-9) to sqrt(0.08): far; softmax of the mean of the logits, by hand
    root = np.sqrt(np.array([0.899 + 0.001 / 3, 0.1 + 0.001 / 3, 0.001 / 3]) * np.array([1e-9, 0.8, 1e-12]))
    assert logits["block"]["calibration"]["confidence"] == pytest.approx(root[1] / root.sum(), abs=1e-4)
    assert logits["members"] == evaluate(members=MEMBERS)["members"]


def blocks_of(fold):
    """Number of each block in its clip, 0 to 2."""
    return np.array([int(row.block_id.rpartition("@")[2]) // RATE for row in fold.rows])


def turning(fold):
    """Logits of clips that begin surely right, say the next class once, and end as surely on the one after it."""
    sure = {0: (0, 0.9), 1: (1, 0.5), 2: (2, 0.8)}
    rows = []
    for label, number in zip(fold.labels, blocks_of(fold), strict=True):
        step, confidence = sure[number]
        row = np.full(3, (1 - confidence) / 2)
        row[(label + step) % 3] = confidence
        rows.append(np.log(row))
    return np.array(rows)


def test_each_rule_from_blocks_to_clips(project):
    write_all(turning)
    # own, next, after next, of the blocks: 0.9 0.05 0.05; 0.25 0.5 0.25; 0.1 0.1 0.8
    accuracy = {}
    for rule in ("mean", "product", "vote", "belief", "last"):
        metrics = evaluate(aggregate=rule)
        assert metrics["aggregate"] == rule
        accuracy[rule] = metrics["clip"]["accuracy"]
        assert metrics["aggregations"][rule]["uar"] == metrics["clip"]["uar"]
        assert metrics["aggregations"][rule]["accuracy"] == metrics["clip"]["accuracy"]
        assert metrics["aggregations"][rule]["interval"]["uar"] == metrics["clip"]["interval"]["uar"]
        table = read_rows(PLOTS / "confusion_clip.csv", Answer)
        assert sum(row.n for row in table if row.actual == row.predicted) / 12 == pytest.approx(
            accuracy[rule], abs=6e-5
        )
        answers = read_rows(ANSWERS, ClipAnswer)
        assert sum(row.actual == row.predicted for row in answers) / 12 == pytest.approx(accuracy[rule], abs=6e-5)
        of_actual = {row.of_actual for row in answers}
        # belief of own: (((1/3 + 0.9) / 2 + 0.25) / 2 + 0.1) / 2; products 0.0225, 0.0025, 0.01
        by_hand = {"mean": 1.25 / 3, "product": 225 / 350, "vote": 1 / 3, "belief": 0.8 / 3, "last": 0.1}[rule]
        assert sorted(of_actual) == pytest.approx([by_hand] * len(of_actual), abs=2e-6)
    assert accuracy == {"mean": 1, "product": 1, "vote": 1, "belief": 0, "last": 0}


def test_the_curve_over_the_clip_by_hand(project):
    write_all(turning)
    evaluate()
    rows = {(row.rule, row.blocks): row for row in read_rows(PLOTS / "over_clip.csv", OverClip)}
    assert len(rows) == 5 * 3
    # blocks of 2 s, one every second; 12 clips of three blocks each
    assert [(rows["mean", n].seconds, rows["mean", n].going) for n in (1, 2, 3)] == [(2, 12), (3, 12), (4, 12)]
    assert [rows["mean", n].of_actual for n in (1, 2, 3)] == [0.9, 0.575, 0.4167]
    assert [rows["last", n].of_actual for n in (1, 2, 3)] == [0.9, 0.25, 0.1]
    assert [rows["vote", n].of_actual for n in (1, 2, 3)] == [1, 0.5, 0.3333]
    assert [rows["last", n].uar for n in (1, 2, 3)] == [1, 0, 0]
    # a vote each: own has 0.9 + 0.25, next 0.05 + 0.5
    assert [rows["vote", n].uar for n in (1, 2)] == [1, 1]


@pytest.mark.parametrize("rule", ["mean", "product", "vote", "belief", "last"])
def test_the_curve_ends_at_the_metrics_of_the_clips(project, rule):
    rng = np.random.default_rng(0)
    write_all(lambda fold: right(fold) + rng.normal(size=(len(fold.rows), 3)) * 4)
    metrics = evaluate(aggregate=rule)
    last = [row for row in read_rows(PLOTS / "over_clip.csv", OverClip) if row.rule == rule][-1]
    assert last.uar == metrics["clip"]["uar"]
    answers = read_rows(ANSWERS, ClipAnswer)
    assert last.of_actual == pytest.approx(np.mean([row.of_actual for row in answers]), abs=6e-5)


def test_clips_that_have_ended_keep_their_answer(project):
    make_project(by="block")  # each fold tests some blocks of a clip; fold 0 alone: clips of different lengths
    write_all(turning, folds=(0,))
    evaluate(folds=(0,))
    rows = [row for row in read_rows(PLOTS / "over_clip.csv", OverClip) if row.rule == "last"]
    fold = read_fold(0)
    own = {}
    for row in sorted((row for row in fold.rows if row.side == "test"), key=lambda row: row.block_id):
        own.setdefault(row.clip_id, []).append(int(row.block_id.rpartition("@")[2]) // RATE)
    lengths = [len(numbers) for numbers in own.values()]
    assert len(set(lengths)) > 1
    assert [row.going for row in rows] == [sum(n >= k for n in lengths) for k in range(1, max(lengths) + 1)]
    of_own = {0: 0.9, 1: 0.25, 2: 0.1}
    for row in rows:
        kept = [of_own[numbers[min(row.blocks, len(numbers)) - 1]] for numbers in own.values()]
        assert row.of_actual == pytest.approx(np.mean(kept), abs=6e-5)


def test_a_very_long_clip_has_sixty_points_at_most():
    assert _points(1) == [1]
    assert _points(60) == list(range(1, 61))
    many = _points(3600)
    assert len(many) <= 60
    assert (many[0], many[-1]) == (1, 3600)
    assert many == sorted(set(many))


def test_tables_of_recall_and_reliability(project):
    write_all(lambda fold: right(fold, wrong=("joy0", "joy1", "neutral3")))
    metrics = evaluate()
    recalls = {(row.level, row.label): row for row in read_rows(PLOTS / "recall.csv", Recall)}
    assert {key: row.recall for key, row in recalls.items() if key[0] == "clip"} == {
        ("clip", "anger"): 1.0,
        ("clip", "joy"): 0.5,
        ("clip", "neutral"): 0.75,
    }
    joy = recalls["block", "joy"]
    assert {"low": joy.low, "high": joy.high} == metrics["block"]["interval"]["recall"]["joy"]
    assert joy.n == 12
    # all are as sure: softmax of 5, 0, 0
    sure = np.exp(5) / (np.exp(5) + 2)
    block, clip = read_rows(PLOTS / "reliability.csv", Reliability)
    assert (block.level, block.n, block.accuracy, block.confidence) == ("block", 36, 0.75, round(sure, 4))
    assert (clip.level, clip.n, clip.accuracy) == ("clip", 12, 0.75)
    assert metrics["block"]["calibration"]["ece"] == pytest.approx(sure - 0.75, abs=1e-4)


def test_named_ensembles_are_reported_beside_the_members(project):
    wrong = {"a": ("joy0",), "b": ("joy0", "anger0"), "c": ("anger0",)}
    for index in FOLDS:
        fold = read_fold(index)
        for member, names in wrong.items():
            write_made_outputs(index, fold, member, right(fold, wrong=names) * (2 if member == "b" else 1))
        write_made_baselines(index, fold)
    metrics = evaluate(members=("a", "b", "c"), ensembles={"ab": ("a", "b"), "alone": ("c",)})
    assert metrics["ensembles"].keys() == {"ab", "alone"}
    assert metrics["ensembles"]["alone"] == metrics["members"]["c"]
    # b is the surer, so a with b answers as b
    assert metrics["ensembles"]["ab"]["clip"]["recall"] == {"anger": 0.75, "joy": 0.75, "neutral": 1.0}
    without = evaluate(members=("a", "b", "c"))
    assert "ensembles" not in without
    assert {**without, "ensembles": metrics["ensembles"]} == metrics
    with pytest.raises(MetricsError, match=r"evaluate\.ensembles\.er2: 'z' was not run: name some of a, b, c"):
        evaluate(members=("a", "b", "c"), ensembles={"er2": ("a", "z")})


# temperatures


@pytest.fixture
def watched(project):
    """A split with a validation side."""
    make_project(validation="fraction", validation_fraction=0.5)
    return project


def noisy(seed, factor):
    def logits(fold):
        values = np.random.default_rng(seed).normal(size=(len(fold.rows), 3))
        values[np.arange(len(fold.rows)), fold.labels] += 1.5
        return values * factor

    return logits


def test_a_temperature_for_each_fold_and_member_is_fitted_on_validation(watched):
    for index in FOLDS:
        fold = read_fold(index)
        write_made_outputs(index, fold, "a", noisy(index, 8)(fold))
        write_made_outputs(index, fold, "b", noisy(index, 4)(fold))
        write_made_baselines(index, fold)
    before = evaluate(members=MEMBERS)
    assert "temperature_scaling" not in before
    metrics = evaluate(members=MEMBERS, calibrate="validation")
    scaling = metrics["temperature_scaling"]
    assert scaling["fitted_on"] == "fraction"
    assert metrics["selected_on_test"] is False
    for index in FOLDS:
        fold = read_fold(index)
        chosen = fold.on("validation")
        a = fit_temperature((noisy(index, 8)(fold)[chosen]).astype(np.float32), fold.labels[chosen])
        assert scaling["runs"][f"{index}-a"] == {"temperature": a.value, "n": int(chosen.sum()), "found": "fitted"}
        # the same logits, twice as large
        assert a.value == pytest.approx(2 * scaling["runs"][f"{index}-b"]["temperature"], rel=1e-4)
    # after their temperatures both members are the same, and each keeps its answers
    assert metrics["members"]["a"] == metrics["members"]["b"]
    for member in MEMBERS:
        assert metrics["members"][member]["block"]["accuracy"] == before["members"][member]["block"]["accuracy"]
    for level in ("block", "clip"):
        assert scaling["ece"][level] == {
            "before": before[level]["calibration"]["ece"],
            "after": metrics[level]["calibration"]["ece"],
        }
    assert scaling["ece"]["block"]["after"] < scaling["ece"]["block"]["before"]


def test_temperatures_of_the_test_side_are_a_choice_on_it(project):
    make_project(validation="test")
    write_all(noisy(0, 5))
    assert evaluate()["selected_on_test"] is False
    metrics = evaluate(calibrate="validation")
    assert metrics["selected_on_test"] is True
    assert metrics["temperature_scaling"]["fitted_on"] == "test"
    fold = read_fold(0)
    assert metrics["temperature_scaling"]["runs"]["0-a"]["n"] == fold.on("test").sum() > 0


def test_without_a_validation_side_there_is_no_temperature(project):
    write_all(right)
    with pytest.raises(MetricsError, match=r"evaluate\.calibrate: validation needs a validation side: set split\.val"):
        evaluate(calibrate="validation")


def test_blocks_that_slicing_does_not_know_are_refused(project):
    write_all(right)
    rows = read_rows(blocks_csv(CORPUS), Block)
    write_rows(blocks_csv(CORPUS), Block, [row for row in rows if row.block_id != f"{CORPUS}/joy1.wav@1000"])
    with pytest.raises(MetricsError, match=r"blocks: no block made/joy1\.wav@1000: it was made from other sources"):
        evaluate()


def test_logits_may_be_shifted_by_any_number(project):
    write_all(lambda fold: right(fold, wrong=("joy0",)))
    before = evaluate()
    write_all(lambda fold: right(fold, wrong=("joy0",)) + 1e4)
    assert evaluate() == before


def test_a_split_by_block_resamples_blocks_and_asks_clips_as_clips(project):
    make_project(by="block")
    write_all(right)
    metrics = evaluate()
    assert (metrics["block"]["unit"], metrics["block"]["n_units"]) == ("block", 36)
    assert (metrics["clip"]["unit"], metrics["clip"]["n_units"]) == ("clip", 12)
    assert metrics["clip"]["n"]["total"] == 12
    assert metrics["block"]["few_units"] is False
    assert metrics["clip"]["few_units"] is True
    assert metrics["split"]["leakage"]["overlaps_training"] > 0.5


def test_a_split_by_speaker_resamples_speakers(project):
    make_project(by="speaker")
    write_all(right)
    metrics = evaluate()
    for level in ("block", "clip"):
        assert (metrics[level]["unit"], metrics[level]["n_units"]) == ("speaker", 4)


def test_one_fold_alone_is_evaluated_on_its_own_test_side(project):
    write_all(lambda fold: right(fold, wrong=("anger0",)), folds=(1,))
    metrics = evaluate(folds=(1,))
    test = [row for row in read_rows(SPLIT, SplitRow) if row.fold == 1 and row.side == "test"]
    assert metrics["block"]["n"]["total"] == len(test) < 36
    assert metrics["split"]["folds"] == [1]
    assert metrics["split"]["n_folds"] == 3


def test_leakage_is_that_of_the_folds_that_were_run(project):
    write_all(right)
    split = json.loads(SPLIT_METRICS.read_text())
    assert evaluate()["split"]["leakage"] == split["leakage"]
    # fold 0 has 6 test blocks, fold 1 has 18; (6 x 0.5 + 18 x 0.1) / 24 = 0.2; what a fold does not state of a field's
    # being known is 1: (6 x 1 + 18 x 0.6) / 24 = 0.7
    split["folds"]["0"] |= {"test": {"anger": 6}, "leakage": {"clip_in_training": 0.5, "speaker_in_training": 0.0}}
    split["folds"]["1"] |= {
        "test": {"anger": 9, "joy": 9},
        "leakage": {"clip_in_training": 0.1, "speaker_in_training": 0.0, "speaker_known": 0.6},
    }
    changed_json(SPLIT_METRICS, folds=split["folds"])
    assert evaluate(folds=(0, 1))["split"]["leakage"] == {
        "clip_in_training": 0.2,
        "speaker_in_training": 0.0,
        "speaker_known": 0.7,
    }
    assert evaluate(folds=(0,))["split"]["leakage"] == {"clip_in_training": 0.5, "speaker_in_training": 0.0}


def test_selected_on_test_is_said_if_one_run_was(project):
    write_all(right)
    assert evaluate()["selected_on_test"] is False
    write_made_outputs(2, read_fold(2), "a", right(read_fold(2)), selected_on_test=True)
    assert evaluate()["selected_on_test"] is True


# classes that no training side has


@pytest.fixture
def lacking(project):
    """Speaker s0 has all clips of neutral: the fold that tests it (0) has none to learn from, the others have all."""
    clips = read_rows(clips_csv(CORPUS), Clip)
    speakers = ["s0" if clip.label == "neutral" else clip.fields["speaker"] for clip in clips]
    write_rows(
        clips_csv(CORPUS),
        Clip,
        [dataclasses.replace(clip, fields={"speaker": name}) for clip, name in zip(clips, speakers, strict=True)],
    )
    choices = Choices(**{**SPLIT_CHOICES, "by": "speaker", "method": "leave_one_out"}, absent_classes="keep")
    split_corpora([CORPUS], choices, audit_fields=["speaker"])
    return project


def unable(fold):
    """Logits that give each block its class, but those of neutral anger."""
    return 5.0 * np.eye(3)[np.where(fold.labels == 2, 0, fold.labels)]


def test_a_class_that_no_training_side_has_counts_in_accuracy_only(lacking):
    fold = read_fold(0)
    write_made_outputs(0, fold, "a", unable(fold))
    fit_baselines(0, [CORPUS])
    metrics = evaluate(folds=(0,))
    assert metrics["split"]["untrained"] == ["neutral"]
    # One clip each of anger and joy, four of neutral; F1 of anger: 2 / (1 + 5), of joy 1
    recall = {"anger": 1.0, "joy": 1.0, "neutral": None}
    for level in ("block", "clip"):
        for found in (metrics, metrics["members"]["a"], metrics["baselines"]["thumbnail"]):
            assert (found[level]["uar"], found[level]["accuracy"], found[level]["recall"]) == (1.0, 0.3333, recall)
        assert metrics[level]["macro_f1"] == 0.6667
        majority = metrics["baselines"]["majority"][level]  # of equals the first: anger
        assert (majority["uar"], majority["accuracy"]) == (0.5, 0.1667)
        assert metrics["baselines"]["nuisance"][level]["recall"]["neutral"] is None
        assert metrics[level]["n"]["neutral"] == metrics[level]["n"]["total"] * 4 / 6
    assert metrics["spread"]["clip"]["uar"]["mean"] == 1.0


def test_a_class_that_another_fold_can_learn_counts(lacking):
    write_all(unable, folds=(0, 1, 2, 3))
    metrics = evaluate(folds=(0, 1, 2, 3))
    assert "untrained" not in metrics["split"]
    assert metrics["clip"]["recall"] == {"anger": 1.0, "joy": 1.0, "neutral": 0.0}


def test_a_test_side_without_a_learned_class_is_refused(lacking):
    rows = [
        dataclasses.replace(row, side="dropped") if row.side == "test" and row.label != "neutral" else row
        for row in read_rows(SPLIT, SplitRow)
    ]
    write_rows(SPLIT, SplitRow, rows)
    write_all(unable, folds=(0,))
    with pytest.raises(MetricsError, match="the test sides have only neutral, which no training side has"):
        evaluate(folds=(0,))
    assert not METRICS.exists()


# refusals


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers_are_refused(project, bad):
    def broken(fold):
        logits = right(fold)
        logits[np.flatnonzero(fold.on("test"))[0], 1] = bad
        return logits

    write_all(broken)
    with pytest.raises(MetricsError, match=r"rows of logits hold NaN or infinity: .*lower train.learning_rate"):
        evaluate()
    assert not METRICS.exists()


def swapped(rows):
    """Another deal: what was tested in fold 0 is trained on, and some other clip of the class is tested."""
    tested = [row.clip_id for row in rows if row.fold == 0 and row.side == "test"]
    out = tested[0]
    other = next(
        row.clip_id for row in rows if row.clip_id not in tested and row.label == rows[0].label and row.clip_id != out
    )
    new = {out: "train", other: "test"}
    return [dataclasses.replace(row, side=new.get(row.clip_id, row.side)) if row.fold == 0 else row for row in rows]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (swapped, "sides"),
        (lambda rows: [rows[1], rows[0], *rows[2:]], "order"),
        (lambda rows: [row for row in rows if not row.block_id.endswith("@0")], "blocks"),
        (lambda rows: [dataclasses.replace(row, label=row.label.replace("anger", "zeal")) for row in rows], "classes"),
    ],
)
def test_outputs_of_another_split_are_refused(project, change, what):
    write_all(right)
    write_rows(SPLIT, SplitRow, change(read_rows(SPLIT, SplitRow)))
    with pytest.raises(MetricsError, match=r"0-a\.h5: predicts other blocks, sides or classes .*run `dvc repro`"):
        evaluate()
    # and baselines of it too, where the outputs were made anew
    for index in FOLDS:
        fold = read_fold(index)
        write_made_outputs(index, fold, "a", right(fold), classes=list(fold.classes))
    with pytest.raises(MetricsError, match=r"baselines/0\.h5: predicts other blocks, sides or classes"):
        evaluate()
    assert not METRICS.exists()


def test_what_is_missing_is_named(project):
    write_all(right, folds=(0, 1))
    with pytest.raises(StoreError, match=r"outputs/2-a\.h5: missing: run `dvc repro`"):
        evaluate()
    with pytest.raises(SplitError, match="there is no fold 5: this split has folds 0 to 2"):
        evaluate(folds=(0, 5))
    curves_csv("1-a").unlink()
    with pytest.raises(StoreError, match=r"curves/1-a\.csv: missing: run `dvc repro`"):
        evaluate(folds=(0, 1))


# heads


def write_head(fold_index, name, logits, **about):
    fold = read_fold(fold_index)
    said = {"classes": list(CLASSES), "member": "a", "on": "logits", "kind": "gmm", "fitted_on": "train"}
    path = head_outputs_h5(f"{fold_index}-{name}")
    write_outputs(path, fold, {"logits": logits}, about={**said, "selected_on_test": False, **about})


def test_each_head_is_evaluated_by_itself_and_changes_nothing_else(project):
    for fold_index in FOLDS:
        fold = read_fold(fold_index)
        rng = np.random.default_rng(fold_index)
        write_made_outputs(fold_index, fold, "a", rng.normal(size=(len(fold.rows), 3)))
        write_made_baselines(fold_index, fold)
        write_head(fold_index, "right", 5 * np.eye(3)[fold.labels])
        write_head(fold_index, "wrong", 5 * np.eye(3)[(fold.labels + 1) % 3], selected_on_test=fold_index == 1)
    without = evaluate()
    assert "heads" not in without
    tables = files_under(PLOTS)
    found = evaluate(heads=("right", "wrong"))
    heads = found.pop("heads")
    assert found == without
    assert files_under(PLOTS) == tables
    assert {name: head["clip"]["uar"] for name, head in heads.items()} == {"right": 1.0, "wrong": 0.0}
    assert {name: head["block"]["accuracy"] for name, head in heads.items()} == {"right": 1.0, "wrong": 0.0}
    assert set(heads["right"]["clip"]) == set(found["clip"])
    own = {"member": "a", "on": "logits", "kind": "gmm", "fitted_on": "train"}
    assert heads["right"]["about"] == {**own, "selected_on_test": False}
    assert heads["wrong"]["about"] == {**own, "selected_on_test": True}
    assert json.loads(METRICS.read_text())["heads"] == heads
    # an ensemble may name a head: a member that guesses does not outweigh one that is sure
    joined = evaluate(heads=("right",), ensembles={"both": ("a", "right")}, members_mean="logits")
    assert joined["ensembles"]["both"]["block"]["uar"] > joined["block"]["uar"]
    # and says so where one of it was fitted on the test side, as the head itself does
    said = evaluate(heads=("right", "wrong"), ensembles={"ar": ("a", "right"), "rw": ("right", "wrong")})["ensembles"]
    assert {name: scores.get("selected_on_test", False) for name, scores in said.items()} == {"ar": False, "rw": True}


def test_a_head_of_another_split_is_refused(project):
    for fold_index in FOLDS:
        fold = read_fold(fold_index)
        write_made_outputs(fold_index, fold, "a", np.zeros((len(fold.rows), 3)))
        write_made_baselines(fold_index, fold)
        write_head(fold_index, "h", np.zeros((len(fold.rows), 3)), classes=["joy", "anger", "neutral"])
    with pytest.raises(MetricsError, match=r"heads/0-h/outputs\.h5: predicts other blocks, sides or classes"):
        evaluate(heads=("h",))
