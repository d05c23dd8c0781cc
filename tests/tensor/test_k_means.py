"""Exact k-means on a line against every possible clustering, and Lloyd's iteration against its textbook loop."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from fewerbits.tensor.k_means import k_means, lloyd
from hypothesis import given, settings
from hypothesis import strategies as st


def cost_of(x: np.ndarray, boundaries: tuple[int, ...]) -> float:
    edges = (0, *boundaries, x.size)
    return sum(float(((part - part.mean()) ** 2).sum()) for part in (x[a:b] for a, b in pairwise(edges)))


def cheapest(x: np.ndarray, count: int) -> float:
    """The smallest cost over all ways to cut the sorted values into `count` runs."""
    x = np.sort(x)
    return min(cost_of(x, cuts) for cuts in combinations(range(1, x.size), count - 1))


def textbook_lloyd(x: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Assign to the nearest, average, repeat: as written in every textbook. Ties go to the lower level."""
    while True:
        nearest = np.abs(x[:, None] - levels).argmin(axis=1)
        means = np.array([x[nearest == i].mean() if (nearest == i).any() else levels[i] for i in range(levels.size)])
        if np.array_equal(means, levels):
            return levels
        levels = means


def test_clusters_of_a_worked_example() -> None:
    result = k_means([10.0, 1.0, 2.0, 12.0, 11.0, 30.0], 3)
    assert result.levels.tolist() == [1.5, 11, 30]
    assert result.cost == pytest.approx(0.5 + 2)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=11), st.integers(1, 5))
def test_no_clustering_is_cheaper(values: list[int], count: int) -> None:
    x = np.array(values, np.float64)
    if np.unique(x).size > count:
        assert k_means(x, count).cost == pytest.approx(cheapest(x, count), rel=1e-12)
    else:
        assert k_means(x, count).cost == 0


@pytest.mark.parametrize("size", [40, 200, 700])
def test_more_values_than_the_small_ranges_hold(size: int) -> None:
    # Two ways of evaluating ranges meet here; three clusters can still be tried out.
    rng = np.random.default_rng(size)
    x = np.sort(rng.standard_t(2, size))
    total, squares = np.concatenate(([0], np.cumsum(x))), np.concatenate(([0], np.cumsum(x**2)))
    first, second = np.triu_indices(size - 1, 1)
    a, b = first + 1, second + 1  # 1 ≤ a < b ≤ size − 1
    spans = ((0, a), (a, b), (b, size))
    costs = sum(squares[q] - squares[p] - (total[q] - total[p]) ** 2 / (q - p) for p, q in spans)
    assert k_means(x, 3).cost == pytest.approx(float(np.min(costs)), rel=1e-9)


def test_duplicates_count_as_often_as_they_occur() -> None:
    x = np.repeat([0.0, 1.0, 3.0], [100, 1, 1])
    # 0 and 1 together cost 100/101, 1 and 3 together cost 2.
    assert k_means(x, 2).levels == pytest.approx([1 / 101, 3])
    assert k_means(x, 2).cost == pytest.approx(100 / 101)


def test_few_distinct_values_are_the_levels() -> None:
    assert k_means([2.0, 2.0, 5.0], 4).levels.tolist() == [2, 5]
    assert k_means([7.0], 1).cost == 0
    assert lloyd([7.0, 7.0], [1.0, 9.0]).levels.tolist() == [7]


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1.0, 1e30, 1e300])
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_scale_and_shift_do_not_matter(scale: float, shift: float) -> None:
    x = np.random.default_rng(0).integers(-1000, 1000, 300) / 64
    levels = k_means(x, 6).levels
    np.testing.assert_allclose(k_means((x + shift) * scale, 6).levels, (levels + shift) * scale, rtol=1e-12)
    np.testing.assert_allclose(
        lloyd((x + shift) * scale, (x[:6] + shift) * scale).levels, (lloyd(x, x[:6]).levels + shift) * scale, rtol=1e-12
    )


def test_order_and_shape_do_not_matter() -> None:
    x = np.random.default_rng(0).standard_normal(60)
    assert k_means(x[::-1].reshape(3, 20), 4)[0].tolist() == k_means(x, 4).levels.tolist()


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_lloyd_is_the_textbook_loop(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(300)
    start = np.sort(rng.choice(x, count, replace=False))
    np.testing.assert_allclose(lloyd(x, start).levels, textbook_lloyd(x, start), rtol=1e-12, atol=1e-14)


def test_lloyd_can_stop_at_a_worse_clustering_than_the_optimum() -> None:
    x = np.array([0.0, 1.0, 10.0, 11.0, 20.0, 21.0])
    stuck = lloyd(x, [0.0, 1.0, 15.0])
    assert stuck.levels.tolist() == [0, 1, 15.5]
    assert k_means(x, 3).levels.tolist() == [0.5, 10.5, 20.5]
    assert k_means(x, 3).cost < stuck.cost


def test_lloyd_drops_levels_without_values() -> None:
    assert lloyd([1.0, 2.0], [1.0, 2.0, 50.0]).levels.tolist() == [1, 2]


def test_lloyd_stops_after_the_iterations_it_is_given() -> None:
    x = np.random.default_rng(0).standard_normal(10_000)
    start = np.quantile(x, (np.arange(16) + 0.5) / 16)
    costs = [lloyd(x, start, iterations).cost for iterations in (1, 3, 30, 1000)]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < costs[0]


@pytest.mark.parametrize("outliers", [[-1e7], [1e7], [-1e6, 1e6], [-5e6, -4e6, -3e6]])
def test_far_outliers_take_a_cluster_each_and_cost_the_others_no_digits(outliers: list[float]) -> None:
    bulk = 1e3 + np.random.default_rng(0).standard_normal(600)
    alone = k_means(bulk, 12)
    together = k_means(np.concatenate((outliers, bulk)), 12 + len(outliers))
    assert together.cost == pytest.approx(alone.cost, rel=1e-9)
    np.testing.assert_allclose(together.levels, np.sort(np.concatenate((outliers, alone.levels))), rtol=1e-12)


def test_a_large_shift_costs_no_digits() -> None:
    x = np.round(np.random.default_rng(0).standard_normal(600) * 2**20) / 2**20
    assert k_means(x + 2.0**30, 12).cost == pytest.approx(k_means(x, 12).cost, rel=1e-9)
