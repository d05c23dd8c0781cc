"""Mistakes in what a roofline says."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.record import also, mistake

Codes = NDArray[Any]


def _seconds(
    macs: Codes, activations: Codes, weights: Codes, batch: float, bandwidth: float, peak: float, size: float
) -> tuple[Codes, Codes]:
    """Seconds of arithmetic and of memory for each layer."""
    return macs / peak, size * (activations + weights / batch) / bandwidth


@mistake(
    "int8_gain",
    symptom="The gain is exactly the ratio of the two peaks, for every network.",
    cause="Only the multiplications are counted; a layer that waits for its bytes is not faster for a higher peak.",
    repair="A layer takes at least the larger of its two times.",
    source="common where a data sheet's TOPS are quoted",
)
def peak_alone(
    macs: Codes, activations: Codes, weights: Codes, batch: int, bandwidth: float, float32_peak: float, int8_peak: float
) -> float:
    return int8_peak / float32_peak


@mistake(
    "int8_gain",
    symptom="The gain is exactly 4, for every network and every machine.",
    cause="Only the bytes are counted; a layer that is busy multiplying is not faster for fewer bytes.",
    repair="A layer takes at least the larger of its two times.",
    source="common where sizes are quoted as speeds",
)
def bytes_alone(
    macs: Codes, activations: Codes, weights: Codes, batch: int, bandwidth: float, float32_peak: float, int8_peak: float
) -> float:
    return 4.0


@mistake(
    "int8_gain",
    symptom="Times are up to twice too long, and the gain lies between that of the bytes and that of the arithmetic.",
    cause="The two times of a layer are added; memory and arithmetic work at the same time.",
    repair="Take the larger of the two times, not their sum.",
    source="common in first implementations; Williams et al. 2009",
)
def times_added(
    macs: Codes, activations: Codes, weights: Codes, batch: int, bandwidth: float, float32_peak: float, int8_peak: float
) -> float:
    common = macs, activations, weights, batch, bandwidth
    return float(np.sum(_seconds(*common, float32_peak, 4)) / np.sum(_seconds(*common, int8_peak, 1)))


@mistake(
    "int8_gain",
    symptom="The gain can fall outside of what bytes and peaks allow together; the times are too short.",
    cause="The shorter of a layer's two times is taken; but the layer is not done before the longer one is over.",
    repair="Take the larger of the two times.",
    source="common in first implementations",
)
def shorter_time_taken(
    macs: Codes, activations: Codes, weights: Codes, batch: int, bandwidth: float, float32_peak: float, int8_peak: float
) -> float:
    common = macs, activations, weights, batch, bandwidth
    slow, fast = _seconds(*common, float32_peak, 4), _seconds(*common, int8_peak, 1)
    return float(np.sum(np.minimum(*slow)) / np.sum(np.minimum(*fast)))


@mistake(
    "int8_gain",
    symptom="Layers that wait for memory vanish: the network seems as good as its total of MACs per byte.",
    cause="The larger time is taken once, of the whole network's sums; but one layer runs after the other.",
    repair="Take the larger time of each layer first, then add the layers.",
    source="common where a whole network is put on a roofline as one dot",
)
def network_as_one_layer(
    macs: Codes, activations: Codes, weights: Codes, batch: int, bandwidth: float, float32_peak: float, int8_peak: float
) -> float:
    common = macs, activations, weights, batch, bandwidth
    times = [[np.sum(part) for part in _seconds(*common, *way)] for way in ((float32_peak, 4), (int8_peak, 1))]
    return float(max(times[0]) / max(times[1]))


@mistake(
    "int8_gain",
    symptom="Small layers count as much as large ones, and the gain is that of no clock.",
    cause="The gains of the layers are averaged; a network's gain is the ratio of two total times.",
    repair="Add the seconds of all layers, then divide.",
    source="common; speedups are ratios of sums",
)
def mean_of_ratios(
    macs: Codes, activations: Codes, weights: Codes, batch: int, bandwidth: float, float32_peak: float, int8_peak: float
) -> float:
    common = macs, activations, weights, batch, bandwidth
    return float(
        np.mean(np.maximum(*_seconds(*common, float32_peak, 4)) / np.maximum(*_seconds(*common, int8_peak, 1)))
    )


def _gain(first: tuple[Codes, Codes], second: tuple[Codes, Codes]) -> float:
    return float(np.sum(np.maximum(*first)) / np.sum(np.maximum(*second)))


@mistake(
    "int8_gain",
    symptom="Layers with many weights look bound by memory whatever the batch is.",
    cause="The weights are counted for every image; a batch reads them once.",
    repair="Divide the weights' bytes by the batch, or multiply everything else by it.",
    source="common in first implementations",
)
def weights_read_for_every_image(
    macs: Codes, activations: Codes, weights: Codes, batch: int, bandwidth: float, float32_peak: float, int8_peak: float
) -> float:
    common = macs, activations, weights, 1, bandwidth
    return _gain(_seconds(*common, float32_peak, 4), _seconds(*common, int8_peak, 1))


@mistake(
    "int8_gain",
    symptom="In a large batch every layer looks busy, and the gain is that of the peaks.",
    cause="The activations are read once for the whole batch; but every image has its own.",
    repair="Only the weights are shared: divide them by the batch, and nothing else.",
    source="common in first implementations",
)
def activations_shared_by_the_batch(
    macs: Codes, activations: Codes, weights: Codes, batch: int, bandwidth: float, float32_peak: float, int8_peak: float
) -> float:
    common = macs * batch, activations, weights, 1, bandwidth
    return _gain(_seconds(*common, float32_peak, 4), _seconds(*common, int8_peak, 1))


@mistake(
    "int8_gain",
    symptom="In a large batch every layer looks bound by memory, and the gain is nearly 4.",
    cause="The arithmetic is that of one image, the bytes are those of the whole batch.",
    repair="Count both for one image, or both for the batch.",
    source="common in first implementations",
)
def one_image_against_a_batch(
    macs: Codes, activations: Codes, weights: Codes, batch: int, bandwidth: float, float32_peak: float, int8_peak: float
) -> float:
    common = macs, activations * batch, weights, 1, bandwidth
    return _gain(_seconds(*common, float32_peak, 4), _seconds(*common, int8_peak, 1))


@mistake(
    "int8_gain",
    symptom="Without a batch the last layers, which have many weights, seem to be free.",
    cause="The weights are not counted among the bytes; they are read too, once for the batch.",
    repair="Values moved per image: activations + weights / batch.",
    source="common in first implementations",
)
def weights_not_read(
    macs: Codes, activations: Codes, weights: Codes, batch: int, bandwidth: float, float32_peak: float, int8_peak: float
) -> float:
    common = macs, activations, 0 * weights, 1, bandwidth
    return _gain(_seconds(*common, float32_peak, 4), _seconds(*common, int8_peak, 1))


@mistake(
    "int8_gain",
    symptom="Networks with poolings get nan and a warning, all others the right gain.",
    cause="A layer without MACs has the rate 0, and 0 / 0 is no number; it takes the time of its bytes all the same.",
    repair="Take the larger of two times in place of the smaller of two rates.",
    source="common where a roofline's formula is used as code",
)
def rate_of_a_layer_without_macs(
    macs: Codes, activations: Codes, weights: Codes, batch: int, bandwidth: float, float32_peak: float, int8_peak: float
) -> float:
    seconds = []
    for peak, size in ((float32_peak, 4), (int8_peak, 1)):
        rate = np.minimum(peak, macs / (size * (activations + weights / batch)) * bandwidth)
        seconds.append(np.sum(macs / rate))
    return float(seconds[0] / seconds[1])


@mistake(
    "int8_gain",
    symptom="Layers that wait for memory gain nothing, although their values became smaller.",
    cause="Both ways move the same number of bytes; a value of int8 has one byte, one of float32 four.",
    repair="Count values, then multiply by the bytes of each format.",
    source="common in first implementations",
)
def values_for_bytes(
    macs: Codes, activations: Codes, weights: Codes, batch: int, bandwidth: float, float32_peak: float, int8_peak: float
) -> float:
    common = macs, activations, weights, batch, bandwidth
    return _gain(_seconds(*common, float32_peak, 1), _seconds(*common, int8_peak, 1))


@also(values_for_bytes, "int8_gain")
def four_bytes_for_int8_too(
    macs: Codes, activations: Codes, weights: Codes, batch: int, bandwidth: float, float32_peak: float, int8_peak: float
) -> float:
    common = macs, activations, weights, batch, bandwidth
    return _gain(_seconds(*common, float32_peak, 4), _seconds(*common, int8_peak, 4))


@mistake(
    "int8_gain",
    symptom="The gain is below 1, the same number upside down: int8 seems slower.",
    cause="The quotient is turned around: seconds of int8 by seconds of float32.",
    repair="How many times as fast: the old time divided by the new one.",
    source="common in first implementations",
)
def gain_upside_down(
    macs: Codes, activations: Codes, weights: Codes, batch: int, bandwidth: float, float32_peak: float, int8_peak: float
) -> float:
    common = macs, activations, weights, batch, bandwidth
    return _gain(_seconds(*common, int8_peak, 1), _seconds(*common, float32_peak, 4))
