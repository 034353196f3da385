"""Fundamental frequency of frames by the autocorrelation that lies in their power spectra.

After Boersma (1993), Proc. Inst. Phonetic Sciences 17, 97-110, with his values of the constants.
"""

import functools

import numpy as np
from numpy.typing import NDArray

from pipeline.compiled import compiled
from pipeline.errors import ParamsError
from pipeline.features.spectrogram import SpectrogramSpec, make_window

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

VOICED_FROM, OCTAVE_COST = 0.45, 0.01  # of the autocorrelation of lag 0
QUIET = 1e-3  # a frame this far below the block's strongest, in power, is not voiced: 30 dB
TAPS, STEPS = 8, 4  # of the sinc: lags on each side, and places looked at a lag


def pitch_of_frames(
    density: Floats, spec: SpectrogramSpec, *, min_pitch_hz: float = 75.0, max_pitch_hz: float = 600.0
) -> Floats:
    """Fundamental frequencies (n_frames,), Hz, of frames by their densities (n_frames, n_bins); 0 where unvoiced.

    The density is that of `spec`, whose FFT is at least half as long again as its window. What is looked for is the
    best local maximum of the autocorrelation of the windowed frame, divided by that of the window, between the lags of
    `max_pitch_hz` and `min_pitch_hz`; it is placed between samples by a windowed sinc; an octave more of lag
    costs OCTAVE_COST. A frame whose best is below VOICED_FROM is unvoiced, and so is one QUIET beside the strongest.

    Raises
    ------
    ParamsError
        If a frame is too short for the lowest pitch.
    """
    from scipy.fft import irfft

    window_correlation = _window_correlation(spec, min_pitch_hz, max_pitch_hz)
    # a density's inner bins count both sides; its two ends have been halved
    spectrum = density.copy()
    spectrum[:, [0, -1]] *= 2
    correlation: Floats = irfft(spectrum, axis=1)[:, : len(window_correlation) + TAPS]
    pitches = np.zeros(len(density), np.float32)
    first = max(int(spec.sample_rate / max_pitch_hz), 1)
    lowest = np.float32(min_pitch_hz / spec.sample_rate)
    _best_lags(pitches, correlation, window_correlation, first, lowest, _sinc_table())
    pitches *= np.float32(spec.sample_rate)
    return pitches


@functools.lru_cache(maxsize=16)
def _window_correlation(spec: SpectrogramSpec, min_pitch_hz: float, max_pitch_hz: float) -> Floats:
    """Autocorrelation of the window, of lag 0, up to one lag beyond the longest that is looked at.

    Raises
    ------
    ParamsError
        If a frame is too short for the lowest pitch.
    """
    longest = int(np.ceil(spec.sample_rate / min_pitch_hz))
    if longest + 2 + TAPS > spec.window_length // 2 or max_pitch_hz <= min_pitch_hz:
        raise ParamsError(
            f"pitch: frames of {spec.window_length / spec.sample_rate:g} s hold no two periods of {min_pitch_hz:g} Hz: "
            "make frames longer, or raise the lowest pitch (below the highest)"
        )
    window = make_window(spec.window, spec.window_length)
    correlation = np.correlate(window, window, mode="full")[spec.window_length - 1 :]
    own: Floats = (correlation[: longest + 2] / correlation[0]).astype(np.float32)
    return own


@functools.lru_cache(maxsize=1)
def _sinc_table() -> Doubles:
    """Weights (2 STEPS + 1, 2 TAPS + 1) of the lags around one, for its places from a lag before it to a lag after.

    The tapered sinc is changed as little as makes it exact for cubics: else its ripple would move the top of a smooth
    maximum.
    """
    lags, places = np.arange(-TAPS, TAPS + 1), np.arange(-STEPS, STEPS + 1) / STEPS
    rows = []
    for place in places:
        distance = (lags - place) / (TAPS + 1.5)
        taper = np.cos(np.pi / 2 * distance) ** 2
        weights = np.sinc(lags - place) * taper
        powers = distance[:, None] ** np.arange(4)  # of which only the zeroth is one at the place itself
        missing = np.array([1.0, 0, 0, 0]) - powers.T @ weights
        rows.append(weights + taper * (powers @ np.linalg.solve(powers.T @ (taper[:, None] * powers), missing)))
    return np.stack(rows)


@compiled
def _top(correlation: Floats, window: Floats, lag: int, sincs: Doubles) -> tuple[float, float]:
    """Place and height of the maximum around a lag, in parts of one and then by a parabola, over the window's own."""
    steps, taps = len(sincs) // 2, sincs.shape[1] // 2
    heights = np.zeros(len(sincs))
    best = 0
    for i in range(len(sincs)):
        for tap in range(sincs.shape[1]):
            heights[i] += sincs[i, tap] * correlation[abs(lag - taps + tap)]
        part = (i - steps) / steps
        slope = window[lag + 1] - window[lag] if i > steps else window[lag] - window[lag - 1]
        heights[i] /= window[lag] + part * slope
        if heights[i] > heights[best]:
            best = i
    place = lag + (best - steps) / steps
    if best in (0, len(sincs) - 1):
        return place, heights[best]
    before, here, after = heights[best - 1], heights[best], heights[best + 1]
    bend = before - 2 * here + after
    if bend >= 0:
        return place, here
    return place + 0.5 * (before - after) / bend / steps, here - 0.125 * (before - after) * (before - after) / bend


@compiled
def _best_lags(pitches: Floats, correlations: Floats, window: Floats, first: int, lowest: float, sincs: Floats) -> None:
    """Frequencies (n_frames,), of the rate as `lowest` is, of the best maxima of correlations (n_frames, lags)."""
    strongest = np.float32(0)
    for frame in range(len(correlations)):
        strongest = max(strongest, correlations[frame, 0])
    for frame in range(len(correlations)):
        power = correlations[frame, 0]
        if power <= strongest * np.float32(QUIET) or power <= 0:
            continue
        best = np.float32(-1)
        for lag in range(first, len(window) - 1):
            before = correlations[frame, lag - 1] / window[lag - 1]
            here = correlations[frame, lag] / window[lag]
            after = correlations[frame, lag + 1] / window[lag + 1]
            # between samples it may be higher by half: a sinc falls to 0.64 half a sample from its top
            if here < before or here <= after or here < 0.5 * VOICED_FROM * power:
                continue
            place, height = _top(correlations[frame], window, lag, sincs)
            height /= power
            if height > 1:  # no correlation is
                height = 1 / height
            strength = height - OCTAVE_COST * np.log2(lowest * place)
            if height >= VOICED_FROM and strength > best:
                best = strength
                pitches[frame] = 1 / place
