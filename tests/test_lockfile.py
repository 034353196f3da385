"""dvc.lock of a small made pipeline, where it ran and in a fresh clone, before and after each kind of change."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from made_results import ROOT, commit, git
from ruamel.yaml import YAML
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.errors import LockError
from pipeline.lockfile import find_stale

DVC_YAML = """\
stages:
  make:
    matrix:
      item: ${items}
    cmd: python code/make.py
    deps:
    - code
    params:
    - make
    outs:
    - data/parts/${item.item}.txt
  join:
    cmd: python join.py
    deps:
    - data/parts
    - join.py
    params:
    - join.times
    outs:
    - data/whole.txt
    metrics:
    - total.json:
        cache: false
  show:
    cmd: python show.py
    deps:
    - data/whole.txt
    - total.json
    - show.py
    outs:
    - data/page.txt
"""
PARAMS = "items:\n- a\n- b\nmake:\n  n: 2\njoin:\n  times: 3\n  other: 1\n"
MAKE = """\
import os, pathlib
item = os.environ["DVC_STAGE"].split("@")[1]
path = pathlib.Path("data/parts")
path.mkdir(parents=True, exist_ok=True)
(path / f"{item}.txt").write_text(item)
"""
JOIN = """\
import pathlib
pathlib.Path("data/whole.txt").write_text("ab")
pathlib.Path("total.json").write_text('{"n": 2}')
"""
FILES = {
    "dvc.yaml": DVC_YAML,
    "params.yaml": PARAMS,
    "code/make.py": MAKE,
    "join.py": JOIN,
    "show.py": "import pathlib\npathlib.Path('data/page.txt').write_text('page')\n",
    ".gitignore": "/data/\n",
    ".dvcignore": "__pycache__/\n",
    ".dvc/config": "[core]\n    analytics = false\n",
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The made pipeline after `dvc repro`, all committed."""
    folder = tmp_path_factory.mktemp("ran")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
        for name, text in FILES.items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(text)
        git("init", "--quiet")
        subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet"], check=True)
        commit()
    return folder


@pytest.fixture(params=["where it ran", "a fresh clone"])
def project(request, ran, tmp_path, monkeypatch):
    folder = tmp_path / "project"
    if request.param == "where it ran":
        shutil.copytree(ran, folder)
    else:
        git("clone", "--quiet", str(ran), str(folder))
        assert not (folder / "data").exists()
    monkeypatch.chdir(folder)
    return folder


def change(path, old, new):
    text = Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new, 1))


def change_lock(edit):
    yaml = YAML()
    lock = yaml.load(Path("dvc.lock"))
    edit(lock["stages"])
    yaml.dump(lock, Path("dvc.lock"))


def test_what_has_just_run_is_in_step(project):
    assert find_stale() == []
    assert git("status", "--porcelain") == ""


CHANGES = {
    "a source": (lambda: change("join.py", "import", "# new\nimport"), ["join: join.py is modified"]),
    "a source in a folder": (
        lambda: Path("code/more.py").write_text("more"),
        ["make@a: code is modified", "make@b: code is modified"],
    ),
    "a source deleted": (lambda: Path("join.py").unlink(), ["join: join.py is deleted"]),
    "a parameter": (
        lambda: change("params.yaml", "times: 3", "times: 4"),
        ["join: params.yaml: join.times is modified"],
    ),
    "a parameter in a section": (
        lambda: change("params.yaml", "n: 2", "n: 3"),
        ["make@a: params.yaml: make is modified", "make@b: params.yaml: make is modified"],
    ),
    "a parameter that nothing reads": (lambda: change("params.yaml", "other: 1", "other: 2"), []),
    "a parameter deleted": (
        lambda: change("params.yaml", "  times: 3\n", ""),
        ["join: params.yaml: join.times is deleted"],
    ),
    "a new parameter": (
        lambda: change("dvc.yaml", "    - join.times\n", "    - join.times\n    - join.other\n"),
        ["join: params.yaml: join.other is new"],
    ),
    "a parameter no longer read": (
        lambda: change("dvc.yaml", "    params:\n    - join.times\n", "    params:\n    - join.other\n"),
        ["join: params.yaml: join.other is new", "join: params.yaml: join.times is no longer read"],
    ),
    "no parameters any more": (
        lambda: change("dvc.yaml", "    params:\n    - join.times\n", ""),
        ["join: params.yaml: join.times is no longer read"],
    ),
    "a command": (
        lambda: change("dvc.yaml", "python join.py", "python -O join.py"),
        ["join: its command has changed"],
    ),
    "a new dependency": (
        lambda: change("dvc.yaml", "    - join.py\n", "    - join.py\n    - show.py\n"),
        ["join: a new dependency: show.py"],
    ),
    "a dependency less": (
        lambda: change("dvc.yaml", "    - show.py\n", ""),
        ["show: no longer a dependency: show.py"],
    ),
    "a new output": (
        lambda: change("dvc.yaml", "    - data/page.txt\n", "    - data/page.txt\n    - data/extra.txt\n"),
        ["show: a new output: data/extra.txt"],
    ),
    "an item more": (lambda: change("params.yaml", "- b\n", "- b\n- c\n"), ["make@c: not in dvc.lock"]),
    "an item less": (lambda: change("params.yaml", "- b\n", ""), ["make@b: in dvc.lock, but no stage of dvc.yaml"]),
    "a metric by hand": (
        lambda: Path("total.json").write_text('{"n": 9}'),
        ["join: total.json is modified", "show: total.json is modified"],
    ),
    "a metric deleted": (
        lambda: Path("total.json").unlink(),
        ["join: total.json is deleted", "show: total.json is deleted"],
    ),
    "a stage run alone": (
        lambda: change_lock(lambda stages: stages["join"]["outs"][0].update(md5="0" * 32)),
        ["show: read another data/whole.txt than was made"],
    ),
    "an item run alone": (
        lambda: change_lock(lambda stages: stages["make@a"]["outs"][0].update(md5="0" * 32)),
        ["join: read another data/parts than was made"],
    ),
    "another command in the lock": (
        lambda: change_lock(lambda stages: stages["join"].update(cmd="python other.py")),
        ["join: its command has changed"],
    ),
    "a cache folder of Python": (
        lambda: (Path("code/__pycache__").mkdir(), Path("code/__pycache__/x.pyc").write_text("x")),
        [],
    ),
    "only the data": (lambda: shutil.rmtree("data", ignore_errors=True), []),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_named_with_its_stage(project, name):
    make, expected = CHANGES[name]
    make()
    assert find_stale() == expected


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("dvc.lock", None, "dvc.lock: No such file or directory: run `dvc repro`"),
        ("dvc.lock", "", "dvc.lock: names no stages"),
        ("dvc.lock", "stages: [", "dvc.lock: not valid YAML"),
        ("dvc.lock", "schema: '2.0'\n", "dvc.lock: names no stages"),
        ("dvc.lock", "schema: '2.0'\nstages:\n  join: 3\n", "DVC cannot read .* validation failed"),
        ("dvc.yaml", None, None),
        ("dvc.yaml", "stages: [", "DVC cannot read dvc.yaml"),
        ("params.yaml", None, "DVC cannot read dvc.yaml"),
        ("params.yaml", "items: [", "DVC cannot read dvc.yaml"),
    ],
)
def test_what_cannot_be_read_is_an_error(ran, tmp_path, monkeypatch, path, text, message):
    shutil.copytree(ran, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    if text is None:
        Path(path).unlink()
    else:
        Path(path).write_text(text)
    if message is None:
        assert len(find_stale()) == 4
        return
    with pytest.raises(LockError, match=message):
        find_stale()


def test_outside_a_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.lock").write_text("stages: {}\n")
    with pytest.raises(LockError, match="DVC cannot read"):
        find_stale()


def test_the_command_says_it_by_status(ran, tmp_path, monkeypatch):
    shutil.copytree(ran, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    done = CliRunner().invoke(app, ["locked"])
    assert (done.exit_code, done.stdout) == (0, "dvc.lock: every stage is as its sources and parameters are\n")
    change("join.py", "import", "# new\nimport")
    done = CliRunner().invoke(app, ["locked"])
    assert (done.exit_code, done.stdout) == (1, "join: join.py is modified\n")
    Path("dvc.lock").unlink()
    done = CliRunner().invoke(app, ["locked"])
    assert done.exit_code == 2
    assert "dvc.lock: No such file" in done.stderr


def test_the_lock_of_this_project_can_be_judged(tmp_path, monkeypatch):
    """A copy of what git tracks: its stages are known, and a change of the parameters is found."""
    for name in git("ls-files", "-z", cwd=ROOT).split("\0"):
        if name and (ROOT / name).is_file():
            target = tmp_path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet")
    params = Path("params.yaml")
    params.write_text(re.sub(r"(?m)^  epochs: \d+$", "  epochs: 9999", params.read_text()))
    assert re.search(r"(?m)^train_model@0-a: params.yaml: train is modified$", "\n".join(find_stale()))
