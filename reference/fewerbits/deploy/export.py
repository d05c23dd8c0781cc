"""Write networks as ONNX: float, and quantized in QDQ form from our own scales, with `onnx.helper` only.

QDQ ("quantize, dequantize") states the scales as operators of the standard; an engine replaces each group
dequantize → operator → quantize by its integer kernel. Opset 21. Source: ONNX operators QuantizeLinear and
DequantizeLinear; ONNX Runtime's quantization guide for the groups that it replaces.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

from fewerbits.network.architecture import INPUT, NUM_CLASSES, Layer
from fewerbits.network.folding import FoldedNetwork
from fewerbits.network.quantized import QuantizedNetwork
from fewerbits.tensor.uniform import Uniform

OPSET = 21
IR_VERSION = 10
CODES = "{}_codes"


class _Graph:
    """Collects nodes and constants; each method returns the name of the value it adds."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: ArrayLike) -> str:
        self.constants[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=f"{output}_{op}", **attributes))
        return output

    def model(self, name: str, output: str, exposed: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
        image = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", 1, 28, 28])
        logits = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", NUM_CLASSES])
        graph = helper.make_graph(
            self.nodes, name, [image], [logits, *exposed], initializer=list(self.constants.values())
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="fewerbits",
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def float_model(network: FoldedNetwork) -> onnx.ModelProto:
    """The folded float network as ONNX, input "image" (N, 1, 28, 28) float32, output "logits" (N, 10) float32."""
    graph = _Graph()
    for layer in network.layers:
        parameters = []
        if layer.has_weights:
            parameters = [
                graph.constant(f"{layer.name}_weight", network.weights[layer.name]),
                graph.constant(f"{layer.name}_bias", network.biases[layer.name]),
            ]
        _operator(graph, layer, [*layer.inputs, *parameters], layer.name)
    return graph.model(network.name, network.output, [])


def qdq_model(network: QuantizedNetwork, expose_codes: bool = False) -> onnx.ModelProto:
    """The quantized network in QDQ form; input and output as `float_model`.

    Each activation's codes are the value "<name>_codes"; with `expose_codes` they are outputs too, so that every
    integer of an execution can be looked at.
    """
    graph = _Graph()
    codes = {INPUT: _quantize(graph, INPUT, INPUT, network.activations[INPUT])}
    for layer in network.layers:
        inputs = [_dequantize(graph, name, codes[name], network.activations[name]) for name in layer.inputs]
        if layer.has_weights:
            inputs += _weights(graph, layer.name, network)
        scheme = network.activations.get(layer.name)
        if scheme is None:
            _operator(graph, layer, inputs, layer.name)
        elif layer.op == "global_average_pool":
            pooled = graph.node("GlobalAveragePool", inputs, f"{layer.name}_pooled")
            pooled_codes = _quantize(graph, layer.name, pooled, scheme, CODES.format(f"{layer.name}_pooled"))
            flat = _dequantize(graph, layer.name, pooled_codes, scheme, f"{layer.name}_pooled_again")
            graph.node("Flatten", [flat], layer.name)
            codes[layer.name] = _quantize(graph, layer.name, layer.name, scheme)
        else:
            _operator(graph, layer, inputs, layer.name)
            codes[layer.name] = _quantize(graph, layer.name, layer.name, scheme)
    exposed = []
    if expose_codes:
        layers = {layer.name: layer for layer in network.layers}
        exposed = [_code_info(layers.get(name), name, network.activations[name]) for name in codes]
    return graph.model(network.folded.name, network.output, exposed)


def save(model: onnx.ModelProto, path: Path) -> int:
    """Write the model and return the bytes of the file."""
    onnx.save(model, path)
    return path.stat().st_size


def _operator(graph: _Graph, layer: Layer, inputs: list[str], output: str) -> None:
    """The float operator(s) of one layer, ending in the value `output`."""
    result = f"{output}_sum" if layer.relu else output
    if layer.op == "conv":
        graph.node(
            "Conv",
            inputs,
            result,
            kernel_shape=[layer.kernel] * 2,
            strides=[layer.stride] * 2,
            pads=[layer.padding] * 4,
            group=layer.groups,
        )
    elif layer.op == "linear":
        graph.node("Gemm", inputs, result, transB=1)
    elif layer.op == "max_pool":
        graph.node("MaxPool", inputs, result, kernel_shape=[2, 2], strides=[2, 2])
    elif layer.op == "add":
        graph.node("Add", inputs, result)
    else:
        graph.node("Flatten", [graph.node("GlobalAveragePool", inputs, f"{output}_pooled")], result)
    if layer.relu:
        graph.node("Relu", [result], output)


def _weights(graph: _Graph, name: str, network: QuantizedNetwork) -> list[str]:
    """Dequantized weight and bias of a layer; the bias at s_x·s_w with zero point 0."""
    scheme = network.weights[name]
    weight = graph.constant(f"{name}_weight_codes", network.codes[name])
    bias = graph.constant(f"{name}_bias_codes", network.biases[name])
    bias_scale = graph.constant(f"{name}_bias_scale", network.bias_scale(name))
    axis = {} if scheme.axis is None else {"axis": 0}
    return [
        graph.node(
            "DequantizeLinear", [weight, *_parameters(graph, f"{name}_weight", scheme)], f"{name}_weight", **axis
        ),
        graph.node("DequantizeLinear", [bias, bias_scale], f"{name}_bias", **axis),
    ]


def _quantize(graph: _Graph, name: str, value: str, scheme: Uniform, output: str = "") -> str:
    return graph.node("QuantizeLinear", [value, *_parameters(graph, name, scheme)], output or CODES.format(name))


def _dequantize(graph: _Graph, name: str, codes: str, scheme: Uniform, output: str = "") -> str:
    output = output or f"{codes}_real"
    if any(output in node.output for node in graph.nodes):
        return output
    return graph.node("DequantizeLinear", [codes, *_parameters(graph, name, scheme)], output)


def _parameters(graph: _Graph, name: str, scheme: Uniform) -> list[str]:
    scale = graph.constant(f"{name}_scale", scheme.scale)
    return [scale, graph.constant(f"{name}_zero_point", scheme.zero_point.astype(scheme.code_dtype))]


def _code_info(layer: Layer | None, name: str, scheme: Uniform) -> onnx.ValueInfoProto:
    """Type and shape of the codes of one value; the layer None is the image."""
    sides = () if layer and layer.op == "global_average_pool" else ("height", "width")
    shape = ["batch", layer.out_channels if layer else 1, *(f"{name}_{side}" for side in sides)]
    return helper.make_tensor_value_info(CODES.format(name), helper.np_dtype_to_tensor_dtype(scheme.code_dtype), shape)
