"""Integer matrix product and convolution with int32 accumulators, computed exactly by floating-point BLAS.

Two codes stand for a = s_a·(q_a − z_a) and b = s_b·(q_b − z_b), so that a product of matrices needs only integers:

    Σ(q_a − z_a)(q_b − z_b) = Σ q_a·q_b − z_b·Σ q_a − z_a·Σ q_b + K·z_a·z_b

(Jacob et al. 2018, eq. 7). The first term is a plain product of codes; the others, the zero-point cross terms,
cost one sum per row and one per column. Shifting an operand and its zero point by the same constant changes
nothing, so uint8 codes are first lowered by 128: every product is then at most 2¹⁴ in magnitude.

NumPy has no fast integer product, BLAS has a fast float one. A float sum of integers is exact, in whatever order
it is added, while no partial sum can exceed 2²⁴ (float32) or 2⁵³ (float64): `exact_dtype` picks by a proven bound.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewerbits.network.windows import Padding, images_first, unrolled, window_geometry
from fewerbits.tensor import validation as valid

INT32 = np.iinfo(np.int32)
# Float values of one operand cast at a time. Scratch this small is kept by the allocator; whole matrices came back from
# the kernel page by page, which cost up to half the speed.
ROW_VALUES = 131072


def integer_matmul(
    a: ArrayLike, b: ArrayLike, a_zero_point: ArrayLike = 0, b_zero_point: ArrayLike = 0
) -> NDArray[np.int32]:
    """Σ_k (a − a_zero_point)·(b − b_zero_point): int8 or uint8 (M, K) by (K, N) to int32 (M, N), exactly.

    `a_zero_point` is one integer; `b_zero_point` is one, or (N,) for one per output channel. The integers are
    those of ONNX MatMulInteger and of every engine that does not saturate on the way.
    Raises TypeError for other dtypes; ValueError for shapes that do not fit, zero points outside the dtype, and
    for an accumulator outside int32 (engines wrap it silently).
    """
    a, b = _codes(a, "a", 2), _codes(b, "b", 2)
    if a.shape[1] != b.shape[0]:
        raise ValueError(f"a has shape {a.shape} and b {b.shape}: a must have as many columns as b has rows")
    a_zero = _zero_points(a_zero_point, a, "a_zero_point", 1)
    b_zero = _zero_points(b_zero_point, b, "b_zero_point", b.shape[1])
    terms, dtype = a.shape[1], exact_dtype(a, b, axis=0)
    wide, b = _cross_term_dtype(terms), _lowered(b, dtype)
    # −z_a·(Σb − K·z_b), one number per column.
    constant = (-a_zero * (b.sum(axis=0).astype(np.int64) - terms * b_zero)).astype(wide)
    total = np.empty((len(a), b.shape[1]), _integer_dtype(terms))
    block = max(128, ROW_VALUES // max(b.shape))
    for start in range(0, len(a), block):
        rows = _lowered(a[start : start + block], dtype)
        product = (rows @ b).astype(wide, copy=False)
        if b_zero.any():
            product -= b_zero.astype(wide) * rows.sum(axis=1, keepdims=True).astype(wide)
        if constant.any():
            product += constant
        total[start : start + block] = product
    return _as_int32(total)


def integer_conv2d(
    x: ArrayLike,
    w: ArrayLike,
    x_zero_point: ArrayLike = 0,
    w_zero_point: ArrayLike = 0,
    stride: int = 1,
    padding: Padding = 0,
    groups: int = 1,
) -> NDArray[np.int32]:
    """Convolve codes `x` (N, C, H, W) with `w` (O, C/groups, K_h, K_w) into int32 (N, O, H', W'), exactly.

    Both are int8 or uint8. `w_zero_point` is one integer or (O,). `padding` is one width for all sides or
    (top, left, bottom, right); it holds `x_zero_point`, the code of zero. `groups` = C is depthwise.
    Cross-correlation as in ONNX QLinearConv and PyTorch. A few MiB are needed besides the result.
    Raises as `integer_matmul`, and ValueError for channel counts that do not fit or a kernel larger than x.
    """
    x, w = _codes(x, "x", 4), _codes(w, "w", 4)
    stride, groups = valid.integer(stride, "stride", 1), valid.integer(groups, "groups", 1)
    if x.shape[1] != w.shape[1] * groups or w.shape[0] % groups:
        raise ValueError(
            f"x has {x.shape[1]} channels, w has shape {w.shape}, groups={groups}: needed are w.shape[1]·groups "
            "channels of x, and a w.shape[0] that groups divides"
        )
    x_zero = _zero_points(x_zero_point, x, "x_zero_point", 1)
    w_zero = np.broadcast_to(_zero_points(w_zero_point, w, "w_zero_point", len(w)), len(w))
    pads, out_size = window_geometry(x.shape[2:], w.shape[2:], stride, padding)
    terms, dtype = w[0].size, exact_dtype(x, w, axis=(1, 2, 3))
    wide, w = _cross_term_dtype(terms), _lowered(w, dtype)
    weights, w_zero = w.reshape(groups, -1, terms), w_zero.reshape(groups, -1, 1)  # (groups, O/groups, ...)
    # −z_x·(Σw − K·z_w) is the same at every position, because padding holds z_x.
    constant = (-x_zero * (weights.sum(axis=2, keepdims=True).astype(np.int64) - terms * w_zero)).astype(wide)
    total = np.empty((len(x), len(w), *out_size), _integer_dtype(terms))
    how = {"border": x_zero[0], "lowered_by": _offset(x)}
    for images, columns in unrolled(x, w.shape, stride, pads, dtype, **how):
        columns = columns.reshape(groups, terms, -1)
        product = (weights @ columns).astype(wide, copy=False)  # (groups, O/groups, positions)
        if w_zero.any():
            product -= w_zero.astype(wide) * columns.sum(axis=1, keepdims=True).astype(wide)
        if constant.any():
            product += constant
        total[images] = images_first(product, out_size)
    return _as_int32(total)


def add_bias(accumulators: ArrayLike, bias: ArrayLike, axis: int = 1) -> NDArray[np.int32]:
    """Int32 accumulators plus an int32 bias (channels along `axis`); ValueError for a sum outside int32."""
    total = valid.integer_codes(accumulators, INT32.min, INT32.max, "accumulators")
    bias = valid.integer_codes(bias, INT32.min, INT32.max, "bias")
    axis = valid.axis_of(axis, total.ndim)
    if bias.shape != (total.shape[axis],):
        raise ValueError(f"bias has shape {bias.shape}: it must be ({total.shape[axis]},), the channels of axis {axis}")
    shape = [-1 if index == axis else 1 for index in range(total.ndim)]
    if max(abs(int(total.min())), abs(int(total.max()))) + int(np.abs(bias.astype(np.int64)).max()) <= INT32.max:
        return np.add(total, bias.reshape(shape), dtype=np.int32, casting="unsafe")
    return _as_int32(np.add(total, bias.reshape(shape), dtype=np.int64))


def quantize_bias(bias: ArrayLike, s_x: ArrayLike, s_w: ArrayLike) -> NDArray[np.int32]:
    """Int32 codes of a float bias at the scale of the accumulators: rint(bias/(s_x·s_w)), zero point 0.

    `bias` is (O,); `s_x` one positive scale, `s_w` one or (O,). The product of the scales is float32, as a model
    stores it, the quotient float64, and ties go to even, as in the quantizer of ONNX Runtime.
    Raises ValueError for a scale that is not positive, a product that float32 cannot hold, shapes that do not fit,
    and a code outside int32.
    """
    bias, scale = valid.real_array(bias, "bias").astype(np.float64), bias_scale(s_x, s_w)
    if bias.ndim != 1 or scale.shape not in ((), (1,), bias.shape):
        raise ValueError(f"bias has shape {bias.shape} and s_w {np.shape(s_w)}: needed are (O,) and () or (O,)")
    with np.errstate(over="ignore", under="ignore"):
        codes = np.rint(bias / scale)
    outside = (codes < INT32.min) | (codes > INT32.max)
    if outside.any():
        channel = int(np.argmax(outside))
        raise ValueError(
            f"bias of channel {channel}, {bias[channel]}, has the code {codes[channel]:.6g} at the scale s_x·s_w = "
            f"{np.broadcast_to(scale, bias.shape)[channel]:.6g}: accepted are codes in int32"
        )
    return codes.astype(np.int32)


def bias_scale(s_x: ArrayLike, s_w: ArrayLike) -> NDArray[np.float32]:
    """s_x·s_w in float32, the scale of accumulators and bias, in the shape of `s_w`; `s_x` is one scale.

    Raises ValueError for scales that are not positive and finite, and for a product that float32 cannot hold.
    """
    s_x, s_w = positive_scales(s_x, "s_x"), positive_scales(s_w, "s_w")
    if s_x.size != 1:
        raise ValueError(f"s_x has shape {s_x.shape}: accumulators need one scale of the input")
    with np.errstate(over="ignore", under="ignore"):
        scale = s_x.reshape(()) * s_w
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise ValueError(f"s_x={s_x} times s_w={s_w} leaves the range of float32: the product must be positive")
    return np.asarray(scale)


def positive_scales(scale: ArrayLike, name: str) -> NDArray[np.float32]:
    """`scale` as float32, each one positive and finite; raises ValueError naming it otherwise."""
    with np.errstate(over="ignore", under="ignore"):
        array = valid.real_array(scale, name).astype(np.float32)
    if not (np.isfinite(array).all() and (array > 0).all()):
        raise ValueError(f"{name} holds {array.min()} as float32: every scale must be positive and finite")
    return array


def exact_dtype(a: NDArray[Any], b: NDArray[Any], axis: int | tuple[int, ...] = 0) -> type[np.floating[Any]]:
    """float32 when Σ a·b over `axis` of `b` is provably exact in it for 8-bit codes lowered to −128..127.

    No partial sum exceeds max|a|·Σ|b|. First with 128 for every code, which needs K alone, then, if that exceeds
    2²⁴ (from K = 1025 on), with the values themselves; float64 beyond, which is exact up to K = 2³⁹.
    """
    terms = math.prod(b.shape[index] for index in np.atleast_1d(axis))
    if terms * 2**14 <= 2**24:
        return np.float32
    largest = max(int(a.max()) - _offset(a), _offset(a) - int(a.min()))
    column_sums = np.abs(_lowered(b, np.int16)).sum(axis=axis, dtype=np.int64)
    bound = max(largest * int(column_sums.max()), 128 * terms)
    return np.float32 if bound <= 2**24 else np.float64


def _codes(codes: ArrayLike, name: str, ndim: int) -> NDArray[Any]:
    array = np.asarray(codes)
    if array.dtype not in (np.int8, np.uint8):
        raise TypeError(f"{name} has dtype {array.dtype}: accepted are int8 and uint8")
    if array.ndim != ndim or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}: it must have {ndim} axes and hold at least one code")
    return array


def _zero_points(zero_point: ArrayLike, codes: NDArray[Any], name: str, channels: int) -> NDArray[np.int64]:
    """Zero points of lowered codes: (1,) or (channels,)."""
    limits = np.iinfo(codes.dtype)
    array = valid.integer_codes(zero_point, limits.min, limits.max, name)
    if array.shape not in ((), (1,), (channels,)):
        wanted = "one integer" if channels == 1 else f"one integer or shape ({channels},)"
        raise ValueError(f"{name} has shape {array.shape}: it must be {wanted}")
    return np.atleast_1d(array).astype(np.int64) - _offset(codes)


def _offset(codes: NDArray[Any]) -> int:
    return 128 if codes.dtype == np.uint8 else 0


def _lowered(codes: NDArray[Any], dtype: type[Any]) -> NDArray[Any]:
    """The codes minus 128 if they are uint8, in the wider `dtype`."""
    lowered = codes.astype(dtype)
    if _offset(codes):
        lowered -= dtype(128)
    return lowered


def _cross_term_dtype(terms: int) -> type[Any]:
    """Where the product and its three cross terms, each at most 2¹⁴·K, are added exactly: float32, then integers."""
    return np.float32 if 4 * terms * 2**14 <= 2**24 else _integer_dtype(terms)


def _integer_dtype(terms: int) -> type[np.signedinteger[Any]]:
    return np.int32 if 4 * terms * 2**14 <= INT32.max else np.int64


def _as_int32(total: NDArray[Any]) -> NDArray[np.int32]:
    if total.dtype == np.int32:
        return total
    if total.min() < INT32.min or total.max() > INT32.max:
        raise ValueError(f"accumulators reach from {total.min()} to {total.max()}: int32 overflows; use fewer terms")
    return total.astype(np.int32)
