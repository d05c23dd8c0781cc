"""Two-dimensional convolution (cross-correlation, as in ONNX and PyTorch) of float arrays through BLAS."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.network.windows import images_first, unrolled, window_geometry


def convolve(x: NDArray[Any], w: NDArray[Any], stride: int = 1, padding: int = 0, groups: int = 1) -> NDArray[Any]:
    """Convolve `x` (N, C, H, W) with `w` (O, C/groups, K, K), both of one float dtype; returns (N, O, H', W').

    Zeros surround each image. A few MiB are needed besides the result. Raises ValueError for a kernel that does
    not fit into the padded image.
    """
    pads, out_size = window_geometry(x.shape[2:], w.shape[2:], stride, padding)
    out = np.empty((len(x), len(w), *out_size), x.dtype)
    weights = w.reshape(groups, len(w) // groups, -1)
    for images, columns in unrolled(x, w.shape, stride, pads, x.dtype.type, border=0, lowered_by=0):
        out[images] = images_first(weights @ columns.reshape(groups, weights.shape[2], -1), out_size)
    return out
