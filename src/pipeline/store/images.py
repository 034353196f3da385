"""The rendered images of all corpora of a run as one collection, looked up by block."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import StoreError
from pipeline.store.arrays import attributes_of, decode_texts, digest_of, open_arrays, reading
from pipeline.store.tables import SpectrogramFile

# What of a rendered file's attributes says how its images came about; the rest says from which sound.
SOURCES = ("complete", "sound_sha256", "least_source_rate", "most_source_rate")


class Images:
    """Images by block id; they stay on disk until asked for."""

    def __init__(self) -> None:
        self.representation: dict[str, Any] = {}
        self.shape: tuple[int, int, int] = (0, 0, 0)  # (height, width, 3)
        self._place: dict[str, tuple[Any, int]] = {}

    def add(self, path: Path, file: Any) -> None:
        """Add the images of one open file.

        Raises
        ------
        StoreError
            If it was rendered with other parameters than those before it.
        """
        representation = {name: value for name, value in attributes_of(file).items() if name not in SOURCES}
        if self._place and representation != self.representation:
            raise StoreError(f"{path}: rendered with other parameters than the corpora before it: run `dvc repro`")
        self.representation = representation
        self.shape = tuple(file["images"].shape[1:])
        dataset = file["images"]
        for row, block_id in enumerate(decode_texts(file["block_id"][:])):
            self._place[block_id] = (dataset, row)

    def batch(self, block_ids: Sequence[str]) -> NDArray[np.uint8]:
        """Images (n, height, width, 3) of some blocks, in their order.

        Raises
        ------
        StoreError
            If a block was not rendered, or its image is damaged.
        """
        images = np.empty((len(block_ids), *self.shape), dtype=np.uint8)
        for image, block_id in zip(images, block_ids, strict=True):
            if block_id not in self._place:
                raise StoreError(f"block {block_id} was split but not rendered: run `dvc repro`")
            dataset, row = self._place[block_id]
            with reading(dataset):
                dataset.read_direct(image, np.s_[row])
        return images


@contextlib.contextmanager
def open_images(files: Sequence[SpectrogramFile]) -> Iterator[Images]:
    """Open the listed files.

    Raises
    ------
    StoreError
        If a file's content is not the one that the list names.
    """
    images = Images()
    with contextlib.ExitStack() as stack:
        for row in files:
            file = stack.enter_context(open_arrays(Path(row.path)))
            if digest_of(file, "images") != row.sha256:
                raise StoreError(f"{row.path}: not the content that the list of spectrograms names: run `dvc repro`")
            images.add(Path(row.path), file)
        yield images
