"""Run one ONNX operator by ONNX Runtime (one thread) or by the ONNX reference evaluator."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

MICROSOFT = "com.microsoft"


def run(
    operation: str, inputs: Mapping[str, Any], *, domain: str = "", constants: bool = False, **attributes: Any
) -> Any:
    """The first output of ONNX Runtime. With `constants`, everything but the first input is stored in the model.

    Weights that are stored take other kernels than weights that arrive as inputs: they are packed in advance.
    """
    arrays = {name: np.asarray(array) for name, array in inputs.items()}
    stored = list(arrays)[1:] if constants else []
    model = _model(operation, arrays, stored, domain, attributes)
    return session(model).run(None, {name: array for name, array in arrays.items() if name not in stored})[0]


def run_reference(operation: str, inputs: Mapping[str, Any], **attributes: Any) -> Any:
    """The first output of the reference evaluator."""
    from onnx.reference import ReferenceEvaluator

    arrays = {name: np.asarray(array) for name, array in inputs.items()}
    return ReferenceEvaluator(_model(operation, arrays, [], "", attributes)).run(None, arrays)[0]


def session(model: onnx.ModelProto, optimize: bool = True) -> onnxruntime.InferenceSession:
    """A single-threaded session; without `optimize` every node runs as written."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def graph_model(nodes: list[Any], inputs: Mapping[str, Any], stored: Mapping[str, Any]) -> onnx.ModelProto:
    """A model of `nodes` with the output y, whose type is inferred; `inputs` and `stored` are arrays by name."""
    values = [_info(name, array) for name, array in inputs.items()]
    initializers = [numpy_helper.from_array(np.asarray(array), name) for name, array in stored.items()]
    graph = helper.make_graph(nodes, "graph", values, [onnx.ValueInfoProto(name="y")], initializers)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def _model(
    operation: str, arrays: Mapping[str, Any], stored: list[str], domain: str, attributes: Mapping[str, Any]
) -> onnx.ModelProto:
    node = helper.make_node(operation, list(arrays), ["y"], domain=domain, **attributes)
    inputs = {name: array for name, array in arrays.items() if name not in stored}
    return graph_model([node], inputs, {name: arrays[name] for name in stored})


def _info(name: str, array: np.ndarray) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def quantized_linear(weight: np.ndarray, bias: np.ndarray, x: np.ndarray, per_channel: bool) -> dict[str, np.ndarray]:
    """What ONNX Runtime's static quantizer stores for x·weight + bias: x_scale, w_scale and int32 b_quantized."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class OneBatch(CalibrationDataReader):
        def __init__(self) -> None:
            self.batches = iter([{"x": x}])

        def get_next(self) -> Any:
            return next(self.batches, None)

    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], name="linear")
    model = graph_model([node], {"x": x}, {"w": weight, "b": bias})
    model.graph.output[0].CopyFrom(_info("y", x @ weight))
    logging.disable(logging.WARNING)
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "quantized.onnx"
            how = {"activation_type": QuantType.QInt8, "weight_type": QuantType.QInt8, "per_channel": per_channel}
            quantize_static(model, path, OneBatch(), quant_format=QuantFormat.QDQ, **how)
            stored = onnx.load(path).graph.initializer
    finally:
        logging.disable(logging.NOTSET)
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in stored}
