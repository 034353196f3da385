"""A quick measurement of the stages that work on sound: the stages' own jobs, on a few clips, in a temporary folder."""

import contextlib
import dataclasses
import io
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import soundfile

from pipeline.augment.variants import alter, altered_samples, chosen_variants
from pipeline.baselines import thumbnails
from pipeline.collect import collect_clips
from pipeline.console import say
from pipeline.corpora import Listing, Recording
from pipeline.corpora.demo import draw_conditions, render_clip
from pipeline.duplicates.fingerprints import fingerprint_corpus
from pipeline.errors import CorpusError
from pipeline.features.chosen import representation_of
from pipeline.features.faces import Faces
from pipeline.listing import list_spectrograms
from pipeline.normalize import normalize_corpus
from pipeline.params.sections import Params
from pipeline.plan.speeds import fit_seconds, hashed_per_second, match_seconds, start_of, timed, written_per_second
from pipeline.plan.survey import ExpectedClip, Survey, collected_seconds, sample_of
from pipeline.render import render_corpus
from pipeline.sampling import sample_frames
from pipeline.slicing import slice_corpus
from pipeline.store.arrays import encode_texts, new_arrays
from pipeline.store.paths import blocks_csv, clips_csv, frames_h5
from pipeline.store.rendered import Rendered, open_rendered
from pipeline.store.tables import Block, Clip, read_rows, write_rows

SAMPLE = "sample"  # the corpus that is measured on
SAMPLE_SECONDS = 60.0  # of sound, at most
TIMED_SECONDS = 1.5  # to spend on loudness and images together
MOST_BLOCKS = 32
ALTERED_SECONDS = 5  # of noise that is altered


@dataclass(frozen=True, kw_only=True)
class SoundCosts:
    """Seconds of one thread, and bytes, of the stages before and beside training."""

    demo_per_second: float  # s per second of synthetic sound; 0 where the demo is not among the corpora
    collect_per_second: float  # s per second of decoded sound
    fingerprint_per_second: float  # s per second of the clips
    match_per_print: float  # s per sub-fingerprint
    loudness_per_block: float
    render_per_block: float
    thumbnail_per_block: float
    fit_per_value: float  # s per training row, column and class, for both regressions
    written_per_second: float  # bytes into HDF5 with digests
    hashed_per_second: float  # bytes of DVC's MD5
    start_seconds: float  # of a process without torch
    start_torch_seconds: float
    base_bytes: int  # of a process without torch
    base_torch_bytes: int
    alter_per_second: float  # s per second of altered sound; 0 where none is
    frames_per_second: float  # s per second of video; 0 where no frames are sampled
    measured_seconds: float  # of sound
    measured_blocks: int
    on_real_sound: bool


@contextlib.contextmanager
def measured_sound(survey: Survey, params: Params) -> Iterator[tuple[SoundCosts, Rendered, list[str]]]:
    """Measure, and lend the sample's images with the names of its blocks, so that a network can be measured on them."""
    root = Path(params.data.root).absolute()
    say("measuring: starting a stage, reading, fingerprints, loudness, images")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        with contextlib.redirect_stderr(io.StringIO()):  # the jobs' own progress
            costs = _measure(survey, root, params)
            listed = list_spectrograms([SAMPLE], kind=params.representation.kind)
        with open_rendered(listed) as images:
            yield costs, images, [block.block_id for block in read_rows(blocks_csv(SAMPLE), Block)]


def _measure(survey: Survey, root: Path, params: Params) -> SoundCosts:
    start, base = start_of("pipeline.collect")
    start_torch, base_torch = start_of("pipeline.runs")
    seconds, collect, is_real = _measure_collect(survey, root, params)
    clips = read_rows(clips_csv(SAMPLE), Clip)
    fingerprinting, _ = timed(lambda: fingerprint_corpus(SAMPLE, sample_rate=params.audio.sample_rate, n_workers=1))
    _cut_sample(clips, 1, params)
    warm, _ = timed(lambda: _normalise_and_render(params))  # imports, and tables that are made once
    n_blocks = _cut_sample(clips, min(MOST_BLOCKS, max(2, int(TIMED_SECONDS / warm))), params)
    loudness, render = _normalise_and_render(params)
    frames = _measure_frames(root if is_real else None, params)
    return SoundCosts(
        demo_per_second=_measure_demo(params) if "demo" in params.corpora else 0.0,
        collect_per_second=collect,
        fingerprint_per_second=fingerprinting / sum(clip.seconds for clip in clips),
        match_per_print=match_seconds(),
        loudness_per_block=loudness / n_blocks,
        render_per_block=render / n_blocks,
        thumbnail_per_block=_measure_thumbnails(params) / n_blocks,
        fit_per_value=fit_seconds(),
        written_per_second=written_per_second(),
        hashed_per_second=hashed_per_second(),
        start_seconds=start,
        start_torch_seconds=start_torch,
        base_bytes=base,
        base_torch_bytes=base_torch,
        alter_per_second=_measure_altering(params),
        frames_per_second=frames,
        measured_seconds=seconds,
        measured_blocks=n_blocks,
        on_real_sound=is_real,
    )


def _measure_collect(survey: Survey, root: Path, params: Params) -> tuple[float, float, bool]:
    """Collect a sample, of made noise where no recording is there or short enough: its seconds, seconds per second."""
    there = [clip for clip in survey.clips if (root / clip.corpus / clip.recording.path).is_file()]
    picked = sample_of(there, seconds=SAMPLE_SECONDS)
    # One label, so that equal sound under two names is no conflict here.
    recordings = [
        dataclasses.replace(clip.recording, path=f"{clip.corpus}/{clip.recording.path}", label=SAMPLE)
        for clip in picked
    ]
    seconds = collected_seconds(picked, workers=1)
    if recordings:
        with contextlib.suppress(CorpusError):  # none of them was usable after all
            return seconds, _collect(root, recordings, params) / seconds, True
    recordings, seconds = _make_noise(survey.clips)
    return seconds, _collect(Path(), recordings, params) / seconds, False


def _collect(folder: Path, recordings: Sequence[Recording], params: Params) -> float:
    def collect() -> None:
        collect_clips(
            SAMPLE,
            folder,
            Listing(tuple(recordings)),
            sample_rate=params.audio.sample_rate,
            max_seconds=3600 * params.audio.max_hours,
            n_workers=1,
        )

    return timed(collect)[0]


def _make_noise(clips: Sequence[ExpectedClip]) -> tuple[list[Recording], float]:
    """Write two noises like the median clip, but of at most 20 s."""
    rate = round(median(clip.source_rate for clip in clips))
    n_samples = max(1, round(min(20.0, median(clip.decoded_seconds for clip in clips)) * rate))
    recordings = [Recording(f"noise_{seed}.wav", SAMPLE) for seed in range(2)]
    for seed, recording in enumerate(recordings):
        samples = np.random.default_rng(seed).normal(0, 0.05, n_samples)
        soundfile.write(recording.path, samples, rate)
    return recordings, len(recordings) * n_samples / rate


def _cut_sample(clips: Sequence[Clip], most: int, params: Params) -> int:
    """Cut the sample into about `most` blocks, or fewer, from the start of as few clips as hold them; return how many.

    Clips are shortened to what their blocks cover, so that a block costs as much of its clip as it will.
    """
    rate, chosen = params.audio.sample_rate, params.slice
    block, slide = round(chosen.block_seconds * rate), chosen.slide_seconds * rate
    kept: list[Clip] = []
    for clip in clips:
        if most < 1:
            break
        n_blocks = min(most, max(1, int((clip.n_samples - block) / slide) + 1)) if not chosen.whole_clips else 1
        covered = min(clip.n_samples, block + round((n_blocks - 1) * slide))
        covered = clip.n_samples if chosen.whole_clips else covered
        # One source rate: the refusal of unequal bands, which the plan tells by itself, must not end the measurement.
        kept.append(dataclasses.replace(clip, n_samples=covered, source_rate=rate))
        most -= n_blocks
    write_rows(clips_csv(SAMPLE), Clip, kept)
    n_blocks, _ = slice_corpus(
        SAMPLE,
        sample_rate=rate,
        block_seconds=chosen.block_seconds,
        slide_seconds=chosen.slide_seconds,
        short_clips="pad" if chosen.short_clips == "reject" else chosen.short_clips,
        tail="drop",
        silent_below_lu=None,
        whole_clips=chosen.whole_clips,
    )
    return n_blocks


def _normalise_and_render(params: Params) -> tuple[float, float]:
    """Seconds of both for the sample, on one thread."""
    rate, loudness = params.audio.sample_rate, params.loudness
    chosen = representation_of(params)
    measured, _ = timed(
        lambda: normalize_corpus(
            SAMPLE,
            sample_rate=rate,
            scope=loudness.scope,
            method=loudness.method,
            target_db=loudness.target_db,
            max_gain_db=loudness.max_gain_db,
            limit_peak=loudness.over_full_scale == "limit",
            n_workers=1,
        )
    )
    return measured, timed(lambda: render_corpus(SAMPLE, chosen, n_workers=1))[0]


def _measure_altering(params: Params) -> float:
    """Seconds per second of altered sound, the mean of some variants."""
    rate, some = params.audio.sample_rate, chosen_variants(params.augment.chosen_sound)[1:5]
    if not some:
        return 0.0
    rng = np.random.default_rng(0)
    sound = rng.standard_normal(ALTERED_SECONDS * rate, dtype=np.float32)
    alter(sound[:rate], some[0], sample_rate=rate, rng=rng)  # imports
    lengths = sum(altered_samples(len(sound), variant) for variant in some)
    seconds, _ = timed(lambda: [alter(sound, variant, sample_rate=rate, rng=rng) for variant in some])
    return seconds * rate / lengths


def _measure_demo(params: Params) -> float:
    """Seconds per second of synthesis, on a clip of middling length."""
    demo = params.demo
    conditions = draw_conditions(
        {"joy": demo.joy, "anger": demo.anger, "neutral": demo.neutral},
        seed=demo.seed,
        min_seconds=demo.min_seconds,
        max_seconds=demo.max_seconds,
    )
    middling = sorted(conditions, key=lambda condition: condition.seconds)[len(conditions) // 2]
    return timed(lambda: render_clip(middling, seed=demo.seed))[0] / middling.seconds


def _measure_frames(root: Path | None, params: Params) -> float:
    """Sample the frames of the sample: seconds per second of video; without recordings they are made, at no cost."""
    faces = representation_of(params)
    if not isinstance(faces, Faces):
        return 0.0
    if root is None:
        _make_frames(faces)
        return 0.0
    folder = root
    try:
        seconds, _ = timed(lambda: sample_frames(SAMPLE, faces, folder=folder, n_workers=1))
    except CorpusError as error:
        raise CorpusError(str(error).replace(f" {SAMPLE}/", " ", 1)) from None
    return seconds / sum(clip.n_samples / faces.sample_rate for clip in read_rows(clips_csv(SAMPLE), Clip))


def _make_frames(faces: Faces) -> None:
    names = encode_texts([block.block_id for block in read_rows(blocks_csv(SAMPLE), Block)])
    pixels = np.random.default_rng(0).integers(0, 256, (len(names), *faces.shape), dtype=np.uint8)
    with new_arrays(frames_h5(SAMPLE)) as arrays:
        for name, rows in ((faces.dataset, pixels), ("block_id", names)):
            arrays.create(name, row_shape=rows.shape[1:], dtype=rows.dtype)
            arrays.append(name, rows)
        arrays.finish({**faces.attributes(), "least_source_rate": 1, "most_source_rate": 1})


def _measure_thumbnails(params: Params) -> float:
    """Seconds of the thumbnails of all images of the sample, reading them too."""
    with open_rendered(list_spectrograms([SAMPLE], kind=params.representation.kind)) as images:
        if images.kind == "features":  # which have no thumbnails
            return 0.0
        names = [block.block_id for block in read_rows(blocks_csv(SAMPLE), Block)]
        return timed(lambda: thumbnails(images.batch([name]) for name in names))[0]
