"""The optimism gap from answers: scores over seeds, paired differences, refusals."""

import dataclasses
from pathlib import Path

import pytest
from plan.cases import params

from pipeline.cli import gap as gap_command
from pipeline.errors import GapError
from pipeline.gap import Gap, as_markdown, as_text
from pipeline.gap.measure import measure
from pipeline.gap.runs import Result, Run
from pipeline.store.tables import Answer

PARAMS = params(evaluate__n_resamples=500)
N = 10  # units of each class


def answers(right):
    """Each unit holds one clip; the first `right` of each class are answered right."""
    return [
        Answer(
            clip_id=f"{label}{i}",
            unit=f"{label}{i}",
            actual=label,
            predicted=label if i < right else "xy"[label == "x"],
            n=1,
        )
        for label in "xy"
        for i in range(N)
    ]


def result(right, *, overlapping=0.0):
    level = {"uar": right / N, "n": {"total": 2 * N}}
    baseline = {"clip": {"uar": 0.5}, "block": {"uar": 0.25}}
    return Result(
        metrics={
            "clip": level,
            "block": level,
            "baselines": {"nuisance": baseline, "thumbnail": baseline},
            "split": {},
        },
        split={"leakage": {"overlaps_training": overlapping}, "folds": {"0": {"train": {"x": 30, "y": 20}}}},
        answers={"clip": answers(right), "block": answers(right)},
    )


def results(**right):
    """Right answers per seed of each split."""
    return {
        Run(by=by, on="group", seed=seed): result(n, overlapping=0.9 if by == "block" else 0.0)
        for by, each in right.items()
        for seed, n in enumerate(each)
    }


def test_the_gap_is_the_difference_over_all_seeds():
    found = results(block=[9, 10], group=[5, 6])
    block = measure(found, "clip", "block", honest="group", params=PARAMS)
    assert (block.uar, block.of_seeds, block.sd) == (0.95, [0.9, 1.0], 0.0707)
    assert block.gap == pytest.approx(0.4)
    assert 0 < block.gap_low < 0.4 < block.gap_high
    assert block.low <= 0.95 <= block.high
    assert (block.overlapping, block.n_train, block.n_test, block.n_units) == (0.9, 50.0, 20.0, 20)
    assert block.baselines == {"nuisance": 0.5, "thumbnail": 0.5}
    honest = measure(found, "clip", "group", honest="group", params=PARAMS)
    assert (honest.uar, honest.gap, honest.gap_low) == (0.55, None, None)


def test_no_gap_is_an_allowed_answer():
    found = results(block=[6, 7], group=[7, 6])
    block = measure(found, "block", "block", honest="group", params=PARAMS)
    assert block.gap == 0
    assert block.gap_low <= 0 <= block.gap_high


def test_one_seed_has_no_spread():
    assert measure(results(block=[9], group=[5]), "clip", "block", honest="group", params=PARAMS).sd is None


def test_other_test_items_are_refused():
    found = results(block=[9], group=[5])
    found[Run(by="group", on="group", seed=0)].answers["clip"].pop()
    with pytest.raises(GapError, match="the splits by block and group tested other clips: 1 test clip only"):
        measure(found, "clip", "block", honest="group", params=PARAMS)


def lacking(found, *names, seeds=(0, 1)):
    """The same results, of trainings that lack classes; every answer about y is wrong."""

    def changed(one):
        answers = {
            level: [dataclasses.replace(row, predicted="x") for row in rows] for level, rows in one.answers.items()
        }
        return dataclasses.replace(one, metrics={**one.metrics, "split": {"untrained": list(names)}}, answers=answers)

    return {run: changed(one) if run.seed in seeds else one for run, one in found.items()}


def test_classes_that_could_not_be_learned_have_no_part():
    # x is answered right always, y never
    found = results(block=[9, 10], group=[5, 6])
    block = measure(lacking(found, "y"), "clip", "block", honest="group", params=PARAMS)
    assert (block.uar, block.low, block.high) == (1.0, 1.0, 1.0)
    assert (block.gap, block.gap_low, block.gap_high) == (0.0, 0.0, 0.0)
    assert measure(lacking(found), "clip", "block", honest="group", params=PARAMS).uar == 0.5


def test_results_over_other_classes_are_refused():
    found = lacking(results(block=[9, 10], group=[5, 6]), "y", seeds=(1,))
    with pytest.raises(GapError) as caught:
        measure(found, "clip", "block", honest="group", params=PARAMS)
    assert str(caught.value) == (
        "training lacks no class in the split by block with seed 0, and y in that by block with seed 1: leave these "
        "classes out (split.classes)"
    )


def gap(**right):
    found = results(**right)
    levels = {
        level: [measure(found, level, by, honest="group", params=PARAMS) for by in right] for level in ("clip", "block")
    }
    return Gap("made; small from random weights", "group", 2, levels)


def test_the_page_says_what_flatters():
    text = as_text(gap(block=[10, 10], clip=[5, 6], group=[5, 6]))
    assert text.startswith(
        "The optimism gap: made; small from random weights; 2 seeds, the same test blocks for each split"
    )
    assert "Per clip, a split by block flatters this model by 0.45 over one by group." in text
    assert "Per block, no gap is shown between splits by clip and by group." in text
    assert "Test blocks that overlap training sound in time: block 90 %, clip 0 %, group 0 %." in text
    lines = text.splitlines()
    assert lines[2].split()[:3] == ["per", "clip", "UAR"]
    assert lines[4].split()[:2] == ["block", "1.00"]
    assert lines[4].split()[6] == "+0.45"


def test_markdown_has_a_row_for_each_split_and_level():
    rows = [line for line in as_markdown(gap(block=[9, 9], group=[5, 6])).splitlines() if line.startswith("|")]
    assert len(rows) == 2 * (2 + 2)
    assert {row.count("|") for row in rows} == {9}


def test_a_page_that_cannot_be_written_is_told_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where there are no parameters to begin with
    with pytest.raises(GapError, match=r"^nowhere/gap\.md: there is no folder nowhere: give --markdown another path"):
        gap_command(markdown=Path("nowhere/gap.md"))


def test_a_page_that_cannot_be_written_then_is_one_line_and_the_table_is_printed(tmp_path, monkeypatch, capsys):
    (tmp_path / "gap.md").mkdir()
    monkeypatch.setattr("pipeline.gap.measure_gap", lambda *_, **__: gap(block=[9, 9], group=[5, 6]))
    monkeypatch.setattr("pipeline.params.load_params", lambda: None)
    with pytest.raises(GapError, match=r"gap\.md: cannot be written \(Is a directory\): give --markdown another path"):
        gap_command(markdown=tmp_path / "gap.md")
    assert "block" in capsys.readouterr().out
