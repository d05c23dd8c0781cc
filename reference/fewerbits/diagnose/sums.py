"""Name what is wrong with sums of products of codes, and with the codes of the bias that is added to them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewerbits.diagnose.finding import Finding
from fewerbits.diagnose.words import finding
from fewerbits.network.saturating import saturating_matmul
from fewerbits.tensor import validation as valid

INT32 = np.iinfo(np.int32)
INT64 = np.iinfo(np.int64)


def diagnose_bias(bias: ArrayLike, codes: ArrayLike, s_x: ArrayLike, s_w: ArrayLike) -> list[Finding]:
    """What is wrong with int32 `codes` (O,) of a real `bias` (O,) for inputs of scale `s_x` and weights of `s_w`.

    `s_w` is one number or (O,). Right are round(bias/(s_x·s_w)), either neighbour at a tie. An empty list when all are.
    Raises ValueError/TypeError for shapes that do not fit, numbers that are not finite, scales that are not positive.
    """
    real = valid.real_array(bias, "bias").astype(np.float64)
    integers = valid.integer_codes(codes, INT64.min, INT64.max).astype(np.float64)
    given = valid.real_array(s_x, "s_x")
    if given.size != 1:
        raise ValueError(f"s_x has shape {given.shape}: the input has one scale")
    x_scale = valid.real(given.item(), "s_x", above=0)
    w_scale = valid.real_array(s_w, "s_w").astype(np.float64)
    if (w_scale <= 0).any():
        raise ValueError(f"s_w holds {w_scale.min()}: every scale must be positive")
    if integers.shape != real.shape:
        raise ValueError(f"codes has shape {integers.shape}: it must be that of bias, {real.shape}")
    if w_scale.size > 1 and w_scale.shape != real.shape:
        raise ValueError(f"s_w has shape {w_scale.shape}: it must be () or that of bias, {real.shape}")
    exact = real / (x_scale * w_scale)
    # float32 computes s_x·s_w and the quotient, each with an error of 2⁻²⁴.
    room = 0.5 + np.abs(exact) * 2.0**-22
    wrong = np.abs(integers - exact) > room
    if not wrong.any():
        return []
    first = int(np.flatnonzero(wrong)[0])
    text = f"{int(wrong.sum())} of {wrong.size} codes, the first in channel {first}"
    text = f"{text}; bias {real.flat[first]:.6g} has code {integers.flat[first]:.0f}"
    text = f"{text}, and at s_x·s_w it is {exact.flat[first]:.6g}"
    if not integers.any():
        return [finding("bias_forgotten", "bias", f"{text}: all {integers.size} codes are 0")]
    too_large = np.abs(exact) > INT32.max
    wrapped = (np.rint(exact) + 2.0**31) % 2.0**32 - 2.0**31
    clipped = np.clip(np.rint(exact), INT32.min, INT32.max)
    if too_large.any() and any(((integers == stored) | ~wrong).all() for stored in (wrapped, clipped)):
        return [finding("bias_overflow", "bias", f"{text}, beyond int32")]
    for narrow in (np.int8, np.int16):
        if (integers == np.rint(exact).astype(np.int64).astype(narrow)).all():
            return [finding("bias_in_too_few_bits", "bias", f"{text}: they are what is left in {narrow.__name__}")]
    for name, scale in (("input", x_scale), ("weights", w_scale)):
        if (np.abs(integers - real / scale) <= 0.5 + np.abs(real / scale) * 2.0**-22).all():
            return [finding("bias_at_one_scale_only", "bias", f"{text}: they are at the scale of the {name} alone")]
    slip = np.abs(exact) * 2.0**-22
    cut = (np.abs(integers - np.trunc(exact)) <= slip) | (np.abs(integers - np.trunc(exact + slip)) <= slip)
    floored = (integers - exact <= slip) & (exact - integers < 1 + slip)
    if cut.all() or floored.all():
        return [finding("truncation_for_rounding", "bias", text)]
    own = np.dot(integers, real) / max(np.dot(real, real), np.finfo(float).tiny)
    if own > 0 and (np.abs(integers - real * own) <= 1).all():
        text = f"{text}: they have a scale of their own, {1 / own:.4g}, for s_x·s_w of {_ends(x_scale * w_scale)}"
        return [finding("bias_with_its_own_scale", "bias", text)]
    return [finding("bias_codes_unexplained", "bias", text)]


def diagnose_sums(
    q_x: ArrayLike, q_w: ArrayLike, sums: ArrayLike, x_zero_point: int = 0, w_zero_point: int = 0
) -> list[Finding]:
    """What is wrong with `sums` (N, O) of (q_x − z_x)(q_w − z_w) for integer codes `q_x` (N, C) and `q_w` (O, C).

    An empty list when every sum is exact. Raises ValueError/TypeError for shapes that do not fit and for types that
    are no integers (sums may be floats that hold integers).
    """
    x, w = (valid.integer_codes(codes, -(2**16), 2**16, name) for codes, name in ((q_x, "q_x"), (q_w, "q_w")))
    if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError(f"q_x has shape {x.shape} and q_w {w.shape}: accepted are (N, C) and (O, C)")
    given = valid.real_array(sums, "sums").astype(np.float64)
    if given.shape != (len(x), len(w)):
        raise ValueError(f"sums has shape {given.shape}: it must be {(len(x), len(w))}")
    z_x = valid.integer(x_zero_point, "x_zero_point", -(2**16), 2**16)
    z_w = valid.integer(w_zero_point, "w_zero_point", -(2**16), 2**16)
    exact = _product(x, w, z_x, z_w)
    wrong = given != exact
    if not wrong.any():
        return []
    row, column = (int(i) for i in np.argwhere(wrong)[0])
    text = f"{int(wrong.sum())} of {wrong.size} sums; sum ({row}, {column}) is {given[row, column]:.0f}"
    text = f"{text}, and exactly {exact[row, column]}"
    for name, others in _wrong_sums(x, w, z_x, z_w, exact):
        if (given == others).all():
            return [finding(name, "sums", text)]
    magnitude = _product(np.abs(x), np.abs(w), -abs(z_x), -abs(z_w))
    if (np.abs(given - exact) <= magnitude * x.shape[1] * 2.0**-24).all() and np.abs(exact).max() > 2**24:
        return [finding("summed_in_float32", "sums", f"{text}; above 2²⁴ float32 skips integers")]
    return [finding("sums_unexplained", "sums", text)]


def _product(x: NDArray, w: NDArray, z_x: int, z_w: int) -> NDArray:
    return (x.astype(np.int64) - z_x) @ (w.astype(np.int64) - z_w).T


def _wrong_sums(x: NDArray, w: NDArray, z_x: int, z_w: int, exact: NDArray) -> Iterator[tuple[str, NDArray]]:
    """Names of mistakes and the sums that they give."""
    raw = _product(x, w, 0, 0)
    x_sums, w_sums = z_w * x.astype(np.int64).sum(1)[:, None], z_x * w.astype(np.int64).sum(1)
    for narrow in (np.int64, np.int8, np.int16, np.int32):
        yield "accumulator_too_narrow", exact.astype(narrow)
        for left, right in itertools.product(_shifted(x, z_x).items(), _shifted(w, z_w).items()):
            names = {left[0], right[0]} - {""}
            if names:
                name = "zero_point_ignored_in_the_sum" if "ignored" in names else "subtraction_in_the_code_type"
                yield name, _product(left[1], right[1], 0, 0).astype(narrow)
    for narrow in (np.int8, np.int16, np.int32):
        yield "accumulator_saturated", np.clip(exact, np.iinfo(narrow).min, np.iinfo(narrow).max)
    yield "cross_term_of_wrong_sign", raw - x_sums - w_sums - x.shape[1] * z_x * z_w
    yield "cross_term_of_wrong_sign", raw + x_sums + w_sums + x.shape[1] * z_x * z_w
    for times in (0, 1, len(x)):  # left out, counted once, or once per row instead of once per product
        yield "constant_cross_term_forgotten", raw - x_sums - w_sums + times * z_x * z_w
    yield "zero_points_exchanged", _product(x, w, z_w, z_x)
    if x.dtype == np.uint8 and w.dtype == np.int8:
        pairs = saturating_matmul(x, w.T).astype(np.int64)
        yield "products_saturated_in_16_bits", pairs - x_sums - w_sums + x.shape[1] * z_x * z_w


def _shifted(codes: NDArray, zero_point: int) -> dict[str, NDArray]:
    """Codes with the zero point subtracted, ignored, and subtracted in a type of 8 bits."""
    wide = codes.astype(np.int64)
    kind = np.uint8 if codes.dtype.kind == "u" or codes.min() >= 0 else np.int8
    return {"": wide - zero_point, "ignored": wide, "wrapped": (wide - zero_point).astype(kind)}


def _ends(values: np.ndarray) -> str:
    low, high = f"{np.min(values):.4g}", f"{np.max(values):.4g}"
    return low if low == high else f"{low} to {high}"
