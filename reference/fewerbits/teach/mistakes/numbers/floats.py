"""Mistakes in taking floats apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.record import also, mistake

FloatArray = NDArray[np.floating]
Codes = NDArray[Any]


def _fields(patterns: Codes, exponent_bits: int, fraction_bits: int) -> tuple[Codes, Codes, FloatArray]:
    """Sign bit, exponent field and fraction in 0 … 1."""
    wide = patterns.astype(np.int64)
    exponent = (wide >> fraction_bits) % 2**exponent_bits
    return wide >> (exponent_bits + fraction_bits), exponent, wide % 2**fraction_bits / 2**fraction_bits


def _bias(exponent_bits: int) -> int:
    return int(2 ** (exponent_bits - 1) - 1)


def _value(sign: Codes, significand: FloatArray, exponent: Codes) -> FloatArray:
    return np.where(sign, -1.0, 1.0) * significand * np.exp2(exponent.astype(np.float64))


@mistake(
    "float_value",
    symptom="Powers of two come back as zero, and every other value far too small.",
    cause="A normal float stores only what stands behind the point; the 1 before it is in no bit, and is missing here.",
    repair="The significand of a normal number is 1 + fraction/2^m.",
    source="common in first implementations",
)
def implicit_one_forgotten(patterns: Codes, exponent_bits: int, fraction_bits: int) -> FloatArray:
    sign, exponent, fraction = _fields(patterns, exponent_bits, fraction_bits)
    return _value(sign, fraction, np.maximum(exponent, 1) - _bias(exponent_bits))


@also(implicit_one_forgotten, "float_value")
def implicit_one_forgotten_everywhere(patterns: Codes, exponent_bits: int, fraction_bits: int) -> FloatArray:
    sign, exponent, fraction = _fields(patterns, exponent_bits, fraction_bits)
    return _value(sign, fraction, exponent - _bias(exponent_bits))


@mistake(
    "float_value",
    symptom="Values are right for large numbers; those near zero are off, and zero itself is a small power of two.",
    cause="All patterns whose exponent field is 0, not only zero, have a rule of their own; here they have none.",
    repair="Where the field is 0: no leading 1, and the exponent of field 1. Those are zero and the subnormals.",
    source="common in first implementations; IEEE 754-2019, 3.4",
)
def subnormals_read_as_normal(patterns: Codes, exponent_bits: int, fraction_bits: int) -> FloatArray:
    sign, exponent, fraction = _fields(patterns, exponent_bits, fraction_bits)
    return _value(sign, 1 + fraction, exponent - _bias(exponent_bits))


@also(subnormals_read_as_normal, "float_value")
def zero_alone_repaired(patterns: Codes, exponent_bits: int, fraction_bits: int) -> FloatArray:
    sign, exponent, fraction = _fields(patterns, exponent_bits, fraction_bits)
    values = _value(sign, 1 + fraction, exponent - _bias(exponent_bits))
    return np.where((exponent == 0) & (fraction == 0), 0, values)


@mistake(
    "float_value",
    symptom="Normal numbers and zero are right; subnormal ones are half of what they should be.",
    cause="The lowest exponent field takes its exponent from the formula, which puts it one octave too low.",
    repair="Field 0 has the same exponent as field 1: 1 − bias.",
    source="common in first implementations; IEEE 754-2019, 3.4",
)
def subnormals_one_octave_too_low(patterns: Codes, exponent_bits: int, fraction_bits: int) -> FloatArray:
    sign, exponent, fraction = _fields(patterns, exponent_bits, fraction_bits)
    return _value(sign, np.where(exponent > 0, 1 + fraction, fraction), exponent - _bias(exponent_bits))


@mistake(
    "float_value",
    symptom="The smallest numbers come back as zero, all others are right.",
    cause="An exponent field of 0 is taken for zero; only with a fraction of 0 it is.",
    repair="Read them by their own rule: no leading 1, and the exponent of field 1.",
    source="hardware that flushes subnormals to zero does so on purpose, for speed",
)
def subnormals_read_as_zero(patterns: Codes, exponent_bits: int, fraction_bits: int) -> FloatArray:
    sign, exponent, fraction = _fields(patterns, exponent_bits, fraction_bits)
    return np.where(exponent > 0, _value(sign, 1 + fraction, exponent - _bias(exponent_bits)), 0)


@mistake(
    "float_value",
    symptom="Every value is exactly half of what it should be, or the same power of two too large or too small.",
    cause="What is subtracted from the exponent field is not the bias of this format.",
    repair="The bias of e exponent bits is 2^(e−1) − 1: 127 for 8 bits, 15 for 5, 7 for 4.",
    source="common in first implementations; E4M3 against E4M3FNUZ, whose bias is 8",
)
def wrong_bias(patterns: Codes, exponent_bits: int, fraction_bits: int) -> FloatArray:
    sign, exponent, fraction = _fields(patterns, exponent_bits, fraction_bits)
    significand = np.where(exponent > 0, 1 + fraction, fraction)
    return _value(sign, significand, np.maximum(exponent, 1) - 2 ** (exponent_bits - 1))


@also(wrong_bias, "float_value")
def bias_of_float32(patterns: Codes, exponent_bits: int, fraction_bits: int) -> FloatArray:
    sign, exponent, fraction = _fields(patterns, exponent_bits, fraction_bits)
    return _value(sign, np.where(exponent > 0, 1 + fraction, fraction), np.maximum(exponent, 1) - 127)


@also(wrong_bias, "float_value")
def bias_of_float32_or_float16(patterns: Codes, exponent_bits: int, fraction_bits: int) -> FloatArray:
    sign, exponent, fraction = _fields(patterns, exponent_bits, fraction_bits)
    significand = np.where(exponent > 0, 1 + fraction, fraction)
    return _value(sign, significand, np.maximum(exponent, 1) - (127 if exponent_bits == 8 else 15))


@also(wrong_bias, "float_value")
def bias_of_float16(patterns: Codes, exponent_bits: int, fraction_bits: int) -> FloatArray:
    sign, exponent, fraction = _fields(patterns, exponent_bits, fraction_bits)
    return _value(sign, np.where(exponent > 0, 1 + fraction, fraction), np.maximum(exponent, 1) - 15)


@also(wrong_bias, "float_value")
def bias_of_one_bit_more(patterns: Codes, exponent_bits: int, fraction_bits: int) -> FloatArray:
    sign, exponent, fraction = _fields(patterns, exponent_bits, fraction_bits)
    return _value(sign, np.where(exponent > 0, 1 + fraction, fraction), np.maximum(exponent, 1) - 2**exponent_bits + 1)


@mistake(
    "float_value",
    symptom="Magnitudes are right, and every value is negative.",
    cause="In Python ** binds more tightly than the minus before it: -1 ** s is −(1 ** s), whatever s is.",
    repair="Write (-1.0) ** s, or choose with np.where.",
    source="common in Python",
)
def minus_applied_after_the_power(patterns: Codes, exponent_bits: int, fraction_bits: int) -> FloatArray:
    _, exponent, fraction = _fields(patterns, exponent_bits, fraction_bits)
    significand = np.where(exponent > 0, 1 + fraction, fraction)
    return _value(np.ones_like(exponent), significand, np.maximum(exponent, 1) - _bias(exponent_bits))


@mistake(
    "float_value",
    symptom="Values below 1 come back as infinity, or as enormous numbers; those above are right.",
    cause="The exponent is computed in the unsigned type of the pattern, in which 14 − 15 is a huge number.",
    repair="Convert the pattern to a wide signed type first, such as int64 or a Python int.",
    source="common in NumPy, C and Rust",
)
def exponent_in_an_unsigned_type(patterns: Codes, exponent_bits: int, fraction_bits: int) -> FloatArray:
    return _in_the_type_of_the_pattern(patterns, exponent_bits, fraction_bits, subnormals=True)


@also(exponent_in_an_unsigned_type, "float_value")
def exponent_in_an_unsigned_type_for_normals(patterns: Codes, exponent_bits: int, fraction_bits: int) -> FloatArray:
    return _in_the_type_of_the_pattern(patterns, exponent_bits, fraction_bits, subnormals=False)


def _in_the_type_of_the_pattern(
    patterns: Codes, exponent_bits: int, fraction_bits: int, subnormals: bool
) -> FloatArray:
    sign, field, fraction = _fields(patterns, exponent_bits, fraction_bits)
    normal = (field > 0) | (not subnormals)
    exponent = np.where(normal, field, 1).astype(patterns.dtype) - patterns.dtype.type(_bias(exponent_bits))
    with np.errstate(over="ignore", invalid="ignore"):
        return _value(sign, np.where(normal, 1 + fraction, fraction), exponent)


@also(exponent_in_an_unsigned_type, "float_value")
def exponent_in_an_unsigned_type_less_127(patterns: Codes, exponent_bits: int, fraction_bits: int) -> FloatArray:
    """The lesson's function for float32 with other widths, and neither its `astype` nor a bias of its own."""
    sign = patterns >> (exponent_bits + fraction_bits)
    exponent = (patterns >> fraction_bits & (2**exponent_bits - 1)).astype(patterns.dtype) - patterns.dtype.type(127)
    with np.errstate(over="ignore", invalid="ignore"):
        return _value(sign, 1 + (patterns & (2**fraction_bits - 1)) / 2**fraction_bits, exponent)


@mistake(
    "float_value",
    symptom="Magnitudes are right, and every value is positive.",
    cause="The first bit of the pattern is cut off and never used.",
    repair="Multiply by −1 where the first bit is 1.",
    source="common in first implementations",
)
def sign_bit_unused(patterns: Codes, exponent_bits: int, fraction_bits: int) -> FloatArray:
    _, exponent, fraction = _fields(patterns, exponent_bits, fraction_bits)
    significand = np.where(exponent > 0, 1 + fraction, fraction)
    return _value(np.zeros_like(exponent), significand, np.maximum(exponent, 1) - _bias(exponent_bits))


@mistake(
    "float_value",
    symptom="Positive numbers are right; negative ones are far too large.",
    cause="The sign bit was not removed before the exponent was read, so that it counts as an exponent bit.",
    repair="Mask the exponent: only the bits that belong to it, % 2^e or & (2^e − 1).",
    source="common in first implementations",
)
def sign_left_in_the_exponent(patterns: Codes, exponent_bits: int, fraction_bits: int) -> FloatArray:
    sign, _, fraction = _fields(patterns, exponent_bits, fraction_bits)
    exponent = patterns.astype(np.int64) >> fraction_bits
    significand = np.where(exponent > 0, 1 + fraction, fraction)
    with np.errstate(over="ignore"):
        return _value(sign, significand, np.maximum(exponent, 1) - _bias(exponent_bits))
