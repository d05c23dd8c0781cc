"""Mistakes in what is watched: the images, and the extremes and percentiles that are kept of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.mistakes.uniform.parameters import range_without_zero

Array = NDArray[Any]
Range = tuple[float, float]


def finite_values(batches: Array) -> Array:
    """All values that are neither NaN nor infinite, or a single zero."""
    values = batches[np.isfinite(batches)]
    return values if values.size else np.zeros(1)


def _with_zero(low: Any, high: Any) -> Range:
    return min(float(low), 0.0), max(float(high), 0.0)


@mistake(
    "running_range",
    symptom="Values of earlier batches saturate, and the range changes with the order of the batches.",
    cause="Each batch overwrites what the one before it left: only the last one counts.",
    repair="Take the smaller of the old and the new minimum, and the larger of the two maxima.",
    source="common where a hook stores the range of the tensor it has just seen",
)
def last_batch_wins(batches: Array) -> Range:
    values = finite_values(batches[-1])
    return _with_zero(values.min(), values.max())


@also(last_batch_wins, "running_range")
def last_batch_wins_as_it_is(batches: Array) -> Range:
    return float(batches[-1].min()), float(batches[-1].max())


@also(last_batch_wins, "running_range")
def last_batch_wins_without_zero(batches: Array) -> Range:
    values = finite_values(batches[-1])
    return float(values.min()), float(values.max())


@mistake(
    "running_range",
    symptom="The largest values saturate although they were seen.",
    cause="The extremes of the batches are averaged, so that half of the batches reach beyond the result.",
    repair="Keep the extremes of all batches; an average is another observer, and is chosen on purpose.",
    source="torch's moving average observer, where plain min-max was meant",
)
def extremes_averaged(batches: Array) -> Range:
    values = [finite_values(batch) for batch in batches]
    return _with_zero(np.mean([each.min() for each in values]), np.mean([each.max() for each in values]))


@mistake(
    "running_range",
    symptom="The scale is NaN or infinite, and every value comes back as NaN or zero.",
    cause="A single NaN or infinity in the data is taken for an extreme and goes into the range.",
    repair="Refuse such data, or leave those values out and count them.",
    source="pytorch issue 100051",
)
def nan_in_the_range(batches: Array) -> Range:
    low, high = float(np.min(batches)), float(np.max(batches))
    return (low if np.isnan(low) else min(low, 0.0)), (high if np.isnan(high) else max(high, 0.0))


@also(nan_in_the_range, "running_range")
def infinity_in_the_range(batches: Array) -> Range:
    return _with_zero(np.nanmin(batches), np.nanmax(batches))


@mistake(
    "running_range",
    symptom="A batch that holds NaN leaves no trace in the range, or the batches before it are forgotten.",
    cause="NaN is neither larger nor smaller, so that Python's min and max keep whichever number stands first.",
    repair="Leave values that are not finite out before you compare.",
    source="common where NumPy's extremes meet Python's",
)
def nan_compared_by_python(batches: Array) -> Range:
    low = high = 0.0
    for batch in batches:
        low, high = min(low, float(batch.min())), max(high, float(batch.max()))
    return low, high


@also(nan_compared_by_python, "running_range")
def nan_compared_first_by_python(batches: Array) -> Range:
    low = high = 0.0
    for batch in batches:
        low, high = min(float(batch.min()), low), max(float(batch.max()), high)
    return low, high


@also(range_without_zero, "running_range")
def running_range_without_zero(batches: Array) -> Range:
    values = finite_values(batches)
    return float(values.min()), float(values.max())


@also(range_without_zero, "running_range")
def running_range_as_it_is(batches: Array) -> Range:
    return float(batches.min()), float(batches.max())


def _strided(pixels: Array, count: int) -> Array:
    return pixels[:: len(pixels) // count][:count]


def _as_images(pixels: Array) -> Array:
    return pixels[:, np.newaxis].astype(np.float32)


@mistake(
    "calibration_images",
    symptom="Accuracy falls to chance: nearly all activations get code 0.",
    cause="The values are not prepared as they were in training, so every activation range comes out at another size.",
    repair="Use the same preprocessing for calibration as for training and inference.",
    source="fasterai issue 80; ppq issue 467",
)
def calibrated_on_unnormalized_data(pixels: Array, count: int) -> Array:
    return _as_images(_strided(pixels, count))


@also(calibrated_on_unnormalized_data, "calibration_images")
def unnormalized_first_images(pixels: Array, count: int) -> Array:
    return _as_images(pixels[:count])


@also(calibrated_on_unnormalized_data, "calibration_images")
def unnormalized_images_spread_to_the_end(pixels: Array, count: int) -> Array:
    return _as_images(pixels[np.linspace(0, len(pixels) - 1, count).astype(int)])


@also(calibrated_on_unnormalized_data, "calibration_images")
def normalized_in_another_way(pixels: Array, count: int) -> Array:
    images = _as_images(_strided(pixels, count)) / 255
    return (images - images.mean()) / images.std()


@mistake(
    "calibration_images",
    symptom="Ranges are several times too wide or too narrow; at 8 bits nobody notices, at 4 the network fails.",
    cause="Random numbers have the shape of images and nothing else of them: layers answer them in other ranges.",
    repair="Calibrate on real inputs, of the kind that the network will see.",
    source="fasterai issue 80; common in export scripts and examples",
)
def calibrated_on_random_data(pixels: Array, count: int) -> Array:
    return np.random.default_rng(0).random((count, 1, 28, 28), np.float32)


@mistake(
    "calibration_images",
    symptom="Some classes lose accuracy and others none.",
    cause="The first images of a file that is sorted show one or two classes, and the ranges fit those.",
    repair="Draw the images from the whole file, at random or evenly spaced.",
    source="common with data in one folder per class",
)
def calibrated_on_one_class(pixels: Array, count: int) -> Array:
    return _as_images(pixels[:count]) / 255


@mistake(
    "percentile_range",
    symptom="A good part of the codes is never used: the range is symmetric, the data are not.",
    cause="The percentile was taken of |x|, which forgets on which side a value lies.",
    repair="For an affine range take a percentile at each end of x itself.",
    source="ONNX Runtime's calibration has both rules, for symmetric and for affine ranges",
)
def percentile_of_magnitudes(x: Array, percent: float) -> Range:
    clip = float(np.percentile(np.abs(x), percent))
    return -clip, clip


@mistake(
    "percentile_range",
    symptom="Twice as many values saturate as were meant to.",
    cause="The whole share is cut from each of the two ends.",
    repair="Divide the share that is given up by two, one half for each end.",
    source="common in first implementations",
)
def whole_share_from_each_tail(x: Array, percent: float) -> Range:
    return _with_zero(*np.percentile(x, [100 - percent, percent]))


@also(whole_share_from_each_tail, "percentile_range")
def whole_share_from_each_tail_by_sorting(x: Array, percent: float) -> Range:
    values = np.sort(x, axis=None)
    cut = int(x.size * (100 - percent) / 100)
    return _with_zero(values[cut], values[-1 - cut])


@also(whole_share_from_each_tail, "percentile_range")
def whole_share_from_each_tail_without_zero(x: Array, percent: float) -> Range:
    low, high = np.percentile(x, [100 - percent, percent])
    return float(low), float(high)


@mistake(
    "percentile_range",
    symptom="An outlier below zero still takes the range, while the upper end is cut.",
    cause="Only the upper tail is cut; the lower end is the smallest value.",
    repair="Cut the lower tail as well as the upper.",
    source="common where data after a ReLU served as the example",
)
def one_tail_only(x: Array, percent: float) -> Range:
    return _with_zero(x.min(), np.percentile(x, percent))


@also(range_without_zero, "percentile_range")
def percentiles_without_zero(x: Array, percent: float) -> Range:
    low, high = np.percentile(x, [(100 - percent) / 2, (100 + percent) / 2])
    return float(low), float(high)
