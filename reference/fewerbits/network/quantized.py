"""Turn a folded float network into codes: calibrate activations, quantize weights and biases, simulate.

Activations are affine per tensor (unsigned by default, as ONNX Runtime prefers on x86), weights symmetric per output
channel, biases int32 at s_x·s_w; logits stay real numbers. Max pooling passes its input's scale on.
Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference"; ONNX operators QLinearConv and QuantizeLinear.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.network.architecture import INPUT, Layer
from fewerbits.network.arithmetic import quantize_bias
from fewerbits.network.batches import over_batches
from fewerbits.network.folding import FoldedNetwork, float_layer
from fewerbits.tensor import validation as valid
from fewerbits.tensor.calibration import MinMax
from fewerbits.tensor.observer import Observer
from fewerbits.tensor.scheme import fake_quantize
from fewerbits.tensor.uniform import Uniform

# The same bits everywhere, or bits by name.
Bits = int | Mapping[str, int]

# Pixels are uint8 already: with s = 1/255 the codes of the input are the pixels themselves.
IMAGE_RANGE = np.array([0, 1], np.float32)


@dataclass(frozen=True, eq=False)
class QuantizedNetwork:
    """A network in codes and the numbers that give codes their meaning.

    `activations` has one Uniform per value ("image" and every layer but the last); `weights`, `codes` and `biases`
    one entry per layer with weights: the fitted scheme, its integer codes in the shape of the float weights, and
    int32 biases (O,) at s_x·s_w.
    """

    folded: FoldedNetwork
    activations: Mapping[str, Uniform]
    weights: Mapping[str, Uniform]
    codes: Mapping[str, NDArray[Any]]
    biases: Mapping[str, NDArray[np.int32]]

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self.folded.layers

    @property
    def output(self) -> str:
        return self.folded.output

    def bias_scale(self, name: str) -> NDArray[np.float32]:
        """s_x·s_w of a layer with weights, float32, (O,) per channel or () per tensor."""
        source = self.folded.layer(name).inputs[0]
        return np.asarray(self.activations[source].scale * self.weights[name].scale, np.float32)

    def simulate(self, images: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Every value as fake quantization predicts it: float32 arithmetic on x̂ = s·(q − z), by value name."""
        values = {INPUT: fake_quantize(self.activations[INPUT], images)}
        for layer in self.layers:
            inputs = [values[name] for name in layer.inputs]
            result = float_layer(layer, inputs, *self._real_parameters(layer.name))
            scheme = self.activations.get(layer.name)
            values[layer.name] = result if scheme is None else fake_quantize(scheme, result)
        return values

    def _real_parameters(self, name: str) -> tuple[NDArray[np.float32], ...]:
        """Weight and bias that the codes of a layer stand for; nothing for a layer without weights."""
        if name not in self.codes:
            return ()
        bias = self.biases[name].astype(np.float32) * self.bias_scale(name)
        return self.weights[name].dequantize(self.codes[name]), bias

    def nbytes(self) -> int:
        """Bytes of weights with their metadata, int32 biases, and 5 per activation (float32 scale, zero point)."""
        weights = sum(self.weights[name].nbytes(codes.shape) for name, codes in self.codes.items())
        return weights + sum(4 * bias.size for bias in self.biases.values()) + 5 * len(self.activations)


def calibrate(
    network: FoldedNetwork,
    images: NDArray[np.float32],
    observer: Observer = MinMax(),  # noqa: B008 (a frozen record)
    title: str = "calibrating",
) -> dict[str, Observer]:
    """What a copy of `observer` has seen of every value over `images` (N, 1, 28, 28), by value name.

    Raises ValueError for images that are not finite or not of that shape.
    """
    images = valid.real_array(images, "images")
    if images.ndim != 4 or images.shape[1:] != (1, 28, 28):
        raise ValueError(f"images has shape {images.shape}: accepted is (N, 1, 28, 28)")

    def observe(batch: NDArray[np.float32]) -> dict[str, Observer]:
        return {name: observer.observe(value) for name, value in network.run(batch).items()}

    seen: dict[str, Observer] = {}
    for batch in over_batches(observe, images, title=title):
        seen = {name: seen[name].merge(more) if name in seen else more for name, more in batch.items()}
    return seen | {INPUT: MinMax().observe(IMAGE_RANGE)}


def quantize_network(
    network: FoldedNetwork,
    observers: Mapping[str, Observer],
    *,
    weight_bits: Bits = 8,
    activation_bits: Bits = 8,
    per_channel: bool = True,
    signed_weights: bool = True,
    signed_activations: bool = False,
    weight_observer: Observer | None = None,
) -> QuantizedNetwork:
    """Codes, scales and biases of `network` for calibrated `observers` (by value name, from `calibrate`).

    The defaults are the combination that ONNX Runtime runs fastest on x86: uint8 activations, int8 weights per
    channel. `weight_bits=7` avoids 16-bit saturation on x86 CPUs without VNNI (ONNX Runtime's `reduce_range`).
    Bits may be given by name: of layers with weights for `weight_bits`, of values that are rounded for
    `activation_bits` ("image" and every layer but max pooling, which keeps its input's codes, and the last).
    `weight_observer` chooses the range of weights, min-max by default; with axis=0 it does so per channel, and
    `per_channel` is not asked.
    Raises ValueError when an observer or a name is missing, or when a bias does not fit in int32.
    """
    axis = 0 if valid.boolean(per_channel, "per_channel") else None
    names = (INPUT, *(layer.name for layer in network.layers[:-1]))
    rounded = [name for name in names if name == INPUT or network.layer(name).op != "max_pool"]
    bits_of = bits_by_name(activation_bits, rounded, "activation_bits")
    activations: dict[str, Uniform] = {}
    for name in names:
        activations[name] = _activation(network, observers, activations, name, bits_of.get(name), signed_activations)
    weights, codes, biases = {}, {}, {}
    for name, bits in bits_by_name(weight_bits, network.weights, "weight_bits").items():
        weight = network.weights[name]
        observer = weight_observer or MinMax(axis=axis)
        weights[name] = observer.observe(weight).fit(bits, signed=signed_weights)
        codes[name] = weights[name].quantize(weight)
        source = activations[network.layer(name).inputs[0]]
        biases[name] = quantize_bias(network.biases[name], source.scale, weights[name].scale)
    return QuantizedNetwork(network, activations, weights, codes, biases)


def bits_by_name(bits: Bits, names: Iterable[str], argument: str) -> dict[str, int]:
    """Bits for each of `names`, from one number for all or from a mapping that has exactly these names.

    Raises ValueError/TypeError, calling the argument by its name, for bits outside 2..16 and for other names.
    """
    names = list(names)
    if not isinstance(bits, Mapping):
        return dict.fromkeys(names, valid.integer(bits, argument, 2, 16))
    if set(bits) != set(names):
        wrong = sorted(map(str, set(bits) ^ set(names)))
        raise ValueError(f"{argument} has names {list(bits)}: {wrong[:4]} are missing or unknown, accepted are {names}")
    return {name: valid.integer(bits[name], f"{argument}[{name!r}]", 2, 16) for name in names}


def _activation(
    network: FoldedNetwork,
    observers: Mapping[str, Observer],
    done: Mapping[str, Uniform],
    name: str,
    bits: int | None,
    signed: bool,
) -> Uniform:
    if bits is None:  # max pooling
        return done[network.layer(name).inputs[0]]
    if name not in observers:
        raise ValueError(f"observers has no entry for {name!r}: calibrate() returns one for every value")
    return observers[name].fit(bits, symmetric=False, signed=signed)
