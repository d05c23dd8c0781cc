"""Wrong arguments to the logarithmic scheme."""

from __future__ import annotations

import numpy as np
from fewerbits.tensor.logarithmic import Logarithmic, shift_dot, top_exponent_range

from tests.bad_input import Case

SCHEME = Logarithmic(0, bits=4)
SPREAD = Logarithmic(0, bits=8)

CASES = [
    Case("fit NaN", lambda: Logarithmic.fit([1.0, np.nan]), ValueError, ("x", "nan", "finite")),
    Case("fit empty", lambda: Logarithmic.fit([]), ValueError, ("x", "empty")),
    Case("fit complex", lambda: Logarithmic.fit([1j]), TypeError, ("x", "complex128")),
    Case("fit boolean", lambda: Logarithmic.fit([True]), TypeError, ("x", "bool")),
    Case("fit one signed bit", lambda: Logarithmic.fit([1.0], bits=1), ValueError, ("bits=1", "from 2 to 16")),
    Case("fit 17 bits", lambda: Logarithmic.fit([1.0], bits=17), ValueError, ("bits=17", "16")),
    Case("fit real bits", lambda: Logarithmic.fit([1.0], bits=4.0), TypeError, ("bits=4.0", "integer")),
    Case("fit no steps", lambda: Logarithmic.fit([1.0], steps_per_octave=0), ValueError, ("steps_per_octave=0",)),
    Case("fit a base", lambda: Logarithmic.fit([1.0], steps_per_octave=0.5), TypeError, ("steps_per_octave=0.5",)),
    Case("fit unknown rounding", lambda: Logarithmic.fit([1.0], rounding="nearest"), ValueError, ("rounding", "'log'")),
    Case(
        "fit unknown underflow", lambda: Logarithmic.fit([1.0], underflow="clip"), ValueError, ("underflow", "'zero'")
    ),
    Case("fit signed by number", lambda: Logarithmic.fit([1.0], signed=1), TypeError, ("signed=1", "True or False")),
    Case("more levels than octaves", lambda: Logarithmic(0, bits=10), ValueError, ("bits=10", "511", "277")),
    Case("top above float32", lambda: Logarithmic(128), ValueError, ("top_exponent=128", "127")),
    Case("levels below float32", lambda: Logarithmic(-24, bits=8), ValueError, ("top_exponent=-24", "-23")),
    Case("top a float", lambda: Logarithmic(0.5), TypeError, ("top_exponent=0.5", "integer")),
    Case("range of 0 bits", lambda: top_exponent_range(0, signed=False), ValueError, ("bits=0", "from 1")),
    Case("quantize infinity", lambda: SCHEME.quantize([1.0, -np.inf]), ValueError, ("x", "-inf", "(1,)")),
    Case("quantize NaN float16", lambda: SCHEME.quantize(np.float16([np.nan])), ValueError, ("x", "nan")),
    Case("quantize text", lambda: SCHEME.quantize(["1"]), TypeError, ("x", "dtype")),
    Case("quantize empty", lambda: SCHEME.quantize(np.empty((0, 3))), ValueError, ("x", "empty")),
    Case("dequantize floats", lambda: SCHEME.dequantize([1.0]), TypeError, ("codes", "float64")),
    Case("dequantize the unused code", lambda: SCHEME.dequantize([-8]), ValueError, ("codes", "-8", "-7..7")),
    Case("dequantize nothing", lambda: SCHEME.dequantize(np.empty(0, int)), ValueError, ("codes", "empty")),
    Case("shift base √2", lambda: shift_dot(Logarithmic(0, 4, 2), [1], [1]), ValueError, ("weights", "base 2")),
    Case("shift float activations", lambda: shift_dot(SCHEME, [1], [1.0]), TypeError, ("activations", "float64")),
    Case("shift other length", lambda: shift_dot(SCHEME, [1, 2], [1]), ValueError, ("activations", "(1,)", "(2,)")),
    Case("shift scalar", lambda: shift_dot(SCHEME, 1, [1]), ValueError, ("activations", "(K,)")),
    Case("shift codes outside", lambda: shift_dot(SCHEME, [9], [1]), ValueError, ("codes", "-7..7")),
    Case("shift overflow by one bit", lambda: shift_dot(SPREAD, [1, 63], [1, 1]), ValueError, ("codes", "62 octaves")),
    Case("shift overflow", lambda: shift_dot(SPREAD, [1, 127], [1, 1]), ValueError, ("codes", "126 octaves", "int64")),
]
