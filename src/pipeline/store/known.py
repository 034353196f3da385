"""Which contents of tables and JSON files are known: what was written here, and what DVC brought; damage is neither.

Beside the locks lies a record for each such file: the digests of all that was ever to lie at its path, a line each. A
line is added before the file gets its name, so that after a kill both what was there and what was to come are known.
The digest is DVC's own, MD5, so that one pass over a file answers all that is asked; against malice it is no guard.
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.store.paths import METRICS, MODELS, PLOTS, RESUME, SPLIT, record_of

RECORDED = frozenset({".csv", ".json"})  # what has no digests inside
FOLDERS = (SPLIT.parent, MODELS)
CACHE, LOCK = Path(".dvc/cache"), Path("dvc.lock")
MOST_LOCK_BYTES, MOST_LOCK_VALUES = 1 << 24, 10**6
_LINE = re.compile(rb"^[0-9a-f]{32}$", re.MULTILINE)


def note(path: Path, content: Path) -> None:
    """Add what a path is about to hold to its record.

    Raises
    ------
    OSError
        If the record cannot be written.
    """
    if not _is_recorded(path) or (digest := md5_of(content)) in _noted(path):
        return
    record = record_of(path)
    record.parent.mkdir(parents=True, exist_ok=True)
    with record.open("ab") as file:
        file.write(b"\n" + digest.encode())  # the newline first: a kill may have cut the line before off
        file.flush()
        os.fsync(file.fileno())


def refuse_unknown(path: Path) -> None:
    """Refuse a table or JSON file that is not what was written to its path.

    Known is what its record names, what DVC's cache holds, and what dvc.lock says of it. If neither a record nor
    dvc.lock names its path, it was made by hand, and is taken as it is; so is what cannot be read, for its reader says
    why.

    Raises
    ------
    StoreError
        With what to do.
    """
    if not _is_recorded(path) or not path.is_file():
        return
    try:
        digest = md5_of(path)
    except OSError:
        return
    noted = _noted(path)
    if digest not in noted and not _is_cached(digest) and not _is_locked(path, digest, unnamed=not noted):
        raise StoreError(
            f"{path}: damaged, or changed by hand: neither a stage nor DVC has written what it holds: run `emospec "
            "doctor`, then `dvc repro`; or if the change is meant, `dvc commit`"
        )


def _is_recorded(path: Path) -> bool:
    """Whether a path is one of the project's that stages exchange; what training goes on from is no stage's output."""
    is_in_one = any(folder in path.parents for folder in FOLDERS) or path.parent in (METRICS.parent, PLOTS)
    return is_in_one and path.suffix in RECORDED and RESUME not in path.parents


def _noted(path: Path) -> set[str]:
    """Digests that a path's record names; of a damaged record those lines that are none are not there."""
    try:
        return {line.decode() for line in _LINE.findall(record_of(path).read_bytes())}
    except OSError:
        return set()


def md5_of(path: Path) -> str:
    """Hexadecimal MD5 of a file's bytes, as DVC names contents."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _is_cached(digest: str) -> bool:
    """Whether DVC's cache holds a content, at whatever path it once lay."""
    return any((cache / "files/md5" / digest[:2] / digest[2:]).is_file() for cache in _caches())


def _caches() -> Iterator[Path]:
    """Where DVC's cache usually is, and where it is by DVC's settings, which take longer to ask."""
    yield CACHE
    from dvc.config import Config
    from dvc.exceptions import DvcException

    with contextlib.suppress(DvcException):
        if folder := Config.from_cwd(validate=False)["cache"].get("dir"):
            yield Path(folder)


def _is_locked(path: Path, digest: str, *, unnamed: bool) -> bool:
    """Whether dvc.lock has a content at a path, by itself or as a part of a folder; `unnamed` if it does not say."""
    outputs = _locked()
    for place in (path, *path.parents):
        if wanted := outputs.get(place.as_posix()):
            return wanted == (digest if place == path else _digest_of_folder(place))
    return unnamed


def _locked() -> dict[str, str]:
    """Digest of each output that dvc.lock names; nothing where it cannot be read."""
    from pipeline.params.plain import load_plain

    try:
        text = LOCK.read_text(encoding="utf-8")
        stages = load_plain(text, most_bytes=MOST_LOCK_BYTES, most_values=MOST_LOCK_VALUES)["stages"]
        return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _digest_of_folder(folder: Path) -> str:
    files = [path for path in folder.rglob("[!.]*") if path.is_file()]  # hidden files are none of a stage's
    return digest_of_folder({path.relative_to(folder).as_posix(): md5_of(path) for path in files})


def digest_of_folder(files: Mapping[str, str]) -> str:
    """DVC's digest of a folder: the MD5 of the JSON list of its files' digests and names.

    So `Tree.as_bytes` of dvc_data makes it.
    """
    entries = [{"md5": files[name], "relpath": name} for name in sorted(files)]
    text = json.dumps(entries, sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + ".dir"
