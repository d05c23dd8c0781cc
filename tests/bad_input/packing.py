"""Wrong arguments to packing."""

from __future__ import annotations

import numpy as np
from fewerbits.tensor.packing import pack, unpack

from tests.bad_input import Case

TWO_BYTES = np.zeros(2, np.uint8)

CASES = [
    Case("pack_float", lambda: pack([1.0], 4), TypeError, ("codes", "float64")),
    Case("pack_bool", lambda: pack([True], 4), TypeError, ("codes", "bool")),
    Case("pack_empty", lambda: pack(np.zeros(0, np.uint8), 4), ValueError, ("codes", "empty")),
    Case("pack_too_large", lambda: pack([16], 4), ValueError, ("codes", "16")),
    Case("pack_too_small", lambda: pack([-9], 4), ValueError, ("codes", "-9")),
    Case("pack_mixed", lambda: pack([-1, 8], 4), ValueError, ("codes", "-1", "8", "-8..7", "0..15")),
    Case("pack_no_bits", lambda: pack([0], 0), ValueError, ("bits", "0", "1 to 8")),
    Case("pack_nine_bits", lambda: pack([0], 9), ValueError, ("bits", "9")),
    Case("pack_fractional_bits", lambda: pack([0], 4.5), TypeError, ("bits", "4.5")),  # type: ignore[arg-type]
    Case("unpack_signed_bytes", lambda: unpack(np.zeros(2, np.int8), 4, 4), TypeError, ("packed", "int8", "uint8")),
    Case("unpack_float", lambda: unpack([1.0], 4, 2), TypeError, ("packed", "float64")),
    Case("unpack_2d", lambda: unpack(TWO_BYTES[:, None], 4, 4), ValueError, ("packed", "(2, 1)", "(2,)")),
    Case("unpack_too_few_bytes", lambda: unpack(TWO_BYTES, 4, 5), ValueError, ("packed", "5 codes", "(3,)")),
    Case("unpack_too_many_bytes", lambda: unpack(TWO_BYTES, 4, 2), ValueError, ("packed", "2 codes", "(1,)")),
    Case("unpack_count_zero", lambda: unpack(TWO_BYTES, 4, 0), ValueError, ("count", "0")),
    Case("unpack_count_bool", lambda: unpack(TWO_BYTES, 4, True), TypeError, ("count", "True")),
    Case("unpack_bits", lambda: unpack(TWO_BYTES, 16, 1), ValueError, ("bits", "16")),
    Case("unpack_signed_word", lambda: unpack(TWO_BYTES, 4, 4, "yes"), TypeError, ("signed", "yes")),  # type: ignore[arg-type]
]
