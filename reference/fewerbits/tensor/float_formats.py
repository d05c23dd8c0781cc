"""Floating-point formats of at most 16 bits as data: a frozen record each. The verbs are in `tensor.minifloat`.

Sources: OCP 8-bit Floating Point Specification 1.0; OCP Microscaling (MX) Formats Specification 1.0, section 5;
IEEE 754-2019; for the FNUZ formats ONNX's technical note on float 8 (Noune et al. 2022, arXiv:2206.02915).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewerbits.tensor import validation as valid

SPECIALS = ("ieee", "one_nan", "none", "negative_zero_is_nan")


@dataclass(frozen=True)
class FloatFormat:
    """A code is sign, exponent E (`exponent_bits`) and mantissa M (m = `mantissa_bits`), high bits first.

    It stands for (−1)^sign · (1 + M/2^m) · 2^(E − bias), and where E = 0 for (−1)^sign · M/2^m · 2^(1 − bias): zero
    and the subnormals. Without `has_zero`, E = 0 is a binade like the others (E8M0). `specials` says which codes are
    no finite numbers:
    - "ieee": the highest E holds ±infinity (M = 0) and NaN (M > 0), as in float16 and E5M2;
    - "one_nan": only the code of all ones, after either sign, is NaN; no infinity (the "FN" of E4M3FN);
    - "none": every code is finite (the MX elements of 6 and 4 bits);
    - "negative_zero_is_nan": the code of −0 is the only NaN; no infinity (the "FNUZ" formats of ONNX and PyTorch).

    Raises TypeError/ValueError for fields out of range, and for a format with values that float32 cannot hold.
    """

    name: str
    exponent_bits: int
    mantissa_bits: int
    bias: int
    specials: str = "ieee"
    signed: bool = True
    has_zero: bool = True

    def __post_init__(self) -> None:
        valid.integer(self.exponent_bits, "exponent_bits", 1, 8)
        valid.integer(self.mantissa_bits, "mantissa_bits", 0, 10)
        valid.integer(self.bias, "bias", -256, 256)
        valid.one_of(self.specials, "specials", SPECIALS)
        valid.boolean(self.signed, "signed")
        valid.boolean(self.has_zero, "has_zero")
        if self.bits > 16:
            raise ValueError(f"mantissa_bits={self.mantissa_bits} makes {self.bits} bits: at most 16 are accepted")
        if self.specials == "ieee" and self.mantissa_bits == 0:
            raise ValueError("mantissa_bits=0 is not accepted with specials='ieee': no code is left for NaN")
        if self.specials == "negative_zero_is_nan" and not (self.signed and self.has_zero):
            raise ValueError("specials='negative_zero_is_nan' needs signed=True and has_zero=True")
        if self.max_code < (1 if self.has_zero else 0):
            raise ValueError(f"specials={self.specials!r} leaves no finite code but zero: use more exponent_bits")
        if not (self.smallest >= 2.0**-149 and self.max <= float(np.finfo(np.float32).max)):
            raise ValueError(f"bias={self.bias} makes values {self.smallest} to {self.max}: float32 must hold them all")

    @property
    def bits(self) -> int:
        return int(self.signed) + self.exponent_bits + self.mantissa_bits

    @property
    def code_dtype(self) -> np.dtype[Any]:
        """uint8 up to 8 bits, uint16 above."""
        return np.dtype(np.uint8 if self.bits <= 8 else np.uint16)

    @property
    def max_code(self) -> int:
        """The code of the largest finite value; those of infinity and NaN, where there are any, lie above it."""
        codes = 2 ** (self.exponent_bits + self.mantissa_bits)
        return codes - 1 - {"ieee": 2**self.mantissa_bits, "one_nan": 1}.get(self.specials, 0)

    @property
    def infinity_code(self) -> int | None:
        """The code of +infinity, None where there is none."""
        return self.max_code + 1 if self.specials == "ieee" else None

    @property
    def nan_code(self) -> int | None:
        """The code of the (positive, quiet) NaN, None where there is none."""
        if self.specials == "none":
            return None
        return self.max_code + 1 + (2 ** (self.mantissa_bits - 1) if self.specials == "ieee" else 0)

    @property
    def lowest_exponent(self) -> int:
        """The exponent of the lowest binade, which is that of the subnormals too."""
        return int(self.has_zero) - self.bias

    @property
    def max(self) -> float:
        """The largest finite value."""
        return float(self.finite_values(self.max_code))

    @property
    def emax(self) -> int:
        """The exponent of the largest finite value, floor(log2(max)): 8 for E4M3FN."""
        return math.frexp(self.max)[1] - 1

    @property
    def min_normal(self) -> float:
        """The smallest positive normal value."""
        return 2.0**self.lowest_exponent

    @property
    def smallest(self) -> float:
        """The smallest positive value: a subnormal where the format has them."""
        return 2.0 ** (self.lowest_exponent - (self.mantissa_bits if self.has_zero else 0))

    def finite_values(self, codes: ArrayLike) -> NDArray[np.float64]:
        """The values of non-negative finite codes (integers in 0..max_code), float64, exact."""
        exponent, mantissa = np.divmod(codes, 2**self.mantissa_bits)
        implicit_one = (exponent > 0) | (not self.has_zero)
        exponent = np.maximum(exponent, int(self.has_zero)) - self.bias - self.mantissa_bits
        return np.ldexp(mantissa + implicit_one * 2.0**self.mantissa_bits, exponent)

    def values(self, codes: NDArray[np.int64]) -> NDArray[np.float32]:
        """The values of any codes, special ones included: float32, exact, in the shape of `codes`."""
        magnitude = codes % 2 ** (self.exponent_bits + self.mantissa_bits)
        values = self.finite_values(np.minimum(magnitude, self.max_code))
        values[magnitude > self.max_code] = np.nan
        if self.infinity_code is not None:
            values[magnitude == self.infinity_code] = np.inf
        values = np.where(codes > magnitude, -values, values)
        if self.specials == "negative_zero_is_nan":
            values[codes == self.nan_code] = np.nan
        return values.astype(np.float32)


E4M3FN = FloatFormat("e4m3fn", 4, 3, bias=7, specials="one_nan")
E5M2 = FloatFormat("e5m2", 5, 2, bias=15)
E4M3FNUZ = FloatFormat("e4m3fnuz", 4, 3, bias=8, specials="negative_zero_is_nan")
E5M2FNUZ = FloatFormat("e5m2fnuz", 5, 2, bias=16, specials="negative_zero_is_nan")
E2M3 = FloatFormat("e2m3", 2, 3, bias=1, specials="none")
E3M2 = FloatFormat("e3m2", 3, 2, bias=3, specials="none")
E2M1 = FloatFormat("e2m1", 2, 1, bias=1, specials="none")
E8M0 = FloatFormat("e8m0", 8, 0, bias=127, specials="one_nan", signed=False, has_zero=False)
BFLOAT16 = FloatFormat("bfloat16", 8, 7, bias=127)
FLOAT16 = FloatFormat("float16", 5, 10, bias=15)

FORMATS = {
    record.name: record for record in (E4M3FN, E5M2, E4M3FNUZ, E5M2FNUZ, E2M3, E3M2, E2M1, E8M0, BFLOAT16, FLOAT16)
}
