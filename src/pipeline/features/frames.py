"""Frames of a block of sound -> power spectral densities -> decibels of bands, compiled.

LANES frames lie side by side: row n of an array holds sample n (or bin n) of each, so that every step is the same
operation on whole rows, at the width of the processor's registers. The spectrum of a real frame of M samples is taken
apart by halves (Sorensen et al. 1987, IEEE Trans. ASSP 35, 849-863):

- its bins 4 q + 1 are the complex transform, of length M / 4, of
  ((x[n] - x[n + M/2]) - i (x[n + M/4] - x[n + 3M/4])) exp(-2 pi i n / M); the other odd bins are their mirror images;
- its even bins are the spectrum of the real frame x[n] + x[n + M/2] of M / 2 samples.

Only powers are wanted, so mirror images cost nothing, and neither do the digit-reversed rows of the transform in place.
"""

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.compiled import compiled
from pipeline.features.scratch import Scratch

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

LANES = 64  # frames side by side: four registers of sixteen floats; the arrays of FFT 2048 then fit a cache of 1 MiB
STRIP = 16  # bands: one cache line of floats
LEAST_POWER = np.float32(1e-30)  # FLOOR_DB
SQRT_HALF_BITS = np.int32(0x3F3504F3)  # of the float32 sqrt(1/2)


class Tables(NamedTuple):
    """What is the same for every frame."""

    window: Floats  # (window_length,), scaled so that squared magnitudes are densities
    twiddles: Floats  # (fft_length, 2)
    bins: Integers  # (fft_length / 2 - 1,), as of `bins_of_rows`
    first_bins: Integers  # (n_bands,), and the next two: as of `scales.Bands`
    ends: Integers
    weights: Floats


class Room(NamedTuple):
    """Arrays to work in, for one thread at a time; from block to block they stay in the cache."""

    frames: Floats  # (fft_length, LANES), zeros
    spectrum: Floats  # (fft_length / 4, 2 LANES)
    power: Floats  # (fft_length / 2 + 1, LANES)
    sums: Floats  # (n_bands, LANES)
    levels: Floats  # (n_bands, LANES)
    parts: NDArray[np.int32]  # (n_bands, LANES)


def room_in(scratch: Scratch, *, window_length: int, fft_length: int, n_bands: int) -> Room:
    """The room that scratch memory has; each length of the window has frames of its own, whose other rows are zeros."""
    return Room(
        frames=scratch.take(f"frames {window_length}", (fft_length, LANES)),
        spectrum=scratch.take("spectrum", (fft_length // 4, 2 * LANES)),
        power=scratch.take("power", (fft_length // 2 + 1, LANES)),
        sums=scratch.take("sums", (n_bands, LANES)),
        levels=scratch.take("levels", (n_bands, LANES)),
        parts=scratch.take("parts", (n_bands, LANES), np.int32),
    )


@functools.lru_cache(maxsize=16)
def twiddles(fft_length: int) -> Floats:
    """exp(-2 pi i k / fft_length) of k = 0..fft_length - 1, real and imaginary part (fft_length, 2)."""
    angles = -2 * np.pi * np.arange(fft_length) / fft_length
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


@functools.lru_cache(maxsize=16)
def bins_of_rows(fft_length: int) -> Integers:
    """The bin that each row of each transform holds, for M = fft_length, fft_length / 2, ..., 4 one after the other."""
    bins = []
    length = fft_length
    while length >= 4:
        step = fft_length // length
        bin_ = step * (4 * _reversed_digits(length // 4) + 1)
        bins.append(np.minimum(bin_, fft_length - bin_))
        length //= 2
    return np.concatenate(bins)


def _reversed_digits(length: int) -> Integers:
    """The frequency in each row after a transform in place by fours, the last step by twos where it has to be."""
    frequencies = np.zeros(1, dtype=np.int64)
    radices = []
    while length > 1:
        radices.append(4 if length % 4 == 0 else 2)
        length //= radices[-1]
    for radix in reversed(radices):
        frequencies = np.concatenate([frequencies * radix + digit for digit in range(radix)])
    return frequencies


@compiled
def block_decibels(
    decibels: Floats, samples: Floats, starts: Integers, offset: float, gain: float, tables: Tables, room: Room
) -> None:
    """Decibels (n_frames, n_bands) of the frames of a block (n,) that begin at `starts` (n_frames,).

    From every sample `offset` is taken before it is multiplied with `gain`, both float32.
    """
    for first in range(0, len(starts), LANES):
        some = starts[first : first + LANES]
        block_powers(some, samples, offset, gain, tables, room)
        sum_bands(room.sums, room.power, tables.first_bins, tables.ends, tables.weights)
        to_decibels(room.levels.reshape(-1), room.sums.reshape(-1), room.parts.reshape(-1))
        _turn(decibels[first : first + len(some)], room.levels)


@compiled
def _turn(decibels: Floats, levels: Floats) -> None:
    """Write levels (n_bands, LANES) as decibels (n_frames, n_bands), in strips that stay in the first cache."""
    n_frames, n_bands = decibels.shape
    for first in range(0, n_bands, STRIP):
        if first + STRIP > n_bands:
            for frame in range(n_frames):
                for band in range(first, n_bands):
                    decibels[frame, band] = levels[band, frame]
            continue
        for frame in range(n_frames):
            for i in range(STRIP):
                decibels[frame, first + i] = levels[first + i, frame]


@compiled
def block_powers(starts: Integers, samples: Floats, offset: float, gain: float, tables: Tables, room: Room) -> None:
    """Densities of up to LANES frames into `room.power`; at 0 Hz and half the rate one-sided too, that is, halved."""
    load_frames(room.frames, samples, starts, offset, gain, tables.window)
    powers_of_frames(room.power, room.frames, room.spectrum, len(tables.window), tables.twiddles, tables.bins)
    for lane in range(LANES):
        room.power[0, lane] *= np.float32(0.5)
        room.power[-1, lane] *= np.float32(0.5)


@compiled
def load_frames(frames: Floats, samples: Floats, starts: Integers, offset: float, gain: float, window: Floats) -> None:
    """Fill the rows of `frames` (fft_length, LANES) that the window (n,) covers; lanes without a frame with zeros."""
    n_frames = len(starts)
    for row in range(len(window)):
        weight = window[row]
        for lane in range(n_frames):
            frames[row, lane] = (samples[starts[lane] + row] - offset) * gain * weight
        for lane in range(n_frames, LANES):
            frames[row, lane] = 0


@compiled
def powers_of_frames(
    power: Floats, frames: Floats, spectrum: Floats, n_filled: int, table: Floats, bins: Integers
) -> None:
    """Squared magnitudes (fft_length / 2 + 1, LANES) of the spectra of `frames` (fft_length, LANES), overwriting these.

    `spectrum` (fft_length / 4, 2 LANES) is room to work in; rows of `frames` from `n_filled` on are zeros, and stay so.
    """
    fft_length = len(frames)
    length, done = fft_length, 0
    while length >= 4:
        quarter = length // 4
        _odd_bins(spectrum, frames, quarter, n_filled, table)
        _transform(spectrum, quarter, table)
        for row in range(quarter):
            bin_ = bins[done + row]
            for lane in range(LANES):
                real, imaginary = spectrum[row, lane], spectrum[row, LANES + lane]
                power[bin_, lane] = real * real + imaginary * imaginary
        done += quarter
        length //= 2
        for row in range(n_filled - length):
            for lane in range(LANES):
                frames[row, lane] += frames[row + length, lane]
        n_filled = min(n_filled, length)
    for lane in range(LANES):
        first, second = frames[0, lane], frames[1, lane]
        power[0, lane] = (first + second) * (first + second)
        power[fft_length // 2, lane] = (first - second) * (first - second)


@compiled
def _odd_bins(spectrum: Floats, frames: Floats, quarter: int, n_filled: int, table: Floats) -> None:
    """What is to be transformed into the odd bins of frames of 4 * quarter samples."""
    step = len(frames) // (4 * quarter)
    for row in range(min(quarter, n_filled)):
        cosine, sine = table[row * step, 0], table[row * step, 1]
        if row + quarter >= n_filled:  # of the four samples only the first is not a zero
            for lane in range(LANES):
                spectrum[row, lane] = frames[row, lane] * cosine
                spectrum[row, LANES + lane] = frames[row, lane] * sine
            continue
        for lane in range(LANES):
            real = frames[row, lane] - frames[row + 2 * quarter, lane]
            imaginary = frames[row + 3 * quarter, lane] - frames[row + quarter, lane]
            spectrum[row, lane] = real * cosine - imaginary * sine
            spectrum[row, LANES + lane] = real * sine + imaginary * cosine
    for row in range(n_filled, quarter):
        for lane in range(2 * LANES):
            spectrum[row, lane] = 0


@compiled
def _transform(spectrum: Floats, length: int, table: Floats) -> None:
    """Complex discrete Fourier transform of the first `length` rows, in place, by decimation in frequency."""
    size = length
    while size >= 4:
        quarter, step = size // 4, len(table) // size
        for place in range(length // 4):
            k = place % quarter
            cos1, sin1 = table[k * step, 0], table[k * step, 1]
            cos2, sin2 = table[2 * k * step, 0], table[2 * k * step, 1]
            cos3, sin3 = table[3 * k * step, 0], table[3 * k * step, 1]
            a = place // quarter * size + k
            b, c, d = a + quarter, a + 2 * quarter, a + 3 * quarter
            for re in range(LANES):
                im = LANES + re
                even_re, even_im = spectrum[a, re] + spectrum[c, re], spectrum[a, im] + spectrum[c, im]
                fall_re, fall_im = spectrum[a, re] - spectrum[c, re], spectrum[a, im] - spectrum[c, im]
                odd_re, odd_im = spectrum[b, re] + spectrum[d, re], spectrum[b, im] + spectrum[d, im]
                turn_re, turn_im = spectrum[b, im] - spectrum[d, im], spectrum[d, re] - spectrum[b, re]
                one_re, one_im = fall_re + turn_re, fall_im + turn_im
                two_re, two_im = even_re - odd_re, even_im - odd_im
                three_re, three_im = fall_re - turn_re, fall_im - turn_im
                spectrum[a, re], spectrum[a, im] = even_re + odd_re, even_im + odd_im
                spectrum[b, re], spectrum[b, im] = one_re * cos1 - one_im * sin1, one_re * sin1 + one_im * cos1
                spectrum[c, re], spectrum[c, im] = two_re * cos2 - two_im * sin2, two_re * sin2 + two_im * cos2
                spectrum[d, re], spectrum[d, im] = (
                    three_re * cos3 - three_im * sin3,
                    three_re * sin3 + three_im * cos3,
                )
        size = quarter
    if size == 2:
        for row in range(0, length, 2):
            for lane in range(2 * LANES):
                first, second = spectrum[row, lane], spectrum[row + 1, lane]
                spectrum[row, lane], spectrum[row + 1, lane] = first + second, first - second


@compiled
def sum_bands(sums: Floats, power: Floats, first_bins: Integers, ends: Integers, weights: Floats) -> None:
    """Weighted sums (n_bands, LANES) of the powers (n_bins, LANES) of bins that follow each other.

    `first_bins` (n_bands,) says where each band begins, `ends` (n_bands,) where its weights end; they begin where those
    of the band before end.
    """
    begin = 0
    for band in range(len(first_bins)):
        bin_ = first_bins[band] - begin
        for lane in range(LANES):  # a band has two bins at least
            sums[band, lane] = weights[begin] * power[bin_ + begin, lane]
        for place in range(begin + 1, ends[band] - 1, 2):
            for lane in range(LANES):
                pair = weights[place] * power[bin_ + place, lane]
                sums[band, lane] += pair + weights[place + 1] * power[bin_ + place + 1, lane]
        if (ends[band] - begin) % 2 == 0:
            place = ends[band] - 1
            for lane in range(LANES):
                sums[band, lane] += weights[place] * power[bin_ + place, lane]
        begin = ends[band]


@compiled
def to_decibels(levels: Floats, values: Floats, parts: NDArray[np.int32]) -> None:
    """10 log10 of positive float32 values (n,) into `levels` (n,); what is below LEAST_POWER counts as that.

    A value is 2^e (1 + r) with 1 + r from sqrt(1/2) to sqrt(2); log(1 + r) is the polynomial of Cephes' logf
    (Moshier, netlib.org/cephes/single.tgz), whose error is one unit in the last place. `parts` (n,) is room to work in.
    """
    bits, fractions = values.view(np.int32), parts.view(np.float32)
    for i in range(len(values)):
        values[i] = max(values[i], LEAST_POWER)
    for i in range(len(values)):
        parts[i] = bits[i] - SQRT_HALF_BITS  # through memory, which keeps integers at 32 bits
    for i in range(len(values)):
        exponent = parts[i] >> 23
        levels[i] = np.float32(exponent) * np.float32(3.0102999566398120)
        parts[i] = bits[i] - (exponent << 23)
    for i in range(len(values)):
        r = fractions[i] - np.float32(1)
        p = np.float32(7.0376836292e-2) * r - np.float32(1.1514610310e-1)
        p = p * r + np.float32(1.1676998740e-1)
        p = p * r - np.float32(1.2420140846e-1)
        p = p * r + np.float32(1.4249322787e-1)
        p = p * r - np.float32(1.6668057665e-1)
        p = p * r + np.float32(2.0000714765e-1)
        p = p * r - np.float32(2.4999993993e-1)
        p = p * r + np.float32(3.3333331174e-1)
        logarithm = r + r * r * (r * p - np.float32(0.5))
        levels[i] += logarithm * np.float32(4.3429448190325175)
