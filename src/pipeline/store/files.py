"""Whole files or none: a temporary file beside the target, synced to disk, then renamed over it."""

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import StoreError


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield the name of a temporary file that becomes `path` when the block ends well, and vanishes otherwise.

    Raises
    ------
    StoreError
        If the folder cannot be written, or the disk is full; what `path` held before is still there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written ({error.strerror or error}); what was there is unchanged"
        ) from error
    finally:
        # The file is gone after the rename, and after a failure nothing half-written may stay.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    # Some file systems cannot sync a folder. The file is there and whole all the same.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write `value` with sorted keys as JSON that any reader accepts.

    Raises
    ------
    StoreError
        If a number in it is NaN or infinite (JSON has neither), or the file cannot be written.
    """
    try:
        text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
    except ValueError:
        raise StoreError(f"{path}: {_bad_number(value)} is NaN or infinite and was not written") from None
    with written_whole(path) as temporary:
        # A byte of a name that is not UTF-8 becomes an escape, which JSON readers know.
        temporary.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def _bad_number(value: object, key: str = "") -> str:
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    for name, item in items:
        inner = f"{key}.{name}" if key else str(name)
        if isinstance(item, float) and not math.isfinite(item):
            return inner
        if found := _bad_number(item, inner):
            return found
    return ""


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON mapping.

    Raises
    ------
    StoreError
        If the file is missing or is not a JSON mapping.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(f"{path}: missing: run `dvc repro`") from None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read ({error}): run `dvc repro -f` on the stage that writes it") from None
    if not isinstance(value, dict):
        raise StoreError(f"{path}: holds no JSON mapping: run `dvc repro -f` on the stage that writes it")
    return value


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
