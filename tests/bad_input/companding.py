"""Wrong arguments to companding and to the telephone codec."""

from __future__ import annotations

import numpy as np
from fewerbits.tensor.companding import Companding, mu_law_decode, mu_law_encode

from tests.bad_input import Case

SCHEME = Companding(1.0, bits=4)

CASES = [
    Case("fit NaN", lambda: Companding.fit([np.nan]), ValueError, ("x", "nan")),
    Case("fit infinity", lambda: Companding.fit([1.0, np.inf]), ValueError, ("x", "inf", "(1,)")),
    Case("fit empty", lambda: Companding.fit([]), ValueError, ("x", "empty")),
    Case("fit objects", lambda: Companding.fit([None]), TypeError, ("x", "object")),
    Case("fit one bit", lambda: Companding.fit([1.0], bits=1), ValueError, ("bits=1", "from 2 to 16")),
    Case("fit boolean bits", lambda: Companding.fit([1.0], bits=True), TypeError, ("bits=True",)),
    Case("fit A-law", lambda: Companding.fit([1.0], compressor="a_law"), ValueError, ("compressor", "'mu_law'")),
    Case("fit beyond float32", lambda: Companding.fit([1e39]), ValueError, ("scale", "1e+39")),
    Case("no strength", lambda: Companding(1.0, strength=0.0), ValueError, ("strength=0.0", "greater than 0")),
    Case("negative strength", lambda: Companding(1.0, strength=-255.0), ValueError, ("strength=-255.0",)),
    Case("NaN strength", lambda: Companding(1.0, strength=np.nan), ValueError, ("strength=nan", "finite")),
    Case("strong µ", lambda: Companding(1.0, strength=1e9), ValueError, ("strength=1000000000.0", "16777216")),
    Case("strong a", lambda: Companding(1.0, 8, "exponential", 31), ValueError, ("strength=31", "30.0")),
    Case("zero scale", lambda: Companding(0.0), ValueError, ("scale=0.0",)),
    Case("text scale", lambda: Companding("1"), TypeError, ("scale='1'", "real number")),
    Case("infinite scale", lambda: Companding(np.inf), ValueError, ("scale=inf", "finite")),
    Case("quantize NaN", lambda: SCHEME.quantize([0.0, np.nan]), ValueError, ("x", "nan", "(1,)")),
    Case("quantize complex", lambda: SCHEME.quantize([1j]), TypeError, ("x", "complex128")),
    Case("dequantize floats", lambda: SCHEME.dequantize([0.5]), TypeError, ("codes", "float64")),
    Case("dequantize unused", lambda: SCHEME.dequantize([-8]), ValueError, ("codes", "-7..7")),
    Case("encode floats", lambda: mu_law_encode([0.5]), TypeError, ("samples", "float64")),
    Case("encode 17 bits", lambda: mu_law_encode([32768]), ValueError, ("samples", "32768", "-32768..32767")),
    Case("encode nothing", lambda: mu_law_encode(np.empty(0, np.int16)), ValueError, ("samples", "empty")),
    Case("decode 256", lambda: mu_law_decode([256]), ValueError, ("codes", "256", "0..255")),
    Case("decode text", lambda: mu_law_decode(["a"]), TypeError, ("codes", "dtype")),
]
