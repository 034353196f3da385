"""What the gains do to the samples: measured on the samples, by formulas of their own and by pyloudnorm."""

import math

import numpy as np
import pyloudnorm
import pytest
from made import RATE, block, noise, silence, store_blocks, store_clips, tone

from pipeline.errors import AudioError, StoreError
from pipeline.normalize import normalize_corpus
from pipeline.slicing import slice_corpus
from pipeline.store.arrays import open_arrays
from pipeline.store.paths import blocks_csv, clips_h5, loudness_csv
from pipeline.store.sound import read_run
from pipeline.store.tables import Block, Gain, read_rows

CHOICES = {"scope": "block", "method": "lufs", "target_db": -23.0, "max_gain_db": 60.0, "limit_peak": False}
SOUNDS = {
    "loud.wav": np.concatenate([noise(-12, 3), noise(-25, 3, seed=1)]),
    "quiet.wav": np.concatenate([tone(-30, 2.5, hz=700), noise(-45, 3, seed=2)]),
    "short.wav": noise(-33, 0.9, seed=3) + np.float32(0.01),
}


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def normalise(sounds, *, rate=RATE, short_clips="repeat", n_workers=1, **choices):
    """Gains, and the samples of every block before and after them, by block id."""
    clips = {clip.clip_id: clip for clip in store_clips("made", sounds, rate=rate)}
    slice_corpus(
        "made",
        sample_rate=rate,
        block_seconds=2.0,
        slide_seconds=1.0,
        short_clips=short_clips,
        tail="drop",
        silent_below_lu=None,
    )
    gains = normalize_corpus("made", sample_rate=rate, n_workers=n_workers, **{**CHOICES, **choices})
    blocks = read_rows(blocks_csv("made"), Block)
    with open_arrays(clips_h5("made")) as file:
        before = [read_run(file["audio"], clips[one.clip_id], [one])[0].astype(np.float64) for one in blocks]
    after = [(x - gain.offset) * 10 ** (gain.gain_db / 20) for x, gain in zip(before, gains, strict=True)]
    return gains, before, after


def of_clip(values, gains, name):
    return [value for value, gain in zip(values, gains, strict=True) if gain.block_id.startswith(f"made/{name}@")]


def rms_db(samples):
    return 10 * math.log10(np.mean(np.square(samples)))


@pytest.mark.parametrize("rate", [44100, 48000])
def test_blocks_measure_the_target_by_pyloudnorm(rate):
    rng = np.random.default_rng(0)
    pulses = np.repeat(rng.uniform(0.2, 1, 20), rate // 4).astype(np.float32)  # 5 s whose level changes all the time
    sounds = {"n.wav": noise(-20, 5, rate=rate) * pulses, "t.wav": tone(-40, 4, hz=997, rate=rate)}
    _gains, _, after = normalise(sounds, rate=rate)
    meter = pyloudnorm.Meter(rate, filter_class="DeMan")
    assert len(after) == 7
    for samples in after:
        assert meter.integrated_loudness(samples) == pytest.approx(-23.0, abs=0.1)


@pytest.mark.parametrize("rate", [8000, 16000, 22050])
def test_blocks_of_other_rates_measure_the_target_too(rate):
    # the filter's response at these rates is far from the tabulated one: the same tone at 48 kHz is the reference
    gains, _, _ = normalise({"t.wav": tone(-30, 4, hz=997, rate=rate)}, rate=rate)
    meter = pyloudnorm.Meter(48000, filter_class="DeMan")
    reference = meter.integrated_loudness(tone(-30, 4, hz=997, rate=48000).astype(np.float64))
    for gain in gains:
        assert gain.lufs == pytest.approx(reference, abs=0.1)
        assert gain.gain_db == pytest.approx(-23 - reference, abs=0.1)


@pytest.mark.parametrize("target_db", [-23.0, -10.0])
def test_rms_brings_every_block_to_the_target(target_db):
    _, _, after = normalise(SOUNDS, method="rms", target_db=target_db)
    assert [rms_db(samples) for samples in after] == pytest.approx([target_db] * len(after), abs=1e-3)


def test_peak_brings_the_largest_magnitude_to_the_target():
    _, _, after = normalise(SOUNDS, method="peak", target_db=-6.0)
    peaks = [20 * math.log10(np.abs(samples).max()) for samples in after]
    assert peaks == pytest.approx([-6.0] * len(after), abs=1e-3)


def test_zscore_gives_mean_zero_and_variance_one():
    _, _, after = normalise(SOUNDS, method="zscore")
    for samples in after:
        assert samples.mean() == pytest.approx(0, abs=1e-4)
        assert samples.var() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("method", ["lufs", "rms", "peak", "zscore"])
def test_without_a_scope_every_sample_stays(method):
    gains, before, after = normalise(SOUNDS, method=method, scope="none")
    assert {(gain.gain_db, gain.offset, gain.flag) for gain in gains} == {(0.0, 0.0, "")}
    np.testing.assert_array_equal(np.concatenate(after), np.concatenate(before))


@pytest.mark.parametrize("method", ["lufs", "rms", "peak", "zscore"])
def test_within_a_clip_gains_are_equal_and_between_clips_they_differ(method):
    gains, _, _ = normalise(SOUNDS, method=method, scope="clip")
    own = [{(gain.gain_db, gain.offset) for gain in of_clip(gains, gains, name)} for name in SOUNDS]
    assert [len(values) for values in own] == [1, 1, 1]
    assert len(set.union(*own)) == 3


@pytest.mark.parametrize("method", ["lufs", "rms", "peak", "zscore"])
def test_within_a_corpus_all_gains_are_equal(method):
    gains, _, _ = normalise(SOUNDS, method=method, scope="corpus")
    assert len({(gain.gain_db, gain.offset) for gain in gains}) == 1
    assert gains[0].gain_db != 0


def test_a_clip_as_a_whole_is_brought_to_the_target():
    gains, _, _ = normalise(SOUNDS, method="rms", scope="clip", target_db=-20.0)
    for name in ("loud.wav", "quiet.wav"):
        whole = SOUNDS[name].astype(np.float64)
        assert rms_db(whole) + of_clip(gains, gains, name)[0].gain_db == pytest.approx(-20, abs=1e-3)


def test_a_clip_as_a_whole_measures_the_target_by_pyloudnorm():
    sound = np.concatenate([noise(-12, 3, rate=44100), noise(-30, 3, seed=1, rate=44100)])
    gains, _, _ = normalise({"a.wav": sound}, rate=44100, scope="clip")
    whole = sound.astype(np.float64) * 10 ** (gains[0].gain_db / 20)
    assert pyloudnorm.Meter(44100, filter_class="DeMan").integrated_loudness(whole) == pytest.approx(-23, abs=0.1)


def test_a_corpus_as_a_whole_is_brought_to_the_target():
    sounds = {name: SOUNDS[name] for name in ("loud.wav", "quiet.wav")}
    gains, _, _ = normalise(sounds, method="rms", scope="corpus", target_db=-20.0)
    whole = np.concatenate(list(sounds.values())).astype(np.float64)
    assert rms_db(whole) + gains[0].gain_db == pytest.approx(-20, abs=1e-3)


@pytest.mark.parametrize("method", ["lufs", "rms", "peak", "zscore"])
@pytest.mark.parametrize("short_clips", ["repeat", "pad"])
def test_a_filled_clip_is_normalised_as_it_will_be_seen(method, short_clips):
    one = {"short.wav": SOUNDS["short.wav"]}
    by_block, _, _ = normalise(one, method=method, short_clips=short_clips)
    by_clip, _, _ = normalise(one, method=method, short_clips=short_clips, scope="clip")
    by_corpus, _, _ = normalise(one, method=method, short_clips=short_clips, scope="corpus")
    assert by_block == by_clip == by_corpus


@pytest.mark.parametrize("scope", ["none", "block", "clip", "corpus"])
@pytest.mark.parametrize("method", ["lufs", "rms", "peak", "zscore"])
def test_silence_keeps_its_level_and_is_flagged_whatever_it_shares_a_gain_with(scope, method):
    sound = np.concatenate([noise(-20, 3) + np.float32(0.02), silence(4)])
    gains, before, after = normalise({"a.wav": sound}, scope=scope, method=method)
    silent = [gain for gain, samples in zip(gains, before, strict=True) if not samples.any()]
    assert len(silent) == 3  # from 3, 4 and 5 s
    assert {(gain.flag, gain.gain_db, gain.offset, gain.peak, gain.lufs) for gain in silent} == {
        ("silent", 0.0, 0.0, 0.0, -math.inf)
    }
    assert not any(after[-1])
    assert all(gain.flag != "silent" for gain in gains if gain not in silent)


def test_what_passes_no_gate_is_silent_to_the_loudness_meter():
    gains, before, after = normalise({"a.wav": noise(-90, 3)})
    assert {(gain.flag, gain.gain_db, gain.lufs) for gain in gains} == {("silent", 0.0, -math.inf)}
    np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("method", ["lufs", "rms", "peak", "zscore"])
def test_a_constant_stays_finite(method):
    _, _, after = normalise({"a.wav": np.full(3 * RATE, 0.3, np.float32)}, method=method)
    assert np.isfinite(after).all()
    assert np.abs(after).max() < 10


def test_a_constant_has_no_variance_to_scale_and_stays_as_it_is():
    gains, before, after = normalise({"a.wav": np.full(3 * RATE, 0.25, np.float32)}, method="zscore")
    assert {(gain.flag, gain.gain_db, gain.offset) for gain in gains} == {("silent", 0.0, 0.0)}
    np.testing.assert_array_equal(after, before)


def test_no_gain_is_above_the_cap_and_capped_ones_are_flagged():
    gains, _, _ = normalise({"a.wav": noise(-20, 2), "b.wav": noise(-60, 2)}, method="rms", max_gain_db=10.0)
    assert [gain.gain_db for gain in gains] == [pytest.approx(-3, abs=0.1), 10.0]
    assert [gain.flag for gain in gains] == ["", "gain_capped"]


# a click of 40 dB over the rest: brought to the target, its peak is above full scale
CLICK = noise(-50, 4)
CLICK[4 * RATE // 2] = 0.9


def test_a_peak_above_full_scale_is_kept_and_flagged():
    gains, _before, after = normalise({"a.wav": CLICK}, method="rms", target_db=-23.0)
    assert all(rms_db(samples) == pytest.approx(-23, abs=1e-3) for samples in after)
    loud = [bool(np.abs(samples).max() > 1) for samples in after]
    assert loud == [False, True, True]
    assert [gain.flag for gain in gains] == ["over_full_scale" if over else "" for over in loud]


def test_only_blocks_that_are_above_full_scale_themselves_are_flagged():
    gains, _, after = normalise({"a.wav": CLICK}, method="rms", scope="clip", target_db=-23.0)
    assert len({gain.gain_db for gain in gains}) == 1
    assert np.abs(after[0]).max() < 1 < np.abs(after[1]).max()
    assert [gain.flag for gain in gains] == ["", "over_full_scale", "over_full_scale"]


def test_limited_peaks_end_at_full_scale_never_above():
    gains, _, after = normalise({"a.wav": CLICK}, method="rms", target_db=-23.0, limit_peak=True)
    peaks = [np.abs(samples).max() for samples in after]
    assert [gain.flag for gain in gains] == ["", "peak_limited", "peak_limited"]
    assert peaks[1:] == pytest.approx([1, 1], abs=1e-4)
    assert max(peaks) <= 1


@pytest.mark.parametrize("peak", [0.1234567, 0.7654321, 0.3333333, 0.0456789])
def test_a_limited_gain_is_never_rounded_above_full_scale(peak):
    gains, _, after = normalise({"a.wav": tone(0, 2) * np.float32(peak)}, method="rms", target_db=0.0, limit_peak=True)
    assert gains[0].flag == "peak_limited"
    assert 0.9999 < np.abs(after[0]).max() <= 1


def test_what_shares_a_gain_shares_its_limit():
    gains, _, after = normalise({"a.wav": CLICK}, method="rms", scope="clip", target_db=-23.0, limit_peak=True)
    assert len({gain.gain_db for gain in gains}) == 1
    assert np.abs(after[1]).max() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("method", ["lufs", "rms", "zscore"])
def test_the_table_states_the_peak_after_the_gain(method):
    gains, _, after = normalise(SOUNDS, method=method)
    stated = [gain.peak for gain in gains]
    assert stated == pytest.approx([np.abs(samples).max() for samples in after], rel=1e-5, abs=1e-6)


def test_the_table_is_in_the_order_of_the_blocks_and_says_what_was_returned():
    gains, _, _ = normalise(SOUNDS)
    assert read_rows(loudness_csv("made"), Gain) == gains
    assert [gain.block_id for gain in gains] == [one.block_id for one in read_rows(blocks_csv("made"), Block)]


def test_loudness_before_does_not_depend_on_what_is_chosen():
    measured = [
        [gain.lufs for gain in normalise(SOUNDS, scope=scope, method=method)[0]]
        for scope, method in [("none", "lufs"), ("corpus", "rms"), ("block", "zscore")]
    ]
    assert measured[0] == measured[1] == measured[2]


def test_sound_that_is_no_numbers_is_refused_by_the_clips_name():
    broken = noise(-20, 3)
    broken[-1] = np.nan  # late: a meter that passes it over would read a plausible number
    with pytest.raises(AudioError, match=r"^made/broken\.wav: NaN or infinite samples"):
        normalise({"good.wav": noise(-20, 3), "broken.wav": broken})


def test_a_click_is_flagged_and_with_limited_peaks_stays_within_full_scale():
    click = silence(2.0)
    click[RATE] = 0.5
    (gain,), _, _ = normalise({"click.wav": click})
    assert gain.flag == "over_full_scale"
    assert gain.peak > 3
    (gain,), _, (after,) = normalise({"click.wav": click}, limit_peak=True)
    assert gain.flag == "peak_limited"
    assert 0.99 < np.abs(after).max() <= 1.0


@pytest.mark.parametrize("seed", range(3))
def test_normalising_twice_is_normalising_once(seed):
    _, _, (after,) = normalise({"a.wav": noise(-35 + 7 * seed, 2.0, seed=seed)})
    (gain,), _, _ = normalise({"a.wav": after.astype(np.float32)})
    assert gain.lufs == pytest.approx(-23.0, abs=1e-3)
    assert gain.gain_db == pytest.approx(0.0, abs=1e-3)


def test_the_stored_sound_stays_untouched():
    normalise(SOUNDS)
    before = clips_h5("made").read_bytes()
    normalize_corpus("made", sample_rate=RATE, n_workers=1, **CHOICES)
    assert clips_h5("made").read_bytes() == before


@pytest.mark.parametrize("scope", ["block", "corpus"])
def test_the_same_bytes_with_one_worker_and_two(scope):
    normalise(SOUNDS, scope=scope)
    first = loudness_csv("made").read_bytes()
    normalise(SOUNDS, scope=scope, n_workers=2)
    assert loudness_csv("made").read_bytes() == first


def test_blocks_of_a_clip_that_is_not_stored_are_refused():
    store_clips("made", {"a.wav": noise(-20, 3)})
    store_blocks("made", [block("made/a.wav"), block("made/gone.wav")])
    with pytest.raises(StoreError, match=r"clips\.csv: has no row made/gone\.wav"):
        normalize_corpus("made", sample_rate=RATE, n_workers=1, **CHOICES)
    assert not loudness_csv("made").exists()
