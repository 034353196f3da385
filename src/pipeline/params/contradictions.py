"""What is wrong with params.yaml, in words: single keys, and keys that are each valid but contradict one another."""

from pathlib import Path

from pydantic import ValidationError

from pipeline.params.fitted import find_estimator_problems, find_head_problems
from pipeline.params.represented import PIXELS, find_entry_problems, find_representation_problems
from pipeline.params.sections import Member, Params, Use
from pipeline.params.sequential import find_sequence_problems
from pipeline.params.training import find_training_problems

LEAK = "augmented_before_split"  # in split.allow_leaks
MOST_SHOWN = 200  # characters of a value in a message
# What is needed where a checker would speak of types of Python.
IN_WORDS = {
    "tuple_type": "must be a list, such as [64] or [a, b]",
    **dict.fromkeys(("dict_type", "model_type", "mapping_type"), "must be keys with values, such as {key: value}"),
}


def find_contradictions(params: Params) -> list[str]:
    """Contradictions between keys that are each valid alone, one line each."""
    found = find_representation_problems(params) + _run_problems(params) + _augment_problems(params)
    found += _evaluate_problems(params)
    if not (params.data.root == "data/raw" or Path(params.data.root).is_absolute()):
        found.append(f"data.root: must be data/raw or an absolute path, not {params.data.root!r}")
    if params.demo.max_seconds < params.demo.min_seconds:
        found.append(f"demo.max_seconds: {params.demo.max_seconds} is below demo.min_seconds {params.demo.min_seconds}")
    cut = params.slice
    if cut.whole_clips and cut.random_blocks:
        found.append(
            "slice.random_blocks: with whole_clips there is one place for a block: set one of the two to 0 or false"
        )
    is_sliding = not (cut.whole_clips or cut.random_blocks)
    if cut.slide_seconds > cut.block_seconds and cut.tail == "align" and is_sliding:
        found.append("slice.tail: align would overlap blocks that slice.slide_seconds keeps apart: use drop")
    found += find_head_problems(params)
    found += [problem for name in params.members for problem in _member_problems(params, name)]
    return list(dict.fromkeys(found))


def _run_problems(params: Params) -> list[str]:
    unknown = [name for name in params.runs.members if name not in params.members]
    found = [f"runs.members: {name!r} has no entry under members" for name in unknown]
    split = params.split
    if split.folds == 1 and params.runs.folds != (0,):
        found.append(
            f"runs.folds: split.method {split.method} has fold 0 only, not {list(params.runs.folds)}: "
            "set runs.folds=[0]"
        )
    elif split.folds is not None and max(params.runs.folds) >= split.folds:
        of = f"split.n_folds = {split.n_folds}" if len(split.fields) == 1 else f"the {split.folds} crossed"
        found.append(f"runs.folds: {max(params.runs.folds)} is not one of {of} folds")
    if split.method == "matched" and (split.matched_on is None or len(split.fields) > 1):
        found.append(
            "split.matched_on: method matched needs the widest field to match on, such as speaker, and split.by block, "
            "clip or one field"
        )
    if split.method == "matched" and any(use != Use(labels=use.labels) for use in split.use.values()):
        found.append("split.use: method matched takes every corpus whole: use no role and no cap with it")
    found += [f"split.use.{name}: is not one of corpora" for name in split.use if name not in params.corpora]
    if len(set(split.classes)) == 1:
        found.append(f"split.classes: only {split.classes[0]!r}: there is nothing to tell apart: name two or more")
    roles = {split.use.get(name, Use()).role for name in params.corpora}
    if roles in ({"train"}, {"test"}):
        lacking = "test" if roles == {"train"} else "train"
        found.append(f"split.use: no corpus has the role both or {lacking}: that side would be empty")
    return found


def _evaluate_problems(params: Params) -> list[str]:
    """What the evaluation asks for and the runs do not give."""
    how, known = params.evaluate, (*params.runs.members, *params.runs.heads)
    among = ", ".join(known)
    found = [
        f"evaluate.ensembles.{name}: {one!r} is not run: name some of {among}, or add it to runs.members or heads"
        for name, listed in how.ensembles.items()
        for one in listed
        if one not in known
    ]
    if how.calibrate == "validation" and params.split.validation == "none":
        found.append(
            "evaluate.calibrate: validation needs a validation side: set split.validation, or set calibrate to none"
        )
    return found


def _augment_problems(params: Params) -> list[str]:
    sound, kind = params.augment.sound, params.representation.kind
    found = [
        f"augment.{name}: alters pixels, and representation.kind is {kind}: set it to 0"
        for name, value in params.augment.of_images.items()
        if value and kind not in PIXELS
    ]
    if sound in ("none", ()):
        return found
    listed = () if isinstance(sound, str) else sound
    if params.split.by == "block" and not params.slice.whole_clips and LEAK not in params.split.allow_leaks:
        found.append(
            "augment.sound: with split.by block altered copies of a clip in training would hold what is judged: split "
            f"by clip or a wider field, or name {LEAK} in split.allow_leaks"
        )
    for number, variant in enumerate(listed, start=1):
        if not variant.alters:
            found.append(f"augment.sound: variant {number} alters nothing: leave it out, the recording is always there")
        elif variant.alters == {"gain"} and params.loudness.scope in ("block", "clip"):
            found.append(
                f"augment.sound: variant {number} changes the gain only, which loudness.scope "
                f"{params.loudness.scope} undoes: set the scope to corpus or none, or leave it out"
            )
        if variant in listed[: number - 1]:
            found.append(
                f"augment.sound: variants {listed.index(variant) + 1} and {number} are the same: leave one out"
            )
    return found


def _member_problems(params: Params, name: str) -> list[str]:
    try:
        model, train, _ = params.of_member(name)
    except ValidationError as error:
        return [f"members.{name}.{error.title.lower()}.{line}" for line in one_line_each(error)]
    found = find_entry_problems(model, params.representation.kind)
    found += find_estimator_problems(params, model, params.members[name].model.get("estimator", {}))
    found += find_sequence_problems(params, model)
    if train.keep == "best" and params.split.validation == "none":
        found.append("train.keep: best needs a validation side: set split.validation, or keep the last weights")
    if not model.is_estimator:
        found += find_training_problems(params, train)
    return [f"members.{name}.{line}" if _is_own(params.members[name], line) else line for line in found]


def _is_own(member: Member, problem: str) -> bool:
    """Whether the key that a problem names is one that the member changes."""
    section, _, key = problem.partition(":")[0].partition(".")
    own = {"model": member.model, "train": member.train}.get(section, {})
    return key.partition(".")[0] in own


def one_line_each(error: ValidationError) -> list[str]:
    """One line per problem: the key, what was found, what is needed."""
    lines = []
    for problem in error.errors():
        key = _shown(".".join(str(part) for part in problem["loc"] if not str(part).startswith("[")))
        if problem["type"] == "extra_forbidden":
            lines.append(f"{key}: unknown key")
        elif problem["type"] == "missing":
            lines.append(f"{key}: missing")
        else:
            message = IN_WORDS.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")
            found = _short(problem["input"])
            beside = "" if isinstance(problem["input"], str) and found in message else f", not {found}"
            lines.append(_shown(f"{key}: {message[0].lower()}{message[1:]}{beside}"))
    return lines


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def _shown(text: str) -> str:
    """Escape what does not print: a message is one line, and nothing in it may speak to the terminal."""
    return "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode("ascii") for mark in text)
