"""What numbers cost: the size of a model and the gain that a roofline allows, in Python's integers and fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.check.task import Output, Probe, Task

Array = NDArray[Any]


def _model_gib(parameters: int, bits: int, group_size: int, scale_bytes: int) -> float:
    groups = -(-parameters // group_size)
    return float(Fraction(parameters * bits, 8 * 2**30) + Fraction(groups * scale_bytes, 2**30))


def _gib_and_bytes(gib: float) -> str | None:
    """Small sizes in bytes too."""
    return f"{gib:.7g} ({gib * 2**30:.7g} bytes)" if abs(gib) < 1e-3 else None


model_gib = Task(
    call="model_gib(parameters, bits, group_size, scale_bytes)",
    returns=(Output("GiB"),),
    oracle=_model_gib,
    probes=lambda: [
        (64, 8, 64, 4),
        (100, 8, 64, 4),
        (64, 4, 32, 2),
        (10, 3, 64, 2),
        (2**30, 8, 32, 4),
        (2**33, 4, 64, 2),
        (7_000_000_000, 4, 32, 2),
        (175_000_000_000, 3, 128, 2),
        (110_000_000, 8, 768, 4),
        (1000, 4, 32, 2),
    ],
    degenerate=lambda parameters, bits, group_size, scale_bytes: parameters % group_size > 0,
    divisible=False,
    written=lambda *arguments: {"GiB": _gib_and_bytes},
)


def _int8_gain(
    macs: Array, activations: Array, weights: Array, batch: int, bandwidth: float, float32_peak: float, int8_peak: float
) -> float:
    """Layer by layer in fractions."""

    def seconds(size: int, peak: float) -> Fraction:
        total = Fraction(0)
        for m, a, w in zip(macs.tolist(), activations.tolist(), weights.tolist()):
            moved = size * (Fraction(a) + Fraction(w) / batch)
            total += max(Fraction(m) / Fraction(peak), moved / Fraction(bandwidth))
        return total

    return float(seconds(4, float32_peak) / seconds(1, int8_peak))


def _int8_gain_probes() -> list[Probe]:
    rng = np.random.default_rng(15)
    one = np.array
    many = [rng.integers(1, 10**7, size=9), rng.integers(10**3, 10**5, size=9), rng.integers(10**2, 10**6, size=9)]
    return [
        (one([1_000_000]), one([1000]), one([1000]), 1, 1e10, 5e10, 1e11),
        (one([10_000]), one([20_000]), one([100]), 1, 1e10, 5e10, 1e11),
        (one([1_000_000, 10_000]), one([1000, 20_000]), one([1000, 100]), 1, 1e10, 5e10, 1e11),
        (one([500_000]), one([30_000]), one([1_000_000]), 64, 1e10, 5e10, 1e11),
        (one([500_000, 1_000_000]), one([30_000, 5_000]), one([1_000_000, 64_000]), 64, 1e10, 5e10, 1e11),
        (one([200_000, 0, 50_000]), one([26_000, 31_000, 1000]), one([300, 0, 50_000]), 1, 1.2e10, 6e10, 1.5e11),
        (*many, 1, 8e9, 5e10, 1.5e11),
        (*many, 32, 2e10, 4e10, 9e10),
    ]


int8_gain = Task(
    call="int8_gain(macs, activations, weights, batch, bandwidth, float32_peak, int8_peak)",
    returns=(Output("gain"),),
    oracle=_int8_gain,
    probes=_int8_gain_probes,
    # A layer that multiplies nothing has no rate.
    degenerate=lambda macs, *others: bool(np.any(macs == 0)),
    divisible=False,
)
