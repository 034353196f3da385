"""Who works in the project now: DVC, and stages that went on without it."""

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from pipeline.doctor.finding import Finding, found
from pipeline.store.claims import holders


def look_for_processes() -> list[Finding]:
    """Name every process that may be writing; nothing where there is none."""
    at_work = {**{text.partition(" (")[0]: text for text in holders()}, **_in_project()}
    return [
        found(f"{text} is at work in this project: wait until it has ended, or end it; nothing was looked at or mended")
        for text in at_work.values()
    ]


def _in_project() -> dict[str, str]:
    """Processes of DVC and of stages whose working folder lies in the project."""
    import psutil  # type: ignore[import-untyped]

    root = Path.cwd()
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    at_work = {}
    for process in psutil.process_iter():
        try:
            command, place = process.cmdline(), Path(process.cwd())
        except (psutil.Error, OSError):  # it has ended, or is another user's
            continue
        if process.pid not in own and (place == root or root in place.parents) and _writes(command):
            at_work[f"process {process.pid}"] = f"process {process.pid} ({' '.join(command)[:100]})"
    return at_work


def _writes(command: Sequence[str]) -> bool:
    if "daemon" in command:  # what DVC leaves behind to ask for newer versions
        return False
    is_stage = any(Path(word).parent.name == "stages" and word.endswith(".py") for word in command[:4])
    return is_stage or is_dvc(command)


def is_dvc(command: Sequence[str]) -> bool:
    """Whether a command is DVC's: `dvc`, `python -m dvc`, or a script of that name."""
    words = command[:4]
    return any(Path(word).name == "dvc" for word in words[:2]) or ("-m", "dvc") in pairwise(words)
