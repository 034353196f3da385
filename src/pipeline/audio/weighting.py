"""K-weighted energy, and sums of samples: the loops of loudness over every sample, compiled."""

import functools

import numpy as np
from numpy.typing import NDArray

from pipeline.compiled import compiled

Floats = NDArray[np.float64]
Samples = NDArray[np.float32]
Integers = NDArray[np.int64]

LANES = 16  # partial sums side by side, added up in a fixed order at the end

# Frequency (Hz), quality and gain (dB) of the two filters of BS.1770, annex 1, as analogue prototypes: De Man (2014),
# "Evaluation of implementations of the EBU R128 loudness measurement", AES Convention 137.
SHELF_HZ, SHELF_Q, SHELF_DB = 1681.9744509555319, 0.7071752369554193, 3.99984385397
PASS_HZ, PASS_Q = 38.13547087613982, 0.5003270373253953
SHELF_EXPONENT = 0.499666774155  # of the gain halfway up the shelf


@functools.lru_cache
def k_weighting(sample_rate: int) -> Floats:
    """K-weighting as second-order sections (2, 6): high shelf, then high-pass, each by the bilinear transform."""
    k = np.tan(np.pi * SHELF_HZ / sample_rate)
    high = 10 ** (SHELF_DB / 20)
    middle = high**SHELF_EXPONENT
    below, above = 1 + k / SHELF_Q + k * k, 1 - k / SHELF_Q + k * k
    shelf = np.array([high + middle * k / SHELF_Q + k * k, 2 * (k * k - high), high - middle * k / SHELF_Q + k * k])
    poles = np.array([below, 2 * (k * k - 1), above])
    k = np.tan(np.pi * PASS_HZ / sample_rate)
    pass_poles = np.array([1 + k / PASS_Q + k * k, 2 * (k * k - 1), 1 - k / PASS_Q + k * k])
    return np.array([[*(shelf / below), *(poles / below)], [1.0, -2.0, 1.0, *(pass_poles / pass_poles[0])]])


@compiled
def add_weighted_energy(
    energies: Floats, points: Integers, samples: Samples, done: int, state: Floats, sections: Floats
) -> int:
    """Go on through a clip: note its K-weighted energy, the sum of squares, before each point that lies in `samples`.

    Both sections run in the transposed direct form II, whose state and the sum so far stay in registers.

    Parameters
    ----------
    energies, points
        Of each point (n,), ascending: the energy to note, and its place in samples from the start of the clip.
    done
        How many samples of the clip come before `samples`.
    state
        Four numbers of the filter's memory and the energy so far (5,), carried from call to call.

    Returns
    -------
    Number of points up to the end of `samples`.
    """
    b0, b1, b2, _, a1, a2 = sections[0]
    c0, c1, c2, _, d1, d2 = sections[1]
    s1, s2, t1, t2, total = state
    at, n_passed = 0, int(np.searchsorted(points, done))
    while at < len(samples):
        while n_passed < len(points) and points[n_passed] == done + at:
            energies[n_passed] = total
            n_passed += 1
        end = len(samples)
        if n_passed < len(points):
            end = min(end, points[n_passed] - done)
        for i in range(at, end):
            x = np.float64(samples[i])
            y = b0 * x + s1
            s1 = (b1 * x + s2) - a1 * y
            s2 = b2 * x - a2 * y
            z = c0 * y + t1
            t1 = (c1 * y + t2) - d1 * z
            t2 = c2 * y - d2 * z
            total += z * z
        at = end
    while n_passed < len(points) and points[n_passed] == done + at:
        energies[n_passed] = total
        n_passed += 1
    state[0], state[1], state[2], state[3], state[4] = s1, s2, t1, t2, total
    return n_passed


@compiled
def sums_of(samples: Samples) -> tuple[float, float, float, float]:
    """Sum, sum of squares, smallest and largest of float32 samples (n,), at least one."""
    totals, squares = np.zeros(LANES), np.zeros(LANES)
    lows, highs = np.full(LANES, samples[0]), np.full(LANES, samples[0])
    n_whole = len(samples) // LANES * LANES
    for first in range(0, n_whole, LANES):
        for lane in range(LANES):
            value = samples[first + lane]
            exact = np.float64(value)
            totals[lane] += exact
            squares[lane] += exact * exact
            lows[lane] = min(lows[lane], value)
            highs[lane] = max(highs[lane], value)
    for lane in range(len(samples) - n_whole):
        value = samples[n_whole + lane]
        exact = np.float64(value)
        totals[lane] += exact
        squares[lane] += exact * exact
        lows[lane] = min(lows[lane], value)
        highs[lane] = max(highs[lane], value)
    return totals.sum(), squares.sum(), lows.min(), highs.max()
