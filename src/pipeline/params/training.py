"""What contradicts itself in how networks are trained, one line each, naming the key; and what has no meaning there."""

from collections.abc import Mapping
from typing import Any

from pipeline.params.sections import Params, Train

# The keys that each schedule looks at, of those that schedules differ in; a loss likewise.
USED = {
    "schedule": {
        "constant": set(),
        "step": {"step_epochs", "rate_factor"},
        "exponential": {"rate_factor"},
        "cyclical": {"lowest_rate", "half_cycle_epochs", "half_cycle_iterations"},
        "cosine": {"final_fraction", "warmup_epochs"},
    },
    "loss": {"cross_entropy": {"label_smoothing"}, "hinge": {"hinge_margin"}},
    "optimizer": {"adamw": set(), "sgd": {"momentum"}},
}


def idle_keys(train: Mapping[str, Any]) -> set[str]:
    """Keys of a section `train` that nothing looks at as it is chosen, and those that are empty."""
    idle = {key for key, value in train.items() if value is None}
    for choice, used in USED.items():
        if choice in train:
            idle |= set().union(*used.values()) - used[train[choice]]
    return idle


def find_training_problems(params: Params, train: Train) -> list[str]:
    """Contradictions of the training loop's choices with one another, and with the split."""
    return _schedule_problems(train) + _loss_problems(params, train)


def _schedule_problems(train: Train) -> list[str]:
    found = []
    if train.schedule == "cyclical":
        if (train.half_cycle_epochs is None) == (train.half_cycle_iterations is None):
            found.append("train.half_cycle_epochs: give it or half_cycle_iterations, and leave the other empty")
        if train.lowest_rate > train.learning_rate:
            found.append(
                f"train.lowest_rate: {train.lowest_rate} is above train.learning_rate {train.learning_rate}, the "
                "highest of a cycle: lower it"
            )
    if train.schedule == "cosine" and train.warmup_epochs >= train.epochs:
        found.append(
            f"train.warmup_epochs: {train.warmup_epochs} leaves none of train.epochs {train.epochs} for the cosine: "
            "lower it"
        )
    return found


def _loss_problems(params: Params, train: Train) -> list[str]:
    found = []
    if train.loss == "hinge" and train.label_smoothing:
        found.append("train.label_smoothing: is for cross_entropy, and train.loss is hinge: set it to 0")
    if train.stop_after and params.split.validation == "none":
        found.append("train.stop_after: needs a validation side: set split.validation, or set it to 0")
    for key, value in (("class_weights", train.class_weights), ("sampling", train.sampling)):
        if value == "balanced" and params.split.balance != "none":
            found.append(
                f"train.{key}: balanced does nothing where split.balance {params.split.balance} has made classes equal "
                "already: set split.balance to none"
            )
    if train.class_weights == train.sampling == "balanced":
        found.append(
            "train.class_weights: weighs classes that train.sampling draws equally often: set one of the two back"
        )
    return found
