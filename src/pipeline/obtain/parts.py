"""What has come of a download so far, and of which version of the publisher's file it is."""

import errno
import json
import re
from collections.abc import Mapping
from http.client import HTTPMessage
from pathlib import Path
from typing import Any

from pipeline.corpora.corpus import Download

MOST_NOTE_BYTES = 1 << 16


def content_range(headers: HTTPMessage) -> tuple[int | None, int | None]:
    """Read `bytes FIRST-LAST/TOTAL`: the first byte and the total, None where it does not say."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", ""))
    return (int(found[1]), number_of(found[2])) if found else (None, None)


def number_of(text: str | None) -> int | None:
    """Read a plain number; None where there is none."""
    return int(text) if text and re.fullmatch(r"[0-9]{1,18}", text) else None


def differs(headers: HTTPMessage, note: Mapping[str, Any], total: int | None) -> bool:
    """Whether a part is of another version than the one that was begun."""
    now = {"etag": _etag(headers), "last_modified": headers.get("Last-Modified", ""), "total": total}
    return any(now[key] and note.get(key) and now[key] != note[key] for key in now)


def _etag(headers: HTTPMessage) -> str:
    """Give the tag of the exact bytes; a weak one says only that they mean the same."""
    tag = str(headers.get("ETag", ""))
    return "" if tag.startswith("W/") else tag


def can_resume(download: Download, note: Mapping[str, Any]) -> bool:
    """Whether a mixture of two versions would be noticed."""
    return note.get("url") == download.url and bool(
        note.get("etag") or note.get("last_modified") or note.get("total") or download.checksum
    )


def note_of(part: Path) -> Path:
    """Where the note of a part lies."""
    return part.with_name(f"{part.name}.json")


def write_note(part: Path, url: str, headers: HTTPMessage, total: int | None) -> None:
    """Note which version was begun."""
    note = {"url": url, "etag": _etag(headers), "last_modified": headers.get("Last-Modified", ""), "total": total}
    note_of(part).write_text(json.dumps(note), encoding="utf-8")


def read_note(part: Path) -> dict[str, Any]:
    """Read which version was begun; a note that is not there or is cut short says nothing."""
    try:
        with note_of(part).open(encoding="utf-8") as file:
            note = json.loads(file.read(MOST_NOTE_BYTES))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def size_of_part(part: Path) -> int:
    """Bytes that have come."""
    try:
        return part.stat().st_size
    except OSError as error:
        if error.errno == errno.ENOENT:
            return 0
        raise


def forget(part: Path) -> None:
    """Throw a part away, with its note."""
    part.unlink(missing_ok=True)
    note_of(part).unlink(missing_ok=True)
