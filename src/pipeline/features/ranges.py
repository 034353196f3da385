"""From which decibels to which the colours of a picture run, where each picture has its own range."""

import numpy as np
from numpy.typing import NDArray

from pipeline.features.spectrogram import FLOOR_DB

Floats = NDArray[np.float32]
LEAST_RANGE_DB = 1.0


def own_range(
    decibels: Floats, *, low_percentile: float = 0.0, high_percentile: float = 100.0, most_db: float = 120.0
) -> tuple[float, float]:
    """Low and high end, dB, of the colours of one picture, from its own values.

    Digital silence says nothing about how quiet a recording is, so values at FLOOR_DB do not count, and the range is
    never wider than `most_db` below its high end. Nor is it ever narrower than LEAST_RANGE_DB: a constant picture lies
    at the low end of its range and is all of the first colour, and so is a silent one.

    Parameters
    ----------
    decibels
        Any shape, as of `spectrogram.band_decibels`.
    low_percentile, high_percentile
        Which values are the ends, 0 to 100: 0 and 100 are the least and the greatest.
    most_db
        Widest range, dB.
    """
    least, most = float(decibels.min()), float(decibels.max())
    if most <= FLOOR_DB:
        return FLOOR_DB, FLOOR_DB + LEAST_RANGE_DB
    if least <= FLOOR_DB or (low_percentile, high_percentile) != (0, 100):
        counted = decibels[decibels > FLOOR_DB]
        least, most = (float(end) for end in np.percentile(counted, [low_percentile, high_percentile]))
    low = max(least, most - most_db)
    return low, max(most, low + LEAST_RANGE_DB)
