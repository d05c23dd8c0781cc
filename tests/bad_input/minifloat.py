"""Wrong arguments to small floats."""

from __future__ import annotations

import numpy as np
from fewerbits.tensor.float_formats import E2M1, E4M3FN, E5M2, E8M0, FloatFormat
from fewerbits.tensor.minifloat import MiniFloat, decode, encode, round_to

from tests.bad_input import Case

SCHEME = MiniFloat(E4M3FN, np.float32([1, 2]), axis=0)

CASES = [
    Case("exponent_bits_zero", lambda: FloatFormat("f", 0, 3, bias=1), ValueError, ("exponent_bits", "0", "1 to 8")),
    Case("exponent_bits_nine", lambda: FloatFormat("f", 9, 3, bias=1), ValueError, ("exponent_bits", "9")),
    Case("exponent_bits_float", lambda: FloatFormat("f", 4.0, 3, bias=1), TypeError, ("exponent_bits", "4.0")),  # type: ignore[arg-type]
    Case("mantissa_bits_negative", lambda: FloatFormat("f", 4, -1, bias=1), ValueError, ("mantissa_bits", "-1")),
    Case("too_many_bits", lambda: FloatFormat("f", 8, 8, bias=127), ValueError, ("mantissa_bits", "17", "16")),
    Case("bias_bool", lambda: FloatFormat("f", 4, 3, bias=True), TypeError, ("bias", "True")),
    Case("bias_beyond_float32", lambda: FloatFormat("f", 4, 3, bias=200), ValueError, ("bias", "200", "float32")),
    Case("bias_overflows_float32", lambda: FloatFormat("f", 5, 2, bias=-120), ValueError, ("bias", "-120")),
    Case("unknown_specials", lambda: FloatFormat("f", 4, 3, 7, specials="fn"), ValueError, ("specials", "fn", "ieee")),
    Case("ieee_without_mantissa", lambda: FloatFormat("f", 4, 0, 7), ValueError, ("mantissa_bits", "ieee")),
    Case(
        "unsigned_negative_zero",
        lambda: FloatFormat("f", 4, 3, 7, specials="negative_zero_is_nan", signed=False),
        ValueError,
        ("specials", "signed"),
    ),
    Case("no_finite_value", lambda: FloatFormat("f", 1, 0, 1, specials="one_nan"), ValueError, ("specials", "zero")),
    Case("signed_integer", lambda: FloatFormat("f", 4, 3, 7, signed=1), TypeError, ("signed", "1")),  # type: ignore[arg-type]
    Case("decode_float_codes", lambda: decode([1.0], E4M3FN), TypeError, ("codes", "float64")),
    Case("decode_code_too_large", lambda: decode([16], E2M1), ValueError, ("codes", "16", "0..15")),
    Case("decode_negative_code", lambda: decode([-1], E4M3FN), ValueError, ("codes", "-1")),
    Case("decode_empty", lambda: decode(np.zeros(0, np.uint8), E4M3FN), ValueError, ("codes", "empty")),
    Case("decode_format_name", lambda: decode([1], "e4m3fn"), TypeError, ("format", "e4m3fn", "FloatFormat")),  # type: ignore[arg-type]
    Case("encode_complex", lambda: encode([1j], E4M3FN), TypeError, ("x", "complex128")),
    Case("encode_bool", lambda: encode([True], E4M3FN), TypeError, ("x", "bool")),
    Case("encode_empty", lambda: encode([], E4M3FN), ValueError, ("x", "empty")),
    Case("encode_format_none", lambda: encode([1.0], None), TypeError, ("format", "None")),  # type: ignore[arg-type]
    Case("encode_nan_without_code", lambda: encode([np.nan], E2M1), ValueError, ("x", "nan", "e2m1")),
    Case("encode_negative_unsigned", lambda: encode([1, -2.5], E8M0), ValueError, ("x", "-2.5", "e8m0")),
    Case("encode_infinity_unsigned", lambda: encode([-np.inf], E8M0), ValueError, ("x", "-inf")),
    Case("unknown_overflow", lambda: encode([1.0], E5M2, overflow="clip"), ValueError, ("overflow", "clip", "native")),
    Case("no_infinity", lambda: encode([1.0], E4M3FN, overflow="infinity"), ValueError, ("overflow", "e4m3fn")),
    Case("no_nan", lambda: encode([1.0], E2M1, overflow="nan"), ValueError, ("overflow", "nan", "e2m1")),
    Case("unknown_rounding", lambda: round_to([1.0], E5M2, rounding="up"), ValueError, ("rounding", "up", "half_even")),
    Case("no_rng", lambda: round_to([1.0], E5M2, rounding="stochastic"), ValueError, ("rng", "None")),
    Case("fit_nan", lambda: MiniFloat.fit([1.0, np.nan]), ValueError, ("x", "nan")),
    Case("fit_infinity", lambda: MiniFloat.fit([np.inf]), ValueError, ("x", "inf")),
    Case("fit_axis", lambda: MiniFloat.fit([[1.0]], axis=2), ValueError, ("axis", "2")),
    Case("fit_axis_of_scalar", lambda: MiniFloat.fit(1.0, axis=0), ValueError, ("axis", "scalar")),
    Case("fit_beyond_float32", lambda: MiniFloat.fit([1e300]), ValueError, ("scale", "inf")),
    Case("fit_format", lambda: MiniFloat.fit([1.0], 8), TypeError, ("format", "8")),  # type: ignore[arg-type]
    Case("scale_zero", lambda: MiniFloat(E4M3FN, np.float32(0)), ValueError, ("scale", "0.0", "positive")),
    Case("scale_shape", lambda: MiniFloat(E4M3FN, np.float32([1, 2])), ValueError, ("scale", "(2,)")),
    Case("seed_negative", lambda: MiniFloat(E4M3FN, seed=-1), ValueError, ("seed", "-1")),
    Case("scheme_overflow", lambda: MiniFloat(E2M1, overflow="nan"), ValueError, ("overflow", "nan")),
    Case("quantize_nan", lambda: MiniFloat(E4M3FN).quantize([np.nan]), ValueError, ("x", "nan")),
    Case("quantize_shape", lambda: SCHEME.quantize(np.ones((3, 2))), ValueError, ("x", "(3, 2)", "2 channels")),
    Case("dequantize_shape", lambda: SCHEME.dequantize(np.ones(3, int)), ValueError, ("shape", "(3,)", "2 channels")),
    Case("dequantize_float", lambda: SCHEME.dequantize([1.0, 2.0]), TypeError, ("codes", "float64")),
]
