"""Engines that run a network for real, behind one small interface: float32 images in, logits out."""

from __future__ import annotations

import functools
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from fewerbits.network.architecture import INPUT
from fewerbits.network.batches import over_batches
from fewerbits.network.folding import FoldedNetwork, fold
from fewerbits.network.model import SmallCNN, torch_layer


class Engine(Protocol):
    """`name` for a table, and a call from images (N, 1, 28, 28) float32 to logits (N, 10) float32."""

    name: str

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]: ...


class OnnxRuntime:
    """ONNX Runtime on the CPU, for a model in memory or a file, on a fixed number of threads.

    `outputs(images)` returns every output by name, for models that expose more than logits.
    """

    def __init__(self, model: onnx.ModelProto | Path, name: str = "ONNX Runtime", threads: int = 1) -> None:
        self.name = name
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Idle threads that spin would take the core from the other candidate of a pair.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Without this, x86 builds run groups with int8 activations in float.
        options.add_session_config_entry("session.qdqisint8allowed", "1")
        options.log_severity_level = 3
        source = model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model)
        self._source, self._options = source, options
        self._session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._session.run(["logits"], {INPUT: images})[0]

    def operators(self) -> dict[str, int]:
        """How often each operator occurs in the graph that is really run, after the engine's optimizations."""
        with tempfile.TemporaryDirectory() as folder:
            self._options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
            onnxruntime.InferenceSession(self._source, self._options, providers=["CPUExecutionProvider"])
            nodes = onnx.load(Path(folder) / "optimized.onnx").graph.node
        self._options.optimized_model_filepath = ""
        return dict(sorted(Counter(node.op_type for node in nodes).items()))

    def outputs(self, images: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        names = [output.name for output in self._session.get_outputs()]
        return dict(zip(names, self._session.run(names, {INPUT: images})))


class Torch:
    """A PyTorch model in inference mode. Threads are PyTorch's global setting (torch.set_num_threads)."""

    def __init__(self, model: torch.nn.Module, name: str = "torch eager", channels_last: bool = False) -> None:
        self.name = name
        self._format = torch.channels_last if channels_last else torch.contiguous_format
        self._model = model.eval().to(memory_format=self._format)

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return self._model(torch.from_numpy(images).contiguous(memory_format=self._format)).numpy()


def folded_torch(model: SmallCNN) -> torch.nn.Module:
    """A copy of `model` whose batch norms are folded into the convolutions, by our own folding."""
    state = {key: value.numpy() for key, value in model.state_dict().items() if not key.endswith("tracked")}
    return _FoldedModule(fold(model.name, state))


class _FoldedModule(torch.nn.Module):
    """The folded network in PyTorch: convolutions with bias, no batch norm."""

    def __init__(self, network: FoldedNetwork) -> None:
        super().__init__()
        self.layers = network.layers
        for name, weight in network.weights.items():
            self.register_buffer(f"{name}_weight", torch.from_numpy(weight))
            self.register_buffer(f"{name}_bias", torch.from_numpy(network.biases[name]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        values = {INPUT: images}
        parameters = dict(self.named_buffers())
        for layer in self.layers:
            inputs = [values[name] for name in layer.inputs]
            weight, bias = parameters.get(f"{layer.name}_weight"), parameters.get(f"{layer.name}_bias")
            values[layer.name] = torch_layer(layer, inputs, weight, bias)
        return values[self.layers[-1].name]


def predict(engine: Engine, images: NDArray[np.float32], title: str = "") -> NDArray[np.int64]:
    """The class with the largest logit for each of `images` (N, 1, 28, 28): (N,) int64. The engine has the threads."""
    batches = over_batches(lambda batch: engine(batch).argmax(axis=1), images, batch=250, title=title, workers=1)
    return np.concatenate(list(batches))


@functools.cache
def engine_saturates() -> bool:
    """Whether ONNX Runtime's u8×s8 products saturate at 16 bits on this CPU (x86 without VNNI): it is asked.

    [255, 255]·[127, 127] is 64,770; an x86 CPU without VNNI adds the two products in int16 and gives 32,767.
    """
    a = helper.make_tensor_value_info("a", TensorProto.UINT8, ["m", "k"])
    y = helper.make_tensor_value_info("y", TensorProto.INT32, ["m", "n"])
    weights = helper.make_tensor("b", TensorProto.INT8, [64, 16], np.full(1024, 127, np.int8).tobytes(), raw=True)
    node = helper.make_node("MatMulInteger", ["a", "b"], ["y"])
    graph = helper.make_graph([node], "probe", [a], [y], initializer=[weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    product = session.run(None, {"a": np.full((4, 64), 255, np.uint8)})[0]
    return bool((product != 64 * 255 * 127).any())
