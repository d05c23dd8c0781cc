"""Nearest levels, Lloyd's step and the count of bits: right answers by trying all levels, and by exact fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.check.task import Between, Output, Probe, Task

Array = NDArray[Any]
# Relative to the largest level: so close to a midpoint float32 may take either side.
TIE = 1e-6


def _nearest_level(x: Array, levels: Array) -> Between:
    """The first and the last of the levels that are nearest to each x.

    Levels that do not ascend have no ties in the probes: codes between the two ends would not all be near.
    """
    distances = np.abs(x.astype(np.float64)[..., np.newaxis] - levels.astype(np.float64))
    slack = TIE * max(float(np.abs(levels).max()), float(np.abs(x).max()))
    nearest = distances <= distances.min(axis=-1, keepdims=True) + slack
    return Between(nearest.argmax(axis=-1), len(levels) - 1 - nearest[..., ::-1].argmax(axis=-1))


def _nearest_level_probes() -> list[Probe]:
    rng = np.random.default_rng(50)
    uneven = np.array([-1.0, -0.2, 0.0, 0.3, 1.0])
    # E2M1 without its −0, in the order of the codes.
    small_float = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.5, -1, -1.5, -2, -3, -4, -6])
    return [
        (np.array([0.9]), np.array([0.0, 1.0])),
        (np.array([0.2, 0.4, 2.0]), np.array([0.0, 1.0, 4.0])),
        (np.array([-3.0, -0.7, 0.1, 0.7, 5.0]), uneven),
        (np.array([[0.05, -0.05], [0.5, -0.5]], np.float32), uneven.astype(np.float32)),
        (rng.normal(size=(3, 4, 2)).astype(np.float32), np.array([-1.5, -0.45, 0.45, 1.5], np.float32)),
        (rng.normal(size=100), np.sort(rng.normal(size=16))),
        (np.array([0.9, 3.2]), np.array([1.0, 4.0, -1.0])),
        (np.array([0.9, -2.7, 3.4, -0.1, 9.0]), small_float),
        (3 * rng.normal(size=(5, 8)), rng.permutation(small_float)),
    ]


nearest_level = Task(
    call="nearest_level(x, levels)",
    returns=(Output("codes", integer=True),),
    oracle=_nearest_level,
    probes=_nearest_level_probes,
    degenerate=lambda x, levels: bool(np.any(np.diff(levels) <= 0)),
)


def _means(x: Array, importance: Array, codes: Array, levels: Array) -> list[float]:
    sums = [(Fraction(0), Fraction(0))] * len(levels)
    for value, weight, code in zip(x.tolist(), importance.tolist(), codes.astype(int)):
        total, weights = sums[code]
        sums[code] = total + Fraction(weight) * Fraction(value), weights + Fraction(weight)
    return [float(total / weights) if weights else float(level) for (total, weights), level in zip(sums, levels)]


def _lloyd_step(x: Array, levels: Array, importance: Array) -> Between:
    """Exact means, with ties given to the lower and to the upper level, give or take the sums of float32."""
    both = [_means(x, importance, codes, levels) for codes in _nearest_level(x, levels)]
    slack = 1e-5 * float(np.abs(x).max()) if x.size > 10 else 0.0
    return Between(np.min(both, axis=0) - slack, np.max(both, axis=0) + slack)


def _lloyd_step_probes() -> list[Probe]:
    rng = np.random.default_rng(51)
    return [
        (np.array([0.0, 0.2, 0.25, 0.9]), np.array([0.0, 1.0]), np.array([1.0, 3.0, 1.0, 1.0])),
        (np.array([0.1, 0.3, 0.4, 1.0, 1.2, 2.6]), np.array([0.0, 1.0, 3.0]), np.array([1.0, 1, 4, 2, 1, 1])),
        (np.array([0.0, 0.1, 0.52, 0.9]), np.array([0.0, 1.0]), np.array([1.0, 1.0, 1.0, 3.0])),
        (np.array([0.1, 0.3, 0.5]), np.array([0.0, 0.45, 7.0]), np.array([1.0, 2.0, 1.0])),
        (np.array([-2.0, -1.7, -0.2, 0.4, 0.5, 1.9]), np.array([-9.0, -1.0, 0.0, 1.0]), np.ones(6)),
        (
            rng.normal(size=200).astype(np.float32),
            np.array([-1.0, -0.3, 0.4, 2.0], np.float32),
            rng.uniform(0.1, 3, size=200).astype(np.float32),
        ),
        (rng.exponential(size=300), np.array([0.1, 0.5, 1.0, 20.0, 30.0]), rng.exponential(size=300) + 0.01),
    ]


lloyd_step = Task(
    call="lloyd_step(x, levels, importance)",
    returns=(Output("levels"),),
    oracle=_lloyd_step,
    probes=_lloyd_step_probes,
    # Parts of x would need the same parts of importance.
    divisible=False,
    degenerate=lambda x, levels, importance: len(np.unique(_nearest_level(x, levels).low)) < len(levels),
)


def _bits_per_weight(count: int, levels: int, group_size: int, scale_bits: int, fixed_levels: bool) -> float:
    code_bits = next(bits for bits in range(1, 17) if 2**bits >= levels)
    groups = -(-count // group_size)
    metadata = groups * scale_bits + (0 if fixed_levels else 32 * levels)
    return float(code_bits + Fraction(metadata, count))


def _bits_per_weight_probes() -> list[Probe]:
    return [
        (64, 16, 64, 32, True),
        (64, 16, 32, 16, True),
        (128, 16, 128, 32, False),
        (576, 16, 576, 0, False),
        (96, 12, 32, 8, True),
        (100, 16, 64, 32, True),
        (100, 8, 32, 16, True),
        (9216, 24, 64, 16, False),
        (36864, 256, 36864, 0, False),
    ]


bits_per_weight = Task(
    call="bits_per_weight(count, levels, group_size, scale_bits, fixed_levels)",
    returns=(Output("bits", loose_shape=True),),
    oracle=_bits_per_weight,
    probes=_bits_per_weight_probes,
)
