"""Rounding rules on the values where they differ, and on those where a careless one fails."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from fewerbits.tensor.rounding import fused_multiply_add, round_in_place

TIES = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.4, -0.6, 3.0])


def rounded(x: Any, rule: str, **options: Any) -> np.ndarray:
    result = np.array(x)
    round_in_place(result, rule, **options)
    return result


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("half_even", [-2, -2, 0, 0, 2, 2, 0, -1, 3]),
        ("half_away", [-3, -2, -1, 1, 2, 3, 0, -1, 3]),
        ("toward_zero", [-2, -1, 0, 0, 1, 2, 0, 0, 3]),
        ("floor", [-3, -2, -1, 0, 1, 2, 0, -1, 3]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_rule_has_its_own_answer_to_a_tie(rule: str, expected: list[int], dtype: type[Any]) -> None:
    np.testing.assert_array_equal(rounded(TIES.astype(dtype), rule), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_number_just_below_one_half_rounds_to_zero(dtype: type[Any]) -> None:
    """Adding ½ and truncating gives 1: the sum is itself rounded up."""
    below = np.nextafter(dtype(0.5), dtype(0))
    assert np.trunc(below + dtype(0.5)) == 1
    assert rounded(below, "half_away") == 0
    assert rounded(-below, "half_away") == 0


def test_half_away_leaves_large_integers_alone() -> None:
    """From 2²³ on every float32 is an integer; adding ½ would move the odd ones."""
    x = np.array([2**23 - 1, 2**23 + 1, 2**24 - 1, -(2**23) - 3], np.float32)
    np.testing.assert_array_equal(rounded(x, "half_away"), x)


def test_half_away_agrees_with_exact_arithmetic_next_to_every_tie() -> None:
    ties = np.arange(-500, 500, dtype=np.float32) + np.float32(0.5)
    x = np.concatenate([np.nextafter(ties, np.float32(side)) for side in (-np.inf, np.inf)] + [ties])
    exact = [int(abs(Fraction(float(v))) + Fraction(1, 2)) * (1 if v > 0 else -1) for v in x]
    np.testing.assert_array_equal(rounded(x, "half_away"), exact)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fraction", [0.0, 0.125, 0.5, 0.9])
@pytest.mark.parametrize("whole", [-3.0, 0.0, 7.0])
def test_stochastic_rounding_goes_up_as_often_as_the_fraction_says(
    whole: float, fraction: float, dtype: type[Any]
) -> None:
    x = np.full(40_000, whole + fraction, dtype)
    result = rounded(x, "stochastic", rng=np.random.default_rng(0))
    assert set(result) <= {whole, whole + 1}
    deviation = np.sqrt(fraction * (1 - fraction) / x.size)
    assert result.mean() == pytest.approx(whole + fraction, abs=5 * deviation + 1e-6)


def test_stochastic_rounding_does_not_move_integers() -> None:
    x = np.arange(-50, 50, dtype=np.float32)
    np.testing.assert_array_equal(rounded(x, "stochastic", rng=np.random.default_rng(0)), x)


def test_rounding_happens_in_place_and_keeps_the_type() -> None:
    for rule in ("half_even", "half_away", "toward_zero", "floor"):
        x = np.array([[0.5, -1.7]], np.float32)
        round_in_place(x, rule)
        assert x.dtype == np.float32
        np.testing.assert_array_equal(x, np.trunc(x))


def test_a_fused_multiply_add_rounds_the_exact_sum_once() -> None:
    """Against rational arithmetic, on products that come close to the middle between two float32 numbers."""
    rng = np.random.default_rng(0)
    y = rng.uniform(0.5, 2, 3000).astype(np.float32)
    z = rng.integers(-200, 200, 3000)
    middle = 0.5 + np.spacing((z + 0.5).astype(np.float32)).astype(np.float64) / 2
    x = (middle / y).astype(np.float32)
    for product_x, product_y, zero, ours in zip(x, y, z, fused_multiply_add(x, y, z)):
        exact = Fraction(float(product_x)) * Fraction(float(product_y)) + int(zero)
        error = abs(Fraction(float(ours)) - exact)
        for neighbour in (np.nextafter(ours, np.float32(-np.inf)), np.nextafter(ours, np.float32(np.inf))):
            assert error <= abs(Fraction(float(neighbour)) - exact)


@pytest.mark.parametrize(
    ("value", "scale", "integer", "expected"),
    [(0.34710458, 0.69419855, 128, 128.50001525878906), (0.92435795, 1.848744, 201, 201.49998474121094)],
    ids=["just above", "just below"],
)
def test_a_sum_that_float64_rounds_to_a_tie_is_still_rounded_once(
    value: float, scale: float, integer: int, expected: float
) -> None:
    """Found by search: x·y + z lies beside a tie of float32, and exactly on it once float64 has rounded it."""
    x, y, z = np.float32(value), np.float32(1) / np.float32(scale), integer
    exact = Fraction(float(x)) * Fraction(float(y)) + z
    twice = np.float32(np.float64(x) * np.float64(y) + z)
    once = fused_multiply_add(np.array([x]), np.array([y]), np.array([z]))[0]
    assert once == expected
    assert abs(Fraction(float(once)) - exact) < abs(Fraction(float(twice)) - exact)
