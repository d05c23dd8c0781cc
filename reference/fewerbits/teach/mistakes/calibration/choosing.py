"""Mistakes in the choice of a range: how its errors are counted, and what it is made to depend on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.calibration.observing import finite_values, nan_in_the_range
from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.mistakes.uniform.parameters import codes_counted_for_steps, levels_per_side

Array = NDArray[Any]


def _errors(x: Array, clip: float, steps: int) -> tuple[Array, Array]:
    """For each value how far it lies beyond ±clip, and its rounding error if it does not; both in float64."""
    values = x.astype(np.float64)
    step = clip / steps
    beyond = np.maximum(np.abs(values) - clip, 0)
    return beyond, np.where(beyond > 0, 0, values - step * np.rint(values / step))


@mistake(
    "two_errors",
    symptom="Clipping looks far worse than it is, and the best range comes out much too wide.",
    cause="The error is averaged over the few values that are clipped, and not over all: the two parts do not add up.",
    repair="Divide both sums by the number of all values.",
    source="common in first implementations",
)
def averaged_over_the_few(x: Array, clip: float, bits: int) -> tuple[float, float]:
    beyond, within = _errors(x, clip, 2 ** (bits - 1) - 1)
    clipped = beyond > 0
    clipping = float(np.mean(beyond[clipped] ** 2)) if clipped.any() else 0.0
    return clipping, float(np.mean(within[~clipped] ** 2)) if not clipped.all() else 0.0


@mistake(
    "two_errors",
    symptom="The range is far too small for tensors with a long negative tail.",
    cause="Only values above the clip count as clipped; those below its negative are overlooked.",
    repair="Compare the magnitude with the clip.",
    source="common where data after a ReLU served as the example",
)
def negative_side_forgotten(x: Array, clip: float, bits: int) -> tuple[float, float]:
    values = x.astype(np.float64)
    step = clip / (2 ** (bits - 1) - 1)
    beyond = np.maximum(values - clip, 0)
    within = np.where(values <= clip, values - step * np.rint(values / step), 0)
    return float(np.mean(beyond**2)), float(np.mean(within**2))


@mistake(
    "two_errors",
    symptom="The two parts add up to more than the error that is measured.",
    cause="What clipping costs is contained in both numbers: the second is the whole error of the quantizer.",
    repair="Count rounding error for the values within the range only.",
    source="common in first implementations",
)
def clipped_counted_twice(x: Array, clip: float, bits: int) -> tuple[float, float]:
    beyond, within = _errors(x, clip, 2 ** (bits - 1) - 1)
    return float(np.mean(beyond**2)), float(np.mean(beyond**2 + within**2))


@mistake(
    "two_errors",
    symptom="Both errors are those of another quantizer: negative values count as kept, and the steps are too small.",
    cause="The range 0 … clip is divided into 2^b − 1 steps, as for data after a ReLU; here the codes have a sign.",
    repair="Divide the clip by the largest code, 2^(b−1) − 1, and compare magnitudes with it.",
    source="common where data after a ReLU served as the example",
)
def steps_of_an_unsigned_range(x: Array, clip: float, bits: int) -> tuple[float, float]:
    values = x.astype(np.float64)
    step = clip / (2**bits - 1)
    within = np.where(values <= clip, values - step * np.rint(values / step), 0)
    return float(np.mean(np.maximum(values - clip, 0) ** 2)), float(np.mean(within**2))


@mistake(
    "two_errors",
    symptom="A wider range seems to clip more, and a narrower one to round more.",
    cause="The two results are returned in the other order.",
    repair="Return the clipping error first.",
    source="common in first implementations",
)
def results_exchanged(x: Array, clip: float, bits: int) -> tuple[float, float]:
    beyond, within = _errors(x, clip, 2 ** (bits - 1) - 1)
    return float(np.mean(within**2)), float(np.mean(beyond**2))


@mistake(
    "two_errors",
    symptom="The two parts do not add up to the error that is measured.",
    cause="The root was taken of each mean square; squares add up, roots do not.",
    repair="Return the mean of the squares.",
    source="common in first implementations",
)
def root_of_the_mean_square(x: Array, clip: float, bits: int) -> tuple[float, float]:
    beyond, within = _errors(x, clip, 2 ** (bits - 1) - 1)
    return math.sqrt(np.mean(beyond**2)), math.sqrt(np.mean(within**2))


@also(levels_per_side, "two_errors")
def two_errors_with_levels_per_side(x: Array, clip: float, bits: int) -> tuple[float, float]:
    beyond, within = _errors(x, clip, 2**bits - 1)
    return float(np.mean(beyond**2)), float(np.mean(within**2))


@also(codes_counted_for_steps, "two_errors")
def two_errors_with_codes_counted(x: Array, clip: float, bits: int) -> tuple[float, float]:
    beyond, within = _errors(x, clip, 2 ** (bits - 1))
    return float(np.mean(beyond**2)), float(np.mean(within**2))


@mistake(
    "two_errors",
    symptom="The errors grow with the number of values, and cannot be compared between tensors.",
    cause="The squares are added up and not divided by their number.",
    repair="Take the mean over all values.",
    source="common in first implementations",
)
def sums_for_means(x: Array, clip: float, bits: int) -> tuple[float, float]:
    beyond, within = _errors(x, clip, 2 ** (bits - 1) - 1)
    return float(np.sum(beyond**2)), float(np.sum(within**2))


@mistake(
    "best_clip",
    symptom="One value far from all others makes the steps so wide that the others lose most of their bits.",
    cause="The range goes to the most extreme value, whatever that costs all others.",
    repair="Weigh clipping error against rounding error, or leave out a small share of the values.",
    source="many; e.g. Wu et al. 2020, arXiv:2004.09602, for max calibration",
)
def one_outlier_takes_the_range(x: Array, bits: int) -> float:
    return float(np.max(np.abs(x)))


@mistake(
    "best_clip",
    symptom="Good at one number of bits, too narrow with more and too wide with fewer.",
    cause="The clip is a fixed multiple of the spread and does not depend on the bits.",
    repair="Choose the clip for the number of levels: the more there are, the further out it lies.",
    source="the “three sigma” rule, in use in many projects",
)
def three_sigma_for_all_bits(x: Array, bits: int) -> float:
    return 3 * float(np.std(x.astype(np.float64)))


def _clip(spread: Any, bits: int, factor: float = 3) -> float:
    """spread·u with u·exp(u) = factor·4^bits, by Newton's method on u + log(u)."""
    wanted = math.log(factor * 4**bits)
    u = 1.0
    for _ in range(50):
        u -= (u + math.log(u) - wanted) / (1 + 1 / u)
    return float(spread) * u


@mistake(
    "laplace_clip",
    symptom="The clip is wider than the best by about the factor √2.",
    cause="The standard deviation stands in the place of the parameter β of the density; for Laplace they differ.",
    repair="Use the mean distance from the mean, which is β.",
    source="ACIQ uses b for Laplace and σ for Gauss; the two are easily exchanged",
)
def deviation_for_mean_distance(x: Array, bits: int) -> float:
    return _clip(np.std(x.astype(np.float64)), bits)


@mistake(
    "laplace_clip",
    symptom="The clip is right for data around zero and far too wide for data around another value.",
    cause="The mean magnitude was taken, which is the spread only of data whose mean is zero.",
    repair="Subtract the mean first.",
    source="common where weights served as the example",
)
def mean_not_removed(x: Array, bits: int) -> float:
    return _clip(np.mean(np.abs(x.astype(np.float64))), bits)


@mistake(
    "laplace_clip",
    symptom="The clip moves when a constant is added to all values.",
    cause="The mean was added: that is the upper end of a range, and the clip is how far it reaches from the mean.",
    repair="Return α; its range is from mean − α to mean + α.",
    source="common where the range and its half width have one name",
)
def mean_added_to_the_clip(x: Array, bits: int) -> float:
    values = x.astype(np.float64)
    return float(values.mean()) + _clip(np.mean(np.abs(values - values.mean())), bits)


@mistake(
    "laplace_clip",
    symptom="The clip is the same whatever the data are.",
    cause="What solves the equation is the ratio of clip and spread; the spread of the data is not in it yet.",
    repair="Multiply the ratio by β.",
    source="common where a table of ratios is taken for one of clips",
)
def spread_forgotten(x: Array, bits: int) -> float:
    return _clip(1.0, bits)


@also(three_sigma_for_all_bits, "laplace_clip")
def ratio_of_4_bits_for_all_bits(x: Array, bits: int) -> float:
    values = x.astype(np.float64)
    return _clip(np.mean(np.abs(values - values.mean())), 4)


@also(levels_per_side, "laplace_clip")
def laplace_clip_with_levels_per_side(x: Array, bits: int) -> float:
    values = x.astype(np.float64)
    return _clip(np.mean(np.abs(values - values.mean())), bits, 12)


@also(one_outlier_takes_the_range, "robust_range")
def one_activation_takes_the_range(seen: Array, bits: int) -> tuple[float, float]:
    values = finite_values(seen)
    return float(values.min()), float(values.max())


@mistake(
    "robust_range",
    symptom="Good at 4 bits; at 8 bits every further bit is lost, because too much is cut.",
    cause="The same percentile was taken for all bits: with finer steps the same cut costs far more than rounding.",
    repair="Choose the range for the number of bits: by least squared error, or a percentile for each.",
    source="common where a percentile was found good once and kept",
)
def one_percentile_for_all_bits(seen: Array, bits: int) -> tuple[float, float]:
    return 0.0, float(np.percentile(finite_values(seen), 99.9))


@also(nan_in_the_range, "robust_range")
def nan_in_the_range_of_a_layer(seen: Array, bits: int) -> tuple[float, float]:
    return float(np.min(seen)), float(np.max(seen))


@also(nan_in_the_range, "robust_range")
def infinity_in_the_range_of_a_layer(seen: Array, bits: int) -> tuple[float, float]:
    return float(np.nanmin(seen)), float(np.nanmax(seen))


@also(nan_in_the_range, "robust_range")
def nan_in_the_upper_end_of_a_layer(seen: Array, bits: int) -> tuple[float, float]:
    return 0.0, float(np.max(seen))
