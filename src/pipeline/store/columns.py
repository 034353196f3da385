"""Tables held as columns: a row is made when it is looked at, so that rows cost tens of bytes and not hundreds."""

import operator
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import StoreError
from pipeline.store.tables import Row, each_row
from pipeline.store.texts import Bools, Coded, GrowingNumbers, GrowingTexts, Index, Made, Texts, Which, indices_of


class _Column(Protocol):
    def __len__(self) -> int: ...
    def part(self, first: int, last: int) -> list[Any]: ...
    def take(self, which: Which) -> Any: ...


class _Numbers:
    """Whole numbers in as few bytes as the largest needs, or floats."""

    def __init__(self, values: NDArray[Any]) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def part(self, first: int, last: int) -> list[Any]:
        found: list[Any] = self.values[first:last].tolist()
        return found

    def take(self, which: Which) -> "_Numbers":
        return _Numbers(self.values[which])


class _Others:
    """Values of any other type, as they are."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def part(self, first: int, last: int) -> list[Any]:
        return self.values[first:last]

    def take(self, which: Which) -> "_Others":
        return _Others([self.values[index] for index in indices_of(which).tolist()])


class Table(Made[Row], Generic[Row]):
    """Rows of one type as columns."""

    def __init__(self, kind: type[Row], columns: Mapping[str, _Column]) -> None:
        self._kind = kind
        self._columns = columns

    @classmethod
    def of(cls, kind: type[Row], rows: Iterable[Row]) -> "Table[Row]":
        """Put rows into columns; a table stays itself.

        Raises
        ------
        ValueError
            If a whole number takes more than 64 bits.
        """
        if isinstance(rows, Table):
            return rows
        hints = typing.get_type_hints(kind)
        growing = {name: _GROWING.get(hint, _GrowingOthers)() for name, hint in hints.items()}
        appends = [(operator.attrgetter(name), column.append) for name, column in growing.items()]
        for row in rows:
            for value_of, append in appends:
                append(value_of(row))
        return cls(kind, {name: _held(column.done()) for name, column in growing.items()})

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def part(self, first: int, last: int) -> list[Row]:
        """Make the rows from `first` to `last` (exclusive)."""
        names, values = self._columns.keys(), [column.part(first, last) for column in self._columns.values()]
        return [self._kind(**dict(zip(names, row, strict=True))) for row in zip(*values, strict=True)]

    def take(self, which: Which) -> "Table[Row]":
        """Keep some of the rows; with a mask of all, the table itself."""
        if which.dtype == bool and len(which) == len(self) and which.all():
            return self
        return Table(self._kind, {name: column.take(which) for name, column in self._columns.items()})

    def texts(self, name: str) -> Texts | Coded:
        """A column of texts."""
        column = self._columns[name]
        if not isinstance(column, Texts | Coded):
            raise TypeError(f"{name} is no column of texts")
        return column

    def numbers(self, name: str) -> NDArray[Any]:
        """A column of numbers as int64 or float64 (n,)."""
        column = self._columns[name]
        if not isinstance(column, _Numbers):
            raise TypeError(f"{name} is no column of numbers")
        is_float = np.issubdtype(column.values.dtype, np.floating)
        return column.values.astype(np.float64 if is_float else np.int64)

    def where(self, name: str, is_so: Callable[[str], bool]) -> Bools:
        """Mask (n,) of the rows whose text in a column fulfils a condition; a text that repeats is asked about once."""
        column = self.texts(name)
        if isinstance(column, Coded):
            of_names = np.fromiter(map(is_so, column.names), dtype=bool, count=len(column.names))
            found: Bools = of_names[column.codes]
            return found
        return np.fromiter(map(is_so, column), dtype=bool, count=len(column))


class _GrowingOthers:
    def __init__(self) -> None:
        self._values: list[Any] = []

    def append(self, value: Any) -> None:
        self._values.append(value)

    def done(self) -> _Others:
        return _Others(self._values)


def _held(values: Any) -> _Column:
    column: _Column = _Numbers(values) if isinstance(values, np.ndarray) else values
    return column


_GROWING: Mapping[Any, Callable[[], Any]] = {
    int: lambda: GrowingNumbers("q"),
    float: lambda: GrowingNumbers("d"),
    str: GrowingTexts,
}


def read_table(paths: Sequence[Path], kind: type[Row]) -> Table[Row]:
    """Read tables of one type, one after the other, as `tables.read_all` does, into columns.

    Raises
    ------
    StoreError
        As `tables.read_rows` does, and where a whole number takes more than 64 bits.
    """
    try:
        return Table.of(kind, (row for path in paths for row in each_row(path, kind)))
    except ValueError as error:
        named = ", ".join(map(str, paths))
        raise StoreError(f"{named}: cannot be read ({error}): run `dvc repro -f` on the stage that writes it") from None


class Keyed(Generic[Row]):
    """A table, and where its rows are by one of its columns."""

    def __init__(self, table: Table[Row], key: str) -> None:
        self.table = table
        self.find = Index(table.texts(key)).find
