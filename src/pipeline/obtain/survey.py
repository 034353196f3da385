"""Which corpora there are: those that are known by name, and the folders of one's own; and what of them is here."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.corpora import CORPORA, Corpus, Listing, list_corpus
from pipeline.corpora.recording import shown
from pipeline.errors import CorpusError, ObtainError
from pipeline.params.values import NAME
from pipeline.store.paths import corpus_folder

PART_SUFFIX = ".part"  # of the folder in which a download lies meanwhile


@dataclass(frozen=True)
class Held:
    """What is here of one corpus, by its files' names alone.

    Attributes
    ----------
    card
        None for a folder of one's own.
    listing
        None where nothing can be listed.
    missing
        Paths in the publisher's list, or in the folder's clips.csv, at which there is no file; sorted.
    fault
        Why a folder that is there cannot be listed; else empty.
    """

    name: str
    folder: Path
    card: Corpus | None
    listing: Listing | None
    missing: tuple[str, ...]
    fault: str

    @property
    def paths(self) -> tuple[str, ...]:
        """Files that are here, each once, sorted."""
        listed = {recording.path for recording in self.listing.recordings} if self.listing else set()
        return tuple(sorted(listed - set(self.missing)))

    @property
    def n_expected(self) -> int:
        """How many files there should be."""
        return self.card.n_files if self.card else len(self.paths) + len(self.missing)

    @property
    def is_complete(self) -> bool:
        """Whether no file is missing."""
        return self.listing is not None and not self.missing

    @property
    def state(self) -> str:
        """Say it in two words."""
        if self.is_complete:
            return "present"
        return "partly" if self.paths else "not here"


def look_at(name: str, root: Path) -> Held:
    """List what is here of one corpus.

    Raises
    ------
    ObtainError
        If it is neither known nor a folder below `root`.
    """
    folder = corpus_folder(str(root), name)
    card = CORPORA.get(name)
    if card is None and not (NAME.fullmatch(name) and folder.is_dir()):
        raise ObtainError(
            f"{shown(name)}: neither a folder of {root} nor a known corpus ({', '.join(sorted(CORPORA))})"
        )
    if not (folder.exists() or folder.is_symlink()):
        return Held(name, folder, card, None, (), "")
    try:
        listing = list_corpus(name, folder)
    except CorpusError as error:
        return Held(name, folder, card, None, (), str(error))
    gone = {recording.path for recording in listing.recordings if not _is_there(folder / recording.path)}
    return Held(name, folder, card, listing, tuple(sorted(gone.union(listing.missing))), "")


def _is_there(path: Path) -> bool:
    """Whether there is anything under a path, a link that leads nowhere too: reading it says so."""
    try:
        return path.exists() or path.is_symlink()
    except (OSError, ValueError):
        return True


def look_around(root: Path) -> tuple[list[Held], list[str]]:
    """List what is here of every known corpus and every folder below `root`.

    Returns
    -------
    tuple
        The known ones by name, then one's own; and the folders whose names no corpus can have.
    """
    known = [look_at(name, root) for name in sorted(CORPORA)]
    if root.exists() and not root.is_dir():
        raise CorpusError(f"{root}: not a folder: set data.root")
    try:
        folders = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.exists() else []
    except OSError as error:
        raise CorpusError(f"{root}: cannot be read ({error.strerror}): check its permissions") from error
    others = [name for name in folders if name not in CORPORA and not name.startswith(".")]
    own = [look_at(name, root) for name in others if NAME.fullmatch(name)]
    odd = [name for name in others if not NAME.fullmatch(name) and not name.endswith(PART_SUFFIX)]
    return known + own, odd
