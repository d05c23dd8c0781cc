"""Packing: codes of 1 to 8 bits laid end to end in bytes, and back.

Bit order is little-endian: the first code takes the lowest bits of the first byte, and a code that does not fit
continues in the lowest bits of the next. Negative codes are stored as two's complement of `bits` bits; the bits
left over in the last byte are zero. So ONNX stores INT4, UINT4, INT2, UINT2, FLOAT4E2M1 and its 6-bit floats (ONNX
IR specification, TensorProto.raw_data). GGUF's Q4_0 differs: its nibbles pair value j with value j + 16 of a
block (`tensor.blocks`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewerbits.tensor import validation as valid


def pack(codes: ArrayLike, bits: int) -> NDArray[np.uint8]:
    """The bytes of `codes` (integers of any shape, read in C order): uint8, (ceil(size · bits / 8),).

    Accepted codes are −2^(bits−1)..2^(bits−1) − 1 (signed) or 0..2^bits − 1 (unsigned), not both at once.
    Raises TypeError for codes that are not integers, ValueError for others, for an empty array and bits outside 1..8.

    >>> [hex(byte) for byte in pack([1, 2, 15], bits=4)]
    ['0x21', '0xf']
    """
    bits = valid.integer(bits, "bits", 1, 8)
    low, high = -(2 ** (bits - 1)), 2**bits - 1
    flat = valid.integer_codes(codes, low, high).reshape(-1)
    if flat.min() < 0 and flat.max() >= -low:
        accepted = f"{low}..{-low - 1} (signed) or 0..{high} (unsigned)"
        raise ValueError(f"codes reach from {flat.min()} to {flat.max()}: accepted for bits={bits} are {accepted}")
    # Eight codes fill `bits` whole bytes: the low ones of a 64-bit word.
    words = np.zeros(math.ceil(flat.size / 8), "<u8")
    for position in range(min(8, flat.size)):
        codes_here = flat[position::8].astype(np.uint8) & high
        words[: codes_here.size] |= codes_here.astype("<u8") << (position * bits)
    packed = words.view(np.uint8).reshape(-1, 8)[:, :bits].reshape(-1)
    return packed[: math.ceil(flat.size * bits / 8)]


def unpack(packed: ArrayLike, bits: int, count: int, signed: bool = False) -> NDArray[Any]:
    """The `count` codes in the bytes `packed` (uint8, 1-D): uint8, or int8 if `signed`, (count,).

    Raises TypeError for bytes that are not uint8, ValueError for a number of bytes other than
    ceil(count · bits / 8), and for bits outside 1..8.

    >>> unpack(pack([-3, 1, 2], bits=3), bits=3, count=3, signed=True)
    array([-3,  1,  2], dtype=int8)
    """
    bits = valid.integer(bits, "bits", 1, 8)
    count = valid.integer(count, "count", 1)
    signed = valid.boolean(signed, "signed")
    data = np.asarray(packed)
    if data.dtype != np.uint8:
        raise TypeError(f"packed has dtype {data.dtype}: accepted is uint8")
    size = math.ceil(count * bits / 8)
    if data.shape != (size,):
        raise ValueError(f"packed has shape {data.shape}: {count} codes of {bits} bits take ({size},)")

    rows = np.zeros((math.ceil(count / 8), 8), np.uint8)
    rows[:, :bits] = np.concatenate([data, np.zeros(len(rows) * bits - size, np.uint8)]).reshape(-1, bits)
    words = rows.view("<u8")[:, 0]
    codes = np.empty((len(words), 8), np.uint8)
    for position in range(8):
        codes[:, position] = (words >> (position * bits)) & (2**bits - 1)
    flat = codes.reshape(-1)[:count]
    if signed:
        sign_bit = 2 ** (bits - 1)
        return ((flat ^ sign_bit) - sign_bit).view(np.int8)
    return flat
