"""Levels at quantiles: of the normal density (NormalFloat, NF4) or of the data. Each code is used about equally often.

That maximises the entropy of the codes, not the accuracy: for the least squared error more levels belong in the tails
(`lloyd_max`, `k_means`). Source of NormalFloat: Dettmers et al., "QLoRA" (2023), and its published code.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewerbits.tensor import validation as valid

# As published in bitsandbytes; `normal_float_levels(4)` constructs the same to 2e-7.
NF4 = np.array(
    [
        [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453],
        [-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0],
        [0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224],
        [0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0],
    ],
    np.float32,
).ravel()


def normal_float_levels(bits: int = 4) -> NDArray[np.float32]:
    """NormalFloat levels of `bits` bits (2..8): quantiles of the normal density, over the largest; zero is one of them.

    2^(bits−1) quantiles above zero and one fewer below, from ½ to 1 − (1/2N + 1/2(N−1))/2 where N = 2^bits: the
    construction of the QLoRA code. Four bits are NF4.
    """
    half = 2 ** (valid.integer(bits, "bits", 2, 8) - 1)
    farthest = 1 - (1 / (4 * half) + 1 / (4 * half - 2)) / 2
    quantile = NormalDist().inv_cdf
    above = [quantile(p) for p in np.linspace(0.5, farthest, half + 1)[1:]]
    below = [-quantile(p) for p in np.linspace(0.5, farthest, half)[:0:-1]]
    return (np.array([*below, 0.0, *above]) / quantile(farthest)).astype(np.float32)


def quantile_levels(x: ArrayLike, bits: int = 4) -> NDArray[np.float32]:
    """The medians of 2^bits equally filled parts of `x`: each code is used about equally often.

    Equal medians become one level. Raises ValueError/TypeError for NaN, infinity, empty or non-real `x`.
    """
    x = valid.real_array(x)
    count = 2 ** valid.integer(bits, "bits", 1, 16)
    return np.unique(np.quantile(x, (np.arange(count) + 0.5) / count).astype(np.float32))
