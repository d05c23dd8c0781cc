"""E4M3, the scale of MX, and Q4_0: right answers from the codes one by one."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.check.task import Between, Output, Probe, Task
from fewerbits.teach.check.uniform.values import nearest_codes

Array = NDArray[Any]
LARGEST_ELEMENT = 6
ANY = Between(-float(np.finfo(np.float32).max), float(np.finfo(np.float32).max))


def _e4m3_values() -> Array:
    """Every finite value, ascending: 15 binades of 8 mantissas after the subnormals; the last one is NaN."""
    subnormal = [mantissa * 2.0**-9 for mantissa in range(8)]
    normal = [(8 + mantissa) * 2.0 ** (exponent - 10) for exponent in range(1, 16) for mantissa in range(8)]
    positive = np.array([*subnormal, *normal[:-1]])
    return np.concatenate([-positive[:0:-1], positive])


def _round_e4m3(x: Array) -> Between:
    values = _e4m3_values()
    distances = np.abs(np.clip(x.astype(np.float64), -448, 448)[..., np.newaxis] - values)
    nearest = distances <= distances.min(axis=-1, keepdims=True) * (1 + 1e-6)
    return Between(values[nearest.argmax(axis=-1)], values[len(values) - 1 - nearest[..., ::-1].argmax(axis=-1)])


def _round_e4m3_probes() -> list[Probe]:
    rng = np.random.default_rng(52)
    signs = rng.choice([-1.0, 1.0], size=200)
    return [
        (np.array([1.3]),),
        (np.array([5.3, -0.9]),),
        (np.array([455.0, -460.0]),),
        (np.array([500.0, -3000.0]),),
        (np.array([0.0, 0.003]),),
        (np.array([0.01, -0.0007, 0.0155]),),
        (np.array([[1.0, 2.0], [448.0, 0.015625]], np.float32),),
        (signs * np.exp2(rng.uniform(-11, 10, size=200)),),
        (rng.normal(size=(3, 4)).astype(np.float32),),
    ]


round_e4m3 = Task(
    call="round_e4m3(x)",
    returns=(Output("values"),),
    oracle=_round_e4m3,
    probes=_round_e4m3_probes,
)


def _mx_scales(blocks: Array) -> Between:
    low, high = [], []
    for block in blocks:
        peak = max(abs(Fraction(float(value))) for value in block)
        if peak == 0:
            low.append(float(np.finfo(np.float32).tiny))
            high.append(math.inf)
            continue
        exponent = -140
        while Fraction(2) ** exponent * LARGEST_ELEMENT < peak:
            exponent += 1
        low.append(2.0**exponent)
        high.append(2.0**exponent)
    return Between(np.array(low), np.array(high))


def _mx_scales_probes() -> list[Probe]:
    rng = np.random.default_rng(53)
    sizes = np.exp2(rng.uniform(-8, 8, size=(40, 1)))
    return [
        (np.array([[1.0, 6.5]]),),
        (np.array([[5.0, 1.0]]),),
        (np.array([[0.5, -7.0], [3.5, 1.0]]),),
        (np.array([[0.0, 0.0], [1.0, 2.0]]),),
        (np.array([[12.0, 1.0], [0.09, 0.01], [4.0, 0.0]], np.float32),),
        ((rng.normal(size=(40, 32)) * sizes).astype(np.float32),),
    ]


mx_scales = Task(
    call="mx_scales(blocks)",
    returns=(Output("scales", loose_shape=True),),
    oracle=_mx_scales,
    probes=_mx_scales_probes,
    degenerate=lambda blocks: not all(np.any(block) for block in blocks),
)


def _q4_0(block: Array) -> tuple[Between, Between]:
    peak = max((Fraction(float(value)) for value in block), key=abs)
    scale = float(-peak / 8)
    if scale == 0:
        return ANY, Between(np.zeros(block.shape), np.zeros(block.shape))
    # `nearest_codes` wants a positive scale: x/s does not change when both signs do.
    sign = math.copysign(1.0, scale)
    return Between(scale, scale), nearest_codes(sign * block, sign * scale, 0, -8, 7)


def _q4_0_probes() -> list[Probe]:
    rng = np.random.default_rng(54)
    return [
        (np.array([0.5, -1.6]),),
        (np.array([0.5, 1.6]),),
        (np.array([4.0, -3.9, 1.0, 0.1]),),
        (np.array([0.0, 0.0]),),
        (rng.normal(size=32).astype(np.float32),),
        (-np.abs(rng.normal(size=32)).astype(np.float32),),
        (rng.uniform(-1, 1, size=32) * 1e-3,),
    ]


q4_0 = Task(
    call="q4_0(block)",
    returns=(Output("scale", loose_shape=True), Output("codes", integer=True)),
    oracle=_q4_0,
    probes=_q4_0_probes,
    divisible=False,
    degenerate=lambda block: not np.any(block),
)


def _unpack_q4_0(packed: Array) -> Array:
    low, high = zip(*(divmod(int(byte), 16)[::-1] for byte in packed))
    return np.array([*low, *high]) - 8


def _unpack_q4_0_probes() -> list[Probe]:
    rng = np.random.default_rng(55)
    return [
        (np.array([0x12], np.uint8),),
        (np.array([0x0F, 0xA3], np.uint8),),
        (np.array([0x70, 0x80, 0xF7], np.uint8),),
        (rng.integers(0, 256, size=16).astype(np.uint8),),
    ]


unpack_q4_0 = Task(
    call="unpack_q4_0(packed)",
    returns=(Output("codes", integer=True),),
    oracle=_unpack_q4_0,
    probes=_unpack_q4_0_probes,
)
