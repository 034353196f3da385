"""What keeps a project from running on is found, mended where that is safe, and named where it is not."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from ruamel.yaml import YAML

from pipeline.doctor import examine
from pipeline.doctor.processes import is_dvc
from pipeline.errors import ModelError
from pipeline.store.paths import record_of

DVC_YAML = """
stages:
  table:
    cmd: python make.py
    deps: [make.py]
    outs: [data/processed/a.csv, data/processed/folder]
  metrics:
    cmd: cp data/processed/a.csv metrics/m.json
    deps: [data/processed/a.csv]
    metrics: [metrics/m.json: {cache: false}]
"""
MAKE = """
from pathlib import Path
Path("data/processed/folder").mkdir(parents=True, exist_ok=True)
Path("metrics").mkdir(exist_ok=True)
Path("data/processed/a.csv").write_text('{"a": 1}')
for name in "bc":
    Path("data/processed/folder", name).write_text(name * 100)
"""


BROKEN = (
    "empty",
    "zeros",
    "half a line",
    "half an entry",
    "half a number",
    "no end of line",
    "no last line",
    "no outputs",
    "no schema",
)


def run(*command, **options):
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for who in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{who}_NAME": "t", f"GIT_{who}_EMAIL": "t@example.org"}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("template")
    (folder / "dvc.yaml").write_text(DVC_YAML)
    (folder / "make.py").write_text(MAKE)
    (folder / ".gitignore").write_text("/data/processed/\n")
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        run(*command, cwd=folder)
    run(sys.executable, "-m", "dvc", "repro", "-q", cwd=folder)
    run("git", "add", "-A", cwd=folder)
    run("git", "commit", "-qm", "start", cwd=folder)
    return folder


@pytest.fixture
def project(template, tmp_path, monkeypatch):
    """A project whose results are committed, and which DVC has looked at."""
    monkeypatch.setattr("pipeline.models.networks.network_names", lambda: ["alexnet"])
    shutil.copytree(template, tmp_path / "p", symlinks=True)
    monkeypatch.chdir(tmp_path / "p")
    return tmp_path / "p"


def look_by_dvc():
    """Have DVC note time and size of every file: `dvc status` finds nothing."""
    assert run(sys.executable, "-m", "dvc", "status").stdout.strip() == "Data and pipelines are up to date."


def mendings(text):
    return [line for line in text.splitlines() if line.startswith("mended:")]


def damage(path):
    """Flip a bit as a disk does: no time and no size changes."""
    before = path.stat()
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    with path.open("rb+") as file:
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_well_project_is_left_alone(project):
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*") if path.is_file()}
    text, is_well = examine()
    assert is_well
    assert mendings(text) == []
    assert "dvc.lock can be read: 2 stages" in text
    assert "4 of 4 files of outputs are byte for byte as dvc.lock says" in text
    there = {path: path.stat().st_mtime_ns for path in project.rglob("*") if path.is_file()}
    assert {path for path in before if there.get(path) != before[path] and ".dvc/tmp" not in str(path)} == set()


def test_outside_of_a_project_only_the_packages_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.models.networks.network_names", lambda: ["alexnet"])
    text, is_well = examine()
    assert is_well
    assert text.splitlines() == [
        "ok:     torch and torchvision match: 1 networks to choose from",
        "ok:     no dvc.yaml in this folder: only packages were looked at; in a project run from its folder",
    ]
    assert list(tmp_path.iterdir()) == []


def test_packages_that_do_not_match_are_a_fault(tmp_path, monkeypatch):
    def no_pair():
        raise ModelError("torch and torchvision do not match")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.models.networks.network_names", no_pair)
    text, is_well = examine()
    assert text.startswith("fault:  torch and torchvision do not match\n")
    assert not is_well


@pytest.mark.parametrize("content", ["", "stages: [", "stages: 5\n", "stages: {table: 5}\n", "5", "[]"])
def test_a_broken_dvc_yaml_is_named_and_stays(project, content):
    (project / "dvc.yaml").write_text(content)
    text, is_well = examine()
    assert not is_well
    assert text.splitlines()[-1].startswith("fault:  dvc.yaml is empty, cut off or no YAML: `git checkout dvc.yaml`")
    assert (project / "dvc.yaml").read_text() == content


def test_a_lock_file_in_the_middle_of_a_merge_is_a_persons(project):
    both = "<<<<<<< HEAD\n" + (project / "dvc.lock").read_text() + "=======\n>>>>>>> other\n"
    (project / "dvc.lock").write_text(both)
    text, is_well = examine()
    assert not is_well
    assert "fault:  dvc.lock holds both sides of a merge: take one (`git checkout --ours dvc.lock`)" in text
    assert (project / "dvc.lock").read_text() == both


@pytest.mark.parametrize("how", ["no git", "config"])
def test_a_project_that_dvc_cannot_open_is_named(project, how):
    if how == "config":
        (project / ".dvc/config").write_text("[core\nx")
    else:
        shutil.rmtree(project / ".git")
    text, is_well = examine()
    assert not is_well
    assert text.splitlines()[-1].startswith("fault:  DVC cannot open the project: ")


def test_a_new_clone_has_nothing_to_mend(project):
    for path in ("data", ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(project / path)
    text, is_well = examine()
    assert is_well
    assert mendings(text) == []
    assert "1 files are not here: `dvc repro`" in text  # the folder's list is in the cache only


@pytest.mark.parametrize("how", [*BROKEN, "not UTF-8"])
def test_a_broken_lock_file_comes_back_from_git(project, how):
    whole = Path("dvc.lock").read_bytes()
    broken = {
        "empty": b"",
        "zeros": bytes(len(whole)),
        "half a line": whole[: whole.index(b"md5: ") + 3],
        "half an entry": whole[: whole.index(b"deps:") + 6],
        "half a number": whole[:-2],
        "no end of line": whole[:-1],
        "no last line": whole[: whole.rindex(b"\n", 0, -1) + 1],
        "no outputs": whole[: whole.rindex(b"    outs:")],
        "no schema": whole.replace(b"schema: '2.0'\n", b""),
        "not UTF-8": whole + b"\xff",
    }[how]
    Path("dvc.lock").write_bytes(broken)
    text, is_well = examine(mend=False)
    assert not is_well
    assert "to be mended by `emospec doctor`" in text
    assert Path("dvc.lock").read_bytes() == broken
    text, is_well = examine()
    assert is_well
    assert len(mendings(text)) == 1
    assert "dvc.lock" in mendings(text)[0]
    assert Path("dvc.lock").read_bytes() == whole
    look_by_dvc()


def test_a_broken_lock_file_that_git_does_not_have_goes(project):
    run("git", "rm", "-q", "--cached", "dvc.lock")
    run("git", "commit", "-qm", "none")
    whole = Path("dvc.lock").read_bytes()
    Path("dvc.lock").write_bytes(b"")
    text, is_well = examine()
    assert is_well
    assert "git has none: removed" in text
    run(sys.executable, "-m", "dvc", "repro", "-q")
    assert Path("dvc.lock").read_bytes() == whole


@pytest.mark.parametrize(
    "content", ["", '{"write": {"/a', "[]", '{"write": {"/a": {"pid": 4194305, "cmd": "dvc repro"}}}']
)
def test_a_broken_or_stale_rwlock_goes(project, content):
    Path(".dvc/tmp/rwlock").write_text(content)
    text, is_well = examine()
    assert is_well
    assert ".dvc/tmp/rwlock" in mendings(text)[0]
    assert not Path(".dvc/tmp/rwlock").exists()
    assert mendings(examine()[0]) == []


def test_locks_of_git_and_claims_on_dvc_go(project, monkeypatch):
    monkeypatch.setattr("pipeline.doctor.locks._git_at_work", lambda: False)
    Path(".git/index.lock").write_text("")
    Path(".dvc/tmp/lock").write_text("/a/.dvc/tmp/lock|host|123|456")
    text, is_well = examine()
    assert is_well
    assert [line.split()[1] for line in mendings(text)] == [".git/index.lock", ".dvc/tmp/lock"]
    monkeypatch.setattr("pipeline.doctor.locks._git_at_work", lambda: True)
    Path(".git/index.lock").write_text("")
    assert mendings(examine()[0]) == []


def test_temporary_files_go_and_nothing_else(project):
    shortuuid = "vytxeTZskVKR7C7WgdSP3d"
    remains = [
        "data/processed/.a.csv.123.part",
        "data/processed/folder/.b.9.part",
        "data/raw/.demo.making-7/joy/a.wav",
        f"data/processed/a.csv.{shortuuid}.tmp",
        f".dvc/cache/files/md5/.{shortuuid}.tmp",
        ".dvc.lock.12.part",
    ]
    kept = ["data/raw/mine/.x.part", "data/processed/part", "data/processed/.hidden", "notes.tmp"]
    for name in (*remains, *kept):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("half")
    text, is_well = examine()
    assert is_well
    assert "6 temporary files" in mendings(text)[0]
    assert not [name for name in remains if Path(name).exists()]
    assert all(Path(name).exists() for name in kept)


@pytest.mark.parametrize("name", ["a.csv", "folder/b"])
def test_a_damaged_output_comes_back_from_the_cache(project, name):
    look_by_dvc()
    path = Path("data/processed", name)
    whole = path.read_bytes()
    damage(path)
    look_by_dvc()  # DVC sees nothing
    text, is_well = examine()
    assert is_well
    assert f"{path}: damaged" in mendings(text)[0]
    assert "put back from DVC's cache" in mendings(text)[0]
    assert path.read_bytes() == whole
    assert mendings(examine()[0]) == []


def test_a_damaged_copy_in_the_cache_is_made_anew_from_the_output(project):
    md5 = hashlib.md5(b'{"a": 1}', usedforsecurity=False).hexdigest()
    copy = Path(".dvc/cache/files/md5", md5[:2], md5[2:])
    damage(copy)
    text, is_well = examine()
    assert is_well
    assert f"{copy}: damaged: made anew" in mendings(text)[0]
    assert copy.read_bytes() == b'{"a": 1}'
    assert not copy.stat().st_mode & 0o222


def test_where_output_and_copy_are_damaged_both_go_and_the_stage_runs_again(project):
    look_by_dvc()
    path = Path("data/processed/folder/b")
    shutil.rmtree(".dvc/cache/runs", ignore_errors=True)
    for copy in Path(".dvc/cache/files/md5").glob("*/*"):
        if copy.read_bytes() == b"b" * 100:
            damage(copy)
    damage(path)
    text, is_well = examine()
    assert is_well
    assert len(mendings(text)) == 2
    assert not path.exists()
    run(sys.executable, "-m", "dvc", "repro", "-q")
    assert path.read_bytes() == b"b" * 100
    assert run("git", "status", "--porcelain").stdout == ""


def test_damage_of_what_git_has_is_found_too(project):
    look_by_dvc()
    damage(Path("metrics/m.json"))
    text, is_well = examine()
    assert is_well
    assert "metrics/m.json: damaged" in mendings(text)[0]
    run(sys.executable, "-m", "dvc", "repro", "-q")
    assert json.loads(Path("metrics/m.json").read_text()) == {"a": 1}


def test_what_another_run_made_stays(project):
    look_by_dvc()
    time.sleep(0.01)
    Path("data/processed/a.csv").write_text("mine")
    text, is_well = examine()
    assert is_well
    assert mendings(text) == []
    assert "table: 1 files of a run that dvc.lock does not name" in text
    assert Path("data/processed/a.csv").read_text() == "mine"


def test_nothing_is_touched_while_a_process_is_at_work(project):
    Path("dvc.lock").write_text("")
    Path("stages").mkdir()
    Path("stages/slow.py").write_text("import time; print('up', flush=True); time.sleep(60)")
    with subprocess.Popen([sys.executable, "stages/slow.py"], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        text, is_well = examine()
        process.kill()
    assert not is_well
    assert f"process {process.pid} (" in text
    assert "wait until it has ended, or end it" in text
    assert Path("dvc.lock").read_text() == ""
    assert examine()[1]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["/usr/bin/dvc", "repro"], True),
        (["/usr/bin/python", "/v/bin/dvc", "repro"], True),
        (["python", "-m", "dvc", "repro"], True),
        (["vim", "notes", "about", "dvc"], False),
        (["python", "-m", "http.server"], False),
        ([], False),
    ],
)
def test_which_commands_are_dvc(command, expected):
    assert is_dvc(command) is expected


def test_a_folder_that_cannot_be_written_and_a_full_disk_are_named(project, monkeypatch):
    def refuse(path, *_, **__):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "touch", refuse)
        text, is_well = examine()
    assert not is_well
    assert "data/processed: cannot be written" in text
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(2**30, 2**30, 0))
        text, is_well = examine()
    assert not is_well
    assert "its disk has 0 MiB left: make room" in text


SLOW = """
import sys, time
from pathlib import Path
from pipeline.console import one_line_errors
from pipeline.store.claims import claimed
from pipeline.store.files import written_whole
with one_line_errors(), claimed(Path("data/processed/slow.csv")):
    Path("began").touch()
    while not Path("go").exists():
        time.sleep(0.02)
    with written_whole(Path("data/processed/slow.csv")) as temporary:
        temporary.write_text("slow")
"""
SLOW_STAGE = """
  slow:
    cmd: python stages/slow.py
    deps: [stages/slow.py]
    outs: [data/processed/slow.csv]
"""


def test_a_stage_that_outlives_dvc_keeps_its_output_to_itself_until_it_ends(project, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2] / "src"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    Path("stages").mkdir()
    Path("stages/slow.py").write_text(SLOW)
    with Path("dvc.yaml").open("a") as file:
        file.write(SLOW_STAGE)
    repro = [sys.executable, "-m", "dvc", "repro", "-q", "slow"]
    with subprocess.Popen(repro, stderr=subprocess.DEVNULL) as dvc:
        while not Path("began").exists():
            time.sleep(0.02)
        dvc.terminate()
    second = subprocess.run(repro, capture_output=True, text=True, check=False)
    assert second.returncode != 0
    said = [line for line in second.stderr.splitlines() if line.startswith("error: ")]
    assert said[0].startswith("error: data/processed/slow.csv: is being written by process ")
    assert "stage slow" in said[0]
    orphan = int(said[0].split("process ")[1].split()[0])
    text, is_well = examine()
    assert not is_well
    assert text.count(f"process {orphan} (") == 1
    Path("go").touch()
    while psutil.pid_exists(orphan) and psutil.Process(orphan).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.02)
    assert examine()[1]
    subprocess.run(repro, check=True, capture_output=True)
    assert Path("data/processed/slow.csv").read_text() == "slow"
    text, is_well = examine()
    assert is_well
    assert "5 of 5 files of outputs are byte for byte as dvc.lock says" in text


@pytest.mark.parametrize("record", ["", "\n0123", "no digest\n"])
def test_records_of_what_was_written_are_left_alone_damaged_ones_too(project, record):
    place = record_of(Path("data/processed/a.csv"))
    place.parent.mkdir()
    place.write_text(record)
    text, is_well = examine()
    assert is_well
    assert mendings(text) == []
    assert place.read_text() == record


def make_corpus(project):
    """A project whose params.yaml names a corpus of two files and a link between them."""
    root = Path(__file__).resolve().parents[2]
    values = YAML(typ="safe", pure=True).load((root / "params.yaml").read_text(encoding="utf-8"))
    with (project / "params.yaml").open("w") as file:
        YAML().dump(values | {"corpora": ["mine"]}, file)
    folder = project / "data/raw/mine/joy"
    folder.mkdir(parents=True)
    (folder / "a.wav").write_bytes(b"sound")
    (folder / "b.wav").symlink_to("a.wav")
    return folder


@pytest.mark.parametrize(
    ("put", "reason"),
    [
        (lambda folder: os.mkfifo(folder / "x.wav"), "x.wav: a named pipe, not a regular file"),
        (lambda folder: (folder / "x.wav").symlink_to("/dev/zero"), "x.wav: a device, not a regular file"),
        (lambda folder: (folder / "x.wav").symlink_to("none.wav"), "x.wav: a dangling link: its target none.wav"),
        (lambda folder: (folder / ".x").symlink_to(".x"), ".x: a looping link"),
        (lambda folder: Path(folder / os.fsdecode(b"\xe9.wav")).touch(), "its name is not valid UTF-8: rename it"),
    ],
    ids=["pipe", "device", "dangling", "loop", "name"],
)
def test_what_dvc_stops_at_among_the_recordings_is_named(project, put, reason):
    folder = make_corpus(project)
    assert examine()[1]
    put(folder)
    text, is_well = examine()
    assert not is_well
    (said,) = [line for line in text.splitlines() if line.startswith("fault:")]
    assert said.startswith("fault:  data/raw/mine: DVC cannot read all of it: ")
    assert reason in said
    assert said.isprintable()


def test_of_many_files_that_dvc_stops_at_five_are_named(project):
    folder = make_corpus(project)
    for number in range(8):
        (folder / f"{number}.wav").symlink_to("none.wav")
    text, _ = examine()
    assert text.count("a dangling link") == 5
    assert "; and 3 more" in text


def test_a_folder_of_recordings_that_is_a_link_is_told(project):
    folder = make_corpus(project)
    (project / "elsewhere").mkdir()
    (folder.parent / "anger").symlink_to(project / "elsewhere")
    text, is_well = examine()
    assert is_well
    (said,) = [line for line in text.splitlines() if line.startswith("note:")]
    assert "data/raw/mine: DVC does not look into folders that are links" in said
    assert said.endswith("`dvc repro -f collect_clips@mine`: anger")
