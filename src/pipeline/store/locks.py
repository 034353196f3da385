"""Locks of the operating system: one process at a time, and free again when it ends, however it ends."""

import contextlib
import errno
import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

NOT_SUPPORTED = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS})


class HeldError(Exception):
    """Another process holds a lock; the text says which."""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock while the block runs; its file stays, and says nothing when nobody holds it.

    On a file system without locks nothing is held.

    Raises
    ------
    HeldError
        If another process holds it: process 17 (train_model.py 0 network, since 2026-01-31 12:00:00).
    OSError
        If the file, or its folder, cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+", buffering=0) as file:  # with a buffer, a full disk would be an error once more on closing
        if not _taken(file):
            raise HeldError(_holder(file))
        _sign(file)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                file.truncate(0)


def holder_of(path: Path) -> str | None:
    """Who holds a lock, as in `HeldError`; None if nobody does, or its file cannot be read."""
    with contextlib.suppress(OSError), path.open("rb+", buffering=0) as file:
        if not _taken(file):
            return _holder(file)
    return None


def _taken(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NOT_SUPPORTED:
            raise
    return True


def _sign(file: IO[bytes]) -> None:
    """Say in the lock's file who holds it; a disk without room for that is no obstacle to the lock."""
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    if stage := os.environ.get("DVC_STAGE"):
        command += f", stage {stage}"
    with contextlib.suppress(OSError):
        file.truncate(0)
        own = {"pid": os.getpid(), "command": command, "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        file.write(json.dumps(own).encode())


def _holder(file: IO[bytes]) -> str:
    try:
        file.seek(0)
        own = json.loads(file.read())
        return f"process {own['pid']} ({own['command']}, since {own['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
