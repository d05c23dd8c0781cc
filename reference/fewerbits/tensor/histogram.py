"""A histogram of bounded size that widens as it sees more, and that merges exactly.

Every bin is `width` = 2^exponent wide and its edges are whole multiples of that width. Two neighbours that
share the edge 2k·w therefore become one bin of the next wider histogram, and nothing has to be guessed: the
histogram of all batches is, count for count, the histogram of all the data, in whatever order it came.

Resolution: the width is the smallest power of two for which `bins` bins hold the data and zero, so it lies
between span/bins and 2·span/(bins − 1), where span is the length of the range, zero included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewerbits.tensor import validation as valid

# Values handled at a time: the chunk, its bin numbers and 4096 counters stay in the L2 cache together.
CHUNK = 65536
# No float64 lies closer to zero than 2^-1074, so no bin needs to be narrower.
SMALLEST_EXPONENT = -1074
LARGEST_EXPONENT = 1023


def _no_counts() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts of values in bins of equal width; `Histogram(bins)` is empty, `Histogram.of(x)` holds `x`.

    Bin k ≥ 0 holds k·w ≤ x < (k+1)·w and bin −1−k holds the mirror image, −(k+1)·w < x ≤ −k·w with x ≠ 0:
    folding the negative side onto the positive one gives the histogram of |x| without error.
    `counts[i]` belongs to bin `first + i`; `minimum` and `maximum` are those of the data, exactly.
    """

    bins: int = 4096
    exponent: int = SMALLEST_EXPONENT
    first: int = 0
    counts: NDArray[np.int64] = field(default_factory=_no_counts, repr=False)
    minimum: float = math.inf
    maximum: float = -math.inf

    def __post_init__(self) -> None:
        valid.integer(self.bins, "bins", 16, 2**24)

    @classmethod
    def of(cls, x: ArrayLike, bins: int = 4096) -> Histogram:
        """The histogram of `x` (any shape), all of whose values must be finite."""
        values = valid.real_array(x, finite=False)
        empty = cls(bins)
        with np.errstate(invalid="ignore"):
            low, high = float(values.min()), float(values.max())
        # NaN and infinity show in the extremes: no array of a truth value per element is needed.
        if not math.isfinite(low) or not math.isfinite(high):
            valid.require_finite(values)
        exponent = _smallest_exponent(low, high, bins)
        first, last = _bin_of(low, exponent), _bin_of(high, exponent)
        return replace(
            empty,
            exponent=exponent,
            first=first,
            counts=_count(values.ravel(order="K"), exponent, first, last - first + 1),
            minimum=low,
            maximum=high,
        )

    def merge(self, other: Histogram) -> Histogram:
        """The histogram of both together: exactly `Histogram.of` all their data. Raises ValueError if bins differ."""
        if not isinstance(other, Histogram):
            raise TypeError(f"other={other!r} is not accepted: it must be a Histogram")
        if self.bins != other.bins:
            raise ValueError(f"other.bins={other.bins} is not accepted: it must be {self.bins}, as here")
        if not (self.total and other.total):
            return other if other.total else self
        low, high = min(self.minimum, other.minimum), max(self.maximum, other.maximum)
        exponent = max(self.exponent, other.exponent, _smallest_exponent(low, high, self.bins))
        first, last = _bin_of(low, exponent), _bin_of(high, exponent)
        counts = np.zeros(last - first + 1, np.int64)
        for part in (self.coarsen(exponent), other.coarsen(exponent)):
            counts[part.first - first :][: part.counts.size] += part.counts
        return Histogram(self.bins, exponent, first, counts, low, high)

    def coarsen(self, exponent: int) -> Histogram:
        """The same data in bins of 2^`exponent`; raises ValueError for bins that are narrower than these."""
        exponent = valid.integer(exponent, "exponent", self.exponent, LARGEST_EXPONENT)
        if exponent == self.exponent or not self.total:
            return self
        # An arithmetic shift halves a bin number and rounds down, which is what happens to the bin.
        numbers = (self.first + np.arange(self.counts.size)) >> min(exponent - self.exponent, 63)
        starts = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1))
        return replace(
            self, exponent=exponent, first=int(numbers[0]), counts=np.asarray(np.add.reduceat(self.counts, starts))
        )

    def magnitudes(self) -> Histogram:
        """The histogram of |x|, in bins of the same width."""
        if not self.total:
            return self
        held = np.flatnonzero(self.counts)
        numbers = self.first + held
        folded = np.where(numbers < 0, -1 - numbers, numbers)
        first = int(folded.min())
        counts = np.zeros(int(folded.max()) - first + 1, np.int64)
        np.add.at(counts, folded - first, self.counts[held])
        # Data on both sides of zero leave the smallest magnitude unknown; zero is a bound for it.
        low = max(self.minimum, -self.maximum, 0.0)
        return replace(self, first=first, counts=counts, minimum=low, maximum=max(-self.minimum, self.maximum))

    def order_statistic(self, rank: int) -> tuple[float, float]:
        """The edges of the bin that holds the value of 1-based `rank` in ascending order."""
        rank = valid.integer(rank, "rank", 1, self.total)
        index = int(np.searchsorted(np.cumsum(self.counts), rank))
        return float(self.edges[index]), float(self.edges[index + 1])

    @property
    def total(self) -> int:
        """How many values it holds."""
        return int(self.counts.sum())

    @property
    def width(self) -> float:
        """Width of a bin, in units of x."""
        return math.ldexp(1.0, self.exponent)

    @property
    def edges(self) -> NDArray[np.float64]:
        """The counts.size + 1 edges, float64; the outermost two are drawn in to the minimum and the maximum."""
        with np.errstate(over="ignore"):
            edges = np.ldexp((self.first + np.arange(self.counts.size + 1)).astype(np.float64), self.exponent)
        return np.clip(edges, self.minimum, self.maximum)

    def occupied(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """(left edge, right edge, count) of the bins that are not empty."""
        edges, held = self.edges, self.counts > 0
        return edges[:-1][held], edges[1:][held], self.counts[held]


def _smallest_exponent(low: float, high: float, bins: int) -> int:
    """The smallest e for which `bins` bins of 2^e hold `low`, `high` and zero."""
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        return SMALLEST_EXPONENT
    exponent = max(math.frexp(max(-low, high))[1] - bins.bit_length() - 1, SMALLEST_EXPONENT)
    while _bin_of(high, exponent) - _bin_of(low, exponent) >= bins:
        exponent += 1
    return exponent


def _bin_of(x: float, exponent: int) -> int:
    """Number of the bin that holds `x`: x/w without its fraction, one lower for a negative x."""
    return math.trunc(math.ldexp(x, -exponent)) - (x < 0)


def _count(x: NDArray[Any], exponent: int, first: int, size: int) -> NDArray[np.int64]:
    """`_bin_of` on a flat array, chunk by chunk: how many values fall in each of `size` bins from `first` on.

    Dividing by a power of two is exact; a quotient so small that it underflows is still in bin 0 or −1.
    """
    counts = np.zeros(size, np.int64)
    # Powers of two that float32 cannot hold are left to ldexp in float64: slower, and rarely met.
    factor = np.ldexp(np.float32(1), -exponent) if -127 <= exponent <= 126 else None
    scaled = np.empty(min(CHUNK, x.size), x.dtype if factor is not None else np.float64)
    numbers = np.empty(scaled.size, np.intp)
    for start in range(0, x.size, CHUNK):
        chunk = x[start : start + CHUNK]
        quotient, number = scaled[: chunk.size], numbers[: chunk.size]
        with np.errstate(under="ignore"):
            if factor is not None:
                np.multiply(chunk, factor, out=quotient)
            else:
                np.ldexp(chunk, -exponent, out=quotient)
        np.copyto(number, quotient, casting="unsafe")
        np.subtract(number, chunk < 0, out=number)
        np.subtract(number, first, out=number)
        counts += np.bincount(number, minlength=size)
    return counts
