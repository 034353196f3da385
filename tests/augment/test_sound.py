import hashlib
import subprocess
import sys

import librosa
import numpy as np
import pytest
from scipy.signal import chirp, hilbert, welch

from pipeline.augment.sound import add_noise, change_gain, scale_time, shift_and_scale, shift_pitch
from pipeline.errors import AudioError

RATE = 22050


def seconds(n):
    return np.arange(round(n * RATE)) / RATE


def tones(*frequencies, length=2.0):
    t = seconds(length)
    return sum(0.2 / (i + 1) * np.sin(2 * np.pi * f * t) for i, f in enumerate(frequencies)).astype(np.float32)


def peak(sound, near):
    """Frequency of the largest peak within 8 % of `near`, Hz."""
    middle = sound[len(sound) // 5 : -len(sound) // 5]
    n = 1 << 20
    spectrum, frequencies = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), n)), np.fft.rfftfreq(n, 1 / RATE)
    where = np.abs(frequencies / near - 1) < 0.08
    return frequencies[where][spectrum[where].argmax()]


def level(sound):
    """Root mean square of the middle, where no ends are felt."""
    middle = sound[len(sound) // 5 : -len(sound) // 5].astype(np.float64)
    return np.sqrt(np.mean(middle**2))


def digest(sound):
    return hashlib.sha256(sound.tobytes()).hexdigest()


@pytest.mark.parametrize("semitones", [3, -3, 0.5, 12])
def test_pitch_shift_moves_a_tone_and_keeps_its_duration_and_level(semitones):
    tone = tones(440)
    shifted = shift_pitch(tone, semitones=semitones, sample_rate=RATE)
    wanted = 440 * 2 ** (semitones / 12)
    assert shifted.shape == tone.shape
    assert shifted.dtype == np.float32
    assert peak(shifted, wanted) == pytest.approx(wanted, rel=0.002)
    assert 20 * np.log10(level(shifted) / level(tone)) == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize(("semitones", "time_factor"), [(-4, 1.0), (2, 1.0), (2, 1.1), (0, 0.8)])
def test_harmonics_of_a_voice_keep_their_ratios(semitones, time_factor):
    voice = tones(*(110 * k for k in range(1, 9)))
    shifted = shift_and_scale(voice, semitones=semitones, time_factor=time_factor, sample_rate=RATE)
    for harmonic in range(1, 9):
        wanted = 110 * harmonic * 2 ** (semitones / 12)
        assert peak(shifted, wanted) == pytest.approx(wanted, rel=0.002)


@pytest.mark.parametrize("time_factor", [0.8, 1.25])
def test_time_scaling_scales_the_time_axis_of_a_chirp_and_not_its_frequencies(time_factor):
    t = seconds(3)
    sound = chirp(t, 200, 3, 2000).astype(np.float32)
    scaled = scale_time(sound, time_factor=time_factor, sample_rate=RATE)
    assert len(scaled) == round(len(sound) * time_factor)
    frequency = np.diff(np.unwrap(np.angle(hilbert(scaled)))) / 2 / np.pi * RATE
    frequency = np.convolve(frequency, np.ones(1001) / 1001, "same")
    at = (np.arange(len(frequency)) + 0.5) / RATE / time_factor  # time in the original
    inner = (at > 0.4) & (at < 2.6)
    slope, offset = np.polyfit(at[inner], (frequency[inner] - 200) / 600, 1)
    assert slope == pytest.approx(1, abs=0.01)
    assert abs(offset) < 0.01


def bursts(*onsets, length=2.4):
    """Noise that begins at once and dies away, as a plosive does."""
    rng = np.random.default_rng(0)
    sound = 1e-4 * rng.standard_normal(round(length * RATE))
    n = round(0.08 * RATE)
    for onset in onsets:
        start = round(onset * RATE)
        sound[start : start + n] += 0.5 * rng.standard_normal(n) * np.exp(-np.arange(n) / RATE / 0.02)
    return sound.astype(np.float32)


def smear(sound, onsets):
    """Part of the bursts' energy before their onsets, and the length of the middle 90 % of it, s; means."""
    found = []
    for onset in onsets:
        start, reach = round(onset * RATE), round(0.1 * RATE)
        energy = sound[start - reach : start + 2 * reach].astype(np.float64) ** 2
        share = np.cumsum(energy) / energy.sum()
        before = share[reach - round(0.005 * RATE)]
        found.append((before, (share.searchsorted(0.95) - share.searchsorted(0.05)) / RATE))
    return np.mean(found, axis=0)


@pytest.mark.parametrize(("semitones", "time_factor"), [(3, 1.0), (-3, 1.0), (0, 1.25), (0, 0.8)])
def test_onsets_are_smeared_less_than_by_a_plain_phase_vocoder(semitones, time_factor):
    onsets = np.array([0.4, 0.9, 1.3, 1.9])
    sound = bursts(*onsets)
    ours = shift_and_scale(sound, semitones=semitones, time_factor=time_factor, sample_rate=RATE)
    if semitones:
        plain = librosa.effects.pitch_shift(sound, sr=RATE, n_steps=semitones)
    else:
        plain = librosa.effects.time_stretch(sound, rate=1 / time_factor)
    before, width = smear(ours, onsets * time_factor)
    plain_before, plain_width = smear(plain, onsets * time_factor)
    assert before < 0.01 < plain_before
    assert width < plain_width


def test_shift_and_scale_combines_both():
    sound = tones(300, 600)
    both = shift_and_scale(sound, semitones=-2, time_factor=1.3, sample_rate=RATE)
    assert len(both) == round(1.3 * len(sound))
    assert peak(both, 300 * 2 ** (-1 / 6)) == pytest.approx(300 * 2 ** (-1 / 6), rel=0.002)


@pytest.mark.parametrize("n_samples", [1, 2, 31, 700, 5001])
@pytest.mark.parametrize(("semitones", "time_factor"), [(12, 2.0), (-12, 0.5), (0, 1.1), (2, 1.0)])
def test_any_length_comes_out_as_long_as_asked_and_finite(n_samples, semitones, time_factor):
    sound = np.random.default_rng(0).standard_normal(n_samples).astype(np.float32)
    altered = shift_and_scale(sound, semitones=semitones, time_factor=time_factor, sample_rate=RATE)
    assert altered.shape == (max(round(n_samples * time_factor), 1),)
    assert np.isfinite(altered).all()


@pytest.mark.parametrize("value", [0.0, -0.25])
def test_silence_and_a_constant_stay_what_they_are(value):
    sound = np.full(9000, value, dtype=np.float32)
    altered = shift_and_scale(sound, semitones=3, time_factor=1.2, sample_rate=RATE)
    np.testing.assert_array_equal(altered, np.full(10800, value, dtype=np.float32))


def test_nothing_to_do_changes_no_sample_by_more_than_rounding():
    sound = bursts(0.3, length=0.8)
    np.testing.assert_allclose(shift_pitch(sound, semitones=0, sample_rate=RATE), sound, atol=1e-7)


SCRIPT = """
import hashlib, numpy as np
from pipeline.augment.sound import shift_and_scale
sound = np.random.default_rng(5).standard_normal(20000).astype(np.float32)
for semitones, time_factor in ((2, 1.1), (12, 2.0)):
    altered = shift_and_scale(sound, semitones=semitones, time_factor=time_factor, sample_rate=22050)
    print(hashlib.sha256(altered.tobytes()).hexdigest())
"""


def test_bytes_are_the_same_in_every_process_even_where_phases_are_drawn():
    import pipeline

    source = str(next(iter(pipeline.__path__)) + "/..")
    run = [sys.executable, "-c", f"import sys; sys.path.insert(0, {source!r})\n{SCRIPT}"]
    printed = subprocess.run(run, check=True, capture_output=True, text=True).stdout.split()
    sound = np.random.default_rng(5).standard_normal(20000).astype(np.float32)
    for wanted, (semitones, time_factor) in zip(printed, ((2, 1.1), (12, 2.0)), strict=True):
        for _ in range(2):
            altered = shift_and_scale(sound, semitones=semitones, time_factor=time_factor, sample_rate=RATE)
            assert digest(altered) == wanted


@pytest.mark.parametrize("colour", ["white", "pink"])
@pytest.mark.parametrize("snr_db", [20.0, 0.0, -6.0])
def test_noise_has_the_asked_ratio_to_the_sound(colour, snr_db):
    sound = tones(440)
    noisy = add_noise(sound, snr_db=snr_db, colour=colour, rng=np.random.default_rng(1))
    noise = noisy.astype(np.float64) - sound
    ratio = 10 * np.log10(np.mean(sound.astype(np.float64) ** 2) / np.mean(noise**2))
    assert ratio == pytest.approx(snr_db, abs=0.001)
    assert noisy.dtype == np.float32


@pytest.mark.parametrize(("colour", "slope_db"), [("white", 0.0), ("pink", -3.01)])
def test_density_falls_by_so_many_decibels_per_octave(colour, slope_db):
    sound = np.full(20 * RATE, 0.1, dtype=np.float32)
    noise = add_noise(sound, snr_db=0, colour=colour, rng=np.random.default_rng(2)) - sound
    frequencies, density = welch(noise, RATE, nperseg=2048)
    inner = (frequencies > 60) & (frequencies < 10000)
    slope = np.polyfit(np.log2(frequencies[inner]), 10 * np.log10(density[inner]), 1)[0]
    assert slope == pytest.approx(slope_db, abs=0.1)


def test_pink_noise_has_no_mean():
    sound = np.full(4096, 0.5, dtype=np.float32)
    pink, white = (
        add_noise(sound, snr_db=0, colour=colour, rng=np.random.default_rng(0)).astype(np.float64) - sound
        for colour in ("pink", "white")
    )
    assert abs(pink.mean()) < 1e-6 < abs(white.mean())


def test_noise_comes_from_the_generator_alone():
    sound = tones(440, length=0.2)
    one, same, other = (
        add_noise(sound, snr_db=10, colour="pink", rng=np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    assert digest(one) == digest(same)
    assert digest(one) != digest(other)


@pytest.mark.parametrize("n_samples", [1, 5000])
@pytest.mark.parametrize("colour", ["white", "pink"])
def test_noise_leaves_silence_silent(colour, n_samples):
    silence = np.zeros(n_samples, dtype=np.float32)
    np.testing.assert_array_equal(
        add_noise(silence, snr_db=10, colour=colour, rng=np.random.default_rng(0)), np.zeros(n_samples)
    )


def test_gain_is_in_decibels_and_clips_nothing():
    sound = np.array([0.5, -0.25, 0.0], dtype=np.float32)
    np.testing.assert_allclose(change_gain(sound, gain_db=20), [5, -2.5, 0], rtol=1e-6)
    np.testing.assert_allclose(change_gain(sound, gain_db=-6.0206), [0.25, -0.125, 0], rtol=1e-5)
    assert change_gain(sound, gain_db=20).dtype == np.float32


ALTERATIONS = {
    "stretch": lambda sound: shift_and_scale(sound, semitones=1, time_factor=1.1, sample_rate=RATE),
    "noise": lambda sound: add_noise(sound, snr_db=10, colour="white", rng=np.random.default_rng(0)),
    "gain": lambda sound: change_gain(sound, gain_db=3),
}


@pytest.mark.parametrize("alteration", ALTERATIONS)
@pytest.mark.parametrize(
    ("sound", "said"),
    [
        (np.zeros((2, 100), dtype=np.float32), "one channel"),
        (np.zeros(100), "float32"),
        (np.zeros(0, dtype=np.float32), "one channel"),
        (np.array([0, np.nan, 1], dtype=np.float32), "not finite"),
        (np.array([0, np.inf], dtype=np.float32), "not finite"),
    ],
)
def test_unfit_sound_is_refused(alteration, sound, said):
    with pytest.raises(AudioError, match=said):
        ALTERATIONS[alteration](sound)


def test_no_such_noise_and_no_such_factor_are_refused():
    sound = tones(440, length=0.1)
    with pytest.raises(AudioError, match="'brown' is none of white, pink"):
        add_noise(sound, snr_db=10, colour="brown", rng=np.random.default_rng(0))
    for semitones, time_factor in ((0, 0.0), (0, -1.0), (0, np.inf), (np.nan, 1.0)):
        with pytest.raises(AudioError, match="give numbers"):
            shift_and_scale(sound, semitones=semitones, time_factor=time_factor, sample_rate=RATE)
