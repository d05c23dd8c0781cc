"""Bits for layers and candidates for a choice. Right answers by trying all, and by scipy's integer program."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.check.task import Output, Probe, Task

Array = NDArray[Any]
BITS = np.array([2, 3, 4, 5, 6, 8])
MOST_TO_TRY = 20_000


def right_greedy_bits(losses: Array, sizes: Array, budget: int) -> list[int]:
    """The rule of the exercise, step by step over plain lists."""
    loss, size = losses.tolist(), sizes.tolist()
    columns = [0] * len(loss)
    left = budget - sum(row[0] for row in size)
    while True:
        best, best_row = -1.0, None
        for row, column in enumerate(columns):
            if column + 1 == len(loss[row]) or size[row][column + 1] - size[row][column] > left:
                continue
            gain = (loss[row][column] - loss[row][column + 1]) / (size[row][column + 1] - size[row][column])
            if gain > best:
                best, best_row = gain, row
        if best_row is None:
            return columns
        left -= size[best_row][columns[best_row] + 1] - size[best_row][columns[best_row]]
        columns[best_row] += 1


def _tables(rng: np.random.Generator, layers: int, choices: int, convex: bool = True) -> tuple[Array, Array]:
    """Losses that fall with the bits, by a quarter each or by random parts; and bytes."""
    bits = BITS[:choices]
    sizes = np.outer(rng.integers(5, 400, layers), bits) + rng.integers(1, 20, (layers, 1))
    falls = 4.0**-bits if convex else np.sort(rng.uniform(size=(layers, choices)), axis=1)[:, ::-1]
    return rng.uniform(0.2, 30, (layers, 1)) * falls, sizes


def _budget(sizes: Array, share: float) -> int:
    smallest, largest = sizes[:, 0].sum(), sizes[:, -1].sum()
    return int(smallest + share * (largest - smallest))


def _greedy_bits_probes() -> list[Probe]:
    rng = np.random.default_rng(73)
    probes: list[Probe] = [
        (np.array([[9.0, 1.0], [5.0, 4.0]]), np.array([[10, 20], [2, 4]]), 24),
        (np.array([[9.0, 2.0, 1.0], [5.0, 1.0, 0.5]]), np.array([[10, 30, 50], [2, 4, 6]]), 36),
    ]
    for layers, choices, share in ((3, 3, 0.5), (4, 4, 0.3), (6, 6, 0.6), (7, 6, 0.25)):
        losses, sizes = _tables(rng, layers, choices, convex=layers % 2 == 0)
        probes.append((losses, sizes, _budget(sizes, share)))
    return probes


greedy_bits = Task(
    call="greedy_bits(losses, sizes, budget)",
    returns=(Output("columns", integer=True),),
    oracle=right_greedy_bits,
    probes=_greedy_bits_probes,
    divisible=False,
)


def right_best_bits(losses: Array, sizes: Array, budget: int) -> Array:
    """All allocations while they are few; beyond that scipy's `milp`. The probes have one best allocation each."""
    layers, choices = losses.shape
    if choices**layers <= MOST_TO_TRY:
        rows = range(layers)
        fitting = [c for c in itertools.product(range(choices), repeat=layers) if sizes[rows, c].sum() <= budget]
        return np.array(min(fitting, key=lambda c: losses[rows, c].sum()))
    from scipy.optimize import Bounds, LinearConstraint, milp

    one_each = np.kron(np.eye(layers), np.ones(choices))
    constraints = [LinearConstraint(sizes.reshape(1, -1), 0, budget), LinearConstraint(one_each, 1, 1)]
    options = {"mip_rel_gap": 0.0}
    found = milp(
        losses.ravel(), integrality=np.ones(losses.size), bounds=Bounds(0, 1), constraints=constraints, options=options
    )
    return np.argmax(found.x.reshape(losses.shape), axis=1)


def _best_bits_probes() -> list[Probe]:
    rng = np.random.default_rng(74)
    probes: list[Probe] = [
        (np.array([[100.0, 0.0], [8.0, 0.0]]), np.array([[1, 101], [1, 2]]), 102),
        (np.array([[9.0, 8.0, 1.0], [5.0, 4.0, 0.5]]), np.array([[1, 3, 5], [1, 3, 5]]), 6),
    ]
    for layers, choices, share in ((3, 3, 0.5), (4, 4, 0.35), (5, 4, 0.6), (12, 6, 0.4)):
        losses, sizes = _tables(rng, layers, choices, convex=False)
        probes.append((losses, sizes, _budget(sizes, share)))
    return probes


best_bits = Task(
    call="best_bits(losses, sizes, budget)",
    returns=(Output("columns", integer=True),),
    oracle=right_best_bits,
    probes=_best_bits_probes,
    divisible=False,
    seconds=5,
    too_slow="Allocations are too many to try them all, and so are lists in which nothing is left out.",
)


def right_on_front(sizes: Array, accuracies: Array) -> list[int]:
    """The candidates that no other beats, by comparing all with all."""
    points = list(zip(sizes.tolist(), accuracies.tolist()))
    return [
        index
        for index, (size, share) in enumerate(points)
        if not any(a <= size and b >= share and (a < size or b > share) for a, b in points)
    ]


def _on_front_probes() -> list[Probe]:
    rng = np.random.default_rng(75)
    return [
        (np.array([10, 20, 30]), np.array([0.8, 0.7, 0.9])),
        (np.array([10, 10, 20, 30]), np.array([0.8, 0.7, 0.8, 0.9])),
        (np.array([30, 20, 10]), np.array([0.9, 0.8, 0.85])),
        (np.array([5, 9, 7, 8, 6]), np.array([0.9, 0.8, 0.5, 0.6, 0.4])),
        (np.array([10, 20, 10]), np.array([0.8, 0.9, 0.8])),
        (rng.integers(1, 30, 40), np.round(rng.uniform(0.5, 1, 40), 2)),
    ]


on_front = Task(
    call="on_front(sizes, accuracies)",
    returns=(Output("indices", integer=True),),
    oracle=right_on_front,
    probes=_on_front_probes,
    divisible=False,
)


def right_smallest_within(sizes: Array, right: Array, float_right: Array, allowed: float) -> int:
    """Candidate by candidate, with sums over images in Python."""
    best, count = -1, len(float_right)
    for index, answers in enumerate(right.tolist()):
        losses = [int(exact) - int(own) for exact, own in zip(float_right.tolist(), answers)]
        mean = sum(losses) / count
        variance = sum((loss - mean) ** 2 for loss in losses) / count
        passes = mean + 1.96 * (variance / count) ** 0.5 <= allowed
        if passes and (best < 0 or sizes[index] < sizes[best]):
            best = index
    return best


def _smallest_within_probes() -> list[Probe]:
    rng = np.random.default_rng(76)
    count = 1000
    exact = rng.uniform(size=count) < 0.94

    def candidate(lost: int, won: int) -> Array:
        """Right where the float network is, but for `lost` images, and on `won` others."""
        answers = exact.copy()
        answers[rng.choice(np.flatnonzero(exact), lost, replace=False)] = False
        answers[rng.choice(np.flatnonzero(~exact), won, replace=False)] = True
        return answers

    # Losses in points 4, 0.8, 0.2 and −0.1, with upper ends of about 5.3, 1.6, 0.5 and 0.3.
    several = np.array([candidate(45, 5), candidate(12, 4), candidate(2, 0), candidate(2, 3)])
    sizes = np.array([60, 100, 140, 290])
    mixed_up = np.array([2, 0, 3, 1])
    # Two networks and ten images, small enough to be shown: the first one loses three of them, the second none.
    few, few_right = np.ones((2, 10), bool), np.array([True] * 9 + [False])
    few[:, 9] = False
    few[0, [1, 4, 6]] = False
    # The smaller one of these repairs as many images as it breaks, 40: mean 0, upper end 0.018.
    repairing = np.array([candidate(2, 3), candidate(40, 40)])
    return [
        (np.array([10, 20]), few, few_right, 0.4),
        (np.array([20, 10]), few[::-1].copy(), few_right, 0.7),
        (sizes, several, exact, 0.01),
        (sizes, several, exact, 0.02),
        (sizes[mixed_up], several[mixed_up], exact, 0.02),
        (sizes, several, exact, 0.045),
        (sizes, several, exact, 0.06),
        (sizes, several, exact, 0.001),
        (np.array([290, 60]), repairing, exact, 0.03),
    ]


smallest_within = Task(
    call="smallest_within(sizes, right, float_right, allowed)",
    returns=(Output("index", integer=True),),
    oracle=right_smallest_within,
    probes=_smallest_within_probes,
    divisible=False,
)
