"""One process writes an output, its files change together, and what killed processes left goes away."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import StoreError
from pipeline.store import claims
from pipeline.store.claims import claimed, files_of, holders, when_in_place
from pipeline.store.files import sha256_of, write_json, written_whole
from pipeline.store.paths import LOCKS, lock_of

SOURCES = Path(__file__).resolve().parents[2] / "src"
HOLD = """
import sys, time
from pathlib import Path
from pipeline.store.claims import claimed
with claimed(Path("data/a.csv")):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    return tmp_path


@pytest.fixture
def other():
    """Another process that holds data/a.csv."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCES), "DVC_STAGE": "slice_blocks@demo"}
    with subprocess.Popen([sys.executable, "-c", HOLD], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def write(path, text):
    with written_whole(Path(path)) as temporary:
        temporary.write_text(text)


def contents(folder="data"):
    return {
        path.name: path.read_text() for path in Path(folder).rglob("*") if path.is_file() and LOCKS not in path.parents
    }


def test_a_second_process_is_told_in_one_line_who_holds_an_output(other):
    with pytest.raises(StoreError) as error, claimed(Path("data/b.csv"), Path("data/a.csv")):
        pytest.fail("two at once")
    assert str(error.value).startswith(f"data/a.csv: is being written by process {other.pid} (-c, stage slice_blocks@")
    assert "wait until it has ended, or end it" in str(error.value)
    assert holders() == [str(error.value).split("written by ")[1].split(": wait")[0]]
    with claimed(Path("data/b.csv")):
        pass  # another output is another lock, and the first claim has let go of it


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_ends_with_its_process(other, how):
    other.send_signal(how)
    other.wait()
    assert holders() == []
    with claimed(Path("data/a.csv")):
        assert str(os.getpid()) in holders()[0]
    assert holders() == []
    assert lock_of(Path("data/a.csv")).read_text() == ""


def test_a_lock_whose_text_cannot_be_read_still_holds(other):
    lock_of(Path("data/a.csv")).write_text("{")
    with pytest.raises(StoreError, match="is being written by another process: wait"), claimed(Path("data/a.csv")):
        pytest.fail("two at once")


def test_a_file_system_without_locks_is_no_obstacle(monkeypatch):
    def unsupported(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", unsupported)
    with claimed(Path("data/a.csv")):
        write("data/a.csv", "new")
    assert contents() == {"a.csv": "new"}


def test_all_files_of_a_stage_change_at_its_end_and_not_before():
    write("data/clips/a.h5", "old")
    write("data/clips/gone.csv", "old")
    write("data/beside.csv", "old")
    before = contents()
    with claimed(Path("data/clips"), Path("data/beside.csv")):
        write("data/clips/a.h5", "new")
        write("data/beside.csv", "new")
        write("data/elsewhere.csv", "at once")
        assert {name: text for name, text in contents().items() if not name.startswith(".")} == {
            **before,
            "elsewhere.csv": "at once",
        }
    assert contents() == {"a.h5": "new", "beside.csv": "new", "elsewhere.csv": "at once"}


@pytest.mark.parametrize("fault", [ValueError("mine"), KeyboardInterrupt(), StoreError("full")])
def test_after_an_error_all_files_are_as_before(fault):
    write("data/clips/a.h5", "old")
    write("data/clips/a.csv", "old")
    with pytest.raises(type(fault)), claimed(Path("data/clips")):
        write("data/clips/a.h5", "new")
        raise fault
    assert contents() == {"a.h5": "old", "a.csv": "old"}


def test_a_disk_that_fills_up_with_the_last_file_leaves_all_as_before(monkeypatch):
    write("data/clips/a.h5", "old")
    write("data/clips/a.csv", "old")
    with pytest.raises(StoreError, match="No space left"), claimed(Path("data/clips")):
        write("data/clips/a.h5", "new")
        with written_whole(Path("data/clips/a.csv")):
            raise OSError(errno.ENOSPC, "No space left on device")
    assert contents() == {"a.h5": "old", "a.csv": "old"}


def test_between_the_renames_there_are_never_files_of_both(monkeypatch):
    for name in "abc":
        write(f"data/clips/{name}", "old")
    seen = []
    rename = claims.put_in_place

    def watched(temporary, path):
        seen.append({text for name, text in contents().items() if not name.startswith(".")})
        rename(temporary, path)
        seen.append({text for name, text in contents().items() if not name.startswith(".")})

    monkeypatch.setattr(claims, "put_in_place", watched)
    with claimed(Path("data/clips")):
        for name in "abc":
            write(f"data/clips/{name}", "new")
    assert seen == [{"old"}, {"new"}, {"new"}, {"new"}, {"new"}, {"new"}]


def test_a_digest_is_of_what_waits_and_what_is_to_follow_waits_too():
    write("data/a.csv", "old")
    done = []
    with claimed(Path("data/a.csv")):
        write("data/a.csv", "abc")
        assert sha256_of(Path("data/a.csv")).startswith("ba7816bf")  # FIPS 180-4
        assert Path("data/a.csv").read_text() == "old"
        when_in_place(lambda: done.append(Path("data/a.csv").read_text()))
        assert done == []
    assert done == ["abc"]
    when_in_place(lambda: done.append("at once"))
    assert done == ["abc", "at once"]


def test_what_is_to_follow_does_not_after_an_error():
    done = []
    with pytest.raises(ValueError, match="mine"), claimed(Path("data/a.csv")):
        when_in_place(lambda: done.append("done"))
        raise ValueError("mine")
    assert done == []


def test_what_killed_processes_left_is_removed_and_nothing_else():
    names = (".a.csv.123.part", ".a.csv.growing.part", ".other.csv.123.part", "a.csv.part", ".hidden", "a.csv")
    for name in (*names, "clips/.clips.h5.9.part", "clips/clips.h5"):
        Path("data", name).parent.mkdir(parents=True, exist_ok=True)
        Path("data", name).write_text("")
    with claimed(Path("data/a.csv"), Path("data/clips")):
        pass
    assert set(contents()) == {".other.csv.123.part", "a.csv.part", ".hidden", "a.csv", "clips.h5"}


def test_a_name_with_the_letters_of_patterns_is_taken_as_it_is():
    Path("data").mkdir()
    for name in (".a[b]*.csv.1.part", ".ab.csv.1.part"):
        Path("data", name).write_text("")
    assert [path.name for path in files_of(Path("data/a[b]*.csv"))] == [".a[b]*.csv.1.part"]


@pytest.mark.parametrize("output", ["data/file/a.csv", "data/file"])
def test_what_cannot_be_written_is_said_before_any_work(output):
    write("data/file", "old") if output != "data/file" else Path("data").write_text("old")
    with pytest.raises(StoreError, match=f"{output}: cannot be written") as error, claimed(Path(output)):
        pytest.fail("there is nowhere to write")
    assert "\n" not in str(error.value)


def test_json_written_twice_is_the_later():
    with claimed(Path("data")):
        write_json(Path("data/a.json"), {"a": 1})
        write_json(Path("data/a.json"), {"a": 2})
    assert "2" in Path("data/a.json").read_text()
