"""One command at a time at the same experiments."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import ExperimentError


@contextlib.contextmanager
def only_one(what: str, name: str) -> Iterator[None]:
    """Keep a second command from the same search, or paper, while the block runs.

    Parameters
    ----------
    what
        search or papers.

    Raises
    ------
    ExperimentError
        If one is at work, or the folder cannot be written.
    """
    path = Path(".dvc/tmp") / f"{what}-{name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be written ({error.strerror}): run from the project's folder") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ExperimentError(
                f"{what} {name}: another command is at work on it: let it finish, or stop it"
            ) from None
        yield
