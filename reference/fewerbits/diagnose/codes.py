"""Wrong rules for codes and for the way back: each predicts what it would give; the one that gives it is named.

A rule is tried only where the right one fails, in the order of this list, the more special before the more general.
"""

from __future__ import annotations

import numpy as np

from fewerbits.diagnose.case import Array, Case, Rule
from fewerbits.diagnose.finding import Finding
from fewerbits.diagnose.words import finding

# Where the codes' own slope is measured: below this many values a line through them explains anything.
LEAST_VALUES_FOR_A_LINE = 8


def _wrap(codes: Array, bits: int, signed: bool) -> Array:
    """What is left of codes in an integer of so many bits."""
    offset = 2 ** (bits - 1) if signed else 0
    return (codes + offset) % 2**bits - offset


def _container(case: Case) -> int:
    """Bits of the type that codes are kept in."""
    return 8 if case.bits <= 8 else 16


def _rounded(case: Case, x: Array) -> Array:
    return np.rint(x / case.scale)


def clamp_forgotten(case: Case, x: Array) -> Array:
    return _rounded(case, x) + case.zero_point


def clamped_before_the_zero_point(case: Case, x: Array) -> Array:
    return np.clip(_rounded(case, x), *case.ends) + case.zero_point


def wrap_in_the_container(case: Case, x: Array) -> Array:
    return _wrap(_rounded(case, x) + case.zero_point, _container(case), case.signed)


def wrap_in_the_other_container(case: Case, x: Array) -> Array:
    return _wrap(_rounded(case, x) + case.zero_point, _container(case), not case.signed)


def wrap_in_the_bits(case: Case, x: Array) -> Array:
    return _wrap(_rounded(case, x) + case.zero_point, case.bits, case.signed)


def clamped_codes_in_the_wrong_type(case: Case, x: Array) -> Array:
    return _wrap(case.predicted(x), _container(case), not case.signed)


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
    ("wrap_instead_of_clamp", wrap_in_the_container),
    ("wrap_instead_of_clamp", wrap_in_the_bits),
    ("clamped_codes_in_the_wrong_type", clamped_codes_in_the_wrong_type),
    ("wrap_instead_of_clamp", wrap_in_the_other_container),
    ("zero_point_forgotten", zero_point_forgotten),
    ("zero_point_of_wrong_sign", zero_point_of_wrong_sign),
    ("zero_point_in_the_unit_of_x", zero_point_added_to_x),
    ("zero_point_in_the_unit_of_x", zero_point_subtracted_from_x),
    ("zero_point_minus_one", zero_point_minus_one),
    ("zero_point_minus_one", zero_point_plus_one),
    ("codes_of_the_other_signedness", half_the_range_off),
    ("scale_forgotten", scale_not_applied),
    ("scale_the_wrong_way", scale_the_wrong_way),
    ("scale_applied_twice", scale_applied_twice),
    ("scales_along_the_last_axis", along_the_last_axis),
    ("wrong_axis", along_another_axis),
)


def wrong_codes(case: Case) -> list[Finding]:
    """The rule that the codes follow where it is not the right one."""
    wrong = ~case.correct
    count = int(wrong.sum())
    if not count:
        return []
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    expected = int(case.predicted(case.x)[first])
    share = f"{count} of {wrong.size} codes are wrong"
    example = f"the first is code {case.codes[first]} of value {case.x[first]:.6g}, which should be {expected}"
    for name, rule in RULES:
        if case.explained_by(rule):
            return [finding(name, "codes", f"{share} ({example}); this mistake gives all {wrong.size}")]
    return [_codes_of_other_parameters(case, share) or finding("codes_unexplained", "codes", f"{share}; {example}")]


def _codes_of_other_parameters(case: Case, share: str) -> Finding | None:
    """The straight line on which the codes lie, if they do: its slope is how far the scale is off."""
    inside = (case.codes > case.codes.min()) & (case.codes < case.codes.max())
    steps, codes = case.steps[inside], case.codes[inside] - np.broadcast_to(case.zero_point, case.x.shape)[inside]
    if codes.size < LEAST_VALUES_FOR_A_LINE or np.ptp(codes) == 0 or np.ptp(steps) == 0:
        return None
    slope, offset = np.polyfit(steps, codes, 1)
    # Rounding to nearest leaves a residual of 1/√12 = 0.29 steps; half a step rms is no line any more.
    if np.sqrt(np.mean((slope * steps + offset - codes) ** 2)) > 0.5 or slope == 0:
        return None
    line = f"they lie on the line of a scale {1 / slope:.4g} times the one given and a zero point {offset:+.1f} from it"
    return finding("codes_of_another_scale", "codes", f"{share}; {line}")


def ties(case: Case) -> list[Finding]:
    """Codes of exact ties that follow another rule than the one the caller names; silent while none is named."""
    if case.rounding not in ("half_even", "half_away"):
        return []
    tied = np.abs(case.steps) % 1 == 0.5
    away = np.trunc(case.steps) + np.sign(case.steps)
    wanted = {"half_even": np.rint(case.steps), "half_away": away}
    codes = {rule: np.clip(rounded + case.zero_point, *case.ends) for rule, rounded in wanted.items()}
    differ = tied & (case.codes != codes[case.rounding]) & case.correct
    if not differ.any():
        return []
    other = "half_away" if case.rounding == "half_even" else "half_even"
    all_other = (case.codes == codes[other])[tied].all()
    evidence = f"{int(differ.sum())} of {int(tied.sum())} exact ties are not rounded {case.rounding}" + (
        f"; all follow {other}" if all_other else ""
    )
    return [finding("ties_by_another_rule", "codes", evidence)]


def _in_the_code_type(case: Case) -> Array:
    return _wrap(case.codes - case.zero_point, _container(case), case.signed) * case.scale


def wrong_way_back(case: Case) -> list[Finding]:
    """The rule that `dequantized` follows where it is not s·(q − z)."""
    if case.dequantized is None:
        return []
    q, s, z = case.codes, case.scale, case.zero_point
    with np.errstate(all="ignore"):
        if _close(case, s * (q - z)):
            return []
        wrong_ways = (
            ("scale_forgotten", q - z),
            ("scale_forgotten", q + 0 * z),
            ("subtraction_in_the_code_type", _in_the_code_type(case)),
            ("zero_point_forgotten", q * s),
            ("zero_point_of_wrong_sign", (q + z) * s),
            ("zero_point_in_the_unit_of_values", q * s - z),
            ("zero_point_minus_one", (q - z - 1) * s),
            ("zero_point_minus_one", (q - z + 1) * s),
            ("scale_the_wrong_way", (q - z) / s),
            ("scale_applied_twice", (q - z) * s * s),
        )
        for name, values in wrong_ways:
            if _close(case, values):
                return [finding(name, "dequantized", _distance(case))]
    return [finding("values_unexplained", "dequantized", _distance(case))]


def _close(case: Case, values: Array) -> bool:
    """Equal but for the rounding of float32 (or of the values' own type, if that is narrower)."""
    back = np.asarray(case.dequantized)
    eps = np.finfo(np.result_type(back.dtype, np.float16)).eps if back.dtype == np.float16 else 2.0**-23
    room = 4 * eps * (np.abs(values) + np.abs(case.zero_point) * case.scale)
    return bool((np.abs(back.astype(np.float64) - values) <= room + np.finfo(np.float32).tiny).all())


def _distance(case: Case) -> str:
    back = np.asarray(case.dequantized, np.float64)
    right = case.scale * (case.codes - case.zero_point)
    with np.errstate(all="ignore"):
        distance = np.where(np.isfinite(back), np.abs(back - right), np.inf)
    worst = np.unravel_index(int(np.argmax(distance)), distance.shape)
    return f"code {case.codes[worst]} came back as {back[worst]:.6g}, and s·(q − z) is {right[worst]:.6g}"
