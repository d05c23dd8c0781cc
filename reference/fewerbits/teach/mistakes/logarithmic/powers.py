"""Mistakes with powers: on the way back from the logarithm."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.mistakes.uniform.parameters import levels_per_side

FloatArray = NDArray[np.floating]
Codes = NDArray[Any]


def _largest_code(bits: int) -> int:
    return 2 ** (bits - 1) - 1


def _powers(codes: Codes, top: int, bits: int, steps: int) -> FloatArray:
    """2^((top − P + |c|)/steps), of code 0 too."""
    return np.exp2((top - _largest_code(bits) + np.abs(codes.astype(int))) / steps)


@mistake(
    "log_dequantize",
    symptom="Values are far too small or too large, and the more so the farther they lie from 1.",
    cause="The codes count exponents of one base and are read as those of another.",
    repair="Keep the base with the codes, and use the same one both ways: 2^(1/k) for k steps per octave.",
    source="common; FQ-ViT issue 13 asks which base its codes have",
)
def base_mixed_up(codes: Codes, top: int, bits: int, steps: int) -> FloatArray:
    return np.sign(codes) * np.exp((top - _largest_code(bits) + np.abs(codes.astype(int))) / steps)


@also(base_mixed_up, "log_dequantize")
def codes_in_octaves_below_the_top(codes: Codes, top: int, bits: int, steps: int) -> FloatArray:
    return np.sign(codes) * np.exp2(top / steps - _largest_code(bits) + np.abs(codes.astype(int)))


@mistake(
    "log_dequantize",
    symptom="Base 2 is right; a finer base gives the levels, or the codes, of base 2.",
    cause="The number of steps per octave does not enter: every step counts as a whole octave.",
    repair="A step is 1/k octave: multiply the logarithm by k one way, divide the exponent by k the other way.",
    source="common where code for base 2 is taken over",
)
def steps_ignored(codes: Codes, top: int, bits: int, steps: int) -> FloatArray:
    return np.sign(codes) * _powers(codes, top, bits, 1)


@mistake(
    "log_dequantize",
    symptom="Zeros come back as small numbers, so that sparse tensors and padding are no longer zero.",
    cause="No code stands for zero: it shares one with a level, or is treated like one.",
    repair="Reserve a code for zero, and treat it apart both ways.",
    source="PocketFlow issue 215",
)
def no_code_for_zero(codes: Codes, top: int, bits: int, steps: int) -> FloatArray:
    return np.where(codes < 0, -1, 1) * _powers(codes, top, bits, steps)


@mistake(
    "log_dequantize",
    symptom="All values come back positive.",
    cause="A logarithm, and a power, knows magnitudes only; the sign was dropped and is not put back.",
    repair="Carry the sign beside the magnitude: multiply by sign(x), or by the sign of the code.",
    source="Introduction to AI Model Quantization, “Non-Uniform Quantization”",
)
def sign_lost(codes: Codes, top: int, bits: int, steps: int) -> FloatArray:
    return np.abs(np.sign(codes)) * _powers(codes, top, bits, steps)


@also(sign_lost, "log_dequantize")
def sign_and_zero_lost(codes: Codes, top: int, bits: int, steps: int) -> FloatArray:
    return _powers(codes, top, bits, steps)


@mistake(
    "log_dequantize",
    symptom="Positive values are right; negative ones have the right sign and far too small a magnitude.",
    cause="The signed code stands in the exponent, where a negative code means a small power, not a negative value.",
    repair="Use the code's magnitude in the exponent, and its sign in front.",
    source="common in first implementations",
)
def sign_in_the_exponent(codes: Codes, top: int, bits: int, steps: int) -> FloatArray:
    return np.sign(codes) * np.exp2((top - _largest_code(bits) + codes.astype(int)) / steps)


@mistake(
    "log_dequantize",
    symptom="With several steps per octave all values are off by one factor; base 2 and top = 0 are right.",
    cause="Codes count steps, but top is taken in octaves: the two are added in different units.",
    repair="Keep top in steps too, and divide the whole exponent by the steps per octave.",
    source="common in first implementations",
)
def top_in_octaves(codes: Codes, top: int, bits: int, steps: int) -> FloatArray:
    return np.sign(codes) * np.exp2(top + (np.abs(codes.astype(int)) - _largest_code(bits)) / steps)


@mistake(
    "log_dequantize",
    symptom="Right with few bits; with 8 an OverflowError, or the smallest values come back enormous.",
    cause="The codes are int8, and so is the exponent made of them: it cannot leave −128..127.",
    repair="Convert the codes to a wider type before the first sum.",
    source="NumPy 2 keeps int8 when a Python int is added (NEP 50)",
)
def exponent_in_the_code_type(codes: Codes, top: int, bits: int, steps: int) -> FloatArray:
    return np.sign(codes) * 2.0 ** ((top - _largest_code(bits) + np.abs(codes)) / steps)


@also(exponent_in_the_code_type, "log_dequantize")
def exponent_wrapped_in_the_code_type(codes: Codes, top: int, bits: int, steps: int) -> FloatArray:
    return np.sign(codes) * 2.0 ** ((np.abs(codes) - _largest_code(bits) + top) / steps)


@also(levels_per_side, "log_dequantize")
def values_of_levels_per_side(codes: Codes, top: int, bits: int, steps: int) -> FloatArray:
    return np.sign(codes) * np.exp2((top - (2**bits - 1) + np.abs(codes.astype(int))) / steps)
