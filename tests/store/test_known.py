"""A stage reads tables and JSON files that a stage wrote or DVC brought, and no damaged ones."""

import contextlib
import errno
import hashlib
import json
from pathlib import Path

import pytest

from pipeline.errors import StoreError
from pipeline.store import claims
from pipeline.store.claims import claimed
from pipeline.store.files import read_json, write_json, written_whole
from pipeline.store.paths import LOCKS, METRICS, RESUME, SPLIT, clips_csv, record_of
from pipeline.store.tables import LiveTable, Noted, Rejected, read_rows, write_rows

CACHE = Path(".dvc/cache")
TABLE = clips_csv("mine").with_name("rejected.csv")
ROWS = [Rejected(path="1.wav", label="joy", reason="too short")]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "nobody"))
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", str(tmp_path / "nobody"))
    return tmp_path


def write(path, value):
    """Be a stage that writes one JSON file."""
    with claimed(path):
        write_json(path, {"value": value})


def read(path):
    """Be another stage, which reads it."""
    with claimed(Path("data/processed/other.csv")):
        return read_json(path)["value"]


def put(path, value):
    """Put content there as neither a stage nor DVC does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text_of(value), encoding="utf-8")


def text_of(value):
    return f'{{\n  "value": {value}\n}}\n'


def md5_of(text):
    return hashlib.md5(text.encode()).hexdigest()


def lock(**outputs):
    """Write dvc.lock with outputs of one stage."""
    lines = [f"    - path: {path}\n      hash: md5\n      md5: {md5}\n      size: 1\n" for path, md5 in outputs.items()]
    text = f"schema: '2.0'\nstages:\n  one:\n    cmd: x\n    outs:\n{''.join(lines)}"
    Path("dvc.lock").write_text(text, encoding="utf-8")


def store(text, cache=CACHE):
    """Have DVC's cache hold a content."""
    md5 = md5_of(text)
    copy = Path(cache) / "files/md5" / md5[:2] / md5[2:]
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(text, encoding="utf-8")
    return copy


def assert_refused(path):
    with pytest.raises(StoreError) as error:
        read(path)
    assert str(error.value) == (
        f"{path}: damaged, or changed by hand: neither a stage nor DVC has written what it holds: run `emospec "
        "doctor`, then `dvc repro`; or if the change is meant, `dvc commit`"
    )


@pytest.mark.parametrize("path", [METRICS, SPLIT.with_suffix(".json"), Path("models/0-a/model.json")])
def test_a_changed_digit_is_refused_by_name_and_what_a_stage_wrote_is_read(path):
    write(path, 17)
    assert read(path) == 17
    put(path, 16)
    assert_refused(path)
    write(path, 16)
    assert read(path) == 16


def test_every_bit_of_a_table_counts():
    with claimed(TABLE.parent):
        write_rows(TABLE, Rejected, ROWS)
    content = TABLE.read_bytes()
    with claimed(SPLIT):
        assert read_rows(TABLE, Rejected) == ROWS
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        TABLE.write_bytes(damaged)
        with claimed(SPLIT), pytest.raises(StoreError, match=r"rejected\.csv: damaged"):
            read_rows(TABLE, Rejected)


def test_commands_that_are_no_stages_read_what_people_bring():
    write(METRICS, 17)
    put(METRICS, 16)
    assert read_json(METRICS)["value"] == 16


def test_runs_by_hand_one_after_the_other_are_known_and_so_is_what_comes_back():
    for value in (1, 2, 3):
        write(METRICS, value)
        assert read(METRICS) == value
    put(METRICS, 1)
    assert read(METRICS) == 1


def test_what_a_table_is_once_it_has_grown_is_known():
    path = Path("data/processed/curves/0-a.csv")
    with claimed(path), LiveTable(path, Noted) as table:
        table.append(Noted(path="1.wav", note="streamed"))
    with claimed(SPLIT):
        assert len(read_rows(path, Noted)) == 1


def test_what_is_written_without_a_claim_is_known():
    write(METRICS, 17)
    write_json(METRICS, {"value": 18})
    assert read(METRICS) == 18


@pytest.mark.parametrize("moment", range(5))
def test_after_a_kill_at_any_moment_what_is_there_is_known(monkeypatch, moment):
    folder = Path("data/processed/clips/mine")
    names = ("a.json", "b.json")

    def run(value):
        with claimed(folder):
            for name in names:
                write_json(folder / name, {"value": value})

    class Killed(BaseException):
        pass

    events = iter(range(6))

    def killed_at(function):
        def step(*arguments):
            if next(events) == moment:
                raise Killed
            function(*arguments)

        return step

    run(1)
    with monkeypatch.context() as patched, pytest.raises(Killed) if moment < 4 else contextlib.nullcontext():
        for function in ("note", "put_in_place"):
            patched.setattr(claims, function, killed_at(getattr(claims, function)))
        run(2)
    there = {read(folder / name) for name in names if (folder / name).is_file()}
    assert there == ({1} if moment < 3 else {2})


@pytest.mark.parametrize("made", [b"", b"\n0123456789", b"\xff\x00", b"\n" + b"0" * 31 + b"g"])
def test_of_a_damaged_record_nothing_counts_and_the_next_line_does(made):
    write(METRICS, 17)
    record_of(METRICS).write_bytes(made)
    put(METRICS, 16)
    assert read(METRICS) == 16  # nothing says that this is wrong
    write(METRICS, 18)
    assert read(METRICS) == 18
    put(METRICS, 16)
    assert_refused(METRICS)


def test_what_was_made_by_hand_is_read_and_dvc_lock_may_be_broken():
    put(METRICS, 16)
    for text in (None, "", "{", "stages: 1", "stages: {one: {outs: [1]}}", "schema: '2.0'\nstages: {}\n"):
        if text is not None:
            Path("dvc.lock").write_text(text)
        assert read(METRICS) == 16


def test_a_file_that_git_or_dvc_brought_is_the_one_of_dvc_lock():
    put(METRICS, 16)
    lock(**{"metrics/metrics.json": md5_of(text_of(16)), "data/raw": "0" * 32})
    assert read(METRICS) == 16
    put(METRICS, 17)
    assert_refused(METRICS)
    write(METRICS, 17)  # by hand: DVC has not noted it yet
    assert read(METRICS) == 17
    put(METRICS, 16)  # and back, by git
    assert read(METRICS) == 16


def test_a_file_of_a_folder_is_right_where_the_folder_is_the_one_of_dvc_lock():
    folder = Path("data/processed/clips/mine")
    put(folder / "a.json", 16)
    put(folder / "b.json", 3)
    listed = [{"md5": md5_of(text_of(value)), "relpath": name} for name, value in (("a.json", 16), ("b.json", 3))]
    lock(**{folder.as_posix(): md5_of(json.dumps(listed, sort_keys=True)) + ".dir"})
    assert read(folder / "a.json") == 16
    put(folder / "a.json", 17)
    assert_refused(folder / "a.json")


@pytest.mark.parametrize("settings", [None, "config", "config.local"])
def test_what_lies_in_dvcs_cache_was_written_by_a_stage_whatever_dvc_lock_says_now(settings):
    write(METRICS, 17)
    lock(**{"metrics/metrics.json": "0" * 32})
    put(METRICS, 16)
    assert_refused(METRICS)
    Path(".dvc").mkdir()
    if settings:
        Path(".dvc/config").touch()
        Path(".dvc", settings).write_text("[cache]\n    dir = ../elsewhere\n['remote \"x\"']\n    url = /x\n")
    store(text_of(16), cache="elsewhere" if settings else CACHE)
    assert read(METRICS) == 16


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_a_link_into_dvcs_cache_is_read_and_damage_behind_it_seen(link):
    copy = store(text_of(16))
    lock(**{"metrics/metrics.json": md5_of(text_of(16))})
    METRICS.parent.mkdir()
    link(METRICS, copy.absolute())
    assert read(METRICS) == 16
    copy.write_text(text_of(17))
    assert_refused(METRICS)


@pytest.mark.parametrize("path", [RESUME / "0-a/note.json", Path("metrics/search/x.json"), Path("data/raw/x.json")])
def test_what_stages_do_not_exchange_has_no_record(path):
    write_json(path, {"value": 17})
    put(path, 16)
    assert read(path) == 16
    assert not list(LOCKS.glob("*.known"))


def test_arrays_carry_their_own_digests_and_have_no_record():
    with claimed(Path("data/processed/a.h5")), written_whole(Path("data/processed/a.h5")) as temporary:
        temporary.write_text("x")
    assert not list(LOCKS.glob("*.known"))


def test_a_disk_without_room_for_a_record_leaves_all_as_it_was(monkeypatch):
    write(METRICS, 17)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with (
        monkeypatch.context() as patched,
        pytest.raises(StoreError, match=r"metrics\.json: cannot be written \(No space"),
    ):
        patched.setattr(claims, "note", full)
        write(METRICS, 18)
    assert json.loads(METRICS.read_text()) == {"value": 17}


def test_a_missing_file_is_named_by_its_reader():
    with pytest.raises(StoreError, match=r"metrics\.json: missing: run `dvc repro`"):
        read(METRICS)
