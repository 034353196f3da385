"""The tables of a search: ranked, with what failed and what is missing, and a warning where the test side chose."""

import csv
import io
import re

import pytest

from pipeline.errors import SearchError
from pipeline.experiments.follow import Outcome
from pipeline.search.page import as_csv, as_list, as_markdown, as_page, best_of
from pipeline.search.record import Entry, Record, check_name, known_searches, load_record, read_record
from pipeline.search.scores import Scores


def done(rate, validation, clip, **more):
    values = {"validation.uar": validation, "validation.loss": 0.5, "clip.uar": clip, "block.uar": 0.4321}
    return Entry({"train.epochs": 10, "train.learning_rate": rate, **more}, Outcome(Scores(values, (0.25, None))))


def made(**keys):
    whole = done(0.001, 0.75, 0.5)
    whole.outcome = Outcome(Scores(whole.outcome.scores.values, (0.25, 0.75)))
    failed = Entry({"train.epochs": 10, "train.learning_rate": 1.0}, Outcome(reason="training diverged | again"))
    first = {
        "s-001": done(0.1, 0.5, 0.875),
        "s-002": failed,
        "s-003": whole,
        "s-004": Entry({"train.epochs": 10, "train.learning_rate": 1e-05}),
    }
    return Record("s", {"kind": "grid"}, **{"by": "validation.uar", "first": first, **keys})


def test_the_page_ranks_and_shows_only_what_differs():
    lines = as_page(made()).splitlines()
    assert lines[0] == (
        "Search s: 3 runs tried, 1 failed, 1 missing: the same command goes on; ranked by validation.uar"
    )
    assert lines[1].startswith("Chosen on the validation side")
    assert lines[1].endswith("the test side had no part in it.")
    assert re.split("  +", lines[3]) == [
        *("rank", "learning_rate", "validation UAR", "clip UAR", "95 % interval", "block UAR", "experiment")
    ]
    assert lines[4] == "-" * len(lines[3])
    assert [line.split() for line in lines[5:]] == [
        ["1", "0.001", "0.750", "0.500", "0.250", "to", "0.750", "0.432", "s-003"],
        ["2", "0.1", "0.500", "0.875", "-", "0.432", "s-001"],
        ["-", "1.0", "-", "-", "-", "-", "s-002", "failed:", "training", "diverged", "|", "again"],
        ["-", "1e-05", "-", "-", "-", "-", "s-004", "missing"],
    ]  # fmt: skip
    assert len({line.index(word) for line, word in zip(lines[5:7], ("0.750", "0.500"), strict=True)}) == 1


def test_selection_on_the_test_side_is_called_optimistic():
    lines = as_page(made(by="clip.uar")).splitlines()
    assert lines[1].startswith("SELECTED ON TEST: OPTIMISTIC.")
    assert lines[5].endswith("s-001")
    assert "SELECTED ON TEST: OPTIMISTIC." in as_markdown(made(by="clip.uar"))


def test_scores_of_different_tests_and_runs_without_a_rank_are_said():
    first = {"s-001": done(0.1, 0.5, 0.5, **{"split.seed": 1}), "s-002": done(0.1, None, 0.5, **{"split.seed": 2})}
    page = as_page(made(first=first))
    assert "Runs differ in split.seed: their scores are not all of the same blocks." in page
    assert "Runs without a score on the validation side come last, unranked." in page
    assert page.splitlines()[-1].split()[0] == "-"
    assert best_of(first, "validation.uar", n=5) == ["s-001"]


def test_the_best_are_shown_beside_the_first():
    longer = {"s-long-003": done(0.001, 0.875, 0.5)}
    page = as_page(made(long=longer, long_settings=["train.epochs=400"]))
    assert "\n\nThe best of s with train.epochs=400: 1 run tried; ranked by validation.uar\n" in page
    assert page.splitlines()[-1].endswith("s-long-003")
    rows = list(csv.DictReader(io.StringIO(as_csv(made(long=longer, long_settings=["train.epochs=400"])))))
    assert [(row["stage"], row["rank"], row["experiment"], row["state"]) for row in rows] == [
        ("first", "1", "s-003", "done"),
        ("first", "2", "s-001", "done"),
        ("first", "-", "s-002", "failed"),
        ("first", "-", "s-004", "missing"),
        ("long", "1", "s-long-003", "done"),
    ]
    assert (rows[0]["clip.uar"], rows[0]["clip.uar_low"], rows[0]["clip.uar_high"]) == ("0.5", "0.25", "0.75")
    assert rows[0]["train.epochs"] == "10"
    assert rows[2]["reason"] == "training diverged | again"


def test_markdown_is_a_table_whatever_a_reason_holds():
    lines = as_markdown(made()).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 6
    assert {line.replace("\\|", "").count("|") for line in rows} == {rows[0].count("|")}


def test_keys_that_end_alike_keep_their_sections():
    first = {f"s-{number}": done(0.1, 0.5, 0.5, **{"demo.seed": number, "split.seed": -number}) for number in range(2)}
    assert " demo.seed  split.seed  " in as_page(made(first=first))


def test_planned_runs_are_listed():
    listed = as_list({"s-001": {"a.b": 1, "a.c": "x"}, "s-002": {"a.b": 2, "a.c": "x"}})
    assert listed == "2 runs, none queued; in all: a.c=x\ns-001  a.b=1\ns-002  a.b=2"


def test_a_record_is_read_back_as_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = made(long={"s-long-003": done(0.001, 0.875, 0.5)}, long_settings=["train.epochs=400"])
    record.save()
    assert load_record("s") == record
    assert known_searches() == ["s"]
    assert read_record(None) == record
    made().save()
    assert load_record("s") == made()


def test_which_record_is_meant_must_be_clear(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SearchError, match="0 searches are recorded: run `emospec search random`"):
        read_record(None)
    made().save()
    Record("t", {}, "validation.uar").save()
    with pytest.raises(SearchError, match="2 searches are recorded: name one of s, t"):
        read_record(None)
    with pytest.raises(SearchError, match="no such search; there are: s, t"):
        read_record("u")
    (tmp_path / "metrics/search/s.json").write_text('{"name": "s"}', encoding="utf-8")
    with pytest.raises(SearchError, match="is no record of a search: remove it"):
        read_record("s")


@pytest.mark.parametrize("name", ["", "../x", "A", "-a", "a-", "a b", "a" * 61, "a.lock"])
def test_names_that_cannot_name_an_experiment_are_refused(name):
    with pytest.raises(SearchError, match="a search's name is made of"):
        check_name(name)
