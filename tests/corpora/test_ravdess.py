"""RAVDESS by its files' names: made files under real names, and the real recordings where they lie."""

from collections import Counter
from pathlib import Path

import pytest

from pipeline.corpora import CORPORA, Recording, list_corpus
from pipeline.corpora.ravdess import SONG, SPEECH, expected_paths
from pipeline.errors import CorpusError

REAL = Path(__file__).resolve().parents[2] / "../shared/corpora"
CHANNEL = {"ravdess_speech": SPEECH, "ravdess_song": SONG}


def touch(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


def labels_of(listing):
    return Counter(recording.label for recording in listing.recordings)


def test_a_name_says_everything(tmp_path):
    # the publisher's example but for the modality: fearful, normal, "dogs", first repetition, actor 12, a woman
    touch(tmp_path, "Actor_12/03-01-06-01-02-01-12.wav", "Actor_07/03-01-08-02-01-02-07.wav")
    second, first = list_corpus("ravdess_speech", tmp_path).recordings
    fields = {
        "speaker": "ravdess/12",
        "sex": "female",
        "sentence": "ravdess/02",
        "emotion": "06",
        "intensity": "normal",
        "repetition": "01",
    }
    licence = "CC BY-NC-SA 4.0"
    assert first == Recording("Actor_12/03-01-06-01-02-01-12.wav", "fear", licence=licence, fields=fields)
    fields = {
        "speaker": "ravdess/07",
        "sex": "male",
        "sentence": "ravdess/01",
        "emotion": "08",
        "intensity": "strong",
        "repetition": "02",
    }
    assert second == Recording("Actor_07/03-01-08-02-01-02-07.wav", "surprise", licence=licence, fields=fields)


def test_song_and_speech_share_actors_and_statements(tmp_path):
    touch(tmp_path, "Actor_05/03-01-03-01-02-01-05.wav", "Actor_05/03-02-03-01-02-01-05.wav")
    (spoken,) = list_corpus("ravdess_speech", tmp_path).recordings
    (sung,) = list_corpus("ravdess_song", tmp_path).recordings
    assert spoken.fields == sung.fields
    assert (spoken.label, spoken.path) == ("happiness", "Actor_05/03-01-03-01-02-01-05.wav")
    assert (sung.label, sung.path) == ("happiness", "Actor_05/03-02-03-01-02-01-05.wav")


@pytest.mark.parametrize(
    ("corpus", "n_files", "n_actors", "of_emotion"),
    [
        # 2 statements x 2 repetitions x 2 intensities x 24 actors, neutral in one intensity
        (
            "ravdess_speech",
            1440,
            24,
            {
                **dict.fromkeys(("anger", "calm", "disgust", "fear", "happiness", "sadness", "surprise"), 192),
                "neutral": 96,
            },
        ),
        # 23 actors
        (
            "ravdess_song",
            1012,
            23,
            {**dict.fromkeys(("anger", "calm", "fear", "happiness", "sadness"), 184), "neutral": 92},
        ),
    ],
)
def test_the_publishers_list_has_the_published_counts(tmp_path, corpus, n_files, n_actors, of_emotion):
    touch(tmp_path, *expected_paths(CHANNEL[corpus]).values())
    listing = list_corpus(corpus, tmp_path)
    card = CORPORA[corpus]
    assert len(listing.recordings) == card.n_files == n_files
    assert listing.missing == ()
    assert listing.surplus == {}
    assert labels_of(listing) == of_emotion
    assert set(card.classes) == set(of_emotion)
    speakers = Counter(recording.fields["speaker"] for recording in listing.recordings)
    assert len(speakers) == card.n_speakers == n_actors
    assert set(speakers.values()) == {n_files // n_actors}
    assert ("ravdess/18" in speakers) == (corpus == "ravdess_speech")


def test_cerutti_sang_920_without_neutral():
    classes = CORPORA["ravdess_song"].class_sets["cerutti"]
    assert classes == ("anger", "calm", "fear", "happiness", "sadness")
    codes = {"02", "03", "04", "05", "06"}
    assert sum(name.split("-")[2] in codes for name in expected_paths(SONG)) == 920


@pytest.mark.parametrize("place", ["", "Actor_03/", "Audio_Speech_Actors_01-24/Actor_03/", "anywhere/"])
@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_files_lie_anywhere_and_in_any_format(tmp_path, place, suffix):
    path = f"{place}03-01-04-02-01-01-03.{suffix}"
    touch(tmp_path, path)
    listing = list_corpus("ravdess_speech", tmp_path)
    assert [(recording.path, recording.label) for recording in listing.recordings] == [(path, "sadness")]
    assert len(listing.missing) == 1439


def test_what_is_not_in_the_list_is_surplus_with_its_reason(tmp_path):
    strange = [
        "03-01-01-02-01-01-01.wav",  # neutral is never strong
        "03-01-09-01-01-01-01.wav",  # no ninth emotion
        "03-01-03-01-03-01-01.wav",  # no third statement
        "03-01-03-01-01-03-01.wav",  # no third repetition
        "03-01-03-01-01-01-25.wav",  # no 25th actor
        "01-01-03-01-01-01-01.wav",  # sound of the video
        "03-02-03-01-01-01-01.wav",  # song
        "03-01-03-01-01-01.wav",
        "copy of 03-01-03-01-01-01-01.wav",
    ]
    touch(tmp_path, "03-01-03-01-01-01-01.wav", "01-01-03-01-01-01-01.mp4", *strange)
    listing = list_corpus("ravdess_speech", tmp_path)
    assert [recording.path for recording in listing.recordings] == ["03-01-03-01-01-01-01.wav"]
    assert listing.surplus == dict.fromkeys(strange, "its name is not one of this corpus")


@pytest.mark.parametrize(
    "name", ["03-02-07-01-01-01-01", "03-02-08-01-01-01-01", "03-02-03-01-01-01-18", "03-01-03-01-01-01-01"]
)
def test_nobody_sings_disgust_or_surprise_and_actor_18_not_at_all(tmp_path, name):
    touch(tmp_path, f"Actor_{name[-2:]}/{name}.wav")
    with pytest.raises(CorpusError, match="holds no file named as in this corpus"):
        list_corpus("ravdess_song", tmp_path)


@pytest.mark.parametrize(("corpus", "n"), [("ravdess_speech", 60), ("ravdess_song", 44)])
def test_a_missing_actor_is_named_file_by_file(tmp_path, corpus, n):
    touch(tmp_path, *(path for path in expected_paths(CHANNEL[corpus]).values() if "Actor_09/" not in path))
    missing = list_corpus(corpus, tmp_path).missing
    assert len(missing) == n
    assert all(path.startswith("Actor_09/03-") for path in missing)
    assert list(missing) == sorted(missing)


def test_a_recording_in_two_places_is_used_once(tmp_path):
    touch(tmp_path, "03-01-03-01-01-01-01.wav", "Actor_01/03-01-03-01-01-01-01.wav")
    listing = list_corpus("ravdess_speech", tmp_path)
    assert len(listing.recordings) == 1
    assert listing.surplus == {"Actor_01/03-01-03-01-01-01-01.wav": "the same recording as 03-01-03-01-01-01-01.wav"}


def test_the_real_recordings_are_those_of_four_actors():
    folder = REAL / "ravdess_speech"
    if not folder.is_dir():
        pytest.skip("needs the recordings of ravdess_speech in ../shared/corpora")
    listing = list_corpus("ravdess_speech", folder)
    assert len(listing.recordings) == 240
    assert len(listing.missing) == 1200
    assert listing.surplus == {}
    speakers = Counter(recording.fields["speaker"] for recording in listing.recordings)
    assert speakers == {f"ravdess/0{actor}": 60 for actor in (1, 2, 3, 4)}
    assert labels_of(listing) == {
        **dict.fromkeys(("anger", "calm", "disgust", "fear", "happiness", "sadness", "surprise"), 32),
        "neutral": 16,
    }
