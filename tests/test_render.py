"""Rendered files hold exactly the images of the normalised blocks, in the order of the blocks."""

import dataclasses

import numpy as np
import pytest
from made import RATE, block, noise, store_blocks, store_clips, tone

from pipeline import render
from pipeline.altered import Source
from pipeline.errors import CorpusError, StoreError
from pipeline.features.representations import ImageSpec, Picture
from pipeline.features.scales import refuse_unequal_bands
from pipeline.features.spectrogram import SpectrogramSpec, band_decibels, draw_image
from pipeline.listing import list_spectrograms
from pipeline.normalize import normalize_corpus
from pipeline.render import render_corpus
from pipeline.slicing import slice_corpus
from pipeline.store.arrays import attributes_of, decode_texts, digest_of, open_arrays
from pipeline.store.paths import SPECTROGRAMS, SPECTROGRAMS_LIST, blocks_csv, clips_h5, loudness_csv, spectrograms_h5
from pipeline.store.tables import Block, Gain, SpectrogramFile, read_rows, write_rows

SPEC = SpectrogramSpec(
    sample_rate=RATE,
    window="hann",
    window_length=128,
    hop_seconds=0.01,
    fft_length=256,
    axis="mel",
    n_bands=24,
    min_hz=50.0,
    max_hz=4000.0,
    n_columns=30,
)
IMAGE = ImageSpec(low_db=-110.0, high_db=-20.0, colormap="jet", n_colours=64, height=20, width=28)
SOUNDS = {
    "b.wav": np.concatenate([noise(-20, 3), tone(-30, 2.5, hz=800)]),
    "a.wav": noise(-35, 4, seed=1) + np.float32(0.02),
    "c.wav": tone(-10, 0.7, hz=2000),
}


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def prepare(corpus="made", *, sounds=None, method="lufs", **changes):
    """The tables and the sound that rendering reads."""
    store_clips(corpus, SOUNDS if sounds is None else sounds, **changes)
    choices = {"block_seconds": 1.0, "slide_seconds": 0.5, "short_clips": "repeat", "tail": "drop"}
    slice_corpus(corpus, sample_rate=RATE, silent_below_lu=None, **choices)
    blocks = read_rows(blocks_csv(corpus), Block)
    gains = normalize_corpus(
        corpus,
        sample_rate=RATE,
        scope="block",
        method=method,
        target_db=-23.0,
        max_gain_db=60.0,
        limit_peak=False,
        n_workers=1,
    )
    return blocks, gains


def rendered(corpus="made", *, n_workers=1, spec=SPEC):
    n = render_corpus(corpus, Picture(spec, IMAGE), n_workers=n_workers)
    with open_arrays(spectrograms_h5(corpus)) as file:
        images, texts = file["images"][:], decode_texts(file["block_id"][:])
        assert n == len(images) == len(texts)
        return images, texts, attributes_of(file)


def samples_of(one):
    own = SOUNDS[one.clip_id.partition("/")[2]]
    if one.fill == "repeat":
        own = np.tile(own, 2)
    return own[one.start : one.start + one.n_samples]


@pytest.mark.parametrize("method", ["lufs", "zscore"])
def test_images_are_those_of_the_samples_after_offset_and_gain_in_the_order_of_the_blocks(method):
    blocks, gains = prepare(method=method)
    images, texts, _ = rendered()
    assert texts == [one.block_id for one in blocks]
    assert images.shape == (10 + 7 + 1, 20, 28, 3)
    for image, one, gain in zip(images, blocks, gains, strict=True):
        amplified = (samples_of(one) - np.float32(gain.offset)) * np.float32(10 ** (gain.gain_db / 20))
        expected = draw_image(band_decibels(amplified, SPEC), **dataclasses.asdict(IMAGE))
        np.testing.assert_array_equal(image, expected)
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) > 10  # they are not all one picture


def test_gains_are_found_by_name_not_by_place():
    _, gains = prepare()
    images, _, _ = rendered()
    write_rows(loudness_csv("made"), Gain, gains[::-1])
    np.testing.assert_array_equal(rendered()[0], images)


def test_a_louder_gain_is_a_redder_image():
    _, gains = prepare()
    before = rendered()[0].astype(int)
    write_rows(loudness_csv("made"), Gain, [dataclasses.replace(gain, gain_db=gain.gain_db + 12) for gain in gains])
    after = rendered()[0].astype(int)
    redness = after[..., 0].mean(axis=(1, 2)) - before[..., 0].mean(axis=(1, 2))
    assert redness.min() > 0


@pytest.mark.parametrize("run_blocks", [1, 3, 1000])
def test_the_same_bytes_with_one_worker_and_two_however_blocks_are_read(run_blocks, monkeypatch):
    prepare()
    rendered()
    first = spectrograms_h5("made").read_bytes()
    monkeypatch.setattr("pipeline.store.sound.RUN_BLOCKS", run_blocks)
    for n_workers in (1, 2):
        rendered(n_workers=n_workers)
        assert spectrograms_h5("made").read_bytes() == first


def test_the_file_states_how_its_images_came_about_and_from_which_sound():
    prepare(source_rate={"a.wav": 16000, "b.wav": 44100, "c.wav": 22050})
    _, _, attributes = rendered()
    with open_arrays(clips_h5("made")) as file:
        sound = digest_of(file, "audio")
    assert attributes == {
        **dataclasses.asdict(SPEC),
        **dataclasses.asdict(IMAGE),
        "least_source_rate": 16000,
        "most_source_rate": 44100,
        "sound_sha256": sound,
        "complete": True,
    }


def test_a_block_without_a_gain_is_refused_and_no_file_is_left():
    _, gains = prepare()
    write_rows(loudness_csv("made"), Gain, gains[:-1])
    with pytest.raises(StoreError, match=r"made\.csv: has no row made/c\.wav@0"):
        rendered()
    assert not list(SPECTROGRAMS.glob("**/*"))


@pytest.mark.parametrize("n_workers", [1, 2])
def test_damaged_sound_is_laid_to_its_own_file_and_the_old_images_stay(n_workers):
    prepare()
    rendered()
    before = spectrograms_h5("made").read_bytes()
    path = clips_h5("made")
    content = bytearray(path.read_bytes())
    content[content.index(SOUNDS["a.wav"][100:120].tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"clips\.h5: damaged"):
        rendered(n_workers=n_workers)
    assert spectrograms_h5("made").read_bytes() == before
    assert [item.name for item in SPECTROGRAMS.iterdir()] == ["made.h5"]


# --- sources of unequal bands


@pytest.mark.parametrize("rates", [{"a": 16000, "b": 44100}, {"b": 44100, "c": 48000, "a": 16000}])
def test_an_axis_above_the_band_of_some_sources_is_refused_naming_the_highest_safe_value(rates):
    with pytest.raises(CorpusError) as error:
        refuse_unequal_bands(rates, max_hz=8000.5)
    message = str(error.value)
    assert message.startswith("a: recorded at 16000 Hz")
    assert f"{max(rates.values())} Hz" in message
    assert message.endswith("set spectrogram.max_hz to 8000 or lower")
    refuse_unequal_bands(rates, max_hz=8000.0)  # the value that it names is safe


def test_sources_of_one_rate_may_be_empty_above_their_band_alike():
    refuse_unequal_bands({"a": 16000, "b": 16000}, max_hz=20000.0)


def test_a_corpus_of_unequal_bands_is_not_rendered():
    prepare(source_rate={"a.wav": 6000})
    with pytest.raises(CorpusError, match=r"made/a\.wav: recorded at 6000 Hz, .*max_hz to 3000"):
        rendered()
    assert not SPECTROGRAMS.exists()
    assert len(rendered(spec=dataclasses.replace(SPEC, max_hz=3000.0))[0]) == 18


def test_a_clip_of_no_block_has_no_say_in_the_bands():
    prepare(source_rate={"a.wav": 6000})
    left = [one for one in read_rows(blocks_csv("made"), Block) if one.clip_id != "made/a.wav"]
    store_blocks("made", left)
    _, _, attributes = rendered()
    assert attributes["least_source_rate"] == attributes["most_source_rate"] == RATE


# --- the list


def test_the_list_names_every_corpus_by_content():
    for corpus in ("one", "two"):
        prepare(corpus, sounds={"a.wav": noise(-20, 2, seed=len(corpus) + ord(corpus[0]))})
        rendered(corpus)
    rows = list_spectrograms(["one", "two"])
    assert read_rows(SPECTROGRAMS_LIST, SpectrogramFile) == rows
    assert [row.path for row in rows] == [spectrograms_h5(corpus).as_posix() for corpus in ("one", "two")]
    for row in rows:
        with open_arrays(spectrograms_h5(row.corpus)) as file:
            assert row.sha256 == digest_of(file, "images")
    assert rows[0].sha256 != rows[1].sha256


def test_corpora_of_unequal_bands_are_not_listed_together():
    for corpus, rate in (("one", 8000), ("two", 6000)):
        prepare(corpus, sounds={"a.wav": noise(-20, 2)}, source_rate={"a.wav": rate})
        rendered(corpus)  # alone, each has one rate
    with pytest.raises(CorpusError, match=r"corpus two .*6000 Hz.*max_hz to 3000"):
        list_spectrograms(["one", "two"])
    assert not SPECTROGRAMS_LIST.exists()
    assert len(list_spectrograms(["one"])) == 1


def test_a_corpus_that_was_not_rendered_is_named():
    with pytest.raises(StoreError, match=r"one\.h5: missing"):
        list_spectrograms(["one"])


def test_memory_of_images_is_bounded_by_runs():
    # blocks that overlap much: without a bound on their number a run would hold hundreds of images
    clip = store_clips("made", {"a.wav": noise(-20, 10)})[0]
    blocks = [block(clip.clip_id, start=80 * i, n_samples=RATE) for i in range(900)]
    source = Source(audio=None, clip=clip, variant=0, blocks=blocks)
    sizes = [len(run) for _, run in render._runs([source])]
    assert sum(sizes) == 900
    assert max(sizes) <= 32
