"""Unpacked files, moved to where the corpus belongs; what lies there already is never written over."""

import shutil
from pathlib import Path

from pipeline.corpora.recording import shown
from pipeline.errors import ObtainError

NAMED = 5  # files in a refusal
COMPARE_BYTES = 1 << 20


def place(unpacked: Path, folder: Path) -> tuple[int, int]:
    """Move everything below one folder to another: at once where that is not there yet, else file by file.

    Parameters
    ----------
    unpacked
        On the same disk; gone afterwards.
    folder
        May hold files: one with the same content stays, and with any other content nothing at all is moved.

    Returns
    -------
    tuple
        How many files were moved, and how many were there already.

    Raises
    ------
    ObtainError
        If a file would be written over, or the folder cannot be written.
    """
    files = sorted(path for path in unpacked.rglob("*") if path.is_file())
    try:
        if not _exists(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            unpacked.replace(folder)
            return len(files), 0
        new = [path for path in files if not _is_there(path, folder / path.relative_to(unpacked))]
        if other := [path for path in new if _is_taken(folder, path.relative_to(unpacked))]:
            names = ", ".join(shown(str(path.relative_to(unpacked))) for path in other[:NAMED])
            more = f" and {len(other) - NAMED} more" if len(other) > NAMED else ""
            raise ObtainError(
                f"{folder}: {names}{more}: there with other content: move it away, then again; nothing was moved"
            )
        for path in new:
            target = folder / path.relative_to(unpacked)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        shutil.rmtree(unpacked)
    except OSError as error:
        raise ObtainError(
            f"{folder}: cannot be written ({error.strerror}): check its permissions and the disk"
        ) from error
    return len(new), len(files) - len(new)


def _is_there(path: Path, target: Path) -> bool:
    """Whether the target is a file of the same bytes."""
    if not target.is_file() or target.stat().st_size != path.stat().st_size:
        return False
    with path.open("rb") as one, target.open("rb") as other:
        while data := one.read(COMPARE_BYTES):
            if data != other.read(COMPARE_BYTES):
                return False
    return True


def _is_taken(folder: Path, name: Path) -> bool:
    """Whether something lies under a name, or a file where its folder should be."""
    target = folder / name
    above = [folder / parent for parent in name.parents]
    return _exists(target) or any(_exists(path) and not path.is_dir() for path in above)


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()
