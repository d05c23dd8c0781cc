"""Mistakes with two precisions in one layer, with the bytes of many layers, and with their sensitivity."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.record import also, mistake

Array = NDArray[Any]


def rounded_weights(w: Array, bits: int) -> Array:
    """ŵ with symmetric codes, one scale per tensor; zeros stay zeros."""
    peak = float(np.abs(w).max())
    scale = peak / (2 ** (bits - 1) - 1) if peak else 1.0
    return scale * np.rint(np.asarray(w, np.float64) / scale)


def rounded_activations(x: Array, bits: int) -> Array:
    """x̂ with affine unsigned codes whose range contains zero."""
    low, high = min(0.0, float(x.min())), max(0.0, float(x.max()))
    scale = (high - low) / (2**bits - 1) if high > low else 1.0
    zero_point = np.rint(-low / scale)
    return scale * (np.clip(np.rint(np.asarray(x, np.float64) / scale) + zero_point, 0, 2**bits - 1) - zero_point)


@mistake(
    "mixed_layer",
    symptom="“Weights” and “activations” are one tensor in two units; the layer is nowhere.",
    cause="One tensor is rounded with both precisions, and the two tensors of the layer never meet.",
    repair="Take two tensors, give each its own bits and scale, and multiply what comes back.",
    source="article.txt, mixed_precision_quantization",
)
def one_tensor_rounded_twice(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    return rounded_weights(weights, weight_bits) @ rounded_weights(weights, activation_bits).T


@also(one_tensor_rounded_twice, "mixed_layer")
def activations_rounded_twice(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    return rounded_activations(rounded_activations(activations, activation_bits), weight_bits) @ weights.T


@mistake(
    "mixed_layer",
    symptom="Results are off by orders of magnitude, and the factor changes with the bits.",
    cause="The codes were multiplied and their scales left out.",
    repair="Multiply the sum of codes by both scales, s_x·s_w.",
    source="article.txt; pytorch issue 105085",
)
def scales_left_out_of_the_product(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    s_w, s_x = _scales(weights, activations, weight_bits, activation_bits)
    return (rounded_activations(activations, activation_bits) / s_x) @ (rounded_weights(weights, weight_bits) / s_w).T


@mistake(
    "mixed_layer",
    symptom="Fine where both precisions are equal; else the wide side is coarse and the narrow one too fine.",
    cause="The bits of weights and activations are exchanged.",
    repair="The first number of W4A8 belongs to the weights.",
    source="common where one function takes two numbers of bits",
)
def bits_exchanged(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    return rounded_activations(activations, weight_bits) @ rounded_weights(weights, activation_bits).T


@mistake(
    "mixed_layer",
    symptom="Small weights vanish, or activations lose most of their levels, whichever tensor is smaller.",
    cause="Both tensors share one scale although their magnitudes differ.",
    repair="Compute a scale from each tensor.",
    source="a consequence of the article's single `x`",
)
def one_scale_for_both(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    peak = max(float(np.abs(weights).max()), float(np.abs(activations).max()))
    s_w, s_x = peak / (2 ** (weight_bits - 1) - 1), peak / (2**activation_bits - 1)
    x_hat = s_x * np.clip(np.rint(np.asarray(activations, np.float64) / s_x), 0, 2**activation_bits - 1)
    return x_hat @ (s_w * np.rint(np.asarray(weights, np.float64) / s_w)).T


@mistake(
    "mixed_layer",
    symptom="The weights are twice as fine as their bits allow: codes reach ±(2^b − 1).",
    cause="A signed range got as many steps on one side as fit into both.",
    repair="Count the steps of one side of a signed range.",
    source="article.txt, mixed_precision_quantization",
)
def one_bit_more_for_the_weights(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    return rounded_activations(activations, activation_bits) @ rounded_weights(weights, weight_bits + 1).T


@mistake(
    "mixed_layer",
    symptom="With activations that are never negative the error is twice as large as it need be.",
    cause="Activations got signed, symmetric codes: half of them stand for numbers that do not occur.",
    repair="Use affine unsigned codes for activations: from the smallest value, or zero, to the largest.",
    source="onnxruntime issue 14640",
)
def signed_codes_for_activations(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    return rounded_weights(activations, activation_bits) @ rounded_weights(weights, weight_bits).T


@mistake(
    "mixed_layer",
    symptom="Right for activations that are never negative, wrong for all others.",
    cause="Activations were rounded without a zero point.",
    repair="Shift the codes by z = round(−low/s), so that the smallest value gets the code 0.",
    source="common where every example follows a ReLU",
)
def activations_without_zero_point(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    scale = float(activations.max()) / (2**activation_bits - 1)
    return (scale * np.rint(activations / scale)) @ rounded_weights(weights, weight_bits).T


@also(activations_without_zero_point, "mixed_layer")
def negative_activations_clipped(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    return rounded_activations(np.maximum(activations, 0), activation_bits) @ rounded_weights(weights, weight_bits).T


@also(activations_without_zero_point, "mixed_layer")
def magnitude_for_the_range(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> Array:
    scale = float(np.abs(activations).max()) / (2**activation_bits - 1)
    return (scale * np.rint(activations / scale)) @ rounded_weights(weights, weight_bits).T


def _scales(weights: Array, activations: Array, weight_bits: int, activation_bits: int) -> tuple[float, float]:
    low, high = min(0.0, float(activations.min())), max(0.0, float(activations.max()))
    return float(np.abs(weights).max()) / (2 ** (weight_bits - 1) - 1), (high - low) / (2**activation_bits - 1)


def _packed(sizes: Array, bits: Array) -> Array:
    return np.ceil(np.asarray(sizes) * np.asarray(bits) / 8)


@mistake(
    "mixed_bytes",
    symptom="The file is larger than planned; with many channels and few bits by a lot.",
    cause="Only the codes are counted: the metadata without which nobody can read them is missing.",
    repair="Add 4 bytes for each float32 scale.",
    source="common in tables that compare “average bits”",
)
def metadata_forgotten_in_the_budget(sizes: Array, channels: Array, bits: Array) -> float:
    return float(_packed(sizes, bits).sum())


@mistake(
    "mixed_bytes",
    symptom="The number is eight times too large.",
    cause="Bits and bytes are mixed up.",
    repair="Eight bits are one byte.",
    source="common",
)
def bits_counted_as_bytes(sizes: Array, channels: Array, bits: Array) -> float:
    return float(np.sum(np.asarray(sizes) * bits) + 4 * np.sum(channels))


@mistake(
    "mixed_bytes",
    symptom="Right for layers of equal size, wrong for all others.",
    cause="The bits were averaged over layers, as if each layer had as many weights.",
    repair="Each layer counts as often as it has weights.",
    source="common in reports of mixed precision",
)
def bits_averaged_over_layers(sizes: Array, channels: Array, bits: Array) -> float:
    return float(np.ceil(np.sum(sizes) * np.mean(bits) / 8) + 4 * np.sum(channels))


@mistake(
    "mixed_bytes",
    symptom="The size does not change below 8 bits.",
    cause="Each code is stored in a byte of its own.",
    repair="Pack codes: eight codes of b bits take b bytes.",
    source="q-diffusion issue 12: the quantized file is as large as before",
)
def codes_not_packed(sizes: Array, channels: Array, bits: Array) -> float:
    return float(np.sum(sizes * np.ceil(np.asarray(bits) / 8)) + 4 * np.sum(channels))


@mistake(
    "mixed_bytes",
    symptom="A few bytes too few: a layer would end in the middle of a byte.",
    cause="The bits of a layer were divided by 8 and rounded down, or the layers were joined before rounding.",
    repair="Round the bytes of each layer up.",
    source="common with `// 8`",
)
def begun_bytes_dropped(sizes: Array, channels: Array, bits: Array) -> float:
    return float(np.sum(np.asarray(sizes) * bits // 8) + 4 * np.sum(channels))


@also(begun_bytes_dropped, "mixed_bytes")
def layers_joined_before_rounding(sizes: Array, channels: Array, bits: Array) -> float:
    return float(np.ceil(np.sum(np.asarray(sizes) * bits) / 8) + 4 * np.sum(channels))


@also(begun_bytes_dropped, "mixed_bytes")
def begun_bytes_left_as_fractions(sizes: Array, channels: Array, bits: Array) -> float:
    return float(np.sum(np.asarray(sizes) * bits / 8) + 4 * np.sum(channels))


def _run(layers: Array, x: Array) -> Array:
    for w in layers[:-1]:
        x = np.maximum(x @ w.T, 0)
    return x @ layers[-1].T


def _change(layers: Array, other: Array, x: Array) -> float:
    return float(np.mean(np.square(_run(other, x) - _run(layers, x))))


def _with(layers: Array, chosen: list[int], bits: int) -> Array:
    other = np.array(layers, np.float64)
    for index in chosen:
        other[index] = rounded_weights(layers[index], bits)
    return other


@mistake(
    "sensitivities",
    symptom="Every layer looks worse than the one before it, whatever the layers are.",
    cause="Layers rounded earlier stay rounded: each number is that of all layers so far.",
    repair="Begin with the exact layers for each measurement, and round one.",
    source="common where a network is changed in place",
)
def earlier_layers_left_rounded(layers: Array, x: Array, bits: int) -> Array:
    count = range(len(layers))
    return np.array([_change(layers, _with(layers, list(range(i + 1)), bits), x) for i in count])


@mistake(
    "sensitivities",
    symptom="Layers that hardly matter look as bad as those that decide the answer.",
    cause="The error of the weights was measured instead of what the network makes of it.",
    repair="Run the network, and compare its outputs.",
    source="SQNR as the only guide to bits per layer",
)
def error_of_the_weights_for_the_loss(layers: Array, x: Array, bits: int) -> Array:
    return np.array([np.mean(np.square(rounded_weights(w, bits) - w)) for w in layers])


@mistake(
    "sensitivities",
    symptom="The most important layer seems to be the one whose rounding does no harm.",
    cause="One layer was kept exact and all others were rounded.",
    repair="Round one layer, keep all others exact.",
    source="common: “leave one out” taken for “one at a time”",
)
def all_but_one_rounded(layers: Array, x: Array, bits: int) -> Array:
    count = range(len(layers))
    return np.array([_change(layers, _with(layers, [j for j in count if j != i], bits), x) for i in count])


@mistake(
    "sensitivities",
    symptom="Layers look harmless whose errors have both signs.",
    cause="The mean of the differences was taken, in which plus and minus cancel.",
    repair="Square the differences before the mean.",
    source="common",
)
def errors_that_cancel(layers: Array, x: Array, bits: int) -> Array:
    exact = _run(layers, x)
    return np.array([np.mean(_run(_with(layers, [i], bits), x) - exact) for i in range(len(layers))])
