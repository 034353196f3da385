"""TESS by its files' names."""

import pytest
from corpora.made_corpus import labels, touch, values

from pipeline.corpora import CORPORA, Recording, list_corpus
from pipeline.corpora.tess import WORDS, expected_paths


def test_the_publishers_list_has_the_published_counts(tmp_path):
    """200 words by two women in seven emotions."""
    words = WORDS.read_text(encoding="ascii").split()
    assert len(words) == len(set(words)) == 200
    assert words == sorted(words)
    touch(tmp_path, *expected_paths().values())
    listing = list_corpus("tess", tmp_path)
    assert len(listing.recordings) == CORPORA["tess"].n_files == 2800
    assert labels(listing) == dict.fromkeys(CORPORA["tess"].classes, 400)
    assert values(listing, "speaker") == {"tess/OAF": 1400, "tess/YAF": 1400}
    assert values(listing, "sentence") == {f"tess/{word}": 14 for word in words}
    assert (listing.missing, listing.surplus) == ((), {})


@pytest.mark.parametrize(
    "path",
    [
        "YAF_youth_ps.wav",
        "YAF_pleasant_surprised/YAF_youth_ps.wav",
        "TESS Toronto emotional speech set data/YAF_Pleasant_Surprise/yaf_YOUTH_PS.WAV",
        "YAF_youth_pleasant_surprise.flac",
        "a/YAF_youth_Pleasant_Surprised.wav",
    ],
)
def test_every_spelling_gives_the_same(tmp_path, path):
    touch(tmp_path, path)
    (recording,) = list_corpus("tess", tmp_path).recordings
    assert recording == Recording(
        path,
        "surprise",
        licence="CC BY-NC-ND 4.0",
        fields={
            "speaker": "tess/YAF",
            "sex": "female",
            "age": "26",
            "sentence": "tess/youth",
            "emotion": "ps",
        },
    )


@pytest.mark.parametrize("name", ["OA_bite_neutral", "OAF_bite_neutral"])
def test_the_misnamed_file_is_the_older_womans(tmp_path, name):
    touch(tmp_path, f"OAF_neutral/{name}.wav")
    listing = list_corpus("tess", tmp_path)
    assert [recording.fields["speaker"] for recording in listing.recordings] == ["tess/OAF"]
    assert len(listing.missing) == 2799
    assert "OA_bite_neutral.wav" not in listing.missing


def test_what_is_no_recording_of_it_is_named(tmp_path):
    touch(tmp_path, "x/OAF_back_sad.wav", "y/OAF_back_sad.wav", "OAF_dragon_sad.wav", "OAF_back_bored.wav", "a.txt")
    listing = list_corpus("tess", tmp_path)
    assert [recording.label for recording in listing.recordings] == ["sadness"]
    assert listing.surplus == {
        "OAF_back_bored.wav": "its name is not one of this corpus",
        "OAF_dragon_sad.wav": "its name is not one of this corpus",
        "y/OAF_back_sad.wav": "the same recording as x/OAF_back_sad.wav",
    }
    assert "OAF_back_angry.wav" in listing.missing
