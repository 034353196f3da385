"""The tables between stages, as CSV: one frozen row type each, read back exactly as written.

Rows are many: they have slots, and equal texts of a column are one text in memory, but those that name the row itself.
"""

import contextlib
import csv
import dataclasses
import io
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TextIO, TypeVar

from pipeline.errors import StoreError
from pipeline.store.claims import PART, hold_back, put_in_place, refuse_damaged
from pipeline.store.files import sync, written_whole


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """One accepted clip: where its sound lies in clips.h5 and what its corpus knows of it."""

    clip_id: str  # corpus/path, and #t=start,end for an event inside a longer recording
    path: str  # relative to the corpus's folder
    label: str
    corpus: str
    offset: int  # of its first sample in clips.h5
    n_samples: int  # at audio.sample_rate
    seconds: float
    start_seconds: float  # where it starts in its recording; 0 for whole recordings
    pcm_sha256: str  # of its decoded sound
    source_rate: int  # Hz
    bandwidth_hz: float
    floor_db: float  # 10th percentile of the level of 50 ms frames, dB re full scale
    channels: int
    licence: str
    fields: Mapping[str, str] = field(default_factory=dict)  # speaker, group, event, ...: further columns


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """A recording that was not accepted."""

    path: str
    label: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Noted:
    """What was tolerated in a recording that was accepted."""

    path: str
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """A file that a published corpus should hold and its folder lacks."""

    path: str  # as the publisher ships it


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """One block: samples start to start + n_samples of its clip, the clip repeated or zero-padded if it ends before."""

    block_id: str  # clip_id@start
    clip_id: str
    variant: int  # 0 is the recording; others are altered sound, for training only
    start: int  # samples from the start of the clip
    n_samples: int
    fill: str  # none, repeat or pad: what follows where the clip is shorter than the block


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """What slicing left out of one clip for one reason."""

    clip_id: str
    label: str
    reason: str
    blocks: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Gain:
    """Loudness of one block before normalisation, and what normalisation does to it."""

    block_id: str
    lufs: float  # -inf for silence
    gain_db: float
    offset: float  # subtracted before the gain; 0 but for zscore
    peak: float  # largest magnitude after the gain
    flag: str  # empty, silent, gain_capped, over_full_scale, peak_limited; several joined by +


@dataclass(frozen=True, kw_only=True, slots=True)
class Duplicate:
    """Two clips that are the same recording, or share a part of one."""

    clip_id: str
    other_id: str  # comes after clip_id
    kind: str  # exact: the same decoded samples; near: altered, or a part
    offset_seconds: float  # where the other clip begins in the time of the first
    seconds: float  # of sound that they share
    similarity: float  # correlation of that sound, 0 to 1


@dataclass(frozen=True, kw_only=True, slots=True)
class SpectrogramFile:
    """One corpus's rendered file, by content."""

    corpus: str
    path: str
    sha256: str  # of the pixel values, as the file itself states it


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitRow:
    """The side of one block in one fold."""

    block_id: str
    clip_id: str
    group: str  # the unit of the split that the block belongs to
    label: str
    fold: int
    side: str  # train, validation, test or dropped


@dataclass(frozen=True, kw_only=True, slots=True)
class CurvePoint:
    """One point of a learning curve."""

    iteration: int
    epoch: float
    side: str  # train or validation
    loss: float  # mean cross-entropy, nats
    accuracy: float
    uar: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """How many test items of one clip were answered with one class: a row of the tables behind the confusion matrices.

    The tables lie in git, so that two revisions can be compared clip by clip.
    """

    clip_id: str
    unit: str  # what intervals resample: the split's unit, or in a block split the clip
    actual: str
    predicted: str
    n: int  # blocks; 1 where the item is the clip itself


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipAnswer:
    """What the model said of one test clip, and its worst block."""

    clip_id: str
    actual: str
    predicted: str
    of_actual: float  # probability of the actual class, by the rule that makes its test blocks one answer
    of_predicted: float
    n_blocks: int
    worst_block: str  # the block with the least probability of the actual class, of equals the first


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """One point of one run's learning curve, for the plot of them all."""

    run: str
    side: str
    iteration: int
    loss: float
    uar: float


@dataclass(frozen=True, kw_only=True, slots=True)
class OverClip:
    """The clips' answers from their first blocks alone, by one rule."""

    rule: str
    blocks: int  # of each clip, from its start; clips that have fewer keep their answer
    seconds: float  # from the start of the clips to the end of that block: median over those that go on
    uar: float
    of_actual: float  # mean probability of the actual class
    going: int  # clips that have so many blocks


@dataclass(frozen=True, kw_only=True, slots=True)
class Reliability:
    """How often answers of about one confidence are right."""

    level: str  # block or clip
    low: float  # confidence lies above this
    high: float  # up to this
    confidence: float  # mean
    accuracy: float
    n: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Recall:
    """Recall of one class at one level."""

    level: str  # block or clip
    label: str
    recall: float
    low: float | None  # of the 95 % interval; none from fewer than 2 units
    high: float | None
    n: int


Row = TypeVar("Row")
# Columns whose texts are few, however many the rows.
REPEATED = frozenset({"clip_id", "label", "corpus", "licence", "fill", "flag", "group", "side", "unit", "run", "level"})


class _Once(dict[str, str]):
    """Gives of equal cells one text."""

    def __call__(self, cell: str) -> str:
        return self[cell] if cell in self else self.setdefault(cell, unguard(cell))


def _has_fields(kind: type[Any]) -> bool:
    return any(item.name == "fields" for item in dataclasses.fields(kind))


def _columns(kind: type[Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {item.name: _reader(hints[item.name]) for item in dataclasses.fields(kind) if item.name != "fields"}


def _reader(hint: Any) -> Callable[[str], Any]:
    """What turns a cell into a value: the type itself; of one or None, an empty cell into None."""
    inner = [one for one in typing.get_args(hint) if one is not type(None)]
    if not inner:
        reader: Callable[[str], Any] = unguard if hint is str else hint
        return reader
    return lambda text: inner[0](text) if text else None


# A cell of text that a spreadsheet would run as a formula (CWE-1236), unless it is a plain number; behind quotes too.
_FORMULA = re.compile(r"'*[=+@\t\r-](?!(?<=[+-])[0-9]+(\.[0-9]+)?\Z)")


def guard(text: str) -> str:
    """Put an apostrophe before what a spreadsheet would run as a formula; everything else stays as it is."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguard(cell: str) -> str:
    """Invert `guard`."""
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell


def _cell(value: Any) -> Any:
    return guard(value) if isinstance(value, str) else value


class _Lines:
    """Lines end in a plain newline, though the writer has to think of another end to put quotes round a return."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> None:
        self._file.write(line.removesuffix("\r\n") + "\n")


def write_rows(path: Path, kind: type[Row], rows: Iterable[Row]) -> int:
    """Write rows of one type as CSV, whole or not at all; `fields` become further columns, sorted by name.

    An empty field is one that the row does not have. Texts that a spreadsheet would run stand behind an apostrophe.
    Rows without `fields` are taken one by one, and never in memory together. Returns how many there were.

    Raises
    ------
    StoreError
        If a further column has the name of one of the type's own, or the file cannot be written.
    """
    known, further = list(_columns(kind)), []
    if _has_fields(kind):
        rows = list(rows)
        further = sorted({name for row in rows for name in getattr(row, "fields", {})})
    if double := [name for name in further if name in known]:
        raise StoreError(f"{path}: two columns {double[0]}: rename the field of the corpus")
    with (
        written_whole(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(_Lines(file), lineterminator="\r\n")
        writer.writerow([_cell(name) for name in known + further])
        n_rows = 0
        for row in rows:
            fields = getattr(row, "fields", {})
            cells = [getattr(row, name) for name in known] + [fields.get(name, "") for name in further]
            writer.writerow([_cell(cell) for cell in cells])
            n_rows += 1
    return n_rows


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """Read back what `write_rows` wrote.

    Raises
    ------
    StoreError
        If the file is missing, lacks a column, or holds a value that its column cannot have; and in a stage, if it is
        not what a stage wrote.
    """
    return list(each_row(path, kind))


def each_row(path: Path, kind: type[Row]) -> Iterator[Row]:
    """Read the same one by one, where only some are to be kept.

    Raises
    ------
    StoreError
        As `read_rows` does, once it comes to what is wrong.
    """
    refuse_damaged(path)
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            yield from _parse(path, kind, file)
    except FileNotFoundError:
        raise StoreError(f"{path}: missing: run `dvc repro`") from None
    except (OSError, ValueError, csv.Error) as error:
        raise StoreError(f"{path}: cannot be read ({error}): run `dvc repro -f` on the stage that writes it") from None


def read_growing(path: Path, kind: type[Row]) -> list[Row]:
    """Read what a `LiveTable` has written so far, complete or not; a line that has no end yet is left for later.

    Raises
    ------
    StoreError
        As `read_rows` does, but for a file that is not there or has no header yet: that has no rows.
    """
    try:
        text = lies_at(path).read_bytes().decode("utf-8", "surrogateescape")
        lines = text[: text.rfind("\n") + 1]
        return list(_parse(path, kind, io.StringIO(lines, newline=""))) if lines else []
    except FileNotFoundError:
        return []
    except (OSError, ValueError, csv.Error) as error:
        raise StoreError(f"{path}: cannot be read ({error}): run `dvc repro -f` on the stage that writes it") from None


def _parse(path: Path, kind: type[Row], file: TextIO) -> Iterator[Row]:
    columns = {name: _Once() if name in REPEATED else convert for name, convert in _columns(kind).items()}
    reader = csv.reader(file)
    header = [unguard(name) for name in next(reader, [])]
    if missing := [name for name in columns if name not in header]:
        raise StoreError(f"{path}: no column {', '.join(missing)}: run `dvc repro -f` on the stage that writes it")
    has_fields = _has_fields(kind)
    yield from (_row(kind, columns, dict(zip(header, line, strict=True)), has_fields=has_fields) for line in reader)


def _row(kind: type[Row], columns: Mapping[str, Any], cells: Mapping[str, str], *, has_fields: bool) -> Row:
    values: dict[str, Any] = {name: convert(cells[name]) for name, convert in columns.items()}
    if has_fields:
        values["fields"] = {name: unguard(text) for name, text in cells.items() if name not in columns and text}
    return kind(**values)


class _Keyed(dict[str, Row]):
    """Rows by key; a key that is not there means that the tables were made from different sources."""

    def __init__(self, rows: Mapping[str, Row], path: Path) -> None:
        super().__init__(rows)
        self._path = path

    def __missing__(self, key: str) -> Row:
        raise StoreError(f"{self._path}: has no row {key}: it was made from other sources: run `dvc repro`")


def read_keyed(path: Path, kind: type[Row], key: str) -> Mapping[str, Row]:
    """Read a table and look its rows up by one of their columns.

    Raises
    ------
    StoreError
        As `read_rows` does, and where a row that is looked up is not there.
    """
    return _Keyed({getattr(row, key): row for row in read_rows(path, kind)}, path)


def read_all(paths: Sequence[Path], kind: type[Row]) -> list[Row]:
    """Read several tables of one type, one after the other."""
    return [row for path in paths for row in read_rows(path, kind)]


class LiveTable:
    """A table that can be read while it grows (`read_growing`): every row is on disk as soon as it is known.

    It grows under a name of its own, and takes its place when it is complete. After a failure it stays there, to be
    looked at, until the next begins.
    """

    def __init__(self, path: Path, kind: type[Any]) -> None:
        self._path = path
        self._names = list(_columns(kind))

    def __enter__(self) -> Self:
        """Start the table anew, with its header."""
        growing = growing_of(self._path)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = growing.open("w", newline="", encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise self._failed(error) from error
        self._writer = csv.writer(_Lines(self._file), lineterminator="\r\n")
        self._write(self._names)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close the table and put it in its place."""
        self._file.close()
        if kind is not None:
            return
        growing = growing_of(self._path)
        try:
            sync(growing)
            if not hold_back(growing, self._path):
                put_in_place(growing, self._path)
        except OSError as error:
            raise self._failed(error) from error

    def append(self, row: object) -> None:
        """Add one row."""
        self._write([getattr(row, name) for name in self._names])

    def _write(self, cells: Sequence[Any]) -> None:
        try:
            self._writer.writerow([_cell(cell) for cell in cells])
            self._file.flush()
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.close()  # now: later it would try, and fail, to write what is left
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> StoreError:
        return StoreError(f"{self._path}: cannot be written ({error.strerror or error})")


def growing_of(path: Path) -> Path:
    """Where a `LiveTable` lies while it grows."""
    return path.with_name(f".{path.name}.growing{PART}")


def lies_at(path: Path) -> Path:
    """Where the rows of a table are now: where it grows, or has grown."""
    growing = growing_of(path)
    return growing if growing.is_file() else path


def tables_in(folder: Path) -> list[Path]:
    """The tables of a folder, complete or growing, by the names that they have when complete."""
    growing = [
        path.with_name(path.name[1:].removesuffix(f".growing{PART}")) for path in folder.glob(f".*.growing{PART}")
    ]
    return sorted({*folder.glob("[!.]*.csv"), *growing})
