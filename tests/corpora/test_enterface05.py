"""eNTERFACE'05 by its folders and its files' names, and the sound of its videos."""

import numpy as np
import pytest
from corpora.made_corpus import labels, touch, values, write_sound

from pipeline.audio.reading import read_sound
from pipeline.corpora import CORPORA, Recording, list_corpus
from pipeline.errors import AudioError, CorpusError

FOLDERS = {"anger": "an", "disgust": "di", "fear": "fe", "happiness": "ha", "sadness": "sa", "surprise": "su"}


def test_the_published_tree_gives_subjects_emotions_and_sentences(tmp_path):
    touch(
        tmp_path,
        *(
            f"enterface database/subject {subject}/{emotion}/sentence {sentence}/s{subject}_{code}_{sentence}.avi"
            for subject in (1, 2, 44)
            for emotion, code in FOLDERS.items()
            for sentence in range(1, 6)
        ),
    )
    listing = list_corpus("enterface05", tmp_path)
    assert len(listing.recordings) == 90
    assert labels(listing) == dict.fromkeys(CORPORA["enterface05"].classes, 15)
    assert values(listing, "speaker") == dict.fromkeys(("enterface05/1", "enterface05/2", "enterface05/44"), 30)
    assert values(listing, "sentence") == {
        f"enterface05/{code}{number}": 3 for code in FOLDERS.values() for number in range(1, 6)
    }
    assert (listing.missing, listing.surplus) == ((), {})


@pytest.mark.parametrize(
    "path",
    [
        "subject 6/surprise/sentence 2/s6_su_2.avi",
        "subject 6/surprise/s6_su_2.avi",  # no folders of sentences
        "Subject_06/Suprise/Sentence 2/whatever.AVI",
        "subject-6/surprised/sentence-2/s_6_su_2.mp4",
        "subject6/sentence2/s6_su_2.mov",
        "s_6_su_2.avi",
        "wav/S06_SU_02.wav",
        "subject 6 /surprise /sentence 2 /s1_an_1.avi",  # the folders decide
    ],
)
def test_every_spelling_gives_the_same(tmp_path, path):
    touch(tmp_path, path)
    (recording,) = list_corpus("enterface05", tmp_path).recordings
    assert recording == Recording(
        path,
        "surprise",
        licence=CORPORA["enterface05"].licence,
        fields={"speaker": "enterface05/6", "sentence": "enterface05/su2", "emotion": "su"},
    )


def test_a_video_whose_sentence_nothing_tells_has_none(tmp_path):
    touch(tmp_path, "subject 6/anger/first.avi", "subject 6/anger/second.avi", "subject 6/anger/s6_an_3.avi")
    listing = list_corpus("enterface05", tmp_path)
    assert labels(listing) == {"anger": 3}
    assert [recording.fields.get("sentence") for recording in listing.recordings] == [
        None,
        "enterface05/an3",
        None,
    ]


def test_what_is_no_recording_of_it_is_named(tmp_path):
    touch(
        tmp_path,
        "subject 1/anger/sentence 1/s1_an_1.avi",
        "subject 1/anger/sentence 1/take two.avi",
        "subject 1/whatever.avi",
        "subject 1/joyfulness/sentence 1/clip.avi",
        "subject 0/anger/sentence 1/clip.avi",
        "trailer.mp4",
        "subject 1/anger/sentence 1/Thumbs.db",
        "readme.txt",
    )
    listing = list_corpus("enterface05", tmp_path)
    assert [recording.path for recording in listing.recordings] == ["subject 1/anger/sentence 1/s1_an_1.avi"]
    unknown = "its name is not one of this corpus"
    assert listing.surplus == {
        "subject 0/anger/sentence 1/clip.avi": unknown,
        "subject 1/anger/sentence 1/take two.avi": "the same recording as subject 1/anger/sentence 1/s1_an_1.avi",
        "subject 1/joyfulness/sentence 1/clip.avi": unknown,
        "subject 1/whatever.avi": unknown,
        "trailer.mp4": unknown,
    }


def test_a_folder_without_any_is_refused(tmp_path):
    write_sound(tmp_path / "dog.wav")
    with pytest.raises(CorpusError, match=r"e\.g\. subject 1/anger/sentence 1/s1_an_1\.avi"):
        list_corpus("enterface05", tmp_path)


def test_the_sound_of_a_listed_video_is_read(tmp_path):
    pytest.importorskip("av", reason="PyAV, the extra `video`, is not installed")
    from audio.made_video import write_video

    place = tmp_path / "subject 1/anger/sentence 1"
    place.mkdir(parents=True)
    sound = np.random.default_rng(0).integers(-9000, 9000, (4000, 2)).astype(np.int16)
    write_video(place / "s1_an_1.avi", sound, rate=8000, layout="stereo")
    write_video(place / "s1_an_2.avi", None, rate=8000)
    (recording,) = list_corpus("enterface05", tmp_path).recordings
    read = read_sound(tmp_path / recording.path, sample_rate=8000)
    np.testing.assert_allclose(read.samples, (sound / 32768).mean(axis=1), atol=1e-7)
    with pytest.raises(AudioError, match="without a sound track"):
        read_sound(place / "s1_an_2.avi", sample_rate=8000)
