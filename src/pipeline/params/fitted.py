"""What contradicts itself in estimators, as members and as heads: one line each, naming the key."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pipeline.params.sections import RECURRENT, Head, Model, Params, RecurrentHead
from pipeline.params.sequential import find_order_problems

# The keys that each kind looks at, of those that kinds differ in.
USED = {
    "svm": {"kernel", "C", "gamma", "priors"},
    "softmax_regression": {"C", "priors"},
    "naive_bayes": {"regularisation", "priors"},
    "lda": {"regularisation", "priors"},
    "qda": {"regularisation", "priors"},
    "gmm": {"n_mixtures", "covariance", "regularisation", "priors"},
    **{kind: {*RecurrentHead.model_fields} for kind in RECURRENT},
}


def find_estimator_problems(params: Params, model: Model, own: Mapping[str, Any]) -> list[str]:
    """Contradictions of a member that is an estimator with the start and the images of networks.

    `own` are the keys of `model.estimator` that the member itself changes: those that it does not look at are named.
    """
    if not model.is_estimator:
        return [f"model.estimator: {model.name} is a network and does not look at it: leave it out"] if own else []
    found = [f"model.estimator.{line}" for line in _unused(own, model.name, model.estimator.kernel)]
    if model.weights != "random":
        found.append(f"model.weights: {model.name} starts from nothing: set it to random")
    layers = {**model.options, **({"frozen": model.frozen} if model.frozen else {})}
    found += [f"model.{name}: {model.name} has no layers: leave it as committed" for name in layers]
    found += [
        f"augment.{name}: alters images anew in every epoch, and {model.name} is fitted once: set it to 0"
        for name, value in params.augment.of_images.items()
        if value
    ]
    return found


def find_head_problems(params: Params) -> list[str]:
    """Contradictions of heads with the runs, the split, and their own kind."""
    unknown = [name for name in params.runs.heads if name not in params.heads]
    found = [f"runs.heads: {name!r} has no entry under heads" for name in unknown]
    found += [
        f"runs.heads: {name!r} is a member's name too: give it another, as results are shown under it"
        for name in params.runs.heads
        if name in params.members
    ]
    for name, head in params.heads.items():
        found += [f"heads.{name}.{problem}" for problem in _of_head(params, name, head)]
    return found


def _of_head(params: Params, name: str, head: Head) -> Iterator[str]:
    if head.member not in params.members:
        yield f"member: {head.member!r} has no entry under members"
    elif name in params.runs.heads and head.member not in params.runs.members:
        yield f"member: {head.member!r} is not among runs.members, so it has no outputs: add it there"
    if name in params.runs.heads and head.fitted_on == "validation" and params.split.validation == "none":
        yield "fitted_on: validation needs a validation side: set split.validation, or fit on train"
    if name in params.runs.heads and head.kind in RECURRENT:
        yield from find_order_problems(params, f"kind: {head.kind}")
    yield from _unused(head.model_fields_set, head.kind, head.kernel)


def _unused(given: Iterable[str], kind: str, kernel: str) -> Iterator[str]:
    """Of the keys that were given, those that a kind does not look at."""
    known = set().union(*USED.values())
    for key in sorted(known.intersection(given) - USED[kind]):
        yield f"{key}: {kind} does not look at it: leave it out"
    if kind == "svm" and kernel == "linear" and "gamma" in given:
        yield "gamma: svm does not look at it with kernel linear: leave it out"
