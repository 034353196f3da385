"""Corpora before the pipeline runs: which there are, from where they come, whether they are whole."""

from pathlib import Path

from pipeline.console import n_workers, say
from pipeline.corpora import CORPORA
from pipeline.corpora.recording import shown
from pipeline.errors import ObtainError
from pipeline.obtain.check import read_all
from pipeline.obtain.check_page import check_page, files_page
from pipeline.obtain.get import download_corpus
from pipeline.obtain.page import card_page, download_page, list_page, request_page
from pipeline.obtain.survey import look_around, look_at
from pipeline.params import load_params

__all__ = ["check_corpus", "get_corpus", "list_corpora"]

PARAMS = Path("params.yaml")


def _root(root: Path | None) -> Path:
    """Give where the corpora's folders lie: as asked for, or as params.yaml has it."""
    return Path(load_params(PARAMS).data.root) if root is None else root


def list_corpora(root: Path | None = None) -> str:
    """List all known corpora and the folders of one's own, and what of each is here.

    Parameters
    ----------
    root
        Where the corpora's folders lie; by default data.root of params.yaml.

    Raises
    ------
    CorpusError
        If `root` cannot be read.
    ParamsError
        If params.yaml is needed and is missing or faulty.
    """
    root = _root(root)
    held, odd = look_around(root)
    return list_page(held, odd, root)


def check_corpus(name: str, root: Path | None = None, *, show_all: bool = False) -> tuple[str, bool]:
    """Read every file of a corpus and compare them with its publisher's list.

    Parameters
    ----------
    show_all
        Whether lists are given in full.

    Returns
    -------
    The page of text, and whether the corpus is here with nothing missing or damaged.

    Raises
    ------
    ObtainError
        If there is no such corpus.
    """
    held = look_at(name, _root(root))
    if held.listing is None:
        return "\n".join([card_page(held), "", held.fault or f"{name}: nothing of it is here"]), False
    findings = read_all(held, n_workers=n_workers(0))
    text = "\n".join([card_page(held), "", check_page(held, findings, show_all=show_all)])
    return text, held.is_complete and not findings.damaged


def get_corpus(name: str, root: Path | None = None) -> tuple[str, bool]:
    """Download a corpus into its folder, or say how to come by it.

    Returns
    -------
    The page of text, and whether all of its files are here.

    Raises
    ------
    ObtainError
        If no corpus of that name is known, or it cannot be downloaded, unpacked or put in place.
    """
    card = CORPORA.get(name)
    if card is None:
        raise ObtainError(f"{shown(name)}: no corpus of that name is known ({', '.join(sorted(CORPORA))})")
    root = _root(root)
    held = look_at(name, root)
    if held.is_complete:
        return f"{name}: all {card.n_files} files are in {held.folder} already", True
    if not card.downloads:
        return request_page(held, card), False
    say(download_page(held, card))
    download_corpus(held, card)
    held = look_at(name, root)
    verdict = "complete" if held.is_complete else f"not complete: see {card.page}"
    check = f"`emospec corpora check {name}` reads every file"
    return "\n".join([files_page(held, show_all=False), "", f"{name}: {verdict}; {check}"]), held.is_complete
