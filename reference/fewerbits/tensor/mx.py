"""MX formats: small floats that share a power-of-two scale, stored as E8M0, in blocks of 32. MXFP8, MXFP6, MXFP4.

Source: OCP Microscaling Formats (MX) Specification 1.0; section 6.3 has the conversion. The specification leaves
the order of the bytes open; `nbytes` counts one byte per scale and `bits` per element, packed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewerbits.tensor import validation as valid
from fewerbits.tensor.blocks import BLOCK, in_blocks
from fewerbits.tensor.float_formats import E2M1, E8M0, FloatFormat
from fewerbits.tensor.minifloat import decode, encode
from fewerbits.tensor.rounding import ROUNDINGS

SCALE_RULES = ("floor", "rceil", "ceil", "even")


@dataclass(frozen=True, eq=False)
class MX:
    """A fitted MX quantizer: q = encode(x / 2^e), x̂ = 2^e · decode(q), with one e per block of the last axis.

    `scale_codes` are the E8M0 codes e + 127, uint8, (..., n/block_size), of which e ≤ 127 − emax keeps every x̂ in
    float32. With the elements E4M3FN or E5M2 this is MXFP8, with E2M3 or E3M2 MXFP6, with E2M1 MXFP4. Elements are
    rounded by `rounding` (as `encode` does; stochastic rounding starts from `seed` at each call) and saturate.
    """

    scale_codes: NDArray[np.uint8]
    element: FloatFormat = E2M1
    block_size: int = BLOCK
    rounding: str = "half_even"
    seed: int = 0

    def __post_init__(self) -> None:
        _signed_format(self.element)
        valid.integer(self.block_size, "block_size", 1)
        valid.one_of(self.rounding, "rounding", ROUNDINGS)
        valid.integer(self.seed, "seed", 0)
        scale_codes = valid.integer_codes(self.scale_codes, 0, 254 - self.element.emax, "scale_codes")
        if scale_codes.ndim == 0:
            raise ValueError("scale_codes has shape (): one code per block, (..., n/block_size), is needed")
        object.__setattr__(self, "scale_codes", scale_codes.astype(np.uint8))

    @property
    def scale(self) -> NDArray[np.float32]:
        """The shared scales 2^e, float32, in the shape of `scale_codes`."""
        return decode(self.scale_codes, E8M0)

    @classmethod
    def fit(
        cls,
        x: ArrayLike,
        element: FloatFormat = E2M1,
        *,
        scale_rule: str = "floor",
        block_size: int = BLOCK,
        **conventions: Any,
    ) -> MX:
        """The quantizer whose e follows, in each block of `x` (..., n), from its largest magnitude a.

        `scale_rule` is one of those in use (named as in torchao); max, in 2^emax..2^(emax+1), is the largest element:
        - "floor": e = floor(log2 a) − emax, the rule of the specification. a / 2^e may exceed max and then saturates:
          in MXFP4 it lies in 4..8, and all beyond 6 becomes 6;
        - "rceil": e = ceil(log2(a / max)), the smallest that never saturates (cuBLAS);
        - "ceil": e = ceil(log2 a) − emax, which never saturates either but often wastes half of the range;
        - "even": "floor" for a rounded to the precision of the element, so that an a just below a power of two gets
          the larger e.
        e is clipped to −127..127 − emax; a block of zeros gets −127. `conventions` are `rounding` and `seed`.

        Raises ValueError/TypeError for NaN, infinity, empty or non-real `x`, values that float32 cannot hold, and a
        last axis that `block_size` does not divide.
        """
        x = valid.real_array(x)
        valid.one_of(scale_rule, "scale_rule", SCALE_RULES)
        emax = _signed_format(element).emax
        blocks = in_blocks(x, valid.integer(block_size, "block_size", 1))
        largest = np.abs(blocks).max(axis=-1).astype(np.float64)
        if largest.max() > np.finfo(np.float32).max:
            raise ValueError(f"x reaches {largest.max()}: accepted are values that float32 can hold")
        exponents = np.clip(_exponents(largest, element, scale_rule), -127, 127 - emax)
        return cls(np.where(largest == 0, -127, exponents) + 127, element, block_size, **conventions)

    def quantize(self, x: ArrayLike) -> NDArray[Any]:
        """Element codes of `x` in its shape, uint8 (unsigned numbers that `decode` reads).

        Raises ValueError/TypeError for NaN, infinity, empty or non-real `x`, and a shape that does not fit the scales.
        """
        x = valid.real_array(x)
        x = x.astype(np.float32) if x.dtype == np.float16 else x
        rng = np.random.default_rng(self.seed) if self.rounding == "stochastic" else None
        with np.errstate(over="ignore", under="ignore"):
            scaled = np.ldexp(self._blocks_of(x, "x"), -self._exponents())
        return encode(scaled, self.element, rounding=self.rounding, rng=rng).reshape(x.shape)

    def dequantize(self, codes: ArrayLike) -> NDArray[np.float32]:
        """x̂ = 2^e · decode(codes), float32, exact, in the shape of `codes`.

        Raises TypeError/ValueError for codes that `decode` refuses, and a shape that does not fit the scales.
        """
        elements = decode(codes, self.element)
        return np.ldexp(self._blocks_of(elements, "codes"), self._exponents()).reshape(elements.shape)

    def nbytes(self, shape: tuple[int, ...]) -> int:
        """Bytes of a tensor of `shape`: packed elements and one per block. Raises ValueError for partial blocks."""
        if not shape or shape[-1] % self.block_size:
            raise ValueError(f"shape={shape} is not accepted: its last axis must be a multiple of {self.block_size}")
        count = math.prod(shape)
        return math.ceil(count * self.element.bits / 8) + count // self.block_size

    def _exponents(self) -> NDArray[np.int32]:
        """e, (..., n/block_size, 1)."""
        return self.scale_codes[..., None].astype(np.int32) - 127

    def _blocks_of(self, array: NDArray[Any], name: str) -> NDArray[Any]:
        blocks = in_blocks(array, self.block_size, name)
        if blocks.shape[:-1] != self.scale_codes.shape:
            fitted = (*self.scale_codes.shape[:-1], self.scale_codes.shape[-1] * self.block_size)
            raise ValueError(f"{name} has shape {array.shape}: the scales belong to shape {fitted}")
        return blocks


def _exponents(largest: NDArray[np.float64], element: FloatFormat, scale_rule: str) -> NDArray[np.int32]:
    """e of each block for its largest magnitude, without a logarithm, which could round up to the next integer."""
    fraction, exponent = np.frexp(largest)  # fraction · 2^exponent, fraction in [½, 1)
    if scale_rule == "rceil":
        limit_fraction, limit_exponent = np.frexp(element.max)
        return exponent - limit_exponent + (fraction > limit_fraction)
    floor = exponent - 1 - element.emax
    if scale_rule == "ceil":
        return floor + (fraction > 0.5)
    if scale_rule == "even":
        return floor + (np.rint(np.ldexp(fraction, element.mantissa_bits + 1)) == 2 ** (element.mantissa_bits + 1))
    return floor


def _signed_format(element: Any) -> FloatFormat:
    if not isinstance(element, FloatFormat) or not element.signed:
        raise TypeError(f"element={element!r} is not accepted: it must be a signed FloatFormat such as E2M1")
    return element
