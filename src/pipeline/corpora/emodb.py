"""EMO-DB, the Berlin database of emotional speech, and a copy of it that was cut to two seconds.

A file is named SPEAKER SENTENCE EMOTION TAKE, e.g. 03a01Fa: two digits, three characters of `SENTENCES`, the first
letter of the German emotion, and a letter for the version. The publisher offers 535 of about 800 versions, those that
his listeners recognised and found natural: emodb_names.txt lists them.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pipeline.corpora.corpus import Corpus, Download, Listing
from pipeline.corpora.emotions import ANGER, BOREDOM, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS
from pipeline.corpora.named import list_named
from pipeline.corpora.recording import Recording

NAMES = Path(__file__).with_name("emodb_names.txt")
LICENCE = "CC0 1.0 (in the archive) or CC BY 4.0 (Zenodo's record of it)"

# Wut, Langeweile, Ekel, Angst, Freude, Trauer, neutral
EMOTIONS = {"W": ANGER, "L": BOREDOM, "E": DISGUST, "A": FEAR, "F": HAPPINESS, "T": SADNESS, "N": NEUTRAL}

# The publisher's table of speakers.
SEXES = {
    "03": "male",
    "08": "female",
    "09": "female",
    "10": "male",
    "11": "male",
    "12": "male",
    "13": "female",
    "14": "female",
    "15": "male",
    "16": "female",
}

# The publisher's table of texts.
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}


def list_emodb(folder: Path) -> Listing:
    """List the recordings of EMO-DB that lie below a folder, in wav/ as published or anywhere else."""
    return list_named(folder, read_name, expected_paths())


@functools.cache
def expected_paths() -> Mapping[str, str]:
    """Give the publisher's list: the path of each of the 535 recordings by its name."""
    names = NAMES.read_text(encoding="ascii").split()
    return MappingProxyType({name: f"wav/{name}.wav" for name in names})


def read_name(path: str) -> tuple[str, Recording] | None:
    """Read a file's name; None where it is not in the publisher's list."""
    name = path.rpartition("/")[2].rpartition(".")[0]
    if name not in expected_paths():
        return None
    speaker, sentence, emotion, take = name[:2], name[2:5], name[5], name[6]
    fields = {
        "speaker": f"emodb/{speaker}",
        "sex": SEXES[speaker],
        "sentence": f"emodb/{sentence}",
        "emotion": emotion,
        "take": take,
    }
    return name, Recording(path, EMOTIONS[emotion], licence=LICENCE, fields=fields)


_ALL = tuple(sorted(EMOTIONS.values()))
_CLASS_SETS = {
    "anand2015": _ALL,
    "badshah2017": _ALL,
    "four": (ANGER, HAPPINESS, NEUTRAL, SADNESS),
}
_PAGE = "http://emodb.bilderbar.info/docu/"
_CITATION = (
    "F. Burkhardt, A. Paeschke, M. Rolfes, W. F. Sendlmeier, B. Weiss (2005): A database of German emotional speech. "
    "Proc. Interspeech 2005, 1517-1520, doi:10.21437/Interspeech.2005-446"
)

EMODB = Corpus(
    title="Berlin Database of Emotional Speech (EMO-DB)",
    page=_PAGE,
    citation=_CITATION,
    licence=LICENCE,
    how_to_get=(
        "Download emodb.zip from https://zenodo.org/records/7447302, or the first edition from "
        "http://emodb.bilderbar.info/download/download.zip, and unpack it into the corpus's folder; its recordings may "
        "lie anywhere below it, as wav or flac."
    ),
    classes=_ALL,
    n_files=535,
    n_speakers=10,
    sample_rate=16000,
    channels=1,
    list_files=list_emodb,
    class_sets=_CLASS_SETS,
    downloads=(
        Download(
            url="https://zenodo.org/records/7447302/files/emodb.zip",
            checksum="md5:9d21362dbc5676ef3ab4745d83ced0db",
            n_bytes=39_981_818,
        ),
    ),
)

EMODB_2S = Corpus(
    title="EMO-DB, every recording cut or padded to 2 s",
    page=_PAGE,
    citation=_CITATION,
    licence=LICENCE,
    how_to_get=(
        "A derivative of EMO-DB at 22.05 kHz that its publisher does not offer: put your copy, under EMO-DB's names, "
        "into the corpus's folder. Never mix it with emodb: the way it was cut gives the class away."
    ),
    classes=_ALL,
    n_files=535,
    n_speakers=10,
    sample_rate=22050,
    channels=1,
    list_files=list_emodb,
    class_sets=_CLASS_SETS,
)
