"""A histogram that widens is, count for count, the histogram of all the data."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from fewerbits.tensor.histogram import LARGEST_EXPONENT, SMALLEST_EXPONENT, Histogram
from hypothesis import given, settings
from hypothesis import strategies as st

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
BATCHES = st.lists(st.lists(FLOATS, min_size=1, max_size=9), min_size=1, max_size=5)


def fields_of(histogram: Histogram) -> tuple[object, ...]:
    h = histogram
    return h.exponent, h.first, h.counts.tolist(), h.minimum, h.maximum


@given(BATCHES, st.integers(16, 40), st.randoms())
@settings(deadline=None)
def test_merging_in_any_order_gives_the_histogram_of_all_the_data(batches, bins, random) -> None:
    merged = Histogram(bins)
    for batch in random.sample(batches, len(batches)):
        merged = merged.merge(Histogram.of(batch, bins))
    assert fields_of(merged) == fields_of(Histogram.of(np.concatenate(batches), bins))


@given(st.lists(FLOATS, min_size=1, max_size=30), st.integers(16, 40))
@settings(deadline=None)
def test_every_value_lies_in_the_bin_that_counts_it(values, bins) -> None:
    histogram = Histogram.of(values, bins)
    width = Fraction(2) ** histogram.exponent
    counts = [0] * histogram.counts.size
    for quotient in (Fraction(value) / width for value in values):
        number = math.floor(quotient) if quotient >= 0 else math.ceil(quotient) - 1
        counts[number - histogram.first] += 1
    assert counts == histogram.counts.tolist()


@given(st.lists(FLOATS, min_size=1, max_size=30), st.integers(16, 5000))
@settings(deadline=None)
def test_resolution_is_between_span_over_bins_and_twice_that(values, bins) -> None:
    histogram = Histogram.of(values, bins)
    span = max(*values, 0) / 4 - min(*values, 0) / 4  # a quarter, so that it cannot overflow
    if span > 1e-300:
        assert histogram.counts.size <= bins
        assert span / bins <= histogram.width / 4 <= 2 * span / (bins - 1)


@given(st.lists(FLOATS, min_size=1, max_size=30), st.integers(16, 40))
@settings(deadline=None)
def test_folding_gives_the_histogram_of_the_magnitudes(values, bins) -> None:
    folded = Histogram.of(values, bins).magnitudes()
    direct = Histogram.of(np.abs(values), bins).coarsen(folded.exponent)
    assert (folded.first, folded.counts.tolist()) == (direct.first, direct.counts.tolist())
    assert folded.maximum == direct.maximum
    assert folded.minimum <= direct.minimum


@given(st.lists(FLOATS, min_size=1, max_size=30), st.integers(0, 80))
@settings(deadline=None)
def test_coarsening_in_one_step_is_coarsening_in_two(values, steps) -> None:
    fine = Histogram.of(values, 64)
    wide = min(fine.exponent + steps, LARGEST_EXPONENT)
    halfway = fine.coarsen((fine.exponent + wide) // 2)
    assert fields_of(fine.coarsen(wide)) == fields_of(halfway.coarsen(wide))
    assert fine.coarsen(wide).total == len(values)


def test_a_negative_value_too_small_to_divide_stays_on_its_side_of_zero() -> None:
    tiny = np.array([-1e-45, 1e-45, 3e38], np.float32)
    histogram = Histogram.of(tiny, 16)
    assert histogram.first == -1
    assert histogram.counts[:2].tolist() == [1, 1]


def test_zeros_alone_do_not_fix_the_width() -> None:
    zeros = Histogram.of(np.zeros(5), 16)
    assert (zeros.exponent, zeros.first, zeros.counts.tolist()) == (SMALLEST_EXPONENT, 0, [5])
    assert fields_of(zeros.merge(Histogram.of([-1e-310], 16))) == fields_of(Histogram.of([0] * 5 + [-1e-310], 16))


@pytest.mark.parametrize("extreme", [3.4028235e38, 1e-45])
def test_float32_and_float64_give_the_same_histogram(extreme) -> None:
    x = np.array([-1, -0.5, -0.0, 0.25, 1], np.float32) * np.float32(extreme)
    assert fields_of(Histogram.of(x, 16)) == fields_of(Histogram.of(x.astype(np.float64), 16))


def test_a_large_array_is_counted_in_chunks_whatever_its_layout() -> None:
    x = np.random.default_rng(3).standard_normal((300, 700)).astype(np.float32)
    whole = Histogram.of(x)
    assert whole.total == x.size
    assert fields_of(Histogram.of(x.T)) == fields_of(whole)
    assert fields_of(Histogram.of(x[:, ::2]).merge(Histogram.of(x[:, 1::2]))) == fields_of(whole)


def test_edges_are_drawn_in_to_the_data() -> None:
    histogram = Histogram.of([-0.3, 0.9], 16)
    assert (histogram.edges[0], histogram.edges[-1]) == (-0.3, 0.9)
    left, right, counts = histogram.occupied()
    assert (left <= right).all()
    assert counts.tolist() == [1, 1]


def test_an_order_statistic_lies_between_the_edges_given_for_it() -> None:
    x = np.random.default_rng(5).standard_t(3, 1000)
    histogram = Histogram.of(x, 100)
    for rank, value in enumerate(np.sort(x), start=1):
        low, high = histogram.order_statistic(rank)
        assert low <= value <= high
        assert high - low <= histogram.width
