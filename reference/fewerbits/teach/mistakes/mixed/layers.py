"""Mistakes with two precisions in one layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.record import also, mistake

Array = NDArray[Any]


def rounded_weights(w: Array, bits: int) -> Array:
    """ŵ with symmetric codes, one scale per tensor; zeros stay zeros."""
    peak = float(np.abs(w).max())
    scale = peak / (2 ** (bits - 1) - 1) if peak else 1.0
    return scale * np.rint(np.asarray(w, np.float64) / scale)


def rounded_activations(x: Array, bits: int) -> Array:
    """x̂ with affine unsigned codes whose range contains zero."""
    low, high = min(0.0, float(x.min())), max(0.0, float(x.max()))
    scale = (high - low) / (2**bits - 1) if high > low else 1.0
    zero_point = np.rint(-low / scale)
    return scale * (np.clip(np.rint(np.asarray(x, np.float64) / scale) + zero_point, 0, 2**bits - 1) - zero_point)


@mistake(
    "mixed_layer",
    symptom="“Weights” and “activations” are one tensor in two units; the layer is nowhere.",
    cause="One tensor is rounded with both precisions, and the two tensors of the layer never meet.",
    repair="Take two tensors, give each its own bits and scale, and multiply what comes back.",
    source="article.txt, mixed_precision_quantization",
)
def one_tensor_rounded_twice(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    return rounded_weights(weights, weight_bits) @ rounded_weights(weights, activation_bits).T


@also(one_tensor_rounded_twice, "mixed_layer")
def activations_rounded_twice(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    return rounded_activations(rounded_activations(activations, activation_bits), weight_bits) @ weights.T


@mistake(
    "mixed_layer",
    symptom="Results are off by orders of magnitude, and the factor changes with the bits.",
    cause="The codes were multiplied and their scales left out.",
    repair="Multiply the sum of codes by both scales, s_x·s_w.",
    source="article.txt; pytorch issue 105085",
)
def scales_left_out_of_the_product(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    s_w, s_x = _scales(weights, activations, weight_bits, activation_bits)
    return (rounded_activations(activations, activation_bits) / s_x) @ (rounded_weights(weights, weight_bits) / s_w).T


@mistake(
    "mixed_layer",
    symptom="Fine where both precisions are equal; else the wide side is coarse and the narrow one too fine.",
    cause="The bits of weights and activations are exchanged.",
    repair="The first number of W4A8 belongs to the weights.",
    source="common where one function takes two numbers of bits",
)
def bits_exchanged(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    return rounded_activations(activations, weight_bits) @ rounded_weights(weights, activation_bits).T


@mistake(
    "mixed_layer",
    symptom="Small weights vanish, or activations lose most of their levels, whichever tensor is smaller.",
    cause="Both tensors share one scale although their magnitudes differ.",
    repair="Compute a scale from each tensor.",
    source="a consequence of the article's single `x`",
)
def one_scale_for_both(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    peak = max(float(np.abs(weights).max()), float(np.abs(activations).max()))
    s_w, s_x = peak / (2 ** (weight_bits - 1) - 1), peak / (2**activation_bits - 1)
    x_hat = s_x * np.clip(np.rint(np.asarray(activations, np.float64) / s_x), 0, 2**activation_bits - 1)
    return x_hat @ (s_w * np.rint(np.asarray(weights, np.float64) / s_w)).T


@mistake(
    "mixed_layer",
    symptom="The weights are twice as fine as their bits allow: codes reach ±(2^b − 1).",
    cause="All 2^b − 1 steps were used for one sign; with signed codes they have to serve both.",
    repair="Count the steps of one side of a signed range.",
    source="article.txt, mixed_precision_quantization",
)
def one_bit_more_for_the_weights(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    return rounded_activations(activations, activation_bits) @ rounded_weights(weights, weight_bits + 1).T


@mistake(
    "mixed_layer",
    symptom="With activations that are never negative the error is twice as large as it need be.",
    cause="Activations got signed, symmetric codes: half of them stand for numbers that do not occur.",
    repair="Use affine unsigned codes for activations: from the smallest value, or zero, to the largest.",
    source="onnxruntime issue 14640",
)
def signed_codes_for_activations(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    return rounded_weights(activations, activation_bits) @ rounded_weights(weights, weight_bits).T


@mistake(
    "mixed_layer",
    symptom="Right for activations that are never negative, wrong for all others.",
    cause="Activations were rounded without a zero point.",
    repair="Shift the codes by z = round(−low/s), so that the smallest value gets the code 0.",
    source="common where every example follows a ReLU",
)
def activations_without_zero_point(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    scale = float(activations.max()) / (2**activation_bits - 1)
    return (scale * np.rint(activations / scale)) @ rounded_weights(weights, weight_bits).T


@also(activations_without_zero_point, "mixed_layer")
def negative_activations_clipped(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    return rounded_activations(np.maximum(activations, 0), activation_bits) @ rounded_weights(weights, weight_bits).T


@also(activations_without_zero_point, "mixed_layer")
def magnitude_for_the_range(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    scale = float(np.abs(activations).max()) / (2**activation_bits - 1)
    return (scale * np.rint(activations / scale)) @ rounded_weights(weights, weight_bits).T


@mistake(
    "mixed_layer",
    symptom="Right where some activation is zero; else the range is another one, and zero has no code of its own.",
    cause="The range goes from the smallest to the largest value, and zero may lie outside.",
    repair="Widen the range to zero: the smaller of low and 0, the larger of high and 0.",
    source="common where every example follows a ReLU",
)
def zero_not_in_the_range(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    low, high = float(activations.min()), float(activations.max())
    scale = (high - low) / (2**activation_bits - 1)
    zero_point = np.rint(-low / scale)
    codes = np.clip(np.rint(activations / scale) + zero_point, 0, 2**activation_bits - 1)
    return (scale * (codes - zero_point)) @ rounded_weights(weights, weight_bits).T


@also(zero_not_in_the_range, "mixed_layer")
def zero_not_in_the_range_and_not_clipped(
    weights: Array, activations: Array, weight_bits: int, activation_bits: int
) -> Array:
    low, high = float(activations.min()), float(activations.max())
    scale = (high - low) / (2**activation_bits - 1)
    return (scale * np.rint(activations / scale)) @ rounded_weights(weights, weight_bits).T


@mistake(
    "mixed_layer",
    symptom="Right for activations that are never negative; for others each result is off by the sum of its weights.",
    cause="On the way back the zero point was left in the codes.",
    repair="Subtract the zero point from the codes of x before they are multiplied.",
    source="common: x̂ = s·q taken from symmetric codes",
)
def zero_point_left_in_the_codes(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    _, scale = _scales(weights, activations, weight_bits, activation_bits)
    shift = np.rint(-min(0.0, float(activations.min())) / scale) * scale
    return (rounded_activations(activations, activation_bits) + shift) @ rounded_weights(weights, weight_bits).T


@mistake(
    "mixed_layer",
    symptom="Right for a single output, a little different for several.",
    cause="Each row of the weights got a scale of its own; here one scale for the tensor is asked for.",
    repair="Take the largest magnitude of the whole tensor.",
    source="engines quantize weights per channel, as this lesson's network does",
)
def one_scale_per_row(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    rows = np.array([rounded_weights(row, weight_bits) for row in weights])
    return rounded_activations(activations, activation_bits) @ rows.T


def _scales(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> tuple[float, float]:
    low, high = min(0.0, float(activations.min())), max(0.0, float(activations.max()))
    return float(np.abs(weights).max()) / (2 ** (weight_bits - 1) - 1), (high - low) / (2**activation_bits - 1)
