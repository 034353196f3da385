"""How stages and commands talk to people: progress, one-line errors, and which item of a matrix a stage is."""

import contextlib
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, TypeVar

import typer
from tqdm import tqdm

from pipeline.errors import PipelineError

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 10.0


def track(items: Iterable[Item], *, label: str, total: int, unit: str) -> Iterator[Item]:
    """Pass `items` on, showing how far, how fast and how long still: a bar on a terminal, plain lines elsewhere."""
    if sys.stderr.isatty():
        yield from tqdm(items, desc=label, total=total, unit=f" {unit}", dynamic_ncols=True)
        return
    start = last = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += 1
        now = time.monotonic()
        if done < total and now - last >= SECONDS_BETWEEN_LINES:
            last = now
            seconds = now - start
            say(f"{label}: {done}/{total} {unit}, {_rate(done, seconds, unit)}, {_left(done, total, seconds)} left")
    elapsed = time.monotonic() - start
    say(f"{label}: {done}/{total} {unit} in {elapsed:.1f} s, {_rate(done, elapsed, unit)}")


def _rate(done: int, seconds: float, unit: str) -> str:
    return f"{done / max(seconds, 1e-9):.3g} {unit}/s"


def _left(done: int, total: int, seconds: float) -> str:
    remaining = round(seconds / done * (total - done))
    return f"{remaining // 60} min {remaining % 60} s" if remaining >= 60 else f"{remaining} s"


# Control characters but newline and tab, the marks that turn the direction of writing, and bytes that are not UTF-8.
_COMMANDING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def harmless(text: str) -> str:
    """Escape what would command a terminal: names of files and labels may hold anything."""
    return _COMMANDING.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def say(text: str) -> None:
    """Print one line for people, at once."""
    print(harmless(text), file=sys.stderr, flush=True)


def answer(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print what a command was asked for."""
    typer.echo(harmless(text), err=err, nl=nl)


@contextlib.contextmanager
def one_line_errors(status: int = 1) -> Iterator[None]:
    """Turn an error that emospec raises on purpose into one line on stderr and an exit status."""
    try:
        yield
    except PipelineError as error:
        say(f"error: {' '.join(str(error).split())}")
        raise SystemExit(status) from None


@contextlib.contextmanager
def no_failure_exits_with_one() -> Iterator[None]:
    """Exit with 2 on errors raised on purpose and 3 on all others: for commands whose exit status 1 is an answer."""
    try:
        with one_line_errors(2):
            yield
    except (Exception, KeyboardInterrupt):  # noqa: BLE001 - Python itself would exit with 1, click too
        traceback.print_exc()
        raise SystemExit(3) from None


def item_of_stage(stage: str) -> str:
    """Which item of a matrix: `demo` of `collect_clips@demo`, as DVC_STAGE names it; a bare item stays as it is."""
    return stage.rpartition("@")[2]


# The item that a stage works on: given by hand, or read from the variable that DVC sets for each stage it runs.
StageItem = Annotated[str, typer.Argument(envvar="DVC_STAGE", parser=item_of_stage, help="Item of the stage's matrix.")]


def n_workers(wanted: int) -> int:
    """How many clips to work on at a time: as asked for, or for 0 one per core that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return wanted or cores or 1


def run_stage(main: Callable[..., Any]) -> None:
    """Run a stage script's `main` as a command."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command(help=sys.modules["__main__"].__doc__)(main)
    with one_line_errors():
        app()
