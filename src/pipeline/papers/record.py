"""metrics/papers/NAME.json: what each row scored under which conditions; tables are made of it and the paper alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pipeline.errors import PaperError, StoreError
from pipeline.papers.scores import Scores
from pipeline.store.files import read_json, write_json

FOLDER = Path("metrics/papers")


@dataclass
class Runs:
    """The runs of a row under one split: by seed, scores or the reason why there are none."""

    scores: dict[int, Scores] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Give what the file keeps."""
        return {
            "scores": {str(seed): one.as_json() for seed, one in sorted(self.scores.items())},
            "reasons": {str(seed): reason for seed, reason in sorted(self.reasons.items())},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what the file keeps."""
        scores = {int(seed): Scores.from_json(one) for seed, one in value["scores"].items()}
        return cls(scores, {int(seed): str(reason) for seed, reason in value["reasons"].items()})


@dataclass
class Entry:
    """A row under one set of conditions.

    Attributes
    ----------
    chosen
        What was changed of it, in words; empty: run as it stands.
    reason
        Why it could not be run at all; else empty.
    stated
        Stands for what the paper's file said of the row when it was run (`Paper.stated`); empty: unknown.
    code
        Stands for the sources that it was run with; empty: unknown.
    paper, honest
        Its runs under the paper's split, and under an honest one.
    """

    row: str
    chosen: tuple[str, ...]
    reason: str = ""
    stated: str = ""
    code: str = ""
    paper: Runs = field(default_factory=Runs)
    honest: Runs = field(default_factory=Runs)

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        """What tells it from others."""
        return self.row, self.chosen

    def begin(self, stated: str, code: str) -> None:
        """Make it one of the row as the file says it now, and of these sources: what was run before is forgotten.

        So the seeds that are joined are of one row and of one code.
        """
        if self.stated not in ("", stated) or self.code not in ("", code):
            self.paper, self.honest = Runs(), Runs()
        self.stated, self.code = stated, code


@dataclass
class Record:
    """All that was run of a paper."""

    name: str
    entries: dict[tuple[str, tuple[str, ...]], Entry] = field(default_factory=dict)

    def entry(self, row: str, chosen: tuple[str, ...]) -> Entry:
        """Give a row's entry, a new one if there is none."""
        return self.entries.setdefault((row, chosen), Entry(row, chosen))

    def drop_reasons(self, row: str) -> None:
        """Forget that a row could not be run, where it has been under other conditions since."""
        tried = [entry for entry in self.entries.values() if entry.row == row]
        if any(not entry.reason for entry in tried):
            for entry in tried:
                if entry.reason and not entry.paper.scores:
                    del self.entries[entry.key]

    def save(self) -> None:
        """Write the file, whole or not at all."""
        entries = [
            {
                "row": one.row,
                "chosen": list(one.chosen),
                "reason": one.reason,
                "stated": one.stated,
                "code": one.code,
                "paper": one.paper.as_json(),
                "honest": one.honest.as_json(),
            }
            for _, one in sorted(self.entries.items())
        ]
        write_json(record_json(self.name), {"paper": self.name, "rows": entries})


def record_json(name: str) -> Path:
    """Where the runs of a paper are recorded."""
    return FOLDER / f"{name}.json"


def load_record(name: str) -> Record:
    """Read what was run of a paper; nothing, if there is no file.

    Raises
    ------
    PaperError
        If it cannot be read.
    """
    path = record_json(name)
    if not path.exists():
        return Record(name)
    try:
        listed = [
            Entry(
                str(one["row"]),
                tuple(str(words) for words in one["chosen"]),
                str(one["reason"]),
                str(one.get("stated", "")),
                str(one.get("code", "")),
                Runs.from_json(one["paper"]),
                Runs.from_json(one["honest"]),
            )
            for one in read_json(path)["rows"]
        ]
    except (StoreError, KeyError, TypeError, ValueError, AttributeError):
        raise PaperError(
            f"{path}: is no record of a paper's runs: remove it and run again, what was run is found"
        ) from None
    return Record(name, {entry.key: entry for entry in listed})
