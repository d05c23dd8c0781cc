"""Correct quantizations: many shapes, distributions, bits and conventions, by this course and by other libraries.

What counts as correct: codes follow the definition under some convention of rounding; scale and zero point come from
min-max, or from a calibration that clips, of the values themselves. Two kinds of correct tensors waste a bit or more
and have one finding each, which is then expected and no other: far outliers, and a symmetric range for one sign.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from fewerbits.tensor.calibration import MSE, Percentile
from fewerbits.tensor.uniform import Uniform
from onnx.reference import ReferenceEvaluator
from onnxruntime import InferenceSession
from onnxruntime.quantization.quant_utils import compute_scale_zp, quantize_nparray

Array = np.ndarray
ALLOWED = ("one_outlier_takes_the_range", "symmetric_range_for_one_sided_data")
SHAPES = ((), (1,), (7,), (400,), (3, 5), (64, 40), (8, 6, 3, 3), (2, 16, 9, 9), (12, 1, 3, 3), (5000,))


class Correct(NamedTuple):
    """The arguments of `diagnose`, who made the codes, and the findings that may be there."""

    maker: str
    kind: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    allowed: tuple[str, ...]


def _sparse(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.standard_normal(shape) * (rng.random(shape) < 0.05)


def _with_signed_zeros(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.where(rng.random(shape) < 0.3, -0.0, np.where(rng.random(shape) < 0.3, 0.0, rng.standard_normal(shape)))


def _on_ties(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Multiples of half a step: after min-max many lie on a tie, or beside it."""
    return np.round(rng.uniform(-127, 127, shape) * 2) / 2


DISTRIBUTIONS = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "Laplace": lambda rng, shape: rng.laplace(size=shape),
    "uniform": lambda rng, shape: rng.uniform(-1, 1, shape),
    "shifted": lambda rng, shape: rng.uniform(10, 11, shape),
    "heavy tail": lambda rng, shape: rng.standard_t(1.5, shape),
    "sparse": _sparse,
    "ReLU": lambda rng, shape: np.maximum(rng.standard_normal(shape), 0),
    "negative": lambda rng, shape: -np.abs(rng.standard_normal(shape)),
    "constant": lambda rng, shape: np.full(shape, rng.standard_normal()),
    "zeros": lambda rng, shape: np.zeros(shape),
    "tiny": lambda rng, shape: rng.standard_normal(shape) * 1e-30,
    "huge": lambda rng, shape: rng.standard_normal(shape) * 1e30,
    "denormal": lambda rng, shape: rng.standard_normal(shape) * 1e-39,
    "signed zeros": _with_signed_zeros,
    "ties": _on_ties,
    "channels of other sizes": lambda rng, shape: (
        rng.standard_normal(shape) * 2.0 ** rng.uniform(-6, 6, (*shape[:1], *[1] * (len(shape) - 1)))
    ),
}
CONVENTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"rounding": "half_away"},
    {"reciprocal": True},
    {"zero_point_added": "before"},
    {"reciprocal": True, "zero_point_added": "fused"},
    {"narrow_range": True},
)


def all_correct(shapes: tuple[tuple[int, ...], ...] = SHAPES, others: bool = True, seed: int = 0) -> Iterator[Correct]:
    """Every distribution in every shape, with bits, signs and conventions drawn at random; by other libraries too."""
    for index, (kind, draw) in enumerate(DISTRIBUTIONS.items()):
        for number, shape in enumerate(shapes):
            rng = np.random.default_rng([seed, index, number])
            x = np.asarray(draw(rng, shape)).astype(np.float32)
            yield from _by_this_course(kind, x, rng)
            yield from _in_other_forms(kind, x, rng)
            if others:
                yield from _by_calibration(kind, x, rng)
                yield from _by_onnx(kind, x, rng)
                yield from _by_torch(kind, x, rng)


def _case(maker: str, kind: str, x: Array, codes: Array, scale: Any, zero_point: Any, bits: int, **options: Any) -> Any:
    allowed: tuple[str, ...] = ()
    if kind == "heavy tail":
        allowed += ALLOWED[:1]
    if not x.min() < 0 < x.max():
        allowed += ALLOWED[1:]
    return Correct(maker, kind, (x, codes, scale, zero_point, bits), options, allowed)


def _by_this_course(kind: str, x: Array, rng: np.random.Generator) -> Iterator[Correct]:
    for convention in CONVENTIONS:
        bits = int(rng.choice([2, 3, 4, 5, 8, 8, 12, 16]))
        symmetric, signed = bool(rng.random() < 0.5), bool(rng.random() < 0.6)
        axis = int(rng.integers(x.ndim)) if x.ndim > 1 and rng.random() < 0.5 else None
        scheme = Uniform.fit(x, bits, symmetric=symmetric, signed=signed, axis=axis, **convention)
        codes = scheme.quantize(x)
        rounding = convention.get("rounding", "half_even") if len(convention) < 2 and rng.random() < 0.3 else None
        if "reciprocal" in convention or "zero_point_added" in convention:
            rounding = None
        yield _case(
            "fewerbits", kind, x, codes, scheme.scale, scheme.zero_point, bits, signed=signed,
            symmetric=symmetric or None, axis=axis, dequantized=scheme.dequantize(codes), rounding=rounding,
        )  # fmt: skip
    scheme = Uniform.fit(x, 8, rounding="stochastic")
    yield _case("fewerbits", kind, x, scheme.quantize(x), scheme.scale, 0, 8, rounding="stochastic")


def _in_other_forms(kind: str, x: Array, rng: np.random.Generator) -> Iterator[Correct]:
    """Groups, float16 and float64, scales in float16, scales that keep their axes, codes in a wide type."""
    if kind in ("tiny", "huge", "denormal"):
        return  # beyond float16
    half = x.astype(np.float16)
    scheme = Uniform.fit(half, symmetric=False, signed=False)
    yield _case("float16 values", kind, half, scheme.quantize(half), scheme.scale, scheme.zero_point, 8)
    wide = Uniform.fit(x.astype(np.float64))
    yield _case("float64 values", kind, x.astype(np.float64), wide.quantize(x.astype(np.float64)), float(wide.scale),
                0, 8)  # fmt: skip
    in_half = np.float16(np.abs(x.astype(np.float64)).max() / 127 or 1.0)
    if in_half > 1e-3:
        codes = np.clip(np.rint(x / in_half.astype(np.float32)), -128, 127).astype(np.int64)
        yield _case("float16 scale", kind, x, codes, in_half, 0, 8, signed=True)
    if x.any():
        peak = float(np.abs(x).max())
        shift = 2.0 ** np.ceil(np.log2(peak / 127))
        if np.log2(peak) % 1:  # else the range is twice too wide, and that is said
            codes = np.rint(x / np.float32(shift)).astype(np.int8)
            yield _case("power of two scale", kind, x, codes, shift, 0, 8)
        seven = Uniform.fit(x, 7)
        yield _case("7 bits, declared", kind, x, seven.quantize(x), seven.scale, 0, 7)
    if x.ndim > 1 and x.shape[-1] % 4 == 0:
        groups = Uniform.fit(x, 4, axis=x.ndim - 1, group_size=4)
        shape = (*x.shape[:-1], x.shape[-1] // 4, 4)
        yield _case("groups", kind, x.reshape(shape), groups.quantize(x).reshape(shape), groups.scale[..., None], 0, 4)
    if x.ndim > 1:
        channels = Uniform.fit(x, axis=1)
        scales = channels.scale.reshape([1, -1, *[1] * (x.ndim - 2)])
        yield _case(
            "scales with axes", kind, x, channels.quantize(x).astype(np.int32), scales, 0, 8, signed=True, axis=1
        )


def _by_calibration(kind: str, x: Array, rng: np.random.Generator) -> Iterator[Correct]:
    """Clipped on purpose: by squared error, and 0.1 % of the values."""
    if kind == "heavy tail" or not x.any():
        return
    # The search for the least error takes longer than all else here, so one tensor in three has it.
    for observer in (MSE(), Percentile(percent=99.9))[0 if rng.random() < 1 / 3 else 1 :]:
        symmetric = bool(rng.random() < 0.5)
        bits = int(rng.choice([3, 4, 8]))
        scheme = observer.observe(x).fit(bits, symmetric=symmetric, signed=symmetric)
        yield _case(type(observer).__name__, kind, x, scheme.quantize(x), scheme.scale, scheme.zero_point, bits,
                    signed=symmetric)  # fmt: skip


def _quantize_linear(x: Array, scale: Array, zero_point: Array, axis: int | None, runtime: bool) -> Array:
    node = onnx.helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], axis=0 if axis is None else axis)
    kinds = [onnx.helper.np_dtype_to_tensor_dtype(array.dtype) for array in (x, scale, zero_point)]
    inputs = [
        onnx.helper.make_tensor_value_info(*part)
        for part in zip("xsz", kinds, (x.shape, scale.shape, zero_point.shape))
    ]
    graph = onnx.helper.make_graph([node], "q", inputs, [onnx.helper.make_tensor_value_info("q", kinds[2], None)])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)], ir_version=10)
    feed = {"x": x, "s": scale, "z": zero_point}
    if runtime:
        return InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feed)[0]
    return ReferenceEvaluator(model).run(None, feed)[0]


def _by_onnx(kind: str, x: Array, rng: np.random.Generator) -> Iterator[Correct]:
    """Parameters and codes by ONNX Runtime's quantization tool; codes also by its engine and ONNX's own evaluator."""
    if kind in ("tiny", "denormal"):
        return  # the tool raises such scales to its own smallest one
    symmetric, signed = bool(rng.random() < 0.5), bool(rng.random() < 0.5)
    qmin, qmax = (-128, 127) if signed else (0, 255)
    symmetric &= signed
    zero_point, scale = compute_scale_zp(
        x.min(), x.max(), np.array(-127 if symmetric else qmin), np.array(qmax), symmetric=symmetric
    )
    dtype = np.int8 if signed else np.uint8
    scale, zero_point = np.asarray(scale, np.float32).reshape(()), np.asarray(zero_point).astype(dtype).reshape(())
    element = onnx.TensorProto.INT8 if signed else onnx.TensorProto.UINT8
    codes = {
        "onnxruntime tool": lambda: quantize_nparray(element, x, scale, zero_point).astype(dtype),
        "onnxruntime": lambda: _quantize_linear(x, scale, zero_point, None, True),
        "onnx": lambda: _quantize_linear(x, scale, zero_point, None, False),
    }
    for maker, quantize in codes.items():
        yield _case(maker, kind, x, quantize(), scale, zero_point, 8, symmetric=symmetric or None)
    if x.ndim > 1 and x.any():
        axis = int(rng.integers(x.ndim))
        scheme = Uniform.fit(x, axis=axis)
        zero_points = scheme.zero_point.astype(np.int8)
        made = _quantize_linear(x, scheme.scale, zero_points, axis, bool(rng.random() < 0.5))
        yield _case("onnx per channel", kind, x, made, scheme.scale, zero_points, 8, axis=axis, symmetric=True)


def _by_torch(kind: str, x: Array, rng: np.random.Generator) -> Iterator[Correct]:
    """Parameters by torch's observers, codes by its quantized tensors."""
    if kind in ("tiny", "denormal", "huge"):
        return  # its observers raise scales to float32's epsilon, and overflow
    from torch.ao.quantization.observer import MinMaxObserver, PerChannelMinMaxObserver

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tensor = torch.from_numpy(np.array(x))
        affine = bool(rng.random() < 0.5)
        dtype = torch.quint8 if affine else torch.qint8
        scheme = torch.per_tensor_affine if affine else torch.per_tensor_symmetric
        observer = MinMaxObserver(dtype=dtype, qscheme=scheme)
        observer(tensor)
        scale, zero_point = observer.calculate_qparams()
        made = torch.quantize_per_tensor(tensor, float(scale), int(zero_point), dtype)
        yield _case("torch", kind, x, made.int_repr().numpy(), float(scale), int(zero_point), 8,
                    dequantized=made.dequantize().numpy())  # fmt: skip
        if x.ndim > 1:
            axis = int(rng.integers(x.ndim))
            channels = PerChannelMinMaxObserver(axis, torch.qint8, torch.per_channel_symmetric)
            channels(tensor)
            scales, zero_points = channels.calculate_qparams()
            made = torch.quantize_per_channel(tensor, scales, zero_points, axis, torch.qint8)
            yield _case("torch per channel", kind, x, made.int_repr().numpy(), scales.numpy(), zero_points.numpy(), 8,
                        axis=axis, dequantized=made.dequantize().numpy())  # fmt: skip
