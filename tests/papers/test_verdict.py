"""Seeds joined, differences, and verdicts: values by hand."""

import json
import math

import pytest
from pydantic import ValidationError

from pipeline.errors import PaperError
from pipeline.papers.scores import Value, find_value, read_scores
from pipeline.papers.verdict import combine, judge, subtract


def value(middle, low=None, high=None):
    return Value(value=middle, low=low, high=high)


def test_one_run_keeps_its_interval():
    assert combine([value(0.5, 0.4, 0.7)]) == value(0.5, 0.4, 0.7)


def test_seeds_widen_the_interval_by_students_t():
    # mean 0.5; deviations -0.1, 0, 0.1: sd 0.1, t(2) = 4.302653, so 0.2484; with 0.1 below: sqrt(0.01 + 0.0617)
    joined = combine([value(0.4, 0.3, 0.6), value(0.5, 0.4, 0.7), value(0.6, 0.5, 0.8)])
    spread = 4.302653 * 0.1 / math.sqrt(3)
    assert joined.value == pytest.approx(0.5)
    assert joined.low == pytest.approx(0.5 - math.hypot(0.1, spread), abs=1e-5)
    assert joined.high == pytest.approx(0.5 + math.hypot(0.2, spread), abs=1e-5)


def test_bounds_stay_between_none_and_all():
    joined = combine([value(0.02, 0.0, 0.5), value(0.98, 0.5, 1.0)])
    assert (joined.low, joined.high) == (0.0, 1.0)


def test_a_run_without_bounds_leaves_none():
    assert combine([value(0.5, 0.4, 0.6), value(0.7)]) == value(0.6)


def test_where_all_is_right_the_bound_is_exact():
    # n right of n: the lower bound p solves p**n = 0.025; n = 10: 0.6915
    assert combine([value(1.0, 1.0, 1.0)], n_units=10).low == pytest.approx(0.6915, abs=1e-4)
    assert combine([value(1.0, 1.0, 1.0)] * 2, n_units=10).high == 1.0


def test_where_all_is_wrong_the_bound_is_exact():
    assert combine([value(0.0, 0.0, 0.0)], n_units=10).high == pytest.approx(1 - 0.6915, abs=1e-4)
    assert combine([value(0.0, 0.0, 0.0)]).high == 0.0  # of how many is not known


def test_one_run_that_is_all_right_does_not_narrow_the_others():
    # half-widths below: 0.3085 of the exact bound, and 0.1; spread t(1) = 12.7062 times 0.1 / 2
    joined = combine([value(1.0, 1.0, 1.0), value(0.9, 0.8, 1.0)], n_units=10)
    spread = 12.7062 * 0.1 / 2
    assert joined.low == pytest.approx(0.95 - math.hypot((0.3085 + 0.1) / 2, spread), abs=1e-4)


def test_a_difference_adds_what_varies_on_the_sides_that_count():
    # 0.6 (-0.3, +0.1) less 0.5 (-0.4, +0.2)
    gap = subtract(value(0.6, 0.3, 0.7), value(0.5, 0.1, 0.7))
    assert gap.value == pytest.approx(0.1)
    assert gap.low == pytest.approx(0.1 - math.hypot(0.3, 0.2))
    assert gap.high == pytest.approx(0.1 + math.hypot(0.1, 0.4))
    assert subtract(value(0.6), value(0.5, 0.1, 0.7)).low is None


@pytest.mark.parametrize(
    ("claim", "ours", "differs", "verdict"),
    [
        (0.5, value(0.52, 0.48, 0.56), [], "reproduced"),
        (0.48, value(0.52, 0.48, 0.56), [], "reproduced"),  # a bound belongs to the interval
        (0.5, value(0.5, 0.44, 0.56), [], "inconclusive"),  # half-width 0.06
        (0.4, value(0.5, 0.44, 0.56), [], "higher"),
        (0.6, value(0.5, 0.44, 0.56), [], "lower"),
        (0.5, value(0.5), [], "inconclusive"),
        (0.5, value(0.5, 0.48, 0.52), ["30 -> 3 epochs"], "not comparable"),
        (None, value(0.5, 0.48, 0.52), [], "not comparable"),
        (0.5, None, [], "not run"),
    ],
)
def test_verdicts(claim, ours, differs, verdict):
    assert judge(claim, ours, differs=differs) == verdict


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_score_is_a_number(bad):
    for numbers in ((bad, 0.4, 0.6), (0.5, bad, 0.6), (0.5, 0.4, bad)):
        with pytest.raises(ValidationError):
            value(*numbers)


def test_recordings_that_were_missing_or_rejected_are_read():
    level = {"accuracy": 0.5, "uar": 0.5, "interval": None, "n": {"total": 9}, "n_units": 3, "unit": "clip"}
    files = {
        "metrics.json": {"block": level, "clip": level},
        "split.json": {"corpora": {"emodb": {"missing": 3, "rejected": 1}, "own": {"missing": 0, "rejected": 0}}},
    }
    found = read_scores(lambda path: json.dumps(files[path.name]).encode(), (), name="x")
    assert found.lacks == (
        "3 of the 535 files that emodb should hold are missing",
        "1 recording of emodb could not be used",
    )
    for damaged in (b"[]", b"{", b'{"block": 1, "clip": 2}', None):
        with pytest.raises(PaperError, match="dvc exp remove x, and run it again"):
            read_scores(lambda _, content=damaged: content, (), name="x")


def test_scores_are_found_by_their_paths():
    level = {
        "accuracy": 0.5,
        "uar": None,
        "recall": {"anger": 0.25, "joy": None},
        "interval": {"accuracy": {"low": 0.4, "high": 0.6}, "recall": {"anger": {"low": 0.0, "high": 0.5}}},
    }
    metrics = {"block": level, "heads": {"lda": {"clip": level}}}
    assert find_value(metrics, "block.accuracy") == value(0.5, 0.4, 0.6)
    assert find_value(metrics, "heads.lda.clip.recall.anger") == value(0.25, 0.0, 0.5)
    assert find_value(metrics, "heads.qda.clip.accuracy") is None
    assert find_value(metrics, "block.recall.joy") is None
    assert find_value(metrics, "block.recall.fear") is None
    assert find_value(metrics, "block.uar") is None
