"""Everything that the capstone finds out about one network: accuracies, integers, bytes, times."""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fewerbits import data
from fewerbits.capstone.timings import BATCHES, Timing, time_network
from fewerbits.deploy import engines, export
from fewerbits.deploy.evaluation import Accuracy, Comparison, accuracy, mcnemar
from fewerbits.deploy.roofline import Ceilings, least_seconds
from fewerbits.network import integer_network
from fewerbits.network.batches import over_batches
from fewerbits.network.folding import FoldedNetwork, fold
from fewerbits.network.quantized import QuantizedNetwork, calibrate, quantize_network

CALIBRATION_IMAGES = 1000
COMPARED_IMAGES = 1000
TIMED_IMAGES = 960


@dataclass(frozen=True)
class Result:
    """What the capstone finds out about one network.

    `predicted` is the roofline's gain of int8 by batch size, one thread: the least seconds that float32 needs over
    those that int8 needs. `least_seconds` are the latter, for one image: the measured time of float32 over them is
    the gain at int8's own roof.
    """

    name: str
    accuracies: dict[str, Accuracy]
    float_against_int8: Comparison
    integers_compared: int
    integers_different: int
    file_bytes: dict[str, int]
    compressed_bytes: dict[str, int]
    predicted: dict[int, float]
    least_seconds: dict[int, float]
    timings: list[Timing]


def weight_bits() -> int:
    """8, or 7 where this CPU's u8×s8 products would saturate at 16 bits."""
    return 7 if engines.engine_saturates() else 8


def prepare(name: str) -> tuple[FoldedNetwork, QuantizedNetwork]:
    """The folded network and its quantized form, calibrated on the first 1,000 training images."""
    network = fold(name, data.load_weights(name))
    observers = calibrate(network, data.to_float(data.load_fashion_mnist("train").images[:CALIBRATION_IMAGES]))
    return network, quantize_network(network, observers, weight_bits=weight_bits())


def evaluate(name: str, folder: Path, ceilings: Ceilings) -> Result:
    """Run everything for one network; its ONNX files go to `folder`."""
    network, quantized = prepare(name)
    test = data.load_fashion_mnist("test")
    images = data.to_float(test.images)
    models = {
        "float32": export.float_model(network),
        "int8": export.qdq_model(quantized),
        "int8_qoperator": export.qoperator_model(quantized),
    }
    paths = {kind: folder / f"{name}_{kind}.onnx" for kind in models}
    file_bytes = {kind: export.save(models[kind], path) for kind, path in paths.items()}

    predictions = _predictions(network, quantized, images)
    compared, different = _compare_integers(quantized, images[:COMPARED_IMAGES])
    least = {
        kind: {batch: least_seconds(network.layers, ceilings, kind, batch) for batch in BATCHES}
        for kind in ("float32", "int8")
    }
    return Result(
        name,
        {kind: accuracy(predicted, test.labels) for kind, predicted in predictions.items()},
        mcnemar(predictions["float32"], predictions["int8 executed"], test.labels),
        compared,
        different,
        file_bytes,
        {kind: len(gzip.compress(path.read_bytes())) for kind, path in paths.items()},
        {batch: least["float32"][batch] / least["int8"][batch] for batch in BATCHES},
        least["int8"],
        time_network(network, quantized, images[:TIMED_IMAGES]),
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
