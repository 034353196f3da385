"""A clip's class probabilities over its time: of each block, and the answer up to it, under the whole spectrogram."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.aggregation import Timeline, over_time
from pipeline.answerers import join, read_answerer
from pipeline.errors import ShowError
from pipeline.evaluate import How
from pipeline.features.chosen import representation_of
from pipeline.features.colour import colour_table
from pipeline.features.spectrogram import SpectrogramSpec, band_decibels, draw_image
from pipeline.params import Params, load_params
from pipeline.pictures.trained import choose_run, keys_among, rows_of
from pipeline.report.axes import Tick, hz_ticks, linear_ticks
from pipeline.report.spectrograms import Picture
from pipeline.show.chart import Chart, Line, colours_of
from pipeline.show.page import draw_page, save_page
from pipeline.show.panels import Column
from pipeline.store.arrays import open_arrays, read_span
from pipeline.store.folds import read_fold, read_outputs
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
from pipeline.words import amount

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
        (n, n_classes), of the runs together.
    side
        Of these blocks in the runs' fold.
    rule
        From these blocks to one answer, as `evaluate.aggregate` names it.
    """

    clip: Clip
    classes: Sequence[str]
    actual: str
    middles: Doubles
    probabilities: Doubles
    runs: Sequence[str]
    side: str
    rule: str = "mean"

    @property
    def running(self) -> Doubles:
        """What the rule answers from the blocks up to each (n, n_classes)."""
        n = len(self.middles)
        timeline = Timeline.of(np.zeros(n, np.int64), np.arange(n))
        return np.concatenate(list(over_time(self.probabilities, timeline, self.rule, at=range(1, n + 1))))

    @property
    def answer(self) -> str:
        """The class that is most probable from all blocks, of equals the first."""
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
        One run, whichever side of it the clip is on; by default all members of the first fold that tests the clip.
    params
        Whose spectrogram is drawn above, and whose `runs.members` and `evaluate` say what is answered.
    out
        By default named after the clip, in the current folder.

    Raises
    ------
    ShowError
        If there is no such clip or run, or no run has the clip on its test side.
    """
    chosen = load_params(params)
    how = How(**chosen.evaluate.model_dump(include={"aggregate", "members_mean", "calibrate"}))
    course = course_of(clip, run, members=chosen.runs.members, how=how, validation=chosen.split.validation)
    spec = _spectrogram_of(chosen)
    charts: list[Picture | Chart] = [_spectrogram(course.clip, spec), *charts_of(course)]
    probability = course.running[-1].max()
    said = (
        f"answered {course.answer} ({probability:.2f}, {course.rule} of {amount(len(course.middles), 'block')}), "
        f"actual {course.actual}; "
        f"{'run' if len(course.runs) == 1 else 'mean of runs'} {', '.join(course.runs)}, {course.side} side"
    )
    page, _ = draw_page(
        f"{clip}\n{said}", [Column("the clip as recorded, and what was said of its blocks", charts, "")]
    )
    target = out or Path(re.sub(r"[^\w.-]+", "_", f"{Path(clip).name}_probabilities") + ".png")
    save_page(page, target)
    return f"{target}: {clip}: {said}"


def course_of(
    clip: str,
    run: str | None = None,
    *,
    members: Sequence[str] | None = None,
    how: How | None = None,
    validation: str = "none",
) -> Course:
    """Read what runs say of a clip's blocks: of those on the test side, or with `run` of those on any one side.

    Parameters
    ----------
    members
        Whose runs; None: of all whose outputs are here.
    how
        How these become answers.
    validation
        As `split.validation`: the side that temperatures are fitted on.
    """
    how = how or How()
    rows = rows_of(clip)
    if not rows:
        raise ShowError(f"{clip}: no clip of {SPLIT}: give a clip_id as it stands there, or run `dvc repro`")
    there = keys_among([path.stem for path in OUTPUTS.glob("*.h5")])
    if not there:
        raise ShowError(f"{OUTPUTS}/: no outputs of any run here: run `dvc repro`")
    if run and run not in there:
        raise ShowError(f"{outputs_h5(run)}: no outputs of run {run} here: there is {', '.join(there)}")
    keys = [run] if run else [key for key in there if members is None or parse_run_key(key)[1] in members]
    if not keys:
        raise ShowError(f"{OUTPUTS}/: no outputs of {', '.join(members or ())} here (runs.members): run `dvc repro`")
    first = choose_run(keys, rows)
    fold, _ = parse_run_key(first)
    chosen, side = _blocks_of(clip, [row for row in rows if row.fold == fold], only_test=run is None)
    runs = keys if run else [key for key in keys if parse_run_key(key)[0] == fold]
    known = read_keyed(blocks_csv(_corpus_of(clip)), Block, "block_id")
    blocks = sorted((known[row.block_id] for row in chosen), key=lambda block: block.start)
    own = read_keyed(clips_csv(_corpus_of(clip)), Clip, "clip_id")[clip]
    rate = own.n_samples / own.seconds
    names = [block.block_id for block in blocks]
    said = [_logits(key, names) for key in runs]
    scaled = [logits / _temperature(key, how, validation) for key, (logits, _) in zip(runs, said, strict=True)]
    return Course(
        clip=own,
        classes=said[0][1],
        actual=chosen[0].label,
        middles=np.array([(block.start + min(block.n_samples, own.n_samples) / 2) / rate for block in blocks]),
        probabilities=join(scaled, how.members_mean),
        runs=runs,
        side=side,
        rule=how.aggregate,
    )


def charts_of(course: Course) -> list[Chart]:
    """Two charts on the clip's time: each block's probabilities, and the answer so far."""
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
        chart(f"{course.rule.capitalize()} of the blocks up to here", course.running, dots=False),
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


def _logits(key: str, names: Sequence[str]) -> tuple[Doubles, list[str]]:
    """Logits (n, n_classes) of some blocks under one run, and its classes."""
    path = outputs_h5(key)
    outputs = read_outputs(path, "logits")
    place = {name: index for index, name in enumerate(outputs.block_ids)}
    if lacking := [name for name in names if name not in place]:
        raise ShowError(f"{path}: says nothing of block {lacking[0]}: it is of another split: run `dvc repro`")
    logits = outputs.values["logits"][[place[name] for name in names]].astype(np.float64)
    return logits, list(outputs.about["classes"])


def _temperature(key: str, how: How, validation: str) -> float:
    """What a run's logits are divided by, as `evaluate` fits it."""
    if how.calibrate == "none":
        return 1.0
    fold, member = parse_run_key(key)
    sides = {fold: read_fold(fold)}
    side = "test" if validation == "test" else "validation"
    return read_answerer(sides, member, calibrate_on=side).temperatures[fold].value


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
