"""Codebooks against PyTorch's searches and ml_dtypes' casts; k-means and Lloyd–Max against kmeans1d."""

from __future__ import annotations

from typing import Any

import numpy as np
from fewerbits.tensor.codebook import Codebook, nearest
from fewerbits.tensor.k_means import k_means
from fewerbits.tensor.lloyd_max import GAUSS, LAPLACE, UNIFORM, lloyd_max
from fewerbits.tensor.quantiles import NF4, normal_float_levels, quantile_levels
from numpy.typing import NDArray

from tests.oracles.registry import Pairs, compare


def codebooks() -> list[NDArray[np.float32]]:
    """Levels of very different kinds; all midpoints are exact in float64."""
    rng = np.random.default_rng(0)
    return [
        NF4,
        np.float32([-6, -4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4, 6]),
        np.float32([0.25]),
        np.ldexp(np.float32(1), np.arange(-20, 7)),
        np.unique(rng.standard_normal(256).astype(np.float32)),
        np.unique(rng.standard_normal(1000).astype(np.float32)),
        np.arange(-8, 8, dtype=np.float32) * np.float32(1e-39),
    ]


def hard_values(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """The levels, their midpoints, the float32 neighbours of both, both zeros, extremes and random values."""
    centres = np.concatenate((levels, ((levels[1:].astype(np.float64) + levels[:-1]) / 2).astype(np.float32)))
    rng = np.random.default_rng(levels.size)
    random = rng.normal(float(levels.mean()), float(np.ptp(levels)) + 1e-38, 10_000).astype(np.float32)
    extremes = np.float32([0.0, -0.0, 3.4e38, -3.4e38, 1e-45, -1e-45])
    neighbours = [np.nextafter(centres, np.float32(end)) for end in (-np.inf, np.inf)]
    return np.concatenate((centres, *neighbours, random, extremes))


@compare("codebook.nearest ties lower and upper", "torch", "bucketize at the midpoints in float64")
def torch_bucketize() -> Pairs:
    import torch

    for levels in codebooks():
        x = hard_values(levels)
        exact = torch.from_numpy(levels.astype(np.float64))
        midpoints = (exact[1:] + exact[:-1]) / 2
        for ties, right in (("lower", False), ("upper", True)):
            yield (
                nearest(x, levels, ties),
                torch.bucketize(torch.from_numpy(x).double(), midpoints, right=right).numpy(),
            )


@compare(
    "codebook.nearest ties even", "ml_dtypes", "casts to float4, float6, float8: half to even", requires=("ml_dtypes",)
)
def ml_dtypes_casts() -> Pairs:
    import ml_dtypes

    # The positive codes 0, 1, 2, ... of a small float are its levels in order: even code, even index.
    for name, count in (("float4_e2m1fn", 8), ("float6_e2m3fn", 32), ("float6_e3m2fn", 32), ("float8_e4m3fn", 127)):
        kind = getattr(ml_dtypes, name)
        levels = np.arange(count, dtype=np.uint8).view(kind).astype(np.float32)
        x = hard_values(levels)
        x = x[(x >= 0) & (x <= levels[-1])]
        yield levels[nearest(x, levels, "even")], np.abs(x.astype(kind).astype(np.float32))


def blocks() -> list[NDArray[np.float32]]:
    """Weights in rows of 64: of all sizes, with values on the pivots, constant, and without any value but zero."""
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((300, 64)).astype(np.float32) * np.logspace(-6, 6, 300, dtype=np.float32)[:, None]
    middle = (NF4[1:] + NF4[:-1]) / 2
    pivots = np.concatenate(
        (middle, np.nextafter(middle, np.float32(1)), np.nextafter(middle, np.float32(-1)), NF4, [1, 1, 1])
    )
    constant = np.full((2, 64), -0.3, np.float32)
    return [weights, pivots.astype(np.float32)[None], constant, np.zeros((2, 64), np.float32)]


@compare("codebook.nf4 quantize", "torch", "x·(1/absmax) of each 64, first least distance, as bitsandbytes' CPU code")
def torch_nf4() -> Pairs:
    import torch

    for x in blocks():
        tensor = torch.from_numpy(x)
        absmax = tensor.abs().amax(dim=1, keepdim=True)
        scaled = tensor * (1 / torch.where(absmax == 0, 1, absmax))
        distances = (scaled.double().unsqueeze(-1) - torch.from_numpy(NF4).double()).abs()
        yield Codebook.nf4(x).quantize(x), distances.argmin(dim=-1).numpy()


@compare("codebook.nf4 dequantize", "torch", "level·absmax in float32")
def torch_nf4_values() -> Pairs:
    import torch

    for x in blocks():
        codes = np.random.default_rng(0).integers(0, 16, x.shape)
        absmax = torch.from_numpy(x).abs().amax(dim=1, keepdim=True)
        values = torch.from_numpy(NF4)[torch.from_numpy(codes)] * torch.where(absmax == 0, 1, absmax)
        yield Codebook.nf4(x).dequantize(codes), values.numpy()


@compare("codebook.quantize by division per channel", "torch", "x/absmax, bucketize at the midpoints in float64")
def torch_channels() -> Pairs:
    import torch

    rng = np.random.default_rng(0)
    midpoints = (torch.from_numpy(NF4).double()[1:] + torch.from_numpy(NF4).double()[:-1]) / 2
    for shape, axis in (((40, 500), 0), ((30, 20, 30), 1), ((7, 3000), -2), ((500, 40), -1)):
        x = rng.standard_t(3, shape).astype(np.float32)
        others = [other for other in range(x.ndim) if other != axis % x.ndim]
        scaled = torch.from_numpy(x) / torch.from_numpy(x).abs().amax(dim=others, keepdim=True)
        yield Codebook.fit(x, levels=NF4, axis=axis).quantize(x), torch.bucketize(scaled.double(), midpoints).numpy()


@compare(
    "normal_float_levels", "torch", "normal quantiles (ndtri) in float64", tolerance=1e-7, reason="float32 rounding"
)
def torch_normal_float() -> Pairs:
    import torch

    for bits in range(2, 9):
        half = 2 ** (bits - 1)
        farthest = 1 - (1 / (4 * half) + 1 / (4 * half - 2)) / 2
        above = torch.special.ndtri(torch.linspace(farthest, 0.5, half + 1, dtype=torch.float64)[:-1])
        below = -torch.special.ndtri(torch.linspace(farthest, 0.5, half, dtype=torch.float64)[:-1])
        levels = torch.cat((below, torch.zeros(1, dtype=torch.float64), above)).sort().values
        yield normal_float_levels(bits), (levels / levels.max()).float().numpy()


@compare("quantile_levels", "torch", "torch.quantile in float64", tolerance=1e-6, reason="float32 rounding")
def torch_quantiles() -> Pairs:
    import torch

    rng = np.random.default_rng(0)
    for bits in (1, 2, 4, 8):
        for size in (300, 1000, 9999):
            x = rng.laplace(size=size)
            at = (torch.arange(2**bits, dtype=torch.float64) + 0.5) / 2**bits
            yield quantile_levels(x, bits), torch.quantile(torch.from_numpy(x), at).float().numpy()


def samples() -> list[NDArray[np.float64]]:
    """Values of many kinds and sizes to cluster: heavy tails, ties, clumps, shifts, one outlier, sorted grids."""
    rng = np.random.default_rng(0)
    drawn: list[Any] = []
    for size in (2, 3, 5, 17, 40, 130, 600):
        drawn += [
            rng.standard_normal(size),
            rng.standard_t(1.5, size),
            rng.integers(-5, 6, size),
            rng.normal(rng.choice([-9, 0, 1, 40], size), 0.1),
            rng.laplace(size=size).astype(np.float16),
            1e4 + rng.random(size),
            np.r_[1e6, rng.random(size - 1)],
            np.r_[-1e6, 1e3 + rng.random(size - 1)],
            np.arange(size),
            np.sign(rng.standard_normal(size)) * 2.0 ** rng.integers(-30, 30, size),
        ]
    return [np.asarray(x, np.float64) for x in drawn]


def kmeans1d_cost(x: NDArray[np.float64], count: int) -> float:
    """Sum of squared distances of kmeans1d's optimum, summed up here, since it returns no cost."""
    import kmeans1d

    labels, _ = kmeans1d.cluster(x.tolist(), count)
    groups = [x[np.array(labels) == label] for label in set(labels)]
    return sum(float(((group - group.mean()) ** 2).sum()) for group in groups)


@compare(
    "k_means", "kmeans1d", "cost of the optimum, relative to theirs", tolerance=1e-9, reason="float sums",
    requires=("kmeans1d",), slow=True
)  # fmt: skip
def optimal_cost() -> Pairs:
    for x in samples():
        for count in (1, 2, 3, 5, 8, 16):
            if count <= x.size:
                theirs = kmeans1d_cost(x, count)
                yield k_means(x, count).cost / (theirs or 1.0), float(theirs > 0)


@compare(
    "k_means 20,000 values", "kmeans1d", "cost of the optimum, relative to theirs", tolerance=1e-9, reason="float sums",
    requires=("kmeans1d",), slow=True
)  # fmt: skip
def optimal_cost_of_many() -> Pairs:
    x = np.random.default_rng(0).laplace(size=20_000)
    for count in (4, 16):
        theirs = kmeans1d_cost(x, count)
        yield k_means(x, count).cost / theirs, 1.0


@compare(
    "lloyd_max", "kmeans1d", "levels of the optimum for 4,000 equally likely values", tolerance=5e-3,
    reason="the values stand for a density", requires=("kmeans1d",),
)  # fmt: skip
def levels_of_a_sample() -> Pairs:
    import kmeans1d
    import torch

    p = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    laplace = torch.distributions.Laplace(torch.zeros(1).double(), torch.ones(1).double() / 2**0.5)
    quantiles = {
        GAUSS: torch.special.ndtri(p),
        LAPLACE: laplace.icdf(p),
        UNIFORM: (2 * p - 1) * 3**0.5,
    }
    for density, values in quantiles.items():
        for count in (2, 3, 4, 6):
            yield lloyd_max(density, count).levels, np.array(kmeans1d.cluster(values.tolist(), count)[1])
