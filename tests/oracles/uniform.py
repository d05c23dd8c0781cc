"""Uniform quantization against the ONNX reference evaluator, ONNX Runtime, PyTorch, gguf, gfloat and decimal.

Each engine is met in its own convention; where two of them differ, a row says so and fails when they agree.
"""

from __future__ import annotations

import decimal
import itertools
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from fewerbits.tensor.rounding import round_in_place
from fewerbits.tensor.uniform import Uniform, code_range
from numpy.typing import NDArray

from tests.oracles.registry import Pairs, compare

ENGINES = {"onnx": "clip(rint(x/s)+z)", "onnxruntime": "clip(rint(x/s)+z)"}
FORMATS = [(bits, signed) for bits in (2, 4, 8, 16) for signed in (True, False)]
# A power of two, its neighbours in decimal, an exact third, and the two ends of float32.
SCALES = np.array([1, 0.1, 0.5, 1 / 3, 0.0078125, 7.3e-5, 3.1e4, 2.0**-126, 1e-30, 1e30], np.float32)
# The reference evaluator casts to int32 before it saturates.
ONNX_LIMIT = 2.0**30


def name(bits: int, signed: bool) -> str:
    return f"{'int' if signed else 'uint'}{bits}"


def hard_values(scale: np.float32, low: int = -130, high: int = 260, seed: int = 0) -> NDArray[np.float32]:
    """Levels, ties and their neighbours from `low` to `high` steps of `scale`, what lies beyond, ±0, denormals,
    the extremes of float32, 2³¹ steps and their neighbours, and random values of every magnitude."""
    rng = np.random.default_rng(seed)
    steps = np.arange(low, high) if high - low < 1000 else rng.integers(low, high, 1000)
    with np.errstate(over="ignore", under="ignore"):
        on_grid = (np.concatenate([steps, steps + 0.5]) * np.float64(scale)).astype(np.float32)
        far = np.array([2.0**31, 2.0**31 - 128, 2.0**32, 2.0**63, 2.0**64]) * np.float64(scale)
        edges = np.concatenate([on_grid, far.clip(0, np.finfo(np.float32).max).astype(np.float32)])
        near = [np.nextafter(edges, np.float32(side)) for side in (-np.inf, np.inf)]
        near += [np.nextafter(part, np.float32(side)) for part, side in zip(near, (-np.inf, np.inf))]
        spread = rng.standard_normal((3, 2000)) * np.array([[1], [60], [3e4]]) * np.float64(scale)
        anywhere = 10 ** rng.uniform(-45, 38.5, 3000) * rng.choice([-1, 1], 3000)
        special = [0.0, -0.0, 1e-45, 1.1754942e-38, 2.0**31, 2.0**31 + 256, 2.0**24 + 1, 3.4028235e38]
        values = np.concatenate([edges, *near, spread.ravel(), anywhere, special, np.negative(special)])
        values = values.astype(np.float32)
    return values[np.isfinite(values)]


def zero_points(bits: int, signed: bool) -> list[int]:
    qmin, qmax = code_range(bits, signed)
    return sorted({qmin, qmax, 0, (qmin + qmax) // 2, min(qmin + 2**bits // 4 + 1, qmax)})


@cache
def engine(oracle: str, operation: str, bits: int, signed: bool, axis: int, block_size: int) -> Any:
    """A callable (x, scale, zero_point) that runs one ONNX operator; codes enter and leave as int32."""
    from onnx import TensorProto, helper

    code = getattr(TensorProto, name(bits, signed).upper())
    attributes = {"axis": axis} | ({"block_size": block_size} if block_size else {})
    if operation == "QuantizeLinear":
        source, target = TensorProto.FLOAT, TensorProto.INT32
        nodes = [
            helper.make_node(operation, ["x", "s", "zero"], ["codes"], **attributes),
            helper.make_node("Cast", ["codes"], ["y"], to=TensorProto.INT32),
        ]
    else:
        source, target = TensorProto.INT32, TensorProto.FLOAT
        nodes = [
            helper.make_node("Cast", ["x"], ["codes"], to=code),
            helper.make_node(operation, ["codes", "s", "zero"], ["y"], **attributes),
        ]
    nodes.insert(0, helper.make_node("Cast", ["z"], ["zero"], to=code))
    declare = helper.make_tensor_value_info
    inputs = [declare("x", source, None), declare("s", TensorProto.FLOAT, None), declare("z", TensorProto.INT32, None)]
    graph = helper.make_graph(nodes, operation, inputs, [declare("y", target, None)])
    # Two-bit types came with opset 25, four-bit types and blocks with opset 21.
    opset, ir_version = (25, 13) if bits == 2 else (21, 10)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    run = runner(oracle, model)
    return lambda x, scale, zero_point: run({"x": x, "s": np.asarray(scale), "z": np.asarray(zero_point, np.int32)})[0]


def runner(oracle: str, model: Any) -> Any:
    """A callable that feeds `model` to the reference evaluator ("onnx") or to ONNX Runtime, unoptimized."""
    if oracle == "onnx":
        from onnx.reference import ReferenceEvaluator

        evaluator = ReferenceEvaluator(model)

        def evaluate(feed: dict[str, Any]) -> Any:
            with np.errstate(all="ignore"):
                return evaluator.run(None, feed)

        return evaluate
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return lambda feed: session.run(None, feed)


def within(oracle: str, x: NDArray[np.float32], scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """`x`, with what the reference evaluator cannot cast replaced by zero."""
    if oracle != "onnx":
        return x
    with np.errstate(over="ignore"):
        return np.where(np.abs(x / scale) < ONNX_LIMIT, x, np.float32(0))


def per_tensor(bits: int, signed: bool) -> Iterator[Uniform]:
    for scale in SCALES:
        for zero_point in zero_points(bits, signed):
            yield Uniform(scale, zero_point, bits, signed)


def per_axis(x: NDArray[Any], axis: int, bits: int, signed: bool, group_size: int | None = None) -> Uniform:
    """Random scales of many magnitudes and random zero points, in the shape that `x` needs."""
    rng = np.random.default_rng(axis)
    shape: tuple[int, ...] = (x.shape[axis],)
    if group_size:
        shape = tuple(n // group_size if i == axis else n for i, n in enumerate(x.shape))
    scale = (10 ** rng.uniform(-6, 4, shape)).astype(np.float32)
    zero_point = rng.integers(*code_range(bits, signed), shape, endpoint=True)
    return Uniform(scale, zero_point, bits, signed, axis=axis, group_size=group_size)


def channels(scheme: Uniform, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Values of `shape` around the ties of their own scale; the first index of the first axis is dead (zero)."""
    rng = np.random.default_rng(1)
    scale = scheme.scale
    if scheme.axis is not None:
        scale = np.repeat(scale, scheme.group_size, scheme.axis) if scheme.group_size else scale
        scale = scale.reshape([n if i == scheme.axis else 1 for i, n in enumerate(shape)] if scale.ndim == 1 else shape)
    span = 2.0**scheme.bits
    x = (np.round(rng.uniform(-span, span, shape) * 2) / 2 * scale).astype(np.float32)
    x = np.nextafter(x, rng.choice([-np.inf, np.inf], shape).astype(np.float32), where=rng.random(shape) < 0.5, out=x)
    x[0] = 0
    return x


def register_onnx(oracle: str, rule: str) -> None:
    for bits, signed in FORMATS:
        register_onnx_per_tensor(oracle, rule, bits, signed)

    for verb in ("quantize", "dequantize"):
        for axis in (0, 1, 2):
            register_onnx_per_axis(oracle, rule, verb, axis, None)
            register_onnx_per_axis(oracle, rule, verb, axis, 4)


def register_onnx_per_tensor(oracle: str, rule: str, bits: int, signed: bool) -> None:
    @compare(f"uniform.quantize {name(bits, signed)} per tensor", oracle, rule, requires=(oracle,))
    def quantize() -> Pairs:
        run = engine(oracle, "QuantizeLinear", bits, signed, 0, 0)
        qmin, qmax = code_range(bits, signed)
        for scheme in per_tensor(bits, signed):
            zero = int(scheme.zero_point)
            x = within(oracle, hard_values(scheme.scale[()], qmin - zero - 3, qmax - zero + 3), scheme.scale)
            yield scheme.quantize(x), run(x, scheme.scale, scheme.zero_point)

    @compare(f"uniform.dequantize {name(bits, signed)} per tensor", oracle, "s·(q−z)", requires=(oracle,))
    def dequantize() -> Pairs:
        run = engine(oracle, "DequantizeLinear", bits, signed, 0, 0)
        qmin, qmax = code_range(bits, signed)
        codes = np.arange(qmin, qmax + 1, dtype=np.int32)
        for scheme in per_tensor(bits, signed):
            yield scheme.dequantize(codes), run(codes, scheme.scale, scheme.zero_point)


def register_onnx_per_axis(oracle: str, rule: str, verb: str, axis: int, group_size: int | None) -> None:
    where = f"groups of {group_size} along axis {axis}" if group_size else f"per axis {axis}"

    @compare(f"uniform.{verb} 2–16 bits {where}", oracle, rule, requires=(oracle,))
    def pairs() -> Pairs:
        shape = (12, 16, 20)
        for bits, signed in FORMATS:
            scheme = per_axis(np.empty(shape), axis, bits, signed, group_size)
            operation = "QuantizeLinear" if verb == "quantize" else "DequantizeLinear"
            run = engine(oracle, operation, bits, signed, axis, group_size or 0)
            if verb == "quantize":
                x = channels(scheme, shape)
            else:
                low, high = code_range(bits, signed)
                x = np.random.default_rng(2).integers(low, high, shape, np.int32, endpoint=True)
            yield getattr(scheme, verb)(x), run(x, scheme.scale, scheme.zero_point)


for _oracle, _rule in ENGINES.items():
    register_onnx(_oracle, _rule)


def ranges() -> Iterator[NDArray[np.float32]]:
    """Data for fitting: random spans of every magnitude and offset, constants, one sign only, one dead tensor."""
    rng = np.random.default_rng(3)
    for _ in range(3000):
        magnitude = np.float32(10 ** rng.uniform(-30, 30))
        yield (rng.standard_normal(8) + rng.choice([0, 3, -3])).astype(np.float32) * magnitude
    for constant in (5.0, -5.0, 1e-30, 3e38, -3e38):
        yield np.full(8, constant, np.float32)
    # The published example of the operator specification, and its second (only negative) one.
    yield np.array([0, 2, -3, -2.5, 1.34, 0.5], np.float32)
    yield np.array([-1.0, -2.1, -1.3, -2.5, -3.34, -4.0], np.float32)


@cache
def dynamic(oracle: str) -> Any:
    from onnx import TensorProto, helper

    declare = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"])],
        "dynamic",
        [declare("x", TensorProto.FLOAT, None)],
        [
            declare("y", TensorProto.UINT8, None),
            declare("s", TensorProto.FLOAT, []),
            declare("z", TensorProto.UINT8, []),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    run = runner(oracle, model)
    return lambda x: run({"x": x})


def register_dynamic(oracle: str) -> None:
    @compare(
        "uniform.fit affine uint8, then quantize", f"{oracle} DynamicQuantizeLinear", requires=(oracle,), slow=True
    )
    def pairs() -> Pairs:
        for x in ranges():
            codes, scale, zero_point = dynamic(oracle)(x)
            scheme = Uniform.fit(x, symmetric=False, signed=False)
            yield scheme.scale, scale
            yield scheme.zero_point, zero_point
            yield scheme.quantize(x), codes


for _oracle in ENGINES:
    register_dynamic(_oracle)


@compare(
    "DynamicQuantizeLinear of zeros: scale 1/255 or 1",
    "onnx or onnxruntime",
    "an empty range has no scale of its own",
    expect="differ",
    requires=("onnx", "onnxruntime"),
)
def zeros_get_a_scale() -> Pairs:
    zeros = np.zeros(8, np.float32)
    yield dynamic("onnx")(zeros)[1], dynamic("onnxruntime")(zeros)[1]


@compare("uniform.fit of zeros: scale 1", "onnxruntime DynamicQuantizeLinear", requires=("onnxruntime",))
def zeros_get_scale_one() -> Pairs:
    zeros = np.zeros(8, np.float32)
    scheme = Uniform.fit(zeros, symmetric=False, signed=False)
    yield from zip((scheme.quantize(zeros), scheme.scale, scheme.zero_point), dynamic("onnxruntime")(zeros))


@compare(
    "QuantizeLinear of values from 2³¹ steps on",
    "onnx or onnxruntime",
    "the evaluator casts to int32 before it saturates",
    expect="differ",
    requires=("onnx", "onnxruntime"),
)
def evaluator_wraps_large_values() -> Pairs:
    x = np.array([2.0**31, 2.0**33, 3e38], np.float32)
    results = [engine(oracle, "QuantizeLinear", 8, True, 0, 0)(x, np.float32(1), 1) for oracle in ENGINES]
    yield results[0], results[1]


def torch_quantized(x: NDArray[np.float32], scheme: Uniform) -> NDArray[Any]:
    """Codes by PyTorch's quantized tensors, which are deprecated and serve here as an oracle only."""
    import torch

    dtype = torch.qint8 if scheme.signed else torch.quint8
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.quantize_per_tensor", category=UserWarning)
        if scheme.axis is None:
            scale, zero_point = float(scheme.scale), int(scheme.zero_point)
            quantized = torch.quantize_per_tensor(torch.from_numpy(x), scale, zero_point, dtype)
        else:
            scales, zero_points = torch.from_numpy(scheme.scale), torch.from_numpy(scheme.zero_point)
            quantized = torch.quantize_per_channel(torch.from_numpy(x), scales, zero_points, scheme.axis, dtype)
    return quantized.int_repr().numpy()


def almost_ties(scale: np.float32, zero_point: int) -> NDArray[np.float32]:
    """Values whose x·(1/s) + z lies within one float64 rounding of the middle between two float32 numbers."""
    rng = np.random.default_rng(4)
    inverse = np.float64(np.float32(1) / scale)
    half_step = np.spacing(np.float32(zero_point + 0.5)).astype(np.float64) / 2
    targets = rng.integers(-8, 8, 2000) + 0.5 + half_step * rng.choice([-1, 1], 2000)
    return (targets / inverse).astype(np.float32)


@compare("uniform.quantize 8 bits per tensor", "torch quantize_per_tensor", "x·(1/s)+z fused", requires=("torch",))
def torch_per_tensor() -> Pairs:
    for signed in (True, False):
        for scale in SCALES:
            for zero_point in zero_points(8, signed):
                scheme = Uniform(scale, zero_point, 8, signed, reciprocal=True, zero_point_added="fused")
                x = np.concatenate([hard_values(scale), almost_ties(scale, zero_point)])
                yield scheme.quantize(x), torch_quantized(x, scheme)


@compare(
    "uniform.quantize of sums that float64 rounds to a tie",
    "torch quantize_per_tensor",
    "one rounding, not two",
    requires=("torch",),
)
def torch_rounds_once() -> Pairs:
    # Found by a search among 56 million pairs: float64 rounds x·(1/s) + z onto a float32 tie.
    found = [
        (128, 0.69419855, 0.34710458),
        (128, 1.6150926, 0.80755866),
        (128, 1.3883971, 0.69420916),
        (201, 1.848744, 0.92435795),
        (201, 1.9711776, 0.9855737),
        (201, 1.7714876, 0.8857303),
    ]
    for zero_point, scale, value in found:
        scheme = Uniform(np.float32(scale), zero_point, signed=False, reciprocal=True, zero_point_added="fused")
        x = np.full(64, value, np.float32)
        yield scheme.quantize(x), torch_quantized(x, scheme)


@compare("uniform.quantize 8 bits per axis", "torch quantize_per_channel", "x·(1/s)+z, not fused", requires=("torch",))
def torch_per_channel() -> Pairs:
    for signed in (True, False):
        for axis in (0, 1, 2):
            fitted = per_axis(np.empty((24, 20, 30)), axis, 8, signed)
            x = channels(fitted, (24, 20, 30))
            convention = {"axis": axis, "reciprocal": True, "zero_point_added": "before"}
            scheme = Uniform(fitted.scale, fitted.zero_point, 8, signed, **convention)
            yield scheme.quantize(x), torch_quantized(x, scheme)


@compare("uniform.fake_quantize 1–16 bits per tensor", "torch", "rint(x·(1/s))+z", requires=("torch",), slow=True)
def torch_fake_per_tensor() -> Pairs:
    import torch

    for bits in range(1, 17):
        for signed, narrow in itertools.product((True, False), (True, False) if bits > 1 else (False,)):
            for scale in SCALES[1::3]:
                for zero_point in zero_points(bits, signed)[1:4]:
                    scheme = Uniform(scale, zero_point, bits, signed, narrow, reciprocal=True)
                    x = hard_values(scale)
                    theirs = torch.fake_quantize_per_tensor_affine(
                        torch.from_numpy(x), float(scale), zero_point, scheme.qmin, scheme.qmax
                    )
                    yield scheme.dequantize(scheme.quantize(x)), theirs.numpy()


@compare("uniform.fake_quantize 2–16 bits per axis", "torch", "rint(x·(1/s))+z", requires=("torch",))
def torch_fake_per_channel() -> Pairs:
    import torch

    for bits, signed in FORMATS:
        for axis in (0, 1, 2):
            fitted = per_axis(np.empty((24, 20, 30)), axis, bits, signed)
            x = channels(fitted, (24, 20, 30))
            scheme = Uniform(fitted.scale, fitted.zero_point, bits, signed, axis=axis, reciprocal=True)
            theirs = torch.fake_quantize_per_channel_affine(
                torch.from_numpy(x),
                torch.from_numpy(scheme.scale),
                torch.from_numpy(scheme.zero_point),
                axis,
                scheme.qmin,
                scheme.qmax,
            )
            yield scheme.dequantize(scheme.quantize(x)), theirs.numpy()


@compare("uniform.dequantize 8 bits per tensor and axis", "torch dequantize", "s·(q−z)", requires=("torch",))
def torch_dequantize() -> Pairs:
    import torch

    for signed in (True, False):
        codes = np.arange(*code_range(8, signed), dtype=np.int8 if signed else np.uint8)
        for scheme in per_tensor(8, signed):
            make = torch._make_per_tensor_quantized_tensor
            theirs = make(torch.from_numpy(codes), float(scheme.scale), int(scheme.zero_point)).dequantize().numpy()
            yield scheme.dequantize(codes), theirs
        table = np.repeat(codes[None], 50, axis=0)
        scheme = per_axis(table, 0, 8, signed)
        scales, zero_points_ = torch.from_numpy(scheme.scale), torch.from_numpy(scheme.zero_point)
        theirs = torch._make_per_channel_quantized_tensor(torch.from_numpy(table), scales, zero_points_, 0).dequantize()
        yield scheme.dequantize(table), theirs.numpy()


def observed(x: NDArray[np.float32], low: int, high: int, scheme: str) -> tuple[NDArray[Any], NDArray[Any]]:
    import torch
    from torch.ao.quantization import MinMaxObserver

    dtype = torch.qint8 if low < 0 else torch.quint8
    observer = MinMaxObserver(dtype, getattr(torch, scheme), quant_min=low, quant_max=high, eps=1e-37)
    observer(torch.from_numpy(x))
    scale, zero_point = observer.calculate_qparams()
    return scale.numpy()[0], zero_point.numpy()[0]


@compare("uniform.fit affine unsigned, 2–8 bits", "torch MinMaxObserver", requires=("torch",), slow=True)
def torch_observer_affine() -> Pairs:
    for x in list(ranges())[::10]:
        for bits in (2, 4, 8):
            scheme = Uniform.fit(x, bits, symmetric=False, signed=False)
            scale, zero_point = observed(x, 0, scheme.qmax, "per_tensor_affine")
            yield scheme.scale, scale
            yield scheme.zero_point, zero_point


@compare("uniform.fit symmetric narrow, 2–8 bits", "torch MinMaxObserver", "max|x|/P", requires=("torch",), slow=True)
def torch_observer_symmetric() -> Pairs:
    for x in list(ranges())[::10]:
        for bits in (2, 4, 8):
            scheme = Uniform.fit(x, bits, narrow_range=True)
            scale, zero_point = observed(x, scheme.qmin, scheme.qmax, "per_tensor_symmetric")
            yield scheme.scale, scale
            yield scheme.zero_point, zero_point


@compare(
    "symmetric scale of −128..127: max|x|/127 or max|x|/127.5",
    "torch MinMaxObserver",
    "half of the code range is no code",
    expect="differ",
    requires=("torch",),
)
def torch_divides_by_half_a_range() -> Pairs:
    for x in list(ranges())[::10]:
        yield Uniform.fit(x).scale, observed(x, -128, 127, "per_tensor_symmetric")[0]


@compare(
    "uniform.from_range, 4–16 bits", "onnxruntime quantization tool", "in float64", requires=("onnxruntime",), slow=True
)
def onnxruntime_parameters() -> Pairs:
    from onnxruntime.quantization.quant_utils import compute_scale_zp

    for x in list(ranges())[::4]:
        low, high = np.minimum(x.min(), 0, dtype=np.float32), np.maximum(x.max(), 0, dtype=np.float32)
        for bits, signed in FORMATS[2:]:
            scheme = Uniform.from_range(np.float64(low), np.float64(high), bits, symmetric=False, signed=signed)
            limits = [np.array(limit) for limit in (scheme.qmin, scheme.qmax)]
            zero_point, scale = compute_scale_zp(low, high, *limits, symmetric=False)
            yield scheme.scale, np.float32(scale)
            yield scheme.zero_point, np.int32(zero_point)


@compare(
    "x/s against x·(1/s), at s = 0.1",
    "onnxruntime or torch",
    "the reciprocal is rounded first",
    expect="differ",
    requires=("onnxruntime", "torch"),
)
def division_or_reciprocal() -> Pairs:
    import torch

    scale = np.float32(0.1)
    x = (np.arange(-1275, 1275, 10) / 100).astype(np.float32)
    codes = engine("onnxruntime", "QuantizeLinear", 8, True, 0, 0)(x, scale, 0)
    faked = torch.fake_quantize_per_tensor_affine(torch.from_numpy(x), float(scale), 0, -128, 127)
    yield (codes * scale).astype(np.float32), faked.numpy()


@compare(
    "zero point after or before rounding, ties at z = 1",
    "onnxruntime or torch quantize_per_tensor",
    "the parity of z decides the tie",
    expect="differ",
    requires=("onnxruntime", "torch"),
)
def zero_point_after_or_before() -> Pairs:
    x = np.arange(-20, 20, dtype=np.float32) + np.float32(0.5)
    scheme = Uniform(np.float32(1), 1, signed=False, reciprocal=True, zero_point_added="fused")
    yield engine("onnxruntime", "QuantizeLinear", 8, False, 0, 0)(x, np.float32(1), 1), torch_quantized(x, scheme)


@compare(
    "fused or two roundings in x·(1/s) + z",
    "torch quantize_per_tensor or quantize_per_channel",
    "one library, two rules",
    expect="differ",
    requires=("torch",),
)
def fused_or_not() -> Pairs:
    scale = np.float32(0.1)
    x = hard_values(scale)[:4000].reshape(1, -1)
    convention = {"signed": False, "reciprocal": True, "zero_point_added": "fused"}
    tensor = Uniform(scale, 101, **convention)
    channel = Uniform(scale[None], np.array([101]), axis=0, **convention)
    yield torch_quantized(x, tensor), torch_quantized(x, channel)


DECIMAL = {
    "half_even": decimal.ROUND_HALF_EVEN,
    "half_away": decimal.ROUND_HALF_UP,
    "toward_zero": decimal.ROUND_DOWN,
    "floor": decimal.ROUND_FLOOR,
}


def rounding_data(dtype: type[Any]) -> NDArray[Any]:
    """Ties, integers and their neighbours, up to where every number is an integer, and random magnitudes."""
    rng = np.random.default_rng(5)
    limit = 2.0 ** np.finfo(dtype).nmant
    whole = np.concatenate(
        [np.arange(-300, 300), limit / 2 - np.arange(50), limit - np.arange(50), limit + np.arange(9)]
    )
    grid = np.concatenate([whole, whole + 0.5, -whole - 0.5]).astype(dtype)
    around = [np.nextafter(grid, dtype(side)) for side in (-np.inf, np.inf)]
    anywhere = (10 ** rng.uniform(-20, 12, 3000) * rng.choice([-1, 1], 3000)).astype(dtype)
    return np.concatenate([grid, *around, anywhere, np.array([0.0, -0.0, 0.25, 1e-40], dtype)])


def register_rounding(rule: str) -> None:
    @compare(f"rounding {rule}, float32 and float64", "python decimal", "exact arithmetic")
    def pairs() -> Pairs:
        for dtype in (np.float32, np.float64):
            x = rounding_data(dtype)
            theirs = [float(decimal.Decimal(float(v)).to_integral_value(DECIMAL[rule])) for v in x]
            round_in_place(x, rule)
            yield x, np.array(theirs)

    mode = {
        "half_even": "TiesToEven",
        "half_away": "TiesToAway",
        "toward_zero": "TowardZero",
        "floor": "TowardNegative",
    }[rule]

    @compare(f"uniform.fake_quantize, s = 2⁻⁶, {rule}", f"gfloat OCP int8 {mode}", requires=("gfloat",))
    def integer_format() -> Pairs:
        import gfloat
        from gfloat.formats import format_info_ocp_int8

        scheme = Uniform(np.float32(2**-6), 0, rounding=rule)
        x = np.concatenate([rounding_data(np.float64), hard_values(np.float32(2**-6)).astype(np.float64)])
        theirs = gfloat.round_ndarray(format_info_ocp_int8, x, getattr(gfloat.RoundMode, mode), sat=True)
        yield scheme.dequantize(scheme.quantize(x)), theirs + 0.0


for _rule in DECIMAL:
    register_rounding(_rule)


@compare("rounding half_away", "gguf", "⌊|x|⌋ + ⌊2·fraction⌋", requires=("gguf",))
def gguf_rounding() -> Pairs:
    from gguf.quants import np_roundf

    x = rounding_data(np.float32)
    theirs = np_roundf(x)
    round_in_place(x, "half_away")
    yield x + np.float32(0), theirs + np.float32(0)
