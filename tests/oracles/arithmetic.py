"""Integer products, convolutions, pooling, addition and concatenation against ONNX Runtime and two more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from fewerbits.deploy.engines import engine_saturates
from fewerbits.network.arithmetic import (
    add_bias,
    bias_scale,
    integer_conv2d,
    integer_matmul,
)
from fewerbits.network.requantize import output_multiplier, requantize
from fewerbits.network.saturating import saturating_conv2d, saturating_matmul

from tests.oracles import _onnx_nodes as onnx_nodes
from tests.oracles.registry import Pairs, compare

SIGNED, UNSIGNED = np.int8, np.uint8
FLOAT32_RULE = "rint(f32(acc)·f32(f32(s_x·s_w)/s_y)) + z"
# Does uint8 × int8 saturate here? The rows below assert the truth of the CPU that they run on, and say which.
SATURATES = engine_saturates()
THIS_CPU = "this CPU: x86 without VNNI" if SATURATES else "this CPU: VNNI or not x86"


def random_codes(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any, kind: int = 0) -> Any:
    """0: all codes; 1: the two extremes only; 2: one constant, with a channel of zeros."""
    limits = np.iinfo(dtype)
    if kind == 1:
        return rng.choice([limits.min, limits.max], shape).astype(dtype)
    if kind == 2:
        constant = np.full(shape, rng.integers(limits.min, limits.max + 1), dtype)
        constant[..., :1] = 0
        return constant
    return rng.integers(limits.min, limits.max + 1, shape).astype(dtype)


# (M, K, N): vectors, odd sizes, K = 1, past the float32 bound of 1024, and large; about a million outputs.
MATRICES = [(1024, 64, 512), (512, 512, 512), (2000, 9, 128), (1, 1025, 64), (17, 129, 333), (3, 2, 1), (8, 3000, 5)]


class Product(NamedTuple):
    """Operands of one matrix product: codes and zero points."""

    a: Any
    b: Any
    a_zero: Any
    b_zero: Any


def products(a_dtype: Any, b_dtype: Any, channel_zeros: bool = True, seed: int = 0) -> Iterator[Product]:
    rng = np.random.default_rng(seed)
    for index, (rows, terms, columns) in enumerate(MATRICES):
        a = random_codes(rng, (rows, terms), a_dtype, index % 3)
        b = random_codes(rng, (terms, columns), b_dtype, (index // 2) % 3)
        zero_shape = (columns,) if channel_zeros and index % 2 else ()
        yield Product(a, b, random_codes(rng, (), a_dtype), random_codes(rng, zero_shape, b_dtype))


def matmul_integer(case: Product, run: Callable[..., Any] = onnx_nodes.run) -> Any:
    return run("MatMulInteger", {"a": case.a, "b": case.b, "a_zero": case.a_zero, "b_zero": case.b_zero})


@compare("integer_matmul s8×s8", "onnxruntime", "MatMulInteger")
def matmul_signed() -> Pairs:
    for case in products(SIGNED, SIGNED):
        yield integer_matmul(*case), matmul_integer(case)


@compare("integer_matmul u8×u8", "onnxruntime", "MatMulInteger")
def matmul_unsigned() -> Pairs:
    for case in products(UNSIGNED, UNSIGNED):
        yield integer_matmul(*case), matmul_integer(case)


@compare("integer_matmul s8×u8", "onnxruntime", "MatMulInteger")
def matmul_signed_unsigned() -> Pairs:
    for case in products(SIGNED, UNSIGNED):
        yield integer_matmul(*case), matmul_integer(case)


@compare("integer_matmul, all four dtypes", "onnx", "MatMulInteger")
def matmul_reference() -> Pairs:
    for dtypes in product((SIGNED, UNSIGNED), repeat=2):
        for case in products(*dtypes, channel_zeros=False):
            few = Product(case.a[:40], case.b, case.a_zero, case.b_zero)
            yield integer_matmul(*few), matmul_integer(few, onnx_nodes.run_reference)


@compare("integer_matmul s8×s8", "torch", "torch._int_mm")
def matmul_torch() -> Pairs:
    import torch

    rng = np.random.default_rng(5)
    for kind, (rows, terms, columns) in product(range(3), ((64, 512, 256), (32, 2000, 64), (100, 8, 8))):
        a, b = (random_codes(rng, shape, SIGNED, kind) for shape in ((rows, terms), (terms, columns)))
        yield integer_matmul(a, b), torch._int_mm(torch.from_numpy(a), torch.from_numpy(b)).numpy()


def scales(rng: np.random.Generator, index: int, accumulators: Any, channels: int | None) -> tuple[Any, Any, Any]:
    """(s_x, s_w, s_y) that spread the accumulators over the codes. Every other case is powers of two: many ties."""
    shape = () if channels is None else (channels,)
    if index % 2:
        s_x, s_w = np.float32(2.0**-5), np.asarray(2.0 ** rng.integers(-8, -5, shape), np.float32)
    else:
        s_x, s_w = np.float32(rng.uniform(0.001, 0.1)), np.asarray(rng.uniform(0.001, 0.02, shape), np.float32)
    s_y = np.float32(s_x * s_w.max() * max(1.0, float(accumulators.std())) / 40)
    return s_x, s_w, np.float32(2.0 ** np.round(np.log2(s_y))) if index % 2 else s_y


def qlinear_matmul(
    case: Product, index: int, constants: bool, multiply: Callable[..., Any] = integer_matmul
) -> tuple[Any, Any]:
    """(our codes, the codes of QLinearMatMul), per tensor or, every third case, per channel."""
    rng = np.random.default_rng(index)
    per_channel = index % 3 == 2 or case.b_zero.ndim == 1
    channels = case.b.shape[1] if per_channel else None
    b_zero = np.broadcast_to(case.b_zero, channels) if per_channel else case.b_zero
    accumulators = multiply(case.a, case.b, case.a_zero, b_zero)
    s_x, s_w, s_y = scales(rng, index, accumulators, channels)
    z_y, limits = random_codes(rng, (), case.a.dtype), np.iinfo(case.a.dtype)
    ours = requantize(accumulators, output_multiplier(s_x, s_w, s_y), int(z_y), limits.min, limits.max)
    inputs = {"a": case.a, "s_x": s_x, "a_zero": case.a_zero, "b": case.b, "s_w": s_w, "b_zero": b_zero}
    return ours, onnx_nodes.run("QLinearMatMul", {**inputs, "s_y": s_y, "z_y": z_y}, constants=constants)


@compare("matmul, requantize s8×s8", "onnxruntime", f"QLinearMatMul: {FLOAT32_RULE}")
def qlinear_matmul_signed() -> Pairs:
    for index, case in enumerate(products(SIGNED, SIGNED, seed=1)):
        yield qlinear_matmul(case, index, constants=index < 4)


@compare("matmul, requantize u8×u8", "onnxruntime", f"QLinearMatMul: {FLOAT32_RULE}")
def qlinear_matmul_unsigned() -> Pairs:
    for index, case in enumerate(products(UNSIGNED, UNSIGNED, seed=2)):
        yield qlinear_matmul(case, index, constants=index >= 2)


@compare("matmul, add_bias, requantize", "onnxruntime", f"com.microsoft QGemm: {FLOAT32_RULE}")
def qgemm() -> Pairs:
    for index, case in enumerate([*products(SIGNED, SIGNED, False, 3), *products(UNSIGNED, UNSIGNED, False, 3)]):
        rng = np.random.default_rng(index)
        bias = rng.integers(-(2**20), 2**20, case.b.shape[1]).astype(np.int32)
        total = add_bias(integer_matmul(*case), bias)
        s_x, s_w, s_y = scales(rng, index, total, case.b.shape[1])
        b_zero, z_y = np.broadcast_to(case.b_zero, s_w.shape), random_codes(rng, (), case.a.dtype)
        limits = np.iinfo(case.a.dtype)
        inputs = {"a": case.a, "s_x": s_x, "a_zero": case.a_zero, "b": case.b, "s_w": s_w, "b_zero": b_zero, "c": bias}
        codes = requantize(total, output_multiplier(s_x, s_w, s_y), int(z_y), limits.min, limits.max)
        how = {"domain": onnx_nodes.MICROSOFT, "constants": bool(index % 2)}
        yield codes, onnx_nodes.run("QGemm", {**inputs, "s_y": s_y, "z_y": z_y}, **how)
        # Without an output scale the accumulators leave as real numbers: f32(acc)·f32(s_x·s_w).
        yield total.astype(np.float32) * bias_scale(s_x, s_w), onnx_nodes.run("QGemm", inputs, **how)


class Convolution(NamedTuple):
    """(N, C, O, H, W), kernel, stride, padding (top, left, bottom, right), groups."""

    shape: tuple[int, int, int, int, int]
    kernel: int
    stride: int = 1
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1


ALL_SIDES = (1, 1, 1, 1)
# About a million outputs: the first layer of a CNN, wide ones, stride 2, depthwise, groups, and corners.
CONVOLUTIONS = [
    Convolution((24, 1, 32, 28, 28), 3, 1, ALL_SIDES),
    Convolution((4, 32, 32, 28, 28), 3, 1, ALL_SIDES),
    Convolution((8, 32, 64, 14, 14), 3, 1, ALL_SIDES),
    Convolution((8, 64, 128, 14, 14), 3, 2, ALL_SIDES),
    Convolution((8, 128, 128, 7, 7), 3, 1, ALL_SIDES),
    Convolution((8, 64, 64, 14, 14), 3, 1, ALL_SIDES, 64),
    Convolution((4, 33, 33, 15, 13), 3, 2, ALL_SIDES, 33),
    Convolution((4, 16, 64, 14, 14), 1),
    Convolution((4, 7, 13, 9, 11), 5, 2, (2, 1, 0, 3)),
    Convolution((2, 12, 18, 8, 8), 3, 1, ALL_SIDES, 3),
    Convolution((2, 6, 24, 8, 8), 3, 1, (1, 0, 1, 0), 6),
    Convolution((1, 300, 5, 3, 3), 3),
    Convolution((3, 2, 3, 1, 1), 1),
]


def qlinear_conv(
    case: Convolution,
    index: int,
    dtypes: tuple[Any, Any],
    convolve: Callable[..., Any] = integer_conv2d,
    low: Any = None,
) -> tuple[Any, Any]:
    """(our codes, the codes of QLinearConv) with bias; weights per channel and zero points in turn."""
    rng = np.random.default_rng(index)
    count, channels, outputs, height, width = case.shape
    x = random_codes(rng, (count, channels, height, width), dtypes[0], index % 2)
    w_shape = (outputs, channels // case.groups, case.kernel, case.kernel)
    w = random_codes(rng, w_shape, dtypes[1], (index + 1) % 3) if low is None else rng.integers(-64, 65, w_shape)
    w = w.astype(dtypes[1])
    x_zero, z_y = random_codes(rng, (), dtypes[0]), random_codes(rng, (), dtypes[0])
    per_channel = outputs if index % 4 < 2 else None
    symmetric = np.asarray(0 if dtypes[1] is SIGNED else 128, dtypes[1])
    w_zero = np.broadcast_to(symmetric if index % 3 else random_codes(rng, (), dtypes[1]), per_channel or ())
    accumulators = convolve(x, w, x_zero, w_zero, case.stride, case.padding, case.groups)
    bias = rng.integers(-3000, 3000, outputs).astype(np.int32)
    accumulators = add_bias(accumulators, bias)
    s_x, s_w, s_y = scales(rng, index, accumulators, per_channel)
    limits = np.iinfo(dtypes[0])
    ours = requantize(accumulators, output_multiplier(s_x, s_w, s_y), int(z_y), limits.min, limits.max)
    inputs = {"x": x, "s_x": s_x, "z_x": x_zero, "w": w, "s_w": s_w, "z_w": w_zero, "s_y": s_y, "z_y": z_y, "b": bias}
    how = {"strides": [case.stride] * 2, "pads": list(case.padding), "group": case.groups}
    return ours, onnx_nodes.run("QLinearConv", inputs, constants=index % 5 > 0, **how)


@compare("conv2d, add_bias, requantize s8×s8", "onnxruntime", f"QLinearConv: {FLOAT32_RULE}")
def conv_signed() -> Pairs:
    for index, case in enumerate(CONVOLUTIONS):
        yield qlinear_conv(case, index, (SIGNED, SIGNED))


@compare("conv2d, add_bias, requantize u8×u8", "onnxruntime", f"QLinearConv: {FLOAT32_RULE}")
def conv_unsigned() -> Pairs:
    for index, case in enumerate(CONVOLUTIONS):
        yield qlinear_conv(case, index + 1, (UNSIGNED, UNSIGNED))


@compare("integer_conv2d, all four dtypes", "onnx", "ConvInteger")
def conv_reference() -> Pairs:
    rng = np.random.default_rng(7)
    for dtypes in product((SIGNED, UNSIGNED), repeat=2):
        for case in CONVOLUTIONS[7:]:
            count, channels, outputs, height, width = case.shape
            x = random_codes(rng, (count, channels, height, width), dtypes[0])
            w = random_codes(rng, (outputs, channels // case.groups, case.kernel, case.kernel), dtypes[1])
            x_zero, w_zero = random_codes(rng, (), dtypes[0]), random_codes(rng, (), dtypes[1])
            how = {"strides": [case.stride] * 2, "pads": list(case.padding), "group": case.groups}
            theirs = onnx_nodes.run_reference("ConvInteger", {"x": x, "w": w, "z_x": x_zero, "z_w": w_zero}, **how)
            yield integer_conv2d(x, w, x_zero, w_zero, case.stride, case.padding, case.groups), theirs


@compare("conv2d, add_bias, requantize", "onnx", "QLinearConv, even zero points, powers of two: ties included")
def qlinear_conv_reference() -> Pairs:
    for index, dtypes in enumerate(product((SIGNED, UNSIGNED), repeat=2)):
        for case in CONVOLUTIONS[7:]:
            rng = np.random.default_rng(index)
            count, channels, outputs, height, width = case.shape
            x = random_codes(rng, (count, channels, height, width), dtypes[0])
            w = random_codes(rng, (outputs, channels // case.groups, case.kernel, case.kernel), dtypes[1])
            x_zero, w_zero = random_codes(rng, (), dtypes[0]), random_codes(rng, (outputs,), dtypes[1])
            bias, z_y = (
                rng.integers(-3000, 3000, outputs).astype(np.int32),
                int(random_codes(rng, (), dtypes[0])) // 2 * 2,
            )
            total = integer_conv2d(x, w, x_zero, w_zero, case.stride, case.padding, case.groups)
            total = add_bias(total, bias)
            s_x, s_w, s_y = scales(rng, 1, total, outputs)
            limits = np.iinfo(dtypes[0])
            ours = requantize(total, output_multiplier(s_x, s_w, s_y), int(z_y), limits.min, limits.max)
            inputs = {"x": x, "s_x": s_x, "z_x": x_zero, "w": w, "s_w": s_w, "z_w": w_zero, "s_y": s_y}
            how = {"strides": [case.stride] * 2, "pads": list(case.padding), "group": case.groups}
            yield ours, onnx_nodes.run_reference("QLinearConv", {**inputs, "z_y": dtypes[0](z_y), "b": bias}, **how)


@compare("integer_matmul u8×s8", "onnxruntime", THIS_CPU, expect="differ" if SATURATES else "equal")
def exact_mixed_product() -> Pairs:
    for case in products(UNSIGNED, SIGNED, seed=4):
        yield integer_matmul(*case), matmul_integer(case)


@compare("saturating_matmul u8×s8", "onnxruntime", THIS_CPU, expect="equal" if SATURATES else "differ")
def saturating_mixed_product() -> Pairs:
    for case in products(UNSIGNED, SIGNED, seed=4):
        few = Product(case.a[:200], case.b, case.a_zero, case.b_zero)
        yield saturating_matmul(*few), matmul_integer(few)


@compare("saturating_matmul = integer_matmul, 7-bit weights", "onnxruntime", "no pair exceeds 2·255·64")
def seven_bit_weights() -> Pairs:
    for case in products(UNSIGNED, SIGNED, seed=4):
        few = Product(case.a[:200], np.clip(case.b, -64, 64), case.a_zero, case.b_zero)
        theirs = matmul_integer(few)
        yield integer_matmul(*few), theirs
        yield saturating_matmul(*few), theirs


@compare("conv2d u8×s8, requantize", "onnxruntime", f"QLinearConv; {THIS_CPU}")
def mixed_convolution() -> Pairs:
    convolve = saturating_conv2d if SATURATES else integer_conv2d
    for index, case in enumerate(CONVOLUTIONS):
        yield qlinear_conv(case, index, (UNSIGNED, SIGNED), convolve)


@compare("conv2d u8×s8, 7-bit weights", "onnxruntime", "QLinearConv, no pair exceeds 2·255·64")
def seven_bit_convolution() -> Pairs:
    for index, case in enumerate(CONVOLUTIONS):
        yield qlinear_conv(case, index, (UNSIGNED, SIGNED), low=64)
