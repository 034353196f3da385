"""metrics/search/NAME.json: what a search tries, and how each run ended. The table is made of it alone."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pipeline.errors import SearchError, StoreError
from pipeline.experiments.follow import Outcome
from pipeline.search.scores import Scores
from pipeline.store.files import read_json, write_json

FOLDER = Path("metrics/search")
NAME = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9_])?")


@dataclass
class Entry:
    """One run: what it chose, and how it ended, if it has."""

    values: dict[str, Any]
    outcome: Outcome[Scores] | None = None

    def as_json(self) -> dict[str, Any]:
        """Give what the file keeps."""
        if self.outcome is None:
            return {"values": self.values, "state": "missing"}
        if self.outcome.scores is None:
            return {"values": self.values, "state": "failed", "reason": self.outcome.reason}
        return {"values": self.values, "state": "done", "scores": self.outcome.scores.as_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what the file keeps."""
        if value["state"] == "missing":
            return cls(dict(value["values"]))
        scores = Scores.from_json(value["scores"]) if value["state"] == "done" else None
        return cls(dict(value["values"]), Outcome(scores, value.get("reason", "")))


@dataclass
class Record:
    """A search.

    Attributes
    ----------
    asked
        Its kind, settings and seed, and a digest of the sources and parameters: the same search only if all are equal.
    by
        What its runs are ranked by.
    first
        Its runs by name.
    long_settings, long
        What the best were given on top, and those runs.
    """

    name: str
    asked: dict[str, Any]
    by: str
    first: dict[str, Entry] = field(default_factory=dict)
    long_settings: list[str] = field(default_factory=list)
    long: dict[str, Entry] = field(default_factory=dict)

    def save(self) -> None:
        """Write the file, whole or not at all."""
        stages = {
            stage: {name: entry.as_json() for name, entry in entries.items()}
            for stage, entries in (("first", self.first), ("long", self.long))
        }
        more = {"name": self.name, "by": self.by, "long_settings": self.long_settings}
        write_json(record_json(self.name), {**more, "asked": self.asked, **stages})


def record_json(name: str) -> Path:
    """Where a search is recorded."""
    return FOLDER / f"{name}.json"


def load_record(name: str) -> Record | None:
    """Read a search's record, if there is one.

    Raises
    ------
    SearchError
        If it cannot be read.
    """
    path = record_json(name)
    if not path.exists():
        return None
    try:
        value = read_json(path)
        first, long = ({key: Entry.from_json(one) for key, one in value[part].items()} for part in ("first", "long"))
        return Record(value["name"], value["asked"], value["by"], first, list(value["long_settings"]), long)
    except (StoreError, KeyError, TypeError, AttributeError, IndexError):
        raise SearchError(
            f"{path}: is no record of a search: remove it and search again, what was run is found"
        ) from None


def known_searches() -> list[str]:
    """Names of all searches that are recorded, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def read_record(name: str | None) -> Record:
    """Read a search by name; None: the only one.

    Raises
    ------
    SearchError
        If there is none, or are several and none was named.
    """
    known = known_searches()
    if name is None and len(known) != 1:
        there = f"name one of {', '.join(known)}" if known else "run `emospec search random` or `grid` first"
        raise SearchError(f"{len(known)} searches are recorded: {there}")
    record = load_record(check_name(known[0] if name is None else name))
    if record is None:
        raise SearchError(f"{record_json(name or '')}: no such search; there are: {', '.join(known) or 'none'}")
    return record


def check_name(name: str) -> str:
    """Refuse what cannot name experiments and a file.

    Raises
    ------
    SearchError
        If it cannot.
    """
    if not NAME.fullmatch(name) or len(name) > 60:
        raise SearchError(f"{name!r}: a search's name is made of a-z, 0-9, _ and -, at most 60 of them")
    return name
