"""Block formats of GGUF (llama.cpp): each run of 32 values has its own float16 scale d. Q4_0, Q4_1 and Q8_0.

A scheme holds the d of every block, as other schemes hold their scales, and its codes have the shape of x, so that
whatever works on codes works here. `to_bytes` lays both out as a GGUF file does; `from_bytes` reads them.
Conventions of ggml, its engine, kept bit for bit: codes are chosen by the float32 d, as x · float32(1/d), but are
decoded with d as stored, rounded to float16; nibbles pair value j of a block (low) with value j + 16 (high), unlike
`tensor.packing`. Formulas: ggml, quantize_row_q4_0_ref, quantize_row_q4_1_ref, quantize_row_q8_0_ref.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewerbits.tensor import validation as valid
from fewerbits.tensor.rounding import round_in_place

BLOCK = 32


def in_blocks(x: NDArray[Any], block_size: int = BLOCK, name: str = "x") -> NDArray[Any]:
    """`x` (..., n) seen as (..., n / block_size, block_size): runs of `block_size` values along the last axis.

    Raises ValueError for a scalar and for a last axis that `block_size` does not divide.
    """
    if x.ndim == 0 or x.shape[-1] % block_size:
        raise ValueError(f"{name} has shape {x.shape}: its last axis must be a multiple of the block size {block_size}")
    return x.reshape(*x.shape[:-1], x.shape[-1] // block_size, block_size)


@dataclass(frozen=True, eq=False)
class _GgufBlocks:
    """What the formats share. `scale` is d, float32, (..., n/32); of either sign, and zero for a block of zeros.

    Raises ValueError for a parameter that is not finite in float16, in which it is stored.
    """

    scale: NDArray[np.float32]
    bits: ClassVar[int]
    qmin: ClassVar[int]
    qmax: ClassVar[int]
    block_bytes: ClassVar[int]

    def __post_init__(self) -> None:
        for field in fields(self):
            parameter = valid.real_array(getattr(self, field.name), field.name).astype(np.float32)
            if parameter.ndim == 0 or parameter.shape != np.shape(self.scale):
                raise ValueError(
                    f"{field.name} has shape {parameter.shape}: one value per block, (..., n/32), is needed"
                )
            if not np.abs(parameter).max() < 65520:
                largest = parameter.flat[np.abs(parameter).argmax()]
                raise ValueError(f"{field.name} holds {largest}: float16, in which it is stored, ends at 65504")
            object.__setattr__(self, field.name, parameter)

    @classmethod
    def fit(cls, x: ArrayLike) -> Self:
        """The scheme with the parameters of each block of `x`, (..., n) with n a multiple of 32, taken as float32.

        Raises ValueError/TypeError for NaN, infinity, empty or non-real `x`, another shape, and values so large that
        float16 cannot hold the scale.
        """
        with np.errstate(over="ignore"):
            return cls(*cls._parameters(in_blocks(_as_float32(x))))

    def quantize(self, x: ArrayLike) -> NDArray[Any]:
        """Codes of `x` in its shape, qmin..qmax, int8 (uint8 for Q4_1); values beyond the range of a block saturate.

        Raises ValueError/TypeError for NaN, infinity, empty or non-real `x`, and a shape that does not fit `scale`.
        """
        values = _as_float32(x)
        blocks = self._blocks_of(values, "x")
        with np.errstate(divide="ignore", over="ignore"):
            inverse = np.float32(1) / self.scale
            # Where d is 0, or so small that 1/d overflows, float16 holds 0 and the code does not matter.
            inverse[~np.isfinite(inverse)] = 0
            codes = self._real_codes(blocks, inverse[..., None])
        np.clip(codes, self.qmin, self.qmax, out=codes)
        return codes.astype(self._code_dtype()).reshape(values.shape)

    def dequantize(self, codes: ArrayLike) -> NDArray[np.float32]:
        """x̂ = d · q (plus the minimum in Q4_1), float32, in the shape of `codes`; d is the float16 that is stored.

        Raises TypeError for codes that are not integers, ValueError for codes out of range and a shape that does not
        fit `scale`.
        """
        q = valid.integer_codes(codes, self.qmin, self.qmax)
        scale, *minimum = (parameter.astype(np.float32) for parameter in self._stored())
        x = scale * self._blocks_of(q, "codes").astype(np.float32)
        for m in minimum:
            x += m
        return x.reshape(q.shape)

    def to_bytes(self, codes: ArrayLike) -> NDArray[np.uint8]:
        """The bytes of a GGUF tensor, uint8, (..., block_bytes · n/32): of each block its parameters, then its codes.

        Raises as `dequantize`.
        """
        q = valid.integer_codes(codes, self.qmin, self.qmax)
        blocks = self._blocks_of(q, "codes")
        if self.bits == 4:
            nibbles = (blocks - self.qmin).astype(np.uint8)
            body = nibbles[..., : BLOCK // 2] | nibbles[..., BLOCK // 2 :] << 4
        else:
            body = blocks.astype(np.int8, order="C").view(np.uint8)
        header = np.concatenate(self._stored(), axis=-1).view(np.uint8)
        return np.concatenate([header, body], axis=-1).reshape(*q.shape[:-1], -1)

    @classmethod
    def from_bytes(cls, packed: ArrayLike) -> tuple[Self, NDArray[Any]]:
        """(scheme, codes) from the bytes of a GGUF tensor, uint8, (..., block_bytes · n/32); the codes are (..., n).

        Raises TypeError for bytes that are not uint8, ValueError where there are no whole blocks, and for a scale that
        is NaN or infinite.
        """
        data = np.asarray(packed)
        if data.dtype != np.uint8:
            raise TypeError(f"packed has dtype {data.dtype}: accepted is uint8")
        if data.size == 0:
            raise ValueError(f"packed is empty (shape {data.shape}): at least one block is needed")
        header, body = np.split(
            in_blocks(data, cls.block_bytes, "packed"), [cls.block_bytes - BLOCK * cls.bits // 8], -1
        )
        if cls.bits == 4:
            body = np.concatenate([body & 0x0F, body >> 4], axis=-1) + np.uint8(cls.qmin % 256)
        codes = body.view(cls._code_dtype())
        parameters = np.moveaxis(np.ascontiguousarray(header).view("<f2"), -1, 0)
        return cls(*parameters), codes.reshape(*data.shape[:-1], -1)

    def nbytes(self, shape: tuple[int, ...]) -> int:
        """Bytes of a tensor of `shape`, scales included. Raises ValueError where its last axis is not whole blocks."""
        if not shape or shape[-1] % BLOCK:
            raise ValueError(f"shape={shape} is not accepted: its last axis must be a multiple of {BLOCK}")
        return math.prod(shape) // BLOCK * self.block_bytes

    @classmethod
    def _code_dtype(cls) -> np.dtype[Any]:
        return np.dtype(np.int8 if cls.qmin < 0 else np.uint8)

    @classmethod
    def _parameters(cls, blocks: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        """The fields of the class for `blocks` (..., n/32, 32): float32, (..., n/32) each."""
        raise NotImplementedError

    def _real_codes(self, blocks: NDArray[np.float32], inverse: NDArray[np.float32]) -> NDArray[np.float32]:
        """Codes, rounded but not clipped, (..., n/32, 32); `inverse` is 1/d, (..., n/32, 1)."""
        raise NotImplementedError

    def _stored(self) -> list[NDArray[np.float16]]:
        """The parameters as they are stored: little-endian float16, (..., n/32, 1)."""
        return [getattr(self, field.name).astype("<f2")[..., None] for field in fields(self)]

    def _blocks_of(self, array: NDArray[Any], name: str) -> NDArray[Any]:
        blocks = in_blocks(array, name=name)
        if blocks.shape[:-1] != self.scale.shape:
            fitted = (*self.scale.shape[:-1], self.scale.shape[-1] * BLOCK)
            raise ValueError(f"{name} has shape {array.shape}: the scale belongs to shape {fitted}")
        return blocks


class Q4_0(_GgufBlocks):  # noqa: N801
    """x̂ = d · q, q in −8..7, d = (the value of largest magnitude, sign and all) / −8. 18 bytes hold 32 values.

    The largest magnitude always gets −8, whatever its sign; the same magnitude of the other sign only gets 7.
    """

    bits, qmin, qmax, block_bytes = 4, -8, 7, 18

    @classmethod
    def _parameters(cls, blocks: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        largest = np.abs(blocks).argmax(axis=-1, keepdims=True)
        return (np.take_along_axis(blocks, largest, axis=-1)[..., 0] / np.float32(-8),)

    def _real_codes(self, blocks: NDArray[np.float32], inverse: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.trunc(blocks * inverse + np.float32(8.5)) - 8


@dataclass(frozen=True, eq=False)
class Q4_1(_GgufBlocks):  # noqa: N801
    """x̂ = d · q + m, q in 0..15, m the minimum of the block and d = (maximum − m) / 15. 20 bytes hold 32 values."""

    minimum: NDArray[np.float32]
    bits, qmin, qmax, block_bytes = 4, 0, 15, 20

    @classmethod
    def _parameters(cls, blocks: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        minimum = blocks.min(axis=-1)
        return (blocks.max(axis=-1) - minimum) / 15, minimum

    def _real_codes(self, blocks: NDArray[np.float32], inverse: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.trunc((blocks - self.minimum[..., None]) * inverse + np.float32(0.5))


class Q8_0(_GgufBlocks):  # noqa: N801
    """x̂ = d · q, q in −127..127 (half away from zero), d = max|x| / 127. 34 bytes hold 32 values."""

    bits, qmin, qmax, block_bytes = 8, -128, 127, 34

    @classmethod
    def _parameters(cls, blocks: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        return (np.abs(blocks).max(axis=-1) / 127,)

    def _real_codes(self, blocks: NDArray[np.float32], inverse: NDArray[np.float32]) -> NDArray[np.float32]:
        codes = blocks * inverse
        round_in_place(codes, "half_away")
        return codes


def _as_float32(x: ArrayLike) -> NDArray[np.float32]:
    """`x`, checked, as float32. Raises ValueError for float64 values that float32 cannot hold."""
    with np.errstate(over="ignore"):
        values = valid.real_array(x).astype(np.float32, copy=False)
    valid.require_finite(values, "x as float32")
    return values
