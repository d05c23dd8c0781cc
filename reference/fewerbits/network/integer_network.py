"""Run a quantized network in integers only: codes in, int32 accumulators, codes out, with every value to look at.

The integers are those of ONNX Runtime on the exported model. Real numbers appear twice: pixels become codes at the
entrance (each pixel is its own code), and the last accumulators are multiplied by s_x·s_w to give logits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.network.architecture import INPUT, Layer
from fewerbits.network.arithmetic import add_bias, integer_conv2d, integer_matmul
from fewerbits.network.operations import add, global_average_pool, max_pool2d, relu
from fewerbits.network.quantized import QuantizedNetwork
from fewerbits.network.requantize import output_multiplier, requantize
from fewerbits.network.saturating import saturating_conv2d, saturating_matmul

Codes = NDArray[Any]


def run(
    network: QuantizedNetwork, images: NDArray[np.float32], rule: str = "float32", saturate: bool = False
) -> dict[str, Codes]:
    """Every value of `network` in codes, by name, for images (N, 1, 28, 28) float32; the last one is float32 logits.

    `rule` is the requantization rule (`requantize.RULES`; ONNX Runtime's by default). `saturate` computes the
    products of uint8 activations and int8 weights as an x86 CPU without VNNI does, saturated at 16 bits in pairs.
    Raises ValueError/TypeError for images or codes that do not fit, and for an accumulator outside int32.
    """
    values: dict[str, Codes] = {INPUT: network.activations[INPUT].quantize(images)}
    for layer in network.layers:
        values[layer.name] = run_layer(network, layer, [values[name] for name in layer.inputs], rule, saturate)
    return values


def run_layer(
    network: QuantizedNetwork, layer: Layer, inputs: list[Codes], rule: str = "float32", saturate: bool = False
) -> Codes:
    """The codes (of the last layer: the logits) of one layer, given the codes that it reads."""
    sources = [network.activations[name] for name in layer.inputs]
    if layer.op == "max_pool":
        return max_pool2d(inputs[0])
    if layer.op == "global_average_pool":
        return global_average_pool(inputs[0], sources[0], network.activations[layer.name])
    if layer.op == "add":
        output = network.activations[layer.name]
        total = add(inputs[0], inputs[1], sources[0], sources[1], output)
        return relu(total, int(output.zero_point)) if layer.relu else total

    accumulated = accumulators(network, layer, inputs[0], saturate)
    source, weights = sources[0], network.weights[layer.name]
    if layer.name == network.output:
        return accumulated.astype(np.float32) * network.bias_scale(layer.name)
    output = network.activations[layer.name]
    multiplier = output_multiplier(source.scale, weights.scale, output.scale)
    zero_point = int(output.zero_point)
    # Codes below the zero point are negative numbers: the ReLU is a higher lower end of the range.
    lowest = max(output.qmin, zero_point) if layer.relu else output.qmin
    return requantize(accumulated, multiplier, zero_point, lowest, output.qmax, rule, dtype=output.code_dtype)


def accumulators(network: QuantizedNetwork, layer: Layer, codes: Codes, saturate: bool = False) -> NDArray[np.int32]:
    """Σ(q_x − z_x)(q_w − z_w) + bias of a layer with weights, int32, at the scale s_x·s_w."""
    scheme, weights = network.weights[layer.name], network.codes[layer.name]
    x_zero = int(network.activations[layer.inputs[0]].zero_point)
    geometry = (layer.stride, layer.padding, layer.groups)
    if layer.op == "conv" and saturate:
        total = saturating_conv2d(codes, weights, x_zero, scheme.zero_point, *geometry)
    elif layer.op == "conv":
        total = integer_conv2d(codes, weights, x_zero, scheme.zero_point, *geometry)
    elif saturate:
        total = saturating_matmul(codes, weights.T, x_zero, scheme.zero_point)
    else:
        total = integer_matmul(codes, weights.T, x_zero, scheme.zero_point)
    return add_bias(total, network.biases[layer.name])
