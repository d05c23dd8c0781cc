"""Mistakes in sums of products of codes: the accumulator, zero points, the bias, and the border of a convolution."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.mistakes.uniform.codes import subtraction_in_the_code_type, truncation_for_rounding

Array = NDArray[Any]


def _sums(q_x: Array, q_w: Array, x_zero_point: int, w_zero_point: int) -> Array:
    return (q_x.astype(np.int64) - int(x_zero_point)) @ (q_w.astype(np.int64) - int(w_zero_point)).T


def _right_bias(bias: Array, s_x: float, s_w: Array) -> Array:
    return np.rint(bias / (s_x * s_w)).astype(np.int64)


def _cross_term(q_w: Array, x_zero_point: int) -> Array:
    return int(x_zero_point) * q_w.astype(np.int64).sum(axis=1)


@mistake(
    "accumulate",
    symptom="Large sums come back as small ones or with the opposite sign; small sums are right.",
    cause="The sum is kept in too few bits: what does not fit is dropped without a word.",
    repair="Convert the codes to int32 before the product, not after it.",
    source="common in first implementations; NumPy multiplies uint8 by int8 in int16",
)
def accumulator_too_narrow(q_x: Array, q_w: Array, x_zero_point: int, w_zero_point: int) -> Array:
    return _sums(q_x, q_w, x_zero_point, w_zero_point).astype(np.int8)


@also(accumulator_too_narrow, "accumulate")
def accumulator_of_sixteen_bits(q_x: Array, q_w: Array, x_zero_point: int, w_zero_point: int) -> Array:
    return _sums(q_x, q_w, x_zero_point, w_zero_point).astype(np.int16)


@mistake(
    "accumulate",
    symptom="Each output is off by a constant of its own, the same for every input.",
    cause="Raw codes are multiplied as if the code 0 stood for the number 0.",
    repair="Subtract the zero point from the codes of the input, or subtract its cross term from the sum.",
    source="common where data after a ReLU, whose zero point is 0, served as the example",
)
def zero_point_ignored_in_the_sum(q_x: Array, q_w: Array, x_zero_point: int, w_zero_point: int) -> Array:
    return _sums(q_x, q_w, 0, w_zero_point)


@also(zero_point_ignored_in_the_sum, "accumulate")
def zero_point_ignored_in_sixteen_bits(q_x: Array, q_w: Array, x_zero_point: int, w_zero_point: int) -> Array:
    return _sums(q_x, q_w, 0, w_zero_point).astype(np.int16)


@also(subtraction_in_the_code_type, "accumulate")
def zero_point_subtracted_in_uint8(q_x: Array, q_w: Array, x_zero_point: int, w_zero_point: int) -> Array:
    return _sums(q_x - np.uint8(x_zero_point), q_w, 0, w_zero_point)


@also(subtraction_in_the_code_type, "accumulate")
def everything_in_the_code_types(q_x: Array, q_w: Array, x_zero_point: int, w_zero_point: int) -> Array:
    return _sums(q_x - np.uint8(x_zero_point), q_w, 0, w_zero_point).astype(np.int16)


@also(zero_point_ignored_in_the_sum, "accumulate")
def zero_point_of_the_weights_ignored(q_x: Array, q_w: Array, x_zero_point: int, w_zero_point: int) -> Array:
    return _sums(q_x, q_w, x_zero_point, 0)


@also(zero_point_ignored_in_the_sum, "accumulate")
def both_zero_points_ignored(q_x: Array, q_w: Array, x_zero_point: int, w_zero_point: int) -> Array:
    return _sums(q_x, q_w, 0, 0)


@also(zero_point_ignored_in_the_sum, "accumulate")
def both_zero_points_ignored_in_sixteen_bits(q_x: Array, q_w: Array, x_zero_point: int, w_zero_point: int) -> Array:
    return _sums(q_x, q_w, 0, 0).astype(np.int16)


@also(subtraction_in_the_code_type, "accumulate")
def weights_subtracted_in_int8(q_x: Array, q_w: Array, x_zero_point: int, w_zero_point: int) -> Array:
    return _sums(q_x, q_w - np.int8(w_zero_point), x_zero_point, 0)


@also(subtraction_in_the_code_type, "accumulate")
def both_subtracted_in_the_code_types(q_x: Array, q_w: Array, x_zero_point: int, w_zero_point: int) -> Array:
    return _sums(q_x - np.uint8(x_zero_point), q_w - np.int8(w_zero_point), 0, 0)


@also(subtraction_in_the_code_type, "accumulate")
def all_of_it_in_the_code_types(q_x: Array, q_w: Array, x_zero_point: int, w_zero_point: int) -> Array:
    return _sums(q_x - np.uint8(x_zero_point), q_w - np.int8(w_zero_point), 0, 0).astype(np.int16)


@mistake(
    "sum_bounds",
    symptom="The bounds hold, but no input reaches one of them.",
    cause="Every product is taken at its largest magnitude, whichever sign it then has.",
    repair="Choose for each weight the code that makes its product smallest, and the one that makes it largest.",
    source="the closed bound max(z, 255 − z)·Σ|q_w|, where the two ends themselves are asked",
)
def magnitude_for_both_ends(q_w: Array, x_zero_point: int) -> tuple[Array, Array]:
    bound = max(x_zero_point, 255 - x_zero_point) * np.abs(q_w.astype(np.int64)).sum(axis=1)
    return -bound, bound


@mistake(
    "sum_bounds",
    symptom="Bounds that real sums exceed as soon as weights have both signs.",
    cause="All inputs are given the same extreme code, and weights of opposite signs cancel.",
    repair="Choose the extreme code weight by weight: a negative weight is at its largest where the input is smallest.",
    source="common in first estimates",
)
def one_code_for_all_inputs(q_w: Array, x_zero_point: int) -> tuple[Array, Array]:
    total = q_w.astype(np.int64).sum(axis=1)
    ends = np.stack([-int(x_zero_point) * total, (255 - int(x_zero_point)) * total])
    return ends.min(axis=0), ends.max(axis=0)


@also(one_code_for_all_inputs, "sum_bounds")
def one_code_for_all_inputs_unordered(q_w: Array, x_zero_point: int) -> tuple[Array, Array]:
    total = q_w.astype(np.int64).sum(axis=1)
    return -int(x_zero_point) * total, (255 - int(x_zero_point)) * total


@also(zero_point_ignored_in_the_sum, "sum_bounds")
def zero_point_ignored_in_the_bounds(q_w: Array, x_zero_point: int) -> tuple[Array, Array]:
    w = q_w.astype(np.int64)
    return 255 * np.minimum(w, 0).sum(axis=1), 255 * np.maximum(w, 0).sum(axis=1)


@mistake(
    "sum_bounds",
    symptom="Small numbers of either sign where large ones belong, or an OverflowError.",
    cause="Products are computed in int8, the type of the weights, and do not fit into it.",
    repair="Convert the weights to int32 before multiplying them.",
    source="NumPy: an int8 array times one of Python's integers stays int8",
)
def product_in_the_code_type(q_w: Array, x_zero_point: int) -> tuple[Array, Array]:
    ends = np.stack([-x_zero_point * q_w, (255 - x_zero_point) * q_w])
    return ends.min(axis=0).sum(axis=1), ends.max(axis=0).sum(axis=1)


@also(product_in_the_code_type, "bias_codes")
def cross_term_in_int8(bias: Array, s_x: float, s_w: Array, q_w: Array, x_zero_point: int) -> Array:
    return _right_bias(bias, s_x, s_w) - (x_zero_point * q_w).sum(axis=1)


@mistake(
    "bias_codes",
    symptom="The layer works a little: all biases arrive too small or too large, by one common factor.",
    cause="The bias is quantized like any tensor, to its own range, but the sum counts in another unit.",
    repair="Divide the bias by s_x·s_w, round, and keep it in int32.",
    source="common in first implementations; Jacob et al. 2018, section 2.4, says why not",
)
def bias_with_its_own_scale(bias: Array, s_x: float, s_w: Array, q_w: Array, x_zero_point: int) -> Array:
    peak = np.max(np.abs(bias))
    return np.rint(bias / (peak / 127 if peak else 1.0)) - _cross_term(q_w, x_zero_point)


@mistake(
    "bias_codes",
    symptom="Biases arrive far too small, as if they had been left out.",
    cause="The bias has the scale of one factor only; the sum counts in the product of both scales.",
    repair="Divide the bias by s_x·s_w.",
    source="common in hand-written exporters",
)
def bias_at_one_scale_only(bias: Array, s_x: float, s_w: Array, q_w: Array, x_zero_point: int) -> Array:
    return np.rint(bias / s_w) - _cross_term(q_w, x_zero_point)


@also(bias_at_one_scale_only, "bias_codes")
def bias_at_the_scale_of_the_input(bias: Array, s_x: float, s_w: Array, q_w: Array, x_zero_point: int) -> Array:
    return np.rint(bias / s_x) - _cross_term(q_w, x_zero_point)


@also(truncation_for_rounding, "bias_codes")
def truncated_bias(bias: Array, s_x: float, s_w: Array, q_w: Array, x_zero_point: int) -> Array:
    return np.trunc(bias / (s_x * s_w)) - _cross_term(q_w, x_zero_point)


@also(truncation_for_rounding, "bias_codes")
def bias_rounded_down(bias: Array, s_x: float, s_w: Array, q_w: Array, x_zero_point: int) -> Array:
    return np.floor(bias / (s_x * s_w)) - _cross_term(q_w, x_zero_point)


@mistake(
    "bias_codes",
    symptom="Small biases are right; larger ones arrive as small numbers of either sign.",
    cause="The codes are put into too few bits: what does not fit is dropped without a word.",
    repair="Keep the codes of the bias in int32, like the sums to which they are added.",
    source="common where all tensors of a layer are made int8; Jacob et al. 2018, section 2.4, says why not",
)
def bias_in_too_few_bits(bias: Array, s_x: float, s_w: Array, q_w: Array, x_zero_point: int) -> Array:
    return _right_bias(bias, s_x, s_w).astype(np.int8) - _cross_term(q_w, x_zero_point)


@also(bias_in_too_few_bits, "bias_codes")
def folded_bias_in_eight_bits(bias: Array, s_x: float, s_w: Array, q_w: Array, x_zero_point: int) -> Array:
    return (_right_bias(bias, s_x, s_w) - _cross_term(q_w, x_zero_point)).astype(np.int8)


@also(bias_in_too_few_bits, "bias_codes")
def folded_bias_in_sixteen_bits(bias: Array, s_x: float, s_w: Array, q_w: Array, x_zero_point: int) -> Array:
    return (_right_bias(bias, s_x, s_w) - _cross_term(q_w, x_zero_point)).astype(np.int16)


@also(zero_point_ignored_in_the_sum, "bias_codes")
def zero_point_not_folded(bias: Array, s_x: float, s_w: Array, q_w: Array, x_zero_point: int) -> Array:
    return _right_bias(bias, s_x, s_w)


@mistake(
    "correct_sums",
    symptom="All outputs are off by one constant that grows with the number of inputs.",
    cause="At least one of the cross terms enters with the wrong sign.",
    repair="Multiply (q_x − z_x)(q_w − z_w) out: mixed terms are subtracted, the product of both zero points is added.",
    source="common when Jacob et al. 2018, eq. 7, is written down from memory",
)
def cross_term_of_wrong_sign(
    raw: Array, x_sums: Array, w_sums: Array, terms: int, x_zero_point: int, w_zero_point: int
) -> Array:
    return raw - w_zero_point * x_sums[:, None] - x_zero_point * w_sums - terms * x_zero_point * w_zero_point


@also(cross_term_of_wrong_sign, "correct_sums")
def mixed_cross_terms_added(
    raw: Array, x_sums: Array, w_sums: Array, terms: int, x_zero_point: int, w_zero_point: int
) -> Array:
    return raw + w_zero_point * x_sums[:, None] + x_zero_point * w_sums + terms * x_zero_point * w_zero_point


@also(cross_term_of_wrong_sign, "bias_codes")
def folded_with_the_wrong_sign(bias: Array, s_x: float, s_w: Array, q_w: Array, x_zero_point: int) -> Array:
    return _right_bias(bias, s_x, s_w) + _cross_term(q_w, x_zero_point)


@mistake(
    "correct_sums",
    symptom="Wrong with two zero points, right as soon as one of them is 0.",
    cause="The term in which both zero points meet is incomplete or missing.",
    repair="Add K·z_x·z_w, where K is the number of products in a sum.",
    source="common where symmetric weights served as the example",
)
def constant_cross_term_forgotten(
    raw: Array, x_sums: Array, w_sums: Array, terms: int, x_zero_point: int, w_zero_point: int
) -> Array:
    return raw - w_zero_point * x_sums[:, None] - x_zero_point * w_sums


@also(constant_cross_term_forgotten, "correct_sums")
def constant_cross_term_counted_once(
    raw: Array, x_sums: Array, w_sums: Array, terms: int, x_zero_point: int, w_zero_point: int
) -> Array:
    return raw - w_zero_point * x_sums[:, None] - x_zero_point * w_sums + x_zero_point * w_zero_point


@also(constant_cross_term_forgotten, "correct_sums")
def constant_cross_term_counted_per_input(
    raw: Array, x_sums: Array, w_sums: Array, terms: int, x_zero_point: int, w_zero_point: int
) -> Array:
    return raw - w_zero_point * x_sums[:, None] - x_zero_point * w_sums + len(x_sums) * x_zero_point * w_zero_point


@mistake(
    "correct_sums",
    symptom="Right when both zero points are equal, wrong otherwise.",
    cause="Each zero point is multiplied by the sum of its own tensor instead of the other one.",
    repair="Pair z_x with the sum of the weights and z_w with the sum of the inputs.",
    source="common in first implementations",
)
def zero_points_exchanged(
    raw: Array, x_sums: Array, w_sums: Array, terms: int, x_zero_point: int, w_zero_point: int
) -> Array:
    return raw - x_zero_point * x_sums[:, None] - w_zero_point * w_sums + terms * x_zero_point * w_zero_point


def windows_times_weights(padded: Array, q_w: Array) -> Array:
    """Sums of k×k windows of `padded` (N, C, H + k − 1, W + k − 1) times weights (O, C, k, k): (N, O, H, W)."""
    windows = sliding_window_view(padded.astype(np.int64), q_w.shape[2:], axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, q_w.astype(np.int64))


def bordered(q_x: Array, code: int, q_w: Array) -> Array:
    """Codes in int64 with a frame of one `code` around each image, half as wide as the kernel."""
    frame = (q_w.shape[2] // 2,) * 2
    return np.pad(q_x.astype(np.int64), ((0, 0), (0, 0), frame, frame), constant_values=int(code))
