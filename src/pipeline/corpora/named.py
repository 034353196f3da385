"""Corpora whose files' names say everything: read each name, and compare with the publisher's list."""

from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.corpora.corpus import Listing
from pipeline.corpora.folder import is_sound, refuse_no_folder, walk_files
from pipeline.corpora.recording import Recording, shown
from pipeline.errors import CorpusError

# A name's key in the publisher's list, and what it says; None where it is not a name of the corpus.
ReadName = Callable[[str], tuple[str, Recording] | None]


def list_named(
    folder: Path, read_name: ReadName, expected: Mapping[str, str], *, wanted: Callable[[str], bool] = is_sound
) -> Listing:
    """List a corpus by the names of its files, wherever they lie below its folder and whatever their format.

    Parameters
    ----------
    read_name
        Reads a path relative to the folder.
    expected
        The publisher's list: the path under which he ships each key.
    wanted
        Which files may be recordings at all; others (tables, licences) are passed over.

    Raises
    ------
    CorpusError
        If the folder is missing or holds no recording of the corpus.
    """
    refuse_no_folder(folder)
    found: dict[str, Recording] = {}
    surplus: dict[str, str] = {}
    for path in walk_files(folder):
        if not wanted(path):
            continue
        read = read_name(path)
        if read is None:
            surplus[path] = "its name is not one of this corpus"
        elif read[0] in found:
            surplus[path] = f"the same recording as {shown(found[read[0]].path)}"
        else:
            found[read[0]] = read[1]
    if not found:
        example = next(iter(expected.values()), "")
        raise CorpusError(
            f"corpus folder {shown(str(folder))} holds no file named as in this corpus, e.g. {example}: put its files "
            "there, or give a folder of other recordings another name"
        )
    missing = tuple(sorted(path for key, path in expected.items() if key not in found))
    return Listing(tuple(found.values()), surplus, missing)
