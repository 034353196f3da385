"""The files of an archive, every entry checked before any is opened."""

import bz2
import gzip
import io
import posixpath
import re
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from pipeline.corpora.recording import CONTROL, shown
from pipeline.errors import ObtainError
from pipeline.words import size

MOST_FILES = 200_000
MOST_RATIO = 100  # bytes unpacked for each of the archive's; sound has 2, text 20
MOST_HEADER_BYTES = 1 << 20  # of one name in a tar, which is read at once
COPY_BYTES = 1 << 20
_TAR_BLOCK = 512


@dataclass(frozen=True)
class Entry:
    """A file of an archive."""

    name: str  # with forward slashes, below the folder
    n_bytes: int
    open: Callable[[], IO[bytes]]


def is_archive(path: Path) -> bool:
    """Whether a file is a zip, or a tar of any compression, by its content."""
    with path.open("rb") as file:
        head = file.read(_TAR_BLOCK)
    return head[:2] == b"PK" or _is_tar(head) or _compression(head) is not None


def _is_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


@contextmanager
def open_entries(archive: Path, *, most_bytes: int) -> Iterator[list[Entry]]:
    """Open an archive and list its files, every entry checked."""
    with archive.open("rb") as file:
        head = file.read(_TAR_BLOCK)
        file.seek(0)
        if head[:2] == b"PK":
            with zipfile.ZipFile(file) as opened:
                yield list(_of_zip(archive, opened))
        elif is_archive(archive):
            with _decompressed(file, head) as plain:
                bounded = _Bounded(plain, most_bytes=most_bytes + MOST_FILES * _TAR_BLOCK, archive=archive)
                with tarfile.open(fileobj=cast(IO[bytes], bounded), mode="r:") as tar:
                    yield list(_of_tar(archive, tar, bounded))
        else:
            what = "a web page" if re.match(rb"\s*<(!doctype|html)", head, re.IGNORECASE) else "no zip and no tar"
            raise ObtainError(f"{archive.name}: it is {what}: look at the corpus's page, the address may have changed")


def _of_zip(archive: Path, opened: zipfile.ZipFile) -> Iterator[Entry]:
    """List the files of a zip; a link's target is what the link holds."""
    infos = opened.infolist()
    _refuse_number(archive, len(infos))
    files: dict[str, zipfile.ZipInfo] = {}
    links: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = _checked_name(archive, info.orig_filename)
        kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == 3 else 0  # 3: made under Unix
        if info.orig_filename.endswith(("/", "\\")) or kind == stat.S_IFDIR:
            continue
        _refuse_nameless(archive, name)
        if info.flag_bits & 1:
            raise ObtainError(f"{archive.name}: {shown(name)} is protected by a password: ask the publisher for it")
        if kind not in (0, stat.S_IFREG, stat.S_IFLNK):
            raise ObtainError(f"{archive.name}: {shown(name)} is a device or a pipe: not unpacked")
        found = links if kind == stat.S_IFLNK else files
        if name in found:
            raise twice(archive, name)
        found[name] = info
    for name, info in links.items():
        with opened.open(info) as file:
            target = file.read(4097).decode("utf-8", errors="surrogateescape")
        yield _zip_entry(name, opened, files[_link_target(archive, name, target, files, beside=True)])
    for name, info in files.items():
        yield _zip_entry(name, opened, info)


def _zip_entry(name: str, opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> Entry:
    return Entry(name, info.file_size, lambda: opened.open(info))


def _of_tar(archive: Path, tar: tarfile.TarFile, plain: "_Bounded") -> Iterator[Entry]:
    """List the files of a tar, and see that it ends as tars do: its library takes a damaged header for the end."""
    files: dict[str, tarfile.TarInfo] = {}
    links: dict[str, tarfile.TarInfo] = {}
    end = 0
    for n_members, member in enumerate(tar):
        _refuse_number(archive, n_members)
        name = _checked_name(archive, member.name)
        end = tar.offset
        if member.isdir():
            continue
        _refuse_nameless(archive, name)
        if not (member.isreg() or member.issym() or member.islnk()):
            raise ObtainError(f"{archive.name}: {shown(name)} is a device or a pipe: not unpacked")
        found = files if member.isreg() else links
        if name in found:
            raise twice(archive, name)
        found[name] = member
    plain.seek(end)
    if plain.read(_TAR_BLOCK) != bytes(_TAR_BLOCK):
        raise ObtainError(f"{archive.name}: damaged or cut after {len(files)} files: get it again")
    while plain.read(COPY_BYTES):  # to the end, where a compressed file's own checksum stands
        pass
    for name, member in links.items():
        target = _link_target(archive, name, member.linkname, files, beside=member.issym())
        yield _tar_entry(name, tar, files[target])
    for name, member in files.items():
        yield _tar_entry(name, tar, member)


def _tar_entry(name: str, tar: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    return Entry(name, member.size, lambda: cast(IO[bytes], tar.extractfile(member)))


def _checked_name(archive: Path, name: str) -> str:
    """Give the name with forward slashes and without `.`; refuse what leads out of the folder or cannot be shown."""
    told = f"{archive.name}: it holds {shown(name)[:200]!r}"
    if CONTROL.search(name):
        raise ObtainError(f"{told}, a name with control characters or bytes that are no text: not unpacked")
    plain = name.replace("\\", "/")
    if plain.startswith("/") or re.match(r"[A-Za-z]:", plain):
        raise ObtainError(f"{told}, which names a place outside the folder: not unpacked")
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ObtainError(f"{told}, which leads out of the folder: not unpacked")
    return "/".join(parts)


def _refuse_nameless(archive: Path, name: str) -> None:
    if not name:
        raise ObtainError(f"{archive.name}: it holds a file without a name: not unpacked")


def _link_target(archive: Path, name: str, target: str, files: dict[str, Any], *, beside: bool) -> str:
    """Find the file of the archive to which a link leads; a symbolic link's target is told from its own folder."""
    above = posixpath.dirname(name) if beside else ""
    plain = posixpath.normpath(posixpath.join(above, target.replace("\\", "/")))
    if plain not in files:
        raise ObtainError(
            f"{archive.name}: {shown(name)} is a link to {shown(target)[:200]!r}, no file of the archive: not unpacked"
        )
    return plain


def twice(archive: Path, name: str) -> ObtainError:
    """Give the refusal of two files under one name."""
    return ObtainError(f"{archive.name}: it holds {shown(name)} twice: not unpacked")


def _refuse_number(archive: Path, n_files: int) -> None:
    if n_files > MOST_FILES:
        raise ObtainError(f"{archive.name}: it holds more than {MOST_FILES} files: unpack it by hand if it should")


def too_large(archive: Path, total: int, free: int) -> ObtainError:
    """Give the refusal of an archive that would not fit the disk, or is a bomb."""
    if total > free:
        return ObtainError(f"{archive.name}: {size(total)} unpacked, {size(free)} of disk free: make room, then again")
    packed = archive.stat().st_size
    return ObtainError(
        f"{archive.name}: {size(packed)} would become {size(total)} or more, over {MOST_RATIO} times as much: "
        "unpack it by hand if it should"
    )


def _compression(head: bytes) -> Callable[[IO[bytes]], Any] | None:
    for magic, opener in ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open)):
        if head.startswith(magic):
            return cast(Callable[[IO[bytes]], Any], opener)
    return None


@contextmanager
def _decompressed(file: IO[bytes], head: bytes) -> Iterator[IO[bytes]]:
    opener = _compression(head)
    if opener is None:
        yield file
        return
    with opener(file) as plain:
        yield plain


class _Bounded(io.RawIOBase):
    """The bytes of a tar, of which neither too many may be passed nor too many be asked for at once."""

    def __init__(self, plain: IO[bytes], *, most_bytes: int, archive: Path) -> None:
        super().__init__()
        self._plain, self._most, self._archive = plain, most_bytes, archive

    def _check(self, position: int) -> None:
        if position > self._most:
            raise too_large(self._archive, position, shutil.disk_usage(self._archive.parent).free)

    def read(self, n_bytes: int = -1) -> bytes:
        """Read; a tar's library asks for a whole header, however long it says it is."""
        if not 0 <= n_bytes <= MOST_HEADER_BYTES:
            raise ObtainError(f"{self._archive.name}: a header of {size(n_bytes)}: damaged; get it again")
        self._check(self._plain.tell() + n_bytes)
        return self._plain.read(n_bytes)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position."""
        if whence == io.SEEK_SET:
            self._check(offset)
        return self._plain.seek(offset, whence)

    def tell(self) -> int:
        """Give the position."""
        return self._plain.tell()
