"""Optimum quantizers of densities against the published tables, their conditions and the limits of theory."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fewerbits.tensor.lloyd_max import (
    GAUSS,
    LAPLACE,
    UNIFORM,
    Density,
    distortion,
    lloyd_max,
    panter_dite,
    uniform_rate_and_distortion,
)

DENSITIES = {"gauss": GAUSS, "laplace": LAPLACE, "uniform": UNIFORM}
every_density = pytest.mark.parametrize("density", DENSITIES.values(), ids=DENSITIES.keys())

# Max, "Quantizing for minimum distortion" (1960), table I, recomputed: positive levels and mean squared error.
MAX_1960 = {
    2: ([0.7979], 0.36338),
    4: ([0.4528, 1.5104], 0.11748),
    8: ([0.2451, 0.7560, 1.3439, 2.1519], 0.034548),
    16: ([0.1284, 0.3880, 0.6568, 0.9423, 1.2562, 1.6180, 2.0690, 2.7326], 0.0095010),
}


def integral(function: object, low: float, high: float) -> float:
    """Simpson's rule on 4096 intervals: an independent way to a cell's moments."""
    x = np.linspace(low, high, 4097)
    weights = np.full(4097, 2.0)
    weights[1::2], weights[[0, -1]] = 4, 1
    return float((weights * function(x)).sum() * (high - low) / 4096 / 3)  # type: ignore[operator]


@pytest.mark.parametrize("count", MAX_1960)
def test_gaussian_levels_and_errors_are_those_of_max(count: int) -> None:
    levels, mse = MAX_1960[count]
    optimum = lloyd_max(GAUSS, count)
    np.testing.assert_allclose(optimum.levels[count // 2 :], levels, atol=5.1e-5)
    np.testing.assert_allclose(optimum.levels, -optimum.levels[::-1], atol=1e-12)
    assert optimum.mse == pytest.approx(mse, rel=2e-5)


def test_outer_threshold_of_four_gaussian_levels_is_that_of_max() -> None:
    assert lloyd_max(GAUSS, 4).thresholds[2] == pytest.approx(0.9816, abs=5e-5)


def test_two_levels_have_closed_forms() -> None:
    # E|x| of each density, and 1 − (E|x|)².
    for density, mean in ((GAUSS, math.sqrt(2 / math.pi)), (LAPLACE, math.sqrt(0.5)), (UNIFORM, math.sqrt(0.75))):
        optimum = lloyd_max(density, 2)
        np.testing.assert_allclose(optimum.levels, [-mean, mean], rtol=1e-12)
        assert optimum.mse == pytest.approx(1 - mean**2, rel=1e-12)


@every_density
@pytest.mark.parametrize("count", [1, 2, 3, 5, 16, 64, 256])
def test_both_optimality_conditions_hold(density: Density, count: int) -> None:
    optimum = lloyd_max(density, count)
    np.testing.assert_array_equal(optimum.thresholds, (optimum.levels[1:] + optimum.levels[:-1]) / 2)
    # Far beyond the outermost threshold nothing is left: 12 is past 1e-7 of the Laplace tail even for 256 levels.
    edges = np.clip([density.low, *optimum.thresholds, density.high], -30, 30)
    for index in {0, count // 3, count // 2, count - 1}:
        low, high = edges[index], edges[index + 1]
        # The pdf of Laplace has a corner at zero, where Simpson's rule must start anew.
        pieces = [(low, 0.0), (0.0, high)] if low < 0 < high else [(low, high)]
        mass = sum(integral(density.pdf, *piece) for piece in pieces)
        first = sum(integral(lambda x: x * density.pdf(x), *piece) for piece in pieces)
        assert optimum.levels[index] == pytest.approx(first / mass, rel=2e-6, abs=1e-9)
        assert optimum.probabilities[index] == pytest.approx(mass, rel=2e-6)


def test_uniform_density_gets_equal_steps() -> None:
    for count in (2, 7, 256):
        optimum = lloyd_max(UNIFORM, count)
        np.testing.assert_allclose(np.diff(optimum.levels), math.sqrt(12) / count, rtol=1e-9)
        assert optimum.mse == pytest.approx(1 / count**2, rel=1e-9)
        # 6.0206 dB per bit: the error falls to a quarter with each doubling.
        assert 10 * math.log10(1 / optimum.mse) == pytest.approx(6.0206 * math.log2(count), abs=1e-4)


@every_density
def test_no_shift_of_a_level_lowers_the_error(density: Density) -> None:
    optimum = lloyd_max(density, 8)
    for index in range(8):
        for shift in (-1e-3, 1e-3):
            moved = optimum.levels.copy()
            moved[index] += shift
            assert distortion(density, moved) > optimum.mse


def test_many_levels_approach_the_panter_dite_limit() -> None:
    assert panter_dite(GAUSS) == pytest.approx(math.sqrt(3) * math.pi / 2, rel=1e-9)  # 2.7207
    assert panter_dite(LAPLACE) == pytest.approx(9 / 2, rel=1e-9)
    assert panter_dite(UNIFORM) == pytest.approx(1, rel=1e-9)
    for density in (GAUSS, LAPLACE):
        ratios = [lloyd_max(density, n).mse * n**2 / panter_dite(density) for n in (16, 64, 256)]
        assert ratios == sorted(ratios)
        assert ratios[-1] == pytest.approx(1, abs=0.01)


def test_fixed_rate_gaussian_quantizer_stays_4_35_decibels_above_the_bound() -> None:
    # The bound is D = 2^(−2R) = 1/N²: the gap is 10·log10(√3π/2) = 4.347 dB, or .722 bit.
    assert 10 * math.log10(panter_dite(GAUSS)) == pytest.approx(4.347, abs=5e-4)
    assert math.log2(panter_dite(GAUSS)) / 2 == pytest.approx(0.722, abs=5e-4)
    assert 10 * math.log10(lloyd_max(GAUSS, 256).mse * 256**2) == pytest.approx(4.347, abs=0.04)


def test_entropy_coded_uniform_quantizer_stays_a_quarter_of_a_bit_above_the_bound() -> None:
    for density, entropy in ((GAUSS, math.log2(2 * math.pi * math.e) / 2), (LAPLACE, math.log2(math.sqrt(2) * math.e))):
        rate, mse = uniform_rate_and_distortion(density, 0.02)
        # Shannon's lower bound, tight for small errors: R(D) = h(x) − ½·log2(2πe·D).
        bound = entropy - math.log2(2 * math.pi * math.e * mse) / 2
        assert rate - bound == pytest.approx(0.2546, abs=5e-5)
        assert 20 * math.log10(2) * (rate - bound) == pytest.approx(1.533, abs=5e-4)
        assert mse == pytest.approx(0.02**2 / 12, rel=1e-3)


def test_a_density_given_as_a_function_agrees_with_the_closed_form() -> None:
    numeric = Density.from_pdf(GAUSS.pdf, -10.0, 10.0)
    np.testing.assert_allclose(lloyd_max(numeric, 16).levels, lloyd_max(GAUSS, 16).levels, atol=1e-10)
    assert lloyd_max(numeric, 16).mse == pytest.approx(lloyd_max(GAUSS, 16).mse, rel=1e-9)


def test_a_density_on_one_side_of_zero_works() -> None:
    # p = 2t on 0..1. One level: the mean 2/3, error 1/18. Two: the threshold solves t = (2/3·t + c)/2.
    triangle = Density.from_pdf(lambda t: 2 * t, 0.0, 1.0)
    assert lloyd_max(triangle, 1).levels == pytest.approx(2 / 3)
    assert lloyd_max(triangle, 1).mse == pytest.approx(1 / 18)
    threshold = (math.sqrt(5) - 1) / 2
    optimum = lloyd_max(triangle, 2)
    assert optimum.thresholds == pytest.approx(threshold)
    assert optimum.levels[0] == pytest.approx(2 / 3 * threshold)


def test_a_density_with_two_humps_meets_the_conditions() -> None:
    def pdf(t: np.ndarray) -> np.ndarray:
        return (GAUSS.pdf((t - 2) / 0.2) / 0.2 + GAUSS.pdf(t + 2)) / 2

    optimum = lloyd_max(Density.from_pdf(pdf, -12.0, 6.0), 8)
    edges = [-12.0, *optimum.thresholds, 6.0]
    for level, low, high in zip(optimum.levels, edges, edges[1:]):
        assert level == pytest.approx(integral(lambda x: x * pdf(x), low, high) / integral(pdf, low, high), abs=1e-6)


def test_error_of_any_levels_is_that_of_a_sample() -> None:
    levels = [-1.0, 0.3, 2.0]
    x = np.random.default_rng(0).laplace(scale=math.sqrt(0.5), size=10**6)
    sample = np.min((x[:, None] - np.array(levels)) ** 2, axis=1).mean()
    assert distortion(LAPLACE, levels) == pytest.approx(sample, rel=0.01)
