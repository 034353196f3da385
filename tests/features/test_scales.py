import librosa
import numpy as np
import pytest
from scipy.integrate import quad

from pipeline.features.scales import AXES, band_edges, band_weights

BANDS = {"n_bands": 257, "min_hz": 20.0, "max_hz": 20000.0}


def matrix_of(axis, *, fft_length):
    """The weights as a matrix (n_bands, n_bins)."""
    bands = band_weights(axis, **BANDS, sample_rate=44100, fft_length=fft_length)
    matrix = np.zeros((257, fft_length // 2 + 1))
    begin = 0
    for row, first, end in zip(matrix, bands.first_bins, bands.ends, strict=True):
        row[first : first + end - begin] = bands.weights[begin:end]
        begin = end
    return matrix


@pytest.mark.parametrize(("axis", "htk"), [("mel", True), ("slaney", False)])
def test_mel_agrees_with_librosa(axis, htk):
    hz = np.geomspace(5, 22050, 300)
    np.testing.assert_allclose(AXES[axis][0](hz), librosa.hz_to_mel(hz, htk=htk), rtol=1e-9)
    np.testing.assert_allclose(band_edges(axis, **BANDS), librosa.mel_frequencies(259, fmin=20, fmax=20000, htk=htk))


# Zwicker (1961), J. Acoust. Soc. Am. 33, 248: upper edges of the 24 critical bands, Hz; band k ends at k Bark.
CRITICAL_BANDS_HZ = [
    *(100, 200, 300, 400, 510, 630, 770, 920, 1080, 1270, 1480, 1720),
    *(2000, 2320, 2700, 3150, 3700, 4400, 5300, 6400, 7700, 9500, 12000, 15500),
]


def test_bark_numbers_zwickers_critical_bands():
    to_bark, to_hz = AXES["bark"]
    numbers = np.arange(1, 25)
    # 0.05 Bark is the formula's stated accuracy
    np.testing.assert_allclose(to_bark(np.array(CRITICAL_BANDS_HZ, float)), numbers, atol=0.05)
    widths = np.diff(CRITICAL_BANDS_HZ, prepend=0)
    assert (np.abs(to_hz(numbers.astype(float)) - CRITICAL_BANDS_HZ) < 0.06 * widths).all()


def test_bark_inverts_at_its_joints_and_at_nothing():
    to_bark, to_hz = AXES["bark"]
    hz = np.array([0, 100, 203, 204.3, 206, 6542, 6600, 24000])
    np.testing.assert_allclose(to_hz(to_bark(hz)), hz, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("hz", [100, 500, 1000, 4000, 10000])
def test_erb_rate_counts_the_equivalent_rectangular_bandwidths_below(hz):
    # Glasberg and Moore's bandwidth, 24.7 (4.37 f + 1) with f in kHz: 132.6 Hz at 1 kHz; 21.4 is rounded from 21.366
    counted = quad(lambda f: 1 / (24.7 * (4.37 * f / 1000 + 1)), 0, hz)[0]
    assert AXES["erb"][0](np.array([float(hz)]))[0] == pytest.approx(counted, rel=5e-3)


def test_erb_rate_by_hand():
    # log10(1.437), log10(5.37), log10(44.7)
    expected = 21.4 * np.array([0.157457, 0.729974, 1.650308])
    np.testing.assert_allclose(AXES["erb"][0](np.array([100.0, 1000.0, 10000.0])), expected, atol=1e-4)


def test_a_thousand_hertz_is_a_thousand_mel():
    assert AXES["mel"][0](np.array([1000.0]))[0] == pytest.approx(1000, abs=0.1)


@pytest.mark.parametrize("axis", AXES)
def test_axes_invert_themselves(axis):
    hz = np.geomspace(20, 20000, 50)
    to_axis, to_hz = AXES[axis]
    np.testing.assert_allclose(to_hz(to_axis(hz)), hz, rtol=1e-9)
    assert (np.diff(to_axis(hz)) > 0).all()


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("fft_length", [512, 2048])
def test_no_band_is_empty_and_weights_sum_to_one(axis, fft_length):
    matrix = matrix_of(axis, fft_length=fft_length)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-6)
    assert matrix.min() >= 0


@pytest.mark.parametrize("band", [0, 5, 100, 256])
def test_weights_are_the_integral_of_triangle_and_interpolated_density(band):
    rate, fft_length = 44100, 512
    density = np.random.default_rng(band).uniform(0, 1, fft_length // 2 + 1)
    hz = np.arange(len(density)) * rate / fft_length
    left, centre, right = band_edges("mel", **BANDS)[band : band + 3]

    def product(f):
        return np.interp(f, [left, centre, right], [0, 2 / (right - left), 0]) * np.interp(f, hz, density)

    breaks = sorted({centre, *hz[(hz > left) & (hz < right)]})
    expected = quad(product, left, right, points=breaks, limit=200)[0]
    assert (matrix_of("mel", fft_length=fft_length) @ density)[band] == pytest.approx(expected, rel=1e-5)


def test_bands_of_linear_axis_are_equally_wide():
    edges = band_edges("linear", n_bands=9, min_hz=0, max_hz=1000)
    np.testing.assert_allclose(np.diff(edges), 100)
