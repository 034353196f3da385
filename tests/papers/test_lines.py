"""The record of a paper's runs -> its table."""

import json
from pathlib import Path

import pytest
from papers.test_paper import made

from pipeline.errors import PaperError
from pipeline.papers.lines import make_lines
from pipeline.papers.page import as_markdown, as_text, join_html, join_markdown
from pipeline.papers.record import Record, load_record
from pipeline.papers.scores import Extent, Scores, Value

TESTED = {level: Extent(n=n, n_units=4, unit="speaker") for level, n in (("block", 120), ("clip", 30))}


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
    assert (two.verdict, two.reason) == ("not run", "not tried: emospec papers run made")


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


def test_a_difference_has_what_either_row_lacks(tmp_path, paper):
    report = [{"metric": "block.accuracy", "minus": "one", "value": -0.1, "where": "table 1"}]
    paper = made(tmp_path, rows__two__reports=report)
    lack = "2 recordings of a could not be used"
    lacking = record(("one", (), {0: scores(0.6, lacks=(lack,))}, {}, ""), ("two", (), {0: scores(0.5)}, {}, ""))
    two = make_lines("made", paper, lacking, ["two"])[0]
    assert (two.verdict, two.differs) == ("not comparable", (lack,))


def test_a_row_whose_settings_have_changed_since_is_not_the_row_that_was_run(tmp_path, paper):
    made_record = record(("one", (), {0: scores(0.5)}, {}, ""))
    made_record.entry("one", ()).begin(paper.stated("one"), "code")
    for change, verdict in (
        ({"rows__one__title": "other words"}, "reproduced"),
        ({"settings__train": {"epochs": 4}}, "not run"),
        ({"rows__one__honest": {"split": {"by": "group"}}}, "not run"),
    ):
        now = made(
            tmp_path, **({"rows__one__honest": {"split": {"by": "speaker"}}, "settings__corpora": ["demo"]} | change)
        )
        line = make_lines("made", now, made_record, ["one"])[0]
        assert line.verdict == verdict
    assert line.reason == "the row's settings have changed since it was run: run it again"
    made_record.entry("one", ()).begin(now.stated("one"), "code")
    assert made_record.entry("one", ()).paper.scores == {}


def test_seeds_of_other_sources_are_not_joined():
    entry = record(("one", (), {0: scores(0.5), 1: scores(0.6)}, {0: scores(0.4)}, "")).entries["one", ()]
    entry.begin("row", "old")  # of which sources it was is not known
    assert set(entry.paper.scores) == {0, 1}
    entry.begin("row", "old")
    assert set(entry.paper.scores) == {0, 1}
    entry.begin("row", "new")
    assert (entry.paper.scores, entry.honest.scores, entry.code) == ({}, {}, "new")


def test_seeds_that_failed_are_said_and_leave_no_reproduction(paper):
    paper = paper.model_copy(update={"stands_for": {}})
    made_record = record(("one", (), {0: scores(0.5)}, {}, ""))
    made_record.entry("one", ()).paper.reasons |= {1: "training diverged", 2: "training diverged"}
    line = make_lines("made", paper, made_record, ["one"])[0]
    assert (line.verdict, line.differs) == ("not comparable", ("2 of 3 seeds failed: training diverged",))


def test_an_honest_split_that_failed_is_said(paper):
    made_record = record(("one", (), {0: scores(0.5)}, {}, ""))
    made_record.entry("one", ()).honest.reasons[0] = "fear is on no test side"
    line = make_lines("made", paper, made_record, ["one"])[0]
    assert (line.honest, line.gap, line.honest_reason) == (None, None, "fear is on no test side")
    text = as_text(paper, [line])
    assert "failed [b]" in text
    assert "[b] fear is on no test side" in text


def test_a_recall_is_of_the_units_that_hold_its_class(tmp_path, paper):
    report = [{"metric": "block.recall.anger", "value": 0.9, "where": "table 1"}]
    paper = made(tmp_path, rows__one__reports=report)
    tested = {
        level: Extent(n=99, n_units=40, n_units_by_class={"anger": 4}, unit="clip") for level in ("block", "clip")
    }
    all_right = Scores({"block.recall.anger": Value(value=1.0, low=1.0, high=1.0)}, tested, ())
    line = make_lines("made", paper, record(("one", (), {0: all_right}, {}, "")), ["one"])[0]
    assert line.ours.low == pytest.approx(0.025**0.25)  # 4 right of 4: 0.3976
    assert line.verdict == "inconclusive"


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


def a_record(**changes):
    """A whole record, one key of its one run changed."""
    value = {"values": {"block.accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}}, "lacks": []}
    value["tested"] = {level: {"n": 9, "n_units": 4, "unit": "clip"} for level in ("block", "clip")}
    runs = {"scores": {"0": value | changes}, "reasons": {}}
    row = {"row": "one", "chosen": [], "reason": "", "paper": runs, "honest": {"scores": {}, "reasons": {}}}
    return json.dumps({"paper": "made", "rows": [row]})


def test_a_record_without_what_the_file_said_is_read(paper):
    Path("metrics/papers").mkdir(parents=True)
    Path("metrics/papers/made.json").write_text(a_record(), encoding="utf-8")
    assert make_lines("made", paper, load_record("made"), ["one"])[0].ours.value == 0.5


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "[]",
        '{"rows": [{"row": "one"}]}',
        "nothing",
        a_record(tested={}),
        a_record(tested={"block": {}, "clip": {}}),
        a_record(values={"block.accuracy": {"value": float("nan"), "low": 0.4, "high": 0.6}}),
        a_record(values=[]),
    ],
)
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
    held = record(("one", (), {0: scores(0.5)}, {}, "not here: a"), ("one", ("b for a",), {0: scores(0.5)}, {}, ""))
    held.drop_reasons("one")
    assert len(held.entries) == 2  # what came out is not forgotten with it


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
