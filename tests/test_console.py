"""What people see: progress as lines, errors as one line, and items of a matrix."""

import re
import sys

import pytest

from pipeline import console
from pipeline.console import item_of_stage, n_workers, one_line_errors, run_stage, say, track
from pipeline.errors import AudioError, PipelineError, StoreError


class Clock:
    def __init__(self, step):
        self.now, self.step = 0.0, step

    def monotonic(self):
        self.now += self.step
        return self.now


class Terminal:
    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        self.text += text

    def flush(self):
        pass


@pytest.mark.parametrize("items", [[], ["a"], list("abcde")])
def test_items_are_passed_on_and_counted(items, capsys):
    assert list(track(iter(items), label="collect demo", total=len(items), unit="clips")) == items
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert re.fullmatch(rf"collect demo: {len(items)}/{len(items)} clips in \d+\.\d s, \S+ clips/s", lines[0])


def test_nothing_goes_to_standard_output(capsys):
    list(track([1, 2], label="x", total=2, unit="clips"))
    say("hello")
    assert capsys.readouterr().out == ""


def test_without_a_terminal_there_is_a_line_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(console.time, "monotonic", Clock(4.0).monotonic)  # an item takes 4 s
    list(track(range(7), label="render demo", total=7, unit="blocks"))
    # every 10 s at most: after 12 and 24 s; 7 items take 28 s, and the last look at the clock 4 s more
    assert capsys.readouterr().err.splitlines() == [
        "render demo: 3/7 blocks, 0.25 blocks/s, 16 s left",
        "render demo: 6/7 blocks, 0.25 blocks/s, 4 s left",
        "render demo: 7/7 blocks in 32.0 s, 0.219 blocks/s",
    ]


def test_long_times_are_told_in_minutes(capsys, monkeypatch):
    monkeypatch.setattr(console.time, "monotonic", Clock(30.0).monotonic)
    items = track(range(10), label="x", total=10, unit="clips")
    next(items)
    next(items)
    assert "270 s" not in (line := capsys.readouterr().err)
    assert "4 min 30 s left" in line


def test_the_last_item_is_told_once(capsys, monkeypatch):
    monkeypatch.setattr(console.time, "monotonic", Clock(30.0).monotonic)
    list(track(range(2), label="x", total=2, unit="clips"))
    assert [line.split(",")[0] for line in capsys.readouterr().err.splitlines()] == [
        "x: 1/2 clips",
        "x: 2/2 clips in 90.0 s",
    ]


@pytest.mark.parametrize("n", [0, 3])
def test_a_terminal_gets_a_bar(n, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(track(range(n), label="collect demo", total=n, unit="clips")) == list(range(n))
    assert "collect demo" in terminal.text
    assert f"{n}/{n}" in terminal.text or n == 0


def test_what_stops_the_consumer_stops_the_tracked_items(capsys):
    closed = []

    def items():
        try:
            yield from range(5)
        finally:
            closed.append(True)

    tracked = track(items(), label="x", total=5, unit="clips")
    next(tracked)
    tracked.close()
    assert closed == [True]


@pytest.mark.parametrize("kind", [PipelineError, StoreError, AudioError])
def test_an_error_on_purpose_is_one_line_and_status_1(kind, capsys):
    with pytest.raises(SystemExit) as end, one_line_errors():
        raise kind("clips.h5: missing:\n  run `dvc repro`")
    assert end.value.code == 1
    assert capsys.readouterr().err == "error: clips.h5: missing: run `dvc repro`\n"


def test_other_errors_are_faults_of_ours_and_keep_their_traceback():
    with pytest.raises(KeyError), one_line_errors():
        raise KeyError("x")


def test_no_error_no_word(capsys):
    with one_line_errors():
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("stage", "item"), [("collect_clips@demo", "demo"), ("demo", "demo"), ("train_model@0-a", "0-a"), ("a@b@c", "c")]
)
def test_the_item_stands_behind_the_stage_name(stage, item):
    assert item_of_stage(stage) == item


def test_workers_are_as_asked_for_or_one_per_usable_core(monkeypatch):
    assert n_workers(3) == 3
    monkeypatch.setattr(console.os, "sched_getaffinity", lambda _: {0, 5, 7}, raising=False)
    assert n_workers(0) == 3
    monkeypatch.delattr(console.os, "sched_getaffinity")
    monkeypatch.setattr(console.os, "cpu_count", lambda: None)
    assert n_workers(0) == 1


@pytest.mark.parametrize(
    ("argv", "variable", "item"),
    [(["demo"], None, "demo"), ([], "collect_clips@demo", "demo"), (["emodb"], "collect_clips@demo", "emodb")],
)
def test_a_stage_takes_its_item_by_hand_or_from_dvc(argv, variable, item, monkeypatch):
    seen = []

    def main(corpus: console.StageItem) -> None:
        seen.append(corpus)

    monkeypatch.setattr(sys, "argv", ["stage.py", *argv])
    monkeypatch.delenv("DVC_STAGE", raising=False)
    if variable:
        monkeypatch.setenv("DVC_STAGE", variable)
    with pytest.raises(SystemExit) as end:
        run_stage(main)
    assert end.value.code == 0
    assert seen == [item]


def test_a_stage_that_fails_on_purpose_ends_in_one_line(monkeypatch, capsys):
    def main() -> None:
        raise StoreError("x.h5: missing")

    monkeypatch.setattr(sys, "argv", ["stage.py"])
    with pytest.raises(SystemExit) as end:
        run_stage(main)
    assert end.value.code == 1
    assert capsys.readouterr().err == "error: x.h5: missing\n"
