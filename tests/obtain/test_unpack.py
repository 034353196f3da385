"""Archives: what is well-meant comes out as it went in, what is hostile leaves its folder alone."""

import contextlib
import gzip
import io
import random
import struct
import tarfile
import warnings
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest
from obtain.archives import contents, tar_of, zip_of

from pipeline.errors import ObtainError
from pipeline.obtain import entries
from pipeline.obtain import unpack as module
from pipeline.obtain.entries import is_archive
from pipeline.obtain.unpack import unpack

FILES = (("wav/a.wav", b"one" * 1000), ("wav/b/c.wav", b""), ("README é.txt", b"read me"))
AS_FILES = dict(sorted(FILES))


@pytest.fixture
def inside(tmp_path):
    """The folder to unpack into, deep enough that a few `..` stay within the test's own."""
    folder = tmp_path / "x/y/inside"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def refusal(tmp_path, inside):
    def refuse(archive):
        before = {path: data for path, data in contents(tmp_path).items() if not path.startswith("x/y/inside")}
        with pytest.raises(ObtainError) as error:
            unpack(archive, inside)
        after = {path: data for path, data in contents(tmp_path).items() if not path.startswith("x/y/inside")}
        assert after == before, "nothing is written beside the folder"
        message = str(error.value)
        assert message.isprintable(), "a message is one line"
        return message

    return refuse


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_a_zip_gives_its_files(tmp_path, inside, compression):
    archive = zip_of(tmp_path / "a.zip", ("wav/", b"", 0o040755), *FILES, compression=compression)
    assert is_archive(archive)
    assert unpack(archive, inside) == 3
    assert contents(inside) == AS_FILES


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2"])
def test_a_tar_gives_its_files(tmp_path, inside, mode, form):
    archive = tar_of(tmp_path / "a", ("wav", "", tarfile.DIRTYPE), *FILES, mode=mode, form=form)
    assert is_archive(archive)
    assert unpack(archive, inside) == 3
    assert contents(inside) == AS_FILES


def test_names_are_tidied(tmp_path, inside):
    """Backslashes of careless Windows programs part folders; dots and double slashes say nothing."""
    unpack(zip_of(tmp_path / "a.zip", (r"wav\a.wav", b"a"), ("./b//c.wav", b"b"), ("..d.wav", b"c")), inside)
    assert contents(inside) == {"wav/a.wav": b"a", "b/c.wav": b"b", "..d.wav": b"c"}


@pytest.mark.parametrize("make", [zip_of, tar_of])
@pytest.mark.parametrize(
    "name",
    ["../evil", "a/../../evil", "a/../b", "..", "/tmp/evil", "//server/evil", r"..\evil", r"a\..\..\evil", r"\evil",
     r"C:\evil", "c:evil", "C:/evil", "a\nb", "a\x1b[31mb", "a\x7fb", "a\u2028b"],
)  # fmt: skip
def test_names_that_lead_elsewhere_or_cannot_be_shown(tmp_path, inside, refusal, make, name):
    message = refusal(make(tmp_path / "a", ("good.wav", b"good"), (name, b"evil")))
    assert "not unpacked" in message
    assert contents(inside) == {}, "all names are looked at before anything is written"


def test_a_name_with_a_zero_byte(tmp_path, refusal):
    """The library itself cuts such a name at the zero byte."""
    archive = zip_of(tmp_path / "a.zip", ("evilXa", b""))
    archive.write_bytes(archive.read_bytes().replace(b"evilXa", b"evil\0a"))
    assert r"evil\\x00a" in refusal(archive)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../secret", "gone.wav", "../inside", ".", ""])
def test_links_out_of_the_archive(tmp_path, inside, refusal, target):
    (tmp_path / "secret").write_bytes(b"secret")
    assert "link" in refusal(zip_of(tmp_path / "a.zip", ("wav/l", target.encode(), 0o120777), *FILES))
    assert "link" in refusal(tar_of(tmp_path / "a.tar", ("wav/l", target, tarfile.SYMTYPE), *FILES))
    assert "link" in refusal(tar_of(tmp_path / "b.tar", ("wav/l", target, tarfile.LNKTYPE), *FILES))
    assert contents(inside) == {}


def test_a_link_and_then_a_file_through_it(tmp_path, inside, refusal):
    (tmp_path / "outside").mkdir()
    outside = str(tmp_path / "outside")
    refusal(zip_of(tmp_path / "a.zip", ("l", outside.encode(), 0o120777), ("l/evil", b"evil")))
    refusal(tar_of(tmp_path / "a.tar", ("l", outside, tarfile.SYMTYPE), ("l/evil", b"evil")))
    refusal(tar_of(tmp_path / "b.tar", ("d/l", ".", tarfile.SYMTYPE), ("d/l/evil", b"evil")))
    assert contents(inside) == {}


def test_a_link_to_a_file_of_the_archive_becomes_a_copy(tmp_path, inside):
    unpack(zip_of(tmp_path / "a.zip", ("wav/l", b"../good", 0o120777), ("good", b"good")), inside)
    assert contents(inside) == {"good": b"good", "wav/l": b"good"}


def test_links_of_a_tar_become_copies(tmp_path, inside):
    links = ("wav/s", "../good", tarfile.SYMTYPE), ("wav/h", "good", tarfile.LNKTYPE)
    unpack(tar_of(tmp_path / "a.tgz", links[0], ("good", b"good"), links[1], mode="w:gz"), inside)
    assert contents(inside) == {"good": b"good", "wav/h": b"good", "wav/s": b"good"}


def test_copies_of_links_count_towards_the_size(tmp_path, inside, refusal, monkeypatch):
    monkeypatch.setattr(module, "SMALL_BYTES", 1000)
    monkeypatch.setattr(module, "MOST_RATIO", 1)
    links = [(f"l{n}", "good", tarfile.LNKTYPE) for n in range(99)]
    assert "would become" in refusal(tar_of(tmp_path / "a.tar", ("good", b"g" * 10_000), *links))


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes_of_a_tar(tmp_path, refusal, kind):
    assert "device or a pipe" in refusal(tar_of(tmp_path / "a.tar", ("d", "", kind), *FILES))


@pytest.mark.parametrize("kind", [0o020000, 0o060000, 0o010000, 0o140000])
def test_devices_and_pipes_of_a_zip(tmp_path, refusal, kind):
    assert "device or a pipe" in refusal(zip_of(tmp_path / "a.zip", ("d", b"", kind | 0o644), *FILES))


@pytest.mark.parametrize("make", [zip_of, tar_of])
@pytest.mark.parametrize(
    "names", [("a.wav", "a.wav"), ("a.wav", "A.WAV"), ("a.wav", "./a.wav"), ("b/a.wav", r"b\a.wav")]
)
def test_two_files_under_one_name(tmp_path, inside, refusal, make, names):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        archive = make(tmp_path / "a", *((name, b"x") for name in names))
    assert "twice" in refusal(archive)
    assert contents(inside) == {}


@pytest.mark.parametrize("make", [zip_of, tar_of])
@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("a/b/c", "A")])
def test_a_file_that_is_a_folder_too(tmp_path, refusal, make, names):
    assert "a file and a folder at once" in refusal(make(tmp_path / "a", *((name, b"x") for name in names)))


def test_a_file_without_a_name(tmp_path, refusal):
    assert "without a name" in refusal(tar_of(tmp_path / "a.tar", (".", b"x")))


def test_a_bomb_is_refused_by_what_it_states(tmp_path, inside, refusal):
    data = bytes(module.SMALL_BYTES + 1)
    message = refusal(zip_of(tmp_path / "a.zip", ("bomb", data)))
    assert "would become 67.1 MB or more, over 100 times as much" in message
    message = refusal(tar_of(tmp_path / "a.tgz", ("bomb", data), mode="w:gz"))
    assert "over 100 times as much" in message
    assert contents(inside) == {}


def test_what_is_small_or_packs_as_text_does_is_no_bomb(tmp_path, inside):
    zeros = bytes(1_000_000)  # a thousandth of that when packed
    assert unpack(zip_of(tmp_path / "a.zip", ("zeros", zeros)), inside) == 1


def test_a_bomb_that_states_less_than_it_holds(tmp_path, inside, refusal):
    """The size in both headers is forged; what comes out is cut there, and then does not match its own checksum."""
    data = bytes(1_000_000)
    archive = zip_of(tmp_path / "a.zip", ("bomb", data))
    archive.write_bytes(archive.read_bytes().replace(struct.pack("<I", len(data)), struct.pack("<I", 10)))
    assert "damaged" in refusal(archive)
    assert sum(map(len, contents(inside).values())) <= 10


def test_a_tar_bomb_that_hides_in_its_headers(tmp_path, refusal):
    """A header that says it is long would be read into memory at once."""
    member = tarfile.TarInfo("././@PaxHeader")
    member.type, member.size = tarfile.XHDTYPE, 1 << 33
    archive = tmp_path / "a.tgz"
    with gzip.open(archive, "wb") as file:
        file.write(member.tobuf(tarfile.GNU_FORMAT))
        file.write(bytes(1 << 20))
    assert "a header of 8.59 GB" in refusal(archive)


def test_a_tar_that_goes_on_and_on(tmp_path, refusal, monkeypatch):
    """Its length is known only by unpacking it: nothing of it is written, and the reading ends."""
    monkeypatch.setattr(entries, "MOST_FILES", 100)
    archive = tar_of(tmp_path / "a.tgz", *((f"{n}", b"") for n in range(200)), mode="w:gz")
    assert "more than 100 files" in refusal(archive)


def test_too_many_files_in_a_zip(tmp_path, refusal, monkeypatch):
    monkeypatch.setattr(entries, "MOST_FILES", 100)
    assert "more than 100 files" in refusal(zip_of(tmp_path / "a.zip", *((f"{n}", b"") for n in range(101))))


def test_more_than_the_disk_holds(tmp_path, inside, refusal, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage(0, 0, 2000))
    assert "3.01 kB unpacked, 2 kB of disk free" in refusal(zip_of(tmp_path / "a.zip", *FILES))
    assert contents(inside) == {}


def test_a_password(tmp_path, refusal):
    archive = zip_of(tmp_path / "a.zip", ("a.wav", b"x"))
    data = bytearray(archive.read_bytes())
    data[6] |= 1  # the flags in the file's own header, and in the directory at the end
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    assert "protected by a password" in refusal(archive)


def test_a_compression_that_is_not_known(tmp_path, refusal):
    archive = zip_of(tmp_path / "a.zip", ("a.wav", b"x"))
    data = bytearray(archive.read_bytes())
    data[8] = 9  # Deflate64
    data[data.index(b"PK\x01\x02") + 10] = 9
    archive.write_bytes(data)
    assert "unpack it by hand" in refusal(archive)


def test_what_is_no_archive(tmp_path, refusal):
    path = tmp_path / "a.zip"
    for data, told in ((b"<!DOCTYPE html><p>Log in", "a web page"), (b"", "no zip and no tar"), (b"x" * 999, "no zip")):
        path.write_bytes(data)
        assert not is_archive(path)
        assert told in refusal(path)


def test_a_damaged_file_in_a_zip(tmp_path, refusal):
    archive = zip_of(tmp_path / "a.zip", ("a.wav", b"some sound"), compression=zipfile.ZIP_STORED)
    archive.write_bytes(archive.read_bytes().replace(b"some sound", b"same sound"))
    assert "damaged" in refusal(archive)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2"])
def test_a_tar_cut_anywhere_is_damaged(tmp_path, refusal, mode):
    rng = random.Random(0)
    whole = tar_of(tmp_path / "whole", *((f"{n}", rng.randbytes(700)) for n in range(4)), mode=mode).read_bytes()
    end = 4 * (512 + 1024) if mode == "w" else len(whole) - 1  # of the last file; of the compressed file's checksum
    for n_bytes in {*range(1, end, 97), *range(512, end + 1, 512), end}:
        (tmp_path / "cut").write_bytes(whole[:n_bytes])
        refusal(tmp_path / "cut")


def test_a_tar_with_a_damaged_header_does_not_end_there(tmp_path, refusal):
    archive = tar_of(tmp_path / "a.tar", ("a", b"a"), ("b", b"b"))
    data = bytearray(archive.read_bytes())
    data[1024] ^= 1  # the name of the second
    archive.write_bytes(data)
    assert "damaged or cut after 1 files" in refusal(archive)


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz"])
def test_whatever_bytes_are_changed_the_folder_is_not_left_and_the_error_is_ours(tmp_path, kind):
    rng = random.Random(1)
    packed = [(f"d/{n}.wav", rng.randbytes(60)) for n in range(3)]
    if kind == "zip":
        whole = zip_of(tmp_path / "whole", *packed).read_bytes()
    else:
        whole = tar_of(tmp_path / "whole", *packed, mode="w:gz" if kind == "tgz" else "w").read_bytes()
    folder = tmp_path / "x/y/inside"
    used = len(whole) if kind != "tar" else 512 * 8
    for n in range(300):
        data = bytearray(whole)
        for _ in range(rng.choice([1, 1, 2, 8])):
            data[rng.randrange(used)] = rng.randrange(256)
        (tmp_path / "mutated").write_bytes(data)
        (folder / str(n)).mkdir(parents=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            with contextlib.suppress(ObtainError):
                unpack(tmp_path / "mutated", folder / str(n))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mutated", "whole", "x"]
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))
    assert {path.parent.name for path in (tmp_path / "x").iterdir()} == {"x"}


def test_a_name_that_the_disk_does_not_take(tmp_path, refusal):
    assert "File name too long" in refusal(zip_of(tmp_path / "a.zip", ("n" * 300, b"x")))


def test_the_stream_of_a_tar_is_bounded():
    bounded = entries._Bounded(io.BytesIO(bytes(100)), most_bytes=50, archive=Path(__file__))
    assert bounded.read(50) == bytes(50)
    for ask in (lambda: bounded.read(1), lambda: bounded.seek(51), lambda: bounded.read(-1)):
        with pytest.raises(ObtainError):
            ask()
