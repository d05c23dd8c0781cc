"""Companding: compress the values by a smooth curve, quantize uniformly, expand: fine steps near zero, coarse far out.

With the compressor c on 0..1, the step at x is Δ/c'(x), and the mean squared error of many levels is
(Δ²/12)·E[1/c'(x)²] (Bennett 1948). Two curves are here: the µ-law, whose logarithm makes the error relative for large
values (Smith 1957; its piecewise linear form is the telephone codec ITU-T G.711), and the exponential, which is
optimal for Laplace data (Panter and Dite 1951: c' proportional to the cube root of the density).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewerbits.tensor import validation as valid
from fewerbits.tensor.pieces import PIECE_BYTES

COMPRESSORS = ("mu_law", "exponential")
# Beyond this strength exp(−a) is lost beside 1 in float64, and the exponential has no inverse at its end.
MAXIMUM_STRENGTH = {"mu_law": 2.0**24, "exponential": 30.0}


@dataclass(frozen=True)
class Companding:
    """A fitted compander: q = round(P·c(x/s)) and x̂ = s·c⁻¹(q/P) with P = 2^(bits−1) − 1, odd in x, zero exact.

    `scale` (s, float32) is the largest magnitude that is represented; larger ones saturate. On 0..1 the compressor is

    - "mu_law": c(u) = ln(1 + µu)/ln(1 + µ), with `strength` µ (255 in telephony);
    - "exponential": c(u) = (1 − e^(−au))/(1 − e^(−a)), with `strength` a.

    Codes are integers in −P..P. The arithmetic is float64; rounding is half to even.
    """

    scale: float
    bits: int = 8
    compressor: str = "mu_law"
    strength: float = 255.0

    def __post_init__(self) -> None:
        valid.integer(self.bits, "bits", 2, 16)
        valid.one_of(self.compressor, "compressor", COMPRESSORS)
        valid.real(self.strength, "strength", above=0, high=MAXIMUM_STRENGTH[self.compressor])
        largest = float(np.finfo(np.float32).max)
        scale = np.float32(valid.real(self.scale, "scale", low=float(np.finfo(np.float32).tiny), high=largest))
        object.__setattr__(self, "scale", float(scale))

    @property
    def largest_code(self) -> int:
        """P, the code of `scale`."""
        return 2 ** (self.bits - 1) - 1

    @property
    def code_dtype(self) -> np.dtype[Any]:
        """int8 up to 8 bits, int16 above."""
        return np.dtype(np.int8 if self.bits <= 8 else np.int16)

    @classmethod
    def fit(
        cls, x: ArrayLike, bits: int = 8, *, compressor: str = "mu_law", strength: float | None = None
    ) -> Companding:
        """The compander whose scale is the largest |x| (1 where there is nothing but zero).

        Without a `strength`, µ is 255, and a is s/(3·mean|x|), the optimum for a Laplace density of that mean
        magnitude, at most 30. Raises ValueError/TypeError for NaN, infinity, empty or non-real `x`.
        """
        magnitudes = np.abs(valid.real_array(x).astype(np.float64, copy=False))
        scale = float(max(magnitudes.max(), np.finfo(np.float32).tiny)) if magnitudes.any() else 1.0
        if strength is None:
            mean = float(np.mean(magnitudes / scale))
            laplace = min(1 / (3 * mean), MAXIMUM_STRENGTH["exponential"]) if mean > 0 else 1.0
            strength = 255.0 if compressor == "mu_law" else laplace
        return cls(scale, bits, compressor, strength)

    def quantize(self, x: ArrayLike) -> NDArray[Any]:
        """Codes of `x` in the shape of `x`, dtype `code_dtype`.

        Raises ValueError/TypeError for NaN, infinity, empty or non-real `x`.
        """
        x = valid.real_array(x)
        codes = np.empty(x.shape, self.code_dtype)
        flat, target = np.ascontiguousarray(x).reshape(-1), codes.reshape(-1)
        size = PIECE_BYTES // 8
        for start in range(0, flat.size, size):
            values = flat[start : start + size].astype(np.float64)
            with np.errstate(over="ignore"):
                magnitudes = np.minimum(np.abs(values) / self.scale, 1)
            compressed = self.compress(magnitudes)
            target[start : start + size] = np.copysign(np.rint(compressed * self.largest_code), values)
        return codes

    def dequantize(self, codes: ArrayLike) -> NDArray[np.float32]:
        """The float32 values of `codes` (integers in −P..P), in their shape.

        Raises TypeError for codes that are not integers, ValueError for codes outside the range.
        """
        codes = valid.integer_codes(codes, -self.largest_code, self.largest_code)
        positive = self.expand(np.arange(1, self.largest_code + 1) / self.largest_code) * self.scale
        # Ordered by code from 0 to P, then from −P to −1: negative codes index from the end.
        levels = np.concatenate(([0.0], positive, -positive[::-1])).astype(np.float32)
        return levels[codes.astype(np.intp)]

    def nbytes(self, shape: tuple[int, ...]) -> int:
        """Bytes of a tensor of `shape`: packed codes, 4 for `scale` and 4 for `strength`."""
        return math.ceil(math.prod(shape) * self.bits / 8) + 8

    def compress(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """c(u) for u in 0..1."""
        if self.compressor == "mu_law":
            return np.log1p(self.strength * u) / math.log1p(self.strength)
        return np.expm1(-self.strength * u) / math.expm1(-self.strength)

    def expand(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """c⁻¹(y) for y in 0..1."""
        if self.compressor == "mu_law":
            return np.expm1(y * math.log1p(self.strength)) / self.strength
        return np.log1p(y * math.expm1(-self.strength)) / -self.strength


def mu_law_encode(samples: ArrayLike) -> NDArray[np.uint8]:
    """8-bit G.711 µ-law codes of 16-bit samples (integers in −32768..32767), in their shape.

    The upper 14 bits are coded as sign, the octave (3 bits) of magnitude + 33, and 4 bits within it; all bits are
    inverted, so that silence is 255. Same bits as `audioop.lin2ulaw`. Source: ITU-T G.711 (1988), table 2a.
    Raises TypeError for samples that are not integers, ValueError for empty ones and ones outside 16 bits.
    """
    upper = valid.integer_codes(samples, -(2**15), 2**15 - 1, "samples").astype(np.int16) >> 2
    magnitude = np.minimum(np.abs(upper), 8158) + 33  # 33..8191
    octave = np.frexp(magnitude.astype(np.float32))[1] - 6  # 0..7
    position = (magnitude >> (octave + 1)) & 15
    return (~((upper < 0) << 7 | octave << 4 | position)).astype(np.uint8)


def mu_law_decode(codes: ArrayLike) -> NDArray[np.int16]:
    """16-bit samples of 8-bit G.711 µ-law codes (integers in 0..255), in their shape: the middle of each interval.

    Same bits as `audioop.ulaw2lin`. Raises TypeError for codes that are not integers, ValueError outside 0..255.
    """
    inverted = 255 - valid.integer_codes(codes, 0, 255).astype(np.int16)
    octave, position = inverted >> 4 & 7, inverted & 15
    magnitude = ((2 * position + 33) << (octave + 2)) - 132
    return np.where(inverted >> 7, -magnitude, magnitude).astype(np.int16)
