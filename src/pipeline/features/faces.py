"""A frame of a video as a picture of a chosen size."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.params import sections


@dataclass(frozen=True, kw_only=True)
class Faces:
    """The frame that a block's video shows at its middle, as a picture (height, width, 3).

    It stands beside the representations that are made of sound, and states of itself what they state.

    Attributes
    ----------
    height, width
        Pixels.
    crop
        What of a frame is seen: none (the whole) or square (the largest square in its middle).
    sample_rate
        Of the sound in which blocks are counted, Hz.
    """

    height: int
    width: int
    crop: str
    sample_rate: int

    kind = "faces"
    dataset = "images"
    dtype = np.uint8
    limit = "audio.sample_rate"
    least_samples = 1
    max_hz = 0.0  # none of its sound is looked at
    spectrograms = ()
    resample_samples = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """(height, width, 3)."""
        return (self.height, self.width, 3)

    def attributes(self) -> dict[str, Any]:
        """All that defines it, as plain numbers and texts."""
        return {
            "kind": self.kind,
            "sample_rate": self.sample_rate,
            "height": self.height,
            "width": self.width,
            "crop": self.crop,
        }

    def draw(self, pixels: NDArray[np.uint8], *, aspect: float) -> NDArray[np.uint8]:
        """Resize what is seen of a frame (rows, columns, 3), whatever its proportions, by a triangle that antialiases.

        Parameters
        ----------
        aspect
            Width of a pixel over its height, where the frame is shown: a square is one on the screen.
        """
        rows, columns, _ = pixels.shape
        left = top = 0.0
        if self.crop == "square":
            side = min(rows, columns * aspect)  # in heights of a pixel
            left, top = (columns - side / aspect) / 2, (rows - side) / 2
        box = (left, top, columns - left, rows - top)
        frame = Image.fromarray(pixels)
        return np.asarray(frame.resize((self.width, self.height), Image.Resampling.BILINEAR, box=box))


def choose_faces(
    chosen: sections.Representation, image: sections.Image, faces: sections.Faces, *, sample_rate: int
) -> Faces | None:
    """Put together how frames become pictures; None where `representation.kind` is another."""
    if chosen.kind != "faces":
        return None
    return Faces(height=image.height, width=image.width, crop=faces.crop, sample_rate=sample_rate)
