"""Spectrograms to look at: which blocks are shown, and each as a picture with its axes."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import StoreError
from pipeline.features.colour import colour_table
from pipeline.features.ranges import LEAST_RANGE_DB
from pipeline.features.representations import stack_of
from pipeline.features.spectrogram import SpectrogramSpec, draw_image
from pipeline.features.stack import ChannelSpec
from pipeline.report.axes import Tick, hz_ticks, linear_ticks, round_values, second_ticks, text_of
from pipeline.store.columns import Keyed, read_table
from pipeline.store.paths import SPLIT, blocks_csv, clips_csv
from pipeline.store.rendered import Rendered
from pipeline.store.tables import Block, Clip, ClipAnswer, SplitRow, each_row, read_all

CHANNEL_COLOURS = 64
LEVELS = {"decibels": "dB re 1/Hz", "power": "dB re 1/Hz", "mfcc": "MFCC", "delta_mfcc": "per frame"}
CONTENTS = {"decibels": "decibels", "power": "density", "mfcc": "MFCC", "delta_mfcc": "deltas of MFCC"}
MFCC_PERCENTILES = (1.0, 99.0)
MOST_PIXELS = 512  # of a picture's side in the page; shown at half of that


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One block's spectrogram, or one channel of it, ready to be drawn with its axes; a frame of a video has none."""

    image: NDArray[np.uint8]  # (height, width, 3)
    bar: NDArray[np.uint8] | None = None  # the colours (n_colours, 1, 3), the highest level at the top
    seconds: Sequence[Tick] = ()
    hz: Sequence[Tick] = ()
    decibels: Sequence[Tick] = ()
    # What the axes are of: of a block that was resampled to a fixed length, frequencies and times are relative.
    across: str = "seconds"
    up: str = "Hz"
    level: str = "dB re 1/Hz"
    channel: str = ""  # which of a stack's

    @property
    def pixels(self) -> str:
        """The image as a data URI."""
        return _png(self.image)

    @property
    def has_axes(self) -> bool:
        """Whether it is a spectrogram."""
        return self.bar is not None

    @property
    def colours(self) -> str:
        """The colours as a data URI; empty where there are no axes."""
        return "" if self.bar is None else _png(self.bar)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A block that is shown, and what is said of it."""

    label: str
    clip: Clip
    starts: float  # where the block starts in its recording, seconds
    seconds: float  # how long it is
    fill: str
    pictures: Sequence[Picture]  # one for each channel of a stack; none of hand-built features
    answer: ClipAnswer | None = None


@dataclass(frozen=True)
class Sound:
    """The clips and blocks of all corpora of a run."""

    clips: Mapping[str, Clip]
    blocks: Keyed[Block]

    @classmethod
    def of(cls, corpora: Sequence[str]) -> "Sound":
        """Read them."""
        clips = read_all([clips_csv(corpus) for corpus in corpora], Clip)
        blocks = read_table([blocks_csv(corpus) for corpus in corpora], Block)
        return cls({clip.clip_id: clip for clip in clips}, Keyed(blocks, "block_id"))


def show_classes(sound: Sound, images: Rendered) -> list[Shown]:
    """Show one block of each class, in the order of their names; no model has a say in which.

    It is the middle block, in time, of the class's clip of median length, among the recordings themselves (variant 0);
    of an even number the earlier or shorter one, of equal lengths the first by name.
    """
    blocks = sound.blocks.table
    is_recorded = blocks.numbers("variant") == 0
    is_split = np.zeros(len(blocks), dtype=bool)
    clips_of: dict[str, set[str]] = {}
    for row in each_row(SPLIT, SplitRow):
        place = _place(sound, row.block_id)
        if is_recorded[place]:
            is_split[place] = True
            clips_of.setdefault(row.label, set()).add(row.clip_id)
    blocks = blocks.take(is_split)
    shown = []
    for label, names in sorted(clips_of.items()):
        clip_id = _middle(sorted((_clip(sound, name).seconds, name) for name in names))[1]
        own = blocks.take(blocks.where("clip_id", clip_id.__eq__))
        block_id = _middle(sorted((block.start, block.block_id) for block in own))[1]
        shown.append(_show(sound, images, block_id, label))
    return shown


def show_wrong(sound: Sound, images: Rendered, answers: Sequence[ClipAnswer], *, at_most: int) -> list[Shown]:
    """Show the worst block of each clip answered wrong, those with the least probability of their class first."""
    wrong = [answer for answer in answers if answer.predicted != answer.actual]
    worst = sorted(wrong, key=lambda answer: (answer.of_actual, answer.clip_id))[:at_most]
    return [_show(sound, images, answer.worst_block, answer.actual, answer) for answer in worst]


def pictures_of(values: NDArray[Any], representation: Mapping[str, Any], *, n_samples: int) -> list[Picture]:
    """Turn what a block of `n_samples` became into pictures with ticks: hand-built features have none.

    Parameters
    ----------
    representation
        The attributes of its file: how sound became these values.

    Raises
    ------
    StoreError
        If an attribute is not there.
    """
    kind = representation.get("kind", "image")
    if kind == "features":
        return []
    if kind == "stack":
        channels = zip(values, stack_of(representation).channels, strict=True)
        return [
            _channel_picture(matrix, channel, representation, f"channel {number}", n_samples=n_samples)
            for number, (matrix, channel) in enumerate(channels, start=1)
        ]
    if kind == "faces":
        return [Picture(image=values, across="", up="", level="")]
    return [picture_of(values, representation, n_samples=n_samples)]


def picture_of(pixels: NDArray[np.uint8], representation: Mapping[str, Any], *, n_samples: int) -> Picture:
    """Turn an image (height, width, 3) of a block of `n_samples` into a picture with ticks.

    Parameters
    ----------
    representation
        The attributes of the image's file: how sound became an image.

    Raises
    ------
    StoreError
        If an attribute is not there.
    """
    is_own = representation.get("range") == "own"
    needed = [item.name for item in fields(SpectrogramSpec)] + ["colormap", "n_colours"]
    needed += [] if is_own else ["low_db", "high_db"]
    if missing := [name for name in needed if name not in representation]:
        raise StoreError(
            f"the rendered images do not state their {', '.join(missing)}: "
            "run `dvc repro -f` on the stage that renders them"
        )
    spec = SpectrogramSpec(**{item.name: representation[item.name] for item in fields(SpectrogramSpec)})
    return Picture(
        image=pixels,
        bar=_colour_bar(representation["colormap"], representation["n_colours"]),
        decibels=[] if is_own else linear_ticks(representation["low_db"], representation["high_db"], at_most=7),
        level="its own range" if is_own else "dB re 1/Hz",
        **_axes(spec, representation, n_samples),
    )


def _channel_picture(
    matrix: NDArray[np.float32],
    channel: ChannelSpec,
    representation: Mapping[str, Any],
    name: str,
    *,
    n_samples: int,
) -> Picture:
    """One channel (n_bands, n_columns) over its own range of values.

    Of MFCC and deltas that is from the 1st to the 99th percentile: the lowest coefficient would take all colours.
    """
    spec = channel.spectrogram
    if channel.contents == "power":
        matrix = 10 * np.log10(np.maximum(matrix, 1e-30))
    ends = MFCC_PERCENTILES if channel.contents in ("mfcc", "delta_mfcc") else (0.0, 100.0)
    low, high = (float(end) for end in np.percentile(matrix, ends))
    high = max(high, low + LEAST_RANGE_DB)
    height, width = matrix.shape
    image = draw_image(
        matrix, low_db=low, high_db=high, colormap="jet", n_colours=CHANNEL_COLOURS, height=height, width=width
    )
    axes = _axes(spec, representation, n_samples)
    if channel.contents in ("mfcc", "delta_mfcc"):
        last = (channel.n_coefficients or spec.n_bands) - 1
        values = round_values(0, last, at_most=6)
        axes["hz"] = [Tick((value + 0.5) / (last + 1), text_of(value)) for value in values if value == int(value)]
        axes["up"] = "no."
    window = f"window {1000 * spec.window_length / spec.sample_rate:.3g} ms, hop {1000 * spec.hop_seconds:.3g} ms"
    return Picture(
        image=image,
        bar=_colour_bar("jet", CHANNEL_COLOURS),
        decibels=linear_ticks(low, high, at_most=7),
        level=LEVELS[channel.contents],
        channel=f"{name}: {CONTENTS[channel.contents]}, {window}",
        **axes,
    )


def _axes(spec: SpectrogramSpec, representation: Mapping[str, Any], n_samples: int) -> dict[str, Any]:
    resampled = representation.get("resample_samples", 0)
    words = {"across": "seconds, relative", "up": "rel. Hz"} if resampled else {}
    return {"seconds": second_ticks(resampled or n_samples, spec), "hz": hz_ticks(spec), **words}


def _show(sound: Sound, images: Rendered, block_id: str, label: str, answer: ClipAnswer | None = None) -> Shown:
    block = sound.blocks.table[_place(sound, block_id)]
    clip = _clip(sound, block.clip_id)
    pictures = pictures_of(images.batch([block_id])[0], images.representation, n_samples=block.n_samples)
    rate = images.representation["sample_rate"]
    return Shown(
        label=label,
        clip=clip,
        starts=clip.start_seconds + block.start / rate,
        seconds=block.n_samples / rate,
        fill=block.fill,
        pictures=pictures,
        answer=answer,
    )


def _place(sound: Sound, block_id: str) -> int:
    """Which row of the table of blocks one is."""
    place = sound.blocks.find(block_id)
    if place is None:
        raise StoreError(f"block {block_id} was split or answered but is not in data/processed/blocks: run `dvc repro`")
    return place


def _clip(sound: Sound, clip_id: str) -> Clip:
    if clip_id not in sound.clips:
        raise StoreError(f"clip {clip_id} was split but is not in data/processed/clips: run `dvc repro`")
    return sound.clips[clip_id]


def _middle(ordered: Sequence[Any]) -> Any:
    return ordered[(len(ordered) - 1) // 2]


def _colour_bar(colormap: str, n_colours: int) -> NDArray[np.uint8]:
    return colour_table(colormap, n_colours)[::-1, None]


def _png(pixels: NDArray[np.uint8]) -> str:
    """Pixels (height, width, 3) as a PNG in a data URI; larger ones are reduced."""
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    size = (min(picture.width, MOST_PIXELS), min(picture.height, MOST_PIXELS))
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.BOX)
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
