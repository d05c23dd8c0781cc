"""The article that the course grew from: its three functions as published, and beside each a repaired one.

Object of study: the blog post "Introduction to AI Model Quantization", whose formulas lessons 02, 04, 07 and 08
run and take apart. The published functions are quoted unchanged but for annotations and docstrings; never use them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewerbits.tensor.logarithmic import Logarithmic
from fewerbits.tensor.scheme import Scheme
from fewerbits.tensor.uniform import Uniform


class Quantized(NamedTuple):
    """Codes together with the scheme that alone can read them: what the published functions do not return."""

    codes: NDArray[Any]
    scheme: Scheme

    def dequantize(self) -> NDArray[np.float32]:
        """The float32 values that the codes stand for."""
        return self.scheme.dequantize(self.codes)


def uniform_quantization(x: NDArray[Any], num_bits: int) -> NDArray[Any]:
    """As published. Signed codes reach ±(2^b − 1), one bit more than asked for; the scale is lost; zeros give NaN."""
    # Calculate the scale factor
    s = np.max(np.abs(x)) / (2**num_bits - 1)
    # Quantize the values
    q = np.round(x / s)
    return q  # noqa: RET504  quoted as published


def repaired_uniform_quantization(x: ArrayLike, num_bits: int) -> Quantized:
    """Codes in −(2^(b−1) − 1)..2^(b−1) − 1 as integers, saturated, with s = max|x|/(2^(b−1) − 1) kept beside them."""
    scheme = Uniform.fit(x, num_bits, narrow_range=True)
    return Quantized(scheme.quantize(x), scheme)


def logarithmic_quantization(x: NDArray[Any], num_bits: int) -> NDArray[Any]:
    """As published. |x| loses the sign, log 0 is −∞, and s, a scale, serves as the base of the logarithm."""
    # Calculate the scale factor
    s = np.max(np.abs(x)) / (2**num_bits - 1)
    # Quantize the values
    q = np.round(np.log(np.abs(x)) / np.log(s))
    return q  # noqa: RET504  quoted as published


def repaired_logarithmic_quantization(x: ArrayLike, num_bits: int) -> Quantized:
    """A sign, a code for zero and powers of two below the largest magnitude: every error is relative."""
    scheme = Logarithmic.fit(x, num_bits)
    return Quantized(scheme.quantize(x), scheme)


def mixed_precision_quantization(
    x: NDArray[Any], num_bits_weights: int, num_bits_activations: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """As published. One tensor is rounded twice, as weights and as activations, and the two are never multiplied."""
    # Calculate the scale factor for the weights
    s_weights = np.max(np.abs(x)) / (2**num_bits_weights - 1)
    # Calculate the scale factor for the activations
    s_activations = np.max(np.abs(x)) / (2**num_bits_activations - 1)
    # Quantize the weights and activations
    q_weights = np.round(x / s_weights)
    q_activations = np.round(x / s_activations)
    return q_weights, q_activations


def repaired_mixed_precision_quantization(
    weights: ArrayLike, activations: ArrayLike, num_bits_weights: int, num_bits_activations: int
) -> tuple[Quantized, Quantized]:
    """Two tensors, each with its own bits and scale: weights symmetric, activations affine.

    Their product is what a layer computes: x̂ @ ŵᵀ = s_x·s_w·((q_x − z_x) @ q_wᵀ).
    """
    weight_scheme = Uniform.fit(weights, num_bits_weights, narrow_range=True)
    activation_scheme = Uniform.fit(activations, num_bits_activations, symmetric=False, signed=False)
    return (
        Quantized(weight_scheme.quantize(weights), weight_scheme),
        Quantized(activation_scheme.quantize(activations), activation_scheme),
    )
