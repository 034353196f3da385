"""Every file of a corpus, read to its end: what is damaged, doubled, or other than published."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.audio.readers import Readers
from pipeline.audio.sniffing import HEAD_BYTES, sniff_container
from pipeline.audio.spool import MOST_BYTES
from pipeline.console import track
from pipeline.corpora import Recording
from pipeline.errors import AudioError
from pipeline.obtain.survey import Held
from pipeline.parallel import in_order

MOST_SECONDS = 48 * 3600.0  # what audio.max_hours may be at most
LOW_RATE = 8000  # Hz: long recordings are read at this rate, since their samples are not wanted
CONTAINERS = {
    ".wav": {"riff"}, ".rf64": {"riff"}, ".w64": {"w64"}, ".flac": {"flac", "id3"}, ".ogg": {"ogg"}, ".oga": {"ogg"},
    ".opus": {"ogg"}, ".mp3": {"mpeg", "id3"}, ".aif": {"aiff"}, ".aiff": {"aiff"}, ".aifc": {"aiff"}, ".avi": {"avi"},
    ".mp4": {"mp4"}, ".m4a": {"mp4"}, ".mov": {"mp4"}, ".mkv": {"matroska"}, ".webm": {"matroska"},
}  # fmt: skip
CALLED = {"riff": "WAV", "w64": "Wave64", "ogg": "Ogg", "mpeg": "MP3", "id3": "MP3", "matroska": "Matroska"}


@dataclass(frozen=True)
class Heard:
    """One file of a corpus.

    Attributes
    ----------
    fault
        Why it cannot be used; empty where it can. What follows is then not known.
    container
        As `sniff_container` names it.
    pcm_sha256
        As `read_sound` gives it.
    error_seconds
        By how much `seconds` may be wrong.
    """

    path: str
    sha256: str
    fault: str = ""
    container: str = ""
    pcm_sha256: str = ""
    sample_rate: int = 0
    channels: int = 0
    seconds: float = 0.0
    error_seconds: float = 0.0


@dataclass(frozen=True)
class Findings:
    """What reading a corpus found.

    Attributes
    ----------
    heard
        Those that can be used, by path.
    damaged
        Path and reason of those that cannot, and of events that lie outside their recordings.
    same_bytes
        Paths of each set of files with the same content, surplus ones among them.
    same_sound
        Paths of each set of recordings that sound the same to the last bit, but are stored in different ways.
    misnamed
        Path, and what the file is instead of what its extension says.
    other_format
        Path, and rate and channels that are not those of the card.
    """

    heard: tuple[Heard, ...]
    damaged: tuple[tuple[str, str], ...]
    same_bytes: tuple[tuple[str, ...], ...]
    same_sound: tuple[tuple[str, ...], ...]
    misnamed: tuple[tuple[str, str], ...]
    other_format: tuple[tuple[str, str], ...]


def read_all(held: Held, *, n_workers: int) -> Findings:
    """Read every file that is here, a few at a time, none of them whole in memory.

    Raises
    ------
    StoreError
        If there is no room for a long recording while it is read.
    """
    surplus = sorted(held.listing.surplus) if held.listing else []
    with Readers() as readers:
        jobs = [(readers, held.folder, path, True) for path in held.paths]
        jobs += [(readers, held.folder, path, False) for path in surplus]
        results = in_order(_hear, jobs, n_workers=n_workers)
        files = list(track(results, label=f"check {held.name}", total=len(jobs), unit="files"))
    recordings = files[: len(held.paths)]
    heard = [file for file in recordings if not file.fault]
    events = held.listing.recordings if held.listing else ()
    return Findings(
        heard=tuple(heard),
        damaged=(*((file.path, file.fault) for file in recordings if file.fault), *_outside(heard, events)),
        same_bytes=_same((file.sha256, file.path) for file in files),
        same_sound=_same({(file.pcm_sha256, file.sha256): (file.pcm_sha256, file.path) for file in heard}.values()),
        misnamed=tuple(
            (file.path, f"is {CALLED.get(file.container, file.container.upper())}")
            for file in heard
            if _is_misnamed(file)
        ),
        other_format=_of_other_format(heard, held),
    )


def _hear(readers: Readers, folder: Path, path: str, is_recording: bool) -> Heard:
    """Read one file; of what is no recording of the corpus only the bytes count."""
    file = folder / path
    try:
        if not is_recording:
            return Heard(path, _sha256(file))
        rate, is_exact = _rate(readers, file)
        sound = readers.read_sound(file, sample_rate=rate, max_seconds=MOST_SECONDS)
        with file.open("rb") as opened:
            container = sniff_container(opened.read(HEAD_BYTES))
        return Heard(
            path,
            _sha256(file),
            container=container,
            pcm_sha256=sound.pcm_sha256,
            sample_rate=sound.source_rate,
            channels=sound.channels,
            seconds=len(sound.pieces) / rate,
            error_seconds=0.0 if is_exact else 1 / rate,
        )
    except AudioError as error:
        return Heard(path, _sha256(file), fault=str(error).partition(": ")[2])
    except OSError as error:
        return Heard(path, "", fault=f"it cannot be read ({error.strerror})")


def _rate(readers: Readers, file: Path) -> tuple[int, bool]:
    """Give the rate at which to read a file, and whether it is its own: so that short ones need no resampling.

    What is no sound file gets the low rate: reading it will say why.
    """
    header = readers.read_header(file)
    if header.sample_rate and 4 * header.n_frames <= MOST_BYTES:
        return header.sample_rate, True
    return LOW_RATE, False


def _sha256(file: Path) -> str:
    """Digest a file; empty for what is none."""
    try:
        if not file.is_file():
            return ""
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""


def _outside(heard: Sequence[Heard], events: Iterable[Recording]) -> list[tuple[str, str]]:
    """Name events that reach out of their recordings, by more than the sample that reading allows."""
    by_path = {file.path: file for file in heard}
    found = []
    for event in events:
        file = by_path.get(event.path)
        if file is None:
            continue
        start, end = event.start_seconds or 0.0, event.end_seconds
        late = file.seconds + file.error_seconds + 1.5 / file.sample_rate
        if start >= file.seconds + file.error_seconds or (end is not None and end > late):
            until = "its end" if end is None else f"{end:g} s"
            found.append((event.path, f"its event from {start:g} s to {until}, but it lasts {file.seconds:g} s"))
    return found


def _same(files: Iterable[tuple[str, str]]) -> tuple[tuple[str, ...], ...]:
    """Put paths of equal digest together; those alone, and those without a digest, are left out."""
    groups = defaultdict(list)
    for digest, path in files:
        if digest:
            groups[digest].append(path)
    return tuple(sorted(tuple(sorted(paths)) for paths in groups.values() if len(paths) > 1))


def _is_misnamed(file: Heard) -> bool:
    suffix = PurePosixPath(file.path).suffix.lower()
    return suffix in CONTAINERS and file.container not in CONTAINERS[suffix]


def _of_other_format(heard: Sequence[Heard], held: Held) -> tuple[tuple[str, str], ...]:
    rate = held.card.sample_rate if held.card else None
    channels = held.card.channels if held.card else None
    return tuple(
        (file.path, f"{file.sample_rate} Hz, {file.channels} channel{'s' if file.channels > 1 else ''}")
        for file in heard
        if (rate and file.sample_rate != rate) or (channels and file.channels != channels)
    )
