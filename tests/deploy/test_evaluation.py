"""Intervals and the paired test give published and hand-computed values."""

from __future__ import annotations

import numpy as np
import pytest
from fewerbits.deploy.evaluation import accuracy, bootstrap_difference, mcnemar


def answers(right: int, wrong: int) -> tuple[np.ndarray, np.ndarray]:
    return np.r_[np.zeros(right, int), np.ones(wrong, int)], np.zeros(right + wrong, int)


def test_wilson_interval_of_15_in_148() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I: 15/148 has the Wilson interval 0.0624 to 0.1605.
    result = accuracy(*answers(15, 133))
    assert (round(result.low, 4), round(result.high, 4)) == (0.0624, 0.1605)


def test_wilson_interval_of_none_in_20() -> None:
    # The same table: 0/20 has 0 to 0.1611.
    result = accuracy(*answers(0, 20))
    assert (round(result.low, 4), round(result.high, 4)) == (0.0, 0.1611)


def test_mcnemar_counts_only_discordant_images() -> None:
    labels = np.zeros(12, int)
    first = np.array([0] * 6 + [1] * 6)
    second = np.array([1] + [0] * 5 + [0] * 5 + [1])
    result = mcnemar(first, second, labels)
    assert (result.only_first, result.only_second) == (1, 5)
    # Six fair coins: P(at most one or at least five heads) = 2·(1 + 6)/64.
    assert result.p_value == pytest.approx(14 / 64)


def test_equal_models_do_not_differ() -> None:
    predicted, labels = answers(5, 3)
    assert mcnemar(predicted, predicted, labels).p_value == 1.0


def test_equal_answers_have_no_difference_and_no_doubt() -> None:
    predicted, labels = answers(50, 30)
    result = bootstrap_difference(predicted, predicted, labels)
    assert (result.value, result.low, result.high) == (0, 0, 0)


def test_bootstrap_interval_is_that_of_the_normal_approximation() -> None:
    # 300 of 10,000 images are only won, 200 only lost: difference 0.01, variance (0.05 − 0.01²)/10,000.
    labels = np.zeros(10_000, int)
    first, second = labels.copy(), labels.copy()
    second[:300] = 1
    first[300:500] = 1
    result = bootstrap_difference(first, second, labels, resamples=200_000)
    half = 1.96 * np.sqrt((0.05 - 0.01**2) / 10_000)
    assert result.value == pytest.approx(0.01)
    assert (result.low, result.high) == pytest.approx((0.01 - half, 0.01 + half), abs=1e-4)


def test_the_difference_of_exchanged_models_has_the_other_sign() -> None:
    rng = np.random.default_rng(0)
    first, second, labels = rng.integers(0, 2, (3, 500))
    one, other = bootstrap_difference(first, second, labels), bootstrap_difference(second, first, labels)
    assert one.value == -other.value
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=0.005)


def test_the_same_seed_gives_the_same_interval() -> None:
    first, second, labels = np.random.default_rng(1).integers(0, 3, (3, 200))
    assert bootstrap_difference(first, second, labels) == bootstrap_difference(first, second, labels)


def test_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"predicted has shape \(3,\) and labels \(2,\)"):
        accuracy([1, 2, 3], [1, 2])
