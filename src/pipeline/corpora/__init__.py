"""The corpora: which recordings there are, with which labels and groups."""

from pathlib import Path

from pipeline.corpora import emodb, ravdess
from pipeline.corpora.corpus import Corpus, Download, Listing
from pipeline.corpora.folder import list_folder
from pipeline.corpora.recording import Recording

__all__ = ["CORPORA", "Corpus", "Download", "Listing", "Recording", "list_corpus"]

# A published corpus has a module with its card and a line here; any other name is a folder of recordings.
CORPORA: dict[str, Corpus] = {
    "emodb": emodb.EMODB,
    "emodb_2s": emodb.EMODB_2S,
    "ravdess_song": ravdess.RAVDESS_SONG,
    "ravdess_speech": ravdess.RAVDESS_SPEECH,
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
