"""One command at a time at the same experiments."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import ExperimentError
from pipeline.store.locks import HeldError, locked


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
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(path))
        except HeldError as error:
            raise ExperimentError(f"{what} {name}: {error} is at work on it: let it finish, or stop it") from None
        except OSError as error:
            raise ExperimentError(
                f"{path}: cannot be written ({error.strerror}): run from the project's folder"
            ) from None
        yield
