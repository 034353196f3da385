"""What was rendered of all corpora of a run as one collection, looked up by block."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import StoreError
from pipeline.store.arrays import attributes_of, digest_of, each_text, new_arrays, open_arrays, reading
from pipeline.store.tables import SpectrogramFile
from pipeline.store.texts import Index, pack

# What of a rendered file's attributes says how its images came about; the rest says from which sound.
SOURCES = ("complete", "sound_sha256", "least_source_rate", "most_source_rate", "reached_hz")
# Kinds that are bytes of colours (height, width, 3); the others are floats.
PIXEL_KINDS = frozenset({"image", "faces"})


def dataset_of(file: Any) -> str:
    """Name of the dataset of a rendered file that holds its blocks: images (bytes) or features (float32).

    Raises
    ------
    StoreError
        If it holds neither, because blocks become something else than what it is for.
    """
    for name in ("images", "features"):
        if name in file:
            return name
    raise StoreError(f"{file.filename}: holds no blocks: run `dvc repro`")


def write_no_blocks(path: Path) -> None:
    """Write a file of rendered blocks that holds none, where blocks become something else."""
    with new_arrays(path) as arrays:
        arrays.finish({})


class Rendered:
    """Values by block id; they stay on disk until asked for.

    Attributes
    ----------
    representation
        The attributes of the files: how sound became these values.
    shape
        Of one block's: (height, width, 3) of images, (n_channels, height, width) of stacks, (n,) of features.
    """

    def __init__(self) -> None:
        self.representation: dict[str, Any] = {}
        self.shape: tuple[int, ...] = (0, 0, 0)
        self._dtype: np.dtype[Any] = np.dtype(np.uint8)
        self._files: list[tuple[Any, Index]] = []  # each with the names of its blocks

    @property
    def kind(self) -> str:
        """What a block became: image, stack, features or faces."""
        return str(self.representation.get("kind", "image"))

    def add(self, path: Path, file: Any) -> None:
        """Add the blocks of one open file.

        Raises
        ------
        StoreError
            If it was rendered with other parameters than those before it.
        """
        representation = {name: value for name, value in attributes_of(file).items() if name not in SOURCES}
        if self._files and representation != self.representation:
            raise StoreError(f"{path}: rendered with other parameters than the corpora before it: run `dvc repro`")
        dataset = file[dataset_of(file)]
        self.representation = representation
        self.shape = tuple(dataset.shape[1:])
        self._dtype = dataset.dtype
        self._files.append((dataset, Index(pack(each_text(file["block_id"][:])))))

    def batch(self, block_ids: Sequence[str]) -> NDArray[Any]:
        """Values (n, ...) of some blocks, in their order.

        Raises
        ------
        StoreError
            If a block was not rendered, or its values are damaged.
        """
        rows = np.empty((len(block_ids), *self.shape), dtype=self._dtype)
        for values, block_id in zip(rows, block_ids, strict=True):
            dataset, row = self._find(block_id)
            with reading(dataset):
                dataset.read_direct(values, np.s_[row])
        return rows

    def _find(self, block_id: str) -> tuple[Any, int]:
        """In which dataset a block lies, and in which row."""
        for dataset, names in reversed(self._files):
            row = names.find(block_id)
            if row is not None:
                return dataset, row
        raise StoreError(f"block {block_id} was split but not rendered: run `dvc repro`")


@contextlib.contextmanager
def open_rendered(files: Sequence[SpectrogramFile], *, cache_bytes: int | None = None) -> Iterator[Rendered]:
    """Open the listed files; `cache_bytes` as of `open_arrays`.

    Raises
    ------
    StoreError
        If a file's content is not the one that the list names.
    """
    rendered = Rendered()
    with contextlib.ExitStack() as stack:
        for row in files:
            file = stack.enter_context(open_arrays(Path(row.path), cache_bytes=cache_bytes))
            if digest_of(file, dataset_of(file)) != row.sha256:
                raise StoreError(f"{row.path}: not the content that the list of spectrograms names: run `dvc repro`")
            rendered.add(Path(row.path), file)
        yield rendered
