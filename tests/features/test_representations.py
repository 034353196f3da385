"""Every way of representing a block: its shape, its numbers, and what it states of itself."""

import json

import numpy as np
import pytest
from made import RATE, noise, tone

from pipeline.features.hand_built import HandBuiltSpec, hand_built_features
from pipeline.features.ranges import own_range
from pipeline.features.representations import (
    HandBuilt,
    ImageSpec,
    OwnRange,
    Picture,
    Stack,
    reached_hz,
    stack_of,
)
from pipeline.features.scratch import Scratch
from pipeline.features.spectrogram import SpectrogramSpec, band_decibels, draw_image
from pipeline.features.stack import ChannelSpec, StackSpec, render_stack


def spectrogram(**changes):
    usual = {
        "sample_rate": RATE,
        "window": "hann",
        "window_length": 256,
        "hop_seconds": 0.01,
        "fft_length": 512,
        "axis": "linear",
        "n_bands": 40,
        "min_hz": 0.0,
        "max_hz": 4000.0,
        "n_columns": 0,
    }
    return SpectrogramSpec(**{**usual, **changes})


IMAGE = ImageSpec(low_db=-110.0, high_db=-20.0, colormap="grey", n_colours=64, height=30, width=44)
CHANNELS = (ChannelSpec(spectrogram()), ChannelSpec(spectrogram(window_length=64), "power"))
STACK = StackSpec(CHANNELS, n_bands=20, n_columns=28)
KINDS = {
    "image": Picture(spectrogram(), IMAGE),
    "own range": Picture(spectrogram(axis="bark"), IMAGE, OwnRange(5.0, 95.0, 60.0)),
    "stack": Stack(STACK),
    "features": HandBuilt(HandBuiltSpec(RATE)),
    "resampled image": Picture(spectrogram(axis="erb"), IMAGE, None, 5000),
    "resampled stack": Stack(STACK, 5000),
}


def rendered(representation, samples, *, offset=0.0, gain=1.0):
    return representation.render(samples, offset=offset, gain=gain, scratch=Scratch())


@pytest.mark.parametrize("own", KINDS.values(), ids=list(KINDS))
def test_a_block_has_the_shape_and_type_that_is_stated(own):
    values = rendered(own, noise(-20, 1))
    assert values.shape == own.shape
    assert values.dtype == own.dtype
    assert np.isfinite(values).all()
    assert all(isinstance(value, str | int | float) for value in own.attributes().values())


@pytest.mark.parametrize("own", KINDS.values(), ids=list(KINDS))
def test_a_block_of_the_least_length_is_enough(own):
    n_samples = own.resample_samples or own.least_samples
    assert np.isfinite(rendered(own, noise(-20, 1)[:n_samples])).all()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (224, 227), (299, 64), (64, 299), (512, 256)])
def test_pictures_of_any_size(height, width):
    image = ImageSpec(-110.0, -20.0, "viridis", 256, height, width)
    block = noise(-20, 1)
    expected = draw_image(
        band_decibels(block, spectrogram()),
        low_db=-110.0,
        high_db=-20.0,
        colormap="viridis",
        n_colours=256,
        height=height,
        width=width,
    )
    np.testing.assert_array_equal(rendered(Picture(spectrogram(), image), block), expected)


def test_a_picture_of_its_own_range_spans_all_colours_however_loud_it_is():
    own = KINDS["own range"]
    for db in (-60, -10):
        block = noise(db, 1)
        low, high = own_range(
            band_decibels(block, own.spectrogram), low_percentile=5.0, high_percentile=95.0, most_db=60.0
        )
        image = draw_image(
            band_decibels(block, own.spectrogram),
            low_db=low,
            high_db=high,
            colormap="grey",
            n_colours=64,
            height=30,
            width=44,
        )
        np.testing.assert_array_equal(rendered(own, block), image)
        assert np.ptp(rendered(own, block).astype(int)) > 100
    assert "low_db" not in own.attributes()
    assert own.attributes()["most_db"] == 60.0


def test_a_fixed_range_states_what_it_always_did():
    assert list(KINDS["image"].attributes()) == [
        *("sample_rate", "window", "window_length", "hop_seconds", "fft_length", "axis", "n_bands"),
        *("min_hz", "max_hz", "n_columns", "low_db", "high_db", "colormap", "n_colours", "height", "width"),
    ]


def test_the_density_is_what_its_decibels_say():
    block = noise(-20, 1)
    power = StackSpec((ChannelSpec(spectrogram(), "power"),), n_bands=40, n_columns=97)  # as many as frames
    decibels = band_decibels(block, spectrogram())
    assert decibels.shape == (40, 97)
    np.testing.assert_allclose(rendered(Stack(power), block)[0], 10 ** (decibels.astype(float) / 10), rtol=1e-4)


def test_features_are_those_of_the_module_whatever_the_offset():
    block = noise(-20, 1)
    own = KINDS["features"]
    expected = hand_built_features(block, own.spec, gain=0.5)
    np.testing.assert_array_equal(rendered(own, block, offset=0.1, gain=0.5), expected)


@pytest.mark.parametrize("name", ["stack", "resampled stack"])
def test_a_stack_is_told_back_from_its_attributes(name):
    attributes = KINDS[name].attributes()
    assert stack_of(attributes) == STACK
    json.dumps(attributes)


def test_resampled_to_a_fixed_length_frequencies_are_relative():
    # 1000 Hz for 2 s; 16000 samples as 4000 at the same rate: four times as high, for a quarter of the time
    spec = spectrogram(n_bands=39)  # centres every 100 Hz
    own = Picture(spec, ImageSpec(-110.0, -20.0, "grey", 64, 39, 44), None, 4000)
    rows = rendered(own, tone(-10, 2, hz=500.0))[..., 0].astype(int).sum(axis=1)
    assert 39 - 1 - rows.argmax() == 19  # 2000 Hz, the centre of the twentieth band
    assert reached_hz(own, 16000) == 1000.0
    assert reached_hz(own, 2000) == 4000.0  # there is nothing above half the rate


def test_a_constant_does_not_ring_when_a_block_is_resampled():
    own = Stack(STACK, 5000)
    block = noise(-40, 1)
    shifted = block + np.float32(0.5)
    with_offset = rendered(own, shifted, offset=0.5, gain=2.0)
    np.testing.assert_allclose(with_offset[0], rendered(own, block, gain=2.0)[0], atol=0.1)
    expected = render_stack(block[:5000], STACK, gain=2.0)  # of the length already: not resampled
    np.testing.assert_array_equal(rendered(own, block[:5000], gain=2.0), expected)
