"""Rounding rules for real numbers, each by the name the field uses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

ROUNDINGS = ("half_even", "half_away", "toward_zero", "floor", "stochastic")


def round_in_place(x: NDArray[Any], rounding: str = "half_even", rng: np.random.Generator | None = None) -> None:
    """Replace each value of the float array `x` by an integer under the named rule.

    - "half_even": nearest, ties to the even integer (IEEE 754; ONNX, ONNX Runtime, PyTorch);
    - "half_away": nearest, ties away from zero (C's `round`; TFLite's quantizer);
    - "toward_zero": drop the fraction (a C cast); "floor": next lower integer (an arithmetic shift);
    - "stochastic": up with the probability of the fraction, so that the mean error is zero (Gupta et al. 2015);
      it draws from `rng`, which only this rule needs.
    """
    if rounding == "half_even":
        np.rint(x, out=x)
    elif rounding == "half_away":
        # Adding ½ would carry its predecessor up to 1; adding that predecessor rounds ½ up and itself down.
        below_half = np.nextafter(x.dtype.type(0.5), x.dtype.type(0))
        np.add(x, np.copysign(below_half, x), out=x)
        np.trunc(x, out=x)
    elif rounding == "toward_zero":
        np.trunc(x, out=x)
    elif rounding == "floor":
        np.floor(x, out=x)
    elif rounding == "stochastic":
        if rng is None:
            raise ValueError("rng=None is not accepted for rounding='stochastic': pass a numpy Generator")
        draws = rng.random(x.shape, x.dtype.type)
        whole = np.floor(x)
        np.subtract(x, whole, out=x)
        np.add(whole, draws < x, out=x)
    else:
        raise ValueError(f"rounding={rounding!r} is not known: accepted are {', '.join(map(repr, ROUNDINGS))}")


def fused_multiply_add(x: NDArray[Any], y: NDArray[Any], z: NDArray[Any]) -> NDArray[np.float32]:
    """x·y + z rounded once, as the FMA instruction does, for float32 `x` and `y` and integers `z` below 2^16.

    The product is exact in float64. Where float64 rounds the sum, its odd neighbour stands for it, so that the
    second rounding, to float32, never meets a tie that is none (rounding to odd: Boldo & Melquiond 2008).
    """
    # NumPy makes scalars of results without axes; `out` needs arrays.
    product = np.asarray(np.multiply(x, y, dtype=np.float64))
    total = np.asarray(np.add(product, z))
    lost = np.subtract(product, total - z, out=product)
    even = total.view(np.int64) & 1 == 0
    np.nextafter(total, np.copysign(np.inf, lost), out=total, where=even & (lost != 0))
    with np.errstate(over="ignore"):
        return total.astype(np.float32)
