"""What contradicts itself in how a block is represented and enters a network: one line each, naming the key."""

from collections.abc import Iterator

from pipeline.params.sections import Features, Model, Params, Spectrogram, Stack

PIXELS = ("image", "faces")  # kinds that are bytes of colours
LEAST_RESAMPLED = 1000  # samples: fewer hold no spectrogram


def find_representation_problems(params: Params) -> list[str]:
    """Contradictions in the sections that `representation.kind` uses; the others are not looked at."""
    chosen, rate = params.representation, params.audio.sample_rate
    found = []
    if 0 < chosen.resample_samples < LEAST_RESAMPLED:
        found.append(
            f"representation.resample_samples: {chosen.resample_samples} is neither 0 nor {LEAST_RESAMPLED} or more"
        )
    n_samples = chosen.resample_samples or (
        None if params.slice.whole_clips else round(params.slice.block_seconds * rate)
    )
    if chosen.kind == "image":
        return [*found, *_of_spectrogram(params.spectrogram, rate, n_samples), *_of_range(params)]
    if chosen.kind == "stack":
        return [*found, *_of_stack(params.stack, rate, n_samples)]
    if chosen.kind == "faces":
        return [*found, *_of_faces(params)]
    if chosen.resample_samples:
        found.append(
            "representation.resample_samples: hand-built features are in Hz and seconds, which resampling makes "
            "relative: set it to 0"
        )
    return [*found, *_of_features(params.features, rate, n_samples)]


def find_entry_problems(model: Model, kind: str) -> list[str]:
    """Contradictions between a member's model and the kind of what enters it."""
    found = []
    if kind not in PIXELS and model.normalise in ("imagenet", "unit"):
        found.append(
            f"model.normalise: {model.normalise} is of pixels, and representation.kind is {kind}: set it to standard "
            "or mean"
        )
    if kind != "stack" and model.whiten != "none":
        why = "images are bytes of colours" if kind in PIXELS else "hand-built features have no bands"
        found.append(f"model.whiten: {model.whiten} is for representation.kind stack, for {why}: set it to none")
    return found


def _of_spectrogram(spectrogram: Spectrogram, rate: int, n_samples: int | None) -> Iterator[str]:
    if (spectrogram.window_samples is None) == (spectrogram.window_seconds is None):
        yield "spectrogram.window_samples, window_seconds: give one of the two, and leave the other empty"
    else:
        yield from _of_window(spectrogram.window_length(rate), spectrogram.fft_length, n_samples, "spectrogram")
    if spectrogram.fft_length & (spectrogram.fft_length - 1):
        yield f"spectrogram.fft_length: must be a power of two, not {spectrogram.fft_length}"
    yield from _of_axis(spectrogram, rate, "spectrogram")
    if spectrogram.low_db >= spectrogram.high_db:
        yield f"spectrogram.low_db: {spectrogram.low_db} is not below high_db {spectrogram.high_db}"
    if 0 < spectrogram.n_columns < 8:
        yield f"spectrogram.n_columns: {spectrogram.n_columns} is neither 0 nor 8 to 4096"


def _of_range(params: Params) -> Iterator[str]:
    image = params.image
    if image.low_percentile >= image.high_percentile:
        yield f"image.low_percentile: {image.low_percentile} is not below high_percentile {image.high_percentile}"


def _of_faces(params: Params) -> Iterator[str]:
    if params.representation.resample_samples:
        yield "representation.resample_samples: resamples sound, and representation.kind is faces: set it to 0"
    if params.augment.sound not in ("none", ()):
        yield (
            "augment.sound: alters sound, and representation.kind faces shows the frames of the recording: set it to "
            "none (augment.brightness, contrast and grey alter pictures)"
        )


def _of_stack(stack: Stack, rate: int, n_samples: int | None) -> Iterator[str]:
    for number, channel in enumerate(stack.channels):
        key = f"stack.channels[{number}]"
        for name, pair in (
            ("window", (channel.window_samples, channel.window_seconds)),
            ("hop", (channel.hop_samples, channel.hop_seconds)),
        ):
            if sum(value is not None for value in pair) != 1:
                yield f"{key}: give one of {name}_samples and {name}_seconds"
        if channel.fft_length & (channel.fft_length - 1):
            yield f"{key}.fft_length: must be a power of two, not {channel.fft_length}"
        window = channel.window_length(rate)
        yield from _of_window(window, channel.fft_length, n_samples, key)
        n_frames = (n_samples - window) / (channel.hop(rate) * rate) + 1 if n_samples and channel.hop(rate) else None
        if stack.contents == "mfcc" and n_frames is not None and 1 <= n_frames < stack.delta_frames:
            yield (
                f"stack.delta_frames: {stack.delta_frames}, but a block has {int(n_frames)} frames of {key}: "
                "use fewer, or a shorter hop"
            )
    yield from _of_axis(stack, rate, "stack")
    if stack.contents == "mfcc" and stack.delta_frames % 2 == 0:
        yield f"stack.delta_frames: must be odd, not {stack.delta_frames}"
    if stack.contents == "mfcc" and stack.n_coefficients > stack.n_bands:
        yield f"stack.n_coefficients: {stack.n_coefficients} is above stack.n_bands {stack.n_bands}"
    if stack.contents == "mfcc" and stack.values == "power":
        yield "stack.values: MFCC are of decibels: set it to log"


def _of_features(features: Features, rate: int, n_samples: int | None) -> Iterator[str]:
    if features.min_pitch_hz >= features.max_pitch_hz:
        yield f"features.min_pitch_hz: {features.min_pitch_hz} is not below max_pitch_hz {features.max_pitch_hz}"
    if features.frame_seconds * features.min_pitch_hz < 3 - 1e-9:
        yield (
            f"features.frame_seconds: {features.frame_seconds} s hold no three periods of min_pitch_hz "
            f"{features.min_pitch_hz}: lengthen it, or raise min_pitch_hz"
        )
    if n_samples is not None and features.frame_seconds * rate > n_samples:
        yield f"features.frame_seconds: {features.frame_seconds} s are longer than a block"


def _of_window(length: int, fft_length: int, n_samples: int | None, key: str) -> Iterator[str]:
    if length > fft_length:
        yield f"{key}.fft_length: {fft_length} is shorter than the window of {length} samples"
    elif n_samples is not None and length > n_samples:
        yield f"{key}.window_samples, window_seconds: the window is longer than a block"


def _of_axis(section: Spectrogram | Stack, rate: int, key: str) -> Iterator[str]:
    nyquist = rate / 2
    if section.max_hz > nyquist:
        yield f"{key}.max_hz: {section.max_hz} is above half of audio.sample_rate: at most {nyquist}"
    if section.min_hz >= section.max_hz:
        yield f"{key}.min_hz: {section.min_hz} is not below max_hz {section.max_hz}"
    if section.axis == "log" and section.min_hz <= 0:
        yield f"{key}.min_hz: a log axis starts above 0 Hz"
