"""Wrong arguments to observers, histograms and clipping."""

from __future__ import annotations

import numpy as np
from fewerbits.tensor.calibration import MSE, Analytic, Entropy, MinMax, MovingAverage, Percentile
from fewerbits.tensor.clipping import (
    aciq_clip,
    clipping_error,
    expected_clipping_error,
    expected_rounding_error,
    optimal_clip,
    optimal_step,
    rounding_error,
    uniform_error,
)
from fewerbits.tensor.histogram import Histogram

from tests.bad_input import Case

X = [0.5, -1.0]
KINDS = (MinMax, MovingAverage, Percentile, MSE, Entropy, Analytic)
UNSEEN = MinMax()
SEEN = MSE().observe(X)

CASES = [
    *(Case(f"{k.__name__}_nan", lambda k=k: k().observe([1.0, np.nan]), ValueError, ("batch", "nan")) for k in KINDS),
    *(Case(f"{k.__name__}_infinity", lambda k=k: k().observe([-np.inf]), ValueError, ("batch", "inf")) for k in KINDS),
    *(Case(f"{k.__name__}_empty", lambda k=k: k().observe([]), ValueError, ("batch", "empty")) for k in KINDS),
    *(Case(f"{k.__name__}_complex", lambda k=k: k().observe([1j]), TypeError, ("batch", "complex")) for k in KINDS),
    *(Case(f"{k.__name__}_bool", lambda k=k: k().observe([True]), TypeError, ("batch", "bool")) for k in KINDS),
    *(Case(f"{k.__name__}_unseen", lambda k=k: k().range(), ValueError, ("observer", "no batch")) for k in KINDS),
    *(Case(f"{k.__name__}_bits", lambda k=k: k().observe(X).fit(17), ValueError, ("bits", "17")) for k in KINDS),
    Case("observe_object", lambda: UNSEEN.observe([object()]), TypeError, ("batch", "object")),
    Case("observe_nan_inside", lambda: MinMax(axis=1).observe([[1, 2], [3, np.nan]]), ValueError, ("batch", "(1, 1)")),
    Case("one_symmetric_bit", lambda: SEEN.range(1), ValueError, ("bits=1", "symmetric")),
    Case("analytic_one_symmetric_bit", lambda: Analytic().observe(X).fit(1), ValueError, ("bits=1", "symmetric")),
    Case("bits_float", lambda: SEEN.range(8.0), TypeError, ("bits", "8.0")),  # type: ignore[arg-type]
    Case("symmetric_number", lambda: SEEN.range(8, symmetric=1), TypeError, ("symmetric", "1")),  # type: ignore[arg-type]
    Case(
        "narrow_bit", lambda: SEEN.range(1, symmetric=False, narrow_range=True), ValueError, ("narrow_range", "bits=1")
    ),
    Case("rounding", lambda: SEEN.fit(8, rounding="up"), ValueError, ("rounding", "up")),
    Case("axis_too_large", lambda: MinMax(axis=2).observe([X]), ValueError, ("axis", "2")),
    Case("axis_of_scalar", lambda: MinMax(axis=0).observe(1.0), ValueError, ("axis", "scalar")),
    Case("axis_float", lambda: MinMax(axis=0.0), TypeError, ("axis", "0.0")),  # type: ignore[arg-type]
    Case("axis_bool", lambda: Percentile(axis=True), TypeError, ("axis", "True")),
    Case("channels", lambda: MSE(axis=0).observe([X, X]).observe([X]), ValueError, ("batch", "1 channels", "2 were")),
    Case("on_non_finite", lambda: MinMax(on_non_finite="drop"), ValueError, ("on_non_finite", "drop", "skip")),
    Case(
        "nothing_finite", lambda: MinMax(on_non_finite="skip").observe([np.nan]).range(), ValueError, ("observer", "0")
    ),
    Case("merge_kind", lambda: SEEN.merge(UNSEEN), TypeError, ("other", "MinMax", "MSE")),  # type: ignore[arg-type]
    Case("merge_number", lambda: SEEN + 1, TypeError, ("other", "int")),  # type: ignore[operator]
    Case("merge_subclass", lambda: UNSEEN.merge(MovingAverage()), TypeError, ("other", "MovingAverage")),
    Case("merge_axis", lambda: MinMax(axis=0).merge(UNSEEN), ValueError, ("other.axis", "None", "0")),
    Case("merge_bins", lambda: SEEN.merge(MSE(bins=64)), ValueError, ("other.bins", "64", "4096")),
    Case("merge_percent", lambda: Percentile().merge(Percentile(percent=50)), ValueError, ("other.percent", "50")),
    Case("merge_rate", lambda: MovingAverage() + MovingAverage(rate=0.5), ValueError, ("other.rate", "0.5")),
    Case("merge_density", lambda: Analytic() + Analytic(density="laplace"), ValueError, ("other.density", "laplace")),
    Case("merge_skip", lambda: UNSEEN + MinMax(on_non_finite="skip"), ValueError, ("other.on_non_finite", "skip")),
    Case("percent_zero", lambda: Percentile(percent=0), ValueError, ("percent", "0")),
    Case("percent_over", lambda: Percentile(percent=100.1), ValueError, ("percent", "100.1")),
    Case("percent_nan", lambda: Percentile(percent=np.nan), ValueError, ("percent", "nan")),
    Case("percent_text", lambda: Percentile(percent="99"), TypeError, ("percent", "99")),  # type: ignore[arg-type]
    Case("rate_zero", lambda: MovingAverage(rate=0), ValueError, ("rate", "0")),
    Case("rate_over", lambda: MovingAverage(rate=1.5), ValueError, ("rate", "1.5")),
    Case("bins_few", lambda: Entropy(bins=8), ValueError, ("bins", "8", "16")),
    Case("bins_float", lambda: Entropy(bins=64.0), TypeError, ("bins", "64.0")),  # type: ignore[arg-type]
    Case("density", lambda: Analytic(density="cauchy"), ValueError, ("density", "cauchy", "laplace")),
    Case("rule", lambda: Analytic(rule="guess"), ValueError, ("rule", "guess", "aciq")),
    Case("histogram_nan", lambda: Histogram.of([np.nan]), ValueError, ("x", "nan")),
    Case("histogram_bins", lambda: Histogram(1), ValueError, ("bins", "1")),
    Case("histogram_of_bins", lambda: Histogram.of(X, 2), ValueError, ("bins", "2")),
    Case("histogram_merge", lambda: Histogram().merge(3), TypeError, ("other", "3")),  # type: ignore[arg-type]
    Case("histogram_merge_bins", lambda: Histogram(16).merge(Histogram(32)), ValueError, ("other.bins", "32", "16")),
    Case("histogram_finer", lambda: Histogram.of(X).coarsen(-99), ValueError, ("exponent", "-99")),
    Case("histogram_exponent_float", lambda: Histogram.of(X).coarsen(1.5), TypeError, ("exponent", "1.5")),  # type: ignore[arg-type]
    Case("histogram_rank_zero", lambda: Histogram.of(X).order_statistic(0), ValueError, ("rank", "0")),
    Case("histogram_rank_over", lambda: Histogram.of(X).order_statistic(3), ValueError, ("rank", "3")),
    Case("histogram_rank_empty", lambda: Histogram().order_statistic(1), ValueError, ("rank", "1")),
    Case("clip_zero", lambda: clipping_error(X, 0), ValueError, ("clip", "positive")),
    Case("clip_negative", lambda: rounding_error(X, [1.0, -2.0]), ValueError, ("clip", "-2.0")),
    Case("clip_nan", lambda: clipping_error(X, np.nan), ValueError, ("clip", "nan")),
    Case("clip_empty", lambda: clipping_error(X, []), ValueError, ("clip", "empty")),
    Case("clip_x_nan", lambda: clipping_error([np.nan], 1), ValueError, ("x", "nan")),
    Case("clip_x_bool", lambda: rounding_error([True], 1), TypeError, ("x", "bool")),
    Case("rounding_error_bits", lambda: rounding_error(X, 1, 1), ValueError, ("bits", "1")),
    Case("expected_density", lambda: expected_clipping_error("normal", 1), ValueError, ("density", "normal")),
    Case("expected_clip", lambda: expected_rounding_error(-1, 4), ValueError, ("clip", "-1")),
    Case("expected_bits", lambda: expected_rounding_error(1, 0), ValueError, ("bits", "0")),
    Case("aciq_density", lambda: aciq_clip("Gauss", 4), ValueError, ("density", "Gauss")),
    Case("aciq_bits", lambda: aciq_clip("gauss", 4.0), TypeError, ("bits", "4.0")),  # type: ignore[arg-type]
    Case("step_levels", lambda: optimal_step("gauss", 1), ValueError, ("levels", "1")),
    Case("step_negative", lambda: uniform_error("gauss", -1, 4), ValueError, ("step", "-1")),
    Case("optimal_clip_bits", lambda: optimal_clip("laplace", 17), ValueError, ("bits", "17")),
]
