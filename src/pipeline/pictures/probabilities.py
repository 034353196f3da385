"""A clip's class probabilities over its time: of each block, and the mean up to it, under the whole spectrogram."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ShowError
from pipeline.features.colour import colour_table
from pipeline.features.spectrogram import SpectrogramSpec, band_decibels, draw_image
from pipeline.params import Params, load_params
from pipeline.pictures.trained import choose_run, keys_among, rows_of
from pipeline.report.axes import Tick, hz_ticks, linear_ticks
from pipeline.report.spectrograms import Picture
from pipeline.show.chart import Chart, Line, colours_of
from pipeline.show.page import draw_page, save_page
from pipeline.show.panels import Column, representation_of
from pipeline.store.arrays import open_arrays, read_span
from pipeline.store.folds import read_outputs
from pipeline.store.paths import (
    BLOCKS,
    OUTPUTS,
    SPLIT,
    blocks_csv,
    clips_csv,
    clips_h5,
    outputs_h5,
    parse_run_key,
)
from pipeline.store.tables import Block, Clip, SplitRow, read_keyed

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

WIDTH, HEIGHT, SPECTROGRAM_HEIGHT = 760, 190, 150  # pixels
COLORMAP, N_COLOURS, RANGE_DB = "jet", 64, 80.0
PIECE = 64  # columns whose sound is in memory at a time
MOST_FRAMES = 16  # of a column


@dataclass(frozen=True)
class Course:
    """What was said of one clip, block after block.

    Attributes
    ----------
    middles
        (n,), of the blocks, seconds from the start of the clip.
    probabilities
        (n, n_classes), mean over the runs.
    side
        Of these blocks in the runs' fold.
    """

    clip: Clip
    classes: Sequence[str]
    actual: str
    middles: Doubles
    probabilities: Doubles
    runs: Sequence[str]
    side: str

    @property
    def running(self) -> Doubles:
        """Mean of the probabilities of the blocks up to each (n, n_classes)."""
        return np.cumsum(self.probabilities, axis=0) / np.arange(1, len(self.middles) + 1)[:, None]

    @property
    def answer(self) -> str:
        """The class with the highest mean over all blocks, of equals the first."""
        return self.classes[int(self.running[-1].argmax())]


def draw_probabilities(
    clip: str, *, run: str | None = None, params: Path = Path("params.yaml"), out: Path | None = None
) -> str:
    """Draw the probability of every class in each block of a clip along its time; say what was answered.

    Parameters
    ----------
    clip
        A clip_id of the split.
    run
        One run, whichever side of it the clip is on; by default the mean over all members of the first fold that tests
        the clip.
    params
        Whose spectrogram is drawn above.
    out
        By default named after the clip, in the current folder.

    Raises
    ------
    ShowError
        If there is no such clip or run, or no run has the clip on its test side.
    """
    course = course_of(clip, run)
    chosen = load_params(params)
    spec = _spectrogram_of(chosen)
    charts: list[Picture | Chart] = [_spectrogram(course.clip, spec), *charts_of(course)]
    mean = course.running[-1][list(course.classes).index(course.answer)]
    said = (
        f"answered {course.answer} ({mean:.2f}, mean of {len(course.middles)} blocks), actual {course.actual}; "
        f"{'run' if len(course.runs) == 1 else 'mean of runs'} {', '.join(course.runs)}, {course.side} side"
    )
    page, _ = draw_page(
        f"{clip}\n{said}", [Column("the clip as recorded, and what was said of its blocks", charts, "")]
    )
    target = out or Path(re.sub(r"[^\w.-]+", "_", f"{Path(clip).name}_probabilities") + ".png")
    save_page(page, target)
    return f"{target}: {clip}: {said}"


def course_of(clip: str, run: str | None = None) -> Course:
    """Read what runs say of a clip's blocks: of those on the test side, or with `run` of those on any one side."""
    rows = rows_of(clip)
    if not rows:
        raise ShowError(f"{clip}: no clip of {SPLIT}: give a clip_id as it stands there, or run `dvc repro`")
    keys = [run] if run else keys_among([path.stem for path in OUTPUTS.glob("*.h5")])
    if not keys:
        raise ShowError(f"{OUTPUTS}/: no outputs of any run here: run `dvc repro`")
    first = choose_run(keys, rows)
    fold, _ = parse_run_key(first)
    chosen, side = _blocks_of(clip, [row for row in rows if row.fold == fold], only_test=run is None)
    members = keys if run else [key for key in keys if parse_run_key(key)[0] == fold]
    known = read_keyed(blocks_csv(_corpus_of(clip)), Block, "block_id")
    blocks = sorted((known[row.block_id] for row in chosen), key=lambda block: block.start)
    own = read_keyed(clips_csv(_corpus_of(clip)), Clip, "clip_id")[clip]
    rate = own.n_samples / own.seconds
    names = [block.block_id for block in blocks]
    said = [_probabilities(key, names) for key in members]
    return Course(
        clip=own,
        classes=said[0][1],
        actual=chosen[0].label,
        middles=np.array([(block.start + min(block.n_samples, own.n_samples) / 2) / rate for block in blocks]),
        probabilities=np.mean([probabilities for probabilities, _ in said], axis=0),
        runs=members,
        side=side,
    )


def charts_of(course: Course) -> list[Chart]:
    """Two charts on the clip's time: each block's probabilities, and their mean so far."""
    end = course.clip.seconds
    along = linear_ticks(0, end, at_most=9)
    colours = colours_of(len(course.classes))

    def chart(title: str, values: Doubles, *, dots: bool) -> Chart:
        lines = [
            Line(
                name=f"{name} (actual)" if name == course.actual else name,
                colour=colour,
                points=[(float(x / end), float(y)) for x, y in zip(course.middles, values[:, index], strict=True)],
                dots=dots,
            )
            for index, (name, colour) in enumerate(zip(course.classes, colours, strict=True))
        ]
        return Chart(
            title=title,
            lines=lines,
            along=along,
            heights=linear_ticks(0, 1, at_most=6),
            across="seconds",
            up="probability",
            width=WIDTH,
            height=HEIGHT,
        )

    return [
        chart("Each block, at its middle", course.probabilities, dots=True),
        chart("Mean of the blocks up to here", course.running, dots=False),
    ]


def _spectrogram_of(params: Params) -> SpectrogramSpec:
    """The first that the representation is made of; where it is of frames of a video, that of section `spectrogram`."""
    if own := representation_of(params).spectrograms:
        return own[0]
    of_sound = params.representation.model_copy(update={"kind": "image"})
    (spec,) = representation_of(params.model_copy(update={"representation": of_sound})).spectrograms
    return replace(spec, max_hz=min(spec.max_hz, spec.sample_rate / 2))


def _blocks_of(clip: str, rows: Sequence[SplitRow], *, only_test: bool) -> tuple[list[SplitRow], str]:
    tested = [row for row in rows if row.side == "test"]
    if tested:
        return tested, "test"
    if only_test or not rows:
        raise ShowError(
            f"{clip}: no run whose outputs are here has it on its test side: train another fold (runs.folds), or name "
            "a run with --run to see what it says of a clip that it may have learnt from"
        )
    side = next((name for name in ("validation", "train", "dropped") if any(row.side == name for row in rows)), "")
    return [row for row in rows if row.side == side], side


def _corpus_of(clip: str) -> str:
    corpus = clip.partition("/")[0]
    if not blocks_csv(corpus).is_file():
        raise ShowError(f"{clip}: {BLOCKS} holds no blocks of corpus {corpus}: run `dvc repro`")
    return corpus


def _probabilities(key: str, names: Sequence[str]) -> tuple[Doubles, list[str]]:
    """Probabilities (n, n_classes) of some blocks under one run, and its classes."""
    path = outputs_h5(key)
    if not path.is_file():
        there = keys_among([other.stem for other in OUTPUTS.glob("*.h5")])
        raise ShowError(f"{path}: no outputs of run {key} here: there is {', '.join(there)}")
    outputs = read_outputs(path, "logits")
    place = {name: index for index, name in enumerate(outputs.block_ids)}
    if lacking := [name for name in names if name not in place]:
        raise ShowError(f"{path}: says nothing of block {lacking[0]}: it is of another split: run `dvc repro`")
    logits = outputs.values["logits"][[place[name] for name in names]].astype(np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True), list(outputs.about["classes"])


def _spectrogram(clip: Clip, spec: SpectrogramSpec) -> Picture:
    with open_arrays(clips_h5(clip.corpus)) as file:
        decibels = whole_spectrogram(file["audio"], clip, spec, n_columns=WIDTH)
    high = float(decibels.max())
    low = high - RANGE_DB
    image = draw_image(
        decibels,
        low_db=low,
        high_db=high,
        colormap=COLORMAP,
        n_colours=N_COLOURS,
        height=SPECTROGRAM_HEIGHT,
        width=WIDTH,
    )
    return Picture(
        image=image,
        bar=colour_table(COLORMAP, N_COLOURS)[::-1, None],
        seconds=linear_ticks(0, clip.seconds, at_most=9),
        hz=_sparse(hz_ticks(spec)),
        decibels=linear_ticks(low, high, at_most=5),
    )


def _sparse(ticks: Sequence[Tick]) -> list[Tick]:
    kept: list[Tick] = []
    for tick in ticks:
        if not kept or kept[-1].at - tick.at >= 0.12:
            kept.append(tick)
    return kept


def whole_spectrogram(audio: object, clip: Clip, spec: SpectrogramSpec, *, n_columns: int) -> Floats:
    """Decibels (n_bands, n_columns) of a whole clip as recorded: column j is of the sound from j / n_columns of it on.

    A column is the mean power of its frames, MOST_FRAMES or fewer, each centred within it; beyond its ends the clip is
    silent.
    """
    rate, half = spec.sample_rate, spec.window_length // 2
    span = clip.n_samples / n_columns
    n_frames = int(np.clip(np.ceil(span / (spec.hop_seconds * rate)), 1, MOST_FRAMES))
    own = replace(spec, hop_seconds=span / n_frames / rate, n_columns=0)
    parts = []
    for first in range(0, n_columns, PIECE):
        n_here = min(PIECE, n_columns - first)
        begin = round((first + 0.5 / n_frames) * span) - half
        length = round((n_here * n_frames - 1) * span / n_frames) + spec.window_length + 1
        low, high = max(begin, 0), min(begin + length, clip.n_samples)
        samples = np.zeros(length, np.float32)
        samples[low - begin : high - begin] = read_span(audio, clip.offset + low, clip.offset + high)
        decibels = band_decibels(samples, own)[:, : n_here * n_frames].astype(np.float64)
        power = (10 ** (decibels / 10)).reshape(len(decibels), n_here, n_frames).mean(axis=2)
        parts.append(10 * np.log10(np.maximum(power, 1e-30)))
    return np.concatenate(parts, axis=1).astype(np.float32)
