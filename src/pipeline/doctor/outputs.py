"""Every file that dvc.lock names, byte for byte: DVC itself looks at times and sizes, which damage leaves alone."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.console import track
from pipeline.doctor.finding import Finding, found, mended, well
from pipeline.doctor.locks import LOCK, read_lock, read_stages
from pipeline.errors import StoreError
from pipeline.store.files import written_whole
from pipeline.store.known import md5_of

CACHE = Path(".dvc/cache/files/md5")
MUCH_BYTES = 2**30  # takes so long to read that people want to see how far it is


@dataclass(frozen=True)
class _File:
    """A file of an output, and what dvc.lock says that it holds."""

    path: Path
    stage: str
    md5: str
    is_cached: bool  # else git has it

    @property
    def copy(self) -> Path:
        """Where DVC's cache has it."""
        return copy_of(self.md5)


def copy_of(md5: str) -> Path:
    """Where DVC's cache has the content of a digest."""
    return CACHE / md5[:2] / md5[2:]


def look_at_outputs(*, mend: bool) -> list[Finding]:
    """Compare every output, and DVC's copy of it, with dvc.lock.

    What is damaged comes back from the copy, or else goes, so that its stage runs again. An output that is whole and
    merely not the one of dvc.lock was made by a run that DVC has not noted: DVC itself sees that, and it stays.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        files = list(_files(read_lock()))
    except StoreError:
        return []  # it was to be put back, and was not
    if not files:
        return []
    try:
        opened = Repo()
    except DvcException as error:
        return [found(f"DVC cannot open the project: {error}: outputs were not looked at")]
    findings: list[Finding] = []
    changed, absent, as_named = [], 0, 0
    with opened as repo:
        for file in track(files, label="outputs", total=len(files), unit="files") if _is_much(files) else files:
            is_list = file.path.name == ".dir"
            is_there = file.path.is_file()
            absent += not is_there and not is_list
            actual = md5_of(file.path) if is_there else ""
            as_named += is_there and actual == file.md5
            is_damaged = is_there and actual != file.md5 and _believes(repo, file)
            if is_there and actual != file.md5 and not is_damaged:
                changed.append(file.stage)
            if file.is_cached or is_damaged:
                findings += _look_at(file, is_damaged=is_damaged, is_right=actual == file.md5, mend=mend)
    n_files = sum(file.path.name != ".dir" for file in files)
    findings.append(well(f"{as_named} of {n_files} files of outputs are byte for byte as {LOCK} says"))
    if absent:
        findings.append(well(f"{absent} files are not here: `dvc repro` brings them back or makes them"))
    if changed:
        stages = ", ".join(dict.fromkeys(changed))
        findings.append(well(f"{stages}: {len(changed)} files of a run that {LOCK} does not name: `dvc repro`"))
    return findings


def _is_much(files: Sequence[_File]) -> bool:
    return sum(file.path.stat().st_size for file in files if file.path.is_file()) > MUCH_BYTES


def _files(stages: Mapping[str, Mapping[str, Any]]) -> Iterator[_File]:
    """All files of all outputs; those of a folder as DVC's list of it names them."""
    pipeline = read_stages()
    for name, stage in stages.items():
        entry = pipeline.get(name.partition("@")[0], {})
        in_git = {
            next(iter(one)) for kind in ("metrics", "plots") for one in entry.get(kind, []) if isinstance(one, dict)
        }
        for out in stage.get("outs", []):
            path, md5 = Path(out["path"]), str(out.get("md5", ""))
            if md5.endswith(".dir"):
                yield _File(path / ".dir", name, md5, is_cached=True)
                yield from (_File(path / inner, name, own, is_cached=True) for inner, own in _listed(md5))
            elif md5:
                yield _File(path, name, md5, is_cached=out["path"] not in in_git)


def _listed(md5: str) -> list[tuple[str, str]]:
    """Names and digests of a folder's files; none where DVC's list is missing or damaged."""
    path = copy_of(md5)
    if not path.is_file() or md5_of(path) != md5.removesuffix(".dir"):
        return []
    return [(one["relpath"], one["md5"]) for one in json.loads(path.read_text(encoding="utf-8"))]


def _believes(repo: Any, file: _File) -> bool:
    """Whether DVC takes the file for what dvc.lock names, because its time, size and place are as when it looked."""
    from dvc.fs import localfs

    _, known = repo.state.get(os.fspath(file.path.absolute()), localfs)
    return known is not None and known.value == file.md5


def _look_at(file: _File, *, is_damaged: bool, is_right: bool, mend: bool) -> Iterator[Finding]:
    """Mend one file and DVC's copy of it, each from the other."""
    copy = file.copy
    has_copy = copy.is_file()
    is_copy_right = has_copy and md5_of(copy) == file.md5.removesuffix(".dir")
    if has_copy and not is_copy_right:
        if mend:
            copy.unlink()
            if is_right and file.path.is_file():
                _put(file.path, copy)
                copy.chmod(0o444)
        how = (
            "made anew from the file itself" if is_right else f"removed; `dvc repro` runs {file.stage} again if need be"
        )
        yield mended(f"{copy}: damaged: {how}", done=mend)
    if is_damaged:
        if mend:
            file.path.unlink()
            if is_copy_right:
                _put(copy, file.path)
        how = "put back from DVC's cache" if is_copy_right else f"removed: `dvc repro` runs {file.stage} again"
        yield mended(f"{file.path}: damaged: its bytes are not those of {LOCK}: {how}", done=mend)


def _put(source: Path, target: Path) -> None:
    with written_whole(target) as temporary:
        shutil.copyfile(source, temporary)
