"""Error measures against PyTorch's, in float64."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from fewerbits.tensor import metrics
from numpy.typing import NDArray

from tests.oracles.registry import Pairs, compare

ORDER = "float64 sums in another order"


def signals() -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """(x, x̂) of many magnitudes and error levels: Gaussian, one outlier, constant, almost equal."""
    rng = np.random.default_rng(0)
    for index in range(400):
        x = rng.standard_normal(60) * 10 ** rng.uniform(-30, 30)
        if index % 4 == 1:
            x[0] *= 1e6
        if index % 4 == 2:
            x[:] = x[0]
        yield x, x + np.abs(x).max() * 10 ** rng.uniform(-9, 1) * rng.standard_normal(60)


@compare("metrics.mse", "torch mse_loss", tolerance=1e-12, reason=ORDER, requires=("torch",))
def mse() -> Pairs:
    import torch

    for x, x_hat in signals():
        theirs = torch.nn.functional.mse_loss(torch.from_numpy(x_hat), torch.from_numpy(x))
        yield metrics.mse(x, x_hat) / float(theirs), 1.0


@compare("metrics.sqnr", "torch compute_sqnr", tolerance=1e-4, reason="theirs is in float32", requires=("torch",))
def sqnr() -> Pairs:
    import torch
    from torch.ao.ns.fx.utils import compute_sqnr

    for x, x_hat in signals():
        unit = np.abs(x).max()
        x, x_hat = (x / unit).astype(np.float32), (x_hat / unit).astype(np.float32)
        yield metrics.sqnr(x, x_hat), float(compute_sqnr(torch.from_numpy(x), torch.from_numpy(x_hat)))


@compare("metrics.cosine", "torch cosine_similarity", tolerance=1e-12, reason=ORDER, requires=("torch",))
def cosine() -> Pairs:
    import torch

    for x, x_hat in signals():
        scaled = torch.from_numpy(x / np.abs(x).max()), torch.from_numpy(x_hat / np.abs(x_hat).max())
        yield metrics.cosine(x, x_hat), float(torch.nn.functional.cosine_similarity(*scaled, dim=0, eps=0))


@compare("metrics.max_error", "torch dist", requires=("torch",))
def max_error() -> Pairs:
    import torch

    for x, x_hat in signals():
        yield metrics.max_error(x, x_hat), float(torch.dist(torch.from_numpy(x), torch.from_numpy(x_hat), p=torch.inf))


@compare("metrics.entropy", "torch Categorical", tolerance=1e-12, reason=ORDER, requires=("torch",))
def entropies() -> Pairs:
    import torch

    rng = np.random.default_rng(1)
    for levels in range(1, 300):
        counts = rng.integers(1, 50, levels)
        codes = np.repeat(rng.permutation(levels) - levels // 2, counts)
        theirs = torch.distributions.Categorical(torch.from_numpy(counts / counts.sum())).entropy() / np.log(2)
        yield metrics.entropy(codes), float(theirs)
