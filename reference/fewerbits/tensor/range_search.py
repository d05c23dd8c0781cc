"""The range that costs least on a histogram: two costs of a quantizer, and one search that serves both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fewerbits.tensor.histogram import Histogram
from fewerbits.tensor.uniform import Uniform

# The ends of a range are moved by these factors: first by quarters of an octave, down to a bin of 2^-14 of it, then
# between the neighbours of the best, then between the neighbours of that.
FACTORS = (
    2.0 ** (np.arange(56, -57, -1) / 4),
    np.linspace(2**0.25, 2**-0.25, 33),
    np.linspace(1.011, 0.989, 13),
)


@dataclass(frozen=True)
class Conventions:
    """The quantizer that a range is chosen for, in the words of `Uniform.from_range`."""

    bits: int = 8
    symmetric: bool = True
    signed: bool = True
    narrow_range: bool = False

    def schemes(self, minimum: NDArray[np.float64], maximum: NDArray[np.float64]) -> Uniform:
        """The quantizers of many ranges at once, as if each were a channel."""
        return Uniform.from_range(
            minimum,
            maximum,
            self.bits,
            symmetric=self.symmetric,
            signed=self.signed,
            narrow_range=self.narrow_range,
            axis=0,
        )


Bins = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]
Cost = Callable[[Bins, float, int, int], float]


def squared_error(bins: Bins, step: float, lowest: int, highest: int) -> float:
    """Mean squared error of the levels lowest·step … highest·step on bins (left, right, count), each flatly filled.

    Exact for that density. In steps, with e the distance of an edge from its level and the two levels j apart, the
    integral over a bin is (e_right³ − e_left³)/3 + j/12. Where j = 0 the width of the bin cancels, so that a bin
    may be drawn in to a single value.
    """
    left, right, counts = bins[0] / step, bins[1] / step, bins[2]
    e_left, e_right = left - _level(left, lowest, highest), right - _level(right, lowest, highest)
    square = e_left * e_left + e_left * e_right + e_right * e_right
    mean = square / 3
    levels_between = np.rint((right - left) - (e_right - e_left))
    crossing = np.flatnonzero(levels_between)
    cubes = ((e_right - e_left) * square)[crossing]
    mean[crossing] = (cubes / 3 + levels_between[crossing] / 12) / (right - left)[crossing]
    return float(step**2 * (counts @ mean) / counts.sum())


def divergence(bins: Bins, step: float, lowest: int, highest: int) -> float:
    """KL divergence, in nats, of the histogram from what is left of it after quantization (Migacz 2017).

    P is the histogram within the range, what lies outside added to the outermost bins; Q spreads the count of each
    level evenly over the bins of that level that are not empty, and knows nothing of what lies outside: that
    difference is the price of clipping. Infinite where it could tell nothing apart: for a step finer than a bin and
    for a range with a single bin in it.
    """
    left, right, counts = bins
    centres = left / 2 + right / 2
    below, above = centres < lowest * step, centres > highest * step
    inside = ~(below | above)
    if step < (right - left).max() or np.count_nonzero(inside) < 2:
        return np.inf
    kept = counts[inside]
    level = np.rint(centres[inside] / step).astype(np.int64)
    level -= level[0]
    spread = (np.bincount(level, kept) / np.maximum(np.bincount(level), 1))[level]
    reference = kept.copy()
    reference[0] += counts[below].sum()
    reference[-1] += counts[above].sum()
    return kl_divergence(reference, spread)


def _level(x: NDArray[np.float64], lowest: int, highest: int) -> NDArray[np.float64]:
    return np.clip(np.rint(x), lowest, highest)


def kl_divergence(p: NDArray[np.number], q: NDArray[np.number]) -> float:
    """Σ p·log(p/q) in nats, each brought to the sum 1; 0·log 0 is 0, and it is infinite where only q is 0."""
    p, q = p / p.sum(), q / q.sum()
    held = p > 0
    if (q[held] == 0).any():
        return np.inf
    return float(np.sum(p[held] * np.log(p[held] / q[held])))


def cheapest_range(histogram: Histogram, cost: Cost, conventions: Conventions) -> tuple[float, float]:
    """(minimum, maximum) with the lowest cost that the search finds; among equals the widest.

    Symmetric: it scans one clip. Affine: both ends together, then each alone, over and over until none gets
    better, so that it ends in a minimum along every one of these lines, not surely in the lowest of all.
    """
    bins = histogram.occupied()
    widest = np.array([min(histogram.minimum, 0.0), max(histogram.maximum, 0.0)])
    if conventions.symmetric:
        widest = np.abs(widest).max() * np.array([-1.0, 1.0])
    directions = [(1, 1)] if conventions.symmetric else [(1, 1), (1, 0), (0, 1)]
    best, shrink = np.inf, np.ones(2)
    for factors in FACTORS:
        improved = True
        while improved:
            before = best
            for direction in directions:
                candidates = np.unique(np.minimum(shrink * factors[:, None] ** direction, 1), axis=0)[::-1]
                costs = _costs(bins, cost, conventions, candidates * widest)
                if costs.min() < best:
                    best, shrink = costs.min(), candidates[np.argmin(costs)]
            improved = best < before and len(directions) > 1
    minimum, maximum = shrink * widest
    return float(minimum), float(maximum)


def _costs(bins: Bins, cost: Cost, conventions: Conventions, ranges: NDArray[np.float64]) -> NDArray[np.float64]:
    schemes = conventions.schemes(ranges[:, 0], ranges[:, 1])
    lowest, highest = schemes.qmin - schemes.zero_point, schemes.qmax - schemes.zero_point
    return np.array(
        [
            cost(bins, float(scale), int(low), int(high))
            for scale, low, high in zip(schemes.scale, lowest, highest, strict=True)
        ]
    )
