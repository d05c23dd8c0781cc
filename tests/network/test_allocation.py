"""Exact allocation is what trying all gives; greedy never beats it; the Pareto front holds what no other beats."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from fewerbits.network.allocation import brute_force, by_integer_program, exact, greedy, pareto_front, total
from hypothesis import given, settings
from hypothesis import strategies as st

# Worked by hand. From 2 bits each (4 + 2 bytes, cost 20) with 4 bytes to spend: `a` saves 6 for 4 bytes (1.5 a byte),
# `b` 4 for 2 bytes (2 a byte) or 9 for 4 bytes (2.25 a byte).
COSTS = {"a": {2: 10.0, 4: 4.0}, "b": {2: 10.0, 4: 6.0, 6: 1.0}}
SIZES = {"a": {2: 4, 4: 8}, "b": {2: 2, 4: 4, 6: 6}}
# Greedy takes `b` first, 5 per byte, and `a` no longer fits: 100 is left where 8 is possible.
TRAP_COSTS = {"a": {2: 100.0, 4: 0.0}, "b": {2: 8.0, 4: 0.0}}
TRAP_SIZES = {"a": {2: 0, 4: 100}, "b": {2: 0, 4: 1}}

COST = st.floats(0, 1e6, allow_subnormal=False)


@st.composite
def problems(draw):
    """Costs, sizes and a budget between the smallest and beyond the largest; ties, zeros and rising costs included."""
    layers = draw(st.integers(1, 4))
    choices = [draw(st.lists(st.integers(2, 16), min_size=1, max_size=4, unique=True)) for _ in range(layers)]
    cost = {f"layer{i}": {b: draw(COST) for b in own} for i, own in enumerate(choices)}
    size = {f"layer{i}": {b: draw(st.integers(0, 60)) for b in own} for i, own in enumerate(choices)}
    smallest = sum(min(row.values()) for row in size.values())
    return cost, size, draw(st.integers(max(1, smallest), smallest + 150))


def every_allocation(costs):
    """All choices, written here once more so that the package's brute force is not its own judge."""
    return [dict(zip(costs, bits)) for bits in itertools.product(*(list(row) for row in costs.values()))]


def test_a_case_worked_by_hand() -> None:
    assert exact(COSTS, SIZES, 10) == greedy(COSTS, SIZES, 10) == brute_force(COSTS, SIZES, 10) == {"a": 2, "b": 6}
    assert by_integer_program(COSTS, SIZES, 10) == {"a": 2, "b": 6}


def test_greedy_can_miss_the_optimum() -> None:
    assert greedy(TRAP_COSTS, TRAP_SIZES, 100) == {"a": 2, "b": 4}
    assert exact(TRAP_COSTS, TRAP_SIZES, 100) == {"a": 4, "b": 2}


def test_the_whole_budget_may_be_used() -> None:
    assert exact(COSTS, SIZES, 14) == {"a": 4, "b": 6}
    assert exact(COSTS, SIZES, 6) == {"a": 2, "b": 2}


def test_the_integer_program_sees_small_differences_and_none() -> None:
    # HiGHS itself stops within 1e-6 of the optimum.
    sizes = {"a": {2: 1, 4: 2}, "b": {2: 1, 4: 2}}
    costs = {"a": {2: 1.0, 4: 2e-9}, "b": {2: 2.1e-9, 4: 1e-9}}
    assert by_integer_program(costs, sizes, 4) == {"a": 4, "b": 4}
    assert by_integer_program({"a": {2: 1.0, 4: 1.0}}, {"a": {2: 1, 4: 2}}, 1) == {"a": 2}


def test_of_equal_costs_the_smaller_size_wins() -> None:
    assert exact({"a": {2: 1.0, 4: 1.0}}, {"a": {2: 5, 4: 9}}, 100) == {"a": 2}


def test_a_layer_that_loses_nothing_at_fewer_bits_gets_fewer() -> None:
    # conv1 of vgg32 loses more at 3 bits than at 2: costs need not fall with the bits.
    assert exact({"a": {2: 0.06, 3: 0.09}}, {"a": {2: 2, 3: 3}}, 10) == {"a": 2}
    assert greedy({"a": {2: 0.06, 3: 0.09}}, {"a": {2: 2, 3: 3}}, 10) == {"a": 2}


@settings(deadline=None, max_examples=150)
@given(problems())
def test_exact_is_the_best_of_all_and_fits(problem) -> None:
    costs, sizes, budget = problem
    bits = exact(costs, sizes, budget)
    fitting = [each for each in every_allocation(costs) if total(sizes, each) <= budget]
    assert total(sizes, bits) <= budget
    assert total(costs, bits) == min(total(costs, each) for each in fitting)
    assert total(costs, brute_force(costs, sizes, budget)) == total(costs, bits)
    ties = [total(sizes, each) for each in fitting if total(costs, each) == total(costs, bits)]
    assert total(sizes, bits) == total(sizes, brute_force(costs, sizes, budget)) == min(ties)


@settings(deadline=None, max_examples=60)
@given(problems())
def test_greedy_fits_and_is_never_better_than_exact(problem) -> None:
    costs, sizes, budget = problem
    bits = greedy(costs, sizes, budget)
    assert total(sizes, bits) <= budget
    assert total(costs, bits) >= total(costs, exact(costs, sizes, budget))


@settings(deadline=None, max_examples=40)
@given(problems())
def test_a_larger_budget_never_costs_more(problem) -> None:
    costs, sizes, budget = problem
    assert total(costs, exact(costs, sizes, budget + 7)) <= total(costs, exact(costs, sizes, budget))


@pytest.mark.slow
def test_fifty_layers_take_no_time_and_agree_with_the_integer_program() -> None:
    rng = np.random.default_rng(0)
    sizes = {f"layer{i}": {b: int(n) * b for b in (2, 3, 4, 5, 6, 8)} for i, n in enumerate(rng.integers(10, 99, 50))}
    costs = {name: {b: float(rng.uniform(1, 9)) * 4.0**-b for b in row} for name, row in sizes.items()}
    budget = sum(row[4] for row in sizes.values())
    bits = exact(costs, sizes, budget)
    assert total(sizes, bits) <= budget
    assert total(costs, bits) == pytest.approx(total(costs, by_integer_program(costs, sizes, budget)), rel=1e-6)


def test_a_front_worked_by_hand() -> None:
    # (10, 80) and (20, 90) stay; (20, 85) and (30, 90) are beaten; (40, 95) stays; (10, 80) again is no news.
    assert pareto_front([20, 10, 20, 30, 40, 10], [85, 80, 90, 90, 95, 80]).tolist() == [1, 2, 4]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30))
def test_the_front_is_what_no_other_beats(points) -> None:
    def beats(one, other):
        return one != other and one[0] <= other[0] and one[1] >= other[1]

    front = [points[i] for i in pareto_front(*zip(*points))]
    assert front == sorted({p for p in points if not any(beats(other, p) for other in points)})
