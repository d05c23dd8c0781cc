"""The main job, end to end: fold, calibrate, quantize, simulate, export, execute, count bytes and time by pairs.

`python -m fewerbits.capstone` prints one table for the course's CNNs on all 10,000 test images, and writes the same
as JSON beside the ONNX files.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import gzip
import importlib.metadata
import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from fewerbits import data
from fewerbits.deploy import engines, export
from fewerbits.deploy.evaluation import Accuracy, Comparison, accuracy, mcnemar
from fewerbits.deploy.roofline import Ceilings, least_seconds, measure_ceilings
from fewerbits.deploy.timing import Ratio, paired_ratio
from fewerbits.network import integer_network
from fewerbits.network.batches import over_batches
from fewerbits.network.folding import FoldedNetwork, fold
from fewerbits.network.model import build_model
from fewerbits.network.quantized import QuantizedNetwork, calibrate, quantize_network
from fewerbits.teach.environment import describe_cpu

NETWORKS = ("vgg32", "residual", "depthwise")
CALIBRATION_IMAGES = 1000
COMPARED_IMAGES = 1000
BATCHES = (1, 64)
PACKAGES = ("numpy", "torch", "onnx", "onnxruntime")


@dataclass(frozen=True)
class Timing:
    """int8 on ONNX Runtime against another candidate, one thread: how many times faster, in pairs."""

    against: str
    batch: int
    ratio: Ratio


@dataclass(frozen=True)
class Result:
    """What the capstone finds out about one network."""

    name: str
    accuracies: dict[str, Accuracy]
    float_against_int8: Comparison
    integers_compared: int
    integers_different: int
    file_bytes: dict[str, int]
    compressed_bytes: dict[str, int]
    ceiling: float
    timings: list[Timing]


def prepare(name: str) -> tuple[FoldedNetwork, QuantizedNetwork]:
    """The folded network and its quantized form, calibrated on the first 1,000 training images.

    Weights take 8 bits, or 7 where this CPU's u8×s8 products would saturate at 16 bits.
    """
    network = fold(name, data.load_weights(name))
    observers = calibrate(network, data.to_float(data.load_fashion_mnist("train").images[:CALIBRATION_IMAGES]))
    return network, quantize_network(network, observers, weight_bits=7 if engines.engine_saturates() else 8)


def machine() -> dict[str, str]:
    """The CPU, its relevant instructions and the versions that decide the results."""
    saturates = engines.engine_saturates()
    return {
        "cpu": str(describe_cpu()),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "u8×s8": "saturates at 16 bits here: 7-bit weights" if saturates else "exact here: 8-bit weights",
    }


def evaluate(name: str, folder: Path, ceilings: Ceilings) -> Result:
    """Run everything for one network; its ONNX files go to `folder`."""
    network, quantized = prepare(name)
    test = data.load_fashion_mnist("test")
    images = data.to_float(test.images)
    models = {"float32": export.float_model(network), "int8": export.qdq_model(quantized)}
    paths = {kind: folder / f"{name}_{kind}.onnx" for kind in models}
    file_bytes = {kind: export.save(models[kind], path) for kind, path in paths.items()}

    predictions = _predictions(network, quantized, images)
    compared, different = _compare_integers(quantized, images[:COMPARED_IMAGES])
    bounds = [least_seconds(network.layers, ceilings, kind, batch=64) for kind in ("float32", "int8")]
    return Result(
        name,
        {kind: accuracy(predicted, test.labels) for kind, predicted in predictions.items()},
        mcnemar(predictions["float32"], predictions["int8 executed"], test.labels),
        compared,
        different,
        file_bytes,
        {kind: len(gzip.compress(path.read_bytes())) for kind, path in paths.items()},
        bounds[0] / bounds[1],
        _timings(name, network, quantized, images),
    )


def _predictions(
    network: FoldedNetwork, quantized: QuantizedNetwork, images: NDArray[np.float32]
) -> dict[str, NDArray[np.int64]]:
    """Predicted classes of the float model, of the simulation and of the model that the engine executes."""

    def simulate(batch: NDArray[np.float32]) -> NDArray[np.int64]:
        return quantized.simulate(batch)[quantized.output].argmax(axis=1)

    threads = os.cpu_count() or 1
    float_engine = engines.OnnxRuntime(export.float_model(network), threads=threads)
    int8_engine = engines.OnnxRuntime(export.qdq_model(quantized), threads=threads)
    return {
        "float32": engines.predict(float_engine, images, f"{network.name} float32"),
        "int8 simulated": np.concatenate(list(over_batches(simulate, images, title=f"{network.name} simulated"))),
        "int8 executed": engines.predict(int8_engine, images, f"{network.name} executed"),
    }


def _compare_integers(quantized: QuantizedNetwork, images: NDArray[np.float32]) -> tuple[int, int]:
    """How many integers of all layers were compared with the engine's, and how many differ."""
    engine = engines.OnnxRuntime(export.qdq_model(quantized, expose_codes=True))

    def count(batch: NDArray[np.float32]) -> tuple[int, int]:
        ours, theirs = integer_network.run(quantized, batch), engine.outputs(batch)
        names = {name: name if name == quantized.output else export.CODES.format(name) for name in ours}
        different = sum(int(np.count_nonzero(ours[name] != theirs[output])) for name, output in names.items())
        return sum(value.size for value in ours.values()), different

    counts = list(over_batches(count, images, title=f"{quantized.folded.name} integers"))
    return sum(compared for compared, _ in counts), sum(different for _, different in counts)


def _timings(
    name: str, network: FoldedNetwork, quantized: QuantizedNetwork, images: NDArray[np.float32]
) -> list[Timing]:
    torch.set_num_threads(1)
    model = build_model(name, data.load_weights(name))
    int8 = engines.OnnxRuntime(export.qdq_model(quantized))
    candidates: list[engines.Engine] = [
        engines.Torch(model, "torch eager"),
        engines.Torch(engines.folded_torch(model), "torch folded channels_last", channels_last=True),
        engines.OnnxRuntime(export.float_model(network), "ONNX Runtime float32"),
    ]
    timings = []
    cases = [(batch, candidate) for batch in BATCHES for candidate in candidates]
    for batch, candidate in tqdm(cases, desc=f"{name} timing pairs", leave=False):
        x = images[:batch]
        ratio = paired_ratio(lambda: candidate(x), lambda: int8(x))  # noqa: B023 (called at once)
        timings.append(Timing(candidate.name, batch, ratio))
    return timings


def table(results: list[Result], ceilings: Ceilings) -> str:
    """The results as text, one block for each network."""
    lines = [f"{key:<12}{value}" for key, value in machine().items()] + [f"{'ceilings':<12}{ceilings}"]
    for result in results:
        lines += ["", f"{result.name}: accuracy on 10,000 test images, with 95 % intervals"]
        lines += [f"  {kind:<16}{value}" for kind, value in result.accuracies.items()]
        lines.append(f"  float32 against int8 executed: {result.float_against_int8}")
        share = result.integers_different / result.integers_compared
        lines.append(
            f"  integers of every layer against the engine's: {result.integers_compared:,} compared, "
            f"{result.integers_different:,} differ ({share:.2g})"
        )
        lines.append(f"{result.name}: bytes of the ONNX file, and gzipped")
        for kind, size in result.file_bytes.items():
            part = size / result.file_bytes["float32"]
            lines.append(
                f"  {kind:<16}{size:>10,}  {part:.3f} of float32  {result.compressed_bytes[kind]:>10,} gzipped"
            )
        lines.append(f"{result.name}: ONNX Runtime int8 is faster by (median and quartiles of 21 pairs, one thread)")
        lines.append(f"  {'against':<28}{'batch':>6}{'ratio':>22}{'ms':>10}{'int8 ms':>10}")
        for timing in result.timings:
            milliseconds = f"{1e3 * timing.ratio.first_seconds:10.2f}{1e3 * timing.ratio.second_seconds:10.2f}"
            lines.append(f"  {timing.against:<28}{timing.batch:>6}{timing.ratio!s:>22}{milliseconds}")
        lines.append(f"  the roofline allows at most {result.ceiling:.2f}× against float32 at batch 64")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Quantize trained CNNs, run them on ONNX Runtime and report.")
    shipped = [name for name in NETWORKS if f"weights/{name}.npz" in data.checksums()]
    parser.add_argument("names", nargs="*", default=shipped, help=f"of {shipped}")
    parser.add_argument("--output", type=Path, default=Path("work/capstone"), help="folder for ONNX files and report")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    ceilings = measure_ceilings()
    results = [evaluate(name, options.output, ceilings) for name in options.names]
    print(table(results, ceilings))
    record = {"machine": machine(), "ceilings": asdict(ceilings), "networks": [asdict(result) for result in results]}
    (options.output / "report.json").write_text(json.dumps(record, indent=2, ensure_ascii=False), encoding="utf-8")
    print(f"\nONNX files and report.json are in {options.output}")


if __name__ == "__main__":
    main()
