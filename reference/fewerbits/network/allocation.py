"""Bits for each layer under a budget of bytes: greedy, exact, by a library's integer program, by trying all.

All take two tables, `costs[name][bits]` (what is lost, additive over layers) and `sizes[name][bits]` (bytes, whole
numbers), and return bits by name whose bytes stay within `budget` and whose cost, but for `greedy`, is the smallest.
This is the multiple-choice knapsack problem (Sinha and Zoltners 1979). ValueError when even the smallest sizes
exceed the budget, and for tables that do not match.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import Bounds, LinearConstraint, milp

from fewerbits.tensor import validation as valid

Costs = Mapping[str, Mapping[int, float]]
Sizes = Mapping[str, Mapping[int, int]]
Allocation = dict[str, int]


class _State(NamedTuple):
    """What some choice for the first layers takes and costs, and the choice itself."""

    size: int
    cost: float
    bits: tuple[int, ...]


def total(table: Costs, bits: Mapping[str, int]) -> float:
    """The sum of `table[name][bits[name]]` over all layers, in the order of the table."""
    return sum(row[bits[name]] for name, row in table.items())


def greedy(costs: Costs, sizes: Sizes, budget: int) -> Allocation:
    """From the smallest sizes on, take again and again the step that saves the most cost per byte and still fits.

    A step leads a layer to any larger size. Fast, often optimal, not always: an early step may take the room that a
    better pair of steps would need.
    """
    _check(costs, sizes, budget)
    bits = {name: min(row, key=lambda b: (row[b], costs[name][b])) for name, row in sizes.items()}
    left = budget - total(sizes, bits)
    while True:
        steps = [
            ((costs[name][bits[name]] - costs[name][b]) / extra, name, b)
            for name, row in sizes.items()
            for b in row
            if 0 < (extra := row[b] - row[bits[name]]) <= left and costs[name][b] < costs[name][bits[name]]
        ]
        if not steps:
            return bits
        _, name, b = max(steps, key=lambda step: step[0])
        left -= sizes[name][b] - sizes[name][bits[name]]
        bits[name] = b


def exact(costs: Costs, sizes: Sizes, budget: int) -> Allocation:
    """The cheapest allocation, by dynamic programming over the layers.

    After each layer only states that no other beats in both bytes and cost are kept: any completion of a beaten one
    is beaten too (Nemhauser and Ullmann 1969). Exact for real costs; of equal costs the smaller size wins.
    """
    _check(costs, sizes, budget)
    states = [_State(0, 0.0, ())]
    # What the layers still to come take at least: a state without that much room leads nowhere.
    needed = sum(min(row.values()) for row in sizes.values())
    for name, row in costs.items():
        needed -= min(sizes[name].values())
        longer = [
            _State(state.size + sizes[name][b], state.cost + cost, (*state.bits, b))
            for state in states
            for b, cost in row.items()
            if state.size + sizes[name][b] + needed <= budget
        ]
        states = _undominated(longer)
    return dict(zip(costs, states[-1].bits))


def by_integer_program(costs: Costs, sizes: Sizes, budget: int) -> Allocation:
    """The cheapest allocation by scipy's `milp` (HiGHS), within its tolerance: one 0/1 variable per layer and bits."""
    _check(costs, sizes, budget)
    options = [(name, b) for name, row in costs.items() for b in row]
    # Above the smallest cost of each layer: what is the same in every allocation would only hide differences.
    lowest = {name: min(row.values()) for name, row in costs.items()}
    cost = np.array([costs[name][b] - lowest[name] for name, b in options], np.float64)
    size = np.array([[sizes[name][b] for name, b in options]], np.float64)
    one_per_layer = np.array([[float(name == layer) for name, _ in options] for layer in costs])
    chosen, scale = np.zeros(len(options), bool), float(cost.max()) or 1.0
    for _ in range(2):
        if scale == 0:
            break
        # HiGHS stops within an absolute 1e-6 of the optimum: the second run sees a cost of about 1000.
        solution = milp(
            cost / scale,
            integrality=np.ones(len(options)),
            bounds=Bounds(0, 1),
            constraints=[LinearConstraint(size, -np.inf, budget + 0.5), LinearConstraint(one_per_layer, 1, 1)],
            options={"mip_rel_gap": 0.0},
        )
        if solution.x is None:
            raise RuntimeError(f"milp found no allocation: {solution.message}")
        chosen = solution.x > 0.5
        scale = float(cost[chosen].sum()) / 1000
    return {name: b for (name, b), taken in zip(options, chosen) if taken}


def brute_force(costs: Costs, sizes: Sizes, budget: int, most: int = 2_000_000) -> Allocation:
    """The cheapest allocation by trying all of them; ValueError when there are more than `most`."""
    _check(costs, sizes, budget)
    count = math.prod(len(row) for row in costs.values())
    if count > valid.integer(most, "most", 1):
        raise ValueError(f"costs allow {count:,} allocations: accepted are at most most={most:,}; use exact()")
    tried = (dict(zip(costs, bits)) for bits in itertools.product(*costs.values()))
    fitting = (bits for bits in tried if total(sizes, bits) <= budget)
    return min(fitting, key=lambda bits: (total(costs, bits), total(sizes, bits)))


def pareto_front(sizes: ArrayLike, accuracies: ArrayLike) -> NDArray[np.intp]:
    """Indices, by growing size, of the candidates that no other beats: none is as small and more accurate.

    Of candidates equal in both, the first is kept. Both are (N,); raises ValueError for different shapes.
    """
    size, accuracy = valid.real_array(sizes, "sizes"), valid.real_array(accuracies, "accuracies")
    if size.ndim != 1 or size.shape != accuracy.shape:
        raise ValueError(f"sizes has shape {size.shape} and accuracies {accuracy.shape}: both must be (N,)")
    order = np.lexsort((-accuracy, size))
    best_before = np.r_[-np.inf, np.maximum.accumulate(accuracy[order])[:-1]]
    return order[accuracy[order] > best_before]


def _undominated(states: list[_State]) -> list[_State]:
    """By growing size and falling cost, the states that no other beats or equals in both."""
    kept: list[_State] = []
    for state in sorted(states, key=lambda each: (each.size, each.cost)):
        if not kept or state.cost < kept[-1].cost:
            kept.append(state)
    return kept


def _check(costs: Costs, sizes: Sizes, budget: Any) -> None:
    if not costs or any(not row for row in costs.values()):
        raise ValueError("costs is empty or has a layer without choices: at least one of each is needed")
    if {name: set(row) for name, row in costs.items()} != {name: set(row) for name, row in sizes.items()}:
        raise ValueError("costs and sizes differ in names or bits: every layer needs the same choices in both")
    for name, row in costs.items():
        for b, cost in row.items():
            valid.real(cost, f"costs[{name!r}][{b}]")
            valid.integer(sizes[name][b], f"sizes[{name!r}][{b}]", 0)
    smallest = sum(min(row.values()) for row in sizes.values())
    if valid.integer(budget, "budget", 1) < smallest:
        raise ValueError(f"budget={budget} is too small: the smallest choices take {smallest} bytes")
