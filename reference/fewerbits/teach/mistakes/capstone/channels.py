"""Mistakes in judging a layer channel by channel, in decibels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.mistakes.uniform.parameters import (
    largest_value_for_largest_magnitude,
    levels_per_side,
    scaled_by_the_negative_end,
)
from fewerbits.teach.mistakes.uniform.tensors import one_scale_for_all_channels, wrong_axis

Array = NDArray[Any]
Pair = tuple[Array, Array]


def _by_channel(weight: Array) -> Array:
    return np.asarray(weight, np.float64).reshape(len(weight), -1)


def _restored(w: Array, peak: Array | float, steps: int) -> Array:
    scale = peak / steps
    return scale * np.rint(w / scale)


def _steps(bits: int) -> int:
    return 2 ** (bits - 1) - 1


def _decibels(w: Array, w_hat: Array) -> Array:
    return 10 * np.log10(np.square(w).sum(axis=1) / np.square(w_hat - w).sum(axis=1))


def _both(weight: Array, bits: int, steps: int | None = None) -> Pair:
    w, steps = _by_channel(weight), steps or _steps(bits)
    peaks = np.abs(w).max(axis=1, keepdims=True)
    return _decibels(w, _restored(w, peaks.max(), steps)), _decibels(w, _restored(w, peaks, steps))


@mistake(
    "channel_sqnr",
    symptom="All channels seem equally good, and the layer looks fine.",
    cause="Signal and noise were summed over the whole tensor: the large channels hide the small ones.",
    repair="Sum over all axes but the first.",
    source="one SQNR per layer, as most tools report it",
)
def one_ratio_for_the_tensor(weight: Array, bits: int) -> Pair:
    w = _by_channel(weight)
    peaks = np.abs(w).max(axis=1, keepdims=True)
    flat = w.reshape(1, -1)
    each = (_restored(w, peaks.max(), _steps(bits)), _restored(w, peaks, _steps(bits)))
    one_scale, own_scale = (np.full(len(w), _decibels(flat, w_hat.reshape(1, -1))[0]) for w_hat in each)
    return one_scale, own_scale


@mistake(
    "channel_sqnr",
    symptom="Every number of decibels is half of what it should be.",
    cause="The ratio of amplitudes was taken for one of powers.",
    repair="Take 10·log₁₀ of a ratio of squares, or 20·log₁₀ of a ratio of amplitudes.",
    source="common",
)
def ratio_of_amplitudes(weight: Array, bits: int) -> Pair:
    one_scale, own_scale = _both(weight, bits)
    return one_scale / 2, own_scale / 2


@mistake(
    "channel_sqnr",
    symptom="Every number of decibels is twice what it should be: 12 dB per bit.",
    cause="The factor 20 belongs to amplitudes; squares are powers already.",
    repair="Take 10·log₁₀ of a ratio of squares.",
    source="common",
)
def decibels_counted_twice(weight: Array, bits: int) -> Pair:
    one_scale, own_scale = _both(weight, bits)
    return 2 * one_scale, 2 * own_scale


@mistake(
    "channel_sqnr",
    symptom="The numbers are negative, and the best channel has the lowest.",
    cause="The noise is divided by the signal.",
    repair="Divide the signal by the noise.",
    source="common",
)
def noise_over_signal(weight: Array, bits: int) -> Pair:
    one_scale, own_scale = _both(weight, bits)
    return -one_scale, -own_scale


@mistake(
    "channel_sqnr",
    symptom="The numbers are 2.3 times too large.",
    cause="A decibel is a tenth of a decimal logarithm, and this is the natural one.",
    repair="Take the decimal logarithm, np.log10.",
    source="np.log is the natural logarithm",
)
def natural_logarithm(weight: Array, bits: int) -> Pair:
    one_scale, own_scale = _both(weight, bits)
    return one_scale * np.log(10), own_scale * np.log(10)


@mistake(
    "channel_sqnr",
    symptom="A scale per channel seems to be the worse choice.",
    cause="The two results are returned in the wrong order.",
    repair="Return what belongs to one scale first.",
    source="common",
)
def results_in_the_wrong_order(weight: Array, bits: int) -> Pair:
    one_scale, own_scale = _both(weight, bits)
    return own_scale, one_scale


@also(wrong_axis, "channel_sqnr")
def scales_along_the_inputs(weight: Array, bits: int) -> Pair:
    w = np.asarray(weight, np.float64)
    peaks = np.abs(w).max(axis=tuple(axis for axis in range(w.ndim) if axis != 1), keepdims=True)
    return _both(weight, bits)[0], _decibels(_by_channel(w), _by_channel(_restored(w, peaks, _steps(bits))))


@also(one_scale_for_all_channels, "channel_sqnr")
def one_scale_in_both_results(weight: Array, bits: int) -> Pair:
    one_scale, _ = _both(weight, bits)
    return one_scale, one_scale


@also(levels_per_side, "channel_sqnr")
def sqnr_with_levels_per_side(weight: Array, bits: int) -> Pair:
    return _both(weight, bits, steps=2**bits - 1)


@also(scaled_by_the_negative_end, "channel_sqnr")
def sqnr_scaled_by_the_negative_end(weight: Array, bits: int) -> Pair:
    w, steps = _by_channel(weight), 2 ** (bits - 1)
    scales = np.abs(w).max(axis=1, keepdims=True) / steps
    one_scale, own_scale = (
        _decibels(w, scale * np.clip(np.rint(w / scale), -steps, steps - 1)) for scale in (scales.max(), scales)
    )
    return one_scale, own_scale


@also(scaled_by_the_negative_end, "channel_sqnr")
def sqnr_scaled_by_the_negative_end_unclipped(weight: Array, bits: int) -> Pair:
    return _both(weight, bits, steps=2 ** (bits - 1))


@also(largest_value_for_largest_magnitude, "channel_sqnr")
def sqnr_of_the_largest_values(weight: Array, bits: int) -> Pair:
    w = _by_channel(weight)
    largest = w.max(axis=1, keepdims=True)
    return _decibels(w, _restored(w, largest.max(), _steps(bits))), _decibels(w, _restored(w, largest, _steps(bits)))


@also(largest_value_for_largest_magnitude, "channel_sqnr")
def sqnr_of_the_largest_values_clipped(weight: Array, bits: int) -> Pair:
    w, steps = _by_channel(weight), _steps(bits)
    scales = w.max(axis=1, keepdims=True) / steps
    one_scale, own_scale = (
        _decibels(w, scale * np.clip(np.rint(w / scale), -steps, steps)) for scale in (scales.max(), scales)
    )
    return one_scale, own_scale
