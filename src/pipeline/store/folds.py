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
from pipeline.store.arrays import attributes_of, each_text, encode_texts, new_arrays, open_arrays
from pipeline.store.columns import Table
from pipeline.store.paths import SPLIT
from pipeline.store.tables import SplitRow, each_row
from pipeline.store.texts import number, pack

ROWS_IN_CHUNK = 256
# Side of split.csv that each value of split.validation names: training is watched on it, and may choose by it.
VALIDATION_SIDE = {"none": None, "fraction": "validation", "test": "test"}


class Fold:
    """The blocks of one fold, in the order of split.csv, and the classes of all folds, sorted."""

    def __init__(self, rows: Iterable[SplitRow], classes: tuple[str, ...]) -> None:
        self.rows = Table.of(SplitRow, rows)
        self.classes = classes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fold) and self.rows == other.rows and self.classes == other.classes

    __hash__ = None  # type: ignore[assignment]

    @property
    def labels(self) -> NDArray[np.int64]:
        """Index of each block's class (n,)."""
        index = {label: i for i, label in enumerate(self.classes)}
        names, which = number(self.rows.texts("label"))
        places: NDArray[np.int64] = np.array([index[name] for name in names], dtype=np.int64)[which]
        return places

    def on(self, *sides: str) -> NDArray[np.bool_]:
        """Which blocks (n,) are on one of these sides."""
        return self.rows.where("side", sides.__contains__)

    def is_answered_by(self, outputs: "Outputs") -> bool:
        """Whether outputs are of these blocks, sides and classes, in this order."""
        own = self.rows.texts("block_id"), self.rows.texts("side"), list(self.classes)
        return own == (outputs.block_ids, outputs.sides, list(outputs.about["classes"]))


def read_fold(fold: int) -> Fold:
    """Read one fold of the split.

    Raises
    ------
    SplitError
        If the split has no such fold.
    """
    labels, folds = set(), {-1}

    def own() -> Iterator[SplitRow]:
        for row in each_row(SPLIT, SplitRow):
            labels.add(row.label)
            folds.add(row.fold)
            if row.fold == fold:
                yield row

    rows = Table.of(SplitRow, own())
    if not len(rows):
        raise SplitError(f"runs.folds: there is no fold {fold}: this split has folds 0 to {max(folds)}")
    return Fold(rows, tuple(sorted(labels)))


@dataclass(frozen=True)
class Outputs:
    """What a model or the baselines say of every block of a fold."""

    block_ids: Sequence[str]
    sides: Sequence[str]
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
        "block_id": encode_texts(fold.rows.texts("block_id")),
        "side": encode_texts(fold.rows.texts("side")),
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


def read_outputs(path: Path, *names: str, optional: Sequence[str] = (), only: Sequence[str] | None = None) -> Outputs:
    """Read some of the arrays of `write_outputs`, the optional ones if they are there, and all names and sides.

    With `only` some sides, the arrays hold the rows of these.

    Raises
    ------
    StoreError
        If one is not there, or the file is damaged.
    """
    with open_arrays(path) as file:
        if missing := [name for name in ("block_id", "side", *names) if name not in file]:
            raise StoreError(f"{path}: holds no {', '.join(missing)}: run `dvc repro -f` on the stage that writes it")
        sides = pack(each_text(file["side"][:]))
        kept = slice(None) if only is None else np.array([side in only for side in sides], dtype=bool)
        return Outputs(
            block_ids=pack(each_text(file["block_id"][:])),
            sides=sides,
            values={name: file[name][:][kept] for name in (*names, *optional) if name in file},
            about=json.loads(attributes_of(file)["about"]),
        )
