"""Mistakes made with whole tensors: channels, round trips, and what is really stored."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.mistakes.uniform.codes import (
    subtraction_in_the_code_type,
    truncation_for_rounding,
    wrap_instead_of_clamp,
    wrapped,
)
from fewerbits.teach.mistakes.uniform.parameters import (
    largest_value_for_largest_magnitude,
    levels_per_side,
    range_without_zero,
    scaled_by_the_negative_end,
    truncated_zero_point,
    zero_scale,
)

FloatArray = NDArray[np.floating]
Codes = NDArray[Any]


def _per_channel(weights: FloatArray, scale: NDArray[Any], largest: int) -> tuple[Codes, NDArray[Any]]:
    """Codes with the given scales, which broadcast against `weights`; the scales without their axes of length 1."""
    scale = np.where(scale == 0, 1, scale)
    return np.clip(np.rint(weights / scale), -largest, largest).astype(np.int32), np.squeeze(scale)


def _channel_maxima(weights: FloatArray, axis: int = 0) -> NDArray[Any]:
    others = tuple(other for other in range(weights.ndim) if other != axis)
    return np.max(np.abs(weights), axis=others, keepdims=True).astype(np.float64)


@mistake(
    "quantize_per_channel",
    symptom="Channels of small weights come back as all zero while the large ones are fine.",
    cause="One scale serves all channels, so the largest weight of the tensor sets the step of every channel.",
    repair="Take the maximum within each output channel.",
    source="Krishnamoorthi 2018, section 3.1",
)
def one_scale_for_all_channels(weights: FloatArray, bits: int) -> tuple[Codes, NDArray[Any]]:
    largest = 2 ** (bits - 1) - 1
    scale = np.broadcast_to(np.max(np.abs(weights)) / np.float64(largest), (len(weights), *[1] * (weights.ndim - 1)))
    codes, scale = _per_channel(weights, scale, largest)
    return codes, scale


@also(one_scale_for_all_channels, "quantize_per_channel")
def one_scale_as_a_number(weights: FloatArray, bits: int) -> tuple[Codes, NDArray[Any]]:
    largest = 2 ** (bits - 1) - 1
    return _per_channel(weights, np.max(np.abs(weights)) / np.float64(largest), largest)


@mistake(
    "quantize_per_channel",
    symptom="Accuracy collapses, or there are as many scales as input channels.",
    cause="The scales follow another axis than the output channels.",
    repair="Reduce over all axes but 0 (but 1 for a transposed convolution).",
    source="onnxruntime issue 19694",
)
def wrong_axis(weights: FloatArray, bits: int) -> tuple[Codes, NDArray[Any]]:
    largest = 2 ** (bits - 1) - 1
    return _per_channel(weights, _channel_maxima(weights, axis=1) / largest, largest)


@also(wrong_axis, "quantize_per_channel")
def maximum_over_the_channels(weights: FloatArray, bits: int) -> tuple[Codes, NDArray[Any]]:
    largest = 2 ** (bits - 1) - 1
    scale = np.max(np.abs(weights), axis=0) / np.float64(largest)
    scale[scale == 0] = 1
    return np.rint(weights / scale).astype(np.int32), scale


@mistake(
    "quantize_per_channel",
    symptom="An error about shapes, or codes far outside the range when an axis happens to have the same length.",
    cause="A vector of scales lines up with the last axis of the weights, not with the first.",
    repair="Give the scales axes of length 1, (channels, 1, 1, 1), before dividing.",
    source="NumPy broadcasting rules; common",
)
def scales_along_the_last_axis(weights: FloatArray, bits: int) -> tuple[Codes, NDArray[Any]]:
    largest = 2 ** (bits - 1) - 1
    scale = _channel_maxima(weights).reshape(len(weights)) / largest
    scale[scale == 0] = 1
    return np.clip(np.rint(weights / scale), -largest, largest).astype(np.int32), scale


@also(scales_along_the_last_axis, "quantize_per_channel")
def scales_along_the_last_axis_unclamped(weights: FloatArray, bits: int) -> tuple[Codes, NDArray[Any]]:
    largest = 2 ** (bits - 1) - 1
    scale = _channel_maxima(weights).reshape(len(weights)) / largest
    scale[scale == 0] = 1
    return np.rint(weights / scale).astype(np.int32), scale


@also(levels_per_side, "quantize_per_channel", shows_in="scales")
def levels_per_side_in_each_channel(weights: FloatArray, bits: int) -> tuple[Codes, NDArray[Any]]:
    largest = 2**bits - 1
    return _per_channel(weights, _channel_maxima(weights) / largest, largest)


@also(scaled_by_the_negative_end, "quantize_per_channel", shows_in="scales")
def scaled_by_the_negative_end_in_each_channel(weights: FloatArray, bits: int) -> tuple[Codes, NDArray[Any]]:
    largest = 2 ** (bits - 1) - 1
    return _per_channel(weights, _channel_maxima(weights) / (largest + 1), largest)


@also(largest_value_for_largest_magnitude, "quantize_per_channel", shows_in="scales")
def largest_value_in_each_channel(weights: FloatArray, bits: int) -> tuple[Codes, NDArray[Any]]:
    largest = 2 ** (bits - 1) - 1
    scale = np.max(weights, axis=tuple(range(1, weights.ndim)), keepdims=True) / np.float64(largest)
    return _per_channel(weights, scale, largest)


@also(truncation_for_rounding, "quantize_per_channel")
def truncation_in_each_channel(weights: FloatArray, bits: int) -> tuple[Codes, NDArray[Any]]:
    scale = _channel_maxima(weights) / (2 ** (bits - 1) - 1)
    scale[scale == 0] = 1
    return np.trunc(weights / scale).astype(np.int32), np.squeeze(scale)


@also(truncation_for_rounding, "quantize_per_channel")
def truncation_in_the_type_of_the_weights(weights: FloatArray, bits: int) -> tuple[Codes, NDArray[Any]]:
    """Near a whole number float32 and float64 may cut to different ones."""
    scale = (_channel_maxima(weights).astype(weights.dtype) / (2 ** (bits - 1) - 1)).astype(weights.dtype)
    scale[scale == 0] = 1
    return np.trunc(weights / scale).astype(np.int32), np.squeeze(scale)


@also(zero_scale, "quantize_per_channel")
def dead_channel(weights: FloatArray, bits: int) -> tuple[Codes, NDArray[Any]]:
    scale = _channel_maxima(weights) / (2 ** (bits - 1) - 1)
    return np.rint(weights / scale), np.squeeze(scale)


def _round_trip(x: FloatArray, low: float, high: float, bits: int, *, fault: str) -> FloatArray:
    """x̂ through affine codes 0..2^b − 1 for the range low..high, with one fault."""
    largest = 2**bits - 1
    if fault != "range":
        low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / largest
    zero_point = np.clip(np.trunc(-low / scale) if fault == "zero point" else np.rint(-low / scale), 0, largest)
    codes = np.rint(x / scale) + zero_point
    codes = wrapped(codes, signed=False).astype(np.float64) if fault == "wrap" else np.clip(codes, 0, largest)
    steps = (codes - zero_point) % 256 if fault == "subtraction" else codes - zero_point
    return steps * scale


@also(range_without_zero, "fake_quantize")
def range_without_zero_in_a_round_trip(x: FloatArray, low: float, high: float, bits: int) -> FloatArray:
    return _round_trip(x, low, high, bits, fault="range")


@also(truncated_zero_point, "fake_quantize")
def truncated_zero_point_in_a_round_trip(x: FloatArray, low: float, high: float, bits: int) -> FloatArray:
    return _round_trip(x, low, high, bits, fault="zero point")


@also(wrap_instead_of_clamp, "fake_quantize")
def wrap_in_a_round_trip(x: FloatArray, low: float, high: float, bits: int) -> FloatArray:
    return _round_trip(x, low, high, bits, fault="wrap")


@also(subtraction_in_the_code_type, "fake_quantize")
def subtraction_in_a_round_trip(x: FloatArray, low: float, high: float, bits: int) -> FloatArray:
    return _round_trip(x, low, high, bits, fault="subtraction")


@mistake(
    "fake_quantize",
    symptom="All is well until both ends of a range lie half-way between two codes; then its top wraps around.",
    cause="The values were clipped, not the codes: x/s and z are rounded separately, and both up give a code too many.",
    repair="Clip the codes, after the zero point was added; then the values need no clipping.",
    source="common; a reader's repair of exercise 7",
)
def clipped_the_values_not_the_codes(x: FloatArray, low: float, high: float, bits: int) -> FloatArray:
    return _round_trip(np.clip(x, min(low, 0.0), max(high, 0.0)), low, high, bits, fault="wrap")


def _codes_in_groups(weights: FloatArray, bits: int, group_size: int) -> tuple[Codes, FloatArray]:
    """Symmetric codes (groups, group_size) and float32 scales (groups, 1)."""
    groups = weights.reshape(-1, group_size)
    scale = np.max(np.abs(groups), axis=1, keepdims=True).astype(np.float32) / np.float32(2 ** (bits - 1) - 1)
    scale[scale == 0] = 1
    return np.rint(groups / scale).astype(np.int32), scale


@mistake(
    "store",
    symptom="The file is larger than the bits of the codes promise.",
    cause="Metadata counts: with a float32 scale for every few weights the scales take as much room as the codes.",
    repair="Count codes and scales together; use larger groups or smaller scales.",
    source="q-diffusion issue 12, where the quantized file is larger, is the extreme case",
)
def metadata_not_counted(weights: FloatArray, bits: int = 4) -> tuple[Codes, FloatArray, int]:
    codes, scale = _codes_in_groups(weights, bits, 9)
    return codes, scale, bits


@mistake(
    "store",
    symptom="Large weights come back wrong as soon as the codes are really packed into their bits.",
    cause="The number of bits that is declared is smaller than the codes need: ±15 are 31 codes.",
    repair="Derive the scale from the same number of bits that is declared, and check the range of the codes.",
    source="common where codes are kept in int8 arrays whatever their bits",
)
def bits_understated(weights: FloatArray) -> tuple[Codes, FloatArray, int]:
    codes, scale = _codes_in_groups(weights, 5, weights[0].size)
    return codes, scale, 4


@also(one_scale_for_all_channels, "store")
def one_scale_for_all_weights(weights: FloatArray, bits: int = 5) -> tuple[Codes, FloatArray, int]:
    codes, scale = _codes_in_groups(weights, bits, weights.size)
    return codes, scale, bits
