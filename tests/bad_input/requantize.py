"""Requantization: multipliers outside their range or of another shape, zero points, rules, accumulators."""

from __future__ import annotations

import numpy as np
from fewerbits.network.requantize import fixed_point_multiplier, output_multiplier, requantize, scale_by_fixed_point

from tests.bad_input import Case

ACC = np.array([[1, -2, 3], [40, 50, -60]], np.int32)
BIG = np.array([2**30], np.int32)


def codes(
    multiplier: object = 0.5, zero_point: object = 0, qmin: object = -128, qmax: object = 127, **how: object
) -> object:
    return requantize(ACC, multiplier, zero_point, qmin, qmax, **how)  # type: ignore[arg-type]


CASES = [
    Case("float_accumulators", lambda: requantize(ACC * 0.5, 0.5, 0, 0, 255), TypeError, ("accumulators", "float64")),
    Case("wide_accumulators", lambda: requantize([2**40], 0.5, 0, 0, 255), ValueError, ("accumulators", "2147483647")),
    Case("no_accumulators", lambda: requantize(ACC[:0], 0.5, 0, 0, 255), ValueError, ("accumulators", "empty")),
    Case("multiplier_zero", lambda: codes(0.0), ValueError, ("multiplier", "0.0", "greater than 0")),
    Case("multiplier_negative", lambda: codes([0.1, -0.2, 0.3]), ValueError, ("multiplier", "-0.2")),
    Case("multiplier_nan", lambda: codes(np.nan), ValueError, ("multiplier", "nan")),
    Case("multiplier_complex", lambda: codes(1j), TypeError, ("multiplier", "complex128")),
    Case("multiplier_shape", lambda: codes([0.1, 0.2]), ValueError, ("multiplier", "(2,)", "(3,)", "axis=1")),
    Case("multiplier_axis", lambda: codes([0.1, 0.2, 0.3], axis=2), ValueError, ("axis=2",)),
    Case("multiplier_matrix", lambda: codes([[0.1, 0.2, 0.3]]), ValueError, ("multiplier", "(1, 3)", "(3,)")),
    Case(
        "multiplier_too_large", lambda: codes(2.0**30, rule="half_up"), ValueError, ("multiplier", "1073741824", "2^30")
    ),
    Case("zero_point_outside", lambda: codes(zero_point=128), ValueError, ("zero_point=128", "-128 to 127")),
    Case("float_zero_point", lambda: codes(zero_point=0.5), TypeError, ("zero_point=0.5",)),
    Case("range_reversed", lambda: codes(qmin=5, qmax=-5), ValueError, ("qmin=5", "qmax=-5")),
    Case("range_too_wide", lambda: codes(qmax=70_000), ValueError, ("qmax=70000",)),
    Case("dtype_too_small", lambda: codes(dtype=np.uint8), ValueError, ("dtype=uint8", "qmin=-128")),
    Case("dtype_float", lambda: codes(dtype=np.float32), ValueError, ("dtype=float32",)),
    Case("rule_unknown", lambda: codes(rule="half_even"), ValueError, ("rule='half_even'", "'gemmlowp'")),
    Case(
        "shift_overflows",
        lambda: requantize(BIG, 4.0, 0, -128, 127, "gemmlowp"),
        ValueError,
        ("accumulators", "shift=3"),
    ),
    Case("fixed_point_zero", lambda: fixed_point_multiplier([0.5, 0.0]), ValueError, ("multiplier", "0.0", "2^30")),
    Case("fixed_point_infinite", lambda: fixed_point_multiplier(np.inf), ValueError, ("multiplier", "inf")),
    Case("fixed_point_rule", lambda: scale_by_fixed_point(ACC, 2**30, 0, "float32"), ValueError, ("rule='float32'",)),
    Case("fixed_point_shift", lambda: scale_by_fixed_point(ACC, 2**30, 31), ValueError, ("shift", "31", "-31..30")),
    Case("fixed_point_multiplier_wide", lambda: scale_by_fixed_point(ACC, 2**31, 0), ValueError, ("M0", "2147483648")),
    Case("weight_scale_zero", lambda: output_multiplier(0.1, 0.0, 0.1), ValueError, ("s_w", "positive")),
    Case("output_scale_zero", lambda: output_multiplier(0.1, 0.1, 0.0), ValueError, ("s_y", "positive")),
    Case("output_scale_per_channel", lambda: output_multiplier(0.1, 0.1, [0.1, 0.2]), ValueError, ("s_y", "(2,)")),
    Case(
        "output_scale_tiny", lambda: output_multiplier(1e10, 1e10, 1e-30), ValueError, ("s_y", "multiplier", "float32")
    ),
    Case(
        "precision_unknown", lambda: output_multiplier(0.1, 0.1, 0.1, "float16"), ValueError, ("precision='float16'",)
    ),
]
