"""How many blocks the clips will be cut into, and how many of them each side of a fold will get."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.audio.blocks import cut_clip
from pipeline.params.sections import Params, Slice, Split
from pipeline.plan.survey import ExpectedClip


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What slicing makes of the clips, before silence is looked at."""

    of_clip: tuple[int, ...]  # blocks of each clip
    by_label: dict[str, int]
    too_short: int  # clips shorter than a block where these are rejected
    n_units: int  # what the split may not tear apart
    name_bytes: int  # the longest block's name

    @property
    def n_blocks(self) -> int:
        """Blocks of all clips."""
        return sum(self.of_clip)


def count_blocks(clips: Sequence[ExpectedClip], params: Params) -> Counts:
    """Cut every clip as `slice_blocks` will."""
    numbers = tuple(_n_blocks(clip.n_samples, params.slice, params.audio.sample_rate) for clip in clips)
    by_label: Counter[str] = Counter()
    for clip, n in zip(clips, numbers, strict=True):
        by_label[clip.recording.label] += n
    used = [clip for clip, n in zip(clips, numbers, strict=True) if n]
    return Counts(
        of_clip=numbers,
        by_label={label: n for label, n in sorted(by_label.items()) if n},
        too_short=numbers.count(0),
        n_units=_n_units(used, by=params.split.by, n_blocks=sum(numbers)),
        name_bytes=max((_name_bytes(clip) for clip in used), default=0),
    )


def _n_blocks(n_samples: int, chosen: Slice, sample_rate: int) -> int:
    cut = cut_clip(
        n_samples,
        block_samples=round(chosen.block_seconds * sample_rate),
        slide_samples=chosen.slide_seconds * sample_rate,
        short_clips=chosen.short_clips,
        tail=chosen.tail,
    )
    return len(cut.starts)


def _n_units(clips: Sequence[ExpectedClip], *, by: str, n_blocks: int) -> int:
    """Count the units of the split; clips of equal sound, which it joins, are not known yet."""
    if by in ("block", "clip"):
        return n_blocks if by == "block" else len(clips)
    return len({clip.corpus if by == "corpus" else clip.recording.fields.get(by) for clip in clips})


def _name_bytes(clip: ExpectedClip) -> int:
    times = (clip.recording.start_seconds, clip.recording.end_seconds)
    event = sum(len(f"{time:g}") for time in times if time) + 4 if times != (None, None) else 0
    start = len(str(clip.n_samples)) + 1
    return len(f"{clip.corpus}/{clip.recording.path}".encode("utf-8", "surrogateescape")) + event + start


@dataclass(frozen=True, kw_only=True)
class Sides:
    """About how many blocks of one fold there are to learn from, to choose by, and in all."""

    train: int
    watched: int  # looked at while training: the validation side, or the test side in its place
    rows: int  # all, dropped ones too: each is predicted
    n_folds: int  # that the split makes, whether or not they are run


def deal(by_label: dict[str, int], n_units: int, split: Split) -> Sides:
    """Estimate the sides from the rule of the split, as if its units were small: the real deal differs a little."""
    kept = dict.fromkeys(by_label, min(by_label.values())) if split.balance == "all" else by_label
    n_folds = {"kfold": split.n_folds, "holdout": 1, "leave_one_out": max(n_units, 1)}[split.method]
    test = split.test_fraction if split.method == "holdout" else 1 / n_folds
    validation = (1 - test) * split.validation_fraction if split.validation == "fraction" else 0.0
    training = {label: n * (1 - test - validation) for label, n in kept.items()}
    if split.balance == "train":
        training = dict.fromkeys(training, min(training.values()))
    watched = test if split.validation == "test" else validation
    return Sides(
        train=round(sum(training.values())),
        watched=round(watched * sum(kept.values())),
        rows=sum(by_label.values()),
        n_folds=n_folds,
    )
