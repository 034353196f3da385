"""How the learning rate goes over a run: constant, in steps, exponential, cyclical, or down a cosine.

A schedule gives a factor for every iteration, on all rates alike: the head's keeps its own factor beside it.
With e the epochs that have passed before an iteration, as a real number, and E all of them:

    constant     1
    step         rate_factor ^ floor(e / step_epochs)
    exponential  rate_factor ^ e
    cyclical     low + (1 - low) (1 - |s mod 2 - 1|), low = lowest_rate / learning_rate
                 where s counts half-cycles, of epochs or of iterations: from the lowest rate up to learning_rate in one
                 half-cycle, and down again in the next (Smith 2017: triangular)
    cosine       last + (1 - last) (1 + cos(pi (e - w) / (E - w))) / 2, last = final_fraction
                 (Loshchilov and Hutter 2017), after w = warmup_epochs in which it grows in proportion to the iterations
                 (Goyal et al. 2017): the first of them has one share, the last the whole rate
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence

import torch
from torch.optim.lr_scheduler import LambdaLR

from pipeline.errors import ModelError
from pipeline.learning.recipe import Recipe


def schedule_rates(optimizer: torch.optim.Optimizer, recipe: Recipe, epoch_ends: Sequence[int]) -> LambdaLR:
    """Set the rates of the first iteration; each `step` of what is returned sets those of the next.

    Parameters
    ----------
    epoch_ends
        Number of iterations at the end of each epoch.
    """
    return LambdaLR(optimizer, factors(recipe, epoch_ends))


def factors(recipe: Recipe, epoch_ends: Sequence[int]) -> Callable[[int], float]:
    """Give what the rate is multiplied by in the iteration that comes after so many.

    Raises
    ------
    ModelError
        If there is no such schedule.
    """
    known: dict[str, Callable[[int, float, float], float]] = {
        "constant": lambda _n, _e, _share: 1.0,
        "step": lambda _n, e, _share: recipe.rate_factor ** math.floor(e / recipe.step_epochs),
        "exponential": lambda _n, e, _share: recipe.rate_factor**e,
        "cyclical": lambda n, e, _share: _triangle(recipe, _half_cycles(recipe, n, e)),
        "cosine": lambda _n, e, share: _cosine(recipe, e, share),
    }
    if recipe.schedule not in known:
        raise ModelError(f"train.schedule: {recipe.schedule!r} is none of {', '.join(known)}")
    own = known[recipe.schedule]

    def factor(n_before: int) -> float:
        epoch = min(bisect_right(epoch_ends, n_before), len(epoch_ends) - 1)
        first = epoch_ends[epoch - 1] if epoch else 0
        share = 1 / (epoch_ends[epoch] - first)  # of an epoch, of one iteration
        return own(n_before, epoch + (n_before - first) * share, share)

    return factor


def _half_cycles(recipe: Recipe, n_before: int, e: float) -> float:
    """How many half-cycles have passed."""
    if recipe.half_cycle_iterations is not None:
        return n_before / recipe.half_cycle_iterations
    return e / (recipe.half_cycle_epochs or 1.0)


def _triangle(recipe: Recipe, half_cycles: float) -> float:
    height = 1 - abs(half_cycles % 2 - 1)
    low = recipe.lowest_rate / recipe.learning_rate
    return low + (1 - low) * height


def _cosine(recipe: Recipe, e: float, share: float) -> float:
    warm = recipe.warmup_epochs
    if e < warm:
        return min(1.0, (e + share) / warm)
    down = (e - warm) / (recipe.epochs - warm)
    return recipe.final_fraction + (1 - recipe.final_fraction) * (1 + math.cos(math.pi * down)) / 2
