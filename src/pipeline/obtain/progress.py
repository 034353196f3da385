"""How far a download is: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from typing import Self

from tqdm import tqdm

from pipeline.console import SECONDS_BETWEEN_LINES, say
from pipeline.words import duration, size


class ByteProgress:
    """Counts the bytes of one file.

    Parameters
    ----------
    label
        What is fetched.
    done
        Bytes that were there before.
    total
        Bytes of the whole; None where nobody knows.
    """

    def __init__(self, label: str, *, done: int, total: int | None) -> None:
        self._label, self._first, self._done, self._total = label, done, done, total
        self._start = self._last = time.monotonic()
        self._bar = None
        if sys.stderr.isatty():
            self._bar = tqdm(
                desc=label, initial=done, total=total, unit="B", unit_scale=True, dynamic_ncols=True, leave=False
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()

    def add(self, n_bytes: int) -> None:
        """Count bytes that have come."""
        self._done += n_bytes
        if self._bar is not None:
            self._bar.update(n_bytes)
            return
        now = time.monotonic()
        if now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            say(f"{self._label}: {self._so_far(now - self._start)}")

    def _so_far(self, seconds: float) -> str:
        per_second = (self._done - self._first) / max(seconds, 1e-9)
        speed = f"{size(per_second)}/s"
        if not self._total:
            return f"{size(self._done)}, {speed}"
        left = (self._total - self._done) / max(per_second, 1e-9)
        return f"{size(self._done)} of {size(self._total)}, {speed}, {duration(left)} left"
