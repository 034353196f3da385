"""Answers over the clip as lines: seconds to the right, shares upwards."""

import dataclasses

import pytest

from pipeline.errors import StoreError
from pipeline.report.over_clip import over_clip_page, rule_rows
from pipeline.store.tables import OverClip


def rows(rule, points):
    return [
        OverClip(rule=rule, blocks=blocks, seconds=seconds, uar=uar, of_actual=of_actual, going=going)
        for blocks, seconds, uar, of_actual, going in points
    ]


ROWS = rows("mean", [(1, 2.0, 0.25, 0.3, 8), (4, 5.0, 0.5, 0.4, 6), (8, 8.0, 0.75, 0.45, 2)]) + rows(
    "vote", [(1, 2.0, 0.25, 0.2, 8), (4, 5.0, 1.0, 0.6, 6), (8, 8.0, 0.5, 0.7, 2)]
)


def test_points_lie_where_they_belong():
    page = over_clip_page(ROWS, chosen="vote")
    assert page.rules == ["mean", "vote"]
    assert [line.side for line in page.uar] == ["vote", "mean", "going"]  # the chosen rule is hidden by no other
    assert page.uar[0].points == [(0.25, 0.25), (0.625, 1.0), (1.0, 0.5)]
    assert page.uar[2].points == [(0.25, 1.0), (0.625, 0.75), (1.0, 0.25)]
    assert [line.side for line in page.of_actual] == ["vote", "mean"]
    assert page.of_actual[1].points == [(0.25, 0.3), (0.625, 0.4), (1.0, 0.45)]
    assert [(tick.at, tick.text) for tick in page.seconds] == [
        (pytest.approx(at), text) for at, text in ((0, "0"), (0.25, "2"), (0.5, "4"), (0.75, "6"), (1, "8"))
    ]
    assert (page.blocks, page.n_clips) == (8, 8)
    assert page.ends == "vote: UAR 0.25 from the first block, 0.50 from all"


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (ROWS[:-1], "its rules have not as many rows each"),
        (
            [dataclasses.replace(row, rule="vite") if row is ROWS[3] else row for row in ROWS],
            "its rules have not as many",
        ),
        ([dataclasses.replace(row, going=0) for row in ROWS], "has no clips"),
    ],
)
def test_rows_that_are_not_as_they_were_written_are_refused_by_name(points, said):
    with pytest.raises(StoreError, match=rf"metrics/plots/over_clip\.csv: {said}"):
        over_clip_page(points, chosen="mean")


def test_clips_of_one_block_have_no_curve():
    assert over_clip_page(rows("mean", [(1, 2.0, 0.25, 0.3, 8)]), chosen="mean") is None


def test_rules_stand_in_their_order_with_the_chosen_one_marked():
    bounds = {"uar": {"low": 0.1, "high": 0.9}, "accuracy": {"low": None, "high": None}}
    entry = {"uar": 0.5, "accuracy": 0.6, "interval": bounds}
    found = rule_rows({"aggregate": "vote", "aggregations": {"vote": entry, "mean": entry}}, ROWS)
    assert [(row.rule, row.chosen) for row in found] == [("mean", False), ("vote", True)]
    assert (found[0].uar.value, found[0].uar.interval) == (0.5, "0.10 to 0.90")
    assert (found[0].accuracy.value, found[0].accuracy.interval) == (0.6, "no interval")
