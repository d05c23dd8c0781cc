"""Mistakes in adding codes of two scales."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.integers.requantizing import output_zero_point_forgotten
from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.mistakes.uniform.codes import (
    clamped_before_the_zero_point,
    clamped_codes_in_the_wrong_type,
    subtraction_in_the_code_type,
    truncation_for_rounding,
    wrap_instead_of_clamp,
)

Array = NDArray[Any]
Pair = tuple[Array, Array]


def _reals(q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int) -> Pair:
    return s_a * (q_a.astype(np.float64) - z_a), s_b * (q_b.astype(np.float64) - z_b)


def _total(pair: Pair) -> Array:
    return pair[0] + pair[1]


def _codes(real: Array, s_y: float, z_y: int) -> Array:
    return np.clip(np.rint(real / s_y) + z_y, 0, 255)


@mistake(
    "add_codes",
    symptom="Sums are nonsense wherever the two inputs have different scales.",
    cause="Codes were added that count in different units.",
    repair="Bring both back to real numbers, s·(q − z), add, and quantize the sum.",
    source="executorch issue 18999",
)
def codes_added_as_they_are(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return np.clip(q_a.astype(np.int64) + q_b, 0, 255)


@also(codes_added_as_they_are, "add_codes")
def codes_added_in_uint8(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return q_a + q_b


@also(codes_added_as_they_are, "add_codes")
def codes_added_without_their_zero_points(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return np.clip(q_a.astype(np.int64) - z_a + q_b.astype(np.int64) - z_b + z_y, 0, 255)


@mistake(
    "add_codes",
    symptom="All sums are off by one constant, which depends on the scales and zero points alone.",
    cause="The codes were multiplied by their scales as if the code 0 stood for the number 0.",
    repair="Subtract z_a from q_a and z_b from q_b before multiplying.",
    source="common where data after a ReLU, whose zero point is 0, served as the example",
)
def zero_points_left_in(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return _codes(_total(_reals(q_a, s_a, 0, q_b, s_b, 0)), s_y, z_y)


@also(zero_points_left_in, "add_codes")
def zero_point_of_the_second_left_in(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return _codes(_total(_reals(q_a, s_a, z_a, q_b, s_b, 0)), s_y, z_y)


@mistake(
    "add_codes",
    symptom="One branch arrives too strong or too weak, the other one is right.",
    cause="Both inputs were read with the scale of one of them.",
    repair="Each input has its own scale and zero point.",
    source="common: concatenations and additions that keep the first input's parameters",
)
def scale_of_one_branch_for_both(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return _codes(_total(_reals(q_a, s_a, z_a, q_b, s_a, z_b)), s_y, z_y)


@also(scale_of_one_branch_for_both, "add_codes")
def scale_of_the_second_for_both(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return _codes(_total(_reals(q_a, s_b, z_a, q_b, s_b, z_b)), s_y, z_y)


@also(scale_of_one_branch_for_both, "add_codes")
def both_parameters_of_the_first_for_both(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return _codes(_total(_reals(q_a, s_a, z_a, q_b, s_a, z_a)), s_y, z_y)


@mistake(
    "add_codes",
    symptom="Many sums are right, and about one in four is a step off.",
    cause="Each term is rounded to a code before they are added: two roundings where one is due.",
    repair="Add real numbers, and round the sum once.",
    source="additions built from two requantizations, as in first fixed-point implementations",
)
def each_term_rounded(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    a, b = _reals(q_a, s_a, z_a, q_b, s_b, z_b)
    return np.clip(np.rint(a / s_y) + np.rint(b / s_y) + z_y, 0, 255)


@mistake(
    "add_codes",
    symptom="All codes lie close to the zero point.",
    cause="The sum is rounded as a real number, not in steps of the output.",
    repair="Divide the real sum by s_y before rounding.",
    source="common",
)
def output_scale_forgotten(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return _codes(_total(_reals(q_a, s_a, z_a, q_b, s_b, z_b)), 1.0, z_y)


@also(output_zero_point_forgotten, "add_codes")
def sum_without_its_zero_point(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return _codes(_total(_reals(q_a, s_a, z_a, q_b, s_b, z_b)), s_y, 0)


@also(wrap_instead_of_clamp, "add_codes")
def sum_that_wraps(q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int) -> Array:
    real = _total(_reals(q_a, s_a, z_a, q_b, s_b, z_b))
    return (np.rint(real / s_y) + z_y).astype(np.int64).astype(np.uint8)


@also(clamped_before_the_zero_point, "add_codes")
def sum_clipped_before_the_zero_point(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return _codes(_total(_reals(q_a, s_a, z_a, q_b, s_b, z_b)), s_y, 0) + z_y


@also(truncation_for_rounding, "add_codes")
def sum_truncated(q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int) -> Array:
    real = _total(_reals(q_a, s_a, z_a, q_b, s_b, z_b))
    return np.clip(np.trunc(real / s_y + z_y), 0, 255)


@also(truncation_for_rounding, "add_codes")
def sum_truncated_toward_its_zero_point(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    real = _total(_reals(q_a, s_a, z_a, q_b, s_b, z_b))
    return np.clip(np.trunc(real / s_y) + z_y, 0, 255)


@also(subtraction_in_the_code_type, "add_codes")
def zero_points_subtracted_in_uint8(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return _codes(_total(_reals(q_a - np.uint8(z_a), s_a, 0, q_b - np.uint8(z_b), s_b, 0)), s_y, z_y)


@mistake(
    "add_codes",
    symptom="The largest inputs act as the smallest: bright places come out dark.",
    cause="The codes were made int8, in which those from 128 on are negative.",
    repair="Convert uint8 codes to a type that holds 255: int32, or float.",
    source="common: 8-bit codes thought of as int8",
)
def codes_read_as_int8(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return _codes(_total(_reals(q_a.astype(np.int8), s_a, z_a, q_b.astype(np.int8), s_b, z_b)), s_y, z_y)


@also(codes_read_as_int8, "add_codes")
def codes_subtracted_in_int8(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    # OverflowError for a zero point from 128 on, as learners get it.
    return _codes(_total(_reals(q_a.astype(np.int8) - z_a, s_a, 0, q_b.astype(np.int8) - z_b, s_b, 0)), s_y, z_y)


@also(clamped_codes_in_the_wrong_type, "add_codes")
def sum_in_int8(q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int) -> Array:
    return _codes(_total(_reals(q_a, s_a, z_a, q_b, s_b, z_b)), s_y, z_y).astype(np.uint8).view(np.int8)
