"""Bit patterns to values and back: right answers by text of bits, by exact fractions and by Python's own integers."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.check.task import Output, Probe, Task

Array = NDArray[Any]


def _fields(*widths: int) -> Callable[[float], str | None]:
    """Writes a pattern in binary with a gap between its fields; None for what is no such pattern."""

    def write(pattern: float) -> str | None:
        if pattern % 1 != 0 or not 0 <= pattern < 2 ** sum(widths):
            return None
        text = f"{int(pattern):0{sum(widths)}b}"
        ends = [sum(widths[:count]) for count in range(len(widths) + 1)]
        return "0b" + "_".join(text[start:end] for start, end in pairwise(ends))

    return write


def _float_value(patterns: Array, exponent_bits: int, fraction_bits: int) -> Array:
    """Each pattern written as text of zeros and ones, cut into its fields, and put together as a fraction."""
    values = []
    for pattern in patterns.ravel().tolist():
        text = f"{pattern:0{1 + exponent_bits + fraction_bits}b}"
        exponent = int(text[1 : 1 + exponent_bits], 2)
        fraction = Fraction(int(text[1 + exponent_bits :], 2), 2**fraction_bits)
        power = Fraction(2) ** (max(exponent, 1) - (2 ** (exponent_bits - 1) - 1))
        value = (min(exponent, 1) + fraction) * power
        values.append(float(-value if text[0] == "1" else value))
    return np.reshape(values, patterns.shape)


def _float_value_probes() -> list[Probe]:
    rng = np.random.default_rng(11)
    every_fp6 = np.array([code for code in range(64) if code >> 2 & 7 != 7], np.uint8)
    normal_fp6 = every_fp6[every_fp6 >> 2 & 7 > 0]
    half = rng.integers(0, 2**16, size=300).astype(np.uint16)
    brain = rng.integers(0, 2**16, size=120).astype(np.uint16)
    return [
        (np.array([0x3C00], np.uint16), 5, 10),
        (np.array([0x4200, 0xC200], np.uint16), 5, 10),
        (np.array([0x3555, 0x7BFF, 0xB800], np.uint16), 5, 10),
        (np.array([0x3F80, 0xC0A0], np.uint16), 8, 7),
        (np.array([0x0001, 0x8200], np.uint16), 5, 10),
        (np.array([0x0000, 0x0400], np.uint16), 5, 10),
        (np.array([0x38, 0xB9, 0x77], np.uint8), 4, 3),
        (np.array([0x01, 0x85], np.uint8), 4, 3),
        (normal_fp6, 3, 2),
        (every_fp6, 3, 2),
        (half[half >> 10 & 31 != 31], 5, 10),
        (brain[brain >> 7 & 255 != 255], 8, 7),
    ]


float_value = Task(
    call="float_value(patterns, exponent_bits, fraction_bits)",
    returns=(Output("values"),),
    oracle=_float_value,
    probes=_float_value_probes,
    # Subnormals are a case of their own.
    degenerate=lambda patterns, e, m: bool(np.any((patterns.astype(np.int64) >> m) % 2**e == 0)),
    written=lambda patterns, e, m: {"patterns": _fields(1, e, m)},
)


def _spacing(x: Array, fraction_bits: int, lowest_exponent: int) -> Array:
    """The step of the octave that holds |x|, found by halving and doubling a power of two."""
    steps = []
    for magnitude in (Fraction(abs(value)) for value in x.ravel().tolist()):
        octave = lowest_exponent
        while magnitude >= Fraction(2) ** (octave + 1):
            octave += 1
        steps.append(float(Fraction(2) ** (octave - fraction_bits)))
    return np.reshape(steps, x.shape)


def _spacing_probes() -> list[Probe]:
    rng = np.random.default_rng(12)
    wide = rng.choice([-1.0, 1.0], size=40) * np.exp2(rng.uniform(-9, 9, size=40))
    return [
        (np.array([1.0]), 3, -6),
        (np.array([1.7, 3.0]), 3, -6),
        (np.array([5.0, 300.0]), 10, -14),
        (np.array([-6.0, 0.3]), 7, -126),
        (np.array([1000.0, 0.15]), 23, -126),
        (np.array([0.0, 0.001]), 3, -6),
        (np.array([3e-9, 1e-20]), 7, -126),
        (np.array([0.02, 0.01, 2.0, -0.5]), 3, -6),
        (wide, 3, -6),
        (wide[wide > 0].astype(np.float32), 10, -14),
    ]


spacing = Task(
    call="spacing(x, fraction_bits, lowest_exponent)",
    returns=(Output("distances"),),
    oracle=_spacing,
    probes=_spacing_probes,
    # Below the lowest octave the spacing stays what it is there.
    degenerate=lambda x, m, lowest: bool(np.any(np.abs(x) < 2.0**lowest)),
)


def _exact(pattern: int) -> Fraction:
    """The value of a float32 pattern; that of the first infinity is 2^128, for which the rounding rule is the same."""
    if pattern & 0x7FFFFFFF == 0x7F800000:
        return Fraction(2) ** 128 * (-1 if pattern >> 31 else 1)
    return Fraction(struct.unpack("<f", struct.pack("<I", pattern))[0])


def _to_bfloat16(patterns: Array) -> Array:
    """Of the two bfloat16 neighbours the nearer one by exact fractions; at a tie the one that ends in 0."""
    rounded = []
    for pattern in patterns.ravel().tolist():
        value, toward_zero = _exact(pattern), pattern // 2**16
        neighbours = [toward_zero, toward_zero + 1] if pattern % 2**16 else [toward_zero]
        rounded.append(min(neighbours, key=lambda code: (abs(_exact(code * 2**16) - value), code % 2)))
    return np.reshape(rounded, patterns.shape)


def _to_bfloat16_probes() -> list[Probe]:
    rng = np.random.default_rng(13)
    normal = rng.normal(size=200).astype(np.float32).view(np.uint32)
    high = rng.integers(0, 0x7F7F, size=40).astype(np.uint32) << 16
    return [
        (np.array([0x3F800000], np.uint32),),
        (np.array([0x40490FDB, 0xC0490FDB], np.uint32),),
        (np.array([0x3F8CCCCD], np.uint32),),
        (np.array([0x3F808000, 0x3F818000], np.uint32),),
        (np.array([0x3F808001, 0x3F817FFF], np.uint32),),
        (np.array([0x3FFFFFFF, 0x00000001, 0x80000000], np.uint32),),
        (np.array([0x7F7FFFFF, 0xFF7FFFFF], np.uint32),),
        (normal,),
        (high + 0x8000,),
        (high | rng.integers(0, 2**16, size=40).astype(np.uint32),),
    ]


to_bfloat16 = Task(
    call="to_bfloat16(patterns)",
    returns=(Output("patterns of bfloat16", integer=True),),
    oracle=_to_bfloat16,
    probes=_to_bfloat16_probes,
    written=lambda patterns: {"patterns": _fields(1, 8, 23), "patterns of bfloat16": _fields(1, 8, 7)},
)


def _pack_int4(codes: Array) -> Array:
    """Byte by byte as text: the second code's four digits, then the first's."""
    digits = [f"{code % 16:04b}" for code in codes.tolist()]
    digits += ["0000"] * (len(digits) % 2)
    return np.array([int(second + first, 2) for first, second in zip(digits[::2], digits[1::2])])


def _pack_int4_probes() -> list[Probe]:
    rng = np.random.default_rng(14)
    return [
        (np.array([1, 2], np.int8),),
        (np.array([7, 0, 3, 5], np.int8),),
        (np.array([-1, 2], np.int8),),
        (np.array([3, -8, -5, -2], np.int8),),
        (np.array([4, 5, 6], np.int8),),
        (np.array([-3, 1, 7, -8, 2], np.int8),),
        (rng.integers(-8, 8, size=40).astype(np.int8),),
        (rng.integers(-8, 8, size=31).astype(np.int8),),
    ]


pack_int4 = Task(
    call="pack_int4(codes)",
    returns=(Output("packed", integer=True),),
    oracle=_pack_int4,
    probes=_pack_int4_probes,
    degenerate=lambda codes: bool(codes.size % 2),
    written=lambda codes: {"packed": _fields(4, 4)},
)
