"""Correlation at the best lag and periodicity, of sounds of which both are known."""

import numpy as np
import pytest
import soxr
from made import noise, silence, tone

from pipeline.audio.alignment import fit

RATE = 8000


def fit_of(first, second, rate=RATE):
    return fit(first, second, sample_rate=rate, most_lag_seconds=0.04)


@pytest.mark.parametrize("factor", [1.0, -1.0, 0.01])
@pytest.mark.parametrize("lag", [0, 1, 320, -320])
def test_a_shifted_copy_fits_at_its_lag(factor, lag):
    samples = noise(-20, 3.0)
    found = fit_of(samples[400:16_400], factor * samples[400 - lag : 16_400 - lag])
    assert found.correlation > 0.97
    assert found.lag_seconds == lag / RATE


def test_a_copy_beyond_the_largest_lag_does_not_fit():
    samples = noise(-20, 3.0)
    assert fit_of(samples[400:16_400], samples[:16_000]).correlation < 0.1


def test_a_fraction_of_a_sample_takes_little():
    samples = noise(-20, 2.0, rate=48_000)
    found = fit_of(samples[3:80_003], samples[:80_000], rate=48_000)  # half a sample at 8 kHz
    assert found.correlation > 0.93


@pytest.mark.parametrize("noise_db", [-40, -26, -20])
def test_with_noise_of_its_own_in_each_it_is_the_share_of_the_power_in_common(noise_db):
    common = noise(-20, 4.0)
    a, b = (common + noise(noise_db, 4.0, seed=seed) for seed in (1, 2))
    share = 1 / (1 + 10 ** ((noise_db + 20) / 10))
    assert fit_of(a, b).correlation == pytest.approx(share, abs=0.03)


def test_a_bang_does_not_decide_alone():
    bang = np.zeros(2 * RATE, np.float32)
    bang[8000:8200] = noise(20, 0.025, seed=3)
    assert fit_of(noise(-20, 2.0) + bang, noise(-20, 2.0, seed=1) + bang).correlation < 0.3


def test_tones_fit_each_other_as_they_fit_themselves():
    found = fit_of(tone(-20, 2.0, hz=523.0), tone(-20, 2.0, hz=523.0)[:-3])
    assert found.correlation > 0.99
    assert found.periodicity > 0.99


def test_clicks_at_equal_distances_are_periodic_and_noise_is_not():
    clicks = np.zeros(2 * RATE, np.float32)
    clicks[::2000] = 0.5
    assert fit_of(clicks, clicks).periodicity > 0.95
    assert fit_of(noise(-20, 2.0), noise(-20, 2.0)).periodicity < 0.15


def test_active_is_what_lies_within_35_db_of_the_loudest():
    sound = np.concatenate([noise(-20, 0.5), noise(-80, 0.5), noise(-40, 0.5), silence(0.5)])
    active = fit_of(sound, sound).active_seconds
    assert active == pytest.approx(1.0, abs=0.15)  # and 25 ms around each sound
    click = silence(1.0)
    click[4000] = 1.0
    assert fit_of(click, click).active_seconds < 0.1


def test_sound_outside_300_to_3000_hz_does_not_count():
    a, b = noise(-20, 2.0), noise(-20, 2.0)
    assert fit_of(a + tone(0, 2.0, hz=60.0), b + tone(0, 2.0, hz=3700.0)).correlation > 0.97


@pytest.mark.parametrize("n_samples", [0, 1, 7, 2000])
def test_silence_and_next_to_nothing_fit_nothing(n_samples):
    found = fit_of(silence(1.0)[:n_samples], silence(1.0)[:n_samples])
    assert (found.correlation, found.periodicity, found.active_seconds) == (0.0, 0.0, 0.0)
    assert fit_of(silence(1.0), noise(-20, 1.0)).correlation == 0.0


def test_the_rate_makes_no_difference():
    samples = noise(-20, 2.0)
    a, b = samples[:15_000], samples[160:15_160]
    expected = fit_of(a, b)
    found = fit_of(*(soxr.resample(x, RATE, 44_100) for x in (a, b)), rate=44_100)
    assert found.correlation == pytest.approx(expected.correlation, abs=0.02)
    assert found.lag_seconds == expected.lag_seconds == -0.02
