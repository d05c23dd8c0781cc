"""Integer products and convolutions: wrong dtypes, shapes and zero points, and accumulators that do not fit."""

from __future__ import annotations

import numpy as np
from fewerbits.network.arithmetic import add_bias, bias_scale, integer_conv2d, integer_matmul, quantize_bias
from fewerbits.network.saturating import saturating_conv2d, saturating_matmul

from tests.bad_input import Case

A = np.ones((2, 3), np.int8)
B = np.ones((3, 4), np.int8)
X = np.ones((1, 4, 5, 5), np.uint8)
W = np.ones((6, 4, 3, 3), np.int8)
ACCUMULATORS = np.full((2, 3), 2**31 - 1, np.int32)
# K = 33,026 products of 255·255 exceed 2³¹ − 1.
LOWEST, HIGHEST = np.zeros((1, 33_026), np.uint8), np.full((33_026, 1), 255, np.uint8)
MANY_CHANNELS = np.full((1, 33_026, 1, 1), 255, np.uint8)

CASES = [
    Case("float_codes", lambda: integer_matmul(A.astype(np.float32), B), TypeError, ("a has dtype float32", "int8")),
    Case("sixteen_bits", lambda: integer_matmul(A, B.astype(np.int16)), TypeError, ("b has dtype int16", "uint8")),
    Case("boolean_codes", lambda: integer_matmul(A, B > 0), TypeError, ("b has dtype bool",)),
    Case("vector", lambda: integer_matmul(A[0], B), ValueError, ("a has shape (3,)", "2 axes")),
    Case("empty", lambda: integer_matmul(A[:0], B), ValueError, ("a has shape (0, 3)", "at least one")),
    Case("inner_sizes", lambda: integer_matmul(A, B.T), ValueError, ("(2, 3)", "(4, 3)")),
    Case("zero_point_outside", lambda: integer_matmul(A, B, 128), ValueError, ("a_zero_point", "128", "-128..127")),
    Case("float_zero_point", lambda: integer_matmul(A, B, 0, 0.5), TypeError, ("b_zero_point", "float64")),
    Case(
        "zero_point_per_row", lambda: integer_matmul(A, B, [1, 2]), ValueError, ("a_zero_point", "(2,)", "one integer")
    ),
    Case("zero_point_shape", lambda: integer_matmul(A, B, 0, [1, 2]), ValueError, ("b_zero_point", "(2,)", "(4,)")),
    Case("overflow", lambda: integer_matmul(LOWEST, HIGHEST, 255), ValueError, ("-2147515650", "int32")),
    Case("conv_overflow", lambda: integer_conv2d(MANY_CHANNELS, MANY_CHANNELS), ValueError, ("2147515650", "int32")),
    Case("conv_channels", lambda: integer_conv2d(X[:, :3], W), ValueError, ("x has 3 channels", "(6, 4, 3, 3)")),
    Case("groups_of_channels", lambda: integer_conv2d(X, W, groups=2), ValueError, ("4 channels", "groups=2")),
    Case("groups_of_outputs", lambda: integer_conv2d(X, W[:, :1], groups=4), ValueError, ("(6, 1, 3, 3)", "groups=4")),
    Case("no_groups", lambda: integer_conv2d(X, W, groups=0), ValueError, ("groups=0", "at least 1")),
    Case("kernel_too_large", lambda: integer_conv2d(X[..., :2], W), ValueError, ("(3, 3)", "larger", "(5, 2)")),
    Case("stride_zero", lambda: integer_conv2d(X, W, stride=0), ValueError, ("stride=0",)),
    Case("float_stride", lambda: integer_conv2d(X, W, stride=1.5), TypeError, ("stride=1.5",)),  # type: ignore[arg-type]
    Case("negative_padding", lambda: integer_conv2d(X, W, padding=-1), ValueError, ("padding=-1",)),
    Case("three_paddings", lambda: integer_conv2d(X, W, padding=(1, 1, 1)), ValueError, ("padding=(1, 1, 1)", "left")),  # type: ignore[arg-type]
    Case("conv_zero_point", lambda: integer_conv2d(X, W, -1), ValueError, ("x_zero_point", "-1", "0..255")),
    Case("conv_weight_zero_points", lambda: integer_conv2d(X, W, 0, [0] * 4), ValueError, ("w_zero_point", "(6,)")),
    Case("flat_images", lambda: integer_conv2d(X[0], W), ValueError, ("x has shape (4, 5, 5)", "4 axes")),
    Case("bias_overflow", lambda: add_bias(ACCUMULATORS, np.ones(3, np.int32)), ValueError, ("2147483648", "int32")),
    Case(
        "bias_channels",
        lambda: add_bias(ACCUMULATORS, np.ones(2, np.int32)),
        ValueError,
        ("bias has shape (2,)", "(3,)"),
    ),
    Case("float_bias", lambda: add_bias(ACCUMULATORS, np.ones(3)), TypeError, ("bias", "float64")),
    Case("bias_axis", lambda: add_bias(ACCUMULATORS, np.ones(3, np.int32), 2), ValueError, ("axis=2",)),
    Case("weight_scale_zero", lambda: quantize_bias([1.0], 0.1, 0.0), ValueError, ("s_w", "0.0", "positive")),
    Case("input_scale_negative", lambda: quantize_bias([1.0], -0.1, 0.1), ValueError, ("s_x", "-0.1", "positive")),
    Case("scale_nan", lambda: quantize_bias([1.0], 0.1, np.nan), ValueError, ("s_w", "nan")),
    Case("bias_nan", lambda: quantize_bias([1.0, np.nan], 0.1, 0.1), ValueError, ("bias", "nan", "(1,)")),
    Case(
        "bias_outside_int32",
        lambda: quantize_bias([0, 1e6], 1e-3, [1, 1e-3]),
        ValueError,
        ("channel 1", "1e+12", "int32"),
    ),
    Case("bias_scales", lambda: quantize_bias([1.0, 2.0], 0.1, [0.1] * 3), ValueError, ("bias has shape (2,)", "(3,)")),
    Case("bias_matrix", lambda: quantize_bias([[1.0]], 0.1, 0.1), ValueError, ("bias has shape (1, 1)", "(O,)")),
    Case("two_input_scales", lambda: quantize_bias([1.0, 2.0], [0.1, 0.2], 0.1), ValueError, ("s_x has shape (2,)",)),
    Case("product_underflows", lambda: bias_scale(1e-30, 1e-30), ValueError, ("s_x", "s_w", "float32")),
    Case("product_overflows", lambda: bias_scale(1e30, 1e30), ValueError, ("s_x", "s_w", "float32")),
    Case("saturating_signed", lambda: saturating_matmul(A, B), TypeError, ("a has dtype int8", "uint8 and int8")),
    Case(
        "saturating_unsigned", lambda: saturating_conv2d(X, W.view(np.uint8)), TypeError, ("w uint8", "uint8 and int8")
    ),
]
