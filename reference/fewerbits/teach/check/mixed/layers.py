"""A layer with two precisions, the bytes of many layers, and what each of them loses. In Python's loops and float64."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.check.task import Output, Probe, Task

Array = NDArray[Any]


def _symmetric(value: float, peak: float, bits: int) -> Fraction:
    scale = Fraction(peak) / (2 ** (bits - 1) - 1)
    return scale * round(Fraction(value) / scale) if peak else Fraction(0)


def _affine(value: float, low: float, high: float, bits: int) -> Fraction:
    if low == high:
        return Fraction(0)
    scale = (Fraction(high) - Fraction(low)) / (2**bits - 1)
    zero_point = round(-Fraction(low) / scale)
    return scale * (min(max(round(Fraction(value) / scale) + zero_point, 0), 2**bits - 1) - zero_point)


def right_mixed_layer(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    """x̂·ŵᵀ in fractions: weights with one symmetric scale, activations affine, unsigned, with zero in their range."""
    peak = float(np.abs(weights).max())
    low, high = min(0.0, float(activations.min())), max(0.0, float(activations.max()))
    w = [[_symmetric(float(value), peak, weight_bits) for value in row] for row in weights]
    x = [[_affine(float(value), low, high, activation_bits) for value in row] for row in activations]
    return np.array([[float(sum(a * b for a, b in zip(row, column))) for column in w] for row in x])


def _mixed_layer_probes() -> list[Probe]:
    rng = np.random.default_rng(70)

    def layer(inputs: int, outputs: int, terms: int, spread: float = 1.0) -> tuple[Array, Array]:
        return rng.normal(size=(outputs, terms)), np.maximum(rng.normal(size=(inputs, terms)) * spread, 0)

    both_signs = rng.uniform(-0.3, 1.0, (3, 8))
    return [
        (np.array([[0.6, -1.0]]), np.array([[0.9, 0.37]]), 4, 8),
        (*layer(2, 3, 6, 20.0), 3, 5),
        (*layer(3, 2, 8, 0.1), 8, 4),
        (rng.normal(size=(2, 8)), both_signs, 4, 6),
        (*layer(4, 5, 12), 5, 7),
    ]


mixed_layer = Task(
    call="mixed_layer(weights, activations, weight_bits, activation_bits)",
    returns=(Output("result"),),
    oracle=right_mixed_layer,
    probes=_mixed_layer_probes,
    divisible=False,
)


def right_mixed_bytes(sizes: Array, channels: Array, bits: Array) -> int:
    """Layer by layer in whole numbers: codes in begun bytes, and four bytes per channel."""
    return sum(-(-size * b // 8) + 4 * own for size, own, b in zip(sizes.tolist(), channels.tolist(), bits.tolist()))


def _mixed_bytes_probes() -> list[Probe]:
    rng = np.random.default_rng(71)
    vgg32 = np.array([288, 9216, 18_432, 36_864, 73_728, 147_456, 1280])
    return [
        (np.array([80]), np.array([4]), np.array([4])),
        (np.array([9, 9]), np.array([1, 1]), np.array([3, 5])),
        (np.array([100, 900]), np.array([10, 3]), np.array([8, 2])),
        (vgg32, np.array([32, 32, 64, 64, 128, 128, 10]), np.array([8, 6, 6, 4, 5, 3, 8])),
        (rng.integers(1, 999, 6), rng.integers(1, 9, 6), rng.integers(2, 9, 6)),
    ]


mixed_bytes = Task(
    call="mixed_bytes(sizes, channels, bits)",
    returns=(Output("bytes", integer=True),),
    oracle=right_mixed_bytes,
    probes=_mixed_bytes_probes,
    divisible=False,
)


def right_sensitivities(layers: Array, x: Array, bits: int) -> list[float]:
    """One network per layer, written out: mean squared change of the outputs."""

    def outputs(network: list[Array]) -> Array:
        values = x.astype(np.float64)
        for index, w in enumerate(network):
            values = values @ w.T
            if index < len(network) - 1:
                values = np.where(values > 0, values, 0)
        return values

    exact = outputs(list(layers))
    result = []
    for index, w in enumerate(layers):
        peak = float(np.abs(w).max())
        rounded = np.array([[float(_symmetric(float(value), peak, bits)) for value in row] for row in w])
        other = [rounded if i == index else layers[i] for i in range(len(layers))]
        result.append(float(np.mean((outputs(other) - exact) ** 2)))
    return result


def _sensitivities_probes() -> list[Probe]:
    rng = np.random.default_rng(72)

    def network(depth: int, width: int, count: int, bits: int) -> Probe:
        return rng.normal(size=(depth, width, width)) / np.sqrt(width), rng.normal(size=(count, width)), bits

    small = np.array([[[0.9, -0.4], [0.5, 1.0]], [[0.7, 0.2], [-1.0, 0.6]]]), np.array([[1.0, 0.5]]), 3
    return [small, network(2, 4, 3, 4), network(3, 5, 10, 3), network(5, 6, 8, 5)]


sensitivities = Task(
    call="sensitivities(layers, x, bits)",
    returns=(Output("changes", rtol=1e-4),),
    oracle=right_sensitivities,
    probes=_sensitivities_probes,
    divisible=False,
)
