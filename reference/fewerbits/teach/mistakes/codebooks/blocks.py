"""Mistakes with blocks of integers that share a scale: Q4_0 and its like, made and read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.mistakes.uniform.codes import (
    clamp_forgotten,
    scale_forgotten,
    subtraction_in_the_code_type,
    truncation_for_rounding,
)
from fewerbits.teach.mistakes.uniform.parameters import zero_scale

FloatArray = NDArray[np.floating]
Codes = NDArray[Any]


def _peak(block: FloatArray) -> float:
    return float(block[np.argmax(np.abs(block))])


def _codes(block: FloatArray, scale: float, bits: int) -> Codes:
    half = 2 ** (bits - 1)
    return (
        np.clip(np.rint(block / scale), -half, half - 1).astype(np.int32) if scale else np.zeros(block.shape, np.int32)
    )


@mistake(
    "signed_block",
    symptom="In half of the blocks the largest value comes back a whole step too small.",
    cause="The scale is made of the magnitude alone, so that a positive maximum would need a code that does not exist.",
    repair="Keep the sign: the scale is the value of largest magnitude, divided by the most negative code.",
    source="ggml, quantize_row_q4_0_ref, does it with the sign",
    shows_in="scale",
)
def block_scale_without_sign(block: FloatArray, bits: int) -> tuple[float, Codes]:
    scale = abs(_peak(block)) / 2 ** (bits - 1)
    return scale, _codes(block, scale, bits)


@mistake(
    "signed_block",
    symptom="The largest value of every block comes back a step too small; the most negative code never stands for it.",
    cause="The value of largest magnitude is sent to a positive code that does not exist, and is clamped.",
    repair="Divide it by the most negative code: by −8, not by 8.",
    source="common when the format is reimplemented",
    shows_in="scale",
)
def peak_on_the_missing_code(block: FloatArray, bits: int) -> tuple[float, Codes]:
    scale = _peak(block) / 2 ** (bits - 1)
    return scale, _codes(block, scale, bits)


@mistake(
    "signed_block",
    symptom="Fifteen of sixteen codes are used; the step is an eighth wider than that of the format.",
    cause="The range is symmetric, so that the most negative code stands for nothing.",
    repair="Let the largest magnitude have the most negative code, by a scale of either sign.",
    source="common when a symmetric int4 quantizer is adapted",
    shows_in="scale",
)
def most_negative_code_unused(block: FloatArray, bits: int) -> tuple[float, Codes]:
    scale = abs(_peak(block)) / (2 ** (bits - 1) - 1)
    return scale, _codes(block, scale, bits)


@mistake(
    "signed_block",
    symptom="Right with 4 bits; with 5 the codes stop half-way, with 3 they do not fit.",
    cause="The codes of 4 bits, −8 … 7, are written into the function.",
    repair="Take −2^(bits−1) … 2^(bits−1) − 1.",
    source="common where a function for one format is adapted",
)
def bits_ignored(block: FloatArray, bits: int) -> tuple[float, Codes]:
    scale = _peak(block) / -8
    return scale, _codes(block, scale, 4)


@also(bits_ignored, "signed_block")
def ends_of_four_bits(block: FloatArray, bits: int) -> tuple[float, Codes]:
    scale = _peak(block) / -(2 ** (bits - 1))
    return scale, _codes(block, scale, 4)


@also(bits_ignored, "signed_block")
def scale_of_four_bits(block: FloatArray, bits: int) -> tuple[float, Codes]:
    scale = _peak(block) / -8
    return scale, _codes(block, scale, bits)


@mistake(
    "signed_block",
    symptom="The codes are those of the file, 0 and up; with the scale they give no value back.",
    cause="The offset with which the file stores the codes is added, but x̂ = scale · code asks for signed ones.",
    repair="Leave the codes signed; add the offset when they are packed.",
    source="common: ggml computes the stored code in one expression",
)
def stored_codes_for_signed_ones(block: FloatArray, bits: int) -> tuple[float, Codes]:
    half = 2 ** (bits - 1)
    scale = _peak(block) / -half
    return scale, _codes(block, scale, bits) + half


@also(clamp_forgotten, "signed_block")
def missing_code_in_a_block(block: FloatArray, bits: int) -> tuple[float, Codes]:
    scale = _peak(block) / -(2 ** (bits - 1))
    return scale, np.rint(block / (scale or 1.0)).astype(np.int32)


@also(truncation_for_rounding, "signed_block")
def truncated_codes_in_a_block(block: FloatArray, bits: int) -> tuple[float, Codes]:
    half = 2 ** (bits - 1)
    scale = _peak(block) / -half
    return scale, np.clip(np.trunc(block / (scale or 1.0)), -half, half - 1).astype(np.int32)


@also(zero_scale, "signed_block")
def zero_scale_in_a_block(block: FloatArray, bits: int) -> tuple[float, FloatArray]:
    half = 2 ** (bits - 1)
    scale = _peak(block) / -half
    with np.errstate(invalid="ignore"):
        return scale, np.clip(np.rint(block / np.float64(scale)), -half, half - 1)


@also(zero_scale, "signed_block")
def zero_scale_and_whole_numbers(block: FloatArray, bits: int) -> tuple[float, Codes]:
    """NaN as a 64-bit integer, as x86 converts it."""
    scale, codes = zero_scale_in_a_block(block, bits)
    return scale, np.where(np.isnan(codes), np.iinfo(np.int64).min, np.nan_to_num(codes).astype(np.int64))


@also(zero_scale, "signed_block")
def zero_scale_and_short_numbers(block: FloatArray, bits: int) -> tuple[float, Codes]:
    scale, codes = zero_scale_in_a_block(block, bits)
    return scale, np.where(np.isnan(codes), np.iinfo(np.int32).min, np.nan_to_num(codes).astype(np.int64))


def _scale_of(stored: Codes, kind: str = "<f2") -> float:
    return float(stored[:2].view(kind)[0])


@mistake(
    "read_q4_0",
    symptom="All values are there, but the two halves of each block have changed places.",
    cause="The high nibble of a byte is taken for the first value.",
    repair="The low nibble, byte & 15, comes first.",
    source="common; the order of nibbles differs between formats and engines",
)
def nibbles_swapped(stored: Codes) -> FloatArray:
    packed = stored[2:]
    return _scale_of(stored) * (np.concatenate([packed >> 4, packed & 15]).astype(np.int32) - 8)


@mistake(
    "read_q4_0",
    symptom="All values are there, but not in their places: neighbours come from the two halves of the block.",
    cause="The two codes of a byte are taken for neighbours, as ONNX stores them.",
    repair="All low nibbles come first, then all high ones.",
    source="ONNX against ggml: the same bits in another order",
)
def nibbles_interleaved(stored: Codes) -> FloatArray:
    packed = stored[2:]
    return _scale_of(stored) * (np.stack([packed & 15, packed >> 4], axis=-1).ravel().astype(np.int32) - 8)


@mistake(
    "read_q4_0",
    symptom="The second half of each block comes back about sixteen times too large.",
    cause="The high four bits are masked, but stay where they are in the byte: 0xA0 is 160, not 10.",
    repair="Shift them down by four bits.",
    source="common where bits are unpacked by masks",
)
def high_nibble_not_shifted(stored: Codes) -> FloatArray:
    packed = stored[2:]
    return _scale_of(stored) * (np.concatenate([packed & 15, packed & 240]).astype(np.int32) - 8)


@mistake(
    "read_q4_0",
    symptom="All values have the sign of the scale.",
    cause="The codes are stored without a sign, 0..15; what was added to them is not taken off again.",
    repair="Subtract 8 from every code.",
    source="common; vllm issue 38966 has the like for stored zero points",
)
def offset_forgotten(stored: Codes) -> FloatArray:
    packed = stored[2:]
    return _scale_of(stored) * np.concatenate([packed & 15, packed >> 4]).astype(np.int32)


@mistake(
    "read_q4_0",
    symptom="Small codes come back with a large magnitude and large ones as small ones.",
    cause="The nibbles are read as two's complement; this format stores code + 8.",
    repair="Subtract 8 from all of them.",
    source="common: ONNX INT4 is two's complement, Q4_0 is not",
)
def twos_complement_for_offset(stored: Codes) -> FloatArray:
    nibbles = np.concatenate([stored[2:] & 15, stored[2:] >> 4]).astype(np.int32)
    return _scale_of(stored) * np.where(nibbles > 7, nibbles - 16, nibbles)


@mistake(
    "read_q4_0",
    symptom="The values are far too large, by thousands, or denormally small.",
    cause="The two bytes of d are read as an integer, or in the wrong order; they are one float16, low byte first.",
    repair="Read them with the type '<f2', as `stored[:2].view('<f2')` does.",
    source="common when a file format is read by hand",
)
def scale_read_as_an_integer(stored: Codes) -> FloatArray:
    packed = stored[2:]
    return _scale_of(stored, "<u2") * (np.concatenate([packed & 15, packed >> 4]).astype(np.float64) - 8)


@also(scale_read_as_an_integer, "read_q4_0")
def scale_with_its_bytes_swapped(stored: Codes) -> FloatArray:
    packed = stored[2:]
    return _scale_of(stored, ">f2") * (np.concatenate([packed & 15, packed >> 4]).astype(np.float64) - 8)


@also(scale_forgotten, "read_q4_0")
def codes_without_their_scale(stored: Codes) -> FloatArray:
    packed = stored[2:]
    return np.concatenate([packed & 15, packed >> 4]).astype(np.float64) - 8


@also(subtraction_in_the_code_type, "read_q4_0")
def offset_subtracted_in_uint8(stored: Codes) -> FloatArray:
    packed = stored[2:]
    return _scale_of(stored) * (np.concatenate([packed & 15, packed >> 4]).astype(np.uint8) - np.uint8(8))
