"""Two results on one test: p-values by hand, by binomial laws and by simulation; names, refusals, and the command."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from made_results import commit, git, made_answers, make_repository, write_results
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.compare import permutation_p_values
from pipeline.errors import CompareError
from pipeline.metrics import SUMMARIES
from pipeline.paired import compare_results
from pipeline.store.paths import METRICS, PLOTS
from pipeline.store.tables import Answer


def answers(right, label="joy", per_unit=1):
    """One row for each item, in units of `per_unit` clips: right or wrong."""
    return [
        Answer(
            clip_id=f"{label}{number}",
            unit=f"{label}{number // per_unit}",
            actual=label,
            predicted=label if is_right else "none",
            n=1,
        )
        for number, is_right in enumerate(right)
    ]


def p_of(a, b, n_resamples=2000, seed=0, **options):
    return permutation_p_values(a, b, n_resamples=n_resamples, seed=seed, **options)


# p-values


def test_five_units_all_better():
    # of 32 exchanges only none and all give a difference of 5: 2 / 32
    assert p_of(answers([0] * 5), answers([1] * 5))["accuracy"] == 2 / 32


def test_units_that_agree_count_for_nothing():
    assert p_of(answers([0] * 5 + [1] * 20), answers([1] * 25))["accuracy"] == 2 / 32


def test_accuracy_of_single_clips_is_mcnemars_exact_test():
    # 9 won and 2 lost of 11: twice the tail of a fair coin
    tail = sum(math.comb(11, k) for k in range(3)) / 2**11
    found = p_of(answers([0] * 9 + [1] * 2 + [1] * 7), answers([1] * 9 + [0] * 2 + [1] * 7))
    assert found["accuracy"] == pytest.approx(2 * tail)


def test_more_units_than_can_be_gone_through_are_drawn():
    # 28 won and 12 lost of 40
    tail = sum(math.comb(40, k) for k in range(13)) / 2**40
    found = p_of(answers([0] * 28 + [1] * 12), answers([1] * 28 + [0] * 12), n_resamples=40000)
    assert found["accuracy"] == pytest.approx(2 * tail, abs=4 * math.sqrt(2 * tail / 40000))


def test_drawn_exchanges_count_the_one_that_was_found():
    assert p_of(answers([0] * 100), answers([1] * 100), n_resamples=999)["accuracy"] == 1 / 1000


def test_a_unit_is_exchanged_whole():
    # ten clips of two units: 4 exchanges, of which none and both give the difference found
    assert p_of(answers([0] * 10, per_unit=5), answers([1] * 10, per_unit=5))["accuracy"] == 2 / 4


def test_recalls_by_hand():
    # one clip of anger won, two of joy won: recalls rise by 1/1 and 2/4, UAR by 3/4. Of 8 exchanges 2 reach 3/4; the
    # accuracy's difference of 3 too
    a = answers([0], "anger") + answers([0, 0, 1, 1], "joy")
    b = answers([1], "anger") + answers([1, 1, 1, 1], "joy")
    assert p_of(a, b) == {"accuracy": 2 / 8, "uar": 2 / 8, "macro_f1": 2 / 8}
    # anger lost, two of joy won: recalls change by -1, 1/4 and 1/4; all 8 ways of signs sum to at least 1/2; right
    # answers by -1, 1 and 1, which all sum to at least 1
    a = answers([1], "anger") + answers([0, 0, 1, 1], "joy")
    b = answers([0], "anger") + answers([1, 1, 1, 1], "joy")
    found = p_of(a, b)
    assert (found["accuracy"], found["uar"]) == (1, 1)


def test_recalls_of_classes_that_could_not_be_learned_count_for_nothing():
    # three of anger won, three of joy lost: together no difference of UAR, which every exchange has; of anger alone a
    # recall of 0 and 1, which 2 of 8 exchanges have
    a, b = (
        answers([0, 0, 0], "anger") + answers([1, 1, 1], "joy"),
        answers([1, 1, 1], "anger") + answers([0, 0, 0], "joy"),
    )
    assert p_of(a, b)["uar"] == 1
    found = p_of(a, b, untrained=["joy"])
    assert (found["uar"], found["macro_f1"], found["accuracy"]) == (2 / 8, 2 / 8, 1)


def test_like_results_give_one():
    same = answers([0, 1, 1, 0, 1])
    assert p_of(same, same) == dict.fromkeys(SUMMARIES, 1.0)


@pytest.mark.parametrize("n", [10, 60])
def test_neither_comes_first(n):
    rng = np.random.default_rng(n)
    a, b = answers(rng.random(n) < 0.5), answers(rng.random(n) < 0.7)
    assert p_of(a, b) == p_of(b, a)


@pytest.mark.parametrize("n", [12, 40])
def test_like_systems_are_seldom_told_apart(n):
    rng = np.random.default_rng(0)
    labels = ("joy", "anger")
    p_values = []
    for _ in range(400):
        a, b = ([row for label in labels for row in answers(rng.random(n // 2) < 0.6, label)] for _ in range(2))
        p_values.append(p_of(a, b, n_resamples=200)["uar"])
    # 5 % of 400 and three standard deviations of it; the test may be below, being discrete
    assert np.mean(np.array(p_values) <= 0.05) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)
    assert np.mean(np.array(p_values) <= 0.5) >= 0.2


def test_other_items_are_refused():
    with pytest.raises(CompareError, match="2 test clips only in the new table"):
        p_of(answers([1, 1]), answers([1, 1, 1, 1]))
    with pytest.raises(CompareError, match="empty"):
        p_of([], [])


# results by name


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository with two commits: ten of 30 clips wrong, and none."""
    monkeypatch.chdir(tmp_path)
    make_repository(wrong=range(10))
    git("tag", "before")
    write_results()
    commit()
    return tmp_path


def run(*arguments):
    done = CliRunner().invoke(app, ["compare", *arguments])
    return done.exit_code, done.output


def test_a_folder_without_results_and_an_empty_name_say_so(project):
    Path("elsewhere").mkdir()
    found = compare_results("elsewhere", "", n_resamples=100, seed=0)
    assert found.reasons == [
        "folder elsewhere holds no metrics.json: name one with the files of metrics/",
        "an empty name: give a revision, an experiment, a folder or workspace",
    ]


def test_two_revisions(project):
    status, text = run("before", "HEAD")
    assert status == 0
    lines = text.splitlines()
    assert lines[0].startswith("A: before (")
    assert lines[1].startswith("B: HEAD (")
    assert lines[3].split() == ["per", "clip", "A", "B", "B", "-", "A", "95", "%", "interval", "p"]
    # ten units, all better: 2 / 1024
    assert lines[5].split()[:4] == ["accuracy", "0.667", "1.000", "+0.333"]
    assert lines[5].endswith("  0.0020")
    assert "Per clip, B is better by 0.333 of UAR (p = 0.0020 over 30 units (clip))." in lines
    assert "Per block, B is better by 0.333 of UAR (p = 0.0020 over 30 units (clip))." in lines
    assert "Per clip, A is better by 0.333" in run("HEAD", "before")[1]


def test_the_workspace_an_experiment_and_folders(project):
    git("update-ref", f"refs/exps/ab/{'0' * 38}/lowered", "before")
    write_results(folder="elsewhere", wrong=range(10))
    for name in ("lowered", "elsewhere", "elsewhere/metrics"):
        found = compare_results(name, "workspace", n_resamples=100, seed=0)
        assert not found.reasons
        assert found.b == "this folder"
        assert found.levels["clip"].scores["accuracy"].p == 2 / 1024
        assert found.levels["clip"].scores["accuracy"].difference == pytest.approx(1 / 3, abs=1e-4)


def test_no_difference(project):
    status, text = run("HEAD", "workspace")
    assert status == 0
    assert "Per clip, no difference in UAR is shown (p = 1.0000 over 30 units (clip))." in text
    assert text.count("+0.000 to +0.000  1.0000") == 6


def test_json_holds_the_same(project):
    assert run("before", "HEAD", "--json", "out.json", "--resamples", "500")[0] == 0
    found = json.loads(Path("out.json").read_text())
    assert found["comparable"] is True
    assert found["reasons"] == []
    assert found["levels"]["block"]["scores"]["uar"]["difference"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["levels"]["clip"]["n_units"] == 30
    assert found["levels"]["clip"]["conclusion"].startswith("Per clip, B is better")
    assert run("HEAD", "nothing", "--json", "out.json")[0] == 2
    assert json.loads(Path("out.json").read_text())["comparable"] is False


@pytest.mark.parametrize("name", ["out.csv", str(METRICS)])
def test_json_overwrites_no_result(project, name):
    before = METRICS.read_bytes()
    assert run("before", "HEAD", "--json", name)[0] == 2
    assert METRICS.read_bytes() == before


def test_another_split_of_the_same_clips_is_noted(project):
    write_results(how={"by": "group"})
    status, text = run("HEAD", "workspace")
    assert status == 0
    assert "Note: A and B differ in split.by: clip, now group" in text


def relabelled(rows):
    return [dataclasses.replace(rows[0], actual="neutral"), *rows[1:]]


def test_what_cannot_be_paired_is_said(project):
    fewer = made_answers(clips_per_class=8)
    write_results(answers=fewer)
    status, text = run("HEAD", "workspace")
    assert status == 2
    assert text.splitlines() == [
        "not comparable: clips: 6 test clips only in A, the first is made/anger8.wav",
        "not comparable: blocks: 6 test clips only in A, the first is made/anger8.wav",
    ]
    write_results(answers={level: relabelled(rows) for level, rows in made_answers().items()})
    assert "not comparable: clips: 1 test clip with another label, the first is made/anger0.wav" in run("HEAD", ".")[1]
    units = {
        level: [dataclasses.replace(row, unit=row.actual) for row in rows] for level, rows in made_answers().items()
    }
    write_results(answers=units)
    assert "30 test clips with another unit" in run("HEAD", ".")[1]
    write_results(metrics={"corpora": ["other"]})
    assert run("HEAD", ".") == (2, "not comparable: corpora: made in A, other in B\n")


def test_classes_that_could_not_be_learned_have_no_part_in_the_means(project):
    # of 10 clips of anger, joy and neutral each, 5 neutral ones are lost
    write_results(untrained=["neutral"])
    commit()
    write_results(wrong=range(20, 25), untrained=["neutral"])
    found = compare_results("HEAD", "workspace", n_resamples=100, seed=0)
    assert not found.reasons
    for level in found.levels.values():
        uar, accuracy = level.scores["uar"], level.scores["accuracy"]
        assert (uar.a, uar.b, uar.low, uar.high, uar.p) == (1.0, 1.0, 0.0, 0.0, 1.0)
        assert (accuracy.difference, accuracy.p) == (-0.1667, 2 / 2**5)
    assert run("before", "workspace") == (
        2,
        "not comparable: classes that no training side has: none in A, neutral in B\n",
    )


def test_what_is_missing_is_said(project):
    (PLOTS / "confusion_clip.csv").unlink()
    status, text = run("HEAD", "workspace")
    assert (status, text) == (2, f"not comparable: {PLOTS}/confusion_clip.csv is missing at this folder\n")
    METRICS.unlink()
    status, text = run("nothing", "workspace")
    assert status == 2
    first, second = text.splitlines()
    assert first.startswith("not comparable: git knows no revision 'nothing'")
    assert second == f"not comparable: {METRICS} is missing at this folder: run `dvc repro`"
