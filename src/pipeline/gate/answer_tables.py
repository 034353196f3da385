"""The tables of answers as text -> rows, and whether they bear out the scores that metrics.json states."""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.compare import classes_of, learned_of, tally
from pipeline.metrics import SUMMARIES, scores
from pipeline.store.tables import Answer, unguard

COLUMNS = ("clip_id", "unit", "actual", "predicted", "n")
HALF_OF_LAST_DIGIT = 0.5e-4 + 1e-9  # metrics.json has four decimals


def parse_answers(content: bytes) -> list[Answer]:
    """Read what `store.tables.write_rows` wrote, out of git or out of a folder alike.

    Raises
    ------
    ValueError
        If a column is missing, a row is not whole, a number is none, or there are no rows.
    """
    text = io.StringIO(content.decode(errors="surrogateescape"), newline="")
    try:
        lines = csv.reader(text, strict=True)
        header = next(lines, [])
        if missing := [name for name in COLUMNS if name not in header]:
            raise ValueError(f"no column {', '.join(missing)}")
        rows = [_answer(dict(zip(header, line, strict=True))) for line in lines]
    except csv.Error as error:
        raise ValueError(str(error)) from None
    if not rows:
        raise ValueError("no rows")
    return rows


def _answer(cells: Mapping[str, str]) -> Answer:
    if empty := [name for name in COLUMNS if not cells[name]]:
        raise ValueError(f"a row without {', '.join(empty)}")
    row = Answer(**{**{name: unguard(cells[name]) for name in COLUMNS}, "n": int(cells["n"])})  # type: ignore[arg-type]
    if row.n < 1:
        raise ValueError(f"{row.n} items of {row.clip_id}")
    return row


def find_contradiction(rows: Sequence[Answer], level: Mapping[str, Any], *, untrained: Sequence[str]) -> str | None:
    """Recompute counts and scores from answers; say which one a level of metrics.json states otherwise.

    Classes that no training side had, `untrained`, count in accuracy only.
    """
    stated = {name: n for name, n in level["n"].items() if name != "total"}
    counted: Counter[str] = Counter()
    for row in rows:
        counted[row.actual] += row.n
    if counted != Counter(stated) or counted.total() != level["n"]["total"]:
        return f"it holds {counted.total()} items: {', '.join(f'{n} {name}' for name, n in sorted(counted.items()))}"
    if strange := sorted({row.predicted for row in rows} - set(stated)):
        return f"it answers with {strange[0]}, which is none of the classes"
    classes = classes_of(rows)
    matrix = tally(rows, units=sorted({row.unit for row in rows}), classes=classes).sum(axis=0)
    found = scores(matrix, learned=learned_of(classes, untrained))
    for name in SUMMARIES:
        if abs(float(found[name]) - level[name]) > HALF_OF_LAST_DIGIT:
            return f"its {name} is {float(found[name]):.4f}"
    return None
