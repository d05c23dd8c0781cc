"""Requantization: int32 accumulators at s_x·s_w become codes at s_y, y = clip(round(acc·m) + z_y) with m = s_x·s_w/s_y.

Engines agree on the formula and differ in its rounding, so the rule has a name:

- "float32": rint(float32(acc)·float32(m)), ties to even. ONNX Runtime and XNNPACK's float kernels.
- "gemmlowp": m = M0·2⁻ⁿ in fixed point (Jacob et al. 2018, section 2.2), two roundings: a doubling high multiply
  whose ties go up, then a shift whose ties go away from zero. TensorFlow Lite's reference kernels.
- "single_half_away": the same M0 and n, one rounding, ties away from zero.
- "half_up": the same M0 and n, one rounding, ties toward +∞. TensorFlow Lite with TFLITE_SINGLE_ROUNDING.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewerbits.network.arithmetic import INT32, bias_scale, positive_scales
from fewerbits.tensor import validation as valid

RULES = ("float32", "gemmlowp", "single_half_away", "half_up")
# Accumulators handled at a time: 512 KiB of int64 stay in the L2 cache.
CHUNK = 65536


def output_multiplier(s_x: ArrayLike, s_w: ArrayLike, s_y: ArrayLike, precision: str = "float32") -> NDArray[Any]:
    """m = s_x·s_w/s_y in the shape of `s_w`, from float32 scales; each operation rounds to `precision`.

    "float32" is ONNX Runtime's, "float64" TensorFlow Lite's: they lead to other integers near a tie.
    Raises ValueError for scales that are not positive and finite and for a product or quotient outside float32.
    """
    dtype = np.dtype(valid.one_of(precision, "precision", ("float32", "float64")))
    accumulator_scale = bias_scale(s_x, s_w)
    s_x, s_w, s_y = (positive_scales(scale, name) for scale, name in ((s_x, "s_x"), (s_w, "s_w"), (s_y, "s_y")))
    if s_y.size != 1:
        raise ValueError(f"s_y has shape {s_y.shape}: the output has one scale")
    if precision == "float64":
        accumulator_scale = np.multiply(s_x.reshape(()), s_w, dtype=np.float64)
    with np.errstate(over="ignore", under="ignore"):
        multiplier = np.asarray(np.divide(accumulator_scale, s_y.reshape(()), dtype=dtype))
    if not (np.isfinite(multiplier).all() and (multiplier > 0).all()):
        raise ValueError(f"s_y={s_y} makes the multiplier {multiplier}: it must be positive and finite in {precision}")
    return multiplier


def fixed_point_multiplier(multiplier: ArrayLike) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(M0, shift) with multiplier ≈ M0·2^(shift − 31), M0 in [2³⁰, 2³¹): 31 bits of the multiplier.

    M0 = round(fraction·2³¹), half away. Where that is 2³¹, M0 is halved and the shift raised (TensorFlow Lite's
    QuantizeMultiplier). Below 2⁻³² a multiplier takes every int32 to 0; it gets (0, 0).
    Raises ValueError for a multiplier that is not positive and finite, or 2³⁰ and more.

    >>> M0, shift = fixed_point_multiplier(0.75)
    >>> int(M0), int(shift)
    (1610612736, 0)
    """
    real = valid.real_array(multiplier, "multiplier").astype(np.float64)
    if not ((real > 0) & (real < 2.0**30)).all():
        wrong = real[~((real > 0) & (real < 2.0**30))][0]
        raise ValueError(f"multiplier holds {wrong}: accepted are numbers greater than 0 and less than 2^30")
    fraction, shift = np.frexp(real)
    M0 = np.floor(fraction * 2.0**31 + 0.5).astype(np.int64)
    overflow = M0 == 2**31
    M0, shift = np.where(overflow, M0 // 2, M0), shift + overflow
    vanishes = shift < -31
    return np.where(vanishes, 0, M0).astype(np.int32), np.where(vanishes, 0, shift).astype(np.int32)


def scale_by_fixed_point(
    accumulators: ArrayLike, M0: ArrayLike, shift: ArrayLike, rule: str = "gemmlowp"
) -> NDArray[np.int64]:
    """accumulators·M0·2^(shift − 31), rounded by one of the three fixed-point rules; integers only.

    `M0` and `shift` broadcast against the int32 accumulators. Raises ValueError for an accumulator that the left
    shift of "gemmlowp" (a multiplier of 1 or more) would push out of int32.
    """
    valid.one_of(rule, "rule", RULES[1:])
    wide = valid.integer_codes(accumulators, INT32.min, INT32.max, "accumulators").astype(np.int64)
    M0 = valid.integer_codes(M0, 0, INT32.max, "M0").astype(np.int64)
    shift = valid.integer_codes(shift, -31, 30, "shift").astype(np.int64)
    if rule == "gemmlowp":
        wide = wide << np.maximum(shift, 0)
        if wide.min() < INT32.min or wide.max() > INT32.max:
            raise ValueError(f"accumulators shifted left by shift={shift.max()} leave int32: use a smaller multiplier")
        high = (wide * M0 + 2**30) >> 31
        return _shift_half_away(high, np.maximum(-shift, 0))
    product = wide * M0
    if rule == "single_half_away":
        return _shift_half_away(product, 31 - shift)
    return (product + (np.int64(1) << (30 - shift))) >> (31 - shift)


def requantize(
    accumulators: ArrayLike,
    multiplier: ArrayLike,
    zero_point: int,
    qmin: int,
    qmax: int,
    rule: str = "float32",
    axis: int = 1,
    dtype: Any = None,
) -> NDArray[Any]:
    """Codes clip(round(accumulators·multiplier) + zero_point, qmin, qmax), in the shape of the int32 accumulators.

    `multiplier` is () or, one per channel, (C,) along `axis`; `rule` is one of RULES (see the module). A ReLU is
    fused by qmin = zero_point. The dtype is int8 if qmin is negative, else uint8 (16 bits where 8 do not suffice),
    or `dtype`.
    Raises TypeError/ValueError for accumulators that are not int32, a multiplier outside its range or of another
    shape, a zero point outside qmin..qmax, and an unknown rule.
    """
    rule = valid.one_of(rule, "rule", RULES)
    acc = valid.integer_codes(accumulators, INT32.min, INT32.max, "accumulators")
    qmin, qmax = valid.integer(qmin, "qmin", -(2**15), 2**16 - 1), valid.integer(qmax, "qmax", -(2**15), 2**16 - 1)
    if qmin > qmax:
        raise ValueError(f"qmin={qmin} exceeds qmax={qmax}: codes need a range")
    zero_point = valid.integer(zero_point, "zero_point", qmin, qmax)
    scale = _per_channel(multiplier, acc.shape, axis)  # (C, 1) or (1, 1)
    codes = np.empty(acc.shape, _code_dtype(qmin, qmax, dtype))
    # As (rows, C, values of one channel): blocks of rows stay in the cache.
    shape = (acc.size, 1, 1) if len(scale) == 1 else (-1, len(scale), math.prod(acc.shape[axis:][1:]))
    source, target = acc.reshape(shape), codes.reshape(shape)
    block = max(1, CHUNK // math.prod(source.shape[1:]))
    fixed = None if rule == "float32" else fixed_point_multiplier(scale)
    for start in range(0, len(source), block):
        rows = source[start : start + block]
        scaled = _scale_in_float32(rows, scale) if fixed is None else scale_by_fixed_point(rows, *fixed, rule)
        scaled += scaled.dtype.type(zero_point)
        target[start : start + block] = np.clip(scaled, qmin, qmax, out=scaled)
    return codes


def rule_differences(
    accumulators: ArrayLike, multiplier: ArrayLike, zero_point: int, qmin: int, qmax: int, axis: int = 1
) -> NDArray[np.int64]:
    """How many codes differ between each two rules: (4, 4), rows and columns in the order of RULES."""
    codes = [requantize(accumulators, multiplier, zero_point, qmin, qmax, rule, axis) for rule in RULES]
    return np.array([[np.count_nonzero(one != other) for other in codes] for one in codes])


def _scale_in_float32(rows: NDArray[Any], multiplier: NDArray[Any]) -> NDArray[Any]:
    """rint(acc·m); what float32 cannot hold exactly after adding a zero point saturates anyway."""
    scaled = rows.astype(np.float32)
    with np.errstate(over="ignore", under="ignore"):
        np.multiply(scaled, multiplier.astype(np.float32), out=scaled)
    return np.rint(scaled, out=scaled)


def _shift_half_away(x: NDArray[np.int64], bits: NDArray[np.int64]) -> NDArray[np.int64]:
    """x·2^−bits rounded to nearest, ties away from zero (gemmlowp's RoundingDivideByPOT)."""
    half = (np.int64(1) << bits) >> 1
    return (x + half - ((x < 0) & (bits > 0))) >> bits


def _per_channel(multiplier: ArrayLike, shape: tuple[int, ...], axis: int) -> NDArray[np.float64]:
    """Multipliers as (C, 1) or (1, 1), each positive and finite."""
    array = valid.real_array(multiplier, "multiplier").astype(np.float64)
    if not (array > 0).all():
        raise ValueError(f"multiplier holds {array.min()}: every one must be greater than 0")
    if array.size > 1:
        axis = valid.axis_of(axis, len(shape))
        if array.shape != (shape[axis],):
            raise ValueError(f"multiplier has shape {array.shape}: it must be () or ({shape[axis]},) for axis={axis}")
    return array.reshape(-1, 1)


def _code_dtype(qmin: int, qmax: int, dtype: Any) -> np.dtype[Any]:
    bits = 8 if qmin >= (-128 if qmin < 0 else 0) and qmax <= (127 if qmin < 0 else 255) else 16
    chosen = np.dtype(f"{'int' if qmin < 0 else 'uint'}{bits}" if dtype is None else dtype)
    if chosen.kind not in "iu" or qmin < np.iinfo(chosen).min or qmax > np.iinfo(chosen).max:
        raise ValueError(f"dtype={chosen} cannot hold qmin={qmin}..qmax={qmax}")
    return chosen
