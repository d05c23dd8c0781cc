"""Mistakes with free levels: which code, which level, and what storing them costs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.mistakes.uniform.tensors import metadata_not_counted, one_scale_for_all_channels
from fewerbits.tensor.quantiles import NF4

FloatArray = NDArray[np.floating]
Codes = NDArray[Any]


@mistake(
    "nearest_level",
    symptom="The error is two to four times what the codebook promises, and all values move in one direction.",
    cause="The levels themselves are used as thresholds, so that a value goes to the next one, not to the nearest.",
    repair="Compare with the midpoints between neighbouring levels.",
    source="common: numpy.searchsorted and digitize are given the levels",
)
def levels_as_thresholds(x: FloatArray, levels: FloatArray) -> Codes:
    return np.minimum(np.searchsorted(levels, x), len(levels) - 1)


@also(levels_as_thresholds, "nearest_level")
def levels_as_lower_thresholds(x: FloatArray, levels: FloatArray) -> Codes:
    return np.maximum(np.searchsorted(levels, x, side="right") - 1, 0)


@also(levels_as_thresholds, "nearest_level")
def levels_as_thresholds_unclamped(x: FloatArray, levels: FloatArray) -> Codes:
    return np.searchsorted(levels, x)


@also(levels_as_thresholds, "nearest_level")
def levels_counted_below(x: FloatArray, levels: FloatArray) -> Codes:
    return np.searchsorted(levels, x, side="right")


@mistake(
    "nearest_level",
    symptom="Values near the dense levels come back far away; the outermost levels are right.",
    cause="The code is computed as if the levels were equally far apart, which those of a codebook are not.",
    repair="Look for the nearest level; no division by one step gives it.",
    source="common when a uniform quantizer is adapted",
)
def codebook_taken_for_equal_steps(x: FloatArray, levels: FloatArray) -> Codes:
    steps = max(len(levels) - 1, 1)
    step = (levels[-1] - levels[0]) / steps or 1.0
    return np.clip(np.rint((x - levels[0]) / step), 0, len(levels) - 1).astype(np.int32)


@mistake(
    "nearest_level",
    symptom="Every value gets the same code, the first or the last.",
    cause="The smallest difference is taken instead of the smallest distance: a large negative difference wins.",
    repair="Compare |x − level|.",
    source="common in first implementations",
)
def difference_for_distance(x: FloatArray, levels: FloatArray) -> Codes:
    return np.argmin(levels - x[..., np.newaxis], axis=-1)


@also(difference_for_distance, "nearest_level")
def difference_for_distance_reversed(x: FloatArray, levels: FloatArray) -> Codes:
    return np.argmin(x[..., np.newaxis] - levels, axis=-1)


def _cells(x: FloatArray, levels: FloatArray) -> list[FloatArray]:
    codes = np.searchsorted((levels[1:] + levels[:-1]) / 2, x)
    return [x[codes == code] for code in range(len(levels))]


@mistake(
    "lloyd_step",
    symptom="The iteration stops early, with levels too far out and an error above the optimum.",
    cause="The level goes to the middle of its cell, while the values crowd on one side of it.",
    repair="Take the mean of the values in the cell (the centroid condition).",
    source="common: the first of the two conditions is remembered, the second is not",
)
def centroid_condition_skipped(x: FloatArray, levels: FloatArray) -> FloatArray:
    return np.array(
        [(cell.min() + cell.max()) / 2 if cell.size else level for cell, level in zip(_cells(x, levels), levels)]
    )


@also(centroid_condition_skipped, "lloyd_step")
def middle_of_the_thresholds(x: FloatArray, levels: FloatArray) -> FloatArray:
    edges = np.concatenate([[x.min()], (levels[1:] + levels[:-1]) / 2, [x.max()]])
    return (edges[1:] + edges[:-1]) / 2


@mistake(
    "lloyd_step",
    symptom="The iteration converges, to levels with a larger squared error than k-means finds.",
    cause="The median is the best level for the absolute error; for the squared error another average is.",
    repair="Take the mean of the values in the cell.",
    source="common; it is the right choice for k-medians",
)
def median_for_mean(x: FloatArray, levels: FloatArray) -> FloatArray:
    return np.array([np.median(cell) if cell.size else level for cell, level in zip(_cells(x, levels), levels)])


@mistake(
    "lloyd_step",
    symptom="After some iterations all levels are NaN.",
    cause="A cell without any value has no mean, 0/0; the NaN then spoils the thresholds of the next iteration.",
    repair="Let the level of an empty cell stay where it is.",
    source="common; libraries move such a level to the values with the largest error",
)
def empty_cell_becomes_nan(x: FloatArray, levels: FloatArray) -> FloatArray:
    return np.array([cell.mean() if cell.size else np.nan for cell in _cells(x, levels)])


@mistake(
    "lloyd_step",
    symptom="A level jumps to zero though no value is near it.",
    cause="The sum over a cell without any value, 0, is taken for its mean.",
    repair="Let the level of an empty cell stay where it is.",
    source="common: sums divided by max(count, 1)",
)
def empty_cell_becomes_zero(x: FloatArray, levels: FloatArray) -> FloatArray:
    return np.array([cell.sum() / max(cell.size, 1) for cell in _cells(x, levels)])


@also(levels_as_thresholds, "lloyd_step")
def levels_as_thresholds_in_lloyds_step(x: FloatArray, levels: FloatArray) -> FloatArray:
    codes = levels_as_thresholds(x, levels)
    means = [x[codes == code].mean() if (codes == code).any() else level for code, level in enumerate(levels)]
    return np.array(means)


@also(metadata_not_counted, "bits_per_weight")
def codes_alone(count: int, levels: int, group_size: int, scale_bits: int, fixed_levels: bool) -> float:
    return math.ceil(math.log2(levels))


@also(metadata_not_counted, "bits_per_weight")
def scales_not_counted(count: int, levels: int, group_size: int, scale_bits: int, fixed_levels: bool) -> float:
    return math.ceil(math.log2(levels)) + (0 if fixed_levels else 32 * levels / count)


@also(metadata_not_counted, "bits_per_weight")
def codebook_not_counted(count: int, levels: int, group_size: int, scale_bits: int, fixed_levels: bool) -> float:
    return math.ceil(math.log2(levels)) + scale_bits * math.ceil(count / group_size) / count


@mistake(
    "bits_per_weight",
    symptom="A codebook of 12 levels is said to take 3.58 bits, and the file is larger.",
    cause="Codes of a fixed length are whole numbers of bits; the logarithm of the number of levels is not.",
    repair="Round log₂ of the number of levels up.",
    source="common; the entropy of the codes is another thing",
)
def fractional_code_bits(count: int, levels: int, group_size: int, scale_bits: int, fixed_levels: bool) -> float:
    metadata = scale_bits * math.ceil(count / group_size) + (0 if fixed_levels else 32 * levels)
    return math.log2(levels) + metadata / count


@mistake(
    "bits_per_weight",
    symptom="Formats such as NF4 come out larger than they are, above all on small layers.",
    cause="Levels that the format itself fixes are known to every reader; they are not stored with the tensor.",
    repair="Count a codebook only where it belongs to the tensor.",
    source="common in first implementations",
)
def fixed_levels_counted(count: int, levels: int, group_size: int, scale_bits: int, fixed_levels: bool) -> float:
    metadata = scale_bits * math.ceil(count / group_size) + 32 * levels
    return math.ceil(math.log2(levels)) + metadata / count


def _compressed(weights: FloatArray, group_size: int, kind: Any) -> tuple[Codes, FloatArray, FloatArray]:
    blocks = weights.reshape(-1, group_size)
    scale = np.abs(blocks).max(axis=1, keepdims=True).astype(kind)
    levels = NF4.astype(np.float16)
    thresholds = (levels[1:].astype(np.float32) + levels[:-1]) / 2
    return np.searchsorted(thresholds, blocks / scale), levels, scale


@also(metadata_not_counted, "compress")
def scales_that_cost_a_bit(weights: FloatArray) -> tuple[Codes, FloatArray, FloatArray]:
    return _compressed(weights, 32, np.float32)


@also(one_scale_for_all_channels, "compress")
def one_scale_for_the_layer(weights: FloatArray) -> tuple[Codes, FloatArray, FloatArray]:
    return _compressed(weights, weights.size, np.float32)


@also(levels_as_thresholds, "compress")
def levels_as_thresholds_in_a_layer(weights: FloatArray) -> tuple[Codes, FloatArray, FloatArray]:
    _, levels, scale = _compressed(weights, 48, np.float16)
    return levels_as_thresholds(weights.reshape(-1, 48) / scale, levels), levels, scale
