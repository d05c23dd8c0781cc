"""Different bits for different layers: what a layer loses with few bits, measured or predicted, and what it costs.

A table has one row per layer with weights and one entry per number of bits, `table[name][bits]`. Three tables say
how sensitive a layer is, each in another unit: `measured_sensitivity`, `fisher_sensitivity` and `noise_sensitivity`;
`weight_bytes` says what it costs. `allocation` chooses the bits from one of the former and the latter.
Only weights are quantized here; activations stay float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from fewerbits.network.architecture import INPUT, NUM_CLASSES
from fewerbits.network.batches import over_batches
from fewerbits.network.folding import FoldedNetwork
from fewerbits.network.model import torch_layer
from fewerbits.network.quantized import Bits, bits_by_name
from fewerbits.tensor import validation as valid
from fewerbits.tensor.calibration import MinMax
from fewerbits.tensor.observer import Observer
from fewerbits.tensor.scheme import fake_quantize
from fewerbits.tensor.uniform import Uniform

CHOICES = (2, 3, 4, 5, 6, 8)
Table = dict[str, dict[int, float]]
PER_CHANNEL = MinMax(axis=0)


def round_weights(network: FoldedNetwork, bits: Bits, observer: Observer = PER_CHANNEL) -> FoldedNetwork:
    """`network` with every weight replaced by what its code means, ŵ; activations and biases stay float32.

    `bits` is one number or bits by layer. `observer` chooses the ranges: min-max per output channel by default.
    Raises ValueError for bits outside 2..16 or for names that are not the layers with weights.
    """
    schemes = _schemes(network, bits_by_name(bits, network.weights, "bits"), observer)
    rounded = {name: fake_quantize(scheme, network.weights[name]) for name, scheme in schemes.items()}
    return replace(network, weights=rounded)


def weight_bytes(
    network: FoldedNetwork, choices: Sequence[int] = CHOICES, observer: Observer = PER_CHANNEL
) -> dict[str, dict[int, int]]:
    """Bytes of each layer's weights for each choice of bits: packed codes and 4 per scale. Biases are not counted."""
    table: dict[str, dict[int, int]] = {name: {} for name in network.weights}
    for bits in _choices(choices):
        for name, scheme in _schemes(network, dict.fromkeys(network.weights, bits), observer).items():
            table[name][bits] = scheme.nbytes(network.weights[name].shape)
    return table


def average_bits(network: FoldedNetwork, bits: Bits) -> float:
    """Bits per weight, scales not counted: each layer counts as often as it has weights."""
    sizes = {name: weight.size for name, weight in network.weights.items()}
    chosen = bits_by_name(bits, sizes, "bits")
    return sum(chosen[name] * size for name, size in sizes.items()) / sum(sizes.values())


def divergence(logits: ArrayLike, other: ArrayLike) -> NDArray[np.float64]:
    """Kullback–Leibler divergence in nats, (N,): how far the answers of `other` are from those of `logits` (N, C).

    Σ p·log(p/q) with p and q their softmax; 0 when both give the same probabilities. Raises ValueError for arrays
    that are not of one shape (N, C).
    """
    first, second = valid.real_array(logits, "logits"), valid.real_array(other, "other")
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(f"logits has shape {first.shape} and other {second.shape}: both must be (N, C)")
    log_p, log_q = _log_softmax(first), _log_softmax(second)
    with np.errstate(under="ignore"):
        return np.maximum(np.sum(np.exp(log_p) * (log_p - log_q), axis=1), 0)  # a sum of rounding errors may be < 0


def measured_sensitivity(
    network: FoldedNetwork,
    images: NDArray[np.float32],
    choices: Sequence[int] = CHOICES,
    observer: Observer = PER_CHANNEL,
    title: str = "one layer at a time",
) -> Table:
    """One layer at a time: mean `divergence` in nats from the float answers when only that layer has few bits.

    `images` (N, 1, 28, 28) need no labels. Each batch runs in float once; a layer with few bits starts from the
    values before it.
    """
    rounded = {bits: round_weights(network, bits, observer) for bits in _choices(choices)}
    names = [layer.name for layer in network.layers]

    def of_batch(batch: NDArray[np.float32]) -> NDArray[np.float64]:
        values = network.run(batch)
        sums = np.empty((len(network.weights), len(rounded)))
        for row, name in enumerate(network.weights):
            for column, other in enumerate(rounded.values()):
                changed = dict(values)
                for layer in network.layers[names.index(name) :]:
                    source = other if layer.name == name else network
                    changed[layer.name] = source.run_layer(layer, [changed[each] for each in layer.inputs])
                sums[row, column] = divergence(values[network.output], changed[network.output]).sum()
        return sums

    images = valid.real_array(images, "images")
    total = np.sum(list(over_batches(of_batch, images, title=title)), axis=0) / len(images)
    return {name: dict(zip(rounded, map(float, row))) for name, row in zip(network.weights, total)}


def fisher_diagonal(
    network: FoldedNetwork, images: NDArray[np.float32], labels: ArrayLike
) -> dict[str, NDArray[np.float32]]:
    """Mean squared gradient of −log p(label) with respect to each weight: the diagonal of the Fisher information.

    `labels` (N,) are the true ones (the empirical Fisher) or drawn from the network's own probabilities (an estimate
    of the true one; Kunstner et al. 2019 say why they differ). One backward pass per image: a few hundred suffice.
    """
    images, classes = valid.real_array(images, "images"), valid.integer_codes(labels, 0, NUM_CLASSES - 1, "labels")
    if classes.shape != images.shape[:1]:
        raise ValueError(f"labels has shape {classes.shape}: it must be ({len(images)},), one label per image")
    weights = {name: torch.from_numpy(weight).requires_grad_() for name, weight in network.weights.items()}
    biases = {name: torch.from_numpy(bias) for name, bias in network.biases.items()}
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for image, label in zip(torch.from_numpy(np.asarray(images, np.float32)), classes):
        values = {INPUT: image[None]}
        for layer in network.layers:
            inputs = [values[name] for name in layer.inputs]
            values[layer.name] = torch_layer(layer, inputs, weights.get(layer.name), biases.get(layer.name))
        loss = torch.nn.functional.cross_entropy(values[network.output], torch.tensor([int(label)]))
        for (name, _), gradient in zip(weights.items(), torch.autograd.grad(loss, list(weights.values()))):
            total[name] += gradient.square()
    return {name: (each / len(images)).numpy() for name, each in total.items()}


def fisher_sensitivity(
    network: FoldedNetwork,
    fisher: Mapping[str, NDArray[np.float32]],
    choices: Sequence[int] = CHOICES,
    observer: Observer = PER_CHANNEL,
) -> Table:
    """½·Σ F·(ŵ − w)²: the divergence in nats that the diagonal of the Fisher information predicts.

    The second-order term of the divergence for a small change of the weights, off-diagonal terms left out; HAWQ
    (Dong et al. 2019) and HAWQ-V2 (2020) use the Hessian's largest eigenvalue and its trace in its place.
    """
    if set(fisher) != set(network.weights):
        raise ValueError(f"fisher has names {list(fisher)}: accepted are {list(network.weights)}")
    table: Table = {name: {} for name in network.weights}
    for bits in _choices(choices):
        rounded = round_weights(network, bits, observer).weights
        for name, weight in network.weights.items():
            squared_error = np.square(rounded[name].astype(np.float64) - weight)
            table[name][bits] = float(np.sum(fisher[name] * squared_error) / 2)
    return table


def noise_sensitivity(
    network: FoldedNetwork, choices: Sequence[int] = CHOICES, observer: Observer = PER_CHANNEL
) -> Table:
    """Σ(ŵ − w)²/Σw², the noise relative to the signal: 10^(−SQNR/10). It looks at no image and at no other layer."""
    table: Table = {name: {} for name in network.weights}
    for bits in _choices(choices):
        rounded = round_weights(network, bits, observer).weights
        for name, weight in network.weights.items():
            exact = weight.astype(np.float64)
            signal = np.sum(np.square(exact))
            table[name][bits] = float(np.sum(np.square(rounded[name] - exact)) / signal) if signal else 0.0
    return table


def _choices(choices: Sequence[int]) -> list[int]:
    if not len(choices):
        raise ValueError("choices is empty: at least one number of bits is needed")
    return sorted({valid.integer(bits, "choices", 2, 16) for bits in choices})


def _schemes(network: FoldedNetwork, bits: Mapping[str, int], observer: Observer) -> dict[str, Uniform]:
    return {name: observer.observe(network.weights[name]).fit(number) for name, number in bits.items()}


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    with np.errstate(under="ignore"):
        return shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
