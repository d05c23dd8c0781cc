"""Packed codes against ONNX's own packing (2, 4 and 6 bits) and NumPy's packbits (1 to 8 bits)."""

from __future__ import annotations

import numpy as np
from fewerbits.tensor.packing import pack, unpack
from numpy.typing import NDArray

from tests.oracles.registry import Pairs, compare

# Around every multiple of eight codes, and a long one.
LENGTHS = (*range(1, 34), 4001)


def random_codes(bits: int, count: int, signed: bool) -> NDArray[np.int64]:
    """Random codes after the lowest and highest of all."""
    low = -(2 ** (bits - 1)) if signed else 0
    codes = np.random.default_rng(bits * 10_000 + count).integers(low, low + 2**bits, count)
    codes[:2] = [low, low + 2**bits - 1][:count]
    return codes


def packed_by_numpy(codes: NDArray[np.int64], bits: int) -> NDArray[np.uint8]:
    each = np.unpackbits(codes.astype(np.uint8)[:, None], axis=1, bitorder="little")[:, :bits]
    return np.packbits(each.reshape(-1), bitorder="little")


@compare("packing.pack 1 to 8 bits", "numpy", "packbits, bitorder='little'")
def pack_numpy() -> Pairs:
    for bits in range(1, 9):
        for signed in (False, True):
            for count in LENGTHS:
                codes = random_codes(bits, count, signed)
                yield pack(codes, bits), packed_by_numpy(codes, bits)


@compare("packing.unpack 1 to 8 bits", "numpy", "unpackbits, bitorder='little'")
def unpack_numpy() -> Pairs:
    for bits in range(1, 9):
        for signed in (False, True):
            for count in LENGTHS:
                packed = packed_by_numpy(random_codes(bits, count, signed), bits)
                each = np.unpackbits(packed, bitorder="little")[: count * bits].reshape(count, bits).astype(int)
                weights = 2 ** np.arange(bits)
                weights[-1] *= -1 if signed else 1
                yield unpack(packed, bits, count, signed), each @ weights


@compare(
    "packing.pack int4, uint4, int2, uint2, 6 bits", "onnx", "raw_data of a tensor", requires=("onnx", "ml_dtypes")
)
def pack_onnx() -> Pairs:
    import ml_dtypes
    from onnx import numpy_helper

    for bits, signed, dtype in (
        (4, True, ml_dtypes.int4),
        (4, False, ml_dtypes.uint4),
        (2, True, ml_dtypes.int2),
        (2, False, ml_dtypes.uint2),
        (6, False, ml_dtypes.float6_e2m3fn),
        (4, False, ml_dtypes.float4_e2m1fn),
    ):
        for count in LENGTHS:
            codes = random_codes(bits, count, signed)
            is_float = "float" in dtype.__name__
            array = codes.astype(np.uint8).view(dtype) if is_float else codes.astype(dtype)
            tensor = numpy_helper.from_array(array)
            yield pack(codes, bits), np.frombuffer(tensor.raw_data, np.uint8)


@compare("packing.unpack int4, uint4, int2, uint2", "onnx", "to_array of a tensor", requires=("onnx",))
def unpack_onnx() -> Pairs:
    from onnx import TensorProto, helper, numpy_helper

    for bits, signed, dtype in (
        (4, True, TensorProto.INT4),
        (4, False, TensorProto.UINT4),
        (2, True, TensorProto.INT2),
        (2, False, TensorProto.UINT2),
    ):
        for count in LENGTHS:
            packed = np.random.default_rng(count).integers(0, 256, -(-count * bits // 8)).astype(np.uint8)
            tensor = helper.make_tensor("codes", dtype, [count], packed.tobytes(), raw=True)
            yield unpack(packed, bits, count, signed), numpy_helper.to_array(tensor).astype(np.int64)
