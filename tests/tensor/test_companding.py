"""Companding: the µ-law and exponential curves, their theory at many levels, and the telephone codec."""

from __future__ import annotations

import numpy as np
import pytest
from fewerbits.tensor.companding import COMPRESSORS, Companding, mu_law_decode, mu_law_encode
from fewerbits.tensor.scheme import bits_per_value, fake_quantize
from hypothesis import given, settings
from hypothesis import strategies as st

both = pytest.mark.parametrize("compressor", COMPRESSORS)


def mean_squared_error(scheme: Companding, x: np.ndarray) -> float:
    return float(np.mean((fake_quantize(scheme, x) - x) ** 2))


def test_levels_of_a_worked_example() -> None:
    # µ = 3 and P = 3: c⁻¹(y) = (4^y − 1)/3.
    levels = Companding(scale=3.0, bits=3, strength=3.0).dequantize(np.arange(-3, 4))
    inner = [4 ** (1 / 3) - 1, 4 ** (2 / 3) - 1]
    np.testing.assert_array_equal(levels, np.float32([-3, -inner[1], -inner[0], 0, inner[0], inner[1], 3]))
    # a = ln 4: c⁻¹(y) = −log4(1 − ¾y), so that P = 1 has the threshold c⁻¹(½) = .339.
    exponential = Companding(scale=1.0, bits=2, compressor="exponential", strength=np.log(4))
    assert exponential.quantize([0.33, 0.34, -0.33, -0.34]).tolist() == [0, 1, 0, -1]


@both
def test_expanding_undoes_compressing(compressor: str) -> None:
    u = np.linspace(0, 1, 1001)
    for strength in (0.1, 1.0, 10.0, 30.0):
        scheme = Companding(1.0, 8, compressor, strength)
        np.testing.assert_allclose(
            scheme.expand(scheme.compress(u)), u, rtol=1e-12, atol=1e-12 * np.exp(strength) / 2e4
        )
        assert (scheme.compress(u)[[0, -1]] == [0, 1]).all()


@both
def test_weak_companding_is_uniform(compressor: str) -> None:
    levels = Companding(1.0, 8, compressor, 1e-6).dequantize(np.arange(-127, 128))
    np.testing.assert_allclose(levels, np.arange(-127, 128) / 127, rtol=1e-6)


@both
@pytest.mark.parametrize("bits", [2, 5, 8, 12, 16])
def test_every_code_survives_the_way_there_and_back(compressor: str, bits: int) -> None:
    scheme = Companding.fit(np.random.default_rng(0).laplace(size=1000), bits, compressor=compressor)
    codes = np.arange(-scheme.largest_code, scheme.largest_code + 1)
    np.testing.assert_array_equal(scheme.quantize(scheme.dequantize(codes)), codes)


@both
@settings(deadline=None)
@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=20))
def test_codes_are_odd_and_monotone_and_zero_is_exact(compressor: str, values: list[float]) -> None:
    x = np.sort(np.array([*values, 0.0], np.float32))
    scheme = Companding.fit(x, 6, compressor=compressor)
    codes = scheme.quantize(x)
    np.testing.assert_array_equal(scheme.quantize(-x), -codes)
    assert (np.diff(codes) >= 0).all()
    assert (fake_quantize(scheme, x)[x == 0] == 0).all()


@both
def test_values_beyond_the_scale_saturate(compressor: str) -> None:
    scheme = Companding(1.0, 8, compressor, 5.0)
    assert scheme.quantize([1.0, 2.0, -1e300]).tolist() == [127, 127, -127]
    assert scheme.dequantize([127, -127]).tolist() == [1, -1]


@both
def test_constant_and_zero_tensors_are_valid(compressor: str) -> None:
    for x in (np.zeros(3), np.full(3, -2.5), np.float32([1e-45])):
        scheme = Companding.fit(x, compressor=compressor)
        np.testing.assert_array_equal(fake_quantize(scheme, x)[x == 0], 0)
        assert np.isfinite(fake_quantize(scheme, x)).all()
    assert fake_quantize(Companding.fit([-2.5], compressor=compressor), [-2.5]).tolist() == [-2.5]


@pytest.mark.parametrize("amplitude", [1.0, 0.3, 0.1, 0.03])
def test_mu_law_error_is_bennetts_integral(amplitude: float) -> None:
    # Uniform data on ±A: (Δ²/12)·E[1/c'²] with 1/c' = ln(1+µ)(1+µu)/µ; E[(1+µu)²] = 1 + µA + µ²A²/3.
    x = np.random.default_rng(0).uniform(-amplitude, amplitude, 200_000)
    mu, step = 255, 1 / 2047
    predicted = step**2 / 12 * (np.log1p(mu) / mu) ** 2 * (1 + mu * amplitude + (mu * amplitude) ** 2 / 3)
    assert mean_squared_error(Companding(1.0, 12), x) == pytest.approx(predicted, rel=0.02)


def test_mu_law_of_8_bits_keeps_38_decibels_over_a_wide_range() -> None:
    # For large values SQNR = 6.02·b + 4.77 − 20·log10(ln(1 + µ)) = 38.1 dB, whatever their size (Smith 1957).
    rng = np.random.default_rng(0)
    for decibels in (0, -10, -20, -30):
        x = 10 ** (decibels / 20) * np.sin(rng.uniform(0, 2 * np.pi, 100_000))
        sqnr = 10 * np.log10(np.mean(x**2) / mean_squared_error(Companding(1.0, 8), x))
        assert 34 < sqnr < 38.5


def test_exponential_reaches_the_panter_dite_limit_of_laplace_data() -> None:
    # (1/12N²)·(∫p^⅓)³ = 9σ²/2N² for a Laplace density: no quantizer of N levels does better (Panter and Dite 1951).
    x = np.random.default_rng(0).laplace(scale=np.sqrt(0.5), size=400_000)
    scheme = Companding.fit(x, 8, compressor="exponential")
    assert mean_squared_error(scheme, x) == pytest.approx(4.5 / 255**2, rel=0.03)


def test_exponential_beats_mu_law_on_laplace_data_and_loses_on_values_of_many_sizes() -> None:
    rng = np.random.default_rng(0)
    laplace = rng.laplace(size=50_000)
    exponential, mu_law = (Companding.fit(laplace, 6, compressor=name) for name in ("exponential", "mu_law"))
    assert mean_squared_error(exponential, laplace) < 0.7 * mean_squared_error(mu_law, laplace)
    sizes = 10 ** rng.uniform(-3, 0, 50_000)
    relative = [
        np.mean(np.abs(fake_quantize(Companding.fit(sizes, 8, compressor=name), sizes) - sizes) / sizes)
        for name in ("exponential", "mu_law")
    ]
    assert relative[1] < relative[0]


def test_strength_of_the_exponential_follows_the_mean_magnitude() -> None:
    assert Companding.fit([1.0, 0.25, -0.25, 0.0], compressor="exponential").strength == pytest.approx(1 / (3 * 0.375))
    assert Companding.fit([1.0, *np.zeros(99)], compressor="exponential").strength == 30


def test_bytes_count_packed_codes_scale_and_strength() -> None:
    assert Companding(1.0, 6).nbytes((3, 5)) == 12 + 8
    assert bits_per_value(Companding(1.0, 8), (1000, 1000)) == pytest.approx(8, abs=1e-3)


def test_telephone_codes_of_the_standard() -> None:
    # ITU-T G.711 table 2a: silence, the smallest steps of each sign, the largest values.
    assert mu_law_encode([0, -1, 4, 32767, -32768]).tolist() == [0xFF, 0x7E, 0xFE, 0x80, 0x00]
    # In 14 bits its decoder puts out 0, 2, .., 30 for the first 16 positive codes (from 255 down), then 33, .., 8031.
    assert (mu_law_decode([255, 254, 240, 239, 128]) // 4).tolist() == [0, 2, 30, 33, 8031]


def test_telephone_codec_has_two_zeros_and_otherwise_returns_its_codes() -> None:
    codes = np.arange(256)
    back = mu_law_encode(mu_law_decode(codes))
    assert codes[back != codes].tolist() == [127]
    assert mu_law_decode([127, 255]).tolist() == [0, 0]


def test_telephone_codec_follows_the_smooth_curve() -> None:
    # Both number 128 magnitudes, one by eight straight pieces: their codes differ by less than three.
    samples = np.arange(0, 32636)
    positions = 255 - mu_law_encode(samples).astype(int)
    smooth = 127 * Companding(32635.0).compress(samples / 32635)
    assert np.abs(positions - smooth).max() < 3
