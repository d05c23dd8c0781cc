"""What a diagnosis looks at: values, codes and parameters, read once, checked, and made to broadcast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewerbits.tensor import validation as valid
from fewerbits.tensor.rounding import ROUNDINGS, round_in_place
from fewerbits.tensor.uniform import code_range

Array = NDArray[Any]
# A rule says which codes values x get; it may read everything else from the case.
Rule = Callable[["Case", Array], Array]
NEAREST = ("half_even", "half_away")


@dataclass(frozen=True, eq=False)
class Case:
    """One quantized tensor. `scale` and `zero_point` are float64 and broadcast against `x`; `codes` are int64.

    `rounding` is None where the caller leaves it open how ties are rounded. `precision` is the relative error that
    scale formulas may show, three roundings in the narrowest type involved.
    """

    x: Array
    codes: Array
    scale: Array
    zero_point: Array
    bits: int
    signed: bool
    symmetric: bool | None
    axis: int | None
    rounding: str | None
    dequantized: Array | None
    precision: float

    @cached_property
    def ends(self) -> tuple[int, int]:
        """(qmin, qmax)."""
        return code_range(self.bits, self.signed)

    @property
    def symmetric_zero_point(self) -> int:
        """The zero point of a range that is symmetric about zero."""
        return 0 if self.signed else 2 ** (self.bits - 1)

    @property
    def is_symmetric(self) -> bool:
        return bool((self.zero_point == self.symmetric_zero_point).all())

    @cached_property
    def _other_axes(self) -> tuple[int, ...]:
        return tuple(axis for axis in range(self.x.ndim) if self.scale.shape[axis] == 1)

    @cached_property
    def low(self) -> Array:
        """Smallest value that each scale serves, in the shape of `scale`."""
        return self.x.min(axis=self._other_axes, keepdims=True)

    @cached_property
    def high(self) -> Array:
        """Largest value that each scale serves, in the shape of `scale`."""
        return self.x.max(axis=self._other_axes, keepdims=True)

    @cached_property
    def peak(self) -> Array:
        """Largest magnitude that each scale serves."""
        return np.maximum(-self.low, self.high)

    @cached_property
    def live(self) -> Array:
        """Which scales serve a value other than zero: only these say anything about the scale."""
        return self.peak > 0

    @cached_property
    def steps(self) -> Array:
        """x/s, the values counted in steps."""
        with np.errstate(over="ignore", under="ignore"):
            return self.x / self.scale

    @cached_property
    def slack(self) -> Array:
        """How far float32 arithmetic may move a value before it is rounded, in units of x.

        Four units in the last place of the quotient and of the sum with the zero point: enough for a division, for
        a product with the reciprocal, and for a zero point added before rounding, and it makes every tie go both ways.
        """
        with np.errstate(over="ignore", under="ignore"):
            return (np.abs(self.x) + self.scale * np.abs(self.zero_point)) * 2.0**-21 + self.scale * 2.0**-30

    def predicted(self, x: Array) -> Array:
        """The codes that the definition gives, in float64: clip(round(x/s) + z, qmin, qmax)."""
        with np.errstate(over="ignore", under="ignore"):
            q = x / self.scale
        round_in_place(q, "half_even" if self.rounding in (None, *NEAREST, "stochastic") else str(self.rounding))
        return np.clip(q + self.zero_point, *self.ends)

    @cached_property
    def correct(self) -> Array:
        """Which codes are right under some convention of arithmetic (and of rounding, where that is left open)."""
        if self.rounding == "stochastic":
            low, high = self.predicted(self.x - self.scale / 2), self.predicted(self.x + self.scale / 2)
        else:
            low, high = self.predicted(self.x - self.slack), self.predicted(self.x + self.slack)
        qmin, _ = self.ends
        right = (low <= self.codes) & (self.codes <= high)
        # A narrow range never uses the lowest code; then what would get it saturates one higher.
        if self.signed and self.bits > 1 and not (self.codes == qmin).any():
            right |= (self.codes == qmin + 1) & (low == qmin)
        return right

    def explained_by(self, rule: Rule) -> bool:
        """Whether a rule gives all codes, float32's errors and ties allowed for."""
        with np.errstate(all="ignore"):
            matches = rule(self, self.x) == self.codes
            for moved in (self.x - self.slack, self.x + self.slack):
                if matches.all():
                    break
                matches |= rule(self, moved) == self.codes
        return bool(matches.all())

    def same(self, formula: Array) -> bool:
        """Whether every scale that serves a value is what a formula gives."""
        with np.errstate(all="ignore"):
            close = np.abs(self.scale - formula) <= self.precision * np.abs(self.scale)
        return bool(self.live.any() and close[self.live].all())


def read(
    values: ArrayLike,
    codes: Array,
    scale: ArrayLike,
    zero_point: ArrayLike,
    bits: int,
    signed: bool | None,
    symmetric: bool | None,
    axis: int | None,
    rounding: str | None,
    dequantized: ArrayLike | None,
) -> Case:
    """The arguments of `diagnose` as a case; ValueError/TypeError names what cannot be read."""
    x = valid.real_array(values, "values", finite=False)
    bits = valid.integer(bits, "bits", 1, 16)
    if codes.shape != x.shape:
        raise ValueError(f"codes has shape {codes.shape}: it must be that of values, {x.shape}")
    if rounding is not None:
        valid.one_of(rounding, "rounding", ROUNDINGS)
    for name, flag in (("signed", signed), ("symmetric", symmetric)):
        if flag is not None:
            valid.boolean(flag, name)
    axis = None if axis is None else valid.axis_of(axis, x.ndim)
    scales = valid.real_array(scale, "scale", finite=False)
    half = np.float16 in (x.dtype, scales.dtype)
    eps = np.finfo(np.float16 if half else np.float32).eps
    back = None
    if dequantized is not None:
        back = valid.real_array(dequantized, "dequantized", finite=False)
        if back.shape != x.shape:
            raise ValueError(f"dequantized has shape {back.shape}: it must be that of values, {x.shape}")
    zero_points = valid.real_array(zero_point, "zero_point", finite=False)
    shape = x.shape or (1,)
    return Case(
        x=x.astype(np.float64).reshape(shape),
        codes=codes.astype(np.int64).reshape(shape),
        scale=_spread(scales, "scale", shape, axis),
        zero_point=_spread(zero_points, "zero_point", shape, axis),
        bits=bits,
        signed=_is_signed(codes, bits) if signed is None else bool(signed),
        symmetric=symmetric,
        axis=axis,
        rounding=rounding,
        dequantized=None if back is None else back.reshape(shape),
        precision=3 * float(eps),
    )


def _spread(parameter: Array, name: str, shape: tuple[int, ...], axis: int | None) -> Array:
    """A parameter as float64 with one axis for each of `shape`, of length 1 or the full length."""
    wide = parameter.astype(np.float64)
    if wide.size == 1:
        return wide.reshape((1,) * len(shape))
    if wide.ndim == len(shape) and all(n in (1, full) for n, full in zip(wide.shape, shape)) and wide.ndim > 1:
        return wide
    if wide.ndim == 1 and axis is not None and wide.size == shape[axis]:
        return wide.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    if wide.ndim == 1 and len(shape) == 1 and wide.size == shape[0]:
        return wide
    wanted = "one value (with axis: one for each of its indices)" if axis is None else f"() or ({shape[axis]},)"
    raise ValueError(
        f"{name} has shape {parameter.shape}: for values of shape {shape} and axis={axis} it must be {wanted}, "
        "or a shape that broadcasts with axes of length 1"
    )


def _is_signed(codes: Array, bits: int) -> bool:
    """As the type says; codes in a wider type are signed unless one of them is too large and none is negative."""
    if codes.dtype.kind == "u":
        return False
    if codes.dtype.itemsize * 8 == (8 if bits <= 8 else 16):
        return True
    return bool(codes.min() < 0 or codes.max() < 2 ** (bits - 1))
