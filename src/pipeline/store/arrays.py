"""Arrays between stages, as HDF5: written whole, marked complete, digested, refused when damaged."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import StoreError
from pipeline.store.files import written_whole

SOUND_CHUNK = 2**18  # samples: 1 MiB, about six seconds at 44.1 kHz


class ArrayWriter:
    """One new HDF5 file: datasets that only grow, each with a running SHA-256 of its values in order."""

    def __init__(self, file: Any) -> None:
        self._file = file
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
        """Add rows at the end of a dataset and return the index of the first of them."""
        dataset = self._file[name]
        rows = np.ascontiguousarray(rows, dtype=dataset.dtype)
        first = int(dataset.shape[0])
        dataset.resize(first + len(rows), axis=0)
        dataset[first:] = rows
        self._digests[name].update(rows.data)
        return first

    def finish(self, attributes: Mapping[str, Any]) -> None:
        """State the digests and `attributes`, and mark the file complete."""
        for name, digest in self._digests.items():
            self._file[name].attrs["sha256"] = digest.hexdigest()
        for name, value in attributes.items():
            self._file.attrs[name] = value
        self._file.attrs["complete"] = True


@contextlib.contextmanager
def new_arrays(path: Path) -> Iterator[ArrayWriter]:
    """Write a new HDF5 file, whole or not at all.

    Raises
    ------
    StoreError
        If it cannot be written; what `path` held before is still there.
    """
    with written_whole(path) as temporary, h5py.File(temporary, "w", libver="latest") as file:
        yield ArrayWriter(file)


@contextlib.contextmanager
def open_arrays(path: Path) -> Iterator[Any]:
    """Open an HDF5 file of ours for reading.

    Raises
    ------
    StoreError
        If it is missing, not HDF5, not marked complete, or damaged where it is read.
    """
    try:
        with h5py.File(path, "r") as file:
            if not file.attrs.get("complete", False):
                raise StoreError(f"{path}: not complete: run `dvc repro -f` on the stage that writes it")
            _refuse_foreign_links(path, file)
            yield file
    except FileNotFoundError:
        raise StoreError(f"{path}: missing: run `dvc repro`") from None
    except OSError as error:
        reason = " ".join(str(error).split())
        raise StoreError(f"{path}: damaged ({reason}): run `dvc repro -f` on the stage that writes it") from None


def _refuse_foreign_links(path: Path, file: Any) -> None:
    for name in file:
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise StoreError(f"{path}: {name} links to another place; files between stages never do: make it anew")
        if file[name].external or file[name].is_virtual:
            raise StoreError(
                f"{path}: {name} keeps its data in another file; files between stages never do: make it anew"
            )


def digest_of(file: Any, name: str) -> str:
    """SHA-256 of a dataset's values, as stated when they were written."""
    return str(file[name].attrs["sha256"])


def encode_texts(texts: list[str]) -> NDArray[np.bytes_]:
    """Texts as fixed-length UTF-8, so that a file's bytes depend on nothing else."""
    return np.array([text.encode("utf-8", "surrogateescape") for text in texts], dtype=np.bytes_)


def decode_texts(values: NDArray[np.bytes_]) -> list[str]:
    """Invert `encode_texts`."""
    return [value.decode("utf-8", "surrogateescape") for value in values.tolist()]
