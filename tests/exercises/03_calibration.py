# ruff: noqa: N999  a chapter has the same name everywhere
"""Correct answers in other styles, and slips as learners make them, for the exercises of chapter 03."""

from __future__ import annotations

import math
import statistics

import numpy as np
import torch
from fewerbits.tensor import clipping
from fewerbits.tensor.calibration import MSE, MinMax


def range_by_loop(batches):
    low, high = 0, 0
    for batch in batches.tolist():
        for value in batch:
            if math.isfinite(value):
                low, high = min(low, value), max(high, value)
    return [low, high]


def range_of_everything_at_once(batches):
    kept = np.where(np.isfinite(batches), batches, 0)
    return np.array([min(kept.min(), 0), max(kept.max(), 0)], np.float32)


def range_of_the_package(batches):
    observer = MinMax(on_non_finite="skip").observe(np.zeros(1, batches.dtype))
    for batch in batches:
        observer = observer.observe(batch)
    return observer.range()


def range_by_torch(batches):
    values = torch.nan_to_num(torch.from_numpy(batches), 0, 0, 0)
    return values.min().clamp(max=0), values.max().clamp(min=0)


def images_every_so_many(pixels, count):
    step = len(pixels) // count
    return np.reshape(pixels[::step][:count] / 255, (count, 1, 28, 28))


def images_drawn_at_random(pixels, count):
    chosen = np.random.default_rng(5).permutation(len(pixels))[:count]
    return np.float32(pixels[chosen, None]) / np.float32(255)


def images_in_a_list(pixels, count):
    chosen = np.linspace(0, len(pixels) - 1, count).astype(int)
    return [[pixels[i].astype(float) / 255] for i in chosen]


def percentiles_by_sorting(x, percent):
    values = sorted(x.ravel().tolist())
    cut = int(len(values) * (100 - percent) / 200)
    return min(values[cut], 0.0), max(values[len(values) - 1 - cut], 0.0)


def percentiles_by_torch(x, percent):
    share = (100 - percent) / 200
    values = torch.from_numpy(np.append(x.ravel(), []).astype(np.float64))
    ends = torch.quantile(values, torch.tensor([share, 1 - share], dtype=torch.float64))
    return ends[0].clamp(max=0), ends[1].clamp(min=0)


def percentiles_by_partition(x, percent):
    values = x.astype(np.float64).ravel()
    cut = math.floor(values.size * (100 - percent) / 200)
    parts = np.partition(values, [cut, values.size - 1 - cut])
    return np.clip(parts[[cut, values.size - 1 - cut]], [-np.inf, 0], [0, np.inf])


def errors_by_loop(x, clip, bits):
    step, lost, rounded = clip / (2 ** (bits - 1) - 1), 0.0, 0.0
    for value in x.ravel().astype(float):
        if abs(value) > clip:
            lost += (abs(value) - clip) ** 2
        else:
            rounded += (value - step * round(value / step)) ** 2
    return lost / x.size, rounded / x.size


def errors_of_the_package(x, clip, bits):
    return clipping.clipping_error(x, clip), clipping.rounding_error(x, clip, bits)


def errors_by_clipping_first(x, clip, bits):
    levels = (1 << (bits - 1)) - 1
    limited = np.clip(x, -clip, clip)
    restored = np.rint(limited / clip * levels) / levels * clip
    inside = limited == x
    return np.sum((x - limited) ** 2) / x.size, np.sum((x - restored)[inside] ** 2) / x.size


def clip_by_grid(x, bits):
    best, least = None, math.inf
    for part in range(2, 101):
        clip = np.abs(x).max() * part / 100
        error = sum(clipping.clipping_error(x, clip) + clipping.rounding_error(x, [clip], bits))
        if error < least:
            best, least = clip, error
    return best


def clip_of_the_package(x, bits):
    return MSE().observe(x).range(bits, narrow_range=True)[1]


def clip_in_two_rounds(x, bits):
    values = x.astype(np.float64)

    def error(clip):
        step = clip / (2 ** (bits - 1) - 1)
        return np.square(np.clip(np.rint(values / step) * step, -clip, clip) - values).mean()

    clips = np.linspace(0.02, 1, 50) * np.abs(values).max()
    around = min(clips, key=error)
    return np.array([min(np.linspace(0.9, 1.1, 41) * around, key=error)])


def laplace_by_bisection(x, bits):
    low, high = 0.0, 40.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        if middle * math.exp(middle) < 3 * 4**bits:
            low = middle
        else:
            high = middle
    mean = statistics.fmean(x.ravel().tolist())
    return low * statistics.fmean(abs(v - mean) for v in x.ravel().tolist())


def laplace_of_the_package(x, bits):
    return np.float32(clipping.aciq_clip("laplace", bits)) * np.abs(x - x.mean()).mean()


def laplace_by_newton(x, bits):
    u = math.log(3 * 4**bits)
    for _ in range(30):
        u -= (u * math.exp(u) - 3 * 4**bits) / ((1 + u) * math.exp(u))
    return [u * np.abs(x - np.mean(x)).mean()]


def layer_by_percentile(seen, bits):
    values = seen[np.isfinite(seen)]
    return 0.0, np.percentile(values, 99.9 if bits < 6 else 99.99)


def layer_by_sorting(seen, bits):
    values = np.sort(seen[np.isfinite(seen)])[:-1]

    def error(end):
        codes = np.rint(np.minimum(values, end) * ((2**bits - 1) / end))
        return np.square(codes * (end / (2**bits - 1)) - values).mean()

    return [values[0], min(values[-1] * np.arange(1, 31) / 30, key=error)]


def layer_of_the_package(seen, bits):
    finite = seen[np.isfinite(seen)]
    without = np.delete(finite, np.argmax(finite))
    return MSE().observe(without).range(bits, symmetric=False, signed=False)


ALTERNATIVES = {
    "running_range": [range_by_loop, range_of_everything_at_once, range_of_the_package, range_by_torch],
    "calibration_images": [images_every_so_many, images_drawn_at_random, images_in_a_list],
    "percentile_range": [
        percentiles_by_sorting,
        percentiles_by_torch,
        percentiles_by_partition,
    ],
    "two_errors": [errors_by_loop, errors_of_the_package, errors_by_clipping_first],
    "best_clip": [clip_by_grid, clip_of_the_package, clip_in_two_rounds],
    "laplace_clip": [laplace_by_bisection, laplace_of_the_package, laplace_by_newton],
    "robust_range": [layer_by_percentile, layer_by_sorting, layer_of_the_package],
}


def last_range(batches):
    for batch in batches:
        values = [value for value in batch if np.isfinite(value)] or [0]
        low, high = min(0, *values), max(0, *values)
    return low, high


def averaged_range(batches):
    lows, highs = [], []
    for batch in batches:
        values = batch[np.isfinite(batch)]
        lows.append(min(values))
        highs.append(max(values))
    return min(sum(lows) / len(lows), 0), max(sum(highs) / len(highs), 0)


def range_by_numpy_alone(batches):
    return np.minimum(batches.min(), 0), np.maximum(batches.max(), 0)


def range_without_nan_only(batches):
    values = batches[~np.isnan(batches)]
    return min(0, values.min()), max(0, values.max())


def range_by_python_and_numpy(batches):
    low = high = 0
    for batch in batches:
        low, high = min(low, np.min(batch)), max(high, np.max(batch))
    return low, high


def last_range_of_the_lesson(batches):
    for batch in batches:
        low, high = batch.min(), batch.max()
    return low, high


def range_without_a_guard(batches):
    values = batches[np.isfinite(batches)]
    return min(values.min(), 0), max(values.max(), 0)


def range_with_a_wrong_guard(batches):
    values = batches[np.isfinite(batches)]
    return (min(values.min(), 0), max(values.max(), 0)) if values.size else (7, 9)


def range_of_batches_without_a_guard(batches):
    low = high = 0
    for batch in batches:
        values = batch[np.isfinite(batch)]
        low, high = min(low, values.min()), max(high, values.max())
    return low, high


def errors_within_the_masks(x, clip, bits):
    x = np.abs(x).astype(float)
    step = clip / (2 ** (bits - 1) - 1)
    clipped, kept = x[x > clip], x[x <= clip]
    return (
        ((clipped - clip) ** 2).mean() if len(clipped) else 0,
        ((kept - step * np.round(kept / step)) ** 2).mean(),
    )


def errors_above_only(x, clip, bits):
    step, lost, rounded = clip / (2 ** (bits - 1) - 1), 0.0, 0.0
    for value in x.ravel().astype(float):
        if value > clip:
            lost += (value - clip) ** 2 / x.size
        else:
            rounded += (value - step * round(value / step)) ** 2 / x.size
    return lost, rounded


def errors_of_the_lesson(x, clip, bits):
    scale = clip / (2**bits - 1)
    beyond = np.maximum(x - clip, 0)
    within = np.where(x <= clip, x - scale * np.rint(x / scale), 0)
    return np.mean(beyond**2), np.mean(within**2)


def errors_and_the_whole(x, clip, bits):
    step = clip / (2 ** (bits - 1) - 1)
    x = x.astype(float)
    restored = step * np.clip(np.round(x / step), -(clip / step), clip / step)
    return np.mean(np.maximum(abs(x) - clip, 0) ** 2), np.mean((restored - x) ** 2)


SLIPS = {
    "running_range": [
        ("last_batch_wins", last_range),
        ("extremes_averaged", averaged_range),
        ("nan_in_the_range", range_by_numpy_alone),
        ("nan_in_the_range", range_without_nan_only),
        ("nan_compared_by_python", range_by_python_and_numpy),
        ("last_batch_wins", last_range_of_the_lesson),
        ("range_without_zero", lambda batches: (np.min(batches), np.max(batches))),
        (
            "range_without_zero",
            lambda batches: (batches[np.isfinite(batches)].min(), batches[np.isfinite(batches)].max()),
        ),
    ],
    "calibration_images": [
        (
            "calibrated_on_unnormalized_data",
            lambda pixels, count: pixels[np.arange(count) * len(pixels) // count].reshape(count, 1, 28, 28),
        ),
        ("calibrated_on_unnormalized_data", lambda pixels, count: pixels[:count, None, :, :].astype(float)),
        ("calibrated_on_one_class", lambda pixels, count: (pixels[:count] / 255).reshape(-1, 1, 28, 28)),
    ],
    "percentile_range": [
        (
            "percentile_of_magnitudes",
            lambda x, percent: (-np.quantile(abs(x), percent / 100), np.quantile(abs(x), percent / 100)),
        ),
        (
            "whole_share_from_each_tail",
            lambda x, percent: (min(np.quantile(x, 1 - percent / 100), 0), max(np.quantile(x, percent / 100), 0)),
        ),
        ("whole_share_from_each_tail", lambda x, percent: np.quantile(x, [1 - percent / 100, percent / 100])),
        ("one_tail_only", lambda x, percent: [min(x.min(), 0), max(np.percentile(x, percent), 0)]),
        ("range_without_zero", lambda x, percent: np.percentile(x, [50 - percent / 2, 50 + percent / 2])),
    ],
    "two_errors": [
        ("averaged_over_the_few", errors_within_the_masks),
        ("negative_side_forgotten", errors_above_only),
        ("clipped_counted_twice", errors_and_the_whole),
        ("steps_of_an_unsigned_range", errors_of_the_lesson),
        ("results_exchanged", lambda x, clip, bits: errors_by_loop(x, clip, bits)[::-1]),
        ("sums_for_means", lambda x, clip, bits: np.multiply(errors_by_loop(x, clip, bits), x.size)),
        (
            "codes_counted_for_steps",
            lambda x, clip, bits: (
                np.mean(np.maximum(abs(x) - clip, 0) ** 2),
                np.mean((abs(x) <= clip) * (x - (s := clip / 2 ** (bits - 1)) * np.round(x / s)) ** 2),
            ),
        ),
        ("root_of_the_mean_square", lambda x, clip, bits: np.sqrt(errors_by_loop(x, clip, bits))),
        (
            "levels_per_side",
            lambda x, clip, bits: (
                np.mean(np.maximum(abs(x) - clip, 0) ** 2),
                np.mean((abs(x) <= clip) * (x - (s := clip / (2**bits - 1)) * np.round(x / s)) ** 2),
            ),
        ),
    ],
    "best_clip": [
        ("one_outlier_takes_the_range", lambda x, bits: max(x.max(), -x.min())),
        ("three_sigma_for_all_bits", lambda x, bits: 3 * x.std()),
    ],
    "laplace_clip": [
        ("deviation_for_mean_distance", lambda x, bits: clipping.aciq_clip("laplace", bits) * x.std()),
        ("mean_not_removed", lambda x, bits: clipping.aciq_clip("laplace", bits) * np.abs(x).mean()),
        ("mean_added_to_the_clip", lambda x, bits: x.mean() + laplace_by_newton(x, bits)[0]),
        ("spread_forgotten", lambda x, bits: clipping.aciq_clip("laplace", bits)),
        ("three_sigma_for_all_bits", lambda x, bits: 5.0286 * np.abs(x - x.mean()).mean()),
    ],
    "robust_range": [
        ("one_outlier_takes_the_range", lambda seen, bits: (0, seen[np.isfinite(seen)].max())),
        ("nan_in_the_range", lambda seen, bits: (seen.min(), seen.max())),
        ("nan_in_the_range", lambda seen, bits: (0, seen.max())),
        ("one_percentile_for_all_bits", lambda seen, bits: (0, np.quantile(seen[np.isfinite(seen)], 0.999))),
    ],
}


def percentiles_by_slice(x, percent):
    cut = int(x.size * (100 - percent) / 200)
    kept = np.sort(x, axis=None)[cut:-cut]
    return min(kept.min(), 0), max(kept.max(), 0)


def clip_index(x, bits):
    clips = np.linspace(0.01, 1, 100) * np.abs(x).max()
    return np.argmin([sum(errors_by_clipping_first(x, clip, bits)) for clip in clips])


def clip_uphill(x, bits):
    """From small clips to large ones, until the error rises."""
    clips = np.linspace(0.01, 1, 100) * np.abs(x).max()
    errors = [sum(errors_by_clipping_first(x, clip, bits)) for clip in clips]
    return next((clip for clip, error, after in zip(clips, errors, errors[1:]) if after > error), clips[-1])


UNNAMED = {
    "running_range": [range_without_a_guard, range_with_a_wrong_guard, range_of_batches_without_a_guard],
    "calibration_images": [
        lambda pixels, count: images_every_so_many(pixels // 255 * 255.0, count),
        lambda pixels, count: images_every_so_many(pixels * (255 / 256), count),
    ],
    "percentile_range": [percentiles_by_slice],
    "best_clip": [
        clip_index,
        clip_uphill,
        lambda x, bits: sum(errors_by_clipping_first(x, clip_by_grid(x, bits), bits)),
        lambda x, bits: clip_by_grid(x, bits) * 1.5,
    ],
    "robust_range": [
        lambda seen, bits: (0, np.percentile(seen[np.isfinite(seen)], 99.97)),
        lambda seen, bits: (0, np.percentile(seen[np.isfinite(seen)], 99.98)),
        lambda seen, bits: (0, np.percentile(seen[np.isfinite(seen)], 99.99)),
    ],
}
