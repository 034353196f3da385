"""Blocks to look at: any block of any clip, by the parameters, as a PNG with axes; no stage need have run."""

import re
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import ShowError
from pipeline.params import load_changed, load_params
from pipeline.show.block import ShownBlock, find_block, nearest
from pipeline.show.page import draw_page, save_page
from pipeline.show.panels import Column, panels_of


def show_clip(
    clip: str,
    *,
    block: int | None = None,
    at: float | None = None,
    params: Path = Path("params.yaml"),
    other: Path | None = None,
    settings: Sequence[str] = (),
    out: Path | None = None,
) -> str:
    """Draw a block of a clip and write the picture; say which block it is and where the picture lies.

    Parameters
    ----------
    clip
        A clip_id of a corpus under data.root, or the path of any sound file.
    block
        Which block, from 0; with neither this nor `at` the loudest, of equals the first.
    at
        Seconds from the start of the clip: the block whose middle is nearest.
    params
        What it is cut, normalised and represented by.
    other, settings
        Other parameters, and changed keys of them (of `params`, if there is no `other`), for a second picture beside
        the first: of the block whose middle is nearest to that of the first.
    out
        By default named after the clip, in the current folder.

    Raises
    ------
    ShowError
        If there is no such clip or block, or the picture cannot be written.
    """
    if block is not None and at is not None:
        raise ShowError("--block and --at: give one of the two")
    chosen = load_params(params)
    shown = find_block(clip, chosen, number=block, at=at)
    columns = [Column(str(params), panels_of(shown, chosen), shown.caption)]
    if other is not None or settings:
        beside = load_changed(other or params, settings)
        second = find_block(clip, beside, number=None, at=nearest(shown))
        name = ", ".join([*([str(other)] if other else []), *settings])
        columns.append(Column(name, panels_of(second, beside), second.caption))
    target = out or Path(re.sub(r"[^\w.-]+", "_", Path(clip).name) + ".png")
    page, _ = draw_page(shown.name, columns)
    save_page(page, target)
    return f"{target}: {_said(shown)}"


def _said(shown: ShownBlock) -> str:
    return f"{shown.name}, {shown.caption}"
