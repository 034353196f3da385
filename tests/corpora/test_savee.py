"""SAVEE by its files' names."""

import pytest
from corpora.made_corpus import labels, touch, values

from pipeline.corpora import CORPORA, Recording, list_corpus
from pipeline.corpora.savee import expected_paths
from pipeline.errors import CorpusError


def test_the_publishers_list_has_the_published_counts(tmp_path):
    """120 utterances from each of 4 men: 15 of each emotion, 30 of neutral."""
    touch(tmp_path, *expected_paths().values())
    listing = list_corpus("savee", tmp_path)
    assert len(listing.recordings) == CORPORA["savee"].n_files == 480
    assert labels(listing) == {
        **dict.fromkeys(("anger", "disgust", "fear", "happiness", "sadness", "surprise"), 60),
        "neutral": 120,
    }
    assert values(listing, "speaker") == dict.fromkeys(("savee/DC", "savee/JE", "savee/JK", "savee/KL"), 120)
    assert (listing.missing, listing.surplus) == ((), {})


@pytest.mark.parametrize(
    "layout", ["AudioData/{s}/{n}.wav", "{s}/{n}.wav", "{s}_{n}.wav", "ALL/{s}_{n}.WAV", "{s}/{s}_{n}.flac"]
)
def test_every_layout_gives_the_same(tmp_path, layout):
    names = [("DC", "a01"), ("JE", "n30"), ("KL", "su15"), ("JK", "sa02")]
    touch(tmp_path, *(layout.format(s=speaker, n=name) for speaker, name in names))
    listing = list_corpus("savee", tmp_path)
    found = {(recording.fields["speaker"], recording.fields["prompt"]): recording for recording in listing.recordings}
    assert found["savee/KL", "savee/su15"] == Recording(
        layout.format(s="KL", n="su15"),
        "surprise",
        licence=CORPORA["savee"].licence,
        fields={"speaker": "savee/KL", "sex": "male", "prompt": "savee/su15", "emotion": "su"},
    )
    assert labels(listing) == {"anger": 1, "neutral": 1, "sadness": 1, "surprise": 1}
    assert len(listing.missing) == 476
    assert "AudioData/DC/a02.wav" in listing.missing
    assert "AudioData/DC/a01.wav" not in listing.missing


def test_no_sentence_is_claimed(tmp_path):
    """Three texts are common to all emotions, under numbers that the description does not tell."""
    touch(tmp_path, *expected_paths().values())
    assert all("sentence" not in recording.fields for recording in list_corpus("savee", tmp_path).recordings)


def test_what_is_no_recording_of_it_is_named(tmp_path):
    touch(tmp_path, "DC/a01.wav", "DC_a01.wav", "DC/a16.wav", "DC/n31.wav", "XX/a01.wav", "DC/x01.wav", "Info.txt")
    listing = list_corpus("savee", tmp_path)
    assert [recording.path for recording in listing.recordings] == ["DC/a01.wav"]
    unknown = "its name is not one of this corpus"
    assert listing.surplus == {
        "DC/a16.wav": unknown,
        "DC/n31.wav": unknown,
        "DC/x01.wav": unknown,
        "XX/a01.wav": unknown,
        "DC_a01.wav": "the same recording as DC/a01.wav",
    }


def test_a_folder_without_any_is_refused(tmp_path):
    touch(tmp_path, "dog.wav")
    with pytest.raises(CorpusError, match=r"e\.g\. AudioData/DC/a01\.wav"):
        list_corpus("savee", tmp_path)
