"""TESS, the Toronto emotional speech set.

A file is named by its speaker (OAF, the older woman, or YAF, the younger), the word that she says after "Say the word",
and the emotion, e.g. OAF_back_angry; ps is pleasant surprise. Copies lie in folders such as OAF_angry or
YAF_pleasant_surprised, flat, and in capitals of many kinds. Every speaker says each of the 200 words, those of
tess_words.txt, in every emotion: 2800 recordings. One is misnamed by its publisher: OA_bite_neutral is OAF's.
"""

import functools
import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pipeline.corpora.corpus import Corpus, Listing
from pipeline.corpora.emotions import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE
from pipeline.corpora.named import list_named
from pipeline.corpora.recording import Recording

WORDS = Path(__file__).with_name("tess_words.txt")
LICENCE = "CC BY-NC-ND 4.0"
AGES = {"OAF": "64", "YAF": "26"}
EMOTIONS = {
    "angry": ANGER,
    "disgust": DISGUST,
    "fear": FEAR,
    "happy": HAPPINESS,
    "neutral": NEUTRAL,
    "ps": SURPRISE,
    "sad": SADNESS,
}
MISNAMED = {"OAF_bite_neutral": "OA_bite_neutral"}

_NAME = re.compile(r"(OAF?|YAF)_([a-z]+)_([a-z]+)\.[^.]+")


def list_tess(folder: Path) -> Listing:
    """List the recordings below a folder, in a folder for each speaker and emotion or anywhere else."""
    return list_named(folder, read_name, expected_paths())


@functools.cache
def expected_paths() -> Mapping[str, str]:
    """Give the publisher's list: the path of each of the 2800 recordings by its name as it should be."""
    words = WORDS.read_text(encoding="ascii").split()
    names = ("_".join(parts) for parts in itertools.product(AGES, words, EMOTIONS))
    return MappingProxyType({name: f"{MISNAMED.get(name, name)}.wav" for name in names})


def read_name(path: str) -> tuple[str, Recording] | None:
    """Read a file's name, in capitals or not; None where it is not in the publisher's list."""
    match = _NAME.fullmatch(_spelt(path.rpartition("/")[2]))
    if match is None:
        return None
    speaker, word, emotion = match[1], match[2], match[3]
    speaker = "OAF" if speaker == "OA" else speaker
    name = f"{speaker}_{word}_{emotion}"
    if name not in expected_paths():
        return None
    fields = {
        "speaker": f"tess/{speaker}",
        "sex": "female",
        "age": AGES[speaker],
        "sentence": f"tess/{word}",
        "emotion": emotion,
    }
    return name, Recording(path, EMOTIONS[emotion], licence=LICENCE, fields=fields)


def _spelt(name: str) -> str:
    """Give a file's name as the publisher spells it: the speaker in capitals, the rest not, ps for surprise."""
    speaker, _, rest = name.partition("_")
    return f"{speaker.upper()}_{re.sub('_pleasant_surprised?[.]', '_ps.', rest.lower())}"


_ALL = tuple(sorted(EMOTIONS.values()))

CORPUS = Corpus(
    title="Toronto emotional speech set (TESS)",
    page="https://doi.org/10.5683/SP2/E8H2MF",
    citation=(
        "M. K. Pichora-Fuller, K. Dupuis (2020): Toronto emotional speech set (TESS). Scholars Portal Dataverse, V1, "
        "doi:10.5683/SP2/E8H2MF"
    ),
    licence=LICENCE,
    how_to_get=(
        "Download the recordings from https://doi.org/10.5683/SP2/E8H2MF (also at "
        "https://tspace.library.utoronto.ca/handle/1807/24487) and put them into the corpus's folder, where they may "
        "lie flat or in folders."
    ),
    classes=_ALL,
    n_files=2800,
    n_speakers=2,
    sample_rate=24414,
    channels=None,  # two are stereo
    list_files=list_tess,
    class_sets={"four": (ANGER, HAPPINESS, NEUTRAL, SADNESS), "herron": _ALL},
)
