"""What contradicts learning from a clip's blocks as a sequence: one line each, naming the key."""

from collections.abc import Iterator

from pipeline.params.sections import Model, Params

LEAK = "augmented_before_split"  # in split.allow_leaks


def find_sequence_problems(params: Params, model: Model) -> list[str]:
    """Contradictions of what runs over a clip's blocks with the split, and with what it runs over."""
    found = []
    if model.sequence != "none":
        found += find_order_problems(params, f"model.sequence: {model.sequence}")
        if model.is_estimator:
            found.append(
                f"model.sequence: {model.sequence} learns with a network, and {model.name} is an estimator: set it to "
                "none, or model.name to flat, which takes the same values"
            )
    elif model.name == "flat":
        found.append("model.name: flat answers nothing by itself: set model.sequence to lstm or bilstm")
    if model.name == "flat" and model.weights != "random":
        found.append("model.weights: flat has no weights of its own: set it to random")
    return found


def find_order_problems(params: Params, key: str) -> list[str]:
    """Contradictions between the split and `key`, a choice that needs a clip's blocks together and in their order."""
    return [f"{key} needs a clip's blocks together and in their order, and {problem}" for problem in _problems(params)]


def _problems(params: Params) -> Iterator[str]:
    split = params.split
    if split.by == "block" and not params.slice.whole_clips:
        yield "split.by block deals them to several sides: set it to clip or a wider field"
    if split.balance != "none":
        yield (
            f"split.balance {split.balance} drops random ones: set it to none (scores are per class in UAR, and loss "
            "weighs every clip alike)"
        )
    if split.method == "matched":
        yield "split.method matched draws random ones: set it to kfold, holdout or leave_one_out"
    if params.augment.sound not in ("none", ()) and LEAK in split.allow_leaks:
        yield f"{LEAK} in split.allow_leaks deals altered ones to all sides: leave it out"
