"""Curves as lines: every point where it belongs on the shared axes."""

import math

import pytest

from pipeline.report.curves import curves_page
from pipeline.store.tables import Curve


def curve(run, side, points):
    return [Curve(run=run, side=side, iteration=i, loss=loss, uar=uar) for i, loss, uar in points]


def test_points_lie_on_a_logarithmic_loss_axis_of_whole_decades():
    page = curves_page(curve("0-a", "train", [(5, 0.02, 0.5), (10, 5.0, 1.0)]), n_classes=4)
    (panel,) = page.panels
    assert [tick.text for tick in page.losses] == ["0.01", "0.1", "1", "10"]
    assert [tick.at for tick in page.losses] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    ((x0, y0), (x1, y1)) = panel.loss[0].points
    assert (x0, x1) == (0.5, 1.0)
    assert y0 == pytest.approx(math.log10(0.02 / 0.01) / 3)
    assert y1 == pytest.approx(math.log10(5.0 / 0.01) / 3)
    assert panel.uar[0].points == [(0.5, 0.5), (1.0, 1.0)]
    assert page.chance_loss == pytest.approx(math.log10(math.log(4) / 0.01) / 3)
    assert page.chance_uar == 0.25


def test_every_run_has_a_panel_on_the_same_axes():
    rows = curve("0-a", "train", [(10, 1.0, 0.5)]) + curve("12-b_2", "train", [(20, 0.5, 0.5)])
    page = curves_page(rows, n_classes=2)
    assert [panel.title for panel in page.panels] == ["fold 0, member a", "fold 12, member b_2"]
    assert [panel.loss[0].points[0][0] for panel in page.panels] == [0.5, 1.0]
    assert not page.has_validation


def test_both_sides_are_lines_and_their_ends_are_said():
    rows = curve("0-a", "train", [(1, 0.5, 0.25), (2, 0.25, 0.75)]) + curve("0-a", "validation", [(2, 0.00001, 0.5)])
    page = curves_page(rows, n_classes=2)
    assert [line.side for line in page.panels[0].loss] == ["train", "validation"]
    assert page.panels[0].ends == "train loss 0.25, UAR 0.75; validation loss under 0.0001, UAR 0.50"
    assert page.has_validation


def test_a_loss_of_nothing_is_at_the_bottom():
    page = curves_page(curve("0-a", "train", [(1, 1.0, 0.5), (2, 0.0, 1.0)]), n_classes=2)
    assert page.panels[0].loss[0].points[1] == (1.0, 0.0)


def test_long_curves_are_means_of_equal_stretches():
    page = curves_page(curve("0-a", "train", [(i + 1, 1.0, i % 2) for i in range(480)]), n_classes=2)
    (line,) = page.panels[0].uar
    assert page.stretch == 2
    assert len(line.points) == 240
    assert {y for _, y in line.points} == {0.5}
    assert line.points[0][0] == pytest.approx(1.5 / 480)


@pytest.mark.parametrize("n_classes", [1, 2])
def test_no_curve_at_all_is_an_empty_page(n_classes):
    page = curves_page([], n_classes=n_classes)
    assert page.panels == []


def test_one_class_has_no_loss_of_guessing():
    assert curves_page(curve("0-a", "train", [(1, 0.5, 1.0)]), n_classes=1).chance_loss is None
