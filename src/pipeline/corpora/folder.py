"""A folder of recordings: labels from its clips.csv, or a sub-folder for each label."""

import os
from collections.abc import Iterator
from pathlib import Path

from pipeline.corpora.clips_table import read_clips
from pipeline.corpora.corpus import Listing
from pipeline.corpora.recording import Recording, find_alike, label_fault, shown
from pipeline.errors import CorpusError

CLIPS_CSV = "clips.csv"
SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".w64", ".rf64")
VIDEO_SUFFIXES = (".avi", ".mp4", ".m4a", ".m4v", ".mov", ".mkv", ".webm")  # an m4a is an MP4 without pictures
IGNORED = frozenset({"__MACOSX", "Thumbs.db"})


def list_folder(folder: Path) -> Listing:
    """List a folder corpus.

    With a clips.csv, its recordings are those that it names, whether or not the file is there: a missing one is
    rejected by name when it is read. Without, every file with a sound's or a video's extension below a sub-folder,
    whose name is the label. Surplus are other files, with a clips.csv only those with such an extension; never hidden
    files, `__MACOSX` and `Thumbs.db`.

    Raises
    ------
    CorpusError
        If the folder is missing, holds no recordings, its table or a label is faulty, or two labels look alike.
    """
    refuse_no_folder(folder)
    has_table = os.path.lexists(folder / CLIPS_CSV)  # a link that leads nowhere is a table that cannot be read
    paths = list(walk_files(folder))
    if has_table:
        recordings = read_clips(folder / CLIPS_CSV)
    else:
        inside = [path for path in paths if "/" in path and is_recording(path)]
        recordings = [Recording(path, _checked_label(path.split("/")[0], folder=folder)) for path in inside]
    if not recordings:
        raise CorpusError(_describe_lack(folder, has_table=has_table))
    if alike := find_alike(recording.label for recording in recordings):
        one, other = (f"{shown(label)} ({label.encode('unicode_escape').decode('ascii')})" for label in alike)
        raise CorpusError(
            f"corpus folder {shown(str(folder))}: two labels that look alike, {one} and {other}: "
            "make them one, or rename one"
        )
    listed = {recording.path for recording in recordings}
    beside = (path for path in paths if path not in listed and (is_recording(path) or not has_table))
    return Listing(tuple(recordings), {path: _why_beside(path, has_table=has_table) for path in beside})


def _why_beside(path: str, *, has_table: bool) -> str:
    if has_table:
        return f"not named in {CLIPS_CSV}"
    if is_recording(path):
        return "in no sub-folder, whose name would be its label"
    return "its name does not end as those of sound files or videos do: if it is sound, rename it or convert it to flac"


def refuse_no_folder(folder: Path) -> None:
    """Raise CorpusError where a corpus's folder is not there."""
    if not folder.is_dir():
        found = "is not a folder" if folder.exists() else "is missing"
        raise CorpusError(f"corpus folder {shown(str(folder))} {found}: put the recordings there, or set data.root")


def walk_files(folder: Path, *, above: str = "", within: frozenset[tuple[int, int]] = frozenset()) -> Iterator[str]:
    """Yield every file below a folder, in the order of names; a link back to a folder above is not entered again.

    What is no folder counts as a file, a dangling link or a pipe too: reading rejects it by name.
    """
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise CorpusError(f"corpus folder {shown(str(folder))} cannot be read ({error.strerror}): check it") from error
    identity = (status.st_dev, status.st_ino)
    if identity in within:
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in IGNORED:
            continue
        if Path(entry.path).is_dir():
            yield from walk_files(Path(entry.path), above=f"{above}{entry.name}/", within=within | {identity})
        else:
            yield above + entry.name


def is_sound(path: str) -> bool:
    """Whether a name ends as those of sound files do."""
    return path.lower().endswith(SOUND_SUFFIXES)


def is_recording(path: str) -> bool:
    """Whether a name ends as those of sound files or videos do."""
    return path.lower().endswith((*SOUND_SUFFIXES, *VIDEO_SUFFIXES))


def _checked_label(label: str, *, folder: Path) -> str:
    if fault := label_fault(label):
        raise CorpusError(f"corpus folder {shown(str(folder))}: the name of sub-folder {shown(label)!r} {fault}")
    return label


def _describe_lack(folder: Path, *, has_table: bool) -> str:
    """Say why a folder has no recordings, and what to do."""
    name = shown(str(folder))
    if has_table:
        return f"{name}/{CLIPS_CSV} names no recording: give it a line with path and label for each"
    n_loose = sum(is_recording(path) for path in walk_files(folder))
    if n_loose:
        return (
            f"corpus folder {name} holds {n_loose} recordings beside no label folder: move them into a sub-folder for "
            f"each label, or write a {CLIPS_CSV} with path and label"
        )
    return (
        f"corpus folder {name} holds no recordings ({' '.join((*SOUND_SUFFIXES, *VIDEO_SUFFIXES))}): add a sub-folder "
        f"for each label, or a {CLIPS_CSV} with path and label"
    )
