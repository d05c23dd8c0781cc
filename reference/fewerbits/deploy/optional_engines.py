"""Engines that the course does not install by itself: OpenVINO on the same ONNX file, and torchao's compiled int8.

Both are in the extra "engines": `.venv/bin/python -m pip install -e ".[engines]"`. torchao compiles, so that it needs
a C++ compiler and some 20 seconds, and it writes no smaller file. `missing` says which can be had.
"""

from __future__ import annotations

import importlib.util
import io
import logging
import shutil
import warnings
from contextlib import redirect_stderr
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from fewerbits.deploy.engines import Engine
from fewerbits.network.architecture import INPUT
from fewerbits.network.model import SmallCNN

HOW_TO_GET = '.venv/bin/python -m pip install -e ".[engines]"'


class OpenVino:
    """OpenVINO on the CPU, for a model in memory or an ONNX file, on a fixed number of threads, float32 where not int8.

    It reads QDQ form and replaces it by its own int8 kernels, which requantize in float: logits may differ from ONNX
    Runtime's in the last digits, and codes by one step. Raises ModuleNotFoundError saying how to install it.
    """

    def __init__(self, model: onnx.ModelProto | Path, name: str = "OpenVINO", threads: int = 1) -> None:
        if importlib.util.find_spec("openvino") is None:
            raise ModuleNotFoundError(f"OpenVINO is not installed: {HOW_TO_GET}")
        import openvino

        self.name = name
        source = model.SerializeToString() if isinstance(model, onnx.ModelProto) else model
        core = openvino.Core()
        # Where the CPU has bfloat16 OpenVINO would take it for float32: the comparison would not be the one named.
        settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        self._model = core.compile_model(core.read_model(source), "CPU", settings)

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._model({INPUT: images})["logits"]


class _Compiled:
    """A compiled PyTorch module; compiled anew for another batch size."""

    def __init__(self, module: torch.nn.Module, name: str) -> None:
        self.name = name
        self._module = torch.compile(module)

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            return self._module(torch.from_numpy(images)).numpy()


def torchao_engines(model: SmallCNN, calibration: NDArray[np.float32], batch: int) -> tuple[Engine, Engine]:
    """`model` compiled in float32, and quantized by torchao's PT2E flow and compiled: both for one batch size.

    `calibration` (N, 1, 28, 28) float32 sets torchao's own ranges; N is at least `batch`. torch.compile's freezing is
    on for both, since without it the int8 kernels are not chosen. Threads are PyTorch's global setting.
    Raises ModuleNotFoundError when torchao or a C++ compiler is missing.
    """
    if (reason := missing().get("torchao")) is not None:
        raise ModuleNotFoundError(reason)
    if len(calibration) < batch:
        raise ValueError(f"calibration has {len(calibration)} images: at least batch={batch} are needed")
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        from torch._inductor import config
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
        from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

        config.freezing = True
        example = torch.from_numpy(calibration[:batch])
        exported = torch.export.export(model.eval(), (example,)).module()
        quantizer = x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config())
        prepared = prepare_pt2e(exported, quantizer)
        with torch.no_grad():
            for start in range(0, len(calibration) - batch + 1, batch):
                prepared(torch.from_numpy(calibration[start : start + batch]))
        quantized = convert_pt2e(prepared)
        engines = _Compiled(model, "torch compiled float32"), _Compiled(quantized, "torchao compiled int8")
        for engine in engines:
            engine(calibration[:batch])
    return engines


def missing() -> dict[str, str]:
    """The optional engines that are not usable here, each with the reason and the remedy."""
    reasons = {
        name: f"{title} is not installed: {HOW_TO_GET}"
        for name, title in (("openvino", "OpenVINO"), ("torchao", "torchao"))
        if importlib.util.find_spec(name) is None
    }
    if "torchao" not in reasons and shutil.which("g++") is None and shutil.which("clang++") is None:
        reasons["torchao"] = "torchao needs a C++ compiler (g++ or clang++) for torch.compile"
    return reasons
