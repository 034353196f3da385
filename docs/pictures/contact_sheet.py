"""Draw docs/pictures/representations.png: one block of speech and one of a crowd, in every representation.

`PYTHONPATH=src python docs/pictures/contact_sheet.py --speech FILE --crowd FILE`, from the project's root. Settings of
the papers are those of docs/representations.md.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image

from pipeline.console import run_stage
from pipeline.errors import ShowError
from pipeline.features.chosen import representation_of
from pipeline.features.colour import colour_table
from pipeline.features.scratch import Scratch
from pipeline.features.sox import COLORMAP, N_COLOURS, full_scale_range, sox_spectrogram
from pipeline.features.whitening import fit_whitening
from pipeline.params import Params, load_changed
from pipeline.report.spectrograms import Picture, pictures_of
from pipeline.show.block import ShownBlock, find_block, nearest
from pipeline.show.page import draw_page
from pipeline.show.panels import Column, panels_of

Floats = NDArray[np.float32]

DOCS = Path(__file__).resolve().parents[1]
PARAMS = DOCS.parent / "params.yaml"
PAGE = DOCS / "representations.md"
SIDE = 256  # pixels
RATE = 16000  # Hz, of all sound
SOX_SIDE = 224  # pixels
AXES = {
    "mel": "mel (O'Shaughnessy)",
    "slaney": "mel (Slaney)",
    "bark": "Bark (Traunmueller)",
    "erb": "ERB (Glasberg, Moore)",
    "log": "logarithmic",
    "linear": "linear",
}
PICTURES = {
    **{f"Axis {title}, jet": [f"spectrogram.axis={axis}"] for axis, title in AXES.items()},
    "Axis mel, jet, own range": ["image.range=own"],
    "Axis mel, grey": ["image.colormap=grey"],
    "Axis mel, matplotlib's viridis": ["image.colormap=viridis"],
}
STACKS = {
    "Stack of Anand and Verma": "anand",
    "Stack of Herron, not whitened": "herron",
    "(S, MFCC, delta), not whitened": "herron_mfcc",
}
WHITENED = "Stack of Anand and Verma"
FEATURES = "26 hand-built features"
UNITS = {"rms": "of full scale", "zero": "a second", "energy": "dB", "roll": "Hz", "centroid": "Hz", "pitch": "Hz"}
FIT_FILES, FIT_BLOCKS = 8, 4  # whitening is fitted on at most so many files, and so many blocks of each
KEPT_COLOURS = {"jet": 64, "viridis": 64, "sox": 83, "grey": 32}  # of the file, at most 256


def main(
    speech: Annotated[Path, typer.Option(help="A sound file of speech.", exists=True, dir_okay=False)],
    crowd: Annotated[Path, typer.Option(help="A sound file of a crowd.", exists=True, dir_okay=False)],
    out: Annotated[Path, typer.Option(help="The PNG that is written.")] = DOCS / "pictures/representations.png",
) -> None:
    """Draw the loudest block of two seconds of each, and of other lengths the block nearest to its middle."""
    chosen = _chosen()
    columns = [_column(f"Speech: {speech.name}", speech, chosen), _column(f"Crowd: {crowd.name}", crowd, chosen)]
    page, _ = draw_page(f"One block of speech and one of a crowd in every representation, at {RATE} Hz", columns)
    few = page.quantize(palette=_palette(), dither=Image.Dither.NONE)
    try:
        few.save(out, format="PNG", optimize=True)
    except OSError as error:
        raise ShowError(f"{out}: cannot be written ({error.strerror or error})") from None


def _chosen() -> dict[str, Params]:
    """What is drawn, by title."""
    common = [f"audio.sample_rate={RATE}", f"image.width={SIDE}", f"image.height={SIDE // 2}"]
    common += [f"spectrogram.max_hz={RATE / 2}"]
    settings = {title: [*common, *own] for title, own in PICTURES.items()}
    settings["SoX-like"] = [*common, *_like_sox(n_samples=2 * RATE)]
    settings |= {title: _of_page(name) for title, name in STACKS.items()}
    settings[FEATURES] = _of_page("anand_features")
    return {title: load_changed(PARAMS, own) for title, own in settings.items()}


def _palette() -> Image.Image:
    """An image that holds the colours of the file: a palette makes it half as large."""
    kept = np.concatenate([colour_table(name, n_colours) for name, n_colours in KEPT_COLOURS.items()])
    palette = Image.new("P", (1, 1))
    palette.putpalette(kept.tobytes())
    return palette


def _like_sox(*, n_samples: int) -> list[str]:
    spec = sox_spectrogram(RATE, n_samples=n_samples, height=SOX_SIDE, width=SOX_SIDE)
    low, high = full_scale_range(spec)
    values = {
        **{key: getattr(spec, key) for key in ("window", "hop_seconds", "fft_length", "axis", "n_bands", "n_columns")},
        "window_samples": spec.window_length,
        "min_hz": spec.min_hz,
        "max_hz": spec.max_hz,
        "low_db": low,
        "high_db": high,
    }
    drawing = {"colormap": COLORMAP, "n_colours": N_COLOURS, "height": SOX_SIDE, "width": SOX_SIDE}
    return [
        *(f"spectrogram.{key}={value}" for key, value in values.items()),
        *(f"image.{key}={value}" for key, value in drawing.items()),
    ]


def _column(name: str, clip: Path, chosen: Mapping[str, Params]) -> Column:
    first = find_block(str(clip), next(iter(chosen.values())), number=None, at=None)
    panels: list[Picture | tuple[str, str]] = []
    for title, params in chosen.items():
        shown = find_block(str(clip), params, number=None, at=nearest(first))
        if title == FEATURES:
            panels += _features(shown, params)
            continue
        panels += _named(title, shown, panels_of(shown, params))
        if title == WHITENED:
            panels += _whitened(clip, shown, params)
    return Column(name, panels, first.caption, side=SIDE)


def _of_page(name: str) -> list[str]:
    """The settings of a name on the page of representations."""
    found = re.search(rf"```settings {name}\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    if not found:
        raise ShowError(f"{PAGE}: there are no settings {name}: add a block that begins with ```settings {name}")
    return [word for word in shlex.split(found[1]) if word != "-S"]


def _named(title: str, shown: ShownBlock, pictures: Sequence[Picture]) -> Iterator[Picture]:
    """Write over each picture what it is of, and over the first the title."""
    head = f"\n{title}\n{_span(shown)} of the clip"
    for picture in pictures:
        yield replace(picture, channel="\n".join(filter(None, [head, picture.channel])))
        head = ""


def _span(shown: ShownBlock) -> str:
    start, end = (sample / shown.sample_rate for sample in (shown.start, shown.start + len(shown.samples)))
    return f"{start:.2f} s to {end:.2f} s"


def _whitened(clip: Path, shown: ShownBlock, params: Params) -> Iterator[Picture]:
    """The stack of a block after ZCA, fitted on blocks of files of the clip's folder."""
    stacks = list(_beside(clip, params))
    whitened = fit_whitening([np.stack(stacks)]).apply(_stack(shown, params))
    pictures = [
        replace(picture, channel=picture.channel.replace("decibels", "whitened"), level="deviations")
        for picture in pictures_of(whitened, representation_of(params).attributes(), n_samples=len(shown.samples))
    ]
    yield from _named(
        f"The same, whitened by ZCA that was\nfitted on {len(stacks)} blocks of its folder", shown, pictures
    )


def _beside(clip: Path, params: Params) -> Iterator[Floats]:
    """Stacks (n_channels, height, width) of blocks spread over each of a few files."""
    files = sorted(path for path in clip.parent.iterdir() if path.suffix == clip.suffix)
    for path in files[:: max(1, len(files) // FIT_FILES)][:FIT_FILES]:
        n_blocks = find_block(str(path), params, number=0, at=None).n_blocks
        for number in sorted(set(np.linspace(0, n_blocks - 1, FIT_BLOCKS).round().astype(int).tolist())):
            yield _stack(find_block(str(path), params, number=number, at=None), params)


def _stack(shown: ShownBlock, params: Params) -> Floats:
    gain = 10 ** (shown.gain.gain_db / 20)
    own = representation_of(params)
    return own.render(shown.samples, offset=shown.gain.offset, gain=gain, scratch=Scratch()).copy()


def _features(shown: ShownBlock, params: Params) -> Iterator[tuple[str, str]]:
    """Names with units, and values."""
    yield from [("", ""), (FEATURES, ""), (f"{_span(shown)} of the clip", "")]
    for name, value in panels_of(shown, params):
        unit = UNITS.get(name.split("_")[0])
        yield f"{name}, {unit}" if unit else name, f"{float(value):.4g}"


if __name__ == "__main__":
    run_stage(main)
