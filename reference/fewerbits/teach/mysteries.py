"""Ten quantized networks, each with one mistake: `mystery(number)` gives one to be examined, named and repaired.

All are the network "tiny" of the course, quantized to 8 bits; which mistake is where is not said in this docstring.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits import data
from fewerbits.network import integer_network
from fewerbits.network.arithmetic import quantize_bias
from fewerbits.network.folding import FoldedNetwork, fold
from fewerbits.network.quantized import QuantizedNetwork, calibrate, quantize_network
from fewerbits.tensor import validation as valid
from fewerbits.tensor.metrics import sqnr
from fewerbits.tensor.uniform import Uniform

Array = NDArray[Any]
IMAGES = 100

# What may be wrong, and what one would see, which holds in no network with another mistake. Two are in none.
CANDIDATES: dict[int, tuple[str, str]] = {
    1: ("bias at one scale only", "all biases of a layer, restored, would be too small by one factor, its s_x"),
    2: ("bias forgotten", "the bias codes of a layer would be zeros"),
    3: ("wrap instead of clamp", "large positive weights of a layer would come back negative"),
    4: ("truncation for rounding", "no restored weight of a layer would be farther from zero than the float weight"),
    5: ("one scale for all channels", "the scheme of a layer's weights would have one scale and no axis"),
    6: ("scales of other channels", "the restored weights of each output channel would be off by another factor"),
    7: (
        "range too wide",
        "s·255 of an activation would be more than ten times the largest value of the float network, its zero point 0",
    ),
    8: (
        "range too narrow",
        "s·255 of an activation would be less than a fifth of the largest value of the float network",
    ),
    9: ("symmetric range for one-sided data", "the zero point of an activation after a ReLU would be 128"),
    10: ("sign lost", "no weight code of a layer would be negative"),
    11: ("zero point one too high", "the zero point of an activation after a ReLU would be 1"),
    12: ("one bit lost", "no weight code of a layer would be beyond ±64"),
}


@dataclass(frozen=True, eq=False)
class Mystery:
    """A broken network, and what one notices about it."""

    number: int
    network: QuantizedNetwork

    @property
    def symptom(self) -> str:
        return _symptom(self.network)


def mystery(number: int) -> Mystery:
    """Network `number`, 1 to 10, with its mistake. Raises ValueError for other numbers."""
    return _made(valid.integer(number, "number", 1, len(_PLANTED)))


@cache
def _made(number: int) -> Mystery:
    return Mystery(number, _PLANTED[number][1](right_network()))


def answer(number: int) -> int:
    """The candidate that mystery `number` holds: for the check."""
    return _PLANTED[number][0]


def show() -> None:
    """Print what may be wrong, and the symptom of each network."""
    print("what may be wrong")
    for number, (title, _) in CANDIDATES.items():
        print(f"  {number:>2}  {title}{' (of an activation)' if title.startswith('range') else ''}")
    print(f"\nnetwork           symptom\n  without mistake {_symptom(right_network())}")
    for number in _PLANTED:
        print(f"  mystery {number:>2}      {mystery(number).symptom}")


@cache
def photographs() -> tuple[NDArray[np.float32], Array]:
    """The first 100 test photographs (100, 1, 28, 28) and their labels."""
    test = data.load_fashion_mnist("test")
    return data.to_float(test.images[:IMAGES]), test.labels[:IMAGES]


def _symptom(network: QuantizedNetwork) -> str:
    """How many of the photographs are named rightly, and how far the logits are from those of the float network."""
    images, labels = photographs()
    logits = integer_network.run(network, images)["logits"]
    right = int((logits.argmax(axis=1) == labels).sum())
    return f"{right:>3} of {IMAGES} right; logits {sqnr(_float_logits(), logits):5.1f} dB"


@cache
def _float_logits() -> Array:
    return _float().run(photographs()[0])["logits"]


@cache
def _float() -> FoldedNetwork:
    return fold("tiny", data.load_weights("tiny"))


@cache
def right_network() -> QuantizedNetwork:
    """The network before a mistake was made: 8 bits, weights symmetric per output channel."""
    images = data.to_float(data.load_fashion_mnist("train").images[:100])
    return quantize_network(_float(), calibrate(_float(), images, title=""))


def _with(network: QuantizedNetwork, layer: str, codes: Array, scheme: Uniform | None = None) -> QuantizedNetwork:
    """The network with other weight codes, and perhaps another scheme, in one layer; its bias fits the scheme."""
    weights = dict(network.weights) | ({layer: scheme} if scheme else {})
    biases = dict(network.biases)
    if scheme:
        source = network.activations[network.folded.layer(layer).inputs[0]]
        biases[layer] = quantize_bias(network.folded.biases[layer], source.scale, scheme.scale)
    return replace(network, codes=dict(network.codes) | {layer: codes}, weights=weights, biases=biases)


def _with_activation(network: QuantizedNetwork, layer: str, factor: float, zero_point: int = 0) -> QuantizedNetwork:
    """The network with another range of one activation, and of the pool after it; all biases fit."""
    activations: Mapping[str, Uniform] = {
        name: replace(scheme, scale=scheme.scale * np.float32(factor), zero_point=np.array(zero_point, np.int32))
        if scheme is network.activations[layer]
        else scheme
        for name, scheme in network.activations.items()
    }
    biases = {
        name: quantize_bias(
            network.folded.biases[name],
            activations[network.folded.layer(name).inputs[0]].scale,
            network.weights[name].scale,
        )
        for name in network.biases
    }
    return replace(network, activations=activations, biases=biases)


def _with_bias(network: QuantizedNetwork, layer: str, bias: Array) -> QuantizedNetwork:
    return replace(network, biases=dict(network.biases) | {layer: bias.astype(np.int32)})


def _steps(network: QuantizedNetwork, layer: str, factor: float = 1.0) -> tuple[Array, Uniform]:
    """Weights in steps of their scale times `factor`, not rounded, and the scheme of that scale."""
    scheme = network.weights[layer]
    scheme = replace(scheme, scale=scheme.scale * np.float32(factor))
    return network.folded.weights[layer] / scheme.scale.reshape(-1, *[1] * (network.codes[layer].ndim - 1)), scheme


def _first(network: QuantizedNetwork) -> QuantizedNetwork:
    return _with_activation(network, "conv2", 1 / 10)


def _second(network: QuantizedNetwork) -> QuantizedNetwork:
    steps, scheme = _steps(network, "conv3", 0.6)
    return _with(network, "conv3", np.rint(steps).astype(np.int64).astype(np.int8), scheme)


def _third(network: QuantizedNetwork) -> QuantizedNetwork:
    bias = np.rint(network.folded.biases["conv1"] / network.weights["conv1"].scale)
    return _with_bias(network, "conv1", bias)


def _fourth(network: QuantizedNetwork) -> QuantizedNetwork:
    steps, scheme = _steps(network, "conv2", 2)
    return _with(network, "conv2", np.rint(steps).astype(np.int8), scheme)


def _fifth(network: QuantizedNetwork) -> QuantizedNetwork:
    return _with_activation(network, "conv1", 255 / 127, 128)


def _sixth(network: QuantizedNetwork) -> QuantizedNetwork:
    scheme = network.weights["conv3"]
    return _with(network, "conv3", network.codes["conv3"], replace(scheme, scale=np.roll(scheme.scale, 1)))


def _seventh(network: QuantizedNetwork) -> QuantizedNetwork:
    return _with_bias(network, "conv3", np.zeros(64))


def _eighth(network: QuantizedNetwork) -> QuantizedNetwork:
    return _with(network, "conv2", np.abs(network.codes["conv2"]))


def _ninth(network: QuantizedNetwork) -> QuantizedNetwork:
    return _with_activation(network, "conv3", 40)


def _tenth(network: QuantizedNetwork) -> QuantizedNetwork:
    changed = network
    for layer in network.codes:
        changed = _with(changed, layer, np.trunc(_steps(network, layer)[0]).astype(np.int8))
    return changed


_PLANTED: dict[int, tuple[int, Callable[[QuantizedNetwork], QuantizedNetwork]]] = {
    1: (8, _first), 2: (3, _second), 3: (1, _third), 4: (12, _fourth), 5: (9, _fifth),
    6: (6, _sixth), 7: (2, _seventh), 8: (10, _eighth), 9: (7, _ninth), 10: (4, _tenth),
}  # fmt: skip
