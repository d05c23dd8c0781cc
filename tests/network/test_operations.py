"""Codes of different scales meet only after alignment; order and zero survive."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fewerbits.network.operations import add, align, average_pool2d, concat, global_average_pool, max_pool2d, relu
from fewerbits.tensor.uniform import Uniform


def scheme(scale: float, zero_point: int = 0, **options: Any) -> Uniform:
    return Uniform(np.float32(scale), np.int32(zero_point), **options)


def codes(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


A, B, Y = scheme(0.1, 5), scheme(0.03, -7), scheme(0.11, 9)


@pytest.mark.parametrize("rule", ["fused", "dequantize"])
def test_a_sum_is_within_half_a_step_of_the_sum_of_the_values(rule: str) -> None:
    a, b = codes(1000, seed=1), codes(1000, seed=2)
    real = np.clip(A.dequantize(a) + B.dequantize(b), (-128 - 9) * 0.11, (127 - 9) * 0.11)
    assert np.abs(Y.dequantize(add(a, b, A, B, Y, rule)) - real).max() <= 0.11 / 2 * (1 + 1e-5)


def test_adding_codes_as_they_are_is_the_mistake() -> None:
    a, b = np.int8([40]), np.int8([40])
    naive = Y.dequantize((a.astype(int) + b).clip(-128, 127))
    real = A.dequantize(a) + B.dequantize(b)
    assert abs(naive - real)[0] > 2
    assert abs(Y.dequantize(add(a, b, A, B, Y)) - real)[0] <= 0.055


def test_the_two_rules_of_addition_differ_at_ties_of_an_odd_zero_point() -> None:
    a, b = np.int8([1, 3, 5]), np.int8([0, 0, 0])
    half, output = scheme(0.5), scheme(1.0, 1)
    assert add(a, b, half, half, output, "dequantize").tolist() == [1, 3, 3]
    assert add(a, b, half, half, output, "fused").tolist() == [2, 2, 4]


def test_without_an_output_scheme_equal_scales_add_exactly_and_saturate() -> None:
    a, b = np.int8([1, 100, -100]), np.int8([2, 100, -100])
    same = scheme(0.25, 3)
    assert add(a, b, same, same).tolist() == [0, 127, -128]


def test_zero_plus_zero_is_zero() -> None:
    assert add(np.int8([5]), np.int8([-7]), A, B, Y).tolist() == [9]


def test_a_sum_in_four_bits_stays_in_four_bits() -> None:
    small = scheme(0.5, 0, bits=4)
    assert add(np.int8([7]), np.int8([7]), small, small, small).tolist() == [7]


def test_concatenation_gives_each_part_the_output_scale() -> None:
    a, b = codes(2, 3, 4, 4, seed=1), codes(2, 5, 4, 4, seed=2)
    joined = concat([a, b], [A, B], Y)
    assert joined.shape == (2, 8, 4, 4)
    assert np.array_equal(joined[:, :3], Y.quantize(A.dequantize(a)))
    assert np.array_equal(joined[:, 3:], Y.quantize(B.dequantize(b)))


def test_concatenation_of_equal_scales_copies_codes() -> None:
    a, b = codes(2, 3, seed=1), codes(2, 4, seed=2)
    assert np.array_equal(concat([a, b], [A, A], axis=1), np.concatenate([a, b], axis=1))


def test_alignment_to_its_own_scheme_changes_nothing_and_keeps_zero() -> None:
    every = np.arange(-128, 128).astype(np.int8)
    assert np.array_equal(align(every, A, A), every)
    assert align(np.int8([5]), A, Y).tolist() == [9]


def test_alignment_from_four_bits_to_unsigned_eight() -> None:
    small, large = scheme(0.5, 0, bits=4), scheme(0.25, 128, signed=False)
    aligned = align(np.int8([-8, 0, 7]), small, large)
    assert aligned.dtype == np.uint8
    assert aligned.tolist() == [112, 128, 142]


def test_relu_keeps_what_is_above_the_zero_point() -> None:
    assert relu(np.int8([-128, 4, 5, 6]), 5).tolist() == [5, 5, 5, 6]
    assert relu(np.uint8([0, 127, 128, 255]), 128).tolist() == [128, 128, 128, 255]
    assert relu(np.int8([1]), 0).dtype == np.int8


def test_max_pooling_commutes_with_dequantization() -> None:
    x = codes(2, 3, 6, 8)
    squares = A.dequantize(x).reshape(2, 3, 3, 2, 4, 2).max(axis=(3, 5))
    assert np.array_equal(A.dequantize(max_pool2d(x)), squares)


def test_padding_never_wins_a_maximum() -> None:
    x = np.full((1, 1, 2, 2), -128, np.int8)
    assert (max_pool2d(x, 3, 1, 1) == -128).all()
    x[0, 0, 0, 0] = -127
    assert max_pool2d(x, 2, 1, 1)[0, 0].tolist() == [[-127, -127, -128], [-127, -127, -128], [-128, -128, -128]]


def test_max_pooling_returns_a_new_array() -> None:
    x = codes(1, 1, 2, 2)
    max_pool2d(x, 1)[...] = 0
    assert x.any()


def test_averages_are_within_half_a_step_and_padding_does_not_count() -> None:
    x = codes(2, 3, 7, 6)
    pooled = average_pool2d(x, A, A, 3, 2, 1)
    values = A.dequantize(x).astype(float)
    corner = values[:, :, :2, :2].mean(axis=(2, 3))
    inside = values[:, :, 1:4, 1:4].mean(axis=(2, 3))
    assert np.abs(A.dequantize(pooled[:, :, 0, 0]) - corner).max() <= 0.05 * (1 + 1e-4)
    assert np.abs(A.dequantize(pooled[:, :, 1, 1]) - inside).max() <= 0.05 * (1 + 1e-4)


def test_a_global_average_is_within_half_a_step() -> None:
    x = codes(4, 5, 7, 7)
    fine = scheme(0.01, 3)
    mean = A.dequantize(x).astype(float).mean(axis=(2, 3))
    inside = np.clip(mean, (-128 - 3) * 0.01, (127 - 3) * 0.01)
    pooled = global_average_pool(x, A, fine)
    assert pooled.shape == (4, 5)
    assert np.abs(fine.dequantize(pooled) - inside).max() <= 0.005 * (1 + 1e-4)


def test_the_average_of_a_constant_is_that_constant() -> None:
    x = np.full((1, 2, 5, 5), 77, np.uint8)
    unsigned = scheme(0.013, 31, signed=False)
    assert (global_average_pool(x, unsigned, unsigned) == 77).all()
    assert (average_pool2d(x, unsigned, unsigned, 2, 1, 1) == 77).all()
