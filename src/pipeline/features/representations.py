"""What one block becomes, each way behind the same few names, so that one renderer serves all of them.

A representation has its `kind`, the `dataset` of a rendered file that holds it, `shape` and `dtype` of one block's
values, `least_samples` of a block, the `max_hz` that it reaches up to and the key that sets it (`limit`), `attributes`
for the file, and `render`, which gives the values of one block.

With `resample_samples`, a block is first resampled to so many samples and then treated as if they were at the rate of
all sound: frequencies and times are relative, as `stack.resample_to` says.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.features.faces import Faces
from pipeline.features.hand_built import FEATURES, HandBuiltSpec, hand_built_features, spectrogram_of
from pipeline.features.ranges import own_range
from pipeline.features.scratch import Scratch
from pipeline.features.spectrogram import SpectrogramSpec, band_decibels, draw_image
from pipeline.features.stack import ChannelSpec, StackSpec, render_stack, resample_to

Floats = NDArray[np.float32]
IMAGE, STACK, HAND_BUILT = "image", "stack", "features"  # kinds
IMAGES, VALUES = "images", "features"  # datasets: bytes of pictures, and float32


class Representation(Protocol):
    """One way of turning a block into values."""

    @property
    def kind(self) -> str:
        """IMAGE, STACK or HAND_BUILT."""

    @property
    def dataset(self) -> str:
        """Name of the dataset that holds it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one block's values."""

    @property
    def dtype(self) -> type[np.generic]:
        """Of one block's values."""

    @property
    def least_samples(self) -> int:
        """Fewest samples of a block that it can be made of."""

    @property
    def sample_rate(self) -> int:
        """Of the sound, Hz."""

    @property
    def max_hz(self) -> float:
        """Highest frequency that it looks at."""

    @property
    def limit(self) -> str:
        """The key of params.yaml that sets `max_hz`."""

    @property
    def spectrograms(self) -> tuple[SpectrogramSpec, ...]:
        """Those that are computed of a block, each once."""

    @property
    def resample_samples(self) -> int:
        """To how many samples a block is resampled first; 0: it is not."""

    def attributes(self) -> dict[str, Any]:
        """All that defines it, as plain numbers and texts."""

    def render(self, samples: Floats, *, offset: float, gain: float, scratch: Scratch) -> NDArray[Any]:
        """Values of one block (n,); `offset` is taken from every sample before it is multiplied with `gain`."""


@dataclass(frozen=True)
class ImageSpec:
    """All that defines an image of a dB matrix."""

    low_db: float
    high_db: float
    colormap: str
    n_colours: int
    height: int  # pixels
    width: int  # pixels


@dataclass(frozen=True)
class OwnRange:
    """How each picture's own range of decibels is found; as of `ranges.own_range`."""

    low_percentile: float = 0.0
    high_percentile: float = 100.0
    most_db: float = 120.0


@dataclass(frozen=True)
class Picture:
    """A spectrogram as a picture (height, width, 3)."""

    spectrogram: SpectrogramSpec
    image: ImageSpec
    own_range: OwnRange | None = None  # instead of the image's low_db and high_db
    resample_samples: int = 0

    kind = IMAGE
    dataset = IMAGES
    dtype = np.uint8
    limit = "spectrogram.max_hz"

    @property
    def shape(self) -> tuple[int, ...]:
        """(height, width, 3)."""
        return (self.image.height, self.image.width, 3)

    @property
    def least_samples(self) -> int:
        """One window."""
        return self.spectrogram.window_length

    @property
    def spectrograms(self) -> tuple[SpectrogramSpec, ...]:
        """Those that are computed of a block, each once."""
        return (self.spectrogram,)

    @property
    def sample_rate(self) -> int:
        """Of the sound, Hz."""
        return self.spectrogram.sample_rate

    @property
    def max_hz(self) -> float:
        """The upper edge of its axis."""
        return self.spectrogram.max_hz

    def attributes(self) -> dict[str, Any]:
        """All parameters of the spectrogram and of the image; what is not used is not named."""
        values = {**asdict(self.spectrogram), **asdict(self.image)}
        if self.own_range is not None:
            del values["low_db"], values["high_db"]
            values |= {"range": "own", **asdict(self.own_range)}
        return values | ({"resample_samples": self.resample_samples} if self.resample_samples else {})

    def render(self, samples: Floats, *, offset: float, gain: float, scratch: Scratch) -> NDArray[np.uint8]:
        """Draw a block."""
        samples, offset = _resampled(samples, offset, self.resample_samples)
        decibels = band_decibels(samples, self.spectrogram, offset=offset, gain=gain, scratch=scratch)
        drawing = asdict(self.image)
        if self.own_range is not None:
            drawing["low_db"], drawing["high_db"] = own_range(decibels, **asdict(self.own_range))
        return draw_image(decibels, **drawing, scratch=scratch)


@dataclass(frozen=True)
class Stack:
    """Matrices as the channels of one array (n_channels, height, width), float32."""

    spec: StackSpec
    resample_samples: int = 0

    kind = STACK
    dataset = VALUES
    dtype = np.float32
    limit = "stack.max_hz"

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_channels, height, width)."""
        return (len(self.spec.channels), self.spec.n_bands, self.spec.n_columns)

    @property
    def least_samples(self) -> int:
        """The longest window, and as many frames as deltas need."""
        return max(
            own.spectrogram.window_length
            + (
                round((own.delta_frames - 1) * own.spectrogram.hop_seconds * own.spectrogram.sample_rate) + 1
                if own.contents == "delta_mfcc"
                else 0
            )
            for own in self.spec.channels
        )

    @property
    def spectrograms(self) -> tuple[SpectrogramSpec, ...]:
        """Those that are computed of a block, each once."""
        return tuple(dict.fromkeys(own.spectrogram for own in self.spec.channels))

    @property
    def sample_rate(self) -> int:
        """Of the sound, Hz."""
        return self.spec.channels[0].spectrogram.sample_rate

    @property
    def max_hz(self) -> float:
        """The highest edge of all axes."""
        return max(own.spectrogram.max_hz for own in self.spec.channels)

    def attributes(self) -> dict[str, Any]:
        """The whole stack as a text, beside what is read most."""
        return {
            "kind": self.kind,
            "sample_rate": self.sample_rate,
            "max_hz": self.max_hz,
            "resample_samples": self.resample_samples,
            "stack": json.dumps(asdict(self.spec), sort_keys=True),
        }

    def render(self, samples: Floats, *, offset: float, gain: float, scratch: Scratch) -> Floats:
        """Compute the channels of a block."""
        samples, offset = _resampled(samples, offset, self.resample_samples)
        return render_stack(samples, self.spec, offset=offset, gain=gain, scratch=scratch)


@dataclass(frozen=True)
class HandBuilt:
    """The hand-built features (26,), float32."""

    spec: HandBuiltSpec

    kind = HAND_BUILT
    dataset = VALUES
    dtype = np.float32
    limit = "audio.sample_rate"
    resample_samples = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """(26,)."""
        return (len(FEATURES),)

    @property
    def least_samples(self) -> int:
        """One frame."""
        return round(self.spec.frame_seconds * self.spec.sample_rate)

    @property
    def spectrograms(self) -> tuple[SpectrogramSpec, ...]:
        """Those that are computed of a block, each once."""
        return (spectrogram_of(self.spec),)

    @property
    def sample_rate(self) -> int:
        """Of the sound, Hz."""
        return self.spec.sample_rate

    @property
    def max_hz(self) -> float:
        """Half the rate: roll-off and centroid are of the whole spectrum."""
        return self.spec.sample_rate / 2

    def attributes(self) -> dict[str, Any]:
        """All parameters, and the names of the columns."""
        return {"kind": self.kind, "max_hz": self.max_hz, "columns": " ".join(FEATURES), **asdict(self.spec)}

    def render(self, samples: Floats, *, offset: float, gain: float, scratch: Scratch) -> Floats:
        """Compute the features of a block; each takes the block's mean away, so `offset` changes none."""
        del offset
        return hand_built_features(samples, self.spec, gain=gain, scratch=scratch)


def stack_of(attributes: Mapping[str, Any]) -> StackSpec:
    """The stack that the attributes of a rendered file describe."""
    values = json.loads(attributes["stack"])
    channels = [
        ChannelSpec(**{**channel, "spectrogram": SpectrogramSpec(**channel["spectrogram"])})
        for channel in values.pop("channels")
    ]
    return StackSpec(channels=tuple(channels), **values)


def reached_hz(representation: Representation | Faces, n_samples: int) -> float:
    """True frequency, Hz, up to which a block of `n_samples` is looked at; above half the rate there is nothing."""
    stretch = representation.resample_samples / n_samples if representation.resample_samples else 1.0
    return min(representation.max_hz * stretch, representation.sample_rate / 2)


def _resampled(samples: Floats, offset: float, n_samples: int) -> tuple[Floats, float]:
    """Samples and what is still to be taken from them: a constant rings at the ends when it is resampled."""
    if not n_samples or n_samples == len(samples):
        return samples, offset
    return resample_to(samples - np.float32(offset), n_samples), 0.0
