"""Operations on codes: different scales without alignment, per-channel activations, wrong codes and windows."""

from __future__ import annotations

import numpy as np
from fewerbits.network.operations import add, align, average_pool2d, concat, global_average_pool, max_pool2d, relu
from fewerbits.tensor.uniform import Uniform

from tests.bad_input import Case

X = np.ones((1, 3, 4, 4), np.int8)
ONE, TWO = (Uniform(np.float32(scale), np.int32(0)) for scale in (0.1, 0.2))
SHIFTED = Uniform(np.float32(0.1), np.int32(7))
FOUR_BITS = Uniform(np.float32(0.1), np.int32(0), bits=4)
CHANNELS = Uniform(np.float32([0.1, 0.2, 0.3]), np.zeros(3, np.int32), axis=1)

CASES = [
    Case(
        "add_without_alignment", lambda: add(X, X, ONE, TWO), ValueError, ("different scales", "0.1", "0.2", "y_scheme")
    ),
    Case("add_other_zero_point", lambda: add(X, X, ONE, SHIFTED), ValueError, ("zero point 0", "7", "y_scheme")),
    Case("concat_without_alignment", lambda: concat([X, X], [ONE, TWO]), ValueError, ("different scales", "y_scheme")),
    Case("add_shapes", lambda: add(X, X[:, :1], ONE, ONE), ValueError, ("(1, 3, 4, 4)", "(1, 1, 4, 4)")),
    Case("add_per_channel", lambda: add(X, X, CHANNELS, ONE, ONE), ValueError, ("a_scheme", "(3,)", "axis=None")),
    Case("add_to_per_channel", lambda: add(X, X, ONE, ONE, CHANNELS), ValueError, ("y_scheme", "(3,)")),
    Case("add_rule", lambda: add(X, X, ONE, ONE, ONE, "float"), ValueError, ("rule='float'", "'dequantize'")),
    Case("add_codes_outside", lambda: add(X * 100, X, FOUR_BITS, ONE, ONE), ValueError, ("a reach", "100", "-8..7")),
    Case("add_floats", lambda: add(X * 0.5, X, ONE, ONE, ONE), TypeError, ("a has dtype float64",)),
    Case("concat_nothing", lambda: concat([], []), ValueError, ("0 tensors",)),
    Case("concat_schemes", lambda: concat([X, X], [ONE], ONE), ValueError, ("2 tensors", "schemes 1")),
    Case("align_codes_outside", lambda: align(X * 100, FOUR_BITS, ONE), ValueError, ("100", "-8..7")),
    Case("align_per_channel", lambda: align(X, ONE, CHANNELS), ValueError, ("y_scheme", "(3,)")),
    Case("relu_zero_point", lambda: relu(X, 200), ValueError, ("zero_point=200",)),
    Case("relu_floats", lambda: relu(X * 0.5, 0), TypeError, ("codes has dtype float64",)),
    Case("max_pool_kernel", lambda: max_pool2d(X, 5), ValueError, ("kernel (5, 5)", "larger")),
    Case("max_pool_stride", lambda: max_pool2d(X, 2, 0), ValueError, ("stride=0",)),
    Case("max_pool_padding", lambda: max_pool2d(X, 2, padding=2), ValueError, ("padding=2", "kernel=2")),
    Case("max_pool_flat", lambda: max_pool2d(X[0]), ValueError, ("(3, 4, 4)", "4 axes")),
    Case(
        "average_pool_padding", lambda: average_pool2d(X, ONE, ONE, 2, padding=2), ValueError, ("padding=2", "kernel=2")
    ),
    Case("average_pool_per_channel", lambda: average_pool2d(X, CHANNELS, ONE), ValueError, ("x_scheme", "(3,)")),
    Case("global_pool_per_channel", lambda: global_average_pool(X, ONE, CHANNELS), ValueError, ("y_scheme", "(3,)")),
    Case("global_pool_codes_outside", lambda: global_average_pool(X * 9, FOUR_BITS, ONE), ValueError, ("9", "-8..7")),
    Case("global_pool_flat", lambda: global_average_pool(X[0, 0], ONE, ONE), ValueError, ("(4, 4)", "4 axes")),
]
