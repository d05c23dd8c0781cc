"""Folding, the residual addition and channels of very different size. Right answers by loops and by fractions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits import data
from fewerbits.network.folding import EPSILON, fold
from fewerbits.network.quantized import calibrate, quantize_network
from fewerbits.teach.check.task import Between, Output, Probe, Task

Array = NDArray[Any]
DEPTHWISE_LAYER = "conv2"
LOW_DECIBELS = 10


def right_fold_batch_norm(
    weight: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float
) -> tuple[Array, Between]:
    """Channel by channel in float64; the bias may be off by what float32 loses where its two terms cancel."""
    gains = [float(g) / math.sqrt(float(v) + epsilon) for g, v in zip(gamma, variance)]
    folded = np.stack([kernel.astype(np.float64) * gain for kernel, gain in zip(weight, gains)])
    terms = [(float(b), float(m) * gain) for b, m, gain in zip(beta, mean, gains)]
    bias = np.array([b - shift for b, shift in terms])
    slack = np.array([1e-6 * (abs(b) + abs(shift)) for b, shift in terms])
    return folded, Between(bias - slack, bias + slack)


def _trained_layer(name: str, layer: str) -> Probe:
    state = data.load_weights(name)
    parts = (state[f"{layer}_norm.{part}"] for part in ("weight", "bias", "running_mean", "running_var"))
    return state[f"{layer}.weight"], *parts, EPSILON


def _fold_batch_norm_probes() -> list[Probe]:
    rng = np.random.default_rng(90)

    def layer(*shape: int, epsilon: float = 0.01) -> Probe:
        outputs = shape[0]
        gamma, variance = rng.uniform(0.5, 2, outputs), rng.uniform(0.05, 4, outputs)
        parts = rng.normal(size=shape), gamma, rng.normal(size=outputs), rng.normal(size=outputs), variance
        return (*(np.round(part, 2) for part in parts), epsilon)

    one = (np.array([6.0]), np.array([1.0]), np.array([2.0]), np.array([3.0]), 1.0)
    return [
        (np.full((1, 1, 1, 1), 0.5), *one),
        layer(2, 1, 1, 1),
        layer(3, 2, 3, 3),
        layer(3, 3, 1, 1, epsilon=0.5),
        layer(4, 1, 3, 3, epsilon=0.1),
        layer(3, 3, 3, 3),
        _trained_layer("vgg32", "conv2"),
        _trained_layer("depthwise", DEPTHWISE_LAYER),
    ]


def _folded_layers(probes: Sequence[Probe], answers: Sequence[Any]) -> str:
    count = sum(weight.size for weight, _ in answers[-2:])
    return f"{len(probes)} layers, among them a trained one and a depthwise one: {count:,} folded weights."


fold_batch_norm = Task(
    call="fold_batch_norm(weight, gamma, beta, mean, variance, epsilon)",
    returns=(Output("folded_weight"), Output("folded_bias")),
    oracle=right_fold_batch_norm,
    probes=_fold_batch_norm_probes,
    summary=_folded_layers,
    divisible=False,
)


def right_add_codes(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Between:
    """s_a(q_a − z_a) + s_b(q_b − z_b) in units of s_y, in fractions; both neighbours where the last bits decide."""
    half, ends = Fraction(1, 2), []
    for a, b in zip(q_a.tolist(), q_b.tolist()):
        first, second = Fraction(s_a) * (a - z_a), Fraction(s_b) * (b - z_b)
        exact = (first + second) / Fraction(s_y)
        # float32 rounds each term and their sum.
        slack = (abs(first) + abs(second)) / Fraction(s_y) / 2**21 + Fraction(1, 2**40)
        near = math.ceil(exact - half - slack), math.floor(exact + half + slack)
        ends.append([min(max(code + z_y, 0), 255) for code in near])
    low, high = np.array(ends).T
    return Between(low, high)


@cache
def first_addition() -> Probe:
    """What the first addition of the residual network gets on a photograph: every fifth code of both branches."""
    network = fold("residual", data.load_weights("residual"))
    seen = calibrate(network, data.to_float(data.load_fashion_mnist("train").images[:16]), title="")
    schemes = quantize_network(network, seen).activations
    values = network.run(data.to_float(data.load_fashion_mnist("test").images[:1]))
    branches = []
    for name in network.layer("add1").inputs:
        scheme = schemes[name]
        codes = scheme.quantize(values[name]).ravel()[::5]
        branches += [codes, float(scheme.scale), int(scheme.zero_point)]
    return (*branches, float(schemes["add1"].scale), int(schemes["add1"].zero_point))


def _add_codes_probes() -> list[Probe]:
    rng = np.random.default_rng(91)

    def codes(count: int) -> Array:
        return rng.integers(0, 256, count).astype(np.uint8)

    return [
        (np.array([14], np.uint8), 0.5, 10, np.array([6], np.uint8), 0.25, 2, 0.5, 100),
        (np.array([12, 40, 250], np.uint8), 0.1, 20, np.array([90, 7, 255], np.uint8), 0.03, 30, 0.07, 50),
        (codes(40), 0.021, 128, codes(40), 0.05, 100, 0.043, 120),
        (codes(200), 0.011, 0, codes(200), 0.029, 131, 0.017, 0),
        (codes(200), 0.031, 77, codes(200), 0.008, 12, 0.09, 33),
        first_addition(),
    ]


def _added(probes: Sequence[Probe], answers: Sequence[Any]) -> str:
    zeros = int((answers[-1][0] == 0).sum())
    return (
        f"also {answers[-1][0].size:,} codes of the residual network's first addition. Its z_y is 0, so that clipping "
        f"did the work of its ReLU: {zeros:,} codes are 0."
    )


add_codes = Task(
    call="add_codes(q_a, s_a, z_a, q_b, s_b, z_b, s_y, z_y)",
    returns=(Output("codes", integer=True),),
    oracle=right_add_codes,
    probes=_add_codes_probes,
    summary=_added,
    divisible=False,
)


def _decibels(weights: list[float], peak: float, bits: int) -> float:
    """10·log10(Σw²/Σ(ŵ − w)²) of one channel, for symmetric codes whose largest means `peak`."""
    scale = peak / (2 ** (bits - 1) - 1)
    noise = math.fsum((scale * round(w / scale) - w) ** 2 for w in weights)
    return 10 * math.log10(math.fsum(w * w for w in weights) / noise)


def right_channel_sqnr(weight: Array, bits: int) -> tuple[Between, Between]:
    """Channel by channel in float64, within 0.02 dB: float32 may round another way at a tie."""
    channels = [[float(w) for w in channel.ravel()] for channel in weight]
    peaks = [max(map(abs, channel)) for channel in channels]
    one_scale = np.array([_decibels(channel, max(peaks), bits) for channel in channels])
    own_scale = np.array([_decibels(channel, peak, bits) for channel, peak in zip(channels, peaks)])
    return Between(one_scale - 0.02, one_scale + 0.02), Between(own_scale - 0.02, own_scale + 0.02)


def _channel_sqnr_probes() -> list[Probe]:
    rng = np.random.default_rng(92)

    def layer(*shape: int, spread: float = 4.0) -> Array:
        sizes = rng.uniform(1, spread, (shape[0], *[1] * (len(shape) - 1)))
        return rng.normal(size=shape) * sizes

    return [
        (np.array([[0.9, -0.31, 0.42], [0.1, 0.27, -0.06]]), 4),
        (layer(2, 5), 4),
        (layer(3, 3, 3, 3), 5),
        (layer(6, 4, 1, 1, spread=20), 6),
        (layer(8, 1, 3, 3, spread=8), 8),
        (fold("depthwise", data.load_weights("depthwise")).weights[DEPTHWISE_LAYER], 7),
    ]


def _below(probes: Sequence[Probe], answers: Sequence[Any]) -> str:
    one_scale, own_scale = (int((decibels < LOW_DECIBELS).sum()) for decibels in answers[-1])
    bits = probes[-1][1]
    return (
        f"{DEPTHWISE_LAYER} of the depthwise network with {bits} bits: with one scale {one_scale} of "
        f"{answers[-1][0].size} channels fall below {LOW_DECIBELS} dB, with a scale each {own_scale}."
    )


channel_sqnr = Task(
    call="channel_sqnr(weight, bits)",
    returns=(Output("one_scale"), Output("own_scale")),
    oracle=right_channel_sqnr,
    probes=_channel_sqnr_probes,
    summary=_below,
    divisible=False,
)
