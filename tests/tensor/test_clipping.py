"""The best range of a density: published tables, optimality conditions, and numerical integration."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fewerbits.tensor.clipping import (
    DENSITIES,
    aciq_clip,
    clipping_error,
    expected_clipping_error,
    expected_rounding_error,
    optimal_clip,
    optimal_step,
    rounding_error,
    tail_moments,
    uniform_error,
)
from fewerbits.tensor.scheme import fake_quantize
from fewerbits.tensor.uniform import Uniform

PDF = {
    "gauss": lambda x: np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi),
    "laplace": lambda x: np.exp(-np.abs(x)) / 2,
}


# Max 1960, "Quantizing for minimum distortion", table II (equally spaced levels), for N(0, 1).
@pytest.mark.parametrize(
    ("levels", "step", "error"),
    [(2, 1.5958, 0.36338), (4, 0.9957, 0.11885), (8, 0.5860, 0.037440), (16, 0.3352, 0.011543)],
)
def test_best_uniform_steps_of_the_gaussian_are_those_of_max(levels, step, error) -> None:
    assert optimal_step("gauss", levels) == pytest.approx(step, abs=5e-5)
    assert uniform_error("gauss", optimal_step("gauss", levels), levels) == pytest.approx(error, rel=5e-5)


# σ = 1, that is b = 1/√2. Max's problem solved for Laplace, to four digits (cf. Jayant and Noll 1984, chapter 4).
@pytest.mark.parametrize(("levels", "step", "error"), [(4, 1.0874, 0.19630), (16, 0.4610, 0.02535)])
def test_best_uniform_steps_of_laplace_with_unit_variance(levels, step, error) -> None:
    assert optimal_step("laplace", levels) / math.sqrt(2) == pytest.approx(step, abs=5e-5)
    assert uniform_error("laplace", optimal_step("laplace", levels), levels) / 2 == pytest.approx(error, rel=3e-4)


# Banner, Nahshan and Soudry 2019, "Post training 4-bit quantization of convolutional networks for rapid deployment".
@pytest.mark.parametrize(
    ("density", "bits", "clip"),
    [
        ("laplace", 2, 2.8307),
        ("laplace", 3, 3.8972),
        ("laplace", 4, 5.0286),
        ("gauss", 2, 1.7106),
        ("gauss", 3, 2.1516),
        ("gauss", 4, 2.5591),
    ],
)
def test_analytic_clips_are_those_of_aciq(density, bits, clip) -> None:
    assert aciq_clip(density, bits) == pytest.approx(clip, abs=1e-4)


def test_aciq_is_an_approximation_of_the_exact_clip() -> None:
    assert optimal_clip("gauss", 4) == pytest.approx(2.6816, abs=5e-5)
    assert optimal_clip("gauss", 4) - aciq_clip("gauss", 4) > 0.12


def test_the_laplace_clip_of_aciq_solves_its_equation() -> None:
    # d/dα of 2·exp(−α) + α²/(3·4^M) is zero where α·exp(α) = 3·4^M.
    for bits in range(1, 17):
        clip = aciq_clip("laplace", bits)
        assert clip * math.exp(clip) == pytest.approx(3 * 4**bits, rel=1e-5)


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("levels", [2, 3, 7, 16, 255])
def test_no_other_step_has_a_smaller_error(density, levels) -> None:
    best = optimal_step(density, levels)
    least = uniform_error(density, best, levels)
    others = [uniform_error(density, best * factor, levels) for factor in np.geomspace(0.1, 3, 600)]
    assert least <= min(others) * (1 + 1e-12)


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize(("levels", "step"), [(2, 1.3), (3, 0.9), (8, 0.5), (15, 0.4)])
def test_exact_error_agrees_with_integration(density, levels, step) -> None:
    x = np.linspace(-40, 40, 20_001)
    nearest = np.abs(np.subtract.outer(x, (np.arange(levels) - (levels - 1) / 2) * step)).min(axis=1)
    assert uniform_error(density, step, levels) == pytest.approx(
        np.trapezoid(nearest**2 * PDF[density](x), x), rel=2e-4
    )


@pytest.mark.parametrize("density", DENSITIES)
def test_tail_moments_agree_with_integration(density) -> None:
    for t in (0.0, 0.7, 3.0):
        x = np.linspace(t, t + 40, 400_001)
        expected = [np.trapezoid(x**k * PDF[density](x), x) for k in range(3)]
        np.testing.assert_allclose(tail_moments(density, t), expected, rtol=1e-7)


def test_expected_errors_meet_the_measured_ones_on_samples() -> None:
    rng = np.random.default_rng(11)
    samples = {"gauss": rng.standard_normal(400_000), "laplace": rng.laplace(size=400_000)}
    clips = np.array([1.0, 2.0, 3.0])
    for density, x in samples.items():
        np.testing.assert_allclose(clipping_error(x, clips), expected_clipping_error(density, clips), rtol=0.05)
    # Flat data meet the premise of the rounding term, with its 2^bits − 2 steps between the outermost levels.
    flat = rng.uniform(-1, 1, 400_000)
    assert float(rounding_error(flat, 1.0, 8)) * (254 / 256) ** 2 == pytest.approx(
        float(expected_rounding_error(1.0, 8)), rel=0.01
    )


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_two_errors_add_up_to_that_of_the_quantizer(bits) -> None:
    x = np.random.default_rng(2).standard_t(4, 20_000)
    for clip in (0.25, 1.0, 5.0, 100.0):
        scheme = Uniform.from_range(-clip, clip, bits, narrow_range=True)
        whole = np.square(x - fake_quantize(scheme, x).astype(np.float64)).mean()
        assert float(clipping_error(x, clip) + rounding_error(x, clip, bits)) == pytest.approx(whole, rel=1e-4)


def test_the_two_curves_cross_and_their_sum_has_one_minimum_between_the_ends() -> None:
    x = np.random.default_rng(7).laplace(size=50_000)
    clips = np.geomspace(0.5, 9, 40)
    clipping, rounding = clipping_error(x, clips), rounding_error(x, clips, 4)
    assert (np.diff(clipping) < 0).all()
    assert (np.diff(rounding) > 0).all()
    assert 0 < np.argmin(clipping + rounding) < clips.size - 1


def test_errors_have_the_shape_of_the_clip() -> None:
    x = [0.5, -2.0]
    assert clipping_error(x, 1.0).shape == ()
    assert float(clipping_error(x, 1.0)) == 0.5  # (2 − 1)²/2
    assert rounding_error(x, [[1.0], [2.0]], 3).shape == (2, 1)
    assert expected_clipping_error("laplace", [[1.0, 2.0]]).shape == (1, 2)
