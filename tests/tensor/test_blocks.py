"""Facts about GGUF's block formats. Their agreement with gguf, byte for byte, is in tests/oracles/blocks.py."""

from __future__ import annotations

import numpy as np
import pytest
from fewerbits.tensor.blocks import Q4_0, Q4_1, Q8_0
from fewerbits.tensor.scheme import bits_per_value, fake_quantize
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

every_format = pytest.mark.parametrize("scheme", [Q4_0, Q4_1, Q8_0])


def weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(("scheme", "block_bytes", "bits"), [(Q4_0, 18, 4.5), (Q4_1, 20, 5.0), (Q8_0, 34, 8.5)])
def test_bits_per_weight_count_the_scales(scheme: type[Q4_0], block_bytes: int, bits: float) -> None:
    # ggml: a block is one or two float16 and 32 codes.
    fitted = scheme.fit(weights(4, 96))
    assert bits_per_value(fitted, (4, 96)) == bits
    assert fitted.to_bytes(fitted.quantize(weights(4, 96))).nbytes == fitted.nbytes((4, 96)) == 12 * block_bytes


def test_q4_0_gives_the_largest_magnitude_the_code_minus_eight() -> None:
    for sign in (1, -1):
        x = np.full(32, 0.5, np.float32)
        x[5] = sign * 8
        fitted = Q4_0.fit(x)
        assert fitted.scale.tolist() == [-sign]
        assert fitted.quantize(x)[5] == -8
        assert fitted.dequantize(fitted.quantize(x))[5] == sign * 8


def test_q4_0_clips_the_same_magnitude_of_the_other_sign() -> None:
    x = np.resize(np.float32([8, -8]), 32)
    fitted = Q4_0.fit(x)
    assert fitted.quantize(x)[:2].tolist() == [-8, 7]
    assert fake_quantize(fitted, x)[:2].tolist() == [8, -7]


def test_q4_1_reaches_the_minimum_and_the_maximum() -> None:
    x = np.linspace(-3, 12, 32).astype(np.float32)
    fitted = Q4_1.fit(x)
    assert (fitted.scale.tolist(), fitted.minimum.tolist()) == ([1], [-3])
    assert fitted.quantize(x)[[0, -1]].tolist() == [0, 15]
    assert fake_quantize(fitted, x)[[0, -1]].tolist() == [-3, 12]


def test_q8_0_rounds_half_away_from_zero() -> None:
    x = np.zeros(32, np.float32)
    x[:5] = [127, 0.5, -0.5, 2.5, -2.5]
    assert Q8_0.fit(x).quantize(x)[:5].tolist() == [127, 1, -1, 3, -3]


def test_the_scale_is_used_in_float32_and_stored_in_float16() -> None:
    x = np.zeros(32, np.float32)
    x[0] = 100.0
    fitted = Q8_0.fit(x)
    assert fitted.scale[0] == np.float32(100 / 127)
    assert fake_quantize(fitted, x)[0] == 127 * np.float32(np.float16(100 / 127))
    assert fake_quantize(fitted, x)[0] != 100


def test_nibbles_pair_value_j_with_value_j_plus_16() -> None:
    codes = np.resize(np.arange(-8, 8), 32).astype(np.int8)
    codes[16:] = -8
    codes[16] = 7
    packed = Q4_0(np.float32([1])).to_bytes(codes)
    assert packed[:2].view("<f2") == [1]
    assert packed[2:].tolist() == [0xF0, *range(1, 16)]


@every_format
def test_bytes_bring_scheme_and_codes_back(scheme: type[Q4_0]) -> None:
    x = weights(2, 3, 64)
    fitted = scheme.fit(x)
    codes = fitted.quantize(x)
    packed = fitted.to_bytes(codes)
    assert packed.shape == (2, 3, 2 * scheme.block_bytes)
    read, read_codes = scheme.from_bytes(packed)
    assert (read_codes == codes).all()
    assert read_codes.dtype == codes.dtype
    assert (read.dequantize(read_codes) == fitted.dequantize(codes)).all()
    assert (read.to_bytes(read_codes) == packed).all()


@every_format
def test_a_block_of_zeros_stays_zero_and_leaves_its_neighbour_alone(scheme: type[Q4_0]) -> None:
    x = np.concatenate([np.zeros(32, np.float32), weights(32)])
    restored = fake_quantize(scheme.fit(x), x)
    assert (restored[:32] == 0).all()
    assert (restored[32:] == fake_quantize(scheme.fit(x[32:]), x[32:])).all()


@every_format
@pytest.mark.parametrize("size", [1e-45, 1e-40, 1e-38, 5e-9])
def test_values_too_small_for_a_float16_scale_become_zero(scheme: type[Q4_0], size: float) -> None:
    # The smallest float16 is 6e-8, and half of it rounds to 0; below 3e-39 even 1/d overflows.
    x = np.resize(np.float32([size, -size, 0]), 32)
    assert (fake_quantize(scheme.fit(x), x) == 0).all()


@every_format
def test_one_outlier_hurts_only_its_own_block(scheme: type[Q4_0]) -> None:
    x = weights(2, 64)
    x[0, 0] = 1000
    error = np.abs(fake_quantize(scheme.fit(x), x) - x)
    clean = np.abs(fake_quantize(scheme.fit(x[1:]), x[1:]) - x[1:])
    assert (error[1] == clean[0]).all()
    assert error[0, 1:32].max() > 1
    assert error[0, 32:].max() < 0.3


@every_format
def test_values_beyond_the_fitted_range_saturate(scheme: type[Q4_0]) -> None:
    fitted = scheme.fit(weights(32))
    for far in (1e9, -1e9, 3.4e38):
        codes = fitted.quantize(np.full(32, far, np.float32))
        assert set(codes.tolist()) <= {scheme.qmin, scheme.qmax}


@every_format
def test_float64_and_integers_are_taken_as_float32(scheme: type[Q4_0]) -> None:
    x = weights(64)
    assert (scheme.fit(x.astype(np.float64)).quantize(x.astype(np.float64)) == scheme.fit(x).quantize(x)).all()
    integers = np.arange(-16, 16)
    assert (scheme.fit(integers).quantize(integers) == scheme.fit(np.float32(integers)).quantize(integers)).all()


@every_format
def test_layout_in_memory_does_not_matter(scheme: type[Q4_0]) -> None:
    x = weights(64, 3).T
    fitted = scheme.fit(x)
    again = scheme.fit(x.copy())
    assert (fitted.to_bytes(fitted.quantize(x)) == again.to_bytes(again.quantize(x.copy()))).all()


block = arrays(np.float32, 32, elements=st.floats(-1e4, 1e4, width=32).filter(lambda v: v == 0 or abs(v) > 1e-2))


@given(block)
@settings(deadline=None)
def test_error_is_at_most_half_a_step_but_for_the_clipped_side_of_q4_0(x: np.ndarray) -> None:
    for scheme, steps in ((Q8_0, 0.5), (Q4_1, 0.5), (Q4_0, 1.0)):
        fitted = scheme.fit(x)
        # Rounding the scale (and minimum) to float16 moves every value by up to 2⁻¹¹ of the largest.
        float16_error = 2.0**-11 * np.abs(x).max() * (3 if scheme is Q4_1 else 1)
        bound = steps * np.abs(fitted.scale).max() + 1.01 * float16_error + 127 * 2.0**-25
        assert np.abs(fake_quantize(fitted, x).astype(np.float64) - x).max() <= bound


def test_q4_0_rounds_to_the_nearest_code() -> None:
    x = np.zeros(32, np.float32)
    x[:4] = -8, 0.6, -0.6, 0.4  # the scale is 1
    np.testing.assert_array_equal(Q4_0.fit(x).quantize(x)[:4], [-8, 1, -1, 0])
