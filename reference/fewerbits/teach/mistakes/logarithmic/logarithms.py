"""Mistakes on the way to the logarithm: in its codes, and in the nearest power of two."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.article import logarithmic_quantization
from fewerbits.teach.mistakes.logarithmic.powers import (
    base_mixed_up,
    no_code_for_zero,
    sign_lost,
    steps_ignored,
    top_in_octaves,
)
from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.mistakes.uniform.codes import clamp_forgotten, truncation_for_rounding
from fewerbits.teach.mistakes.uniform.parameters import levels_per_side, scaled_by_the_negative_end

FloatArray = NDArray[np.floating]
Codes = NDArray[Any]


def _largest_code(bits: int) -> int:
    return 2 ** (bits - 1) - 1


def _exponents(x: FloatArray, steps: int) -> FloatArray:
    """steps·log2|x|, and a very low number for zero."""
    magnitude = np.abs(x.astype(np.float64))
    return np.where(magnitude > 0, steps * np.log2(np.where(magnitude > 0, magnitude, 1)), -1e6)


def _codes(x: FloatArray, exponents: FloatArray, top: int, largest: int, lowest: int = 1) -> Codes:
    return (np.sign(x) * np.clip(exponents - top + largest, lowest, largest)).astype(np.int64)


@mistake(
    "log_quantize",
    symptom="Codes are meaningless: they change with the unit of x, and a thousand values share two of them.",
    cause="The scale, which has the unit of x, serves as the base of the logarithm.",
    repair="Choose a base, such as 2, once and for all; the scale is a level, not a base.",
    source="Introduction to AI Model Quantization, “Non-Uniform Quantization”",
)
def scale_taken_for_the_base(x: FloatArray, top: int, bits: int, steps: int) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return logarithmic_quantization(x, bits)


@also(scale_taken_for_the_base, "log_quantize")
def scale_for_the_base_with_sign_and_zero(x: FloatArray, top: int, bits: int, steps: int) -> FloatArray:
    base = np.max(np.abs(x)) / (2**bits - 1)
    present = x != 0
    with np.errstate(divide="ignore", invalid="ignore"):
        codes = np.rint(np.log(np.abs(np.where(present, x, 1))) / np.log(base))
    return np.where(present, np.sign(x) * codes, 0)


@mistake(
    "log_quantize",
    symptom="One zero in the tensor raises a math domain error, or spreads −∞ and NaN.",
    cause="Zero has no logarithm, and nothing treats it apart.",
    repair="Give zero its own code before a logarithm is taken.",
    source="Introduction to AI Model Quantization, “Non-Uniform Quantization”",
)
def log_of_zero(x: FloatArray, top: int, bits: int, steps: int) -> Codes:
    exponents = np.reshape([steps * math.log2(abs(value)) for value in x.ravel().tolist()], x.shape)
    return _codes(x, np.rint(exponents), top, _largest_code(bits))


@also(no_code_for_zero, "log_quantize")
def zero_on_the_smallest_level(x: FloatArray, top: int, bits: int, steps: int) -> Codes:
    magnitude = np.clip(np.rint(_exponents(x, steps)) - top + _largest_code(bits), 1, _largest_code(bits))
    return np.where(x < 0, -1, 1) * magnitude


@also(no_code_for_zero, "log_quantize")
def zero_on_the_level_of_one(x: FloatArray, top: int, bits: int, steps: int) -> Codes:
    present = np.where(x == 0, 1, x)
    return _codes(present, np.rint(_exponents(present, steps)), top, _largest_code(bits))


@also(sign_lost, "log_quantize")
def codes_without_sign(x: FloatArray, top: int, bits: int, steps: int) -> Codes:
    return _codes(np.abs(x), np.rint(_exponents(x, steps)), top, _largest_code(bits))


@mistake(
    "log_quantize",
    symptom="Every magnitude shrinks, on average to three quarters; the SQNR of base 2 falls by 4 dB.",
    cause="The exponent is that of the power below the value, which need not be the nearest one.",
    repair="Round the logarithm to the nearest integer.",
    source="common where the exponent bits of a float are taken for its logarithm",
)
def floor_of_the_logarithm(x: FloatArray, top: int, bits: int, steps: int) -> Codes:
    return _codes(x, np.floor(_exponents(x, steps)), top, _largest_code(bits))


@mistake(
    "log_quantize",
    symptom="For base 2, values between 1.414 and 1.5 times a level go to the other neighbour.",
    cause="Two neighbours have two midpoints, one of their values and one of their logarithms; the other is asked for.",
    repair="Name the rule: round(log₂|x|) has its midpoint at √2, the nearest value at 1.5.",
    source="Miyashita et al. 2016 round the logarithm; casts to float8_e8m0fnu round the value",
)
def the_other_midpoint(x: FloatArray, top: int, bits: int, steps: int) -> Codes:
    exponents = _exponents(x, steps)
    below = np.floor(exponents)
    upper = 2 * np.exp2(exponents / steps) >= np.exp2(below / steps) + np.exp2((below + 1) / steps)
    return _codes(x, below + upper, top, _largest_code(bits))


@also(truncation_for_rounding, "log_quantize")
def logarithm_cut_off(x: FloatArray, top: int, bits: int, steps: int) -> Codes:
    return _codes(x, np.trunc(_exponents(x, steps)), top, _largest_code(bits))


@also(steps_ignored, "log_quantize")
def octaves_for_steps(x: FloatArray, top: int, bits: int, steps: int) -> Codes:
    return _codes(x, np.rint(_exponents(x, 1)), top, _largest_code(bits))


@also(base_mixed_up, "log_quantize")
def natural_logarithm(x: FloatArray, top: int, bits: int, steps: int) -> Codes:
    return _codes(x, np.rint(_exponents(x, steps) * math.log(2)), top, _largest_code(bits))


@also(base_mixed_up, "log_quantize")
def divided_by_the_steps(x: FloatArray, top: int, bits: int, steps: int) -> Codes:
    return _codes(x, np.rint(_exponents(x, 1) / steps), top, _largest_code(bits))


@mistake(
    "log_quantize",
    symptom="Very small values come back with the opposite sign, and as large ones.",
    cause="The range is applied to the signed code, so that a magnitude below the smallest level passes through zero.",
    repair="Clip the magnitude to 0..P first, then put the sign in front.",
    source="common in first implementations",
)
def clipped_with_its_sign(x: FloatArray, top: int, bits: int, steps: int) -> Codes:
    largest = _largest_code(bits)
    return np.clip(np.sign(x) * (np.rint(_exponents(x, steps)) - top + largest), -largest, largest)


@also(levels_per_side, "log_quantize")
def log_levels_per_side(x: FloatArray, top: int, bits: int, steps: int) -> Codes:
    return _codes(x, np.rint(_exponents(x, steps)), top, 2**bits - 1)


@also(clamp_forgotten, "log_quantize")
def log_clamp_forgotten(x: FloatArray, top: int, bits: int, steps: int) -> Codes:
    magnitude = np.rint(_exponents(x, steps)) - top + _largest_code(bits)
    return np.sign(x) * np.maximum(magnitude, 1)


@also(clamp_forgotten, "log_quantize")
def log_clamp_forgotten_at_both_ends(x: FloatArray, top: int, bits: int, steps: int) -> Codes:
    return np.sign(x) * (np.rint(_exponents(x, steps)) - top + _largest_code(bits))


@also(scaled_by_the_negative_end, "log_quantize")
def log_by_the_negative_end(x: FloatArray, top: int, bits: int, steps: int) -> Codes:
    return _codes(x, np.rint(_exponents(x, steps)), top, 2 ** (bits - 1))


@also(top_in_octaves, "log_quantize")
def codes_of_top_in_octaves(x: FloatArray, top: int, bits: int, steps: int) -> Codes:
    return _codes(x, np.rint(_exponents(x, steps)), steps * top, _largest_code(bits))


@mistake(
    "log_quantize",
    symptom="Base 2 is right; with a finer base only every second or fourth code occurs.",
    cause="The logarithm is rounded to whole octaves first, and the steps between them are gone before they count.",
    repair="Multiply by the steps per octave first, then round.",
    source="common in first implementations",
)
def rounded_before_the_steps(x: FloatArray, top: int, bits: int, steps: int) -> Codes:
    return _codes(x, steps * np.rint(_exponents(x, 1)), top, _largest_code(bits))


@mistake(
    "log_quantize",
    symptom="The smallest values become zero.",
    cause="Values below the smallest level get the code of zero. That is a convention too; another one is asked for.",
    repair="Clip the magnitude to 1..P, not to 0..P, and give only zero the code 0.",
    source='the other of two conventions; `Logarithmic(underflow="zero")`',
)
def underflow_to_zero(x: FloatArray, top: int, bits: int, steps: int) -> Codes:
    return _codes(x, np.rint(_exponents(x, steps)), top, _largest_code(bits), lowest=0)


@also(steps_ignored, "log_quantize")
def the_quantizer_of_base_two(x: FloatArray, top: int, bits: int, steps: int) -> Codes:
    return _codes(x, np.rint(_exponents(x, 1)), top, _largest_code(bits), lowest=0)


@mistake(
    "log_quantize",
    symptom="Right until values, or the unit of x, become very small; then all codes are the same.",
    cause="A small number is added to |x| so that zero has a logarithm; beside it, smaller values vanish.",
    repair="Add nothing: put any number in place of zeros only, and give them their code afterwards.",
    source="common; log(x + 1e-8)",
)
def epsilon_in_the_logarithm(x: FloatArray, top: int, bits: int, steps: int) -> Codes:
    return _codes(x, np.rint(steps * np.log2(np.abs(x) + 1e-9)), top, _largest_code(bits))


def _signed_power(x: FloatArray, exponents: FloatArray) -> FloatArray:
    return np.where(x == 0, 0, np.sign(x) * np.exp2(np.maximum(exponents, -1000)))


@also(the_other_midpoint, "nearest_power")
def rounded_in_the_logarithm(x: FloatArray) -> FloatArray:
    return _signed_power(x, np.rint(_exponents(x, 1)))


@also(floor_of_the_logarithm, "nearest_power")
def power_below(x: FloatArray) -> FloatArray:
    return _signed_power(x, np.floor(_exponents(x, 1)))


@also(sign_lost, "nearest_power")
def power_without_sign(x: FloatArray) -> FloatArray:
    return np.abs(_signed_power(x, np.floor(_exponents(np.abs(x) / 1.5, 1)) + 1))


@also(sign_lost, "nearest_power")
def power_without_sign_and_zero(x: FloatArray) -> FloatArray:
    return np.where(x == 0, 1, power_without_sign(x))


@also(log_of_zero, "nearest_power")
def power_of_zero(x: FloatArray) -> FloatArray:
    below = np.reshape([math.floor(math.log2(abs(value))) for value in x.ravel().tolist()], x.shape)
    return _signed_power(x, below + (np.abs(x) >= 1.5 * np.exp2(below)))
