"""Codes in the logarithm, and back: right answers by exact fractions and by trying all levels."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.check.task import Between, Output, Probe, Task

Array = NDArray[Any]
# How close to a midpoint float32 arithmetic may take either side.
CLOSE = Fraction(1, 10**6)


def _log_dequantize(codes: Array, top: int, bits: int, steps: int) -> Array:
    largest = 2 ** (bits - 1) - 1
    exact = [math.copysign(2.0 ** ((top - largest + abs(c)) / steps), c) if c else 0.0 for c in codes.ravel().tolist()]
    return np.reshape(exact, codes.shape)


def _log_dequantize_probes() -> list[Probe]:
    rng = np.random.default_rng(40)
    return [
        (np.array([7], np.int8), 0, 4, 1),
        (np.array([1, 3], np.int8), 0, 3, 1),
        (np.array([3, 0], np.int8), 2, 3, 1),
        (np.array([-3, 3, -1], np.int8), 1, 3, 1),
        (np.array([7, 6, 5], np.int8), 0, 4, 2),
        (np.array([3, 1], np.int8), 2, 3, 2),
        # Exponents down to −129, which int8 does not hold: neither the code 1 nor top − P.
        (np.array([-127, 100, 1, 0], np.int8), -3, 8, 1),
        (rng.integers(-7, 8, size=(3, 4)).astype(np.int8), -2, 4, 1),
        (rng.integers(-15, 16, size=(2, 3, 4)).astype(np.int8), 3, 5, 2),
    ]


log_dequantize = Task(
    call="log_dequantize(codes, top, bits, steps)",
    returns=(Output("values"),),
    oracle=_log_dequantize,
    probes=_log_dequantize_probes,
)


def _nearest_exponent(magnitude: Fraction, steps: int) -> int:
    """The whole e nearest to steps·log2(magnitude): 2^(2e−1) ≤ magnitude^(2·steps) < 2^(2e+1), in fractions."""
    power = magnitude ** (2 * steps)
    exponent = math.floor(steps * math.log2(magnitude))
    while Fraction(2) ** (2 * exponent + 1) <= power:
        exponent += 1
    return exponent


def _log_quantize(x: Array, top: int, bits: int, steps: int) -> Between:
    largest = 2 ** (bits - 1) - 1
    ends: list[list[int]] = []
    for value in (Fraction(float(each)) for each in x.flat):
        pair = []
        for slightly in (1 - CLOSE, 1 + CLOSE):
            exponent = _nearest_exponent(abs(value) * slightly, steps) if value else top - largest
            code = max(1, min(exponent - top + largest, largest)) if value else 0
            pair.append(-code if value < 0 else code)
        ends.append(sorted(pair))
    low, high = np.array(ends).T
    return Between(low.reshape(x.shape), high.reshape(x.shape))


def _log_quantize_probes() -> list[Probe]:
    rng = np.random.default_rng(41)
    wide = rng.normal(size=(4, 5)) * np.exp2(rng.integers(-9, 2, size=(4, 5)))
    return [
        (np.array([0.5, 1.0]), 0, 4, 1),
        (np.array([0.3, -0.3]), 0, 4, 1),
        (np.array([0.7, 0.36, 1.45]), 1, 4, 1),
        (np.array([0.0, 0.5]), 0, 4, 1),
        (np.array([9.0, -100.0]), 0, 4, 1),
        (np.array([0.001, -0.0001]), 0, 4, 1),
        (np.array([0.25, -0.7, 0.6]), 0, 4, 2),
        (np.array([0.9, -0.6]), 3, 4, 2),
        # Any ε that is added to |x| lifts these to the largest code.
        (np.array([1e-20, -3e-20]), -60, 4, 1),
        (wide.astype(np.float32), 0, 4, 1),
        (wide, 1, 5, 2),
        (rng.normal(size=60).astype(np.float32), 2, 3, 1),
        (rng.normal(size=(2, 3, 4)) * 1e-3, -14, 4, 2),
    ]


log_quantize = Task(
    call="log_quantize(x, top, bits, steps)",
    returns=(Output("codes", integer=True),),
    oracle=_log_quantize,
    probes=_log_quantize_probes,
)


def _nearest_power(x: Array) -> Between:
    """Of the power of two at or below |x| and the next, the nearer one, in fractions; both at the midpoint."""
    ends = []
    for value in (Fraction(float(each)) for each in x.flat):
        pair = [0.0, 0.0]
        if value:
            below = Fraction(2) ** (math.frexp(float(abs(value)))[1] - 1)
            distances = abs(value) - below, 2 * below - abs(value)
            slack = CLOSE * below
            pair = [
                float(below if distances[0] <= distances[1] + slack else 2 * below),
                float(2 * below if distances[1] <= distances[0] + slack else below),
            ]
        ends.append(sorted(-power for power in pair) if value < 0 else pair)
    low, high = np.array(ends).T
    return Between(low.reshape(x.shape), high.reshape(x.shape))


def _is_a_power(answer: Array, x: Array) -> str | None:
    """At a midpoint the two powers are right, and nothing between them is."""
    mantissas = np.abs(np.frexp(answer[answer != 0].astype(np.float64))[0])
    if not np.allclose(mantissas, 0.5, rtol=1e-5) and not np.allclose(mantissas % 0.5, 0, atol=1e-5):
        return "some values are no powers of two"
    return None


def _nearest_power_probes() -> list[Probe]:
    rng = np.random.default_rng(42)
    wide = rng.normal(size=(6, 5)) * np.exp2(rng.integers(-20, 20, size=(6, 5)))
    return [
        (np.array([1.7]),),
        (np.array([1.45, 0.7]),),
        (np.array([2.9, 5.7, 11.6]),),
        (np.array([-3.3, 0.2]),),
        (np.array([0.0, 3.0, -0.11]),),
        (np.array([0.125, 64.0, 1e-6]),),
        (np.array([1.3 * 2.0**-50]),),
        (wide.astype(np.float32),),
        (rng.normal(size=(2, 3, 4)),),
    ]


nearest_power = Task(
    call="nearest_power(x)",
    returns=(Output("values"),),
    oracle=_nearest_power,
    properties=(_is_a_power,),
    probes=_nearest_power_probes,
)
