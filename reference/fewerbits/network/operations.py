"""Operations between convolutions, on codes: ReLU, pooling, addition and concatenation with aligned scales.

A code means nothing without its scale: two tensors may be added or joined only when both are expressed at one scale.
Functions that need scales take the schemes (`Uniform`, per tensor) of what they read and of what they write. They
round as ONNX Runtime's integer kernels do on x86-64, which that engine runs in place of dequantize, operation,
quantize: com.microsoft QLinearAdd, QLinearConcat, QLinearAveragePool and QLinearGlobalAveragePool.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewerbits.network.requantize import requantize
from fewerbits.network.windows import Padding, window_geometry
from fewerbits.tensor import validation as valid
from fewerbits.tensor.uniform import Uniform

ADD_RULES = ("fused", "dequantize")


def relu(codes: ArrayLike, zero_point: int) -> NDArray[Any]:
    """max(q, z): on codes, a ReLU keeps what lies above the code of zero. Scale and zero point stay."""
    array = _as_codes(codes, "codes")
    limits = np.iinfo(array.dtype)
    return np.maximum(array, array.dtype.type(valid.integer(zero_point, "zero_point", limits.min, limits.max)))


def max_pool2d(codes: ArrayLike, kernel: int = 2, stride: int | None = None, padding: Padding = 0) -> NDArray[Any]:
    """The largest code under each window of (N, C, H, W); scale and zero point stay, since order survives.

    `stride` is `kernel` unless given. Padding never wins (ONNX and PyTorch MaxPool).
    """
    array = _as_codes(codes, "codes", 4)
    result: NDArray[Any] | None = None
    for window in _shifted_windows(array, kernel, stride, padding, np.iinfo(array.dtype).min):
        result = window.copy() if result is None else np.maximum(result, window, out=result)
    assert result is not None
    return result


def average_pool2d(
    codes: ArrayLike,
    x_scheme: Uniform,
    y_scheme: Uniform,
    kernel: int = 2,
    stride: int | None = None,
    padding: Padding = 0,
) -> NDArray[Any]:
    """Codes of the mean under each window of (N, C, H, W); padding does not count (count_include_pad = 0).

    QLinearAveragePool's rule: float32 sum of s_x·(q − z_x) in row order, divided by the count and by s_y, z_y added
    before rounding half to even.
    """
    array = _as_codes(codes, "codes", 4)
    _per_tensor(x_scheme, "x_scheme"), _per_tensor(y_scheme, "y_scheme")
    inside = np.ones((1, 1, *array.shape[2:]), np.float32)
    count = sum(_shifted_windows(inside, kernel, stride, padding, 0))
    total = sum(_shifted_windows(x_scheme.dequantize(array), kernel, stride, padding, 0))
    mean = np.asarray(total / count, np.float32)
    with np.errstate(over="ignore", under="ignore"):
        return _saturated(mean / y_scheme.scale + np.float32(y_scheme.zero_point), y_scheme)


def global_average_pool(codes: ArrayLike, x_scheme: Uniform, y_scheme: Uniform) -> NDArray[Any]:
    """Codes (N, C) of the mean of each channel of (N, C, H, W).

    QLinearGlobalAveragePool's rule: the integer sum Σ(q − z_x), requantized ("float32") by s_x/(s_y·H·W).
    """
    array = _as_codes(codes, "codes", 4)
    _per_tensor(x_scheme, "x_scheme"), _per_tensor(y_scheme, "y_scheme")
    valid.integer_codes(array, x_scheme.qmin, x_scheme.qmax)
    area = array.shape[2] * array.shape[3]
    sums = array.sum(axis=(2, 3), dtype=np.int32) - area * x_scheme.zero_point
    with np.errstate(over="ignore", under="ignore"):
        multiplier = x_scheme.scale / (y_scheme.scale * np.float32(area))
    return requantize(
        sums, multiplier, int(y_scheme.zero_point), y_scheme.qmin, y_scheme.qmax, dtype=y_scheme.code_dtype
    )


def add(
    a: ArrayLike,
    b: ArrayLike,
    a_scheme: Uniform,
    b_scheme: Uniform,
    y_scheme: Uniform | None = None,
    rule: str = "fused",
) -> NDArray[Any]:
    """Codes of a + b at the scale of `y_scheme`, for codes of one shape at two scales.

    - "fused": with r = s/s_y, round(q_a·r_a + (q_b·r_b + (z_y − (r_a·z_a + r_b·z_b)))), each step one float32 fused
      multiply-add (QLinearAdd on x86-64 with AVX2);
    - "dequantize": round((x_a + x_b)/s_y) + z_y, what remains of dequantize, add, quantize when an engine does not
      fuse it (a ReLU in between whose zero point is not qmin).

    Without `y_scheme` no alignment is asked for: both schemes must then have the same scale and zero point.
    """
    a, b = _as_codes(a, "a"), _as_codes(b, "b")
    if a.shape != b.shape:
        raise ValueError(f"a has shape {a.shape} and b {b.shape}: both must have the same shape")
    valid.one_of(rule, "rule", ADD_RULES)
    schemes = (_per_tensor(a_scheme, "a_scheme"), _per_tensor(b_scheme, "b_scheme"))
    target = _common_scheme(schemes) if y_scheme is None else _per_tensor(y_scheme, "y_scheme")
    if rule == "dequantize":
        return target.quantize(a_scheme.dequantize(a) + b_scheme.dequantize(b))
    valid.integer_codes(a, a_scheme.qmin, a_scheme.qmax, "a"), valid.integer_codes(b, b_scheme.qmin, b_scheme.qmax, "b")
    with np.errstate(over="ignore", under="ignore"):
        a_ratio, b_ratio = a_scheme.scale / target.scale, b_scheme.scale / target.scale
        offset = _multiply_add(a_scheme.zero_point, a_ratio, b_ratio * np.float32(b_scheme.zero_point))
        total = _multiply_add(b, b_ratio, np.float32(target.zero_point) - offset)
        return _saturated(_multiply_add(a, a_ratio, total), target)


def concat(
    codes: Sequence[ArrayLike], schemes: Sequence[Uniform], y_scheme: Uniform | None = None, axis: int = 1
) -> NDArray[Any]:
    """Join codes along `axis`, each first re-expressed at the scale of `y_scheme` (`align`): QLinearConcat.

    Without `y_scheme` no alignment is asked for: all schemes must then have the same scale and zero point.
    """
    if len(codes) == 0 or len(codes) != len(schemes):
        raise ValueError(f"codes has {len(codes)} tensors and schemes {len(schemes)}: one scheme for each is needed")
    target = _common_scheme(schemes) if y_scheme is None else y_scheme
    return np.concatenate([align(array, scheme, target) for array, scheme in zip(codes, schemes)], axis=axis)


def align(codes: ArrayLike, x_scheme: Uniform, y_scheme: Uniform) -> NDArray[Any]:
    """The codes at the scale of `y_scheme`: dequantize, quantize, through a table of all codes of `x_scheme`."""
    _per_tensor(x_scheme, "x_scheme"), _per_tensor(y_scheme, "y_scheme")
    array = valid.integer_codes(codes, x_scheme.qmin, x_scheme.qmax)
    every_code = np.arange(x_scheme.qmin, x_scheme.qmax + 1, dtype=x_scheme.code_dtype)
    table = y_scheme.quantize(x_scheme.dequantize(every_code))
    return table[array.astype(np.int32) - x_scheme.qmin]


def _multiply_add(x: NDArray[Any], ratio: Any, offset: Any) -> NDArray[np.float32]:
    """x·ratio + offset with one rounding to float32: the product of a code and a float32 is exact in float64."""
    return np.asarray(np.multiply(x, ratio, dtype=np.float64) + offset).astype(np.float32)


def _saturated(real_codes: NDArray[np.float32], scheme: Uniform) -> NDArray[Any]:
    return np.clip(np.rint(real_codes), scheme.qmin, scheme.qmax).astype(scheme.code_dtype)


def _shifted_windows(
    x: NDArray[Any], kernel: int, stride: int | None, padding: Padding, fill: Any
) -> Iterator[NDArray[Any]]:
    """For each position in the window, in row order, the value there under every window: (N, C, H', W')."""
    kernel = valid.integer(kernel, "kernel", 1)
    stride = kernel if stride is None else valid.integer(stride, "stride", 1)
    (top, left, bottom, right), size = window_geometry(x.shape[2:], (kernel, kernel), stride, padding)
    if max(top, left, bottom, right) >= kernel:
        raise ValueError(f"padding={padding!r} is not accepted with kernel={kernel}: a window could hold no code")
    if top + left + bottom + right:
        x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    height, width = (stride * (length - 1) + 1 for length in size)
    for i, j in np.ndindex(kernel, kernel):
        yield x[:, :, i : i + height : stride, j : j + width : stride]


def _as_codes(codes: ArrayLike, name: str, ndim: int | None = None) -> NDArray[Any]:
    array = np.asarray(codes)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {array.dtype}: accepted are integer codes")
    if array.size == 0 or (ndim is not None and array.ndim != ndim):
        wanted = "at least one code" if ndim is None else f"{ndim} axes and at least one code"
        raise ValueError(f"{name} has shape {array.shape}: it must have {wanted}")
    return array


def _per_tensor(scheme: Uniform, name: str) -> Uniform:
    if scheme.scale.ndim:
        raise ValueError(f"{name} has scales of shape {scheme.scale.shape}: activations need one scale, axis=None")
    return scheme


def _common_scheme(schemes: Sequence[Uniform]) -> Uniform:
    """The first scheme, when all agree with it."""
    first = schemes[0]
    for other in schemes[1:]:
        if not (np.array_equal(first.scale, other.scale) and np.array_equal(first.zero_point, other.zero_point)):
            raise ValueError(
                f"y_scheme=None is not accepted for codes of different scales: {first.scale} with zero point "
                f"{first.zero_point}, and {other.scale} with {other.zero_point}. Pass y_scheme to align them"
            )
    return first
