"""What a published corpus is: where it comes from, what it should hold, and how its files are listed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.corpora.recording import Recording


@dataclass(frozen=True)
class Listing:
    """What a corpus's folder holds, against what it should hold.

    Attributes
    ----------
    recordings
        Those that the corpus knows, in no particular order.
    surplus
        Every other file of sound beside them, with the reason why it is not used.
    missing
        What the publisher's list has and the folder lacks: paths as the publisher names them, sorted.
    """

    recordings: tuple[Recording, ...]
    surplus: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Download:
    """One file that the publisher offers to everyone.

    Attributes
    ----------
    url
        Where it lies.
    checksum
        `md5:` or `sha256:` and hexadecimal digits, as the publisher states it; empty where he states none.
    n_bytes
        Its size; None where it is not known.
    into
        Folder below the corpus's own into which an archive is unpacked.
    """

    url: str
    checksum: str = ""
    n_bytes: int | None = None
    into: str = ""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A corpus that is known by its name.

    Attributes
    ----------
    title, page, citation, licence
        In the publisher's words; `page` is where he describes it.
    how_to_get
        Where to download it or to ask for it, and what to put where below the corpus's folder: whole sentences.
    classes
        Labels that its recordings have, in emospec's names (`emotions.EMOTIONS`), sorted.
    n_files, n_speakers
        As published; None where speakers have no meaning.
    sample_rate, channels
        Of the published files, Hz and number; None where they differ among them.
    list_files
        Lists what a folder holds.
    class_sets
        Subsets of the classes that papers used, by the paper's name.
    downloads
        What everyone may download; empty where the corpus must be asked for.
    """

    title: str
    page: str
    citation: str
    licence: str
    how_to_get: str
    classes: tuple[str, ...]
    n_files: int
    n_speakers: int | None
    sample_rate: int | None
    channels: int | None
    list_files: Callable[[Path], Listing]
    class_sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    downloads: tuple[Download, ...] = ()
