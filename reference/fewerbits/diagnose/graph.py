"""A quantized ONNX graph in the terms of quantization: who writes codes, who reads them, with which parameters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper

from fewerbits.diagnose.loading import UnreadableModelError, array

Array = NDArray[Any]

# Positions of (codes, scale, zero point) that a node reads and writes; −1 counts nothing.
# Sources: ONNX operator specification; ONNX Runtime's contributed operators (domain com.microsoft).
READS = {
    "DequantizeLinear": ((0, 1, 2),),
    "QLinearConv": ((0, 1, 2), (3, 4, 5)),
    "QLinearMatMul": ((0, 1, 2), (3, 4, 5)),
    "QGemm": ((0, 1, 2), (3, 4, 5)),
    "QLinearAdd": ((0, 1, 2), (3, 4, 5)),
    "QLinearMul": ((0, 1, 2), (3, 4, 5)),
    "QLinearAveragePool": ((0, 1, 2),),
    "QLinearGlobalAveragePool": ((0, 1, 2),),
    "QLinearReduceMean": ((0, 1, 2),),
    "QLinearSigmoid": ((0, 1, 2),),
    "QLinearLeakyRelu": ((0, 1, 2),),
    "QLinearSoftmax": ((0, 1, 2),),
    "QLinearWhere": ((1, 2, 3), (4, 5, 6)),
}
WRITES = {
    "QuantizeLinear": (1, 2),
    "QLinearConv": (6, 7),
    "QLinearMatMul": (6, 7),
    "QGemm": (7, 8),
    "QLinearAdd": (6, 7),
    "QLinearMul": (6, 7),
    "QLinearAveragePool": (3, 4),
    "QLinearGlobalAveragePool": (3, 4),
    "QLinearReduceMean": (3, 4),
    "QLinearSigmoid": (3, 4),
    "QLinearLeakyRelu": (3, 4),
    "QLinearSoftmax": (3, 4),
    "QLinearWhere": (7, 8),
    "QLinearConcat": (0, 1),
}
# Operators that quantize in another way; a model with these is not a float model.
OTHER_QUANTIZED = {"MatMulInteger", "ConvInteger", "DynamicQuantizeLinear", "MatMulNBits", "MatMulIntegerToFloat"}
# Operators that move numbers and change none.
MOVES = {
    "Identity", "Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Gather", "Expand", "Tile",
    "Split", "Dropout", "DepthToSpace", "SpaceToDepth", "MaxPool", "GlobalMaxPool", "Pad",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Parameters:
    """Scale and zero point as a node states them: arrays, or None where they are absent or not constant."""

    scale: Array | None
    zero_point: Array | None
    block_size: int = 0

    @property
    def per_channel(self) -> bool:
        return self.scale is not None and self.scale.size > 1

    @property
    def fits(self) -> bool:
        """Whether there are scales, and one zero point for each, or for all."""
        if self.scale is None or self.scale.size == 0:
            return False
        return self.zero_point is None or self.zero_point.size in {1, self.scale.size}

    @property
    def usable(self) -> bool:
        """Whether every scale is a positive number and has its zero point."""
        return self.scale is not None and self.fits and bool(np.isfinite(self.scale).all() and (self.scale > 0).all())

    def zero(self) -> Array:
        """The zero point as integers; 0 where there is none."""
        return np.zeros((), np.int64) if self.zero_point is None else self.zero_point.astype(np.int64)

    def same_as(self, other: Parameters) -> bool:
        """Whether both give codes the same meaning; True when one of them is not known."""
        if self.scale is None or other.scale is None:
            return True
        if self.scale.size != other.scale.size or not (self.fits and other.fits):
            return False
        scales = self.scale.astype(np.float64).ravel(), other.scale.astype(np.float64).ravel()
        same_zero = bool(np.all(self.zero().ravel() == other.zero().ravel()))
        return same_zero and np.allclose(*scales, rtol=1e-6, atol=0, equal_nan=True)

    def __str__(self) -> str:
        scale = "?" if self.scale is None else number(self.scale)
        zero = self.zero()
        return f"scale {scale} and zero point {zero.item() if zero.size == 1 else 'per channel'}"


@dataclass(frozen=True, eq=False)
class Codes:
    """Codes that a node reads or writes: the name of the value, its parameters, and the node that states them."""

    value: str
    parameters: Parameters
    node: NodeProto


class Graph:
    """The main graph of a model, with what each value is; constants are read when they are asked for."""

    def __init__(self, model: onnx.ModelProto, folder: Path = Path()) -> None:
        self.nodes = list(model.graph.node)
        self.outputs = {output.name for output in model.graph.output}
        self.producer = {output: node for node in self.nodes for output in node.output if output}
        self.consumers: dict[str, list[NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for value in node.input:
                self.consumers[value].append(node)
        self._folder = folder
        self._tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        self._arrays: dict[str, Array | None] = {}
        self.written = self._written()

    def constant(self, value: str) -> Array | None:
        """The numbers of an initializer or a Constant node, also behind an Identity; None for anything else."""
        if value not in self._arrays:
            self._arrays[value] = self._constant(value)
        return self._arrays[value]

    def _constant(self, value: str) -> Array | None:
        if value in self._tensors:
            return array(self._tensors[value], self._folder)
        node, seen = self.producer.get(value), 0
        while node is not None and node.op_type == "Identity" and seen < len(self.nodes):
            value, seen = input_of(node, 0), seen + 1
            if value in self._tensors:
                return array(self._tensors[value], self._folder)
            node = self.producer.get(value)
        if node is None or node.op_type != "Constant":
            return None
        for name, kind in (("value_float", np.float32), ("value_floats", np.float32), ("value_int", np.int64)):
            if (found := attribute(node, name)) is not None:
                return np.asarray(found, kind)
        tensor = attribute(node, "value")
        return None if tensor is None else array(tensor, self._folder)

    def is_constant(self, value: str) -> bool:
        """As `constant(value) is not None`, without reading the numbers."""
        node = self.producer.get(value)
        if node is not None and node.op_type == "Identity":
            return self.constant(value) is not None
        return value in self._tensors or (node is not None and node.op_type == "Constant")

    def parameters(self, node: NodeProto, scale: int, zero_point: int) -> Parameters:
        """The scale and zero point that a node has as its inputs of these numbers."""
        names = input_of(node, scale), input_of(node, zero_point)
        found = [self.constant(name) if name else None for name in names]
        return Parameters(found[0], found[1], attribute(node, "block_size", 0))

    def reads(self, node: NodeProto) -> list[Codes]:
        """The codes that a node reads with parameters of its own, in the order of its inputs."""
        places = READS.get(node.op_type, ())
        if node.op_type == "QLinearConcat":
            places = tuple((start, start + 1, start + 2) for start in range(2, len(node.input) - 2, 3))
        return [
            Codes(input_of(node, place), self.parameters(node, scale, zero), node)
            for place, scale, zero in places
            if input_of(node, place)
        ]

    def writes(self, node: NodeProto) -> Codes | None:
        """The codes that a node writes with parameters of its own."""
        places = WRITES.get(node.op_type)
        if places is None or not input_of(node, places[0]) or not node.output:
            return None
        return Codes(node.output[0], self.parameters(node, *places), node)

    def _written(self) -> dict[str, Codes]:
        """Who wrote the codes of each value; operators that only move codes pass them on."""
        written: dict[str, Codes] = {}
        for node in self.nodes:
            if codes := self.writes(node):
                written[codes.value] = codes
            elif node.op_type in MOVES and input_of(node, 0) in written:
                written |= {output: written[input_of(node, 0)] for output in node.output if output}
        return written

    def dequantizer(self, value: str) -> NodeProto | None:
        """The DequantizeLinear whose numbers a value holds, moved perhaps but not changed."""
        node = self.producer.get(value)
        while node is not None and node.op_type in MOVES:
            node = self.producer.get(input_of(node, 0))
        return node if node is not None and node.op_type == "DequantizeLinear" else None

    def is_weight(self, dequantizer: NodeProto) -> bool:
        """Whether a DequantizeLinear reads constants: stored codes, or stored floats through a QuantizeLinear."""
        codes = input_of(dequantizer, 0)
        quantizer = self.producer.get(codes)
        if quantizer is not None and quantizer.op_type == "QuantizeLinear":
            return self.is_constant(input_of(quantizer, 0))
        return self.is_constant(codes)

    def of_type(self, *types: str) -> Iterator[NodeProto]:
        return (node for node in self.nodes if node.op_type in types)


def quantized_graph(model: onnx.ModelProto, folder: Path) -> Graph:
    """The graph of a model; UnreadableModelError when it has no node or nothing in it is quantized."""
    if not model.graph.node:
        raise UnreadableModelError("no ONNX model: it holds no operators")
    known = {*READS, *WRITES, *OTHER_QUANTIZED}
    if not any(node.op_type in known for node in model.graph.node):
        raise UnreadableModelError("a float model: no operator in it quantizes, there is nothing to diagnose")
    return Graph(model, folder)


def input_of(node: NodeProto, position: int) -> str:
    """The name of an input; "" when the node has fewer."""
    return node.input[position] if position < len(node.input) else ""


def attribute(node: NodeProto, name: str, default: Any = None) -> Any:
    """The value of an attribute; the default where it is absent, or not of the default's type."""
    for found in node.attribute:
        if found.name == name:
            value = helper.get_attribute_value(found)
            return value if default is None or isinstance(value, type(default)) else default
    return default


def label(node: NodeProto) -> str:
    """The node's name; for a node without one its operator and what it computes."""
    return node.name or f"{node.op_type} of {node.output[0] if node.output else 'nothing'}"


def number(values: Array) -> str:
    """A scale as text: one number, or the smallest and largest of several; "none" without any."""
    if values.size == 0:
        return "none"
    low, high = float(np.min(values)), float(np.max(values))
    return f"{low:.6g}" if low == high or np.size(values) == 1 else f"{low:.4g} to {high:.4g}"
