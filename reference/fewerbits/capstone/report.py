"""The capstone's results as one table, one JSON record and one figure."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from fewerbits.capstone.evaluate import Result
from fewerbits.capstone.timings import EAGER, FLOAT, INT8, THREADS
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
    """Machine, ceilings and results as plain values for JSON."""
    return {
        "machine": machine(),
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
    yield f"{result.name}: how many times faster (median and quartiles of 21 pairs)"
    yield f"  {'':<24}{'against':<28}{'batch':>5}{'threads':>8}{'ratio':>22}{'ms':>9}{'ms before':>11}"
    for timing in result.timings:
        ratio = timing.ratio
        yield (
            f"  {timing.candidate:<24}{timing.baseline:<28}{timing.batch:>5}{timing.threads:>8}{ratio!s:>22}"
            f"{1e3 * ratio.second_seconds:9.2f}{1e3 * ratio.first_seconds:11.2f}"
        )
    yield f"  the roofline allows at most {result.ceiling:.2f}× against float32 at batch 64, one thread"


def figure(results: Sequence[Result]) -> Figure:
    """Accuracy, file size and speed of every network, side by side."""
    ratios = {}
    for result in results:
        found = {(timing.candidate, timing.baseline, timing.batch, timing.threads): timing for timing in result.timings}
        ratios[result.name] = {
            "ONNX Runtime float32": found[INT8, FLOAT, 64, THREADS[0]].ratio,
            "torch eager": found[INT8, EAGER, 64, THREADS[0]].ratio,
        }
    return network_plots.capstone(
        {result.name: result.accuracies for result in results},
        {result.name: result.file_bytes for result in results},
        ratios,
        {result.name: result.ceiling for result in results},
    )
