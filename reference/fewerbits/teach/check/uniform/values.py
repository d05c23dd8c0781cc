"""Scale, zero point, codes and back, and the error bound: right answers by exhaustive search and exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.check.task import Between, Output, Probe, Task

Array = NDArray[Any]
# How far from a tie, in steps, float32 arithmetic may take either side (codes of at most 8 bits).
TIE = 1e-4
ANY_POSITIVE = Between(float(np.finfo(np.float32).tiny), math.inf)


def nearest_codes(x: Array, scale: float, zero_point: int, qmin: int, qmax: int) -> Between:
    """The code whose level s·(q − z) is nearest to each x, found by trying all; at a tie the lower and the upper."""
    codes = np.arange(qmin, qmax + 1)
    levels = np.float64(scale) * (codes - zero_point)
    within = np.clip(x.astype(np.float64), levels[0] - scale, levels[-1] + scale)
    distances = np.abs(within[..., np.newaxis] - levels)
    nearest = distances <= distances.min(axis=-1, keepdims=True) + TIE * scale
    return Between(codes[nearest.argmax(axis=-1)], codes[-1 - nearest[..., ::-1].argmax(axis=-1)])


def values_of(codes: Array, scale: float, zero_point: int) -> Between:
    """s·(q − z), give or take the roundings of q·s and z·s to float32."""
    exact = np.float64(scale) * (np.asarray(codes, np.float64) - zero_point)
    rounding = float(scale) * (np.abs(codes.astype(np.float64)) + abs(zero_point)) * 2.0**-23
    return Between(exact - rounding, exact + rounding)


def right_symmetric_scale(x: Array, bits: int) -> Between:
    """max|x|/(2^(b−1) − 1) as an exact fraction; any positive number for zeros."""
    largest = max(abs(Fraction(float(value))) for value in x.flat)
    scale = float(largest / (2 ** (bits - 1) - 1))
    return Between(scale, scale) if largest else ANY_POSITIVE


def _symmetric_scale_probes() -> list[Probe]:
    rng = np.random.default_rng(2)
    return [
        (np.array([0.5, 1.0]), 8),
        (np.array([0.5, -1.0]), 8),
        (np.array([-3.0]), 4),
        (np.array([0.0, 0.0]), 8),
        (np.array([0.25, -0.75, 0.5], np.float32), 2),
        (rng.normal(size=(3, 5)).astype(np.float32), 8),
        (-rng.exponential(size=100), 3),
        (rng.normal(size=(4, 3, 2)).astype(np.float32) * 1e-3, 6),
    ]


symmetric_scale = Task(
    call="symmetric_scale(x, bits)",
    returns=(Output("scale", loose_shape=True),),
    oracle=right_symmetric_scale,
    probes=_symmetric_scale_probes,
    degenerate=lambda x, bits: not np.any(x),
)


def right_affine_parameters(x: Array, bits: int) -> tuple[Between, Between]:
    """Scale and zero point as exact fractions; for zeros any positive scale and any code."""
    values = [Fraction(0), *(Fraction(float(value)) for value in x.flat)]
    low, high = min(values), max(values)
    if low == high:
        return ANY_POSITIVE, Between(0, 2**bits - 1)
    scale = (high - low) / (2**bits - 1)
    slack = Fraction(TIE)
    return Between(float(scale), float(scale)), Between(round(-low / scale - slack), round(-low / scale + slack))


def _affine_parameters_probes() -> list[Probe]:
    rng = np.random.default_rng(3)
    return [
        (np.array([0.0, 1.0]), 8),
        (np.array([-1.0, 1.5]), 8),
        (np.array([10.0, 10.25, 10.5, 11.0]), 8),
        (np.array([-0.7, -0.4]), 8),
        (np.array([-0.4, 1.0, 2.0], np.float32), 4),
        (np.array([0.0, 0.0]), 8),
        (np.maximum(rng.normal(size=(3, 4)), 0).astype(np.float32), 8),
        (rng.normal(1, 1, size=(2, 3, 4)).astype(np.float32), 8),
        (rng.normal(-0.5, 2, size=50), 3),
        (rng.normal(0.2, 1, size=50).astype(np.float32), 2),
    ]


def _leaves_a_choice(x: Array, bits: int) -> bool:
    """Zeros only, or a zero point at a tie."""
    _, zero_point = right_affine_parameters(x, bits)
    return bool(zero_point.low != zero_point.high)


affine_parameters = Task(
    call="affine_parameters(x, bits)",
    returns=(Output("scale", loose_shape=True), Output("zero_point", integer=True, loose_shape=True)),
    oracle=right_affine_parameters,
    probes=_affine_parameters_probes,
    degenerate=_leaves_a_choice,
)


def _quantize_probes() -> list[Probe]:
    rng = np.random.default_rng(4)
    return [
        (np.array([1.2]), 1.0, 0, -128, 127),
        (np.array([2.7]), 1.0, 0, -128, 127),
        (np.array([0.8, -0.3]), 0.5, 0, -128, 127),
        (np.array([0.9, -0.7]), 0.5, 10, 0, 255),
        (np.array([200.0, -150.0]), 1.0, 0, -128, 127),
        (np.array([0.5, 1.5, 2.5, -0.5]), 1.0, 0, -128, 127),
        (np.array([1.5, -0.5, 0.25]), 0.25, 3, 0, 15),
        (np.array([1.5, -9.5, 6.5]), 2.0, 1, -4, 3),
        (rng.normal(size=(4, 5)).astype(np.float32), 0.021, -17, -128, 127),
        (rng.normal(size=(2, 3, 4)).astype(np.float32), 0.013, 133, 0, 255),
        (rng.normal(size=200) * 3, 0.31, 7, 0, 15),
    ]


quantize = Task(
    call="quantize(x, scale, zero_point, qmin, qmax)",
    returns=(Output("codes", integer=True),),
    oracle=nearest_codes,
    probes=_quantize_probes,
)


def _dequantize_probes() -> list[Probe]:
    rng = np.random.default_rng(5)
    return [
        (np.array([3], np.int8), 0.5, 0),
        (np.array([3, 10], np.int8), 0.5, 4),
        (np.array([0, 128, 255], np.uint8), 0.25, 128),
        (np.array([-128, 100], np.int8), 0.1, -128),
        (rng.integers(-8, 8, size=(3, 4)).astype(np.int8), 1.7, -3),
        (rng.integers(0, 256, size=(2, 3, 4)).astype(np.uint8), 0.013, 133),
    ]


dequantize = Task(
    call="dequantize(codes, scale, zero_point)",
    returns=(Output("values"),),
    oracle=values_of,
    probes=_dequantize_probes,
)


def _error_bound(x: Array, scale: float, zero_point: int, qmin: int, qmax: int) -> Between:
    ends = scale * (qmin - zero_point), scale * (qmax - zero_point)
    outside = np.maximum(0, np.maximum(ends[0] - x.astype(np.float64), x.astype(np.float64) - ends[1]))
    # Just outside, at less than half a step, s/2 still is a bound, though not the least one.
    return Between(np.where(outside > 0, outside, scale / 2), np.maximum(outside, scale / 2))


def _error_bound_probes() -> list[Probe]:
    rng = np.random.default_rng(6)
    return [
        (np.array([0.3]), 0.5, 0, -128, 127),
        (np.array([100.0, -100.0]), 0.5, 0, -128, 127),
        (np.array([1.0, -3.0, 9.0]), 0.5, 4, 0, 15),
        (np.array([2.2, -2.2]), 1.0, 0, -2, 1),
        (rng.normal(size=(3, 4)).astype(np.float32), 0.25, -3, -8, 7),
        (rng.normal(size=100) * 2, 0.013, 133, 0, 255),
    ]


error_bound = Task(
    call="error_bound(x, scale, zero_point, qmin, qmax)",
    returns=(Output("bounds"),),
    oracle=_error_bound,
    probes=_error_bound_probes,
)
