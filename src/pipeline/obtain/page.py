"""The corpora as text for a terminal: the table of all, one's card, what its check found."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from textwrap import fill
from urllib.parse import urlsplit

from pipeline.corpora import Corpus
from pipeline.corpora.recording import shown
from pipeline.obtain.check import Findings
from pipeline.obtain.survey import Held
from pipeline.store.paths import DEMO
from pipeline.words import amount, duration, size

WIDTH = 100
LICENCE_WIDTH = 36
UNBROKEN = "\N{NO-BREAK SPACE}"  # between a name and its number, until lines are broken
LISTED = 20  # lines of a list that is not asked for in full
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
        return "\n".join([f"{held.name}: a folder of yours", _item("folder", str(held.folder))])
    speakers = f", {amount(card.n_speakers, 'speaker')}" if card.n_speakers else ""
    items = [
        ("page", card.page),
        ("citation", card.citation),
        ("licence", card.licence),
        ("published", f"{amount(card.n_files, 'file')}{speakers}{_format(card)}"),
        ("classes", ", ".join(card.classes)),
        *((f"set {paper}", ", ".join(chosen)) for paper, chosen in card.class_sets.items() if chosen != card.classes),
        ("how to get", f"{_offer(held.name, card)}{card.how_to_get}"),
        ("folder", str(held.folder)),
    ]
    return "\n".join([f"{held.name}: {card.title}", *(_item(name, text) for name, text in items)])


def _offer(name: str, card: Corpus) -> str:
    if not card.downloads:
        return ""
    return f"`emospec corpora get {name}` ({', '.join(_download_size(card)) or 'size not stated'}). By hand: "


def _format(card: Corpus) -> str:
    rate = f"{card.sample_rate} Hz" if card.sample_rate else ""
    channels = amount(card.channels, "channel") if card.channels else ""
    return "".join(f", {part}" for part in (rate, channels) if part)


def _item(name: str, text: str) -> str:
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
    return "\n".join([f"{held.name}: {card.title}", *(_item(name, text) for name, text in items)])


def request_page(held: Held, card: Corpus) -> str:
    """Say how to come by a corpus that cannot be downloaded from here."""
    items = [
        ("page", card.page),
        ("licence", card.licence),
        ("how to get", card.how_to_get),
        ("folder", f"{held.folder} ({len(held.paths)} of {card.n_files} files are there)"),
        ("then", f"`emospec corpora check {held.name}`"),
    ]
    head = f"{held.name}: {card.title}: its publisher offers no download that a command could fetch"
    return "\n".join([head, *(_item(name, text) for name, text in items)])


def files_page(held: Held, *, show_all: bool) -> str:
    """Say what is here by the files' names alone, with what is missing and what is surplus."""
    return "\n".join([*_counts(held, (), show_all=show_all), *_names(held, show_all=show_all)])


def check_page(held: Held, findings: Findings, *, show_all: bool) -> str:
    """Say what is here and what reading it found, each list with its number, and the verdict at the end."""
    sound = _sound(findings)
    card = held.card
    lists = [
        *_section("damaged, or not to be read", findings.damaged, _with_reason, show_all=show_all),
        *_section(
            f"other sound than published ({_format(card).removeprefix(', ')})" if card else "",
            findings.other_format, _with_reason, show_all=show_all,
        ),
        *_section("other kind of file than the name says", findings.misnamed, _with_reason, show_all=show_all),
        *_section("the same file under several names", findings.same_bytes, _twins(held), show_all=show_all),
        *_section("the same sound in several files", findings.same_sound, _twins(held), show_all=show_all),
    ]  # fmt: skip
    parts = [*_counts(held, sound, show_all=show_all), *_names(held, show_all=show_all), *lists]
    return "\n".join([*parts, "", _verdict(held, findings)])


def _counts(held: Held, sound: Sequence[tuple[str, str]], *, show_all: bool) -> list[str]:
    listing = held.listing
    recordings = [one for one in listing.recordings if one.path not in held.missing] if listing else []
    labels = Counter(recording.label for recording in recordings)
    if held.card:
        labels.update(dict.fromkeys(held.card.classes, 0))
    speakers = Counter(recording.fields.get("speaker", "") for recording in recordings)
    speakers.pop("", None)
    surplus = f", {len(listing.surplus)} surplus" if listing else ""
    events = f", {len(recordings)} recordings in them" if len(recordings) != len(held.paths) else ""
    items = [
        ("files", f"{len(held.paths)} of {held.n_expected}, {len(held.missing)} missing{surplus}{events}"),
        *sound,
        ("classes", ", ".join(f"{shown(label)}{UNBROKEN}{n}" for label, n in sorted(labels.items()))),
        ("speakers", _speakers(speakers, held.card, show_all=show_all)),
    ]
    return [_item(name, text) for name, text in items if text]


def _speakers(counts: Counter[str], card: Corpus | None, *, show_all: bool) -> str:
    if not counts:
        return ""
    number = f"{len(counts)} of {card.n_speakers}" if card and card.n_speakers else str(len(counts))
    if show_all:
        return f"{number}: " + ", ".join(f"{shown(name)}{UNBROKEN}{n}" for name, n in sorted(counts.items()))
    least, most = min(counts.values()), max(counts.values())
    return f"{number}, with {least if least == most else f'{least} to {most}'} recordings each"


def _sound(findings: Findings) -> list[tuple[str, str]]:
    seconds = sum(file.seconds for file in findings.heard)
    formats = Counter(
        f"{file.sample_rate} Hz {({1: 'mono', 2: 'stereo'}).get(file.channels, f'{file.channels} channels')}"
        for file in findings.heard
    )
    told = ", ".join(kind if len(formats) == 1 else f"{kind} {n}" for kind, n in formats.most_common())
    return [("sound", f"{duration(seconds)}; {told}")] if formats else []


def _names(held: Held, *, show_all: bool) -> list[str]:
    surplus = sorted(held.listing.surplus.items()) if held.listing else []
    return [
        *([_item("fault", held.fault)] if held.fault else []),
        *_section("missing", held.missing if held.listing else (), shown, show_all=show_all),
        *_section("surplus, not used", surplus, _with_reason, show_all=show_all),
    ]


def _section(title: str, found: Sequence[object], told: Callable[..., str], *, show_all: bool) -> list[str]:
    if not found:
        return []
    listed = found if show_all else found[:LISTED]
    rest = len(found) - len(listed)
    more = [f"  ... and {rest} more: --all lists them"] if rest else []
    return ["", f"{title}: {len(found)}", *(f"  {told(one)}" for one in listed), *more]


def _with_reason(found: tuple[str, str]) -> str:
    path, reason = found
    return f"{shown(path)}: {reason}"


def _twins(held: Held) -> Callable[[Iterable[str]], str]:
    """Tell files that are one, with their labels where these differ."""
    labels = {one.path: one.label for one in held.listing.recordings} if held.listing else {}

    def told(paths: Iterable[str]) -> str:
        names = [shown(path) for path in paths]
        kinds = sorted({labels[path] for path in paths if path in labels})
        different = f" (labelled {' and '.join(kinds)}: collecting leaves them out)" if len(kinds) > 1 else ""
        return " = ".join(names) + different

    return told


def _verdict(held: Held, findings: Findings) -> str:
    if held.listing is None:
        return f"{held.name}: nothing of it is here"
    faults = [(len(held.missing), "missing"), (len(findings.damaged), "damaged")]
    told = ", ".join(f"{n} {what}" for n, what in faults if n)
    return f"{held.name}: {told}" if told else f"{held.name}: complete and whole"
