"""However DVC brings a table to a stage, the stage reads it; damage that DVC does not see is refused."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.doctor import examine

SOURCES = Path(__file__).resolve().parents[2] / "src"
DVC_YAML = """
stages:
  first:
    cmd: python first.py
    params: [first]
    outs: [data/processed/clips/a, data/processed/first.json]
  second:
    cmd: python second.py
    deps: [data/processed/clips/a, data/processed/first.json]
    params: [second]
    metrics: [metrics/second.json: {cache: false}]
  third:
    cmd: python third.py
    deps: [metrics/second.json, data/processed/first.json]
    params: [third]
    outs: [data/processed/third.json]
"""
STAGE = """
from pathlib import Path
from pipeline.errors import StoreError
from pipeline.store.claims import claimed
from pipeline.store.files import read_json, write_json

own = dict(line.split(": ") for line in Path("params.yaml").read_text().splitlines())["{name}"]
try:
    with claimed(*map(Path, {claims})):
        read = [read_json(Path(path)) for path in {reads}]
        for path in {writes}:
            write_json(Path(path), {{"{name}": int(own), "read": read}})
except StoreError as error:
    raise SystemExit(f"error: {{error}}") from None
"""
FOLDER, FIRST, SECOND = "data/processed/clips/a", "data/processed/first.json", "metrics/second.json"
STAGES = {
    "first": {
        "claims": [FOLDER, FIRST],
        "reads": [],
        "writes": [f"{FOLDER}/clips.json", f"{FOLDER}/notes.json", FIRST],
    },
    "second": {"claims": [SECOND], "reads": [f"{FOLDER}/clips.json", FIRST], "writes": [SECOND]},
    "third": {
        "claims": ["data/processed/third.json"],
        "reads": [SECOND, FIRST],
        "writes": ["data/processed/third.json"],
    },
}


def run(*command, code=0):
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(SOURCES),
        "DVC_NO_ANALYTICS": "1",
    }
    for who in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{who}_NAME": "t", f"GIT_{who}_EMAIL": "t@example.org"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def forget():
    """Have no record of what was written, as in a fresh clone."""
    shutil.rmtree("data/processed/locks", ignore_errors=True)


def change(**values):
    text = "".join(f"{name}: {values.get(name, 0)}\n" for name in STAGES)
    Path("params.yaml").write_text(text)


def damage(path):
    """Flip a bit of a digit as a disk does: no time and no size changes."""
    before, text = path.stat(), path.read_text()
    path.chmod(0o644)
    path.write_text(text.replace('"first": 1', '"first": 0'))
    assert path.read_text() != text
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def third():
    return Path("data/processed/third.json").read_text()


@pytest.mark.slow
def test_however_a_file_came_it_is_read_and_damage_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.models.networks.network_names", list)
    Path("dvc.yaml").write_text(DVC_YAML)
    for name, paths in STAGES.items():
        Path(f"{name}.py").write_text(STAGE.format(name=name, **paths))
    Path(".gitignore").write_text("/data/processed/\n")
    run("git", "init", "-q", "-b", "main")
    run("dvc", "init", "-q")
    for value in (1, 2):
        change(first=value)
        run("dvc", "repro")
        run("git", "add", "-A")
        run("git", "commit", "-qm", str(value))

    # another commit, and what DVC's cache has of it; a stage is run by hand before DVC runs one
    run("git", "checkout", "-q", "HEAD~1")
    run("dvc", "checkout")
    forget()
    run("python", "third.py")
    change(first=1, second=5)
    assert "Running stage 'second'" in run("dvc", "repro")
    assert '"second": 5' in third()

    # without a cache, by dvc.lock alone: a fresh clone that others' results came to
    forget()
    Path(".dvc/cache").rename("cache")
    for name in ("second", "third"):
        run("python", f"{name}.py")
    forget()
    kept = Path(FOLDER, "notes.json").read_text()
    Path(FOLDER, "notes.json").write_text("{}")  # the folder is no longer the one of dvc.lock
    assert f"{FOLDER}/clips.json: damaged" in run("python", "second.py", code=1)
    Path(FOLDER, "notes.json").write_text(kept)
    Path("cache").rename(".dvc/cache")

    # DVC's cache of runs, and outputs that are links into the cache
    Path(".dvc/config").write_text("[cache]\n    type = hardlink\n")
    change(first=2)
    assert "is cached - skipping run" in run("dvc", "repro")
    forget()
    change(first=2, third=6)
    assert "Running stage 'third'" in run("dvc", "repro")

    # an experiment beside the workspace, and taking it over
    run("git", "add", "-A")
    run("git", "commit", "-qm", "links")
    assert "Running stage 'second'" in run("dvc", "exp", "run", "--temp", "--name", "more", "-S", "second=7")
    run("dvc", "exp", "apply", "more")
    assert '"second": 7' in third()
    forget()
    run("python", "third.py")

    # damage
    Path(".dvc/config").write_text("")
    change(first=1, third=7)
    run("dvc", "repro")
    damage(Path(FIRST))
    change(first=1, third=8)
    said = run("dvc", "repro", code=255)
    assert f"error: {FIRST}: damaged, or changed by hand" in said
    text, is_well = examine()
    assert is_well
    assert f"{FIRST}: damaged: its bytes are not those of dvc.lock: put back" in text
    run("dvc", "repro")
    assert '"third": 8' in third()
