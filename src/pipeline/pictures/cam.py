"""Grad-CAM over a block's spectrogram, beside the bare one, on axes in seconds and Hz."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import ShowError
from pipeline.features.chosen import representation_of
from pipeline.features.colour import colour_table
from pipeline.models.checkpoint import load_model
from pipeline.models.recurrent import SequenceNetwork
from pipeline.params import Params, load_params
from pipeline.pictures.grad_cam import class_map, last_convolution, layers_with_maps
from pipeline.pictures.trained import choose_run, refuse_untrained, rows_of, trained_runs
from pipeline.report.axes import linear_ticks
from pipeline.report.spectrograms import Picture
from pipeline.show.block import ShownBlock, find_block
from pipeline.show.page import draw_page, save_page
from pipeline.show.panels import Column, panels_of, values_of
from pipeline.store.paths import parse_run_key
from pipeline.store.tables import SplitRow

Floats = NDArray[np.float32]
HEAT, N_HEAT = "inferno", 256
MOST_HEAT = 0.75  # how much of the colour is the heat's where it is highest
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
MOST_CLASSES = 10  # whose probabilities are all named


@dataclass(frozen=True)
class Answer:
    """What the network said of a block, and which class the picture is of."""

    classes: Sequence[str]
    probabilities: NDArray[np.float64]
    predicted: str
    actual: str | None  # None: not known
    side: str | None  # of the block in the run's fold
    shown: str


def draw_cam(
    clip: str,
    *,
    run: str | None = None,
    block: int | None = None,
    at: float | None = None,
    of: str = "predicted",
    layer: str | None = None,
    params: Path = Path("params.yaml"),
    out: Path | None = None,
) -> str:
    """Draw where a trained network finds what speaks for a class in a block; say what it answered.

    Parameters
    ----------
    clip, block, at, params
        As of `show.show_clip`.
    run
        Key of a trained run; by default the first on whose test side the clip is, else the first.
    of
        predicted, actual, or a class.
    layer
        Name of a layer of the network; by default the last convolution's, as `grad_cam.last_convolution` says.
    out
        By default named after the clip and the run, in the current folder.

    Raises
    ------
    ShowError
        If there is no such clip, block, run or class, or the run was trained on another representation.
    ModelError
        If there is no such layer.
    """
    if block is not None and at is not None:
        raise ShowError("--block and --at: give one of the two")
    chosen = load_params(params)
    keys = [run] if run else trained_runs()
    rows = rows_of(clip)
    key = choose_run(keys, rows)
    network, card, preparation = load_model(refuse_untrained(key))
    if isinstance(network, SequenceNetwork):
        raise ShowError(
            f"run {key}: {card.sequence['kind']} answers for a block by others of its clip too, so that no map of one "
            "block says why: give a --run without model.sequence"
        )
    representation = representation_of(chosen)
    _refuse_other(key, card.representation, representation.attributes(), params)
    if representation.kind == "features":
        raise ShowError(f"run {key} was trained on hand-built features: there is no spectrogram to look at")
    shown = find_block(clip, chosen, number=block, at=at)
    values = values_of(shown, representation)
    batch = preparation.to_input(np.array(values[None]), torch.device("cpu"))  # frames of videos are read-only
    if layer is not None:
        maps = layers_with_maps(network.trunk, batch)
        if layer not in maps:
            raise ShowError(
                f"--layer {layer}: no layer of {card.network} with feature maps: e.g. {', '.join(maps[-6:])}"
            )
    target = layer or last_convolution(network.trunk, batch, head=network.head)
    with torch.inference_mode():
        logits = network(batch)[0].double().numpy()
    answer = _answer(card.classes, logits, _rows_of_block(rows, shown, key), _labels(rows), of)
    found = class_map(network.trunk, batch, list(card.classes).index(answer.shown), layer=target)
    heat = np.maximum(found.values, 0)
    title = "\n".join([f"{shown.name}, run {key} ({card.network})", said(answer)])
    page, _ = draw_page(title, columns_of(shown, chosen, heat, answer, layer=target, kind=representation.kind))
    path = out or Path(re.sub(r"[^\w.-]+", "_", f"{Path(clip).name}_gradcam_{key}") + ".png")
    save_page(page, path)
    return f"{path}: {shown.name}, {shown.caption}; run {key}, layer {target}: {said(answer)}"


def columns_of(
    shown: ShownBlock, params: Params, heat: Floats, answer: Answer, *, layer: str, kind: str
) -> list[Column]:
    """The bare pictures of a block, and beside them the same in grey under the heat.

    Parameters
    ----------
    heat
        (height, width) of the layer, not negative, in the orientation of the network's input.
    """
    bare = [panel for panel in panels_of(shown, params) if isinstance(panel, Picture)]
    below = bare
    if kind == "image":
        grey = params.image.model_copy(update={"colormap": "grey", "n_colours": 256})
        changed = params.model_copy(update={"image": grey})
        below = [panel for panel in panels_of(shown, changed) if isinstance(panel, Picture)]
    height, width = heat.shape
    caption = f"layer {layer}, {height} x {width} positions"
    if not heat.any():
        caption += ": nothing there speaks for it"
    overlays = [overlay(picture, upright(heat, kind)) for picture in below]
    return [
        Column("what the network was given", bare, shown.caption),
        Column(f"Grad-CAM of {answer.shown}", overlays, caption),
    ]


def upright(heat: Floats, kind: str) -> Floats:
    """Heat with high frequencies at the top, as a picture has them; a stack's lowest band is its first row."""
    return heat[::-1] if kind == "stack" else heat


def overlay(picture: Picture, heat: Floats) -> Picture:
    """Lay heat (height, width), upright, over a picture in grey; its scale takes the place of the picture's."""
    grey = grey_of(picture)
    spread = enlarged(heat, grey.shape)
    share = spread / spread.max() if spread.max() > 0 else spread
    colours = colour_table(HEAT, N_HEAT)
    hot = colours[np.minimum((share * N_HEAT).astype(np.int64), N_HEAT - 1)]
    weight = MOST_HEAT * np.sqrt(share)[..., None]
    image = np.round((1 - weight) * 255 * grey[..., None] + weight * hot).astype(np.uint8)
    return replace(
        picture,
        image=image,
        bar=colours[::-1, None],
        decibels=linear_ticks(0, 1, at_most=6),
        level="of the highest",
    )


def grey_of(picture: Picture) -> NDArray[np.float64]:
    """Levels (height, width), 0 to 1, of a picture: where on its own colour bar the nearest colour is.

    A frame of a video has no bar: its brightness.
    """
    if picture.bar is None:
        return np.asarray(picture.image @ np.array(LUMA) / 255)
    flat, places = np.unique(picture.image.reshape(-1, 3), axis=0, return_inverse=True)
    bar = picture.bar[::-1, 0].astype(np.int64)
    nearest = np.square(flat[:, None].astype(np.int64) - bar[None]).sum(axis=2).argmin(axis=1)
    levels = nearest / max(len(bar) - 1, 1)
    return np.asarray(levels[places.ravel()].reshape(picture.image.shape[:2]))


def enlarged(heat: Floats, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Heat in the size of a picture, bilinear; each position's centre stays where it is on the picture."""
    resized = Image.fromarray(np.ascontiguousarray(heat, dtype=np.float32)).resize(
        (shape[1], shape[0]), Image.Resampling.BILINEAR
    )
    return np.asarray(resized, dtype=np.float64)


def said(answer: Answer) -> str:
    """What was answered and what is true, in words."""
    of = dict(zip(answer.classes, answer.probabilities, strict=True))
    words = f"predicted {answer.predicted} {of[answer.predicted]:.2f}"
    words += f", actual {answer.actual}" if answer.actual else ", actual class not known"
    words += f" {of[answer.actual]:.2f}" if answer.actual in of else ""
    if len(of) <= MOST_CLASSES:
        words += f" ({', '.join(f'{name} {value:.2f}' for name, value in of.items())})"
    side = {"test": "on the test side", None: "not in this split"}.get(answer.side, f"on the {answer.side} side")
    return f"{words}; the block is {side}"


def _answer(
    classes: Sequence[str], logits: NDArray[np.float64], row: SplitRow | None, labels: set[str], of: str
) -> Answer:
    powers = np.exp(logits - logits.max())
    predicted = classes[int(logits.argmax())]
    actual = row.label if row else labels.pop() if len(labels) == 1 else None
    shown = {"predicted": predicted, "actual": actual or ""}.get(of, of)
    if of == "actual" and actual is None:
        raise ShowError("--class actual: the clip is in no split, so its class is not known: name one")
    if shown not in classes:
        raise ShowError(f"--class {shown}: the network has no such class: predicted, actual, {', '.join(classes)}")
    return Answer(classes, powers / powers.sum(), predicted, actual, row.side if row else None, shown)


def _labels(rows: Sequence[SplitRow]) -> set[str]:
    return {row.label for row in rows}


def _rows_of_block(rows: Sequence[SplitRow], shown: ShownBlock, key: str) -> SplitRow | None:
    fold, _ = parse_run_key(key)
    block_id = f"{shown.name}@{shown.start}"
    return next((row for row in rows if row.fold == fold and row.block_id == block_id), None)


def _refuse_other(key: str, trained: dict[str, Any], present: dict[str, Any], params: Path) -> None:
    names = [name for name in sorted(trained.keys() | present.keys()) if trained.get(name) != present.get(name)]
    if names:
        raise ShowError(
            f"run {key} was trained on another representation than {params} chooses (different: {', '.join(names)}): "
            "give its parameters with --params, or run `dvc repro`"
        )
