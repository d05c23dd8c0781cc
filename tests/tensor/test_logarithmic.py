"""Logarithmic quantization: levels, thresholds decided in exact arithmetic, underflow, and products by shifting."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from fewerbits.tensor.logarithmic import Logarithmic, shift_dot, top_exponent_range
from fewerbits.tensor.scheme import bits_per_value, fake_quantize
from hypothesis import given, settings
from hypothesis import strategies as st

SQRT2_BELOW = np.float32(1.41421354)  # the largest float32 below √2
SQRT2_ABOVE = np.nextafter(SQRT2_BELOW, np.float32(2))


def naive_codes(x: np.ndarray, scheme: Logarithmic, dtype: type) -> np.ndarray:
    """The formula as one writes it: sign(x)·clip(round(k·log2|x|) − (top − P), 0, P), computed in `dtype`."""
    with np.errstate(divide="ignore"):
        exponents = np.rint(dtype(scheme.steps_per_octave) * np.log2(np.abs(x).astype(dtype)))
    magnitudes = np.clip(exponents - (scheme.top_exponent - scheme.largest_code), 0, scheme.largest_code)
    return (np.sign(x) * magnitudes).astype(np.int8)


def exact_exponent(x: float, steps: int) -> int:
    """round(k·log2(x)) by comparing x^(2k) with powers of two, in rational arithmetic."""
    power = Fraction(x) ** (2 * steps)
    guess = round(steps * float(np.log2(np.float64(x))))
    while power >= Fraction(2) ** (2 * guess + 1):
        guess += 1
    while power < Fraction(2) ** (2 * guess - 1):
        guess -= 1
    return guess


def hard_values() -> np.ndarray:
    """Powers of two, √2 and 3/2 times them, neighbours of all, denormals, zeros and the extremes of float32."""
    powers = np.ldexp(np.float32(1), np.arange(-149, 128))
    factors = np.array([1, SQRT2_BELOW, SQRT2_ABOVE, 1.5], np.float32)
    finite = np.minimum(powers[:, None].astype(np.float64) * factors, float(np.finfo(np.float32).max))
    centres = finite.astype(np.float32).ravel()
    extremes = np.array([0.0, -0.0, np.finfo(np.float32).max, np.finfo(np.float32).tiny], np.float32)
    positive = np.concatenate((centres, np.nextafter(centres, np.float32(0)), np.nextafter(centres, np.float32(1e38))))
    return np.concatenate((positive, -positive, extremes))


def test_codes_of_a_worked_example() -> None:
    # Base 2, four bits: the levels are 1, 1/2, ..., 1/64; 0.7 lies below √½ and goes to 1/2, 0.71 above and goes to 1.
    scheme = Logarithmic(top_exponent=0, bits=4)
    x = [1.0, 0.5, -0.25, 0.7, 0.71, 0.0, 2**-6, -3.0]
    assert scheme.quantize(x).tolist() == [7, 6, -5, 6, 7, 0, 1, -7]
    assert fake_quantize(scheme, x).tolist() == [1, 0.5, -0.25, 0.5, 1, 0, 2**-6, -1]


def test_codes_of_base_root_two() -> None:
    scheme = Logarithmic(top_exponent=0, bits=3, steps_per_octave=2)
    np.testing.assert_array_equal(scheme.dequantize([3, 2, 1, 0]), np.float32([1, np.sqrt(0.5), 0.5, 0]))
    # Between ½ and √½ the logarithm's midpoint is 2^(−¾) = .5946, the mean .6036.
    assert scheme.quantize([0.59, 0.60]).tolist() == [1, 2]
    assert Logarithmic(0, 3, 2, rounding="linear").quantize([0.60, 0.61]).tolist() == [1, 2]


def test_midpoint_of_base_two_is_root_two_in_the_logarithm_and_three_halves_in_value() -> None:
    x = np.array([SQRT2_BELOW, SQRT2_ABOVE, np.nextafter(np.float32(1.5), np.float32(0)), 1.5], np.float32)
    assert fake_quantize(Logarithmic(3, rounding="log"), x).tolist() == [1, 2, 2, 2]
    assert fake_quantize(Logarithmic(3, rounding="linear"), x).tolist() == [1, 1, 1, 2]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 16])
def test_rounding_in_the_logarithm_is_decided_exactly(steps: int, dtype: type) -> None:
    rng = np.random.default_rng(steps)
    thresholds = np.exp2((rng.integers(-20 * steps, 20 * steps, 60) + 0.5) / steps).astype(dtype)
    x = np.concatenate((thresholds, np.nextafter(thresholds, dtype(0)), np.nextafter(thresholds, dtype(1e9))))
    bits = 8 + steps.bit_length()  # at least 128 octaves
    scheme = Logarithmic(max(30 * steps, top_exponent_range(bits, steps)[0]), bits, steps)
    expected = [exact_exponent(float(value), steps) - scheme.top_exponent + scheme.largest_code for value in x]
    assert scheme.quantize(x).tolist() == expected


@pytest.mark.parametrize("top", [127, 105])
def test_fast_path_equals_the_naive_formula_in_float64(top: int) -> None:
    # Nine bits cover all of float32, denormals included (top 105 reaches down to 2^-149).
    scheme = Logarithmic(top, bits=9)
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 100_000, np.uint32).view(np.float32)
    x = np.concatenate((hard_values(), bits[np.isfinite(bits)]))
    with np.errstate(divide="ignore"):
        exponents = np.rint(np.log2(np.abs(x.astype(np.float64))))
    wanted = np.sign(x) * np.clip(exponents - (top - 255), 0, 255)
    np.testing.assert_array_equal(scheme.quantize(x), wanted)


def test_naive_formula_in_float32_misses_the_threshold() -> None:
    # Near 100.5 the logarithm's float32 neighbours are 7.6e-6 apart: about 20 values above √2·2^100 look like a tie.
    x = np.nextafter(np.ldexp(np.float32(SQRT2_ABOVE), 100), np.float32(np.inf))
    scheme = Logarithmic(top_exponent=101, bits=4)
    assert scheme.quantize(x) == 7
    assert naive_codes(x[None], scheme, np.float32) == 6
    assert naive_codes(x[None], scheme, np.float64) == 7


def test_float16_float64_and_integers_are_accepted() -> None:
    values = np.array([0.75, -3.0, 6e-8])
    scheme = Logarithmic(2, bits=6)
    expected = scheme.quantize(values)
    np.testing.assert_array_equal(scheme.quantize(values.astype(np.float32)), expected)
    np.testing.assert_array_equal(scheme.quantize(values.astype(np.float16)), expected)
    assert scheme.dequantize(scheme.quantize(np.arange(-4, 5))).tolist() == [-4, -4, -2, -1, 0, 1, 2, 4, 4]


def test_zero_has_its_own_code_under_both_rules() -> None:
    for underflow in ("zero", "smallest"):
        codes = Logarithmic(0, underflow=underflow).quantize([0.0, -0.0])
        assert codes.tolist() == [0, 0]
        assert np.signbit(Logarithmic(0).dequantize(codes)).tolist() == [False, False]


def test_underflow_goes_to_zero_or_to_the_smallest_level() -> None:
    x = [2**-6, 0.71 * 2**-6, 0.7 * 2**-6, 1e-30, -1e-30]  # the smallest level is 2^-6
    assert Logarithmic(0, underflow="zero").quantize(x).tolist() == [1, 1, 0, 0, 0]
    assert Logarithmic(0, underflow="smallest").quantize(x).tolist() == [1, 1, 1, 1, -1]


def test_values_above_the_largest_level_saturate() -> None:
    assert Logarithmic(0).quantize([2.0, 1e38, -1e38]).tolist() == [7, 7, -7]


def test_unsigned_codes_reach_twice_as_far_and_saturate_negative_values_at_zero() -> None:
    for underflow in ("zero", "smallest"):
        scheme = Logarithmic(0, bits=4, signed=False, underflow=underflow)
        codes = scheme.quantize([1.0, 2**-14, -1.0, -1e-30, 0.0])
        assert codes.dtype == np.uint8
        assert codes.tolist() == [15, 1, 0, 0, 0]


def test_levels_are_correctly_rounded_powers_of_the_base() -> None:
    for steps in (1, 2, 3, 5, 8):
        scheme = Logarithmic(127 * steps, bits=9, steps_per_octave=steps)
        levels = scheme.dequantize(np.arange(1, 256))
        for exponent, level in zip(range(127 * steps - 254, 127 * steps + 1), levels):
            power = Fraction(2) ** exponent
            gap = Fraction(float(np.spacing(level)))
            assert (Fraction(float(level)) - gap / 2) ** steps <= power <= (Fraction(float(level)) + gap / 2) ** steps


@pytest.mark.parametrize("rounding", ["log", "linear"])
@pytest.mark.parametrize("steps", [1, 2, 3, 8])
@pytest.mark.parametrize("bits", [2, 4, 8, 9])
def test_every_code_survives_the_way_there_and_back(bits: int, steps: int, rounding: str) -> None:
    highest = top_exponent_range(bits, steps)[1]
    scheme = Logarithmic(highest, bits, steps, rounding=rounding)
    codes = np.arange(-scheme.largest_code, scheme.largest_code + 1)
    # Denormal levels of a base below 2 can coincide: compare where the levels are normal numbers.
    normal = (np.abs(scheme.dequantize(codes)) >= np.finfo(np.float32).tiny) | (codes == 0)
    np.testing.assert_array_equal(scheme.quantize(scheme.dequantize(codes))[normal], codes[normal])
    assert (np.diff(scheme.dequantize(codes)) >= 0).all()


@settings(deadline=None)
@given(st.floats(2.0**-60, 1.0, width=32), st.sampled_from([1, 2, 4]))
def test_relative_error_is_bounded_by_half_a_step(x: float, steps: int) -> None:
    logarithmic = Logarithmic(0, bits=8, steps_per_octave=steps)
    if x < float(logarithmic.dequantize(1)):
        return
    # In the logarithm the error is a factor of at most 2^(1/2k): √2 for base 2, 41 %.
    ratio = float(fake_quantize(logarithmic, x)) / x
    assert 2.0 ** (-0.5 / steps) * (1 - 2**-23) <= ratio <= 2.0 ** (0.5 / steps) * (1 + 2**-23)
    # In value it is at most (b − 1)/(b + 1) of x for the base b: a third for base 2.
    base = 2.0 ** (1 / steps)
    error = abs(float(fake_quantize(Logarithmic(0, 8, steps, rounding="linear"), x)) - x)
    assert error <= x * ((base - 1) / (base + 1) + 2**-23)


@settings(deadline=None)
@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=20),
    st.sampled_from([1, 2, 5]),
)
def test_codes_are_odd_and_monotone(values: list[float], steps: int) -> None:
    x = np.sort(np.array(values, np.float32))
    scheme = Logarithmic.fit(x, 6, steps_per_octave=steps)
    codes = scheme.quantize(x)
    np.testing.assert_array_equal(scheme.quantize(-x), -codes)
    assert (np.diff(codes) >= 0).all()


def test_fit_puts_the_largest_level_where_the_largest_magnitude_rounds_to() -> None:
    assert Logarithmic.fit([0.1, -1.41]).top_exponent == 0
    assert Logarithmic.fit([0.1, -1.42]).top_exponent == 1
    assert Logarithmic.fit([0.1, -1.42], rounding="linear").top_exponent == 0
    assert Logarithmic.fit([0.1, -1.42], steps_per_octave=2).top_exponent == 1
    assert Logarithmic.fit([0.1, -1.42], signed=False).top_exponent == -3
    assert Logarithmic.fit([-1, -2], signed=False).top_exponent == 0


def test_fit_stays_inside_float32() -> None:
    assert Logarithmic.fit([3.4e38]).top_exponent == 127
    assert np.isfinite(fake_quantize(Logarithmic.fit([3.4e38]), [3.4e38])).all()
    assert Logarithmic.fit([1e-45], bits=8).top_exponent == -149 + 126
    assert fake_quantize(Logarithmic.fit([1e-45], bits=8), np.float32(1e-45)) == np.float32(1e-45)


def test_constant_and_zero_tensors_are_valid() -> None:
    assert fake_quantize(Logarithmic.fit(np.zeros(3)), np.zeros(3)).tolist() == [0, 0, 0]
    assert fake_quantize(Logarithmic.fit(np.full(3, 4.0)), np.full(3, 4.0)).tolist() == [4, 4, 4]


def test_shape_and_order_are_kept() -> None:
    x = np.asfortranarray(np.exp2(-np.arange(6.0)).reshape(2, 3))
    assert Logarithmic(0).quantize(x).tolist() == [[7, 6, 5], [4, 3, 2]]
    assert Logarithmic(0).quantize(x[:, ::2]).tolist() == [[7, 5], [4, 2]]
    assert Logarithmic(0).quantize(0.5).shape == ()


def test_bytes_count_packed_codes_and_the_exponent() -> None:
    assert Logarithmic(0, bits=4).nbytes((3, 5)) == 8 + 2
    assert bits_per_value(Logarithmic(0, bits=4), (1024, 1024)) == pytest.approx(4, abs=1e-4)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(-50, 50))
def test_shifting_and_adding_is_the_dot_product_exactly(seed: int, length: int, top: int) -> None:
    rng = np.random.default_rng(seed)
    scheme = Logarithmic(top, bits=4)
    codes = rng.integers(-7, 8, (3, length))
    activations = rng.integers(-128, 128, length)
    result = shift_dot(scheme, codes, activations)
    for row, value in zip(codes, result.value):
        products = [Fraction(float(w)) * int(a) for w, a in zip(scheme.dequantize(row), activations)]
        assert sum(products, Fraction(0)) == Fraction(float(value))


def test_shift_dot_counts_what_the_hardware_does() -> None:
    result = shift_dot(Logarithmic(0, bits=4), [7, 0, -5, 6], [3, 100, 2, -1])
    # 3·1 − 2/4 − 1/2 = 2, in units of the smallest weight used, 1/4.
    assert (int(result.total), result.exponent, float(result.value)) == (8, -2, 2.0)
    assert (result.shifts, result.additions, result.multiplications_replaced) == (3, 3, 4)


def test_shift_dot_of_zero_weights_is_zero() -> None:
    result = shift_dot(Logarithmic(0), [0, 0], [5, 6])
    assert (int(result.total), result.shifts) == (0, 0)


def test_shift_dot_uses_all_63_bits() -> None:
    # Weights 61 octaves apart: 2^61 + 1, exact in int64 though not in float64.
    assert int(shift_dot(Logarithmic(0, bits=8), [1, 62], [1, 1]).total) == 2**61 + 1
