"""Stacks against their channels one by one, and MFCC and deltas against librosa and the sum of cosines."""

import dataclasses
import math

import librosa
import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from pipeline.errors import ParamsError
from pipeline.features.scratch import Scratch
from pipeline.features.spectrogram import SpectrogramSpec, band_decibels
from pipeline.features.stack import ChannelSpec, StackSpec, deltas, mfcc, render_stack, resample_to

RATE = 16000
BASE = SpectrogramSpec(
    sample_rate=RATE,
    window="hamming",
    window_length=640,
    hop_seconds=0.002,
    fft_length=2048,
    axis="linear",
    n_bands=64,
    min_hz=1.0,
    max_hz=2000.0,
    n_columns=0,
)


def channel(contents="decibels", n_coefficients=0, delta_frames=9, **spectrogram):
    return ChannelSpec(dataclasses.replace(BASE, **spectrogram), contents, n_coefficients, delta_frames)


# two windows, 40 ms and 5 ms, over 512 ms
TWO_WINDOWS = StackSpec((channel(), channel(window_length=80)), n_bands=64, n_columns=64)
THREE = {"fft_length": 4096, "axis": "mel", "n_bands": 128, "min_hz": 20.0, "max_hz": 8000.0}
THREE_WINDOWS = StackSpec(
    tuple(channel(**THREE, hop_seconds=hop / RATE, window_length=4 * hop) for hop in (256, 512, 1024)),
    n_bands=128,
    n_columns=256,
)
CEPSTRA = {**THREE, "hop_seconds": 256 / RATE, "window_length": 1024}
WITH_CEPSTRA = StackSpec(
    (channel(**CEPSTRA), channel("mfcc", 40, **CEPSTRA), channel("delta_mfcc", 40, **CEPSTRA)),
    n_bands=128,
    n_columns=256,
)


def noise(n, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def resized(matrix, height, width):
    """By torch, whose antialiased triangle is an independent one."""
    values = torch.from_numpy(np.ascontiguousarray(matrix))[None, None]
    return interpolate(values, (height, width), mode="bilinear", antialias=True)[0, 0].numpy()


@pytest.mark.parametrize("spec", [TWO_WINDOWS, THREE_WINDOWS])
def test_each_channel_is_its_own_spectrogram_resized(spec):
    block = noise(8192 if spec is TWO_WINDOWS else 100_000)
    stack = render_stack(block, spec)
    assert stack.dtype == np.float32
    assert stack.shape == (len(spec.channels), spec.n_bands, spec.n_columns)
    for row, own in zip(stack, spec.channels, strict=True):
        expected = resized(band_decibels(block, own.spectrogram), spec.n_bands, spec.n_columns)
        np.testing.assert_allclose(row, expected, atol=5e-3)
    assert np.abs(stack[0] - stack[1]).mean() > 1  # another window is another picture


def test_bands_are_resized_where_a_channel_has_others():
    spec = StackSpec((channel(n_bands=255),), n_bands=64, n_columns=50)
    block = noise(8192)
    expected = resized(band_decibels(block, spec.channels[0].spectrogram), 64, 50)
    np.testing.assert_allclose(render_stack(block, spec)[0], expected, atol=5e-3)


def test_a_long_window_parts_tones_and_a_short_one_parts_clicks():
    t = np.arange(8192) / RATE
    tones = (0.1 * np.sin(2 * np.pi * 500 * t) + 0.1 * np.sin(2 * np.pi * 700 * t)).astype(np.float32)
    long, short = render_stack(tones, TWO_WINDOWS)[:, :, 32]
    between = round(600 / 2000 * 65) - 1
    assert long.max() - long[between] > 20
    assert short.max() - short[between] < 10
    clicks = np.zeros(8192, np.float32)
    clicks[[3600, 4000]] = 1  # 25 ms apart
    long, short = render_stack(clicks, TWO_WINDOWS).max(axis=1)
    assert (short < -200).sum() > 40
    assert (long < -200).sum() < (short < -200).sum() - 6


def test_low_frequencies_are_row_0_and_time_goes_right():
    late = np.concatenate([np.zeros(4096), 0.1 * np.sin(2 * np.pi * 300 * np.arange(4096) / RATE)]).astype(np.float32)
    stack = render_stack(late, dataclasses.replace(TWO_WINDOWS, n_columns=40))
    rows, columns = np.unravel_index(stack[0].argmax(), stack[0].shape)
    assert abs(rows - (300 / 2000 * 65 - 1)) < 2
    assert columns > 20
    assert stack[0][:, :15].max() < -250


def test_the_three_channels_of_cepstra():
    block = noise(100_000)
    spectrogram, cepstra, slopes = render_stack(block, WITH_CEPSTRA)
    decibels = band_decibels(block, WITH_CEPSTRA.channels[0].spectrogram).copy()
    coefficients = librosa.feature.mfcc(S=decibels, n_mfcc=40)
    np.testing.assert_allclose(spectrogram, resized(decibels, 128, 256), atol=5e-3)
    np.testing.assert_allclose(cepstra, resized(coefficients, 128, 256), atol=2e-2)
    np.testing.assert_allclose(slopes, resized(librosa.feature.delta(coefficients), 128, 256), atol=2e-2)


def test_cepstra_are_the_sum_of_cosines():
    decibels = np.random.default_rng(1).uniform(-90, -20, (7, 3)).astype(np.float32)
    got = mfcc(decibels, 4)
    assert got.shape == (4, 3)
    for k in range(4):
        cosines = [math.cos(math.pi * k * (n + 0.5) / 7) for n in range(7)]
        expected = math.sqrt((1 if k == 0 else 2) / 7) * (cosines @ decibels)
        np.testing.assert_allclose(got[k], expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("width", [3, 5, 9])
@pytest.mark.parametrize("n_frames", [9, 10, 57])
def test_deltas_are_librosas(width, n_frames):
    values = np.random.default_rng(2).standard_normal((6, n_frames)).astype(np.float32)
    np.testing.assert_allclose(deltas(values, width), librosa.feature.delta(values, width=width), atol=1e-5)


def test_deltas_of_a_straight_line_are_its_slope_to_the_ends():
    np.testing.assert_allclose(deltas(np.arange(20, dtype=np.float32)[None] * 3, 9), 3, rtol=1e-5)


@pytest.mark.parametrize("width", [2, 1, 8, -3])
def test_deltas_over_an_even_number_are_refused(width):
    with pytest.raises(ParamsError, match=f"delta_frames: {width} is not an odd number"):
        deltas(np.zeros((2, 20), np.float32), width)


def test_deltas_of_too_few_frames_are_refused():
    with pytest.raises(ParamsError, match="delta_frames: 9, but a block has 8 frames"):
        deltas(np.zeros((2, 8), np.float32), 9)


def test_a_block_shorter_than_a_window_is_refused():
    with pytest.raises(ParamsError, match="a window has 640 samples, a block only 600"):
        render_stack(noise(600), TWO_WINDOWS)


@pytest.mark.parametrize("spec", [TWO_WINDOWS, THREE_WINDOWS, WITH_CEPSTRA])
def test_silence_is_finite_and_memory_may_be_used_again(spec):
    scratch = Scratch()
    n = 100_000
    first = render_stack(noise(n), spec, scratch=scratch)
    silent = render_stack(np.zeros(n, np.float32), spec, scratch=scratch)
    assert np.isfinite(silent).all()
    np.testing.assert_allclose(silent[0], -300, rtol=1e-5)
    np.testing.assert_array_equal(render_stack(noise(n), spec, scratch=scratch), first)


def test_offset_and_gain_are_those_of_the_samples():
    block = noise(8192)
    expected = render_stack((block - np.float32(0.25)) * np.float32(0.5), TWO_WINDOWS)
    np.testing.assert_array_equal(render_stack(block, TWO_WINDOWS, offset=0.25, gain=0.5), expected)


@pytest.mark.parametrize("n", [48_000, 99_999, 100_000, 100_001, 131_071, 176_543])
def test_a_tone_keeps_its_periods_when_resampled(n):
    periods = n // 100
    tone = np.sin(2 * np.pi * periods * np.arange(n) / n).astype(np.float32)
    resampled = resample_to(tone, 100_000)
    assert resampled.shape == (100_000,)
    assert resampled.dtype == np.float32
    expected = np.sin(2 * np.pi * periods * np.arange(100_000) / 100_000)
    np.testing.assert_allclose(resampled[2000:-2000], expected[2000:-2000], atol=2e-3)


def test_a_fraction_of_the_band_stays_that_fraction():
    # 40 % of half of any rate lies in the same band after resampling: the axis is relative
    spec = dataclasses.replace(THREE_WINDOWS, channels=(channel(**{**THREE, "axis": "linear", "min_hz": 0.0}),))
    rows = []
    for n in (70_000, 150_000):
        tone = np.sin(2 * np.pi * 10_000 * np.arange(n) / n).astype(np.float32)
        rows.append(int(render_stack(resample_to(tone, 100_000), spec)[0].mean(axis=1).argmax()))
    assert rows[0] == rows[1]
    assert abs(rows[0] - (0.2 * 129 - 1)) <= 1  # 10 000 periods of 100 000 samples: a fifth of half the rate


@pytest.mark.parametrize("n", range(1, 40))
def test_any_length_becomes_exactly_the_asked_one(n):
    assert len(resample_to(noise(n), 37)) == 37


def test_nothing_cannot_be_resampled():
    with pytest.raises(ParamsError, match="0 samples cannot be resampled to 100"):
        resample_to(np.zeros(0, np.float32), 100)
    with pytest.raises(ParamsError, match="5 samples cannot be resampled to 0"):
        resample_to(np.zeros(5, np.float32), 0)
