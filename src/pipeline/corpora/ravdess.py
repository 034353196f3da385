"""RAVDESS, the Ryerson audio-visual database of emotional speech and song: the recordings without video.

A file is named by seven numbers of two digits, e.g. 03-01-06-01-02-01-12: modality (03, sound alone), channel (01
speech, 02 song), emotion, intensity, statement, repetition, actor. Actors of odd number are men, of even number women.
Speech and song share actors and statements. Neutral has normal intensity only; song has neither disgust nor surprise,
and none of actor 18.
"""

import functools
import itertools
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pipeline.corpora.corpus import Corpus, Download, Listing
from pipeline.corpora.emotions import ANGER, CALM, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE
from pipeline.corpora.named import list_named
from pipeline.corpora.recording import Recording

LICENCE = "CC BY-NC-SA 4.0"
SPEECH, SONG = "01", "02"

EMOTIONS = {
    "01": NEUTRAL,
    "02": CALM,
    "03": HAPPINESS,
    "04": SADNESS,
    "05": ANGER,
    "06": FEAR,
    "07": DISGUST,
    "08": SURPRISE,
}
INTENSITIES = {"01": "normal", "02": "strong"}
STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
REPETITIONS = ("01", "02")
ACTORS = tuple(f"{number:02d}" for number in range(1, 25))
NOT_SUNG = frozenset({"07", "08"})
NO_SINGER = "18"


def list_speech(folder: Path) -> Listing:
    """List the spoken recordings below a folder, in Actor_NN/ as published or anywhere else."""
    return list_named(folder, functools.partial(read_name, channel=SPEECH), expected_paths(SPEECH))


def list_song(folder: Path) -> Listing:
    """List the sung recordings below a folder, in Actor_NN/ as published or anywhere else."""
    return list_named(folder, functools.partial(read_name, channel=SONG), expected_paths(SONG))


@functools.cache
def expected_paths(channel: str) -> Mapping[str, str]:
    """Give the publisher's list: the path of each recording of a channel by its name."""
    paths = {}
    for emotion, intensity, statement, repetition, actor in itertools.product(
        EMOTIONS, INTENSITIES, STATEMENTS, REPETITIONS, ACTORS
    ):
        if EMOTIONS[emotion] == NEUTRAL and INTENSITIES[intensity] == "strong":
            continue
        if channel == SONG and (emotion in NOT_SUNG or actor == NO_SINGER):
            continue
        name = f"03-{channel}-{emotion}-{intensity}-{statement}-{repetition}-{actor}"
        paths[name] = f"Actor_{actor}/{name}.wav"
    return MappingProxyType(paths)


def read_name(path: str, *, channel: str) -> tuple[str, Recording] | None:
    """Read a file's name; None where it is not in the publisher's list of the channel."""
    name = path.rpartition("/")[2].rpartition(".")[0]
    if name not in expected_paths(channel):
        return None
    _, _, emotion, intensity, statement, repetition, actor = name.split("-")
    fields = {
        "speaker": f"ravdess/{actor}",
        "sex": "male" if int(actor) % 2 else "female",
        "sentence": f"ravdess/{statement}",
        "emotion": emotion,
        "intensity": INTENSITIES[intensity],
        "repetition": repetition,
    }
    return name, Recording(path, EMOTIONS[emotion], licence=LICENCE, fields=fields)


_ALL = tuple(sorted(EMOTIONS.values()))
_SUNG = tuple(sorted(emotion for code, emotion in EMOTIONS.items() if code not in NOT_SUNG))
_PAGE = "https://zenodo.org/records/1188976"
_CITATION = (
    "S. R. Livingstone, F. A. Russo (2018): The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS): "
    "A dynamic, multimodal set of facial and vocal expressions in North American English. PLoS ONE 13(5): e0196391, "
    "doi:10.1371/journal.pone.0196391"
)
_HOW = (
    "Download {name} from https://zenodo.org/records/1188976 and unpack it into the corpus's folder; its recordings "
    "may lie anywhere below it, as wav or flac."
)

RAVDESS_SPEECH = Corpus(
    title="RAVDESS, speech",
    page=_PAGE,
    citation=_CITATION,
    licence=LICENCE,
    how_to_get=_HOW.format(name="Audio_Speech_Actors_01-24.zip"),
    classes=_ALL,
    n_files=1440,
    n_speakers=24,
    sample_rate=48000,
    channels=None,  # a few are stereo
    list_files=list_speech,
    class_sets={"herron": _ALL},
    downloads=(
        Download(
            url=f"{_PAGE}/files/Audio_Speech_Actors_01-24.zip",
            checksum="md5:bc696df654c87fed845eb13823edef8a",
            n_bytes=208_468_073,
        ),
    ),
)

RAVDESS_SONG = Corpus(
    title="RAVDESS, song",
    page=_PAGE,
    citation=_CITATION,
    licence=LICENCE,
    how_to_get=_HOW.format(name="Audio_Song_Actors_01-24.zip"),
    classes=_SUNG,
    n_files=1012,
    n_speakers=23,
    sample_rate=48000,
    channels=None,
    list_files=list_song,
    class_sets={"cerutti": tuple(emotion for emotion in _SUNG if emotion != NEUTRAL)},
    downloads=(
        Download(
            url=f"{_PAGE}/files/Audio_Song_Actors_01-24.zip",
            checksum="md5:5411230427d67a21e18aa4d466e6d1b9",
            n_bytes=225_505_317,
        ),
    ),
)
