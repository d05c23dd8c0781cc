"""The µ-law by trying all levels, sums of shifts in whole numbers, and levels for the gradients of real layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits import data
from fewerbits.teach.check.task import Between, Output, Probe, Task

Array = NDArray[Any]
# How far from a tie, in steps of the compressed value, float32 arithmetic may take either side.
TIE = 1e-4
LAYERS = ("conv2", "conv4", "conv6")
MOST_LEVELS = 64
# 63 equal steps reach 17 to 23 dB and lose more than half of the values; base √2 reaches 20 dB and loses under 1 %.
LEAST_DECIBELS = 19.0
MOST_PERCENT_LOST = 2.0
# A µ-law reaches this with µ from 3500 to 8000.
STAR_DECIBELS = 21.0


def _mu_law(x: Array, bits: int, mu: float) -> Between:
    """For each value the level s·((1 + µ)^(q/P) − 1)/µ whose compressed place is nearest; at a tie both."""
    largest, peak = 2 ** (bits - 1) - 1, float(np.max(np.abs(x)))
    places = np.arange(-largest, largest + 1)
    levels = np.sign(places) * peak * ((1.0 + mu) ** (np.abs(places) / largest) - 1) / mu
    values = x.astype(np.float64)
    position = np.sign(values) * largest * np.log(1 + mu * np.abs(values) / (peak or 1.0)) / math.log(1 + mu)
    distances = np.abs(position[..., np.newaxis] - places)
    nearest = distances <= distances.min(axis=-1, keepdims=True) + TIE
    low, high = levels[nearest.argmax(axis=-1)], levels[-1 - nearest[..., ::-1].argmax(axis=-1)]
    # float32 loses digits of a small difference: (1 + µ)^y − 1 for y near 0.
    slack = np.abs(high) * 1e-4
    return Between(low - slack, high + slack)


def _mu_law_probes() -> list[Probe]:
    rng = np.random.default_rng(43)
    return [
        (np.array([0.1, 1.0]), 4, 255.0),
        (np.array([0.0, 0.3, 1.0]), 4, 255.0),
        (np.array([-0.02, 2.0]), 4, 255.0),
        (np.array([0.2, -4.0, 1.1]), 3, 15.0),
        (np.array([0.0, 0.0]), 8, 255.0),
        (rng.normal(size=(3, 4)).astype(np.float32), 8, 255.0),
        (rng.laplace(size=50), 5, 100.0),
        (rng.normal(size=(2, 3, 4)) * 1e-3, 6, 10.0),
    ]


mu_law = Task(
    call="mu_law(x, bits, mu)",
    returns=(Output("values"),),
    oracle=_mu_law,
    probes=_mu_law_probes,
    degenerate=lambda x, bits, mu: not np.any(x),
)


def _shift_sum(codes: Array, activations: Array) -> int:
    """Term by term in Python's own integers, with products."""
    pairs = zip(codes.tolist(), activations.tolist())
    return sum((1 if c > 0 else -1) * a * 2 ** (abs(c) - 1) for c, a in pairs if c)


def _shift_sum_probes() -> list[Probe]:
    rng = np.random.default_rng(44)
    return [
        (np.array([1], np.int8), np.array([5], np.int8)),
        (np.array([3, 1], np.int8), np.array([5, 4], np.int8)),
        (np.array([2, -3], np.int8), np.array([4, 3], np.int8)),
        (np.array([0, 2], np.int8), np.array([7, -3], np.int8)),
        (np.array([5], np.int8), np.array([100], np.int8)),
        (np.array([7, -7], np.int8), np.array([127, -128], np.int8)),
        (np.array([10], np.int8), np.array([65], np.int8)),
        (rng.integers(-7, 8, size=30).astype(np.int8), rng.integers(-128, 128, size=30).astype(np.int8)),
        (rng.integers(-15, 16, size=200).astype(np.int8), rng.integers(-128, 128, size=200).astype(np.int8)),
    ]


shift_sum = Task(
    call="shift_sum(codes, activations)",
    returns=(Output("total", integer=True),),
    oracle=_shift_sum,
    probes=_shift_sum_probes,
    divisible=False,
)


@cache
def _gradients() -> dict[str, Array]:
    """What arrives at the output of three convolutions in one backward pass of 32 photographs."""
    import torch

    from fewerbits.network.model import build_model

    model = build_model("vgg32", data.load_weights("vgg32"))
    outputs: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: object, inputs: object, output: torch.Tensor) -> None:
            output.retain_grad()
            outputs[name] = output

        return hook

    for name in LAYERS:
        model.get_submodule(f"{name}_norm").register_forward_hook(keep(name))
    photographs = data.load_fashion_mnist("test")
    logits = model(torch.from_numpy(data.to_float(photographs.images[:32])))
    labels = torch.from_numpy(photographs.labels[:32].astype(np.int64))
    torch.nn.functional.cross_entropy(logits, labels).backward()
    gradients = {}
    for name, output in outputs.items():
        assert output.grad is not None
        gradients[name] = output.grad.numpy()
    return gradients


def _nearest(gradient: Array, levels: Array) -> Array:
    """The level nearest in value to each entry, as float64."""
    ordered = np.unique(levels.astype(np.float64))
    middles = (ordered[1:] + ordered[:-1]) / 2
    return ordered[np.searchsorted(middles, gradient)]


def _reached(levels: Array, gradient: Array) -> tuple[float, float]:
    """SQNR in dB, and the percentage of non-zero values that become zero."""
    restored = _nearest(gradient, levels)
    noise = float(np.sum((restored - gradient) ** 2))
    decibels = 10 * math.log10(float(np.sum(gradient.astype(np.float64) ** 2)) / noise) if noise else math.inf
    return decibels, 100 * float(np.mean(restored[gradient != 0] == 0))


def _are_levels(answer: Array, gradient: Array) -> str | None:
    if not np.isfinite(answer).all():
        return "some levels are not finite"
    if answer.size > MOST_LEVELS and answer.shape == gradient.shape:
        return "the answer has the shape of the gradient: asked for are the levels, not the quantized values"
    if np.unique(answer).size > MOST_LEVELS:
        return f"{np.unique(answer).size} different levels do not fit into 6 bits: at most {MOST_LEVELS} are allowed"
    return None


def _keeps_zeros(answer: Array, gradient: Array) -> str | None:
    if np.any(_nearest(gradient, answer)[gradient == 0] != 0):
        share = 100 * np.mean(gradient == 0)
        return f"{share:.0f} % of this gradient are exactly zero, and they come back as another number"
    return None


def _keeps_small_values(answer: Array, gradient: Array) -> str | None:
    lost = _reached(answer, gradient)[1]
    if lost > MOST_PERCENT_LOST:
        return f"{lost:.1f} % of the values that are not zero become zero: at most {MOST_PERCENT_LOST:g} % are allowed"
    return None


def _good_enough(answer: Array, gradient: Array) -> str | None:
    decibels = _reached(answer, gradient)[0]
    if decibels < LEAST_DECIBELS:
        return f"the SQNR is {decibels:.1f} dB: at least {LEAST_DECIBELS:g} dB are asked for"
    return None


def _measure(answer: Array, gradient: Array) -> str:
    decibels, lost = _reached(answer, gradient)
    return f"{decibels:.1f} dB, {lost:.1f} % lost"


def _summary(probes: Sequence[Probe], answers: Sequence[tuple[Array, ...]]) -> str:
    pairs = [(levels, gradient) for (levels,), (gradient,) in zip(answers, probes)]
    reached = "; ".join(f"{name} {_measure(*pair)}" for name, pair in zip(LAYERS, pairs))
    above = all(_reached(*pair)[0] >= STAR_DECIBELS for pair in pairs)
    return f"{reached}. " + (f"★ {STAR_DECIBELS:g} dB everywhere!" if above else f"For a ★: {STAR_DECIBELS:g} dB.")


gradient_levels = Task(
    call="gradient_levels(gradient)",
    returns=(Output("levels"),),
    properties=(_are_levels, _keeps_zeros, _keeps_small_values, _good_enough),
    probes=lambda: [(gradient,) for gradient in _gradients().values()],
    summary=_summary,
    seconds=20,
    divisible=False,
    names=LAYERS,
    measure=_measure,
)
