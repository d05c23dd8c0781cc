"""Mistakes in folding batch norm into the convolution before it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.record import also, mistake

Array = NDArray[Any]
Pair = tuple[Array, Array]


def _gain(gamma: Array, variance: Array, epsilon: float) -> Array:
    return np.asarray(gamma, np.float64) / np.sqrt(np.asarray(variance, np.float64) + epsilon)


def _folded(weight: Array, beta: Array, mean: Array, gain: Array) -> Pair:
    return weight * gain.reshape(-1, *[1] * (weight.ndim - 1)), beta - mean * gain


@mistake(
    "fold_batch_norm",
    symptom="Nearly right; channels that hardly ever fire, whose variance is tiny, explode.",
    cause="The ε that the network was trained with is missing under the root.",
    repair="Divide by √(σ² + ε), with the ε of the training.",
    source="common; invisible where all variances are large",
)
def epsilon_forgotten(weight: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float) -> Pair:
    return _folded(weight, beta, mean, _gain(gamma, variance, 0))


@mistake(
    "fold_batch_norm",
    symptom="Nearly right; the smaller the variance, the further off.",
    cause="The standard deviation has ε added to it, not the variance.",
    repair="Add ε before taking the root.",
    source="other normalizations write it so",
)
def epsilon_outside_the_root(
    weight: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float
) -> Pair:
    return _folded(weight, beta, mean, np.asarray(gamma, np.float64) / (np.sqrt(variance) + epsilon))


@mistake(
    "fold_batch_norm",
    symptom="Channels of large variance nearly vanish, those of small variance grow.",
    cause="It is divided by the variance, but batch norm divides by the standard deviation.",
    repair="Take the root of σ² + ε.",
    source="common: running_var taken for a standard deviation",
)
def variance_not_rooted(weight: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float) -> Pair:
    return _folded(weight, beta, mean, np.asarray(gamma, np.float64) / (np.asarray(variance, np.float64) + epsilon))


@also(variance_not_rooted, "fold_batch_norm")
def variance_alone(weight: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float) -> Pair:
    # In the type of the inputs: a trained variance of 6e-45 makes it infinite in float32.
    return _folded(weight, beta, mean, gamma / variance)


@mistake(
    "fold_batch_norm",
    symptom="An error about shapes, or, where a layer has as many inputs as outputs, a wrong answer without any.",
    cause="The gain of an output channel multiplies an input channel, or a column of the kernel.",
    repair="Line the gains up with the first axis: gain.reshape(-1, 1, 1, 1).",
    source="NumPy lines axes up from the last one",
)
def gain_on_the_input_channels(
    weight: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float
) -> Pair:
    gain = _gain(gamma, variance, epsilon)
    return weight * gain[:, np.newaxis, np.newaxis], beta - mean * gain


@also(gain_on_the_input_channels, "fold_batch_norm")
def gain_on_the_columns(weight: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float) -> Pair:
    gain = _gain(gamma, variance, epsilon)
    return weight * gain, beta - mean * gain


@mistake(
    "fold_batch_norm",
    symptom="Each channel is off by a constant of its own.",
    cause="The mean is subtracted after the gain, but it was measured before it.",
    repair="Multiply the mean by the gain as well: b' = β − μ·gain.",
    source="common",
)
def mean_left_unscaled(weight: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float) -> Pair:
    gain = _gain(gamma, variance, epsilon)
    return _folded(weight, beta, mean, gain)[0], beta - mean


@mistake(
    "fold_batch_norm",
    symptom="Each channel is off by a constant of its own.",
    cause="The shift that is left is not all: what batch norm subtracts first has got lost.",
    repair="Let b' be β − μ·gain: the mean belongs to the bias.",
    source="common: only γ and β are looked at, the buffers are overlooked",
)
def mean_forgotten(weight: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float) -> Pair:
    return _folded(weight, beta, np.zeros(len(mean)), _gain(gamma, variance, epsilon))


@mistake(
    "fold_batch_norm",
    symptom="Each channel is off by a constant of its own, twice the shift of its mean.",
    cause="The mean is added, but batch norm subtracts it.",
    repair="Let b' be β − μ·gain.",
    source="common",
)
def mean_of_wrong_sign(weight: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float) -> Pair:
    return _folded(weight, beta, -np.asarray(mean), _gain(gamma, variance, epsilon))


@mistake(
    "fold_batch_norm",
    symptom="Each channel is off by a constant of its own.",
    cause="The gain multiplies β too, though batch norm adds it at the very end.",
    repair="Let b' be β − μ·gain: only the mean is scaled.",
    source="common: (β − μ)·gain",
)
def beta_scaled_too(weight: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float) -> Pair:
    gain = _gain(gamma, variance, epsilon)
    return _folded(weight, beta, mean, gain)[0], (beta - mean) * gain


@mistake(
    "fold_batch_norm",
    symptom="All channels have outputs of the same size, and the network answers at random.",
    cause="Only the normalization is folded; what the network learned as its own scale is left out.",
    repair="The gain is γ/√(σ² + ε).",
    source="common",
)
def gamma_forgotten(weight: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float) -> Pair:
    return _folded(weight, beta, mean, _gain(np.ones(len(gamma)), variance, epsilon))
