"""Four rules of rounding one product: what each does at a tie, and where they part."""

from __future__ import annotations

import numpy as np
import pytest
from fewerbits.network.requantize import (
    RULES,
    fixed_point_multiplier,
    output_multiplier,
    requantize,
    rule_differences,
    scale_by_fixed_point,
)
from hypothesis import given, settings
from hypothesis import strategies as st

INT32S = st.integers(-(2**31), 2**31 - 1)
MULTIPLIERS = st.floats(2.0**-31, 0.9999999, allow_nan=False)


def acc(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def million() -> tuple[np.ndarray, np.ndarray]:
    """A million accumulators in 16 channels; the first four multipliers are k/2¹², which makes exact ties."""
    rng = np.random.default_rng(6)
    multipliers = np.concatenate([np.array([1, 3, 5, 7]) / 2**12, rng.uniform(1e-4, 1e-3, 12)])
    return rng.integers(-300_000, 300_001, (62_500, 16)).astype(np.int32), multipliers


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("float32", [-2, -2, 0, 0, 2, 2]),
        ("gemmlowp", [-3, -2, -1, 1, 2, 3]),
        ("single_half_away", [-3, -2, -1, 1, 2, 3]),
        ("half_up", [-2, -1, 0, 1, 2, 3]),
    ],
)
def test_each_rule_has_its_own_ties(rule: str, expected: list[int]) -> None:
    assert requantize(acc(-10, -6, -2, 2, 6, 10), 0.25, 0, -128, 127, rule).tolist() == expected


def test_the_first_rounding_of_gemmlowp_sends_ties_up_and_the_second_away_from_zero() -> None:
    assert requantize(acc(-5, -3, -1, 1, 3, 5), 0.5, 0, -128, 127, "gemmlowp").tolist() == [-2, -1, 0, 1, 2, 3]
    assert requantize(acc(-10, -6, -2, 2, 6, 10), 0.25, 0, -128, 127, "gemmlowp").tolist() == [-3, -2, -1, 1, 2, 3]


def test_two_roundings_move_a_value_that_is_almost_a_tie() -> None:
    """acc·m = 2.4999998: the high multiply first rounds it up to 2.5, the shift then to 3."""
    M0, shift = fixed_point_multiplier(2.0**-20 * (1 - 2.0**-24))
    accumulator = acc(5 * 2**19)
    assert 2.4999998 < 5 * 2**19 * int(M0) * 2.0 ** (int(shift) - 31) < 2.5
    assert scale_by_fixed_point(accumulator, M0, shift, "gemmlowp")[0] == 3
    assert scale_by_fixed_point(accumulator, M0, shift, "single_half_away")[0] == 2


def test_float32_cannot_hold_every_accumulator() -> None:
    """2²⁴ + 1 becomes 2²⁴ in float32, and the tie that it was just above goes to even."""
    assert requantize(acc(2**24 + 1), 2.0**-25, 0, -128, 127, "float32")[0] == 0
    assert requantize(acc(2**24 + 1), 2.0**-25, 0, -128, 127, "single_half_away")[0] == 1


def test_the_float32_rule_rounds_the_multiplier_to_float32_first() -> None:
    multiplier = 1 / 100_003
    near_ties = np.rint((np.arange(-100, 100) + 0.5) / multiplier).astype(np.int32)
    expected = np.rint(near_ties.astype(np.float32) * np.float32(multiplier))
    assert np.array_equal(requantize(near_ties, multiplier, 0, -128, 127, "float32"), expected)
    assert (np.rint(near_ties * multiplier) != expected).any()


@given(INT32S, MULTIPLIERS, st.sampled_from(RULES))
@settings(deadline=None, max_examples=300)
def test_no_rule_is_further_from_the_real_product_than_its_precision_allows(a: int, m: float, rule: str) -> None:
    got = int(requantize(acc(a), m, 0, -(2**15), 2**15 - 1, rule)[0])
    exact = min(max(a * m, -(2.0**15)), 2.0**15 - 1)
    slack = {"float32": abs(exact) * 2.0**-22, "gemmlowp": 0.5}.get(rule, abs(exact) * 2.0**-30)
    assert abs(got - exact) <= 0.5 + slack


@given(st.lists(INT32S, min_size=2, max_size=20), MULTIPLIERS, st.sampled_from(RULES))
@settings(deadline=None, max_examples=200)
def test_requantization_keeps_order(values: list[int], m: float, rule: str) -> None:
    codes = requantize(np.sort(acc(*values)), m, 3, -128, 127, rule)
    assert (np.diff(codes.astype(int)) >= 0).all()


@given(INT32S.filter(lambda a: a > -(2**31)), MULTIPLIERS, st.sampled_from(["float32", "single_half_away"]))
@settings(deadline=None, max_examples=200)
def test_half_even_and_half_away_treat_both_signs_alike(a: int, m: float, rule: str) -> None:
    plus, minus = (requantize(acc(value), m, 0, -(2**15) + 1, 2**15 - 1, rule)[0] for value in (a, -a))
    assert int(plus) == -int(minus)


def test_the_four_rules_differ_on_a_million_accumulators() -> None:
    accumulators, multipliers = million()
    table = rule_differences(accumulators, multipliers, 3, -128, 127)
    assert table.shape == (4, 4)
    assert (np.diag(table) == 0).all()
    assert (table == table.T).all()
    assert (table[~np.eye(4, dtype=bool)] > 0).all()
    # k·acc/2¹² = n + ½ for one accumulator in 4096 of four channels, 61 in all, of which about half are in the range
    # of the codes, and half of those are rounded differently.
    even, away, up = (RULES.index(rule) for rule in ("float32", "single_half_away", "half_up"))
    assert 5 < table[even, away] < 40
    assert 5 < table[away, up] < 40
    # The first of two roundings keeps about 11 bits of fraction here: one value in 2¹² is pushed over.
    assert 100 < table[RULES.index("gemmlowp"), away] < 500


def test_rules_agree_where_nothing_is_near_a_tie() -> None:
    accumulators = np.arange(-100, 100, dtype=np.int32) * 1000 + 100
    assert not rule_differences(accumulators, 1 / 1000, 0, -128, 127).any()


@pytest.mark.parametrize("rule", RULES)
def test_codes_saturate_on_both_sides_for_every_int32(rule: str) -> None:
    ends = acc(-(2**31), 2**31 - 1)
    assert requantize(ends, 0.9, 5, -128, 127, rule).tolist() == [-128, 127]
    assert requantize(ends, 0.9, 200, 0, 255, rule).tolist() == [0, 255]
    assert requantize(ends, 1e-20, 5, 0, 255, rule).tolist() == [5, 5]


@pytest.mark.parametrize("rule", RULES)
def test_each_channel_has_its_own_multiplier(rule: str) -> None:
    rng = np.random.default_rng(1)
    accumulators, multipliers = rng.integers(-9000, 9000, (3, 5, 4, 2)).astype(np.int32), rng.uniform(0.001, 0.02, 5)
    together = requantize(accumulators, multipliers, 7, -128, 127, rule)
    last = requantize(np.moveaxis(accumulators, 1, 3), multipliers, 7, -128, 127, rule, axis=-1)
    for channel, multiplier in enumerate(multipliers):
        alone = requantize(accumulators[:, channel], multiplier, 7, -128, 127, rule)
        assert np.array_equal(together[:, channel], alone)
    assert np.array_equal(np.moveaxis(last, 3, 1), together)


def test_large_arrays_are_handled_in_blocks_like_small_ones() -> None:
    accumulators, multipliers = million()
    whole = requantize(accumulators, multipliers, 3, 0, 255)
    for part in (slice(0, 10), slice(31_111, 31_222), slice(62_490, 62_500)):
        assert np.array_equal(whole[part], requantize(accumulators[part], multipliers, 3, 0, 255))


def test_relu_is_a_higher_lower_end() -> None:
    accumulators = acc(-300, -1, 0, 40, 300)
    assert requantize(accumulators, 0.5, 10, 10, 127, dtype=np.int8).tolist() == [10, 10, 10, 30, 127]


def test_the_dtype_is_the_smallest_that_holds_the_range() -> None:
    ranges = {
        (-128, 127): "int8",
        (0, 255): "uint8",
        (-8, 7): "int8",
        (0, 15): "uint8",
        (-129, 0): "int16",
        (0, 256): "uint16",
    }
    for (qmin, qmax), dtype in ranges.items():
        assert requantize(acc(1), 0.5, 0, qmin, qmax).dtype == np.dtype(dtype)
    assert requantize(acc(1), 0.5, 0, 0, 127, dtype=np.int8).dtype == np.int8


def test_fixed_point_multipliers_hold_31_bits() -> None:
    multipliers = np.exp2(np.random.default_rng(0).uniform(-31, 29, 1000))
    M0, shift = fixed_point_multiplier(multipliers)
    assert ((M0 >= 2**30) & (M0.astype(np.int64) < 2**31)).all()
    assert (np.abs(M0 * 2.0 ** (shift - 31) / multipliers - 1) <= 2.0**-31).all()


def test_the_fraction_of_a_multiplier_rounds_half_away() -> None:
    """(2³¹ + 1)/2³² lies between two fractions of 31 bits; half to even would take the lower one."""
    assert int(fixed_point_multiplier((2**31 + 1) / 2**32)[0]) == 2**30 + 1


def test_a_multiplier_just_below_a_power_of_two_does_not_overflow_its_fraction() -> None:
    M0, shift = fixed_point_multiplier([1 - 2.0**-40, 0.5, 1.0])
    assert M0.tolist() == [2**30, 2**30, 2**30]
    assert shift.tolist() == [1, 0, 1]


def test_a_multiplier_below_two_to_the_minus_32_takes_every_accumulator_to_zero() -> None:
    M0, shift = fixed_point_multiplier([2.0**-32, np.nextafter(2.0**-33, 1), 1e-38])
    assert (M0[1:] == 0).all()
    for rule in RULES[1:]:
        assert scale_by_fixed_point(acc(-(2**31)), M0[:1], shift[:1], rule)[0] == (0 if rule == "half_up" else -1)
        assert not scale_by_fixed_point(np.full((2, 1), -(2**31), np.int32), M0[1:], shift[1:], rule).any()


def test_the_output_multiplier_is_rounded_after_each_operation() -> None:
    s_x, s_w, s_y = np.float32(0.1), np.float32([0.2, 0.3]), np.float32(0.7)
    once = (np.float32(s_x * s_w) / s_y).astype(np.float32)
    assert np.array_equal(output_multiplier(s_x, s_w, s_y), once)
    exact = np.array([float(s_x) * float(w) / float(s_y) for w in s_w])
    assert np.array_equal(output_multiplier(s_x, s_w, s_y, "float64"), exact)
    assert output_multiplier(s_x, s_w, s_y).dtype == np.float32
    assert output_multiplier(0.1, 0.2, 0.7).shape == ()
