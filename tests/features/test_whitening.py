import dataclasses

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.features.whitening import Whitening, fit_whitening, whiten_each

N_BANDS, N_COLUMNS = 6, 50


def spectrograms(n=40, n_channels=2, n_bands=N_BANDS, n_columns=N_COLUMNS, seed=0):
    """Decibels (n, n_channels, n_bands, n_columns) whose bands move together, in each channel in another way."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((n_channels, n_bands, n_bands)) + 2 * np.eye(n_bands)
    independent = rng.standard_normal((n, n_channels, n_bands, n_columns))
    means = rng.uniform(-90, -40, (n_channels, n_bands, 1))
    return (mixing @ independent + means).astype(np.float32)


def columns_of(batch, channel):
    """Columns (n_bands, n) of a channel of all spectrograms."""
    return np.concatenate(list(batch[:, channel].astype(np.float64)), axis=1)


def test_whitened_training_columns_have_no_mean_and_the_identity_as_covariance():
    batch = spectrograms()
    whitened = fit_whitening([batch]).apply(batch)
    assert whitened.shape == batch.shape
    assert whitened.dtype == np.float32
    for channel in (0, 1):
        columns = columns_of(whitened, channel)
        np.testing.assert_allclose(np.cov(columns), np.eye(N_BANDS), atol=1e-4)
        np.testing.assert_allclose(columns.mean(axis=1), 0, atol=1e-4)


def test_the_matrix_is_symmetric_and_a_root_of_the_inverse_covariance():
    batch = spectrograms()
    whitening = fit_whitening([batch])
    for channel, matrix in enumerate(whitening.matrix):
        np.testing.assert_array_equal(matrix, matrix.T)
        assert (np.linalg.eigvalsh(matrix) > 0).all()
        inverse = np.linalg.inv(np.cov(columns_of(batch, channel)))
        np.testing.assert_allclose(matrix.T @ matrix, inverse, rtol=1e-8, atol=1e-10)
    assert np.abs(whitening.matrix[0] - whitening.matrix[1]).max() > 0.1


def test_two_bands_by_hand():
    # covariance [[2, 1], [1, 2]]: eigenvalues 3 and 1, so the root's diagonal is (1 / sqrt 3 + 1) / 2
    columns = np.sqrt(3) * np.array([[1, 1, -1, -1], [1, 0, -1, 0]]) / np.sqrt(2)
    covariance = np.cov(columns)
    target = np.linalg.cholesky(np.array([[2.0, 1.0], [1.0, 2.0]])) @ np.linalg.inv(np.linalg.cholesky(covariance))
    whitening = fit_whitening([(target @ columns)[None].astype(np.float64)])
    a, b = (3**-0.5 + 1) / 2, (3**-0.5 - 1) / 2
    np.testing.assert_allclose(whitening.matrix[0], [[a, b], [b, a]], atol=1e-12)


def test_of_all_whitenings_this_one_changes_columns_least():
    batch = spectrograms(n_channels=1)
    columns = columns_of(batch, 0)
    centred = columns - columns.mean(axis=1, keepdims=True)
    zca = fit_whitening([batch]).matrix[0] @ centred
    values, vectors = np.linalg.eigh(np.cov(columns))
    for rotation in (vectors.T, np.linalg.qr(np.random.default_rng(1).standard_normal((N_BANDS, N_BANDS)))[0]):
        other = rotation @ zca  # whitens too
        np.testing.assert_allclose(np.cov(other), np.eye(N_BANDS), atol=1e-8)
        assert ((zca - centred) ** 2).sum() < ((other - centred) ** 2).sum()
    assert values.min() > 0


@pytest.mark.parametrize("cuts", [[1], [7, 8, 30], list(range(1, 40)), [0, 40]])
def test_one_pass_over_batches_of_any_size_is_two_passes_over_all(cuts):
    batch = spectrograms() + np.float32(1000)  # a mean much greater than the spread
    whitening = fit_whitening(np.split(batch, cuts))
    for channel in (0, 1):
        columns = columns_of(batch, channel)
        np.testing.assert_allclose(whitening.mean[channel], columns.mean(axis=1), rtol=1e-12)
        inverse = np.linalg.inv(np.cov(columns))
        np.testing.assert_allclose(whitening.matrix[channel] @ whitening.matrix[channel], inverse, rtol=1e-6, atol=1e-9)


def test_spectrograms_of_several_lengths_count_by_their_columns():
    batch = spectrograms(n=1, n_columns=90)[0]
    parts = fit_whitening([batch[..., :20], batch[..., 20:21], batch[..., 21:]])
    np.testing.assert_allclose(parts.matrix, fit_whitening([batch]).matrix, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("floor", [1e-6, 1e-3])
def test_where_bands_move_together_the_rest_is_whitened_and_nothing_explodes(floor):
    batch = spectrograms(n_channels=1)
    batch[:, :, 3] = batch[:, :, 2]  # two bands that are the same
    whitening = fit_whitening([batch], floor=floor)
    values, vectors = np.linalg.eigh(np.cov(columns_of(batch, 0)))
    assert values[0] < 1e-9 * values[-1]
    # in the directions of some variance the identity; in the one of none, none
    whitened = np.cov(vectors.T @ whitening.matrix[0] @ columns_of(batch, 0))
    expected = np.diag(np.minimum(values / (floor * values[-1]), 1).clip(0))
    np.testing.assert_allclose(whitened, expected, atol=1e-6)
    amplified = np.linalg.eigvalsh(whitening.matrix[0])
    assert amplified.max() == pytest.approx(amplified.min() / np.sqrt(floor), rel=1e-6)


def test_fewer_columns_than_bands_are_whitened_within_what_they_span():
    batch = spectrograms(n=1, n_channels=1, n_bands=30, n_columns=9)
    whitened = fit_whitening([batch]).apply(batch)
    assert np.isfinite(whitened).all()
    values = np.linalg.eigvalsh(np.cov(columns_of(whitened, 0)))
    np.testing.assert_allclose(values[-8:], 1, atol=1e-3)  # nine columns about their mean
    assert np.abs(values[:-8]).max() < 1e-3


@pytest.mark.parametrize("value", [-300.0, -76.3, 0.0])
def test_constant_spectrograms_become_zeros(value):
    constant = np.full((3, 1, 5, 8), value, np.float32)
    whitening = fit_whitening([constant])
    np.testing.assert_array_equal(whitening.matrix[0], np.eye(5))
    np.testing.assert_allclose(whitening.apply(constant), 0, atol=1e-4)


def test_one_column_is_not_scaled():
    whitening = fit_whitening([np.arange(4, dtype=np.float32).reshape(1, 4, 1)])
    assert whitening.mean.tolist() == [[0, 1, 2, 3]]
    np.testing.assert_array_equal(whitening.matrix[0], np.eye(4))


def test_each_spectrogram_is_whitened_by_itself_alone():
    batch = spectrograms(n=3)
    whitened = whiten_each(batch)
    for own in whitened:
        for channel in own:
            np.testing.assert_allclose(np.cov(channel.astype(np.float64)), np.eye(N_BANDS), atol=1e-3)
    np.testing.assert_array_equal(whitened[1:2], whiten_each(batch[1:2]))
    # a level of its own for each does not show
    np.testing.assert_allclose(whiten_each(batch + np.float32(20)), whitened, atol=1e-3)


def test_what_is_saved_is_what_was_fitted():
    batch = spectrograms()
    whitening = fit_whitening([batch])
    arrays = whitening.to_arrays()
    assert all(type(array) is np.ndarray for array in arrays.values())
    again = Whitening.from_arrays(arrays)
    np.testing.assert_array_equal(again.apply(batch), whitening.apply(batch))


def test_other_bands_than_those_fitted_are_refused():
    whitening = fit_whitening([spectrograms()])
    with pytest.raises(
        ModelError, match="fitted on 2 channels of 6 bands, but a spectrogram has 1 channels of 6 bands"
    ):
        whitening.apply(spectrograms(n_channels=1))


def test_arrays_that_do_not_belong_together_are_refused():
    whitening = fit_whitening([spectrograms()])
    with pytest.raises(ModelError, match="no array matrix"):
        Whitening.from_arrays({"mean": whitening.mean})
    with pytest.raises(ModelError, match="do not fit"):
        Whitening.from_arrays(dataclasses.replace(whitening, matrix=whitening.matrix[:, :3]).to_arrays())


@pytest.mark.parametrize("batches", [[], [np.zeros((0, 2, 6, 5), np.float32)], [np.zeros((2, 2, 6, 0), np.float32)]])
def test_nothing_to_fit_on_is_refused(batches):
    with pytest.raises(ModelError, match="not one column"):
        fit_whitening(batches)


def test_values_that_are_not_finite_are_refused():
    batch = spectrograms()
    batch[0, 0, 0, 0] = np.nan
    with pytest.raises(ModelError, match="not finite"):
        fit_whitening([batch])
