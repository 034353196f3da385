"""Where the samples of altered blocks come from, by what is heard in them; and what is refused."""

import dataclasses

import numpy as np
import pytest
from made import RATE, noise, silence, store_clips, tone

from pipeline import altered
from pipeline.altered import refuse_long, sources
from pipeline.augment.variants import RECORDING, Variant, alter, listed_variants, nine_variants, variant_rng
from pipeline.errors import AudioError, CorpusError, StoreError
from pipeline.slicing import SILENT, slice_corpus
from pipeline.store.arrays import open_arrays
from pipeline.store.paths import blocks_csv, clips_h5
from pipeline.store.sound import blocks_in_order
from pipeline.store.tables import Block, read_rows

SLOWER, NOISY = Variant(number=1, time_factor=1.5), Variant(number=2, noise_snr_db=0.0)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def cut(sounds, variants, **choices):
    clips = {clip.clip_id: clip for clip in store_clips("made", sounds)}
    usual = {"block_seconds": 1.0, "slide_seconds": 1.0, "short_clips": "repeat", "tail": "drop"}
    usual |= {"silent_below_lu": None}
    _, left_out = slice_corpus("made", sample_rate=RATE, variants=variants, **{**usual, **choices})
    return clips, read_rows(blocks_csv("made"), Block), left_out


def heard(clips, blocks, variants, *, n_workers=1, seed=0):
    """Samples of every block, by its name."""
    with open_arrays(clips_h5("made")) as file:
        given = sources(
            file["audio"], clips, blocks, variants=variants, seed=seed, sample_rate=RATE, n_workers=n_workers
        )
        return {
            block.block_id: samples.copy()
            for source in given
            for block, samples in zip(
                source.blocks, blocks_in_order(source.audio, source.clip, source.blocks), strict=True
            )
        }


def loudest_hz(samples):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 8 * len(samples)))
    return np.argmax(spectrum) * RATE / (8 * len(samples))


def test_blocks_of_each_variant_follow_those_of_the_recording_at_their_own_times():
    _, blocks, _ = cut({"a.wav": noise(-20, 3.2), "b.wav": noise(-20, 0.9)}, (RECORDING, SLOWER, NOISY))
    assert [(block.block_id, block.variant, block.start, block.fill) for block in blocks] == [
        *((f"made/a.wav@{start}", 0, start, "none") for start in (0, 8000, 16000)),
        *((f"made/a.wav@{start}~1", 1, start, "none") for start in (0, 8000, 16000, 24000)),
        *((f"made/a.wav@{start}~2", 2, start, "none") for start in (0, 8000, 16000)),
        ("made/b.wav@0", 0, 0, "repeat"),
        ("made/b.wav@0~1", 1, 0, "none"),  # 1.35 s now
        ("made/b.wav@0~2", 2, 0, "repeat"),
    ]


def test_a_clip_without_blocks_of_its_own_has_no_altered_ones():
    _, blocks, left_out = cut(
        {"a.wav": noise(-20, 2), "b.wav": noise(-20, 0.9)}, (RECORDING, SLOWER), short_clips="reject"
    )
    assert {block.clip_id for block in blocks} == {"made/a.wav"}
    assert [(row.clip_id, row.blocks) for row in left_out] == [("made/b.wav", 1)]


def test_names_are_unique_where_clips_are_called_like_blocks():
    _, blocks, _ = cut({name: noise(-20, 2) for name in ("a", "a@0", "a~1", "a@0~1")}, (RECORDING, SLOWER))
    assert len({block.block_id for block in blocks}) == len(blocks) == 4 * (2 + 3)


def test_altered_blocks_hold_the_altered_sound_at_their_time():
    low_then_high = np.concatenate([tone(-20, 2, hz=500), tone(-20, 2, hz=2000)])
    higher = Variant(number=2, semitones=4.0)
    variants = (RECORDING, SLOWER, higher)
    clips, blocks, _ = cut({"a.wav": low_then_high}, variants)
    sound = heard(clips, blocks, variants)
    for start, hz in ((0, 500), (1, 500), (2, 2000), (3, 2000)):
        assert loudest_hz(sound[f"made/a.wav@{start * RATE}"]) == pytest.approx(hz, rel=0.005)
        assert loudest_hz(sound[f"made/a.wav@{start * RATE}~2"]) == pytest.approx(hz * 2 ** (4 / 12), rel=0.005)
    for start, hz in ((0, 500), (1, 500), (3, 2000), (4, 2000), (5, 2000)):  # the change is at 3 s of 6
        assert loudest_hz(sound[f"made/a.wav@{start * RATE}~1"]) == pytest.approx(hz, rel=0.005)


@pytest.mark.parametrize("n_workers", [1, 2])
def test_samples_are_those_of_altering_the_clip_alone(n_workers):
    sounds = {"a.wav": noise(-20, 2), "b.wav": noise(-30, 2.5, seed=1)}
    variants = listed_variants([{"semitones": 1.0}, {"noise_snr_db": 3.0}, {"time_factor": 0.8, "gain_db": 6.0}])
    clips, blocks, _ = cut(sounds, variants)
    sound = heard(clips, blocks, variants, n_workers=n_workers, seed=7)
    for clip_id in clips:
        for variant in variants:
            whole = alter(sounds[clip_id[5:]], variant, sample_rate=RATE, rng=variant_rng(7, clip_id, variant))
            mark = f"~{variant.number}" if variant.number else ""
            for start in range(0, len(whole) - RATE + 1, RATE):
                np.testing.assert_array_equal(sound[f"{clip_id}@{start}{mark}"], whole[start : start + RATE])


def test_altered_blocks_made_of_silent_stretches_are_left_out_noisy_ones_too():
    sound = np.concatenate([noise(-20, 4), silence(4)])
    _, blocks, left_out = cut({"a.wav": sound}, (RECORDING, SLOWER, NOISY), silent_below_lu=40.0)
    starts = {number: [block.start // RATE for block in blocks if block.variant == number] for number in range(3)}
    assert starts == {0: [0, 1, 2, 3], 1: [0, 1, 2, 3, 4, 5], 2: [0, 1, 2, 3]}  # sound ends at 4 s, or at 6 of 12 s
    assert [(row.reason, row.blocks, row.seconds) for row in left_out] == [(SILENT, 4, 4.0)]


def test_recordings_are_read_from_the_file_and_nothing_is_altered(monkeypatch):
    monkeypatch.setattr(altered, "_alter", None)  # cannot be called
    clips, blocks, _ = cut({"a.wav": noise(-20, 2)}, (RECORDING,))
    assert len(heard(clips, blocks, nine_variants(), n_workers=2)) == 2


def test_long_clips_are_refused_only_where_they_are_altered():
    clips = store_clips("made", {"a.wav": noise(-20, 1)})
    long = [clips[0].__class__(**{**dataclasses.asdict(clips[0]), "seconds": 600.1})]
    refuse_long(long, variants=(RECORDING,))
    refuse_long(clips, variants=nine_variants())
    with pytest.raises(CorpusError, match=r"made/a\.wav: 600 s, and clips of up to 600 s can be altered: set augment"):
        refuse_long(long, variants=nine_variants())


def test_blocks_that_were_cut_for_other_variants_are_refused():
    clips, blocks, _ = cut({"a.wav": noise(-20, 2)}, (RECORDING, SLOWER))
    with pytest.raises(StoreError, match=r"made/a\.wav@16000~1 does not lie in its sound of 16000 samples"):
        heard(clips, blocks, (RECORDING, Variant(number=1, semitones=1.0)))
    with pytest.raises(StoreError, match=r"made/a\.wav: blocks of variant 1, which augment\.sound does not have"):
        heard(clips, blocks, (RECORDING,))


@pytest.mark.parametrize(
    "change",
    [
        {"start": 8001},
        {"n_samples": 8001, "start": 8000},
        {"fill": "pad"},
        {"fill": "nond"},
        {"fill": "repeat", "start": 1, "n_samples": 16000},
    ],
)
def test_a_block_that_does_not_lie_in_its_clip_is_refused_by_the_name_of_its_table(change):
    clips, blocks, _ = cut({"a.wav": noise(-20, 2)}, (RECORDING,))
    assert (RATE, len(blocks)) == (8000, 2)
    with pytest.raises(StoreError, match=r"^data/processed/blocks/made\.csv: block made/a\.wav@8000 does not lie in"):
        heard(clips, [blocks[0], dataclasses.replace(blocks[1], **change)], (RECORDING,))


@pytest.mark.parametrize("fill", ["repeat", "pad"])
def test_a_block_that_is_filled_holds_all_of_its_clip(fill):
    clips, blocks, _ = cut({"a.wav": noise(-20, 2)}, (RECORDING,))
    filled = dataclasses.replace(blocks[0], n_samples=20000, fill=fill)
    assert [len(sound) for sound in heard(clips, [filled], (RECORDING,)).values()] == [20000]


def test_sound_that_cannot_be_altered_is_named():
    clips, blocks, _ = cut({"a.wav": np.full(2 * RATE, np.nan, np.float32)}, (RECORDING, SLOWER))
    with pytest.raises(AudioError, match=r"made/a\.wav: sound holds samples that are not finite"):
        heard(clips, blocks, (RECORDING, SLOWER))
