"""The command `emospec corpora get`: from a publisher's server to a corpus that is whole."""

import fcntl
import hashlib
from pathlib import Path

import pytest
from obtain.archives import contents, tar_of, zip_of
from obtain.server import publisher
from obtain.toy import LICENCE, only, toy, write_toy
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.corpora import Download
from pipeline.errors import ObtainError
from pipeline.obtain import download, get_corpus
from pipeline.obtain import get as module


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "DELAYS", (0.0, 0.0))
    with publisher() as found:
        yield found


@pytest.fixture
def files(tmp_path):
    """What the publisher packed: path and content."""
    return contents(write_toy(tmp_path / "published"))


@pytest.fixture
def root(tmp_path):
    return tmp_path / "data/raw"


def offered(server, path, archive, **changes):
    data = archive.read_bytes()
    server.offer(f"/{path}", data, **changes)
    return Download(url=server.url(f"/{path}"), checksum=f"md5:{hashlib.md5(data).hexdigest()}", n_bytes=len(data))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def get(root):
    return CliRunner().invoke(app, ["corpora", "get", "toy", "--root", str(root)])


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_corpus_comes_whole_and_leaves_nothing_else(server, files, root, tmp_path, monkeypatch, kind):
    make = zip_of if kind == "zip" else tar_of
    mode = {} if kind == "zip" else {"mode": "w:gz"}
    archive = make(tmp_path / "a", *files.items(), **mode)
    only(monkeypatch, toy=toy(offered(server, f"toy.{kind}", archive)))
    done = get(root)
    assert done.exit_code == 0
    assert contents(root) == {f"toy/{path}": data for path, data in files.items()}
    assert names(root) == ["toy"]
    said = " ".join(done.stderr.split())
    assert said.index(f"licence {LICENCE}") < said.index("to fetch 1 file, ") < said.index(f"toy.{kind}: whole")
    assert "its checksum is as stated" in said
    assert "4 new files" in said
    assert "  files       4 of 4, 0 missing, 0 surplus\n" in done.stdout
    assert done.stdout.endswith("\ntoy: complete; `emospec corpora check toy` reads every file\n")


def test_what_is_here_already_is_not_asked_for(server, root, tmp_path, monkeypatch):
    write_toy(root / "toy")
    only(monkeypatch, toy=toy(Download(url=server.url("/toy.zip"))))
    done = get(root)
    assert (done.exit_code, done.stdout) == (0, f"toy: all 4 files are in {root}/toy already\n")


def test_where_no_checksum_is_stated_the_one_that_was_found_is_told(server, files, root, tmp_path, monkeypatch):
    archive = zip_of(tmp_path / "a", *files.items())
    server.offer("/toy.zip", archive.read_bytes())
    only(monkeypatch, toy=toy(Download(url=server.url("/toy.zip"))))
    done = get(root)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert f"toy.zip: whole, sha256 {digest} (no checksum is stated)" in done.stderr
    assert "size not stated, from 127.0.0.1" in done.stderr


def test_several_archives_each_in_its_folder_and_a_plain_file(server, files, root, tmp_path, monkeypatch):
    first, second = dict(list(files.items())[:2]), dict(list(files.items())[2:])
    one = zip_of(tmp_path / "a", ("README", b"read me"), *first.items())
    two = tar_of(tmp_path / "b", ("README", b"read me"), *second.items())
    downloads = []
    for path, archive in (("1/toy.zip", one), ("2/toy.tar", two)):
        server.offer(f"/{path}", archive.read_bytes())
        downloads.append(Download(url=server.url(f"/{path}"), into="deep" if path.startswith("2") else ""))
    server.offer("/labels.csv", b"a,b\n")
    downloads.append(Download(url=server.url("/labels.csv"), into="tables"))
    only(monkeypatch, toy=toy(*downloads))
    assert get(root).exit_code == 0
    assert contents(root / "toy") == {
        "README": b"read me",
        "deep/README": b"read me",
        "tables/labels.csv": b"a,b\n",
        **first,
        **{f"deep/{path}": data for path, data in second.items()},
    }
    assert names(root) == ["toy"]


def test_an_archive_behind_an_address_without_a_name(server, files, root, tmp_path, monkeypatch):
    only(monkeypatch, toy=toy(offered(server, "download/77", zip_of(tmp_path / "a", *files.items()))))
    assert get(root).exit_code == 0


def test_the_users_files_are_kept_and_what_is_the_same_is_passed_over(server, files, root, tmp_path, monkeypatch):
    only(monkeypatch, toy=toy(offered(server, "toy.zip", zip_of(tmp_path / "a", *files.items()))))
    write_toy(root / "toy", without=("s1_joy", "s2_joy"))
    (root / "toy/notes.txt").write_bytes(b"mine")
    done = get(root)
    assert done.exit_code == 0
    assert "2 new files, 2 were there already" in done.stderr
    assert contents(root / "toy") == {**files, "notes.txt": b"mine"}


def test_a_file_of_the_users_with_other_content_is_never_written_over(server, files, root, tmp_path, monkeypatch):
    served = offered(server, "toy.zip", zip_of(tmp_path / "a", *files.items()))
    only(monkeypatch, toy=toy(served))
    (root / "toy/wav").mkdir(parents=True)
    (root / "toy/wav/s1_joy.wav").write_bytes(b"mine")
    done = get(root)
    assert done.exit_code == 1
    assert "toy: wav/s1_joy.wav: there with other content: move it away" in str(done.exception)
    assert contents(root / "toy") == {"wav/s1_joy.wav": b"mine"}
    (root / "toy/wav/s1_joy.wav").rename(tmp_path / "away.wav")
    assert get(root).exit_code == 0
    assert server.files["/toy.zip"].asked == [None], "the archive was kept, and is not fetched again"
    assert names(root) == ["toy"]


def test_an_archive_that_means_ill_leaves_nothing_in_place(server, files, root, tmp_path, monkeypatch):
    archive = zip_of(tmp_path / "a", *files.items(), ("../../evil", b"evil"))
    only(monkeypatch, toy=toy(offered(server, "toy.zip", archive)))
    done = get(root)
    assert done.exit_code == 1
    assert "leads out of the folder: not unpacked; the corpus's page: https://example.org/toy" in str(done.exception)
    assert names(root) == ["toy.part"]
    assert not list(tmp_path.rglob("evil"))


def test_an_archive_without_a_checksum_that_does_not_unpack_is_fetched_anew(server, files, root, tmp_path, monkeypatch):
    server.offer("/toy.zip", b"<!DOCTYPE html>please come back later")
    only(monkeypatch, toy=toy(Download(url=server.url("/toy.zip"))))
    assert "toy.zip: it is a web page" in str(get(root).exception)
    server.offer("/toy.zip", zip_of(tmp_path / "a", *files.items()).read_bytes())
    assert get(root).exit_code == 0


def test_an_address_that_is_gone_names_the_corpuss_page(server, root, monkeypatch):
    only(monkeypatch, toy=toy(Download(url=server.url("/gone.zip"))))
    done = get(root)
    assert done.exit_code == 1
    assert names(root) == [], "where nothing has come, nothing is left"
    assert str(done.exception).endswith(
        "/gone.zip: the server said 404 Not Found; the corpus's page: https://example.org/toy"
    )


def test_an_archive_that_lacks_files_is_told_by_name_and_status(server, files, root, tmp_path, monkeypatch):
    del files["wav/s2_joy.wav"]
    only(monkeypatch, toy=toy(offered(server, "toy.zip", zip_of(tmp_path / "a", *files.items()))))
    done = get(root)
    assert done.exit_code == 1
    assert "missing: 1\n  wav/s2_joy.wav\n" in done.stdout
    assert "toy: not complete: see https://example.org/toy" in done.stdout


@pytest.mark.parametrize("moment", ["download", "unpack", "place"])
def test_interrupted_at_any_moment_it_goes_on_from_there(server, files, root, tmp_path, monkeypatch, moment):
    archive = zip_of(tmp_path / "a", *files.items())
    n_bytes = archive.stat().st_size
    served = offered(server, "toy.zip", archive, drops=[n_bytes // 2] if moment == "download" else [])
    only(monkeypatch, toy=toy(served))
    held = write_toy(root / "toy", without=("s1_joy", "s2_joy", "s2_anger")) if moment == "place" else root / "toy"
    with monkeypatch.context() as once:

        def interrupt(*_, **__):
            raise KeyboardInterrupt

        def unpack_half(_, folder):
            (folder / "wav").mkdir()
            (folder / "wav/s1_joy.wav").write_bytes(b"half of ")
            raise KeyboardInterrupt

        def replace_one(path, target, *, usual=Path.replace, moved=[]):  # noqa: B006 (it counts)
            if "unpacked" in path.parts:
                moved.append(path)
                if len(moved) == 2:
                    raise KeyboardInterrupt
            return usual(path, target)

        if moment == "download":
            once.setattr(download.time, "sleep", interrupt)
        elif moment == "unpack":
            once.setattr(module, "unpack", unpack_half)
        else:
            once.setattr(Path, "replace", replace_one)
        with pytest.raises(KeyboardInterrupt):
            get_corpus("toy", root)
    if moment == "place":
        assert len(contents(held)) == 2, "the one that was there, and the first of three"
    else:
        assert not held.exists(), "nothing half-done lies where the corpus should be"
    asked = server.files["/toy.zip"].asked
    assert get_corpus("toy", root)[1]
    assert asked == ([None, f"bytes={n_bytes // 2}-"] if moment == "download" else [None])
    assert contents(root / "toy") == files


def test_two_at_a_time_do_not_mix(server, files, root, tmp_path, monkeypatch):
    only(monkeypatch, toy=toy(offered(server, "toy.zip", zip_of(tmp_path / "a", *files.items()))))
    (root / "toy.part").mkdir(parents=True)
    with (root / "toy.part/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ObtainError, match="another process is at work there"):
            get_corpus("toy", root)
    assert get_corpus("toy", root)[1]


def test_a_link_to_another_disk_stays_a_link(server, files, root, tmp_path, monkeypatch):
    only(monkeypatch, toy=toy(offered(server, "toy.zip", zip_of(tmp_path / "a", *files.items()))))
    (tmp_path / "big").mkdir()
    root.mkdir(parents=True)
    (root / "toy").symlink_to(tmp_path / "big/toy")
    assert get(root).exit_code == 0
    assert (root / "toy").is_symlink()
    assert contents(tmp_path / "big") == {f"toy/{path}": data for path, data in files.items()}


def test_a_corpus_that_must_be_asked_for(root, monkeypatch):
    only(monkeypatch, toy=toy())
    write_toy(root / "toy", without=("s1_joy",))
    done = get(root)
    assert done.exit_code == 1
    told = " ".join(done.stdout.split())
    assert "download none that a command could fetch: by hand, or on request" in told
    for part in (
        "https://example.org/toy",
        LICENCE,
        "Ask a.nobody@example.org",
        f"{root}/toy (3 of 4 files are there)",
    ):
        assert part in told


@pytest.mark.parametrize("name", ["toi", "mine", "../toy"])
def test_what_is_not_known_cannot_be_fetched(root, monkeypatch, name):
    only(monkeypatch, toy=toy())
    (root / "mine").mkdir(parents=True)
    with pytest.raises(ObtainError, match=r"no corpus of that name is known \(toy\)"):
        get_corpus(name, root)
