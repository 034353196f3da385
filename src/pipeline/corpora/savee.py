"""SAVEE, the Surrey audio-visual expressed emotion database: the recordings without video.

A file is named by its emotion, one or two letters, and a number of two digits, e.g. sa03, in a folder for each of the
four men (DC/sa03.wav), or flat with the speaker before it (DC_sa03.wav). Each emotion has 15 sentences, neutral 30.
The same number of the same emotion is the same text from every speaker. Three texts are common to all emotions, and
twelve more of neutral repeat those of the others; as the publisher's description does not say which numbers these are,
recordings have their number as `prompt`, and no `sentence`, which would promise that other values are other texts.
"""

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pipeline.corpora.corpus import Corpus, Listing
from pipeline.corpora.emotions import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE
from pipeline.corpora.named import list_named
from pipeline.corpora.recording import Recording

LICENCE = "free of charge for research purposes, after registration"
SPEAKERS = ("DC", "JE", "JK", "KL")
EMOTIONS = {"a": ANGER, "d": DISGUST, "f": FEAR, "h": HAPPINESS, "n": NEUTRAL, "sa": SADNESS, "su": SURPRISE}
N_SENTENCES, N_NEUTRAL = 15, 30

_NAME = re.compile(r"(?:^|/)(DC|JE|JK|KL)[/_](sa|su|[adfhn])(\d\d)\.[^./]+$", re.IGNORECASE)


def list_savee(folder: Path) -> Listing:
    """List the recordings below a folder, in AudioData/SPEAKER/ as published, in SPEAKER/, or flat."""
    return list_named(folder, read_name, expected_paths())


@functools.cache
def expected_paths() -> Mapping[str, str]:
    """Give the publisher's list: the path of each of the 480 recordings by its flat name."""
    return MappingProxyType(
        {
            f"{speaker}_{emotion}{number:02d}": f"AudioData/{speaker}/{emotion}{number:02d}.wav"
            for speaker in SPEAKERS
            for emotion, label in EMOTIONS.items()
            for number in range(1, 1 + (N_NEUTRAL if label == NEUTRAL else N_SENTENCES))
        }
    )


def read_name(path: str) -> tuple[str, Recording] | None:
    """Read a file's name and its folder's; None where they are not in the publisher's list."""
    match = _NAME.search(path)
    if match is None:
        return None
    speaker, emotion, number = match[1].upper(), match[2].lower(), match[3]
    name = f"{speaker}_{emotion}{number}"
    if name not in expected_paths():
        return None
    fields = {"speaker": f"savee/{speaker}", "sex": "male", "prompt": f"savee/{emotion}{number}", "emotion": emotion}
    return name, Recording(path, EMOTIONS[emotion], licence=LICENCE, fields=fields)


_ALL = tuple(sorted(EMOTIONS.values()))

CORPUS = Corpus(
    title="Surrey Audio-Visual Expressed Emotion database (SAVEE)",
    page="http://kahlan.eps.surrey.ac.uk/savee/",
    citation=(
        "S. Haq, P. J. B. Jackson (2010): Multimodal emotion recognition. In W. Wang (ed.): Machine Audition: "
        "Principles, Algorithms and Systems, IGI Global, 398-423"
    ),
    licence=LICENCE,
    how_to_get=(
        "Register at http://personal.ee.surrey.ac.uk/Personal/P.Jackson/SAVEE/Register.html, download AudioData.zip "
        "and unpack it into the corpus's folder, so that AudioData/DC/a01.wav lies below it; folders DC, JE, JK and "
        "KL, or files named as DC_a01.wav, are found as well."
    ),
    classes=_ALL,
    n_files=480,
    n_speakers=4,
    sample_rate=44100,
    channels=None,  # not stated
    list_files=list_savee,
    class_sets={"anand2015": _ALL, "four": (ANGER, HAPPINESS, NEUTRAL, SADNESS), "herron": _ALL},
)
