"""The gate's findings as text for a terminal and as Markdown for a pull request."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.gate.verdict import BETTER, NOISE, NOT_GATED, REGRESSION, Verdict
from pipeline.words import in_columns, printable

COLUMNS = ("score", "old", "new", "change", "95 % interval", "tolerance", "verdict")
NAMES = {"uar": "UAR", "macro_f1": "macro-F1"}
MEANINGS = {
    NOISE: "fell by more than its tolerance, but other clips could as well have shown no fall",
    REGRESSION: "fell by more than its tolerance and by more than chance",
    BETTER: "rose by more than its tolerance and by more than chance",
    NOT_GATED: "no tolerance is set (params.yaml, gate)",
}


@dataclass(frozen=True)
class Page:
    """What the gate found: a table with notes, or the reasons why there is none."""

    title: str
    verdicts: Sequence[Verdict]
    notes: Sequence[str]  # where there is a table: how to read it; else: one reason each

    def as_text(self) -> str:
        """Lay the page out for a terminal."""
        lines = [self.title]
        if self.verdicts:
            table = in_columns([COLUMNS, *(_cells(verdict) for verdict in self.verdicts)])
            lines += ["", table[0], "-" * max(map(len, table)), *table[1:], ""]
        return "\n".join(map(printable, [*lines, *self.notes]))

    def as_markdown(self) -> str:
        """Lay the page out as GitHub's Markdown; no name in it can be taken for markup."""
        lines = [f"### {_escaped(self.title)}", ""]
        if self.verdicts:
            rows = [COLUMNS, ["---"] * len(COLUMNS), *(_cells(verdict) for verdict in self.verdicts)]
            lines += [f"| {' | '.join(row)} |" for row in rows] + [""]
        return "\n".join([*lines, *(f"- {_escaped(note)}" for note in self.notes), ""])


def explain(verdicts: Sequence[Verdict]) -> list[str]:
    """Say what the verdicts in a table mean, but those that speak for themselves."""
    found = {verdict.verdict for verdict in verdicts}
    return [f"{word}: {meaning}" for word, meaning in MEANINGS.items() if word in found]


def _cells(verdict: Verdict) -> list[str]:
    level, _, name = verdict.score.partition(" ")
    between = "-" if verdict.low is None or verdict.high is None else f"{verdict.low:+.3f} to {verdict.high:+.3f}"
    return [
        f"{level} {NAMES.get(name, name)}",
        f"{verdict.old:.3f}",
        f"{verdict.new:.3f}",
        f"{verdict.new - verdict.old:+.3f}",
        between,
        "-" if verdict.tolerance is None else f"{verdict.tolerance:g}",
        verdict.verdict,
    ]


def _escaped(text: str) -> str:
    """Make text stand as it is: CommonMark takes a punctuation mark after a backslash for itself."""
    escaped = re.sub(r"([\\`*_{}\[\]<>()#+!|~&$^-])", r"\\\1", printable(text))
    return escaped.replace("@", "@<!-- -->")  # whoever is called by that name need not be told


def write_markdown(path: Path, page: Page) -> None:
    """Write the page to a file, or to what is no plain file, such as /dev/stdout.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    try:
        path.write_text(page.as_markdown(), encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror}): give --markdown another path") from None
