"""Archives, unpacked so that nothing in them can leave the folder, follow a link or fill the disk.

Every entry is checked before the first is written. Files are written here, not by the archive's library: no link and
no device is ever made, so that nothing can be written through one. A link to a file of the same archive becomes a copy.
"""

import posixpath
import shutil
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

from pipeline.console import track
from pipeline.corpora.recording import shown
from pipeline.errors import ObtainError
from pipeline.obtain.entries import COPY_BYTES, MOST_RATIO, Entry, open_entries, too_large, twice

SMALL_BYTES = 1 << 26  # unpacked, that no ratio forbids
# Beside their own errors, the libraries let slip whatever nonsense in an archive leads to.
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    LookupError,
    OverflowError,
)


def unpack(archive: Path, folder: Path) -> int:
    """Unpack a zip or tar (plain, gz, bz2) below a folder, in which nothing may lie under the names of its files.

    Returns
    -------
    int
        How many files were written.

    Raises
    ------
    ObtainError
        If it is no archive, is damaged, holds what may not be unpacked, or is too large for the disk or for its own
        size. What was written by then stays: give a folder that can be thrown away.
    """
    free = shutil.disk_usage(folder).free
    most = min(free, max(SMALL_BYTES, MOST_RATIO * archive.stat().st_size))
    try:
        with open_entries(archive, most_bytes=most) as entries:
            names = {_key(entry.name) for entry in entries}
            _refuse_clashes(archive, entries, names)
            total = sum(entry.n_bytes for entry in entries)
            if total > most:
                raise too_large(archive, total, free)
            left = most
            for entry in track(entries, label=f"unpack {archive.name}", total=len(entries), unit="files"):
                left -= _write(entry, folder / entry.name, most_bytes=left)
            return len(entries)
    except _BROKEN as error:
        raise ObtainError(f"{archive.name}: it does not unpack ({shown(str(error))}): damaged; get it again") from error
    except RuntimeError as error:  # zipfile's way to say it
        raise ObtainError(f"{archive.name}: it does not unpack ({shown(str(error))}): unpack it by hand") from error
    except OSError as error:
        said = error.strerror or error
        raise ObtainError(f"{archive.name}: it does not unpack ({said}): make room, or get it again") from error


def _key(name: str) -> str:
    """Equal for names that some file systems take for one."""
    return name.casefold()


def _refuse_clashes(archive: Path, entries: list[Entry], names: set[str]) -> None:
    """Refuse two files under one name, and a file that is another's folder."""
    seen: set[str] = set()
    for entry in entries:
        key = _key(entry.name)
        if key in seen:
            raise twice(archive, entry.name)
        seen.add(key)
        above = posixpath.dirname(key)
        while above:
            if above in names:
                raise ObtainError(f"{archive.name}: {shown(above)} is a file and a folder at once: not unpacked")
            above = posixpath.dirname(above)


def _write(entry: Entry, path: Path, *, most_bytes: int) -> int:
    """Write one file that was not there; no more than it says of itself, nor than is allowed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    n_written = 0
    with entry.open() as source, path.open("xb") as file:
        while data := source.read(COPY_BYTES):
            n_written += len(data)
            if n_written > min(entry.n_bytes, most_bytes):
                raise ObtainError(
                    f"{shown(entry.name)}: more came out than the {entry.n_bytes} bytes it states: damaged"
                )
            file.write(data)
    if n_written != entry.n_bytes:
        raise ObtainError(f"{shown(entry.name)}: {n_written} of {entry.n_bytes} bytes came out: damaged; get it again")
    return n_written
