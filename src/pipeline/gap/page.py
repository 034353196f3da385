"""The optimism gap as a page of text, and as a table in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.metrics import FEW_UNITS
from pipeline.words import in_columns

if TYPE_CHECKING:
    from pipeline.gap import Gap
    from pipeline.gap.measure import Condition

COLUMNS = ("split by", "UAR", "95 % interval", "sd of seeds", "gap", "95 % interval", "nuisance", "thumbnail")


def as_text(gap: Gap) -> str:
    """Show, per level, what each split says of the same model on the same test blocks."""
    lines = [f"The optimism gap: {gap.what}; {_repeated(gap)}"]
    for level, conditions in gap.levels.items():
        rows = [(f"per {level}", *COLUMNS[1:]), *(_cells(one) for one in conditions)]
        table = in_columns(rows)
        lines += ["", table[0], "-" * len(table[0]), *table[1:]]
    return "\n".join([*lines, "", *_sentences(gap)])


def as_markdown(gap: Gap) -> str:
    """Give the same as tables in Markdown."""
    lines = [f"{gap.what}; {_repeated(gap)}"]
    for level, conditions in gap.levels.items():
        heads = (f"per {level}, {COLUMNS[0]}", *COLUMNS[1:])
        lines += ["", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        lines += [f"| {' | '.join(_cells(one))} |" for one in conditions]
    return "\n".join([*lines, "", *_sentences(gap)]) + "\n"


def _repeated(gap: Gap) -> str:
    return f"{gap.seeds} seed{'' if gap.seeds == 1 else 's'}, the same test blocks for each split"


def _cells(one: Condition) -> tuple[str, ...]:
    return (
        one.by,
        f"{one.uar:.2f}",
        _between(one.low, one.high),
        "-" if one.sd is None else f"{one.sd:.2f}",
        "-" if one.gap is None else f"{one.gap:+.2f}",
        "-" if one.gap is None else _between(one.gap_low, one.gap_high, sign="+"),
        *(f"{one.baselines[name]:.2f}" if name in one.baselines else "-" for name in COLUMNS[-2:]),
    )


def _between(low: float | None, high: float | None, *, sign: str = "") -> str:
    return "-" if low is None or high is None else f"{low:{sign}.2f} to {high:{sign}.2f}"


def _sentences(gap: Gap) -> list[str]:
    found = [
        f"Per {level}, {_verdict(one, gap.on)}" for level, conditions in gap.levels.items() for one in conditions[:-1]
    ]
    last = gap.levels["block"][-1]
    few = f" Under {FEW_UNITS} units: the intervals are too narrow." if last.n_units < FEW_UNITS else ""
    sizes = (
        f"Each run: about {last.n_train:.0f} training and {last.n_test:.0f} test blocks; {last.n_units} different "
        f"units ({gap.on}) tested over all seeds, which the intervals resample.{few}"
    )
    shares = ", ".join(f"{one.by} {100 * one.overlapping:.0f} %" for one in gap.levels["block"])
    return [*found, sizes, f"Test blocks that overlap training sound in time: {shares}."]


def _verdict(one: Condition, honest: str) -> str:
    if one.gap_low is not None and one.gap_low > 0:
        return f"a split by {one.by} flatters this model by {one.gap:.2f} over one by {honest}."
    if one.gap_high is not None and one.gap_high < 0:
        return f"a split by {one.by} scores {-(one.gap or 0):.2f} below one by {honest}: it does not flatter."
    return f"no gap is shown between splits by {one.by} and by {honest}."
