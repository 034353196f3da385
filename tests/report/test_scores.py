"""Numbers as rows, and answers as matrices, by hand."""

import pytest

from pipeline.report.scores import Cell, confusion_rows, level_page
from pipeline.store.tables import Answer


def scores(value, low=0.1, high=0.9):
    bounds = {"low": low, "high": high}
    return {
        "uar": value,
        "accuracy": value + 0.01,
        "macro_f1": value + 0.02,
        "recall": {"a": value, "b": None},
        "n": {"total": 5, "a": 5, "b": 0},
        "interval": {
            "uar": bounds,
            "accuracy": bounds,
            "macro_f1": bounds,
            "recall": {"a": bounds, "b": dict.fromkeys(bounds)},
        },
        "unit": "speaker",
        "n_units": 2,
        "n_units_by_class": {"a": 2, "b": 0},
    }


def metrics(members=("x",), **changed):
    levels = {"block": scores(0.5, **changed), "clip": scores(0.6, **changed)}
    return {**levels, "members": dict.fromkeys(members, levels), "baselines": {"majority": {"block": scores(0.2)}}}


def test_the_model_comes_first_and_its_baselines_after():
    page = level_page(metrics(), "block")
    assert [(row.name, row.kind) for row in page.rows] == [("this model", "model"), ("baseline: majority", "baseline")]
    assert [score.value for score in page.rows[0].scores] == [0.5, 0.51, 0.52]  # UAR, accuracy, macro F1
    assert page.rows[0].scores[0].interval == "0.10 to 0.90"
    assert page.tested == "5 blocks, 2 units (speaker)"


def test_heads_have_rows_after_the_members():
    own = {**metrics(members=("x", "y")), "heads": {"h": metrics()}}
    rows = level_page(own, "block").rows
    assert [row.name for row in rows] == [
        "mean of 2 members",
        "member x",
        "member y",
        "head: h",
        "baseline: majority",
    ]


def test_members_have_rows_of_their_own_where_there_are_several():
    rows = level_page(metrics(("x", "y")), "block").rows
    assert [row.name for row in rows] == ["mean of 2 members", "member x", "member y", "baseline: majority"]


def test_a_class_that_was_not_tested_has_no_recall_and_no_interval():
    a, b = level_page(metrics(), "block").classes
    assert (a.n, a.n_units, a.recall.value, a.baselines) == (5, 2, 0.5, [0.2])
    assert (b.n, b.recall.value, b.recall.interval, b.baselines) == (0, None, "no interval", [None])


def test_no_interval_is_said_to_be_none():
    assert level_page(metrics(low=None, high=None), "block").rows[0].scores[0].interval == "no interval"


def answer(actual, predicted, n, clip="c"):
    return Answer(clip_id=clip, unit=clip, actual=actual, predicted=predicted, n=n)


def test_answers_are_summed_over_clips_and_shared_by_rows():
    rows = confusion_rows([answer("a", "a", 3), answer("a", "b", 2, "d"), answer("a", "b", 3)], ["a", "b"])
    assert rows == {"a": [Cell(3, 3 / 8), Cell(5, 5 / 8)], "b": [Cell(0, 0.0), Cell(0, 0.0)]}


def test_a_class_that_only_answers_know_comes_last():
    assert list(confusion_rows([answer("b", "a", 1)], ["b"])) == ["b", "a"]


@pytest.mark.parametrize(
    ("share", "percent"),
    [(0, "0 %"), (0.004, "< 1 %"), (0.01, "1 %"), (0.625, "62 %"), (0.999, "> 99 %"), (1, "100 %")],
)
def test_a_little_is_not_nothing_and_nearly_all_is_not_all(share, percent):
    assert Cell(1, share).percent.replace("\N{NO-BREAK SPACE}", " ") == percent
