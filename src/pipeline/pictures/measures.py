"""Measures of a block's sound that filters are ranked by, after Anand and Verma (2015), Figure 5.

The paper names them - different pitches, high and mid-range formants, periodicity, silence - without formulas, so these
are chosen here, from the hand-built features (`features.hand_built`, frames and pitch as there). None depends on the
level:

- high pitch, low pitch: the hand-built `pitch`, Hz, and its negative. Undefined where the block is unvoiced.
- mid formants: power from 1 to 2 kHz, dB, over that from 0 to 4 kHz (`energy_2` over all four energies).
- high formants: power from 2 to 4 kHz, dB, over that from 0 to 4 kHz (`energy_3` and `energy_4`).
- periodicity: share of the frames that are voiced, 0 to 1.
- silence: share of the frames whose power is 30 dB or more below the block's strongest (`pitch.QUIET`), 0 to 1.

Digital silence has no formants and no pitch, no periodicity, and silence 1.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.features.hand_built import FEATURES, HandBuiltSpec, hand_built_features, spectrogram_of
from pipeline.features.pitch import QUIET, pitch_of_frames
from pipeline.features.scratch import Scratch
from pipeline.features.spectrogram import power_spectral_density

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

MEASURES = {
    "high pitch": "fundamental frequency, Hz",
    "low pitch": "fundamental frequency, Hz, turned round",
    "mid formants": "power from 1 to 2 kHz over 0 to 4 kHz",
    "high formants": "power from 2 to 4 kHz over 0 to 4 kHz",
    "periodicity": "share of voiced frames",
    "silence": "share of frames 30 dB below the strongest",
}


def measure_block(samples: Floats, spec: HandBuiltSpec, *, scratch: Scratch | None = None) -> Mapping[str, float]:
    """Every measure of one block (n,); NaN where it is undefined.

    Raises
    ------
    ParamsError
        If the block is shorter than a frame.
    """
    scratch = scratch or Scratch()
    values = dict(zip(FEATURES, hand_built_features(samples, spec, scratch=scratch).tolist(), strict=True))
    centred = samples - np.float32(samples.mean(dtype=np.float64))
    own = spectrogram_of(spec)
    density = power_spectral_density(centred, own, scratch=scratch)
    power = density.sum(axis=1, dtype=np.float64)
    pitches = pitch_of_frames(density, own, min_pitch_hz=spec.min_pitch_hz, max_pitch_hz=spec.max_pitch_hz)
    bands = 10 ** (np.array([values[f"energy_{i}"] for i in (1, 2, 3, 4)]) / 10)
    sounds = bool(power.max() > 0)
    pitch = values["pitch"] or np.nan
    return {
        "high pitch": pitch,
        "low pitch": -pitch,
        "mid formants": _decibels(bands[1] / bands.sum()) if sounds else np.nan,
        "high formants": _decibels(bands[2:].sum() / bands.sum()) if sounds else np.nan,
        "periodicity": float((pitches > 0).mean()),
        "silence": float((power <= QUIET * power.max()).mean()),
    }


def rank_correlations(activations: Doubles, measure: Doubles) -> tuple[Doubles, int]:
    """Spearman's correlation (n_filters,) of each column of activations (n, n_filters) with a measure (n,).

    Blocks without the measure are left out; what does not vary has no correlation: NaN.

    Returns
    -------
    The correlations, and of how many blocks they are.
    """
    from scipy.stats import rankdata

    has = np.isfinite(measure)
    n = int(has.sum())
    if n < 2:
        return np.full(activations.shape[1], np.nan), n
    of_filters, of_measure = rankdata(activations[has], axis=0), rankdata(measure[has])
    of_filters, of_measure = of_filters - of_filters.mean(axis=0), of_measure - of_measure.mean()
    lengths = np.sqrt(np.square(of_filters).sum(axis=0) * np.square(of_measure).sum())
    products = of_measure @ of_filters
    return np.divide(products, lengths, out=np.full(len(lengths), np.nan), where=lengths > 0), n


def _decibels(share: float) -> float:
    return float(10 * np.log10(share))
