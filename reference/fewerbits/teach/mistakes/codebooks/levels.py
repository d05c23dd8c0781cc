"""Mistakes with free levels: which code, and which level."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.record import also, mistake

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


@mistake(
    "nearest_level",
    symptom="Codes of codebooks in ascending order are right; a float format, in the order of its codes, is garbled.",
    cause="Midpoints between neighbours in the list, and a search among them, presume that the levels ascend.",
    repair="Compare all distances; or sort the levels, and translate the places in the sorted list back into codes.",
    source="common: numpy.searchsorted does not check that its list ascends",
)
def ascending_levels_presumed(x: FloatArray, levels: FloatArray) -> Codes:
    return np.searchsorted((levels[1:] + levels[:-1]) / 2, x)


@mistake(
    "nearest_level",
    symptom="Codes of codebooks in ascending order are right; with others each value comes back as some other level.",
    cause="The codes are places among the sorted levels; the list as it was given has another order.",
    repair="Translate the places back, with the order that np.argsort gives: order[places].",
    source="common where a table is sorted before it is searched",
)
def places_among_the_sorted_levels(x: FloatArray, levels: FloatArray) -> Codes:
    ascending = np.sort(levels)
    return np.searchsorted((ascending[1:] + ascending[:-1]) / 2, x)


@mistake(
    "nearest_level",
    symptom="What should be whole numbers has decimals, and cannot be stored in a few bits.",
    cause="The levels themselves are returned; a code is the number of a level in the list.",
    repair="Return the place of the nearest level, not the level.",
    source="common where quantizing and restoring are one function",
)
def levels_for_codes(x: FloatArray, levels: FloatArray) -> FloatArray:
    return levels[_codes(x, levels)]


def _codes(x: FloatArray, levels: FloatArray) -> Codes:
    return np.argmin(np.abs(x[..., np.newaxis] - levels), axis=-1)


def _cells(x: FloatArray, levels: FloatArray, importance: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
    codes = _codes(x, levels)
    return [(x[codes == code], importance[codes == code]) for code in range(len(levels))]


def _mean(x: FloatArray, importance: FloatArray) -> float:
    return float(np.sum(importance * x) / np.sum(importance))


@mistake(
    "lloyd_step",
    symptom="The weighted error of the iteration rises now and then, and its end is that of plain k-means.",
    cause="All values of a cell count the same in its level, the important ones no more than the others.",
    repair="Take the mean weighted by the importance: Σ importance·x / Σ importance.",
    source="common when k-means is adapted to the sensitivity of weights",
)
def importance_ignored(x: FloatArray, levels: FloatArray, importance: FloatArray) -> FloatArray:
    pairs = zip(_cells(x, levels, importance), levels)
    return np.array([cell.mean() if cell.size else level for (cell, _), level in pairs])


@mistake(
    "lloyd_step",
    symptom="All levels are too large or too small by one factor, and move away in each iteration.",
    cause="A sum weighted by the importance is divided by the number of values, which is another sum.",
    repair="Divide by the sum of the importance in the cell.",
    source="common with weighted means",
)
def weighted_sum_over_the_count(x: FloatArray, levels: FloatArray, importance: FloatArray) -> FloatArray:
    pairs = zip(_cells(x, levels, importance), levels)
    return np.array([(weight * cell).mean() if cell.size else level for (cell, weight), level in pairs])


@mistake(
    "lloyd_step",
    symptom="The iteration stops early, with levels too far out and an error above the optimum.",
    cause="The level goes to the middle of its cell, while the values crowd on one side of it.",
    repair="Take the mean of the values in the cell (the centroid condition).",
    source="common: the first of the two conditions is remembered, the second is not",
)
def centroid_condition_skipped(x: FloatArray, levels: FloatArray, importance: FloatArray) -> FloatArray:
    pairs = zip(_cells(x, levels, importance), levels)
    return np.array([(cell.min() + cell.max()) / 2 if cell.size else level for (cell, _), level in pairs])


@also(centroid_condition_skipped, "lloyd_step")
def middle_of_the_thresholds(x: FloatArray, levels: FloatArray, importance: FloatArray) -> FloatArray:
    edges = np.concatenate([[x.min()], (levels[1:] + levels[:-1]) / 2, [x.max()]])
    return (edges[1:] + edges[:-1]) / 2


@mistake(
    "lloyd_step",
    symptom="The iteration converges, to levels with a larger squared error than k-means finds.",
    cause="The median is the best level for the absolute error; for the squared error another average is.",
    repair="Take the weighted mean of the values in the cell.",
    source="common; it is the right choice for k-medians",
)
def median_for_mean(x: FloatArray, levels: FloatArray, importance: FloatArray) -> FloatArray:
    pairs = zip(_cells(x, levels, importance), levels)
    return np.array([np.median(cell) if cell.size else level for (cell, _), level in pairs])


@mistake(
    "lloyd_step",
    symptom="After some iterations all levels are NaN.",
    cause="A cell without any value has no mean, 0/0; the NaN then spoils the thresholds of the next iteration.",
    repair="Let the level of an empty cell stay where it is.",
    source="common; libraries move such a level to the values with the largest error",
)
def empty_cell_becomes_nan(x: FloatArray, levels: FloatArray, importance: FloatArray) -> FloatArray:
    cells = _cells(x, levels, importance)
    return np.array([_mean(cell, weight) if cell.size else np.nan for cell, weight in cells])


@mistake(
    "lloyd_step",
    symptom="A level jumps to zero though no value is near it.",
    cause="The sum over a cell without any value, 0, is taken for its mean.",
    repair="Let the level of an empty cell stay where it is.",
    source="common: sums divided by max(count, 1)",
)
def empty_cell_becomes_zero(x: FloatArray, levels: FloatArray, importance: FloatArray) -> FloatArray:
    cells = _cells(x, levels, importance)
    return np.array([_mean(cell, weight) if cell.size else 0.0 for cell, weight in cells])


@also(levels_as_thresholds, "lloyd_step")
def levels_as_thresholds_in_lloyds_step(x: FloatArray, levels: FloatArray, importance: FloatArray) -> FloatArray:
    codes = levels_as_thresholds(x, levels)
    cells = [(x[codes == code], importance[codes == code]) for code in range(len(levels))]
    return np.array([_mean(*cell) if cell[0].size else level for cell, level in zip(cells, levels)])


@mistake(
    "lloyd_step",
    symptom="The levels depend on the order in which they are moved; later ones miss values near their thresholds.",
    cause="The nearest levels are looked up again after each level that has moved, so the steps are mixed.",
    repair="Find all codes once, from the levels as they came, then move all levels.",
    source="common where the search stands inside the loop over the levels",
)
def codes_recomputed(x: FloatArray, levels: FloatArray, importance: FloatArray) -> FloatArray:
    moved = levels.astype(np.float64)
    for code in range(len(levels)):
        cell, weight = _cells(x, moved, importance)[code]
        moved[code] = _mean(cell, weight) if cell.size else moved[code]
    return moved
