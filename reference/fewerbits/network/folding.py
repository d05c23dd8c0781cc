"""Fold batch normalization into the convolution before it, and run the folded network in float32.

At inference batch norm is a scale and a shift per channel, y = γ·(x − μ)/√(σ² + ε) + β, which a convolution can
absorb: w' = w·γ/√(σ² + ε) and b' = β − μ·γ/√(σ² + ε) (Jacob et al. 2018, section 3.2). Scales have to be
chosen after folding, since folding changes the range of every channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.network.architecture import INPUT, Layer, architecture
from fewerbits.network.convolution import convolve

# PyTorch's default for BatchNorm2d, with which the shipped networks were trained.
EPSILON = 1e-5


@dataclass(frozen=True, eq=False)
class FoldedNetwork:
    """A float network without batch norm: its layers, and by layer name float32 weights and biases.

    `weights[name]` is (O, C/groups, K, K) for a convolution and (O, C) for the linear layer; `biases[name]` is (O,).
    """

    name: str
    layers: tuple[Layer, ...]
    weights: Mapping[str, NDArray[np.float32]]
    biases: Mapping[str, NDArray[np.float32]]

    @property
    def output(self) -> str:
        """The name of the last value, the logits."""
        return self.layers[-1].name

    def layer(self, name: str) -> Layer:
        """The layer of that name; ValueError lists the names when there is none."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"name={name!r} is not a layer: accepted are {[layer.name for layer in self.layers]}")

    def run(self, images: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Every value of the network by name, for (N, 1, 28, 28) float32 images; "image" is the input itself."""
        values: dict[str, NDArray[np.float32]] = {INPUT: np.asarray(images, np.float32)}
        for layer in self.layers:
            values[layer.name] = self.run_layer(layer, [values[name] for name in layer.inputs])
        return values

    def run_layer(self, layer: Layer, inputs: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """One layer in float32, its ReLU included."""
        if layer.has_weights:
            return float_layer(layer, inputs, self.weights[layer.name], self.biases[layer.name])
        return float_layer(layer, inputs)


def float_layer(
    layer: Layer, inputs: list[NDArray[np.float32]], *weight_and_bias: NDArray[np.float32]
) -> NDArray[np.float32]:
    """What a layer computes in float32: activations are (N, C, H, W), or (N, C) after the average."""
    x = inputs[0]
    if layer.op == "conv":
        weight, bias = weight_and_bias
        x = convolve(x, weight, layer.stride, layer.padding, layer.groups)
        x += bias[:, None, None]
    elif layer.op == "linear":
        weight, bias = weight_and_bias
        x = x @ weight.T + bias
    elif layer.op == "max_pool":
        x = max_pool(x)
    elif layer.op == "add":
        x = x + inputs[1]
    else:
        x = x.mean(axis=(2, 3), dtype=np.float32)
    return np.maximum(x, np.float32(0), out=x) if layer.relu else x


def max_pool(x: NDArray[Any]) -> NDArray[Any]:
    """The largest value of each 2×2 square, stride 2; (N, C, H, W) to (N, C, H//2, W//2), any real dtype."""
    height, width = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
    rows = np.maximum(x[:, :, 0:height:2, :width], x[:, :, 1:height:2, :width])
    return np.maximum(rows[..., 0::2], rows[..., 1::2])


def fold(name: str, state: Mapping[str, NDArray[np.float32]]) -> FoldedNetwork:
    """Fold the trained network `name` with weights `state` (arrays by state-dict name, as `data.load_weights`).

    Computed in float64 and rounded once to float32. Raises ValueError for an unknown network or a missing array.
    """
    weights, biases = {}, {}
    for layer in architecture(name):
        if not layer.has_weights:
            continue
        weight = _array(state, f"{layer.name}.weight").astype(np.float64)
        if layer.op == "conv":
            gamma, beta, mean, variance = (
                _array(state, f"{layer.name}_norm.{part}").astype(np.float64)
                for part in ("weight", "bias", "running_mean", "running_var")
            )
            gain = gamma / np.sqrt(variance + EPSILON)
            weight, bias = weight * gain[:, None, None, None], beta - mean * gain
        else:
            bias = _array(state, f"{layer.name}.bias").astype(np.float64)
        weights[layer.name] = weight.astype(np.float32)
        biases[layer.name] = bias.astype(np.float32)
    return FoldedNetwork(name, architecture(name), weights, biases)


def _array(state: Mapping[str, NDArray[np.float32]], key: str) -> NDArray[np.float32]:
    if key not in state:
        raise ValueError(f"state has no array {key!r}: it holds {sorted(state)[:4]} ...")
    return state[key]
