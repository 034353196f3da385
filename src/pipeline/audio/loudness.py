"""Loudness by ITU-R BS.1770-5 and EBU R128, other levels, and the gain that brings a level to its target.

Definitions, in one place:

- Mono is measured as one channel of weight 1.
- The K-weighting filter (`weighting`) runs once over a whole clip, from rest: its state carries over between blocks.
- Gating blocks last 400 ms and start every 100 ms from the start of what is measured; incomplete ones at the end are
  not used. What lasts under 400 ms is one gating block. Absolute gate -70 LUFS, relative gate 10 LU below the mean.
- Rates other than 44.1 and 48 kHz are resampled to 48 kHz for measuring: there the filter is within 0.005 LU.
- Where nothing passes the gates the loudness is -inf; such a block is silent and keeps its level.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.audio.resampling import at_rate
from pipeline.errors import AudioError

Floats = NDArray[np.float64]
Samples = NDArray[np.float32]

GATE_SECONDS, STEP_SECONDS = 0.4, 0.1
ABSOLUTE_GATE_LUFS, RELATIVE_GATE_LU = -70.0, -10.0
OFFSET_LUFS = -0.691  # so that a 997 Hz sine at 0 dBFS in one channel reads -3.01 LUFS
MEASURED_AS_IS = (44100, 48000)


def measuring_rate(sample_rate: int) -> int:
    """Rate at which loudness is measured for sound stored at `sample_rate`, both Hz."""
    return sample_rate if sample_rate in MEASURED_AS_IS else 48000


def gate_powers(
    pieces: Iterable[Samples], starts: NDArray[np.int64], lengths: NDArray[np.int64], *, sample_rate: int
) -> list[Floats]:
    """Mean K-weighted power of every gating block of every block of a clip.

    Parameters
    ----------
    pieces
        The clip's samples in order, in arrays of any lengths: a clip of hours is never in memory whole.
    starts, lengths
        Of each block (m,), in samples from the start of the clip.
    sample_rate
        Of the clip, Hz.

    Returns
    -------
    For each block, the powers (n_gates,) of its gating blocks.

    Raises
    ------
    AudioError
        If it holds NaN or infinity: they would pass for silence.
    """
    rate = measuring_rate(sample_rate)
    gate, step = round(GATE_SECONDS * rate), round(STEP_SECONDS * rate)
    firsts, widths = [], []
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        first, last = round(start * rate / sample_rate), round((start + length) * rate / sample_rate)
        firsts.append(np.arange(first, max(last - gate, first) + 1, step, dtype=np.int64))
        widths.append(min(gate, last - first))
    points = np.concatenate(
        [np.concatenate([first, first + width]) for first, width in zip(firsts, widths, strict=True)]
    )
    energy = _energy_before(at_rate(pieces, sample_rate, rate, quality="VHQ"), points, sample_rate=rate)
    if not np.isfinite(energy).all():
        raise AudioError("NaN or infinite samples in the sound that is to be measured: make it anew")
    powers = []
    for first, width in zip(firsts, widths, strict=True):
        before, after = energy[: len(first)], energy[len(first) : 2 * len(first)]
        powers.append(np.maximum(after - before, 0.0) / width)
        energy = energy[2 * len(first) :]
    return powers


def _energy_before(pieces: Iterable[Samples], points: NDArray[np.int64], *, sample_rate: int) -> Floats:
    """K-weighted energy, the sum of squares, from the start of a clip to each of some points (m,), in any order."""
    from pipeline.audio.weighting import add_weighted_energy, k_weighting  # compiled: only measuring waits for it

    ascending = np.unique(points)
    energies, state, sections = np.zeros(len(ascending)), np.zeros(5), k_weighting(sample_rate)
    done = n_passed = 0
    for piece in pieces:
        n_passed = add_weighted_energy(energies, ascending, piece, done, state, sections)
        done += len(piece)
    energies[n_passed:] = state[-1]  # resampling may end a sample early
    return energies[np.searchsorted(ascending, points)]


def integrated_lufs(powers: Floats) -> float:
    """Integrated loudness, LUFS, of gating blocks' powers (n,): BS.1770-5, annex 1; -inf for silence."""
    loud = powers[_lufs(powers) > ABSOLUTE_GATE_LUFS]
    if not loud.size:
        return -math.inf
    gate = float(_lufs(loud.mean())) + RELATIVE_GATE_LU
    return float(_lufs(loud[_lufs(loud) > gate].mean()))


def mean_lufs(powers: Floats) -> float:
    """Loudness, LUFS, of gating blocks' powers (n,) without any gate; -inf for digital silence."""
    return float(_lufs(powers.mean()))


def _lufs(power: Floats | np.floating) -> Floats:
    with np.errstate(divide="ignore"):
        return np.asarray(OFFSET_LUFS + 10 * np.log10(power))


@dataclass(frozen=True)
class Measurement:
    """What is measured of a stretch of sound before normalisation; stretches can be added up."""

    powers: Floats  # of its gating blocks (n_gates,), K-weighted
    n_samples: int
    total: float  # sum of the samples
    energy: float  # sum of their squares
    low: float  # smallest sample
    high: float  # largest sample

    @property
    def lufs(self) -> float:
        """Integrated loudness, LUFS."""
        return integrated_lufs(self.powers)

    @property
    def mean(self) -> float:
        """Mean of the samples."""
        return self.total / self.n_samples

    def peak(self, offset: float = 0.0) -> float:
        """Largest magnitude once `offset` is subtracted from every sample."""
        return max(self.high - offset, offset - self.low)

    def level_db(self, method: str) -> float:
        """The level that `method` (lufs, rms, peak, zscore) brings to its target: LUFS, or dB re full scale."""
        mean_square = self.energy / self.n_samples
        linear = {
            "rms": math.sqrt(mean_square),
            "peak": self.peak(),
            "zscore": math.sqrt(max(mean_square - self.mean**2, 0.0)),
        }
        return self.lufs if method == "lufs" else decibels(linear[method])


def measure(samples: Samples, powers: Floats) -> Measurement:
    """Measure samples (n,) whose gating blocks have the given powers."""
    from pipeline.audio.weighting import sums_of

    total, energy, low, high = sums_of(samples)
    return Measurement(powers, len(samples), total, energy, float(low), float(high))


def add_up(parts: Sequence[Measurement]) -> Measurement:
    """Measurement of several stretches of sound together."""
    return Measurement(
        powers=np.concatenate([part.powers for part in parts]),
        n_samples=sum(part.n_samples for part in parts),
        total=math.fsum(part.total for part in parts),
        energy=math.fsum(part.energy for part in parts),
        low=min(part.low for part in parts),
        high=max(part.high for part in parts),
    )


def decibels(amplitude: float) -> float:
    """20 log10 of an amplitude; -inf for 0."""
    return 20 * math.log10(amplitude) if amplitude > 0 else -math.inf


def choose_gain(
    level_db: float, peak: float, *, target_db: float, max_gain_db: float, limit_peak: bool
) -> tuple[float, str]:
    """Choose the gain, dB, that brings `level_db` to `target_db`, and say what is special about it.

    Silence (a level of -inf) keeps its level. No gain is above `max_gain_db`, nor, with `limit_peak`, one that would
    lift `peak` (linear, before the gain) above full scale.

    Returns
    -------
    The gain and its flag: empty, or silent, gain_capped, peak_limited, over_full_scale, joined by "+".
    """
    if level_db == -math.inf:
        return 0.0, "silent"
    gain, flags = target_db - level_db, []
    if gain > max_gain_db:
        gain, flags = max_gain_db, ["gain_capped"]
    if decibels(peak) + gain > 1e-9:
        if limit_peak:
            gain = -decibels(peak)
        flags.append("peak_limited" if limit_peak else "over_full_scale")
    return gain, "+".join(flags)
