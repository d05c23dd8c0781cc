"""The four requantization rules and the bias against ONNX Runtime, tflite_micro, exact arithmetic and each other.

A layer with one input, weight 0 and a bias has the bias for its accumulator, so that an engine can be made to
requantize any int32 that we choose: near ties, at ties, and up to ±2³¹.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from fewerbits.network.arithmetic import INT32, quantize_bias
from fewerbits.network.requantize import fixed_point_multiplier, output_multiplier, requantize, scale_by_fixed_point

from tests.oracles import _onnx_nodes as onnx_nodes
from tests.oracles.registry import Pairs, compare

QMIN, QMAX = -128, 127
TFLITE = ("tflite_micro", "flatbuffers")


def hard_accumulators(multiplier: float, count: int, seed: int) -> Any:
    """Ties and their neighbours within and around −300..300 codes, ±2³¹, ±2²⁴ and random ones of every size."""
    rng = np.random.default_rng(seed)
    ties = (rng.integers(-300, 300, count // 2) + 0.5) / multiplier
    near = np.rint(ties) + rng.integers(-1, 2, ties.size)
    anywhere = rng.choice([-1, 1], count // 4) * np.exp2(rng.uniform(0, 31, count // 4))
    inside = rng.uniform(-200, 200, count - near.size - anywhere.size - 8) / multiplier
    ends = [INT32.min, INT32.max, -(2**24) - 1, 2**24 + 1, -1, 0, 1, 2**30]
    return np.concatenate([near, anywhere, inside, ends]).clip(INT32.min, INT32.max).astype(np.int32)


def layers(count: int, how_many: int, largest: float = 1.0) -> Iterator[tuple[Any, Any, Any, Any, int]]:
    """(accumulators, s_x, s_w, s_y, z_y) with multipliers from 2⁻²⁴ to `largest`; every third is a power of two."""
    for index in range(how_many):
        rng = np.random.default_rng(index)
        s_x, s_w = (np.float32(np.exp(rng.uniform(-6, 0))) for _ in range(2))
        multiplier = np.exp2(rng.uniform(-24, np.log2(largest)))
        if index % 3 == 0:
            s_x, s_w, multiplier = np.float32(2.0**-4), np.float32(2.0**-6), 2.0 ** np.floor(np.log2(multiplier))
        s_y = np.float32(s_x * s_w / multiplier)
        accumulators = hard_accumulators(float(s_x) * float(s_w) / float(s_y), count, index)
        yield accumulators, s_x, s_w, s_y, int(rng.integers(QMIN, QMAX + 1))


def by_onnxruntime(accumulators: Any, s_x: Any, s_w: Any, s_y: Any, z_y: int) -> Any:
    zero, count = np.int8(0), accumulators.size
    inputs = {"a": np.zeros((1, 1), np.int8), "s_x": s_x, "z_x": zero, "b": np.zeros((1, count), np.int8)}
    inputs |= {"s_w": s_w, "z_w": zero, "c": accumulators, "s_y": s_y, "z_y": np.int8(z_y)}
    return onnx_nodes.run("QGemm", inputs, domain=onnx_nodes.MICROSOFT)[0]


def by_tflite(accumulators: Any, s_x: Any, s_w: Any, s_y: Any, z_y: int) -> Any:
    from tests.oracles._tflite_models import Model

    model = Model((1, 1), s_x, 0)
    model.fully_connected(np.zeros((accumulators.size, 1), np.int8), accumulators, s_x, s_w, s_y, z_y)
    return model.run(np.zeros((1, 1), np.int8))[0]


def ours(layer: tuple[Any, ...], rule: str, precision: str) -> Any:
    accumulators, s_x, s_w, s_y, z_y = layer
    return requantize(accumulators, output_multiplier(s_x, s_w, s_y, precision), z_y, QMIN, QMAX, rule)


@compare("requantize 'float32'", "onnxruntime", "rint(f32(acc)·f32(m)) + z, any int32")
def float32_rule() -> Pairs:
    for layer in layers(40_000, 26, largest=4.0):
        yield ours(layer, "float32", "float32"), by_onnxruntime(*layer)


@compare("requantize 'gemmlowp'", "tflite_micro", "m in float64, two roundings, any int32", requires=TFLITE)
def gemmlowp_rule() -> Pairs:
    for layer in layers(40_000, 26):
        yield ours(layer, "gemmlowp", "float64"), by_tflite(*layer)


@compare("requantize 'gemmlowp', m in float32", "tflite_micro", "other bits of m", expect="differ", requires=TFLITE)
def gemmlowp_with_float32_multiplier() -> Pairs:
    for layer in layers(40_000, 6):
        yield ours(layer, "gemmlowp", "float32"), by_tflite(*layer)


@compare("requantize 'float32'", "tflite_micro", "one rounding against two", expect="differ", requires=TFLITE)
def float32_against_tflite() -> Pairs:
    for layer in layers(40_000, 26):
        yield ours(layer, "float32", "float64"), by_tflite(*layer)


@compare("requantize 'single_half_away'", "tflite_micro", "one rounding against two", expect="differ", requires=TFLITE)
def half_away_against_tflite() -> Pairs:
    for layer in layers(40_000, 26):
        yield ours(layer, "single_half_away", "float64"), by_tflite(*layer)


@compare("requantize 'half_up'", "tflite_micro", "one rounding against two", expect="differ", requires=TFLITE)
def half_up_against_tflite() -> Pairs:
    for layer in layers(40_000, 26):
        yield ours(layer, "half_up", "float64"), by_tflite(*layer)


@compare("requantize 'gemmlowp'", "onnxruntime", "two roundings against one", expect="differ")
def gemmlowp_against_onnxruntime() -> Pairs:
    for layer in layers(40_000, 26):
        yield ours(layer, "gemmlowp", "float32"), by_onnxruntime(*layer)


@compare("requantize 'single_half_away'", "onnxruntime", "ties away from zero, not to even", expect="differ")
def half_away_against_onnxruntime() -> Pairs:
    for layer in layers(40_000, 26):
        yield ours(layer, "single_half_away", "float32"), by_onnxruntime(*layer)


@compare("requantize 'half_up'", "onnxruntime", "ties toward +∞, not to even", expect="differ")
def half_up_against_onnxruntime() -> Pairs:
    for layer in layers(40_000, 26):
        yield ours(layer, "half_up", "float32"), by_onnxruntime(*layer)


def hard_multipliers(count: int) -> Any:
    """Multipliers of every size, powers of two and their neighbours, those whose M0 rounds up to 2³¹, and ties."""
    rng = np.random.default_rng(3)
    powers = 2.0 ** rng.integers(-34, 30, count)
    spread = np.exp2(rng.uniform(-34, 29.99, count))
    near_one = powers * (1 - 2.0 ** -rng.integers(31, 54, count))
    halves = powers * (2**31 + 2 * rng.integers(0, 2**30, count) + 1) / 2**32  # half a unit of M0
    return np.concatenate([powers, np.nextafter(powers, 0), spread, near_one, halves])


@compare("fixed_point_multiplier", "fractions", "round(m·2^(31 − shift)), half away, M0 in 2³⁰..2³¹ − 1")
def multiplier_by_fractions() -> Pairs:
    multipliers = hard_multipliers(4000)
    expected = []
    for multiplier in multipliers:
        exact, shift = Fraction(float(multiplier)), math.frexp(multiplier)[1]
        M0 = math.floor(exact * 2 ** (31 - shift) + Fraction(1, 2))
        if M0 == 2**31:
            M0, shift = 2**30, shift + 1
        expected.append((M0, shift) if shift >= -31 else (0, 0))
    yield np.stack(fixed_point_multiplier(multipliers), axis=-1), np.array(expected)


def fixed_point_cases(count: int) -> tuple[Any, Any, Any]:
    """Accumulators, M0 and shift; every other product ends in a tie."""
    rng = np.random.default_rng(4)
    shift = rng.integers(-31, 31, count)
    M0 = rng.integers(2**30, 2**31, count)
    accumulators = np.trunc(rng.choice([-1, 1], count) * np.exp2(rng.uniform(0, 31, count))).astype(np.int64)
    ties = np.arange(0, count, 2)
    M0[ties] = 2**30 + 2 ** rng.integers(20, 30, ties.size)
    shift[ties] = rng.integers(-31, 0, ties.size)
    accumulators[ties] = (2 * rng.integers(-50, 50, ties.size) + 1) * 2 ** np.minimum(-shift[ties], 24)
    return accumulators.clip(INT32.min, INT32.max).astype(np.int32), M0.astype(np.int32), shift.astype(np.int32)


@compare("scale_by_fixed_point 'single_half_away'", "decimal", "ROUND_HALF_UP of the exact product")
def half_away_by_decimal() -> Pairs:
    accumulators, M0, shift = fixed_point_cases(20_000)
    with decimal.localcontext(prec=200):
        expected = [
            int((decimal.Decimal(int(a)) * int(m) / 2 ** (31 - int(n))).quantize(1, decimal.ROUND_HALF_UP))
            for a, m, n in zip(accumulators, M0, shift)
        ]
    yield scale_by_fixed_point(accumulators, M0, shift, "single_half_away"), np.array(expected)


@compare("scale_by_fixed_point 'half_up'", "fractions", "⌊exact product + ½⌋")
def half_up_by_fractions() -> Pairs:
    accumulators, M0, shift = fixed_point_cases(20_000)
    expected = [
        math.floor(Fraction(int(a) * int(m), 2 ** (31 - int(n))) + Fraction(1, 2))
        for a, m, n in zip(accumulators, M0, shift)
    ]
    yield scale_by_fixed_point(accumulators, M0, shift, "half_up"), np.array(expected)


def reference_qlinear_matmul(accumulators: Any, multiplier: float, z_y: int) -> Any:
    """The reference evaluator's QLinearMatMul of accumulators a·1, a in int8."""
    one, zero = np.float32(1), np.int8(0)
    inputs = {"a": accumulators[:, None], "s_a": np.float32(multiplier), "z_a": zero, "b": np.ones((1, 1), np.int8)}
    inputs |= {"s_b": one, "z_b": zero, "s_y": one, "z_y": np.int8(z_y)}
    return onnx_nodes.run_reference("QLinearMatMul", inputs)[:, 0]


@compare("requantize 'float32'", "onnx", "QLinearMatMul, even zero points, powers of two: ties included")
def even_zero_points() -> Pairs:
    every_code = np.arange(-128, 128, dtype=np.int8)
    for z_y in range(-128, 128, 2):
        for power in range(-6, 2):
            codes = requantize(every_code.astype(np.int32), 2.0**power, z_y, QMIN, QMAX)
            yield codes, reference_qlinear_matmul(every_code, 2.0**power, z_y)


@compare("requantize 'float32'", "onnx", "QLinearMatMul, odd zero points: it adds z before rounding", expect="differ")
def odd_zero_points() -> Pairs:
    every_code = np.arange(-128, 128, dtype=np.int8)
    for z_y in range(-127, 128, 2):
        yield (
            requantize(every_code.astype(np.int32), 0.5, z_y, QMIN, QMAX),
            reference_qlinear_matmul(every_code, 0.5, z_y),
        )


@compare("quantize_bias", "onnxruntime", "its static quantizer: rint(f64(bias)/f64(f32(s_x·s_w)))", slow=True)
def bias_by_quantizer() -> Pairs:
    for seed, per_channel in enumerate((True, False)):
        rng = np.random.default_rng(seed)
        weight = (rng.normal(size=(4, 20_000)) * np.exp(rng.uniform(-6, 2, 20_000))).astype(np.float32)
        bias = (rng.normal(size=20_000) * np.exp(rng.uniform(-3, 6, 20_000))).astype(np.float32)
        stored = onnx_nodes.quantized_linear(weight, bias, rng.normal(size=(9, 4)).astype(np.float32), per_channel)
        yield quantize_bias(bias, stored["x_scale"], stored["w_scale"]), stored["b_quantized"]
