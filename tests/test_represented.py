"""What contradicts itself in how a block is represented is refused at once, by name; what is not used has no say."""

import re

import pytest
from plan.cases import VALUES
from test_params import changed

from pipeline.errors import ParamsError
from pipeline.params import parse_params

STACK = {"representation__kind": "stack", "model__normalise": "standard"}
FEATURES = {"representation__kind": "features", "model__normalise": "standard", "model__name": "fc2"}
FACES = {"representation__kind": "faces"}
ONE = {"window_seconds": 0.04, "hop_seconds": 0.002, "fft_length": 2048}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"representation__kind": "stack"}, "model.normalise: imagenet is of pixels, and representation.kind is stack"),
        ({**FEATURES, "model__normalise": "unit"}, "model.normalise: unit is of pixels"),
        (
            {"model__whiten": "zca"},
            "model.whiten: zca is for representation.kind stack, for images are bytes of colours",
        ),
        ({**FEATURES, "model__whiten": "own"}, "model.whiten: own is for representation.kind stack, for hand-built"),
        ({"members__a__model": {"whiten": "zca"}}, "model.whiten: zca is for representation.kind stack"),
        (
            {"image__colormap": "viridus"},
            "image.colormap: colormap 'viridus': there is none of that name: did you mean",
        ),
        ({"image__low_percentile": 100.0}, "image.low_percentile: 100.0 is not below high_percentile 100.0"),
        ({"spectrogram__axis": "barks"}, "spectrogram.axis: input should be 'mel', 'slaney', 'bark', 'erb', 'log'"),
        (
            {"representation__resample_samples": 999},
            "representation.resample_samples: 999 is neither 0 nor 1000 or more",
        ),
        (
            {**FEATURES, "representation__resample_samples": 5000},
            "representation.resample_samples: hand-built features",
        ),
        ({**STACK, "stack__channels": []}, "stack.channels"),
        (
            {**STACK, "stack__channels": [{**ONE, "window_samples": 64}]},
            "stack.channels[0]: give one of window_samples",
        ),
        (
            {**STACK, "stack__channels": [ONE, {"window_samples": 64, "fft_length": 64}]},
            "stack.channels[1]: give one of hop_samples and hop_seconds",
        ),
        ({**STACK, "stack__channels": [{**ONE, "fft_length": 1000}]}, "stack.channels[0].fft_length: must be a power"),
        (
            {**STACK, "stack__channels": [{**ONE, "fft_length": 1024}]},
            "stack.channels[0].fft_length: 1024 is shorter than the window of 1764 samples",
        ),
        ({**STACK, "stack__max_hz": 22051.0}, "stack.max_hz: 22051.0 is above half of audio.sample_rate"),
        ({**STACK, "stack__axis": "log", "stack__min_hz": 0.0}, "stack.min_hz: a log axis starts above 0 Hz"),
        ({**STACK, "stack__contents": "mfcc", "stack__delta_frames": 8}, "stack.delta_frames: must be odd, not 8"),
        ({**STACK, "stack__contents": "mfcc", "stack__n_coefficients": 65}, "stack.n_coefficients: 65 is above"),
        ({**STACK, "stack__contents": "mfcc", "stack__values": "power"}, "stack.values: MFCC are of decibels"),
        (
            {**STACK, "stack__contents": "mfcc", "stack__channels": [{**ONE, "hop_seconds": 0.5}]},
            "stack.delta_frames: 9, but a block has 4 frames of stack.channels[0]",
        ),
        (
            {**STACK, "representation__resample_samples": 1500},
            "stack.channels[0].window_samples, window_seconds: the window is longer than a block",
        ),
        ({**FACES, "representation__resample_samples": 5000}, "representation.resample_samples: resamples sound"),
        ({**FACES, "augment__sound": "nine"}, "augment.sound: alters sound, and representation.kind faces shows"),
        ({**FACES, "model__whiten": "zca"}, "model.whiten: zca is for representation.kind stack, for images are"),
        ({**FACES, "faces__crop": "face"}, "faces.crop: input should be 'none' or 'square'"),
        ({"slice__whole_clips": True, "slice__random_blocks": 2}, "slice.random_blocks: with whole_clips there is one"),
        ({**FEATURES, "features__frame_seconds": 0.03}, "features.frame_seconds: 0.03 s hold no three periods"),
        ({**FEATURES, "features__min_pitch_hz": 600.0}, "features.min_pitch_hz: 600.0 is not below max_pitch_hz"),
        (
            {**FEATURES, "slice__block_seconds": 0.1, "features__frame_seconds": 0.2},
            "features.frame_seconds: 0.2 s are longer than a block",
        ),
    ],
)
def test_contradictions_are_refused_by_name(keys, words):
    with pytest.raises(ParamsError, match=re.escape(words)) as caught:
        parse_params(changed(**keys))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "keys",
    [
        {**STACK, "spectrogram__max_hz": 96000.0},  # of a section that is not used
        {**FEATURES, "stack__max_hz": 96000.0, "spectrogram__fft_length": 1000},
        {"stack__delta_frames": 4},
        {**STACK, "model__whiten": "zca", "model__normalise": "mean"},
        {"model__normalise": "standard"},
        {"image__colormap": "magma_r", "image__range": "own"},
        {"spectrogram__axis": "bark"},
        {**FACES, "model__normalise": "unit", "augment__brightness": 0.2, "spectrogram__max_hz": 96000.0},
        {**FACES, "slice__block_seconds": 0.1, "slice__random_blocks": 5, "spectrogram__window_samples": 65536},
        {"slice__random_blocks": 3, "slice__tail": "align", "slice__slide_seconds": 5.0},
        {"spectrogram__axis": "erb"},
        {"slice__whole_clips": True, "slice__block_seconds": 0.1, "spectrogram__window_samples": 65536,
         "spectrogram__fft_length": 65536},
        {"slice__block_seconds": 0.1, "representation__resample_samples": 100_000},
    ],
)  # fmt: skip
def test_what_goes_together_is_taken(keys):
    assert parse_params(changed(**keys)).representation.kind == keys.get("representation__kind", "image")


def test_the_committed_kind_is_a_picture():
    assert VALUES["representation"] == {"kind": "image", "resample_samples": 0}
