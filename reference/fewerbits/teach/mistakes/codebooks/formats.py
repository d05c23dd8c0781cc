"""Mistakes with small floats and with blocks that share a scale."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.mistakes.uniform.codes import clamp_forgotten, subtraction_in_the_code_type
from fewerbits.teach.mistakes.uniform.parameters import largest_value_for_largest_magnitude, zero_scale

FloatArray = NDArray[np.floating]
Codes = NDArray[Any]


def _exponent(x: FloatArray, lowest: int = -6) -> Codes:
    """The power of two at or below |x|, at least `lowest`."""
    return np.maximum(np.frexp(x)[1] - 1, lowest)


def _to_step(x: FloatArray, exponent: Codes) -> FloatArray:
    step = 2.0 ** (exponent - 3)
    return step * np.rint(x.astype(np.float64) / step)


@mistake(
    "round_e4m3",
    symptom="One large value, and then whole rows of NaN: every sum that it enters is NaN.",
    cause="Values beyond the largest become NaN, as a plain cast makes them: E4M3 has no infinity.",
    repair="Saturate: clip to −448..448.",
    source="ml_dtypes float8_e4m3fn; OCP 8-bit Floating Point Specification 1.0, section 5.2, allows both",
)
def overflow_to_nan(x: FloatArray) -> FloatArray:
    rounded = _to_step(x, _exponent(x))
    return np.where(np.abs(rounded) > 448, np.nan, rounded)


@mistake(
    "round_e4m3",
    symptom="Values such as 480 or 1024 come back, for which eight bits have no code.",
    cause="The mantissa is rounded, but nothing keeps the exponent in the range that four bits have.",
    repair="Saturate: clip to −448..448.",
    source="common in simulations of small floats",
)
def largest_value_forgotten(x: FloatArray) -> FloatArray:
    return _to_step(x, _exponent(x))


@mistake(
    "round_e4m3",
    symptom="Large values saturate at 480 instead of 448.",
    cause="The code with all ones is counted as a number; in E4M3 it is the NaN.",
    repair="The largest value has the mantissa 110: 1.75 · 2⁸ = 448.",
    source="OCP 8-bit Floating Point Specification 1.0, table 2",
)
def nan_code_counted_as_a_value(x: FloatArray) -> FloatArray:
    return np.clip(_to_step(x, _exponent(x)), -480, 480)


@mistake(
    "round_e4m3",
    symptom="Small values keep a precision that they cannot have; nothing ever becomes zero.",
    cause="The exponent goes on falling below −6, where the codes of E4M3 end.",
    repair="Keep the exponent at −6 for all smaller values: there the subnormals have equal steps of 2⁻⁹.",
    source="common in simulations of small floats",
)
def exponent_without_end(x: FloatArray) -> FloatArray:
    return np.clip(_to_step(x, _exponent(x, lowest=-200)), -448, 448)


@mistake(
    "round_e4m3",
    symptom="All values below 2⁻⁶ become zero.",
    cause="Only normal numbers are known; below the smallest of them the format has seven more values.",
    repair="Round values below 2⁻⁶ to multiples of 2⁻⁹.",
    source="“flush to zero” of some hardware and simulations",
)
def subnormals_flushed(x: FloatArray) -> FloatArray:
    rounded = np.clip(_to_step(x, _exponent(x)), -448, 448)
    return np.where(np.abs(rounded) < 2.0**-6, 0, rounded)


@mistake(
    "round_e4m3",
    symptom="One bit of precision is missing: the error is 6 dB too large.",
    cause="The function frexp gives a mantissa from ½ to 1, so its exponent is one higher than that of 1.…·2^e.",
    repair="Subtract one from the exponent of frexp.",
    source="common: C, NumPy and Python share this convention",
)
def exponent_of_frexp(x: FloatArray) -> FloatArray:
    return np.clip(_to_step(x, np.maximum(np.frexp(x)[1], -6)), -448, 448)


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


def _peak(block: FloatArray) -> float:
    return float(block[np.argmax(np.abs(block))])


def _codes(block: FloatArray, scale: float) -> Codes:
    return np.clip(np.rint(block / scale), -8, 7).astype(np.int32) if scale else np.zeros(block.shape, np.int32)


@mistake(
    "q4_0",
    symptom="In half of the blocks the largest value comes back an eighth too small.",
    cause="The scale is made of the magnitude alone, so that a positive maximum would need the code +8.",
    repair="Keep the sign: the scale is the value of largest magnitude, divided by −8.",
    source="ggml, quantize_row_q4_0_ref, does it with the sign",
    shows_in="scale",
)
def block_scale_without_sign(block: FloatArray) -> tuple[float, Codes]:
    scale = abs(_peak(block)) / 8
    return scale, _codes(block, scale)


@mistake(
    "q4_0",
    symptom="The largest value of every block comes back an eighth too small, and code −8 never stands for it.",
    cause="The value of largest magnitude is sent to +8, a code that does not exist, and is clamped to 7.",
    repair="Divide it by −8, not by 8.",
    source="common when the format is reimplemented",
    shows_in="scale",
)
def peak_on_the_missing_code(block: FloatArray) -> tuple[float, Codes]:
    scale = _peak(block) / 8
    return scale, _codes(block, scale)


@mistake(
    "q4_0",
    symptom="Fifteen of the sixteen codes are used; the step is an eighth wider than that of the format.",
    cause="The range is symmetric, so that the code −8 stands for nothing.",
    repair="Let the largest magnitude have the code −8, by a scale of either sign.",
    source="common when a symmetric int4 quantizer is adapted",
    shows_in="scale",
)
def minus_eight_unused(block: FloatArray) -> tuple[float, Codes]:
    scale = abs(_peak(block)) / 7
    return scale, _codes(block, scale)


@also(clamp_forgotten, "q4_0")
def plus_eight_in_a_block(block: FloatArray) -> tuple[float, Codes]:
    scale = _peak(block) / -8
    return scale, np.rint(block / (scale or 1.0)).astype(np.int32)


@also(zero_scale, "q4_0")
def zero_scale_in_a_block(block: FloatArray) -> tuple[float, FloatArray]:
    scale = _peak(block) / -8
    with np.errstate(invalid="ignore"):
        return scale, np.clip(np.rint(block / np.float64(scale)), -8, 7)


@mistake(
    "unpack_q4_0",
    symptom="All values are there, but the two halves of each block have changed places.",
    cause="The high nibble of a byte is taken for the first value.",
    repair="The low nibble, byte & 15, comes first.",
    source="common; the order of nibbles differs between formats and engines",
)
def nibbles_swapped(packed: Codes) -> Codes:
    return np.concatenate([packed >> 4, packed & 15]).astype(np.int32) - 8


@mistake(
    "unpack_q4_0",
    symptom="All values are there, but not in their places: neighbours come from the two halves of the block.",
    cause="The two codes of a byte are taken for neighbours, as ONNX stores them.",
    repair="All low nibbles come first, then all high ones.",
    source="ONNX against ggml: the same bits in another order",
)
def nibbles_interleaved(packed: Codes) -> Codes:
    return np.stack([packed & 15, packed >> 4], axis=-1).ravel().astype(np.int32) - 8


@mistake(
    "unpack_q4_0",
    symptom="All values have the sign of the scale.",
    cause="The codes are stored without a sign, 0..15; what was added to them is not taken off again.",
    repair="Subtract 8 from every code.",
    source="common; vllm issue 38966 has the like for stored zero points",
)
def offset_forgotten(packed: Codes) -> Codes:
    return np.concatenate([packed & 15, packed >> 4]).astype(np.int32)


@mistake(
    "unpack_q4_0",
    symptom="Small codes come back with a large magnitude and large ones as small ones.",
    cause="The nibbles are read as two's complement; this format stores code + 8.",
    repair="Subtract 8 from all of them.",
    source="common: ONNX INT4 is two's complement, Q4_0 is not",
)
def twos_complement_for_offset(packed: Codes) -> Codes:
    nibbles = np.concatenate([packed & 15, packed >> 4]).astype(np.int32)
    return np.where(nibbles > 7, nibbles - 16, nibbles)


@also(subtraction_in_the_code_type, "unpack_q4_0")
def offset_subtracted_in_uint8(packed: Codes) -> Codes:
    return np.concatenate([packed & 15, packed >> 4]).astype(np.uint8) - np.uint8(8)
