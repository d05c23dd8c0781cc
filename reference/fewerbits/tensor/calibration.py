"""Observers: they see data batch by batch, remember little of it, and choose the range to quantize.

    observer = Percentile(percent=99.9)
    for batch in batches:
        observer = observer.observe(batch)
    scheme = observer.fit(bits=8, symmetric=False)

What is remembered does not grow with the data: `MinMax` and `MovingAverage` keep a few numbers, the others a
`Histogram`. All work per tensor and, with `axis`, per channel, each channel as if it were a tensor of its own; all
can be merged. `tensor.observer` holds what they share.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fewerbits.tensor import validation as valid
from fewerbits.tensor.clipping import DENSITIES, aciq_clip, optimal_step
from fewerbits.tensor.histogram import Histogram
from fewerbits.tensor.observer import Batch, Observer, Range
from fewerbits.tensor.range_search import Conventions, cheapest_range, divergence, squared_error

# (minimum, maximum) for the data of one histogram that is not empty.
Chooser = Callable[[Histogram], tuple[float, float]]


def _nothing() -> NDArray[Any]:
    return np.zeros(0)


@dataclass(frozen=True, eq=False, kw_only=True)
class MinMax(Observer):
    """The smallest and the largest value seen, in the dtype of the data (torch's MinMaxObserver)."""

    minimum: NDArray[Any] = field(default_factory=_nothing, compare=False)
    maximum: NDArray[Any] = field(default_factory=_nothing, compare=False)

    @property
    def channels(self) -> int:
        return self.minimum.size

    def _of(self, batch: Batch) -> Self:
        return replace(self, minimum=batch.minimum, maximum=batch.maximum)

    def _join(self, other: Self) -> Self:
        return replace(
            self,
            minimum=np.minimum(self.minimum, other.minimum),
            maximum=np.maximum(self.maximum, other.maximum),
        )

    def _ranges(self, conventions: Conventions) -> Range:
        return self.minimum, self.maximum


@dataclass(frozen=True, eq=False, kw_only=True)
class MovingAverage(MinMax):
    """Extremes of the first batch, moved by `rate` of the difference towards those of each batch that follows.

    m ← m + rate·(m_batch − m), in the dtype of the data: torch's MovingAverageMinMaxObserver, whose averaging
    constant .01 is the default. The order of batches matters, early ones fade.
    """

    rate: float = 0.01
    first_minimum: NDArray[Any] = field(default_factory=_nothing, compare=False)
    first_maximum: NDArray[Any] = field(default_factory=_nothing, compare=False)
    batches: NDArray[Any] = field(default_factory=_nothing, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        valid.real(self.rate, "rate", above=0, high=1)

    def _of(self, batch: Batch) -> Self:
        return replace(
            super()._of(batch),
            first_minimum=batch.minimum,
            first_maximum=batch.maximum,
            batches=np.isfinite(batch.minimum).astype(np.int64),
        )

    def _join(self, other: Self) -> Self:
        return replace(
            self,
            minimum=self._moved(self.minimum, other.minimum, other.first_minimum, other.batches),
            maximum=self._moved(self.maximum, other.maximum, other.first_maximum, other.batches),
            first_minimum=np.where(self.batches, self.first_minimum, other.first_minimum),
            first_maximum=np.where(self.batches, self.first_maximum, other.first_maximum),
            batches=self.batches + other.batches,
        )

    def _moved(
        self, mine: NDArray[Any], theirs: NDArray[Any], first: NDArray[Any], batches: NDArray[Any]
    ) -> NDArray[Any]:
        """`mine` after the batches whose own average is `theirs`.

        Their average began at `first` and not at `mine`; of that difference (1 − rate)^batches is still there.
        """
        with np.errstate(invalid="ignore", over="ignore"):
            after_one = mine + self.rate * (theirs - mine)
            kept = ((1 - self.rate) ** batches).astype(mine.dtype)
            # In halves, because a difference of two finite numbers may overflow.
            after_many = 2 * (theirs / 2 + kept * (mine / 2 - first / 2))
        moved = np.where((batches == 1) & np.isfinite(after_one), after_one, after_many)
        return np.where(batches == 0, mine, np.where(self.batches == 0, theirs, moved))


@dataclass(frozen=True, eq=False, kw_only=True)
class HistogramObserver(Observer):
    """One `Histogram` of at most `bins` bins per channel; its ranges are float64, as exact as a bin is narrow."""

    bins: int = 4096
    histograms: tuple[Histogram, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        valid.integer(self.bins, "bins", 16, 2**24)

    @abstractmethod
    def _chooser(self, conventions: Conventions) -> Chooser:
        """The rule by which the range of each channel is chosen."""

    @property
    def channels(self) -> int:
        return len(self.histograms)

    def _of(self, batch: Batch) -> Self:
        kept = batch.values if batch.finite is None else [x[held] for x, held in zip(batch.values, batch.finite)]
        return replace(
            self, histograms=tuple(Histogram.of(x, self.bins) if x.size else Histogram(self.bins) for x in kept)
        )

    def _join(self, other: Self) -> Self:
        return replace(self, histograms=tuple(map(Histogram.merge, self.histograms, other.histograms)))

    def _ranges(self, conventions: Conventions) -> Range:
        choose = self._chooser(conventions)
        chosen = [choose(histogram) if histogram.total else (np.inf, -np.inf) for histogram in self.histograms]
        minimum, maximum = np.array(chosen).T
        return minimum, maximum


@dataclass(frozen=True, eq=False, kw_only=True)
class Percentile(HistogramObserver):
    """The range that holds the central `percent` of the values.

    Affine: of n values the k = floor(n·(100 − percent)/200) smallest and the k largest are left out. Symmetric: the
    2k-fold share, floor(n·(100 − percent)/100), of largest magnitude. These are the tails of ONNX Runtime's
    percentile calibration. The bound is the outer edge of the bin that holds the last value kept, so it lies at
    most one bin outside that value, and never beyond the data.
    """

    percent: float = 99.99

    def __post_init__(self) -> None:
        super().__post_init__()
        valid.real(self.percent, "percent", above=0, high=100)

    def _chooser(self, conventions: Conventions) -> Chooser:
        return self._central_magnitudes if conventions.symmetric else self._central_values

    def _central_magnitudes(self, histogram: Histogram) -> tuple[float, float]:
        cut = math.floor(self._share_left_out * histogram.total)
        clip = histogram.magnitudes().order_statistic(histogram.total - cut)[1]
        return max(-clip, histogram.minimum), min(clip, histogram.maximum)

    def _central_values(self, histogram: Histogram) -> tuple[float, float]:
        cut = math.floor(self._share_left_out / 2 * histogram.total)
        return histogram.order_statistic(1 + cut)[0], histogram.order_statistic(histogram.total - cut)[1]

    @property
    def _share_left_out(self) -> Fraction:
        # Of the decimal number as written: in binary, 100 − 99.9 is a little less than .1.
        return (100 - Fraction(str(self.percent))) / 100


@dataclass(frozen=True, eq=False, kw_only=True)
class MSE(HistogramObserver):
    """The range with the smallest mean squared error of the quantizer that it is for (its levels, its zero point).

    The error is integrated as if each bin were flatly filled. `range_search.cheapest_range` says how it is searched.
    """

    def _chooser(self, conventions: Conventions) -> Chooser:
        return lambda histogram: cheapest_range(histogram, squared_error, conventions)


@dataclass(frozen=True, eq=False, kw_only=True)
class Entropy(HistogramObserver):
    """The range whose codes lose least information: smallest KL divergence of histogram and quantized histogram.

    After Migacz, "8-bit inference with TensorRT" (2017), here for any code range and zero point. The divergence
    sees only what bins resolve: it needs several bins per level, and far more values than bins, or it
    measures the noise of the histogram. Hence fewer bins by default than the other observers have. The bin from
    zero on takes the count of its neighbour: zero is exact in any range, and after a ReLU it would outweigh all else.
    """

    bins: int = 2048

    def _chooser(self, conventions: Conventions) -> Chooser:
        return lambda histogram: cheapest_range(_without_peak_at_zero(histogram), divergence, conventions)


def _without_peak_at_zero(histogram: Histogram) -> Histogram:
    zero = -histogram.first
    if histogram.counts.size == 1 or not 0 <= zero < histogram.counts.size:
        return histogram
    counts = histogram.counts.copy()
    counts[zero] = counts[zero + 1 if zero + 1 < counts.size else zero - 1]
    return replace(histogram, counts=counts)


@dataclass(frozen=True, eq=False, kw_only=True)
class Analytic(HistogramObserver):
    """The range that is best for a "gauss" or "laplace" density with the mean and the spread of the data.

    The spread is σ for Gauss, the mean distance b from the mean for Laplace. `rule`: "exact" takes the step of least
    error for the number of levels in use (`clipping.optimal_step`), "aciq" the step 2α/2^bits of the published α
    (`clipping.aciq_clip`). The range ends at the outermost levels, half a step inside the clip ±α, and within the
    data. Data after a ReLU follow neither density.
    """

    density: str = "gauss"
    rule: str = "exact"

    def __post_init__(self) -> None:
        super().__post_init__()
        valid.one_of(self.density, "density", DENSITIES)
        valid.one_of(self.rule, "rule", ("exact", "aciq"))

    def _chooser(self, conventions: Conventions) -> Chooser:
        bits = conventions.bits
        levels = 2**bits - (conventions.symmetric or conventions.narrow_range)
        step = (
            optimal_step(self.density, levels) if self.rule == "exact" else 2 * aciq_clip(self.density, bits) / 2**bits
        )
        reach = step * (levels - 1) / 2

        def choose(histogram: Histogram) -> tuple[float, float]:
            mean, spread = self._mean_and_spread(histogram)
            return max(mean - reach * spread, histogram.minimum), min(mean + reach * spread, histogram.maximum)

        return choose

    def _mean_and_spread(self, histogram: Histogram) -> tuple[float, float]:
        left, right, counts = histogram.occupied()
        distance = left / 2 + right / 2
        mean = float(np.average(distance, weights=counts))
        distance -= mean
        if self.density == "laplace":
            return mean, float(np.average(np.abs(distance), weights=counts))
        return mean, math.sqrt(np.average(distance**2, weights=counts))
