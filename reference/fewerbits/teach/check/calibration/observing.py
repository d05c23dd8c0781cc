"""What is watched: running extremes, the calibration images, and percentiles. Right answers by sorting and counting."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits import data
from fewerbits.teach.check.task import Between, Output, Probe, Task

Array = NDArray[Any]


def right_running_range(batches: Array) -> tuple[float, float]:
    """Smallest and largest of zero and all finite values, one by one."""
    values = sorted([0.0, *(float(value) for value in batches.flat if math.isfinite(value))])
    return values[0], values[-1]


def _running_range_probes() -> list[Probe]:
    rng = np.random.default_rng(30)
    spoiled = rng.normal(size=(4, 6)).astype(np.float32)
    spoiled[1, 2], spoiled[2, 0] = np.nan, np.inf
    return [
        (np.array([[-0.5, 1.0]]),),
        (np.array([[-1.0, 2.0], [-0.5, 0.5]]),),
        (np.array([[-0.5, 0.5], [-3.0, 1.0]]),),
        (np.array([[1.0, 2.0], [3.0, 5.0]]),),
        (np.array([[-0.25, np.nan, 0.75]]),),
        (np.array([[-np.inf, -0.25, 0.75], [np.inf, 0.5, np.nan]]),),
        (rng.normal(size=(5, 8)).astype(np.float32),),
        (-rng.exponential(size=(3, 4)),),
        (spoiled,),
        (np.array([[np.nan, np.inf]]),),
        (np.array([[np.nan, np.inf], [1.0, -2.0]]),),
    ]


def _has_an_empty_batch(batches: Array) -> bool:
    return not np.isfinite(batches).any(axis=1).all()


running_range = Task(
    call="running_range(batches)",
    returns=(Output("low", loose_shape=True), Output("high", loose_shape=True)),
    oracle=right_running_range,
    probes=_running_range_probes,
    degenerate=_has_an_empty_batch,
)


def _is_a_batch(answer: Array, pixels: Array, count: int) -> str | None:
    if answer.shape != (count, 1, 28, 28):
        return f"images has shape {answer.shape}: expected is {(count, 1, 28, 28)}"
    return None


def _has_the_range_of_training(answer: Array, pixels: Array, count: int) -> str | None:
    if not np.isfinite(answer).all() or answer.min() < 0 or answer.max() > 1:
        return f"the network was trained on pixels from 0 to 1; these run from {answer.min():g} to {answer.max():g}"
    return None


def _holds_photographs(answer: Array, pixels: Array, count: int) -> str | None:
    known = {image.tobytes() for image in pixels}
    found = [np.clip(np.rint(image * 255), 0, 255).astype(np.uint8) for image in answer[:, 0].astype(np.float64)]
    exact = np.allclose(np.stack(found) / 255, answer[:, 0], atol=1e-4)
    strangers = sum(image.tobytes() not in known for image in found)
    if not strangers and not exact and answer.dtype == np.float16:
        return "float16 keeps three digits, which is too coarse here: compute in float32 or float64"
    if (strangers or not exact) and _are_scaled(answer, pixels):
        return (
            f"these are photographs, scaled wrongly: their largest value is {answer.max():.4g}, and 255 should become 1"
        )
    if (strangers or not exact) and set(np.unique(answer)) <= {0.0, 1.0}:
        return "all values are 0 or 1, and the shades between are lost: `//` and integers drop what follows the point"
    if strangers or not exact:
        return f"{strangers or 'some'} of the {count} images are not among the photographs that were given"
    if len({image.tobytes() for image in found}) < count:
        return "the same photograph was taken more than once"
    return None


def _are_scaled(answer: Array, pixels: Array) -> bool:
    """Whether every image is one of the photographs times some number."""
    known = {_brightest_255(image) for image in pixels}
    return all(_brightest_255(image) in known for image in answer[:, 0])


def _brightest_255(image: Array) -> bytes:
    values = image.astype(np.float64)
    return np.rint(values * (255 / max(float(values.max()), 1e-300))).astype(np.uint8).tobytes()


def _comes_from_everywhere(answer: Array, pixels: Array, count: int) -> str | None:
    places = {image.tobytes(): place for place, image in enumerate(pixels)}
    taken = [places[np.rint(image * 255).astype(np.uint8).tobytes()] for image in answer[:, 0].astype(np.float64)]
    tenths = len({10 * place // len(pixels) for place in taken})
    if tenths < min(5, count):
        return (
            f"all {count} images come from {tenths} of the file's ten equal parts, and it is sorted by class: "
            "from at least 5 are asked for"
        )
    return None


@cache
def _photographs_by_class() -> Array:
    train = data.load_fashion_mnist("train")
    first = slice(0, 400)
    return train.images[first][np.argsort(train.labels[first], kind="stable")]


def _calibration_images_probes() -> list[Probe]:
    by_class = _photographs_by_class()
    return [(by_class, 20), (by_class, 100), (by_class[:250], 25)]


calibration_images = Task(
    call="calibration_images(pixels, count)",
    returns=(Output("images"),),
    properties=(_is_a_batch, _has_the_range_of_training, _holds_photographs, _comes_from_everywhere),
    probes=_calibration_images_probes,
    divisible=False,
)


def right_percentile_range(x: Array, percent: float) -> tuple[Between, Between]:
    """The two sorted values between which each end may lie: conventions differ by one value, or interpolate."""
    values = np.sort(x.astype(np.float64), axis=None)
    position = (100 - Fraction(str(percent))) / 200 * (values.size - 1)
    outer = math.floor(position)
    inner = min(outer + 1, values.size - 1) if percent < 100 else 0
    return (
        Between(min(values[outer], 0.0), min(values[inner], 0.0)),
        Between(max(values[-1 - inner], 0.0), max(values[-1 - outer], 0.0)),
    )


def _percentile_range_probes() -> list[Probe]:
    rng = np.random.default_rng(31)
    spiked = rng.normal(0.3, 1, size=500).astype(np.float32)
    spiked[7] = 60
    return [
        (3 * np.arange(-10.0, 31.0), 90.0),
        (2 * np.arange(1.0, 42.0), 90.0),
        (np.linspace(-41, 159, 101), 80.0),
        (rng.normal(0.5, 1, size=(20, 50)).astype(np.float32), 98.0),
        (-rng.exponential(size=400), 99.0),
        (spiked, 99.0),
        (np.maximum(rng.normal(size=(10, 60)), 0).astype(np.float32), 99.0),
        (np.array([-3.0, -1.0, 4.0]), 100.0),
        (np.array([[2.5]]), 90.0),
    ]


percentile_range = Task(
    call="percentile_range(x, percent)",
    returns=(Output("low", loose_shape=True), Output("high", loose_shape=True)),
    oracle=right_percentile_range,
    probes=_percentile_range_probes,
)
