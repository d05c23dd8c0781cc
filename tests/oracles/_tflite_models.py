"""Small int8 TensorFlow Lite models written with flatbuffers, run by tflite_micro; no TensorFlow is needed.

The schema classes are those that the tflite_micro wheel ships. Images are (N, H, W, C) there, convolution weights
(O, K_h, K_w, C) and depthwise weights (1, K_h, K_w, C).
"""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from tflite_micro.python.tflite_micro import runtime
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

TYPES = {np.dtype(np.int8): schema.TensorType.INT8, np.dtype(np.int32): schema.TensorType.INT32}
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
ACTIVATIONS = {False: schema.ActivationFunctionType.NONE, True: schema.ActivationFunctionType.RELU}


class Model:
    """A model under construction: values and operators are added in the order in which they run."""

    def __init__(self, shape: tuple[int, ...], scale: float, zero_point: int) -> None:
        self.buffers = [_buffer(b"")]
        self.tensors: list[Any] = []
        self.codes: list[Any] = []
        self.operators: list[Any] = []
        self.last = self.value(shape, scale, zero_point)

    def value(self, shape: tuple[int, ...], scale: Any, zero_point: Any, dtype: Any = np.int8, axis: int = 0) -> int:
        """The index of a new tensor without data."""
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer = list(shape), TYPES[np.dtype(dtype)], 0
        tensor.name = f"tensor{len(self.tensors)}"
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = np.atleast_1d(np.float32(scale)).tolist()
        tensor.quantization.zeroPoint = np.broadcast_to(zero_point, np.size(scale)).tolist()
        tensor.quantization.quantizedDimension = axis
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def constant(self, array: np.ndarray, scale: Any, axis: int = 0) -> int:
        """The index of a new tensor that holds `array`, symmetric (zero point 0)."""
        index = self.value(array.shape, scale, 0, array.dtype, axis)
        self.tensors[index].buffer = len(self.buffers)
        self.buffers.append(_buffer(array.tobytes()))
        return index

    def operator(self, name: str, options: Any, inputs: list[int], output: int) -> None:
        """Append a builtin operator (by its schema name), whose output becomes `last`."""
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
        code.version = 1
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = len(self.codes), inputs, [output]
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        operator.builtinOptions = options
        self.codes.append(code)
        self.operators.append(operator)
        self.last = output

    def fully_connected(
        self, w: np.ndarray, bias: np.ndarray, s_x: Any, s_w: Any, s_y: Any, z_y: int, **how: Any
    ) -> None:
        """w (O, K) int8; the output is (N, O)."""
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = ACTIVATIONS[how.get("relu", False)]
        inputs = [self.last, self.constant(w, s_w), self.constant(bias, np.float32(s_x) * np.float32(s_w))]
        count = self.tensors[self.last].shape[0]
        self.operator("FULLY_CONNECTED", options, inputs, self.value((count, len(w)), s_y, z_y))

    def conv(
        self, w: np.ndarray, bias: np.ndarray, s_x: Any, s_w: Any, s_y: Any, z_y: int, *,
        stride: int = 1, padding: int = SAME, relu: bool = False, depthwise: bool = False,
    ) -> None:  # fmt: skip
        """w (O, K_h, K_w, C) int8, or (1, K_h, K_w, C) when depthwise; s_w one scale per output channel."""
        options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
        options.padding, options.strideW, options.strideH = padding, stride, stride
        options.dilationWFactor = options.dilationHFactor = 1
        options.fusedActivationFunction = ACTIVATIONS[relu]
        if depthwise:
            options.depthMultiplier = 1
        axis = 3 if depthwise else 0
        weights = self.constant(w, s_w, axis)
        inputs = [self.last, weights, self.constant(bias, np.float32(s_x) * np.asarray(s_w, np.float32))]
        size = self._out_size(w.shape[1], stride, padding)
        name = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        self.operator(name, options, inputs, self.value((*size, w.shape[axis]), s_y, z_y))

    def max_pool(self, kernel: int, s_x: Any, z_x: int) -> None:
        options = schema.Pool2DOptionsT()
        options.padding, options.strideW, options.strideH = VALID, kernel, kernel
        options.filterWidth = options.filterHeight = kernel
        size = self._out_size(kernel, kernel, VALID)
        self.operator(
            "MAX_POOL_2D", options, [self.last], self.value((*size, self.tensors[self.last].shape[3]), s_x, z_x)
        )

    def run(self, x: np.ndarray) -> np.ndarray:
        """The model's output codes for the int8 input `x`."""
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs = [0], [self.last]
        model = schema.ModelT()
        model.version, model.subgraphs = 3, [graph]
        model.operatorCodes, model.buffers = self.codes, self.buffers
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        arena = 100_000 + 4 * sum(int(np.prod(tensor.shape)) for tensor in self.tensors)
        interpreter = runtime.Interpreter.from_bytes(bytes(builder.Output()), arena_size=arena)
        interpreter.set_input(x, 0)
        interpreter.invoke()
        return interpreter.get_output(0).copy()

    def _out_size(self, kernel: int, stride: int, padding: int) -> tuple[int, int, int]:
        count, height, width = self.tensors[self.last].shape[:3]
        lost = 0 if padding == SAME else kernel - 1
        return count, -((lost - height) // stride), -((lost - width) // stride)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """(before, after) of TensorFlow's SAME: the output is ⌈size/stride⌉, an odd total puts one more after."""
    total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
    return total // 2, total - total // 2


def _buffer(data: bytes) -> Any:
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(data, np.uint8)
    return buffer
