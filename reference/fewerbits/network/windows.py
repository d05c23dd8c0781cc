"""Sliding windows over images: sizes, padding, and the unrolling of windows into columns of a matrix."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fewerbits.tensor import validation as valid

# Float values of unrolled windows, or of their products, at a time: 1 MiB stays near the core.
COLUMN_VALUES = 262144
NARROW = 16

Padding = int | tuple[int, int, int, int]


def window_geometry(
    size: tuple[int, ...], kernel: tuple[int, ...], stride: int, padding: Padding
) -> tuple[tuple[int, int, int, int], tuple[int, int]]:
    """Padding as (top, left, bottom, right), and the (height, width) of the result of sliding a window over `size`.

    Raises ValueError for a negative padding or one that is neither one width nor four, and for a kernel that does
    not fit into the padded size.
    """
    sides = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * 4
    if len(sides) != 4:
        raise ValueError(f"padding={padding!r} is not accepted: it must be one width or (top, left, bottom, right)")
    top, left, bottom, right = (valid.integer(side, "padding", 0) for side in sides)
    height, width = size[0] + top + bottom - kernel[0], size[1] + left + right - kernel[1]
    if height < 0 or width < 0:
        raise ValueError(f"kernel {tuple(kernel)} is larger than x with its padding={padding!r}, size {tuple(size)}")
    return (top, left, bottom, right), (height // stride + 1, width // stride + 1)


def unrolled(
    x: NDArray[Any],
    w_shape: tuple[int, ...],
    stride: int,
    pads: tuple[int, int, int, int],
    dtype: type[Any],
    *,
    border: int,
    lowered_by: int,
) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Every window of some images at a time as a column: (which images, (C·K_h·K_w, positions) of `dtype`).

    `x` is (N, C, H, W), `w_shape` (O, C/groups, K_h, K_w); `lowered_by` is subtracted from x, and `border` fills the
    padding. Positions are those of `images_first`. The columns are overwritten at each step.
    """
    count, channels, height, width = x.shape
    (top, left, bottom, right), kernel = pads, w_shape[2:]
    padded_size = height + top + bottom, width + left + right
    out_size = tuple((size - length) // stride + 1 for size, length in zip(padded_size, kernel))
    rows, positions = channels * math.prod(kernel), math.prod(out_size)
    block = min(count, max(1, COLUMN_VALUES // (max(rows, w_shape[0]) * positions)))
    innermost = _images_innermost(out_size[1])
    padded = np.full((channels, *padded_size, block) if innermost else (channels, block, *padded_size), border, dtype)
    padded = padded.transpose(0, 3, 1, 2) if innermost else padded  # (C, images, H_p, W_p)
    scratch = np.empty(rows * positions * block, dtype)
    for start in range(0, count, block):
        images = x[start : start + block]
        inner = padded[:, : len(images), top : top + height, left : left + width]
        inner[...] = images.transpose(1, 0, 2, 3)
        if lowered_by:
            inner -= dtype(lowered_by)
        windows = sliding_window_view(padded[:, : len(images)], kernel, axis=(2, 3))[:, :, ::stride, ::stride]
        windows = windows.transpose(0, 4, 5, 2, 3, 1) if innermost else windows.transpose(0, 4, 5, 1, 2, 3)
        columns = scratch[: windows.size].reshape(windows.shape)
        columns[...] = windows
        yield slice(start, start + len(images)), columns.reshape(rows, -1)


def images_first(values: NDArray[Any], out_size: tuple[int, int]) -> NDArray[Any]:
    """A view of (groups, O/groups, positions) or (O, positions) as (images, O, H', W')."""
    channels = math.prod(values.shape[:-1])
    if _images_innermost(out_size[1]):
        return values.reshape(channels, *out_size, -1).transpose(3, 0, 1, 2)
    return values.reshape(channels, -1, *out_size).transpose(1, 0, 2, 3)


def _images_innermost(out_width: int) -> bool:
    """Whether positions run over (H', W', images) and not (images, H', W').

    Copying windows of narrow images goes by runs of W' values, too short to be fast; with the images innermost they
    are runs of W'·images. Wide images gain nothing, and lose when the result is put back in order.
    """
    return out_width < NARROW
