"""Mistakes in taking floats apart, in the distance of neighbours, in bfloat16, and in packing int4."""

from __future__ import annotations

import math
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
    cause="Patterns whose exponent field is 0 are read like all others; they have a rule of their own.",
    repair="Where the field is 0: no leading 1, and the exponent of field 1. Those are zero and the subnormals.",
    source="common in first implementations; IEEE 754-2019, 3.4",
)
def subnormals_read_as_normal(patterns: Codes, exponent_bits: int, fraction_bits: int) -> FloatArray:
    sign, exponent, fraction = _fields(patterns, exponent_bits, fraction_bits)
    return _value(sign, 1 + fraction, exponent - _bias(exponent_bits))


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
def bias_of_float16(patterns: Codes, exponent_bits: int, fraction_bits: int) -> FloatArray:
    sign, exponent, fraction = _fields(patterns, exponent_bits, fraction_bits)
    return _value(sign, np.where(exponent > 0, 1 + fraction, fraction), np.maximum(exponent, 1) - 15)


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


def _octave(x: FloatArray, lowest_exponent: int) -> FloatArray:
    magnitude = np.maximum(np.abs(x).astype(np.float64), 2.0**lowest_exponent)
    return np.floor(np.log2(magnitude))


@mistake(
    "spacing",
    symptom="The distance changes smoothly with x, and is right only at powers of two.",
    cause="The relative precision is multiplied by the value itself; neighbours are evenly spaced within an octave.",
    repair="Take the power of two at or below |x|, times 2^−m.",
    source="common where machine epsilon is used as an error bound",
)
def epsilon_times_the_value(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    return np.maximum(np.abs(x), 2.0**lowest_exponent) * 2.0**-fraction_bits


@also(epsilon_times_the_value, "spacing")
def epsilon_times_any_value(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    return np.abs(x) * 2.0**-fraction_bits


@mistake(
    "spacing",
    symptom="The distance is right for most numbers and keeps shrinking toward zero, where it is 0 or no number.",
    cause="The lowest octave is overlooked: below it the neighbours stay as far apart as in it.",
    repair="Let the exponent be at least the lowest one.",
    source="common in first implementations",
)
def spacing_without_a_floor(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.exp2(np.floor(np.log2(np.abs(x))) - fraction_bits)


@also(spacing_without_a_floor, "spacing")
def spacing_without_a_floor_in_python(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    octaves = [math.floor(math.log2(abs(value))) for value in x.ravel().tolist()]
    return np.exp2(np.reshape(octaves, x.shape) - fraction_bits)


@mistake(
    "spacing",
    symptom="All distances are half, or twice, of what they should be for some or all values.",
    cause="The octave is not the one that holds the value, but its neighbour; or an error bound was meant.",
    repair="The octave's exponent is floor(log2|x|), and m fraction bits cut it into 2^m steps.",
    source="common in first implementations; frexp returns the exponent plus 1",
)
def octave_off_by_one(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    return np.exp2(_octave(x, lowest_exponent) + 1 - fraction_bits)


@also(octave_off_by_one, "spacing")
def octave_of_frexp(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    return np.exp2(np.maximum(np.frexp(x)[1].astype(float), lowest_exponent) - fraction_bits)


@also(octave_off_by_one, "spacing")
def octave_rounded(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    magnitude = np.maximum(np.abs(x), 2.0**lowest_exponent)
    return np.exp2(np.rint(np.log2(magnitude)) - fraction_bits)


@also(octave_off_by_one, "spacing")
def octave_rounded_up(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    magnitude = np.maximum(np.abs(x), 2.0**lowest_exponent)
    return np.exp2(np.ceil(np.log2(magnitude)) - fraction_bits)


@also(octave_off_by_one, "spacing")
def half_the_spacing(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    return np.exp2(_octave(x, lowest_exponent) - fraction_bits - 1)


@mistake(
    "spacing",
    symptom="Every value gets the same distance, as with integers.",
    cause="The distance at 1 is returned; the distance of floats depends on where one stands.",
    repair="Multiply it by the power of two at or below |x|.",
    source="common where machine epsilon is taken for an absolute error",
)
def spacing_at_one(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    return np.full(x.shape, 2.0**-fraction_bits)


@mistake(
    "to_bfloat16",
    symptom="Every magnitude comes back a little too small; a sum of many values drifts toward zero.",
    cause="The lower 16 bits are cut off, which always goes toward zero and never to the nearer neighbour.",
    repair="Look at what is cut off: round up above half, and at half to the even pattern.",
    source="common: x >> 16; TensorFlow's first bfloat16 conversion truncated",
)
def bfloat16_truncated(patterns: Codes) -> Codes:
    return (patterns >> 16).astype(np.uint16)


@mistake(
    "to_bfloat16",
    symptom="Nearly all patterns are right; exact ties always go to the larger magnitude.",
    cause="Half is added and the rest is cut off; a value just between two neighbours then always goes up.",
    repair="At a tie choose the pattern whose last bit is 0: add 0x7FFF plus the last bit that stays.",
    source="common: (x + 0x8000) >> 16",
)
def bfloat16_ties_up(patterns: Codes) -> Codes:
    return ((patterns.astype(np.int64) + 0x8000) >> 16).astype(np.uint16)


@mistake(
    "to_bfloat16",
    symptom="Nearly all patterns are right; exact ties always go to the smaller magnitude.",
    cause="A value just between two neighbours is left where it is, whatever the neighbour's last bit.",
    repair="At a tie choose the pattern whose last bit is 0.",
    source="common: (x + 0x7FFF) >> 16",
)
def bfloat16_ties_down(patterns: Codes) -> Codes:
    return ((patterns.astype(np.int64) + 0x7FFF) >> 16).astype(np.uint16)


@mistake(
    "to_bfloat16",
    symptom="The patterns are noise: nothing of the values is left.",
    cause="The wrong half of the float32 is kept, the last bits of its fraction.",
    repair="Sign, exponent and the first 7 bits of the fraction are the upper 16 bits.",
    source="common on little-endian machines, where the lower half comes first in memory",
)
def lower_half_kept(patterns: Codes) -> Codes:
    return (patterns & 0xFFFF).astype(np.uint16)


@mistake(
    "to_bfloat16",
    symptom="Ordinary values have too large a fraction and exponent; large ones turn infinite: 1 is read as 1.875.",
    cause="The pattern is that of float16, whose 16 bits are divided in another way.",
    repair="Keep float32's 8 exponent bits: bfloat16 is its upper half. Store the format's name with the bytes.",
    source="common: both are called half precision",
)
def float16_for_bfloat16(patterns: Codes) -> Codes:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return patterns.astype(np.uint32).view(np.float32).astype(np.float16).view(np.uint16)


def _joined(first: Codes, second: Codes) -> Codes:
    """Bytes with `first` in the lower half, without removing what reaches beyond four bits."""
    return (first | second << 4) & 0xFF


def _pairs(codes: Codes, mask: int = 0xF) -> tuple[Codes, Codes]:
    wide = np.concatenate([codes.astype(np.int64), np.zeros(codes.size % 2, np.int64)]) & mask
    return wide[::2], wide[1::2]


@mistake(
    "pack_int4",
    symptom="Bytes with a negative first code are wrong: their second code always comes back as −1.",
    cause="A negative code has ones in all its upper bits, and they cover the neighbour in the same byte.",
    repair="Keep four bits of each code, & 0xF, before they are joined.",
    source="common in first implementations of int4 kernels",
)
def sign_bits_cover_the_neighbour(codes: Codes) -> Codes:
    first, second = _pairs(codes, mask=-1)
    return _joined(first, second)


@also(sign_bits_cover_the_neighbour, "pack_int4")
def sign_bits_cover_the_neighbour_in_even_numbers(codes: Codes) -> Codes:
    wide = codes.astype(np.int64)
    return _joined(wide[::2], wide[1::2])


@also(sign_bits_cover_the_neighbour, "pack_int4")
def signs_added_to_the_neighbour(codes: Codes) -> Codes:
    first, second = _pairs(codes, mask=-1)
    return (first + 16 * second) & 0xFF


@mistake(
    "pack_int4",
    symptom="All codes are there, and each pair has changed places.",
    cause="The first code is put into the upper half of its byte.",
    repair="ONNX and most kernels put the first code into the lower half. Name the order with the bytes.",
    source="common; layouts differ between engines",
)
def first_code_in_the_upper_half(codes: Codes) -> Codes:
    first, second = _pairs(codes)
    return _joined(second, first)


@also(first_code_in_the_upper_half, "pack_int4")
def first_code_in_the_upper_half_of_even_numbers(codes: Codes) -> Codes:
    wide = codes.astype(np.int64) & 0xF
    return _joined(wide[1::2], wide[::2])


@mistake(
    "pack_int4",
    symptom="An odd number of codes raises an error, or the last code is missing.",
    cause="The codes are taken in pairs, and the last one has no partner.",
    repair="Append one zero when the number is odd; its reader knows the count.",
    source="common in first implementations",
)
def last_code_lost(codes: Codes) -> Codes:
    even = codes[: codes.size - codes.size % 2].astype(np.int64) & 0xF
    return _joined(even[::2], even[1::2])


@also(last_code_lost, "pack_int4")
def last_code_without_a_partner(codes: Codes) -> Codes:
    wide = codes.astype(np.int64) & 0xF
    return _joined(wide[::2], wide[1::2])


@mistake(
    "pack_int4",
    symptom="A reader of two's complement gets every code 8 too high or too low.",
    cause="8 was added to make the codes positive; that is another way to write signs than two's complement.",
    repair="Keep the lowest four bits of the code as they are. (GGUF's Q4_0 does add 8: name the convention.)",
    source="ONNX INT4 against GGUF Q4_0",
)
def offset_for_twos_complement(codes: Codes) -> Codes:
    padded = np.concatenate([codes.astype(np.int64), np.full(codes.size % 2, -8)]) + 8
    return _joined(padded[::2], padded[1::2])


@also(offset_for_twos_complement, "pack_int4")
def offset_for_padding_too(codes: Codes) -> Codes:
    padded = np.concatenate([codes.astype(np.int64), np.zeros(codes.size % 2, np.int64)]) + 8
    return _joined(padded[::2], padded[1::2])
