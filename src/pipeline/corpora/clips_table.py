"""The clips.csv that a corpus folder may hold: read, checked, every fault told at once."""

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from pipeline.corpora.recording import CONTROL, Recording, label_fault, shown
from pipeline.errors import CorpusError

MAX_FAULTS = 20  # told at once
# Columns of the pipeline's own table of clips: a corpus's column of that name is kept under given_NAME.
RESERVED = frozenset(
    {"clip_id", "corpus", "offset", "n_samples", "seconds"}
    | {"pcm_sha256", "source_rate", "bandwidth_hz", "floor_db", "channels"}
)
_OWN = ("path", "label", "start_seconds", "end_seconds", "licence")


class _FaultError(Exception):
    """A fault of the table or of one line."""


def read_clips(table: Path) -> list[Recording]:
    """Read a clips.csv, UTF-8 with or without a byte order mark.

    Columns `path` and `label` are needed; `start_seconds`, `end_seconds` and `licence` may be there; every further
    column becomes a field. Spaces around a value are dropped, but for the path's. Files are not looked for.

    Parameters
    ----------
    table
        The file; messages name it as its folder and name.

    Returns
    -------
    list of Recording
        In the order of the lines; empty where there are none.

    Raises
    ------
    CorpusError
        If columns are missing or double, or lines are faulty: the first 20 faults, each with its line.
    """
    name = shown(f"{table.parent.name}/{table.name}")
    try:
        recordings, faults = _parse_table(_read_text(table))
    except csv.Error as error:
        raise CorpusError(f"{name}: no valid CSV ({error}): correct its quotes") from error
    except OSError as error:
        raise CorpusError(f"{name}: it cannot be read ({error.strerror}): check the file") from error
    except _FaultError as error:
        raise CorpusError(f"{name}: {error}") from None
    if faults:
        more = f"; and {len(faults) - MAX_FAULTS} more" if len(faults) > MAX_FAULTS else ""
        raise CorpusError(f"{name}: {'; '.join(faults[:MAX_FAULTS])}{more}: correct these lines")
    return recordings


def _read_text(table: Path) -> str:
    if table.exists() and not table.is_file():  # unopened: a pipe would block for ever
        raise _FaultError("not a regular file: give a table")
    data = table.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _FaultError(f"line {line}: not UTF-8: save the table as UTF-8") from None


def _parse_table(text: str) -> tuple[list[Recording], list[str]]:
    """Turn the table's text into recordings, and a message for each line that is none."""
    recordings: list[Recording] = []
    faults: list[str] = []
    first_lines: dict[tuple[object, ...], int] = {}
    rows = _numbered_rows(text)
    header = _checked_header(next(rows, (1, []))[1])
    for number, row in rows:
        try:
            recording = _parse_row(row, header=header)
        except _FaultError as error:
            faults.append(f"line {number}: {error}")
            continue
        recordings.append(recording)
        key = (recording.path, recording.start_seconds, recording.end_seconds)
        if (first := first_lines.setdefault(key, number)) != number:
            faults.append(f"line {number}: the same path and times as line {first}")
    return recordings, faults


def _numbered_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the line on which it begins; cells without text are blank too."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    begins = 1
    for row in reader:
        if any(cell.strip() for cell in row):
            yield begins, row
        begins = reader.line_num + 1


def _checked_header(cells: list[str]) -> list[str]:
    """Give the columns' names, the pipeline's own prefixed; refuse what is missing, double or nameless."""
    names = [cell.strip() for cell in cells]
    if missing := [needed for needed in ("path", "label") if needed not in names]:
        lack, found = " and no column ".join(missing), shown(", ".join(names))[:80] or "nothing"
        raise _FaultError(f"line 1: no column {lack}, but {found}: add it; commas part columns")
    if "" in names:
        raise _FaultError(f"line 1: column {names.index('') + 1} has no name: name or remove it")
    if unfit := [name for name in names if CONTROL.search(name)]:
        raise _FaultError(f"line 1: a control character in the column name {shown(unfit[0])}: remove it")
    names = [f"given_{name}" if name in RESERVED else name for name in names]
    if double := sorted({shown(name) for name in names if names.count(name) > 1}):
        raise _FaultError(f"line 1: two columns {', '.join(double)}: rename one")
    return names


def _parse_row(row: list[str], *, header: list[str]) -> Recording:
    if len(row) != len(header):
        raise _FaultError(f"{len(row)} cells, needed {len(header)} as in the header")
    cells = {name: value if name == "path" else value.strip() for name, value in zip(header, row, strict=True)}
    path = _checked_path(cells["path"])
    if fault := label_fault(cells["label"]):
        raise _FaultError(f"label {shown(cells['label'][:120])!r} {fault}")
    for name, value in cells.items():
        if name != "path" and CONTROL.search(value):
            raise _FaultError(f"a control character in {name}: remove it")
    start, end = (_parse_seconds(cells.get(name, ""), name=name) for name in ("start_seconds", "end_seconds"))
    if end is not None and end <= (start or 0.0):
        raise _FaultError(f"end_seconds {end:g} is not after start_seconds {start or 0.0:g}")
    fields = {name: value for name, value in cells.items() if name not in _OWN}
    return Recording(path, cells["label"], start, end, cells.get("licence", ""), fields)


def _checked_path(path: str) -> str:
    """Give the path without `./` and double slashes; refuse one that may lead out of the folder, on any system."""
    if not path.strip():
        raise _FaultError("empty path")
    as_windows = PureWindowsPath(path)
    if path.startswith("/") or as_windows.drive or as_windows.root:
        raise _FaultError(f"path {shown(path)} is absolute, needed one relative to the corpus folder")
    if ".." in as_windows.parts:
        raise _FaultError(f"path {shown(path)} leads out of the corpus folder: take out the ..")
    if (tidy := str(PurePosixPath(path))) == ".":
        raise _FaultError(f"path {shown(path)} is the folder itself, needed a file")
    return tidy


def _parse_seconds(text: str, *, name: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text.replace("_", "?"))  # Python would take 1_0 for 10
    except ValueError:
        raise _FaultError(f"{name} {shown(text)!r} is not a number") from None
    if not math.isfinite(value) or value < 0:
        raise _FaultError(f"{name} {shown(text)} is not a time, needed 0 or more seconds")
    return value
