"""Arrays between stages, as HDF5: written whole, marked complete, digested, refused when damaged."""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import StoreError
from pipeline.store.files import written_whole
from pipeline.store.sink import Sink

SMALL_CACHE = 2**20  # bytes: for what is gone through once, or read in chunks as they are
SOUND_CHUNK = 2**18  # samples: 1 MiB, about six seconds at 44.1 kHz


class ArrayWriter:
    """One new HDF5 file: datasets that only grow, each with a running SHA-256 of its values in order."""

    def __init__(self, file: Any, sink: Sink) -> None:
        self._file = file
        self._sink = sink
        self._digests: dict[str, Any] = {}

    def create(self, name: str, *, row_shape: tuple[int, ...], dtype: Any, rows_in_chunk: int = 1) -> None:
        """Make an empty dataset of rows; every chunk carries a Fletcher-32 checksum."""
        self._file.create_dataset(
            name,
            shape=(0, *row_shape),
            maxshape=(None, *row_shape),
            dtype=dtype,
            chunks=(rows_in_chunk, *row_shape),
            fletcher32=True,
            track_times=False,
        )
        self._digests[name] = hashlib.sha256(f"{np.dtype(dtype).str}{row_shape}".encode())

    def append(self, name: str, rows: NDArray[Any]) -> int:
        """Add rows at the end of a dataset and return the index of the first of them.

        Raises
        ------
        ValueError
            If the rows have another shape than the dataset's: HDF5 would spread them.
        """
        dataset = self._file[name]
        rows = np.ascontiguousarray(rows, dtype=dataset.dtype)
        if rows.shape[1:] != dataset.shape[1:]:
            raise ValueError(f"{name}: rows of shape {rows.shape[1:]}, needed {dataset.shape[1:]}")
        first = int(dataset.shape[0])
        dataset.resize(first + len(rows), axis=0)
        dataset[first:] = rows
        self._digests[name].update(rows.data)
        self._sink.check()
        return first

    def finish(self, attributes: Mapping[str, Any]) -> None:
        """State the digests and `attributes`, and mark the file complete."""
        for name, digest in self._digests.items():
            _state(self._file[name], "sha256", digest.hexdigest())
        for name, value in attributes.items():
            _state(self._file, name, value)
        _state(self._file, "complete", True)


def _state(owner: Any, name: str, value: Any) -> None:
    # Texts of fixed length: those of variable length lie in a heap without a checksum, and a flipped bit there makes
    # HDF5 read for ever.
    owner.attrs[name] = np.bytes_(value.encode("utf-8")) if isinstance(value, str) else value


@contextlib.contextmanager
def new_arrays(path: Path) -> Iterator[ArrayWriter]:
    """Write a new HDF5 file, whole or not at all.

    Raises
    ------
    StoreError
        If it cannot be written; what `path` held before is still there.
    """
    with written_whole(path) as temporary, Sink(temporary) as sink:
        try:
            with h5py.File(sink, "w", libver="latest") as file:
                yield ArrayWriter(file, sink)
        except (OSError, RuntimeError):
            sink.check()  # where writing failed first, that is the reason
            raise
        sink.check()


@contextlib.contextmanager
def open_arrays(path: Path, *, cache_bytes: int | None = None) -> Iterator[Any]:
    """Open an HDF5 file of ours for reading.

    Parameters
    ----------
    cache_bytes
        Of chunks that were read, per dataset, in memory; by default what HDF5 has, 8 MiB in its version 2.

    Raises
    ------
    StoreError
        If it is missing, not HDF5, not marked complete, or damaged where it is read.
    """
    try:
        file = h5py.File(path, "r", rdcc_nbytes=cache_bytes)
    except FileNotFoundError:
        raise StoreError(f"{path}: missing: run `dvc repro`") from None
    except OSError as error:
        raise _damaged(path, error) from None
    with file:
        _check(path, file)
        try:
            yield file
        except OSError as error:
            if error.errno is not None:
                raise  # the operating system's, of another file: HDF5's own errors carry no number
            raise _damaged(path, error) from None


def _check(path: Path, file: Any) -> None:
    """Refuse what is incomplete, and whatever leads out of the file."""
    try:
        is_complete = bool(file.attrs.get("complete", False))
        own = {name: isinstance(file.get(name, getlink=True), h5py.HardLink) for name in file}
        elsewhere = [name for name, is_own in own.items() if not is_own or _is_elsewhere(file[name])]
    except (KeyError, RuntimeError, TypeError, ValueError) as error:  # how HDF5's errors come out, beside OSError
        raise _damaged(path, error) from None
    if not is_complete:
        raise StoreError(f"{path}: not complete: run `dvc repro -f` on the stage that writes it")
    if elsewhere:
        raise StoreError(
            f"{path}: {elsewhere[0]} is no plain data of this file, or leads to another; files between stages hold "
            "their own data: make it anew"
        )


def _is_elsewhere(item: Any) -> bool:
    return not isinstance(item, h5py.Dataset) or bool(item.external) or item.is_virtual


def _damaged(path: Path, error: Exception) -> StoreError:
    reason = " ".join(str(error).strip("'").split())  # a KeyError quotes its text
    return StoreError(f"{path}: damaged ({reason}): run `dvc repro -f` on the stage that writes it")


@contextlib.contextmanager
def reading(dataset: Any) -> Iterator[None]:
    """Name a dataset's own file where reading it fails, whichever other files are open around it.

    Raises
    ------
    StoreError
        If what is read is damaged.
    """
    try:
        yield
    except OSError as error:
        raise _damaged(Path(dataset.file.filename), error) from None


def read_span(dataset: Any, first: int, last: int) -> NDArray[Any]:
    """Rows first to last (exclusive) of a dataset.

    Raises
    ------
    StoreError
        If they are damaged, or not all there.
    """
    with reading(dataset):
        rows: NDArray[Any] = dataset[first:last]
    if len(rows) != last - first:
        raise StoreError(
            f"{dataset.file.filename}: has {len(dataset)} rows, fewer than the {last} that its table names: "
            "run `dvc repro`"
        )
    return rows


def digest_of(file: Any, name: str) -> str:
    """SHA-256 of a dataset's values, as stated when they were written."""
    return str(attributes_of(file[name])["sha256"])


def attributes_of(owner: Any) -> dict[str, Any]:
    """What a file or a dataset states of itself, as plain Python values."""
    values = {name: value.item() if isinstance(value, np.generic) else value for name, value in owner.attrs.items()}
    return {name: value.decode("utf-8") if isinstance(value, bytes) else value for name, value in values.items()}


def encode_texts(texts: Iterable[str]) -> NDArray[np.bytes_]:
    """Texts as fixed-length UTF-8, so that a file's bytes depend on nothing else."""
    return np.array([text.encode("utf-8", "surrogateescape") for text in texts], dtype=np.bytes_)


def decode_texts(values: NDArray[np.bytes_]) -> list[str]:
    """Invert `encode_texts`."""
    return list(each_text(values))


def each_text(values: NDArray[np.bytes_]) -> Iterator[str]:
    """Give the same one by one."""
    for first in range(0, len(values), 1024):
        yield from (value.decode("utf-8", "surrogateescape") for value in values[first : first + 1024].tolist())
