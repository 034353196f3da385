"""CAL500: songs of western popular music that listeners described in words, emotions among them.

The publisher's tables lie beside the mp3 files or anywhere below the corpus's folder: songNames.txt, a line for each
song, ARTIST-TITLE, as its file is named; vocab.txt, a line for each word; and a line of numbers for each song, one for
each word, in softAnnotations.txt (how many more listeners chose the word than denied it, as a proportion of them) or
in hardAnnotations.txt (1 where at least 80 % of them agree). They come as CAL500_noAudioFeatures.tar.gz.

Songs have many words and no class. Here a song's label is the class whose tag weighs most in softAnnotations.txt, or is
1 in hardAnnotations.txt where the soft table is missing. Songs to which no tag applies, or two alike, are surplus.
Each class has the one tag that names it, so that none wins by the number of its tags; the publisher's other emotions
("Powerful / Strong", "Tender / Soft", ...) name a force or a taste that several classes share, and none names fear.
"""

import csv
import io
import math
import re
from collections.abc import Mapping
from pathlib import Path

from pipeline.corpora.corpus import Corpus, Download, Listing
from pipeline.corpora.emotions import ANGER, CALM, HAPPINESS, SADNESS
from pipeline.corpora.folder import refuse_no_folder, walk_files
from pipeline.corpora.named import list_named
from pipeline.corpora.recording import Recording, shown
from pipeline.errors import CorpusError

LICENCE = "copyright UC San Diego, 2007: nonprofit educational and research purposes; the songs are their owners'"
# The tags as vocab.txt spells them, but for letters and case: copies differ in slashes, and in "Agressive".
TAGS = {
    "emotionangryagressive": ANGER,
    "emotionangryaggressive": ANGER,
    "emotioncalmingsoothing": CALM,
    "emotionhappy": HAPPINESS,
    "emotionsad": SADNESS,
}
SONGS, WORDS, SOFT, HARD = "songNames.txt", "vocab.txt", "softAnnotations.txt", "hardAnnotations.txt"
HYPHENATED = ("chi-lites", "go-gos", "sir_mix-a-lot")  # artists; any other name ends at its first hyphen


def list_cal500(folder: Path) -> Listing:
    """List the songs below a folder that have one label.

    Raises
    ------
    CorpusError
        If the folder is missing or holds no song, or a table is missing or faulty.
    """
    refuse_no_folder(folder)
    tables = _find_tables(folder)
    songs = [line.strip() for line in _read(tables[SONGS]).splitlines() if line.strip()]
    weights = _read_weights(tables, n_songs=len(songs))
    labels = {_key(song): choose_label(of_song) for song, of_song in zip(songs, weights, strict=True)}

    def read_name(path: str) -> tuple[str, Recording] | None:
        name = path.rpartition("/")[2].rpartition(".")[0]
        if _key(name) not in labels:
            return None
        artist, title = split_name(name)
        fields = {"artist": f"cal500/{artist}", "title": title}
        return _key(name), Recording(path, labels[_key(name)][0], licence=LICENCE, fields=fields)

    listing = list_named(folder, read_name, {_key(song): f"{song}.mp3" for song in songs})
    surplus = dict(listing.surplus)
    labelled = []
    for recording in listing.recordings:
        if recording.label:
            labelled.append(recording)
        else:
            surplus[recording.path] = labels[_key(recording.path.rpartition("/")[2].rpartition(".")[0])][1]
    if not labelled:
        raise CorpusError(f"corpus folder {shown(str(folder))} holds no song to which one emotion applies most")
    return Listing(tuple(labelled), surplus, listing.missing)


def choose_label(weights: Mapping[str, float]) -> tuple[str, str]:
    """Give the class whose tag weighs most, or no class and the reason.

    Parameters
    ----------
    weights
        Of each class's tag, 0 where it does not apply.
    """
    most = max(weights.values())
    chosen = sorted(label for label, weight in weights.items() if weight == most)
    if most <= 0:
        return "", f"none of its emotions is one of {', '.join(sorted(weights))}"
    if len(chosen) > 1:
        return "", f"{' and '.join(chosen)} apply to it alike"
    return chosen[0], ""


def split_name(name: str) -> tuple[str, str]:
    """Split a song's name into artist and title."""
    artist = next((one for one in HYPHENATED if name.lower().startswith(f"{one}-")), name.partition("-")[0])
    return artist, name[len(artist) + 1 :]


def _find_tables(folder: Path) -> dict[str, Path]:
    """Find the publisher's tables, by name, wherever they lie below the folder."""
    found: dict[str, Path] = {}
    for path in walk_files(folder):
        name = path.rpartition("/")[2]
        if name in {SONGS, WORDS, SOFT, HARD}:
            found.setdefault(name, folder / path)
    lacking = [name for name in (SONGS, WORDS) if name not in found]
    if not {SOFT, HARD} & set(found):
        lacking.append(f"{SOFT} or {HARD}")
    if lacking:
        raise CorpusError(
            f"corpus folder {shown(str(folder))} lacks {', '.join(lacking)}: put the tables of "
            "CAL500_noAudioFeatures.tar.gz beside the songs"
        )
    return found


def _read_weights(tables: Mapping[str, Path], *, n_songs: int) -> list[dict[str, float]]:
    """Read what each song's listeners said of the classes' tags; the soft table if it is there."""
    words = [re.sub("[^a-z]", "", line.lower()) for line in _read(tables[WORDS]).splitlines() if line.strip()]
    columns = {TAGS[word]: number for number, word in enumerate(words) if word in TAGS}
    if lacking := sorted(set(TAGS.values()) - set(columns)):
        raise CorpusError(f"{WORDS}: no tag for {', '.join(lacking)}: fetch the publisher's table again")
    table = tables.get(SOFT) or tables[HARD]
    rows = [row for row in csv.reader(io.StringIO(_read(table), newline="")) if row]
    if len(rows) != n_songs:
        raise CorpusError(f"{table.name}: {len(rows)} lines, needed {n_songs} as in {SONGS}: fetch the tables again")
    weights = []
    for number, row in enumerate(rows, start=1):
        if len(row) != len(words):
            raise CorpusError(
                f"{table.name}: line {number}: {len(row)} numbers, needed {len(words)} as in {WORDS}: fetch the tables "
                "again"
            )
        weights.append({label: _weight(row[column], table, number) for label, column in columns.items()})
    return weights


def _weight(text: str, table: Path, line: int) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 <= weight <= 1:
        raise CorpusError(f"{table.name}: line {line}: {shown(text.strip()[:20])!r} is no weight, needed one of 0 to 1")
    return weight


def _read(table: Path) -> str:
    try:
        return table.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise CorpusError(f"{table.name}: it cannot be read ({error}): fetch it again") from error


def _key(song: str) -> str:
    return song.lower()


_ALL = tuple(sorted(set(TAGS.values())))

CORPUS = Corpus(
    title="Computer Audition Lab 500 (CAL500)",
    page="http://calab1.ucsd.edu/~datasets/cal500/",
    citation=(
        "D. Turnbull, L. Barrington, D. Torres, G. Lanckriet (2007): Towards musical query-by-semantic-description "
        "using the CAL500 data set. Proc. SIGIR '07"
    ),
    licence=LICENCE,
    how_to_get=(
        "Download CAL500_32kps.tar (the songs) and CAL500_noAudioFeatures.tar.gz (songNames.txt, vocab.txt, "
        "softAnnotations.txt) from http://calab1.ucsd.edu/~datasets/cal500/cal500data/ and unpack both into the "
        "corpus's folder; if the server does not answer, ask the authors."
    ),
    classes=_ALL,
    n_files=502,
    n_speakers=None,
    sample_rate=None,
    channels=None,
    list_files=list_cal500,
    class_sets={"cerutti": _ALL},
    downloads=(
        Download(url="http://calab1.ucsd.edu/~datasets/cal500/cal500data/CAL500_32kps.tar"),
        Download(
            url="http://calab1.ucsd.edu/~datasets/cal500/cal500data/CAL500_noAudioFeatures.tar.gz",
            into="CAL500_noAudioFeatures",
        ),
    ),
)
