"""What a block becomes, as pictures with ticks or as a list of figures."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.errors import ShowError
from pipeline.features.chosen import choose_representation
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
from pipeline.video import read_frames


@dataclass(frozen=True)
class Column:
    """What becomes of a block: pictures, and names and values of features.

    Attributes
    ----------
    side
        Pixels about which a picture's longer side is enlarged to, by a whole factor.
    """

    name: str
    panels: Sequence[Picture | tuple[str, str]]
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
    representation = choose_representation(
        params.representation,
        params.spectrogram,
        params.image,
        params.stack,
        params.features,
        params.faces,
        sample_rate=params.audio.sample_rate,
    )
    if isinstance(representation, Faces):
        return [_frame(shown, representation)]
    n_samples = representation.resample_samples or len(shown.samples)
    if n_samples < representation.least_samples:
        raise ShowError(
            f"{shown.name}: its block has {n_samples} samples, and representation.kind {representation.kind} needs "
            f"{representation.least_samples}: use shorter windows or frames, or longer blocks"
        )
    gain = 10 ** (shown.gain.gain_db / 20)
    values = representation.render(shown.samples, offset=shown.gain.offset, gain=gain, scratch=Scratch())
    if representation.kind == "features":
        return [(name, f"{value:.6g}") for name, value in zip(FEATURES, values.tolist(), strict=True)]
    attributes = _attributes(representation, shown.samples, shown.gain.offset, gain)
    return pictures_of(np.asarray(values), attributes, n_samples=len(shown.samples))


def _frame(shown: ShownBlock, faces: Faces) -> Picture:
    (frame,) = read_frames(shown.path, [shown.middle_seconds])
    (picture,) = pictures_of(
        faces.draw(frame.pixels, aspect=frame.aspect), faces.attributes(), n_samples=len(shown.samples)
    )
    return picture


def _attributes(representation: Representation, samples: Samples, offset: float, gain: float) -> dict[str, Any]:
    """What a file of it would state; a picture of its own range states which that is here."""
    attributes = representation.attributes()
    if isinstance(representation, Coloured) and representation.own_range and not representation.resample_samples:
        decibels = band_decibels(samples, representation.spectrogram, offset=offset, gain=gain)
        low, high = own_range(decibels, **asdict(representation.own_range))
        del attributes["range"]
        attributes |= {"low_db": low, "high_db": high}
    return attributes
