"""Mistakes with small floats, and with the powers of two that blocks of them share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.mistakes.uniform.codes import truncation_for_rounding
from fewerbits.teach.mistakes.uniform.parameters import largest_value_for_largest_magnitude, zero_scale

FloatArray = NDArray[np.floating]
Codes = NDArray[Any]


def _exponent(x: FloatArray, lowest: int) -> Codes:
    """The power of two at or below |x|, at least `lowest`."""
    return np.maximum(np.frexp(x)[1] - 1, lowest)


def _to_step(x: FloatArray, exponent: Codes, mantissa_bits: int) -> FloatArray:
    step = 2.0 ** (exponent - mantissa_bits)
    return step * np.rint(x.astype(np.float64) / step)


@mistake(
    "round_float",
    symptom="One large value, and then whole rows of NaN: every sum that it enters is NaN.",
    cause="Values beyond the largest become NaN, as a plain cast to E4M3 makes them.",
    repair="Saturate: clip to −largest..largest.",
    source="ml_dtypes float8_e4m3fn; OCP 8-bit Floating Point Specification 1.0, section 5.2, allows both",
)
def overflow_to_nan(x: FloatArray, mantissa_bits: int, lowest: int, largest: float) -> FloatArray:
    rounded = _to_step(x, _exponent(x, lowest), mantissa_bits)
    return np.where(np.abs(rounded) > largest, np.nan, rounded)


@mistake(
    "round_float",
    symptom="Values beyond the largest come back, for which the format has no code.",
    cause="The mantissa is rounded, but nothing keeps the value at the largest one that has a code.",
    repair="Saturate: clip to −largest..largest.",
    source="common in simulations of small floats",
)
def largest_value_forgotten(x: FloatArray, mantissa_bits: int, lowest: int, largest: float) -> FloatArray:
    return _to_step(x, _exponent(x, lowest), mantissa_bits)


@mistake(
    "round_float",
    symptom="Right for one format, and no other.",
    cause="The constants of one format, E4M3, are written into the function.",
    repair="Take the bits of the mantissa, the lowest exponent and the largest value from the arguments.",
    source="common where a function for one format is adapted",
)
def constants_of_one_format(x: FloatArray, mantissa_bits: int, lowest: int, largest: float) -> FloatArray:
    return np.clip(_to_step(x, _exponent(x, -6), 3), -448, 448)


@also(constants_of_one_format, "round_float")
def lowest_exponent_of_one_format(x: FloatArray, mantissa_bits: int, lowest: int, largest: float) -> FloatArray:
    return np.clip(_to_step(x, _exponent(x, -6), mantissa_bits), -largest, largest)


@also(constants_of_one_format, "round_float")
def mantissa_of_one_format(x: FloatArray, mantissa_bits: int, lowest: int, largest: float) -> FloatArray:
    return np.clip(_to_step(x, _exponent(x, lowest), 3), -largest, largest)


@mistake(
    "round_float",
    symptom="Small values keep a precision that they cannot have; nothing ever becomes zero.",
    cause="The exponent goes on falling below the lowest one, where the codes of the format end.",
    repair="Keep the lowest exponent for all smaller values: the subnormals have equal steps.",
    source="common in simulations of small floats",
)
def exponent_without_end(x: FloatArray, mantissa_bits: int, lowest: int, largest: float) -> FloatArray:
    return np.clip(_to_step(x, _exponent(x, -200), mantissa_bits), -largest, largest)


@mistake(
    "round_float",
    symptom="All values below the smallest normal one become zero.",
    cause="Only normal numbers are known; below the smallest of them the format has a few more values.",
    repair="Round the small values to multiples of the last step.",
    source="“flush to zero” of some hardware and simulations",
)
def subnormals_flushed(x: FloatArray, mantissa_bits: int, lowest: int, largest: float) -> FloatArray:
    rounded = np.clip(_to_step(x, _exponent(x, lowest), mantissa_bits), -largest, largest)
    return np.where(np.abs(rounded) < 2.0**lowest, 0, rounded)


@also(subnormals_flushed, "round_float")
def subnormals_flushed_before_rounding(x: FloatArray, mantissa_bits: int, lowest: int, largest: float) -> FloatArray:
    rounded = np.clip(_to_step(x, _exponent(x, lowest), mantissa_bits), -largest, largest)
    return np.where(np.abs(x) < 2.0**lowest, 0, rounded)


@mistake(
    "round_float",
    symptom="One bit of precision is missing: the error is 6 dB too large.",
    cause="The function frexp gives a mantissa from ½ to 1, so its exponent is one higher than that of 1.…·2^e.",
    repair="Subtract one from the exponent of frexp.",
    source="common: C, NumPy and Python share this convention",
)
def exponent_of_frexp(x: FloatArray, mantissa_bits: int, lowest: int, largest: float) -> FloatArray:
    exponent = np.maximum(np.frexp(x)[1], lowest)
    return np.clip(_to_step(x, exponent, mantissa_bits), -largest, largest)


@also(truncation_for_rounding, "round_float")
def mantissa_truncated(x: FloatArray, mantissa_bits: int, lowest: int, largest: float) -> FloatArray:
    step = 2.0 ** (_exponent(x, lowest) - mantissa_bits)
    return np.clip(step * np.trunc(x.astype(np.float64) / step), -largest, largest)


@also(truncation_for_rounding, "round_float")
def mantissa_rounded_down(x: FloatArray, mantissa_bits: int, lowest: int, largest: float) -> FloatArray:
    step = 2.0 ** (_exponent(x, lowest) - mantissa_bits)
    return np.clip(step * np.floor(x.astype(np.float64) / step), -largest, largest)


@mistake(
    "mx_scales",
    symptom="The largest values of a block come back too small, by up to a quarter.",
    cause="The power of two is rounded down, so that the maximum of the block lies beyond the largest element.",
    repair="Round the exponent up, if nothing shall saturate.",
    source="mlx issue 4353; aiter issue 3212; the rule of the OCP MX specification saturates as well",
)
def block_scale_rounded_down(blocks: FloatArray) -> FloatArray:
    return 2.0 ** np.floor(np.log2(_peaks(blocks) / 6))


@also(block_scale_rounded_down, "mx_scales")
def block_scale_of_the_specification(blocks: FloatArray) -> FloatArray:
    return 2.0 ** (np.floor(np.log2(_peaks(blocks))) - 2)


@also(block_scale_rounded_down, "mx_scales")
def block_scale_rounded_to_nearest(blocks: FloatArray) -> FloatArray:
    return 2.0 ** np.rint(np.log2(_peaks(blocks) / 6))


@mistake(
    "mx_scales",
    symptom="Half of the levels stay unused in some blocks, at an error of 6 dB more than necessary.",
    cause="The maximum is compared with a power of two, but the largest element, 6, is larger than that.",
    repair="Round log₂(max/6) up, not log₂(max) − 2.",
    source="the rule “ceil” of torchao",
)
def block_scale_too_wide(blocks: FloatArray) -> FloatArray:
    return 2.0 ** (np.ceil(np.log2(_peaks(blocks))) - 2)


@mistake(
    "mx_scales",
    symptom="The simulation is better than the format: no reader of the file gets the same values.",
    cause="The scale is any real number, but E8M0, in which it is stored, holds powers of two only.",
    repair="Round the scale to a power of two before the values are divided by it.",
    source="common when a scheme with float scales is adapted",
)
def scale_not_a_power_of_two(blocks: FloatArray) -> FloatArray:
    return _peaks(blocks) / 6


@also(block_scale_too_wide, "mx_scales")
def block_scale_one_above_floor(blocks: FloatArray) -> FloatArray:
    return 2.0 ** (np.floor(np.log2(_peaks(blocks) / 6)) + 1)


@mistake(
    "mx_scales",
    symptom="Scales below 1 come out as zero or negative numbers.",
    cause="The exponent e is returned, as the byte of E8M0 stores it (plus 127); the scale is 2^e.",
    repair="Return the scale itself, 2^e.",
    source="common: E8M0 codes are exponents",
)
def exponent_for_scale(blocks: FloatArray) -> FloatArray:
    return np.ceil(np.log2(_peaks(blocks) / 6))


@also(largest_value_for_largest_magnitude, "mx_scales")
def sign_overlooked_in_a_block(blocks: FloatArray) -> FloatArray:
    peaks = np.max(blocks, axis=1).astype(np.float64)
    return 2.0 ** np.ceil(np.log2(np.where(peaks > 0, peaks, 6) / 6))


@also(zero_scale, "mx_scales")
def zero_scale_of_a_block(blocks: FloatArray) -> FloatArray:
    peaks = np.max(np.abs(blocks), axis=1).astype(np.float64)
    with np.errstate(divide="ignore"):
        return 2.0 ** np.ceil(np.log2(peaks / 6))


def _peaks(blocks: FloatArray) -> FloatArray:
    """The largest magnitude of each block, 6 for a block of zeros."""
    peaks = np.max(np.abs(blocks), axis=1).astype(np.float64)
    return np.where(peaks > 0, peaks, 6.0)
