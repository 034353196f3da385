"""Every recording is used or rejected by name, and what is stored depends on nothing but the recordings."""

import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made import RATE, noise, tone

from pipeline.collect import collect_clips
from pipeline.corpora import Listing, Recording, list_corpus
from pipeline.errors import CorpusError
from pipeline.store.arrays import open_arrays
from pipeline.store.paths import CLIPS, clips_csv, clips_h5, missing_csv, noted_csv, rejected_csv
from pipeline.store.tables import Clip, Missing, Noted, Rejected, read_rows

# 16 bits: what is read back is exactly what was stored
SOUNDS = {
    f"{label}/{name}": np.round(noise(-20, seconds, seed=seed) * 32767).astype(np.int16)
    for seed, (label, name, seconds) in enumerate(
        [("anger", "a.wav", 0.5), ("anger", "b.flac", 0.75), ("joy", "c.wav", 0.25), ("joy", "é d.flac", 1.0)]
    )
}


# the beginning of one file, spelt in two ways
TWICE = [Recording("anger/a.wav", "anger", None, 0.25), Recording("anger/a.wav", "anger", 0.0, 0.25)]


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def save(path, samples, *, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="PCM_16")


def make_corpus(*, skip=()):
    folder = Path("raw/made")
    for path, samples in SOUNDS.items():
        if path not in skip:
            save(folder / path, samples)
    return folder


def collect(folder, recordings=None, *, corpus="made", n_workers=1, **choices):
    listing = list_corpus(corpus, folder) if recordings is None else Listing(tuple(recordings))
    usual = {"sample_rate": RATE, "max_seconds": 3600.0}
    return collect_clips(corpus, folder, listing, n_workers=n_workers, **{**usual, **choices})


def stored(clip):
    with open_arrays(clips_h5(clip.corpus)) as file:
        return file["audio"][clip.offset : clip.offset + clip.n_samples]


def files_of(corpus="made"):
    return {path.name: path.read_bytes() for path in sorted((CLIPS / corpus).iterdir())}


def test_clips_lie_one_after_the_other_in_the_order_listed():
    clips, rejected = collect(make_corpus())
    assert rejected == []
    assert [clip.path for clip in clips] == sorted(SOUNDS)
    assert [clip.clip_id for clip in clips] == [f"made/{path}" for path in sorted(SOUNDS)]
    lengths = [len(SOUNDS[clip.path]) for clip in clips]
    assert [clip.n_samples for clip in clips] == lengths
    assert [clip.offset for clip in clips] == [sum(lengths[:i]) for i in range(4)]
    for clip in clips:
        np.testing.assert_array_equal(stored(clip), SOUNDS[clip.path].astype(np.float32) / 32768)
    with open_arrays(clips_h5("made")) as file:
        assert len(file["audio"]) == sum(lengths)
        assert file.attrs["sample_rate"] == RATE


def test_what_is_known_of_a_clip():
    folder = Path("raw/made")
    save(folder / "joy/x.wav", np.stack([SOUNDS["joy/c.wav"]] * 2, axis=1), rate=16000)
    recording = Recording("joy/x.wav", "joy", licence="CC0", fields={"speaker": "s1", "event": ""})
    (clip,), _ = collect(folder, [recording])
    mono = SOUNDS["joy/c.wav"].astype("<f4") / 32768
    assert clip.source_rate == 16000
    assert clip.channels == 2
    assert clip.seconds == 0.125  # 2000 samples at 16 kHz
    assert clip.n_samples == 1000
    assert clip.licence == "CC0"
    assert clip.fields == {"speaker": "s1"}
    assert clip.start_seconds == 0
    assert clip.pcm_sha256 == hashlib.sha256(struct.pack("<I", 16000) + mono.tobytes()).hexdigest()


def test_the_tables_say_what_was_returned():
    folder = make_corpus()
    (folder / "joy/broken.wav").write_bytes(b"no sound")
    recordings = [Recording(path, "x", fields={"speaker": "", "n": "1"}) for path in [*SOUNDS, "joy/broken.wav"]]
    clips, rejected = collect(folder, recordings)
    assert read_rows(clips_csv("made"), Clip) == clips
    assert read_rows(rejected_csv("made"), Rejected) == rejected


def test_inputs_are_used_plus_rejected_each_with_its_reason():
    folder = make_corpus()
    (folder / "joy/text.wav").write_text("<html>not found</html>")
    (folder / "joy/empty.flac").write_bytes(b"")
    whole = (folder / "anger/a.wav").read_bytes()
    (folder / "anger/cut.wav").write_bytes(whole[: len(whole) // 2])
    (folder / "joy/notes.txt").write_text("beside the recordings")
    n_files = sum(path.is_file() for path in folder.rglob("*"))
    clips, rejected = collect(folder)
    assert {clip.path for clip in clips} == set(SOUNDS)
    reasons = {row.path: row.reason for row in rejected}
    assert set(reasons) == {"joy/text.wav", "joy/empty.flac", "anger/cut.wav", "joy/notes.txt"}
    assert all(reasons.values())
    assert len(clips) + len(rejected) == n_files
    assert {row.path: row.label for row in rejected} == {
        "joy/text.wav": "joy",
        "joy/empty.flac": "joy",
        "anger/cut.wav": "anger",
        "joy/notes.txt": "",
    }


def test_what_is_tolerated_in_a_file_is_noted_by_name(capsys):
    folder = make_corpus()
    data = (folder / "anger/a.wav").read_bytes()
    (folder / "anger/streamed.wav").write_bytes(data[:40] + b"\xff" * 4 + data[44:])
    (folder / "joy/tagged.wav").write_bytes((folder / "joy/c.wav").read_bytes() + b"TAG" + b"x" * 97)
    soundfile.write(folder / "anger/silent.wav", np.zeros(RATE), RATE)
    with (folder / "anger/silent.wav").open("ab") as file:
        file.write(bytes(60))
    clips, rejected = collect(folder)
    assert len(clips) == len(SOUNDS) + 3
    assert rejected == []
    assert read_rows(noted_csv("made"), Noted) == [
        Noted(path="anger/silent.wav", note="60 bytes after the last chunk ignored"),
        Noted(path="anger/silent.wav", note="no sound: every sample is the same"),
        Noted(path="anger/streamed.wav", note="length in header unknown (streamed)"),
        Noted(path="joy/tagged.wav", note="100 bytes after the last chunk ignored"),
    ]
    said = capsys.readouterr().err
    assert "note: made: remarks on 3 of the files that are used: data/processed/clips/made/noted.csv" in said


def test_nothing_tolerated_is_an_empty_table(capsys):
    collect(make_corpus())
    assert read_rows(noted_csv("made"), Noted) == []
    assert "note:" not in capsys.readouterr().err


def test_a_recording_that_is_listed_but_missing_is_rejected():
    folder = make_corpus()
    listed = [Recording("anger/a.wav", "anger"), Recording("anger/none.wav", "anger")]
    clips, rejected = collect(folder, listed)
    assert [clip.path for clip in clips] == ["anger/a.wav"]
    assert "missing" in rejected[0].reason


def test_a_clip_is_the_same_whatever_lies_beside_it():
    def what_is_known(clips):
        return {clip.clip_id: (clip.pcm_sha256, clip.n_samples, clip.floor_db, clip.bandwidth_hz) for clip in clips}

    everything = what_is_known(collect(make_corpus())[0])
    folder = Path("raw/made")
    backwards = what_is_known(collect(folder, list_corpus("made", folder).recordings[::-1])[0])
    (folder / "anger/a.wav").unlink()
    fewer = what_is_known(collect(folder)[0])
    assert backwards == everything
    assert fewer == {clip_id: known for clip_id, known in everything.items() if clip_id != "made/anger/a.wav"}


@pytest.mark.parametrize("n_workers", [1, 2])
def test_the_same_bytes_on_repetition_and_with_any_number_of_workers(n_workers):
    folder = make_corpus()
    (folder / "joy/broken.wav").write_bytes(b"RIFF")
    collect(folder, n_workers=1)
    first = files_of()
    assert set(first) == {"clips.h5", "clips.csv", "rejected.csv", "noted.csv", "missing.csv"}
    collect(folder, n_workers=n_workers)
    assert files_of() == first


def test_events_are_the_samples_between_their_times():
    folder = make_corpus()
    whole = SOUNDS["joy/é d.flac"].astype(np.float32) / 32768
    times = [(None, 0.25), (0.25, 0.5), (0.125, None)]
    clips, _ = collect(folder, [Recording("joy/é d.flac", "joy", start, end) for start, end in times])
    spans = [(0, 2000), (2000, 4000), (1000, 8000)]
    assert [clip.clip_id for clip in clips] == [f"made/joy/é d.flac#t={t}" for t in ("0,0.25", "0.25,0.5", "0.125,")]
    assert [clip.start_seconds for clip in clips] == [0, 0.25, 0.125]
    for clip, (first, last) in zip(clips, spans, strict=True):
        np.testing.assert_array_equal(stored(clip), whole[first:last])


def test_events_late_in_a_long_recording_keep_names_of_their_own():
    # six digits would make one name of both
    save(Path("raw/made/joy/long.wav"), np.tile(SOUNDS["joy/c.wav"], 42))
    recordings = [Recording("joy/long.wav", "joy", 10.123401, 10.2), Recording("joy/long.wav", "joy", 10.123499, 10.2)]
    clips, _ = collect(Path("raw/made"), recordings)
    assert [clip.clip_id for clip in clips] == [
        "made/joy/long.wav#t=10.123401,10.2",
        "made/joy/long.wav#t=10.123499,10.2",
    ]


def test_two_recordings_of_one_name_are_refused():
    with pytest.raises(CorpusError, match=r"made/anger/a\.wav#t=0,0\.25 is there 2 times"):
        collect(make_corpus(), TWICE)


def test_the_same_sound_under_two_names_of_one_label_is_kept_twice():
    folder = make_corpus()
    save(folder / "anger/copy.flac", SOUNDS["anger/a.wav"])
    clips, _ = collect(folder)
    same = [clip for clip in clips if clip.path in ("anger/a.wav", "anger/copy.flac")]
    assert len(same) == 2
    assert same[0].pcm_sha256 == same[1].pcm_sha256
    assert same[0].offset != same[1].offset
    assert len({clip.pcm_sha256 for clip in clips}) == len(SOUNDS)


def test_the_same_sound_under_two_labels_is_rejected_under_both_each_naming_the_other():
    folder = make_corpus()
    save(folder / "anger/again.wav", SOUNDS["anger/a.wav"])
    save(folder / "joy/copy.flac", SOUNDS["anger/a.wav"])
    clips, rejected = collect(folder)
    assert {clip.path for clip in clips} == set(SOUNDS) - {"anger/a.wav"}
    assert [(row.path, row.label) for row in rejected] == [
        ("anger/a.wav", "anger"),
        ("anger/again.wav", "anger"),
        ("joy/copy.flac", "joy"),
    ]
    others = ["joy/copy.flac, which is labelled joy", "joy/copy.flac, which is labelled joy", "anger/a.wav, which is"]
    for row, other in zip(rejected, others, strict=True):
        assert f"the same sound as {other}" in row.reason
    for clip in clips:  # what lies between them moves no clip away from its sound
        np.testing.assert_array_equal(stored(clip), SOUNDS[clip.path].astype(np.float32) / 32768)


def test_one_event_under_two_labels_is_rejected_under_both():
    recordings = [
        Recording("joy/é d.flac", "joy", 0.25, 0.5, fields={"line": "2"}),
        Recording("joy/é d.flac", "joy", 0.5, 1.0),
        Recording("anger/same.flac", "anger", 0.25, 0.5),
    ]
    folder = make_corpus()
    save(folder / "anger/same.flac", SOUNDS["joy/é d.flac"])
    clips, rejected = collect(folder, recordings)
    assert [clip.start_seconds for clip in clips] == [0.5]
    assert ["same.flac#t=0.25,0.5," in row.reason for row in rejected] == [True, False]
    assert "joy/é d.flac#t=0.25,0.5, which is labelled joy" in rejected[1].reason


def test_a_corpus_of_conflicts_only_is_refused():
    folder = make_corpus(skip=[path for path in SOUNDS if path != "anger/a.wav"])
    save(folder / "joy/copy.flac", SOUNDS["anger/a.wav"])
    with pytest.raises(CorpusError, match=r"none of its 2 recordings can be used; the first: anger/a\.wav: the same"):
        collect(folder)


RAVDESS_NAMES = ["03-01-05-01-01-01-01", "03-01-05-01-01-02-01", "03-01-03-02-02-01-02"]


def make_ravdess():
    folder = Path("raw/ravdess_speech")
    for seed, name in enumerate(RAVDESS_NAMES):
        save(folder / f"Actor_{name[-2:]}" / f"{name}.wav", noise(-20, 0.25, seed=seed))
    return folder


def test_missing_files_are_listed_and_told_in_one_line(capsys):
    clips, _ = collect(make_ravdess(), corpus="ravdess_speech")
    assert len(clips) == 3
    missing = [row.path for row in read_rows(missing_csv("ravdess_speech"), Missing)]
    assert len(missing) == 1437
    assert missing == sorted(missing)
    assert missing[0] == "Actor_01/03-01-01-01-01-01-01.wav"
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert warnings == [
        "warning: 1437 of the 1440 files that ravdess_speech should hold are missing, the first: "
        "Actor_01/03-01-01-01-01-01-01.wav; `emospec corpora check ravdess_speech` lists them"
    ]


def test_missing_files_stop_before_any_sound_is_read_where_they_must_not_be(monkeypatch):
    monkeypatch.setattr("pipeline.collect.Readers", None)  # were it called, that would be another error
    with pytest.raises(CorpusError, match="1437 of the 1440 files that ravdess_speech should hold are missing"):
        collect(make_ravdess(), corpus="ravdess_speech", missing="error")
    assert not (CLIPS / "ravdess_speech").exists()


def test_a_folder_corpus_lacks_nothing(capsys):
    collect(make_corpus(), missing="error")
    assert read_rows(missing_csv("made"), Missing) == []
    assert "warning" not in capsys.readouterr().err


def test_a_corpus_of_nothing_usable_is_refused_with_its_first_reason():
    folder = Path("raw/made")
    for name in ("a.wav", "b.wav"):
        (folder / "joy").mkdir(parents=True, exist_ok=True)
        (folder / "joy" / name).write_text("text")
    with pytest.raises(CorpusError, match=r"none of its 2 recordings can be used; the first: joy/a\.wav: "):
        collect(folder)


@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_failure_leaves_what_was_there_before_and_nothing_half_done(n_workers):
    folder = make_corpus()
    collect(folder)
    before = files_of()
    with pytest.raises(CorpusError):
        collect(folder, TWICE, n_workers=n_workers)
    assert files_of() == before


def test_a_first_failure_leaves_no_file():
    with pytest.raises(CorpusError):
        collect(make_corpus(), TWICE)
    assert not [path for path in CLIPS.rglob("*") if path.is_file()]


def test_recordings_are_stored_at_the_rate_asked_for():
    save(Path("raw/made/joy/tone.wav"), tone(-6, 1.0, hz=500, rate=16000), rate=16000)
    (clip,), _ = collect(Path("raw/made"))
    assert clip.n_samples == RATE
    # in the middle, away from the resampler's ends, it is the same tone sampled at the other rate
    np.testing.assert_allclose(stored(clip)[2000:6000], tone(-6, 1.0, hz=500)[2000:6000], atol=2e-4)


def test_a_recording_longer_than_allowed_is_rejected():
    clips, rejected = collect(make_corpus(), max_seconds=0.8)
    assert [row.path for row in rejected] == ["joy/é d.flac"]
    assert len(clips) == 3
