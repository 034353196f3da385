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
