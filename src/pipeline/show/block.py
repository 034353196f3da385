"""One block of one clip, straight from its recording: read, cut and normalised as the stages do."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.audio.blocks import fill_block
from pipeline.audio.loudness import Measurement, add_up, gate_powers, mean_lufs, measure
from pipeline.audio.readers import Readers
from pipeline.audio.reading import Sound
from pipeline.collect import clip_id_of
from pipeline.corpora import list_corpus
from pipeline.errors import ShowError
from pipeline.normalize import gain_of
from pipeline.params import Params
from pipeline.slicing import place_blocks
from pipeline.store.paths import corpus_folder
from pipeline.store.tables import Gain

Samples = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class ShownBlock:
    """A block and what is said of it.

    Attributes
    ----------
    samples
        (n,), before the gain.
    number, n_blocks
        Which of the clip's blocks, from 0, and how many there are.
    start
        First sample within the clip.
    path, middle_seconds
        Of its recording; and where in it the middle lies of what the block holds of the clip.
    """

    name: str
    samples: Samples
    gain: Gain
    number: int
    n_blocks: int
    start: int
    sample_rate: int
    path: Path
    middle_seconds: float

    @property
    def caption(self) -> str:
        """Which block it is, where it lies and how loud it was, in words."""
        start, end = (sample / self.sample_rate for sample in (self.start, self.start + len(self.samples)))
        change = f"{self.gain.gain_db:+.1f} dB" if self.gain.gain_db else "as recorded"
        flag = f" ({self.gain.flag.replace('_', ' ').replace('+', ', ')})" if self.gain.flag else ""
        loud = f"{self.gain.lufs:.1f} LUFS, {change}{flag}"
        return f"block {self.number} of {self.n_blocks} (from 0), {start:.3g} s to {end:.3g} s, {loud}"


def nearest(shown: ShownBlock) -> float:
    """The middle of a block, seconds from the start of its clip."""
    return (shown.start + len(shown.samples) / 2) / shown.sample_rate


def find_block(clip: str, params: Params, *, number: int | None, at: float | None) -> ShownBlock:
    """Read a clip and cut out the block of a number, that nearest to a time (seconds), or the loudest.

    With `loudness.scope` corpus the gain is that of the clip: other clips are not read.

    Raises
    ------
    ShowError
        If there is no such clip or block.
    AudioError
        If the recording cannot be read.
    """
    name, path, begins, sound = _read(clip, params)
    rate, chosen = params.audio.sample_rate, params.slice
    n_samples = len(sound.pieces)
    length = n_samples if chosen.whole_clips else round(chosen.block_seconds * rate)
    cut = place_blocks(
        name,
        n_samples,
        block_samples=length,
        slide_samples=chosen.slide_seconds * rate,
        short_clips=chosen.short_clips,
        tail=chosen.tail,
        random_blocks=0 if chosen.whole_clips else chosen.random_blocks,
        seed=chosen.seed,
    )
    if not cut.starts:
        raise ShowError(
            f"{name}: lasts {n_samples / rate:.3g} s, less than a block: lower slice.block_seconds, or set "
            "slice.short_clips to pad or repeat"
        )
    starts = np.array(cut.starts, dtype=np.int64)
    if number is None:
        number = (
            _loudest(sound, starts, length, rate) if at is None else _nearest(name, sound, starts, length, at, rate)
        )
    if number >= len(starts):
        raise ShowError(f"{name}: has {len(starts)} blocks, 0 to {len(starts) - 1}: there is no block {number}")
    start = int(starts[number])
    end = min(start + length, n_samples)
    samples = _span(sound, start, end)
    if cut.fill != "none":
        samples = fill_block(samples, n_samples=length, fill=cut.fill)
    return ShownBlock(
        name=name,
        samples=samples,
        gain=_gain(sound, samples, params, is_filled=cut.fill != "none"),
        number=number,
        n_blocks=len(starts),
        start=start,
        sample_rate=rate,
        path=path,
        middle_seconds=begins + (start + end) / 2 / rate,
    )


def _read(clip: str, params: Params) -> tuple[str, Path, float, Sound]:
    """The clip's name, its recording, where it starts in that, seconds, and its sound."""
    rate, max_seconds = params.audio.sample_rate, 3600 * params.audio.max_hours
    path = Path(clip)
    if path.is_file():
        with Readers() as readers:
            return path.name, path, 0.0, readers.read_sound(path, sample_rate=rate, max_seconds=max_seconds)
    corpus, _, inside = clip.partition("/")
    folder = corpus_folder(params.data.root, corpus)
    if not inside or not folder.is_dir():
        raise ShowError(
            f"{clip}: neither a sound file nor a clip of a corpus under {params.data.root}: give a path, or a clip_id "
            "as in clips.csv, e.g. demo/joy/match_1_1.flac"
        )
    recordings = list_corpus(corpus, folder).recordings
    own = next((recording for recording in recordings if clip_id_of(corpus, recording) == clip), None)
    if own is None:
        same_file = [clip_id_of(corpus, each) for each in recordings if inside == each.path]
        there = f"its events are {same_file[0]}, ..." if same_file else f"e.g. {clip_id_of(corpus, recordings[0])}"
        raise ShowError(f"{clip}: corpus {corpus} in {folder} has no such clip: {there}")
    with Readers() as readers:
        sound = readers.read_sound(
            folder / own.path,
            sample_rate=rate,
            start_seconds=own.start_seconds,
            end_seconds=own.end_seconds,
            max_seconds=max_seconds,
        )
    return clip, folder / own.path, own.start_seconds or 0.0, sound


def _loudest(sound: Sound, starts: NDArray[np.int64], length: int, rate: int) -> int:
    lengths = np.minimum(length, len(sound.pieces) - starts)
    powers = gate_powers(sound.pieces, starts, lengths, sample_rate=rate)
    return int(np.argmax([mean_lufs(power) for power in powers]))


def _nearest(name: str, sound: Sound, starts: NDArray[np.int64], length: int, at: float, rate: int) -> int:
    if at * rate > len(sound.pieces):
        raise ShowError(f"{name}: lasts {len(sound.pieces) / rate:.3g} s: there is no block at {at:g} s")
    return int(np.argmin(np.abs(starts + length / 2 - at * rate)))


def _span(sound: Sound, first: int, last: int) -> Samples:
    """Samples first to last (exclusive) of a recording that may be too long for memory."""
    parts, position = [], 0
    for piece in sound.pieces:
        parts.append(piece[max(first - position, 0) : max(last - position, 0)])
        position += len(piece)
    return np.concatenate(parts).astype(np.float32)


def _gain(sound: Sound, samples: Samples, params: Params, *, is_filled: bool) -> Gain:
    rate, chosen = params.audio.sample_rate, params.loudness
    whole = [np.array([0]), np.array([len(samples)])]
    block = measure(samples, gate_powers([samples], *whole, sample_rate=rate)[0])
    reference: Measurement | None = {"none": None}.get(chosen.scope, block)
    if chosen.scope in ("clip", "corpus") and not is_filled:
        span = [np.array([0]), np.array([len(sound.pieces)])]
        sums = [measure(piece, np.zeros(0)) for piece in sound.pieces if len(piece)]
        powers = gate_powers(sound.pieces, *span, sample_rate=rate)[0]
        reference = add_up([*sums[:-1], Measurement(**{**vars(sums[-1]), "powers": powers})])
    return gain_of(
        "",
        block,
        reference,
        method=chosen.method,
        target_db=chosen.target_db,
        max_gain_db=chosen.max_gain_db,
        limit_peak=chosen.over_full_scale == "limit",
    )
