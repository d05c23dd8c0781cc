"""Error measures against hand derivations, at their edges, and on signals of published quality."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fewerbits.tensor.metrics import cosine, entropy, max_error, mse, sqnr
from fewerbits.tensor.scheme import bits_per_value, fake_quantize
from fewerbits.tensor.uniform import Uniform


def test_values_by_hand() -> None:
    x, x_hat = np.array([3.0, 4.0]), np.array([3.0, 3.0])
    assert mse(x, x_hat) == 0.5
    assert max_error(x, x_hat) == 1
    assert sqnr(x, x_hat) == pytest.approx(10 * math.log10(25))
    assert cosine(x, x_hat) == pytest.approx(21 / (5 * math.sqrt(18)))


def test_ten_times_less_error_is_twenty_decibels() -> None:
    x = np.random.default_rng(0).standard_normal(100)
    assert sqnr(x, 0.9 * x) == pytest.approx(20)
    assert sqnr(x, 0.99 * x) == pytest.approx(40)


def test_identical_arrays_have_no_noise() -> None:
    for x in ([1.0, -2.0], [0.0, 0.0]):
        assert mse(x, x) == 0
        assert max_error(x, x) == 0
        assert sqnr(x, x) == math.inf
        assert cosine(x, x) == 1


def test_a_zero_signal_has_no_direction() -> None:
    zero, noise = [0.0, 0.0], [0.0, 0.1]
    assert sqnr(zero, noise) == -math.inf
    assert cosine(zero, noise) == 0
    assert cosine(noise, zero) == 0
    assert mse(zero, noise) == pytest.approx(0.005)


def test_a_lost_signal_is_zero_decibels() -> None:
    assert sqnr([1.0, 2.0], [0.0, 0.0]) == pytest.approx(0)


def test_cosine_is_blind_to_scale_and_sees_sign() -> None:
    x = np.array([1.0, -3.0, 2.0])
    assert cosine(x, 100 * x) == pytest.approx(1)
    assert cosine(x, -x) == pytest.approx(-1)
    assert cosine([1.0, 0.0], [0.0, 1.0]) == 0


@pytest.mark.parametrize("magnitude", [1e-300, 1e-38, 1e38, 1e300])
def test_very_small_and_very_large_signals_neither_vanish_nor_overflow(magnitude: float) -> None:
    x = np.array([3.0, 4.0]) * magnitude
    assert sqnr(x, 0.9 * x) == pytest.approx(20)
    assert cosine(x, 0.9 * x) == pytest.approx(1)
    assert max_error(x, 0.5 * x) == pytest.approx(2 * magnitude)


def test_errors_beyond_float64_are_infinite_without_a_warning() -> None:
    x = np.array([1.7e308])
    assert mse(x, -x) == math.inf
    assert max_error(x, -x) == math.inf
    assert sqnr(x, -x) == -math.inf


def test_small_differences_of_large_float32_sums_are_kept() -> None:
    """Summed in float32, 10⁷ squares of 0.1 stop growing."""
    x = np.full(10**6, 0.1, np.float32)
    assert mse(x, np.zeros_like(x)) == pytest.approx(float(np.float32(0.1)) ** 2, rel=1e-12)


def test_scalars_and_integers_are_values() -> None:
    assert mse(3, 1) == 4
    assert max_error(np.array([[1, 2]], np.int8), [[1, 5]]) == 3


@pytest.mark.parametrize(
    ("codes", "bits"),
    [([5, 5, 5], 0), ([0, 1], 1), ([-3, 0, 4, 9], 2), ([0, 0, 0, 1], 2 - 0.75 * math.log2(3)), (list(range(256)), 8)],
)
def test_entropy_by_hand(codes: list[int], bits: float) -> None:
    assert entropy(codes) == pytest.approx(bits, abs=1e-12)


def test_constant_codes_cost_positive_zero() -> None:
    assert math.copysign(1, entropy([7, 7])) == 1


def test_entropy_of_a_quantized_gaussian_is_that_of_its_density_minus_the_step() -> None:
    """High resolution: H ≈ h(X) − log₂ s, with h = ½·log₂(2πe) for N(0, 1) (Gray & Neuhoff 1998, eq. 15)."""
    x = np.random.default_rng(0).standard_normal(200_000).astype(np.float32)
    codes = Uniform(np.float32(0.05), 0).quantize(x)
    assert entropy(codes) == pytest.approx(0.5 * math.log2(2 * math.pi * math.e) - math.log2(0.05), abs=0.01)


def test_the_measured_noise_of_a_quantizer_is_a_twelfth_of_a_squared_step() -> None:
    x = np.linspace(-1, 1, 100_001).astype(np.float32)
    scheme = Uniform.fit(x)
    step = float(scheme.scale)
    x_hat = fake_quantize(scheme, x)
    assert mse(x, x_hat) == pytest.approx(step**2 / 12, rel=0.01)
    assert max_error(x, x_hat) == pytest.approx(step / 2, rel=0.001)


def test_bits_per_value_count_the_metadata() -> None:
    x = np.ones((8, 64), np.float32)
    assert bits_per_value(Uniform.fit(x, 8), x.shape) == 8 + 32 / 512
    assert bits_per_value(Uniform.fit(x, 4, axis=0), x.shape) == 4 + 32 / 64
    assert bits_per_value(Uniform.fit(x, 4, symmetric=False, axis=1, group_size=16), x.shape) == 4 + (32 + 8) / 16
