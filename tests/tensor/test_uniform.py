"""Uniform quantization: the formula, its conventions, and what float32 does and does not promise."""

from __future__ import annotations

import doctest
import itertools
import tracemalloc
from typing import Any

import numpy as np
import pytest
from fewerbits.tensor import uniform
from fewerbits.tensor.scheme import bits_per_value, fake_quantize
from fewerbits.tensor.uniform import Uniform, code_range
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

RNG = np.random.default_rng(0)
CONVENTIONS = [
    {"reciprocal": reciprocal, "zero_point_added": added, "rounding": rounding}
    for reciprocal, added, rounding in itertools.product(
        (False, True), ("after", "before", "fused"), ("half_even", "half_away", "toward_zero", "floor", "stochastic")
    )
    if reciprocal or added != "fused"
]
LAYOUTS = [{}, {"axis": 0}, {"axis": 1}, {"axis": -1}, {"axis": 1, "group_size": 4}, {"axis": 2, "group_size": 3}]


def test_docstring_examples_hold() -> None:
    assert doctest.testmod(uniform).failed == 0
    assert doctest.testmod(uniform).attempted >= 2


# The range of codes.


@pytest.mark.parametrize(
    ("bits", "signed", "narrow", "expected"),
    [
        (8, True, False, (-128, 127)),
        (8, True, True, (-127, 127)),
        (8, False, False, (0, 255)),
        (8, False, True, (1, 255)),
        (1, True, False, (-1, 0)),
        (1, False, False, (0, 1)),
        (2, True, True, (-1, 1)),
        (4, True, False, (-8, 7)),
        (16, False, False, (0, 65535)),
        (16, True, True, (-32767, 32767)),
    ],
)
def test_code_range(bits: int, signed: bool, narrow: bool, expected: tuple[int, int]) -> None:
    assert code_range(bits, signed, narrow) == expected


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("bits", range(2, 17))
def test_extremes_of_the_data_reach_the_ends_of_the_codes(bits: int, signed: bool) -> None:
    x = np.array([-1.0, 0.25, 1.0], np.float32)
    symmetric = Uniform.fit(x, bits, signed=signed, narrow_range=True).quantize(x)
    middle = 0 if signed else 2 ** (bits - 1)
    assert symmetric[0] == middle - (2 ** (bits - 1) - 1)
    assert symmetric[-1] == middle + (2 ** (bits - 1) - 1)
    affine = Uniform.fit(x, bits, symmetric=False, signed=signed).quantize([-2.0, 2.0])
    assert tuple(affine) == code_range(bits, signed)


def test_one_bit_tells_zero_from_the_extreme() -> None:
    scheme = Uniform.fit([0.0, 0.2, 0.9, 1.0], 1, symmetric=False, signed=False)
    np.testing.assert_array_equal(scheme.quantize([0.0, 0.2, 0.9, 1.0]), [0, 0, 1, 1])


@pytest.mark.parametrize(
    ("bits", "signed", "dtype"),
    [(1, True, np.int8), (8, True, np.int8), (8, False, np.uint8), (9, True, np.int16), (16, False, np.uint16)],
)
def test_codes_use_the_smallest_integer_type(bits: int, signed: bool, dtype: type[Any]) -> None:
    assert Uniform(np.float32(1), 0, bits, signed).quantize([0.0]).dtype == dtype


# Published vectors.


def test_onnx_dynamic_quantize_linear_example() -> None:
    """ONNX operator specification, DynamicQuantizeLinear, example 1."""
    x = np.array([0, 2, -3, -2.5, 1.34, 0.5], np.float32)
    scheme = Uniform.fit(x, symmetric=False, signed=False)
    assert scheme.scale == pytest.approx(0.0196078438, rel=1e-7)
    assert scheme.zero_point == 153
    np.testing.assert_array_equal(scheme.quantize(x), [153, 255, 0, 26, 221, 179])


def test_onnx_quantize_linear_example() -> None:
    """ONNX operator specification, QuantizeLinear."""
    scheme = Uniform(np.float32(2), 128, signed=False)
    codes = scheme.quantize(np.array([0, 2, 3, 1000, -254, -1000], np.float32))
    np.testing.assert_array_equal(codes, [128, 129, 130, 255, 1, 0])


def test_onnx_dequantize_linear_example() -> None:
    """ONNX operator specification, DequantizeLinear."""
    values = Uniform(np.float32(2), 128, signed=False).dequantize(np.array([0, 3, 128, 255], np.uint8))
    np.testing.assert_array_equal(values, np.array([-256, -250, 0, 254], np.float32))


# Choosing scale and zero point.


def test_range_is_widened_to_contain_zero_at_a_price() -> None:
    """[10, 11] alone would fit in steps of 1/255. Zero must keep an exact code, so the range is [0, 11], the step is
    11 times larger, and the 232 codes below 10 are never used."""
    x = np.linspace(10, 11, 1001).astype(np.float32)
    scheme = Uniform.fit(x, symmetric=False, signed=False)
    assert scheme.zero_point == 0
    assert scheme.scale == pytest.approx(11 / 255)
    codes = scheme.quantize(x)
    assert codes.min() == 232
    assert np.unique(codes).size == 24


@pytest.mark.parametrize("x", [[10, 10.25, 10.5, 11], [-11, -10.5, -10.25, -10]])
def test_data_on_one_side_of_zero_does_not_collapse(x: list[float]) -> None:
    """A zero point clamped to a range without zero maps all of these to one code (MIT 6.5940, lab 2)."""
    assert np.unique(Uniform.fit(x, symmetric=False).quantize(x)).size == 4


def test_symmetric_scale_divides_by_the_largest_code() -> None:
    x = np.array([-0.5, 2.0], np.float32)
    for bits in range(2, 17):
        scheme = Uniform.fit(x, bits)
        assert scheme.scale == np.float32(2) / np.float32(2 ** (bits - 1) - 1)
        assert scheme.zero_point == 0
        assert Uniform.fit(x, bits, signed=False).zero_point == 2 ** (bits - 1)


def test_affine_parameters_follow_jacob_2018() -> None:
    scheme = Uniform.from_range(-1.0, 3.0, 8, symmetric=False)
    assert scheme.scale == np.float32(4 / 255)
    assert scheme.zero_point == -128 + 64
    narrow = Uniform.from_range(-1.0, 3.0, 8, symmetric=False, narrow_range=True)
    assert narrow.scale == np.float32(4 / 254)
    assert narrow.zero_point == -127 + 64


@pytest.mark.parametrize("symmetric", [True, False])
def test_all_zeros_are_valid_and_get_scale_one(symmetric: bool) -> None:
    scheme = Uniform.fit(np.zeros((2, 3), np.float32), symmetric=symmetric)
    assert scheme.scale == 1
    np.testing.assert_array_equal(fake_quantize(scheme, np.zeros((2, 3))), 0)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("constant", [5.0, -5.0, 1e-30, -1e30])
def test_a_constant_tensor_survives(constant: float, symmetric: bool) -> None:
    x = np.full(4, constant, np.float32)
    np.testing.assert_allclose(fake_quantize(Uniform.fit(x, symmetric=symmetric), x), x, rtol=2e-7)


def test_a_dead_channel_does_not_disturb_its_neighbours() -> None:
    x = RNG.standard_normal((3, 50)).astype(np.float32)
    x[1] = 0
    scheme = Uniform.fit(x, axis=0)
    assert scheme.scale[1] == 1
    np.testing.assert_array_equal(scheme.quantize(x)[1], 0)
    np.testing.assert_array_equal(scheme.quantize(x)[2], Uniform.fit(x[2]).quantize(x[2]))


@pytest.mark.parametrize("bits", [1, 2, 8, 16])
def test_half_precision_data_is_fitted_in_float32(bits: int) -> None:
    """65535 levels are infinite in float16."""
    x = np.array([-1, 0.5, 3], np.float16)
    half = Uniform.fit(x, bits, symmetric=False)
    single = Uniform.fit(x.astype(np.float32), bits, symmetric=False)
    assert (half.scale, half.zero_point) == (single.scale, single.zero_point)
    np.testing.assert_array_equal(half.quantize(x), single.quantize(x.astype(np.float32)))


def test_smallest_and_largest_numbers_are_quantized_without_a_warning() -> None:
    limits = np.finfo(np.float32)
    for x in (np.array([-limits.max, limits.max]), np.array([limits.smallest_subnormal]), np.array([1e-320, -1e-310])):
        for symmetric in (True, False):
            scheme = Uniform.fit(x, symmetric=symmetric)
            assert scheme.scale >= limits.tiny
            scheme.dequantize(scheme.quantize(x))
    huge = np.array([-limits.max, limits.max], np.float32)
    np.testing.assert_array_equal(Uniform(np.float32(1e-30), 3).quantize(huge), [-128, 127])
    assert Uniform(np.float32(3e38), 0).dequantize(np.int8(127)) == np.inf


def test_the_scale_is_a_float32_wherever_it_is_used() -> None:
    """0.15/float32(0.1) is below 1½ in float64 and equal to it in float32: the dtype of x decides the code."""
    scheme = Uniform(np.float64(0.1), 0)
    assert scheme.scale.dtype == np.float32
    assert scheme.quantize(np.float64(0.15)) == 1
    assert scheme.quantize(np.float32(0.15)) == 2
    assert scheme.dequantize(np.int8(3)) == np.float32(3) * np.float32(0.1)


# Conventions.


def formula(x: NDArray[np.float32], scheme: Uniform, scale: Any, zero_point: Any) -> NDArray[Any]:
    """The definition, on whole arrays, half to even."""
    if scheme.zero_point_added == "fused":
        q = np.rint((x * (np.float32(1) / scale).astype(np.float64) + zero_point).astype(np.float32))
    else:
        real = x * (np.float32(1) / scale) if scheme.reciprocal else x / scale
        zero_point = np.asarray(zero_point, np.float32)
        q = np.rint(real + zero_point) if scheme.zero_point_added == "before" else np.rint(real) + zero_point
    return np.clip(q, scheme.qmin, scheme.qmax).astype(int)


@pytest.mark.parametrize("convention", [c for c in CONVENTIONS if c["rounding"] == "half_even"], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_every_layout_and_convention_follows_the_formula(layout: dict[str, Any], convention: dict[str, Any]) -> None:
    """Also across the pieces in which an array is handled: 6·8·9·700 values are five of them."""
    x = RNG.standard_normal((6, 8, 9, 700)).astype(np.float32) * np.arange(1, 9, dtype=np.float32)[:, None, None]
    scheme = Uniform.fit(x, 6, symmetric=False, **layout, **convention)
    scale, zero_point = scheme.scale, scheme.zero_point
    if "group_size" in layout:
        scale, zero_point = (np.repeat(a, layout["group_size"], layout["axis"]) for a in (scale, zero_point))
    elif layout:
        shape = np.ones(4, int)
        shape[layout["axis"]] = -1
        scale, zero_point = scale.reshape(shape), zero_point.reshape(shape)
    codes = scheme.quantize(x)
    assert codes.dtype == np.int8
    np.testing.assert_array_equal(codes, formula(x, scheme, scale, zero_point))
    np.testing.assert_array_equal(scheme.dequantize(codes), (codes - zero_point).astype(np.float32) * scale)


@pytest.mark.parametrize("convention", CONVENTIONS, ids=str)
def test_conventions_differ_by_one_code_at_most(convention: dict[str, Any]) -> None:
    x = RNG.uniform(-1, 1, 5000).astype(np.float32)
    default = Uniform.fit(x, symmetric=False).quantize(x).astype(int)
    assert np.abs(Uniform.fit(x, symmetric=False, **convention).quantize(x) - default).max() <= 1


@pytest.mark.parametrize(
    ("convention", "codes"),
    [
        ({}, [1, 3, 3, 5]),
        ({"rounding": "half_away"}, [2, 3, 4, 5]),
        ({"rounding": "toward_zero"}, [1, 2, 3, 4]),
        ({"reciprocal": True, "zero_point_added": "before"}, [2, 2, 4, 4]),
        ({"reciprocal": True, "zero_point_added": "fused"}, [2, 2, 4, 4]),
    ],
)
def test_an_odd_zero_point_turns_ties_the_other_way(convention: dict[str, Any], codes: list[int]) -> None:
    """x = ½, 1½, 2½, 3½ at s = 1, z = 1: torch's quantize against its fake_quantize."""
    scheme = Uniform(np.float32(1), 1, signed=False, **convention)
    np.testing.assert_array_equal(scheme.quantize(np.array([0.5, 1.5, 2.5, 3.5], np.float32)), codes)


def test_the_reciprocal_turns_a_tie() -> None:
    """s = 0.1, x = −12.15 (oneflow issue 5038): the quotient is a tie in one convention only."""
    x = np.float32(-12.15)
    assert Uniform(np.float32(0.1), 0).quantize(x) == -121
    assert Uniform(np.float32(0.1), 0, reciprocal=True).quantize(x) == -122


def test_stochastic_rounding_is_seeded_and_right_on_average() -> None:
    x = np.full(100_000, 0.3, np.float32)
    codes = Uniform(np.float32(1), 0, rounding="stochastic", seed=7).quantize(x)
    np.testing.assert_array_equal(codes, Uniform(np.float32(1), 0, rounding="stochastic", seed=7).quantize(x))
    assert (codes != Uniform(np.float32(1), 0, rounding="stochastic", seed=8).quantize(x)).any()
    assert set(codes) == {0, 1}
    # Five standard deviations of the mean of 100 000 draws.
    assert codes.mean() == pytest.approx(0.3, abs=5 * np.sqrt(0.3 * 0.7 / 100_000))


def test_groups_are_small_tensors() -> None:
    x = RNG.standard_normal((4, 12)).astype(np.float32)
    scheme = Uniform.fit(x, 4, axis=1, group_size=3)
    assert scheme.scale.shape == (4, 4)
    for row, group in itertools.product(range(4), range(4)):
        part = np.s_[row, 3 * group : 3 * group + 3]
        np.testing.assert_array_equal(scheme.quantize(x)[part], Uniform.fit(x[part], 4).quantize(x[part]))


# Whatever array comes in.


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.T,
        lambda x: x[::2, ::-3],
        np.asfortranarray,
        lambda x: np.broadcast_to(x[0], x.shape),
    ],
    ids=["transposed", "strided", "fortran", "broadcast"],
)
def test_memory_layout_does_not_matter(view: Any) -> None:
    x = view(RNG.standard_normal((700, 300)).astype(np.float32))
    copy = np.array(x, order="C")
    for layout in ({}, {"axis": 0}):
        scheme = Uniform.fit(copy, **layout)
        np.testing.assert_array_equal(scheme.quantize(x), scheme.quantize(copy))
        assert scheme.quantize(x).shape == x.shape


@pytest.mark.parametrize("convention", CONVENTIONS, ids=str)
def test_the_input_is_never_written(convention: dict[str, Any]) -> None:
    x = RNG.standard_normal(100).astype(np.float32)
    scheme = Uniform.fit(x, **convention)
    x.flags.writeable = False
    codes = scheme.quantize(x)
    codes.flags.writeable = False
    scheme.dequantize(codes)


def test_a_scalar_is_an_array_of_no_axes() -> None:
    scheme = Uniform.fit(2.0)
    assert scheme.quantize(2.0).shape == ()
    assert scheme.dequantize(np.int8(127)) == 2


@pytest.mark.parametrize("where", [0, 99_999, 250_000])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_found_anywhere(value: float, where: int) -> None:
    x = np.full(250_001, 1e30, np.float32)  # whose sum of squares overflows by itself
    scheme = Uniform.fit(x)
    np.testing.assert_array_equal(scheme.quantize(x), 127)
    x[where] = value
    with pytest.raises(ValueError, match=rf"x holds {value} at index \({where},\)"):
        scheme.quantize(x)


def test_one_bad_value_among_small_ones_is_found() -> None:
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match=f"x holds {value}"):
            Uniform(np.float32(1), 0).quantize(np.array([1, value, 2], np.float32))


def test_integers_of_any_size_are_values() -> None:
    scheme = Uniform(np.float32(2), 0)
    np.testing.assert_array_equal(scheme.quantize([-300, 6, 2**40]), [-128, 3, 127])
    np.testing.assert_array_equal(scheme.dequantize(np.array([-128, 5], np.int64)), [-256, 10])


@pytest.mark.parametrize("convention", CONVENTIONS, ids=str)
def test_working_memory_stays_below_a_mebibyte(convention: dict[str, Any]) -> None:
    dtype = np.float32 if convention["zero_point_added"] == "fused" else np.float64
    x = np.tile(RNG.standard_normal(1000).astype(dtype), (500, 1))
    for layout in ({}, {"axis": 0}, {"axis": 1}, {"axis": 1, "group_size": 4}):
        scheme = Uniform.fit(x, symmetric=False, **layout, **convention)
        scheme.quantize(x)
        tracemalloc.start()
        codes = scheme.quantize(x)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= codes.nbytes + 2**20


# Cost.


def test_bytes_count_packed_codes_and_metadata() -> None:
    x = RNG.standard_normal((64, 128)).astype(np.float32)
    assert Uniform.fit(x).nbytes(x.shape) == 64 * 128 + 4
    assert Uniform.fit(x, signed=False).nbytes(x.shape) == 64 * 128 + 4
    assert Uniform.fit(x, symmetric=False).nbytes(x.shape) == 64 * 128 + 4 + 1
    assert Uniform.fit(x, 4, axis=0).nbytes(x.shape) == 64 * 64 + 64 * 4
    assert Uniform.fit(x, 12, axis=0, symmetric=False).nbytes(x.shape) == 64 * 128 * 12 // 8 + 64 * (4 + 2)
    # 4-bit codes, one float32 scale per 32 values: 4 + 32/32 bits.
    assert bits_per_value(Uniform.fit(x, 4, axis=1, group_size=32), x.shape) == 5
    assert Uniform.fit(x, 3).nbytes((3,)) == 2 + 4


# Resolution.


def noise_ratio(x: NDArray[np.float32], scheme: Uniform) -> float:
    error = fake_quantize(scheme, x).astype(np.float64) - x
    return float(10 * np.log10(np.mean(x.astype(np.float64) ** 2) / np.mean(error**2)))


@pytest.mark.parametrize("bits", [6, 8, 10, 12])
def test_each_bit_is_worth_six_decibels_on_a_uniform_source(bits: int) -> None:
    """Bennett 1948: power (2^b·s)²/12 against s²/12 gives 20·log₁₀2 = 6.0206 dB per bit."""
    step = 2.0**-bits
    # The union of all cells, from half a step below the lowest level to half a step above the highest.
    x = ((np.arange(2**20) + 0.5) / 2**20 - 0.5 - step / 2).astype(np.float32)
    assert noise_ratio(x, Uniform(np.float32(step), 0, bits)) == pytest.approx(6.0206 * bits, abs=0.005)


def test_a_full_scale_sine_gains_1_76_decibels() -> None:
    """10·log₁₀(3/2) = 1.7609 dB above 6.0206·b, because its power is half of its peak squared."""
    bits, peak = 16, 2.0**15 - 1
    x = (peak * np.sin(2 * np.pi * np.arange(2**20) * 7 / 2**20)).astype(np.float32)
    assert noise_ratio(x, Uniform(np.float32(1), 0, bits)) == pytest.approx(6.0206 * bits + 1.7609, abs=0.01)


# Invariants that hold in float32.

FLOATS = arrays.arrays(
    np.float32,
    st.integers(1, 40),
    elements=st.just(0.0) | st.floats(2.0**-90, 2.0**100, width=32) | st.floats(-(2.0**100), -(2.0**-90), width=32),
)
SCHEMES = {
    "bits": st.integers(2, 16),
    "signed": st.booleans(),
    "narrow_range": st.booleans(),
    "symmetric": st.booleans(),
}
HOLDS = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])


@HOLDS
@given(FLOATS, st.fixed_dictionaries(SCHEMES))
def test_quantizing_twice_changes_nothing(x: NDArray[np.float32], fields: dict[str, Any]) -> None:
    scheme = Uniform.fit(x, **fields)
    codes = scheme.quantize(x)
    np.testing.assert_array_equal(scheme.quantize(scheme.dequantize(codes)), codes)


@HOLDS
@given(FLOATS, st.fixed_dictionaries(SCHEMES))
def test_order_is_kept(x: NDArray[np.float32], fields: dict[str, Any]) -> None:
    x = np.sort(x)
    assert (np.diff(Uniform.fit(x, **fields).quantize(x).astype(int)) >= 0).all()


@HOLDS
@given(FLOATS, st.fixed_dictionaries(SCHEMES))
def test_zero_is_represented_exactly(x: NDArray[np.float32], fields: dict[str, Any]) -> None:
    scheme = Uniform.fit(x, **fields)
    assert scheme.quantize(np.float32(0)) == scheme.zero_point
    assert scheme.dequantize(scheme.quantize(np.float32(0))) == 0


def half_a_step_and_roundings(x: NDArray[Any], x_hat: NDArray[Any], scheme: Uniform) -> NDArray[Any]:
    """s/2 + (|x| + |x̂|)·2⁻²⁴: the quotient and the product are each rounded once to float32."""
    return scheme.scale.astype(np.float64) / 2 + (np.abs(x) + np.abs(x_hat)) * 2.0**-24


@HOLDS
@given(FLOATS, st.integers(2, 16))
def test_error_is_at_most_half_a_step_and_the_roundings(x: NDArray[np.float32], bits: int) -> None:
    scheme = Uniform.fit(x, bits)
    x, x_hat = x.astype(np.float64), fake_quantize(scheme, x).astype(np.float64)
    assert (np.abs(x_hat - x) <= half_a_step_and_roundings(x, x_hat, scheme)).all()


@HOLDS
@given(FLOATS, st.integers(2, 16))
def test_the_narrow_range_is_odd(x: NDArray[np.float32], bits: int) -> None:
    scheme = Uniform.fit(x, bits, narrow_range=True)
    np.testing.assert_array_equal(scheme.quantize(-x), -scheme.quantize(x))
    np.testing.assert_array_equal(scheme.quantize(-8 * x), -scheme.quantize(8 * x))


# Claims that do not hold, each with a counterexample.

does_not_hold = pytest.mark.xfail(strict=True, raises=AssertionError, reason="a common belief that float32 refutes")
COUNTEREXAMPLE = settings(phases=[Phase.explicit])


@does_not_hold
@COUNTEREXAMPLE
@given(st.floats(width=32), st.floats(width=32))
@example(-12.55, 0.1)
def test_error_is_at_most_half_a_step(x: float, scale: float) -> None:
    scheme = Uniform(np.float32(scale), 0)
    value = np.float32(x)
    assert abs(float(fake_quantize(scheme, value)) - float(value)) <= float(scheme.scale) / 2


@does_not_hold
@COUNTEREXAMPLE
@given(st.floats(width=32))
@example(128.0)
def test_the_full_range_is_odd(x: float) -> None:
    scheme = Uniform(np.float32(1), 0)
    assert int(scheme.quantize(np.float32(-x))) == -int(scheme.quantize(np.float32(x)))


@does_not_hold
@COUNTEREXAMPLE
@given(st.floats(width=32))
@example(3.99)
def test_the_largest_value_comes_back_exactly(largest: float) -> None:
    """127·(absmax/127) == absmax."""
    value = np.float32(largest)
    assert fake_quantize(Uniform.fit(value), value) == value


@does_not_hold
@COUNTEREXAMPLE
@given(st.floats(width=32), st.floats(width=32))
@example(-12.15, 0.1)
def test_multiplying_by_the_reciprocal_is_dividing(x: float, scale: float) -> None:
    codes = [Uniform(np.float32(scale), 0, reciprocal=way).quantize(np.float32(x)) for way in (True, False)]
    assert codes[0] == codes[1]
