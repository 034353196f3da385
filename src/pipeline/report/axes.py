"""Round figures along the axes of a picture, and where on the picture they truly lie."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.features.scales import AXES
from pipeline.features.spectrogram import SpectrogramSpec, frame_starts

LEAST_GAP = 0.075  # between two ticks, of the axis's length: a line of small print
SLACK = 0.01  # a tick so little outside the picture is still drawn: 0 s is the edge of the first frame, not its middle


@dataclass(frozen=True)
class Tick:
    """A round figure and its place."""

    at: float  # from the left or from the bottom, of the axis's length
    text: str


def round_values(low: float, high: float, *, at_most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten from `low` to `high`, as many as `at_most` allows.

    Parameters
    ----------
    low, high
        The range; of an empty one only its multiples of the smallest step, if any, are left.
    at_most
        Most values wanted, 2 or more.
    """
    power = 10.0 ** math.floor(math.log10(max(high - low, 1e-9) / at_most))
    for step in (factor * power for factor in (1, 2, 5, 10, 20, 50)):
        # A billionth of a step is rounding, not a place outside the range.
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < at_most:
            break
    return [number * step for number in range(first, last + 1)]


def text_of(value: float) -> str:
    """A tick's figure without rounding dust, with a minus sign and no exponent."""
    return f"{round(value, 9) + 0.0:.9f}".rstrip("0").rstrip(".").replace("-", "\N{MINUS SIGN}")


def linear_ticks(low: float, high: float, *, at_most: int) -> list[Tick]:
    """Ticks of an axis that runs evenly from `low` to `high`."""
    return [Tick((value - low) / (high - low), text_of(value)) for value in round_values(low, high, at_most=at_most)]


def height_of(hz: float, spec: SpectrogramSpec) -> float:
    """Where on a picture a frequency lies: 0 its lower edge, 1 its upper edge.

    The centres of the bands are equally spaced in the axis's own unit, and the outer two lie one such step inside
    `min_hz` and `max_hz`; each row of the matrix is drawn as high as one step. So the picture begins half a step above
    `min_hz`.
    """
    to_axis, _ = AXES[spec.axis]
    low, here, high = to_axis(np.array([spec.min_hz, hz, spec.max_hz], dtype=np.float64))
    band = (here - low) / (high - low) * (spec.n_bands + 1) - 1  # 0 at the centre of the lowest
    return float((band + 0.5) / spec.n_bands)


def hz_ticks(spec: SpectrogramSpec) -> list[Tick]:
    """Round frequencies on a picture, from the highest down, none closer to the last than a line of print."""
    even = round_values(spec.min_hz, spec.max_hz, at_most=6)
    values = even if spec.axis == "linear" else list(_one_two_five(spec.min_hz, spec.max_hz))
    ticks: list[Tick] = []
    for hz in sorted(values if len(values) > 2 else even, reverse=True):
        at = height_of(hz, spec)
        if -SLACK <= at <= 1 + SLACK and (not ticks or ticks[-1].at - at >= LEAST_GAP):
            ticks.append(Tick(at, text_of(hz)))
    return ticks


def _one_two_five(low: float, high: float) -> Iterator[float]:
    for power in range(5):
        yield from (value for value in (10.0**power, 2 * 10.0**power, 5 * 10.0**power) if low <= value <= high)


def second_ticks(n_samples: int, spec: SpectrogramSpec) -> list[Tick]:
    """Round times, in seconds from the start of a block of `n_samples`, on its picture.

    A column stands for the middle of its frame, so the picture begins half a hop before the middle of the first frame.
    """
    n_frames = len(frame_starts(n_samples, spec))
    starts = spec.window_length / 2 / spec.sample_rate - spec.hop_seconds / 2
    lasts = n_frames * spec.hop_seconds
    slack = SLACK * lasts
    values = round_values(starts - slack, starts + lasts + slack, at_most=5)
    return [Tick((value - starts) / lasts, text_of(value)) for value in values]
