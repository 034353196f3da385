"""Why two results may not be compared at all: other corpora, another split, other sound, other clips."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.compare import find_mismatches
from pipeline.findings import LEVELS
from pipeline.gate.results import Corpus, Result


def find_differences(old: Result, new: Result) -> list[str]:
    """Say, one line each, in what the test differs; nothing where both were measured on the same test.

    Leakage counts as part of the test: where more of it has been met in training, the same model scores higher.
    """
    return [
        *_changed("corpora", ", ".join(old.metrics.corpora), ", ".join(new.metrics.corpora)),
        *split_differences(old, new),
        *_changed("classes that no training side has", *(untrained_in_words(result) for result in (old, new))),
        *_sound(old.split.corpora, new.split.corpora),
        *_changed_if_stated("clips that take part in the split", old.split.clips, new.split.clips),
        *_counts(old, new),
        *_answers(old, new),
    ]


def _changed(what: str, old: Any, new: Any) -> Iterator[str]:
    if old != new:
        yield f"{what}: {old}, now {new}"


def _changed_if_stated(what: str, old: Any, new: Any) -> Iterator[str]:
    """As `_changed`; results from before something was counted do not state it."""
    if old is not None and new is not None:
        yield from _changed(what, old, new)


def split_differences(old: Result, new: Result) -> Iterator[str]:
    """Say in what the sides of two results differ."""
    was, now = old.metrics.split, new.metrics.split
    yield from _changed("split.by", was.by, now.by)
    yield from _changed("split.method", was.method, now.method)
    yield from _changed("split.n_folds", was.n_folds, now.n_folds)
    yield from _changed("folds that were run", was.folds, now.folds)
    yield from _changed("split.seed", old.metrics.seed.split, new.metrics.seed.split)
    yield from _changed("selected_on_test", old.metrics.selected_on_test, new.metrics.selected_on_test)
    for name in sorted({*was.leakage, *now.leakage}):
        shares = [leakage.get(name, "not stated") for leakage in (was.leakage, now.leakage)]
        yield from _changed(f"leakage, {name}", *shares)


def untrained_in_words(result: Result) -> str:
    """Name the classes that no training side had: two results are scored alike only where these are the same."""
    return ", ".join(sorted(result.metrics.split.untrained)) or "none"


def _sound(old: Mapping[str, Corpus], new: Mapping[str, Corpus]) -> Iterator[str]:
    yield from _changed("corpora of split.json", ", ".join(sorted(old)), ", ".join(sorted(new)))
    for name in sorted({*old} & {*new}):
        was, now = old[name], new[name]
        yield from _changed(f"clips of {name}", _in_words(was.clips), _in_words(now.clips))
        yield from _changed(f"blocks of {name}", _in_words(was.blocks), _in_words(now.blocks))
        yield from _changed(f"seconds of {name}", round(was.seconds, 1), round(now.seconds, 1))
        yield from _changed(f"rejected recordings of {name}", was.rejected, now.rejected)
        yield from _changed_if_stated(f"missing files of {name}", was.missing, now.missing)
        unused = [None if one.unused_clips is None else _in_words(one.unused_clips) or "none" for one in (was, now)]
        yield from _changed_if_stated(f"clips of {name} that the split leaves out", *unused)


def _counts(old: Result, new: Result) -> Iterator[str]:
    for level in LEVELS:
        was, now = getattr(old.metrics, level), getattr(new.metrics, level)
        yield from _changed(f"tested {level}s", _in_words(was.n), _in_words(now.n))
        yield from _changed(f"unit of the {level}s' intervals", was.unit, now.unit)


def _answers(old: Result, new: Result) -> Iterator[str]:
    for level in LEVELS:
        if level in old.answers and level in new.answers:
            yield from (f"{level}s: {reason}" for reason in find_mismatches(old.answers[level], new.answers[level]))


def _in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in sorted(counts.items()))
