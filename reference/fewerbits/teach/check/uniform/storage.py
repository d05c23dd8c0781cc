"""The open task: real weights in few bits, judged by what comes back and what it costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits import data
from fewerbits.teach.check.task import Output, Probe, Task

Array = NDArray[Any]
LEAST_DECIBELS = 20.0
MOST_BITS_PER_WEIGHT = 5.15
LAYERS = ("conv2", "conv4", "conv6")


def _stored_weights(codes: Array, scale: Array, weights: Array) -> Array | None:
    """codes·scale in the shape of the weights, when that is possible."""
    try:
        values = codes.astype(np.float64) * scale.astype(np.float64)
    except ValueError:
        return None
    return values.reshape(weights.shape) if values.size == codes.size == weights.size else None


def _decibels(answer: tuple[Array, ...], weights: Array) -> float:
    values = _stored_weights(answer[0], answer[1], weights)
    assert values is not None
    noise = float(np.sum((values - weights) ** 2))
    return 10 * math.log10(float(np.sum(weights.astype(np.float64) ** 2)) / noise) if noise else math.inf


def _bits_per_weight(answer: tuple[Array, ...], weights: Array) -> float:
    """Codes packed into their bits, and the scales as float32 unless their type is smaller."""
    _, scale, bits = answer
    return float(bits) + 8 * min(scale.itemsize, 4) * scale.size / weights.size


def _can_be_decoded(answer: tuple[Array, ...], weights: Array) -> str | None:
    codes, scale, bits = answer
    if _stored_weights(codes, scale, weights) is None:
        return (
            f"codes * scale must give {weights.size} values, one for each weight; "
            f"the shapes are {codes.shape} and {scale.shape}"
        )
    if bits.size != 1 or not np.isin(bits, range(1, 17)).all():
        return f"bits must be one whole number from 1 to 16; it is {bits}"
    return None


def _codes_fit(answer: tuple[Array, ...], weights: Array) -> str | None:
    codes, _, bits = answer
    low, high = -(2 ** (int(bits) - 1)), 2 ** (int(bits) - 1) - 1
    if not np.array_equal(codes, np.rint(codes)) or codes.min() < low or codes.max() > high:
        return f"{int(bits)} bits hold the whole numbers {low}..{high}; the codes are {codes.min():g}..{codes.max():g}"
    return None


def _small_enough(answer: tuple[Array, ...], weights: Array) -> str | None:
    bits = _bits_per_weight(answer, weights)
    if bits > MOST_BITS_PER_WEIGHT:
        return (
            f"{bits:.2f} bits per weight: {int(answer[2])} for the codes and {bits - int(answer[2]):.2f} for "
            f"{answer[1].size} scales. At most {MOST_BITS_PER_WEIGHT} are allowed"
        )
    return None


def _good_enough(answer: tuple[Array, ...], weights: Array) -> str | None:
    decibels = _decibels(answer, weights)
    if not decibels >= LEAST_DECIBELS:
        return f"the SQNR is {decibels:.1f} dB: at least {LEAST_DECIBELS:g} dB are asked for"
    return None


def _measure(answer: tuple[Array, ...], weights: Array) -> str:
    return f"{_bits_per_weight(answer, weights):.2f} bits {_decibels(answer, weights):.1f} dB"


def _store_summary(probes: Sequence[Probe], answers: Sequence[tuple[Array, ...]]) -> str:
    reached = [_measure(answer, weights) for answer, (weights,) in zip(answers, probes)]
    return ", ".join(f"{layer} {each}" for layer, each in zip(LAYERS, reached)) + "."


def _store_probes() -> list[Probe]:
    weights = data.load_weights("vgg32")
    return [(weights[f"{layer}.weight"],) for layer in LAYERS]


store = Task(
    call="store(weights)",
    returns=(Output("codes", integer=True), Output("scale"), Output("bits", integer=True, loose_shape=True)),
    properties=(_can_be_decoded, _codes_fit, _small_enough, _good_enough),
    probes=_store_probes,
    summary=_store_summary,
    seconds=20,
    divisible=False,
    names=LAYERS,
    measure=_measure,
)
