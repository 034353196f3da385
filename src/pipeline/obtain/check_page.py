"""What is here of a corpus, and what its check found, as text for a terminal."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from pipeline.corpora import Corpus
from pipeline.corpora.recording import shown
from pipeline.obtain.check import Findings
from pipeline.obtain.page import UNBROKEN, item, published_format
from pipeline.obtain.survey import Held
from pipeline.words import duration

LISTED = 20  # lines of a list that is not asked for in full


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
            f"other sound than published ({published_format(card).removeprefix(', ')})" if card else "",
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
    return [item(name, text) for name, text in items if text]


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
        *([item("fault", held.fault)] if held.fault else []),
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
