"""Facts about packed codes. Their agreement with other libraries is in tests/oracles/packing.py."""

from __future__ import annotations

import numpy as np
import pytest
from fewerbits.tensor.packing import pack, unpack
from hypothesis import given, settings
from hypothesis import strategies as st


def test_the_first_code_takes_the_low_nibble() -> None:
    # ONNX IR specification, TensorProto: two 4-bit elements in a byte, the first in the low nibble.
    assert pack([0x1, 0x2, 0xF], bits=4).tolist() == [0x21, 0x0F]


def test_a_code_continues_in_the_next_byte() -> None:
    # 111 at bits 0-2, 000 at 3-5, 101 at 6-8: its high bit is the lowest of the second byte.
    assert pack([0b111, 0b000, 0b101], bits=3).tolist() == [0b01_000_111, 0b1]


def test_negative_codes_are_twos_complement() -> None:
    assert pack([-1, -8, 7], bits=4).tolist() == [0x8F, 0x07]
    assert unpack(np.uint8([0x8F, 0x07]), bits=4, count=3, signed=True).tolist() == [-1, -8, 7]
    assert unpack(np.uint8([0x8F, 0x07]), bits=4, count=3).tolist() == [15, 8, 7]


def test_eight_bits_are_the_bytes_themselves() -> None:
    codes = np.arange(-128, 128).astype(np.int8)
    assert (pack(codes, bits=8) == codes.view(np.uint8)).all()
    assert (unpack(codes.view(np.uint8), bits=8, count=256, signed=True) == codes).all()


@pytest.mark.parametrize("bits", range(1, 9))
def test_n_codes_take_n_times_bits_rounded_up_to_bytes(bits: int) -> None:
    for count in range(1, 40):
        assert pack(np.zeros(count, np.uint8), bits).shape == (-(-count * bits // 8),)


def test_bits_left_over_are_zero_when_packed_and_ignored_when_unpacked() -> None:
    assert pack([7], bits=3).tolist() == [0b00000_111]
    assert unpack(np.uint8([0b11111_101]), bits=3, count=1).tolist() == [5]


def test_any_layout_and_integer_type_packs_in_c_order() -> None:
    codes = np.arange(12, dtype=np.int16).reshape(3, 4)
    assert (pack(codes.T, 4) == pack(codes.T.reshape(-1).tolist(), 4)).all()
    assert (pack(codes[:, ::2], 4) == pack(np.uint8([0, 2, 4, 6, 8, 10]), 4)).all()


@given(st.integers(1, 8), st.booleans(), st.data())
@settings(deadline=None)
def test_unpacking_brings_the_codes_back(bits: int, signed: bool, data: st.DataObject) -> None:
    low = -(2 ** (bits - 1)) if signed else 0
    codes = data.draw(st.lists(st.integers(low, low + 2**bits - 1), min_size=1, max_size=50))
    restored = unpack(pack(codes, bits), bits, len(codes), signed)
    assert restored.tolist() == codes
    assert restored.dtype == (np.int8 if signed else np.uint8)
