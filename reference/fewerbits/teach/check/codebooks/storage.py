"""The open task: real weights by a codebook, judged by what comes back and what it costs."""

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
MOST_BITS_PER_WEIGHT = 4.4
LAYERS = ("conv2", "conv4", "conv6")


def _layer(weights: Array) -> str:
    return {9216: "conv2", 36864: "conv4", 147456: "conv6"}.get(weights.size, "the layer")


def _restored(answer: tuple[Array, ...], weights: Array) -> Array:
    codes, levels, scale = answer
    values = levels.astype(np.float64)[codes.astype(np.int64)] * scale.astype(np.float64)
    return values.reshape(weights.shape)


def _bits_per_weight(answer: tuple[Array, ...], weights: Array) -> float:
    """Codes packed into whole bits; levels and scales as float32 unless their type is smaller."""
    _, levels, scale = answer
    metadata = sum(8 * min(part.itemsize, 4) * part.size for part in (levels, scale))
    return max(1, math.ceil(math.log2(levels.size))) + metadata / weights.size


def _decibels(answer: tuple[Array, ...], weights: Array) -> float:
    noise = float(np.sum((_restored(answer, weights) - weights) ** 2))
    return 10 * math.log10(float(np.sum(weights.astype(np.float64) ** 2)) / noise) if noise else math.inf


def _can_be_decoded(answer: tuple[Array, ...], weights: Array) -> str | None:
    codes, levels, scale = answer
    if levels.ndim != 1:
        return f"levels must be a list, one value for each code; its shape is {levels.shape}"
    if not np.array_equal(codes, np.rint(codes)) or codes.min() < 0 or codes.max() >= levels.size:
        return f"codes must be whole numbers 0..{levels.size - 1}; they are {codes.min():g}..{codes.max():g}"
    try:
        fits = np.broadcast_shapes(codes.shape, scale.shape) == codes.shape and codes.size == weights.size
    except ValueError:
        fits = False
    if not fits:
        return (
            f"levels[codes] * scale must give {weights.size} values, one for each weight of {_layer(weights)}; "
            f"codes have the shape {codes.shape}, scale {scale.shape}"
        )
    return None if np.isfinite(_restored(answer, weights)).all() else "levels[codes] * scale is not finite everywhere"


def _small_enough(answer: tuple[Array, ...], weights: Array) -> str | None:
    bits = _bits_per_weight(answer, weights)
    if bits > MOST_BITS_PER_WEIGHT:
        levels, scales = (f"{part.size} {{}} of {min(part.itemsize, 4)} bytes" for part in answer[1:])
        return (
            f"{_layer(weights)}: {bits:.2f} bits per weight with {levels.format('levels')} and "
            f"{scales.format('scales')} counted. At most {MOST_BITS_PER_WEIGHT} are allowed"
        )
    return None


def _good_enough(answer: tuple[Array, ...], weights: Array) -> str | None:
    decibels = _decibels(answer, weights)
    if not decibels >= LEAST_DECIBELS:
        return f"{_layer(weights)}: the SQNR is {decibels:.2f} dB, at least {LEAST_DECIBELS:g} dB are asked for"
    return None


def _measure(answer: tuple[Array, ...], weights: Array) -> str:
    return f"{_bits_per_weight(answer, weights):.2f} bits {_decibels(answer, weights):.1f} dB"


def _summary(probes: Sequence[Probe], answers: Sequence[tuple[Array, ...]]) -> str:
    reached = [_measure(answer, weights) for answer, (weights,) in zip(answers, probes)]
    return ", ".join(f"{layer} {each}" for layer, each in zip(LAYERS, reached)) + "."


def _probes() -> list[Probe]:
    weights = data.load_weights("vgg32")
    return [(weights[f"{layer}.weight"],) for layer in LAYERS]


compress = Task(
    call="compress(weights)",
    returns=(Output("codes", integer=True), Output("levels"), Output("scale")),
    properties=(_can_be_decoded, _small_enough, _good_enough),
    probes=_probes,
    summary=_summary,
    seconds=20,
    divisible=False,
    names=LAYERS,
    measure=_measure,
)
