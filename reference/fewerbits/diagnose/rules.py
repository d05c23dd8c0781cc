"""Wrong rules for codes: each predicts what it would give; the one that gives all codes is named.

A rule is tried only where the right one fails, in the order of this list, the more special before the more general.
"""

from __future__ import annotations

import numpy as np

from fewerbits.diagnose.case import Array, Case, Rule
from fewerbits.tensor.uniform import code_range

# Fewer values at an end may be damage as well as a clamp.
LEAST_CLAMPED = 3


def wrapped(codes: Array, bits: int, signed: bool) -> Array:
    """What is left of codes in an integer of so many bits."""
    offset = 2 ** (bits - 1) if signed else 0
    return (codes + offset) % 2**bits - offset


def container(case: Case) -> int:
    """Bits of the type that codes are kept in."""
    return 8 if case.bits <= 8 else 16


def _rounded(case: Case, x: Array) -> Array:
    return np.rint(x / case.scale)


def clamp_forgotten(case: Case, x: Array) -> Array:
    return _rounded(case, x) + case.zero_point


def clamped_before_the_zero_point(case: Case, x: Array) -> Array:
    return np.clip(_rounded(case, x), *case.ends) + case.zero_point


def wrap_in_the_container(case: Case, x: Array) -> Array:
    return wrapped(_rounded(case, x) + case.zero_point, container(case), case.signed)


def wrap_in_the_other_container(case: Case, x: Array) -> Array:
    return wrapped(_rounded(case, x) + case.zero_point, container(case), not case.signed)


def wrap_in_the_bits(case: Case, x: Array) -> Array:
    return wrapped(_rounded(case, x) + case.zero_point, case.bits, case.signed)


def clamped_codes_in_the_wrong_type(case: Case, x: Array) -> Array:
    return wrapped(case.predicted(x), container(case), not case.signed)


def clamped_codes_of_uint8_in_int8(case: Case, x: Array) -> Array:
    """Codes 0..2^b − 1 kept in the signed type. Only a zero point above 0 tells them from codes that wrapped."""
    if not case.signed or (case.zero_point <= 0).any():
        return np.full(x.shape, np.nan)
    codes = np.clip(_rounded(case, x) + case.zero_point, *code_range(case.bits, signed=False))
    return wrapped(codes, container(case), signed=True)


def codes_of_int8_in_uint8(case: Case, x: Array) -> Array:
    """Signed codes read as unsigned. With z > 0 only codes to both ends tell them from codes that wrapped."""
    low, high = code_range(case.bits, signed=True)
    read = wrapped(case.codes, container(case), signed=True)
    to_both_ends = read.min() <= low + 2 and read.max() >= high - 2
    if case.signed or not (read.min() < 0 < read.max()) or not (to_both_ends or (case.zero_point <= 0).all()):
        return np.full(x.shape, np.nan)
    return wrapped(np.clip(_rounded(case, x) + case.zero_point, low, high), container(case), signed=False)


def truncated_before_the_zero_point(case: Case, x: Array) -> Array:
    return np.clip(np.trunc(x / case.scale) + case.zero_point, *case.ends)


def truncated_after_the_zero_point(case: Case, x: Array) -> Array:
    return np.clip(np.trunc(x / case.scale + case.zero_point), *case.ends)


def floored(case: Case, x: Array) -> Array:
    return np.clip(np.floor(x / case.scale) + case.zero_point, *case.ends)


def zero_point_forgotten(case: Case, x: Array) -> Array:
    return np.clip(_rounded(case, x), *case.ends)


def zero_point_of_wrong_sign(case: Case, x: Array) -> Array:
    return np.clip(_rounded(case, x) - case.zero_point, *case.ends)


def zero_point_added_to_x(case: Case, x: Array) -> Array:
    return np.clip(np.rint((x + case.zero_point) / case.scale), *case.ends)


def zero_point_subtracted_from_x(case: Case, x: Array) -> Array:
    return np.clip(np.rint((x - case.zero_point) / case.scale), *case.ends)


def zero_point_minus_one(case: Case, x: Array) -> Array:
    """The codes belong to z + 1: z was stored as one less."""
    return np.clip(_rounded(case, x) + case.zero_point + 1, *case.ends)


def zero_point_plus_one(case: Case, x: Array) -> Array:
    """The codes belong to z − 1: one was added on reading that nobody had taken away."""
    return np.clip(_rounded(case, x) + case.zero_point - 1, *case.ends)


def half_the_range_off(case: Case, x: Array) -> Array:
    """Codes of the other signedness: −128..127 where 0..255 are declared, or the reverse."""
    shift = -(2 ** (case.bits - 1)) * (1 if not case.signed else -1)
    return case.predicted(x) + shift


def scale_the_wrong_way(case: Case, x: Array) -> Array:
    return np.clip(np.rint(x * case.scale) + case.zero_point, *case.ends)


def scale_applied_twice(case: Case, x: Array) -> Array:
    return np.clip(np.rint(x / case.scale / case.scale) + case.zero_point, *case.ends)


def scale_not_applied(case: Case, x: Array) -> Array:
    return np.clip(np.rint(x) + case.zero_point, *case.ends)


def sign_lost(case: Case, x: Array) -> Array:
    return np.clip(np.abs(_rounded(case, x)) + case.zero_point, *case.ends)


def clamped_to_a_narrower_range(case: Case, x: Array) -> Array:
    """Clamped where the codes end. A single code that ends them tells nothing."""
    low, high = case.codes.min(), case.codes.max()
    codes = _rounded(case, x) + case.zero_point
    if np.count_nonzero((codes < low) | (codes > high)) < LEAST_CLAMPED:
        return np.full(x.shape, np.nan)
    return np.clip(codes, low, high)


def _along(case: Case, x: Array, axis: int) -> Array:
    """The scales lined up with another axis of the same length; NaN where that cannot be."""
    if case.axis is None or axis == case.axis or not case.x.shape[axis] == case.scale.size > 1:
        return np.full(x.shape, np.nan)
    scale, zero_point = (
        np.moveaxis(part, case.axis, axis) if part.size > 1 else part for part in (case.scale, case.zero_point)
    )
    codes = np.rint(x / scale) + zero_point
    # Whoever lines up the wrong axis may clamp to a narrow range, or not at all.
    qmin, qmax = case.ends
    if case.codes.min() >= qmin and case.codes.max() <= qmax:
        codes = np.clip(codes, qmin + (1 if case.signed and case.codes.min() > qmin else 0), qmax)
    return codes


def along_the_last_axis(case: Case, x: Array) -> Array:
    return _along(case, x, case.x.ndim - 1)


def along_another_axis(case: Case, x: Array) -> Array:
    candidates = [_along(case, x, axis) for axis in range(case.x.ndim)]
    return max(candidates, key=lambda codes: np.count_nonzero(codes == case.codes))


RULES: tuple[tuple[str, Rule], ...] = (
    ("truncation_for_rounding", truncated_before_the_zero_point),
    ("truncation_for_rounding", truncated_after_the_zero_point),
    ("truncation_for_rounding", floored),
    ("clamp_forgotten", clamp_forgotten),
    ("clamped_before_the_zero_point", clamped_before_the_zero_point),
    ("clamped_codes_in_the_wrong_type", clamped_codes_of_uint8_in_int8),
    ("codes_read_in_the_other_type", codes_of_int8_in_uint8),
    ("wrap_instead_of_clamp", wrap_in_the_container),
    ("wrap_instead_of_clamp", wrap_in_the_bits),
    ("clamped_codes_in_the_wrong_type", clamped_codes_in_the_wrong_type),
    ("wrap_instead_of_clamp", wrap_in_the_other_container),
    ("zero_point_forgotten", zero_point_forgotten),
    ("zero_point_of_wrong_sign", zero_point_of_wrong_sign),
    ("zero_point_in_the_unit_of_x", zero_point_added_to_x),
    ("zero_point_in_the_unit_of_x", zero_point_subtracted_from_x),
    ("zero_point_minus_one", zero_point_minus_one),
    ("zero_point_one_too_high", zero_point_plus_one),
    ("codes_of_the_other_signedness", half_the_range_off),
    ("scale_forgotten", scale_not_applied),
    ("scale_the_wrong_way", scale_the_wrong_way),
    ("scale_applied_twice", scale_applied_twice),
    ("scales_along_the_last_axis", along_the_last_axis),
    ("wrong_axis", along_another_axis),
    ("sign_lost", sign_lost),
    ("clamped_to_a_narrower_range", clamped_to_a_narrower_range),
)
