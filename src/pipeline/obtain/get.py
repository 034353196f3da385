"""A corpus from its publisher's server into its folder: downloaded, unpacked beside it, moved there when complete."""

import shutil
from pathlib import Path

from pipeline.console import say
from pipeline.corpora import Corpus, Download
from pipeline.errors import ObtainError
from pipeline.obtain.download import fetch_file, file_name, is_archive_name
from pipeline.obtain.entries import is_archive
from pipeline.obtain.placing import place
from pipeline.obtain.survey import PART_SUFFIX, Held
from pipeline.obtain.unpack import unpack
from pipeline.store.locks import HeldError, locked
from pipeline.words import amount


def download_corpus(held: Held, card: Corpus) -> None:
    """Download everything that a card offers, and put it into the corpus's folder.

    Whatever interrupts it, the folder holds only whole files, and the next call goes on where this one stopped.

    Raises
    ------
    ObtainError
        If something cannot be had, unpacked or put in place; what is downloaded by then is kept for the next call.
    """
    folder = held.folder.resolve()  # which may lie on another disk
    work = folder.with_name(f"{held.name}{PART_SUFFIX}")
    try:
        with locked(work / "lock"):
            try:
                moved, there = _fill(card, work, folder)
                shutil.rmtree(work)
            finally:
                _tidy(work)
    except KeyboardInterrupt:
        say(f"interrupted: what has come lies in {work}; the same command goes on from there")
        raise
    except HeldError as error:
        raise ObtainError(f"{work}: {error} is at work there: let it finish") from None
    except OSError as error:
        raise ObtainError(
            f"{work}: cannot be written ({error.strerror}): check its permissions and the disk"
        ) from error
    say(f"{folder}: {amount(moved, 'new file')}" + (f", {there} were there already" if there else ""))


def _tidy(work: Path) -> None:
    """Take the folder away in which nothing has come, so that nothing is left of a download that never began."""
    if work.is_dir() and not any(path.is_file() for path in work.glob("*/*")):
        shutil.rmtree(work, ignore_errors=True)


def _fill(card: Corpus, work: Path, folder: Path) -> tuple[int, int]:
    """Fetch, unpack and move; give how many files were moved, and how many were there already."""
    files = [_fetch(card, download, work / str(number)) for number, download in enumerate(card.downloads)]
    unpacked, one = work / "unpacked", work / "unpacking"
    shutil.rmtree(unpacked, ignore_errors=True)
    for download, file in zip(card.downloads, files, strict=True):
        shutil.rmtree(one, ignore_errors=True)
        one.mkdir()
        _unpack(card, download, file, one)
        place(one, unpacked / download.into)
    return place(unpacked, folder)


def _fetch(card: Corpus, download: Download, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / file_name(download.url)
    try:
        sha256 = fetch_file(download, path)
    except ObtainError as error:
        raise ObtainError(f"{error}; the corpus's page: {card.page}") from error
    stated = "its checksum is as stated" if download.checksum else f"sha256 {sha256} (no checksum is stated)"
    say(f"{path.name}: whole, {stated}")
    return path


def _unpack(card: Corpus, download: Download, file: Path, folder: Path) -> None:
    """Unpack an archive; any other file is taken as it is."""
    if not is_archive_name(file.name) and (file.suffix or not is_archive(file)):
        shutil.copyfile(file, folder / file.name)
        return
    try:
        unpack(file, folder)
    except ObtainError as error:
        if not download.checksum:  # it may have been altered on its way: the next call is to fetch it anew
            file.unlink()
        raise ObtainError(f"{error}; the corpus's page: {card.page}") from error
