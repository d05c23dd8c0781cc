"""Allocations against HiGHS, divergences and squared gradients against PyTorch, the bootstrap against scipy."""

from __future__ import annotations

import numpy as np
from fewerbits import data
from fewerbits.deploy.evaluation import bootstrap_difference
from fewerbits.network import allocation, mixed
from fewerbits.network.folding import fold

from tests.oracles.registry import Pairs, compare


@compare(
    "allocation.exact cost",
    "HiGHS by scipy milp",
    tolerance=1e-6,
    slow=True,
    reason="HiGHS works in floats to a tolerance",
)
def exact() -> Pairs:
    rng = np.random.default_rng(0)
    for case in range(150):
        names = [f"layer{i}" for i in range(rng.integers(1, 9))]
        choices = [2, 3, 4, 5, 6, 8][: rng.integers(1, 7)]
        weights = rng.integers(1, 10 ** rng.integers(1, 7), len(names))
        sizes = {name: {b: int(-(-n * b // 8)) for b in choices} for name, n in zip(names, weights)}
        # Costs over many magnitudes that fall with each bit, at random, tied, and rising.
        kinds = (
            lambda b: 16.0**-b * 10 ** rng.uniform(-2, 2),
            lambda b: rng.uniform(),
            lambda b: 1.0,
            lambda b: float(b),
        )
        costs = {name: {b: kinds[case % 4](b) for b in choices} for name in names}
        smallest = sum(min(row.values()) for row in sizes.values())
        largest = sum(max(row.values()) for row in sizes.values())
        for budget in {smallest, (smallest + largest) // 2, largest}:
            ours = allocation.total(costs, allocation.exact(costs, sizes, budget))
            theirs = allocation.total(costs, allocation.by_integer_program(costs, sizes, budget))
            yield ours / theirs, 1.0


@compare(
    "mixed.divergence", "torch kl_div", tolerance=1e-9, reason="another order of float64 sums", requires=("torch",)
)
def divergence() -> Pairs:
    import torch

    rng = np.random.default_rng(1)
    for scale in (1e-3, 1, 30, 300):
        first, second = rng.normal(0, scale, (2, 5000, 10))
        p, q = (torch.log_softmax(torch.from_numpy(x), 1) for x in (first, second))
        theirs = torch.nn.functional.kl_div(q, p, reduction="none", log_target=True).sum(1)
        yield mixed.divergence(first, second), theirs.numpy()


@compare(
    "mixed.fisher_diagonal",
    "torch.func vmap(grad)",
    tolerance=1e-4,
    reason="float32 sums in another order",
    requires=("torch",),
    slow=True,
)
def fisher() -> Pairs:
    import torch
    from torch.func import functional_call, grad, vmap

    folded = fold("tiny", data.load_weights("tiny"))
    images = data.to_float(data.load_fashion_mnist("test").images[:40])
    labels = np.arange(40) % 10
    convolutions = {
        name: torch.nn.Conv2d(*w.shape[1::-1], 3, padding=1) for name, w in folded.weights.items() if w.ndim == 4
    }
    network = torch.nn.Sequential()
    for index, (name, module) in enumerate(convolutions.items()):
        network.add_module(name, module)
        network.add_module(f"relu{index}", torch.nn.ReLU())
        if index < 2:
            network.add_module(f"pool{index}", torch.nn.MaxPool2d(2))
    network.add_module("mean", torch.nn.AdaptiveAvgPool2d(1))
    network.add_module("flat", torch.nn.Flatten())
    network.add_module("logits", torch.nn.Linear(64, 10))
    parameters = {
        f"{name}.{part}": torch.from_numpy(values)
        for part, arrays in (("weight", folded.weights), ("bias", folded.biases))
        for name, values in arrays.items()
    }

    def loss(parameters, image, label):
        return torch.nn.functional.cross_entropy(functional_call(network, parameters, (image[None],)), label[None])

    gradients = vmap(grad(loss), (None, 0, 0))(parameters, torch.from_numpy(images), torch.from_numpy(labels))
    ours = mixed.fisher_diagonal(folded, images, labels)
    for name in folded.weights:
        theirs = gradients[f"{name}.weight"].square().mean(0).numpy()
        largest = theirs.max()
        yield ours[name] / largest, theirs / largest


@compare(
    "evaluation.bootstrap_difference interval",
    "scipy bootstrap",
    tolerance=4e-3,
    reason="both draw at random: shares of 400 images, 20,000 resamples",
    slow=True,
)
def bootstrap() -> Pairs:
    from scipy.stats import bootstrap as resampled

    rng = np.random.default_rng(2)
    labels = np.zeros(400, int)
    for share in (0.0, 0.02, 0.1, 0.4):
        first, second = (rng.uniform(size=400) < share), (rng.uniform(size=400) < share + 0.05)
        ours = bootstrap_difference(first.astype(int), second.astype(int), labels, resamples=20_000)
        per_image = (~first).astype(int) - (~second).astype(int)
        theirs = resampled((per_image,), np.mean, n_resamples=20_000, method="percentile", rng=rng).confidence_interval
        yield [ours.value, ours.low, ours.high], [per_image.mean(), theirs.low, theirs.high]
