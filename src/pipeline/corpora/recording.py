"""What a corpus knows of one of its recordings."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

MAX_LABEL = 100  # characters
# Control characters, line and paragraph separators, and the surrogates that stand for bytes that are not UTF-8.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True)
class Recording:
    """One recording, or one event within it.

    Attributes
    ----------
    path
        Relative to the corpus folder, with forward slashes; a name that is not UTF-8 keeps its bytes as surrogates.
    label
        As the corpus gives it; label maps come later.
    start_seconds, end_seconds
        Of the event, in the file's time; None is the file's own start or end.
    licence
        In the corpus's words; empty where it says nothing.
    fields
        What else is known: speaker, group, event, ...; all as text.
    """

    path: str
    label: str
    start_seconds: float | None = None
    end_seconds: float | None = None
    licence: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


def label_fault(label: str) -> str:
    """Say what keeps a text from being a label; empty where nothing does."""
    if not label:
        return "is empty: give every recording one"
    if len(label) > MAX_LABEL:
        return f"is {len(label)} characters long, needed at most {MAX_LABEL}"
    if CONTROL.search(label):
        return "holds a control character or a byte that is not UTF-8: remove it"
    return "has a space at its end or beginning: remove it" if label != label.strip() else ""


def find_alike(labels: Iterable[str]) -> tuple[str, str] | None:
    """Find two labels that people take for one: they differ in case, spaces, Unicode form or marks that do not show."""
    first: dict[str, str] = {}
    for label in sorted(set(labels)):
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", label).casefold())
        seen = "".join(mark for mark in folded if unicodedata.category(mark) != "Cf" and not mark.isspace())
        if first.setdefault(seen, label) != label:
            return first[seen], label
    return None


def shown(text: str) -> str:
    """Give a name as it may stand in a one-line message: what does not print is escaped."""
    return "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode("ascii") for mark in text)
