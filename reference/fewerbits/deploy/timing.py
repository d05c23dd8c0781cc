"""Honest timing on a shared machine: pairs, interleaved, reported as a median ratio with its quartiles.

Times of two candidates measured one after the other drift apart with the machine's load; the ratio within a
pair taken within milliseconds does not. Half of the pairs run A first, half B first. Never compare minima.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from fewerbits.tensor import validation as valid

SAMPLE_SECONDS = 0.005
WARM_UP_CALLS = 3


@dataclass(frozen=True)
class Ratio:
    """How many times faster the second candidate is than the first, over pairs; the median seconds of each.

    The quartiles say how much the pairs spread, `low` to `high` how uncertain the median is: it covers the true
    median with a probability of 95 % or more, whatever the distribution (two order statistics; with fewer than six
    pairs, all that was seen).
    """

    lower_quartile: float
    median: float
    upper_quartile: float
    low: float
    high: float
    first_seconds: float
    second_seconds: float

    def __str__(self) -> str:
        return f"{self.median:.2f}× ({self.lower_quartile:.2f}–{self.upper_quartile:.2f})"


def paired_ratio(
    first: Callable[[], object], second: Callable[[], object], pairs: int = 21, sample_seconds: float = SAMPLE_SECONDS
) -> Ratio:
    """time(first)/time(second) over `pairs` pairs: above 1 means that `second` is faster.

    Each is called at least three times to warm up, then often enough per sample to last `sample_seconds`.
    """
    valid.integer(pairs, "pairs", 1)
    valid.real(sample_seconds, "sample_seconds", above=0)
    calls = [_calls_per_sample(candidate, sample_seconds) for candidate in (first, second)]
    samples = np.array(list(_pairs(first, second, calls, pairs)))
    ratios = np.sort(samples[:, 0] / samples[:, 1])
    # Fewer than `outside` + 1 of the pairs lie below the true median with a probability of at most 2.5 %.
    outside = max(int(binom.ppf(0.025, pairs, 0.5)) - 1, 0)
    lower, median, upper = np.percentile(ratios, [25, 50, 75])
    seconds_first, seconds_second = np.median(samples, axis=0)
    return Ratio(lower, median, upper, ratios[outside], ratios[-1 - outside], seconds_first, seconds_second)


def _calls_per_sample(candidate: Callable[[], object], sample_seconds: float) -> int:
    for _ in range(WARM_UP_CALLS):
        started = time.perf_counter()
        candidate()
        seconds = time.perf_counter() - started
    return max(1, int(np.ceil(sample_seconds / max(seconds, 1e-9))))


def _pairs(
    first: Callable[[], object], second: Callable[[], object], calls: list[int], pairs: int
) -> Iterator[tuple[float, float]]:
    for index in range(pairs):
        if index % 2:
            seconds_second = _seconds_per_call(second, calls[1])
            yield _seconds_per_call(first, calls[0]), seconds_second
        else:
            yield _seconds_per_call(first, calls[0]), _seconds_per_call(second, calls[1])


def _seconds_per_call(candidate: Callable[[], object], calls: int) -> float:
    started = time.perf_counter()
    for _ in range(calls):
        candidate()
    return (time.perf_counter() - started) / calls
