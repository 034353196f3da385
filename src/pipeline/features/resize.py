"""Resizing by a triangle that widens when it shrinks: decibels in time, and colours into an image; compiled.

The kernel is that of Pillow's BILINEAR and of torch's antialiased bilinear interpolation. Images are resized along
their width, rounded to bytes, then along their height, with weights of 16 bits: bit by bit as torch does it.
"""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.compiled import compiled
from pipeline.features.scratch import Scratch

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Colours = NDArray[np.int32]  # packed, and sums of their channels


@dataclass(frozen=True)
class Taps:
    """Which inputs each output is a weighted mean of: `counts[i]` of them, from `firsts[i]` on."""

    firsts: Integers  # (n_out,)
    counts: Integers  # (n_out,)
    weights: NDArray[np.float64]  # (n_out, most taps), each row summing to one


@functools.lru_cache(maxsize=16)
def triangle_taps(n_in: int, n_out: int) -> Taps:
    """Taps of a triangle around each output's centre: on each side as wide as one input, or as one output if wider."""
    scale = n_in / n_out
    width = max(scale, 1.0)
    centres = scale * (np.arange(n_out) + 0.5)
    firsts = np.maximum((centres - width + 0.5).astype(np.int64), 0)
    counts = np.minimum((centres + width + 0.5).astype(np.int64), n_in) - firsts
    taps = np.arange(counts.max())
    distance = np.abs(firsts[:, None] + taps - centres[:, None] + 0.5) / width  # (outputs, taps)
    weights = np.where(taps < counts[:, None], np.maximum(1 - distance, 0), 0)
    return Taps(firsts, counts, weights / weights.sum(axis=1, keepdims=True))


@functools.lru_cache(maxsize=16)
def whole_weights(n_in: int, n_out: int) -> tuple[Integers, int]:
    """Weights of `triangle_taps` as whole numbers, and by how many bits they are scaled: as many as 16 bits hold."""
    weights = triangle_taps(n_in, n_out).weights
    bits = 0
    while bits < 22 and int(0.5 + weights.max() * (1 << (bits + 1))) < 1 << 15:
        bits += 1
    return (0.5 + weights * (1 << bits)).astype(np.int64), bits


def resample_time(columns: Floats, decibels: Floats) -> Floats:
    """Resample decibels (n_frames, n_bands) to as many `columns` (n_columns, n_bands) as there are."""
    taps = triangle_taps(len(decibels), len(columns))
    _resample(columns, decibels, taps.firsts, taps.counts, taps.weights.astype(np.float32))
    return columns


@compiled
def _resample(columns: Floats, decibels: Floats, firsts: Integers, counts: Integers, weights: Floats) -> None:
    n_bands = columns.shape[1]
    for column in range(len(columns)):
        for band in range(n_bands):
            columns[column, band] = 0
        for tap in range(counts[column]):
            weight, frame = weights[column, tap], firsts[column] + tap
            for band in range(n_bands):
                columns[column, band] += weight * decibels[frame, band]


def paint(image: Bytes, columns: Floats, colours: Colours, *, low: float, per_db: float, scratch: Scratch) -> None:
    """Colour decibels (n_columns, n_bands) and resize them to RGB (height, width, 3), low bands at the bottom.

    The colour of a value is that of number floor((value - low) * per_db) of `colours` (n,), those of
    `colour.packed_table`; below `low` it is the first, and above the range the last.
    """
    (n_columns, n_bands), (height, width, _) = columns.shape, image.shape
    across, down = triangle_taps(n_columns, width), triangle_taps(n_bands, height)
    coloured = scratch.take("coloured", (n_columns, n_bands), np.int32)
    narrow = scratch.take("narrow", (n_bands, 3 * width), np.uint8)
    sums = scratch.take("channels", (3, max(n_bands, width)), np.int32)
    rows = image.reshape(height, 3 * width)
    _colour(coloured, columns, np.float32(low), np.float32(per_db), colours)
    _shrink_rows(narrow, coloured, across.firsts, across.counts, *whole_weights(n_columns, width), sums)
    _shrink_columns(rows, narrow, down.firsts, down.counts, *whole_weights(n_bands, height), sums.reshape(-1))


@compiled
def _colour(coloured: Colours, columns: Floats, low: float, per_db: float, colours: Colours) -> None:
    most = np.float32(len(colours) - 1)
    for column in range(len(columns)):
        for band in range(columns.shape[1]):
            value = (columns[column, band] - low) * per_db
            coloured[column, band] = colours[np.int32(min(max(value, np.float32(0)), most))]


@compiled
def _shrink_rows(
    narrow: Bytes, coloured: Colours, firsts: Integers, counts: Integers, weights: Integers, bits: int, sums: Colours
) -> None:
    """Weighted means of colours along time: bytes (n_bands, 3 * width), the highest band first."""
    n_bands = len(narrow)
    for x in range(len(firsts)):
        sums[:] = 1 << (bits - 1)
        for tap in range(counts[x]):
            weight, column = np.int32(weights[x, tap]), firsts[x] + tap
            for band in range(n_bands):
                colour = coloured[column, band]
                sums[0, band] += weight * (colour & 255)
                sums[1, band] += weight * (colour >> 8 & 255)
                sums[2, band] += weight * (colour >> 16)
        for band in range(n_bands):
            for channel in range(3):
                narrow[n_bands - 1 - band, 3 * x + channel] = sums[channel, band] >> bits


@compiled
def _shrink_columns(
    rows: Bytes, narrow: Bytes, firsts: Integers, counts: Integers, weights: Integers, bits: int, sums: Colours
) -> None:
    """Weighted means of bytes along the bands: (height, 3 * width)."""
    n_bytes = rows.shape[1]
    for row in range(len(rows)):
        sums[:] = 1 << (bits - 1)
        for tap in range(counts[row]):
            weight, source = np.int32(weights[row, tap]), firsts[row] + tap
            for i in range(n_bytes):
                sums[i] += weight * narrow[source, i]
        for i in range(n_bytes):
            rows[row, i] = sums[i] >> bits
