"""A tensor per channel, and a round trip: right answers channel by channel and value by value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.check.task import Between, Output, Probe, Task
from fewerbits.teach.check.uniform.values import (
    nearest_codes,
    right_affine_parameters,
    right_symmetric_scale,
    values_of,
)

Array = NDArray[Any]


def _quantize_per_channel(weights: Array, bits: int) -> tuple[Between, Between]:
    largest = 2 ** (bits - 1) - 1
    codes, scales = [], []
    for channel in weights:
        scale = right_symmetric_scale(channel, bits)
        codes.append(nearest_codes(channel, scale.low, 0, -largest, largest))
        scales.append(scale)
    return Between(*(np.stack(ends) for ends in zip(*codes))), Between(*(np.array(ends) for ends in zip(*scales)))


def _quantize_per_channel_probes() -> list[Probe]:
    rng = np.random.default_rng(7)
    sizes = np.array([1.0, 0.1, 3.0])
    square = rng.normal(size=(3, 3, 3, 3)) * sizes[:, np.newaxis, np.newaxis, np.newaxis]
    dead = rng.normal(size=(3, 2))
    dead[1] = 0
    return [
        (np.array([[0.4, -1.0]]), 8),
        (np.array([[0.4, -1.0], [0.11, 0.04]]), 8),
        (np.array([[-4.0, 1.0, 0.3], [0.11, 0.04, 0.2]]), 4),
        (dead, 8),
        (square.astype(np.float32), 8),
        (rng.normal(size=(4, 3, 2, 2)).astype(np.float32), 4),
        (rng.normal(size=(2, 5)), 3),
    ]


quantize_per_channel = Task(
    call="quantize_per_channel(weights, bits)",
    returns=(Output("codes", integer=True), Output("scales", loose_shape=True)),
    oracle=_quantize_per_channel,
    probes=_quantize_per_channel_probes,
    degenerate=lambda weights, bits: not all(np.any(channel) for channel in weights),
)


def _fake_quantize(x: Array, low: float, high: float, bits: int) -> Between:
    (scale, _), zero_points = right_affine_parameters(np.array([low, high]), bits)
    ends = []
    for zero_point in zero_points:  # two of them at a tie
        codes = nearest_codes(x, scale, zero_point, 0, 2**bits - 1)
        ends += [values_of(code, scale, zero_point) for code in codes]
    return Between(np.min([end.low for end in ends], axis=0), np.max([end.high for end in ends], axis=0))


def _fake_quantize_probes() -> list[Probe]:
    rng = np.random.default_rng(8)
    return [
        (np.array([0.55]), 0.0, 1.0, 8),
        (np.array([0.7, -0.2]), -0.3, 1.0, 8),
        (np.array([10.0, 10.3, 11.0]), 10.0, 11.0, 8),
        (np.array([1.5, -0.6]), -0.31, 1.0, 8),
        (np.array([-2.0, -1.2]), -2.0, -1.0, 8),
        (np.array([0.6, -0.2, 1.9]), -0.25, 1.0, 4),
        (rng.normal(size=(3, 4)).astype(np.float32), -0.9, 1.1, 8),
        (rng.normal(size=60), -2.05, 1.5, 5),
        # The top of the data gets code 254 + 2: zero point and quotient are both rounded up.
        (np.array([253.5]), -1.5, 253.5, 8),
    ]


fake_quantize = Task(
    call="fake_quantize(x, low, high, bits)",
    returns=(Output("values"),),
    oracle=_fake_quantize,
    probes=_fake_quantize_probes,
    several_faults=True,
)
