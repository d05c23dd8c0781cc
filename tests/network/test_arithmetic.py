"""Integer products are exact, and say so when int32 is not enough."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from fewerbits.network import windows
from fewerbits.network.arithmetic import (
    add_bias,
    exact_dtype,
    integer_conv2d,
    integer_matmul,
    quantize_bias,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

DTYPES = (np.int8, np.uint8)


def codes(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> Any:
    limits = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(limits.min, limits.max + 1, shape).astype(dtype)


def direct_convolution(x: Any, w: Any, x_zero: Any, w_zero: Any, stride: int, padding: int, groups: int) -> Any:
    """The definition, one output at a time, in Python's integers."""
    x = np.pad(x.astype(int) - int(x_zero), ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    w = w.astype(int) - np.reshape(w_zero, (-1, 1, 1, 1)).astype(int)
    out_channels, per_group, height, width = w.shape
    rows, columns = (x.shape[2] - height) // stride + 1, (x.shape[3] - width) // stride + 1
    result = np.zeros((len(x), out_channels, rows, columns), int)
    for n, o, i, j in np.ndindex(result.shape):
        first = o // (out_channels // groups) * per_group
        window = x[n, first : first + per_group, i * stride : i * stride + height, j * stride : j * stride + width]
        result[n, o, i, j] = (window * w[o]).sum()
    return result


@pytest.mark.parametrize("a_dtype", DTYPES)
@pytest.mark.parametrize("b_dtype", DTYPES)
@given(st.data())
@settings(deadline=None, max_examples=40)
def test_cross_terms_replace_subtracting_the_zero_points(a_dtype: Any, b_dtype: Any, data: Any) -> None:
    rows, terms, columns = (data.draw(st.integers(1, 9)) for _ in range(3))
    a, b = data.draw(hnp.arrays(a_dtype, (rows, terms))), data.draw(hnp.arrays(b_dtype, (terms, columns)))
    a_zero, b_zero = data.draw(hnp.arrays(a_dtype, ())), data.draw(hnp.arrays(b_dtype, (columns,)))
    expected = (a.astype(int) - int(a_zero)) @ (b.astype(int) - b_zero.astype(int))
    got = integer_matmul(a, b, a_zero, b_zero)
    assert got.dtype == np.int32
    assert np.array_equal(got, expected)


@pytest.mark.parametrize("terms", [1023, 1024, 1025, 2048, 5000])
@pytest.mark.parametrize("value", [-128, 127])
def test_sums_on_both_sides_of_two_to_the_24_are_exact(terms: int, value: int) -> None:
    a, b = np.full((2, terms), -128, np.int8), np.full((terms, 2), value, np.int8)
    b[0, 0] = 1  # an odd number, which float32 cannot hold above 2²⁴
    expected = a.astype(int) @ b.astype(int)
    assert np.array_equal(integer_matmul(a, b), expected)


@pytest.mark.parametrize("terms", [256, 257, 1001])
def test_cross_terms_beyond_two_to_the_24_are_exact(terms: int) -> None:
    a, b = np.full((1, terms), 255, np.uint8), np.full((terms, 1), 255, np.uint8)
    assert integer_matmul(a, b)[0, 0] == terms * 255 * 255
    images, kernels = a.reshape(1, terms, 1, 1), b.reshape(1, terms, 1, 1)
    assert integer_conv2d(images, kernels)[0, 0, 0, 0] == terms * 255 * 255


def test_float32_alone_would_be_wrong_past_the_bound() -> None:
    a, b = np.full((1, 5001), -127, np.int8), np.full((5001, 1), -127, np.int8)
    exact = 5001 * 127 * 127
    assert integer_matmul(a, b)[0, 0] == exact
    assert int((a.astype(np.float32) @ b.astype(np.float32))[0, 0]) != exact


def test_the_bound_chooses_float32_up_to_1024_terms_and_by_the_values_beyond() -> None:
    extreme = np.full((1, 1025), -128, np.int8)
    assert exact_dtype(extreme[:, :1024], extreme[:, :1024].T) is np.float32
    assert exact_dtype(extreme, extreme.T) is np.float64
    assert exact_dtype(extreme, extreme.T // 2) is np.float32
    assert exact_dtype(extreme, np.hstack([extreme.T // 2, extreme.T])) is np.float64  # the largest column decides
    assert exact_dtype(np.full((1, 1025), 255, np.uint8), extreme.T) is np.float32  # 127·128·1025 < 2²⁴
    assert exact_dtype(np.zeros((1, 1025), np.uint8), extreme.T) is np.float64


def test_the_largest_accumulator_of_int32_is_reached_and_one_more_is_refused() -> None:
    a, b = np.full((1, 33_200), 255, np.uint8), np.zeros((33_200, 1), np.uint8)
    b[:33_025] = 255
    missing = 2**31 - 1 - 33_025 * 255 * 255
    b[33_025 : 33_025 + missing // 255] = 1
    a[0, -1], b[-1] = missing % 255, 1
    assert integer_matmul(a, b)[0, 0] == 2**31 - 1
    a[0, -1] += 1
    with pytest.raises(ValueError, match=r"2147483648.*int32"):
        integer_matmul(a, b)


def test_the_smallest_accumulator_of_int32_is_reached_and_one_less_is_refused() -> None:
    a, b = np.full((1, 2**17), -128, np.int8), np.full((2**17, 1), 127, np.int8)
    assert integer_matmul(a, b, 0, -1)[0, 0] == -(2**31)
    with pytest.raises(ValueError, match=r"-2147500032.*int32"):
        integer_matmul(np.hstack([a, a[:, :1]]), np.vstack([b, b[:1]]), 0, -1)


@pytest.mark.parametrize("a_dtype", DTYPES)
@pytest.mark.parametrize("w_dtype", DTYPES)
@pytest.mark.parametrize(
    ("channels", "outputs", "groups", "kernel", "stride", "padding"),
    [
        (3, 4, 1, 3, 1, 1),
        (4, 6, 2, 3, 2, 1),
        (5, 5, 5, 3, 1, 1),
        (4, 8, 4, 2, 2, 0),
        (2, 3, 1, 1, 1, 0),
        (1, 2, 1, 5, 3, 4),
    ],
)
def test_convolution_is_its_definition(
    a_dtype: Any, w_dtype: Any, channels: int, outputs: int, groups: int, kernel: int, stride: int, padding: int
) -> None:
    x = codes((2, channels, 7, 6), a_dtype, 1)
    w = codes((outputs, channels // groups, kernel, kernel), w_dtype, 2)
    x_zero = codes((), a_dtype, 3)
    for w_zero in (codes((), w_dtype, 4), codes((outputs,), w_dtype, 5)):
        expected = direct_convolution(x, w, x_zero, w_zero, stride, padding, groups)
        assert np.array_equal(integer_conv2d(x, w, x_zero, w_zero, stride, padding, groups), expected)


def test_padding_is_the_code_of_zero() -> None:
    """A constant image at the zero point convolves to zero everywhere, borders included."""
    x, w = np.full((1, 3, 6, 6), 77, np.uint8), codes((4, 3, 3, 3), np.int8)
    assert not integer_conv2d(x, w, 77, 0, 1, 1).any()


def test_padding_of_four_sides_is_top_left_bottom_right() -> None:
    x, w = codes((1, 1, 4, 5), np.int8), codes((1, 1, 2, 3), np.int8)
    bordered = np.pad(x, ((0, 0), (0, 0), (1, 0), (2, 3)))
    assert np.array_equal(integer_conv2d(x, w, padding=(1, 2, 0, 3)), integer_conv2d(bordered, w))


def test_a_one_by_one_convolution_is_a_matrix_product() -> None:
    x, w = codes((3, 8, 4, 5), np.uint8), codes((6, 8, 1, 1), np.int8)
    flat = x.transpose(0, 2, 3, 1).reshape(-1, 8)
    expected = integer_matmul(flat, w[:, :, 0, 0].T.copy(), 9, 2).reshape(3, 4, 5, 6).transpose(0, 3, 1, 2)
    assert np.array_equal(integer_conv2d(x, w, 9, 2), expected)


def test_images_are_convolved_independently_of_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = codes((9, 3, 6, 6), np.uint8), codes((4, 3, 3, 3), np.int8)
    together = integer_conv2d(x, w, 5, 1, 1, 1)
    monkeypatch.setattr(windows, "COLUMN_VALUES", 1)
    assert np.array_equal(integer_conv2d(x, w, 5, 1, 1, 1), together)


def test_memory_beyond_the_result_does_not_grow_with_the_batch() -> None:
    w = codes((16, 16, 3, 3), np.int8)
    extra = []
    for count in (20, 200):
        x = codes((count, 16, 14, 14), np.uint8)
        tracemalloc.start()
        result = integer_conv2d(x, w, 3, 0, 1, 1)
        extra.append(tracemalloc.get_traced_memory()[1] - result.nbytes)
        tracemalloc.stop()
    assert extra[1] < 1.1 * extra[0] < 10 * 2**20


def test_inputs_are_not_changed() -> None:
    x, w = codes((2, 3, 5, 5), np.uint8), codes((4, 3, 3, 3), np.uint8)
    x_before, w_before = x.copy(), w.copy()
    integer_conv2d(x, w, 5, 7, 1, 1)
    assert np.array_equal(x, x_before)
    assert np.array_equal(w, w_before)


def test_arrays_in_any_memory_order_are_accepted() -> None:
    a, b = codes((6, 8), np.int8), codes((8, 10), np.int8)
    assert np.array_equal(integer_matmul(a.T[::2].T, b[::2]), a[:, ::2].astype(int) @ b[::2].astype(int))


def test_bias_is_added_along_the_channel_axis() -> None:
    total = np.zeros((2, 3, 4, 5), np.int32)
    assert np.array_equal(add_bias(total, np.array([1, 2, 3], np.int32))[0, :, 0, 0], [1, 2, 3])
    assert np.array_equal(add_bias(total, np.arange(5, dtype=np.int32), axis=-1)[0, 0, 0], np.arange(5))


def test_bias_may_fill_int32_and_not_exceed_it() -> None:
    total, one = np.array([[2**31 - 2, -(2**31) + 1]], np.int32), np.array([1, -1], np.int32)
    assert np.array_equal(add_bias(total, one), [[2**31 - 1, -(2**31)]])
    with pytest.raises(ValueError, match="2147483648"):
        add_bias(total, 2 * one)


def test_bias_codes_stand_for_the_bias_within_half_a_step() -> None:
    rng = np.random.default_rng(0)
    bias, s_w = rng.normal(size=500), rng.uniform(1e-4, 1e-2, 500).astype(np.float32)
    quantized = quantize_bias(bias, 0.02, s_w)
    step = np.float32(0.02) * s_w
    assert quantized.dtype == np.int32
    assert (np.abs(quantized * step.astype(float) - bias) <= step / 2 * (1 + 1e-6)).all()


def test_bias_ties_go_to_even_and_the_product_of_scales_is_float32() -> None:
    assert quantize_bias([0.25, 0.75, 1.25, -0.25, -0.75], 1.0, 0.5).tolist() == [0, 2, 2, 0, -2]
    s_x, s_w = np.float32(0.1), np.float32(0.3)
    in_float32 = float(np.float32(float(s_x) * float(s_w)))
    bias = 123_456_789.5 * in_float32 * (1 + 1e-12)
    assert quantize_bias([bias], s_x, s_w)[0] == 123_456_790
    assert round(bias / (float(s_x) * float(s_w))) != 123_456_790


def test_the_ends_of_int32_are_bias_codes() -> None:
    assert quantize_bias([2**31 - 1, -(2**31)], 1.0, 1.0).tolist() == [2**31 - 1, -(2**31)]
    with pytest.raises(ValueError, match="channel 0"):
        quantize_bias([2**31], 1.0, 1.0)
