"""What this machine can do at most: bytes per second from memory, multiply-accumulates per second in float32 and int8.

A layer that moves B bytes and multiplies M times takes at least max(B/bandwidth, M/peak) seconds: the roofline model
(Williams, Waterman and Patterson 2009). It bounds what int8 can gain before anything is timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from fewerbits.network.architecture import INPUT, Layer

GEMM = 512
COPY_VALUES = 2**24
ROUNDS = 15
PRODUCTS_PER_ROUND = 8
IMAGE_SIDE = 28


@dataclass(frozen=True)
class Ceilings:
    """Measured maxima of one thread: bytes/s copied, and multiply-accumulates/s of 512³ products in ONNX Runtime."""

    bandwidth: float
    float32: float
    int8: float

    def seconds(self, macs: float, bytes_moved: float, kind: str) -> float:
        """The least time that so many multiply-accumulates ("float32" or "int8") and bytes can take."""
        peaks = {"float32": self.float32, "int8": self.int8}
        if kind not in peaks:
            raise ValueError(f"kind={kind!r} is not known: accepted are 'float32' and 'int8'")
        return max(macs / peaks[kind], bytes_moved / self.bandwidth)

    def __str__(self) -> str:
        rates = f"float32 {self.float32 / 1e9:.0f} GMAC/s, int8 {self.int8 / 1e9:.0f} GMAC/s"
        return f"memory {self.bandwidth / 1e9:.1f} GB/s, {rates} (one thread)"


@dataclass(frozen=True)
class Cost:
    """What one image costs in one layer: multiply-accumulates, values read and written, and weights."""

    macs: int
    activations: int
    weights: int

    def bytes_moved(self, bytes_per_value: int, batch: int = 1) -> float:
        """Bytes per image when the weights are read once for a batch of images."""
        return bytes_per_value * (self.activations + self.weights / batch)


def measure_ceilings() -> Ceilings:
    """Measure this machine, about two seconds; the best of interleaved rounds, since a ceiling is a maximum.

    A product takes a few milliseconds only, so that many tries find one that no other program interrupts.
    """
    source = np.ones(COPY_VALUES, np.float32)
    target = np.empty_like(source)
    products = [_product("MatMul", np.float32, np.float32), _product("MatMulInteger", np.uint8, np.int8)]
    candidates: list[Callable[[], object]] = [lambda: np.copyto(target, source), *products]
    order = [0] + [1, 2] * PRODUCTS_PER_ROUND
    best = np.full(len(candidates), np.inf)
    for index in order * ROUNDS:
        started = time.perf_counter()
        candidates[index]()
        best[index] = min(best[index], time.perf_counter() - started)
    # A copy reads and writes every byte.
    return Ceilings(2 * source.nbytes / best[0], GEMM**3 / best[1], GEMM**3 / best[2])


def costs(layers: tuple[Layer, ...]) -> Mapping[str, Cost]:
    """The cost of each layer for one 28×28 image, by counting; what only looks at values has no multiplications."""
    sides, channels, result = {INPUT: IMAGE_SIDE}, {INPUT: 1}, {}
    for layer in layers:
        side_in = sides[layer.inputs[0]]
        side = {"global_average_pool": 1, "linear": 1}.get(layer.op, -(-side_in // layer.stride))
        if layer.op == "max_pool":
            side = side_in // 2
        read = sum(channels[name] * sides[name] ** 2 for name in layer.inputs)
        written = layer.out_channels * side**2
        weights = 0
        if layer.has_weights:
            weights = layer.out_channels * layer.in_channels // layer.groups * layer.kernel**2
        result[layer.name] = Cost(weights * side**2, read + written, weights)
        sides[layer.name], channels[layer.name] = side, layer.out_channels
    return result


def least_seconds(layers: tuple[Layer, ...], ceilings: Ceilings, kind: str, batch: int = 1) -> float:
    """The roofline's lower bound for one image of a network: the sum of its layers' bounds."""
    size = 4 if kind == "float32" else 1
    return sum(ceilings.seconds(cost.macs, cost.bytes_moved(size, batch), kind) for cost in costs(layers).values())


def _product(operator: str, left: type[np.generic], right: type[np.generic]) -> Callable[[], NDArray[np.generic]]:
    """A 512³ product with constant right side, as a layer's weights are, in ONNX Runtime on one thread."""
    # Small values: the speed does not depend on them, and nothing saturates.
    weights = np.random.default_rng(0).integers(-8, 8, (GEMM, GEMM)).astype(right)
    a = helper.make_tensor_value_info("a", helper.np_dtype_to_tensor_dtype(np.dtype(left)), [GEMM, GEMM])
    kind = TensorProto.FLOAT if operator == "MatMul" else TensorProto.INT32
    y = helper.make_tensor_value_info("y", kind, [GEMM, GEMM])
    constant = helper.make_tensor(
        "b", helper.np_dtype_to_tensor_dtype(weights.dtype), weights.shape, weights.tobytes(), raw=True
    )
    graph = helper.make_graph([helper.make_node(operator, ["a", "b"], ["y"])], "product", [a], [y], [constant])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    x = np.ones((GEMM, GEMM), left)
    return lambda: session.run(None, {"a": x})[0]
