"""k-means on a line against the textbook loop; the nearest level against PyTorch's and NumPy's binary searches."""

from __future__ import annotations

import numpy as np
import torch
from fewerbits.deploy.timing import paired_ratio
from fewerbits.tensor.codebook import nearest
from fewerbits.tensor.k_means import k_means, lloyd
from fewerbits.tensor.quantiles import NF4
from numpy.typing import NDArray

torch.set_num_threads(1)


def textbook_lloyd(x: NDArray[np.float32], levels: NDArray[np.float64], iterations: int) -> NDArray[np.float64]:
    """Distances of all values to all levels, the nearest, the mean of each: until nothing moves, or `iterations`."""
    for _ in range(iterations):
        labels = np.abs(x[:, None] - levels).argmin(axis=1)
        means = np.array([x[labels == index].mean() for index in range(levels.size)])
        if np.array_equal(means, levels):
            break
        levels = means
    return levels


def run() -> None:
    x = np.random.default_rng(0).standard_normal(100_000).astype(np.float32)
    start = np.quantile(x.astype(np.float64), (np.arange(16) + 0.5) / 16)
    ratio = paired_ratio(lambda: textbook_lloyd(x, start, 12), lambda: lloyd(x, start, 12), pairs=11)
    print(f"k-means, 1e5 values, 16 levels, 12 iterations: cumulative sums against the naive loop | {ratio} | ≥ 10")
    ratio = paired_ratio(lambda: textbook_lloyd(x, start, 1000), lambda: k_means(x, 16), pairs=3)
    print(f"the exact optimum against the naive loop until nothing moves (200 iterations) | {ratio} | reported only")

    values = np.random.default_rng(0).standard_normal(10**6).astype(np.float32)
    midpoints = (NF4[1:] + NF4[:-1]) / 2
    tensor, boundaries = torch.from_numpy(values), torch.from_numpy(midpoints)
    ratio = paired_ratio(lambda: torch.bucketize(tensor, boundaries), lambda: nearest(values, NF4))
    print(f"nearest of 16 levels, 1e6 float32: comparisons counted against torch.bucketize | {ratio} | reported only")
    ratio = paired_ratio(lambda: np.searchsorted(midpoints, values), lambda: nearest(values, NF4))
    print(f"nearest of 16 levels, 1e6 float32: comparisons counted against np.searchsorted | {ratio} | reported only")
