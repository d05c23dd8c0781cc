"""What observers remember and which range they choose."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from fewerbits.tensor.calibration import MSE, Analytic, Entropy, MinMax, MovingAverage, Percentile
from fewerbits.tensor.clipping import aciq_clip
from fewerbits.tensor.histogram import Histogram
from fewerbits.tensor.observer import Observer
from fewerbits.tensor.range_search import Conventions, divergence, kl_divergence, squared_error
from fewerbits.tensor.scheme import fake_quantize
from fewerbits.tensor.uniform import Uniform
from hypothesis import given, settings
from hypothesis import strategies as st

KINDS = [MinMax, MovingAverage, Percentile, MSE, Entropy, Analytic]
MERGE_EXACTLY = [MinMax, Percentile, MSE, Entropy, Analytic]


def watch(observer: Observer, batches: object) -> Observer:
    return reduce(lambda seen, batch: seen.observe(batch), batches, observer)


def samples(count: int = 20_000, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "gauss": rng.standard_normal(count).astype(np.float32),
        "laplace": rng.laplace(size=count).astype(np.float32),
        "heavy tails": rng.standard_t(3, count).astype(np.float32),
        "after relu": np.maximum(rng.standard_normal(count), 0).astype(np.float32),
        "off centre": rng.normal(2, 1, count).astype(np.float32),
        "flat": rng.uniform(-1, 3, count).astype(np.float32),
        "one outlier": np.append(rng.standard_normal(count), 100).astype(np.float32),
    }


def squared(x: np.ndarray, scheme: Uniform) -> float:
    return float(np.square(x.astype(np.float64) - fake_quantize(scheme, x)).mean())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_a_fitted_quantizer_has_one_scale_per_channel(kind, axis) -> None:
    x = np.random.default_rng(1).standard_normal((3, 40, 5)).astype(np.float32)
    scheme = kind(axis=axis).observe(x).fit(8)
    assert scheme.scale.shape == (() if axis is None else (x.shape[axis],))
    assert scheme.quantize(x).shape == x.shape


@pytest.mark.parametrize("kind", KINDS)
def test_each_channel_is_calibrated_as_a_tensor_of_its_own(kind) -> None:
    rng = np.random.default_rng(2)
    batches = [rng.standard_normal((20, 3, 30)).astype(np.float32) * [[1], [10], [0.01]] for _ in range(3)]
    together = watch(kind(axis=1), batches)
    for channel in range(3):
        alone = watch(kind(), [batch[:, channel] for batch in batches])
        for ours, single in zip(together.range(4, symmetric=False), alone.range(4, symmetric=False)):
            assert ours[channel] == single


@pytest.mark.parametrize("kind", MERGE_EXACTLY)
@pytest.mark.parametrize("axis", [None, 1])
def test_batches_in_any_order_and_merged_give_the_range_of_all_the_data(kind, axis) -> None:
    rng = np.random.default_rng(3)
    batches = [(rng.standard_t(2, (50, 4)) * 10.0**power).astype(np.float32) for power in (-3, 1, 0, -1)]
    whole = kind(axis=axis).observe(np.concatenate(batches)).range(4, symmetric=False)
    in_turn = watch(kind(axis=axis), batches[::-1]).range(4, symmetric=False)
    halves = watch(kind(axis=axis), batches[:2]) + watch(kind(axis=axis), batches[2:])
    np.testing.assert_array_equal(in_turn, whole)
    np.testing.assert_array_equal(halves.range(4, symmetric=False), whole)


def test_merged_moving_averages_are_those_of_the_batches_one_after_the_other() -> None:
    batches = np.random.default_rng(4).standard_normal((9, 5, 20))
    for axis in (None, 0):
        one_by_one = watch(MovingAverage(axis=axis, rate=0.1), batches)
        merged = watch(MovingAverage(axis=axis, rate=0.1), batches[:4]).merge(
            watch(MovingAverage(axis=axis, rate=0.1), batches[4:])
        )
        np.testing.assert_allclose(merged.range(), one_by_one.range(), rtol=1e-12)
        np.testing.assert_array_equal(merged.batches, 9)


def test_the_moving_average_forgets_at_its_rate() -> None:
    # After a first batch of maximum 1, n batches of maximum 0 leave (1 − rate)^n.
    observer = watch(MovingAverage(rate=0.25), [[0.0, 1.0]] + [[0.0, 0.0]] * 3)
    assert observer.range()[1] == 0.75**3


def test_the_moving_average_of_opposite_extremes_does_not_overflow() -> None:
    largest = np.finfo(np.float32).max
    extremes = [np.array([value], np.float32) for value in (largest, -largest, largest)]
    observer = watch(MovingAverage(rate=0.5), extremes)
    np.testing.assert_array_equal(observer.range(), np.float32([largest / 2, largest / 2]))
    merged = watch(MovingAverage(rate=0.5), extremes[:1]) + watch(MovingAverage(rate=0.5), extremes[1:])
    np.testing.assert_array_equal(merged.range(), observer.range())


@pytest.mark.parametrize("kind", KINDS)
def test_an_observer_that_saw_nothing_changes_nothing(kind) -> None:
    seen = kind().observe([1.0, -2.0, 3.0])
    for merged in (seen + kind(), kind() + seen):
        np.testing.assert_array_equal(merged.range(), seen.range())


@pytest.mark.parametrize("kind", KINDS)
def test_observing_leaves_the_observer_as_it_was(kind) -> None:
    before = kind()
    after = before.observe([1.0, 2.0])
    assert (before.channels, after.channels) == (0, 1)
    with pytest.raises(FrozenInstanceError):
        after.axis = 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axis", [None, 0])
def test_skipping_counts_what_is_not_finite_and_uses_the_rest(kind, axis) -> None:
    rng = np.random.default_rng(5)
    clean = rng.standard_normal((2, 2, 500)).astype(np.float32)
    dirty = np.concatenate([clean, np.full((2, 2, 3), np.nan), np.full((2, 2, 1), -np.inf)], axis=2, dtype=np.float32)
    seen = watch(kind(axis=axis, on_non_finite="skip"), dirty)
    assert seen.skipped == 16
    np.testing.assert_array_equal(seen.range(), watch(kind(axis=axis), clean).range())
    assert (seen + seen).skipped == 32


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_without_a_finite_value_only_counts(kind) -> None:
    observer = kind(axis=0, on_non_finite="skip").observe([[1.0, -3.0], [np.nan, np.inf]])
    with pytest.raises(ValueError, match="channel 1"):
        observer.range()
    filled = observer.observe([[np.nan, np.nan], [2.0, -4.0]]).observe([[1.0, -3.0], [np.nan, np.nan]])
    assert filled.skipped == 6
    assert np.isfinite(filled.range()).all()
    np.testing.assert_array_equal(filled.range(), kind(axis=0).observe([[1.0, -3.0], [2.0, -4.0]]).range())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0.0, 1.0, -7.25, 1e-44, 3e38])
@pytest.mark.parametrize("symmetric", [True, False])
def test_a_constant_tensor_comes_back_as_it_was(kind, value, symmetric) -> None:
    x = np.full(100, value, np.float32)
    scheme = kind().observe(x).fit(8, symmetric=symmetric)
    # A scale is a normal number: below 2^-126, the smallest of them, a value is lost in half a step.
    np.testing.assert_allclose(fake_quantize(scheme, x), x, rtol=1e-6, atol=float(np.finfo(np.float32).tiny))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.uint16, np.int64])
def test_every_real_dtype_is_observed(kind, dtype) -> None:
    x = np.arange(100).reshape(10, 10).astype(dtype)
    expected = kind().observe(x.astype(np.float64)).range()
    np.testing.assert_array_equal(kind().observe(x).range(), expected)


def test_min_max_keeps_float32_so_that_scales_are_those_of_fit() -> None:
    x = np.random.default_rng(6).standard_normal((4, 100)).astype(np.float32)
    ours = MinMax(axis=0).observe(x[:, :50]).observe(x[:, 50:]).fit(8, symmetric=False, signed=False)
    direct = Uniform.fit(x, 8, symmetric=False, signed=False, axis=0)
    np.testing.assert_array_equal(ours.scale, direct.scale)
    np.testing.assert_array_equal(ours.zero_point, direct.zero_point)


def test_float16_batches_are_averaged_in_float32() -> None:
    batches = [np.array([value], np.float16) for value in (1, 2)]
    assert watch(MovingAverage(rate=0.01), batches).range()[1] == np.float32(1.01)


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=200),
    st.sampled_from([50.0, 90.0, 99.0, 99.9, 100.0]),
    st.booleans(),
)
@settings(deadline=None)
def test_a_percentile_range_keeps_its_share_and_no_bin_more(values, percent, symmetric) -> None:
    x = np.sort(np.array(values, np.float32))
    observer = Percentile(percent=percent, bins=64).observe(x)
    low, high = observer.range(symmetric=symmetric)
    width = observer.histograms[0].width
    if symmetric:
        keep = len(x) - int(len(x) * (1000 - round(percent * 10)) // 1000)
        exact = np.sort(np.abs(x))[keep - 1]
        assert exact <= max(-low, high) <= exact + width
    else:
        cut = int(len(x) * (1000 - round(percent * 10)) // 2000)
        assert x[cut] - width <= low <= x[cut]
        assert x[-1 - cut] <= high <= x[-1 - cut] + width


def test_a_percentile_is_the_decimal_number_as_written() -> None:
    # 99.9 % of 2000 values leaves out exactly one on each side, and of 1000 exactly one magnitude; every value has a
    # bin of its own, of width 1. In binary arithmetic (100 − 99.9)/200·2000 is .99999… and nothing would be left out.
    x = 2 * np.arange(2000.0)
    assert Percentile(percent=99.9).observe(x).range(symmetric=False) == (2, 3997)
    assert Percentile(percent=99.9).observe(x[:1000]).range()[1] == 1996.5


def test_the_hundredth_percentile_is_the_whole_range() -> None:
    x = samples()["heavy tails"]
    assert Percentile(percent=100).observe(x).range(symmetric=False) == (x.min(), x.max())


@pytest.mark.slow
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("name", samples())
def test_the_mse_range_is_as_good_as_the_best_of_a_dense_search(name, bits) -> None:
    x = samples()[name]
    observer = MSE().observe(x)
    low, high = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
    shrink = np.append(np.geomspace(0.01, 1, 60), np.linspace(0.02, 0.98, 49))
    if bits > 1:
        best = min(squared(x, Uniform.from_range(-clip, clip, bits)) for clip in shrink * max(-low, high))
        assert squared(x, observer.fit(bits)) <= best * 1.005
    # The search ends in a minimum along each of its lines; at 2 bits the mirror image of its zero point may be better.
    ends = np.linspace(0.05, 1, 16)
    best = min(
        squared(x, Uniform.from_range(low * a, high * b, bits, symmetric=False))
        for a in (ends if low else [0.0])
        for b in ends
    )
    assert squared(x, observer.fit(bits, symmetric=False)) <= best * 1.01


def test_the_flat_bins_error_is_the_integral_of_the_squared_error() -> None:
    rng = np.random.default_rng(8)
    edges = np.sort(rng.normal(0, 2, 30))
    counts = rng.integers(1, 9, 29)
    for step, lowest, highest in ((0.03, -128, 127), (1.0, -1, 1), (5.0, -2, 1), (0.2, 0, 15)):
        points = [left + (right - left) * (np.arange(20_000) + 0.5) / 20_000 for left, right in pairwise(edges)]
        errors = [np.square(x - step * np.clip(np.rint(x / step), lowest, highest)).mean() for x in points]
        expected = np.average(errors, weights=counts)
        assert squared_error((edges[:-1], edges[1:], counts), step, lowest, highest) == pytest.approx(
            expected, rel=1e-5
        )


def test_a_bin_drawn_in_to_one_value_has_the_error_of_that_value() -> None:
    value = np.array([0.7])
    assert squared_error((value, value, np.array([3])), 0.5, -2, 1) == pytest.approx(0.2**2)


def test_divergence_is_zero_where_every_level_is_flat_and_nothing_is_cut() -> None:
    edges = np.arange(-8.0, 9.0)
    # Levels at −4, 0 and 4 hold the bins −6..−3, −2..1 and 2..5 (by centre); −7, −8, 6 and 7 lie outside ±4 steps.
    flat = (edges[:-1], edges[1:], np.full(16, 5))
    assert divergence(flat, 4.0, -2, 2) == pytest.approx(0, abs=1e-15)
    assert divergence(flat, 4.0, -1, 1) > 0.1
    assert divergence(flat, 0.5, -128, 127) == np.inf


def test_what_is_cut_off_is_added_to_the_outermost_bin_on_its_side() -> None:
    # The range 2..4 holds the bins with the centres 2½ and 3½, which round to its two levels; 3 values lie below.
    counts = np.array([1, 2, 3, 4, 5, 6])
    edges = np.arange(7.0)
    expected = kl_divergence(np.array([3 + 1 + 2, 4 + 5 + 6]), np.array([3, 4]))
    assert divergence((edges[:-1], edges[1:], counts), 2.0, 1, 2) == pytest.approx(expected)
    mirrored = (-edges[:0:-1], -edges[-2::-1], counts[::-1])
    assert divergence(mirrored, 2.0, -2, -1) == pytest.approx(expected)


def test_kl_divergence_of_two_coins() -> None:
    # Cover and Thomas, "Elements of Information Theory", example 2.3.1, in nats: p = (1/2, 1/2), q = (3/4, 1/4).
    assert kl_divergence(np.array([1, 1]), np.array([3, 1])) == pytest.approx(np.log(2) - np.log(3) / 2)
    assert kl_divergence(np.array([1, 0]), np.array([1, 1])) == pytest.approx(np.log(2))
    assert kl_divergence(np.array([1, 1]), np.array([1, 0])) == np.inf


def test_entropy_cuts_an_outlier_off_and_min_max_does_not() -> None:
    x = samples(200_000)["one outlier"]
    assert MinMax().observe(x).range()[1] == 100
    assert Entropy().observe(x).range(8)[1] < 20


def test_entropy_is_not_led_astray_by_the_zeros_of_a_relu() -> None:
    x = samples(200_000)["after relu"]
    with_zeros = Entropy().observe(x).range(8, symmetric=False)[1]
    without = Entropy().observe(x[x > 0]).range(8, symmetric=False)[1]
    assert with_zeros == pytest.approx(without, rel=0.02)


def test_entropy_keeps_the_whole_range_when_steps_are_finer_than_bins() -> None:
    x = samples()["gauss"]
    assert Entropy(bins=64).observe(x).range(8, symmetric=False) == (x.min(), x.max())


# Four bits, symmetric: 15 levels, whose best step on N(0, 1) is Max's entry for 15 levels, .3534; ±7 steps.
def test_analytic_range_of_a_gaussian_ends_at_the_outermost_level() -> None:
    x = samples(400_000)["gauss"]
    low, high = Analytic(density="gauss").observe(3 * x).range(4)
    assert high == pytest.approx(3 * 7 * 0.3534, rel=0.005)
    assert low == pytest.approx(-3 * 7 * 0.3534, rel=0.005)


@pytest.mark.parametrize(("density", "name"), [("gauss", "gauss"), ("laplace", "laplace")])
@pytest.mark.parametrize("bits", [2, 3, 4, 6])
@pytest.mark.parametrize("symmetric", [True, False])
def test_the_exact_rule_is_nearly_as_good_as_a_search_on_its_own_density(density, name, bits, symmetric) -> None:
    # An affine quantizer has a level at zero, the optimum of an even number of levels has none: hence 6 %.
    x = samples(200_000)[name]
    analytic = squared(x, Analytic(density=density).observe(x).fit(bits, symmetric=symmetric))
    assert analytic <= squared(x, MSE().observe(x).fit(bits, symmetric=symmetric)) * 1.06


def test_the_aciq_rule_takes_the_published_step() -> None:
    x = samples(400_000)["laplace"]
    low, high = Analytic(density="laplace", rule="aciq").observe(x).range(4, symmetric=False)
    assert high - low == pytest.approx(2 * 5.0286 * 15 / 16, rel=0.01)
    assert aciq_clip("laplace", 4) == pytest.approx(5.0286, abs=1e-4)


def test_mean_and_spread_come_from_the_histogram_to_a_fraction_of_a_bin() -> None:
    x = samples()["off centre"].astype(np.float64)
    width = Histogram.of(x, 4096).width
    for density, spread in (("gauss", x.std()), ("laplace", np.abs(x - x.mean()).mean())):
        observer = Analytic(density=density).observe(x)
        mean, estimate = observer._mean_and_spread(observer.histograms[0])
        assert mean == pytest.approx(x.mean(), abs=width / 10)
        assert estimate == pytest.approx(spread, abs=width / 10)


def test_what_is_remembered_does_not_grow_with_the_data() -> None:
    rng = np.random.default_rng(9)
    for kind in KINDS:
        observer = kind(axis=1, on_non_finite="skip")
        for power in range(-30, 30):
            observer = observer.observe(rng.standard_normal((10, 2)) * 10.0**power)
        arrays = [getattr(observer, part.name) for part in fields(observer)]
        histograms = [h for part in arrays if isinstance(part, tuple) for h in part]
        assert sum(part.nbytes for part in arrays if isinstance(part, np.ndarray)) <= 5 * 2 * 8
        assert all(h.counts.size <= h.bins for h in histograms)


def test_conventions_reach_the_quantizer() -> None:
    scheme = MSE().observe([1.0, -2.0]).fit(4, symmetric=False, signed=False, rounding="half_away", reciprocal=True)
    assert (scheme.bits, scheme.signed, scheme.rounding, scheme.reciprocal) == (4, False, "half_away", True)
    assert Conventions(4, False, False).schemes(np.zeros(2), np.ones(2)).scale.shape == (2,)
