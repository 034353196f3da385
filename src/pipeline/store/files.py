"""Whole files or none: a temporary file beside the target, synced to disk, then renamed over it."""

import contextlib
import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import StoreError
from pipeline.store.claims import PART, as_written, cannot_be_written, hold_back, put_in_place, refuse_damaged

_OS_ERROR = re.compile(r"\(os error (\d+)\)")


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield the name of a temporary file that becomes `path` when the block ends well, and vanishes otherwise.

    Of an output that a stage has claimed, it waits under that name until the stage has written all of them.

    Raises
    ------
    StoreError
        If the folder cannot be written, or the disk is full; what `path` held before is still there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    waits = False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        sync(temporary)
        waits = hold_back(temporary, path)
        if not waits:
            put_in_place(temporary, path)
    except OSError as error:
        raise cannot_be_written(path, error) from error
    except Exception as error:
        # safetensors writes in Rust, whose errors of the system are no OSError, but end in its number.
        if number := _OS_ERROR.search(str(error)):
            raise cannot_be_written(path, OSError(int(number[1]), os.strerror(int(number[1])))) from error
        raise
    finally:
        # The file is gone after the rename, and after a failure nothing half-written may stay.
        if not waits:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have a file's content on the disk before it gets its name."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


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


class _Entries(dict[str, Any]):
    """A mapping in a JSON file, which names the file where a key is missed."""

    lies_in: Path | None = None  # a copy of one lies nowhere

    def __missing__(self, key: str) -> Any:
        if self.lies_in is None:
            raise KeyError(key)
        raise StoreError(f"{self.lies_in}: has no {key!r}: run `dvc repro -f` on the stage that writes it")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON mapping; a key that it lacks, at whatever depth, is a StoreError where it is looked up.

    Raises
    ------
    StoreError
        If the file is missing or is not a JSON mapping; and in a stage, if it is not what a stage wrote.
    """

    def lying_here(values: dict[str, Any]) -> _Entries:
        entries = _Entries(values)
        entries.lies_in = path
        return entries

    refuse_damaged(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"), object_hook=lying_here)
    except FileNotFoundError:
        raise StoreError(f"{path}: missing: run `dvc repro`") from None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read ({error}): run `dvc repro -f` on the stage that writes it") from None
    if not isinstance(value, dict):
        raise StoreError(f"{path}: holds no JSON mapping: run `dvc repro -f` on the stage that writes it")
    return value


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes, as this process has written it."""
    with as_written(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
