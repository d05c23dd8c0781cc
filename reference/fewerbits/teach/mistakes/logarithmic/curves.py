"""Mistakes in companding."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.logarithmic.powers import sign_lost
from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.mistakes.uniform.codes import truncation_for_rounding
from fewerbits.teach.mistakes.uniform.parameters import (
    largest_value_for_largest_magnitude,
    levels_per_side,
    scaled_by_the_negative_end,
    zero_scale,
)

FloatArray = NDArray[np.floating]


def _compressed(x: FloatArray, mu: float) -> tuple[float, FloatArray]:
    """The largest magnitude, and the compressed magnitudes in 0..1."""
    scale = float(np.max(np.abs(x))) or 1.0
    return scale, np.log1p(mu * np.abs(x) / scale) / math.log1p(mu)


def _rounded(u: FloatArray, bits: int) -> FloatArray:
    steps = 2 ** (bits - 1) - 1
    return np.rint(u * steps) / steps


def _expanded(u: FloatArray, mu: float) -> FloatArray:
    return np.expm1(u * math.log1p(mu)) / mu


@mistake(
    "mu_law",
    symptom="Small values come back much too large: the tensor looks loud all over.",
    cause="The values are compressed and rounded, and never expanded again.",
    repair="Undo the curve on the way back: x̂ = s·((1 + µ)^y − 1)/µ.",
    source="common in first implementations",
)
def not_expanded(x: FloatArray, bits: int, mu: float) -> FloatArray:
    scale, compressed = _compressed(x, mu)
    return scale * np.sign(x) * _rounded(compressed, bits)


@mistake(
    "mu_law",
    symptom="The result is the same as with equal steps: small values die, and the strength of the curve is no matter.",
    cause="The values are rounded before the curve and not after it; curve and inverse then cancel.",
    repair="Compress first, round the compressed values, then expand.",
    source="common in first implementations",
)
def rounded_before_the_curve(x: FloatArray, bits: int, mu: float) -> FloatArray:
    scale = _compressed(x, mu)[0]
    return scale * np.sign(x) * _rounded(np.abs(x) / scale, bits)


@mistake(
    "mu_law",
    symptom="Every value is too large by max|x|/µ, and zero is no longer zero.",
    cause="The way back is not the inverse of the way there: the 1 that was added inside the logarithm is not removed.",
    repair="Subtract it again: (1 + µ)^y − 1, or expm1.",
    source="common in first implementations",
)
def one_left_in_the_inverse(x: FloatArray, bits: int, mu: float) -> FloatArray:
    scale, compressed = _compressed(x, mu)
    return scale * np.sign(x) * np.exp(_rounded(compressed, bits) * math.log1p(mu)) / mu


@also(one_left_in_the_inverse, "mu_law")
def one_left_at_zero_too(x: FloatArray, bits: int, mu: float) -> FloatArray:
    scale, compressed = _compressed(x, mu)
    return scale * np.where(x < 0, -1, 1) * np.exp(_rounded(compressed, bits) * math.log1p(mu)) / mu


@also(sign_lost, "mu_law")
def mu_law_without_sign(x: FloatArray, bits: int, mu: float) -> FloatArray:
    scale, compressed = _compressed(x, mu)
    return scale * _expanded(_rounded(compressed, bits), mu)


@also(levels_per_side, "mu_law")
def mu_law_levels_per_side(x: FloatArray, bits: int, mu: float) -> FloatArray:
    scale, compressed = _compressed(x, mu)
    return scale * np.sign(x) * _expanded(_rounded(compressed, bits + 1), mu)


@also(zero_scale, "mu_law")
def mu_law_of_zeros(x: FloatArray, bits: int, mu: float) -> FloatArray:
    scale = np.max(np.abs(x))
    with np.errstate(invalid="ignore"):
        compressed = np.log1p(mu * np.abs(x) / scale) / math.log1p(mu)
    return scale * np.sign(x) * _expanded(_rounded(compressed, bits), mu)


@mistake(
    "mu_law",
    symptom="Even the largest value comes back too small, and the more so the smaller µ is.",
    cause="The inverse is that of a logarithm of µu; the 1 that was added inside is missing from the base.",
    repair="The base of the power is 1 + µ: (1 + µ)^y − 1, divided by µ.",
    source="common in first implementations",
)
def power_of_mu_alone(x: FloatArray, bits: int, mu: float) -> FloatArray:
    scale, compressed = _compressed(x, mu)
    return scale * np.sign(x) * (mu ** _rounded(compressed, bits) - 1) / mu


@mistake(
    "mu_law",
    symptom="Right for µ = 255 and wrong for every other strength.",
    cause="The telephone's constant stands in the code, and the argument is not used.",
    repair="Use the argument in both directions.",
    source="common in first implementations",
)
def mu_of_the_telephone(x: FloatArray, bits: int, mu: float) -> FloatArray:
    scale, compressed = _compressed(x, 255.0)
    return scale * np.sign(x) * _expanded(_rounded(compressed, bits), 255.0)


@mistake(
    "mu_law",
    symptom="Everything comes back between −1 and 1.",
    cause="The values were divided by the largest magnitude on the way there, and it is missing on the way back.",
    repair="Multiply by max|x| at the end.",
    source="common in first implementations",
)
def unit_not_restored(x: FloatArray, bits: int, mu: float) -> FloatArray:
    return np.sign(x) * _expanded(_rounded(_compressed(x, mu)[1], bits), mu)


@mistake(
    "mu_law",
    symptom="The values come back enormous, by many powers of ten.",
    cause="The curve is undone for the code 0..P as if it were the compressed value 0..1.",
    repair="Divide the rounded code by P before you expand it.",
    source="common in first implementations",
)
def codes_expanded_undivided(x: FloatArray, bits: int, mu: float) -> FloatArray:
    scale, compressed = _compressed(x, mu)
    with np.errstate(over="ignore"):
        return scale * np.sign(x) * _expanded(np.rint(compressed * (2 ** (bits - 1) - 1)), mu)


@also(codes_expanded_undivided, "mu_law")
def codes_expanded_undivided_in_float64(x: FloatArray, bits: int, mu: float) -> FloatArray:
    return codes_expanded_undivided(x.astype(np.float64), bits, mu)


@mistake(
    "mu_law",
    symptom="Everything comes back far too small, and the largest value most of all.",
    cause="The way back is a power of e, though the logarithm was divided by ln(1 + µ) on the way there.",
    repair="Multiply by ln(1 + µ) first: e^(y·ln(1 + µ)) is (1 + µ)^y.",
    source="common in first implementations",
)
def power_of_e_alone(x: FloatArray, bits: int, mu: float) -> FloatArray:
    scale, compressed = _compressed(x, mu)
    return scale * np.sign(x) * np.expm1(_rounded(compressed, bits)) / mu


@mistake(
    "mu_law",
    symptom="Values come back with hardly any error, and far more codes than the bits have occur.",
    cause="The compressed values are not limited to 0..1: the logarithm is not divided by that of 1 + µ.",
    repair="Divide ln(1 + µu) by ln(1 + µ), so that the largest magnitude becomes 1.",
    source="common in first implementations",
)
def logarithm_not_normalized(x: FloatArray, bits: int, mu: float) -> FloatArray:
    scale, compressed = _compressed(x, mu)
    return scale * np.sign(x) * _expanded(_rounded(compressed * math.log1p(mu), bits), mu)


@also(logarithm_not_normalized, "mu_law")
def logarithm_not_normalized_and_undone(x: FloatArray, bits: int, mu: float) -> FloatArray:
    scale, compressed = _compressed(x, mu)
    return scale * np.sign(x) * np.expm1(_rounded(compressed * math.log1p(mu), bits)) / mu


@mistake(
    "mu_law",
    symptom="The values come back as they were, whatever the bits.",
    cause="Nothing rounds: the curve and its inverse cancel.",
    repair="Round the compressed values to P equal steps between the two.",
    source="common in first implementations",
)
def not_rounded(x: FloatArray, bits: int, mu: float) -> FloatArray:
    return x.astype(np.float64)


@also(truncation_for_rounding, "mu_law")
def mu_law_truncated(x: FloatArray, bits: int, mu: float) -> FloatArray:
    scale, compressed = _compressed(x, mu)
    largest = 2 ** (bits - 1) - 1
    return scale * np.sign(x) * _expanded(np.floor(compressed * largest) / largest, mu)


@also(scaled_by_the_negative_end, "mu_law")
def mu_law_by_the_negative_end(x: FloatArray, bits: int, mu: float) -> FloatArray:
    scale, compressed = _compressed(x, mu)
    largest = 2 ** (bits - 1)
    return scale * np.sign(x) * _expanded(np.rint(compressed * largest) / largest, mu)


@also(largest_value_for_largest_magnitude, "mu_law")
def mu_law_of_the_largest_value(x: FloatArray, bits: int, mu: float) -> FloatArray:
    scale = float(np.max(x)) or 1.0
    with np.errstate(invalid="ignore"):
        compressed = np.log1p(mu * np.abs(x) / scale) / math.log1p(mu)
    return scale * np.sign(x) * _expanded(_rounded(compressed, bits), mu)
