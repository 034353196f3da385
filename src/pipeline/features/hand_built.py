"""The 26 hand-built features of a block: Anand and Verma (2015), Convoluting Feelings, Table 1.

The table names them and counts them; its appendix of definitions was not published, so these are chosen here. Of every
block its mean is taken first. Spectra are of Hann windows of `frame_seconds`, every `hop_seconds`; "the spectrum" is
the mean of their densities, and each bin's power lies evenly over the width of a bin.

- rms (1): root mean square of the samples, of full scale.
- mfcc_0 ... mfcc_12 (13): mean over frames of the coefficients of 40 Slaney mel bands up to half the rate or 8 kHz.
- zero_crossings (1): changes of sign a second; a zero sample has the sign of the last sample that is none. A sine of f
  Hz has 2 f.
- energy_1 ... energy_4 (4): power in dB re full scale squared from 0 to 1, to 2, to 3 and to 4 kHz: around 500, 1500,
  2500 and 3500 Hz, the formants of an even tube of 17 cm, closed at one end (Fant, 1960).
- roll_off_25, _50, _75, _85, _95 (5): the frequency, Hz, below which that percentage of the spectrum's power lies.
- centroid (1): mean frequency of the spectrum's power, Hz.
- pitch (1): fundamental frequency, Hz, as of `pitch.pitch_of_frames`: the median of the voiced frames; 0 if
  fewer than a tenth of the frames are voiced.

Levels are never below LEAST_DB. So digital silence has these values: mfcc_0 LEAST_DB sqrt(40), energies LEAST_DB, and 0
for all others.
"""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.compiled import compiled
from pipeline.errors import ParamsError
from pipeline.features.pitch import pitch_of_frames
from pipeline.features.scratch import Scratch
from pipeline.features.spectrogram import SpectrogramSpec, band_decibels, power_spectral_density
from pipeline.features.stack import mfcc

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

N_MFCC, N_MEL_BANDS, MEL_TOP_HZ = 13, 40, 8000.0
BAND_EDGES_HZ = (0.0, 1000.0, 2000.0, 3000.0, 4000.0)
ROLL_OFFS = (25, 50, 75, 85, 95)  # per cent
LEAST_DB = -160.0  # below the noise of 16 bits: -98 dB re full scale squared, -137 dB/Hz at 16 kHz
LEAST_VOICED = 0.1  # of a block's frames

FEATURES = (
    "rms",
    *(f"mfcc_{i}" for i in range(N_MFCC)),
    "zero_crossings",
    *(f"energy_{i}" for i in range(1, len(BAND_EDGES_HZ))),
    *(f"roll_off_{share}" for share in ROLL_OFFS),
    "centroid",
    "pitch",
)


@dataclass(frozen=True)
class HandBuiltSpec:
    """What is chosen about the features; the rest is said at the top of this module."""

    sample_rate: int  # Hz
    frame_seconds: float = 0.04  # three periods of the lowest pitch
    hop_seconds: float = 0.01
    min_pitch_hz: float = 75.0
    max_pitch_hz: float = 600.0


@functools.lru_cache(maxsize=16)
def spectrogram_of(spec: HandBuiltSpec) -> SpectrogramSpec:
    """Frames of the spectra; the FFT is so long that lags of half a frame do not wrap round."""
    window_length = round(spec.frame_seconds * spec.sample_rate)
    return SpectrogramSpec(
        sample_rate=spec.sample_rate,
        window="hann",
        window_length=window_length,
        hop_seconds=spec.hop_seconds,
        fft_length=1 << (window_length + window_length // 2 - 1).bit_length(),
        axis="slaney",
        n_bands=N_MEL_BANDS,
        min_hz=0.0,
        max_hz=min(MEL_TOP_HZ, spec.sample_rate / 2),
        n_columns=0,
    )


def hand_built_features(
    samples: Floats, spec: HandBuiltSpec, *, gain: float = 1.0, scratch: Scratch | None = None
) -> Floats:
    """The features (26,) of a block (n,), in the order of FEATURES; samples are first multiplied with `gain`.

    Raises
    ------
    ParamsError
        If the block is shorter than a frame.
    """
    scratch = scratch or Scratch()
    own = spectrogram_of(spec)
    if len(samples) < own.window_length:
        raise ParamsError(
            f"hand-built features: a block has {len(samples)} samples, fewer than a frame of {own.window_length}: "
            "make blocks longer"
        )
    offset = np.float32(samples.mean(dtype=np.float64))
    centred = np.subtract(samples, offset, out=scratch.take("centred", samples.shape))
    centred *= np.float32(gain)
    square, crossings = _square_and_crossings(centred)
    density = power_spectral_density(centred, own, scratch=scratch)
    decibels = band_decibels(centred, own, scratch=scratch)
    levels = np.maximum(decibels, np.float32(LEAST_DB)).mean(axis=1, dtype=np.float64)
    return np.concatenate(
        [
            [np.sqrt(square)],
            mfcc(levels[:, None], N_MFCC)[:, 0],
            [crossings * spec.sample_rate / len(samples)],
            *_of_spectrum(density.mean(axis=0, dtype=np.float64), own),
            [_pitch(density, spec)],
        ]
    ).astype(np.float32)


@compiled
def _square_and_crossings(samples: Floats) -> tuple[float, int]:
    """Mean square of samples (n,), and how often their sign changes."""
    square, crossings, last = 0.0, 0, np.float32(0)
    for sample in samples:
        square += np.float64(sample) * sample
        if sample != 0:
            if (sample > 0) != (last > 0) and last != 0:
                crossings += 1
            last = sample
    return square / len(samples), crossings


def _of_spectrum(density: Doubles, spec: SpectrogramSpec) -> tuple[Doubles, Doubles, Doubles]:
    """Energies of the bands, dB, roll-offs, Hz, and centroid, Hz, of a density (n_bins,)."""
    spacing = spec.sample_rate / spec.fft_length
    power = density * spacing  # of each bin
    bins = np.arange(len(power)) * spacing
    edges = np.clip((np.arange(len(power) + 1) - 0.5) * spacing, 0, spec.sample_rate / 2)
    below = np.concatenate([[0.0], np.cumsum(power)])
    energies = np.diff(np.interp(BAND_EDGES_HZ, edges, below))
    levels = np.maximum(10 * np.log10(np.maximum(energies, 1e-30)), LEAST_DB)
    if below[-1] <= 0:
        return levels, np.zeros(len(ROLL_OFFS)), np.zeros(1)
    roll_offs = np.interp(np.array(ROLL_OFFS) / 100 * below[-1], below, edges)
    return levels, roll_offs, np.array([(bins * power).sum() / below[-1]])


def _pitch(density: Floats, spec: HandBuiltSpec) -> float:
    pitches = pitch_of_frames(
        density, spectrogram_of(spec), min_pitch_hz=spec.min_pitch_hz, max_pitch_hz=spec.max_pitch_hz
    )
    voiced = pitches[pitches > 0]
    return float(np.median(voiced)) if len(voiced) >= max(1, LEAST_VOICED * len(pitches)) else 0.0
