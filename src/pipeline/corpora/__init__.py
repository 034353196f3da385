"""The corpora: which recordings there are, with which labels and groups."""

from collections.abc import Callable
from pathlib import Path

from pipeline.corpora.folder import list_folder, unlisted_files
from pipeline.corpora.recording import Recording

__all__ = ["CORPORA", "Recording", "list_recordings", "unlisted_files"]

# A corpus whose files' names carry its labels has a module and a line here; any other name is a folder of recordings.
CORPORA: dict[str, Callable[[Path], list[Recording]]] = {}


def list_recordings(corpus: str, folder: Path) -> list[Recording]:
    """List a corpus's recordings by path, then by start.

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
    recordings = CORPORA.get(corpus, list_folder)(folder)
    return sorted(recordings, key=lambda recording: (recording.path, recording.start_seconds or 0.0))
