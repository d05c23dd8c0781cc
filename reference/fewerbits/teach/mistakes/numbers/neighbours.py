"""Mistakes in the distance of neighbouring floats."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.record import also, mistake

FloatArray = NDArray[np.floating]


def _octave(x: FloatArray, lowest_exponent: int) -> FloatArray:
    magnitude = np.maximum(np.abs(x).astype(np.float64), 2.0**lowest_exponent)
    return np.floor(np.log2(magnitude))


@mistake(
    "spacing",
    symptom="The distance changes smoothly with x, and is right only at powers of two.",
    cause="The distance follows x smoothly, as |x| · 2⁻ᵐ does; but neighbours are evenly spaced within an octave.",
    repair="Take the power of two at or below |x|, times 2^−m.",
    source="common where machine epsilon is used as an error bound",
)
def distance_proportional_to_x(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    return np.maximum(np.abs(x), 2.0**lowest_exponent) * 2.0**-fraction_bits


@also(distance_proportional_to_x, "spacing")
def distance_proportional_to_any_x(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    return np.abs(x) * 2.0**-fraction_bits


@mistake(
    "spacing",
    symptom="The distance is right for most numbers and keeps shrinking toward zero, where it is 0 or no number.",
    cause="The lowest octave is overlooked: below it the neighbours stay as far apart as in it.",
    repair="Let the exponent be at least the lowest one.",
    source="common in first implementations",
)
def no_lowest_octave(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.exp2(np.floor(np.log2(np.abs(x))) - fraction_bits)


@also(no_lowest_octave, "spacing")
def no_lowest_octave_in_python(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    octaves = [math.floor(math.log2(abs(value))) for value in x.ravel().tolist()]
    return np.exp2(np.reshape(octaves, x.shape) - fraction_bits)


@also(no_lowest_octave, "spacing")
def zero_alone_in_the_lowest_octave(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    octave = np.floor(np.log2(np.where(x == 0, 2.0**lowest_exponent, np.abs(x))))
    return np.exp2(octave - fraction_bits)


@also(no_lowest_octave, "spacing")
def octaves_down_to_the_smallest_subnormal(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    magnitude = np.maximum(np.abs(x).astype(np.float64), 2.0 ** (lowest_exponent - fraction_bits))
    return np.exp2(np.floor(np.log2(magnitude)) - fraction_bits)


@mistake(
    "spacing",
    symptom="Ordinary values are right; tiny ones of bfloat16 and float32 get the distance at some 10⁻¹².",
    cause="A small number was added to avoid the logarithm of 0; it is larger than many values of the format.",
    repair="Take the larger of |x| and the lowest normal power: an exact guard in place of a guess.",
    source="common: log(x + 1e-12)",
)
def small_number_added_before_the_logarithm(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    octave = np.floor(np.log2(np.abs(x).astype(np.float64) + 1e-12))
    return np.exp2(np.maximum(octave, lowest_exponent) - fraction_bits)


@also(small_number_added_before_the_logarithm, "spacing")
def larger_number_added_before_the_logarithm(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    octave = np.floor(np.log2(np.abs(x).astype(np.float64) + 1e-9))
    return np.exp2(np.maximum(octave, lowest_exponent) - fraction_bits)


@mistake(
    "spacing",
    symptom="All distances are half, or twice, of what they should be for some or all values.",
    cause="The octave is not the one that holds the value, but one beside it; or half the distance is returned.",
    repair="The octave's exponent is floor(log2|x|), and m fraction bits cut it into 2^m steps.",
    source="common in first implementations; frexp returns the exponent plus 1",
)
def octave_off_by_one(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    return np.exp2(_octave(x, lowest_exponent) + 1 - fraction_bits)


@also(octave_off_by_one, "spacing")
def octave_of_frexp(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    return np.exp2(np.maximum(np.frexp(x)[1].astype(float), lowest_exponent) - fraction_bits)


@mistake(
    "spacing",
    symptom="Values just above a power of two are right; from 1.42 times it the distance is twice what it should be.",
    cause="The logarithm is rounded to the nearest whole number; the octave begins at the power of two below.",
    repair="Use floor, which always goes down.",
    source="common in first implementations",
)
def logarithm_rounded_to_nearest(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    magnitude = np.maximum(np.abs(x), 2.0**lowest_exponent)
    return np.exp2(np.rint(np.log2(magnitude)) - fraction_bits)


@also(octave_off_by_one, "spacing")
def octave_rounded_up(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    magnitude = np.maximum(np.abs(x), 2.0**lowest_exponent)
    return np.exp2(np.ceil(np.log2(magnitude)) - fraction_bits)


@mistake(
    "spacing",
    symptom="Values above 1 are right; below 1 the distance is twice what it should be, except at powers of two.",
    cause="Conversion to an integer drops the fraction, which for negative numbers rounds up: −1.7 becomes −1.",
    repair="Use floor, which always goes down.",
    source="common: int() and astype for floor",
)
def logarithm_truncated(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    magnitude = np.maximum(np.abs(x), 2.0**lowest_exponent)
    return np.exp2(np.trunc(np.log2(magnitude)) - fraction_bits)


@also(logarithm_truncated, "spacing")
def logarithm_truncated_then_limited(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    tiny = 2.0 ** (lowest_exponent - 1)
    octave = np.trunc(np.log2(np.maximum(np.abs(x), tiny)))
    return np.exp2(np.maximum(octave, lowest_exponent) - fraction_bits)


@also(octave_off_by_one, "spacing")
def half_the_spacing(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    return np.exp2(_octave(x, lowest_exponent) - fraction_bits - 1)


@mistake(
    "spacing",
    symptom="The distances are far too small, whatever the number of fraction bits.",
    cause="The type of the array, float64 or float32, is all that np.spacing knows; the format is another one.",
    repair="Compute the power of two from the exponent and the number of fraction bits.",
    source="common where a format is simulated in float32",
)
def spacing_of_the_type_of_the_array(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    return np.spacing(np.abs(x))


@also(spacing_of_the_type_of_the_array, "spacing")
def signed_spacing_of_the_type_of_the_array(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    return np.spacing(x)


@mistake(
    "spacing",
    symptom="Positive values are right; negative ones get the distance of the smallest numbers, or none at all.",
    cause="The sign was left in: the logarithm, or the comparison with the lowest octave, needs the magnitude.",
    repair="Take the magnitude |x| first.",
    source="common in first implementations",
)
def magnitude_forgotten(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    return np.exp2(np.floor(np.log2(np.maximum(x, 2.0**lowest_exponent))) - fraction_bits)


@also(magnitude_forgotten, "spacing")
def logarithm_of_a_negative(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        octave = np.floor(np.log2(x))
    return np.exp2(np.maximum(octave, lowest_exponent) - fraction_bits)


@mistake(
    "spacing",
    symptom="Every value gets the same distance, as with integers.",
    cause="The distance at 1 is returned; the distance of floats depends on where one stands.",
    repair="Multiply it by the power of two at or below |x|.",
    source="common where machine epsilon is taken for an absolute error",
)
def spacing_at_one(x: FloatArray, fraction_bits: int, lowest_exponent: int) -> FloatArray:
    return np.full(x.shape, 2.0**-fraction_bits)
