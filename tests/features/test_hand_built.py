"""Every feature on a signal whose value is known in closed form or by librosa."""

import dataclasses

import librosa
import numpy as np
import pytest
import scipy.signal

from pipeline.errors import ParamsError
from pipeline.features.hand_built import (
    FEATURES,
    LEAST_DB,
    HandBuiltSpec,
    hand_built_features,
)
from pipeline.features.scales import band_edges, band_weights
from pipeline.features.scratch import Scratch

RATES = [16000, 44100]
ROLL_OFFS = ["roll_off_25", "roll_off_50", "roll_off_75", "roll_off_85", "roll_off_95"]
ENERGIES = ["energy_1", "energy_2", "energy_3", "energy_4"]


def features_of(samples, rate=16000, **options):
    values = hand_built_features(samples.astype(np.float32), HandBuiltSpec(rate), **options)
    assert values.shape == (26,)
    assert values.dtype == np.float32
    return dict(zip(FEATURES, values.tolist(), strict=True))


def times(rate=16000):
    return np.arange(round(0.512 * rate)) / rate


def sine(hz, amplitude=0.3, rate=16000):
    return amplitude * np.sin(2 * np.pi * hz * times(rate))


def noise(rate=16000, seed=0, seconds=0.512):
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))


def pulses(hz, rate=16000):
    """A band-limited train of pulses: all harmonics below 4 kHz, equally strong."""
    return 0.02 * sum(np.cos(2 * np.pi * k * hz * times(rate)) for k in range(1, int(4000 / hz)))


def test_the_counts_are_those_of_the_table():
    counts = {
        "rms": 1,
        "mfcc": 13,
        "zero": 1,
        "energy": 4,
        "roll": 5,
        "centroid": 1,
        "pitch": 1,
    }
    assert len(FEATURES) == len(set(FEATURES)) == sum(counts.values()) == 26
    assert {name: sum(feature.split("_")[0] == name for feature in FEATURES) for name in counts} == counts


@pytest.mark.parametrize("rate", RATES)
def test_rms_of_a_sine_is_its_amplitude_over_root_two_and_an_offset_does_not_count(rate):
    for offset in (0.0, 0.25):
        values = features_of(sine(1000, rate=rate) + offset, rate)
        assert values["rms"] == pytest.approx(0.3 / np.sqrt(2), rel=1e-3)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("hz", [80, 123.4, 440, 3500, 7000])
def test_a_sines_spectrum_is_all_at_its_frequency(hz, rate):
    values = features_of(sine(hz, rate=rate), rate)
    assert values["centroid"] == pytest.approx(hz, abs=0.1)
    assert values["zero_crossings"] == pytest.approx(2 * hz, abs=4)  # one crossing is 2 a second
    for name in ROLL_OFFS:
        assert values[name] == pytest.approx(hz, abs=30)  # half the width of the window's peak
    assert sorted(values[name] for name in ROLL_OFFS) == [values[name] for name in ROLL_OFFS]


def test_the_centroid_of_two_tones_weighs_their_powers():
    # powers 4 : 1 at 1 and 3 kHz
    assert features_of(sine(1000, 0.2) + sine(3000, 0.1))["centroid"] == pytest.approx(1400, rel=1e-3)


@pytest.mark.parametrize(("band", "hz"), [(0, 500), (1, 1500), (2, 2500), (3, 3500)])
def test_a_tones_energy_is_in_its_band_and_half_its_squared_amplitude(band, hz):
    values = features_of(sine(hz))
    levels = [values[name] for name in ENERGIES]
    assert levels[band] == pytest.approx(10 * np.log10(0.3**2 / 2), abs=0.01)
    assert max(level for i, level in enumerate(levels) if i != band) < levels[band] - 60


def test_noise_in_a_band_has_its_energy_there_and_none_elsewhere():
    filtered = scipy.signal.sosfilt(
        scipy.signal.butter(12, [1200, 1800], "bandpass", fs=16000, output="sos"), noise(seconds=1.0)
    )[-8192:]
    values = features_of(filtered)
    assert values["energy_2"] == pytest.approx(10 * np.log10(filtered.var()), abs=0.5)
    assert max(values[name] for name in ENERGIES if name != "energy_2") < values["energy_2"] - 25


@pytest.mark.parametrize("rate", RATES)
def test_white_noise_rolls_off_evenly(rate):
    values = features_of(noise(rate, seconds=8.0), rate)
    for name in ROLL_OFFS:
        share = int(name.rsplit("_", 1)[1]) / 100
        assert values[name] == pytest.approx(share * rate / 2, rel=0.03)
    assert values["centroid"] == pytest.approx(rate / 4, rel=0.02)
    assert values["zero_crossings"] == pytest.approx(rate / 2, rel=0.02)  # signs are independent
    # each band is a kilohertz of rate / 2
    for name in ENERGIES:
        assert values[name] == pytest.approx(10 * np.log10(0.01 * 1000 / (rate / 2)), abs=0.5)
    assert values["pitch"] == 0


def test_zero_crossings_of_a_wave_by_hand():
    # signs + 0 0 - - 0 - + -: three changes; the mean of the wave is nought
    wave = np.array([2, 0, 0, -1, -1, 0, -1, 3, -2] * 910, float)
    # from each period to the next once more: - to +
    expected = (4 * 910 - 1) * 16000 / len(wave)
    assert features_of(wave / 10)["zero_crossings"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("hz", [80, 110, 155.5, 220, 330, 450, 590])
def test_pitch_of_a_sine_and_of_pulses(hz, rate):
    assert features_of(sine(hz, rate=rate), rate)["pitch"] == pytest.approx(hz, rel=1e-3)
    assert features_of(pulses(hz, rate), rate)["pitch"] == pytest.approx(hz, rel=5e-3)


def test_pitch_of_a_voice_without_its_fundamental():
    wave = sum(sine(k * 140.0, 0.05) for k in range(3, 12))
    assert features_of(wave)["pitch"] == pytest.approx(140, rel=5e-3)


def test_pitch_in_noise_agrees_with_librosa():
    wave = pulses(137.0) + 0.1 * noise()
    expected = np.median(librosa.yin(wave, fmin=75, fmax=600, sr=16000, frame_length=1024))
    assert features_of(wave)["pitch"] == pytest.approx(expected, rel=0.02)


def test_silence_before_a_voice_is_not_voiced_and_does_not_hide_its_pitch():
    wave = pulses(200.0)
    wave[: len(wave) // 2] = 1e-5 * noise()[: len(wave) // 2]
    assert features_of(wave)["pitch"] == pytest.approx(200, rel=5e-3)
    wave[: -len(wave) // 16] = noise()[: -len(wave) // 16]  # a sixteenth is less than a tenth
    assert features_of(wave)["pitch"] == 0


def test_cepstra_are_librosas_of_our_mel_bands():
    wave = pulses(150.0) + 0.02 * noise()
    window = scipy.signal.get_window("hann", 640)
    frames = np.stack([wave[start : start + 640] * window for start in range(0, len(wave) - 639, 160)])
    density = np.abs(np.fft.rfft(frames, 1024)) ** 2 * 2 / (16000 * (window**2).sum())
    axis = {"n_bands": 40, "min_hz": 0.0, "max_hz": 8000.0}
    bands = band_weights("slaney", **axis, sample_rate=16000, fft_length=1024)
    begins = np.concatenate([[0], bands.ends[:-1]])
    mel = np.stack(
        [
            density[:, first : first + end - begin] @ bands.weights[begin:end]
            for first, begin, end in zip(bands.first_bins, begins, bands.ends, strict=True)
        ]
    )
    expected = librosa.feature.mfcc(S=10 * np.log10(mel), n_mfcc=13).mean(axis=1)
    values = features_of(wave)
    np.testing.assert_allclose([values[f"mfcc_{i}"] for i in range(13)], expected, atol=0.5)
    assert band_edges("slaney", **axis)[-1] == 8000


def test_a_gain_moves_levels_and_nothing_else():
    block = pulses(150.0) + 0.02 * noise()
    loud, quiet = features_of(block), features_of(block, gain=0.1)
    assert quiet["rms"] == pytest.approx(0.1 * loud["rms"], rel=1e-4)
    assert quiet["mfcc_0"] == pytest.approx(loud["mfcc_0"] - 20 * np.sqrt(40), abs=0.05)
    for name in ENERGIES:
        assert quiet[name] == pytest.approx(loud[name] - 20, abs=0.01)
    for name in ("zero_crossings", "centroid", "pitch", "mfcc_1", "mfcc_12", *ROLL_OFFS):
        assert quiet[name] == pytest.approx(loud[name], rel=1e-3, abs=0.01)


@pytest.mark.parametrize("value", [0.0, 0.1, -1.0])
def test_silence_and_constant_blocks_have_the_values_that_the_module_says(value):
    values = features_of(np.full(8192, value))
    expected = dict.fromkeys(FEATURES, 0.0) | dict.fromkeys(ENERGIES, LEAST_DB) | {"mfcc_0": LEAST_DB * np.sqrt(40)}
    assert values == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("block", [1e-30 * np.ones(700), np.eye(1, 640, 320)[0], 1e4 * noise(), np.ones(640)])
def test_odd_blocks_have_finite_features(block):
    assert np.isfinite(list(features_of(block).values())).all()


def test_memory_may_be_used_again():
    scratch = Scratch()
    first = features_of(noise(), scratch=scratch)
    features_of(sine(300), scratch=scratch)
    assert features_of(noise(), scratch=scratch) == first


def test_a_block_shorter_than_a_frame_is_refused():
    with pytest.raises(ParamsError, match="a block has 639 samples, fewer than a frame of 640"):
        features_of(np.zeros(639))


def test_frames_too_short_for_the_lowest_pitch_are_refused():
    spec = dataclasses.replace(HandBuiltSpec(16000), min_pitch_hz=40.0)
    with pytest.raises(ParamsError, match=r"frames of 0\.04 s hold no two periods of 40 Hz"):
        hand_built_features(np.zeros(8192, np.float32), spec)
