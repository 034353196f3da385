"""Samples that are not yet wanted or refused: in memory while few, in a nameless file when many."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from pipeline.errors import StoreError

PIECE_SAMPLES = 2**18
MOST_BYTES = 2**23  # in memory, of each recording that is read at the time: about 47 s at 44.1 kHz


class Spool:
    """Float32 samples that are appended, and then gone through in pieces as often as wanted.

    The file, if there is one, has no name: whatever happens, nothing stays behind.

    Parameters
    ----------
    folder
        Where there is room for all of the samples; by default the system's folder for such files.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._held: list[np.ndarray] = []
        self._file: IO[bytes] | None = None
        self._n_samples = 0

    def append(self, samples: np.ndarray) -> None:
        """Add samples (n,) at the end.

        Raises
        ------
        StoreError
            If there is no room for them.
        """
        self._held.append(samples.astype("<f4", copy=False))
        self._n_samples += len(samples)
        if 4 * self._n_samples > MOST_BYTES:
            self._write_held()

    def _write_held(self) -> None:
        try:
            self._file = self._file or tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 (close)
            for samples in self._held:
                left = samples.data.cast("B")
                while left:
                    left = left[self._file.write(left) :]
        except OSError as error:
            where = self._folder or "the folder for temporary files"
            raise StoreError(f"{where}: no room for a long recording while it is read ({error.strerror})") from error
        self._held.clear()

    def resize(self, n_samples: int) -> None:
        """Drop samples from the end, or fill up with zeros."""
        if n_samples > self._n_samples:
            self.append(np.zeros(n_samples - self._n_samples, np.float32))
        self._n_samples = n_samples

    def __len__(self) -> int:
        return self._n_samples

    def __iter__(self) -> Iterator[np.ndarray]:
        """Give all samples in pieces (n,), from the start."""
        left = self._n_samples
        for piece in self._held if self._file is None else self._read_file(self._file, 0, self._n_samples):
            yield piece[:left]
            left -= min(left, len(piece))

    def between(self, start: int, stop: int | None) -> tuple[int, Iterator[np.ndarray]]:
        """Give the place of a piece, and from there the pieces that hold [start, stop), as far as there are any."""
        if self._file is None:
            return 0, iter(self)
        end = self._n_samples if stop is None else min(stop, self._n_samples)
        first = min(start, self._n_samples) // PIECE_SAMPLES * PIECE_SAMPLES
        return first, self._read_file(self._file, first, end)

    def _read_file(self, file: IO[bytes], first: int, end: int) -> Iterator[np.ndarray]:
        for start in range(first, end, PIECE_SAMPLES):
            file.seek(4 * start)
            yield np.frombuffer(file.read(4 * PIECE_SAMPLES), np.dtype("<f4"))

    def close(self) -> None:
        """Give memory and disk back."""
        self._held.clear()
        if self._file is not None:
            self._file.close()

    def __del__(self) -> None:
        self.close()
