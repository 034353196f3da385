"""Learning curves in the terminal, and as a picture, again and again while runs train."""

import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import ShowError
from pipeline.pictures.curves import draw_curves
from pipeline.pictures.growing import chosen_runs, find_runs
from pipeline.pictures.terminal import CLEAR, page_of
from pipeline.show.page import save_page
from pipeline.store.paths import CURVES


def watch(keys: Sequence[str], *, once: bool, every: float, png: Path | None) -> None:
    """Print the curves, and again every few seconds until interrupted; with `png` draw them there each time.

    Where the output is no terminal they are printed once.

    Raises
    ------
    ShowError
        If there are no curves and none is waited for, or the picture cannot be written.
    """
    repeats = not once and sys.stdout.isatty()
    try:
        while True:
            runs = find_runs()
            shown = chosen_runs(runs, keys)
            if not repeats and not any(run.points for run in shown):
                raise ShowError(
                    f"{CURVES}/: no learning curves yet: they begin when a run starts to train (`dvc repro`)"
                )
            size = shutil.get_terminal_size()
            text = page_of(runs, shown, columns=size.columns, lines=size.lines)
            if png is not None and any(run.points for run in shown):
                save_page(draw_curves([run for run in shown if run.points]), png)
            if not repeats:
                print(text)
                return
            print(f"{CLEAR}{text}\nEvery {every:g} s; Ctrl-C ends this, and no run.", flush=True)
            time.sleep(every)
    except KeyboardInterrupt:
        return
