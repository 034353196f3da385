"""A file from a server: resumed, repeated, checked, and never half there."""

import gc
import hashlib
import io
import os
import re
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest
from obtain.server import publisher

from pipeline.corpora.corpus import Download
from pipeline.errors import ObtainError
from pipeline.obtain import download as module
from pipeline.obtain.download import fetch_file, file_name
from pipeline.obtain.progress import ByteProgress

DATA = bytes(range(256)) * 400  # 102 400 bytes
SHA256 = hashlib.sha256(DATA).hexdigest()
MD5 = hashlib.md5(DATA).hexdigest()
SRC = Path(module.__file__).parents[2]


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with publisher() as found:
        yield found


@pytest.fixture
def waits(monkeypatch):
    waited = []
    monkeypatch.setattr(module.time, "sleep", waited.append)
    return waited


@pytest.fixture
def target(tmp_path):
    return tmp_path / "a.zip"


def stated(server, path="/a.zip", **changes):
    return Download(url=server.url(path), **{"checksum": f"sha256:{SHA256}", "n_bytes": len(DATA), **changes})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def refusal(*args):
    with pytest.raises(ObtainError) as error:
        fetch_file(*args)
    message = str(error.value)
    assert message.isprintable(), "a message is one line"
    return message


@pytest.mark.parametrize("checksum", ["", f"md5:{MD5}", f"sha256:{SHA256.upper()}"])
@pytest.mark.parametrize("n_bytes", [None, len(DATA)])
def test_the_file_is_there_whole_and_nothing_else(server, target, checksum, n_bytes):
    served = server.offer("/a.zip", DATA)
    assert fetch_file(stated(server, checksum=checksum, n_bytes=n_bytes), target) == SHA256
    assert target.read_bytes() == DATA
    assert names(target.parent) == ["a.zip"]
    assert served.asked == [None]


def test_what_is_there_and_as_stated_is_not_asked_for_again(server, target):
    served = server.offer("/a.zip", DATA)
    target.write_bytes(DATA)
    assert fetch_file(stated(server), target) == SHA256
    assert served.asked == []


def test_what_is_there_and_not_as_stated_is_fetched_anew(server, target):
    server.offer("/a.zip", DATA)
    target.write_bytes(DATA[:-1] + b"x")
    assert fetch_file(stated(server), target) == SHA256
    assert target.read_bytes() == DATA


@pytest.mark.parametrize("last_modified", [None, "Sat, 01 Mar 2025 10:00:00 GMT"])
@pytest.mark.parametrize("etag", [None, '"one"'])
def test_a_broken_connection_is_taken_up_where_it_broke(server, target, waits, etag, last_modified):
    served = server.offer("/a.zip", DATA, etag=etag, last_modified=last_modified, drops=[30_000, 50_000])
    assert fetch_file(stated(server), target) == SHA256
    assert served.asked == [None, "bytes=30000-", "bytes=80000-"]
    assert served.if_range == [None, etag or last_modified, etag or last_modified]
    assert served.sent == [30_000, 50_000, 22_400]
    assert waits == [1.0, 1.0], "after a gain the waiting begins anew"


def test_without_gain_each_wait_is_longer_and_then_it_is_given_up(server, target, waits):
    served = server.offer("/a.zip", DATA, drops=[100] + [0] * 20)
    message = refusal(stated(server), target)
    assert "100 B of 102 kB, 6 times: try again later" in message
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert served.asked == [None] + ["bytes=100-"] * 5
    assert not target.exists()
    assert (target.parent / "a.zip.part").read_bytes() == DATA[:100]


def test_a_server_without_ranges_gives_all_of_it_again(server, target, waits):
    served = server.offer("/a.zip", DATA, ranges=False, drops=[30_000])
    assert fetch_file(stated(server), target) == SHA256
    assert served.sent == [30_000, len(DATA)]
    assert target.read_bytes() == DATA


def test_a_server_without_ranges_that_always_breaks_off_is_given_up(server, target, waits):
    served = server.offer("/a.zip", DATA, ranges=False, drops=[30_000] * 99)
    refusal(stated(server), target)
    assert len(served.sent) == 6


@pytest.mark.parametrize("heeds_if_range", [True, False])
def test_a_file_that_changed_meanwhile_is_begun_anew(server, target, waits, heeds_if_range):
    old = server.offer("/a.zip", b"x" * len(DATA), etag='"old"', drops=[30_000] + [0] * 9)
    refusal(stated(server), target)
    assert old.asked[1] == "bytes=30000-"
    served = server.offer("/a.zip", DATA, etag='"new"', heeds_if_range=heeds_if_range)
    assert fetch_file(stated(server), target) == SHA256
    assert target.read_bytes() == DATA
    assert sum(served.sent) >= len(DATA)


def test_a_changed_file_of_another_size_is_begun_anew_without_any_tag(server, target, waits):
    server.offer("/a.zip", b"x" * 50_000, etag=None, drops=[30_000] + [0] * 9)
    refusal(stated(server, n_bytes=None, checksum=""), target)
    server.offer("/a.zip", DATA, etag=None)
    assert fetch_file(stated(server, n_bytes=None, checksum=""), target) == SHA256


def test_a_mixture_of_two_versions_that_only_the_checksum_shows_is_fetched_once_more(server, target, waits):
    server.offer("/a.zip", b"x" * len(DATA), etag=None, drops=[30_000] + [0] * 9)
    refusal(stated(server), target)
    served = server.offer("/a.zip", DATA, etag=None)
    assert fetch_file(stated(server), target) == SHA256
    assert served.asked == ["bytes=30000-", None]


def test_a_weak_tag_is_no_promise_of_the_same_bytes(server, target, waits):
    served = server.offer("/a.zip", DATA, etag='W/"one"', drops=[30_000], heeds_if_range=True)
    assert fetch_file(stated(server), target) == SHA256
    assert served.asked == [None, "bytes=30000-"], "the size is known, so a part will do, without If-Range"
    assert served.if_range == [None, None]


@pytest.mark.parametrize("checksum", ["md5:" + "0" * 32, "sha256:" + "0" * 64])
def test_a_wrong_checksum_leaves_nothing(server, target, checksum):
    served = server.offer("/a.zip", DATA)
    message = refusal(stated(server, checksum=checksum), target)
    assert "is stated" in message
    assert (MD5 if checksum.startswith("md5") else SHA256) in message
    assert names(target.parent) == []
    assert len(served.asked) == 1


def test_a_wrong_size_is_refused_before_it_is_fetched(server, target):
    server.offer("/a.zip", DATA)
    message = refusal(stated(server, n_bytes=99), target)
    assert "the server offers 102400 bytes, 99 are stated" in message
    assert names(target.parent) == []


def test_more_than_is_stated_is_refused_while_it_comes(server, target):
    server.offer("/a.zip", DATA, states_length=False)
    assert "more came than the 99 bytes" in refusal(stated(server, n_bytes=99), target)
    assert not target.exists()


def test_a_server_that_does_not_state_the_length(server, target, waits):
    served = server.offer("/a.zip", DATA, states_length=False, drops=[30_000])
    assert fetch_file(stated(server), target) == SHA256
    assert served.asked == [None, "bytes=30000-"]


def test_a_file_that_came_whole_but_was_not_noticed(server, target, waits):
    """Without any length its end looks like a break; the server then has nothing left to give."""
    server.offer("/a.zip", DATA)
    part = target.parent / "a.zip.part"
    part.write_bytes(DATA)
    (target.parent / "a.zip.part.json").write_text(f'{{"url": "{server.url("/a.zip")}", "etag": "\\"one\\""}}')
    assert fetch_file(stated(server), target) == SHA256
    assert not part.exists()


def test_a_part_longer_than_the_file_is_thrown_away(server, target, waits):
    server.offer("/a.zip", DATA)
    (target.parent / "a.zip.part").write_bytes(DATA + b"more")
    (target.parent / "a.zip.part.json").write_text(f'{{"url": "{server.url("/a.zip")}", "etag": "\\"one\\""}}')
    assert fetch_file(stated(server), target) == SHA256


@pytest.mark.parametrize("note", ["", "{", "[1]", '{"url": "http://127.0.0.1/other.zip", "etag": "1"}'])
def test_a_part_without_a_note_of_where_it_is_from_is_not_built_upon(server, target, note):
    served = server.offer("/a.zip", DATA)
    (target.parent / "a.zip.part").write_bytes(b"x" * 1000)
    (target.parent / "a.zip.part.json").write_text(note)
    assert fetch_file(stated(server, checksum=""), target) == SHA256
    assert served.asked == [None]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_status_that_passes_is_waited_for(server, target, waits, status):
    server.offer("/a.zip", DATA, statuses=[status, status])
    assert fetch_file(stated(server), target) == SHA256
    assert waits == [1.0, 2.0]


@pytest.mark.parametrize(("asked", "waited"), [("7", 7.0), ("100000", 60.0), ("soon", 1.0), ("-3", 1.0)])
def test_the_server_may_say_how_long_to_wait(server, target, waits, asked, waited):
    server.offer("/a.zip", DATA, statuses=[503], retry_after=asked)
    fetch_file(stated(server), target)
    assert waits == [waited]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_status_that_stays_is_an_error_at_once(server, target, waits, status):
    server.offer("/a.zip", DATA, statuses=[status])
    assert f"/a.zip: the server said {status} " in refusal(stated(server), target)
    assert waits == []


def test_redirects_are_followed_and_keep_the_range(server, target, waits):
    server.offer("/a.zip", location="/elsewhere")
    served = server.offer("/elsewhere", DATA, drops=[30_000])
    assert fetch_file(stated(server), target) == SHA256
    assert served.asked == [None, "bytes=30000-"]


def test_redirects_in_a_circle_end(server, target):
    server.offer("/a.zip", location="/a.zip")
    assert "the server said 302" in refusal(stated(server), target)


@pytest.mark.parametrize("elsewhere", ["file:///etc/hostname", "ftp://127.0.0.1/a.zip", "data:,x"])
def test_redirects_to_other_than_http_are_not_followed(server, target, waits, elsewhere):
    server.offer("/a.zip", location=elsewhere)
    refusal(stated(server), target)
    assert not target.exists()


def test_a_protected_connection_is_not_given_up_for_an_open_one():
    request = module.urllib.request.Request("https://example.org/a.zip")
    redirects = module._Redirects()
    assert redirects.redirect_request(request, None, 302, "", {}, "https://example.org/b.zip").type == "https"
    with pytest.raises(ObtainError, match=r"from https to http://example\.org/b\.zip"):
        redirects.redirect_request(request, None, 302, "", {}, "http://example.org/b.zip")


def test_nobody_there(target, waits, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with publisher() as gone:
        url = gone.url("/a.zip")
    assert "no connection (Connection refused), 6 times" in refusal(Download(url=url), target)
    assert len(waits) == 5


def test_a_file_larger_than_the_disk_is_refused_before_it_is_fetched(server, target, monkeypatch):
    server.offer("/a.zip", DATA)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage(0, 0, 1000))
    assert "102 kB to come, 1 kB free" in refusal(stated(server), target)
    assert names(target.parent) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full to write to")
def test_a_full_disk_is_told_as_such_and_not_as_a_broken_connection(server, target, monkeypatch, waits):
    served = server.offer("/a.zip", DATA)
    append = module._append
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(module, "_append", lambda _, chunk: append(full, chunk))
        assert "cannot be written (No space left on device): make room" in refusal(stated(server), target)
    assert (len(served.asked), waits) == (1, [])


def test_killed_in_the_middle_the_next_call_fetches_the_rest_only(server, target):
    slow = DATA * 100  # 10 MB, and the server stops after half of it
    half = len(slow) // 2
    digest = hashlib.sha256(slow).hexdigest()
    served = server.offer("/a.zip", slow, drops=[half] + [0] * 99)
    program = f"""
from pathlib import Path
from pipeline.corpora.corpus import Download
from pipeline.obtain.download import fetch_file
fetch_file(Download(url={server.url("/a.zip")!r}, checksum="sha256:{digest}"), Path({str(target)!r}))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(SRC)}, stderr=subprocess.DEVNULL
    )
    part, end = target.parent / "a.zip.part", time.monotonic() + 60
    while not (part.exists() and part.stat().st_size == half) and time.monotonic() < end:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert part.stat().st_size == half
    served.drops.clear(), served.asked.clear(), served.sent.clear()
    assert fetch_file(Download(url=server.url("/a.zip"), checksum=f"sha256:{digest}"), target) == digest
    assert served.asked == [f"bytes={half}-"]
    assert served.sent == [len(slow) - half]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://zenodo.org/records/7447302/files/emodb.zip", "emodb.zip"),
        ("https://zenodo.org/api/records/1/files/Audio%20Song.zip/content", "Audio Song.zip"),
        ("https://x.org/a.tar.gz?download=1", "a.tar.gz"),
        ("https://x.org/download/3", "3"),
        ("https://x.org", "download"),
        ("https://x.org/..%2f..%2fetc%2fpasswd", "download"),
        ("https://x.org/a/..", "a"),
        ("https://x.org/a%0Ab.zip", "download"),
    ],
)
def test_names_of_files(url, name):
    assert file_name(url) == name


def test_progress_is_told_in_lines_where_there_is_no_terminal(monkeypatch, capsys):
    times = iter([0.0, 4.0, 10.0, 12.0, 20.0])
    monkeypatch.setattr("pipeline.obtain.progress.time.monotonic", lambda: next(times))
    with ByteProgress("a.zip", done=1_000_000, total=11_000_000) as progress:
        for _ in range(4):
            progress.add(2_000_000)
    # after 10 s: 4 of 10 MB to come, 0.4 MB/s; after 20 s 8 MB of them
    assert capsys.readouterr().err.splitlines() == [
        "a.zip: 5 MB of 11 MB, 400 kB/s, 15 s left",
        "a.zip: 9 MB of 11 MB, 400 kB/s, 5.0 s left",
    ]


def test_on_a_terminal_there_is_a_bar_that_goes_away(monkeypatch):
    written = io.StringIO()
    written.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", written)
    with ByteProgress("a.zip", done=1_000_000, total=4_000_000) as progress:
        progress.add(1_000_000)
    assert re.search(r"a\.zip:  25%.*1\.00M/4\.00M", written.getvalue())
    assert written.getvalue().endswith("\r")


def test_progress_without_a_total(monkeypatch, capsys):
    times = iter([0.0, 10.0])
    monkeypatch.setattr("pipeline.obtain.progress.time.monotonic", lambda: next(times))
    with ByteProgress("a.zip", done=0, total=None) as progress:
        progress.add(2_000_000)
    assert capsys.readouterr().err == "a.zip: 2 MB, 200 kB/s\n"


def test_nothing_of_the_package_is_left_open(server, target, waits):
    """Sockets that are not closed are warnings, and warnings are errors here."""
    server.offer("/a.zip", DATA, statuses=[503, 404])
    refusal(stated(server), target)
    gc.collect()
