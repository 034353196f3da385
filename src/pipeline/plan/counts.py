"""How many blocks the clips will be cut into, and how many of them each side of a fold will get."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.audio.blocks import count_drawn, cut_clip
from pipeline.augment.variants import altered_samples, chosen_variants
from pipeline.params.sections import Params, Slice, Split, Use
from pipeline.plan.survey import ExpectedClip


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What slicing makes of the clips, before silence is looked at."""

    of_clip: tuple[int, ...]  # blocks of each clip
    by_role: dict[str, dict[str, int]]  # blocks of each class that may be on both sides, on train only, on test only
    too_short: int  # clips shorter than a block where these are rejected
    n_units: int  # what the split may not tear apart
    name_bytes: int  # the longest block's name
    n_altered: int = 0  # blocks of altered sound
    altered_seconds: float = 0.0  # of sound that is altered each time that it is needed
    altered_samples: int = 0  # of the longest altered clip

    @property
    def by_label(self) -> dict[str, int]:
        """Blocks of each class that take part in the split."""
        labels = sorted({label for own in self.by_role.values() for label in own})
        return {label: sum(own.get(label, 0) for own in self.by_role.values()) for label in labels}

    @property
    def n_blocks(self) -> int:
        """Blocks of all clips."""
        return sum(self.of_clip)


def count_blocks(clips: Sequence[ExpectedClip], params: Params) -> Counts:
    """Cut every clip as `slice_blocks` will."""
    numbers = tuple(_n_blocks(clip.n_samples, params.slice, params.audio.sample_rate) for clip in clips)
    used = [clip for clip, n in zip(clips, numbers, strict=True) if n]
    lengths = [
        altered_samples(clip.n_samples, variant)
        for variant in chosen_variants(params.augment.chosen_sound)[1:]
        for clip in used
    ]
    rate = params.audio.sample_rate
    return Counts(
        of_clip=numbers,
        by_role=_by_role(clips, numbers, params),
        too_short=numbers.count(0),
        n_units=_n_units(used, by=params.split.fields[0], n_blocks=sum(numbers)),
        name_bytes=max((_name_bytes(clip) for clip in used), default=0),
        n_altered=sum(_n_blocks(n, params.slice, rate) for n in lengths),
        altered_seconds=sum(lengths) / rate,
        altered_samples=max(lengths, default=0),
    )


def _by_role(clips: Sequence[ExpectedClip], numbers: Sequence[int], params: Params) -> dict[str, dict[str, int]]:
    """Blocks of each role and class, under the label maps, and as many of a corpus as its caps leave."""
    found: dict[str, dict[str, float]] = {"both": {}, "train": {}, "test": {}}
    n_clips = Counter(clip.corpus for clip, n in zip(clips, numbers, strict=True) if n)
    for clip, n in zip(clips, numbers, strict=True):
        use = params.split.use.get(clip.corpus, Use())
        label = use.labels.get(clip.recording.label, clip.recording.label)
        if n and label is not None and (not params.split.classes or label in params.split.classes):
            cap = (use.test_clips if use.role == "test" else use.train_clips) or n_clips[clip.corpus]
            part = n * min(1.0, cap / n_clips[clip.corpus])
            found[use.role][label] = found[use.role].get(label, 0.0) + part
    return {role: {label: round(n) for label, n in sorted(own.items())} for role, own in found.items()}


def _n_blocks(n_samples: int, chosen: Slice, sample_rate: int) -> int:
    if chosen.whole_clips:
        return 1
    block = round(chosen.block_seconds * sample_rate)
    if chosen.random_blocks and n_samples >= block:
        return count_drawn(n_samples, block, chosen.random_blocks)
    cut = cut_clip(
        n_samples,
        block_samples=block,
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


def deal(by_role: Mapping[str, Mapping[str, int]], n_units: int, split: Split) -> Sides:
    """Estimate the sides from the rule of the split, as if its units were small: the real deal differs a little."""
    n_folds = split.folds or max(n_units, 1)
    crossed = len(split.fields)
    held_out = split.test_fraction ** (1 / crossed) if n_folds == 1 else n_folds ** (-1 / crossed)
    test, training = held_out**crossed, (1 - held_out) ** crossed
    if split.method == "matched":
        test /= 4  # half of the blocks of half of the clips
    both, only_train, only_test = (by_role[role] for role in ("both", "train", "test"))
    if split.balance == "all":
        both = dict.fromkeys(both, min(both.values(), default=0))
    left = {label: both.get(label, 0) * training + only_train.get(label, 0) for label in sorted({*both, *only_train})}
    taken = split.validation_fraction if split.validation == "fraction" else 0.0
    learned = {label: n * (1 - taken) for label, n in left.items()}
    if split.balance == "train":
        learned = dict.fromkeys(learned, min(learned.values(), default=0))
    tested = test * sum(both.values()) + sum(only_test.values()) / n_folds
    return Sides(
        train=round(sum(learned.values())),
        watched=round(tested if split.validation == "test" else taken * sum(left.values())),
        rows=sum(n for own in by_role.values() for n in own.values()),
        n_folds=n_folds,
    )
