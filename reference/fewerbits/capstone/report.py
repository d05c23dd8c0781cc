"""The capstone's results as one table, one JSON record and one figure."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import fewerbits
from fewerbits.capstone.evaluate import CALIBRATION_IMAGES, COMPARED_IMAGES, TIMED_IMAGES, Result, weight_bits
from fewerbits.capstone.timings import EAGER, FLOAT, INT8, THREADS, Timing
from fewerbits.deploy import engines, optional_engines
from fewerbits.deploy.roofline import Ceilings
from fewerbits.teach import network_plots
from fewerbits.teach.environment import describe_cpu
from fewerbits.teach.plots import Figure

PACKAGES = ("numpy", "torch", "onnx", "onnxruntime", "openvino", "torchao")


def machine() -> dict[str, str]:
    """The CPU, its relevant instructions and the versions that decide the results."""
    saturates = engines.engine_saturates()
    installed = [name for name in PACKAGES if importlib.util.find_spec(name)]
    return {
        "cpu": str(describe_cpu()),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in installed},
        "u8×s8": "saturates at 16 bits here: 7-bit weights" if saturates else "exact here: 8-bit weights",
    }


def record(results: Sequence[Result], ceilings: Ceilings) -> dict[str, Any]:
    """Machine, method, ceilings and results as plain values for JSON; times in seconds, rates per second."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "fewerbits": fewerbits.__version__,
        "machine": machine(),
        "method": {
            "calibration": f"min-max over the first {CALIBRATION_IMAGES} training images",
            "weight bits": weight_bits(),
            "test images": 10_000,
            "images whose integers are compared": COMPARED_IMAGES,
            "images on which engines are compared": TIMED_IMAGES,
            "ratio": "time of the baseline over time of the candidate (first and second), in 21 interleaved pairs",
            "ceilings": "one thread, products of 512³, the best of many",
        },
        "ceilings": asdict(ceilings),
        "networks": [asdict(result) for result in results],
        "not installed": optional_engines.missing(),
    }


def table(results: Sequence[Result], ceilings: Ceilings) -> str:
    """The results as text, one block for each network."""
    lines = [f"{key:<12}{value}" for key, value in machine().items()] + [f"{'ceilings':<12}{ceilings}"]
    for result in results:
        lines += ["", *_accuracy_lines(result), *_byte_lines(result), *_time_lines(result)]
    return "\n".join([*lines, *(f"\n{reason}" for reason in optional_engines.missing().values())])


def _accuracy_lines(result: Result) -> Iterator[str]:
    yield f"{result.name}: accuracy on 10,000 test images, with 95 % intervals"
    for kind, value in result.accuracies.items():
        yield f"  {kind:<16}{value}"
    yield f"  float32 against int8 executed: {result.float_against_int8}"
    yield (
        f"  integers of every layer against the engine's: {result.integers_compared:,} compared, "
        f"{result.integers_different:,} differ"
    )


def _byte_lines(result: Result) -> Iterator[str]:
    yield f"{result.name}: bytes of the ONNX file, and gzipped"
    for kind, size in result.file_bytes.items():
        part = size / result.file_bytes["float32"]
        yield f"  {kind:<16}{size:>10,}  {part:.3f} of float32  {result.compressed_bytes[kind]:>10,} gzipped"


def _time_lines(result: Result) -> Iterator[str]:
    yield f"{result.name}: how many times faster (median and quartiles of 21 pairs), and how many answers are the same"
    yield (
        f"  {'candidate':<24}{'baseline':<28}{'batch':>5}{'threads':>8}{'ratio':>22}{'time':>10}{'baseline':>10}"
        f"{'answers':>9}"
    )
    for timing in result.timings:
        ratio = timing.ratio
        same = "" if timing.agreement is None else f"{timing.agreement:.1%}"
        yield (
            f"  {timing.candidate:<24}{timing.baseline:<28}{timing.batch:>5}{timing.threads:>8}{ratio!s:>22}"
            f"{_duration(ratio.second_seconds):>10}{_duration(ratio.first_seconds):>10}{same:>9}"
        )
    for batch, predicted in result.predicted.items():
        own = timing_of(result, FLOAT, batch).ratio
        roof = own.first_seconds / (batch * result.least_seconds[batch])
        yield (
            f"  int8 against its own float32, batch {batch}, one thread: predicted by the roofline {predicted:.2f}×, "
            f"measured {own.median:.2f}×, int8's own roof {roof:.2f}×"
        )


def _duration(seconds: float) -> str:
    return f"{1e3 * seconds:.2f} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.0f} µs"


def timing_of(result: Result, baseline: str, batch: int) -> Timing:
    """int8 on ONNX Runtime against a baseline, one thread."""
    wanted = (INT8, baseline, batch, THREADS[0])
    return next(each for each in result.timings if (each.candidate, each.baseline, each.batch, each.threads) == wanted)


def figure(results: Sequence[Result]) -> Figure:
    """Accuracy, file size and speed of every network, side by side."""
    ratios = {
        result.name: {
            "its own float32, batch 64": timing_of(result, FLOAT, 64).ratio,
            "its own float32, batch 1": timing_of(result, FLOAT, 1).ratio,
            "torch eager, batch 64": timing_of(result, EAGER, 64).ratio,
        }
        for result in results
    }
    return network_plots.capstone(
        {result.name: result.accuracies for result in results},
        {result.name: result.file_bytes for result in results},
        ratios,
        {result.name: result.predicted[64] for result in results},
    )
