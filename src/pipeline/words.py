"""Amounts, times and sizes as people say them; rows in columns, and lines that can be shown."""

from collections.abc import Sequence


def amount(n: int, what: str) -> str:
    """Say how many: 1 clip, 18 clips."""
    return f"{n:,} {what}{'' if n == 1 else 's'}".replace(",", " ")


def duration(seconds: float) -> str:
    """Say a time in its two largest units: 2.7 s, 45 s, 4 min 50 s, 3 h 10 min, 2 d 4 h."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    for unit, smaller, n_smaller, smaller_seconds, most in (
        ("min", "s", 60, 1, 3599.5),
        ("h", "min", 60, 60, 86370),
        ("d", "h", 24, 3600, float("inf")),
    ):
        if seconds < most:
            whole, rest = divmod(round(seconds / smaller_seconds), n_smaller)
            return f"{whole} {unit} {rest} {smaller}" if rest else f"{whole} {unit}"
    raise ValueError(f"no time: {seconds}")


def size(n_bytes: float) -> str:
    """Say bytes in decimal units, to three digits: 512 GB, 1.02 TB, 65.4 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 999.5:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB" if n_bytes < 999.5 else f"{n_bytes:.0f} TB"


def in_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay rows of as many cells each out for a terminal, a line each, every column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def printable(line: str) -> str:
    """Put a question mark for what would move a terminal's cursor or could not be written: names come from files."""
    return "".join(sign if sign.isprintable() else "?" for sign in line)
