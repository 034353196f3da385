"""Frames of blocks: those that films of known frames show at the middles; from there on as any other image."""

import numpy as np
import pytest
import soundfile
from made_film import RATE, grey_of, make_corpus, write_film
from made_report import MEMBER, SECTIONS
from made_run import ON_CPU, SPLIT, one_thread, recipe, torch_as_before  # noqa: F401 - a fixture

from pipeline import sampling
from pipeline.collect import collect_clips
from pipeline.corpora import list_corpus
from pipeline.errors import CorpusError, StoreError
from pipeline.evaluate import evaluate_runs
from pipeline.features.faces import Faces
from pipeline.fold_baselines import fit_baselines
from pipeline.listing import list_spectrograms
from pipeline.models.weights import fetch_weights
from pipeline.normalize import normalize_corpus
from pipeline.render import render_corpus
from pipeline.report.page import write_report
from pipeline.runs import predict_run, train_run
from pipeline.sampling import sample_frames
from pipeline.slicing import slice_corpus
from pipeline.split.choices import Choices
from pipeline.split.corpora import split_corpora
from pipeline.store.arrays import attributes_of, decode_texts, digest_of, open_arrays
from pipeline.store.folds import read_outputs
from pipeline.store.paths import (
    DUPLICATES,
    REPORT,
    blocks_csv,
    clips_h5,
    frames_h5,
    outputs_h5,
    spectrograms_h5,
    weights_folder,
)
from pipeline.store.rendered import open_rendered
from pipeline.store.tables import Block, Duplicate, read_rows, write_rows

FACES = Faces(height=16, width=20, crop="none", sample_rate=RATE)


@pytest.fixture(autouse=True)
def films(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "films"


def collect(folder):
    collect_clips("made", folder, list_corpus("made", folder), sample_rate=RATE, max_seconds=100, n_workers=1)


def cut(**choices):
    usual = {"block_seconds": 1.0, "slide_seconds": 0.5, "short_clips": "repeat", "tail": "drop"}
    slice_corpus("made", sample_rate=RATE, silent_below_lu=None, **{**usual, **choices})
    return read_rows(blocks_csv("made"), Block)


def sampled(folder, *, n_workers=1, faces=FACES):
    n = sample_frames("made", faces, folder=folder, n_workers=n_workers)
    with open_arrays(frames_h5("made")) as file:
        images, names = file["images"][:], decode_texts(file["block_id"][:])
    assert n == len(images) == len(names)
    assert (images == images[:, :1, :1, :1]).all()  # each of one grey
    numbers = (images[:, 0, 0, 0].astype(int) - grey_of(0)) / (grey_of(1) - grey_of(0))
    return dict(zip(names, numbers.tolist(), strict=True))


def test_a_block_shows_the_frame_at_its_middle_in_the_order_of_the_blocks(films):
    make_corpus(films)
    collect(films)
    blocks = cut()
    found = sampled(films)
    assert list(found) == [block.block_id for block in blocks]
    # blocks of a second begin at 0, 0.5, ... 2 s: their middles at 0.5 to 2.5 s, at ten frames a second
    assert list(found.values()) == [5, 10, 15, 20, 25] * 2


def test_the_middle_is_that_of_the_sound_of_a_short_clip(films):
    make_corpus(films, seconds=0.64, at_ms=range(0, 640, 40))
    collect(films)
    cut(short_clips="pad")
    assert list(sampled(films).values()) == [8, 8]  # of a second that is filled up from 0.64 s


def test_events_of_a_film_have_their_own_times(films, monkeypatch):
    write_film(films / "long.mkv")
    (films / "clips.csv").write_text(
        "path,label,start_seconds,end_seconds\nlong.mkv,joy,0.55,1.55\nlong.mkv,joy,0.7,1.7\nlong.mkv,anger,1.8,2.8\n",
        encoding="utf-8",
    )
    collect(films)
    cut(block_seconds=0.5, slide_seconds=0.5)
    # middles: 0.8 and 1.3; 0.95 and 1.45; 2.05 and 2.55 s
    assert list(sampled(films).values()) == [8, 13, 9, 14, 20, 25]
    monkeypatch.setattr(sampling, "RUN_BYTES", 1)  # long ones are written frame by frame
    assert list(sampled(films, n_workers=2).values()) == [8, 13, 9, 14, 20, 25]


@pytest.mark.parametrize("n_workers", [1, 3])
def test_the_same_bytes_with_any_number_of_workers(films, n_workers):
    make_corpus(films, [f"joy/{number}.mkv" for number in range(5)])
    collect(films)
    cut(random_blocks=5, block_seconds=0.1)
    sampled(films)
    first = frames_h5("made").read_bytes()
    sampled(films, n_workers=n_workers)
    assert frames_h5("made").read_bytes() == first


def test_random_blocks_are_random_frames_of_the_whole_film(films, capsys):
    names = [f"joy/{number:02}.mkv" for number in range(40)]
    make_corpus(films, names)
    collect(films)
    blocks = cut(random_blocks=5, block_seconds=0.1)
    assert len(blocks) == 5 * 40
    found = sampled(films)
    for block in blocks:
        middle = block.start / RATE + 0.05
        assert found[block.block_id] == int(middle * 10)
    counts = np.bincount(np.array(list(found.values()), int), minlength=30)
    assert len(counts) == 30
    assert counts[1:29].min() >= 1  # each about seven times
    shared = len(blocks) - len({(block.clip_id, found[block.block_id]) for block in blocks})
    assert shared > 0
    assert f"sample made: {shared} of 200 blocks show the same frame as another block" in capsys.readouterr().err


def test_the_file_states_all_that_defines_it(films):
    make_corpus(films)
    collect(films)
    cut()
    sampled(films)
    with open_arrays(frames_h5("made")) as file, open_arrays(clips_h5("made")) as sound:
        assert attributes_of(file) == {
            "kind": "faces",
            "sample_rate": RATE,
            "height": 16,
            "width": 20,
            "crop": "none",
            "least_source_rate": RATE,
            "most_source_rate": RATE,
            "sound_sha256": digest_of(sound, "audio"),
            "complete": True,
        }
        assert file["images"].dtype == np.uint8
        assert file["images"].shape == (10, 16, 20, 3)


# each kind has its own file, and the list names the right one


def test_what_is_not_asked_for_is_an_empty_file_and_nothing_is_touched(films):
    assert sample_frames("made", None, folder=films, n_workers=1) == 0  # there is no corpus at all
    assert render_corpus("made", FACES, n_workers=1) == 0
    for path in (frames_h5("made"), spectrograms_h5("made")):
        with open_arrays(path) as file:
            assert list(file) == []
    with pytest.raises(StoreError, match=r"frames/made.h5: holds no blocks: run `dvc repro`"):
        list_spectrograms(["made"], kind="faces")
    with pytest.raises(StoreError, match=r"spectrograms/made.h5: holds no blocks: run `dvc repro`"):
        list_spectrograms(["made"], kind="stack")


def test_frames_are_listed_where_they_are_asked_for(films):
    make_corpus(films)
    collect(films)
    blocks = cut()
    sampled(films)
    (row,) = list_spectrograms(["made"], kind="faces")
    assert row.path == "data/processed/frames/made.h5"
    with open_rendered([row]) as images:
        assert (images.kind, images.shape) == ("faces", (16, 20, 3))
        assert (images.batch([blocks[3].block_id]) == grey_of(20)).all()


# what cannot be sampled is told by name


def refusal(folder, error=CorpusError):
    frames_h5("made").unlink(missing_ok=True)
    with pytest.raises(error) as caught:
        sample_frames("made", FACES, folder=folder, n_workers=1)
    assert "\n" not in str(caught.value)
    assert not frames_h5("made").exists()
    return str(caught.value)


def test_clips_that_are_no_films_are_refused(films):
    make_corpus(films)
    soundfile.write(films / "joy/c.wav", 0.1 * np.random.default_rng(5).standard_normal(3 * RATE), RATE)
    collect(films)
    cut()
    assert refusal(films) == (
        "representation.kind faces: made/joy/c.wav: c.wav: sound without pictures: give a video (avi, mp4, mov, mkv or "
        "webm), or set another representation.kind"
    )


def test_a_film_that_is_another_now_is_refused(films):
    make_corpus(films)
    collect(films)
    cut()
    write_film(films / "joy/b.mkv", seed=7)
    assert refusal(films, StoreError) == ("made/joy/b.mkv: its sound is not that which was collected: run `dvc repro`")
    (films / "joy/b.mkv").unlink()
    assert refusal(films).startswith("representation.kind faces: made/joy/b.mkv: b.mkv: the file is missing")


def test_the_event_whose_pictures_are_not_there_is_named(films):
    write_film(films / "long.mkv", range(0, 1000, 100))
    (films / "clips.csv").write_text(
        "path,label,start_seconds,end_seconds\nlong.mkv,joy,0,1\nlong.mkv,anger,1.9,2.9\n", encoding="utf-8"
    )
    collect(films)
    cut()
    assert refusal(films).startswith(
        "representation.kind faces: made/long.mkv#t=1.9,2.9: long.mkv: its last picture appears at 0.90 s and"
    )


# from films to answers


def half(label, number):
    """A frame whose left half is bright for one class, and whose right half is for the other."""
    frame = np.random.default_rng(number).integers(0, 60, (48, 64), np.uint8)
    frame[:, :32] += 120 * (label == "anger")
    frame[:, 32:] += 120 * (label == "joy")
    return frame


@pytest.mark.usefixtures("one_thread")
def test_from_films_to_answers_and_the_report(films):
    for index, label in enumerate(("anger", "joy")):
        for clip in range(4):
            write_film(
                films / f"{label}/{clip}.mkv",
                picture=lambda number, label=label, clip=clip: half(label, 10 * clip + number),
                at_ms=range(0, 1000, 100),
                seconds=1.0,
                seed=10 * index + clip,
            )
    collect(films)
    cut(random_blocks=3, block_seconds=0.4)
    gains = {"scope": "block", "method": "rms", "target_db": -23.0, "max_gain_db": 60.0, "limit_peak": False}
    normalize_corpus("made", sample_rate=RATE, n_workers=1, **gains)
    sample_frames("made", Faces(height=48, width=64, crop="none", sample_rate=RATE), folder=films, n_workers=1)
    list_spectrograms(["made"], kind="faces")
    write_rows(DUPLICATES, Duplicate, [])
    split_corpora(["made"], Choices(**SPLIT), audit_fields=[])
    fetch_weights("shufflenet_v2_x0_5", "random", expected_sha256=None, folder=weights_folder("a"))
    train_run(
        0,
        "a",
        network_name="shufflenet_v2_x0_5",
        init="kaiming",
        dropout=None,
        recipe=recipe(epochs=2, normalise="imagenet"),
        validation="none",
        compute=ON_CPU,
    )
    predict_run(0, "a", compute=ON_CPU)
    outputs = read_outputs(outputs_h5("0-a"), "logits")
    assert outputs.values["logits"].shape == (len(read_rows(blocks_csv("made"), Block)), 2) == (24, 2)
    assert np.ptp(outputs.values["logits"], axis=0).min() > 0
    fit_baselines(0, ["made"])
    metrics = evaluate_runs([0], ["a"], n_resamples=100, seed=0, sample_rate=RATE, run={"corpora": ["made"]})
    assert metrics["baselines"]["thumbnail"]["clip"]["uar"] == 1.0  # the halves tell the classes
    sections = {**SECTIONS, "slice": {**SECTIONS["slice"], "random_blocks": 3, "seed": 0}}
    write_report(["made"], sections=sections, members={"a": MEMBER}, wrong_clips=2)
    page = REPORT.read_text(encoding="utf-8")
    assert page.count("Frame of a block of the class") == 2
    assert "Spectrogram of" not in page
    assert "From video to image" in page
    assert "2 s, 3 of each clip at random (seed 0)" in page
