"""One fold of the split, and the arrays over its blocks that models and baselines leave behind."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import SplitError, StoreError
from pipeline.store.arrays import attributes_of, decode_texts, encode_texts, new_arrays, open_arrays
from pipeline.store.paths import SPLIT
from pipeline.store.tables import SplitRow, each_row

ROWS_IN_CHUNK = 256


@dataclass(frozen=True)
class Fold:
    """The blocks of one fold, in the order of split.csv."""

    rows: Sequence[SplitRow]
    classes: tuple[str, ...]  # sorted

    @property
    def labels(self) -> NDArray[np.int64]:
        """Index of each block's class (n,)."""
        index = {label: i for i, label in enumerate(self.classes)}
        return np.array([index[row.label] for row in self.rows], dtype=np.int64)

    def on(self, *sides: str) -> NDArray[np.bool_]:
        """Which blocks (n,) are on one of these sides."""
        return np.array([row.side in sides for row in self.rows])


def read_fold(fold: int) -> Fold:
    """Read one fold of the split.

    Raises
    ------
    SplitError
        If the split has no such fold.
    """
    own, labels, last = [], set(), -1
    for row in each_row(SPLIT, SplitRow):
        labels.add(row.label)
        last = max(last, row.fold)
        if row.fold == fold:
            own.append(row)
    if not own:
        raise SplitError(f"runs.folds: there is no fold {fold}: this split has folds 0 to {last}")
    return Fold(own, tuple(sorted(labels)))


@dataclass(frozen=True)
class Outputs:
    """What a model or the baselines say of every block of a fold."""

    block_ids: list[str]
    sides: list[str]
    values: dict[str, NDArray[Any]]  # (n_blocks, ...) each
    about: dict[str, Any]


def write_outputs(path: Path, fold: Fold, values: Mapping[str, NDArray[Any]], *, about: Mapping[str, Any]) -> None:
    """Write arrays (n_blocks, n) in the order of a fold's blocks, with the blocks' names and sides."""
    write_outputs_in_parts(path, fold, [values], about=about)


def write_outputs_in_parts(
    path: Path, fold: Fold, parts: Iterable[Mapping[str, NDArray[Any]]], *, about: Mapping[str, Any]
) -> None:
    """Write the same from parts (n_rows, n) of the arrays, one after the other, which are never in memory together."""
    texts = {
        "block_id": encode_texts([row.block_id for row in fold.rows]),
        "side": encode_texts([row.side for row in fold.rows]),
    }
    rows_in_chunk = min(max(len(fold.rows), 1), ROWS_IN_CHUNK)
    created: set[str] = set()
    with new_arrays(path) as arrays:
        for values in itertools.chain([texts], _in_whole_chunks(parts)):
            for name, rows in values.items():
                if name not in created:
                    arrays.create(name, row_shape=rows.shape[1:], dtype=rows.dtype, rows_in_chunk=rows_in_chunk)
                    created.add(name)
                arrays.append(name, rows)
        arrays.finish({"about": json.dumps(about, sort_keys=True)})


def _in_whole_chunks(parts: Iterable[Mapping[str, NDArray[Any]]]) -> Iterator[Mapping[str, NDArray[Any]]]:
    """Join small parts: HDF5 would write a chunk anew for every part that ends in it."""
    held: list[Mapping[str, NDArray[Any]]] = []
    n_held = 0
    for part in parts:
        held.append(part)
        n_held += len(next(iter(part.values())))
        if n_held >= ROWS_IN_CHUNK:
            joined = _join(held)
            whole = n_held // ROWS_IN_CHUNK * ROWS_IN_CHUNK
            yield {name: rows[:whole] for name, rows in joined.items()}
            held, n_held = [{name: rows[whole:].copy() for name, rows in joined.items()}], n_held - whole
    if held and (n_held or len(held) == 1):
        yield _join(held)


def _join(parts: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def read_outputs(path: Path, *names: str, optional: Sequence[str] = ()) -> Outputs:
    """Read some of the arrays of `write_outputs`, the optional ones if they are there, and all names and sides.

    Raises
    ------
    StoreError
        If one is not there, or the file is damaged.
    """
    with open_arrays(path) as file:
        if missing := [name for name in ("block_id", "side", *names) if name not in file]:
            raise StoreError(f"{path}: holds no {', '.join(missing)}: run `dvc repro -f` on the stage that writes it")
        return Outputs(
            block_ids=decode_texts(file["block_id"][:]),
            sides=decode_texts(file["side"][:]),
            values={name: file[name][:] for name in (*names, *optional) if name in file},
            about=json.loads(attributes_of(file)["about"]),
        )
