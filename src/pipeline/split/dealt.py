"""What a split is held as: a byte for each block and fold."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import SplitError
from pipeline.split.choices import SIDES, Sides
from pipeline.split.units import Units
from pipeline.store.tables import SplitRow
from pipeline.store.texts import Made, number


@dataclass(frozen=True, eq=False)
class Dealt(Made[SplitRow]):
    """The rows of a split, by fold and then in the order of the blocks.

    Attributes
    ----------
    units
        The blocks, and the units that intervals resample.
    sides
        Of each fold: index into `SIDES` of each block, (n_blocks,).
    """

    units: Units
    sides: Sequence[Sides]

    @classmethod
    def of(cls, rows: Sequence[SplitRow], units: Units) -> "Dealt":
        """Put rows of these units' blocks into order; what was dealt of them stays itself.

        Raises
        ------
        SplitError
            If the rows are of other blocks or sides, or a fold does not name every block once.
        """
        if isinstance(rows, Dealt) and rows.units.blocks is units.blocks:
            return rows
        index = {block_id: at for at, block_id in enumerate(units.blocks.texts("block_id"))}
        for row in rows:
            if row.block_id not in index or row.side not in SIDES:
                raise SplitError(
                    f"split: block {row.block_id} on side {row.side!r} is not one of these blocks and sides: "
                    "run `dvc repro -f split_blocks`"
                )
        names, unit_of_row = number([row.group for row in rows])
        places = [(index[row.block_id], row.fold, SIDES.index(row.side)) for row in rows]
        block, fold, side = np.array(places, dtype=np.int64).reshape(-1, 3).T
        unit, sides = np.empty(len(index), dtype=np.int32), []
        for which in range(int(fold.max(initial=-1)) + 1):
            here = fold == which
            if not np.array_equal(np.sort(block[here]), np.arange(len(index))):
                raise SplitError(f"split: fold {which} does not name every block once: run `dvc repro -f split_blocks`")
            unit[block[here]] = unit_of_row[here]
            own = np.empty(len(index), dtype=np.int8)
            own[block[here]] = side[here]
            sides.append(own)
        return cls(dataclasses.replace(units, names=names, unit=unit), sides)

    def __len__(self) -> int:
        return len(self.sides) * len(self.units.blocks)

    def part(self, first: int, last: int) -> list[SplitRow]:
        """Make the rows from `first` to `last` (exclusive)."""
        rows, n_blocks = [], len(self.units.blocks)
        while first < last:
            fold, start = divmod(first, n_blocks)
            end = min(n_blocks, start + last - first)
            rows += self._rows(fold, start, end)
            first += end - start
        return rows

    def _rows(self, fold: int, first: int, last: int) -> list[SplitRow]:
        units, own = self.units, slice(first, last)
        columns = zip(
            units.blocks.texts("block_id").part(first, last),
            units.blocks.texts("clip_id").part(first, last),
            units.unit[own].tolist(),
            units.label[own].tolist(),
            self.sides[fold][own].tolist(),
            strict=True,
        )
        return [
            SplitRow(
                block_id=block_id,
                clip_id=clip_id,
                group=units.names[unit],
                label=units.classes[label],
                fold=fold,
                side=SIDES[side],
            )
            for block_id, clip_id, unit, label, side in columns
        ]
