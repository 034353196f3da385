"""The table of all corpora, and that every card can be shown."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from obtain.toy import only, toy, write_sound, write_toy
from typer.testing import CliRunner

from pipeline import cli
from pipeline.cli import app
from pipeline.corpora import CORPORA, Download
from pipeline.errors import ParamsError
from pipeline.obtain import check_corpus, list_corpora
from pipeline.obtain.page import card_page, download_page, request_page
from pipeline.obtain.survey import look_at


def row(text, name):
    """The cells of a corpus's row: two spaces or more stand between them."""
    line = next(line for line in text.splitlines() if line.startswith(f"{name} "))
    return re.split(r"  +", line)


@pytest.fixture
def root(tmp_path, monkeypatch):
    sizes = {"n_bytes": 40_000_000}, {"n_bytes": 1_500_000}
    only(
        monkeypatch,
        whole=toy(),
        some=toy(*(Download(url="https://example.org/a.zip", **size) for size in sizes), n_files=4),
        none=toy(Download(url="https://example.org/a.zip"), n_speakers=None, licence="CC0"),
    )
    write_toy(tmp_path / "whole")
    write_toy(tmp_path / "some", without=("s1_joy",))
    write_sound(tmp_path / "mine/high/a.wav", 800)
    write_sound(tmp_path / "mine/low/b.wav", 200)
    return tmp_path


def test_a_row_for_each(root):
    text = list_corpora(root)
    short = "CC BY-NC-SA 4.0, for research tha..."
    assert row(text, "whole") == ["whole", "present", "4", "2", "2", short, "by hand or on request"]
    assert row(text, "some") == ["some", "partly", "3 of 4", "2", "2", short, "open, 41.5 MB"]
    assert row(text, "none") == ["none", "not here", "0 of 4", "2", "-", "CC0", "open"]
    assert row(text, "mine") == ["mine", "present", "2", "2", "-", "a folder of yours"]
    assert "emospec corpora get NAME" in text
    assert "emospec corpora check NAME" in text


def test_figures_stand_under_each_other(root):
    lines = list_corpora(root).splitlines()
    end = lines[0].index("files") + len("files")
    for line in lines[2:6]:
        assert line[end - 1].isdigit()
        assert line[end] == " "


def test_folders_that_cannot_be_used_are_named_with_the_reason(root):
    (root / "empty").mkdir()
    (root / "My Recordings").mkdir()
    (root / "toy.part").mkdir()
    (root / ".hidden").mkdir()
    write_sound(root / "none/strange.wav", 300)
    text = " ".join(list_corpora(root).split())
    assert f"empty: corpus folder {root}/empty holds no recordings" in text
    assert f"none: corpus folder {root}/none holds no file named as in this corpus" in text
    assert "My Recordings: no corpus's name: rename the folder" in text
    assert "toy.part" not in text
    assert ".hidden" not in text
    assert row(list_corpora(root), "empty")[1] == "unusable"


def test_without_any_folder(tmp_path, monkeypatch):
    only(monkeypatch, toy=toy())
    assert row(list_corpora(tmp_path / "nowhere"), "toy")[1:3] == ["not here", "0 of 4"]


def test_the_root_is_that_of_the_parameters(root, monkeypatch, tmp_path_factory):
    from made_pipeline import ROOT

    project = tmp_path_factory.mktemp("project")
    monkeypatch.chdir(project)
    with pytest.raises(ParamsError, match=r"params\.yaml"):
        list_corpora()
    text = (ROOT / "params.yaml").read_text().replace("root: data/raw", f"root: {root}")
    (project / "params.yaml").write_text(text)
    assert row(list_corpora(), "mine")[1] == "present"
    assert check_corpus("mine")[1]


def test_the_command_lists_and_passes_its_root_on(root):
    done = CliRunner().invoke(app, ["corpora", "--root", str(root)])
    assert (done.exit_code, done.stdout) == (0, list_corpora(root) + "\n")
    done = CliRunner().invoke(app, ["corpora", "--root", str(root), "check", "mine"])
    assert (done.exit_code, done.stdout.splitlines()[0]) == (0, "mine: a folder of yours")


def test_help_names_what_can_be_done():
    done = CliRunner().invoke(app, ["corpora", "--help"], env={"COLUMNS": "120"})
    assert done.exit_code == 0
    assert re.search(r"check .*get ", " ".join(done.stdout.split()))


@pytest.mark.parametrize("name", sorted(CORPORA))
def test_every_card_fits_the_terminal(tmp_path, name):
    held = look_at(name, tmp_path)
    pages = [card_page(held), request_page(held, CORPORA[name]), download_page(held, CORPORA[name])]
    for text in pages:
        # the folder is as long as it is
        head, *lines = text.replace(str(tmp_path), "data/raw").splitlines()
        assert len(head) <= 120
        assert all(len(line) <= 100 or " " not in line.strip() for line in lines)
        assert CORPORA[name].licence in " ".join(text.split())
    # every word of the card's is there
    assert CORPORA[name].how_to_get in " ".join(pages[0].split())
    assert CORPORA[name].citation in " ".join(pages[0].split())


def test_the_table_of_all_fits_the_terminal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert max(map(len, list_corpora(Path("data/raw")).splitlines())) <= 120


def test_the_command_itself_imports_nothing_heavy():
    program = "import sys, pipeline.cli; print(*{'numpy', 'soundfile', 'torch', 'urllib.request'} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
