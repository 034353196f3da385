"""Anomalous values of hand-built features, and the medians that replace them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelError

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Replacements:
    """Per feature (n_features,): what is not anomalous, from `low` to `high`, and what anything else becomes."""

    low: Doubles
    high: Doubles
    median: Doubles

    def apply(self, features: Floats) -> tuple[Floats, NDArray[np.int64]]:
        """Features (n, n_features) with anomalous values replaced, and how many were, per feature (n_features,)."""
        anomalous = ~((features >= self.low) & (features <= self.high))  # NaN is neither
        return np.where(anomalous, self.median, features).astype(np.float32), anomalous.sum(axis=0)


def fit_replacements(
    features: Floats, rng: np.random.Generator, *, most_deviations: float = 10.0, n_points: int = 1000
) -> Replacements:
    """Learn from the features (n, n_features) of training blocks what is anomalous, and what replaces it.

    Anand and Verma (2015), Convoluting Feelings, replace anomalous values by "the median of 1000 randomly selected
    points from the dataset" and do not say which they are. Here: NaN and infinities, and what lies further than
    `most_deviations` robust standard deviations (1.4826 times the median absolute deviation) from the feature's median;
    where that deviation is zero, since half of the values are equal, no finite value is. The median is that of
    `n_points` of the feature's other values, drawn without repeats; of all of them where there are no more.

    Raises
    ------
    ModelError
        Naming the first feature that has no finite value.
    """
    low, high, median = (np.zeros(features.shape[1]) for _ in range(3))
    for place, column in enumerate(features.T):
        finite = column[np.isfinite(column)].astype(np.float64)
        if not len(finite):
            raise ModelError(f"feature {place} of {features.shape[1]}: none of {len(column)} blocks has a finite value")
        middle = np.median(finite)
        reach = most_deviations * 1.4826 * np.median(np.abs(finite - middle))
        reach = reach if reach > 0 else np.inf
        largest = np.finfo(np.float32).max
        low[place], high[place] = max(middle - reach, -largest), min(middle + reach, largest)
        usual = finite[(finite >= low[place]) & (finite <= high[place])]
        median[place] = np.median(rng.choice(usual, size=min(n_points, len(usual)), replace=False))
    return Replacements(low, high, median)
