"""k-means of numbers: the best levels for a sample. On a line the optimum can be found exactly.

Clusters of sorted values are intervals, so a clustering is a list of boundaries, and its cost needs only cumulative
sums. Dynamic programming over boundaries is exact (Fisher 1958); that the best boundary only grows with the number of
values lets each step divide and conquer, in O(n·log n) instead of O(n²) (Wu 1991; Grønlund et al. 2017).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewerbits.tensor import validation as valid


class Clusters(NamedTuple):
    """`levels`: the means of the clusters, float64, ascending; `cost`: the sum of squared distances to them."""

    levels: NDArray[np.float64]
    cost: float


def k_means(x: ArrayLike, levels: int) -> Clusters:
    """The clustering of all values of `x` in `levels` clusters with the smallest possible cost.

    With fewer distinct values than `levels`, each is a level. 1e5 values in 16 clusters take a quarter of a second;
    time grows as n·log n·levels. In float64 the optimum is found to 1e-9 of its cost whatever outliers there are, but
    not where clumps lie a million times their own width apart: squares of such distances take all digits.
    Raises ValueError/TypeError for NaN, infinity, empty or non-real `x`, and `levels` outside 1..65536.
    """
    count = valid.integer(levels, "levels", 1, 65536)
    values, weights = np.unique(valid.real_array(x).astype(np.float64, copy=False), return_counts=True)
    if values.size <= count:
        return Clusters(values, 0.0)
    return _clusters(values, weights, _best_boundaries(_sums(values, weights), count))


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


class _Sums(NamedTuple):
    """Cumulative sums over sorted values, of the weights and of the values: n + 1 each.

    Values are shifted so that their median is zero, and the sums start there, in both directions: thus the sums over a
    cluster, which are differences, do not lose the digits that far outliers would take. For the same reason gains
    start from `first_gain`, minus the sum of squares below the median.
    """

    weight: NDArray[np.float64]
    value: NDArray[np.float64]
    first_gain: float


def _sums(values: NDArray[np.float64], weights: NDArray[np.int64]) -> _Sums:
    middle = int(np.searchsorted(np.cumsum(weights), weights.sum() / 2))
    scale = max(values[-1] / 2, -values[0] / 2)
    shifted = values / scale - values[middle] / scale

    def outward(terms: NDArray[Any]) -> NDArray[np.float64]:
        return np.concatenate((-np.cumsum(terms[:middle][::-1])[::-1], [0.0], np.cumsum(terms[middle:])))

    return _Sums(outward(weights), outward(weights * shifted), -float((weights * shifted**2)[:middle].sum()))


def _best_boundaries(sums: _Sums, count: int) -> NDArray[np.intp]:
    """Boundaries (count + 1,) of the cheapest clustering.

    The cost is Σx² − Σ over clusters of (sum)²/(weight). The gain, the second term, is maximised: gain[i] is the
    largest of the first i values in the clusters so far.
    """
    size = sums.weight.size - 1
    gain = np.full(size + 1, -np.inf)
    gain[1:] = sums.first_gain + (sums.value[1:] - sums.value[0]) ** 2 / (sums.weight[1:] - sums.weight[0])
    choices = []
    for clusters in range(2, count + 1):
        gain, choice = _with_one_more(gain, sums, clusters, last=clusters == count)
        choices.append(choice)
    boundaries = [size]
    for choice in reversed(choices):
        boundaries.append(int(choice[boundaries[-1]]))
    return np.array([0, *boundaries[::-1]])


def _with_one_more(
    gain: NDArray[np.float64], sums: _Sums, clusters: int, last: bool
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """(gain, best start of the last cluster) of the first i values in `clusters` clusters, for each i.

    The best start never decreases with i. So the last i is solved, then the middle one, then the middles of both
    halves between the starts found, and so on. When it is the `last` cluster, only the last i is needed.
    """
    size = gain.size - 1
    best, start = np.full(size + 1, -np.inf), np.zeros(size + 1, np.int32)
    everything = np.array([size]), np.array([clusters - 1, size - 1])
    best[size:], start[size:] = _best_starts(*everything, gain, sums)
    stride = 1 if last else 1 << (size - clusters).bit_length()
    while stride > 1:
        ends = np.arange(size - stride // 2, clusters - 1, -stride)[::-1]
        if ends.size:
            limits = np.append(start[np.maximum(ends - stride // 2, 0)], start[ends[-1] + stride // 2])
            best[ends], start[ends] = _best_starts(ends, np.maximum(limits, clusters - 1), gain, sums)
        stride //= 2
    return best, start


def _best_starts(
    ends: NDArray[np.intp], limits: NDArray[np.intp], gain: NDArray[np.float64], sums: _Sums
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """(gain, start) of the best last cluster that ends at each of `ends`, its start between two `limits` in turn.

    Both ascend. Every start lies between two limits, so that one pass over slices evaluates all of them.
    """
    start = np.minimum(limits[1:], ends - 1)
    best = _gains(sums.weight[ends], sums.value[ends], start, gain, sums)
    lengths = np.diff(limits)
    some = np.flatnonzero(lengths)
    if some.size:
        lengths = lengths[some]
        weights, values = np.repeat(sums.weight[ends[some]], lengths), np.repeat(sums.value[ends[some]], lengths)
        gains = _gains(weights, values, slice(limits[0], limits[-1]), gain, sums)
        offsets = limits[some] - limits[0]
        inner = np.maximum.reduceat(gains, offsets)
        reached = np.flatnonzero(gains == np.repeat(inner, lengths))
        first = limits[0] + reached[np.searchsorted(reached, offsets)]
        better = inner >= best[some]
        best[some[better]], start[some[better]] = inner[better], first[better]
    return best, start


def _gains(
    weights: NDArray[np.float64], values: NDArray[np.float64], starts: Any, gain: NDArray[np.float64], sums: _Sums
) -> NDArray[np.float64]:
    """gain[starts] + (sum)²/(weight) of the clusters from `starts` to where the sums are `weights` and `values`.

    Overwrites both: at this size, new arrays would take longer than the arithmetic. A start beyond the end gains −∞.
    """
    weights -= sums.weight[starts]
    values -= sums.value[starts]
    values *= values
    if weights.min() > 0:
        values /= weights
    else:
        np.divide(values, weights, out=values, where=weights > 0)
        values[weights <= 0] = -np.inf
    values += gain[starts]
    return values
