"""EBU Tech 3341 (mono: one channel, so the stereo cases read 3.01 LU less), BS.1770-5, and the rules for gains."""

import math

import numpy as np
import pyloudnorm
import pytest

from pipeline.audio.loudness import (
    add_up,
    choose_gain,
    gate_powers,
    integrated_lufs,
    mean_lufs,
    measure,
)

RATES = [44100, 48000]


def sine(db, seconds, rate, hz=1000.0):
    return (10 ** (db / 20) * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def lufs(samples, rate):
    powers = gate_powers([samples], np.array([0]), np.array([len(samples)]), sample_rate=rate)
    return integrated_lufs(powers[0])


ONE_CHANNEL_LU = 10 * math.log10(0.5)  # of a sine: half the power of its square


def test_agrees_with_an_independent_meter_on_noise():
    rate = 44100
    noise = np.random.default_rng(0).standard_normal(4 * rate).astype(np.float32) * 0.05
    expected = pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(noise)
    assert lufs(noise, rate) == pytest.approx(expected, abs=0.01)


def test_pieces_of_any_length_give_the_same_powers():
    rate = 44100
    noise = np.random.default_rng(1).standard_normal(3 * rate).astype(np.float32)
    starts, lengths = np.array([0, rate]), np.array([2 * rate, 2 * rate])
    whole = gate_powers([noise], starts, lengths, sample_rate=rate)
    pieces = gate_powers([noise[:1], noise[1:70001], noise[70001:]], starts, lengths, sample_rate=rate)
    for one, other in zip(whole, pieces, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_a_two_second_block_has_seventeen_gating_blocks_and_incomplete_ones_are_not_used():
    rate = 44100
    noise = np.ones(round(2.09 * rate), dtype=np.float32)
    two, odd = (gate_powers([noise], np.array([0]), np.array([n]), sample_rate=rate)[0] for n in (2 * rate, len(noise)))
    assert len(two) == len(odd) == 17  # starts at 0, 0.1, ..., 1.6 s


def test_what_lasts_under_400_ms_is_one_gating_block():
    rate = 44100
    tone = sine(-20, 0.2, rate)
    powers = gate_powers([tone], np.array([0]), np.array([len(tone)]), sample_rate=rate)[0]
    assert len(powers) == 1
    assert integrated_lufs(powers) == pytest.approx(-20 + ONE_CHANNEL_LU, abs=0.3)


def test_silence_has_no_loudness():
    silence = np.zeros(44100, dtype=np.float32)
    powers = gate_powers([silence], np.array([0]), np.array([44100]), sample_rate=44100)[0]
    assert integrated_lufs(powers) == mean_lufs(powers) == -math.inf


def test_the_absolute_gate_is_at_minus_70_lufs():
    assert lufs(sine(-72 - ONE_CHANNEL_LU, 2, 44100), 44100) == -math.inf
    assert lufs(sine(-68 - ONE_CHANNEL_LU, 2, 44100), 44100) == pytest.approx(-68, abs=0.1)


def test_levels_by_hand():
    samples = np.array([0.5, -0.25, 0.25, -0.5], dtype=np.float32) + np.float32(0.25)  # 0.75, 0, 0.5, -0.25
    level = measure(samples, np.zeros(1))
    assert level.mean == 0.25
    assert level.peak() == 0.75
    assert level.peak(offset=0.25) == 0.5
    assert level.level_db("peak") == pytest.approx(20 * math.log10(0.75))
    assert level.level_db("rms") == pytest.approx(10 * math.log10((0.75**2 + 0.5**2 + 0.25**2) / 4))
    assert level.level_db("zscore") == pytest.approx(10 * math.log10((0.5**2 + 0.25**2) / 2))


def test_stretches_add_up_to_the_whole():
    samples = np.random.default_rng(2).standard_normal(1000).astype(np.float32)
    parts = add_up([measure(samples[:300], np.ones(2)), measure(samples[300:], np.zeros(3))])
    whole = measure(samples, np.array([1.0, 1, 0, 0, 0]))
    for name in ("rms", "peak", "zscore", "lufs"):
        assert parts.level_db(name) == pytest.approx(whole.level_db(name))


@pytest.mark.parametrize(
    ("level", "peak", "limit", "gain", "flag"),
    [
        (-30.0, 0.1, False, 7.0, ""),
        (-math.inf, 0.0, False, 0.0, "silent"),
        (-math.inf, 1e-4, False, 0.0, "silent"),
        (-69.0, 1e-3, False, 40.0, "gain_capped"),
        (-43.0, 0.5, False, 20.0, "over_full_scale"),  # 0.5 becomes 5
        (-43.0, 0.5, True, 6.0206, "peak_limited"),  # up to 1 only
        (-69.0, 0.5, True, 6.0206, "gain_capped+peak_limited"),
        (-10.0, 1.0, True, -13.0, ""),
    ],
)
def test_gains_by_hand(level, peak, limit, gain, flag):
    chosen = choose_gain(level, peak, target_db=-23.0, max_gain_db=40.0, limit_peak=limit)
    assert chosen[0] == pytest.approx(gain, abs=1e-4)
    assert chosen[1] == flag
