"""Learning curves while they grow: what is read, what is followed, where signs stand, and that no run is disturbed."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from made_trained import trained  # noqa: F401 - a fixture
from PIL import Image

from pipeline.cli import main
from pipeline.errors import ShowError, StoreError
from pipeline.pictures.curves import COLOURS, draw_curves, loss_height, loss_ticks
from pipeline.pictures.growing import Followed, chosen_runs, find_runs
from pipeline.pictures.terminal import page_of, plot
from pipeline.pictures.watch import watch
from pipeline.report.axes import Tick
from pipeline.store.paths import curves_csv
from pipeline.store.tables import CurvePoint, LiveTable, growing_of, lies_at, read_growing, read_rows

pytestmark = pytest.mark.usefixtures("trained")  # params.yaml: 4 epochs, fold 0, member a


def point(epoch, side="train", loss=1.0, uar=0.5):
    return CurvePoint(iteration=round(10 * epoch), epoch=epoch, side=side, loss=loss, accuracy=uar, uar=uar)


def write(points, *, key="0-a", root=Path(), age=0.0, goes_on=False):
    path = root / curves_csv(key)
    with LiveTable(path, CurvePoint) as table:
        for each in points:
            table.append(each)
    if goes_on:
        path.replace(growing_of(path))
    os.utime(lies_at(path), (time.time() - age, time.time() - age))
    return path


def run_of(*points, key="0-a", copy="", epochs=4, age=0.0, is_complete=False):
    return Followed(key=key, copy=copy, points=points, epochs=epochs, age=age, is_complete=is_complete)


# reading


def test_a_growing_table_is_read_without_its_last_half_line():
    path = Path("a.csv")
    assert read_growing(path, CurvePoint) == []
    with LiveTable(path, CurvePoint) as table:
        assert read_growing(path, CurvePoint) == []
        table.append(point(0.5))
        assert read_growing(path, CurvePoint) == [point(0.5)]
        table.append(point(1.0))
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        n_lines = whole[:cut].count(b"\n")
        assert len(read_growing(path, CurvePoint)) == max(n_lines - 1, 0)
    path.write_bytes(whole)
    assert read_growing(path, CurvePoint) == read_rows(path, CurvePoint) == [point(0.5), point(1.0)]
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(StoreError, match=r"a\.csv: no column iteration"):
        read_growing(path, CurvePoint)


# what is followed


def test_runs_are_found_in_the_project_and_in_the_copies_of_experiments(trained):  # noqa: F811
    write([point(1.5)], goes_on=True)
    write([point(1.5)], key="0-b")  # training ended early
    write([point(4.0)], key="2-z", age=5000, goes_on=True)
    queued, standalone = trained / ".dvc/tmp/exps/tmpq", trained / ".dvc/tmp/exps/standalone/tmps"
    for copy, epochs in ((queued, 8), (standalone, 2)):
        write([point(2.0)], root=copy, goes_on=copy == queued)
        text = Path("params.yaml").read_text(encoding="utf-8")
        (copy / "params.yaml").write_text(text.replace("epochs: 4", f"epochs: {epochs}"), encoding="utf-8")
    found = {run.name: run for run in find_runs()}
    assert {name: run.state for name, run in found.items()} == {
        "0-a": "running",
        "0-b": "done",
        "2-z": "stopped",  # a member that params.yaml does not have: how far it was to go is not known
        "0-a in tmpq": "running",
        "0-a in tmps": "done",
    }
    assert [found[name].epochs for name in ("0-a", "2-z", "0-a in tmpq", "0-a in tmps")] == [4, None, 8, 2]
    Path("params.yaml").unlink()
    assert {run.name: run.epochs for run in find_runs()}["0-a"] is None


def test_what_is_yet_to_start_waits():
    assert [(run.name, run.state) for run in find_runs()] == [("0-a", "waiting")]
    write([], goes_on=True)
    assert [(run.state, run.points) for run in find_runs()] == [("running", [])]


def test_runs_in_progress_are_followed_or_that_which_grew_last():
    going, stuck = run_of(point(1)), run_of(point(1), key="1-a", age=700)
    done = run_of(point(2), key="2-a", age=30, is_complete=True)
    waiting = run_of(key="3-a", age=float("inf"))
    assert chosen_runs([going, stuck, done, waiting], []) == [going]
    assert chosen_runs([stuck, waiting], []) == [stuck]
    assert chosen_runs([stuck, done, waiting], []) == [done]
    assert chosen_runs([done, waiting], []) == [done]
    assert chosen_runs([waiting], []) == []
    copy = run_of(point(4), key="2-a", copy="tmp")
    assert chosen_runs([going, done, copy], ["2-a"]) == [done, copy]
    with pytest.raises(ShowError, match=r"9-a: no such run: there is 0-a, 2-a$"):
        chosen_runs([going, done, copy], ["9-a"])


# characters


def test_signs_stand_where_their_points_are():
    rows = plot(
        [(".", [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)]), ("o", [(1.0, 0.0), (0.5, 0.5)])],
        width=9,
        height=3,
        heights=[Tick(0.0, "0"), Tick(1.0, "1")],
        along=[Tick(0.0, "0"), Tick(1.0, "4")],
    )
    assert rows == [
        "     1 |        .",
        "       |    o    ",
        "     0 |.       o",
        "       +---------",
        "        0       4",
    ]


def test_the_page_says_how_far_each_run_is_and_shows_both_sides():
    points = [point(1.0, loss=2.0), point(1.0, "validation", loss=0.5), point(3.0, loss=0.02, uar=0.9)]
    runs = [run_of(*points, age=30), run_of(key="1-a", age=float("inf"))]
    text = page_of(runs, runs[:1], columns=90, lines=30)
    assert text.startswith("0-a: running, epoch 3 of 4 (75 %), iteration 30, grew 30 s ago\n1-a: waiting\n\n")
    assert ". train loss 0.02, UAR 0.90;  o validation loss 0.5, UAR 0.50" in text
    lines = text.splitlines()
    assert max(map(len, lines)) <= 90
    assert len(lines) <= 30
    assert lines[-1].split() == ["0", "1", "2", "3", "4"] * 2
    top = next(line for line in lines if line.startswith("     2 |"))
    assert top.index(".") - 8 == pytest.approx(0.25 * (len(top) - 8) / 2, abs=5)  # epoch 1 of 4
    assert text.isascii()


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.07, 1.3, ["0.1", "0.2", "0.5", "1"]),
        (1e-4, 30, ["0.0001", "0.001", "0.01", "0.1", "1", "10"]),
        (1.04, 1.1, ["1.04", "1.1"]),
    ],
)
def test_figures_of_the_loss(low, high, texts):
    ticks = loss_ticks(low, high)
    assert [tick.text for tick in ticks] == texts
    assert all(0 <= tick.at <= 1 for tick in ticks)
    assert loss_height((low * high) ** 0.5, low, high) == pytest.approx(0.5)


# picture


def test_curves_are_drawn_in_their_colours_from_left_to_right():
    points = [
        point(epoch, side, loss=loss) for epoch in (1, 2, 3) for side, loss in (("train", 1.0), ("validation", 3.0))
    ]
    pixels = np.asarray(draw_curves([run_of(*points), run_of(point(2.0), key="1-a")])).astype(int)
    height, width, _ = pixels.shape
    train, validation = (np.abs(pixels - np.array(COLOURS[side])).sum(axis=2) < 40 for side in ("train", "validation"))
    left = slice(0, width // 2)
    assert np.nonzero(validation[: height // 2, left])[0].max() < np.nonzero(train[: height // 2, left])[0].max()
    assert train[height // 2 :].any()
    assert not validation[height // 2 :].any()


# the command


def run_command(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["emospec", "watch", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, *capsys.readouterr()


def test_once_prints_and_draws_and_leaves_the_curves_alone(monkeypatch, capsys):
    path = write([point(1.0), point(2.0, loss=0.1)])
    path.chmod(0o444)
    before = path.read_bytes(), path.stat().st_mtime_ns
    code, out, _ = run_command(monkeypatch, capsys, "--once", "--png", "curves.png")
    assert code == 0
    assert "0-a: done, epoch 2 of 4 (50 %), iteration 20" in out
    assert "\x1b" not in out
    with Image.open("curves.png") as page:
        assert page.format == "PNG"
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert sorted(each.name for each in path.parent.iterdir()) == ["0-a.csv"]
    assert run_command(monkeypatch, capsys)[1].startswith("0-a: done")  # no terminal: once


def test_without_curves_it_says_when_they_begin(monkeypatch, capsys):
    code, _, err = run_command(monkeypatch, capsys, "--once")
    assert code == 1
    assert err.startswith(
        "error: data/processed/curves/: no learning curves yet: they begin when a run starts to train"
    )


def test_in_a_terminal_it_goes_on_until_interrupted_and_shows_what_was_added(monkeypatch, capsys):
    path = write([point(1.0)])
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    looks = []

    def wait(seconds):
        looks.append(seconds)
        if len(looks) == 1:
            path.unlink()  # DVC takes it away before a run starts
        elif len(looks) == 2:
            write([point(3.0)])
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", wait)
    watch([], once=False, every=2.0, png=None)
    out = capsys.readouterr().out
    assert looks == [2.0] * 3
    first, second, third = out.split("\x1b[2J\x1b[H")[1:]
    assert "epoch 1 of 4" in first
    assert second.startswith("0-a: waiting\n")
    assert "epoch 3 of 4 (75 %)" in third
    assert "Ctrl-C ends this" in third
