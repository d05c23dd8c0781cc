"""How sure an accuracy is: intervals for one model and for the difference of two, and a paired test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from fewerbits.tensor import validation as valid


@dataclass(frozen=True)
class Accuracy:
    """A share of right answers with its 95 % interval (Wilson 1927)."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2%} ({self.low:.2%}–{self.high:.2%})"


@dataclass(frozen=True)
class Comparison:
    """Two models on the same images: how many only the first, only the second got right, and the p-value."""

    only_first: int
    only_second: int
    p_value: float

    def __str__(self) -> str:
        return f"only the first right {self.only_first}, only the second {self.only_second}, p = {self.p_value:.2f}"


@dataclass(frozen=True)
class Difference:
    """How much more often the first of two models is right, with its 95 % interval; shares, not percent."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.value:+.2f} points ({100 * self.low:+.2f} to {100 * self.high:+.2f})"


def accuracy(predicted: ArrayLike, labels: ArrayLike) -> Accuracy:
    """The accuracy of `predicted` classes (N,) against `labels` (N,). Raises ValueError for different shapes."""
    right = _right(predicted, labels)
    test = binomtest(int(right.sum()), len(right))
    interval = test.proportion_ci(method="wilson")
    return Accuracy(float(test.statistic), float(interval.low), float(interval.high))


def mcnemar(first: ArrayLike, second: ArrayLike, labels: ArrayLike) -> Comparison:
    """Exact test whether two models differ (McNemar 1947): only images on which one of them alone is right count.

    If both are equally good, each such image is a fair coin. All are (N,); raises ValueError for different shapes.
    """
    right_first, right_second = _right(first, labels), _right(second, labels)
    only_first = int((right_first & ~right_second).sum())
    only_second = int((right_second & ~right_first).sum())
    discordant = only_first + only_second
    p_value = float(binomtest(only_first, discordant).pvalue) if discordant else 1.0
    return Comparison(only_first, only_second, p_value)


def bootstrap_difference(
    first: ArrayLike, second: ArrayLike, labels: ArrayLike, *, resamples: int = 10_000, seed: int = 0
) -> Difference:
    """Accuracy of `first` minus that of `second` on the same images, with the percentile bootstrap's 95 % interval.

    N images are drawn from the N with replacement, again and again, and the difference is computed anew (Efron 1979).
    An image counts +1, 0 or −1, so a draw is only how many of each kind it has: one multinomial number each, not N.
    All are (N,); raises ValueError for different shapes.
    """
    per_image = _right(first, labels).astype(int) - _right(second, labels)
    shares = np.array([np.mean(per_image == kind) for kind in (1, 0, -1)])
    draws = np.random.default_rng(valid.integer(seed, "seed", 0)).multinomial(
        len(per_image), shares, valid.integer(resamples, "resamples", 1)
    )
    low, high = np.quantile((draws[:, 0] - draws[:, 2]) / len(per_image), (0.025, 0.975))
    return Difference(float(per_image.mean()), float(low), float(high))


def _right(predicted: ArrayLike, labels: ArrayLike) -> np.ndarray:
    predicted, labels = valid.real_array(predicted, "predicted"), valid.real_array(labels, "labels")
    if predicted.ndim != 1 or predicted.shape != labels.shape:
        raise ValueError(f"predicted has shape {predicted.shape} and labels {labels.shape}: both must be (N,)")
    return predicted == labels
