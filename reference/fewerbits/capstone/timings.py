"""What is timed against what: pairs of engines on the same images, at one thread and at two."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from fewerbits import data
from fewerbits.deploy import engines, export, optional_engines
from fewerbits.deploy.engines import Engine
from fewerbits.deploy.timing import Ratio, paired_ratio
from fewerbits.network.folding import FoldedNetwork
from fewerbits.network.model import build_model
from fewerbits.network.quantized import QuantizedNetwork

BATCHES = (1, 64)
THREADS = (1, 2)
INT8 = "ONNX Runtime int8"
FLOAT = "ONNX Runtime float32"
EAGER = "torch eager float32"


@dataclass(frozen=True)
class Timing:
    """How many times faster `candidate` is than `baseline`, at a batch size and a number of threads, in pairs.

    `agreement` is the share of images to which both give the same class, None where it was not counted.
    """

    candidate: str
    baseline: str
    batch: int
    threads: int
    ratio: Ratio
    agreement: float | None


def time_network(network: FoldedNetwork, quantized: QuantizedNetwork, images: NDArray[np.float32]) -> list[Timing]:
    """Time every pair of engines on the first of `images` (N, 1, 28, 28), float32, N a multiple of 64.

    On all N their answers are compared. PyTorch's number of threads is set on the way and put back.
    """
    threads_before = torch.get_num_threads()
    try:
        cases = tqdm(list(itertools.product(BATCHES, THREADS)), desc=f"{network.name} timing pairs", leave=False)
        return [timing for batch, threads in cases for timing in _time(network, quantized, images, batch, threads)]
    finally:
        torch.set_num_threads(threads_before)


def _time(
    network: FoldedNetwork, quantized: QuantizedNetwork, images: NDArray[np.float32], batch: int, threads: int
) -> Iterator[Timing]:
    torch.set_num_threads(threads)
    x = images[:batch]
    for baseline, candidate in _pairs(network, quantized, images, batch, threads):
        ratio = paired_ratio(lambda: baseline(x), lambda: candidate(x))  # noqa: B023 (called at once)
        agreement = _agreement(baseline, candidate, images, batch) if (batch, threads) == (64, 1) else None
        yield Timing(candidate.name, baseline.name, batch, threads, ratio, agreement)


def _agreement(first: Engine, second: Engine, images: NDArray[np.float32], batch: int) -> float:
    """Share of images to which both engines give the same class, in batches of one size: some compile for it."""
    same = [first(part).argmax(1) == second(part).argmax(1) for part in np.split(images, len(images) // batch)]
    return float(np.mean(same))


def _pairs(
    network: FoldedNetwork, quantized: QuantizedNetwork, images: NDArray[np.float32], batch: int, threads: int
) -> Iterator[tuple[Engine, Engine]]:
    """Baseline and candidate: int8 against its own float and against torch, then what else is installed."""
    float_model, int8_model = export.float_model(network), export.qdq_model(quantized)
    model = build_model(network.name, data.load_weights(network.name))
    int8 = engines.OnnxRuntime(int8_model, INT8, threads)
    yield engines.OnnxRuntime(float_model, FLOAT, threads), int8
    yield engines.Torch(model, EAGER), int8
    if threads != 1:
        return
    yield engines.Torch(engines.folded_torch(model), "torch folded channels_last", channels_last=True), int8
    absent = optional_engines.missing()
    if "openvino" not in absent:
        yield (
            optional_engines.OpenVino(float_model, "OpenVINO float32"),
            optional_engines.OpenVino(int8_model, "OpenVINO int8"),
        )
    if "torchao" not in absent and batch > 1:
        yield optional_engines.torchao_engines(model, images, batch)
