"""The record of a paper's runs -> its table."""

import json
from pathlib import Path

import pytest
from papers.test_paper import made

from pipeline.errors import PaperError
from pipeline.papers.lines import make_lines
from pipeline.papers.page import as_markdown, as_text, join_html, join_markdown
from pipeline.papers.record import Record, load_record
from pipeline.papers.scores import Scores, Value

TESTED = {level: {"n": n, "n_units": 4, "unit": "speaker"} for level, n in (("block", 120), ("clip", 30))}


def scores(value, *, lacks=(), metric="block.accuracy"):
    return Scores({metric: Value(value=value, low=value - 0.04, high=value + 0.04)}, TESTED, lacks)


@pytest.fixture
def paper(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return made(
        tmp_path,
        settings__corpora=["demo"],
        rows__one__honest={"split": {"by": "speaker"}},
        stands_for={"demo": "anything"},
    )


def record(*entries):
    """(row, chosen, {seed: scores}, {seed: honest scores}, reason), ..."""
    made_record = Record("made")
    for row, chosen, of_paper, honest, reason in entries:
        entry = made_record.entry(row, chosen)
        entry.paper.scores.update(of_paper)
        entry.honest.scores.update(honest)
        entry.reason = reason
    return made_record


def test_a_line_has_claim_ours_gap_and_verdict(paper):
    paper = paper.model_copy(update={"stands_for": {}})
    one, two = make_lines("made", paper, record(("one", (), {0: scores(0.51)}, {0: scores(0.41)}, "")))
    assert (one.claim, one.ours.value, one.verdict) == (0.5, 0.51, "reproduced")
    assert one.gap.value == pytest.approx(0.1)
    assert one.gap.low == pytest.approx(0.1 - 0.04 * 2**0.5)
    assert one.tested == "120 blocks, 4 speakers"
    assert (two.verdict, two.reason) == ("not run", "not tried: emospec papers run made --rows two")


def test_whatever_was_not_as_in_the_paper_is_said_and_is_no_reproduction(paper):
    lack = "3 of the 535 files that emodb should hold are missing"
    made_record = record(("one", ("30 -> 3 epochs",), {0: scores(0.5, lacks=(lack,))}, {}, ""))
    line = make_lines("made", paper, made_record, ["one"])[0]
    assert line.verdict == "not comparable"
    assert line.differs == ("30 -> 3 epochs", lack, "other recordings: demo")
    text = as_text(paper, [line])
    assert "not comparable [a,b,c]" in text
    assert f"[b] {lack}" in text


def test_a_row_is_shown_under_each_set_of_conditions(paper):
    lines = make_lines(
        "made", paper, record(("one", ("b for a",), {0: scores(0.6)}, {}, ""), ("one", (), {}, {}, "not here: a"))
    )
    assert [(line.verdict, line.reason) for line in lines[:2]] == [("not run", "not here: a"), ("not comparable", "")]


def test_a_difference_is_of_two_rows_under_the_same_conditions(tmp_path, paper):
    report = [{"metric": "block.accuracy", "minus": "one", "value": -0.1, "where": "table 1"}]
    paper = made(tmp_path, rows__two__reports=report)
    made_record = record(("one", (), {0: scores(0.6)}, {}, ""), ("two", (), {0: scores(0.5)}, {}, ""))
    two = make_lines("made", paper, made_record, ["two"])[0]
    assert two.ours.value == pytest.approx(-0.1)
    assert two.verdict == "inconclusive"  # half-width 0.057
    lonely = record(("two", ("x",), {0: scores(0.5)}, {}, ""))
    two = make_lines("made", paper, lonely, ["two"])[0]
    assert (two.verdict, two.reason) == ("not run", "one has not been run")


def test_a_score_that_the_run_lacks_is_said_to_be_lacking(paper):
    made_record = record(("two", (), {0: scores(0.5)}, {}, ""))  # which reports the recall of anger
    line = make_lines("made", paper, made_record, ["two"])[0]
    assert (line.verdict, line.ours) == ("not run", None)
    assert line.reason == "clip.recall.anger has no value: the class was not tested, or not learned"


def test_a_record_is_read_as_it_was_written(paper):
    made_record = record(("one", ("x",), {0: scores(0.5), 1: scores(0.6)}, {0: scores(0.4)}, ""))
    made_record.entry("two", ()).paper.reasons[0] = "training diverged"
    made_record.save()
    again = load_record("made")
    assert again == made_record
    assert make_lines("made", paper, again) == make_lines("made", paper, made_record)
    assert load_record("other") == Record("other")


@pytest.mark.parametrize("content", ["{}", "[]", '{"rows": [{"row": "one"}]}', "nothing"])
def test_a_file_that_is_no_record_is_refused_with_what_to_do(paper, content):
    path = Path("metrics/papers/made.json")
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="utf-8")
    with pytest.raises(PaperError, match=r"metrics/papers/made\.json: is no record of a paper's runs: remove it"):
        load_record("made")


def test_a_reason_is_forgotten_where_the_row_has_run_under_other_conditions(paper):
    made_record = record(("one", (), {}, {}, "not here: a"), ("one", ("b for a",), {0: scores(0.5)}, {}, ""))
    made_record.drop_reasons("one")
    assert list(made_record.entries) == [("one", ("b for a",))]


def test_pages_escape_what_they_show(paper):
    paper = paper.model_copy(update={"title": "<script>alert(1)</script> | \x1b[31mred"})
    lines = make_lines("made", paper, record(("one", ("a|b <i>",), {0: scores(0.5)}, {}, "")))
    assert "\x1b" not in as_text(paper, lines)
    page = join_html({"made": (paper, lines)})
    assert "<script>" not in page
    assert "<i>" not in page
    table = [line for line in as_markdown("made", paper, lines).splitlines() if line.startswith("|")]
    assert len({line.count("|") - line.count("\\|") for line in table}) == 1
    assert "1 not comparable, 1 not run" in join_markdown({"made": (paper, lines)})


def test_the_record_holds_numbers_that_json_has(paper):
    record(("one", (), {0: Scores({"block.uar": Value(value=0.5, low=None, high=None)}, TESTED, ())}, {}, "")).save()
    kept = json.loads(Path("metrics/papers/made.json").read_text(encoding="utf-8"))
    assert kept["rows"][0]["paper"]["scores"]["0"]["values"] == {"block.uar": {"value": 0.5, "low": None, "high": None}}
