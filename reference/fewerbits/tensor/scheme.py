"""The one idea of this package: a scheme stores real numbers in few bits and brings them back."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Scheme(Protocol):
    """What every format offers once it has been fitted to data (by its class method `fit`)."""

    def quantize(self, x: ArrayLike) -> NDArray[Any]:
        """Integer codes of `x`, in the shape of `x` (block formats state theirs)."""

    def dequantize(self, codes: ArrayLike) -> NDArray[np.float32]:
        """The float32 values that `codes` stand for."""

    def nbytes(self, shape: tuple[int, ...]) -> int:
        """Bytes that a tensor of `shape` takes: packed codes and all metadata (scales, codebooks)."""


def fake_quantize(scheme: Scheme, x: ArrayLike) -> NDArray[np.float32]:
    """x̂: `x` after one trip to codes and back, float32. The error of the scheme is x̂ − x."""
    return scheme.dequantize(scheme.quantize(x))


def bits_per_value(scheme: Scheme, shape: tuple[int, ...]) -> float:
    """Bits that one value of a tensor of `shape` costs, metadata included."""
    return 8 * scheme.nbytes(shape) / int(np.prod(shape))
