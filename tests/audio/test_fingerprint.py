"""Sub-fingerprints by their definition, what carries none, and what leaves them as they are."""

import itertools
import tracemalloc

import numpy as np
import pytest
import soxr
from made import noise, silence, tone

from pipeline.audio.fingerprint import FRAME, HOP, LAG, N_BITS, RATE, SUPPORT_SECONDS, band_edges, fingerprint

SUPPORT = 2048 + 8 * 80  # samples at 8 kHz


def print_of(samples, rate=RATE):
    return fingerprint([samples], sample_rate=rate)


def unequal(a, b):
    """Share of bits that differ where both are informative."""
    n = min(len(a.bits), len(b.bits))
    both = a.informative[:n] & b.informative[:n]
    assert both.sum() > 20
    return np.bitwise_count(a.bits[:n] ^ b.bits[:n])[both].mean() / 32


def swelling(seconds, *, seed=0, rate=RATE):
    """Noise whose level moves within 20 dB."""
    time = np.arange(round(seconds * rate)) / rate
    return (noise(-20, seconds, seed=seed, rate=rate) * 10 ** (np.sin(2 * np.pi * 0.7 * time) / 2)).astype(np.float32)


def test_bands_go_from_300_to_3000_hz_in_equal_ratios():
    edges = band_edges()
    assert len(edges) == 34
    assert edges[0] == 77
    assert edges[-1] == 768
    assert edges[11] == round(300 * 10 ** (1 / 3) / 3.90625)
    assert edges[22] == round(300 * 10 ** (2 / 3) / 3.90625)


def test_bits_are_those_of_the_definition_in_double_precision():
    samples = swelling(3.0)
    found = print_of(samples)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
    edges = band_edges()
    energy = []
    for start in range(0, len(samples) - 2048 + 1, 80):
        power = np.abs(np.fft.rfft(samples[start : start + 2048].astype(np.float64) * window)) ** 2
        energy.append([power[a:b].sum() for a, b in itertools.pairwise(edges)])
    energy = np.array(energy)
    assert len(found.bits) == len(energy) - 8
    for n in range(len(found.bits)):
        for m in range(32):
            margin = (energy[n + 8, m] - energy[n + 8, m + 1]) - (energy[n, m] - energy[n, m + 1])
            if abs(margin) > 1e-4 * energy[n + 8, m : m + 2].sum():
                assert (int(found.bits[n]) >> m & 1) == (margin > 0), (n, m)


def test_a_band_that_rises_sets_its_bit_and_clears_the_one_below():
    rising = np.linspace(0, 1, RATE) * tone(-6, 1.0, hz=(band_edges()[5] + band_edges()[6]) / 2 * RATE / FRAME)
    bits = print_of((rising + 0.001 * noise(-20, 1.0)).astype(np.float32)).bits
    assert np.all(bits >> 5 & 1 == 1)
    assert np.all(bits >> 4 & 1 == 0)


@pytest.mark.parametrize(("n_samples", "n"), [(0, 0), (1, 0), (SUPPORT - 1, 0), (SUPPORT, 1), (SUPPORT + 80, 2)])
def test_a_clip_has_one_for_every_10_ms_whose_sound_is_all_there(n_samples, n):
    found = print_of(noise(-20, 1.0)[:n_samples])
    assert len(found.bits) == len(found.informative) == n
    assert found.bits.dtype == np.uint32
    assert SUPPORT_SECONDS == SUPPORT / 8000 == (FRAME + LAG * HOP) / RATE
    assert N_BITS == 32


@pytest.mark.parametrize("rate", [8000, 44100])
@pytest.mark.parametrize(
    "sound",
    [
        lambda rate: silence(2.0, rate=rate),
        lambda rate: silence(2.0, rate=rate) + np.float32(0.25),
        lambda rate: tone(-6, 2.0, hz=440, rate=rate),
        lambda rate: sum(tone(-20 - k, 2.0, hz=50 * k, rate=rate) for k in range(1, 30)),
        lambda rate: noise(-130, 2.0, rate=rate),
    ],
    ids=["silence", "constant", "tone", "hum", "below the last bit"],
)
def test_what_says_nothing_of_where_it_comes_from_is_not_informative(sound, rate):
    found = print_of(sound(rate), rate)
    edge = 30  # resampling rings where a sound begins or ends in full swing
    assert len(found.bits) > 160
    assert not found.informative[edge:-edge].any()


def test_noise_and_pauses_are_told_apart():
    found = print_of(np.concatenate([swelling(1.5), noise(-90, 2.0, seed=1), swelling(1.5, seed=2)]))
    assert found.informative[:110].all()
    assert found.informative[360:].all()
    assert not found.informative[150:310].any()


def test_gain_and_polarity_change_nothing():
    samples = swelling(3.0)
    original = print_of(samples)
    for factor in (0.25, -1.0, -0.0625):  # exact in floating point
        other = print_of(samples * np.float32(factor))
        np.testing.assert_array_equal(other.bits, original.bits)
        np.testing.assert_array_equal(other.informative, original.informative)


@pytest.mark.parametrize("rate", [11025, 16000, 44100, 192000])
def test_the_rate_of_the_sound_hardly_matters(rate):
    samples = swelling(3.0)
    assert unequal(print_of(samples), print_of(soxr.resample(samples, RATE, rate), rate)) < 0.005


@pytest.mark.parametrize(("shift", "most"), [(80, 0.0), (800, 0.0), (40, 0.08)])
def test_cutting_shifts_it(shift, most):
    samples = swelling(3.0)
    whole, cut = print_of(samples), print_of(samples[shift:])
    first = shift // HOP
    assert (
        np.bitwise_count(whole.bits[first:][: len(cut.bits)] ^ cut.bits[: len(whole.bits) - first]).mean() <= 32 * most
    )


@pytest.mark.parametrize("rate", [8000, 44100])
def test_pieces_make_no_difference_but_in_last_digits(rate):
    samples = swelling(4.0, rate=rate)
    cuts = [1, 2, 3000, 3001, 20_000]
    pieces = fingerprint(np.split(samples, cuts), sample_rate=rate)
    assert len(pieces.bits) == len(print_of(samples, rate).bits)
    assert unequal(pieces, print_of(samples, rate)) < 0.001


def test_different_sounds_differ_in_about_half_of_their_bits():
    assert 0.4 < unequal(print_of(swelling(5.0)), print_of(swelling(5.0, seed=1))) < 0.6


def test_memory_holds_a_piece_and_not_the_clip():
    tracemalloc.start()
    found = fingerprint((noise(-20, 4.0, seed=k) for k in range(100)), sample_rate=RATE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found.bits) == (400 * RATE - SUPPORT) // HOP + 1
    assert peak < 10e6  # the clip has 12.8 MB
