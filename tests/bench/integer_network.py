"""The whole CNN in integers over all test images: seconds, and that memory is bounded by a few batches."""

from __future__ import annotations

import os
import time
import tracemalloc

import numpy as np
from fewerbits import data
from fewerbits.network import integer_network
from fewerbits.network.batches import over_batches
from fewerbits.network.folding import fold
from fewerbits.network.quantized import calibrate, quantize_network

FEW, ALL = 500, 10_000


def run() -> None:
    network = fold("vgg32", data.load_weights("vgg32"))
    train, test = data.load_fashion_mnist("train"), data.load_fashion_mnist("test")
    quantized = quantize_network(network, calibrate(network, data.to_float(train.images[:500])))
    images = data.to_float(test.images)

    def classify(batch: np.ndarray) -> np.ndarray:
        return integer_network.run(quantized, batch)["logits"].argmax(axis=1)

    started = time.perf_counter()
    predicted = np.concatenate(list(over_batches(classify, images, title="integers")))
    seconds = time.perf_counter() - started
    share = (predicted == test.labels).mean()
    print(f"vgg32 in integers, {ALL:,} images | {seconds:.1f} s on {os.cpu_count()} cores | target below 60 s")
    print(f"accuracy in integers | {share:.2%} |")
    for count in (FEW, 4 * FEW):
        tracemalloc.start()
        for _ in over_batches(classify, images[:count]):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(f"peak extra memory, {count:,} images | {peak / 2**20:.0f} MiB | bounded by the batches in flight")
