"""What filters are ranked by: sounds whose measures are known, and Spearman's correlation against scipy's."""

import numpy as np
import pytest
from made import RATE, noise, silence, tone
from scipy.stats import spearmanr

from pipeline.features.hand_built import HandBuiltSpec
from pipeline.pictures.filters import best_of, rank_filters
from pipeline.pictures.measures import MEASURES, measure_block, rank_correlations

SPEC = HandBuiltSpec(sample_rate=RATE)


def pulses(hz, seconds):
    sound = np.zeros(round(seconds * RATE), np.float32)
    sound[:: round(RATE / hz)] = 0.5
    return sound


@pytest.mark.parametrize("hz", [100.0, 200.0, 400.0])
def test_pitch_and_periodicity_of_pulses(hz):
    found = measure_block(pulses(hz, 1), SPEC)
    assert found["high pitch"] == pytest.approx(hz, rel=0.01)
    assert found["low pitch"] == -found["high pitch"]
    assert found["periodicity"] == 1
    assert found["silence"] == 0


def test_noise_has_no_pitch_and_equal_power_in_equal_bands():
    found = measure_block(noise(-20, 4), SPEC)
    assert np.isnan(found["high pitch"])
    assert found["periodicity"] < 0.05
    assert found["mid formants"] == pytest.approx(10 * np.log10(1 / 4), abs=0.3)
    assert found["high formants"] == pytest.approx(10 * np.log10(2 / 4), abs=0.3)


@pytest.mark.parametrize(
    ("hz", "mid", "high"), [(500.0, -30, -30), (1500.0, 0, -30), (2500.0, -30, 0), (3500.0, -30, 0)]
)
def test_a_tones_power_lies_in_its_band(hz, mid, high):
    found = measure_block(tone(-20, 1, hz=hz), SPEC)
    for name, level in (("mid formants", mid), ("high formants", high)):
        if level == 0:
            assert found[name] == pytest.approx(0, abs=0.05)
        else:
            assert found[name] < level


def test_silence_is_counted_beside_the_strongest_frame():
    quiet = np.concatenate([noise(-20, 3), noise(-60, 1, seed=1)])
    assert measure_block(quiet, SPEC)["silence"] == pytest.approx(0.25, abs=0.02)
    nearly = np.concatenate([noise(-20, 3), noise(-45, 1, seed=1)])
    assert measure_block(nearly, SPEC)["silence"] == 0


def test_no_measure_depends_on_the_level():
    sound = np.concatenate([pulses(200.0, 1), noise(-30, 1), noise(-75, 1)])
    loud, soft = measure_block(sound, SPEC), measure_block(sound * np.float32(0.1), SPEC)
    assert list(loud) == list(MEASURES)
    for name in MEASURES:
        assert soft[name] == pytest.approx(loud[name], rel=1e-3, abs=1e-3)


def test_digital_silence():
    found = measure_block(silence(1), SPEC)
    assert (found["silence"], found["periodicity"]) == (1, 0)
    assert all(np.isnan(found[name]) for name in ("high pitch", "low pitch", "mid formants", "high formants"))


def test_correlations_are_spearmans_with_ties_and_without_blocks_that_lack_the_measure():
    rng = np.random.default_rng(0)
    activations, measure = rng.integers(0, 6, (40, 5)).astype(float), rng.integers(0, 5, 40).astype(float)
    measure[[3, 17]] = np.nan
    found, n = rank_correlations(activations, measure)
    has = np.isfinite(measure)
    assert n == 38
    np.testing.assert_allclose(found, [spearmanr(column, measure[has]).statistic for column in activations[has].T])


def test_what_does_not_vary_has_no_correlation():
    found, n = rank_correlations(np.array([[1.0, 5.0], [1.0, 6.0], [1.0, 9.0]]), np.array([1.0, 2.0, 4.0]))
    assert n == 3
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(1)
    assert np.isnan(rank_correlations(np.eye(3), np.ones(3))[0]).all()


def test_filters_are_ranked_from_the_highest_and_dead_ones_not_at_all():
    activations = np.array([[3.0, 1, 0, 1], [2.0, 2, 0, 2], [1.0, 3, 0, 3]])
    rows = rank_filters(activations, {"silence": np.array([0.0, 0.5, 1.0]), "high pitch": np.array([np.nan, 1.0, 2.0])})
    assert [(row.measure, row.rank, row.filter, row.correlation) for row in rows] == [
        ("silence", 1, 1, 1.0),
        ("silence", 2, 3, 1.0),
        ("silence", 3, 0, -1.0),
    ]  # pitch: of two blocks only
    best = {own.title.partition(":")[0]: own for own in best_of(rows)}
    assert list(best) == list(MEASURES)
    assert best["silence"].filters == [(1, 1.0), (3, 1.0), (0, -1.0)]
    assert best["high pitch"].filters == []
    assert "no filter is ranked" in best["high pitch"].title
