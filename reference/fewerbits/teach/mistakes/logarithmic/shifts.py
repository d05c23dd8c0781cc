"""Mistakes in sums of shifts, and in levels for values that span many octaves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.logarithmic.powers import no_code_for_zero, sign_lost
from fewerbits.teach.mistakes.record import also, mistake

FloatArray = NDArray[np.floating]
Codes = NDArray[Any]


def _sum(codes: Codes, shifted: Codes) -> int:
    return int(np.sum(np.sign(codes.astype(int)) * shifted))


def _eight_bits(values: Any) -> Any:
    """What int8 keeps of whole numbers."""
    return (values + 128) % 256 - 128


@mistake(
    "shift_sum",
    symptom="Sums of large activations are wrong by multiples of 256 or 65,536, small ones are right.",
    cause="The shift is computed in the narrow type of the activations, where the upper bits fall off.",
    repair="Convert to a wide integer type before shifting.",
    source="NumPy and C keep the type of a shifted array",
)
def shifted_in_a_narrow_type(codes: Codes, activations: Codes) -> int:
    shifted = activations.astype(np.int64) << np.maximum(np.abs(codes.astype(int)) - 1, 0)
    return _sum(codes, _eight_bits(shifted))


@also(shifted_in_a_narrow_type, "shift_sum")
def summed_in_a_narrow_type_too(codes: Codes, activations: Codes) -> int:
    shifted = activations.astype(np.int64) << np.maximum(np.abs(codes.astype(int)) - 1, 0)
    return int(_eight_bits(_sum(codes, shifted)))


@also(shifted_in_a_narrow_type, "shift_sum")
def signed_in_a_narrow_type_too(codes: Codes, activations: Codes) -> int:
    shifted = activations.astype(np.int64) << np.maximum(np.abs(codes.astype(int)) - 1, 0)
    return int(np.sum(_eight_bits(np.sign(codes.astype(int)) * shifted)))


@also(shifted_in_a_narrow_type, "shift_sum")
def shifted_in_sixteen_bits(codes: Codes, activations: Codes) -> int:
    shifted = activations.astype(np.int64) << np.maximum(np.abs(codes.astype(int)) - 1, 0)
    return _sum(codes, shifted.astype(np.int16).astype(np.int64))


@also(shifted_in_a_narrow_type, "shift_sum")
def signed_in_sixteen_bits_too(codes: Codes, activations: Codes) -> int:
    shifted = activations.astype(np.int64) << np.maximum(np.abs(codes.astype(int)) - 1, 0)
    return int(np.sum((np.sign(codes.astype(int)) * shifted).astype(np.int16), dtype=np.int64))


@also(shifted_in_a_narrow_type, "shift_sum")
def summed_in_sixteen_bits_too(codes: Codes, activations: Codes) -> int:
    shifted = activations.astype(np.int64) << np.maximum(np.abs(codes.astype(int)) - 1, 0)
    return int(np.int64(_sum(codes, shifted)).astype(np.int16))


@mistake(
    "shift_sum",
    symptom="All sums are exactly twice as large.",
    cause="The places are counted from 0, but the smallest level has the code 1.",
    repair="Shift by |c| − 1.",
    source="common in first implementations",
)
def shifted_one_too_far(codes: Codes, activations: Codes) -> int:
    return _sum(codes, activations.astype(int) << np.abs(codes.astype(int)))


@also(no_code_for_zero, "shift_sum")
def zero_shifted_by_nothing(codes: Codes, activations: Codes) -> int:
    shifted = activations.astype(int) << np.maximum(np.abs(codes.astype(int)) - 1, 0)
    return int(np.sum(np.where(codes < 0, -1, 1) * shifted))


@also(sign_lost, "shift_sum")
def shifts_without_sign(codes: Codes, activations: Codes) -> int:
    return _sum(np.abs(codes), activations.astype(int) << np.maximum(np.abs(codes.astype(int)) - 1, 0))


@mistake(
    "gradient_levels",
    symptom="Most small values become zero; more bits help only by halves.",
    cause="The levels have equal distances, while the values span many octaves.",
    repair="Let the distances grow with the value: levels of a geometric series, of both signs, and zero.",
    source="Chmiel et al. 2021, “Logarithmic Unbiased Quantization”: gradients need it",
)
def equal_steps_over_many_octaves(gradient: FloatArray) -> FloatArray:
    peak = np.max(np.abs(gradient))
    return np.linspace(-peak, peak, 63)


@also(equal_steps_over_many_octaves, "gradient_levels")
def equal_steps_from_end_to_end(gradient: FloatArray) -> FloatArray:
    return np.linspace(gradient.min(), gradient.max(), 64)


def _series(gradient: FloatArray, count: int, ratio: float = math.sqrt(2)) -> FloatArray:
    return np.max(np.abs(gradient)) * ratio ** -np.arange(count, dtype=float)


@also(sign_lost, "gradient_levels")
def positive_levels_only(gradient: FloatArray) -> FloatArray:
    return np.append(_series(gradient, 31), 0)


@also(no_code_for_zero, "gradient_levels")
def levels_without_zero(gradient: FloatArray) -> FloatArray:
    return np.concatenate((_series(gradient, 32), -_series(gradient, 32)))
