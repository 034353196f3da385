"""CREMA-D by its files' names and its table of actors."""

import pytest
from corpora.made_corpus import labels, touch, values, write_sound

from pipeline.audio.reading import read_sound
from pipeline.corpora import CORPORA, Recording, list_corpus
from pipeline.corpora.crema_d import SENTENCES, expected_paths
from pipeline.errors import AudioError, CorpusError

TABLE = (
    '"ActorID","Age","Sex","Race","Ethnicity"\n'
    '1001,51,"Male","Caucasian","Not Hispanic"\n'
    '1002,21,"Female","Caucasian","Not Hispanic"\n'
)


def test_the_publishers_list_has_the_published_counts(tmp_path):
    """7442 recordings of 91 actors; the counts of emotions are those of every paper on it."""
    touch(tmp_path, *expected_paths().values())
    listing = list_corpus("crema_d", tmp_path)
    assert len(listing.recordings) == CORPORA["crema_d"].n_files == 7442
    assert labels(listing) == {
        **dict.fromkeys(("anger", "disgust", "fear", "happiness", "sadness"), 1271),
        "neutral": 1087,
    }
    speakers = values(listing, "speaker")
    assert len(speakers) == 91
    assert {name: number for name, number in speakers.items() if number != 82} == {
        "crema_d/1002": 81,
        "crema_d/1008": 76,
        "crema_d/1009": 76,
        "crema_d/1019": 76,
        "crema_d/1076": 81,
    }
    assert set(values(listing, "sentence")) == {f"crema_d/{code}" for code in SENTENCES}
    assert values(listing, "intensity") == {"low": 455, "medium": 455, "high": 455, "unspecified": 6077}
    assert (listing.missing, listing.surplus) == ((), {})


def test_a_name_says_everything_but_who_the_actor_is(tmp_path):
    touch(tmp_path, "AudioWAV/1001_IEO_ANG_HI.wav")
    (recording,) = list_corpus("crema_d", tmp_path).recordings
    assert recording == Recording(
        "AudioWAV/1001_IEO_ANG_HI.wav",
        "anger",
        licence=CORPORA["crema_d"].licence,
        fields={
            "speaker": "crema_d/1001",
            "sentence": "crema_d/IEO",
            "emotion": "ANG",
            "intensity": "high",
        },
    )


@pytest.mark.parametrize("place", ["", "CREMA-D-master/"])
def test_the_table_tells_sex_and_age(tmp_path, place):
    touch(tmp_path, "AudioWAV/1001_IEO_ANG_HI.wav", "1002_DFA_SAD_XX.wav", "1003_DFA_SAD_XX.wav")
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / "VideoDemographics.csv").write_text(TABLE, encoding="utf-8")
    found = {
        recording.fields["speaker"]: (recording.fields.get("sex"), recording.fields.get("age"))
        for recording in list_corpus("crema_d", tmp_path).recordings
    }
    assert found == {"crema_d/1001": ("male", "51"), "crema_d/1002": ("female", "21"), "crema_d/1003": (None, None)}


@pytest.mark.parametrize("text", ["actor,sex\n1001,m\n", "ActorID,Age,Sex\n1001\n", "ActorID,Age,Sex\n1001,\xe9"])
def test_a_faulty_table_is_refused_by_name(tmp_path, text):
    touch(tmp_path, "1001_IEO_ANG_HI.wav")
    (tmp_path / "VideoDemographics.csv").write_text(text, encoding="latin-1")
    with pytest.raises(CorpusError, match=r"^VideoDemographics\.csv: .*remove it"):
        list_corpus("crema_d", tmp_path)


@pytest.mark.parametrize("name", ["1040_ITH_SAD_X", "1040_ITH_SAD_XX"])
def test_the_misnamed_file_is_known_by_both_names(tmp_path, name):
    touch(tmp_path, f"{name}.wav")
    listing = list_corpus("crema_d", tmp_path)
    assert [recording.fields["intensity"] for recording in listing.recordings] == ["unspecified"]
    assert len(listing.missing) == 7441
    assert "AudioWAV/1040_ITH_SAD_X.wav" not in listing.missing


def test_a_clone_gives_its_wav_and_not_its_mp3(tmp_path):
    name = "1001_IEO_ANG_HI"
    touch(tmp_path, f"AudioMP3/{name}.mp3", f"VideoFlash/{name}.flv")
    assert [recording.path for recording in list_corpus("crema_d", tmp_path).recordings] == [f"AudioMP3/{name}.mp3"]
    touch(tmp_path, f"AudioWAV/{name}.wav")
    listing = list_corpus("crema_d", tmp_path)
    assert [recording.path for recording in listing.recordings] == [f"AudioWAV/{name}.wav"]
    assert listing.surplus == {}


def test_what_is_no_recording_of_it_is_named(tmp_path):
    touch(
        tmp_path,
        "1001_IEO_ANG_HI.wav",
        "1001_IEO_ANG_XX.wav",  # that sentence has levels
        "1001_DFA_ANG_HI.wav",  # and no other has
        "1008_WSI_ANG_XX.wav",  # never recorded
        "1092_DFA_ANG_XX.wav",
        "copy/1001_IEO_ANG_HI.wav",
    )
    listing = list_corpus("crema_d", tmp_path)
    assert len(listing.recordings) == 1
    assert listing.surplus == {
        **dict.fromkeys(
            ("1001_DFA_ANG_HI.wav", "1001_IEO_ANG_XX.wav", "1008_WSI_ANG_XX.wav", "1092_DFA_ANG_XX.wav"),
            "its name is not one of this corpus",
        ),
        "copy/1001_IEO_ANG_HI.wav": "the same recording as 1001_IEO_ANG_HI.wav",
    }


def test_a_recording_without_sound_is_left_to_the_reader(tmp_path):
    """The publisher's 1076_MTI_SAD_XX holds none."""
    path = tmp_path / "1076_MTI_SAD_XX.wav"
    write_sound(path)
    path.write_bytes(path.read_bytes()[:44])
    (recording,) = list_corpus("crema_d", tmp_path).recordings
    with pytest.raises(AudioError, match=r"^1076_MTI_SAD_XX\.wav: "):
        read_sound(tmp_path / recording.path, sample_rate=16_000)
