"""The pixels of altered images, compiled."""

import numpy as np
from numpy.typing import NDArray

from pipeline.compiled import compiled

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]

# Weights of red, green and blue in grey, in ten-thousandths; they sum to one short of one, as torchvision's do.
RED, GREEN, BLUE, WHOLE = 2989, 5870, 1140, 10_000


@compiled
def alter_pixels(
    altered: Images, images: Images, brightness: Floats, contrast: Floats, grey: NDArray[np.bool_]
) -> None:
    """Fill `altered` (n, pixels, 3) as `images.alter_images` says."""
    table = np.empty(256, np.uint8)  # what becomes of each value
    for image in range(len(images)):
        pixels, out = images[image], altered[image]
        for value in range(256):
            table[value] = np.uint8(min(np.float32(value) * brightness[image], np.float32(255)))
        if contrast[image] != 1 and len(pixels):
            total = 0
            for i in range(len(pixels)):
                total += _grey(table[pixels[i, 0]], table[pixels[i, 1]], table[pixels[i, 2]])
            factor = contrast[image]
            rest = np.float32(total / len(pixels)) * (np.float32(1) - factor)
            for value in range(256):
                moved = np.float32(table[value]) * factor + rest
                table[value] = np.uint8(min(max(moved, np.float32(0)), np.float32(255)))
        if grey[image]:
            for i in range(len(pixels)):
                out[i, :] = _grey(table[pixels[i, 0]], table[pixels[i, 1]], table[pixels[i, 2]])
        else:
            for i in range(len(pixels)):
                for channel in range(3):
                    out[i, channel] = table[pixels[i, channel]]


@compiled
def _grey(red: int, green: int, blue: int) -> int:
    return (RED * red + GREEN * green + BLUE * blue) // WHOLE
