"""Codebooks: the nearest level decided exactly, three rules for ties, scales, and what everything costs."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from fewerbits.tensor.codebook import TIES, Codebook, double_quantize, nearest
from fewerbits.tensor.lloyd_max import GAUSS, lloyd_max
from fewerbits.tensor.quantiles import NF4, quantile_levels
from fewerbits.tensor.scheme import bits_per_value, fake_quantize
from hypothesis import given, settings
from hypothesis import strategies as st

# Where bitsandbytes' kernels go to the upper level of NF4: strictly above these float32 numbers.
PUBLISHED_PIVOTS = [
    -0.8480964004993439, -0.6106329262256622, -0.4599952697753906, -0.33967943489551544, -0.23460740596055984,
    -0.13791173323988914, -0.045525018125772476, 0.03979014977812767, 0.1202552504837513, 0.2035212516784668,
    0.2920137718319893, 0.3893125355243683, 0.5016634166240692, 0.6427869200706482, 0.8614784181118011,
]  # fmt: skip


def nearest_exactly(x: float, levels: np.ndarray, ties: str) -> int:
    """The index of the nearest level in rational arithmetic."""
    distances = [abs(Fraction(float(x)) - Fraction(float(level))) for level in levels]
    candidates = [index for index, distance in enumerate(distances) if distance == min(distances)]
    if len(candidates) == 1 or ties == "lower":
        return candidates[0]
    return candidates[1] if ties == "upper" else next(index for index in candidates if index % 2 == 0)


def mse(scheme: Codebook, x: np.ndarray) -> float:
    return float(np.mean((fake_quantize(scheme, x).astype(np.float64) - x) ** 2))


def test_codes_of_a_worked_example() -> None:
    levels = [-1.0, 0.0, 0.5, 2.0]
    x = [-5.0, -0.6, -0.5, 0.1, 0.25, 1.25, 9.0]
    assert Codebook(np.array(levels)).quantize(x).tolist() == [0, 0, 0, 1, 1, 2, 3]
    assert Codebook(np.array(levels), ties="upper").quantize(x).tolist() == [0, 0, 1, 1, 2, 3, 3]
    assert Codebook(np.array(levels), ties="even").quantize(x).tolist() == [0, 0, 0, 1, 2, 2, 3]
    assert Codebook(np.array(levels)).dequantize([3, 0]).tolist() == [2, -1]


@settings(deadline=None)
@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=6, unique=True),
    st.sampled_from(TIES),
    st.sampled_from([np.float32, np.float64]),
)
def test_nearest_is_decided_in_exact_arithmetic(values: list[float], ties: str, dtype: type) -> None:
    levels = np.unique(np.float32(values))  # 0 and −0 are one level
    middle = ((levels[1:].astype(np.float64) + levels[:-1]) / 2).astype(dtype)
    x = np.concatenate(
        (levels.astype(dtype), middle, np.nextafter(middle, dtype(-np.inf)), np.nextafter(middle, dtype(np.inf)))
    )
    x = x[np.isfinite(x)]
    assert nearest(x, levels, ties).tolist() == [nearest_exactly(value, levels, ties) for value in x]


def test_a_midpoint_that_float64_cannot_hold_is_no_tie() -> None:
    # The midpoint of 1 and 2^-149 lies 2^-150 above ½: ½ is nearer to the lower level, by every rule.
    for ties in TIES:
        assert nearest([0.5], [2.0**-149, 1.0], ties).tolist() == [0]
        assert nearest([0.5], [-(2.0**-149), 1.0], ties).tolist() == [1]


@pytest.mark.parametrize("count", [2, 255, 256, 257, 1000])
def test_few_and_many_levels_agree_with_the_definition(count: int) -> None:
    rng = np.random.default_rng(count)
    levels = np.unique(rng.standard_normal(count).astype(np.float32))
    x = rng.standard_normal(500).astype(np.float32)
    codes = nearest(x, levels)
    assert codes.dtype == (np.uint8 if levels.size <= 256 else np.uint16)
    np.testing.assert_array_equal(codes, np.abs(x[:, None].astype(np.float64) - levels).argmin(axis=1))


def test_nf4_codes_are_those_of_the_published_pivots() -> None:
    pivots = np.float32(PUBLISHED_PIVOTS)
    x = np.concatenate((pivots, np.nextafter(pivots, np.float32(-2)), np.nextafter(pivots, np.float32(2)), NF4))
    published = (x[:, None] > pivots).sum(axis=1)
    differs = nearest(x, NF4) != published
    # Their midpoints are rounded to float32: where rounded up, the pivot itself is nearer to the upper level.
    exact = (NF4[1:].astype(np.float64) + NF4[:-1]) / 2
    np.testing.assert_array_equal(np.unique(x[differs]), pivots[exact < pivots])


def test_midpoints_of_nf4_are_the_published_pivots() -> None:
    np.testing.assert_array_equal(
        ((NF4[1:].astype(np.float64) + NF4[:-1]) / 2).astype(np.float32), np.float32(PUBLISHED_PIVOTS)
    )


def test_every_code_survives_the_way_there_and_back() -> None:
    for reciprocal in (False, True):
        for scale in (1.0, 0.3, 1e-30):
            codebook = Codebook(NF4, np.float32(scale), reciprocal=reciprocal)
            assert codebook.quantize(codebook.dequantize(np.arange(16))).tolist() == list(range(16))


def test_groups_have_scales_of_their_own() -> None:
    x = np.array([[0.5, -1.0, 8.0, 2.0], [0.0, 0.0, -0.25, 0.125]], np.float32)
    codebook = Codebook.fit(x, levels=[-1, -0.5, 0, 0.5, 1], axis=-1, group_size=2)
    assert codebook.scale.tolist() == [[1, 8], [1, 0.25]]
    assert codebook.quantize(x).tolist() == [[3, 0, 4, 2], [2, 2, 0, 3]]
    assert fake_quantize(codebook, x).tolist() == [[0.5, -1, 8, 0], [0, 0, -0.25, 0.125]]


def test_channels_have_scales_of_their_own() -> None:
    x = np.array([[1.0, 100.0], [-2.0, 50.0]])
    codebook = Codebook.fit(x, levels=[-1, 0, 1], axis=1)
    assert codebook.scale.tolist() == [2, 100]
    assert fake_quantize(codebook, x).tolist() == [[0, 100], [-2, 0]]


def test_group_of_zeros_is_exact() -> None:
    x = np.zeros((2, 64), np.float32)
    assert (fake_quantize(Codebook.nf4(x), x) == 0).all()


def test_largest_magnitude_of_each_group_is_exact_in_nf4() -> None:
    x = np.random.default_rng(0).standard_normal((4, 128)).astype(np.float32)
    blocks = x.reshape(8, 64)
    at = np.abs(blocks).argmax(axis=1)
    restored = fake_quantize(Codebook.nf4(x), x).reshape(8, 64)
    np.testing.assert_array_equal(restored[np.arange(8), at], blocks[np.arange(8), at])


def test_fit_by_k_means_is_the_cheapest_for_its_data() -> None:
    x = np.random.default_rng(0).standard_normal(5000).astype(np.float32)
    fitted = mse(Codebook.fit(x, 3), x)
    rivals = (lloyd_max(GAUSS, 8).levels, quantile_levels(x, 3), np.linspace(-2.5, 2.5, 8))
    assert all(fitted < mse(Codebook(np.asarray(levels)), x) for levels in rivals)
    # Close to the optimum of the density, .034548 (Max 1960); a sample can only be fitted better.
    assert 0.031 < fitted < 0.0346


def test_fit_without_exactness_is_nearly_as_cheap() -> None:
    x = np.random.default_rng(0).laplace(size=30_000).astype(np.float32)
    exact, quick = mse(Codebook.fit(x, 4), x), mse(Codebook.fit(x, 4, exact=False), x)
    assert exact <= quick < 1.02 * exact


def test_fit_of_scaled_groups_finds_levels_between_minus_one_and_one() -> None:
    x = np.random.default_rng(0).standard_normal((40, 64)) * np.logspace(-3, 3, 40)[:, None]
    codebook = Codebook.fit(x, 4, axis=-1, group_size=64)
    assert -1 <= codebook.levels[0] < -0.9
    assert 0.9 < codebook.levels[-1] <= 1
    relative = (fake_quantize(codebook, x) - x) / np.abs(x).max(axis=1, keepdims=True)
    assert np.sqrt(np.mean(relative**2)) < 0.05


def test_constant_and_few_valued_tensors_are_exact() -> None:
    for x in (np.zeros(4), np.full(4, -3.5), np.array([1.0, 2.0, 1.0])):
        np.testing.assert_array_equal(fake_quantize(Codebook.fit(x, 4), x), x)


def test_float16_and_float64_are_accepted() -> None:
    x = np.float16([0.1, -0.7, 0.30])
    codebook = Codebook(NF4)
    np.testing.assert_array_equal(codebook.quantize(x), codebook.quantize(x.astype(np.float64)))


def test_overflowing_quotients_saturate() -> None:
    codebook = Codebook(NF4, np.float32(1e-30))
    assert codebook.quantize(np.float32([3e38, -3e38])).tolist() == [15, 0]


def test_bytes_count_codes_codebook_and_scales() -> None:
    assert Codebook(np.arange(16.0)).nbytes((3, 5)) == 8 + 16 * 4
    assert Codebook(np.arange(5.0)).bits == 3
    assert Codebook(np.arange(5.0), np.float32(2)).nbytes((8,)) == 3 + 5 * 4 + 4
    assert Codebook(np.arange(2.0), np.ones(6, np.float32), axis=0).nbytes((6, 8)) == 6 + 2 * 4 + 6 * 4


def test_nf4_costs_four_and_a_half_bits() -> None:
    x = np.random.default_rng(0).standard_normal((512, 1024)).astype(np.float32)
    codebook = Codebook.nf4(x)
    assert bits_per_value(codebook, x.shape) == 4.5
    # Double quantization: 4 + 8/64 + 32/(64·256) = 4.127; the mean of the scales adds 32 bits in all.
    assert bits_per_value(double_quantize(codebook), x.shape) == pytest.approx(4.127, abs=1e-3)
    assert mse(double_quantize(codebook), x) < 1.02 * mse(codebook, x)


def test_double_quantization_counts_codes_of_scales_their_scale_and_their_mean() -> None:
    x = np.random.default_rng(0).standard_normal((256, 64)).astype(np.float32)  # 256 scales
    assert double_quantize(Codebook.nf4(x)).nbytes(x.shape) == x.size // 2 + 256 + 4 + 4


def test_double_quantized_scales_take_few_values() -> None:
    x = np.random.default_rng(0).standard_normal((256, 128)).astype(np.float32)
    stored = double_quantize(Codebook.nf4(x)).scale
    assert stored.shape == (256, 2)
    assert all(np.unique(group).size <= 255 for group in stored.reshape(2, 256))
    assert np.abs(stored - Codebook.nf4(x).scale).max() < 0.01
