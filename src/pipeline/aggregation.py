"""From the probabilities of a clip's blocks to one answer, by five rules, at its end and after each block."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MetricsError
from pipeline.metrics import Floats, Integers, pool_by_clip, softmax

RULES = ("mean", "product", "vote", "belief", "last")
LEAST = 1e-12  # the product takes no probability for smaller: no single block can rule a class out for good
_NUDGE = 1e-9  # puts the winner of a tie ahead of the others


@dataclass(frozen=True)
class Timeline:
    """Which blocks each clip has, in the order of time."""

    clip: Integers  # clip of each block (n_blocks,), 0 to n_clips - 1
    ordered: Integers  # (n_blocks,) indices of the blocks, clip by clip, each clip's from its first to its last
    n_blocks: Integers  # of each clip (n_clips,), 1 or more

    @classmethod
    def of(cls, clip: Integers, starts: NDArray[Any]) -> "Timeline":
        """Order the blocks by their starts (n_blocks,); those that start together stay in their order.

        Raises
        ------
        MetricsError
            If lengths differ.
        """
        if len(clip) != len(starts):
            raise MetricsError(f"{len(starts)} starts for {len(clip)} blocks: need one each")
        return cls(clip, np.lexsort((starts, clip)), np.bincount(clip))

    def nth(self, n: int) -> Integers:
        """Index of each clip's nth block (n_clips,), counted from 1; of clips that have fewer their last."""
        ends = np.cumsum(self.n_blocks)
        found: Integers = self.ordered[ends - self.n_blocks + np.minimum(n, self.n_blocks) - 1]
        return found


def aggregate(probabilities: Floats, timeline: Timeline, rule: str) -> Floats:
    """Give each clip's answer as probabilities (n_clips, k) from those of its blocks (n_blocks, k).

    Parameters
    ----------
    rule
        mean: of the blocks' probabilities.

        product: of the blocks' probabilities, normalised; as a sum of logarithms of what is at least 1e-12 (Kittler et
        al. 1998, On combining classifiers, equation 7 with equal priors).

        vote: share of the blocks whose most probable class it is. Of classes with equally many votes that with the
        larger sum of probabilities is put ahead (by 1e-9), of equal sums the first in the order of the classes.

        belief: b(0) = 1/k for every class, b(t) = (b(t-1) + p(t)) / 2, in the order of time. Badshah et al. 2017,
        section II.E: "Prediction reported by the model for each individual spectrogram act as evidence to update the
        belief values for all emotions", and "accumulated to determine the probabilities for individual emotions by
        computing mean predictions from the gathered evidence". The paper gives no formula and no starting value.
        Chosen here: no class is favoured at first, and an update is the mean of the belief so far and the new
        evidence, so that late blocks weigh more. Its other reading, the mean of all evidence, is the rule mean.

        last: the probabilities of the clip's last block, for networks that carry the blocks before it along.

    Raises
    ------
    MetricsError
        If lengths differ or a clip has no block.
    """
    pooled = pool_by_clip(probabilities, timeline.clip)  # also refuses what does not fit
    if rule == "mean":
        return pooled
    (answers,) = _over_time(probabilities, timeline, rule, at=[int(timeline.n_blocks.max())])
    return answers


def over_time(probabilities: Floats, timeline: Timeline, rule: str, *, at: Sequence[int]) -> Iterator[Floats]:
    """Give the clips' answers (n_clips, k) from their first n blocks, for each n of `at`, which rises.

    A clip that has fewer blocks keeps its own answer, which is exactly that of `aggregate`.
    """
    whole = aggregate(probabilities, timeline, rule)
    for n, answers in zip(at, _over_time(probabilities, timeline, rule, at=at), strict=True):
        yield np.where((timeline.n_blocks <= n)[:, None], whole, answers)


def _over_time(probabilities: Floats, timeline: Timeline, rule: str, *, at: Sequence[int]) -> Iterator[Floats]:
    steps = _STEPS[rule]
    evidence = steps.evidence(probabilities)  # (n_blocks, ...)
    ends = np.cumsum(timeline.n_blocks)
    by_length = np.argsort(-timeline.n_blocks, kind="stable")  # clips that go on are always the first
    lengths = timeline.n_blocks[by_length]
    starts = (ends - timeline.n_blocks)[by_length]
    state = np.full((len(lengths), *evidence.shape[1:]), steps.prior(probabilities.shape[1]))
    wanted = set(at)
    for n in range(1, max(wanted) + 1):
        active = int(np.searchsorted(-lengths, -n, side="right"))
        blocks = timeline.ordered[starts[:active] + n - 1]
        state[:active] = steps.update(state[:active], evidence[blocks])
        if n in wanted:
            answers = steps.answer(state, np.minimum(n, lengths))
            back = np.empty_like(answers)
            back[by_length] = answers
            yield back


@dataclass(frozen=True)
class _Steps:
    """One rule: what a block says, what is known before, how both are joined, and what is answered then."""

    evidence: Callable[[Floats], Floats]  # of blocks (n, k)
    prior: Callable[[int], float]  # of the number of classes
    update: Callable[[Floats, Floats], Floats]  # of states and evidence of a block each
    answer: Callable[[Floats, Integers], Floats]  # of states and how many blocks are in them


def _itself(values: Floats) -> Floats:
    return values


def _nothing(_: int) -> float:
    return 0.0


def _votes_and_sums(probabilities: Floats) -> Floats:
    votes = np.eye(probabilities.shape[1])[probabilities.argmax(axis=1)]
    return np.stack([votes, probabilities], axis=1)  # (n, 2, k)


def _shares_of_votes(state: Floats, n_blocks: Integers) -> Floats:
    votes, sums = state[:, 0], state[:, 1]
    ahead = votes == votes.max(axis=1, keepdims=True)
    winner = np.where(ahead, sums, -1).argmax(axis=1)
    shares: Floats = votes / n_blocks[:, None]
    tied = np.flatnonzero(ahead.sum(axis=1) > 1)
    shares[tied, winner[tied]] += _NUDGE
    shares /= shares.sum(axis=1, keepdims=True)
    return shares


_STEPS: Mapping[str, _Steps] = {
    "mean": _Steps(_itself, _nothing, np.add, lambda state, n: state / n[:, None]),
    "product": _Steps(
        lambda values: np.log(np.maximum(values, LEAST)), _nothing, np.add, lambda state, _: softmax(state)
    ),
    "vote": _Steps(_votes_and_sums, _nothing, np.add, _shares_of_votes),
    "belief": _Steps(
        _itself, lambda n: 1 / n, lambda state, evidence: (state + evidence) / 2, lambda state, _: state.copy()
    ),
    "last": _Steps(_itself, _nothing, lambda _, evidence: evidence, lambda state, _: state.copy()),
}
