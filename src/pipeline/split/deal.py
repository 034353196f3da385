"""Whole units into bins: every class in every bin first, then each bin its share of each class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# An empty (bin, class) pair outweighs any deviation from the shares, which stays far below this.
EMPTY_PAIR = 1e4
# Units count a little beside their blocks: among deals that are nearly equal in blocks, the one with as many clips on
# each side as its share asks for is better, since clips, not blocks, are what a result rests on.
UNIT_WEIGHT = 0.05
# Improvements below this (a squared deviation: 0.1 % of a class) are not worth another step.
LEAST_GAIN = 1e-6
RESTARTS = 64
RESTART_PLACEMENTS = 200_000  # units x bins, over all restarts
IMPROVED_RESTARTS = 8
IMPROVING_STEPS = 100
SWAPS_UP_TO = 256  # units; pairs are n^2, and with more units single moves come close enough


def deal_units(counts: Ints, shares: Floats, rng: np.random.Generator) -> Ints:
    """Deal units to bins so that every bin has every class, and each class's blocks lie in proportion to the shares.

    Units are placed in random order, each where most is lacking, or at random, several times over; the best of these
    deals are then improved by moves and swaps of units. Better means fewer (bin, class) pairs without a unit, then the
    smaller sum of (part of the class in the bin - share of the bin)^2 over bins and classes, where "class" includes all
    classes together, and where parts of the class's units count beside parts of its blocks with the weight 0.05. Where
    each unit holds one class only, and no class has fewer units than there are bins, no pair stays empty. Units of a
    single block each are dealt in exact proportion, in one step.

    Parameters
    ----------
    counts
        Blocks of each class in each unit, (n_units, n_classes); every unit has at least one.
    shares
        Aimed share of each bin, (n_bins,), summing to one.
    rng
        Source of the random order.

    Returns
    -------
    Bin of each unit, (n_units,).
    """
    if len(counts) == 0 or len(shares) == 1:
        return np.zeros(len(counts), dtype=np.int64)
    if np.all(counts.sum(axis=1) == 1):
        return _deal_single_blocks(counts.argmax(axis=1), counts.sum(axis=0), shares, rng)
    table = _weigh(counts, shares)
    n_restarts = int(np.clip(RESTART_PLACEMENTS // (len(counts) * len(shares)), 1, RESTARTS))
    orders = rng.permuted(np.tile(np.arange(len(counts)), (n_restarts, 1)), axis=1)
    deals = _place(table, orders)
    if len(counts) <= SWAPS_UP_TO:
        # Placing a few units in turn finds the same deals again and again, so every other start is wholly random.
        deals[1::2] = rng.choice(len(shares), size=deals[1::2].shape, p=shares)
    distinct = list({bins.tobytes(): bins for bins in deals}.values())
    best = sorted(distinct, key=lambda bins: _cost(table, bins))[:IMPROVED_RESTARTS]
    return min((_improve(table, bins) for bins in best), key=lambda bins: _cost(table, bins))


@dataclass(frozen=True)
class _Table:
    """What dealing needs to know of the units.

    Attributes
    ----------
    parts
        Weighted part that each unit holds of each class, by blocks and by units, (n_units, n_columns).
    aims
        What each bin should hold of each column, (n_bins, n_columns).
    holds
        1 where a unit holds a class, (n_units, n_classes).
    """

    parts: Floats
    aims: Floats
    holds: Floats


def _weigh(counts: Ints, shares: Floats) -> _Table:
    holds = (counts > 0).astype(np.float64)
    blocks = np.hstack([counts, counts.sum(axis=1, keepdims=True)])
    units = np.hstack([holds, np.ones((len(counts), 1))])
    parts = np.hstack(
        [
            blocks / np.maximum(blocks.sum(axis=0), 1),
            np.sqrt(UNIT_WEIGHT) * units / np.maximum(units.sum(axis=0), 1),
        ]
    )
    return _Table(parts=parts, aims=np.outer(shares, parts.sum(axis=0)), holds=holds)


def _sums(bins: Ints, n_bins: int, values: Floats) -> Floats:
    """Sum over the units of each bin, (n_bins, n_columns)."""
    sums = np.zeros((n_bins, values.shape[1]))
    np.add.at(sums, bins, values)
    return sums


def _empty_pairs(table: _Table, bins: Ints) -> int:
    held = _sums(bins, len(table.aims), table.holds)
    return int(np.count_nonzero(held[:, table.holds.any(axis=0)] == 0))


def _cost(table: _Table, bins: Ints) -> float:
    deviation = _sums(bins, len(table.aims), table.parts) - table.aims
    # Rounded, so that another processor's last digits do not choose another deal.
    return round(EMPTY_PAIR * _empty_pairs(table, bins) + float(np.sum(deviation**2)), 9)


def _place(table: _Table, orders: Ints) -> Ints:
    """Place units in each of several orders (n_restarts, n_units) at once, each into the bin that lacks most of it."""
    restarts = np.arange(len(orders))
    lacking = np.repeat(table.aims[None], len(orders), axis=0)  # (n_restarts, n_bins, n_columns)
    bins = np.empty_like(orders)
    for units in orders.T:
        parts = table.parts[units]  # (n_restarts, n_columns)
        # Of all bins, the one with the largest product lowers the sum of squared deviations most.
        chosen = np.round(np.einsum("rbc,rc->rb", lacking, parts), 12).argmax(axis=1)
        lacking[restarts, chosen] -= parts
        bins[restarts, units] = chosen
    return bins


def _improve(table: _Table, bins: Ints) -> Ints:
    """Swap or move units, the best exchange first, until none is worth it."""
    bins = bins.copy()
    n_units = len(bins)
    for _ in range(IMPROVING_STEPS + _empty_pairs(table, bins)):
        first, second, target, gain = _best_exchange(table, bins)
        if gain < LEAST_GAIN:
            break
        if second < n_units:
            bins[second] = bins[first]
        bins[first] = target
    return bins


def _best_exchange(table: _Table, bins: Ints) -> tuple[int, int, int, float]:
    """Find the two units in different bins whose exchange lowers the cost most.

    After the real units comes one phantom per bin that holds nothing: exchanging a unit with a phantom is a move.

    Returns
    -------
    The unit, its partner, the partner's bin, and by how much the cost falls.
    """
    n_units, n_bins = len(bins), len(table.aims)
    places = np.concatenate([bins, np.arange(n_bins)])
    parts = np.vstack([table.parts, np.zeros((n_bins, table.parts.shape[1]))])
    holds = np.vstack([table.holds, np.zeros((n_bins, table.holds.shape[1]))])
    rows, columns = slice(0, n_units), slice(0 if n_units <= SWAPS_UP_TO else n_units, None)

    # With deviations d and parts f, exchanging u in a with v in b changes the cost by
    # 2 (f_u - f_v)(d_b - d_a) + 2 |f_u - f_v|^2.
    deviation = _sums(places, n_bins, parts) - table.aims
    pull = parts @ deviation.T  # (n_units + n_bins, n_bins)
    stay = pull[np.arange(len(places)), places]
    go = pull[rows][:, places[columns]] - stay[rows, None]
    come = pull[columns][:, places[rows]].T - stay[None, columns]
    square = np.sum(parts**2, axis=1)
    distance = square[rows, None] + square[None, columns] - 2 * parts[rows] @ parts[columns].T
    change = 2 * (go + come + distance)

    held = _sums(places, n_bins, holds)
    change += EMPTY_PAIR * _emptied(holds, places, held, rows, columns)
    change += EMPTY_PAIR * _emptied(holds, places, held, columns, rows).T
    change[places[rows, None] == places[None, columns]] = 0
    u, v = np.unravel_index(np.round(change, 9).argmin(), change.shape)
    partner = int(v) + (columns.start or 0)
    return int(u), partner, int(places[partner]), -float(change[u, v])


def _emptied(holds: Floats, places: Ints, held: Floats, leaving: slice, coming: slice) -> Floats:
    """Count the classes that vanish where u leaves and v comes, less those that u is the first to bring to v's bin."""
    alone = holds[leaving] * (held == 1)[places[leaving]]  # u is the last of its class there
    vanish = alone.sum(axis=1, keepdims=True) - alone @ holds[coming].T
    appear = holds[leaving] @ (held == 0)[places[coming]].T
    return np.asarray(vanish - appear, dtype=np.float64)


def _deal_single_blocks(classes: Ints, sizes: Ints, shares: Floats, rng: np.random.Generator) -> Ints:
    bins = np.empty(len(classes), dtype=np.int64)
    for which, numbers in enumerate(_quotas(sizes, shares)):
        members = rng.permutation(np.flatnonzero(classes == which))
        bins[members] = np.repeat(np.arange(len(shares)), numbers)
    return bins


def _quotas(sizes: Ints, shares: Floats) -> Ints:
    """Split each class's number of blocks into whole numbers per bin, (n_classes, n_bins)."""
    aims = np.round(np.outer(sizes, shares), 9)
    quotas = np.floor(aims).astype(np.int64)
    for which, size in enumerate(sizes):
        # What rounding left over goes where the classes so far have left most lacking, so bins stay even in all.
        lacking = np.round(sizes[: which + 1].sum() * shares - quotas[: which + 1].sum(axis=0), 9)
        lacking[aims[which] == quotas[which]] = -np.inf  # a bin with its exact number gets no more
        extra = size - quotas[which].sum()
        quotas[which, np.argsort(-lacking, kind="stable")[:extra]] += 1
        while size >= len(shares) and quotas[which].min() == 0:
            quotas[which, quotas[which].argmax()] -= 1
            quotas[which, quotas[which].argmin()] += 1
    return quotas
