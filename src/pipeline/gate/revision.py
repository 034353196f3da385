"""Where the gate reads a result from: the working folder, or a revision in git, without checking it out."""

import functools
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import RevisionError
from pipeline.store.paths import METRICS

COMMIT = re.compile("[0-9a-f]{40,64}")
# DVC keeps an experiment as refs/exps/<2 digits>/<38 digits of the commit it started from>/NAME.
EXPERIMENT = re.compile(r"(?P<commit>[0-9a-f]{40,64}) refs/exps/[0-9a-f]{2}/[0-9a-f]{38,62}/(?P<name>.+)")


@dataclass(frozen=True)
class Version:
    """One state of the project: what to call it, and how to read a file of it (None: it has no such file)."""

    name: str
    read: Callable[[Path], bytes | None]
    advice: str  # what to do where a file of it is missing or broken


def working_folder() -> Version:
    """Give the files as they lie in the project's folder now."""
    return Version("this folder", _read_file, "run `dvc repro`")


def other_folder(folder: Path) -> Version | None:
    """Give the results that lie in a folder: beside one another, or in its metrics/; None if it holds none."""
    for root in (folder / METRICS.parent, folder):
        if (root / METRICS.name).is_file():
            return Version(str(folder), functools.partial(_read_below, root), "name another folder")
    return None


def find_revision(against: str) -> Version:
    """Resolve a commit, branch or tag, or else the name of a DVC experiment.

    Raises
    ------
    RevisionError
        If git is not there, the folder is in no repository, or nothing or more than one thing has that name.
    """
    if (inside := _git("rev-parse", "--git-dir")).returncode:
        raise RevisionError(f"git cannot be asked for {against!r} ({_reason(inside)}): run in a clone of the project")
    # Nothing after --end-of-options is an option, whatever it starts with.
    found = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{against}^{{commit}}")
    commit = found.stdout.decode().strip()
    if not COMMIT.fullmatch(commit):  # nothing, or ^... : all but that commit
        commit = _experiment(against)
    name = against if commit.startswith(against) else f"{against} ({commit[:7]})"
    return Version(name, lambda path: _read_blob(commit, path), "compare with another revision: --against REV")


def _experiment(name: str) -> str:
    """Find the commit of a DVC experiment."""
    refs = _git("for-each-ref", "--format=%(objectname) %(refname)", "refs/exps").stdout.decode(errors="replace")
    matches = [match for line in refs.splitlines() if (match := EXPERIMENT.fullmatch(line))]
    commits = sorted({match["commit"] for match in matches if match["name"] == name})
    if len(commits) == 1:
        return commits[0]
    if commits:
        raise RevisionError(
            f"{len(commits)} experiments are called {name!r}: name one by its commit: {', '.join(commits)}"
        )
    raise RevisionError(
        f"git knows no revision {name!r} (commit, branch, tag or experiment): check the name, or fetch it; a shallow "
        "clone lacks older commits (git fetch --unshallow)"
    )


def _read_file(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RevisionError(f"{path}: cannot be read ({error.strerror}): run `dvc repro`") from None


def _read_below(metrics: Path, path: Path) -> bytes | None:
    return _read_file(metrics / path.relative_to(METRICS.parent))


def _read_blob(commit: str, path: Path) -> bytes | None:
    """Read a file of a commit; its path is relative to the working folder, wherever that lies in the repository."""
    listed = _git("ls-tree", "-z", commit, "--", path.as_posix())
    if listed.returncode == 0 and not listed.stdout:
        return None
    blob = _git("cat-file", "blob", listed.stdout.split(b"\t")[0].split()[-1].decode()) if listed.stdout else listed
    if blob.returncode:
        raise RevisionError(f"{path} at {commit[:7]}: git cannot read it ({_reason(blob)}): run `git fsck`")
    return blob.stdout


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise RevisionError("git is not installed: the gate reads the other revision through it") from None
    except ValueError as error:
        raise RevisionError(f"git cannot be asked for {arguments[-1]!r} ({error}): check the name") from None


def _reason(done: subprocess.CompletedProcess[bytes]) -> str:
    return (done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"])[0]
