"""The corpora as text for a terminal: the table of all, one's card, what its check found."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from urllib.parse import urlsplit

from pipeline.corpora import Corpus
from pipeline.corpora.recording import shown
from pipeline.obtain.survey import Held
from pipeline.store.paths import DEMO
from pipeline.words import amount, size

WIDTH = 100
LICENCE_WIDTH = 36
UNBROKEN = "\N{NO-BREAK SPACE}"  # between a name and its number, until lines are broken
_HEADER = ("corpus", "here", "files", "classes", "speakers", "licence", "how to get it")


def list_page(held: Sequence[Held], odd: Sequence[str], root: Path) -> str:
    """Write a row for each corpus, what is wrong with those that cannot be listed, and what to do next."""
    rows = [_HEADER, *(_row(one) for one in held)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = [_line(row, widths) for row in rows]
    notes = [f"{one.name}: {one.fault}" for one in held if one.fault]
    notes += [f"{shown(name)}: no corpus's name: rename the folder, with a-z, 0-9 and _ only" for name in odd]
    wrapped = [fill(note, WIDTH, subsequent_indent="  ", break_on_hyphens=False) for note in notes]
    hints = [
        "emospec corpora check NAME       its card, and every file read and compared with the publisher's list",
        "emospec corpora get NAME         downloads it, or says whom to ask and what to put where",
        "dvc exp run -S 'corpora=[NAME]'  runs the pipeline on it; any folder of labelled recordings is a corpus",
        "",
        f"Each has its folder below {root}.",
    ]
    return "\n".join(
        [lines[0], "-" * max(map(len, lines)), *lines[1:], "", *wrapped, *([""] if wrapped else []), *hints]
    )


def _row(held: Held) -> tuple[str, ...]:
    card, n_here = held.card, len(held.paths)
    files = f"{n_here} of {held.n_expected}" if n_here < held.n_expected else str(n_here)
    recordings = held.listing.recordings if held.listing else ()
    if card:
        classes, speakers, licence = len(card.classes), card.n_speakers or 0, card.licence
    else:
        classes = len({recording.label for recording in recordings})
        speakers = len({recording.fields.get("speaker", "") for recording in recordings} - {""})
        licence = ", ".join(sorted({recording.licence for recording in recordings} - {""}))
    state = "unusable" if held.fault and not card else held.state
    return held.name, state, files, str(classes), str(speakers or "-"), _shortened(licence), _how(held)


def _how(held: Held) -> str:
    if held.card is None:
        return "built in" if held.folder == DEMO else "a folder of yours"
    if not held.card.downloads:
        return "by hand or on request"
    return ", ".join(["open", *_download_size(held.card)])


def _download_size(card: Corpus) -> list[str]:
    """Say how much there is to download; nothing where nobody knows."""
    sizes = [download.n_bytes for download in card.downloads]
    return [size(sum(n for n in sizes if n is not None))] if None not in sizes else []


def _shortened(text: str) -> str:
    shortened = shown(text)
    return shortened if len(shortened) <= LICENCE_WIDTH else f"{shortened[: LICENCE_WIDTH - 3].rstrip(' ,;(')}..."


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Words to the left, figures to the right."""
    aligned = [
        cell.rjust(width) if 2 <= column <= 4 else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(aligned).rstrip()


def card_page(held: Held) -> str:
    """Write all that is known of a corpus before any of its files is read."""
    card = held.card
    if card is None:
        return "\n".join([f"{held.name}: a folder of yours", item("folder", str(held.folder))])
    speakers = f", {amount(card.n_speakers, 'speaker')}" if card.n_speakers else ""
    items = [
        ("page", card.page),
        ("citation", card.citation),
        ("licence", card.licence),
        ("published", f"{amount(card.n_files, 'file')}{speakers}{published_format(card)}"),
        ("classes", ", ".join(card.classes)),
        *((f"set {paper}", ", ".join(chosen)) for paper, chosen in card.class_sets.items() if chosen != card.classes),
        ("how to get", f"{_offer(held.name, card)}{card.how_to_get}"),
        ("folder", str(held.folder)),
    ]
    return "\n".join([f"{held.name}: {card.title}", *(item(name, text) for name, text in items)])


def _offer(name: str, card: Corpus) -> str:
    if not card.downloads:
        return ""
    return f"`emospec corpora get {name}` ({', '.join(_download_size(card)) or 'size not stated'}). By hand: "


def published_format(card: Corpus) -> str:
    """Say the rate and channels of a card, each after a comma; empty where files differ."""
    rate = f"{card.sample_rate} Hz" if card.sample_rate else ""
    channels = amount(card.channels, "channel") if card.channels else ""
    return "".join(f", {part}" for part in (rate, channels) if part)


def item(name: str, text: str) -> str:
    """Write one named item of a page, its lines under each other."""
    return fill(
        text,
        WIDTH,
        initial_indent=f"  {name:12}",
        subsequent_indent=" " * 14,
        break_long_words=False,
        break_on_hyphens=False,
    ).replace(UNBROKEN, " ")


def download_page(held: Held, card: Corpus) -> str:
    """Say what is to be downloaded, from where and under which licence, before it is."""
    hosts = ", ".join(dict.fromkeys(urlsplit(download.url).netloc for download in card.downloads))
    n_bytes = "".join(f", {text}" for text in _download_size(card)) or ", size not stated"
    items = [
        ("licence", card.licence),
        ("citation", card.citation),
        ("page", card.page),
        ("to fetch", f"{amount(len(card.downloads), 'file')}{n_bytes}, from {hosts}"),
        ("into", str(held.folder)),
    ]
    return "\n".join([f"{held.name}: {card.title}", *(item(name, text) for name, text in items)])


def request_page(held: Held, card: Corpus) -> str:
    """Say how to come by a corpus that cannot be downloaded from here."""
    items = [
        ("page", card.page),
        ("licence", card.licence),
        ("download", "none that a command could fetch: by hand, or on request"),
        ("how to get", card.how_to_get),
        ("folder", f"{held.folder} ({len(held.paths)} of {card.n_files} files are there)"),
        ("then", f"`emospec corpora check {held.name}`"),
    ]
    return "\n".join([f"{held.name}: {card.title}", *(item(name, text) for name, text in items)])
