"""What 16-bit saturation does to uint8 × int8, seen on any CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fewerbits.network.arithmetic import integer_conv2d, integer_matmul
from fewerbits.network.saturating import pairs_at_risk, saturating_conv2d, saturating_matmul


def operands(rows: int, terms: int, columns: int, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 256, (rows, terms)).astype(np.uint8)
    return a, rng.choice([-128, -100, 5, 127], (terms, columns)).astype(np.int8)


def vpmaddubsw(a: Any, b: Any) -> Any:
    """The instruction's definition, pair by pair, in Python's integers."""
    result = np.zeros((len(a), b.shape[1]), int)
    for m, n in np.ndindex(result.shape):
        for k in range(0, a.shape[1], 2):
            pair = sum(int(a[m, j]) * int(b[j, n]) for j in range(k, min(k + 2, a.shape[1])))
            result[m, n] += min(max(pair, -32768), 32767)
    return result


def test_two_full_products_give_32767() -> None:
    a, b = np.uint8([[255, 255]]), np.int8([[127], [127]])
    assert saturating_matmul(a, b)[0, 0] == 32767
    assert integer_matmul(a, b)[0, 0] == 64770


def test_negative_pairs_stop_at_minus_32768() -> None:
    assert saturating_matmul(np.uint8([[255, 255]]), np.int8([[-128], [-128]]))[0, 0] == -32768


def test_opposite_signs_cancel_before_saturation() -> None:
    assert saturating_matmul(np.uint8([[255, 255]]), np.int8([[127], [-128]]))[0, 0] == -255


def test_only_neighbours_meet_in_16_bits() -> None:
    """The same four products, in another order: what saturates depends on who sits beside whom."""
    together, apart = np.int8([[127], [127], [-128], [-128]]), np.int8([[127], [-128], [127], [-128]])
    a = np.full((1, 4), 255, np.uint8)
    assert saturating_matmul(a, together)[0, 0] == 32767 - 32768
    assert saturating_matmul(a, apart)[0, 0] == integer_matmul(a, apart)[0, 0] == -510


@pytest.mark.parametrize("terms", [1, 2, 3, 8, 33])
def test_every_output_follows_the_definition_of_the_instruction(terms: int) -> None:
    a, b = operands(6, terms, 5)
    assert np.array_equal(saturating_matmul(a, b), vpmaddubsw(a, b))


def test_zero_points_are_subtracted_after_saturation() -> None:
    a, b = operands(6, 16, 5)
    shifted = vpmaddubsw(a, b) - 30 * b.astype(int).sum(axis=0) - 7 * a.astype(int).sum(axis=1)[:, None] + 16 * 30 * 7
    assert np.array_equal(saturating_matmul(a, b, 30, 7), shifted)


def test_many_rows_are_handled_in_blocks() -> None:
    a, b = operands(3000, 40, 16)
    whole = saturating_matmul(a, b)
    assert np.array_equal(whole[1234:1300], saturating_matmul(a[1234:1300], b))


def test_weights_of_seven_bits_are_exact() -> None:
    rng = np.random.default_rng(0)
    a, b = np.full((4, 50), 255, np.uint8), rng.integers(-64, 65, (50, 9)).astype(np.int8)
    assert not pairs_at_risk(b).any()
    assert np.array_equal(saturating_matmul(a, b), integer_matmul(a, b))


def test_the_smallest_pair_at_risk_sums_to_129() -> None:
    pairs = np.int8([[64, 65, -64, -65, 127], [64, 64, -64, -64, -128]])
    assert pairs_at_risk(pairs).tolist() == [[False, True, False, True, False]]
    a = np.full((1, 2), 255, np.uint8)
    assert saturating_matmul(a, pairs)[0].tolist() == [32640, 32767, -32640, -32768, -255]


def test_convolution_pairs_run_over_rows_columns_and_then_channels() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(100, 256, (2, 3, 6, 5)).astype(np.uint8)
    w = rng.choice([-128, -90, 90, 127], (4, 3, 3, 3)).astype(np.int8)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=50)
    got = saturating_conv2d(x, w, 50, 0, 2, 1)
    for n, i, j in ((0, 0, 0), (1, 2, 1), (0, 1, 2)):
        window = padded[n, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].transpose(1, 2, 0).reshape(1, -1)
        weights = w.transpose(2, 3, 1, 0).reshape(-1, 4)
        expected = vpmaddubsw(window, weights)[0] - 50 * weights.astype(int).sum(axis=0)
        assert np.array_equal(got[n, :, i, j], expected)
    assert not np.array_equal(got, integer_conv2d(x, w, 50, 0, 2, 1))


def test_groups_are_convolved_one_by_one() -> None:
    rng = np.random.default_rng(1)
    x, w = rng.integers(0, 256, (2, 6, 5, 5)).astype(np.uint8), rng.choice([-128, 127], (4, 3, 3, 3)).astype(np.int8)
    parts = [saturating_conv2d(x[:, 3 * g : 3 * g + 3], w[2 * g : 2 * g + 2], 9, 0, 1, 1) for g in range(2)]
    assert np.array_equal(saturating_conv2d(x, w, 9, 0, 1, 1, groups=2), np.concatenate(parts, axis=1))


def test_depthwise_convolution_does_not_saturate() -> None:
    x, w = np.full((1, 3, 5, 5), 255, np.uint8), np.full((3, 1, 3, 3), 127, np.int8)
    assert np.array_equal(saturating_conv2d(x, w, 0, 0, 1, 0, 3), integer_conv2d(x, w, 0, 0, 1, 0, 3))
    assert saturating_conv2d(x, w[:1].repeat(3, axis=1))[0, 0, 0, 0] < 27 * 255 * 127


def test_two_outputs_per_channel_saturate_although_depthwise_does_not() -> None:
    x, w = np.full((1, 3, 3, 3), 255, np.uint8), np.full((6, 1, 3, 3), 127, np.int8)
    expected = vpmaddubsw(x[0, :1].reshape(1, 9), w[:1].reshape(9, 1))[0, 0]
    assert expected == 4 * 32767 + 255 * 127
    assert (saturating_conv2d(x, w, groups=3) == expected).all()
