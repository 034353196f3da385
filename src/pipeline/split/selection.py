"""Which clips of which corpus take part, under which labels and on which sides."""

import dataclasses
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.errors import SplitError
from pipeline.store.tables import Clip


@dataclass(frozen=True, kw_only=True)
class Use:
    """What is used of one corpus.

    Attributes
    ----------
    role
        both, train or test: the sides that its clips may be on (validation counts as train).
    train_clips, test_clips
        At most so many clips on the training side (validation among them) and on the test side of each fold; None: all.
    labels
        What its labels are called in this run; None leaves a label out. A label that is not named stays.
    """

    role: str = "both"
    train_clips: int | None = None
    test_clips: int | None = None
    labels: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def may_train(self) -> bool:
        """Whether its clips may be on the training side."""
        return self.role != "test"

    @property
    def may_test(self) -> bool:
        """Whether its clips may be on the test side."""
        return self.role != "train"


@dataclass(frozen=True)
class Selection:
    """The clips that take part, their labels as in this run, and how many of each corpus and label do not."""

    clips: list[Clip]
    unused: dict[str, dict[str, int]]


def select_clips(clips: Sequence[Clip], *, use: Mapping[str, Use], classes: Sequence[str]) -> Selection:
    """Apply the label maps, and leave out what they leave out and what is none of the classes.

    Parameters
    ----------
    classes
        The classes of the run, after the maps; empty: all that there are.

    Raises
    ------
    SplitError
        As `refuse_unknown_names` says.
    """
    labels_of: dict[str, set[str]] = {}
    for clip in clips:
        labels_of.setdefault(clip.corpus, set()).add(clip.label)
    refuse_unknown_names(labels_of, use=use, classes=classes)
    selected: list[Clip] = []
    unused: dict[str, Counter[str]] = {}
    for clip in clips:
        label = use[clip.corpus].labels.get(clip.label, clip.label) if clip.corpus in use else clip.label
        if label is None or (classes and label not in classes):
            unused.setdefault(clip.corpus, Counter())[clip.label] += 1
        else:
            selected.append(clip if label == clip.label else dataclasses.replace(clip, label=label))
    return Selection(selected, {corpus: dict(sorted(labels.items())) for corpus, labels in sorted(unused.items())})


def refuse_unknown_names(
    labels_of: Mapping[str, Collection[str]], *, use: Mapping[str, Use], classes: Sequence[str]
) -> None:
    """Refuse names that would do nothing, and a class of a name that results have for all classes together.

    Parameters
    ----------
    labels_of
        The labels of each corpus's clips.

    Raises
    ------
    SplitError
        If a map names a label, or `classes` a class, that no clip has, or a class is named total.
    """
    for corpus, own in use.items():
        known = labels_of.get(corpus, ())
        if unknown := sorted(set(own.labels) - set(known)):
            raise SplitError(
                f"split.use.{corpus}.labels: no clip of {corpus} is labelled {_names(unknown)}: "
                f"it has {_names(sorted(known))}"
            )
    named = {
        use.get(corpus, Use()).labels.get(label, label) for corpus, labels in labels_of.items() for label in labels
    }
    if "total" in named and (not classes or "total" in classes):
        raise SplitError(
            "split: a class is labelled 'total', which metrics.json has for all classes together: give it another name "
            "by labels in split.use, or leave it out"
        )
    if lacking := [name for name in classes if name not in named]:
        found = sorted(name for name in named if name is not None)
        raise SplitError(f"split.classes: no clip is labelled {_names(lacking)}: these corpora have {_names(found)}")


def _names(labels: Sequence[str]) -> str:
    return ", ".join(repr(label) for label in labels)
