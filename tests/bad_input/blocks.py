"""Wrong arguments to the block formats of GGUF and to MX."""

from __future__ import annotations

import numpy as np
from fewerbits.tensor.blocks import Q4_0, Q4_1, Q8_0
from fewerbits.tensor.float_formats import E2M1, E4M3FN, E8M0
from fewerbits.tensor.mx import MX

from tests.bad_input import Case

ONES = np.ones((2, 64), np.float32)
FITTED, FITTED_MX = Q4_0.fit(ONES), MX.fit(ONES)
NAN, INFINITE, LARGE = ONES.copy(), ONES.copy(), ONES.copy()
NAN[1, 40], INFINITE[0, 3], LARGE[0, 0] = np.nan, np.inf, 1e6
ONE_BLOCK = np.zeros(18, np.uint8)
NAN_SCALE = np.append(np.uint8([0, 0x7E]), ONE_BLOCK[2:])

CASES = [
    Case("q4_0_nan", lambda: Q4_0.fit(NAN), ValueError, ("x", "nan", "(1, 40)")),
    Case("q4_1_infinity", lambda: Q4_1.fit(INFINITE), ValueError, ("x", "inf")),
    Case("q8_0_empty", lambda: Q8_0.fit(np.zeros((0, 32))), ValueError, ("x", "empty")),
    Case("q8_0_bool", lambda: Q8_0.fit(ONES > 0), TypeError, ("x", "bool")),
    Case("q4_0_complex", lambda: Q4_0.fit(ONES * 1j), TypeError, ("x", "complex")),
    Case("q4_0_partial_block", lambda: Q4_0.fit(ONES[:, :40]), ValueError, ("x", "(2, 40)", "32")),
    Case("q4_0_scalar", lambda: Q4_0.fit(1.0), ValueError, ("x", "()", "32")),
    Case("q4_0_too_large", lambda: Q4_0.fit(LARGE), ValueError, ("scale", "-125000.0", "65504")),
    Case("q4_1_too_large", lambda: Q4_1.fit(LARGE), ValueError, ("scale", "66666", "65504")),
    Case("q4_1_minimum_too_large", lambda: Q4_1.fit(ONES * -1e5), ValueError, ("minimum", "-100000.0", "65504")),
    Case("q8_0_beyond_float32", lambda: Q8_0.fit(np.full(32, 1e300)), ValueError, ("x", "float32", "inf")),
    Case("q8_0_range", lambda: Q8_0.fit(np.full(32, 1e38)), ValueError, ("scale", "65504")),
    Case("q4_0_scale_nan", lambda: Q4_0(np.float32([np.nan])), ValueError, ("scale", "nan")),
    Case("q4_0_scale_scalar", lambda: Q4_0(np.float32(1)), ValueError, ("scale", "()")),
    Case("q4_1_shapes", lambda: Q4_1(np.ones(2), np.ones(3)), ValueError, ("minimum", "(3,)")),
    Case("q4_0_quantize_shape", lambda: FITTED.quantize(ONES[:1]), ValueError, ("x", "(1, 64)", "(2, 64)")),
    Case("q4_0_quantize_nan", lambda: FITTED.quantize(NAN), ValueError, ("x", "nan")),
    Case("q4_0_codes_float", lambda: FITTED.dequantize(ONES), TypeError, ("codes", "float32")),
    Case("q4_0_codes_range", lambda: FITTED.dequantize(ONES.astype(int) * 8), ValueError, ("codes", "8", "-8..7")),
    Case("q4_0_codes_shape", lambda: FITTED.dequantize(np.zeros(64, int)), ValueError, ("codes", "(64,)")),
    Case("q4_0_to_bytes_range", lambda: FITTED.to_bytes(ONES.astype(int) * -9), ValueError, ("codes", "-9")),
    Case("q4_0_bytes_dtype", lambda: Q4_0.from_bytes(ONE_BLOCK.astype(int)), TypeError, ("packed", "int64")),
    Case("q4_0_bytes_size", lambda: Q4_0.from_bytes(ONE_BLOCK[:17]), ValueError, ("packed", "(17,)", "18")),
    Case("q4_0_bytes_empty", lambda: Q4_0.from_bytes(ONE_BLOCK[:0]), ValueError, ("packed", "empty")),
    Case("q4_0_bytes_nan", lambda: Q4_0.from_bytes(NAN_SCALE), ValueError, ("scale", "nan")),
    Case("q4_0_nbytes", lambda: FITTED.nbytes((3, 10)), ValueError, ("shape", "(3, 10)", "32")),
    Case("q4_0_nbytes_scalar", lambda: FITTED.nbytes(()), ValueError, ("shape", "()")),
    Case("mx_nan", lambda: MX.fit(NAN), ValueError, ("x", "nan")),
    Case("mx_infinity", lambda: MX.fit(INFINITE), ValueError, ("x", "inf")),
    Case("mx_empty", lambda: MX.fit(np.zeros((2, 0))), ValueError, ("x", "empty")),
    Case("mx_object", lambda: MX.fit(np.array([None] * 32)), TypeError, ("x", "object")),
    Case("mx_partial_block", lambda: MX.fit(ONES[:, :40]), ValueError, ("x", "(2, 40)", "32")),
    Case("mx_block_size", lambda: MX.fit(ONES, block_size=0), ValueError, ("block_size", "0")),
    Case("mx_scale_rule", lambda: MX.fit(ONES, scale_rule="round"), ValueError, ("scale_rule", "round", "floor")),
    Case("mx_element_name", lambda: MX.fit(ONES, "e2m1"), TypeError, ("element", "e2m1")),  # type: ignore[arg-type]
    Case("mx_element_unsigned", lambda: MX.fit(ONES, E8M0), TypeError, ("element", "signed")),
    Case("mx_rounding", lambda: MX.fit(ONES, rounding="nearest"), ValueError, ("rounding", "nearest")),
    Case("mx_seed", lambda: MX.fit(ONES, seed=-1), ValueError, ("seed", "-1")),
    Case("mx_beyond_float32", lambda: MX.fit(np.full(32, 1e39)), ValueError, ("x", "1e+39", "float32")),
    Case("mx_scale_codes_nan", lambda: MX(np.uint8([255])), ValueError, ("scale_codes", "255", "0..252")),
    Case("mx_scale_codes_large", lambda: MX(np.uint8([250]), E4M3FN), ValueError, ("scale_codes", "250", "0..246")),
    Case("mx_scale_codes_float", lambda: MX(np.float32([1])), TypeError, ("scale_codes", "float32")),  # type: ignore[arg-type]
    Case("mx_scale_codes_scalar", lambda: MX(np.uint8(127)), ValueError, ("scale_codes", "()")),  # type: ignore[arg-type]
    Case("mx_quantize_shape", lambda: FITTED_MX.quantize(ONES[0]), ValueError, ("x", "(64,)", "(2, 64)")),
    Case("mx_quantize_nan", lambda: FITTED_MX.quantize(NAN), ValueError, ("x", "nan")),
    Case("mx_codes_range", lambda: FITTED_MX.dequantize(ONES.astype(int) * 16), ValueError, ("codes", "16", "0..15")),
    Case("mx_codes_float", lambda: FITTED_MX.dequantize(ONES), TypeError, ("codes", "float32")),
    Case("mx_codes_shape", lambda: FITTED_MX.dequantize(np.zeros((4, 32), int)), ValueError, ("codes", "(4, 32)")),
    Case("mx_nbytes", lambda: MX(np.uint8([127]), E2M1).nbytes((33,)), ValueError, ("shape", "(33,)", "32")),
]
