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
        # Adding ½ and truncating is wrong for 0.49999997, whose sum with ½ rounds to 1 in float32.
        fraction, whole = np.modf(x)
        np.add(whole, np.copysign(np.abs(fraction) >= 0.5, x), out=x)
    elif rounding == "toward_zero":
        np.trunc(x, out=x)
    elif rounding == "floor":
        np.floor(x, out=x)
    elif rounding == "stochastic":
        if rng is None:
            raise ValueError("rng=None is not accepted for rounding='stochastic': pass a numpy Generator")
        whole = np.floor(x)
        np.add(whole, rng.random(x.shape) < x - whole, out=x)
    else:
        raise ValueError(f"rounding={rounding!r} is not known: accepted are {', '.join(map(repr, ROUNDINGS))}")
