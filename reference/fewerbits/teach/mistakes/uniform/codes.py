"""Mistakes on the way to codes and back, and in what one expects of the error."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.mistakes.uniform.parameters import zero_point_of_wrong_sign

FloatArray = NDArray[np.floating]
Codes = NDArray[Any]


def wrapped(codes: NDArray[Any], signed: bool) -> Codes:
    """What a conversion to int8 or uint8 does with codes outside of it: they start again at the other end."""
    return codes.astype(np.int64).astype(np.int8 if signed else np.uint8).astype(np.int32)


@mistake(
    "quantize",
    symptom="Every value moves towards zero, by half a step on average.",
    cause="The fraction is cut off: a conversion to an integer type does not round.",
    repair="Round to the nearest integer before converting the type.",
    source="common in first implementations",
)
def truncation_for_rounding(x: FloatArray, scale: float, zero_point: int, qmin: int, qmax: int) -> Codes:
    return np.clip((x / scale).astype(np.int32) + zero_point, qmin, qmax)


@also(truncation_for_rounding, "quantize")
def truncation_after_the_zero_point(x: FloatArray, scale: float, zero_point: int, qmin: int, qmax: int) -> Codes:
    return np.clip((x / scale + zero_point).astype(np.int32), qmin, qmax)


@mistake(
    "quantize",
    symptom="The largest values come back with the opposite sign, or as the smallest.",
    cause="Values beyond the last code wrap around to the other end of the integer type.",
    repair="Clamp to qmin..qmax before converting to the narrow type.",
    source="common; the same in accumulators: triton issue 2296, iree issue 8491",
)
def wrap_instead_of_clamp(x: FloatArray, scale: float, zero_point: int, qmin: int, qmax: int) -> Codes:
    return wrapped(np.rint(x / scale) + zero_point, signed=qmin < 0)


@also(wrap_instead_of_clamp, "quantize")
def wrap_in_int8(x: FloatArray, scale: float, zero_point: int, qmin: int, qmax: int) -> Codes:
    return wrapped(np.rint(x / scale) + zero_point, signed=True)


@also(wrap_instead_of_clamp, "quantize")
def wrap_in_uint8(x: FloatArray, scale: float, zero_point: int, qmin: int, qmax: int) -> Codes:
    return wrapped(np.rint(x / scale) + zero_point, signed=False)


@mistake(
    "quantize",
    symptom="Codes from 128 on come back negative, or negative ones as large positive ones.",
    cause="The codes are clamped rightly, and then put into a type whose ends are not qmin and qmax.",
    repair="Keep codes 0..255 in uint8 and −128..127 in int8, or all of them in a wider type.",
    source="common in first implementations",
)
def clamped_codes_in_the_wrong_type(x: FloatArray, scale: float, zero_point: int, qmin: int, qmax: int) -> Codes:
    return wrapped(np.clip(np.rint(x / scale) + zero_point, qmin, qmax), signed=True)


@also(clamped_codes_in_the_wrong_type, "quantize")
def clamped_codes_in_uint8(x: FloatArray, scale: float, zero_point: int, qmin: int, qmax: int) -> Codes:
    return wrapped(np.clip(np.rint(x / scale) + zero_point, qmin, qmax), signed=False)


@mistake(
    "quantize",
    symptom="Codes lie outside qmin..qmax and do not fit into their bits.",
    cause="Nothing keeps the codes of values beyond the range inside it.",
    repair="Clamp to qmin..qmax.",
    source="Introduction to AI Model Quantization, “Uniform Quantization”, for data other than its own",
)
def clamp_forgotten(x: FloatArray, scale: float, zero_point: int, qmin: int, qmax: int) -> Codes:
    return (np.rint(x / scale) + zero_point).astype(np.int64)


@mistake(
    "quantize",
    symptom="The values come back larger or smaller by the factor s².",
    cause="The scale is applied in the wrong direction: multiplied where it divides, or divided where it multiplies.",
    repair="The scale has the unit of x per code: codes are x/s, values are q·s.",
    source="common in first implementations",
)
def scale_the_wrong_way(x: FloatArray, scale: float, zero_point: int, qmin: int, qmax: int) -> Codes:
    return np.clip(np.rint(x * scale) + zero_point, qmin, qmax).astype(np.int32)


@mistake(
    "quantize",
    symptom="All values are shifted by a constant, and one side of the range saturates.",
    cause="The zero point is left out on one of the two ways.",
    repair="Add the zero point when quantizing, subtract it when dequantizing.",
    source="common in first implementations",
)
def zero_point_forgotten(x: FloatArray, scale: float, zero_point: int, qmin: int, qmax: int) -> Codes:
    return np.clip(np.rint(x / scale), qmin, qmax).astype(np.int32)


@mistake(
    "quantize",
    symptom="Codes lie outside qmin..qmax whenever the zero point is not 0.",
    cause="The zero point is added after the codes were clamped, which moves them out of the range again.",
    repair="Clamp last, after the zero point was added.",
    source="common in first implementations",
)
def clamped_before_the_zero_point(x: FloatArray, scale: float, zero_point: int, qmin: int, qmax: int) -> Codes:
    return np.clip(np.rint(x / scale), qmin, qmax).astype(np.int32) + zero_point


@mistake(
    "quantize",
    symptom="The shift of the codes depends on the scale; with a small scale everything saturates.",
    cause="The zero point, which is a code, is added to x, which is a value: two different units.",
    repair="Add the zero point after dividing by the scale.",
    source="common in first implementations",
)
def zero_point_in_the_unit_of_x(x: FloatArray, scale: float, zero_point: int, qmin: int, qmax: int) -> Codes:
    return np.clip(np.rint((x + zero_point) / scale), qmin, qmax).astype(np.int32)


@also(zero_point_in_the_unit_of_x, "quantize")
def zero_point_subtracted_from_x(x: FloatArray, scale: float, zero_point: int, qmin: int, qmax: int) -> Codes:
    return np.clip(np.rint((x - zero_point) / scale), qmin, qmax).astype(np.int32)


@also(zero_point_of_wrong_sign, "quantize")
def zero_point_of_wrong_sign_in_quantize(x: FloatArray, scale: float, zero_point: int, qmin: int, qmax: int) -> Codes:
    return np.clip(np.rint(x / scale) - zero_point, qmin, qmax).astype(np.int32)


@mistake(
    "dequantize",
    symptom="Values are of the size of the codes, often hundreds of times too large.",
    cause="The codes are taken for the values: without the scale there is no way back.",
    repair="Multiply by the scale; keep it beside the codes.",
    source="Introduction to AI Model Quantization, “Common Mistakes”; pytorch issue 105085",
)
def scale_forgotten(codes: Codes, scale: float, zero_point: int) -> FloatArray:
    return codes.astype(np.float32) - zero_point


@also(scale_forgotten, "dequantize")
def codes_for_values(codes: Codes, scale: float, zero_point: int) -> FloatArray:
    return codes.astype(np.float32)


@mistake(
    "dequantize",
    symptom="Values below zero come back as large positive ones.",
    cause="The zero point is subtracted in the codes' own type, where a result below 0 or above the end wraps around.",
    repair="Convert the codes to a wider or a float type before subtracting.",
    source="common; NumPy 2 keeps uint8 when a Python int is subtracted (NEP 50)",
)
def subtraction_in_the_code_type(codes: Codes, scale: float, zero_point: int) -> FloatArray:
    return wrapped(codes.astype(np.int64) - zero_point, signed=codes.dtype.kind == "i") * np.float64(scale)


@mistake(
    "dequantize",
    symptom="Zero comes back as a value far from zero, which depends on the scale.",
    cause="The zero point, which is a code, is subtracted from q·s, which is a value: two different units.",
    repair="Subtract the zero point before multiplying by the scale.",
    source="common in first implementations",
)
def zero_point_in_the_unit_of_values(codes: Codes, scale: float, zero_point: int) -> FloatArray:
    return codes * np.float64(scale) - zero_point


@also(scale_the_wrong_way, "dequantize")
def scale_the_wrong_way_back(codes: Codes, scale: float, zero_point: int) -> FloatArray:
    return (codes.astype(np.float64) - zero_point) / scale


@also(zero_point_forgotten, "dequantize")
def zero_point_forgotten_on_the_way_back(codes: Codes, scale: float, zero_point: int) -> FloatArray:
    return codes * np.float64(scale)


@also(zero_point_of_wrong_sign, "dequantize")
def zero_point_of_wrong_sign_in_dequantize(codes: Codes, scale: float, zero_point: int) -> FloatArray:
    return (codes.astype(np.float64) + zero_point) * scale


@mistake(
    "error_bound",
    symptom="The bound holds, but the largest error measured is never more than half of it.",
    cause="The bound is the distance between two levels; a value between them goes to the nearer one.",
    repair="Inside the range the bound is s/2.",
    source="common in first implementations",
)
def whole_step_bound(x: FloatArray, scale: float, zero_point: int, qmin: int, qmax: int) -> FloatArray:
    low, high = scale * (qmin - zero_point), scale * (qmax - zero_point)
    return np.where((x < low) | (x > high), np.maximum(low - x, x - high), scale)


@mistake(
    "error_bound",
    symptom="The error of the largest values is far above the promised bound.",
    cause="Values outside the range saturate: how far outside they lie counts, not the step.",
    repair="Outside the range the bound is the distance to its end.",
    source="common in first implementations",
)
def saturation_overlooked(x: FloatArray, scale: float, zero_point: int, qmin: int, qmax: int) -> FloatArray:
    return np.full(x.shape, scale / 2)


@mistake(
    "error_bound",
    symptom="The bound is 0 for all values inside the range, and nearly every error is above it.",
    cause="Only saturation is counted: a value inside the range seldom lies on a level, and is rounded to one.",
    repair="Inside the range the bound is s/2.",
    source="common in first implementations",
)
def rounding_overlooked(x: FloatArray, scale: float, zero_point: int, qmin: int, qmax: int) -> FloatArray:
    low, high = scale * (qmin - zero_point), scale * (qmax - zero_point)
    return np.maximum(0, np.maximum(low - x, x - high))


@also(zero_point_forgotten, "error_bound")
def zero_point_forgotten_in_the_range(x: FloatArray, scale: float, zero_point: int, qmin: int, qmax: int) -> FloatArray:
    low, high = scale * qmin, scale * qmax
    return np.where((x < low) | (x > high), np.maximum(low - x, x - high), scale / 2)


@mistake(
    "error_bound",
    symptom="The bound holds, but errors outside the range stay half a step below it.",
    cause="Two errors are added that never occur together: a value that saturates is not rounded as well.",
    repair="Inside the range s/2, outside the distance to its end, never their sum.",
    source="common in first implementations",
)
def rounding_and_saturation_added(x: FloatArray, scale: float, zero_point: int, qmin: int, qmax: int) -> FloatArray:
    low, high = scale * (qmin - zero_point), scale * (qmax - zero_point)
    return np.maximum(0, np.maximum(low - x, x - high)) + scale / 2
