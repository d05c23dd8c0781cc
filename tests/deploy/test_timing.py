"""A paired ratio is right when the truth is known, and a passing load does not move it."""

from __future__ import annotations

import time

import pytest
from fewerbits.deploy import timing


class Clock:
    """A clock that only moves when a candidate says that it worked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def candidate(self, seconds: float):
        def work() -> None:
            self.now += seconds

        return work


def test_ratio_is_how_many_times_faster_the_second_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    ratio = timing.paired_ratio(clock.candidate(0.03), clock.candidate(0.01))
    assert ratio.median == pytest.approx(3)
    assert ratio.lower_quartile == pytest.approx(3)
    assert (ratio.first_seconds, ratio.second_seconds) == pytest.approx((0.03, 0.01))
    assert str(ratio) == "3.00× (3.00–3.00)"


def test_a_machine_that_slows_down_does_not_change_the_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    load = iter(1 + 0.02 * index for index in range(10_000))

    def work(seconds: float):
        def run() -> None:
            clock.now += seconds * next(load)

        return run

    ratio = timing.paired_ratio(work(0.02), work(0.01))
    assert ratio.median == pytest.approx(2, rel=0.02)
    assert ratio.first_seconds > 0.02


def test_the_interval_of_the_median_is_given_by_order_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    true_ratios = iter([1.0] * timing.WARM_UP_CALLS + [float(index) for index in range(1, 22)])

    def baseline() -> None:
        clock.now += next(true_ratios)

    ratio = timing.paired_ratio(baseline, clock.candidate(1.0), sample_seconds=1e-9)
    assert (ratio.lower_quartile, ratio.median, ratio.upper_quartile) == pytest.approx((6, 11, 16))
    # P(fewer than 6 of 21 fair coins show heads) = 1.3 %, fewer than 7: 3.9 %.
    assert (ratio.low, ratio.high) == pytest.approx((6, 16))


def test_few_pairs_give_the_whole_range(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    true_ratios = iter([1.0] * timing.WARM_UP_CALLS + [3.0, 1.0, 2.0, 9.0, 4.0])

    def baseline() -> None:
        clock.now += next(true_ratios)

    ratio = timing.paired_ratio(baseline, clock.candidate(1.0), pairs=5, sample_seconds=1e-9)
    assert (ratio.low, ratio.high) == (1, 9)


def test_the_order_alternates_within_pairs() -> None:
    order = []
    timing.paired_ratio(lambda: order.append("a"), lambda: order.append("b"), pairs=2, sample_seconds=1e-12)
    assert "".join(order[-4:]) == "abba"


def test_a_sample_lasts_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    calls = []

    def quick() -> None:
        calls.append(1)
        clock.now += 0.001

    timing.paired_ratio(quick, clock.candidate(1), pairs=1)
    # Three to warm up and five of a millisecond each for a sample of five milliseconds.
    assert len(calls) == 8
