"""ReLU, pooling, addition and concatenation of codes against ONNX Runtime's integer kernels."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import Any

import numpy as np
from fewerbits.network.operations import add, average_pool2d, concat, global_average_pool, max_pool2d, relu
from fewerbits.tensor.uniform import Uniform
from onnx import helper

from tests.oracles import _onnx_nodes as onnx_nodes
from tests.oracles.registry import Pairs, compare

# On Arm, QLinearAdd and QLinearGlobalAveragePool are fixed-point kernels with another rounding.
ON_X86 = platform.machine() in ("x86_64", "AMD64")
FUSED = "equal" if ON_X86 else "differ"


def schemes(rng: np.random.Generator, signed: bool, count: int, dyadic: bool) -> list[Uniform]:
    """Random scales and zero points; dyadic scales (n/16) bring sums onto ties."""
    low = -128 if signed else 0
    made = []
    for _ in range(count):
        scale = rng.integers(1, 64) / 16 if dyadic else np.exp(rng.uniform(-5, 1))
        made.append(Uniform(np.float32(scale), np.int32(rng.integers(low, low + 256)), signed=signed))
    return made


def stored(scheme: Uniform, name: str) -> dict[str, Any]:
    return {f"s_{name}": scheme.scale, f"z_{name}": scheme.zero_point.astype(scheme.code_dtype)}


def cases(count: int, how_many: int) -> Iterator[tuple[np.random.Generator, list[Uniform]]]:
    for index in range(how_many):
        rng = np.random.default_rng(index)
        yield rng, schemes(rng, bool(index % 2), count, dyadic=index % 4 > 1)


def images(rng: np.random.Generator, scheme: Uniform, shape: tuple[int, ...] = (5, 9, 12, 11)) -> Any:
    return rng.integers(scheme.qmin, scheme.qmax + 1, shape).astype(scheme.code_dtype)


def every_pair(scheme: Uniform) -> tuple[Any, Any]:
    """All 65,536 pairs of codes."""
    codes = np.arange(scheme.qmin, scheme.qmax + 1).astype(scheme.code_dtype)
    return np.repeat(codes, 256), np.tile(codes, 256)


@compare("add", "onnxruntime", "com.microsoft QLinearAdd on x86-64: one fused multiply-add per operand", expect=FUSED)
def add_fused() -> Pairs:
    for _, (a_scheme, b_scheme, y_scheme) in cases(3, 24):
        a, b = every_pair(a_scheme)
        inputs = {"a": a, **stored(a_scheme, "a"), "b": b, **stored(b_scheme, "b"), **stored(y_scheme, "y")}
        theirs = onnx_nodes.run("QLinearAdd", inputs, domain=onnx_nodes.MICROSOFT)
        yield add(a, b, a_scheme, b_scheme, y_scheme), theirs


def quantized_add(a: Any, b: Any, a_scheme: Uniform, b_scheme: Uniform, y_scheme: Uniform) -> Any:
    """Dequantize, Add, QuantizeLinear, each run as written."""
    nodes = [
        helper.make_node("DequantizeLinear", ["a", "s_a", "z_a"], ["a_real"]),
        helper.make_node("DequantizeLinear", ["b", "s_b", "z_b"], ["b_real"]),
        helper.make_node("Add", ["a_real", "b_real"], ["sum"]),
        helper.make_node("QuantizeLinear", ["sum", "s_y", "z_y"], ["y"]),
    ]
    parameters = {**stored(a_scheme, "a"), **stored(b_scheme, "b"), **stored(y_scheme, "y")}
    model = onnx_nodes.graph_model(nodes, {"a": a, "b": b}, parameters)
    return onnx_nodes.session(model, optimize=False).run(None, {"a": a, "b": b})[0]


@compare("add, rule 'dequantize'", "onnxruntime", "QDQ graph that is not fused: (x_a + x_b)/s_y in float32")
def add_dequantize() -> Pairs:
    for _, chosen in cases(3, 24):
        a, b = every_pair(chosen[0])
        yield add(a, b, *chosen, rule="dequantize"), quantized_add(a, b, *chosen)


@compare("add, rule 'fused'", "onnxruntime", "the same QDQ graph, not fused: ties differ", expect="differ")
def add_two_ways() -> Pairs:
    for _, chosen in cases(3, 8):
        a, b = every_pair(chosen[0])
        yield add(a, b, *chosen), quantized_add(a, b, *chosen)


@compare("concat", "onnxruntime", "com.microsoft QLinearConcat: dequantize, quantize")
def concatenation() -> Pairs:
    for index, (rng, (a_scheme, b_scheme, y_scheme)) in enumerate(cases(3, 24)):
        if index % 3 == 0:
            b_scheme = y_scheme
        a, b = images(rng, a_scheme), images(rng, b_scheme, (5, 4, 12, 11))
        inputs = {**stored(y_scheme, "y"), "a": a, **stored(a_scheme, "a"), "b": b, **stored(b_scheme, "b")}
        theirs = onnx_nodes.run("QLinearConcat", inputs, domain=onnx_nodes.MICROSOFT, axis=1)
        yield concat([a, b], [a_scheme, b_scheme], y_scheme), theirs


@compare("average_pool2d", "onnxruntime", "com.microsoft QLinearAveragePool: z_y added before rounding")
def average_pooling() -> Pairs:
    for index, (rng, (x_scheme, y_scheme)) in enumerate(cases(2, 48)):
        kernel, stride, padding = 1 + index % 4, 1 + index % 3, (index // 4) % (1 + index % 4)
        x = images(rng, x_scheme)
        inputs = {"x": x, **stored(x_scheme, "x"), **stored(y_scheme, "y")}
        how = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [padding] * 4}
        theirs = onnx_nodes.run("QLinearAveragePool", inputs, domain=onnx_nodes.MICROSOFT, **how)
        yield average_pool2d(x, x_scheme, y_scheme, kernel, stride, padding), theirs


@compare("global_average_pool", "onnxruntime", "com.microsoft QLinearGlobalAveragePool on x86-64", expect=FUSED)
def global_pooling() -> Pairs:
    for index, (rng, (x_scheme, y_scheme)) in enumerate(cases(2, 120)):
        x = images(rng, x_scheme, (16, 32, 1 + index % 8, 1 + index % 7))
        inputs = {"x": x, **stored(x_scheme, "x"), **stored(y_scheme, "y")}
        theirs = onnx_nodes.run("QLinearGlobalAveragePool", inputs, domain=onnx_nodes.MICROSOFT)
        yield global_average_pool(x, x_scheme, y_scheme), theirs[:, :, 0, 0]


@compare("max_pool2d", "onnxruntime", "MaxPool on int8 and uint8")
def max_pooling() -> Pairs:
    for index, (rng, (scheme,)) in enumerate(cases(1, 36)):
        kernel, stride, padding = 1 + index % 3, 1 + index % 2, (index // 3) % (1 + index % 3)
        x = images(rng, scheme)
        how = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [padding] * 4}
        yield max_pool2d(x, kernel, stride, padding), onnx_nodes.run("MaxPool", {"x": x}, **how)


@compare("relu", "onnxruntime", "dequantize, Relu, quantize at one scale")
def rectification() -> Pairs:
    for rng, (scheme,) in cases(1, 12):
        x = images(rng, scheme)
        nodes = [
            helper.make_node("DequantizeLinear", ["x", "s_x", "z_x"], ["real"]),
            helper.make_node("Relu", ["real"], ["positive"]),
            helper.make_node("QuantizeLinear", ["positive", "s_x", "z_x"], ["y"]),
        ]
        session = onnx_nodes.session(onnx_nodes.graph_model(nodes, {"x": x}, stored(scheme, "x")), optimize=False)
        yield relu(x, int(scheme.zero_point)), session.run(None, {"x": x})[0]
