"""Write networks as ONNX: float, and quantized in two forms from our own scales, with `onnx.helper` only.

QDQ ("quantize, dequantize") states the scales as operators of the standard; an engine replaces each group
dequantize → operator → quantize by its integer kernel. QOperator names the integer kernels themselves: QLinearConv of
the standard, and QLinearAdd, QLinearGlobalAveragePool and QGemm of ONNX Runtime's own domain com.microsoft, so that
only that engine runs it. Opset 21. Sources: ONNX operator specification; ONNX Runtime's contributed operators.
"""

from __future__ import annotations

from dataclasses import replace
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
MICROSOFT = "com.microsoft"


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

    def parameters(self, name: str, scheme: Uniform) -> list[str]:
        """Scale and zero point of a scheme as two constants."""
        scale = self.constant(f"{name}_scale", scheme.scale)
        return [scale, self.constant(f"{name}_zero_point", scheme.zero_point.astype(scheme.code_dtype))]

    def model(self, name: str, output: str, exposed: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
        image = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", 1, 28, 28])
        logits = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", NUM_CLASSES])
        graph = helper.make_graph(
            self.nodes, name, [image], [logits, *exposed], initializer=list(self.constants.values())
        )
        contributed = any(node.domain == MICROSOFT for node in self.nodes)
        model = helper.make_model(
            graph,
            opset_imports=[
                helper.make_opsetid("", OPSET),
                *([helper.make_opsetid(MICROSOFT, 1)] if contributed else []),
            ],
            ir_version=IR_VERSION,
            producer_name="fewerbits",
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def float_model(network: FoldedNetwork) -> onnx.ModelProto:
    """The folded float network as ONNX, input "image" (N, 1, 28, 28) float32, output "logits" (N, 10) float32."""
    graph = _Graph()
    for layer in network.layers:
        parameters = _float_weights(graph, layer.name, network) if layer.has_weights else []
        _operator(graph, layer, [*layer.inputs, *parameters], layer.name)
    return graph.model(network.name, network.output, [])


def qdq_model(
    network: QuantizedNetwork, expose_codes: bool = False, float_first_layer: bool = False
) -> onnx.ModelProto:
    """The quantized network in QDQ form; input and output as `float_model`.

    Each activation's codes are the value "<name>_codes"; with `expose_codes` they are outputs too, so that every
    integer of an execution can be looked at. With `float_first_layer` the first layer reads the image as it is, with
    float weights: behind a DequantizeLinear ONNX Runtime would quantize them by itself (its pull request 22969).
    """
    graph = _Graph()
    first = network.layers[0].name if float_first_layer else ""
    codes = {} if first else {INPUT: _quantize(graph, INPUT, INPUT, network.activations[INPUT])}
    for layer in network.layers:
        if layer.name == first:
            inputs = [INPUT, *_float_weights(graph, layer.name, network.folded)]
        else:
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
    exposed = [info for info in _exposed(network) if not (first and info.name == CODES.format(INPUT))]
    return graph.model(network.folded.name, network.output, exposed if expose_codes else [])


def qoperator_model(network: QuantizedNetwork, expose_codes: bool = False) -> onnx.ModelProto:
    """The quantized network in QOperator form, for ONNX Runtime; inputs, outputs and values as `qdq_model`.

    Raises ValueError for a ReLU whose output range reaches below zero: the kernels saturate, they do not rectify.
    """
    graph = _Graph()
    _quantize(graph, INPUT, INPUT, network.activations[INPUT])
    for layer in network.layers:
        scheme = network.activations.get(layer.name)
        if layer.relu and (scheme is None or scheme.zero_point != scheme.qmin):
            raise ValueError(f"layer {layer.name!r} has a ReLU, but the lowest code of its output is not zero")
        codes = [CODES.format(name) for name in layer.inputs]
        output = layer.name if scheme is None else CODES.format(layer.name)
        if layer.op == "max_pool":
            _operator(graph, replace(layer, relu=False), codes, output)
            continue
        operands = [
            part
            for name, value in zip(layer.inputs, codes)
            for part in (value, *graph.parameters(name, network.activations[name]))
        ]
        target = [] if scheme is None else graph.parameters(layer.name, scheme)
        if layer.op == "conv":
            bias = graph.constant(f"{layer.name}_bias_codes", network.biases[layer.name])
            inputs = [*operands, *_weight_codes(graph, layer.name, network, brief=True), *target, bias]
            graph.node("QLinearConv", inputs, output, **_window(layer))
        elif layer.op == "linear":
            bias = graph.constant(f"{layer.name}_bias_codes", network.biases[layer.name])
            inputs = [*operands, *_weight_codes(graph, layer.name, network), bias, *target]
            graph.node("QGemm", inputs, output, domain=MICROSOFT, transB=1)
        elif layer.op == "add":
            graph.node("QLinearAdd", [*operands, *target], output, domain=MICROSOFT)
        else:
            pooled = CODES.format(f"{layer.name}_pooled")
            graph.node("QLinearGlobalAveragePool", [*operands, *target], pooled, domain=MICROSOFT, channels_last=0)
            graph.node("Flatten", [pooled], output)
    return graph.model(network.folded.name, network.output, _exposed(network) if expose_codes else [])


def save(model: onnx.ModelProto, path: Path) -> int:
    """Write the model and return the bytes of the file."""
    onnx.save(model, path)
    return path.stat().st_size


def _operator(graph: _Graph, layer: Layer, inputs: list[str], output: str) -> None:
    """The float operator(s) of one layer, ending in the value `output`."""
    result = f"{output}_sum" if layer.relu else output
    if layer.op == "conv":
        graph.node("Conv", inputs, result, **_window(layer))
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


def _window(layer: Layer) -> dict[str, Any]:
    """Attributes of a convolution."""
    return {
        "kernel_shape": [layer.kernel] * 2,
        "strides": [layer.stride] * 2,
        "pads": [layer.padding] * 4,
        "group": layer.groups,
    }


def _weight_codes(graph: _Graph, name: str, network: QuantizedNetwork, brief: bool = False) -> list[str]:
    """Codes, scale and zero point of the weights of a layer; if `brief`, one zero point where all channels share it."""
    codes, scheme = network.codes[name], network.weights[name]
    scale, zero_point = graph.parameters(f"{name}_weight", scheme)
    if brief and not scheme.zero_point.any():
        graph.constant(zero_point, np.zeros((), scheme.code_dtype))
    return [graph.constant(f"{name}_weight_codes", codes), scale, zero_point]


def _float_weights(graph: _Graph, name: str, network: FoldedNetwork) -> list[str]:
    """Float32 weight and bias of a layer."""
    return [
        graph.constant(f"{name}_weight", network.weights[name]),
        graph.constant(f"{name}_bias", network.biases[name]),
    ]


def _weights(graph: _Graph, name: str, network: QuantizedNetwork) -> list[str]:
    """Dequantized weight and bias of a layer; the bias at s_x·s_w with zero point 0."""
    bias = graph.constant(f"{name}_bias_codes", network.biases[name])
    bias_scale = graph.constant(f"{name}_bias_scale", network.bias_scale(name))
    axis = {} if network.weights[name].axis is None else {"axis": 0}
    return [
        graph.node("DequantizeLinear", _weight_codes(graph, name, network), f"{name}_weight", **axis),
        graph.node("DequantizeLinear", [bias, bias_scale], f"{name}_bias", **axis),
    ]


def _quantize(graph: _Graph, name: str, value: str, scheme: Uniform, output: str = "") -> str:
    return graph.node("QuantizeLinear", [value, *graph.parameters(name, scheme)], output or CODES.format(name))


def _dequantize(graph: _Graph, name: str, codes: str, scheme: Uniform, output: str = "") -> str:
    output = output or f"{codes}_real"
    if any(output in node.output for node in graph.nodes):
        return output
    return graph.node("DequantizeLinear", [codes, *graph.parameters(name, scheme)], output)


def _exposed(network: QuantizedNetwork) -> list[onnx.ValueInfoProto]:
    """Type and shape of the codes of every value, as outputs of a graph."""
    infos = []
    for name, scheme in network.activations.items():
        layer = None if name == INPUT else network.folded.layer(name)
        sides = () if layer and layer.op == "global_average_pool" else ("height", "width")
        shape = ["batch", layer.out_channels if layer else 1, *(f"{name}_{side}" for side in sides)]
        kind = helper.np_dtype_to_tensor_dtype(scheme.code_dtype)
        infos.append(helper.make_tensor_value_info(CODES.format(name), kind, shape))
    return infos
