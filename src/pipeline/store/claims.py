"""What a stage writes is its own while it runs: no second process beside it, and all of its files change together.

A lock of the operating system holds an output; it ends with the process, however that ends. Files that are written
whole wait under temporary names until the stage is done; then those of before go, and the new ones are renamed into
place.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.store.known import note, refuse_unknown
from pipeline.store.locks import HeldError, holder_of, locked
from pipeline.store.paths import LOCKS, lock_of

PART = ".part"  # how the names of temporary files end; they begin with a dot


class _Claim:
    """Outputs of one stage, and their new files that wait to be renamed into place."""

    def __init__(self, outputs: tuple[Path, ...]) -> None:
        self.outputs = outputs
        self.waiting: dict[Path, Path] = {}  # temporary file of each path
        self.afterwards: list[Callable[[], None]] = []

    def covers(self, path: Path) -> bool:
        return any(path == output or output in path.parents for output in self.outputs)

    def put_in_place(self) -> None:
        """Replace the files of before by those that wait: at no moment are there files of both."""
        for path, temporary in self.waiting.items():
            note(path, temporary)
        first = next(iter(self.waiting), None)
        for old in (path for output in self.outputs for path in files_of(output) if first is not None):
            if old != first and not is_part(old):
                old.unlink()
        for path, temporary in self.waiting.items():
            put_in_place(temporary, path)
        self.waiting.clear()
        for function in self.afterwards:
            function()

    def drop(self) -> None:
        """Remove what waits."""
        for temporary in self.waiting.values():
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


_claims: list[_Claim] = []  # of this process, the innermost last


def put_in_place(temporary: Path, path: Path) -> None:
    """Rename a file that is complete and synced, and sync its folder."""
    temporary.replace(path)
    # Some file systems cannot sync a folder. The file is there and whole all the same.
    with contextlib.suppress(OSError):
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def hold_back(temporary: Path, path: Path) -> bool:
    """Let a complete file wait for the others of its stage; False, and it may take its place, if no stage claims it."""
    claim = next((one for one in reversed(_claims) if one.covers(path)), None)
    if claim is None:
        note(path, temporary)
        return False
    claim.waiting[path] = temporary
    return True


def refuse_damaged(path: Path) -> None:
    """Within a stage, refuse a table or JSON file that no stage wrote; other commands read what people bring them.

    Raises
    ------
    StoreError
        As `refuse_unknown` does.
    """
    if _claims:
        refuse_unknown(path)


def when_in_place(function: Callable[[], None]) -> None:
    """Call a function once what this process claims is in its place: at once, if it claims nothing."""
    if _claims:
        _claims[-1].afterwards.append(function)
    else:
        function()


def as_written(path: Path) -> Path:
    """Where the latest content of a path lies: under its temporary name, if this process has it wait."""
    return next((one.waiting[path] for one in reversed(_claims) if path in one.waiting), path)


def is_part(path: Path) -> bool:
    """Whether a file is a temporary one of ours."""
    return path.name.startswith(".") and path.name.endswith(PART)


def files_of(output: Path) -> list[Path]:
    """All files of an output, be it a file or a folder, and its temporary ones."""
    beside = output.parent.glob(f".{_escaped(output.name)}.*{PART}") if output.parent.is_dir() else []
    inside = sorted(output.rglob("*")) if output.is_dir() and not output.is_symlink() else [output]
    return [path for path in (*inside, *beside) if path.is_file() or path.is_symlink()]


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


@contextlib.contextmanager
def claimed(*outputs: Path, writes: bool = True) -> Iterator[None]:
    """Have outputs (files or folders) for oneself while a stage runs, and change their files together at its end.

    What killed processes left of them is removed. After an error what they held before is still there, and only that.
    Of several processes that work together one `writes`; the others claim nothing.

    Raises
    ------
    StoreError
        Before any work, if another process writes one of them, or they cannot be written.
    """
    if not writes:
        yield
        return
    claim = _Claim(outputs)
    with contextlib.ExitStack() as locks:
        for output in outputs:
            locks.enter_context(_locked(output))
        for output in outputs:
            _refuse_unwritable(output)
            _remove_leftovers(output)
        _claims.append(claim)
        try:
            yield
            try:
                claim.put_in_place()
            except OSError as error:
                raise cannot_be_written(outputs[0], error) from error
        finally:
            _claims.remove(claim)
            claim.drop()


def cannot_be_written(path: Path, error: OSError) -> StoreError:
    """Say that a file could not be written, and that it is as it was."""
    return StoreError(f"{path}: cannot be written ({error.strerror or error}); what was there is unchanged")


def _remove_leftovers(output: Path) -> None:
    for path in files_of(output):
        if is_part(path):
            path.unlink(missing_ok=True)


def _refuse_unwritable(output: Path) -> None:
    """Try to make a file where the output is to lie: nobody has to wait hours to learn that it cannot be."""
    folder = output if output.is_dir() else output.parent
    probe = folder / f".{output.name}.{os.getpid()}{PART}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise cannot_be_written(output, error) from error


@contextlib.contextmanager
def _locked(output: Path) -> Iterator[None]:
    """Hold the lock of an output."""
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(lock_of(output)))
        except HeldError as error:
            raise StoreError(f"{output}: is being written by {error}: wait until it has ended, or end it") from None
        except OSError as error:
            raise cannot_be_written(output, error) from error
        yield


def holders() -> list[str]:
    """Say of every lock that is held who holds it."""
    found = (holder_of(path) for path in sorted(LOCKS.glob("*.lock")))
    return list(dict.fromkeys(text for text in found if text))
