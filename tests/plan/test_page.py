"""The page, the machine and the command: what a person sees, and the exit status."""

import copy
import re
import sys
from types import SimpleNamespace

import pytest
from made_run import one_thread  # noqa: F401 (keeps torch's settings)
from plan.cases import GB, SMALL, VALUES, clip, job, machine, params, write_sound
from ruamel.yaml import YAML
from typer.testing import CliRunner

import pipeline.plan.machine as machine_module
from pipeline import cli, plan
from pipeline.plan.machine import present_machine
from pipeline.plan.model_needs import model_needs
from pipeline.plan.page import dvc_seconds, page
from pipeline.plan.sound_needs import sound_needs
from pipeline.words import amount, duration, size

CLIPS = [clip(11, "joy"), clip(11, "anger", path="b")]


def text(clips=CLIPS, chosen=None, *, there=None, misfits=(), refusals=(), **changed):
    made = job(clips, chosen, **changed)
    needs = [*sound_needs(made), *model_needs(made)]
    return page(needs, made, there or machine(), misfits=misfits, refusals=refusals)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (2.71, "2.7 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (290, "4 min 50 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h"),
        (11400, "3 h 10 min"),
        (86400, "1 d"),
        (187000, "2 d 4 h"),
    ],
)
def test_times_are_said_in_two_units(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("n_bytes", "words"),
    [(0, "0 B"), (999, "999 B"), (999.6, "1 kB"), (65_400_000, "65.4 MB"), (512e9, "512 GB"), (1.024e12, "1.02 TB"),
     (12_345e12, "12345 TB")],
)  # fmt: skip
def test_sizes_are_decimal_to_three_digits(n_bytes, words):
    assert size(n_bytes) == words


def test_amounts_have_their_plural():
    assert (amount(1, "clip"), amount(0, "clip"), amount(1234567, "block")) == ("1 clip", "0 clips", "1 234 567 blocks")


def test_the_table_is_aligned_and_narrow():
    lines = text().split("\n")
    end = lines.index("")
    assert len({len(line) for line in lines[:end]}) == 1
    assert all(len(line) <= 100 for line in lines)
    assert re.match(r"stage +items +time +disk +peak memory$", lines[0])
    assert lines[end - 1].startswith("total ")
    assert lines[-1] == "Everything fits."


def test_the_total_is_the_sum_of_the_rows():
    made = job(CLIPS)
    needs = [*sound_needs(made), *model_needs(made)]
    there = machine()
    seconds = sum(need.seconds for need in needs) + dvc_seconds(needs, made, there)
    disk = 2 * sum(need.disk for need in needs) - sum(need.disk for need in needs if not need.in_cache)
    total = next(line for line in text().split("\n") if line.startswith("total"))
    figures = duration(seconds), size(disk), size(max(need.memory for need in needs))
    assert re.fullmatch(" +".join(["total", *figures]), total)


def test_dvc_takes_half_a_second_a_run_and_reads_and_copies_what_is_made():
    made = job(CLIPS)
    needs = [*sound_needs(made), *model_needs(made)]
    n_runs = 6 + 6 + 3 * 3 + 1  # per corpus; match, lists, split, weights, metrics; per fold; the report
    n_bytes = sum(need.disk for need in needs)
    read = 2 * 11 * 8000 * 2
    assert dvc_seconds(needs, made, machine()) == pytest.approx(0.5 * n_runs + (2 * n_bytes + read) / 1e9)
    linked = machine(cache_link="hardlink")
    assert dvc_seconds(needs, made, linked) == pytest.approx(0.5 * n_runs + (n_bytes + read) / 1e9)


def test_what_is_left_out_or_uncertain_is_said():
    chosen = params(slice__silent_blocks="drop", slice__short_clips="reject", split__validation="test")
    doubtful = [f"made/{number}.wav: it cannot be opened as sound" for number in range(5)]
    said = " ".join(text([*CLIPS, clip(1, path="c")], chosen, doubtful=doubtful).split())
    assert "3 clips, at most 20 blocks (anger 10, joy 10); silent blocks are dropped" in said
    assert "1 clip shorter than a block left out (slice.short_clips: reject)" in said
    assert "trains on about 13 images and watches 7 images." in said
    assert "Not counted: 5 of 8 recordings that collecting will probably reject: made/0.wav" in said
    assert "made/2.wav: it cannot be opened as sound; and 2 more." in said
    assert "made/3.wav" not in said


def test_what_cannot_be_done_stands_at_the_end():
    lines = text(misfits=["a needs 2 GB"], refusals=["b: no"]).split("\n")
    assert lines[-2:] == ["cannot fit: a needs 2 GB", "cannot run: b: no"]
    assert "Everything fits." not in lines


def test_a_download_is_not_in_the_times():
    assert "Downloading weights is not in the times." not in " ".join(text().split())
    assert "Downloading weights is not in the times." in " ".join(
        text(chosen=params(model__weights="imagenet")).split()
    )


def settings(folder, lines):
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text(lines)


def test_dvcs_own_settings_say_where_its_cache_lies_and_how(tmp_path, monkeypatch):
    monkeypatch.setattr(machine_module, "_has_reflinks", lambda _folder: False)
    (tmp_path / "elsewhere").mkdir()
    settings(tmp_path, f'[cache]\n    type = "reflink,hardlink,copy"\n    dir = {tmp_path}/elsewhere/cache\n')
    there = present_machine(tmp_path, devices=["cpu"])
    assert (there.cache, there.cache_link, there.copies) == (tmp_path / "elsewhere/cache", "hardlink", False)
    assert there.one_disk
    assert there.free_gpu is None
    assert there.free_memory > 0
    assert there.free_disk > 0


def test_without_settings_dvc_copies_unless_the_disk_can_share_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(machine_module, "_has_reflinks", lambda _folder: False)
    assert present_machine(tmp_path, devices=[]).cache_link == "copy"
    monkeypatch.setattr(machine_module, "_has_reflinks", lambda _folder: True)
    assert present_machine(tmp_path, devices=[]).cache_link == "reflink"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with params.yaml and nine recordings of three classes, one of which is broken."""
    monkeypatch.chdir(tmp_path)
    for number in range(9):
        label = ("anger", "joy", "neutral")[number % 3]
        write_sound(tmp_path / f"sounds/made/{label}/{number}.wav", 3 + number, seed=number)
    (tmp_path / "sounds/made/joy/broken.wav").write_bytes(b"RIFF")

    def write(**keys):
        values = copy.deepcopy(VALUES)
        for key, value in {**SMALL, "data__root": str(tmp_path / "sounds"), **keys}.items():
            *sections, last = key.split("__")
            place = values
            for section in sections:
                place = place[section]
            place[last] = value
        with (tmp_path / "params.yaml").open("w") as file:
            YAML(typ="safe", pure=True).dump(values, file)

    write()
    return SimpleNamespace(folder=tmp_path, write=write)


@pytest.mark.usefixtures("one_thread")
def test_the_command_measures_prints_and_leaves_the_project_alone(project):
    before = sorted(project.folder.rglob("*"))
    result = CliRunner().invoke(cli.app, ["plan"])
    assert result.exit_code == 0, result.output
    assert "Everything fits." in result.output
    assert re.search(r"collect_clips +9 clips, 1 min 3 s ", result.output)  # 3 + 4 + ... + 11 s
    assert re.search(r"fingerprint_clips +9 clips, 1 min 3 s ", result.output)
    assert re.search(r"match_clips +9 clips ", result.output)
    assert re.search(r"render_spectrograms +54 images", result.output)  # a block less than its seconds each
    assert "Not counted: 1 of 10 recordings that collecting will probably reject: made/joy/broken.wav" in result.output
    assert sorted(project.folder.rglob("*")) == before


def test_the_exit_status_is_1_where_something_cannot_fit(project, monkeypatch):
    monkeypatch.setattr(plan, "_measured", lambda chosen: job(CLIPS, chosen))
    monkeypatch.setattr(plan, "present_machine", lambda *_, **__: machine(free_memory=GB // 10))
    result = CliRunner().invoke(cli.app, ["plan", "params.yaml"])
    assert result.exit_code == 1
    assert "cannot fit: train_model needs" in result.output


def test_errors_are_one_line(project, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["emospec", "plan"])
    project.write(data__root="/nowhere")
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 1
    assert capsys.readouterr().err == (
        "error: corpus folder /nowhere/made is missing: put the recordings there, or set data.root\n"
    )
    project.write(split__classes=["calm", "sad"])
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().err.endswith(
        "\nerror: split.classes: no clip is labelled 'calm', 'sad': these corpora have 'anger', 'joy', 'neutral'\n"
    )
    project.write(split__use={"made": {"labels": {"anger": None, "joy": None, "neutral": None}}})
    with pytest.raises(SystemExit):
        cli.main()
    assert "error: split.use and split.classes leave out every clip" in capsys.readouterr().err
    project.write(slice__block_seconds=30.0, slice__short_clips="reject")
    with pytest.raises(SystemExit):
        cli.main()
    assert "error: no block is left of 9 clips" in capsys.readouterr().err
