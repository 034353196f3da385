"""What lies in the folders: lengths as collecting will have them, and what it will probably reject, by name."""

import math

import numpy as np
import pytest
from plan.cases import RATE, clip, params, write_sound

from pipeline.collect import collect_clips
from pipeline.corpora import list_corpus
from pipeline.errors import CorpusError
from pipeline.plan.survey import collected_seconds, sample_of, survey_corpora


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "sounds"


def survey(root, **keys):
    return survey_corpora(params(data__root=str(root), **keys))


@pytest.mark.parametrize("rate", [RATE, 11025, 44100])
def test_lengths_are_those_that_collecting_gives(root, rate):
    for number, seconds in enumerate([0.9999, 1.23457, 3.0]):
        write_sound(root / f"made/joy/{number}.wav", seconds, rate=rate, channels=2, seed=number)
    (root / "made/clips.csv").write_text(
        "path,label,start_seconds,end_seconds\njoy/0.wav,joy,,\njoy/1.wav,joy,,\njoy/2.wav,joy,0.33333,2.1\n"
        "joy/2.wav,joy,2.2,\n"
    )
    found = survey(root)
    clips, _ = collect_clips(
        "made",
        root / "made",
        list_corpus("made", root / "made"),
        sample_rate=RATE,
        max_seconds=60,
        n_workers=1,
    )
    assert [one.n_samples for one in found.clips] == [one.n_samples for one in clips]
    assert {one.source_rate for one in found.clips} == {rate}
    assert found.seconds == pytest.approx(0.9999 + 1.23457 + 3.0 + 3.0, abs=1e-3)


def test_of_events_of_one_file_each_worker_decodes_for_two():
    events = [clip(100.0, path="joy/long.wav", start=float(start), end=start + 1.0) for start in range(50)]
    clips = [clip(3.0), *events, clip(7.0, path="joy/long.wav", corpus="other")]
    assert collected_seconds(clips, workers=1) == 3 + 2 * 100 + 7
    assert collected_seconds(clips, workers=4) == 3 + 8 * 100 + 7
    assert collected_seconds(clips[:3], workers=4) == 3 + 2 * 100


@pytest.mark.parametrize(("suffix", "tolerance"), [("avi", 0), ("mkv", 800), ("mp4", 3072)])
def test_the_sound_tracks_of_videos_are_foreseen(root, suffix, tolerance):
    pytest.importorskip("av", reason="PyAV, the extra `video`, is not installed")
    from audio.made_video import write_video

    (root / "made/joy").mkdir(parents=True)
    sound = (9000 * np.random.default_rng(1).standard_normal((20_001, 1))).clip(-32768, 32767).astype(np.int16)
    write_video(root / f"made/joy/a.{suffix}", sound, rate=RATE, codec="aac" if suffix == "mp4" else "pcm_s16le")
    (root / "made/joy/cut.avi").write_bytes(b"RIFF\x24\0\0\0AVI ")
    (root / "made/clips.csv").write_text(f"path,label\njoy/a.{suffix},joy\njoy/cut.avi,joy\n")
    found = survey(root)
    (one,) = found.clips
    assert (one.source_rate, one.channels) == (RATE, 1)
    assert abs(one.n_samples - 20_001) <= tolerance
    assert [line.partition(": ")[0] for line in found.doubtful] == ["made/joy/cut.avi"]


def test_what_cannot_be_opened_is_named_and_does_not_end_the_survey(root):
    write_sound(root / "made/joy/good.wav", 2.5)
    write_sound(root / "made/joy/event.wav", 2.5, seed=1)
    write_sound(root / "made/joy/slow.wav", 2.5, rate=2000)
    write_sound(root / "made/joy/empty.wav", 0)
    write_sound(root / "made/joy/long.wav", 40)
    (root / "made/joy/text.wav").write_text("no sound")
    (root / "made/joy/folder.wav").mkdir()
    paths = ["good", "event", "slow", "empty", "long", "text", "folder", "missing"]
    lines = [f"joy/{name}.wav,joy,{'9' if name == 'event' else ''}" for name in paths]
    (root / "made/clips.csv").write_text("\n".join(["path,label,end_seconds", *lines]))
    found = survey(root, audio__max_hours=30 / 3600)
    assert [one.recording.path for one in found.clips] == ["joy/good.wav"]
    reasons = dict(line.removeprefix("made/joy/").split(".wav: ") for line in found.doubtful)
    assert reasons == {
        "event": "an event up to 9 s in a file of 2.5 s",
        "slow": "sample rate 2000 Hz",
        "empty": "no sound in it (0 samples)",
        "long": "longer than audio.max_hours (0.0 h)",
        "text": "it cannot be opened as sound",
        "folder": "the file is missing or not a regular file",
        "missing": "the file is missing or not a regular file",
    }


def test_a_corpus_without_one_usable_recording_is_refused(root):
    (root / "made/joy").mkdir(parents=True)
    (root / "made/joy/text.wav").write_text("no sound")
    with pytest.raises(CorpusError, match=r"none of its 1 recordings can be used; the first: made/joy/text\.wav"):
        survey(root)


def test_a_missing_corpus_is_the_error_of_collecting(root):
    with pytest.raises(CorpusError) as of_survey:
        survey(root)
    with pytest.raises(CorpusError) as of_collecting:
        list_corpus("made", root / "made")
    assert str(of_survey.value) == str(of_collecting.value)


def test_missing_files_are_the_error_of_collecting_only_where_they_stop_it(root):
    write_sound(root / "emodb/wav/03a01Fa.wav", 1)
    chosen = {"corpora": ["emodb"], "data__root": str(root)}
    assert len(survey_corpora(params(**chosen)).clips) == 1
    with pytest.raises(CorpusError, match="534 of the 535 files that emodb should hold are missing"):
        survey_corpora(params(**chosen, data__missing="error"))


def test_the_demo_is_drawn_where_it_is_not_there_yet(root):
    found = survey_corpora(params(corpora=["demo"], demo__joy=2, demo__anger=1, demo__neutral=1))
    assert [one.recording.label for one in found.clips] == ["joy", "joy", "anger", "neutral"]
    assert all(14 <= one.decoded_seconds <= 36 for one in found.clips)
    for one in found.clips:
        assert math.isclose(one.n_samples / RATE, one.decoded_seconds, abs_tol=1 / RATE)


def test_the_sample_holds_short_recordings_from_all_over_the_list():
    clips = [clip(10, path=f"{number}") for number in range(100)] + [clip(1000, path="long")]
    picked = [one.recording.path for one in sample_of(clips, seconds=35)]
    assert picked == ["50", "25", "75"]
    assert sample_of(clips[-1:], seconds=35) == []
    assert len(sample_of([clip(30)], seconds=35)) == 1
