"""The corpora: which recordings there are, with which labels and groups."""

from pathlib import Path

from pipeline.corpora import cal500, crema_d, emodb, enterface05, ravdess, savee, tess
from pipeline.corpora.corpus import Corpus, Download, Listing
from pipeline.corpora.folder import list_folder
from pipeline.corpora.recording import Recording
from pipeline.errors import CorpusError

__all__ = [
    "CORPORA",
    "Corpus",
    "Download",
    "Listing",
    "Recording",
    "count_missing",
    "describe_missing",
    "list_corpus",
    "refuse_missing",
]

# A published corpus has a module with its card and a line here; any other name is a folder of recordings.
CORPORA: dict[str, Corpus] = {
    "cal500": cal500.CORPUS,
    "crema_d": crema_d.CORPUS,
    "emodb": emodb.EMODB,
    "emodb_2s": emodb.EMODB_2S,
    "enterface05": enterface05.CORPUS,
    "ravdess_song": ravdess.RAVDESS_SONG,
    "ravdess_speech": ravdess.RAVDESS_SPEECH,
    "savee": savee.CORPUS,
    "tess": tess.CORPUS,
}


def list_corpus(corpus: str, folder: Path) -> Listing:
    """List what a corpus's folder holds, its recordings by path, then by start.

    Parameters
    ----------
    corpus
        A name in `CORPORA`; any other is a folder corpus, demo among them.
    folder
        Where the corpus lies.

    Raises
    ------
    CorpusError
        If the folder is missing, holds no recordings, or its table is faulty.
    """
    listing = CORPORA[corpus].list_files(folder) if corpus in CORPORA else list_folder(folder)
    in_order = sorted(listing.recordings, key=lambda recording: (recording.path, recording.start_seconds or 0.0))
    return Listing(tuple(in_order), listing.surplus, listing.missing)


def describe_missing(corpus: str, listing: Listing) -> str:
    """Say in one line how much of the publisher's list a folder lacks; empty where nothing is missing."""
    if not listing.missing:
        return ""
    first = f"the first: {listing.missing[0]}; `emospec corpora check {corpus}` lists them"
    return f"{count_missing(corpus, len(listing.missing))}, {first}"


def count_missing(corpus: str, n_missing: int) -> str:
    """Say how many of a corpus's files are missing: "3 of the 535 files that emodb should hold are missing"."""
    of_all = f" of the {CORPORA[corpus].n_files}" if corpus in CORPORA else ""
    return f"{n_missing}{of_all} files that {corpus} should hold {'is' if n_missing == 1 else 'are'} missing"


def refuse_missing(corpus: str, listing: Listing) -> None:
    """Raise CorpusError where a folder lacks files of the publisher's list."""
    if lack := describe_missing(corpus, listing):
        raise CorpusError(f"{lack}: get them, or set data.missing to warn")
