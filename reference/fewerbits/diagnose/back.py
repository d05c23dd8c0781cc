"""The way back and exact ties: what values become of codes, and how values half-way between two were rounded."""

from __future__ import annotations

import numpy as np

from fewerbits.diagnose.case import Array, Case
from fewerbits.diagnose.finding import Finding
from fewerbits.diagnose.rules import container, wrapped
from fewerbits.diagnose.words import finding


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
    return wrapped(case.codes - case.zero_point, container(case), case.signed) * case.scale


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
            ("zero_point_one_too_high", (q - z - 1) * s),
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
