"""What a block becomes, as pictures with ticks or as a list of figures."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ShowError
from pipeline.features.chosen import representation_of
from pipeline.features.faces import Faces
from pipeline.features.hand_built import FEATURES
from pipeline.features.ranges import own_range
from pipeline.features.representations import Picture as Coloured
from pipeline.features.representations import Representation
from pipeline.features.scratch import Scratch
from pipeline.features.spectrogram import band_decibels
from pipeline.params import Params
from pipeline.report.spectrograms import Picture, pictures_of
from pipeline.show.block import Samples, ShownBlock
from pipeline.show.chart import Chart
from pipeline.video import read_frames


@dataclass(frozen=True)
class Column:
    """What becomes of a block: pictures, charts, and names and values of features.

    Attributes
    ----------
    side
        Pixels about which a picture's longer side is enlarged to, by a whole factor.
    """

    name: str
    panels: Sequence[Picture | Chart | tuple[str, str]]
    caption: str
    side: int = 400


def panels_of(shown: ShownBlock, params: Params) -> Sequence[Picture] | Sequence[tuple[str, str]]:
    """Represent a block as the parameters say.

    Raises
    ------
    ShowError
        If the block is too short for the representation.
    AudioError
        If it is of a video whose frames are to be seen, and they cannot be read.
    """
    representation = representation_of(params)
    values = values_of(shown, representation)
    if representation.kind == "features":
        return [(name, f"{value:.6g}") for name, value in zip(FEATURES, values.tolist(), strict=True)]
    gain = 10 ** (shown.gain.gain_db / 20)
    attributes = _attributes(representation, shown.samples, shown.gain.offset, gain)
    return pictures_of(np.asarray(values), attributes, n_samples=len(shown.samples))


def values_of(shown: ShownBlock, representation: Representation | Faces) -> NDArray[Any]:
    """Represent a block, normalised as it is to be.

    Raises
    ------
    ShowError
        If the block is too short for the representation.
    AudioError
        If it is of a video whose frames are to be seen, and they cannot be read.
    """
    if isinstance(representation, Faces):
        (frame,) = read_frames(shown.path, [shown.middle_seconds])
        return representation.draw(frame.pixels, aspect=frame.aspect)
    n_samples = representation.resample_samples or len(shown.samples)
    if n_samples < representation.least_samples:
        raise ShowError(
            f"{shown.name}: its block has {n_samples} samples, and representation.kind {representation.kind} needs "
            f"{representation.least_samples}: use shorter windows or frames, or longer blocks"
        )
    gain = 10 ** (shown.gain.gain_db / 20)
    return representation.render(shown.samples, offset=shown.gain.offset, gain=gain, scratch=Scratch())


def _attributes(representation: Representation | Faces, samples: Samples, offset: float, gain: float) -> dict[str, Any]:
    """What a file of it would state; a picture of its own range states which that is here."""
    attributes = representation.attributes()
    if isinstance(representation, Coloured) and representation.own_range and not representation.resample_samples:
        decibels = band_decibels(samples, representation.spectrogram, offset=offset, gain=gain)
        low, high = own_range(decibels, **asdict(representation.own_range))
        del attributes["range"]
        attributes |= {"low_db": low, "high_db": high}
    return attributes
