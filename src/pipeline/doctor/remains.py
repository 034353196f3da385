"""What killed processes left in the folders that stages write to, and whether these can be written."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from pipeline.doctor.finding import Finding, found, mended
from pipeline.store.claims import is_part
from pipeline.store.paths import DEMO, METRICS, MODELS, SPLIT

WRITTEN = (SPLIT.parent, MODELS, METRICS.parent, Path(".dvc"))
LEAST_BYTES = 2**24
# Names of files that DVC copies to before it renames them.
_OF_DVC = re.compile(r"\.[A-Za-z0-9]{20,24}\.tmp$")


def look_for_remains(*, mend: bool) -> list[Finding]:
    """Remove temporary files and folders; a process that would still write to one is not there."""
    remains = sorted({*_remains()})
    for path in remains if mend else []:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    if not remains:
        return []
    named = ", ".join(path.as_posix() for path in remains[:3]) + (" ..." if remains[3:] else "")
    return [mended(f"{len(remains)} temporary files that killed processes left: {named}", done=mend)]


def _remains() -> Iterator[Path]:
    for name in ("making", "before"):
        yield from DEMO.parent.glob(f".{DEMO.name}.{name}-*")
    yield from (path for path in Path().glob(".*.part") if path.is_file())
    for folder in (*WRITTEN[:-1], DEMO):
        yield from (path for path in folder.rglob("*") if _is_temporary(path) and path.is_file())
    yield from (path for path in Path(".dvc/cache").rglob("*.tmp") if _is_temporary(path))


def _is_temporary(path: Path) -> bool:
    return is_part(path) or _OF_DVC.search(path.name) is not None


def look_for_room() -> list[Finding]:
    """Name folders that cannot be written, and a disk that is full."""
    findings = []
    for folder in WRITTEN:
        if folder.is_dir() and not _can_be_written(folder):
            findings.append(found(f"{folder}: cannot be written: change its owner or its rights, or mount it writable"))
        elif folder.is_dir() and (free := shutil.disk_usage(folder).free) < LEAST_BYTES:
            findings.append(found(f"{folder}: its disk has {free // 2**20} MiB left: make room"))
    return findings


def _can_be_written(folder: Path) -> bool:
    probe = folder / f".doctor.{os.getpid()}.part"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS)
    return True
