"""CREMA-D, the crowd-sourced emotional multimodal actors dataset: the recordings without video.

A file is named by its actor, sentence, emotion and level, e.g. 1001_IEO_ANG_HI: only "It's eleven o'clock" (IEO) was
acted at three levels, and not in neutral; every other recording has XX. So an actor has 82 recordings; 20 of the 91
actors' are not in the publisher's list (SentenceFilenames.csv). One file is misnamed: 1040_ITH_SAD_X.wav has XX. The
publisher's VideoDemographics.csv, if it lies below the folder, tells the actors' sex and age.
"""

import csv
import functools
import io
import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pipeline.corpora.corpus import Corpus, Listing
from pipeline.corpora.emotions import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS
from pipeline.corpora.folder import is_sound, refuse_no_folder, walk_files
from pipeline.corpora.named import list_named
from pipeline.corpora.recording import Recording, shown
from pipeline.errors import CorpusError

LICENCE = "ODbL 1.0 (database), DbCL 1.0 (contents)"
DEMOGRAPHICS = "VideoDemographics.csv"
WAV, MP3 = "AudioWAV", "AudioMP3"  # the publisher's folders: the same recordings
ACTORS = tuple(str(number) for number in range(1001, 1092))
EMOTIONS = {"ANG": ANGER, "DIS": DISGUST, "FEA": FEAR, "HAP": HAPPINESS, "NEU": NEUTRAL, "SAD": SADNESS}
LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified"}
SENTENCES = {
    "DFA": "Don't forget a jacket",
    "IEO": "It's eleven o'clock",
    "IOM": "I'm on my way to the meeting",
    "ITH": "I think I have a doctor's appointment",
    "ITS": "I think I've seen this before",
    "IWL": "I would like a new alarm clock",
    "IWW": "I wonder what this is about",
    "MTI": "Maybe tomorrow it will be cold",
    "TAI": "The airplane is almost full",
    "TIE": "That is exactly what happened",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
AT_LEVELS = "IEO"
# What the publisher's list lacks of all combinations.
NOT_RECORDED = frozenset(
    {"1002_TIE_NEU_XX", "1076_ITS_NEU_XX"}
    | {f"{take}_{emotion}_XX" for take in ("1008_WSI", "1009_MTI", "1019_ITH") for emotion in EMOTIONS}
)
MISNAMED = {"1040_ITH_SAD_XX": "1040_ITH_SAD_X"}

_NAME = re.compile(r"(?:^|/)(\d{4})_([A-Z]{3})_([A-Z]{3})_([A-Z]{1,2})\.[^./]+$")


def list_crema_d(folder: Path) -> Listing:
    """List the recordings below a folder, in AudioWAV/ as published or anywhere else.

    Where the publisher's AudioWAV lies below the folder, his AudioMP3, the same recordings, is passed over.

    Raises
    ------
    CorpusError
        If the folder is missing or holds no recording, or its VideoDemographics.csv cannot be read.
    """
    refuse_no_folder(folder)
    paths = list(walk_files(folder))
    table = next((path for path in paths if path.rpartition("/")[2] == DEMOGRAPHICS), None)
    actors = read_demographics(folder / table) if table else {}
    has_wav = any(WAV in path.split("/")[:-1] for path in paths)
    return list_named(
        folder,
        functools.partial(read_name, actors=actors),
        expected_paths(),
        wanted=lambda path: is_sound(path) and not (has_wav and MP3 in path.split("/")[:-1]),
    )


@functools.cache
def expected_paths() -> Mapping[str, str]:
    """Give the publisher's list: the path of each of the 7442 recordings by its name as it should be."""
    paths = {}
    for actor, sentence, emotion, level in itertools.product(ACTORS, SENTENCES, EMOTIONS, LEVELS):
        name = f"{actor}_{sentence}_{emotion}_{level}"
        at_level = sentence == AT_LEVELS and EMOTIONS[emotion] != NEUTRAL
        if at_level == (level != "XX") and name not in NOT_RECORDED:
            paths[name] = f"{WAV}/{MISNAMED.get(name, name)}.wav"
    return MappingProxyType(paths)


def read_name(path: str, *, actors: Mapping[str, Mapping[str, str]]) -> tuple[str, Recording] | None:
    """Read a file's name; None where it is not in the publisher's list.

    Parameters
    ----------
    actors
        What `read_demographics` gives; empty where there is no table.
    """
    match = _NAME.search(path)
    if match is None:
        return None
    actor, sentence, emotion, level = match.groups()
    level = "XX" if level == "X" else level
    name = f"{actor}_{sentence}_{emotion}_{level}"
    if name not in expected_paths():
        return None
    fields = {
        "speaker": f"crema_d/{actor}",
        **actors.get(actor, {}),
        "sentence": f"crema_d/{sentence}",
        "emotion": emotion,
        "intensity": LEVELS[level],
    }
    return name, Recording(path, EMOTIONS[emotion], licence=LICENCE, fields=fields)


def read_demographics(table: Path) -> Mapping[str, Mapping[str, str]]:
    """Read the publisher's table of actors: sex and age by number.

    Raises
    ------
    CorpusError
        If it cannot be read, or its columns are others.
    """
    name = shown(table.name)
    try:
        rows = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8-sig"), newline="")))
    except (OSError, ValueError, csv.Error) as error:
        raise CorpusError(f"{name}: it cannot be read ({error}): fetch it again, or remove it") from error
    try:
        return {row["ActorID"]: {"sex": row["Sex"].lower(), "age": row["Age"]} for row in rows}
    except (KeyError, AttributeError) as error:
        raise CorpusError(f"{name}: needed columns ActorID, Age and Sex: fetch it again, or remove it") from error


_ALL = tuple(sorted(EMOTIONS.values()))

CORPUS = Corpus(
    title="Crowd-sourced Emotional Multimodal Actors Dataset (CREMA-D)",
    page="https://github.com/CheyneyComputerScience/CREMA-D",
    citation=(
        "H. Cao, D. G. Cooper, M. K. Keutmann, R. C. Gur, A. Nenkova, R. Verma (2014): CREMA-D: Crowd-sourced "
        "Emotional Multimodal Actors Dataset. IEEE Transactions on Affective Computing 5(4), 377-390, "
        "doi:10.1109/TAFFC.2014.2336244"
    ),
    licence=LICENCE,
    how_to_get=(
        "Clone https://github.com/CheyneyComputerScience/CREMA-D with Git LFS installed (an archive of the repository "
        "holds pointers instead of sound), and put its folder AudioWAV and its VideoDemographics.csv into the corpus's "
        "folder."
    ),
    classes=_ALL,
    n_files=7442,
    n_speakers=91,
    sample_rate=16000,
    channels=1,
    list_files=list_crema_d,
    class_sets={"four": (ANGER, HAPPINESS, NEUTRAL, SADNESS), "herron": _ALL},
)
