"""How far x̂ is from x, and how many bits the codes really need. Everything is computed in float64."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewerbits.tensor import validation as valid

INT64 = np.iinfo(np.int64)


def mse(x: ArrayLike, x_hat: ArrayLike) -> float:
    """Mean squared error, mean (x̂ − x)², in squared units of `x`.

    Infinite where the squares exceed float64. Like the other metrics here, raises ValueError/TypeError for NaN,
    infinity, empty or non-real arrays, and for unequal shapes.
    """
    with np.errstate(over="ignore", under="ignore"):
        return float(np.mean(np.square(_error(x, x_hat))))


def sqnr(x: ArrayLike, x_hat: ArrayLike) -> float:
    """Signal-to-quantization-noise ratio in dB: 10·log₁₀(Σx² / Σ(x̂ − x)²); 6.02 dB are one bit.

    ∞ when x̂ equals x (also when both are zero: there is no noise), −∞ when only x is zero.
    """
    noise = _norm(_error(x, x_hat))
    if noise == 0:
        return math.inf
    signal = _norm(valid.real_array(x).astype(np.float64))
    return 20 * (math.log10(signal) - math.log10(noise)) if signal else -math.inf


def cosine(x: ArrayLike, x_hat: ArrayLike) -> float:
    """Cosine similarity x·x̂ / (‖x‖‖x̂‖) of the flattened arrays, −1..1: blind to a wrong scale.

    1 when both are zero, 0 when one of them is.
    """
    first, second = _pair(x, x_hat)
    largest, largest_hat = np.abs(first).max(), np.abs(second).max()
    if largest == 0 or largest_hat == 0:
        return float(largest == largest_hat)
    with np.errstate(under="ignore"):
        first, second = first / largest, second / largest_hat
        norms = math.sqrt(np.vdot(first, first) * np.vdot(second, second))
        return float(np.clip(np.vdot(first, second) / norms, -1, 1))


def max_error(x: ArrayLike, x_hat: ArrayLike) -> float:
    """Largest |x̂ − x|, in units of `x`."""
    return float(np.abs(_error(x, x_hat)).max())


def entropy(codes: ArrayLike) -> float:
    """Bits per code that an ideal entropy coder needs: −Σ p·log₂ p over the codes in use (Shannon 1948).

    0 when all codes are equal, at most log₂ of their number. Raises TypeError for codes that are not integers and
    ValueError for none.
    """
    counts = np.unique(valid.integer_codes(codes, INT64.min, INT64.max), return_counts=True)[1]
    p = counts / counts.sum()
    return float(max(0.0, -np.sum(p * np.log2(p))))


def _pair(x: ArrayLike, x_hat: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, x_hat = valid.real_array(x), valid.real_array(x_hat, "x_hat")
    if x.shape != x_hat.shape:
        raise ValueError(f"x_hat has shape {x_hat.shape}: it must be that of x, {x.shape}")
    return x.astype(np.float64, copy=False), x_hat.astype(np.float64, copy=False)


def _error(x: ArrayLike, x_hat: ArrayLike) -> NDArray[np.float64]:
    x, x_hat = _pair(x, x_hat)
    with np.errstate(over="ignore", under="ignore"):
        return x_hat - x


def _norm(x: NDArray[np.float64]) -> float:
    """‖x‖ without overflow or underflow of the squares."""
    largest = float(np.abs(x).max())
    if largest == 0 or largest == math.inf:
        return largest
    with np.errstate(under="ignore"):
        x = x / largest
        return largest * math.sqrt(np.vdot(x, x))
