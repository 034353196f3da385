"""The sections of params.yaml -> the representation that they choose."""

from pipeline.features.faces import Faces, choose_faces
from pipeline.features.hand_built import HandBuiltSpec
from pipeline.features.representations import HandBuilt, ImageSpec, OwnRange, Picture, Representation, Stack
from pipeline.features.spectrogram import SpectrogramSpec
from pipeline.features.stack import ChannelSpec, StackSpec
from pipeline.params import Params, sections


def choose_representation(
    chosen: sections.Representation,
    spectrogram: sections.Spectrogram,
    image: sections.Image,
    stack: sections.Stack,
    features: sections.Features,
    faces: sections.Faces,
    *,
    sample_rate: int,
) -> Representation | Faces:
    """Put together what `representation.kind` names from its own sections; the others are not looked at."""
    if frames := choose_faces(chosen, image, faces, sample_rate=sample_rate):
        return frames
    if chosen.kind == "image":
        return _picture(chosen, spectrogram, image, sample_rate)
    if chosen.kind == "stack":
        return Stack(_stack(stack, sample_rate), chosen.resample_samples)
    return HandBuilt(HandBuiltSpec(sample_rate=sample_rate, **features.model_dump()))


def representation_of(params: Params) -> Representation | Faces:
    """Put together what the parameters make of a block."""
    return choose_representation(
        params.representation,
        params.spectrogram,
        params.image,
        params.stack,
        params.features,
        params.faces,
        sample_rate=params.audio.sample_rate,
    )


def _picture(
    chosen: sections.Representation, spectrogram: sections.Spectrogram, image: sections.Image, sample_rate: int
) -> Picture:
    matrix = spectrogram.model_dump(exclude={"window_samples", "window_seconds", "low_db", "high_db"})
    drawing = image.model_dump(include={"colormap", "n_colours", "height", "width"})
    own = OwnRange(**image.model_dump(include={"low_percentile", "high_percentile", "most_db"}))
    return Picture(
        SpectrogramSpec(sample_rate=sample_rate, window_length=spectrogram.window_length(sample_rate), **matrix),
        ImageSpec(low_db=spectrogram.low_db, high_db=spectrogram.high_db, **drawing),
        own if image.range == "own" else None,
        chosen.resample_samples,
    )


def _stack(stack: sections.Stack, sample_rate: int) -> StackSpec:
    values = "decibels" if stack.values == "log" else "power"
    contents = [values, "mfcc", "delta_mfcc"] if stack.contents == "mfcc" else [values]
    spectrograms = [
        SpectrogramSpec(
            sample_rate=sample_rate,
            window=stack.window,
            window_length=channel.window_length(sample_rate),
            hop_seconds=channel.hop(sample_rate),
            fft_length=channel.fft_length,
            n_columns=0,
            **stack.model_dump(include={"axis", "n_bands", "min_hz", "max_hz"}),
        )
        for channel in stack.channels
    ]
    channels = tuple(
        ChannelSpec(own, what, stack.n_coefficients, stack.delta_frames)  # type: ignore[arg-type]
        for own in spectrograms
        for what in contents
    )
    return StackSpec(channels, n_bands=stack.height, n_columns=stack.width)
