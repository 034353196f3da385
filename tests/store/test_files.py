"""Whole files or none, whatever goes wrong while one is written."""

import errno
import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import StoreError
from pipeline.store.files import read_json, sha256_of, write_json, written_whole

SOURCES = Path(__file__).resolve().parents[2] / "src"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def one_line(error):
    return "\n" not in str(error.value)


def test_the_file_appears_only_once_the_block_has_ended(tmp_path):
    target = tmp_path / "new" / "folder" / "table.csv"
    with written_whole(target) as temporary:
        temporary.write_text("whole")
        assert not target.exists()
        assert temporary.parent == target.parent  # a rename across file systems would not be atomic
    assert target.read_text() == "whole"
    assert names(target.parent) == ["table.csv"]


@pytest.mark.parametrize("fault", [ValueError("mine"), KeyboardInterrupt()])
def test_after_any_error_the_old_content_is_there_and_nothing_else(tmp_path, fault):
    target = tmp_path / "table.csv"
    target.write_text("old")
    with pytest.raises(type(fault)), written_whole(target) as temporary:
        temporary.write_text("half")
        raise fault
    assert target.read_text() == "old"
    assert names(tmp_path) == ["table.csv"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_is_one_error_and_keeps_the_old_content(tmp_path, monkeypatch, call):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    target = tmp_path / "table.csv"
    target.write_text("old")
    monkeypatch.setattr(*((os, "fsync", full) if call == "fsync" else (Path, "replace", full)))
    with pytest.raises(StoreError, match="No space left on device") as error, written_whole(target) as temporary:
        temporary.write_text("new")
    monkeypatch.undo()
    assert str(target) in str(error.value)
    assert one_line(error)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["table.csv"]


def test_a_file_system_that_cannot_sync_folders_is_no_error(tmp_path, monkeypatch):
    real = os.fsync

    def files_only(handle):
        if Path(f"/proc/self/fd/{handle}").resolve().is_dir():
            raise OSError(errno.EINVAL, "Invalid argument")
        real(handle)

    monkeypatch.setattr(os, "fsync", files_only)
    with written_whole(tmp_path / "a") as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "a").read_text() == "whole"


def test_a_parent_that_is_a_file_is_refused_by_name(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as error, written_whole(tmp_path / "file" / "table.csv"):
        pytest.fail("there is nowhere to write")
    assert str(tmp_path / "file" / "table.csv") in str(error.value)
    assert one_line(error)


def test_a_target_that_is_a_folder_is_refused_and_left_alone(tmp_path):
    (tmp_path / "table.csv" / "inside").mkdir(parents=True)
    with pytest.raises(StoreError), written_whole(tmp_path / "table.csv") as temporary:
        temporary.write_text("new")
    assert names(tmp_path) == ["table.csv"]
    assert names(tmp_path / "table.csv") == ["inside"]


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from pipeline.console import one_line_errors
from pipeline.store.arrays import new_arrays
from pipeline.store.files import write_json
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
with one_line_errors():
    if sys.argv[2] == "json":
        write_json(Path(sys.argv[1]), {"long": "x" * 200_000})
    with new_arrays(Path(sys.argv[1])) as arrays:
        arrays.create("x", row_shape=(50, 30), dtype="<f4", rows_in_chunk=int(sys.argv[2]))
        for _ in range(int(sys.argv[3])):
            arrays.append("x", np.ones((7, 50, 30)))
        arrays.finish({"name": "x"})
"""


# Rows in a chunk, and how often 7 are added: written at once, when memory for chunks is used up, or on closing only.
@pytest.mark.parametrize(("kind", "times"), [("json", 0), ("1", 100), ("7", 100), ("1000", 100), ("1000", 1)])
def test_a_process_that_cannot_write_on_says_so_in_one_line_and_ends_well(tmp_path, kind, times):
    # The operating system refuses to let a file grow, as it does on a full disk; HDF5 would crash at exit.
    target = tmp_path / "file"
    target.write_text("old")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(target), kind, str(times)],
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == f"error: {target}: cannot be written (File too large); what was there is unchanged\n"
    assert done.returncode == 1
    assert target.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_json_is_sorted_and_read_back(tmp_path):
    value = {"b": [1, 2.5, None], "a": {"y": "é", "x": True}}
    write_json(tmp_path / "v.json", value)
    text = (tmp_path / "v.json").read_text(encoding="utf-8")
    assert text == json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert text.index('"a"') < text.index('"b"')
    assert text.index('"x"') < text.index('"y"')
    assert read_json(tmp_path / "v.json") == value


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_json_refuses_what_is_no_number_and_names_its_key(tmp_path, number):
    target = tmp_path / "metrics.json"
    target.write_text("{}")
    with pytest.raises(StoreError, match=r"clip\.recall\.1\.joy is NaN or infinite"):
        write_json(target, {"block": {"uar": 0.5}, "clip": {"recall": [{"joy": 0.25}, {"joy": number}]}})
    assert target.read_text() == "{}"


def test_a_name_that_is_not_utf8_becomes_valid_json(tmp_path):
    write_json(tmp_path / "v.json", {"name": "caf\udce9.wav"})
    assert (tmp_path / "v.json").read_bytes().decode("utf-8") == '{\n  "name": "caf\\udce9.wav"\n}\n'
    assert read_json(tmp_path / "v.json") == {"name": "caf\udce9.wav"}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b'"text"'])
def test_what_is_no_json_mapping_is_refused_by_name(tmp_path, content):
    (tmp_path / "v.json").write_bytes(content)
    with pytest.raises(StoreError, match=r"v\.json.*dvc repro") as error:
        read_json(tmp_path / "v.json")
    assert one_line(error)


def test_a_key_that_a_json_file_lacks_is_named_with_the_file_at_any_depth(tmp_path):
    write_json(tmp_path / "v.json", {"a": [{"b": {"c": 1}}]})
    value = read_json(tmp_path / "v.json")
    assert value["a"][0]["b"]["c"] == 1
    for place in (value, value["a"][0], value["a"][0]["b"]):
        with pytest.raises(StoreError, match=r"v\.json: has no 'interval': run `dvc repro -f`"):
            place["interval"]
        assert place.get("interval") is None
        assert "interval" not in place
        assert json.loads(json.dumps(place)) == pickle.loads(pickle.dumps(place)) == place
    with pytest.raises(KeyError):
        type(value)(value)["interval"]  # a copy is of no file


def test_a_missing_json_file_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"v\.json: missing"):
        read_json(tmp_path / "v.json")


def test_sha256_is_of_the_bytes(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    assert sha256_of(tmp_path / "f") == hashlib.sha256(b"abc").hexdigest()
    # FIPS 180-4, the example of one block
    assert sha256_of(tmp_path / "f").startswith("ba7816bf")
