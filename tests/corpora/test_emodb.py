"""EMO-DB by its files' names: made files under real names, and the real recordings where they lie."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made import noise

from pipeline.collect import collect_clips
from pipeline.corpora import CORPORA, Recording, list_corpus
from pipeline.corpora.emodb import SENTENCES, SEXES, expected_paths
from pipeline.errors import CorpusError

REAL = Path(__file__).resolve().parents[2] / "../shared/corpora"
RATE = 16000

# As published: Burkhardt et al., and every table of the corpus since.
OF_EMOTION = {"anger": 127, "boredom": 81, "disgust": 46, "fear": 69, "happiness": 71, "neutral": 79, "sadness": 62}
OF_SPEAKER = {"03": 49, "08": 58, "09": 43, "10": 38, "11": 55, "12": 35, "13": 61, "14": 69, "15": 56, "16": 71}


def touch(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


def real(corpus):
    folder = REAL / corpus
    if not folder.is_dir():
        pytest.skip(f"needs the recordings of {corpus} in ../shared/corpora")
    return folder


def count(listing, field):
    return Counter(recording.fields[field].removeprefix("emodb/") for recording in listing.recordings)


@pytest.mark.parametrize("corpus", ["emodb", "emodb_2s"])
def test_a_name_says_everything(tmp_path, corpus):
    touch(tmp_path, "wav/03a01Fa.wav", "wav/16b10Lb.wav")
    first, second = list_corpus(corpus, tmp_path).recordings
    licence = CORPORA[corpus].licence
    # the publisher's own example: speaker 03, a man, speaking text a01 with "Freude"
    assert first == Recording(
        "wav/03a01Fa.wav",
        "happiness",
        licence=licence,
        fields={"speaker": "emodb/03", "sex": "male", "sentence": "emodb/a01", "emotion": "F", "take": "a"},
    )
    assert second == Recording(
        "wav/16b10Lb.wav",
        "boredom",
        licence=licence,
        fields={"speaker": "emodb/16", "sex": "female", "sentence": "emodb/b10", "emotion": "L", "take": "b"},
    )


def test_the_publishers_list_has_the_published_counts(tmp_path):
    touch(tmp_path, *expected_paths().values())
    listing = list_corpus("emodb", tmp_path)
    assert len(listing.recordings) == CORPORA["emodb"].n_files == 535
    assert listing.missing == ()
    assert listing.surplus == {}
    assert Counter(recording.label for recording in listing.recordings) == OF_EMOTION
    assert count(listing, "speaker") == OF_SPEAKER
    assert set(count(listing, "sentence")) == set(SENTENCES)
    assert Counter(SEXES.values()) == {"male": 5, "female": 5}
    assert set(CORPORA["emodb"].classes) == set(OF_EMOTION)


@pytest.mark.parametrize("place", ["", "wav/", "emodb/wav/", "download/EMO-DB/by speaker/"])
@pytest.mark.parametrize("suffix", ["wav", "WAV", "flac"])
def test_files_lie_anywhere_and_in_any_format(tmp_path, place, suffix):
    touch(tmp_path, *(f"{place}{name}.{suffix}" for name in ("03a01Fa", "08b02Wd")))
    listing = list_corpus("emodb", tmp_path)
    assert [recording.path for recording in listing.recordings] == [
        f"{place}03a01Fa.{suffix}",
        f"{place}08b02Wd.{suffix}",
    ]
    assert len(listing.missing) == 533
    assert not {"wav/03a01Fa.wav", "wav/08b02Wd.wav"} & set(listing.missing)


def test_what_is_not_in_the_list_is_surplus_with_its_reason(tmp_path):
    # no speaker 17, no text a03, no emotion X, no such version, not a name at all; tables are passed over
    strange = ["17a01Fa.wav", "03a03Fa.wav", "03a01Xa.wav", "03a01Fz.wav", "03a01Fa (1).wav", "x.wav"]
    touch(tmp_path, "wav/03a01Fa.wav", "wav/erkennung.txt", "db.yaml", *(f"wav/{name}" for name in strange))
    listing = list_corpus("emodb", tmp_path)
    assert [recording.path for recording in listing.recordings] == ["wav/03a01Fa.wav"]
    assert listing.surplus == {f"wav/{name}": "its name is not one of this corpus" for name in strange}


def test_a_missing_speaker_is_named_file_by_file(tmp_path):
    touch(tmp_path, *(path for name, path in expected_paths().items() if name[:2] != "12"))
    missing = list_corpus("emodb", tmp_path).missing
    assert len(missing) == OF_SPEAKER["12"]
    assert all(path.startswith("wav/12") for path in missing)
    assert list(missing) == sorted(missing)


def test_a_folder_of_other_recordings_is_refused(tmp_path):
    touch(tmp_path, "wav/x.wav")
    with pytest.raises(CorpusError, match=r"holds no file named as in this corpus, e\.g\. wav/03a01Fa\.wav"):
        list_corpus("emodb", tmp_path)


def test_odd_formats_are_read_and_a_recording_in_two_formats_is_used_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Path("raw/emodb")
    (folder / "wav").mkdir(parents=True)

    def save(name, sound, rate=RATE, **choices):
        soundfile.write(folder / "wav" / name, sound, rate, subtype="PCM_16", **choices)

    mono = noise(-20, 0.25, seed=1, rate=RATE)
    save("03a01Fa.wav", mono)
    save("03a01Fa.flac", mono)
    save("03a01Nc.wav", np.stack([noise(-20, 0.25, seed=2, rate=RATE)] * 2, axis=1))
    save("03a01Wa.wav", noise(-20, 0.25, seed=3, rate=44100), 44100)
    save("03a02Fc.wav", noise(-20, 0.25, seed=4, rate=RATE), format="AIFF")
    save("03a02Nc.wav", noise(-20, 0.25, seed=5, rate=RATE))
    whole = (folder / "wav/03a02Nc.wav").read_bytes()
    (folder / "wav/03a02Nc.wav").write_bytes(whole[: len(whole) // 2])
    n_files = sum(path.is_file() for path in folder.rglob("*"))
    listing = list_corpus("emodb", folder)
    clips, rejected = collect_clips("emodb", folder, listing, sample_rate=RATE, max_seconds=60, n_workers=1)
    assert {clip.path: (clip.source_rate, clip.channels, clip.n_samples) for clip in clips} == {
        "wav/03a01Fa.flac": (16000, 1, 4000),
        "wav/03a01Nc.wav": (16000, 2, 4000),
        "wav/03a01Wa.wav": (44100, 1, 4000),
        "wav/03a02Fc.wav": (16000, 1, 4000),
    }
    assert clips[0].fields["speaker"] == "emodb/03"
    reasons = {row.path: row.reason for row in rejected}
    assert reasons.pop("wav/03a01Fa.wav") == "the same recording as wav/03a01Fa.flac"
    assert list(reasons) == ["wav/03a02Nc.wav"]
    assert len(clips) + len(rejected) == n_files


def test_the_real_recordings_are_those_of_their_table():
    listing = list_corpus("emodb", real("emodb"))
    assert len(listing.recordings) == 339
    assert len(listing.missing) == 196
    assert listing.surplus == {}
    labels = Counter(recording.label for recording in listing.recordings)
    assert labels == {"anger": 127, "neutral": 79, "happiness": 71, "sadness": 62}
    assert set(labels) == set(CORPORA["emodb"].class_sets["four"])
    codes = {"W": "anger", "N": "neutral", "F": "happiness", "T": "sadness"}
    for recording in listing.recordings:
        assert recording.label == codes[Path(recording.path).name[5]]
        assert recording.fields["speaker"] == f"emodb/{Path(recording.path).name[:2]}"
    of_speaker = {"03": 39, "08": 42, "09": 30, "10": 21, "11": 35, "12": 22, "13": 36, "14": 41, "15": 34, "16": 39}
    assert count(listing, "speaker") == of_speaker


def test_the_real_recordings_of_two_seconds_are_complete():
    listing = list_corpus("emodb_2s", real("emodb_2s"))
    assert len(listing.recordings) == 535
    assert listing.missing == ()
    assert listing.surplus == {}
    assert Counter(recording.label for recording in listing.recordings) == OF_EMOTION
    assert count(listing, "speaker") == OF_SPEAKER
