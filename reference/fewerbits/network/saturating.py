"""The integers that an x86 CPU without VNNI computes for uint8 × int8, so that they can be seen on any CPU.

Such a CPU multiplies with `vpmaddubsw`: two neighbouring uint8·int8 products are added into 16 bits and saturate at
−32768 and 32767, before the pairs are added in 32 bits. [255, 255]·[127, 127] gives 32767, not 64770. Nothing
saturates while |w| ≤ 64 (2·255·64 < 2¹⁵ − 1), hence the advice of 7-bit weights; products of int8 × int8 and
uint8 × uint8 take other instructions and are exact. Zero points do not help: raw codes are multiplied, the cross
terms come after. Sources: Intel's intrinsics guide (vpmaddubsw); ONNX Runtime's quantization guide ("reduce_range").
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from fewerbits.network.arithmetic import integer_conv2d, integer_matmul
from fewerbits.network.windows import Padding, window_geometry

INT16 = np.iinfo(np.int16)
# Handled at a time: 1 MiB of unrolled codes, 1 MiB of pair sums.
COLUMN_CODES = 2**20
PAIR_VALUES = 2**18


def saturating_matmul(
    a: ArrayLike, b: ArrayLike, a_zero_point: ArrayLike = 0, b_zero_point: ArrayLike = 0
) -> NDArray[np.int32]:
    """`integer_matmul` of uint8 (M, K) by int8 (K, N) with pairs of products saturated to 16 bits.

    Pairs are (0, 1), (2, 3), ... along K; an odd K pairs its last product with zero. The integers are those of ONNX
    Runtime's MatMulInteger, QLinearMatMul and QGemm on x86-64 with AVX2 and without VNNI.
    Raises as `integer_matmul`, and TypeError for codes other than uint8 by int8, which do not saturate.
    """
    a, b = _unsigned_by_signed(a, b, "a", "b")
    exact = integer_matmul(a, b, a_zero_point, b_zero_point)
    return exact - _excess(a, b)


def saturating_conv2d(
    x: ArrayLike,
    w: ArrayLike,
    x_zero_point: ArrayLike = 0,
    w_zero_point: ArrayLike = 0,
    stride: int = 1,
    padding: Padding = 0,
    groups: int = 1,
) -> NDArray[np.int32]:
    """`integer_conv2d` of uint8 `x` by int8 `w` with pairs of products saturated to 16 bits.

    The sum of one output runs over kernel rows, kernel columns, then channels (the engine works channels last), and
    pairs are formed along that order; padding takes part with `x_zero_point`. A depthwise convolution with one
    output per channel is exact: ONNX Runtime has another kernel for it. Raises as `saturating_matmul`.
    """
    x, w = _unsigned_by_signed(x, w, "x", "w")
    exact = integer_conv2d(x, w, x_zero_point, w_zero_point, stride, padding, groups)
    out_channels, per_group = w.shape[:2]
    if per_group == 1 and out_channels == groups:
        return exact
    (top, left, bottom, right), out_size = window_geometry(x.shape[2:], w.shape[2:], stride, padding)
    sides = ((0, 0), (0, 0), (top, bottom), (left, right))
    padded = np.pad(x, sides, constant_values=np.asarray(x_zero_point, np.uint8).item())
    windows = sliding_window_view(padded, w.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    windows = windows.transpose(0, 2, 3, 4, 5, 1)  # (N, H', W', K_h, K_w, C)
    block = max(1, COLUMN_CODES // (w[0].size * math.prod(out_size)))
    for group, start in product(range(groups), range(0, len(x), block)):
        outputs = slice(group * out_channels // groups, (group + 1) * out_channels // groups)
        weights = w[outputs].transpose(2, 3, 1, 0).reshape(-1, out_channels // groups)  # (K_h·K_w·C, O)
        columns = windows[start : start + block, ..., group * per_group : (group + 1) * per_group]
        excess = _excess(columns.reshape(-1, len(weights)), weights)  # (images·H'·W', O)
        exact[start : start + block, outputs] -= excess.reshape(-1, *out_size, weights.shape[1]).transpose(0, 3, 1, 2)
    return exact


def pairs_at_risk(b: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Which pairs of int8 weights (K, N) can saturate for some uint8 codes: bool (⌈K/2⌉, N)."""
    wide = _even(b)
    highest = 255 * (np.maximum(wide[0::2], 0) + np.maximum(wide[1::2], 0))
    lowest = 255 * (np.minimum(wide[0::2], 0) + np.minimum(wide[1::2], 0))
    return (highest > INT16.max) | (lowest < INT16.min)


def _excess(a: NDArray[np.uint8], b: NDArray[np.int8]) -> NDArray[np.int32]:
    """What saturation takes away from a @ b, (M, N): computed only for the pairs of weights that can saturate."""
    lost = np.zeros((len(a), b.shape[1]), np.int32)
    column, pair = np.nonzero(pairs_at_risk(b).T)
    if column.size == 0:
        return lost
    first, second = 2 * pair, np.minimum(2 * pair + 1, len(b) - 1)
    b_first, b_second = _even(b)[2 * pair, column], _even(b)[2 * pair + 1, column]
    columns, starts = np.unique(column, return_index=True)
    rows = max(1, PAIR_VALUES // column.size)
    for start in range(0, len(a), rows):
        block = a[start : start + rows]
        sums = block[:, first] * b_first + block[:, second] * b_second
        sums -= np.clip(sums, INT16.min, INT16.max)
        lost[start : start + rows, columns] = np.add.reduceat(sums, starts, axis=1)
    return lost


def _even(b: NDArray[np.int8]) -> NDArray[np.int32]:
    """`b` in int32 with an even number of rows: an odd one out is paired with zero."""
    return np.pad(b.astype(np.int32), ((0, len(b) % 2), (0, 0)))


def _unsigned_by_signed(
    unsigned: ArrayLike, signed: ArrayLike, unsigned_name: str, signed_name: str
) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    left, right = np.asarray(unsigned), np.asarray(signed)
    if left.dtype != np.uint8 or right.dtype != np.int8:
        raise TypeError(
            f"{unsigned_name} has dtype {left.dtype} and {signed_name} {right.dtype}: accepted are uint8 and int8, "
            "the only product that saturates"
        )
    return left, right
