"""The layers with weights of a quantized graph: convolutions and matrix products, in either form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from fewerbits.diagnose.graph import Graph, Parameters, attribute, input_of

Array = NDArray[Any]

# Where a node has its input, weight and bias: positions of codes in QOperator form, of floats in QDQ form.
FLOAT_PRODUCTS = {"Conv": 2, "ConvTranspose": 2, "Gemm": 2, "MatMul": -1}
INTEGER_PRODUCTS = {"QLinearConv": 8, "QLinearMatMul": -1, "QGemm": 6}
BARE_PRODUCTS = {"ConvInteger", "MatMulInteger"}


@dataclass(frozen=True, eq=False)
class Product:
    """One convolution or matrix product with constant weights.

    `x` and `w` are the parameters of input and weights, None where they are not quantized; `codes` the weight codes
    as stored, `w_axis` the axis that their scales follow, `channel_axis` the axis of the output channels;
    `bias` the bias codes and `bias_parameters` their own parameters (None in QOperator form, which implies them).
    """

    node: NodeProto
    x: Parameters | None
    x_type: str
    w: Parameters | None
    codes: Array
    w_axis: int
    channel_axis: int
    w_node: NodeProto
    bias: Array | None = None
    bias_parameters: Parameters | None = None
    bias_node: NodeProto | None = None

    @property
    def channels(self) -> int:
        """How many scales weights per output channel have."""
        return int(self.codes.shape[self.channel_axis])

    def by_channel(self) -> Array:
        """Weight codes as int64, (channels, codes of one channel)."""
        moved = np.moveaxis(self.codes.astype(np.int64), self.channel_axis, 0)
        return moved.reshape(len(moved), -1)

    def zero_by_channel(self) -> Array:
        """Zero points of the weights, (channels, 1) or (1, 1)."""
        zero = np.zeros((), np.int64) if self.w is None else self.w.zero()
        return zero.reshape(-1, 1) if zero.size in (1, self.channels) else np.zeros((1, 1), np.int64)


def products(graph: Graph) -> Iterator[Product]:
    """Every product whose weights are stored as integer codes of the rank that the operator asks for."""
    for node in graph.nodes:
        if node.op_type in FLOAT_PRODUCTS:
            found = _of_floats(graph, node)
        elif node.op_type in INTEGER_PRODUCTS:
            found = _of_codes(graph, node, 3, 0, INTEGER_PRODUCTS[node.op_type])
        elif node.op_type in BARE_PRODUCTS:
            found = _of_codes(graph, node, 1, -1, -1)
        else:
            continue
        if found is not None:
            yield found


def channel_axis(node: NodeProto, rank: int) -> int | None:
    """The axis of the output channels in the weights of a node; None when the rank does not fit the operator."""
    kind = node.op_type
    if kind in ("Conv", "QLinearConv", "ConvInteger"):
        return 0 if rank >= 3 else None
    if kind == "ConvTranspose":
        return 1 if rank >= 3 else None
    if kind in ("Gemm", "QGemm"):
        return (0 if attribute(node, "transB", 0) else 1) if rank == 2 else None
    return rank - 1 if rank >= 2 else None


def _of_codes(graph: Graph, node: NodeProto, w: int, x: int, bias: int) -> Product | None:
    """A product whose inputs are codes with parameters (QOperator form), or bare (ConvInteger, MatMulInteger)."""
    codes = graph.constant(input_of(node, w))
    axis = None if codes is None else channel_axis(node, codes.ndim)
    if codes is None or axis is None or codes.dtype.kind == "f" or codes.size == 0:
        return None
    stated = graph.constant(input_of(node, bias)) if bias >= 0 and input_of(node, bias) else None
    if x < 0:
        x_zero = graph.constant(input_of(node, 2)) if input_of(node, 2) else None
        return Product(node, None, _type(x_zero), None, codes, axis, axis, node)
    w_parameters, x_parameters = graph.parameters(node, w + 1, w + 2), graph.parameters(node, x + 1, x + 2)
    return Product(node, x_parameters, _type(x_parameters.zero_point), w_parameters, codes, axis, axis, node, stated)


def _of_floats(graph: Graph, node: NodeProto) -> Product | None:
    """A float operator that reads dequantized input and weights (QDQ form)."""
    stored = stored_codes(graph, input_of(node, 1))
    if stored is None:
        return None
    dequantizer, codes, w_axis = stored
    axis = channel_axis(node, codes.ndim)
    if axis is None or codes.dtype.kind == "f" or codes.size == 0:
        return None
    reader = graph.dequantizer(input_of(node, 0))
    x = None if reader is None else graph.parameters(reader, 1, 2)
    bias, bias_parameters, bias_node = None, None, None
    place = FLOAT_PRODUCTS[node.op_type]
    if place >= 0 and input_of(node, place):
        bias_node = graph.producer.get(input_of(node, place))
        if bias_node is not None and bias_node.op_type == "DequantizeLinear":
            bias = graph.constant(input_of(bias_node, 0))
            bias_parameters = graph.parameters(bias_node, 1, 2)
    x_type = "" if x is None else _type(x.zero_point)
    parameters = graph.parameters(dequantizer, 1, 2)
    if not parameters.per_channel:
        w_axis = axis
    return Product(node, x, x_type, parameters, codes, w_axis, axis, dequantizer, bias, bias_parameters, bias_node)


def stored_codes(graph: Graph, value: str) -> tuple[NodeProto, Array, int] | None:
    """The DequantizeLinear behind a weight, its codes as the operator sees them, and the axis of its scales there."""
    transposes = []
    node = graph.producer.get(value)
    while node is not None and node.op_type in ("Transpose", "Identity"):
        if node.op_type == "Transpose":
            transposes.append(node)
        node = graph.producer.get(input_of(node, 0))
    if node is None or node.op_type != "DequantizeLinear":
        return None
    codes = graph.constant(input_of(node, 0))
    if codes is None:
        return None
    axis = attribute(node, "axis", 1)
    axis = axis + codes.ndim if axis < 0 else axis
    for transpose in reversed(transposes):
        order = attribute(transpose, "perm") or list(range(codes.ndim))[::-1]
        if sorted(order) != list(range(codes.ndim)):
            return None
        codes, axis = codes.transpose(order), list(order).index(axis) if axis in order else axis
    return node, codes, axis


def _type(zero_point: Array | None) -> str:
    """The type of codes with this zero point; without one it is uint8 (ONNX)."""
    return "uint8" if zero_point is None else zero_point.dtype.name
