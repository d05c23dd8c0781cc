"""Levels at quantiles: NF4 as published and as constructed, and equally filled parts of data."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from fewerbits.tensor.codebook import nearest
from fewerbits.tensor.quantiles import NF4, normal_float_levels, quantile_levels

# QLoRA (2023), appendix E, to seven digits.
PUBLISHED = [-1, -0.6961928, -0.5250731, -0.3949175, -0.2844414, -0.1847734, -0.0910500, 0]
PUBLISHED += [0.0795803, 0.1609302, 0.2461123, 0.3379152, 0.4407098, 0.5626170, 0.7229568, 1]


def test_nf4_is_the_published_table() -> None:
    np.testing.assert_allclose(NF4, PUBLISHED, atol=5.1e-8)
    assert NF4.dtype == np.float32


def test_nf4_follows_from_its_construction() -> None:
    np.testing.assert_allclose(normal_float_levels(4), NF4, rtol=0, atol=2e-7)


def test_normal_floats_of_any_width_hold_zero_and_both_ends() -> None:
    for bits in range(2, 9):
        levels = normal_float_levels(bits)
        assert levels.size == 2**bits
        assert levels[[0, 2 ** (bits - 1) - 1, -1]].tolist() == [-1, 0, 1]
        assert (np.diff(levels) > 0).all()


def test_normal_float_steps_are_equally_likely_on_each_side() -> None:
    # The farthest probability of N = 64 is 1 − (1/128 + 1/126)/2 (QLoRA's code), 2.41468 standard deviations out.
    shares = np.diff([NormalDist().cdf(2.41468 * float(level)) for level in normal_float_levels(6)])
    assert np.ptp(shares[:31]) < 1e-4 * shares[0]
    assert np.ptp(shares[32:]) < 1e-4 * shares[-1]


def test_quantile_levels_fill_all_codes_equally() -> None:
    x = np.random.default_rng(0).laplace(size=100_000)
    counts = np.bincount(nearest(x, quantile_levels(x, 3)))
    # Thresholds lie midway between medians, so outer codes are filled a little more than inner ones.
    assert counts.min() > 0.8 * x.size / 8
    assert counts.max() < 1.25 * x.size / 8


def test_equal_quantiles_become_one_level() -> None:
    assert quantile_levels([0.0] * 99 + [5.0], 4).tolist() == [0]
