"""Rows that are too many for memory, in files without a name: they go with the process, however that ends."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pipeline.errors import StoreError

Rows = NDArray[Any]
ROWS_AT_ONCE = 2**15  # that are put into their parts


class ScratchRows:
    """Rows of one shape and type on disk, read and written by their place, with plain reads.

    Parameters
    ----------
    folder
        Where there is room for all of them; None: the system's folder for such files.
    """

    def __init__(self, folder: Path | None, dtype: DTypeLike, row_shape: tuple[int, ...] = ()) -> None:
        self._folder, self._dtype, self._row_shape = folder, np.dtype(dtype), row_shape
        self._row_bytes = self._dtype.itemsize * int(np.prod(row_shape))
        self._n_rows = 0
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed with this
        except OSError as error:
            raise self._failed("written", error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Give the disk back."""
        self._file.close()

    def __len__(self) -> int:
        return self._n_rows

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return (self._n_rows, *self._row_shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """As of an array."""
        return self._dtype

    def append(self, rows: Rows) -> None:
        """Add rows (n, ...) at the end.

        Raises
        ------
        StoreError
            If there is no room for them.
        """
        self.write(self._n_rows, rows)

    def write(self, first: int, rows: Rows) -> None:
        """Put rows (n, ...) at a place, which may lie behind the end.

        Raises
        ------
        StoreError
            If there is no room for them.
        """
        left = np.ascontiguousarray(rows, dtype=self._dtype).reshape(-1).view(np.uint8).data
        at = first * self._row_bytes
        try:
            while left:
                written = os.pwrite(self._file.fileno(), left, at)
                left, at = left[written:], at + written
        except OSError as error:
            raise self._failed("written", error) from error
        self._n_rows = max(self._n_rows, first + len(rows))

    def __getitem__(self, span: slice) -> Rows:
        """Read rows of a span without steps, as of an array.

        Raises
        ------
        StoreError
            If they cannot be read.
        """
        first, last, _ = span.indices(self._n_rows)
        rows = np.empty((max(0, last - first), *self._row_shape), self._dtype)
        self._read(first, rows)
        return rows

    def pieces(self, n_rows: int) -> Iterator[Rows]:
        """Read all rows, so many at a time, into the same memory.

        Raises
        ------
        StoreError
            If they cannot be read.
        """
        held = np.empty((min(n_rows, self._n_rows), *self._row_shape), self._dtype)
        for first in range(0, self._n_rows, n_rows):
            rows = held[: self._n_rows - first]
            self._read(first, rows)
            yield rows

    def _read(self, first: int, rows: Rows) -> None:
        left, at = rows.reshape(-1).view(np.uint8).data, first * self._row_bytes
        try:
            while left and (n_read := os.preadv(self._file.fileno(), [left], at)):
                left, at = left[n_read:], at + n_read
        except OSError as error:
            raise self._failed("read", error) from error
        if left:
            raise self._failed("read", OSError("it was cut off"))

    def _failed(self, what: str, error: OSError) -> StoreError:
        where = self._folder or "the folder for temporary files"
        return StoreError(f"{where}: a temporary file cannot be {what} ({error.strerror or error}): free space there")


class Buckets:
    """Rows that come in any order and are given back in parts of whole buckets.

    Parameters
    ----------
    folder
        As of `ScratchRows`; at the end twice the rows lie there.
    bucket_of
        The bucket of each of some rows: (n,), 0 to n_buckets - 1.
    """

    def __init__(
        self, folder: Path | None, dtype: DTypeLike, *, n_buckets: int, bucket_of: Callable[[Rows], NDArray[np.integer]]
    ) -> None:
        self._folder, self._dtype, self._bucket_of = folder, np.dtype(dtype), bucket_of
        self._counts = np.zeros(n_buckets, np.int64)
        self._rows = ScratchRows(folder, dtype)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Give the disk back."""
        self._rows.__exit__()

    def add(self, rows: Rows) -> None:
        """Add rows (n,).

        Raises
        ------
        StoreError
            If there is no room for them.
        """
        np.add.at(self._counts, self._bucket_of(rows), 1)
        self._rows.append(rows)

    def parts(self, most_rows: int) -> Iterator[Rows]:
        """Give all rows in parts, in the buckets' order; the rows of a part in the order in which they came.

        A part has at most so many rows, or those of one bucket that has more.

        Raises
        ------
        StoreError
            If there is no room for them.
        """
        firsts = _firsts(self._counts, most_rows)
        if len(firsts) < 2:
            yield self._rows[:]
            return
        lengths = np.diff(firsts, append=len(self._counts))
        part_of = np.repeat(np.arange(len(firsts), dtype=np.min_scalar_type(len(firsts))), lengths)
        ends = np.cumsum(np.add.reduceat(self._counts, firsts))
        with ScratchRows(self._folder, self._dtype) as ordered:
            self._put_in_order(ordered, part_of, ends)
            for first, last in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
                yield ordered[first:last]

    def _put_in_order(self, ordered: ScratchRows, part_of: NDArray[np.integer], ends: NDArray[np.int64]) -> None:
        """Write each row into its part, which ends at its place in `ends`."""
        at = np.concatenate([[0], ends[:-1]])
        for first in range(0, len(self._rows), ROWS_AT_ONCE):
            rows = self._rows[first : first + ROWS_AT_ONCE]
            part = part_of[self._bucket_of(rows)]
            order = np.argsort(part, kind="stable")
            rows, part = rows[order], part[order]
            cuts = np.flatnonzero(np.diff(part)) + 1
            for own, number in zip(np.split(rows, cuts), part[np.concatenate([[0], cuts])].tolist(), strict=True):
                ordered.write(int(at[number]), own)
                at[number] += len(own)


def _firsts(counts: NDArray[np.int64], most_rows: int) -> list[int]:
    """Where the parts begin: each has as many buckets as it can."""
    ends = np.cumsum(counts)
    firsts, first, n_before = [], 0, 0
    while first < len(counts):
        firsts.append(first)
        first = max(first + 1, int(np.searchsorted(ends, n_before + most_rows, "right")))
        n_before = int(ends[first - 1])
    return firsts
