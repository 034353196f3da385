"""Many texts in little memory: packed into one buffer, or a code for each into the few that there are."""

import operator
from abc import abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

PART = 1024  # items that are made at a time
FEW = 1024  # so many different texts are always kept once each
_TEXT = ("utf-8", "surrogatepass")  # in the order of its bytes, texts are in the order of their characters

Item = TypeVar("Item")
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Which = NDArray[np.bool_] | NDArray[np.integer[Any]]  # of some items, in their order: a mask, or their indices


class Made(Sequence[Item]):
    """A sequence whose items are made when they are looked at; it equals any sequence of equal items."""

    @abstractmethod
    def part(self, first: int, last: int) -> list[Item]:
        """Make the items from `first` to `last` (exclusive)."""

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        if isinstance(index, slice):
            first, last, step = index.indices(len(self))
            return self.part(first, max(first, last)) if step == 1 else [self[at] for at in range(first, last, step)]
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(f"item {index} of {len(self)}")
        return self.part(at, at + 1)[0]

    def __iter__(self) -> Iterator[Item]:
        for first in range(0, len(self), PART):
            yield from self.part(first, min(first + PART, len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(map(operator.eq, self, other))

    __hash__ = None  # type: ignore[assignment]


class Texts(Made[str]):
    """Any texts, one after the other in a buffer."""

    def __init__(self, buffer: bytes | bytearray, edges: NDArray[np.integer[Any]]) -> None:
        self._buffer = buffer
        self._edges = edges  # where each text begins in the buffer, and where the last one ends (n + 1,)

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Texts":
        """Pack some texts."""
        growing = _GrowingPacked()
        for text in texts:
            growing.append(text)
        return growing.done()

    def __len__(self) -> int:
        return len(self._edges) - 1

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Texts):
            return self._buffer == other._buffer and np.array_equal(self._edges, other._edges)
        return super().__eq__(other)

    __hash__ = None

    def part(self, first: int, last: int) -> list[str]:
        """Make the texts from `first` to `last` (exclusive)."""
        edges = self._edges[first : last + 1].tolist()
        return [self._buffer[start:end].decode(*_TEXT) for start, end in pairwise(edges)]

    def take(self, which: Which) -> "Texts":
        """Pack some of the texts."""
        indices, buffer = indices_of(which), bytearray()
        starts, ends = self._edges[:-1][indices], self._edges[1:][indices]
        for first in range(0, len(indices), PART):
            edges = (some[first : first + PART].tolist() for some in (starts, ends))
            buffer += b"".join([self._buffer[start:end] for start, end in zip(*edges, strict=True)])
        return Texts(buffer, smallest(np.concatenate([[0], np.cumsum(ends - starts, dtype=np.int64)])))

    def ranked(self) -> tuple[Ints, Bools]:
        """Sort the texts, as `rank` does."""
        lengths: Ints = self._edges[1:].astype(np.int64) - self._edges[:-1]
        words = range(-(-int(lengths.max(initial=0)) // 8))
        order = np.argsort(lengths, kind="stable")
        for word in reversed(words):
            order = order[np.argsort(self._eight_bytes(word, lengths)[order], kind="stable")]
        new = np.ones(len(order), dtype=bool)
        new[1:] = lengths[order[1:]] != lengths[order[:-1]]
        for word in words:
            values = self._eight_bytes(word, lengths)[order]
            new[1:] |= values[1:] != values[:-1]
        return order, new

    def _eight_bytes(self, word: int, lengths: Ints) -> NDArray[np.uint64]:
        """A stretch of eight bytes of each text as a number (n,), as if zeros followed the text."""
        data, values = np.frombuffer(self._buffer, dtype=np.uint8), np.zeros(len(self), dtype=np.uint64)
        shortest = lengths.min()
        for at in range(8 * word, 8 * word + 8):
            values <<= np.uint64(8)
            there = slice(None) if at < shortest else np.flatnonzero(lengths > at)
            values[there] |= data[self._edges[:-1][there] + at]
        return values


class Coded(Made[str]):
    """Texts that repeat: each is one of the names, which are kept once."""

    def __init__(self, names: Sequence[str], codes: NDArray[np.integer[Any]]) -> None:
        self.names = names  # all different; not each has to occur
        self.codes = codes  # index of each text among them (n,)

    def __len__(self) -> int:
        return len(self.codes)

    def part(self, first: int, last: int) -> list[str]:
        """Give the texts from `first` to `last` (exclusive)."""
        return [self.names[code] for code in self.codes[first:last].tolist()]

    def take(self, which: Which) -> "Coded":
        """Keep some of the texts."""
        return Coded(self.names, self.codes[which])


def pack(texts: Iterable[str]) -> Texts | Coded:
    """Hold texts in whichever way takes less."""
    growing = GrowingTexts()
    for text in texts:
        growing.append(text)
    return growing.done()


def number(values: Sequence[str]) -> tuple[Sequence[str], Ints]:
    """Return the values, sorted and without repeats, and the index of each given one among them (n,)."""
    if isinstance(values, Texts):
        order, new = values.ranked()
        codes = np.empty(len(order), dtype=np.int64)
        codes[order] = np.cumsum(new) - 1
        return values.take(order[new]), codes
    if isinstance(values, Coded):
        used = np.flatnonzero(np.bincount(values.codes, minlength=len(values.names)))
        names, place = number([values.names[code] for code in used.tolist()])
        places = np.zeros(len(values.names), dtype=np.int64)
        places[used] = place
        return names, places[values.codes]
    names = tuple(sorted(set(values)))
    index = {name: i for i, name in enumerate(names)}
    return names, np.fromiter((index[value] for value in values), dtype=np.int64, count=len(values))


def rank(values: Sequence[str]) -> tuple[Ints, Bools]:
    """Sort texts: their indices (n,), those of equal texts rising, and which of these differ from the one before."""
    if isinstance(values, Texts):
        return values.ranked()
    _, codes = number(values)
    order = np.argsort(codes, kind="stable")
    return order, np.diff(codes[order], prepend=-1) > 0


class Index:
    """Where a text stands among many, in 16 bytes each: they are looked up by their hashes."""

    def __init__(self, texts: Sequence[str]) -> None:
        hashes = np.fromiter(map(hash, texts), dtype=np.int64, count=len(texts))
        order = np.argsort(hashes, kind="stable")
        self._texts = texts
        self._hashes = array("q", hashes[order].tobytes())
        self._order = smallest(order)

    def find(self, text: str) -> int | None:
        """Index of the last text that equals this one; None where there is none."""
        wanted = hash(text)
        at = bisect_right(self._hashes, wanted) - 1
        while at >= 0 and self._hashes[at] == wanted:
            index = int(self._order[at])
            if self._texts[index] == text:
                return index
            at -= 1
        return None


class GrowingNumbers:
    """Numbers, made small part by part."""

    def __init__(self, code: str) -> None:
        self._last = array(code)
        self._parts: list[NDArray[Any]] = []

    def __len__(self) -> int:
        return PART * len(self._parts) + len(self._last)

    def append(self, value: Any) -> None:
        """Add one.

        Raises
        ------
        ValueError
            If a whole number takes more than 64 bits.
        """
        try:
            self._last.append(value)
        except OverflowError:
            raise ValueError(f"{value} takes more than 64 bits") from None
        if len(self._last) == PART:
            self._parts.append(smallest(np.array(self._last)))
            self._last = array(self._last.typecode)

    def done(self) -> NDArray[Any]:
        """The numbers (n,), whole ones in the fewest bytes that hold them all."""
        last = smallest(np.array(self._last))
        return np.concatenate([*self._parts, last] if len(last) else self._parts or [last])


class _GrowingPacked:
    def __init__(self) -> None:
        self._buffer = bytearray()
        self._edges = GrowingNumbers("q")
        self._edges.append(0)

    def append(self, text: str) -> None:
        self._buffer += text.encode(*_TEXT)
        self._edges.append(len(self._buffer))

    def done(self) -> Texts:
        return Texts(self._buffer, self._edges.done())


class GrowingTexts:
    """Texts with a code each, until they turn out to repeat too little for that."""

    def __init__(self) -> None:
        self._code_of: dict[str, int] = {}
        self._codes = GrowingNumbers("q")
        self._packed: _GrowingPacked | None = None

    def append(self, text: str) -> None:
        """Add one."""
        if self._packed is not None:
            self._packed.append(text)
            return
        code = self._code_of.setdefault(text, len(self._code_of))
        self._codes.append(code)
        if code >= FEW and 2 * code > len(self._codes):
            self._packed = _GrowingPacked()
            for each in self._coded():
                self._packed.append(each)
            self._code_of, self._codes = {}, GrowingNumbers("q")

    def _coded(self) -> Coded:
        return Coded(tuple(self._code_of), self._codes.done())

    def done(self) -> Texts | Coded:
        """The texts."""
        return self._coded() if self._packed is None else self._packed.done()


def smallest(values: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers in few bytes that hold them all; floats stay."""
    if not len(values) or np.issubdtype(values.dtype, np.floating):
        return values
    low, high = int(values.min()), int(values.max())
    bounds = ((kind, np.iinfo(kind)) for kind in (np.uint8, np.uint16, np.int32, np.int64))
    return values.astype(next(kind for kind, bound in bounds if bound.min <= low and high <= bound.max))


def indices_of(which: Which) -> Ints:
    """Indices of what a mask or indices choose."""
    return np.flatnonzero(which) if which.dtype == bool else which.astype(np.int64)
