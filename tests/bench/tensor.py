"""Uniform quantization beside a plain copy, PyTorch and ONNX Runtime: time on one thread, memory, growth."""

from __future__ import annotations

import tracemalloc
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import torch
from fewerbits.deploy.timing import paired_ratio
from fewerbits.tensor.uniform import Uniform
from numpy.typing import NDArray
from onnx import TensorProto, helper

SIZE = 10_000_000
COPY_TARGET = "at most 2.2"


def run() -> None:
    torch.set_num_threads(1)
    # PyTorch's quantized tensors are deprecated; they are timed as a reference only.
    warnings.filterwarnings("ignore", message="torch.quantize_per_tensor", category=UserWarning)
    x = np.random.default_rng(0).standard_normal(SIZE, np.float32)
    against_a_copy(x)
    against_engines(x)
    memory(x)
    del x
    growth()


def against_a_copy(x: NDArray[np.float32]) -> None:
    """How many copies of the same array, into memory that is already allocated, one call takes."""
    buffer = np.empty_like(x)
    ratio = paired_ratio(x.copy, lambda: np.copyto(buffer, x))
    print(f"a copy of 1e7 float32 into new memory, for comparison: time over np.copyto | {ratio} | none")
    table = x.reshape(1000, -1)
    layouts: dict[str, tuple[NDArray[np.float32], dict[str, Any]]] = {
        "int8 symmetric per tensor": (x, {}),
        "uint8 affine per tensor": (x, {"symmetric": False, "signed": False}),
        "int8 symmetric per axis 0 of (1000, 10000)": (table, {"axis": 0}),
        "int8 symmetric per axis 1 of (1000, 10000)": (table, {"axis": 1}),
        "int4 symmetric in groups of 100": (table, {"bits": 4, "axis": 1, "group_size": 100}),
        "int8 symmetric, half away from zero": (x, {"rounding": "half_away"}),
    }
    for name, (values, fields) in layouts.items():
        scheme = Uniform.fit(values, **fields)
        codes = scheme.quantize(values)
        target = COPY_TARGET if "per tensor" in name else "none"
        for verb, argument in (("quantize", values), ("dequantize", codes)):
            call = getattr(scheme, verb)
            ratio = paired_ratio(lambda call=call, argument=argument: call(argument), lambda: np.copyto(buffer, x))
            print(f"{verb} 1e7, {name}: time over np.copyto | {ratio} | {target}")


def against_engines(x: NDArray[np.float32]) -> None:
    scheme = Uniform.fit(x)
    scale, tensor = scheme.scale, torch.from_numpy(x)
    quantize_linear = session("QuantizeLinear", TensorProto.FLOAT, TensorProto.INT8)
    dequantize_linear = session("DequantizeLinear", TensorProto.INT8, TensorProto.FLOAT)
    codes = scheme.quantize(x)
    quantized = torch.quantize_per_tensor(tensor, float(scale), 0, torch.qint8)
    zero = np.zeros((), np.int8)

    def naive() -> NDArray[np.int8]:
        return np.clip(np.round(x / scale), -128, 127).astype(np.int8)

    others: list[tuple[str, Callable[[], object], Callable[[], object]]] = [
        ("quantize: whole-array NumPy", naive, lambda: scheme.quantize(x)),
        ("quantize: ONNX Runtime QuantizeLinear", lambda: quantize_linear(x, scale, zero), lambda: scheme.quantize(x)),
        (
            "quantize: torch.quantize_per_tensor",
            lambda: torch.quantize_per_tensor(tensor, float(scale), 0, torch.qint8),
            lambda: scheme.quantize(x),
        ),
        (
            "quantize and back: torch.fake_quantize_per_tensor_affine",
            lambda: torch.fake_quantize_per_tensor_affine(tensor, float(scale), 0, -128, 127),
            lambda: scheme.dequantize(scheme.quantize(x)),
        ),
        ("dequantize: whole-array NumPy", lambda: (codes - 0.0) * scale, lambda: scheme.dequantize(codes)),
        (
            "dequantize: ONNX Runtime DequantizeLinear",
            lambda: dequantize_linear(codes, scale, zero),
            lambda: scheme.dequantize(codes),
        ),
        ("dequantize: torch", lambda: quantized.dequantize(), lambda: scheme.dequantize(codes)),
    ]
    for name, theirs, ours in others:
        print(f"{name}, 1e7: their time over ours | {paired_ratio(theirs, ours)} | none")


def session(operation: str, source: int, target: int) -> Callable[..., Any]:
    """One operator in ONNX Runtime on one thread."""
    declare = helper.make_tensor_value_info
    code = target if operation == "QuantizeLinear" else source
    inputs = [declare("x", source, ["n"]), declare("s", TensorProto.FLOAT, []), declare("z", code, [])]
    node = helper.make_node(operation, ["x", "s", "z"], ["y"])
    graph = helper.make_graph([node], operation, inputs, [declare("y", target, ["n"])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    engine = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return lambda x, scale, zero_point: engine.run(None, {"x": x, "s": scale, "z": zero_point})[0]


def memory(x: NDArray[np.float32]) -> None:
    table = x.reshape(1000, -1)
    for name, values, fields in (
        ("per tensor", x, {}),
        ("per tensor, affine", x, {"symmetric": False}),
        ("per axis", table, {"axis": 1}),
        ("in groups of 100, affine", table, {"axis": 1, "group_size": 100, "symmetric": False}),
        ("per tensor, fused", x, {"reciprocal": True, "zero_point_added": "fused"}),
        ("per tensor, stochastic", x, {"rounding": "stochastic"}),
    ):
        scheme = Uniform.fit(values, **fields)
        tracemalloc.start()
        codes = scheme.quantize(values)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        extra = (peak - codes.nbytes) / 1024
        print(f"quantize 1e7, {name}: peak memory beyond the codes | {extra:.0f} KiB | at most 1024")


def growth() -> None:
    """Time per value from 1e4 to 1e8 values: about constant, but for what fits the caches and the cost of a call."""
    print("values | quantize, ns per value | dequantize, ns per value | quantize, time over np.copyto")
    for size in (10**4, 10**5, 10**6, 10**7, 10**8):
        x = np.random.default_rng(0).standard_normal(size, np.float32)
        buffer = np.empty_like(x)
        scheme = Uniform.fit(x)
        codes = scheme.quantize(x)
        pairs = 21 if size < 10**8 else 5
        quantize = paired_ratio(lambda: scheme.quantize(x), lambda: np.copyto(buffer, x), pairs)  # noqa: B023
        dequantize = paired_ratio(lambda: scheme.dequantize(codes), lambda: np.copyto(buffer, x), pairs)  # noqa: B023
        nanoseconds = [f"{1e9 * ratio.first_seconds / size:.2f}" for ratio in (quantize, dequantize)]
        print(f"{size:.0e} | {nanoseconds[0]} | {nanoseconds[1]} | {quantize}")
