"""The two errors that a range trades against each other, and the range where their sum is smallest.

A wide range makes large steps and so large rounding errors; a narrow one cuts values off. For data both are
measured; for a Gauss or Laplace density both follow from its tail, which gives the best step (Max 1960) and
the analytic clip of ACIQ (Banner et al. 2019, "Post training 4-bit quantization of convolutional networks").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewerbits.tensor import validation as valid

DENSITIES = ("gauss", "laplace")
Moments = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def clipping_error(x: ArrayLike, clip: ArrayLike) -> NDArray[np.float64]:
    """Mean over `x` of (|x| − clip)² where |x| exceeds `clip`: what a range ±clip loses by saturating.

    `clip` is positive, a number or an array; the result is float64 in the shape of `clip`, in units of x².
    Raises ValueError/TypeError for NaN, infinity, empty or non-real arguments and for a clip that is not positive.
    """
    magnitudes = np.abs(valid.real_array(x).astype(np.float64, copy=False))
    clips = _positive(clip, "clip")
    errors = [np.square(np.maximum(magnitudes - value, 0)).mean() for value in clips.flat]
    return np.reshape(errors, clips.shape)


def rounding_error(x: ArrayLike, clip: ArrayLike, bits: int = 8) -> NDArray[np.float64]:
    """Mean over `x` of (x − s·round(x/s))² where |x| ≤ `clip`, with s = clip/(2^(bits−1) − 1): what rounding loses.

    It is the symmetric narrow-range quantizer of `Uniform`, in float64; with `clipping_error` it adds up to the
    whole mean squared error, because the outermost level lies at ±clip. Shapes and errors as in `clipping_error`.
    """
    values = valid.real_array(x).astype(np.float64, copy=False)
    clips = _positive(clip, "clip")
    steps = clips / (2 ** (valid.integer(bits, "bits", 2, 16) - 1) - 1)
    errors = [
        np.square(np.where(np.abs(values) <= limit, values - step * np.rint(values / step), 0)).mean()
        for limit, step in zip(clips.flat, steps.flat)
    ]
    return np.reshape(errors, clips.shape)


def expected_clipping_error(density: str, clip: ArrayLike) -> NDArray[np.float64]:
    """Mean of (|x| − clip)²₊ under a "gauss" (σ = 1) or "laplace" (b = 1) density: 2∫(x − clip)² f(x) dx above clip.

    For Laplace it is 2·exp(−clip). These are the clipping terms of ACIQ.
    """
    clips = _positive(clip, "clip")
    mass, first, second = tail_moments(density, clips)
    return 2 * (second - 2 * clips * first + clips**2 * mass)


def expected_rounding_error(clip: ArrayLike, bits: int) -> NDArray[np.float64]:
    """Δ²/12 = clip²/(3·4^bits): 2^bits cells of width Δ between ±clip, each flatly filled (ACIQ's rounding term)."""
    return _positive(clip, "clip") ** 2 / (3 * 4.0 ** valid.integer(bits, "bits", 1, 16))


def aciq_clip(density: str, bits: int) -> float:
    """ACIQ's clip for 2^bits cells, in units of σ ("gauss") or b ("laplace"): the minimum of its two error terms.

    At 2, 3 and 4 bits: 1.7106, 2.1516, 2.5591 σ and 2.8307, 3.8972, 5.0286 b (Banner et al. 2019). It counts the
    rounding error as if no value were clipped and every cell flat; `optimal_clip` does not.
    """
    bits = valid.integer(bits, "bits", 1, 16)
    return _minimum_of(
        lambda clip: float(expected_clipping_error(density, clip) + expected_rounding_error(clip, bits)),
        *_clip_bracket(2**bits),
    )


def uniform_error(density: str, step: float, levels: int) -> float:
    """Exact mean squared error of `levels` equally spaced levels, symmetric about zero, under a density.

    The levels are (i − (levels − 1)/2)·step: an odd number has one at zero, an even number has a threshold there.
    """
    step = valid.real(step, "step", above=0)
    levels = valid.integer(levels, "levels", 2, 65536)
    # By symmetry the positive half is enough; below the innermost threshold of an odd quantizer is half a cell.
    positive = step * (np.arange(levels // 2) + (0.5 if levels % 2 == 0 else 1.0))
    values = positive if levels % 2 == 0 else np.concatenate([[0.0], positive])
    thresholds = np.concatenate([[0.0], (values[:-1] + values[1:]) / 2])
    # What lies above each threshold, less what lies above the next: the moments within the cell.
    mass, first, second = (moment - np.append(moment[1:], 0) for moment in tail_moments(density, thresholds))
    return float(2 * np.sum(second - 2 * values * first + values**2 * mass))


def optimal_step(density: str, levels: int) -> float:
    """The step that minimises `uniform_error`, in units of σ ("gauss") or b ("laplace").

    For Gauss .9957, .5860, .3352 at 4, 8, 16 levels (Max 1960, table II, to its four digits).
    """
    levels = valid.integer(levels, "levels", 2, 65536)
    low, high = (2 * clip / levels for clip in _clip_bracket(levels))
    return _minimum_of(lambda step: uniform_error(density, step, levels), low, high)


def optimal_clip(density: str, bits: int) -> float:
    """Half the width of the 2^bits best cells, 2^bits·step/2: 2.6816 σ for Gauss at 4 bits, where ACIQ says 2.5591."""
    levels = 2 ** valid.integer(bits, "bits", 1, 16)
    return levels * optimal_step(density, levels) / 2


def tail_moments(density: str, t: ArrayLike) -> Moments:
    """∫ f, ∫ x·f and ∫ x²·f over x > t ≥ 0, for "gauss" with σ = 1 or "laplace" with b = 1 (σ = √2)."""
    t = np.asarray(t, np.float64)
    if valid.one_of(density, "density", DENSITIES) == "gauss":
        peak = np.exp(-(t**2) / 2) / math.sqrt(2 * math.pi)
        mass = np.reshape([math.erfc(value / math.sqrt(2)) / 2 for value in t.flat], t.shape)
        return mass, peak, mass + t * peak
    mass = np.exp(-t) / 2
    return mass, (t + 1) * mass, (t**2 + 2 * t + 2) * mass


def _clip_bracket(levels: int) -> tuple[float, float]:
    """Clips between which the best one lies, for both densities: it grows with the logarithm of the levels."""
    return 0.5, 4 + 3 * math.log(levels)


def _minimum_of(error: Callable[[float], float], low: float, high: float) -> float:
    """Where a function with one minimum between `low` and `high` has it, by golden-section search."""
    golden = (math.sqrt(5) - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    error_left, error_right = error(left), error(right)
    # Near a minimum an error changes by the square of the distance: closer than 1e-9 float64 sees no change.
    while high - low > 1e-9 * high:
        if error_left < error_right:
            high, right, error_right = right, left, error_left
            left = high - golden * (high - low)
            error_left = error(left)
        else:
            low, left, error_left = left, right, error_right
            right = low + golden * (high - low)
            error_right = error(right)
    return (low + high) / 2


def _positive(value: ArrayLike, name: str) -> NDArray[Any]:
    array = valid.real_array(value, name).astype(np.float64)
    if not (array > 0).all():
        raise ValueError(f"{name} holds {array.min()}: every one must be positive")
    return array
