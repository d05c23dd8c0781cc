"""Mistakes on the way from a sum to a code: the multiplier, its shift, rounding, and the ends of the range."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.integers.sums import bordered, padding_with_code_zero, windows_times_weights
from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.mistakes.uniform.codes import truncation_for_rounding, wrap_instead_of_clamp

Array = NDArray[Any]


def _product(accumulators: Array, M0: int) -> Array:
    return accumulators.astype(np.int64) * int(M0)


@mistake(
    "rescale",
    symptom="Outputs are half a step too low on average, and the error grows from layer to layer.",
    cause="A shift alone rounds down, to the lower of two neighbours.",
    repair="Add half of what one unit of the result is worth, 2^(n−1), before the shift.",
    source="common in first fixed-point implementations",
)
def shift_without_rounding(accumulators: Array, M0: int, n: int) -> Array:
    return _product(accumulators, M0) >> n


@also(shift_without_rounding, "rescale")
def division_toward_zero(accumulators: Array, M0: int, n: int) -> Array:
    return np.trunc(accumulators.astype(np.float64) * (M0 / 2.0**n)).astype(np.int64)


@mistake(
    "rescale",
    symptom="Nonsense of either sign as soon as sums are larger than a few, or an OverflowError.",
    cause="The product of sum and multiplier needs up to 62 bits and is computed in 32.",
    repair="Convert the sums to int64 before multiplying.",
    source="common; C multiplies two int32 in 32 bits, and so does NumPy",
)
def product_in_32_bits(accumulators: Array, M0: int, n: int) -> Array:
    return (accumulators * np.int32(M0) + (1 << (n - 1))) >> n


@also(product_in_32_bits, "rescale")
def product_in_32_bits_shifted_in_64(accumulators: Array, M0: int, n: int) -> Array:
    wrapped = (accumulators * np.int32(M0)).astype(np.int64)
    return (wrapped + (1 << (n - 1))) >> n


@mistake(
    "rescale",
    symptom="Most outputs are right; some that lie a little below a half are one too high.",
    cause="The product is rounded once on the way and once more at the end.",
    repair="Keep all bits of the product and round once, in the last shift.",
    source="gemmlowp's two steps, kept on purpose in TensorFlow Lite's reference kernels",
)
def double_rounding(accumulators: Array, M0: int, n: int) -> Array:
    high = (_product(accumulators, M0) + 2**30) >> 31
    rest = n - 31
    half = (1 << rest) >> 1
    return (high + half - ((high < 0) & (rest > 0))) >> rest


@also(double_rounding, "rescale")
def double_rounding_half_up(accumulators: Array, M0: int, n: int) -> Array:
    high = (_product(accumulators, M0) + 2**30) >> 31
    rest = n - 31
    return (high + ((1 << rest) >> 1)) >> rest


def _layer(
    q_x: Array,
    q_w: Array,
    q_b: Array,
    x_zero_point: int,
    multiplier: Array,
    y_zero_point: int,
    *,
    fault: str,
) -> Array:
    border = 0 if fault == "border" else x_zero_point
    sums = windows_times_weights(bordered(q_x, border) - int(x_zero_point), q_w)
    bias = q_b.astype(np.int64).reshape(-1, 1, 1)
    factor = multiplier.astype(np.float64).reshape(-1, 1, 1)
    if fault == "bias":
        real = sums * factor
    else:
        real = (sums + bias) / factor if fault == "inverted" else (sums + bias) * factor
    rounded = {"ties": np.floor(real + 0.5), "floor": np.floor(real)}.get(fault, np.rint(real))
    codes = rounded + (bias if fault == "bias" else 0) + int(y_zero_point)
    if fault == "wrap":
        return np.maximum(codes, int(y_zero_point)).astype(np.int64).astype(np.uint8)
    return np.clip(codes, 0 if fault == "relu" else int(y_zero_point), 255).astype(np.uint8)


@mistake(
    "quantized_layer",
    symptom="All codes are at one end of the range or the other.",
    cause="The sum is divided by the multiplier, or the multiplier is s_y/(s_x·s_w): scales the wrong way round.",
    repair="Multiply the sum by m = s_x·s_w/s_y, which is well below 1 in most layers.",
    source="common in first implementations",
)
def multiplier_inverted(q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="inverted")


@mistake(
    "quantized_layer",
    symptom="Negative outputs survive the ReLU.",
    cause="The ReLU cuts at the code 0, but the number zero has another code.",
    repair="Clip at the zero point of the output: lower codes are negative numbers.",
    source="common; hidden where the zero point of the output is 0",
)
def relu_at_code_zero(q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="relu")


@mistake(
    "quantized_layer",
    symptom="Channels with a large bias are always at an end of the range.",
    cause="The bias is added after the multiplier, but its codes count in the unit of the sum.",
    repair="Add the bias to the sum first, and multiply both.",
    source="common in first implementations",
)
def bias_after_the_multiplier(
    q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int
) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="bias")


@mistake(
    "quantized_layer",
    symptom="A few codes are one higher than the engine's, all of them at exact halves.",
    cause="Halves are rounded up; the engine rounds them to the even neighbour.",
    repair="Use the engine's rule: np.rint, ties to even, for ONNX Runtime.",
    source="floor(x + 0.5) in C; TensorFlow Lite's single rounding does so on purpose",
)
def ties_rounded_up(q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="ties")


@also(truncation_for_rounding, "quantized_layer")
def layer_rounded_down(q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="floor")


@also(wrap_instead_of_clamp, "quantized_layer")
def layer_that_wraps(q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="wrap")


@also(padding_with_code_zero, "quantized_layer")
def layer_padded_with_code_zero(
    q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int
) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="border")
