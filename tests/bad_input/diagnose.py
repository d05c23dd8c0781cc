"""What the diagnosis refuses: not wrong quantizations, which it reports, but arguments that cannot be read."""

from __future__ import annotations

from typing import Any

import numpy as np
from fewerbits.diagnose import diagnose, diagnose_bias, diagnose_sums

from tests.bad_input import Case

X = np.linspace(-1, 1, 24, dtype=np.float32).reshape(4, 6)
CODES = np.rint(X * 127).astype(np.int8)
SCALE = np.float32(1 / 127)
BIAS, S_W = np.ones(3), np.full(3, 0.01)
Q_X, Q_W = np.ones((2, 5), np.uint8), np.ones((3, 5), np.int8)


def of(x: Any = X, codes: Any = CODES, scale: Any = SCALE, zero_point: Any = 0, bits: Any = 8, **options: Any) -> Any:
    return lambda: diagnose(x, codes, scale, zero_point, bits, **options)


CASES = [
    Case("codes of another shape", of(codes=CODES[:2]), ValueError, ("codes", "(2, 6)", "(4, 6)")),
    Case("no values", of(x=[], codes=np.zeros(0, int)), ValueError, ("empty",)),
    Case("complex values", of(x=X.astype(complex)), TypeError, ("values", "complex128")),
    Case("boolean codes", of(codes=X > 0), TypeError, ("codes", "bool")),
    Case("codes as text", of(codes=np.array(["1"])), TypeError, ("codes", "<U1")),
    Case("complex codes", of(codes=CODES.astype(complex)), TypeError, ("codes", "complex128")),
    Case("complex scale", of(scale=1j), TypeError, ("scale", "complex128")),
    Case("scale of no shape that fits", of(scale=np.ones(5)), ValueError, ("scale", "(5,)", "axis=None")),
    Case("scales of no axis", of(scale=np.ones(5), axis=0), ValueError, ("scale", "(5,)", "axis=0", "(4,)")),
    Case("zero points of no axis", of(zero_point=np.ones(5, int), axis=0), ValueError, ("zero_point", "(5,)")),
    Case("zero point as truth", of(zero_point=True), TypeError, ("zero_point", "bool")),
    Case("no bits", of(bits=0), ValueError, ("bits=0", "from 1 to 16")),
    Case("bits as text", of(bits="8"), TypeError, ("bits='8'", "integer")),
    Case("signed as a number", of(signed=1), TypeError, ("signed=1", "True or False")),
    Case("symmetric as text", of(symmetric="yes"), TypeError, ("symmetric='yes'", "True or False")),
    Case("axis too high", of(axis=2), ValueError, ("axis=2", "from -2 to 1")),
    Case("unknown rounding", of(rounding="up"), ValueError, ("rounding='up'", "half_even")),
    Case("x̂ of another shape", of(dequantized=X[0]), ValueError, ("dequantized", "(6,)", "(4, 6)")),
    Case("bias of another shape", lambda: diagnose_bias(BIAS, [1, 2], 1.0, S_W), ValueError, ("codes", "(2,)", "(3,)")),
    Case("bias codes as floats", lambda: diagnose_bias(BIAS, BIAS, 1.0, S_W), TypeError, ("codes", "float64")),
    Case("no scale of the input", lambda: diagnose_bias(BIAS, [1, 2, 3], 0.0, S_W), ValueError, ("s_x=0.0",)),
    Case("two scales of the input", lambda: diagnose_bias(BIAS, [1, 2, 3], S_W, S_W), ValueError, ("s_x", "(3,)")),
    Case("no scale of weights", lambda: diagnose_bias(BIAS, [1, 2, 3], 1.0, 0 * S_W), ValueError, ("s_w", "0.0")),
    Case("scales of weights", lambda: diagnose_bias(BIAS, [1, 2, 3], 1.0, S_W[:2]), ValueError, ("s_w", "(2,)")),
    Case("a NaN in the bias", lambda: diagnose_bias([np.nan], [1], 1.0, 1.0), ValueError, ("bias", "nan")),
    Case("sums of other shapes", lambda: diagnose_sums(Q_X, Q_W.T, [[0]]), ValueError, ("(2, 5)", "(5, 3)")),
    Case("too few sums", lambda: diagnose_sums(Q_X, Q_W, [[0]]), ValueError, ("sums", "(1, 1)", "(2, 3)")),
    Case("real inputs", lambda: diagnose_sums(X, Q_W, [[0]]), TypeError, ("q_x", "float32")),
    Case("real zero point", lambda: diagnose_sums(Q_X, Q_W, Q_X @ Q_W.T, 0.5), TypeError, ("x_zero_point=0.5",)),
]
