"""What a step goes down: cross-entropy or the multi-class hinge, and how much each class weighs in it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.errors import ModelError
from pipeline.learning.recipe import Recipe

LOSSES = ("cross_entropy", "hinge")


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A loss of each block.

    With scores s and the class y of a block, among K classes:

    - cross_entropy: - sum_c q_c log softmax(s)_c, where q is 1 - e + e/K of y and e/K of the others, e the smoothing
      (Szegedy et al. 2016);
    - hinge: sum over c other than y of max(0, margin - s_y + s_c), over K (Weston and Watkins 1999, as torch's
      MultiMarginLoss has it).

    Either is multiplied by the weight of y.

    Attributes
    ----------
    weights
        Of each class (n_classes,); None: all 1.
    """

    loss: str = "cross_entropy"
    margin: float = 1.0
    smoothing: float = 0.0
    weights: Tensor | None = None

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Losses (n,) of logits (n, n_classes) and labels (n,)."""
        if self.loss == "hinge":
            losses = nn.functional.multi_margin_loss(logits, labels, margin=self.margin, reduction="none")
        else:
            losses = nn.functional.cross_entropy(logits, labels, reduction="none", label_smoothing=self.smoothing)
        return losses if self.weights is None else losses * self.weights[labels]

    def watched(self, losses: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        """What curves show (n,): plain cross-entropy, whatever a step goes down, so that runs can be compared."""
        if self.loss == "cross_entropy" and not self.smoothing and self.weights is None:
            return losses.detach()
        return nn.functional.cross_entropy(logits.detach(), labels, reduction="none")


def choose_objective(
    recipe: Recipe, labels: NDArray[np.int64], lengths: Sequence[int] | None, *, n_classes: int, device: torch.device
) -> Objective:
    """Choose what a recipe goes down on a training side.

    Raises
    ------
    ModelError
        If there is no such loss.
    """
    if recipe.loss not in LOSSES:
        raise ModelError(f"train.loss: {recipe.loss!r} is none of {', '.join(LOSSES)}")
    weights = None
    if recipe.class_weights == "balanced":
        weights = torch.from_numpy(balanced_weights(labels, lengths, n_classes=n_classes).astype(np.float32)).to(device)
    return Objective(loss=recipe.loss, margin=recipe.hinge_margin, smoothing=recipe.label_smoothing, weights=weights)


def balanced_weights(
    labels: NDArray[np.int64], lengths: Sequence[int] | None, *, n_classes: int
) -> NDArray[np.float64]:
    """Weights (n_classes,) in inverse proportion to how often a class is there, 0 of one that is not.

    What is counted is what weighs alike without them: blocks, or where there are `lengths`, clips. Over these the mean
    weight is 1, so that rates mean the same with and without weights.
    """
    shares = np.ones(len(labels)) if lengths is None else np.repeat(1 / np.array(lengths, dtype=np.float64), lengths)
    counts = np.bincount(labels, weights=shares, minlength=n_classes)
    there = counts > 0
    weights = np.zeros(n_classes)
    weights[there] = counts.sum() / (there.sum() * counts[there])
    return weights
