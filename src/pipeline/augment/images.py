"""Altered images: brightness, contrast, random grey, for training only; drawn per block and epoch, not per batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ParamsError

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Jitter:
    """How far images are altered.

    Attributes
    ----------
    brightness, contrast
        Factors are drawn evenly from 1 - this to 1 + this; 0 to 1, 0 alters nothing.
    grey
        Probability that an image loses its colours.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    grey: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises
        ------
        ParamsError
            If one is.
        """
        for name in ("brightness", "contrast", "grey"):
            if not 0 <= getattr(self, name) <= 1:
                raise ParamsError(f"augmentation of images: {name} is {getattr(self, name)!r}: give 0 to 1")

    @property
    def alters_nothing(self) -> bool:
        """Whether images stay as they are."""
        return self.brightness == self.contrast == self.grey == 0


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is done to each of some images: factors of brightness and contrast, and whether colours go, (n,) each."""

    brightness: Floats
    contrast: Floats
    grey: NDArray[np.bool_]


def draw_changes(jitter: Jitter, indices: Sequence[int], *, seed: int, epoch: int) -> Changes:
    """Draw what is done to some blocks' images in one epoch.

    Each block has random numbers of its own, three of them, seeded by `seed`, `epoch` and its index, so neither the
    order of a batch, nor what else is in it, nor who computes it changes an image; nor does one of the three options
    change what is drawn for the others.

    Parameters
    ----------
    indices
        Index of each image's block among all blocks (n,), from 0.
    """
    drawn = np.array([np.random.default_rng([seed, epoch, int(index)]).random(3) for index in indices])
    brightness, contrast, grey = drawn.reshape(-1, 3).T
    return Changes(
        brightness=_spread(brightness, jitter.brightness),
        contrast=_spread(contrast, jitter.contrast),
        grey=grey < jitter.grey,
    )


def _spread(drawn: NDArray[np.float64], width: float) -> Floats:
    return (1 + width * (2 * drawn - 1)).astype(np.float32)


def alter_images(images: Images, changes: Changes) -> Images:
    """Alter images (n, height, width, 3): brightness, then contrast, then grey, each rounded to bytes downwards.

    Brightness multiplies by a factor. Contrast moves each value away from the mean of the image's grey, or towards it:
    factor * value + (1 - factor) * mean. Both are cut off at 0 and 255. Grey is 0.2989 red + 0.587 green + 0.114 blue,
    in all three channels. (torchvision.transforms.v2: adjust_brightness, adjust_contrast, rgb_to_grayscale.)

    Returns
    -------
    New images of the same shape.
    """
    from pipeline.augment.pixels import alter_pixels  # compiled: only altering waits for it

    n, height, width, _ = images.shape
    altered, flat = np.empty((n, height * width, 3), dtype=np.uint8), images.reshape(n, height * width, 3)
    alter_pixels(altered, np.ascontiguousarray(flat), changes.brightness, changes.contrast, changes.grey)
    return altered.reshape(images.shape)
