"""Mistakes in scale and zero point."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.record import also, mistake

FloatArray = NDArray[np.floating]


@mistake(
    "symmetric_scale",
    symptom="The codes of “8 bits” reach −255 and 255, and do not fit into a byte.",
    cause="The range is divided into 2^b − 1 steps on each side of zero, so both sides together need b + 1 bits.",
    repair="Divide by the largest positive code, 2^(b−1) − 1.",
    source="Introduction to AI Model Quantization, “Uniform Quantization”",
)
def levels_per_side(x: FloatArray, bits: int) -> float:
    return float(np.max(np.abs(x)) / (2**bits - 1)) or 1.0


@mistake(
    "symmetric_scale",
    symptom="Negative values saturate although the tensor was used to set the range; the scale may even be negative.",
    cause="The range follows the largest value; a negative value of greater magnitude does not count.",
    repair="Take the maximum of |x|.",
    source="common in first implementations",
)
def largest_value_for_largest_magnitude(x: FloatArray, bits: int) -> float:
    return float(np.max(x) / (2 ** (bits - 1) - 1)) or 1.0


@mistake(
    "symmetric_scale",
    symptom="The largest positive value saturates by one whole step; the largest negative one does not.",
    cause="The range is divided by the magnitude of the most negative code, which has no positive partner.",
    repair="Divide by the largest positive code, 2^(b−1) − 1; use −2^(b−1) or not, but do not scale by it.",
    source="onnxruntime issue 10170; distiller issue 463",
)
def scaled_by_the_negative_end(x: FloatArray, bits: int) -> float:
    return float(np.max(np.abs(x)) / 2 ** (bits - 1)) or 1.0


@mistake(
    "symmetric_scale",
    symptom="A layer or channel that is all zero turns into NaN.",
    cause="The scale of data that is only zeros comes out as 0, and 0/0 is not a number.",
    repair="Give such data any positive scale, by convention 1: its codes are 0 anyway.",
    source="onnxruntime quant_utils.compute_scale_zp guards against it",
)
def zero_scale(x: FloatArray, bits: int) -> float:
    return float(np.max(np.abs(x)) / (2 ** (bits - 1) - 1))


def _range_with_zero(x: FloatArray) -> tuple[float, float]:
    return min(float(np.min(x)), 0.0), max(float(np.max(x)), 0.0)


@also(zero_scale, "affine_parameters")
def zero_scale_without_a_zero_point(x: FloatArray, bits: int) -> tuple[float, int]:
    low, high = np.minimum(np.min(x), 0), np.maximum(np.max(x), 0)
    scale = (high - low) / (2**bits - 1)
    return float(scale), int(np.rint(-low / scale))


@also(zero_scale, "affine_parameters")
def zero_scale_in_python_numbers(x: FloatArray, bits: int) -> tuple[float, int]:
    low, high = _range_with_zero(x)
    scale = (high - low) / (2**bits - 1)
    return scale, round(-low / scale)


def _affine(low: float, high: float, steps: float) -> tuple[float, float]:
    """Scale, and the code of zero before it is rounded."""
    scale = (high - low) / steps or 1.0
    return scale, -low / scale


@mistake(
    "affine_parameters",
    symptom="Values far from zero, such as 10 to 11, all come back as one value.",
    cause="The range does not contain zero, so that no code can stand for it: the zero point lies outside the codes.",
    repair="Widen the range to contain zero before computing anything.",
    source="MIT 6.5940, lab 2; AutoGPTQ issue 663",
    shows_in="scale",
)
def range_without_zero(x: FloatArray, bits: int) -> tuple[float, int]:
    scale, zero = _affine(float(np.min(x)), float(np.max(x)), 2**bits - 1)
    return scale, int(np.clip(np.rint(zero), 0, 2**bits - 1))


@also(range_without_zero, "affine_parameters")
def range_without_zero_unclamped(x: FloatArray, bits: int) -> tuple[float, int]:
    scale, zero = _affine(float(np.min(x)), float(np.max(x)), 2**bits - 1)
    return scale, int(np.rint(zero))


@also(range_without_zero, "affine_parameters")
def only_the_lower_end_widened(x: FloatArray, bits: int) -> tuple[float, int]:
    scale, zero = _affine(min(float(np.min(x)), 0.0), float(np.max(x)), 2**bits - 1)
    return scale, int(np.rint(zero))


@also(range_without_zero, "affine_parameters")
def only_the_lower_end_widened_and_clamped(x: FloatArray, bits: int) -> tuple[float, int]:
    scale, zero = _affine(min(float(np.min(x)), 0.0), float(np.max(x)), 2**bits - 1)
    return scale, int(np.clip(np.rint(zero), 0, 2**bits - 1))


@also(range_without_zero, "affine_parameters")
def only_the_upper_end_widened(x: FloatArray, bits: int) -> tuple[float, int]:
    scale, zero = _affine(float(np.min(x)), max(float(np.max(x)), 0.0), 2**bits - 1)
    return scale, int(np.rint(zero))


@also(range_without_zero, "affine_parameters")
def only_the_upper_end_widened_and_clamped(x: FloatArray, bits: int) -> tuple[float, int]:
    scale, zero = _affine(float(np.min(x)), max(float(np.max(x)), 0.0), 2**bits - 1)
    return scale, int(np.clip(np.rint(zero), 0, 2**bits - 1))


@mistake(
    "affine_parameters",
    symptom="Zero does not come back as zero, so that padding changes the result.",
    cause="The zero point is not a whole number, so no code stands for exactly zero.",
    repair="Round the zero point to the nearest integer.",
    source="Jacob et al. 2018, section 2.1, requires an exact zero",
)
def fractional_zero_point(x: FloatArray, bits: int) -> tuple[float, float]:
    return _affine(*_range_with_zero(x), 2**bits - 1)


@mistake(
    "affine_parameters",
    symptom="All values are shifted by up to one step, and the lowest or highest saturate.",
    cause="The zero point's fraction is dropped, where the nearest whole number may be the next one.",
    repair="Use rint or round before converting to an integer.",
    source="mct-quantization-layers issue 124: int() for round()",
)
def truncated_zero_point(x: FloatArray, bits: int) -> tuple[float, int]:
    scale, zero = _affine(*_range_with_zero(x), 2**bits - 1)
    return scale, int(zero)


@mistake(
    "affine_parameters",
    symptom="Only half of the codes occur; the error is twice what the bits allow.",
    cause="The whole range from minimum to maximum is spread over the codes of one side of a signed integer.",
    repair="Divide the range by the number of steps that all codes make, 2^b − 1.",
    source="Intel Neural Compressor, quantization.md",
    shows_in="scale",
)
def one_bit_lost(x: FloatArray, bits: int) -> tuple[float, int]:
    scale, zero = _affine(*_range_with_zero(x), 2 ** (bits - 1) - 1)
    return scale, int(np.rint(zero))


@also(one_bit_lost, "affine_parameters", shows_in="scale")
def one_bit_lost_and_codes_counted(x: FloatArray, bits: int) -> tuple[float, int]:
    scale, zero = _affine(*_range_with_zero(x), 2 ** (bits - 1))
    return scale, int(np.rint(zero))


@mistake(
    "affine_parameters",
    symptom="The end of the range saturates by about one step, which is a lot at 2 or 3 bits.",
    cause="The codes are counted where the steps between them should be: n fence posts bound n − 1 fields.",
    repair="Divide by 2^b − 1, the number of steps.",
    source="common in first implementations",
    shows_in="scale",
)
def codes_counted_for_steps(x: FloatArray, bits: int) -> tuple[float, int]:
    scale, zero = _affine(*_range_with_zero(x), 2**bits)
    return scale, int(np.clip(np.rint(zero), 0, 2**bits - 1))


@mistake(
    "affine_parameters",
    symptom="Values come back mirrored or far away, or almost all of them saturate.",
    cause="The zero point enters with the opposite sign.",
    repair="Keep to q = x/s + z and x̂ = s·(q − z), so that the lowest value has the lowest code: z = −min/s.",
    source="common in first implementations",
)
def zero_point_of_wrong_sign(x: FloatArray, bits: int) -> tuple[float, int]:
    scale, zero = _affine(*_range_with_zero(x), 2**bits - 1)
    return scale, -int(np.rint(zero))


@mistake(
    "affine_parameters",
    symptom="Negative values all come back as zero, and large ones saturate.",
    cause="The zero point is 0 whatever the data: it is missing, or has the wrong sign and was then clamped to 0.",
    repair="Compute z = −min/s, which lies in the range of codes by itself when the range contains zero.",
    source="common in first implementations",
)
def zero_point_always_zero(x: FloatArray, bits: int) -> tuple[float, int]:
    return _affine(*_range_with_zero(x), 2**bits - 1)[0], 0


@mistake(
    "affine_parameters",
    symptom="Every value is off by exactly one step.",
    cause="The zero point is one less than it should be, as in file formats that store z − 1.",
    repair="Store z as it is, or read and write with the same convention.",
    source="vllm issue 38966; GPTQModel issue 2350",
)
def zero_point_minus_one(x: FloatArray, bits: int) -> tuple[float, int]:
    scale, zero = _affine(*_range_with_zero(x), 2**bits - 1)
    return scale, int(np.rint(zero)) - 1


@mistake(
    "affine_parameters",
    symptom="After a ReLU half of the codes never occur.",
    cause="The range is made symmetric about zero although the data need not be: one side may hold no values.",
    repair="Use the range from min(x, 0) to max(x, 0).",
    source="onnxruntime issue 14640",
)
def symmetric_range_for_one_sided_data(x: FloatArray, bits: int) -> tuple[float, int]:
    return float(np.max(np.abs(x)) / (2 ** (bits - 1) - 1)) or 1.0, 2 ** (bits - 1)


@mistake(
    "affine_parameters",
    symptom="The scale is a whole number and the zero point a small fraction; all values come back as about the same.",
    cause="The two values are returned in the other order than the one that is asked for.",
    repair="Return the scale first, then the zero point, or name what is returned.",
    source="common; torch.ao returns (scale, zero_point), onnxruntime's compute_scale_zp [zero_point, scale]",
)
def scale_and_zero_point_exchanged(x: FloatArray, bits: int) -> tuple[int, float]:
    scale, zero = _affine(*_range_with_zero(x), 2**bits - 1)
    return int(np.rint(zero)), scale
