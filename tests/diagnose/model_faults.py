"""Faults planted in correct models by editing them, and what the diagnosis must call each.

`print_table()` prints fault × finding; the tests in test_model.py plant the same faults.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from fewerbits import data
from fewerbits.deploy import export
from fewerbits.diagnose.model import diagnose_model
from fewerbits.network.folding import FoldedNetwork, fold
from fewerbits.network.quantized import calibrate, quantize_network
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper


@dataclass(frozen=True)
class Fault:
    """`plant` edits a correct model; the diagnosis must give `finding`, at a node whose name holds `where`, alone."""

    what: str
    finding: str
    where: str
    correct: Callable[[], ModelProto]
    plant: Callable[[ModelProto], Any]
    cpu: str = "any"

    def model(self) -> ModelProto:
        model = copy_of(self.correct())
        self.plant(model)
        return model


def copy_of(model: ModelProto) -> ModelProto:
    copied = ModelProto()
    copied.CopyFrom(model)
    return copied


@cache
def correct(network: str, form: str, **options: Any) -> ModelProto:
    """A correct model from our export; a network without shipped weights gets random ones."""
    folded = trained(network)
    images = data.to_float(data.load_fashion_mnist("test").images[:10])
    quantized = quantize_network(folded, calibrate(folded, images, title=""), **options)
    return export.qdq_model(quantized) if form == "QDQ" else export.qoperator_model(quantized)


@cache
def trained(network: str) -> FoldedNetwork:
    if network in ("tiny", "vgg32"):
        return fold(network, data.load_weights(network))
    from tests.network.test_folding import arrays, random_model

    return fold(network, arrays(random_model(network)))


def tiny() -> ModelProto:
    return correct("tiny", "QDQ")


def tiny_signed() -> ModelProto:
    return correct("tiny", "QDQ", signed_activations=True)


def tiny_per_tensor() -> ModelProto:
    return correct("tiny", "QDQ", per_channel=False)


def tiny_7_bits() -> ModelProto:
    return correct("tiny", "QDQ", weight_bits=7)


def tiny_qoperator() -> ModelProto:
    return correct("tiny", "QOperator")


def vgg32() -> ModelProto:
    return correct("vgg32", "QDQ")


def residual() -> ModelProto:
    return correct("residual", "QDQ")


def residual_qoperator() -> ModelProto:
    return correct("residual", "QOperator")


def get(model: ModelProto, name: str) -> np.ndarray:
    return numpy_helper.to_array(next(tensor for tensor in model.graph.initializer if tensor.name == name)).copy()


def put(model: ModelProto, name: str, value: Any) -> str:
    """Replace an initializer, or add one."""
    for tensor in model.graph.initializer:
        if tensor.name == name:
            model.graph.initializer.remove(tensor)
            break
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def change(model: ModelProto, name: str, function: Callable[[np.ndarray], Any]) -> None:
    old = get(model, name)
    put(model, name, np.asarray(function(old)).astype(old.dtype))


def node(model: ModelProto, name: str) -> NodeProto:
    return next(each for each in model.graph.node if each.name == name)


def insert(model: ModelProto, op: str, inputs: list[str], output: str, before: str, **attributes: Any) -> None:
    made = helper.make_node(op, inputs, [output], name=f"{output}_{op}", **attributes)
    model.graph.node.insert(list(model.graph.node).index(node(model, before)), made)


def scale_of(model: ModelProto, *names: str, by: float) -> None:
    for name in names:
        change(model, name, lambda scale: scale * np.float32(by))


def bias_of_its_own(model: ModelProto) -> None:
    real = get(model, "conv2_bias_codes") * get(model, "conv2_bias_scale").astype(np.float64)
    scale = np.full(32, np.abs(real).max() / (2**31 - 1), np.float32) * 1.5
    put(model, "conv2_bias_scale", scale)
    put(model, "conv2_bias_codes", np.rint(real / scale).astype(np.int32))


def weights_at(model: ModelProto, factor: np.ndarray | float) -> None:
    """Weights of conv2 at a scale `factor` times too large, with the bias that belongs to it."""
    factor = np.broadcast_to(np.asarray(factor, np.float32), 32)
    change(model, "conv2_weight_codes", lambda codes: np.rint(codes / factor[:, None, None, None]))
    change(model, "conv2_bias_codes", lambda codes: np.rint(codes / factor))
    change(model, "conv2_weight_scale", lambda scale: scale * factor)
    change(model, "conv2_bias_scale", lambda scale: scale * factor)


def clipped_codes(model: ModelProto) -> None:
    put(model, "low", np.uint8(20))
    put(model, "high", np.uint8(255))
    insert(model, "Clip", ["conv1_codes", "low", "high"], "conv1_clipped", "conv1_codes_real_DequantizeLinear")
    node(model, "conv1_codes_real_DequantizeLinear").input[0] = "conv1_clipped"


def signed_after_relu(model: ModelProto) -> None:
    for name in ("conv1", "pool1"):
        change(model, f"{name}_zero_point", lambda zero: 0 * zero)
    scale_of(model, "conv1_scale", "pool1_scale", "conv2_bias_scale", by=255 / 127)


def without_codes(model: ModelProto) -> None:
    """The sum of a residual branch stays in float: no Q and DQ between Conv and Add."""
    model.graph.node.remove(node(model, "conv3_codes_QuantizeLinear"))
    model.graph.node.remove(node(model, "conv3_codes_real_DequantizeLinear"))
    node(model, "add1_sum_Add").input[0] = "conv3"


def batch_norm(model: ModelProto) -> None:
    ones = [put(model, f"one{i}", np.ones(32, np.float32)) for i in range(4)]
    insert(model, "BatchNormalization", ["conv2_sum", *ones], "conv2_normed", "conv2_Relu")
    node(model, "conv2_Relu").input[0] = "conv2_normed"


def float_weights(model: ModelProto) -> None:
    scale = get(model, "conv2_weight_scale")[:, None, None, None]
    put(model, "conv2_weight", get(model, "conv2_weight_codes") * scale)
    model.graph.node.remove(node(model, "conv2_weight_DequantizeLinear"))


def weights_quantized_at_start(model: ModelProto) -> None:
    scale = get(model, "conv2_weight_scale")[:, None, None, None]
    put(model, "conv2_weight_float", get(model, "conv2_weight_codes") * scale)
    read = node(model, "conv2_weight_DequantizeLinear")
    inputs = ["conv2_weight_float", read.input[1], read.input[2]]
    insert(model, "QuantizeLinear", inputs, "conv2_weight_stored", read.name, axis=0)
    read.input[0] = "conv2_weight_stored"


def asymmetric(model: ModelProto) -> None:
    change(model, "conv2_weight_codes", lambda codes: np.clip(codes.astype(int) + 9, -128, 127))
    change(model, "conv2_weight_zero_point", lambda zero: zero + 9)


def quantized_again(model: ModelProto) -> None:
    scale, zero = put(model, "again_scale", get(model, "conv1_scale") * 3), "conv1_zero_point"
    before = "conv1_codes_QuantizeLinear"
    quantizer = node(model, before)
    insert(model, "QuantizeLinear", ["conv1", scale, zero], "first_codes", before)
    insert(model, "DequantizeLinear", ["first_codes", scale, zero], "first_real", before)
    quantizer.input[0] = "first_real"


def added_as_codes(model: ModelProto) -> None:
    for name in ("add1_sum_Add", "add1_Relu", "add1_codes_QuantizeLinear"):
        model.graph.node.remove(node(model, name))
    model.graph.node.insert(
        list(model.graph.node).index(node(model, "add1_codes_real_DequantizeLinear")),
        helper.make_node("Add", ["conv3_codes", "conv1_codes"], ["add1_codes"], name="add_codes"),
    )


def other_zero_point(model: ModelProto) -> None:
    put(model, "stored_zero_point", get(model, "conv1_zero_point") + np.uint8(1))
    node(model, "conv1_codes_real_DequantizeLinear").input[2] = "stored_zero_point"


def other_scale(model: ModelProto) -> None:
    put(model, "stored_scale", get(model, "conv1_scale") * np.float32(1.25))
    node(model, "add1_codes_QLinearAdd").input[4] = "stored_scale"


def neighbours_at_the_end(model: ModelProto) -> None:
    codes = get(model, "conv2_weight_codes")
    codes[3, :2, 0, 0] = 127
    put(model, "conv2_weight_codes", codes)


def axis_one(model: ModelProto) -> None:
    for attribute in node(model, "conv2_weight_DequantizeLinear").attribute:
        attribute.i = 1


def small_graph(op: str, shape: tuple[int, ...], axis: int, x_shape: list[Any], **attributes: Any) -> ModelProto:
    """Q, DQ, one operator with per-channel int8 weights along `axis`, Q, DQ."""
    rng = np.random.default_rng(8)
    codes = rng.integers(-127, 128, shape).astype(np.int8)
    np.moveaxis(codes, axis, 0).reshape(shape[axis], -1)[:, 0] = 127
    constants = {"s": np.float32(0.02), "z": np.uint8(100), "codes": codes}
    constants |= {"s_w": rng.uniform(0.01, 0.02, shape[axis]).astype(np.float32), "z_w": np.zeros(shape[axis], np.int8)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "quantize"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["xd"], "dequantize"),
        helper.make_node("DequantizeLinear", ["codes", "s_w", "z_w"], ["w"], "weights", axis=axis),
        helper.make_node(op, ["xd", "w"], ["y"], "layer", **attributes),
        helper.make_node("QuantizeLinear", ["y", "s", "z"], ["q_y"], "quantize_y"),
        helper.make_node("DequantizeLinear", ["q_y", "s", "z"], ["out"], "dequantize_y"),
    ]
    y_shape = [f"y{index}" for index in range(len(x_shape))]
    dimensions = {"x": x_shape, "out": y_shape}
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in dimensions.items()]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, op, infos[:1], infos[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def transposed_convolution() -> ModelProto:
    return small_graph("ConvTranspose", (6, 6, 3, 3), 1, ["n", 6, 8, 8])


def matrix_product() -> ModelProto:
    return small_graph("MatMul", (12, 12), 1, ["n", 12])


def gemm() -> ModelProto:
    return small_graph("Gemm", (12, 12), 0, ["n", 12], transB=1)


def gemm_of_plain_weights() -> ModelProto:
    return small_graph("Gemm", (12, 12), 1, ["n", 12])


def other_axis(model: ModelProto) -> None:
    attribute = node(model, "weights").attribute[0]
    attribute.i = 1 - attribute.i


def concatenated() -> ModelProto:
    """Two inputs quantized alike, their codes concatenated."""
    constants = {"s": np.float32(0.02), "z": np.uint8(9), "t": np.float32(0.02)}
    nodes = [
        helper.make_node("QuantizeLinear", ["a", "s", "z"], ["q_a"], "quantize_a"),
        helper.make_node("QuantizeLinear", ["b", "t", "z"], ["q_b"], "quantize_b"),
        helper.make_node("Concat", ["q_a", "q_b"], ["q"], "concat", axis=1),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["out"], "dequantize"),
    ]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in "ab"]
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 8])
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "concat", infos, [out], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def activations() -> ModelProto:
    """A sigmoid, quantized before and after."""
    constants = {"s": np.float32(0.05), "z": np.uint8(128), "t": np.float32(1 / 255), "u": np.uint8(0)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "quantize"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["xd"], "dequantize"),
        helper.make_node("Sigmoid", ["xd"], ["y"], "sigmoid"),
        helper.make_node("QuantizeLinear", ["y", "t", "u"], ["q_y"], "quantize_y"),
        helper.make_node("DequantizeLinear", ["q_y", "t", "u"], ["out"], "dequantize_y"),
    ]
    x, out = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("x", "out"))
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "activations", [x], [out], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def put_at(name: str, value: Any) -> Callable[[ModelProto], None]:
    return lambda model: put(model, name, value) and None


def first(name: str, value: float) -> Callable[[ModelProto], None]:
    """Replace the first number of a constant."""

    def plant(model: ModelProto) -> None:
        array = get(model, name)
        array.flat[0] = value
        put(model, name, array)

    return plant


def dead(model: ModelProto) -> None:
    codes = get(model, "conv2_weight_codes")
    codes[5] = 0
    put(model, "conv2_weight_codes", codes)


ONE_CHANNEL = np.where(np.arange(32) == 7, 5.0, 1.0)

FAULTS = [
    Fault("bias at a scale of its own", "bias_with_its_own_scale", "conv2", tiny, bias_of_its_own),
    Fault("bias at s_w alone", "bias_with_its_own_scale", "conv2", tiny,
          lambda m: put(m, "conv2_bias_scale", get(m, "conv2_weight_scale"))),
    Fault("weight scales in another order", "scales_of_other_channels", "conv2", tiny,
          lambda m: change(m, "conv2_weight_scale", lambda scale: scale[::-1])),
    Fault("input scale for pixels of 0 to 1", "bias_scale_is_not_the_product", "conv1", tiny,
          lambda m: scale_of(m, "image_scale", by=1 / 255)),
    Fault("weight scale of one channel changed", "bias_scale_is_not_the_product", "conv2", tiny,
          lambda m: change(m, "conv2_weight_scale", lambda scale: scale * ONE_CHANNEL)),
    Fault("bias at s_x alone", "bias_with_its_own_scale", "conv2", tiny,
          lambda m: put(m, "conv2_bias_scale", np.full(32, get(m, "pool1_scale")))),
    Fault("sigmoid with 100 times its scale", "range_too_wide", "quantize_y", activations,
          lambda m: scale_of(m, "t", by=100)),
    Fault("bias scale computed from another layer", "bias_scale_is_not_the_product", "logits", tiny_per_tensor,
          lambda m: scale_of(m, "logits_bias_scale", by=1.02)),
    Fault("weight scale 3 times too large", "unused_codes", "conv2", tiny, lambda m: weights_at(m, 3.0)),
    Fault("scale of one channel 5 times too large", "unused_codes", "conv2", tiny,
          lambda m: weights_at(m, ONE_CHANNEL)),
    Fault("codes clipped above their zero point", "range_without_zero", "Clip", tiny, clipped_codes),
    Fault("zero point outside the codes", "range_without_zero", "conv2_weight", tiny_per_tensor,
          put_at("conv2_weight_zero_point", np.int16(200))),
    Fault("zero point with a fraction", "range_without_zero", "conv2_weight", tiny_per_tensor,
          put_at("conv2_weight_zero_point", np.float32(0.4))),
    Fault("signed codes after ReLU", "symmetric_range_for_one_sided_data", "conv1", tiny_signed, signed_after_relu),
    Fault("scales along axis 1 of a square convolution", "wrong_axis", "conv2", vgg32, axis_one),
    Fault("scales along axis 1 of a convolution", "wrong_axis", "conv2", tiny, axis_one),
    Fault("scales along axis 0 of a transposed convolution", "wrong_axis", "layer", transposed_convolution, other_axis),
    Fault("scales along axis 0 of a MatMul", "wrong_axis", "layer", matrix_product, other_axis),
    Fault("scales along axis 1 of a Gemm with transB", "wrong_axis", "layer", gemm, other_axis),
    Fault("scales along axis 0 of a Gemm without transB", "wrong_axis", "layer", gemm_of_plain_weights, other_axis),
    Fault("as many scales as inputs (QLinearConv)", "wrong_axis", "conv2", tiny_qoperator,
          lambda m: change(m, "conv2_weight_scale", lambda s: s[:16])),
    Fault("a channel whose weights all became zero", "dead_channels", "conv2", tiny_per_tensor, dead),
    Fault("no codes between Conv and Add", "float_between_codes", "conv3", residual, without_codes),
    Fault("batch norm left between Conv and ReLU", "float_between_codes", "BatchNorm", tiny, batch_norm),
    Fault("float weights under a quantized input", "weights_in_float", "conv2", tiny, float_weights),
    Fault("float weights quantized at every start", "weights_in_float", "conv2", tiny, weights_quantized_at_start),
    Fault("int8 weights with a zero point", "asymmetric_weights", "conv2", tiny, asymmetric),
    Fault("scale 0", "scale_not_positive", "conv1", tiny, first("conv1_weight_scale", 0)),
    Fault("negative scale", "scale_not_positive", "conv1", tiny, first("conv1_weight_scale", -0.01)),
    Fault("NaN scale", "scale_not_positive", "conv1", tiny, put_at("conv1_scale", np.float32(np.nan))),
    Fault("infinite scale (QLinearConv)", "scale_not_positive", "conv2", tiny_qoperator,
          first("conv2_weight_scale", np.inf)),
    Fault("denormal scale", "denormal_scale", "conv1", tiny_qoperator, first("conv1_weight_scale", 1e-40)),
    Fault("bias that ends at 2^31 − 1", "bias_overflows_int32", "conv1_bias", tiny,
          first("conv1_bias_codes", 2**31 - 1)),
    Fault("bias that ends at −2^31 (QLinearConv)", "bias_overflows_int32", "conv1", tiny_qoperator,
          first("conv1_bias_codes", -(2**31))),
    Fault("bias in 8 bits", "bias_in_too_few_bits", "conv1_bias", tiny,
          lambda m: put(m, "conv1_bias_codes", np.clip(get(m, "conv1_bias_codes"), -128, 127).astype(np.int8))),
    Fault("bias with a zero point", "asymmetric_bias", "conv1_bias", tiny,
          lambda m: node(m, "conv1_bias_DequantizeLinear").input.append(
              put(m, "conv1_bias_zero_point", np.full(16, 3, np.int32)))),
    Fault("uint8 zero point of int8 weights", "zero_point_of_another_type", "conv2_weight", tiny,
          put_at("conv2_weight_zero_point", np.zeros(32, np.uint8))),
    Fault("int8 zero point read for uint8 codes", "zero_point_of_another_type", "conv1_codes", tiny,
          lambda m: node(m, "conv1_codes_real_DequantizeLinear").input.__setitem__(
              2, put(m, "other_zero", np.int8(5)))),
    Fault("three zero points for 32 scales", "parameters_of_another_shape", "conv2_weight", tiny,
          put_at("conv2_weight_zero_point", np.zeros(3, np.int8))),
    Fault("quantized, read back, quantized coarser", "quantized_twice", "conv1_codes", tiny, quantized_again),
    Fault("zero point one too high for the reader", "codes_read_with_other_parameters", "conv1_codes_real", tiny,
          other_zero_point),
    Fault("another scale for the reader (QLinearAdd)", "codes_read_with_other_parameters", "add1", residual_qoperator,
          other_scale),
    Fault("another scale for the reader, behind a pool", "codes_read_with_other_parameters", "conv2", tiny_qoperator,
          lambda m: scale_of(m, "pool1_scale", by=2)),
    Fault("codes of two scales added", "codes_of_different_scales", "add_codes", residual, added_as_codes),
    Fault("codes of two scales concatenated", "codes_of_different_scales", "concat", concatenated,
          lambda m: scale_of(m, "t", by=1.5)),
    Fault("two neighbours of 127 (risk)", "saturates_without_vnni", "conv2", tiny_7_bits, neighbours_at_the_end,
          "no-vnni"),
]  # fmt: skip


def print_table() -> int:
    """Every planted fault and what the diagnosis said of it; ✓ where that is the fault. Returns how many rows fail."""
    wrong = 0
    print(f"{'fault planted in a correct model':<52} {'named':<36} others")
    for fault in FAULTS:
        found = diagnose_model(fault.model(), cpu=fault.cpu)
        right = any(finding.name == fault.finding and fault.where in finding.where for finding in found)
        others = sorted({finding.name for finding in found} - {fault.finding})
        wrong += not right or bool(others)
        print(f"{fault.what:<52} {'✓ ' + fault.finding if right else '✗':<36} {', '.join(others) or '–'}")
    clean = [correct() for correct in dict.fromkeys(fault.correct for fault in FAULTS)]
    alarms = sum(len(diagnose_model(model)) for model in clean)
    print(f"{len(clean)} models before the faults were planted: {alarms} findings")
    return wrong + alarms


if __name__ == "__main__":
    sys.exit(print_table() > 0)
