"""Integers through BLAS against floating point: matrix product, convolution, requantization, memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import torch
from fewerbits.deploy.timing import paired_ratio
from fewerbits.network.arithmetic import integer_conv2d, integer_matmul
from fewerbits.network.requantize import RULES, requantize
from fewerbits.network.saturating import saturating_matmul

# (channels, outputs, size, groups): layers of the course's networks, in batches of 128 images.
CONVOLUTIONS = [(1, 32, 28, 1), (32, 32, 28, 1), (64, 64, 14, 1), (128, 128, 7, 1), (128, 128, 7, 128)]
IMAGES = 128


def codes(rng: np.random.Generator, *shape: int, dtype: type = np.int8) -> np.ndarray:
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max + 1, shape).astype(dtype)


def run() -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    # As in a run over batches of images: once a process has freed a large array, glibc keeps memory for the next one.
    # Before that, each scratch array is asked of the kernel anew, page by page.
    del_me = np.ones(4_000_000)
    del del_me

    a, b = codes(rng, 512, 512), codes(rng, 512, 512)
    a_float, b_float = a.astype(np.float32), b.astype(np.float32)
    ratio = paired_ratio(lambda: a_float @ b_float, lambda: integer_matmul(a, b))
    print(f"s8×s8 matrix product 512³ / float32 np.matmul | {ratio} | at least 0.85×")
    a, b = a.view(np.uint8), b.view(np.uint8)
    ratio = paired_ratio(lambda: a_float @ b_float, lambda: integer_matmul(a, b, 3, 128))
    print(f"u8×u8 with zero points 512³ / float32 np.matmul | {ratio} | ")
    ratio = paired_ratio(
        lambda: integer_matmul(a, b.view(np.int8)), lambda: saturating_matmul(a, b.view(np.int8)), pairs=5
    )
    print(f"saturating u8×s8 512³ / exact, a quarter of all pairs at risk | {ratio} | ")

    for channels, outputs, size, groups in CONVOLUTIONS:
        x = codes(rng, IMAGES, channels, size, size, dtype=np.uint8)
        w = codes(rng, outputs, channels // groups, 3, 3)
        x_float, w_float = (torch.from_numpy(array.astype(np.float32)) for array in (x, w))

        def in_float(x=x_float, w=w_float, groups=groups) -> object:
            with torch.inference_mode():
                return torch.nn.functional.conv2d(x, w, padding=1, groups=groups)

        ratio = paired_ratio(in_float, lambda x=x, w=w, groups=groups: integer_conv2d(x, w, 7, 0, 1, 1, groups))
        kind = "depthwise " if groups > 1 else ""
        target = "" if groups > 1 else "at least 0.45×"
        print(f"{kind}3×3 {channels}→{outputs}, {size}×{size} / torch float32, one thread | {ratio} | {target}")

    accumulators = rng.integers(-300_000, 300_000, (64, 64, 14, 14)).astype(np.int32)
    multipliers = rng.uniform(1e-4, 1e-3, 64).astype(np.float32)
    real = accumulators.astype(np.float32)
    for rule in RULES:
        ratio = paired_ratio(
            lambda: np.rint(real * 0.001), lambda rule=rule: requantize(accumulators, multipliers, 3, 0, 255, rule)
        )
        print(f"requantize {rule} / multiply and round float32 | {ratio} | ")

    x, w = codes(rng, 250, 32, 28, 28, dtype=np.uint8), codes(rng, 32, 32, 3, 3)
    tracemalloc.start()
    result = integer_conv2d(x, w, 7, 0, 1, 1)
    extra = (tracemalloc.get_traced_memory()[1] - result.nbytes) / 2**20
    tracemalloc.stop()
    print(
        f"memory of a convolution of 250 images besides its {result.nbytes / 2**20:.0f} MiB result | {extra:.1f} MiB | "
    )
