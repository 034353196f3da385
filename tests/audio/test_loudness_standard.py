"""The meter against the standards: EBU Tech 3341 (v4, table 1) and ITU-R BS.1770-5, at every rate that sound may have.

The pipeline stores mono and measures it as one channel of weight 1. The standard's signals have two or five channels:
each channel goes through the meter, and the weighted sum of BS.1770 over channels is taken here.
"""

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import bilinear, sosfreqz

from pipeline.audio.loudness import choose_gain, gate_powers, integrated_lufs, measure, measuring_rate
from pipeline.audio.reading import read_sound
from pipeline.audio.weighting import k_weighting
from pipeline.errors import AudioError

RATES = [44_100, 48_000]
OTHER_RATES = [16_000, 22_050, 32_000, 96_000]
SURROUND = 1.41  # weight of the left and right surround channels, BS.1770-5, table 3

# Of each case: channels of equal sound, as weight and levels (peak, dBFS) with seconds; all in phase, 1 kHz.
STEREO = 2.0  # two channels of weight 1
CASES = {
    "1": [(STEREO, [(-23.0, 20)])],
    "2": [(STEREO, [(-33.0, 20)])],
    "3": [(STEREO, [(-36.0, 10), (-23.0, 60), (-36.0, 10)])],
    "4": [(STEREO, [(-72.0, 10), (-36.0, 10), (-23.0, 60), (-36.0, 10), (-72.0, 10)])],
    "5": [(STEREO, [(-26.0, 20), (-20.0, 20.1), (-26.0, 20)])],
    "6": [(STEREO, [(-28.0, 20)]), (1.0, [(-24.0, 20)]), (2 * SURROUND, [(-30.0, 20)])],
    "calibration": [(STEREO, [(-18.0, 20)])],
}
EXPECTED = {"2": -33.0, "calibration": -18.0}  # of all others -23.0 LUFS


def tone(levels, rate, *, hz=1000.0):
    parts = [10 ** (db / 20) * np.ones(round(seconds * rate)) for db, seconds in levels]
    amplitude = np.concatenate(parts)
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(len(amplitude)) / rate)).astype(np.float32)


def powers_of(samples, rate):
    return gate_powers([samples], np.array([0]), np.array([len(samples)]), sample_rate=rate)[0]


def lufs(samples, rate):
    return integrated_lufs(powers_of(samples, rate))


def lufs_of_channels(channels, rate):
    """BS.1770-5, annex 1, equation 2: the weighted sum over channels, then the gates."""
    return integrated_lufs(sum(weight * powers_of(samples, rate) for weight, samples in channels))


@pytest.mark.parametrize("rate", [*RATES, *OTHER_RATES, 8000, 11_025])
@pytest.mark.parametrize("case", CASES)
def test_ebu_tech_3341(case, rate):
    channels = [(weight, tone(levels, rate)) for weight, levels in CASES[case]]
    assert lufs_of_channels(channels, rate) == pytest.approx(EXPECTED.get(case, -23.0), abs=0.1)


@pytest.mark.parametrize("target", RATES)
@pytest.mark.parametrize("source", [*RATES, *OTHER_RATES])
@pytest.mark.parametrize("case", ["1", "5", "6", "calibration"])
def test_ebu_tech_3341_after_reading_and_resampling(tmp_path: Path, case, source, target):
    channels = []
    for weight, levels in CASES[case]:
        soundfile.write(tmp_path / "case.wav", tone(levels, source), source, subtype="FLOAT")
        channels.append((weight, read_sound(tmp_path / "case.wav", sample_rate=target).samples))
    assert lufs_of_channels(channels, target) == pytest.approx(EXPECTED.get(case, -23.0), abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("target", RATES)
@pytest.mark.parametrize("source", OTHER_RATES)
@pytest.mark.parametrize("case", ["2", "3", "4"])
def test_the_long_cases_after_reading_and_resampling(tmp_path: Path, case, source, target):
    test_ebu_tech_3341_after_reading_and_resampling(tmp_path, case, source, target)


@pytest.mark.parametrize("rate", [*RATES, 16_000])
@pytest.mark.parametrize("case", ["1", "3", "4", "5", "calibration"])
def test_mono_of_a_stereo_case_is_one_channel(case, rate):
    """What the pipeline itself states of such a file: the mean of equal channels is that channel, 3.01 LU below two."""
    ((_, levels),) = CASES[case]
    assert lufs(tone(levels, rate), rate) == pytest.approx(EXPECTED.get(case, -23.0) - 10 * math.log10(2), abs=0.1)


@pytest.mark.parametrize("rate", [*RATES, *OTHER_RATES, 8000, 192_000])
def test_a_full_scale_997_hz_sine_in_one_channel_reads_minus_3_01(rate):
    sine, silent = tone([(0.0, 20)], rate, hz=997.0), np.zeros(20 * rate, np.float32)
    assert lufs_of_channels([(1.0, sine), (1.0, silent)], rate) == pytest.approx(-3.01, abs=0.01)
    assert lufs(sine, rate) == pytest.approx(-3.01, abs=0.01)


# the filter

# BS.1770-5, tables 1 and 2: b0, b1, b2, 1, a1, a2 of both stages, for 48 kHz
TABLE = np.array(
    [
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585],
        [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621],
    ]
)


def of_table(rate):
    """The tabulated filters at another rate: back to the analogue prototype by the bilinear transform, and forth."""
    sections = []
    for section in TABLE:
        # 1/z = (k - s) / (k + s) with k twice the rate; both polynomials times (k + s)^2
        above, below = np.poly1d([-1.0, 96_000.0]), np.poly1d([1.0, 96_000.0])
        b, a = (
            sum((above**n * below ** (2 - n) * float(value) for n, value in enumerate(half)), np.poly1d([0.0])).coeffs
            for half in (section[:3], section[3:])
        )
        b, a = bilinear(b, a, fs=rate)
        sections.append([*(b / a[0]), *(a / a[0])])
    return np.array(sections)


def decibels(sections, hz, rate):
    return 20 * np.log10(np.abs(sosfreqz(sections, worN=hz, fs=rate)[1]))


def test_the_way_back_and_forth_is_the_table_itself():
    np.testing.assert_allclose(of_table(48_000), TABLE, atol=1e-9)


@pytest.mark.parametrize(("rate", "most_db"), [(48_000, 1e-6), (44_100, 0.006)])
def test_the_filters_are_those_of_the_table(rate, most_db):
    hz = np.geomspace(10, 0.4999 * rate, 1000)
    ours = decibels(k_weighting(rate), hz, rate)
    assert np.abs(ours - decibels(of_table(rate), hz, rate)).max() < most_db
    assert np.abs(ours - decibels(TABLE, hz, 48_000)).max() < most_db


# Of the whole meter, dB, from 25 Hz to 0.45 of the rate (at most 22 kHz), against the table's own response.
TOLERANCE = {
    **dict.fromkeys([8000, 12_000, 16_000, 24_000, 32_000, 48_000, 96_000, 176_400, 192_000], 0.001),
    **dict.fromkeys([11_025, 22_050, 44_100, 64_000, 88_200], 0.01),
}


@pytest.mark.parametrize("rate", TOLERANCE)
def test_the_meter_weighs_every_frequency_as_the_table_at_every_rate(rate):
    # whole half periods in a gating block
    audible = (25, 38.75, 60, 100, 250, 500, 997.5, 1682.5, 3500, 6000, 10_000, 15_000, 20_000, 22_000)
    hz = [frequency for frequency in audible if frequency < 0.45 * rate]
    hz += [0.45 * rate] if rate < 48_000 else []
    for frequency in hz:
        sine = tone([(-6.0, 2)], rate, hz=frequency)
        start, length = np.array([rate]), np.array([rate])  # the second second: the filter has settled
        power = gate_powers([sine], start, length, sample_rate=rate)[0].mean()
        expected = -6.0 - 10 * math.log10(2) + decibels(TABLE, [frequency], 48_000)[0]
        assert 10 * math.log10(power) == pytest.approx(expected, abs=TOLERANCE[rate]), frequency


@given(st.integers(8000, 192_000))
def test_every_rate_is_measured_where_the_filter_is_right(rate):
    assert measuring_rate(rate) in RATES


# gates


@pytest.mark.parametrize("rate", [*RATES, 16_000])
def test_incomplete_gating_blocks_at_the_end_are_not_used(rate):
    sine = tone([(0.0, 2)], rate, hz=997.0)
    whole = lufs(sine[: round(0.4 * rate)], rate)
    assert lufs(sine[: round(0.46 * rate)], rate) == pytest.approx(whole, abs=1e-3 if rate == 16_000 else 1e-12)
    assert len(powers_of(sine[: round(0.46 * rate)], rate)) == 1
    # a bang in what is not used changes nothing
    loud = sine[: round(1.05 * rate)].copy()
    loud[-round(0.04 * rate) :] *= 30
    assert lufs(loud, rate) == pytest.approx(lufs(sine[: round(1.0 * rate)], rate), abs=0.01)


@pytest.mark.parametrize("seconds", [0.001, 0.05, 0.2, 0.399])
def test_shorter_than_a_gating_block_is_measured_whole(seconds):
    sine = tone([(-20.0, 1)], 48_000)[: round(seconds * 48_000)]
    assert len(powers_of(sine, 48_000)) == 1
    assert math.isfinite(lufs(sine, 48_000))


# what no meter can measure


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("at", [0, 48_000, 2 * 48_000 - 1])
@pytest.mark.parametrize("rate", [48_000, 16_000])
def test_nan_is_refused_wherever_it_lies(bad, at, rate):
    noise = np.random.default_rng(0).standard_normal(2 * 48_000).astype(np.float32)
    noise[at] = bad
    with np.errstate(invalid="ignore"), pytest.raises(AudioError, match="NaN or infinite"):
        gate_powers([noise], np.array([0]), np.array([len(noise)]), sample_rate=rate)


def test_nan_after_what_is_measured_does_not_matter():
    noise = np.random.default_rng(0).standard_normal(2 * 48_000).astype(np.float32)
    clean = gate_powers([noise], np.array([0]), np.array([48_000]), sample_rate=48_000)[0]
    noise[-1] = math.nan
    np.testing.assert_array_equal(gate_powers([noise], np.array([0]), np.array([48_000]), sample_rate=48_000)[0], clean)


@pytest.mark.parametrize("limit_peak", [False, True])
def test_a_click_is_flagged_or_limited(limit_peak):
    click = np.zeros(2 * 48_000, np.float32)
    click[48_000] = 0.5
    whole = measure(click, powers_of(click, 48_000))
    gain, flag = choose_gain(whole.lufs, whole.peak(), target_db=-23.0, max_gain_db=60.0, limit_peak=limit_peak)
    peak = 0.5 * 10 ** (gain / 20)
    assert flag == ("peak_limited" if limit_peak else "over_full_scale")
    assert peak == pytest.approx(1.0) if limit_peak else peak > 3


@pytest.mark.parametrize("seconds", [0.1, 2.0])
def test_silence_stays_as_it_is(seconds):
    silence = np.zeros(round(seconds * 48_000), np.float32)
    whole = measure(silence, powers_of(silence, 48_000))
    chosen = choose_gain(whole.lufs, whole.peak(), target_db=-23.0, max_gain_db=60.0, limit_peak=False)
    assert chosen == (0.0, "silent")


# properties


def noise_of(seed, seconds=1.0, rate=44_100):
    """Noise whose level wanders by some 20 dB, so that the gates have work to do."""
    rng = np.random.default_rng(seed)
    levels = np.repeat(10 ** rng.uniform(-2, 0, 10), round(seconds * rate / 10))
    return (levels * 0.2 * rng.standard_normal(len(levels))).astype(np.float32)


SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.floats(-20, 20), st.sampled_from([*RATES, 16_000]))
def test_a_gain_adds_to_the_loudness(seed, gain_db, rate):
    sound = noise_of(seed, rate=rate)
    louder = (sound * 10 ** (gain_db / 20)).astype(np.float32)
    assert lufs(louder, rate) == pytest.approx(lufs(sound, rate) + gain_db, abs=1e-3)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.sampled_from([*RATES, 16_000]))
def test_polarity_makes_no_difference(seed, rate):
    sound = noise_of(seed, rate=rate)
    assert lufs(-sound, rate) == lufs(sound, rate)


@settings(max_examples=25, deadline=None)
@given(SEEDS, SEEDS)
def test_channels_may_be_swapped(one, other):
    left, right = noise_of(one), noise_of(other)
    swapped = lufs_of_channels([(1.0, right), (1.0, left)], 44_100)
    assert lufs_of_channels([(1.0, left), (1.0, right)], 44_100) == pytest.approx(swapped, abs=1e-9)
    # the mean of the channels, which the pipeline measures, does not know them apart either
    assert lufs((left + right) / 2, 44_100) == lufs((right + left) / 2, 44_100)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.floats(-30, -10))
def test_normalising_twice_is_normalising_once(seed, target_db):
    sound = noise_of(seed)
    gains = []
    for _ in range(2):
        whole = measure(sound, powers_of(sound, 44_100))
        gain, _flag = choose_gain(whole.lufs, whole.peak(), target_db=target_db, max_gain_db=60.0, limit_peak=False)
        sound = (sound * 10 ** (gain / 20)).astype(np.float32)
        gains.append(gain)
    assert lufs(sound, 44_100) == pytest.approx(target_db, abs=1e-3)
    assert gains[1] == pytest.approx(0.0, abs=1e-3)


@settings(max_examples=10, deadline=None)
@given(SEEDS, st.sampled_from([*RATES, 16_000]))
def test_what_is_measured_stays_untouched(seed, rate):
    sound = noise_of(seed, rate=rate)
    before = sound.tobytes()
    measure(sound, powers_of(sound, rate))
    assert sound.tobytes() == before
