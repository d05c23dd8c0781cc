"""The main job, end to end: fold, calibrate, quantize, simulate, export, execute, count bytes and time by pairs.

`python -m fewerbits.capstone` prints the tables for the small CNN on all 10,000 test images.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import importlib.metadata
import platform
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from fewerbits import data
from fewerbits.deploy import engines, export
from fewerbits.deploy.timing import Ratio, paired_ratio
from fewerbits.network.architecture import ARCHITECTURES
from fewerbits.network.batches import over_batches
from fewerbits.network.folding import FoldedNetwork, fold
from fewerbits.network.model import build_model
from fewerbits.network.quantized import QuantizedNetwork, calibrate, quantize_network
from fewerbits.teach.environment import describe_cpu

CALIBRATION_IMAGES = 1000
BATCHES = (1, 64)
PACKAGES = ("numpy", "torch", "onnx", "onnxruntime")


def prepare(name: str) -> tuple[FoldedNetwork, QuantizedNetwork]:
    """The folded network and its quantized form, calibrated on the first 1,000 training images.

    Weights take 8 bits, or 7 where this CPU's u8×s8 products would saturate at 16 bits.
    """
    network = fold(name, data.load_weights(name))
    ranges = calibrate(network, data.to_float(data.load_fashion_mnist("train").images[:CALIBRATION_IMAGES]))
    return network, quantize_network(network, ranges, weight_bits=7 if engines.engine_saturates() else 8)


def describe_machine() -> str:
    """The CPU, its relevant instructions and the versions that decide the results below."""
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in PACKAGES)
    saturation = "saturate at 16 bits (7-bit weights)" if engines.engine_saturates() else "are exact (8-bit weights)"
    return f"{describe_cpu()}\nPython {platform.python_version()}, {versions}\nu8×s8 products {saturation} on this CPU"


def accuracies(
    network: FoldedNetwork, quantized: QuantizedNetwork, images: NDArray[np.float32], labels: NDArray[np.uint8]
) -> dict[str, float]:
    """Share of right answers of the float model, the simulation and the executed int8 model."""

    def simulated(batch: NDArray[np.float32]) -> NDArray[np.int64]:
        return quantized.simulate(batch)[quantized.output].argmax(axis=1)

    threads = os.cpu_count() or 1
    float_engine = engines.OnnxRuntime(export.float_model(network), threads=threads)
    int8_engine = engines.OnnxRuntime(export.qdq_model(quantized), threads=threads)
    predictions = {
        "float32": engines.predict(float_engine, images, "float32"),
        "int8, simulated": np.concatenate(list(over_batches(simulated, images, title="simulated"))),
        "int8, executed": engines.predict(int8_engine, images, "executed"),
    }
    return {name: float((predicted == labels).mean()) for name, predicted in predictions.items()}


def latency_ratios(
    name: str, network: FoldedNetwork, quantized: QuantizedNetwork, images: NDArray[np.float32]
) -> dict[tuple[str, int], Ratio]:
    """How many times faster int8 is on one thread, as paired ratios by (name of the slower candidate, batch)."""
    torch.set_num_threads(1)
    model = build_model(name, data.load_weights(name))
    int8 = engines.OnnxRuntime(export.qdq_model(quantized), "ONNX Runtime int8")
    candidates: list[engines.Engine] = [
        engines.Torch(model, "torch eager"),
        engines.Torch(engines.folded_torch(model), "torch folded channels_last", channels_last=True),
        engines.OnnxRuntime(export.float_model(network), "ONNX Runtime float32"),
    ]
    ratios = {}
    cases = [(batch, candidate) for batch in BATCHES for candidate in candidates]
    for batch, candidate in tqdm(cases, desc="timing pairs", leave=False):
        x = images[:batch]
        ratios[candidate.name, batch] = paired_ratio(lambda: candidate(x), lambda: int8(x))  # noqa: B023 (used at once)
    return ratios


def report(name: str, folder: Path) -> str:
    """Run everything for one network, write its two ONNX files to `folder` and return the tables as text."""
    network, quantized = prepare(name)
    test = data.load_fashion_mnist("test")
    images = data.to_float(test.images)
    folder.mkdir(parents=True, exist_ok=True)
    float_bytes = export.save(export.float_model(network), folder / f"{name}_float.onnx")
    int8_bytes = export.save(export.qdq_model(quantized), folder / f"{name}_int8.onnx")

    lines = [describe_machine(), "", f"Accuracy of {name} on {len(images):,} test images"]
    for kind, accuracy in accuracies(network, quantized, images, test.labels).items():
        lines.append(f"  {kind:<18}{accuracy:8.2%}")
    lines += ["", "Bytes of the ONNX file", f"  float32{float_bytes:19,}"]
    lines.append(f"  int8{int8_bytes:22,}   {int8_bytes / float_bytes:.3f} of float32")
    lines += ["", "ONNX Runtime int8 is faster by (median and quartiles of 21 interleaved pairs, one thread)"]
    lines.append(f"  {'against':<28}{'batch':>6}{'ratio':>22}{'ms':>10}{'int8 ms':>10}")
    for (against, batch), ratio in latency_ratios(name, network, quantized, images).items():
        milliseconds = f"{1e3 * ratio.first_seconds:10.2f}{1e3 * ratio.second_seconds:10.2f}"
        lines.append(f"  {against:<28}{batch:>6}{ratio!s:>22}{milliseconds}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Quantize a trained CNN, run it on ONNX Runtime and report.")
    parser.add_argument("name", nargs="?", default="vgg32", choices=sorted(ARCHITECTURES))
    parser.add_argument("--output", type=Path, default=Path("work/capstone"), help="folder for the ONNX files")
    options = parser.parse_args()
    print(report(options.name, options.output))


if __name__ == "__main__":
    main()
