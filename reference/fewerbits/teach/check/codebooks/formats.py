"""Small floats, the scale of MX, and Q4_0: right answers from the codes one by one."""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.check.task import Between, Output, Probe, Task
from fewerbits.teach.check.uniform.values import nearest_codes

Array = NDArray[Any]
LARGEST_ELEMENT = 6
ANY = Between(-float(np.finfo(np.float32).max), float(np.finfo(np.float32).max))


def _float_values(mantissa_bits: int, lowest: int, largest: float) -> Array:
    """Every finite value, ascending: the subnormals, then binade by binade up to the largest."""
    count = 2**mantissa_bits
    positive, exponent = [mantissa * 2.0 ** (lowest - mantissa_bits) for mantissa in range(count)], lowest
    while 2.0**exponent <= largest:
        positive += [(count + mantissa) * 2.0 ** (exponent - mantissa_bits) for mantissa in range(count)]
        exponent += 1
    ascending = np.array([value for value in positive if value <= largest])
    return np.concatenate([-ascending[:0:-1], ascending])


def _round_float(x: Array, mantissa_bits: int, lowest: int, largest: float) -> Between:
    values = _float_values(mantissa_bits, lowest, largest)
    distances = np.abs(np.clip(x.astype(np.float64), -largest, largest)[..., np.newaxis] - values)
    nearest = distances <= distances.min(axis=-1, keepdims=True) * (1 + 1e-6)
    return Between(values[nearest.argmax(axis=-1)], values[len(values) - 1 - nearest[..., ::-1].argmax(axis=-1)])


E4M3, E5M2, E2M1 = (3, -6, 448.0), (2, -14, 57344.0), (1, 0, 6.0)


def _round_float_probes() -> list[Probe]:
    rng = np.random.default_rng(52)
    signs = rng.choice([-1.0, 1.0], size=200)
    return [
        (np.array([1.3]), *E4M3),
        (np.array([5.3, -0.9]), *E4M3),
        (np.array([5.3, -0.9]), *E5M2),
        (np.array([1.2, -2.6]), *E2M1),
        (np.array([455.0, -460.0]), *E4M3),
        (np.array([500.0, -3000.0]), *E4M3),
        (np.array([100.0, -5.5]), *E2M1),
        (np.array([0.0, 0.003]), *E4M3),
        (np.array([0.01, -0.0007, 0.0155]), *E4M3),
        (np.array([0.0, 0.2, 0.6, -0.8]), *E2M1),
        (np.array([[1.0, 2.0], [448.0, 0.015625]], np.float32), *E4M3),
        (signs * np.exp2(rng.uniform(-11, 10, size=200)), *E4M3),
        (signs * np.exp2(rng.uniform(-18, 17, size=200)), *E5M2),
        (signs * np.exp2(rng.uniform(-3, 4, size=200)), *E2M1),
        (rng.normal(size=(3, 4)).astype(np.float32), 3, -2, 15.0),
    ]


round_float = Task(
    call="round_float(x, mantissa_bits, lowest, largest)",
    returns=(Output("values"),),
    oracle=_round_float,
    probes=_round_float_probes,
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


def _signed_block(block: Array, bits: int) -> tuple[Between, Between]:
    half = 2 ** (bits - 1)
    peak = max((Fraction(float(value)) for value in block), key=abs)
    scale = float(-peak / half)
    if scale == 0:
        return ANY, Between(np.zeros(block.shape), np.zeros(block.shape))
    # `nearest_codes` wants a positive scale: x/s does not change when both signs do.
    sign = math.copysign(1.0, scale)
    return Between(scale, scale), nearest_codes(sign * block, sign * scale, 0, -half, half - 1)


def _signed_block_probes() -> list[Probe]:
    """No block has two values: codes alone would be taken for a scale and codes."""
    rng = np.random.default_rng(54)
    return [
        (np.array([0.5, -1.6, 0.0]), 4),
        (np.array([0.5, 1.6, 0.7]), 4),
        (np.array([0.5, 1.6, 0.7]), 5),
        (np.array([4.0, -3.9, 1.0, 0.1]), 4),
        (np.array([0.0, 0.0, 0.0]), 4),
        (rng.normal(size=32).astype(np.float32), 5),
        (rng.normal(size=32).astype(np.float32), 4),
        (-np.abs(rng.normal(size=32)).astype(np.float32), 3),
        (rng.uniform(-1, 1, size=32) * 1e-3, 6),
    ]


signed_block = Task(
    call="signed_block(block, bits)",
    returns=(Output("scale", loose_shape=True), Output("codes", integer=True)),
    oracle=_signed_block,
    probes=_signed_block_probes,
    divisible=False,
    degenerate=lambda block, bits: not np.any(block),
)


def _read_q4_0(stored: Array) -> Array:
    scale = struct.unpack("<e", bytes(stored[:2]))[0]
    low, high = zip(*(divmod(int(byte), 16)[::-1] for byte in stored[2:]))
    return np.array([scale * (nibble - 8) for nibble in (*low, *high)])


def _read_q4_0_probes() -> list[Probe]:
    """Blocks as a file has them, of 18 bytes: 1.5, −0.25 and two random scales with their codes."""
    rng = np.random.default_rng(55)
    scales = (1.5, -0.25, -0.0123, 0.0371)
    return [(np.frombuffer(struct.pack("<e", scale) + rng.bytes(16), np.uint8).copy(),) for scale in scales]


read_q4_0 = Task(
    call="read_q4_0(stored)",
    # d is a float16, and so are products with it that nobody widens: right to three digits.
    returns=(Output("weights", rtol=1e-3),),
    oracle=_read_q4_0,
    probes=_read_q4_0_probes,
    divisible=False,
)
