"""Confidence against accuracy as points, and the table of calibration."""

import pytest

from pipeline.errors import StoreError
from pipeline.report.reliability import calibration_table, reliability_panels, temperature_table
from pipeline.store.tables import Reliability


def level(ece, low=0.1, high=0.3):
    how = {"confidence": 0.8, "ece": ece, "adaptive_ece": 0.21, "brier": 0.5, "log_loss": 1.25}
    return {"accuracy": 0.6, "calibration": {**how, "interval": {"ece": {"low": low, "high": high}}}}


def metrics(members=("a",), **more):
    levels = {"clip": level(0.2), "block": level(0.25, None, None)}
    return {**levels, "members": dict.fromkeys(members, levels), "baselines": {"majority": levels}, **more}


def row(name, confidence, accuracy, n):
    return Reliability(level=name, low=0.0, high=1.0, confidence=confidence, accuracy=accuracy, n=n)


def test_the_area_of_a_point_grows_with_its_answers():
    rows = [row("block", 0.4, 0.5, 25), row("clip", 0.9, 1.0, 3), row("block", 0.8, 0.6, 100), row("block", 1, 1, 1)]
    clip, block = reliability_panels(rows, metrics(), ("clip", "block"))
    assert [(point.at, point.radius) for point in block.points] == [
        ((0.4, 0.5), 3.5),
        ((0.8, 0.6), 7.0),
        ((1, 1), 2.0),
    ]
    assert (block.most, clip.most) == (100, 3)
    assert (clip.ece.value, clip.ece.interval) == (0.2, "0.10 to 0.30")
    assert (block.confidence, block.accuracy) == (0.8, 0.6)


@pytest.mark.parametrize("rows", [[row("block", 0.4, 0.5, 25)], [row("block", 0.4, 0.5, 2), row("clip", 0.4, 0.5, 0)]])
def test_a_level_without_answers_is_refused_by_name(rows):
    with pytest.raises(StoreError, match=r"metrics/plots/reliability\.csv: has no clips: run `dvc repro"):
        reliability_panels(rows, metrics(), ("clip", "block"))


def test_the_table_names_members_and_ensembles_but_no_baselines():
    levels = {"clip": level(0.2), "block": level(0.25)}
    table = calibration_table(metrics(("a", "b"), ensembles={"er2": levels}), ("clip", "block"))
    assert [one[0] for one in table.rows] == [
        f"{name}, per {which}"
        for which in ("clip", "block")
        for name in ("mean of 2 members", "member a", "member b", "ensemble er2")
    ]
    assert table.rows[0][1:] == ["0.80", "0.60", "0.20", "0.10 to 0.30", "0.21", "0.50", "1.25"]
    assert len(table.columns) == len(table.rows[0])


@pytest.mark.parametrize(
    ("found", "said"),
    [("fitted", ""), ("at_bound", "the best lies outside 0.2 to 100"), ("too_few", "fewer than 10 blocks: not fitted")],
)
def test_temperatures_are_named(found, said):
    assert temperature_table(metrics()) is None
    run = {"temperature": 1.23456, "n": 12, "found": found}
    table = temperature_table(metrics(temperature_scaling={"fitted_on": "fraction", "runs": {"0-a": run}, "ece": {}}))
    assert table.rows == [["0-a", "1.23", "12", said]]
