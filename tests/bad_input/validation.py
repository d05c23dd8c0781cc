"""The checks of arguments themselves: each names the argument, its value and what would be accepted."""

from __future__ import annotations

import numpy as np
from fewerbits.tensor import validation as valid
from fewerbits.tensor.pieces import as_groups
from fewerbits.tensor.rounding import round_in_place

from tests.bad_input import Case

CASES = [
    Case("real: text", lambda: valid.real("1", "gain"), TypeError, ("gain='1'", "real number")),
    Case("real: truth", lambda: valid.real(True, "gain"), TypeError, ("gain=True", "real number")),
    Case("real: complex", lambda: valid.real(1j, "gain"), TypeError, ("gain=1j", "real number")),
    Case("real: NaN", lambda: valid.real(np.nan, "gain"), ValueError, ("gain=nan", "finite")),
    Case("real: infinity", lambda: valid.real(-np.inf, "gain"), ValueError, ("gain=-inf", "finite")),
    Case("real: at the open limit", lambda: valid.real(0, "gain", above=0), ValueError, ("gain=0", "greater than 0")),
    Case("real: too low", lambda: valid.real(-2, "gain", low=-1), ValueError, ("gain=-2", "-1..inf")),
    Case("real: too high", lambda: valid.real(2.5, "gain", high=2), ValueError, ("gain=2.5", "-inf..2")),
    Case("integer: real", lambda: valid.integer(2.0, "levels", 1), TypeError, ("levels=2.0", "at least 1")),
    Case("integer: truth", lambda: valid.integer(np.True_, "levels", 1), TypeError, ("levels=", "True", "at least 1")),
    Case("integer: None", lambda: valid.integer(None, "levels", 1, 4), TypeError, ("levels=None", "from 1 to 4")),
    Case("integer: too low", lambda: valid.integer(0, "levels", 1), ValueError, ("levels=0", "at least 1")),
    Case("integer: too high", lambda: valid.integer(5, "levels", 1, 4), ValueError, ("levels=5", "from 1 to 4")),
    Case("boolean: number", lambda: valid.boolean(0, "signed"), TypeError, ("signed=0", "True or False")),
    Case("boolean: None", lambda: valid.boolean(None, "signed"), TypeError, ("signed=None", "True or False")),
    Case("one of: other word", lambda: valid.one_of("c", "rule", ("a", "b")), ValueError, ("rule='c'", "'a', 'b'")),
    Case("one of: list", lambda: valid.one_of(["a"], "rule", ("a", "b")), ValueError, ("rule=['a']", "'a', 'b'")),
    Case("one of: part", lambda: valid.one_of("", "rule", ("a", "b")), ValueError, ("rule=''", "'a', 'b'")),
    Case("axis: scalar", lambda: valid.axis_of(0, 0), ValueError, ("axis=0", "scalar")),
    Case("axis: too high", lambda: valid.axis_of(3, 3), ValueError, ("axis=3", "from -3 to 2")),
    Case("axis: real", lambda: valid.axis_of(1.0, 3), TypeError, ("axis=1.0", "from -3 to 2")),
    Case(
        "array: ragged",
        lambda: valid.real_array([[1.0], [1.0, 2.0]]),
        ValueError,
        ("x is not an array", "equal length"),
    ),
    Case("array: float128", lambda: valid.real_array(np.ones(2, np.longdouble)), TypeError, ("x has dtype", "float32")),
    Case("array: dates", lambda: valid.real_array(np.array(["2020"], "M8[Y]")), TypeError, ("x has dtype datetime",)),
    Case("array: named", lambda: valid.real_array([], "weights"), ValueError, ("weights is empty",)),
    Case("codes: ragged", lambda: valid.integer_codes([[1], [1, 2]], 0, 7), ValueError, ("codes", "equal length")),
    Case("codes: named", lambda: valid.integer_codes([9], 0, 7, "indices"), ValueError, ("indices", "9", "0..7")),
    Case("rounding: unknown", lambda: round_in_place(np.ones(2), "up"), ValueError, ("rounding='up'", "'half_even'")),
    Case(
        "rounding: no generator",
        lambda: round_in_place(np.ones(2), "stochastic"),
        ValueError,
        ("rng=None", "Generator"),
    ),
    Case("groups: no axis", lambda: as_groups(np.ones(4), None, 2), ValueError, ("axis=None", "group_size")),
    Case("groups: left over", lambda: as_groups(np.ones(5), 0, 2), ValueError, ("group_size=2", "length 5")),
]
