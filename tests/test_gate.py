"""The gate on made results in made git repositories: every verdict, every reason for none, every name of a revision."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_results import (
    CLASSES,
    LEAKAGE,
    ROOT,
    commit,
    git,
    made_answers,
    make_repository,
    other,
    write_results,
)
from made_run import make_project, write_made_baselines, write_made_outputs
from typer.testing import CliRunner

from pipeline import gate as gate_package
from pipeline.cli import app
from pipeline.compare import tally
from pipeline.evaluate import evaluate_runs
from pipeline.gate import run_gate
from pipeline.gate.page import Page, explain
from pipeline.gate.results import How, Level, Metrics, Result, Split
from pipeline.gate.verdict import BETTER, NOISE, NOT_GATED, OK, REGRESSION, Verdict, decide, judge
from pipeline.metrics import SUMMARIES, scores
from pipeline.store.folds import read_fold
from pipeline.store.paths import METRICS, PLOTS, SPLIT_METRICS
from pipeline.store.tables import Answer, write_rows

CLIPS, BLOCKS = PLOTS / "confusion_clip.csv", PLOTS / "confusion_block.csv"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository whose one commit got two of 30 clips wrong."""
    monkeypatch.chdir(tmp_path)
    make_repository(wrong=[0, 10])
    return tmp_path


def gate(against="HEAD"):
    outcome = run_gate(against)
    return outcome.status, outcome.page.as_text()


def verdicts(against="HEAD"):
    return {verdict.score: verdict.verdict for verdict in run_gate(against).page.verdicts}


def set_tolerances(text):
    """Replace the section gate of params.yaml."""
    params = Path("params.yaml").read_text()
    names = [f"{level}_{score}" for level in ("clip", "block") for score in ("uar", "accuracy", "macro_f1")]
    section = "gate:\n" + "".join(f"  {name}: {text}\n" for name in names)
    Path("params.yaml").write_text(re.sub(r"(?ms)^gate:\n.*?(?=^\S|\Z)", section, params))


# verdicts


@pytest.mark.parametrize(
    ("old", "new", "low", "high", "tolerance", "verdict"),
    [
        (0.9, 0.9, 0.0, 0.0, 0.05, OK),
        (0.95, 0.9, -0.09, -0.01, 0.05, OK),  # exactly the tolerance, 0.05 and a bit in binary
        (0.95, 0.8999, -0.09, -0.01, 0.05, REGRESSION),
        (0.95, 0.8, -0.3, 0.0, 0.05, NOISE),
        (0.95, 0.8, -0.3, -0.0001, 0.05, REGRESSION),
        (0.95, 0.8, None, None, 0.05, REGRESSION),
        (0.9, 0.9001, 0.0, 0.1, 0.0, OK),
        (0.9, 0.8999, -0.1, 0.0, 0.0, NOISE),
        (0.8, 0.9, 0.01, 0.2, 0.05, BETTER),
        (0.8, 0.9, -0.01, 0.2, 0.05, OK),
        (0.8, 0.9, None, None, 0.05, BETTER),
        (0.9, 0.1, -0.9, -0.7, None, NOT_GATED),
    ],
)
def test_one_score(old, new, low, high, tolerance, verdict):
    assert decide(old, new, low=low, high=high, tolerance=tolerance) == verdict


def test_a_result_passes_against_itself(project):
    status, text = gate()
    assert status == 0
    assert text.startswith("Gate: no regression against HEAD (")
    assert text.count("+0.000 to +0.000") == 6
    assert "clips are paired over 30 units (clip)" in text
    assert "\nclip UAR        0.933  0.933  +0.000  +0.000 to +0.000  0.05       ok\n" in text


def test_a_real_fall_is_a_regression(project):
    write_results(wrong=range(0, 30, 3))
    status, text = gate()
    assert status == 1
    assert text.startswith("Gate: 4 regressions against HEAD (")
    assert verdicts() == {
        "clip accuracy": REGRESSION,
        "clip uar": REGRESSION,
        "clip macro_f1": NOT_GATED,
        "block accuracy": REGRESSION,
        "block uar": REGRESSION,
        "block macro_f1": NOT_GATED,
    }
    assert "regression: fell by more than its tolerance and by more than chance" in text


def test_a_fall_on_other_clips_than_before_is_noise(project):
    write_results(wrong=[1, 11, 21, 22])  # 0.93 to 0.87, four lost and two won
    status, text = gate()
    assert status == 0
    assert set(verdicts().values()) == {NOISE, NOT_GATED}
    assert "noise: fell by more than its tolerance" in text


def test_a_fall_within_the_tolerance_is_none_however_certain(project):
    set_tolerances(1)
    write_results(wrong=range(30))
    assert gate()[0] == 0


def test_a_rise_is_better(project):
    write_results(wrong=range(0, 30, 2))
    commit()
    write_results()
    assert verdicts()["clip uar"] == BETTER


def test_what_has_no_tolerance_is_shown_and_never_fails(project):
    set_tolerances("null")
    write_results(wrong=range(30))
    status, text = gate()
    assert (status, set(verdicts().values())) == (0, {NOT_GATED})
    assert text.startswith("Gate: no regression")
    assert "not gated: no tolerance is set" in text


def test_seeds_are_told_from_worse_models(tmp_path, monkeypatch):
    """Models of one quality that differ in which clips they miss pass, and models of a worse one do not."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    hard = rng.random(30) < 0.4  # models agree on which clips are hard

    def wrong(p_hard, p_easy=0.02):
        return np.flatnonzero(rng.random(30) < np.where(hard, p_hard, p_easy)).tolist()

    make_repository(wrong=wrong(0.3))
    statuses = {"same": [], "worse": []}
    for _ in range(20):
        write_results(wrong=wrong(0.3))
        commit()
        write_results(wrong=wrong(0.3))
        statuses["same"].append(gate()[0])
        write_results(wrong=wrong(0.9, 0.4))
        statuses["worse"].append(gate()[0])
    assert sum(statuses["same"]) <= 2
    assert sum(statuses["worse"]) >= 19


def made_result(answers):
    """A result of these tables only, without files."""
    levels = {}
    for level, rows in answers.items():
        units = sorted({row.unit for row in rows})
        point = scores(tally(rows, units=units, classes=CLASSES).sum(axis=0))
        levels[level] = Level.model_construct(**{name: round(float(point[name]), 4) for name in SUMMARIES})
    metrics = Metrics.model_construct(**levels, split=How.model_construct())
    return Result("made", metrics, Split.model_construct(), answers, {})


def simulated_model(rng, labels, ease, n_blocks=23):
    """Answers of a model that gets each clip's blocks right by a rate drawn around the clip's ease."""
    clips, blocks = [], []
    for number, (label, rate) in enumerate(zip(labels, rng.beta(ease, 1 - ease), strict=True)):
        hits = int(rng.binomial(n_blocks, rate))
        row = Answer(clip_id=str(number), unit=str(number), actual=label, predicted=label, n=1)
        wrong = dataclasses.replace(row, predicted=other(label))
        clips.append(row if 2 * hits > n_blocks else wrong)
        counts = ((row, hits), (wrong, n_blocks - hits))
        blocks += [dataclasses.replace(one, n=n) for one, n in counts if n]
    return made_result({"clip": clips, "block": blocks})


@pytest.mark.parametrize(
    ("counts", "most"),
    [
        ((20, 20, 20), 0.07),  # measured 0.04 over 2400 trials; three deviations of 300 trials more
        ((6, 9, 3), 0.13),  # 0.08: on so few clips intervals are too narrow, and any of four scores can fail
    ],
)
def test_how_often_chance_alone_fails_the_whole_gate(counts, most):
    rng = np.random.default_rng(7)
    labels = np.repeat(CLASSES, counts).tolist()
    tolerances = {f"{level}_{name}": 0.05 for level in ("clip", "block") for name in ("accuracy", "uar")}
    tolerances |= {"clip_macro_f1": None, "block_macro_f1": None}
    trials, failed = 300, 0
    for trial in range(trials):
        ease = rng.beta(3.2, 0.8, len(labels)).clip(0.01, 0.99)
        old, new = (simulated_model(rng, labels, ease) for _ in range(2))
        found = judge(old, new, tolerances, n_resamples=300, seed=trial)
        failed += any(verdict.verdict == REGRESSION for verdict in found)
    assert failed / trials <= most


# old results that do not name their clips


def old_format(level):
    lines = [f"{row.actual},{row.predicted}\n" for row in made_answers([0])[level] for _ in range(row.n)]
    return "actual,predicted\n" + "".join(lines)


def test_without_tables_the_fall_alone_decides_and_it_is_said(project):
    CLIPS.unlink()
    BLOCKS.write_text(old_format("block"))
    old = commit()
    write_results(wrong=[1, 11, 21, 22])
    status, text = gate()
    assert status == 1
    assert verdicts()["clip uar"] == verdicts()["block uar"] == REGRESSION
    assert f"clips are not paired, a fall alone decides: {CLIPS} is missing at HEAD ({old[:7]})" in text
    assert "blocks are not paired, a fall alone decides" in text
    assert "of an earlier version, which did not name the clips" in text
    assert " to " not in text.split("\nclips are not")[0].split("verdict")[1]


def test_one_level_can_be_paired_alone(project):
    CLIPS.unlink()
    commit()
    write_results(wrong=[1, 11, 21, 22])
    assert verdicts() | {"clip macro_f1": REGRESSION} == {
        name: NOT_GATED if "macro" in name and "clip" not in name else REGRESSION if "clip" in name else NOISE
        for name in verdicts()
    }


def test_one_unit_gives_no_interval_and_the_fall_alone_decides(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def of_one_unit(wrong):
        return {
            level: [dataclasses.replace(row, unit="all") for row in rows] for level, rows in made_answers(wrong).items()
        }

    make_repository(answers=of_one_unit([]))
    write_results(answers=of_one_unit([0, 10, 20]))
    status, text = gate()
    assert status == 1
    assert "clips are paired over 1 unit (clip), too few for an interval: a fall alone decides" in text


# not comparable


def answers_with(**changed):
    """The last clip changed in both levels."""
    return {
        level: [*rows[:-1], dataclasses.replace(rows[-1], **changed)] for level, rows in made_answers([0, 10]).items()
    }


def relabelled():
    """Two clips of two classes have changed labels, so that the counts are as before."""

    def changed(row):
        swap = {"made/anger0.wav": "joy", "made/joy0.wav": "anger"}
        return dataclasses.replace(row, actual=swap.get(row.clip_id, row.actual))

    return {level: [changed(row) for row in rows] for level, rows in made_answers([0, 10]).items()}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"metrics": {"corpora": ["crowd", "made"]}}, "corpora: made, now crowd, made"),
        ({"how": {"by": "speaker"}}, "split.by: clip, now speaker"),
        ({"how": {"method": "holdout"}}, "split.method: kfold, now holdout"),
        ({"how": {"n_folds": 4}}, "split.n_folds: 3, now 4"),
        ({"how": {"folds": [0]}}, "folds that were run: [0, 1, 2], now [0]"),
        ({"metrics": {"seed": {"split": 1, "members": {"a": 0}}}}, "split.seed: 0, now 1"),
        ({"metrics": {"selected_on_test": True}}, "selected_on_test: False, now True"),
        (
            {"how": {"leakage": {**LEAKAGE, "event_in_training": 0.6}}},
            "leakage, event_in_training: 0.5, now 0.6",
        ),
        ({"how": {"leakage": {**LEAKAGE, "event_known": 0.9}}}, "leakage, event_known: not stated, now 0.9"),
        ({"corpora": {"seconds": 300.2}}, "seconds of made: 300.0, now 300.2"),
        ({"corpora": {"rejected": 1}}, "rejected recordings of made: 0, now 1"),
        ({"corpora": {"missing": 3}}, "missing files of made: 0, now 3"),
        ({"corpora": {"unused_clips": {"joy": 1}}}, "clips of made that the split leaves out: none, now 1 joy"),
        ({"split": {"clips": 2}}, "clips that take part in the split: 1, now 2"),
        ({"untrained": ["neutral"]}, "classes that no training side has: none, now neutral"),
        ({"corpora": {"clips": {"joy": 3}}}, "clips of made: 10 anger, 10 joy, 10 neutral, now 3 joy"),
        ({"split": {"corpora": {}}}, "corpora of split.json: made, now "),
        (
            {"answers": made_answers([0, 10], clips_per_class=11)},
            "tested clips: 10 anger, 10 joy, 10 neutral, 30 total, now 11 anger, 11 joy, 11 neutral, 33 total",
        ),
        ({"answers": answers_with(clip_id="made/new.wav")}, "clips: 1 test clip only in the old table"),
        ({"answers": answers_with(unit="somebody")}, "blocks: 1 test clip with another unit"),
        ({"answers": relabelled()}, "clips: 2 test clips with another label, the first is made/anger0.wav"),
        ({"metrics": {"block": "speaker"}}, "unit of the blocks' intervals: clip, now speaker"),
    ],
)
def test_another_test_is_not_compared(project, changes, reason):
    if changes == {"metrics": {"block": "speaker"}}:
        block = json.loads(METRICS.read_text())["block"]
        changes = {"metrics": {"block": {**block, "unit": "speaker"}}}
    write_results(**{"wrong": [0, 10], **changes})
    status, text = gate()
    assert status == 2
    assert text.startswith("Gate: not comparable with HEAD (")
    assert any(line.startswith(reason) for line in text.splitlines()), text


@pytest.mark.parametrize("side", ["old", "new"])
def test_what_older_results_do_not_state_is_no_difference(project, side):
    stated = {"corpora": {"missing": 3, "unused_clips": {"joy": 1}}, "split": {"clips": 2}}
    write_results([0, 10], **({"corpora": {}} if side == "old" else stated))
    if side == "old":
        forget()
    commit()
    write_results([0, 10], **(stated if side == "old" else {"corpora": {}}))
    if side == "new":
        forget()
    assert gate()[0] == 0


def forget():
    """Take out of split.json what it did not always state."""
    split = json.loads(SPLIT_METRICS.read_text())
    for name in ("missing", "unused_clips"):
        del split["corpora"]["made"][name]
    del split["clips"]
    SPLIT_METRICS.write_text(json.dumps(split))


def test_classes_that_could_not_be_learned_have_no_part_in_the_means(project):
    write_results([0, 10], untrained=["neutral"])
    commit()
    write_results([0, 10, *range(20, 30)], untrained=["neutral"])  # all that is lost are clips of neutral
    text = gate()[1]
    assert "\nclip UAR        0.900  0.900  +0.000  +0.000 to +0.000  0.05       ok\n" in text
    # F1 of anger: 18 / (10 + 9), then 18 / (10 + 9 + 10 of neutral); of joy: 18 / (10 + 10)
    assert "\nclip macro-F1   0.924  0.760  " in text
    assert verdicts()["clip accuracy"] == verdicts()["block accuracy"] == REGRESSION


def test_scores_that_leave_a_class_out_without_saying_so_are_refused(project):
    write_results([0, 10, *range(20, 30)], untrained=["neutral"])
    edit_metrics("split", "untrained", value=None)
    status, text = gate()
    assert status == 2
    assert "its uar is 0.6000, and metrics/metrics.json says otherwise" in text


def test_every_reason_has_a_line_of_its_own(project):
    write_results([0, 10], how={"by": "speaker", "folds": [0]}, corpora={"rejected": 2})
    assert len(gate()[1].splitlines()) == 4


def test_sound_that_differs_by_rounding_is_the_same(project):
    write_results([0, 10], corpora={"seconds": 300.01})
    assert gate()[0] == 0


def test_members_and_their_seeds_may_differ(project):
    write_results([0, 10], metrics={"seed": {"split": 0, "members": {"a": 5, "b": 6}}})
    assert gate()[0] == 0


# missing or broken


def edit_metrics(*path, value):
    metrics = json.loads(METRICS.read_text())
    part = metrics
    for name in path[:-1]:
        part = part[name]
    if value is None:
        del part[path[-1]]
    else:
        part[path[-1]] = value
    METRICS.write_text(json.dumps(metrics))


def edit_table(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


BREAKS = {
    "no metrics": (METRICS.unlink, f"{METRICS} is missing at "),
    "no split": (SPLIT_METRICS.unlink, f"{SPLIT_METRICS} is missing at "),
    "half a file": (lambda: METRICS.write_text(METRICS.read_text()[:500]), "cannot be used (Expecting property name"),
    "an empty file": (lambda: METRICS.write_text(""), "cannot be used (Expecting value"),
    "no mapping": (lambda: METRICS.write_text("[1]"), "cannot be used (holds no JSON mapping)"),
    "no text": (lambda: METRICS.write_bytes(b'{"\xff": 1}'), "cannot be used ('utf-8' codec"),
    "too deep": (lambda: METRICS.write_text("[" * 100_000), "recursion"),
    "NaN": (lambda: edit_metrics("spread", value=float("nan")), "cannot be used (holds NaN, which is no number)"),
    "infinity": (lambda: edit_metrics("clip", "uar", value=float("inf")), "cannot be used (holds Infinity"),
    "a score missing": (lambda: edit_metrics("clip", "uar", value=None), "cannot be used (clip.uar: missing)"),
    "a score above 1": (lambda: edit_metrics("clip", "uar", value=1.2), "clip.uar: input should be less than or equal"),
    "a score below 0": (lambda: edit_metrics("block", "uar", value=-0.1), "block.uar: input should be greater than"),
    "a score as text": (lambda: edit_metrics("clip", "uar", value="0.9"), "clip.uar: input should be a valid number"),
    "a score as truth": (lambda: edit_metrics("clip", "uar", value=True), "clip.uar: input should be a valid number"),
    "no corpora": (lambda: edit_metrics("corpora", value=None), "corpora: missing"),
    "no total": (lambda: edit_metrics("clip", "n", value={"anger": 10}), "clip.n: must have a total"),
    "another score": (
        lambda: edit_metrics("clip", "uar", value=0.9),
        "its uar is 0.9333, and metrics/metrics.json says",
    ),
    "another accuracy": (lambda: edit_metrics("block", "accuracy", value=1.0), "its accuracy is 0.9333"),
    "another count": (lambda: edit_table(BLOCKS, ",4\n", ",5\n"), "it holds 121 items: 41 anger, 40 joy, 40 neutral"),
    "no class of ours": (lambda: edit_table(CLIPS, "joy,1", "fear,1"), "it answers with fear, which is none of the"),
    "an empty table": (lambda: CLIPS.write_text("clip_id,unit,actual,predicted,n\n"), "(no rows)"),
    "no column": (lambda: edit_table(CLIPS, "unit", "group"), "(no column unit)"),
    "no header": (lambda: CLIPS.write_text(""), "(no column clip_id, unit, actual, predicted, n)"),
    "half a row": (lambda: CLIPS.write_text(CLIPS.read_text()[:-12]), f"{CLIPS} at "),
    "no number": (lambda: edit_table(CLIPS, ",1\n", ",one\n"), "invalid literal for int"),
    "a negative number": (lambda: edit_table(CLIPS, ",1\n", ",-1\n"), "(-1 items of made/anger0.wav)"),
    "an empty cell": (lambda: edit_table(CLIPS, "made/anger0.wav,made", ",made"), "(a row without clip_id)"),
    "an open quote": (lambda: edit_table(CLIPS, "made/", '"made/'), f"{CLIPS} at "),
}


@pytest.mark.parametrize("side", ["old", "new"])
@pytest.mark.parametrize("name", BREAKS)
def test_what_is_broken_is_named_on_either_side(project, name, side):
    breaks, message = BREAKS[name]
    breaks()
    if side == "old":
        commit()
        write_results([0, 10])
    status, text = gate()
    assert status == 2
    title, reason = text.splitlines()
    assert title == "Gate: nothing could be compared"
    assert message in reason
    assert ("at HEAD (" in reason) == (side == "old")
    assert ("at this folder" in reason) == (side == "new")
    assert ("compare with another revision" if side == "old" else "run `dvc repro`") in reason


@pytest.mark.parametrize("path", [CLIPS, BLOCKS])
def test_the_present_result_needs_its_tables(project, path):
    path.unlink()
    status, text = gate()
    assert (status, text.splitlines()[1]) == (2, f"{path} is missing at this folder: run `dvc repro`")
    path.write_text(old_format("clip"))
    assert gate()[0] == 2


def test_a_folder_in_the_place_of_a_file(project):
    METRICS.unlink()
    METRICS.mkdir()
    assert gate() == (
        2,
        f"Gate: nothing could be compared\n{METRICS}: cannot be read (Is a directory): run `dvc repro`",
    )


@pytest.mark.parametrize("text", ["gate: {clip_uar: 2}\n", "- 1\n", "a: [\n", ""])
def test_broken_parameters_are_no_regression(project, text):
    Path("params.yaml").write_text(text)
    status, page = gate()
    assert status == 2
    assert "params.yaml" in page


def test_a_revision_that_git_cannot_read(project):
    blob = git("rev-parse", f"HEAD:{METRICS}")
    (project / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    status, text = gate()
    assert status == 2
    assert f"{METRICS} at " in text
    assert "git cannot read it" in text


# how the old result is named


def test_any_way_to_name_a_revision(project):
    first = git("rev-parse", "HEAD")
    git("tag", "v1")
    git("branch", "feature/x")
    write_results(wrong=range(0, 30, 2))
    commit()
    write_results([0, 10])
    for name in (first, first[:9], "v1", "feature/x", "HEAD~1", "HEAD^", "main~1", "refs/tags/v1"):
        status, text = gate(name)
        assert (status, text.count("+0.000 to +0.000")) == (0, 6), name
        assert first[:7] in text.splitlines()[0]
    assert verdicts("main")["clip uar"] == BETTER


def test_a_detached_head_and_a_subfolder_of_the_repository(tmp_path, monkeypatch):
    inner = tmp_path / "work" / "project"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    make_repository()
    git("rm", "-r", "--quiet", "--cached", ".")
    (inner / ".git").rename(tmp_path / ".git")
    commit()
    git("checkout", "--quiet", "--detach")
    assert gate()[0] == 0


def test_experiments_by_name(project):
    head = git("rev-parse", "HEAD")
    git("checkout", "--quiet", "--detach")
    write_results(wrong=range(0, 30, 2))
    experiment = commit("an experiment")
    git("checkout", "--quiet", "main")
    git("update-ref", f"refs/exps/{head[:2]}/{head[2:]}/brash-lark", experiment)
    git("update-ref", "refs/exps/celery/stash", experiment)
    assert verdicts("brash-lark")["clip uar"] == BETTER
    assert gate("stash")[0] == 2
    git("update-ref", f"refs/exps/{experiment[:2]}/{experiment[2:]}/brash-lark", head)
    status, text = gate("brash-lark")
    assert status == 2
    assert "2 experiments are called 'brash-lark'" in text
    assert head in text
    assert experiment in text
    git("branch", "brash-lark", experiment)
    assert verdicts("brash-lark")["clip uar"] == BETTER  # a branch comes first


@pytest.mark.parametrize(
    "name",
    [
        "nowhere",
        "",
        "-x",
        "--help",
        "--all",
        "--output=made",
        "HEAD..HEAD",
        "^HEAD",
        "HEAD:metrics",
        "a\nb",
        "$(x)",
        "\0",
    ],
)
def test_what_is_no_revision(project, name):
    before = sorted(project.iterdir())
    status, text = gate(name)
    assert status == 2
    assert "revision" in text or "git cannot be asked" in text
    assert sorted(project.iterdir()) == before


def test_no_repository_no_commit_no_git(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    write_results()
    assert "not a git repository" in gate()[1]
    git("init", "--quiet")
    assert "no revision 'HEAD'" in gate()[1]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gate() == (
        2,
        "Gate: nothing could be compared\ngit is not installed: the gate reads the other revision through it",
    )


# pages


def test_no_name_is_markup_in_markdown():
    verdict = Verdict("clip uar", 0.9, 0.8, -0.2, -0.01, 0.05, REGRESSION)
    title = "Gate: against a|b`c*d_e<img src=x>[f](g)#1 @somebody ~x~"
    page = Page(title, [verdict], ["over <b>speaker|x</b>\x1b[31m", *explain([verdict])])
    text = page.as_markdown()
    heading, _, header, rule, row, _, first, *_ = text.splitlines()
    assert heading == (r"### Gate: against a\|b\`c\*d\_e\<img src=x\>\[f\]\(g\)\#1 @<!-- -->somebody \~x\~")
    assert header.count("|") == rule.count("|") == row.count("|") == 8
    assert row == "| clip UAR | 0.900 | 0.800 | -0.100 | -0.200 to -0.010 | 0.05 | regression |"
    assert first == r"- over \<b\>speaker\|x\</b\>?\[31m"
    assert text.endswith("\n")
    assert "\x1b" not in page.as_text()


def test_reasons_with_strange_names_stay_on_their_line(project):
    write_results([0, 10], metrics={"corpora": ["a\n# b\n\udc80"]})
    status, text = gate()
    assert (status, text.splitlines()[1:]) == (2, ["corpora: made, now a?# b??"])


# the command


def run(*arguments):
    return CliRunner().invoke(app, ["gate", *arguments])


@pytest.mark.parametrize(
    ("wrong", "options", "status", "heading"),
    [
        ([0, 10], {}, 0, "### Gate: no regression against HEAD"),
        (range(0, 30, 3), {}, 1, "### Gate: 4 regressions against HEAD"),
        ([0, 10], {"how": {"n_folds": 5}}, 2, "### Gate: not comparable with HEAD"),
    ],
)
def test_the_command_says_it_by_status_and_in_markdown(project, wrong, options, status, heading):
    write_results(wrong, **options)
    done = run("--markdown", "page.md")
    assert done.exit_code == status
    assert (done.stderr if status == 2 else done.stdout).startswith("Gate: ")
    assert Path("page.md").read_text().startswith(heading)


def test_the_command_takes_a_revision_that_looks_like_an_option(project):
    for arguments in (["--against", "-x"], ["--against=--help"]):
        done = run(*arguments)
        assert done.exit_code == 2
        assert "git knows no revision" in done.stderr


def test_a_page_that_cannot_be_written_is_no_regression(project):
    done = run("--markdown", "nowhere/page.md")
    assert done.exit_code == 2
    assert "nowhere/page.md: cannot be written" in done.stderr
    assert "no regression" in done.stdout


@pytest.mark.parametrize("error", [RuntimeError("a fault"), KeyboardInterrupt(), BrokenPipeError(32, "gone")])
def test_an_unforeseen_failure_is_no_regression(project, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(gate_package, "run_gate", fail)
    done = run()
    assert done.exit_code == 3
    assert "Traceback" in done.stderr


def test_the_gate_needs_no_torch():
    code = "import sys, pipeline.cli, pipeline.gate; sys.exit('torch' in sys.modules)"
    environment = {"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


# what the pipeline itself writes


@pytest.mark.parametrize("by", ["clip", "block", "speaker"])
def test_an_evaluated_run_passes_against_itself(tmp_path, monkeypatch, by):
    monkeypatch.chdir(tmp_path)
    make_project(by=by)
    rng = np.random.default_rng(0)

    def evaluate(right):
        for index in range(3):
            fold = read_fold(index)
            logits = rng.normal(size=(len(fold.rows), 3))
            logits[np.arange(len(fold.rows)), fold.labels] += np.where(rng.random(len(fold.rows)) < right, 9, -9)
            write_made_outputs(index, fold, "a", logits)
            write_made_baselines(index, fold)
        run = {"corpora": ["made"], "seed": {"split": 0, "members": {"a": 0}}}
        evaluate_runs((0, 1, 2), ("a",), n_resamples=100, seed=0, sample_rate=1000, run=run)

    evaluate(1.0)
    git("init", "--quiet")
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    commit()
    status, text = gate()
    assert (status, text.count("+0.000 to +0.000")) == (0, 6)
    evaluate(0.0)
    assert gate()[0] == 1


def test_clips_whose_names_need_quotes(project):
    def renamed(row):
        return dataclasses.replace(row, clip_id=f'a,"b"\r\n{row.clip_id}\udcff', unit=f"ü,{row.unit}")

    answers = {level: [renamed(row) for row in rows] for level, rows in made_answers([3]).items()}
    write_results(answers=answers)
    commit()
    assert gate()[0] == 0


def test_the_same_answer_in_two_rows_counts_once_each(project):
    rows = made_answers([0, 10])["block"]
    halves = [dataclasses.replace(row, n=2) for row in rows for _ in range(2)]
    write_rows(BLOCKS, Answer, halves)
    assert gate()[0] == 0


def test_classes_of_the_made_results():
    assert [other(label) for label in CLASSES] == ["joy", "neutral", "anger"]


def test_the_page_overwrites_nothing_that_the_gate_reads(project):
    before = METRICS.read_bytes()
    done = run("--markdown", str(METRICS))
    assert done.exit_code == 2
    assert "must end in .md" in done.output
    assert METRICS.read_bytes() == before
