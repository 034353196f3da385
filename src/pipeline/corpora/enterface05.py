"""eNTERFACE'05: videos of people who react in English to six short stories, each of which is to raise one emotion.

A video lies in subject N/EMOTION/sentence M/ and is named as s1_an_1.avi: subject, emotion, sentence. Some subjects
have no folders of sentences, and folders and names are spelt in several ways; where both tell the same thing, the
folder decides, and where neither tells the sentence, the recording has none. What is said is laid down for each emotion
and sentence.

The publisher tells of 42 subjects and 1166 videos, and has no list of them: five reactions to each story were asked
for, and only those kept that two experts found unambiguous. So what is missing cannot be told.

Its sound is read from the videos (the extra `video`); the same tree of sound files is read as well.
"""

import dataclasses
import re
from pathlib import Path

from pipeline.corpora.corpus import Corpus, Download, Listing
from pipeline.corpora.emotions import ANGER, DISGUST, FEAR, HAPPINESS, SADNESS, SURPRISE
from pipeline.corpora.folder import is_recording
from pipeline.corpora.named import list_named
from pipeline.corpora.recording import Recording

LICENCE = "publicly available for scientific research purposes"
EMOTIONS = {"an": ANGER, "di": DISGUST, "fe": FEAR, "ha": HAPPINESS, "sa": SADNESS, "su": SURPRISE}
# How folders spell them.
SPELLINGS = {
    "anger": "an",
    "angry": "an",
    "disgust": "di",
    "disgusted": "di",
    "fear": "fe",
    "fearful": "fe",
    "happiness": "ha",
    "happy": "ha",
    "sad": "sa",
    "sadness": "sa",
    "suprise": "su",
    "surprise": "su",
    "surprised": "su",
}
EXAMPLE = "subject 1/anger/sentence 1/s1_an_1.avi"

_SUBJECT = re.compile(r"subject[ _-]*0*([1-9]\d*)", re.IGNORECASE)
_SENTENCE = re.compile(r"sentence[ _-]*0*([1-9]\d*)", re.IGNORECASE)
_NAME = re.compile(r"s(?:ubject)?[ _-]*0*([1-9]\d*)[ _-]+(an|di|fe|ha|sa|su)[ _-]*0*([1-9]\d*)", re.IGNORECASE)


def list_enterface05(folder: Path) -> Listing:
    """List the videos, or sound files, below a folder; what is missing is not known."""
    listing = list_named(folder, read_path, {"": EXAMPLE}, wanted=is_recording)
    return dataclasses.replace(listing, missing=())


def read_path(path: str) -> tuple[str, Recording] | None:
    """Read a file's folders and name; None where they do not tell subject and emotion."""
    *folders, file = path.split("/")
    name_alone = file.rpartition(".")[0]
    named = _NAME.fullmatch(name_alone)
    subject, emotion, sentence = named.groups() if named else (None, None, None)
    for name in map(str.strip, folders):
        if match := _SUBJECT.fullmatch(name):
            subject = match[1]
        elif match := _SENTENCE.fullmatch(name):
            sentence = match[1]
        else:
            emotion = SPELLINGS.get(name.lower(), emotion)
    if subject is None or emotion is None:
        return None
    emotion = emotion.lower()
    fields = {"speaker": f"enterface05/{subject}", "emotion": emotion}
    if sentence is not None:
        fields["sentence"] = f"enterface05/{emotion}{sentence}"
    return f"{subject}_{emotion}_{sentence or name_alone}", Recording(
        path, EMOTIONS[emotion], licence=LICENCE, fields=fields
    )


_ALL = tuple(sorted(EMOTIONS.values()))

CORPUS = Corpus(
    title="eNTERFACE'05 audio-visual emotion database",
    page="https://enterface.net/enterface05/emotion.html",
    citation=(
        "O. Martin, I. Kotsia, B. Macq, I. Pitas (2006): The eNTERFACE'05 audio-visual emotion database. Proc. 22nd "
        "International Conference on Data Engineering Workshops (ICDEW'06), doi:10.1109/ICDEW.2006.145"
    ),
    licence=LICENCE,
    how_to_get=(
        "Download https://enterface.net/enterface05/docs/results/databases/project2_database.zip, unpack it into the "
        "corpus's folder, so that subject 1/anger/sentence 1/s1_an_1.avi lies below it, and install what reads the "
        "sound of videos: pip install 'emospec[video]'. The archive that circulates holds more than was published: 44 "
        "subjects."
    ),
    classes=_ALL,
    n_files=1166,
    n_speakers=42,
    sample_rate=None,
    channels=None,
    list_files=list_enterface05,
    class_sets={"anand2015": _ALL},
    downloads=(Download(url="https://enterface.net/enterface05/docs/results/databases/project2_database.zip"),),
)
