"""Recordings at which DVC stops, or which it overlooks: it reads a corpus's folder before any stage does."""

import os
from collections.abc import Sequence
from pathlib import Path

from pipeline.doctor.finding import Finding, found, noted
from pipeline.errors import AudioError, PipelineError

NAMED = 5  # of each corpus


def look_at_recordings() -> list[Finding]:
    """Name what lies in the folders of params.yaml's corpora and is no file that DVC can read.

    At a pipe or a device DVC waits for ever; at a link that leads nowhere or a name that is not UTF-8 it ends with an
    error. Into a folder that is a link it does not look, so that a change there makes no stage run.
    """
    from pipeline.params import load_params
    from pipeline.store.paths import corpus_folder

    try:
        p = load_params()
    except PipelineError:
        return []  # `emospec check` says what is wrong with it
    findings = []
    for corpus in p.corpora:
        folder = corpus_folder(p.data.root, corpus)
        stops, linked = _look_into(folder)
        if stops:
            findings.append(found(f"{folder}: DVC cannot read all of it: {_first(stops)}"))
        if linked:
            findings.append(
                noted(
                    f"{folder}: DVC does not look into folders that are links: after a change there, "
                    f"`dvc repro -f collect_clips@{corpus}`: {_first(linked)}"
                )
            )
    return findings


def _look_into(folder: Path) -> tuple[list[str], list[str]]:
    """List what cannot be read as a file, each with the reason and what to do, and the folders that are links."""
    from pipeline.audio.reading import check_file, shown_name

    stops, linked = [], []
    for above, folders, names in os.walk(folder):
        linked += [shown_name(Path(name)) for name in sorted(folders) if (Path(above) / name).is_symlink()]
        for name in sorted(names):
            try:
                check_file(Path(above) / name)
            except AudioError as error:
                stops.append(f"{shown_name(Path(name))}: {error}")
            except OSError as error:
                stops.append(f"{shown_name(Path(name))}: it cannot be read ({error.strerror})")
    return stops, linked


def _first(texts: Sequence[str]) -> str:
    more = f"; and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return "; ".join(texts[:NAMED]) + more
