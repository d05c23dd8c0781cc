"""Mistakes in rounding a float32 pattern to bfloat16."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.record import also, mistake

Codes = NDArray[Any]


def _rounded(patterns: Codes) -> Codes:
    wide = patterns.astype(np.int64)
    return (wide + 0x7FFF + (wide >> 16) % 2) >> 16


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
    symptom="Nearly all patterns are right; exact ties end in a 1.",
    cause="The neighbours at a tie are told apart by the last bit, but the other one is taken.",
    repair="At a tie go up only if the pattern that stays is odd; then the result is even.",
    source="common in first implementations",
)
def bfloat16_ties_to_odd(patterns: Codes) -> Codes:
    kept, rest = patterns >> 16, patterns % 2**16
    return kept + ((rest > 2**15) | ((rest == 2**15) & (kept % 2 == 0)))


@mistake(
    "to_bfloat16",
    symptom="Numbers of 32 bits with zeros at the end, or floats, where 16 bits were asked for.",
    cause="What is returned is still a float32, or its pattern; asked for are its 16 upper bits, as a number to 65535.",
    repair="Leave out the last step: no shift back, no view as float32.",
    source="common where formats are simulated in float32",
)
def still_a_float32(patterns: Codes) -> Codes:
    return patterns >> 16 << 16


@also(still_a_float32, "to_bfloat16")
def still_a_float32_rounded(patterns: Codes) -> Codes:
    rounded: Codes = _rounded(patterns) << 16
    return rounded


@also(still_a_float32, "to_bfloat16")
def value_of_what_is_cut(patterns: Codes) -> Codes:
    return (patterns >> 16 << 16).astype(np.uint32).view(np.float32)


@also(still_a_float32, "to_bfloat16")
def value_of_what_is_rounded(patterns: Codes) -> Codes:
    return (_rounded(patterns) << 16).astype(np.uint32).view(np.float32)


@mistake(
    "to_bfloat16",
    symptom="Values beyond the largest bfloat16 become the largest, not infinity.",
    cause="The conversion saturates: what is beyond the largest value is made the largest.",
    repair="Let the carry go on into the exponent, or ask the function that you call for infinity.",
    source="ONNX Cast to FP8 saturates by default; IEEE 754 conversions do not",
)
def bfloat16_saturated(patterns: Codes) -> Codes:
    rounded = _rounded(patterns)
    return np.where(rounded % 2**15 == 0x7F80, rounded - 1, rounded)


@mistake(
    "to_bfloat16",
    symptom="Positive values are right, negative ones have negative patterns.",
    cause="The patterns are read as int16, in which one that starts with 1 is a negative number.",
    repair="Return them as uint16, from 0 to 65535.",
    source="PyTorch's bfloat16 tensors are viewed as int16",
)
def patterns_with_a_sign(patterns: Codes) -> Codes:
    return _rounded(patterns).astype(np.uint16).view(np.int16)


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
