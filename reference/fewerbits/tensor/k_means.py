"""k-means of numbers: the best levels for a sample. On a line the optimum can be found exactly.

Clusters of sorted values are intervals, so a clustering is a list of boundaries, and its cost needs only cumulative
sums. Dynamic programming over boundaries is exact (Fisher 1958); that the best boundary only grows with the number of
values lets each step divide and conquer, in O(n·log n) instead of O(n²) (Wu 1991; Grønlund et al. 2017).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewerbits.tensor import validation as valid

# Up to so many ranges at a time, a slice of each is faster than one gathered array (measured).
FEW_RANGES = 32


class Clusters(NamedTuple):
    """`levels`: the means of the clusters, float64, ascending; `cost`: the sum of squared distances to them."""

    levels: NDArray[np.float64]
    cost: float


def k_means(x: ArrayLike, levels: int) -> Clusters:
    """The clustering of all values of `x` in `levels` clusters with the smallest possible cost.

    With fewer distinct values than `levels`, each is a level. 1e5 values in 16 clusters take a second or less, and
    time grows as n·log n·levels; `lloyd` is far faster and not exact. Raises ValueError/TypeError for NaN, infinity,
    empty or non-real `x`, and `levels` outside 1..65536.
    """
    count = valid.integer(levels, "levels", 1, 65536)
    values, weights = np.unique(valid.real_array(x).astype(np.float64, copy=False), return_counts=True)
    if values.size <= count:
        return Clusters(values, 0.0)
    mass = np.concatenate(([0.0], np.cumsum(weights)))
    total = np.concatenate(([0.0], np.cumsum(weights * _normalized(values, values))))
    boundaries = _best_boundaries(mass, total, count)
    return _clusters(values, weights, boundaries)


def lloyd(x: ArrayLike, levels: ArrayLike, iterations: int = 1000) -> Clusters:
    """k-means by Lloyd's iteration from starting `levels`: each value to its nearest level, each level to its mean.

    Sorting once and cumulative sums make an iteration cost O(levels·log n). It stops where no value changes its
    cluster, a local optimum, or after `iterations`. A cluster that becomes empty keeps its level (and is dropped in
    the end). Raises ValueError/TypeError for NaN, infinity, empty or non-real `x` or `levels`.
    """
    values = np.sort(valid.real_array(x).astype(np.float64, copy=False), axis=None)
    centres = np.sort(valid.real_array(levels, "levels").astype(np.float64), axis=None)
    iterations = valid.integer(iterations, "iterations", 1)
    sorted_values, centres = _normalized(values, values), _normalized(centres, values)
    total = np.concatenate(([0.0], np.cumsum(sorted_values)))
    boundaries = np.zeros(0, np.intp)
    for _ in range(iterations):
        inner = np.searchsorted(sorted_values, (centres[:-1] + centres[1:]) / 2, side="right")
        previous, boundaries = boundaries, np.concatenate(([0], inner, [values.size]))
        if np.array_equal(previous, boundaries):
            break
        counts = np.diff(boundaries)
        centres = np.where(counts > 0, np.diff(total[boundaries]) / np.maximum(counts, 1), centres)
    return _clusters(values, np.ones(values.size, np.int64), np.unique(boundaries))


def _normalized(x: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """`x` by the shift and scale that bring the sorted `values` to −1..1: sums then neither cancel nor overflow."""
    half = values[-1] / 2 - values[0] / 2
    return (x - (values[0] / 2 + values[-1] / 2)) / (half if half > 0 else 1.0)


def _clusters(values: NDArray[np.float64], weights: NDArray[np.int64], boundaries: NDArray[np.intp]) -> Clusters:
    counts = np.add.reduceat(weights, boundaries[:-1])
    # Sums of differences from the first value of each cluster keep the digits that they share.
    first = np.repeat(values[boundaries[:-1]], np.diff(boundaries))
    means = values[boundaries[:-1]] + np.add.reduceat((values - first) * weights, boundaries[:-1]) / counts
    with np.errstate(over="ignore", under="ignore"):
        cost = float((weights * (values - np.repeat(means, np.diff(boundaries))) ** 2).sum())
    return Clusters(means, cost)


def _best_boundaries(mass: NDArray[np.float64], total: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Boundaries (count + 1,) of the cheapest clustering, from cumulative weights and weighted sums.

    The cost is Σx² − Σ over clusters of (sum)²/(weight). The gain, the second term, is maximised: gain[i] is that of
    the first i values in the clusters so far.
    """
    size = mass.size - 1
    gain = np.full(size + 1, -np.inf)
    gain[1:] = total[1:] ** 2 / mass[1:]
    choices = []
    for clusters in range(2, count + 1):
        gain, choice = _with_one_more(gain, mass, total, clusters, last=clusters == count)
        choices.append(choice)
    boundaries = [size]
    for choice in reversed(choices):
        boundaries.append(int(choice[boundaries[-1]]))
    return np.array([0, *boundaries[::-1]])


def _with_one_more(
    gain: NDArray[np.float64], mass: NDArray[np.float64], total: NDArray[np.float64], clusters: int, last: bool
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """(gain, best start of the last cluster) of the first i values in `clusters` clusters, for each i.

    The best start never decreases with i. So first the middle i is solved, then the middles of both halves between the
    starts found, and so on. When it is the `last` cluster, only i = size is needed.
    """
    size = gain.size - 1
    best, start = np.full(size + 1, -np.inf), np.zeros(size + 1, np.int32)
    ends = np.array([size])
    _solve(ends, np.array([clusters - 1]), ends - 1, gain, mass, total, best, start)
    stride = 1 if last else 1 << (size - clusters).bit_length()
    while stride > 1:
        ends = np.arange(size - stride // 2, clusters - 1, -stride)
        lower = ends - stride // 2
        first = np.where(lower >= clusters, start[np.maximum(lower, 0)], clusters - 1)
        _solve(ends, first, np.minimum(start[ends + stride // 2], ends - 1), gain, mass, total, best, start)
        stride //= 2
    return best, start


def _solve(
    ends: NDArray[np.intp],
    first: NDArray[np.intp],
    final: NDArray[np.intp],
    gain: NDArray[np.float64],
    mass: NDArray[np.float64],
    total: NDArray[np.float64],
    best: NDArray[np.float64],
    start: NDArray[np.int32],
) -> None:
    """Write to `best` and `start` the best of the starts first..final of the last cluster, for each of `ends`."""
    if ends.size <= FEW_RANGES:
        for end, low, high in zip(ends, first, final + 1):
            gains = total[end] - total[low:high]
            gains *= gains
            gains /= mass[end] - mass[low:high]
            gains += gain[low:high]
            choice = gains.argmax()
            best[end], start[end] = gains[choice], low + choice
        return
    lengths = final - first + 1
    offsets = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    starts = np.arange(lengths.sum()) + np.repeat(first - offsets, lengths)
    gains = np.repeat(total[ends], lengths)
    gains -= total[starts]
    gains *= gains
    gains /= np.repeat(mass[ends], lengths) - mass[starts]
    gains += gain[starts]
    best[ends] = np.maximum.reduceat(gains, offsets)
    reached = np.flatnonzero(gains == np.repeat(best[ends], lengths))
    start[ends] = starts[reached[np.searchsorted(reached, offsets)]]
