"""Observers: throughput beside the two passes of min and max, and memory over a thousand batches."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
from fewerbits.deploy.timing import paired_ratio
from fewerbits.tensor.calibration import MSE, Analytic, Entropy, MinMax, MovingAverage, Percentile
from fewerbits.tensor.observer import Observer

KINDS: list[Callable[[], Observer]] = [MinMax, MovingAverage, Percentile, MSE, Entropy, Analytic]
SIZE = 10_000_000
BATCH, BATCHES = 10_000, 1000


def run() -> None:
    x = np.random.default_rng(0).standard_normal(SIZE).astype(np.float32)
    for kind in KINDS:
        seen = kind().observe(x[:1000])
        ratio = paired_ratio(lambda seen=seen: seen.observe(x), lambda: (np.min(x), np.max(x)), pairs=9)
        print(f"{kind.__name__}.observe, 1e7 float32: time over np.min and np.max | {ratio} | none")
    ratio = paired_ratio(lambda: np.histogram(x, 4096), lambda: Percentile().observe(x), pairs=5)
    print(f"Percentile.observe, 1e7 float32: np.histogram's time over ours | {ratio} | none")
    for size in (10**4, 10**5, 10**6, 10**7):
        ratio = paired_ratio(lambda size=size: MSE().observe(x[:size]), lambda size=size: x[:size].min(), pairs=5)
        print(f"MSE.observe, {size:.0e} float32: nanoseconds per value | {ratio.first_seconds / size * 1e9:.1f} | none")
    for kind in KINDS:
        print(f"{kind.__name__}: bytes held after 10 and {BATCHES} batches of {BATCH} | {bytes_held(kind)} | no growth")
    for kind in KINDS:
        seen = kind().observe(x)
        started = time.perf_counter()
        seen.fit(8, symmetric=False)
        print(f"{kind.__name__}.fit, affine 8 bits: milliseconds | {(time.perf_counter() - started) * 1e3:.1f} | none")


def bytes_held(kind: Callable[[], Observer]) -> str:
    """What an observer keeps after a few and after many batches, and the most that was in use beside the batch."""
    rng = np.random.default_rng(1)
    batch, spread = rng.standard_normal(BATCH).astype(np.float32), 10.0 ** rng.uniform(-3, 3, BATCHES)
    observer, early = kind(), 0
    tracemalloc.start()
    for index in range(BATCHES):
        observer = observer.observe(batch * np.float32(spread[index]))
        if index in (9, BATCHES - 1):
            gc.collect()
        if index == 9:
            early = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return f"{early:,} and {held:,} (peak {peak:,})"
