"""ZCA-Mahalanobis whitening over the rows of spectrograms: Kessy, Lewin and Strimmer (2018), Am. Stat. 72, 309-314.

The columns of a spectrogram are the observations and its bands the variables. With the mean m and the covariance S of
the columns, W = S^(-1/2), the symmetric root: W (x - m) has the identity as its covariance, and of all transforms of
which that is true it changes the columns least. Every channel has its own m and W.

Where columns do not span all bands (fewer columns than bands, bands that move together), S has no inverse. So its
eigenvalues below `floor` times the largest are raised to that: directions of hardly any variance are amplified by no
more than 1 / sqrt(floor) beside the strongest, and keep a variance below one. Where all columns are equal there is
nothing to scale by, and W is the identity.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelError

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
FLOOR = 1e-6


@dataclass(frozen=True)
class Whitening:
    """What is taken from every column of each channel, and what it is then multiplied with."""

    mean: Doubles  # (n_channels, n_bands)
    matrix: Doubles  # (n_channels, n_bands, n_bands)

    def apply(self, spectrograms: Floats) -> Floats:
        """Whitened spectrograms (..., n_channels, n_bands, n_columns), of the same shape.

        Raises
        ------
        ModelError
            If they have other channels or bands than those it was fitted on.
        """
        if spectrograms.shape[-3:-1] != self.mean.shape:
            raise ModelError(
                f"whitening was fitted on {_words(self.mean.shape)}, but a spectrogram has "
                f"{_words(spectrograms.shape[-3:-1])}: render both with the same parameters"
            )
        centred = spectrograms - self.mean[..., None].astype(np.float32)
        whitened: Floats = self.matrix.astype(np.float32) @ centred
        return whitened

    def to_arrays(self) -> dict[str, Doubles]:
        """All of it as plain arrays."""
        return {"mean": self.mean, "matrix": self.matrix}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.floating]]) -> "Whitening":
        """The whitening that `to_arrays` has written.

        Raises
        ------
        ModelError
            If an array is missing, or shapes do not belong together.
        """
        if missing := {"mean", "matrix"} - set(arrays):
            raise ModelError(f"whitening: no array {', '.join(sorted(missing))}: train the model again")
        mean, matrix = (np.asarray(arrays[name], dtype=np.float64) for name in ("mean", "matrix"))
        if mean.ndim != 2 or matrix.shape != (*mean.shape, mean.shape[1]):
            raise ModelError(
                f"whitening: mean {mean.shape} and matrix {matrix.shape} do not fit: train the model again"
            )
        return cls(mean, matrix)


def _words(shape: tuple[int, ...]) -> str:
    return f"{' channels of '.join(str(length) for length in shape)} bands"


def fit_whitening(batches: Iterable[Floats], *, floor: float = FLOOR) -> Whitening:
    """Fit on the columns of all spectrograms, in one pass.

    Parameters
    ----------
    batches
        Each (..., n_channels, n_bands, n_columns): one stack or several; numbers of columns may differ.
    floor
        Least eigenvalue of the covariance, of the largest: 0 to 1, not 0 unless the covariance has its full rank.

    Raises
    ------
    ModelError
        If there is not one column, or a value is not finite.
    """
    count, mean, scatter = 0, np.zeros(()), np.zeros(())
    for batch in batches:
        added, own_mean, own_scatter = _moments(np.asarray(batch))
        if not added:
            continue
        if not np.isfinite(own_mean).all() or not np.isfinite(own_scatter).all():
            raise ModelError("whitening: a spectrogram holds values that are not finite: render it again")
        total = count + added
        # Chan, Golub and LeVeque (1983), Am. Stat. 37, 242-247: sums of products about the mean, put together
        shift = own_mean - mean
        scatter = scatter + own_scatter + shift[..., :, None] * shift[..., None, :] * (count * added / total)
        mean = mean + shift * (added / total) if count else own_mean
        count = total
    if not count:
        raise ModelError("whitening: there is not one column to fit on: there must be training blocks")
    return Whitening(mean, _inverse_root(scatter / max(count - 1, 1), floor, mean))


def _moments(batch: Floats) -> tuple[int, Doubles, Doubles]:
    """Columns of a batch, their mean (n_channels, n_bands), and sums of products about it (..., n_bands)."""
    *_, n_channels, n_bands, n_columns = batch.shape
    if not batch.size:
        return 0, np.zeros((n_channels, n_bands)), np.zeros((n_channels, n_bands, n_bands))
    blocks = np.moveaxis(batch.reshape(-1, n_channels, n_bands, n_columns), 0, 2)
    columns: Doubles = blocks.reshape(n_channels, n_bands, -1).astype(np.float64)
    mean: Doubles = columns.mean(axis=2)
    columns -= mean[..., None]
    return columns.shape[2], mean, columns @ columns.swapaxes(1, 2)


def _inverse_root(covariance: Doubles, floor: float, mean: Doubles) -> Doubles:
    """Symmetric inverse square roots (n_channels, n_bands, n_bands) of covariances, regularised as said above."""
    values, vectors = np.linalg.eigh(covariance)  # (n_channels, n_bands), ascending
    largest = values[:, -1:]
    raised = np.maximum(values, floor * largest)
    rounding = (1e-7 * np.abs(mean).max(axis=1)) ** 2  # variance that float32 makes of equal columns
    constant = (largest[:, 0] <= rounding)[:, None, None]
    scaled = vectors / np.sqrt(np.where(raised > 0, raised, 1))[:, None, :]
    root = scaled @ vectors.swapaxes(1, 2)
    root = 0.5 * (root + root.swapaxes(1, 2))
    return np.where(constant, np.eye(covariance.shape[1]), root)


def whiten_each(spectrograms: Floats, *, floor: float = FLOOR) -> Floats:
    """Whiten each of the spectrograms (n, n_channels, n_bands, n_columns) by the columns of its own alone.

    So Herron has it: "a ZCA-Mahalanobis transformation is performed on each spectrogram". Nothing is fitted on others.
    """
    whitened = np.empty(spectrograms.shape, np.float32)
    for own, spectrogram in zip(whitened, spectrograms, strict=True):
        own[:] = fit_whitening([spectrogram], floor=floor).apply(spectrogram)
    return whitened
